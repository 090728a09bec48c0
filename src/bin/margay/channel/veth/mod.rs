// SPDX-License-Identifier: MIT OR Apache-2.0
//! What goes between two processes that have a network each, joined by a veth pair: datagrams and streams, of Margay's own stack over
//! packet sockets, and of the kernel on the same pair; and streams between the two stacks, over a TAP device with what it offers.
//! Nobody sleeps.

mod datagrams;
mod streams;
pub mod tap;

pub use datagrams::{Catnip, Kernel};
pub use streams::{CatnipStream, KernelStream};

use crate::process::apart::PREFIX;
use crate::process::job::Role;
use anyhow::Result;
use margay::config::Spin;
use margay::config::catnip::{Prefix, Wire};
use margay::{Config, LibOs};
use std::net::{Ipv4Addr, SocketAddr};

/// The port of both ends; in a network of one's own, nobody else has it.
const PORT: u16 = 7;
/// What the kernel does not have: the server's address, then the client's.
const OWN_ADDRESSES: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 77, 1, 1), Ipv4Addr::new(10, 77, 1, 2)];

/// This end's, and the other's.
fn ends<T: Copy>(both: [T; 2], role: Role) -> (T, T) {
    let [server, client] = both;
    if role == Role::Server { (server, client) } else { (client, server) }
}

fn at(address: Ipv4Addr) -> SocketAddr {
    (address, PORT).into()
}

/// Margay's own stack with this address, on an interface.
fn libos(device: Wire, interface: &str, own: Ipv4Addr) -> Result<LibOs> {
    let mut config = Config { libos: Some("catnip".to_owned()), ..Config::default() };
    config.wait.spin = Spin::Forever;
    config.catnip.device = device;
    config.catnip.interface = Some(interface.to_owned());
    config.catnip.addresses = vec![Prefix::new(own.into(), PREFIX)?];
    Ok(LibOs::new(&config)?)
}
