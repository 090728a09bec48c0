// SPDX-License-Identifier: MIT OR Apache-2.0
//! HyStart++ (RFC 9406): the first slow start ends when round trips become longer, before the queue overflows.
//!
//! It looks at the shortest round trip of each round. If that has risen by an eighth, conservative slow start begins, which
//! grows by a quarter; if it falls again, the rise was chance; else congestion avoidance begins after five rounds.

use super::Ack;

/// Section 4.3, in nanoseconds and counts.
const MIN_RTT_THRESH: u32 = 4_000_000;
const MAX_RTT_THRESH: u32 = 16_000_000;
const MIN_RTT_DIVISOR: u32 = 8;
const N_RTT_SAMPLE: u8 = 8;
const CSS_GROWTH_SHIFT: u32 = 2;
const CSS_ROUNDS: u8 = 5;

/// No round trip was measured.
const NONE: u32 = u32::MAX;

/// What slow start is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Growth {
    /// Grow by what is acknowledged, shifted by this.
    By(u32),
    /// End.
    Ends,
}

/// The state of HyStart++.
#[derive(Clone, Debug)]
pub struct HyStart {
    /// The shortest round trip of the last round and of this, in nanoseconds; more than four seconds count as none.
    last: u32,
    current: u32,
    /// With what conservative slow start began.
    baseline: u32,
    /// Measured in this round.
    samples: u8,
    /// Rounds of conservative slow start, that in which it began included; 0: it is slow start.
    rounds: u8,
}

impl HyStart {
    pub fn new() -> Self {
        Self { last: NONE, current: NONE, baseline: NONE, samples: 0, rounds: 0 }
    }

    /// An ACK in slow start; `ends`: a round ends with it (section 4.2).
    #[inline]
    pub fn on_ack(&mut self, ack: &Ack, ends: bool) -> Growth {
        if ends {
            self.last = self.current;
            self.current = NONE;
            self.samples = 0;
            if self.rounds > 0 {
                self.rounds += 1;
                if self.rounds > CSS_ROUNDS {
                    return Growth::Ends;
                }
            }
        }
        if let Some(rtt) = ack.rtt {
            let nanos =
                if rtt.as_secs() > 3 { NONE } else { rtt.as_secs() as u32 * 1_000_000_000 + rtt.subsec_nanos() };
            self.current = self.current.min(nanos);
            self.samples = self.samples.saturating_add(1);
        }
        if self.samples >= N_RTT_SAMPLE && self.current != NONE {
            if self.rounds > 0 {
                if self.current < self.baseline {
                    self.baseline = NONE;
                    self.rounds = 0;
                }
            } else if self.last != NONE {
                let thresh = (self.last / MIN_RTT_DIVISOR).clamp(MIN_RTT_THRESH, MAX_RTT_THRESH);
                if self.current >= self.last.saturating_add(thresh) {
                    self.baseline = self.current;
                    self.rounds = 1;
                }
            }
        }
        Growth::By(if self.rounds > 0 { CSS_GROWTH_SHIFT } else { 0 })
    }
}
