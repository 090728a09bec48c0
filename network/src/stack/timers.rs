// SPDX-License-Identifier: MIT OR Apache-2.0
//! What time makes a stack do: neighbours, claims, fragments that are late, groups, routers, leases; and the packets to this
//! host itself.

use core::net::IpAddr;

use runtime::time::Time;

use super::icmp::Complaint;
use super::input::{Came, Packet};
use super::own::link_route;
use super::{Stack, message};
use crate::counters::Reason;
use crate::ip::addresses::{Class, Event};
use crate::ip::{Prefix, routers};
use crate::limits::ACTIONS_PER_POLL;
use crate::link::claim;
use crate::link::neighbours::Action;
use crate::wire::{ipv4, ipv6};

impl Stack {
    /// Does what is due: timers, packets to this host itself. One bounded batch; if [`next_deadline`](Self::next_deadline)
    /// is not after `now` there is more.
    pub fn poll(&mut self, now: Time) {
        for _ in 0..ACTIONS_PER_POLL.min(self.loopback.len()) {
            let Some(packet) = self.loopback.pop_front() else { break };
            let is_v4 = message::front(&packet).first().is_some_and(|byte| byte >> 4 == 4);
            let came = Came { to_many: false, verified: true, looped: true, segment: 0 };
            self.receive_ip(packet, came, is_v4, now);
        }
        self.make_room();
        self.poll_streams(now);
        if self.due.is_none_or(|due| due > now) && self.neighbours.next_deadline().is_none_or(|due| due > now) {
            return;
        }
        self.poll_neighbours(now);
        self.poll_claims(now);
        self.poll_addresses(now);
        self.poll_fragments(now);
        self.poll_groups(now);
        self.poll_routers(now);
        self.poll_lease(now);
        self.set_due();
    }

