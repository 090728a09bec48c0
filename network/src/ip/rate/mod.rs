// SPDX-License-Identifier: MIT OR Apache-2.0
//! How often ICMP errors are sent: a token bucket (RFC 4443 §2.4 f, RFC 1812 §4.3.2.8).
//!
//! What must always hold: in any span of time there are no more than the burst and what the rate gives in that span. An
//! error costs one token and now and then more, by chance: a bound that is the same each time would tell an attacker,
//! by what is left of it, which ports answered packets with a forged source (CVE-2020-25705).

use runtime::time::Time;

use crate::keyed::Random;

/// A bucket of tokens, full at first.
#[derive(Debug)]
pub struct Bucket {
    /// What is in it, in nanoseconds of refilling.
    level: u64,
    /// What fits.
    full: u64,
    /// What one token takes.
    token: u64,
    filled: Time,
    random: Random,
}

impl Bucket {
    /// A bucket of `burst` tokens that gets `per_second` new ones each second, at most 10^9. Either being zero, nothing
    /// is given.
    #[must_use]
    pub fn new(burst: u32, per_second: u32, random: Random) -> Self {
        let token = 1_000_000_000_u64.checked_div(u64::from(per_second)).unwrap_or(u64::MAX).max(1);
        let full = if per_second == 0 { 0 } else { token.saturating_mul(u64::from(burst)) };
        Self { level: full, full, token, filled: Time::ZERO, random }
    }

    /// Takes a token; false if there is none, and then nothing is to be sent.
    #[must_use]
    pub fn take(&mut self, now: Time) -> bool {
        let gained = now.as_nanos().saturating_sub(self.filled.as_nanos());
        self.level = self.level.saturating_add(gained).min(self.full);
        self.filled = self.filled.max(now);
        let Some(left) = self.level.checked_sub(self.token) else {
            return false;
        };
        self.level = left.saturating_sub(self.token.saturating_mul(u64::from(self.random.below(3))));
        true
    }
}

#[cfg(test)]
mod tests;
