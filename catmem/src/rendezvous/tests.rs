// SPDX-License-Identifier: MIT OR Apache-2.0
//! The rendezvous between honest processes, hostile ones, dead ones and strangers.

mod directory;
mod fdpass;
mod message;
mod name;
mod offer;
mod processes;
mod sweep;

use rustix::fd::OwnedFd;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

use super::{Caller, Direction, Hello, Listener, PipeName};

fn pipe_name(name: &str) -> PipeName {
    PipeName::new(name).unwrap()
}

fn hello() -> Hello {
    let there = Direction::new(18, 16, 16).unwrap();
    let back = Direction::new(12, 26, 0).unwrap();
    Hello::new([there, back], 2 << 20, true).unwrap()
}

/// The next opener that waits.
fn accepted(listener: &Listener) -> Option<OwnedFd> {
    match listener.accept().unwrap() {
        Caller::Opener(socket) => Some(socket),
        Caller::Nobody => None,
        Caller::Strangers => panic!("many strangers"),
    }
}

/// Two ends of one connection, of the kind that opener and creator have.
fn connection() -> (OwnedFd, OwnedFd) {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap()
}
