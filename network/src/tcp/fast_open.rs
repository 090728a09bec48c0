// SPDX-License-Identifier: MIT OR Apache-2.0
//! TCP Fast Open (RFC 7413): data go with a SYN to a host that has given us a cookie before, and are taken from a SYN whose sender
//! shows one of ours.
//!
//! - [`Mint`]: the cookies that this host gives. One says that its bearer has heard an answer at the address that it calls from.
//! - [`Known`]: the cookies that others have given, and with whom it is not tried, because such SYNs were lost on the way.
//!
//! What must always hold: nobody is asked to remember a cookie for ever (section 4.1.2): one of ours is good for 10 to 20 hours; and
//! what is remembered of others is bounded.

use alloc::vec::Vec;
use core::net::IpAddr;

use runtime::time::Time;

use crate::keyed::Secret;
use crate::limits::{FAST_OPEN_AGAIN, FAST_OPEN_PEERS_MAX, TCP_MSS_MIN};
use crate::wire::tcp::Cookie;

/// Cookies change in turns of so many nanoseconds, as a power of two: 9.8 hours.
const TURN_SHIFT: u32 = 45;

/// What a cookie is that a SYN shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// It is one of this turn.
    Good,
    /// It is one of the turn before: believed, and its bearer is given another.
    Old,
    /// It is none of ours, or too old, or none at all: its bearer is given one.
    None,
}

/// Makes cookies and knows them again.
#[derive(Debug)]
pub struct Mint {
    secret: Secret,
}

impl Mint {
    /// That of this secret.
    #[must_use]
    pub fn new(secret: &Secret) -> Self {
        Self { secret: secret.derive("fast open") }
    }

    fn of_turn(&self, ours: IpAddr, theirs: IpAddr, turn: u64) -> Cookie {
        Cookie::from(self.secret.hash(&(ours, theirs, turn)).to_be_bytes())
    }

    /// What a peer is given that calls one of our addresses from one of its own.
    #[must_use]
    pub fn cookie(&self, ours: IpAddr, theirs: IpAddr, now: Time) -> Cookie {
        self.of_turn(ours, theirs, now.as_nanos() >> TURN_SHIFT)
    }

    /// What the cookie is that a peer shows.
    #[must_use]
    pub fn judge(&self, ours: IpAddr, theirs: IpAddr, cookie: &Cookie, now: Time) -> Shown {
        let turn = now.as_nanos() >> TURN_SHIFT;
        if *cookie == self.of_turn(ours, theirs, turn) {
            Shown::Good
        } else if turn > 0 && *cookie == self.of_turn(ours, theirs, turn - 1) {
            Shown::Old
        } else {
            Shown::None
        }
    }
}

/// How to call a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// With data, by the cookie that it has given, and no more than it takes in one segment.
    Early {
        /// What it has given.
        cookie: Cookie,
        /// The MSS that it has named; 0: none.
        mss: u16,
    },
    /// The SYN asks for a cookie.
    Ask,
    /// As if there were no such thing.
    Plainly,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    ends: (IpAddr, IpAddr),
    call: Call,
    /// When it was put there.
    since: Time,
}

/// What is known of the hosts that were called, by our address and theirs.
#[derive(Debug, Default)]
pub struct Known {
    entries: Vec<Entry>,
}

impl Known {
    /// Nobody is known.
    #[must_use]
    pub const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    fn find(&self, ends: (IpAddr, IpAddr)) -> Result<usize, usize> {
        self.entries.binary_search_by(|entry| entry.ends.cmp(&ends))
    }

    /// How to call a host.
    #[must_use]
    pub fn call(&self, ours: IpAddr, theirs: IpAddr, now: Time) -> Call {
        match self.find((ours, theirs)).ok().and_then(|at| self.entries.get(at)) {
            Some(Entry { call: Call::Plainly, since, .. }) if now >= *since + FAST_OPEN_AGAIN => Call::Ask,
            Some(entry) => entry.call,
            None => Call::Ask,
        }
    }

    /// A host has given a cookie with its SYN, and named the longest segment that it takes.
    pub fn give(&mut self, ours: IpAddr, theirs: IpAddr, cookie: Cookie, mss: Option<u16>, now: Time) {
        let mss = mss.map_or(0, |mss| mss.max(TCP_MSS_MIN));
        self.put(Entry { ends: (ours, theirs), call: Call::Early { cookie, mss }, since: now });
    }

