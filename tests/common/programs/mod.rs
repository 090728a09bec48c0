// SPDX-License-Identifier: MIT OR Apache-2.0
//! Programs of this repository and of others, as processes of a test. Test binaries take it in by its path, as `programs`.
//!
//! - `build`: where the examples come from. - `stage`: processes in a directory of their own. - `tools`: what others have made.

#![allow(dead_code, reason = "each test binary takes a part of it")]

pub mod build;
pub mod stage;
#[path = "../tools.rs"]
pub mod tools;

use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};

/// Examples that come in pairs of a server and a client, in Rust and in C.
pub const PAIRS: [&str; 16] = [
    "pipe-open",
    "pipe-ping-pong",
    "pipe-push-pop",
    "tcp-close",
    "tcp-dump",
    "tcp-echo",
    "tcp-ping-pong",
    "tcp-pktgen",
    "tcp-push-pop",
    "tcp-wait",
    "udp-dump",
    "udp-echo",
    "udp-ping-pong",
    "udp-pktgen",
    "udp-push-pop",
    "udp-relay",
];

/// Examples in Rust that serve until they are told to end.
pub const SERVERS: [&str; 2] = ["http-server", "kv-server"];

/// A port that nobody has, and that the kernel gives to nobody by itself: for programs that cannot say which one they got.
pub fn free_port() -> u16 {
    for number in 0..1000_u64 {
        let port = 10_000 + (RandomState::new().hash_one(number) % 20_000) as u16;
        let place = (Ipv4Addr::LOCALHOST, port);
        if TcpListener::bind(place).is_ok() && UdpSocket::bind(place).is_ok() {
            return port;
        }
    }
    panic!("no port is free");
}
