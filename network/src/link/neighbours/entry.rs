// SPDX-License-Identifier: MIT OR Apache-2.0
//! One neighbour.

use core::net::IpAddr;

use runtime::time::Time;
use runtime::timer::TimerId;

use super::types::State;
use super::waiting::Queue;
use crate::wire::MacAddress;

/// One neighbour. What a packet on its way out reads comes first.
pub(super) struct Entry {
    pub(super) address: IpAddr,
    /// Means nothing while `state` is incomplete or failed.
    pub(super) mac: MacAddress,
    pub(super) state: State,
    /// Until when packets may be sent without a look at the state: set in `Reachable` and `Static` only.
    pub(super) fresh_until: Time,
    /// When a packet was last sent to it; the origin of the clock if none was.
    pub(super) used: Time,
    pub(super) queue: Queue,
    /// When `mac` was last set, or confirmed by an answer.
    pub(super) learned: Time,
    pub(super) timer: Option<TimerId>,
    /// Where it stands in the list of those without an answer, if it is one.
    pub(super) place: u32,
    /// Solicitations sent in this state.
    pub(super) solicits: u8,
    pub(super) router: bool,
    /// A solicitation is due: the next poll gives it out.
    pub(super) ask: bool,
    /// It has stopped being a router: the next poll says so.
    pub(super) resigned: bool,
}

impl Entry {
    pub(super) const fn new(address: IpAddr, state: State) -> Self {
        Self {
            address,
            mac: MacAddress::UNSPECIFIED,
            state,
            fresh_until: Time::ZERO,
            used: Time::ZERO,
            queue: Queue::EMPTY,
            learned: Time::ZERO,
            timer: None,
            place: 0,
            solicits: 0,
            router: false,
            ask: false,
            resigned: false,
        }
    }

    /// Whether its MAC address is not known.
    pub(super) const fn is_unresolved(&self) -> bool {
        matches!(self.state, State::Incomplete | State::Failed)
    }

    /// Whether it may make place for another one: not what is configured, in use, or heard from a moment ago.
    pub(super) fn is_evictable(&self, now: Time) -> bool {
        match self.state {
            State::Stale => true,
            State::Reachable => self.fresh_until <= now,
            State::Static | State::Delay | State::Probe | State::Incomplete | State::Failed => false,
        }
    }

    /// Where it stands among those that make place only if there are no others: what is in use, but neither configured, nor
    /// without an answer, which have a share of their own.
    pub(super) fn last_resort(&self) -> Option<(bool, Time)> {
        let stays = self.state == State::Static || self.is_unresolved() || !self.queue.is_empty();
        (!stays).then_some((self.router, self.used))
    }

    /// The state as it is at `now`: that reachability ran out changes no field until somebody sends.
    pub(super) fn state(&self, now: Time) -> State {
        if self.state == State::Reachable && self.fresh_until <= now { State::Stale } else { self.state }
    }
}