    /// A SYN that was more than a SYN was not answered, or by an error: the next ones are plain, for some time (section 4.1.3.1).
    pub fn avoid(&mut self, ours: IpAddr, theirs: IpAddr, now: Time) {
        self.put(Entry { ends: (ours, theirs), call: Call::Plainly, since: now });
    }

    /// A host has not taken the data that came with its cookie, and has not given another: the next SYN asks for one.
    pub fn forget(&mut self, ours: IpAddr, theirs: IpAddr) {
        if let Ok(at) = self.find((ours, theirs))
            && self.entries.get(at).is_some_and(|entry| entry.call != Call::Plainly)
        {
            self.entries.remove(at);
        }
    }

    fn put(&mut self, entry: Entry) {
        if let Ok(at) = self.find(entry.ends) {
            if let Some(here) = self.entries.get_mut(at) {
                *here = entry;
            }
            return;
        }
        if self.entries.len() >= FAST_OPEN_PEERS_MAX
            && let Some(oldest) =
                (0..self.entries.len()).min_by_key(|&at| self.entries.get(at).map(|entry| entry.since))
        {
            self.entries.remove(oldest);
        }
        if let Err(at) = self.find(entry.ends) {
            self.entries.insert(at, entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    const OURS: IpAddr = IpAddr::V4(core::net::Ipv4Addr::new(10, 0, 0, 1));

    fn peer(number: u32) -> IpAddr {
        IpAddr::from((0x0a01_0000 + number).to_be_bytes())
    }

    /// RFC 7413 section 4.1.2: bound to an address, and not good for ever.
    #[test]
    fn a_cookie_is_for_one_address_and_for_hours() {
        let mint = Mint::new(&Secret([3; 16]));
        let turn = Duration::from_nanos(1 << TURN_SHIFT);
        let now = Time::from_nanos(5 << TURN_SHIFT);
        let cookie = mint.cookie(OURS, peer(1), now);
        assert_eq!(cookie.bytes().len(), 8);
        assert_eq!(mint.judge(OURS, peer(1), &cookie, now), Shown::Good);
        assert_eq!(mint.judge(OURS, peer(1), &cookie, now + turn), Shown::Old);
        assert_eq!(mint.judge(OURS, peer(1), &cookie, now + turn * 2), Shown::None);
        assert_eq!(mint.judge(OURS, peer(2), &cookie, now), Shown::None);
        assert_eq!(mint.judge(peer(3), peer(1), &cookie, now), Shown::None);
        assert_eq!(mint.judge(OURS, peer(1), &Cookie::default(), now), Shown::None);
        assert_eq!(Mint::new(&Secret([4; 16])).judge(OURS, peer(1), &cookie, now), Shown::None);
    }

    #[test]
    fn what_is_known_of_others_is_bounded() {
        let mut known = Known::new();
        let now = Time::from_nanos(1);
        let cookie = Cookie::from([7; 8]);
        for number in 0..=FAST_OPEN_PEERS_MAX as u32 {
            assert_eq!(known.call(OURS, peer(number), now), Call::Ask);
            known.give(OURS, peer(number), cookie, Some(1400), now + Duration::from_nanos(number.into()));
        }
        assert_eq!(known.entries.len(), FAST_OPEN_PEERS_MAX);
        assert_eq!(known.call(OURS, peer(0), now), Call::Ask, "the oldest is gone");
        assert_eq!(known.call(OURS, peer(1), now), Call::Early { cookie, mss: 1400 });
        known.forget(OURS, peer(1));
        assert_eq!(known.call(OURS, peer(1), now), Call::Ask);
    }

    /// RFC 7413 section 4.1.3.1: no answer is remembered, and not for ever.
    #[test]
    fn whose_way_swallows_such_syns_is_called_plainly_for_an_hour() {
        let mut known = Known::new();
        let now = Time::from_nanos(1);
        known.give(OURS, peer(1), Cookie::from([7; 8]), None, now);
        known.avoid(OURS, peer(1), now);
        assert_eq!(known.call(OURS, peer(1), now), Call::Plainly);
        assert_eq!(known.call(OURS, peer(1), now + FAST_OPEN_AGAIN), Call::Ask);
        assert_eq!(known.call(OURS, peer(2), now), Call::Ask);
    }
}
