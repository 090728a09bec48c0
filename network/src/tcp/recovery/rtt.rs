// SPDX-License-Identifier: MIT OR Apache-2.0
//! The round-trip time and the retransmission timeout (RFC 6298), with samples from every ACK (RFC 7323 section 4.2 and
//! appendix G would weigh them less; Linux does not either).
//!
//! What must always hold: the timeout lies within its bounds, whatever is measured and however often it was doubled.

use core::time::Duration;

use runtime::time::Time;

use crate::limits::{MIN_RTT_AGE, RTT_GRANULARITY};
use crate::tcp::settings::Settings;

/// The longest time that is counted with, in ns: some days, so that doubling it 13 times does not overflow.
const NANOS_MAX: u64 = 1 << 50;

/// How long to wait for an acknowledgment before it is sent again. Of use before a connection is established, too.
#[derive(Clone, Copy, Debug)]
pub struct Rto {
    /// SRTT in ns, times 8; 0: nothing was measured.
    srtt8: u64,
    /// RTTVAR in ns, times 4.
    rttvar4: u64,
    /// The timeout in ns, before it is doubled.
    base: u64,
    /// The shortest round trip in ns; `u64::MAX`: none.
    shortest: u64,
    /// When it was measured, in [`moment`]s.
    shortest_at: u32,
    /// Its bounds, in µs.
    min: u32,
    max: u32,
    /// How often it was doubled.
    doubled: u8,
}

/// Parts of 67 ms, which go round in nine years: for what is minutes old.
const fn moment(time: Time) -> u32 {
    (time.as_nanos() >> 26) as u32
}

/// The age from which on a round trip counts no longer.
const OLD: u32 = moment(Time::from_nanos(MIN_RTT_AGE.as_nanos() as u64));

/// Nanoseconds of a duration that settings or a clock gave.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX).min(NANOS_MAX)
}

impl Rto {
    /// Before a round trip was measured (RFC 6298 section 2.1).
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        let micros = |duration: Duration| u32::try_from(duration.as_micros()).unwrap_or(u32::MAX);
        let min = micros(settings.rto_min).max(1);
        let max = micros(settings.rto_max).max(min);
        let mut rto = Self { srtt8: 0, rttvar4: 0, base: 0, shortest: u64::MAX, shortest_at: 0, min, max, doubled: 0 };
        rto.base = nanos(settings.rto_initial).clamp(rto.min(), rto.max());
        rto
    }

    /// Its lower bound in ns.
    #[inline]
    fn min(&self) -> u64 {
        u64::from(self.min) * 1000
    }

    /// Its upper bound in ns: at most 71 minutes.
    #[inline]
    fn max(&self) -> u64 {
        u64::from(self.max) * 1000
    }

    /// A round trip was measured, not of something that was sent twice unless a timestamp says of which (section 3, Karn).
    /// `shortest` is that of what left last: no delayed acknowledgment is in it. The timeout is no longer doubled.
    #[inline]
    pub fn measured(&mut self, rtt: Duration, shortest: Duration, now: Time) {
        self.measured_nanos(nanos(rtt), nanos(shortest), now);
    }

    /// The same in ns.
    #[inline]
    pub(super) fn measured_nanos(&mut self, rtt: u64, shortest: u64, now: Time) {
        // A sample of zero is one of less than the clock can tell: time stands still between two rounds.
        let rtt = rtt.clamp(RTT_GRANULARITY.as_nanos() as u64, NANOS_MAX);
        if self.srtt8 == 0 {
            // Section 2.2.
            self.srtt8 = rtt << 3;
            self.rttvar4 = rtt << 1;
        } else {
            // Section 2.3: RTTVAR = 3/4 RTTVAR + 1/4 |SRTT - R'|, then SRTT = 7/8 SRTT + 1/8 R'.
            let error = (self.srtt8 >> 3).abs_diff(rtt);
            self.rttvar4 = self.rttvar4 - (self.rttvar4 >> 2) + error;
            self.srtt8 = self.srtt8 - (self.srtt8 >> 3) + rtt;
        }
        // Section 2.3, K = 4. The floor stands in the place of 4 RTTVAR, as on Linux: a path without any variation must
        // outlast the delayed acknowledgment of its peer.
        self.base = ((self.srtt8 >> 3) + self.rttvar4.max(self.min())).min(self.max());
        self.doubled = 0;
        let moment = moment(now);
        if shortest <= self.shortest || moment.wrapping_sub(self.shortest_at) > OLD {
            self.shortest = shortest;
            self.shortest_at = moment;
        }
    }

    /// The timeout as it is now.
    #[inline]
    #[must_use]
    pub fn get(&self) -> Duration {
        Duration::from_nanos(self.nanos())
    }

    /// The same in ns.
    #[inline]
    pub(super) fn nanos(&self) -> u64 {
        // The base is at most 2^50, and doubled 13 times at most.
        (self.base << self.doubled).min(self.max())
    }

    /// How long to wait until a probe is sent, in ns (RFC 8985 section 7.2): if one segment is under way, the peer may delay its
    /// acknowledgment.
    #[inline]
    pub(super) fn probe_nanos(&self, is_one: bool) -> u64 {
        if self.srtt8 == 0 {
            return 1_000_000_000;
        }
        (self.srtt8 >> 2) + if is_one { self.min() } else { 0 }
    }

    /// Our SYN was lost, and nothing was measured: 3 s for the data (section 5.7), if the setting is not longer.
    pub(super) fn start_over(&mut self) {
        self.base = self.base.max(3_000_000_000.min(self.max()));
    }

    /// It has run out: it is doubled (section 5.5).
    pub fn double(&mut self) {
        if self.doubled < 13 && self.nanos() < self.max() {
            self.doubled += 1;
        }
    }

    /// What was sent once is acknowledged after so long, together with what was sent again. That is no sample, since it may have
    /// waited for the latter; but the timeout need not be doubled beyond it. Else a path without timestamps that loses some of
    /// each flight would never get rid of that (section 5.5 expects a sample in time).
    pub(super) fn answered(&mut self, longest: Duration) {
        let longest = nanos(longest);
        while self.doubled > 0 && self.base << (self.doubled - 1) >= longest {
            self.doubled -= 1;
        }
    }

    /// It ran out for nothing, or an acknowledgment shows that the path works.
    #[inline]
    pub fn undouble(&mut self) {
        self.doubled = 0;
    }

    /// The smoothed round trip; zero before the first was measured.
    #[inline]
    #[must_use]
    pub fn srtt(&self) -> Duration {
        Duration::from_nanos(self.srtt8 >> 3)
    }

    /// How much it varies.
    #[inline]
    #[must_use]
    pub fn rttvar(&self) -> Duration {
        Duration::from_nanos(self.rttvar4 >> 2)
    }

    /// The shortest of the last minutes; zero before the first was measured.
    #[inline]
    #[must_use]
    pub fn min_rtt(&self) -> Duration {
        if self.shortest == u64::MAX { Duration::ZERO } else { Duration::from_nanos(self.shortest) }
    }
}
