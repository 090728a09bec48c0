// SPDX-License-Identifier: MIT OR Apache-2.0
//! The way that a packet takes, as a socket remembers it: looked up once for many datagrams to one peer.

use core::net::IpAddr;

use crate::wire::MacAddress;

/// To whom a packet is handed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// To this host itself.
    Loop,
    /// To everybody on the link.
    Broadcast,
    /// To the members of a group.
    Group(MacAddress),
    /// To this neighbour.
    Neighbour(IpAddr),
}

/// The way from an address of ours to a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path {
    /// From which of our addresses.
    pub source: IpAddr,
    /// To which address.
    pub destination: IpAddr,
    /// Through whom.
    pub target: Target,
    /// The state of routes and addresses that it was looked up in; it is stale in any other.
    pub epoch: u32,
}
