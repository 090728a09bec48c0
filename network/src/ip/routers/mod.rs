// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a host of IPv6 learns from routers: default routes, prefixes of the link, addresses to take, and parameters
//! (RFC 4861 §6.3, RFC 4862 §5.5); and how it asks for it (RFC 7559).
//!
//! What must always hold: nothing here changes addresses or routes itself. [`Routers::poll`] says, one thing at a time,
//! what is to be done, and everything that advertisements have led to ends with their lifetimes.

mod announced;
mod identifier;
mod items;
mod solicit;

use core::net::{IpAddr, Ipv6Addr};
use core::time::Duration;

use runtime::time::Time;

use super::Prefix;
use super::addresses::Lifetimes;
use super::routes::{Hop, Route};
use crate::keyed::{Random, Secret};
use crate::limits::{ADVERTISED_HOPS_MIN, MTU_MIN_V6};
use crate::wire::ndp::{PrefixInformation, RouterAdvertisement};

use announced::Announced;
use items::{Autonomous, DefaultRouter};
use solicit::Solicitor;

pub use identifier::stable_address;

/// What routers have said about the link. What none has said is as it was when this was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Parameters {
    /// The hop limit to send with; zero if none has said one.
    pub hop_limit: u8,
    /// The longest IPv6 packet in bytes; no more than the device takes.
    pub mtu: u16,
    /// How long a neighbour is taken to be reachable, before it is made to vary (RFC 4861 §6.3.2).
    pub reachable_time: Duration,
    /// The time between solicitations of a neighbour.
    pub retransmit_timer: Duration,
}

impl Parameters {
    /// What holds until a router says otherwise (RFC 4861 §6.3.2 and §10).
    #[must_use]
    pub const fn defaults(mtu: u16) -> Self {
        Self { hop_limit: 0, mtu, reachable_time: Duration::from_secs(30), retransmit_timer: Duration::from_secs(1) }
    }
}

/// What is to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Send a router solicitation to all routers, ff02::2.
    Solicit,
    /// Add this route, or change its metric.
    Route(Route),
    /// Take the route of this prefix and hop out.
    Unroute(Prefix, Hop),
    /// Take this address, once nobody else is found to have it; or give it these lifetimes, if it is there.
    Address(Prefix, Lifetimes),
    /// What is known about the link has changed.
    Parameters(Parameters),
}

/// The metric of what routers have announced. Routes by hand mostly have less.
const METRIC: u32 = 1024;
/// What is added for a router that is known not to answer (RFC 4861 §6.3.6).
const METRIC_SUSPECT: u32 = 1 << 16;

/// The routers and prefixes that one stack has heard of.
#[derive(Debug)]
pub struct Routers {
    secret: Secret,
    solicitor: Solicitor,
    device_mtu: u16,
    parameters: Parameters,
    parameters_changed: bool,
    routers: Announced<DefaultRouter>,
    on_link: Announced<Prefix>,
    autonomous: Announced<Autonomous>,
}

impl Routers {
    /// Begins at `now`: with the address of the link itself, fe80::/64, and with a first solicitation within a second.
    /// `secret` is this interface's alone, and the same each time if its addresses are to be; `device_mtu` is the
    /// longest packet that the device takes.
    #[must_use]
    pub fn new(secret: Secret, random: Random, device_mtu: u16, now: Time) -> Self {
        let mut autonomous = Announced::new();
        autonomous.heard(Autonomous::new(Prefix::LINK_LOCAL, Lifetimes::FOREVER), Time::MAX, now);
        Self {
            secret,
            solicitor: Solicitor::new(random, now),
            device_mtu,
            parameters: Parameters::defaults(device_mtu),
            parameters_changed: false,
            routers: Announced::new(),
            on_link: Announced::new(),
            autonomous,
        }
    }

    /// Takes an advertisement in, which came with a hop limit of 255 and was parsed (RFC 4861 §6.1.2). Says whether it
    /// counts: it does not if its source is no link-local address.
    pub fn heard_advertisement(&mut self, router: Ipv6Addr, advertisement: &RouterAdvertisement, now: Time) -> bool {
        if !router.is_unicast_link_local() {
            return false;
        }
        self.heard_parameters(advertisement);
        let until = now + Duration::from_secs(advertisement.lifetime.into());
        self.routers.heard(DefaultRouter { address: router, suspect: false }, until, now);
        if advertisement.lifetime > 0 {
            self.solicitor.answered();
            // It is there again, or at least worth a try (RFC 4861 §6.3.6).
            self.reachable(router, true);
        }
        for information in &advertisement.prefixes {
            // Those of the link itself need no router, and are ignored (RFC 4861 §6.3.4, RFC 4862 §5.5.3 b).
            let PrefixInformation { prefix, length, .. } = *information;
            if prefix.is_unicast_link_local() || prefix.is_multicast() {
                continue;
            }
            let Ok(prefix) = Prefix::new(prefix.into(), length) else { continue };
            let prefix = prefix.network();
            if information.on_link {
                self.on_link.heard(prefix, ends(now, information.valid), now);
            }
            if information.autonomous {
                self.heard_autonomous(prefix, information, now);
            }
        }
        true
    }

