// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the neighbour cache is told and what it answers.

use core::net::IpAddr;

use runtime::buf::Sga;

use crate::wire::MacAddress;

/// What a packet said about the neighbour that sent it, or about the target of an advertisement.
///
/// Whoever makes it has checked the packet (for NDP: RFC 4861 section 7.1, hop limit 255), and that the address is not one
/// of ours: that would be a conflict, see [`claim`](crate::link::claim).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Of whom.
    pub address: IpAddr,
    /// What it says its MAC address is. Only an advertisement may leave it out.
    pub mac: Option<MacAddress>,
    /// In which kind of packet.
    pub kind: Kind,
}

/// The kinds of packets that speak of a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An ARP request for an address of ours.
    Request,
    /// An ARP reply to us.
    Reply,
    /// An ARP announcement, or any ARP packet that asks for or answers somebody else.
    Gratuitous,
    /// A neighbour solicitation for an address of ours, or a router solicitation.
    Solicitation,
    /// A router advertisement, or a redirect to another router.
    Router,
    /// A neighbour advertisement, with its flags.
    Advertisement {
        /// It answers a solicitation.
        solicited: bool,
        /// It replaces what is known.
        override_: bool,
        /// Its sender is a router.
        router: bool,
    },
}

/// What became of a packet that was given to [`Neighbours::resolve`](super::Neighbours::resolve).
#[derive(Debug)]
pub enum Resolved {
    /// Send it there now.
    Send(MacAddress, Sga),
    /// It is kept until the neighbour answers; it comes back as an [`Action`].
    Waits,
    /// It is lost.
    Dropped(Reason),
}

/// Why a packet is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The neighbour did not answer a moment ago: its sender has `EHOSTUNREACH`.
    Unreachable,
    /// As many packets wait for neighbours as may.
    QueueFull,
    /// No place for another neighbour.
    TableFull,
}

/// What there is to do; see [`Neighbours::poll`](super::Neighbours::poll).
#[derive(Debug)]
pub enum Action {
    /// Ask for the MAC address of `target` by an ARP request or a neighbour solicitation.
    Solicit {
        /// Whom to find.
        target: IpAddr,
        /// Asked alone, since it had this MAC address; `None` asks everybody (broadcast, or the solicited-node group).
        to: Option<MacAddress>,
    },
    /// Send a packet that had waited.
    Send(MacAddress, Sga),
    /// The neighbour does not answer: the packet's sender is to hear "host unreachable".
    Unreachable(IpAddr, Sga),
    /// The neighbour was a router and says that it is none any more (RFC 4861 section 7.2.5).
    NoRouter(IpAddr),
}

/// How well a neighbour is known: RFC 4861 section 7.3.2, with two more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Asked for, not yet answered.
    Incomplete,
    /// Known to answer a moment ago.
    Reachable,
    /// Has not been heard from lately; nothing is sent to it.
    Stale,
    /// Not lately heard from but in use: an upper layer may still say that it answers.
    Delay,
    /// Asked alone whether it is still there.
    Probe,
    /// Did not answer: packets to it fail at once for a while.
    Failed,
    /// Configured: never asked for, never changed by what is heard.
    Static,
}

/// One neighbour, for display.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// Its address.
    pub address: IpAddr,
    /// Its MAC address, if known.
    pub mac: Option<MacAddress>,
    /// How well it is known.
    pub state: State,
    /// Whether it said that it is a router.
    pub router: bool,
}

/// What the cache refused or lost, each with its reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Claims of a MAC address that cannot be one (a group, all zeros), or of an address that is no neighbour's.
    pub refused: u64,
    /// Claims that came too soon after another, or contradicted a neighbour that was just heard from.
    pub locked: u64,
    /// Packets that were pushed out of a queue by newer ones for the same neighbour.
    pub displaced: u64,
    /// Neighbours that made place for others.
    pub evicted: u64,
    /// Packets lost with the neighbour that they waited for.
    pub lost: u64,
    /// Neighbours that did not answer.
    pub failed: u64,
}
