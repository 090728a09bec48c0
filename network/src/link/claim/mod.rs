// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether an address of ours is ours alone: duplicate-address detection for IPv6 (RFC 4862 section 5.4) and for IPv4
//! (RFC 5227), which also announces and defends it.
//!
//! A [`Claim`] is made for one address and lives as long as the address. It knows no packets: whoever has it sends what
//! [`Claim::poll`] says, and tells it by [`Claim::heard`] of packets of others about the address (those that came back with
//! our own MAC address are none).
//!
//! What must always hold: nothing but `Probe` is given out before `Claimed`, and nothing at all after `Conflict`.

#[cfg(test)]
mod tests;

use core::net::IpAddr;
use core::time::Duration;

use runtime::time::Time;

use crate::keyed::Random;

/// The first probe is sent at a random moment within this time: PROBE_WAIT (RFC 5227 section 1.1), and
/// MAX_RTR_SOLICITATION_DELAY (RFC 4862 section 5.4.2).
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// PROBE_NUM, and DupAddrDetectTransmits.
const PROBES: [u8; 2] = [3, 1];
/// PROBE_MIN and PROBE_MAX: between two IPv4 probes.
const BETWEEN_PROBES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(2)];
/// After the last probe: ANNOUNCE_WAIT, and RetransTimer.
const LAST_WAIT: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(1)];
/// ANNOUNCE_NUM and ANNOUNCE_INTERVAL.
const ANNOUNCEMENTS: u8 = 2;
const BETWEEN_ANNOUNCEMENTS: Duration = Duration::from_secs(2);
/// DEFEND_INTERVAL.
const DEFEND_INTERVAL: Duration = Duration::from_secs(10);

/// What a packet of another host says about the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// It uses the address: an ARP packet with it as its sender, a neighbour advertisement with it as its target.
    Use,
    /// It wants to use it: an ARP probe, a neighbour solicitation from the unspecified address.
    Probe,
}

/// What there is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send an ARP probe, or a neighbour solicitation from the unspecified address, for the address.
    Probe,
    /// The address may be used from now on.
    Claimed,
    /// Send an ARP announcement.
    Announce,
    /// The address is another host's: it must not be used any more.
    Conflict,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Used, and not yet said so.
    Trusted,
    Probing {
        sent: u8,
    },
    Announcing {
        sent: u8,
    },
    Claimed,
    /// Lost, and not yet said.
    Losing,
    Lost,
}

/// An address that is to be ours. See the module's first lines.
#[derive(Clone, Debug)]
pub struct Claim {
    address: IpAddr,
    state: State,
    deadline: Option<Time>,
    /// When the address was last defended against another host.
    defended: Option<Time>,
    /// Whether it is defended for ever.
    keep: bool,
}

impl Claim {
    /// An address that is probed before it may be used.
    #[must_use]
    pub fn new(address: IpAddr, random: &mut Random, now: Time) -> Self {
        let deadline = Some(now + random.between(Duration::ZERO, FIRST_WAIT));
        Self { address, state: State::Probing { sent: 0 }, deadline, defended: None, keep: false }
    }

    /// An address that may be used at once, since somebody has seen to it that it is ours: it is announced only, and never
    /// given up.
    #[must_use]
    pub fn announced(address: IpAddr, now: Time) -> Self {
        Self { address, state: State::Trusted, deadline: Some(now), defended: None, keep: true }
    }

    /// From now on it is defended for ever, once it is ours: of an address that was configured, which nobody would give another
    /// (RFC 5227 section 2.4 c). Two packets of anybody on the link would end it otherwise.
    pub const fn keep(&mut self) {
        self.keep = true;
    }

    /// Whose claim this is.
    #[must_use]
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// Whether the address may be used.
    #[must_use]
    pub const fn is_claimed(&self) -> bool {
        matches!(self.state, State::Trusted | State::Announcing { .. } | State::Claimed)
    }

    /// When to poll next.
    #[must_use]
    pub const fn next_deadline(&self) -> Option<Time> {
        self.deadline
    }

    /// What is to be done now; called until it gives nothing.
    pub fn poll(&mut self, random: &mut Random, now: Time) -> Option<Action> {
        if self.deadline? > now {
            return None;
        }
        let family = usize::from(self.address.is_ipv6());
        match self.state {
            State::Probing { sent } if sent < PROBES[family] => {
                let sent = sent + 1;
                self.state = State::Probing { sent };
                self.deadline = Some(if sent < PROBES[family] {
                    now + random.between(BETWEEN_PROBES[0], BETWEEN_PROBES[1])
                } else {
                    now + LAST_WAIT[family]
                });
                Some(Action::Probe)
            }
            State::Trusted | State::Probing { .. } => {
                if self.address.is_ipv4() {
                    self.state = State::Announcing { sent: 0 };
                    self.deadline = Some(now);
                } else {
                    self.rest();
                }
                Some(Action::Claimed)
            }
            State::Announcing { sent } => {
                // RFC 5227 section 2.3.
                if sent + 1 < ANNOUNCEMENTS {
                    self.state = State::Announcing { sent: sent + 1 };
                    self.deadline = Some(now + BETWEEN_ANNOUNCEMENTS);
                } else {
                    self.rest();
                }
                Some(Action::Announce)
            }
            State::Losing => {
                self.state = State::Lost;
                self.deadline = None;
                Some(Action::Conflict)
            }
            State::Claimed | State::Lost => {
                self.deadline = None;
                None
            }
        }
    }

    /// Takes what a packet of another host says about the address.
    pub fn heard(&mut self, evidence: Evidence, now: Time) {
        match self.state {
            // RFC 5227 section 2.1.1; RFC 4862 sections 5.4.3 and 5.4.4: who probes at the same time loses as well.
            State::Probing { .. } => self.lose(now),
            // The announcement that is due defends it.
            State::Trusted if self.address.is_ipv4() && evidence == Evidence::Use => self.defended = Some(now),
            State::Announcing { .. } | State::Claimed if self.address.is_ipv4() && evidence == Evidence::Use => {
                // RFC 5227 section 2.4: defended at most once in the interval. Who does it again meanwhile gets the address (b),
                // unless it is configured (c).
                if self.defended.is_none_or(|before| now >= before + DEFEND_INTERVAL) {
                    self.defended = Some(now);
                    self.state = State::Announcing { sent: ANNOUNCEMENTS - 1 };
                    self.deadline = Some(now);
                } else if !self.keep {
                    self.lose(now);
                }
            }
            // A probe for what we use is answered as any question for it; IPv6 has no defence after the detection.
            State::Trusted | State::Announcing { .. } | State::Claimed | State::Losing | State::Lost => {}
        }
    }

    fn rest(&mut self) {
        self.state = State::Claimed;
        self.deadline = None;
    }

    fn lose(&mut self, now: Time) {
        self.state = State::Losing;
        self.deadline = Some(now);
    }
}