    /// RFC 4861 §6.3.4.
    fn heard_parameters(&mut self, advertisement: &RouterAdvertisement) {
        let RouterAdvertisement { hop_limit, reachable, retransmit, mtu, .. } = *advertisement;
        let mut parameters = self.parameters;
        if hop_limit >= ADVERTISED_HOPS_MIN {
            parameters.hop_limit = hop_limit;
        }
        // No more than an hour: RFC 4861 §6.2.1.
        if (1..=3_600_000).contains(&reachable) {
            parameters.reachable_time = Duration::from_millis(reachable.into());
        }
        if retransmit > 0 {
            parameters.retransmit_timer = Duration::from_millis(retransmit.into());
        }
        if let Some(Ok(mtu)) = mtu.map(u16::try_from)
            && (MTU_MIN_V6..=self.device_mtu).contains(&mtu)
        {
            parameters.mtu = mtu;
        }
        self.parameters_changed |= parameters != self.parameters;
        self.parameters = parameters;
    }

    /// RFC 4862 §5.5.3 c to e.
    fn heard_autonomous(&mut self, prefix: Prefix, information: &PrefixInformation, now: Time) {
        let PrefixInformation { valid, preferred, .. } = *information;
        // An identifier has 64 bits (RFC 7217 §5), and with the prefix it is an address.
        if preferred > valid || prefix.length() != 64 {
            return;
        }
        let said = Lifetimes { preferred: ends(now, preferred), valid: ends(now, valid) };
        let here = self.autonomous.find(|here| here.prefix == prefix).map(|here| here.lifetimes.valid);
        let lifetimes = match here.filter(|valid| now < *valid) {
            Some(here) => Lifetimes { valid: items::renewed(here, said.valid, now), ..said },
            None => said,
        };
        self.autonomous.heard(Autonomous::new(prefix, lifetimes), lifetimes.valid, now);
    }

    /// Another host has an address that [`poll`](Self::poll) gave (RFC 7217 §6): it is to be taken away, and another
    /// one comes, a few times. Says whether it was one of those.
    pub fn conflict(&mut self, address: Ipv6Addr) -> bool {
        let secret = self.secret;
        self.autonomous.change(|here| {
            let ours = here.address(&secret) == Some(address);
            here.conflicts += u8::from(ours); // ours only while there are few
            ours
        })
    }

    /// Whether a default router answers, by what neighbour discovery has found: one that does not is taken only if
    /// there is no other (RFC 4861 §6.3.6). Says whether it is a router.
    pub fn reachable(&mut self, router: Ipv6Addr, reachable: bool) -> bool {
        let known = self.routers.find(|here| here.address == router).map(|here| here.suspect);
        if known == Some(reachable) {
            self.routers.change(|here| {
                let this = here.address == router;
                here.suspect = if this { !reachable } else { here.suspect };
                this
            });
        }
        known.is_some()
    }

    /// It has said that it is no router any more, and leaves the list at the next poll (RFC 4861 §7.2.5).
    pub fn resigned(&mut self, router: Ipv6Addr, now: Time) {
        self.routers.heard(DefaultRouter { address: router, suspect: false }, now, now);
    }

    /// What is known about the link.
    #[must_use]
    pub const fn parameters(&self) -> Parameters {
        self.parameters
    }

    /// The next thing to do; to be called until there is none, at the deadline and after each call that tells
    /// something.
    pub fn poll(&mut self, now: Time) -> Option<Action> {
        if core::mem::take(&mut self.parameters_changed) {
            return Some(Action::Parameters(self.parameters));
        }
        let by = |router: &DefaultRouter| Hop::Gateway(IpAddr::V6(router.address));
        if let Some(router) = self.routers.expired(now) {
            return Some(Action::Unroute(Prefix::DEFAULT_V6, by(&router)));
        }
        if let Some(router) = self.routers.news() {
            let metric = METRIC + if router.suspect { METRIC_SUSPECT } else { 0 };
            return Some(Action::Route(Route { prefix: Prefix::DEFAULT_V6, hop: by(&router), metric }));
        }
        if let Some(prefix) = self.on_link.expired(now) {
            return Some(Action::Unroute(prefix, Hop::OnLink));
        }
        if let Some(prefix) = self.on_link.news() {
            return Some(Action::Route(Route { prefix, hop: Hop::OnLink, metric: METRIC }));
        }
        // The address has the same end, and goes with it.
        while self.autonomous.expired(now).is_some() {}
        while let Some(here) = self.autonomous.news() {
            if let Some(prefix) = here.with_address(&self.secret) {
                return Some(Action::Address(prefix, here.lifetimes));
            }
        }
        self.solicitor.poll(now).then_some(Action::Solicit)
    }

    /// When [`poll`](Self::poll) has something to do, if nothing is heard before.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        let ends = [self.routers.next_end(), self.on_link.next_end(), self.autonomous.next_end()];
        ends.into_iter().chain([self.solicitor.next_deadline()]).flatten().min()
    }
}

/// When a lifetime of so many seconds ends.
fn ends(now: Time, seconds: u32) -> Time {
    if seconds == u32::MAX { Time::MAX } else { now + Duration::from_secs(seconds.into()) }
}

#[cfg(test)]
mod tests;