    /// When [`poll`](Self::poll) has something to do; due already while packets to this host itself wait.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        if !self.loopback.is_empty() {
            return Some(Time::ZERO);
        }
        earlier(earlier(self.due, self.neighbours.next_deadline()), self.streams.next_deadline())
    }

    /// Looks up when the next of the slow timers is due. Called after whatever may have set one.
    pub(super) fn set_due(&mut self) {
        let claims = self.claims.iter().filter_map(claim::Claim::next_deadline).min();
        let routers = self.routers.as_ref().and_then(routers::Routers::next_deadline);
        self.due = [
            claims,
            self.addresses.next_deadline(),
            self.reassembly.next_deadline(),
            self.groups.next_deadline(),
            routers,
            self.lease_deadline(),
        ]
        .into_iter()
        .flatten()
        .min();
    }

    fn poll_neighbours(&mut self, now: Time) {
        for _ in 0..ACTIONS_PER_POLL {
            let action = self.neighbours.poll(now);
            self.count_lost();
            match action {
                Some(Action::Solicit { target, to }) => match target {
                    IpAddr::V4(target) => {
                        if let Some(IpAddr::V4(sender)) = self.addresses.source_for(IpAddr::V4(target)) {
                            self.ask_arp(sender, target, to);
                        }
                    }
                    IpAddr::V6(target) => self.ask_ndp(target, to, now),
                },
                Some(Action::Send(mac, packet)) => self.send_ip(mac, packet),
                Some(Action::Unreachable(neighbour, packet)) => {
                    self.is_gone(neighbour);
                    if let (Some(routers), IpAddr::V6(neighbour)) = (self.routers.as_mut(), neighbour) {
                        routers.reachable(neighbour, false);
                        self.poll_routers(now);
                    }
                    self.undelivered(&packet, now);
                }
                Some(Action::NoRouter(neighbour)) => {
                    self.is_gone(neighbour);
                    if let (Some(routers), IpAddr::V6(neighbour)) = (self.routers.as_mut(), neighbour) {
                        routers.resigned(neighbour, now);
                        self.poll_routers(now);
                    }
                }
                None => return,
            }
        }
    }

    /// Counts the packets that the neighbour cache has lost since this was asked last: pushed out by newer ones, or gone with
    /// the neighbour that they waited for.
    pub(super) fn count_lost(&mut self) {
        let counters = self.neighbours.counters();
        let lost = counters.displaced + counters.lost;
        self.counters.add(Reason::NeighbourFull, lost - self.neighbours_lost);
        self.neighbours_lost = lost;
    }

    fn poll_claims(&mut self, now: Time) {
        let mut index = 0;
        while let Some(claim) = self.claims.get_mut(index) {
            let address = claim.address();
            match claim.poll(&mut self.random, now) {
                Some(claim::Action::Probe) => match address {
                    IpAddr::V4(address) => self.ask_arp(core::net::Ipv4Addr::UNSPECIFIED, address, None),
                    IpAddr::V6(address) => self.probe_ndp(address, now),
                },
                Some(claim::Action::Claimed) => {
                    let is_link_local = matches!(address, IpAddr::V6(address) if address.is_unicast_link_local());
                    if self.addresses.claimed(address, now) && is_link_local {
                        // Reports went out without an address so far, and routers heed none of those (RFC 3590 section 4).
                        self.groups.tell_again(now);
                    }
                    self.epoch = self.epoch.wrapping_add(1);
                }
                Some(claim::Action::Announce) => {
                    if let IpAddr::V4(address) = address {
                        self.ask_arp(address, address, None);
                    }
                }
                Some(claim::Action::Conflict) => {
                    self.counters.drop(Reason::Duplicate);
                    // Another claim stands here then, or none.
                    self.lose_address(address, now);
                }
                None => index += 1,
            }
        }
    }

    fn poll_addresses(&mut self, now: Time) {
        while let Some(event) = self.addresses.poll(now) {
            self.epoch = self.epoch.wrapping_add(1);
            if let Event::Expired(prefix) = event {
                self.forget_address(prefix.address(), now);
            }
        }
    }

    /// Datagrams whose rest did not come: their senders are told, if the first fragment has (RFC 792, RFC 8200 section 4.5).
    fn poll_fragments(&mut self, now: Time) {
        while let Some(expired) = self.reassembly.poll(now) {
            self.counters.drop(Reason::FragmentLate);
            let Some(first) = expired.first else { continue };
            let is_v4 = expired.key.source.is_ipv4();
            let at = if is_v4 {
                ipv4::View::quoted(&first).map_or(0, |view| view.header_len())
            } else {
                let view = ipv6::View::quoted(&first).ok().and_then(|view| view.upper().ok());
                view.map_or(0, |upper| upper.offset)
            };
            let packet = Packet {
                source: expired.key.source,
                destination: expired.key.destination,
                protocol: crate::wire::Protocol(expired.key.protocol),
                hops: 0,
                class: self.addresses.class(expired.key.destination),
                to_many: false,
                verified: false,
                router_alert: false,
                put_together: None,
                ecn: crate::wire::Ecn::NotCapable,
                segment: 0,
                at,
                len: first.len().saturating_sub(at),
                named_at: 0,
                data: first.into(),
            };
            if packet.class == Class::Ours {
                self.complain(&packet, Complaint::Late, now);
            }
        }
    }

    /// Does what routers have said; also at once after they were heard, for it is no timer that says so.
    pub(super) fn poll_routers(&mut self, now: Time) {
        while let Some(action) = self.routers.as_mut().and_then(|routers| routers.poll(now)) {
            match action {
                routers::Action::Solicit => self.ask_routers(now),
                routers::Action::Route(route) => {
                    // A table that is full has better routes.
                    let _ = self.routes.learn(route);
                    self.epoch = self.epoch.wrapping_add(1);
                }
                routers::Action::Unroute(prefix, hop) => {
                    self.routes.forget(prefix, hop);
                    self.epoch = self.epoch.wrapping_add(1);
                }
                routers::Action::Address(prefix, lifetimes) => {
                    let known = self.addresses.iter().any(|here| here.prefix.address() == prefix.address());
                    if known {
                        let _ = self.addresses.add(prefix, false, lifetimes, now);
                        // It may be preferred again.
                        self.epoch = self.epoch.wrapping_add(1);
                    } else {
                        if Prefix::LINK_LOCAL.contains(prefix.address()) {
                            let _ = self.routes.learn(link_route(prefix));
                        }
                        // SLAAC's addresses are always looked for (RFC 4862 section 5.4); a full table takes no more.
                        let _ = self.add_address(prefix, true, lifetimes, now);
                    }
                }
                routers::Action::Parameters(parameters) => {
                    // IPv4 has nothing to do with it.
                    if parameters.hop_limit > 0 {
                        self.hops_v6 = parameters.hop_limit;
                    }
                    self.neighbours.set_times(parameters.reachable_time, parameters.retransmit_timer);
                    self.set_link_v6(parameters.mtu.min(self.mtu));
                }
            }
        }
    }
}

/// The earlier of two moments, of which either may not come.
#[inline]
pub(super) fn earlier(one: Option<Time>, other: Option<Time>) -> Option<Time> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
