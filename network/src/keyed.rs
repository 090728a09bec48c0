// SPDX-License-Identifier: MIT OR Apache-2.0
//! Hashes and random numbers from a secret key.
//!
//! A stack is given one [`Secret`] when it is made, and everything that a peer must not foresee comes from it: where an
//! address lies in a table, which port is free next, how long a timer jitters. The same secret gives the same run. No part
//! of the stack has another source of randomness.
//!
//! What must always hold: each use takes a secret of its own by [`Secret::derive`], so that what one use shows to a peer
//! says nothing of another.
//!
//! SipHash is that of J.-P. Aumasson and D. J. Bernstein, "SipHash: a fast short-input PRF" (2012): the variant 1-3 for
//! tables, whose hashes no peer sees, and 2-4 for everything that leaves the host.

use core::fmt;
use core::hash::{BuildHasher, Hash, Hasher};
use core::time::Duration;

use siphasher::sip::{SipHasher13, SipHasher24};

/// A key of 128 bits. It is not shown by `Debug`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Secret(pub [u8; 16]);

impl Secret {
    /// Another secret, for one use: `label` names it. Who knows the derived one learns nothing of this.
    #[must_use]
    pub fn derive(&self, label: &str) -> Secret {
        let mut key = [0; 16];
        for (half, out) in key.chunks_exact_mut(8).enumerate() {
            out.copy_from_slice(&self.hash(&(label, half as u64)).to_le_bytes());
        }
        Secret(key)
    }

    /// The keyed hash of a value, by SipHash-2-4: for numbers that peers see.
    #[must_use]
    pub fn hash(&self, value: &impl Hash) -> u64 {
        let mut hasher = SipHasher24::new_with_key(&self.0);
        value.hash(&mut hasher);
        hasher.finish()
    }

    /// What a table hashes its keys with, by SipHash-1-3: no peer can choose addresses that collide.
    #[must_use]
    pub fn hasher(&self) -> Keyed {
        Keyed(SipHasher13::new_with_key(&self.0))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Makes the hashers of a table; see [`Secret::hasher`].
#[derive(Clone, Copy)]
pub struct Keyed(SipHasher13);

impl BuildHasher for Keyed {
    type Hasher = SipHasher13;

    #[inline]
    fn build_hasher(&self) -> SipHasher13 {
        self.0
    }
}

impl fmt::Debug for Keyed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyed(..)")
    }
}

/// Random numbers: SipHash-2-4 of a counter. Who sees some of them can neither tell the next nor one before.
#[derive(Clone, Debug)]
pub struct Random {
    secret: Secret,
    counter: u64,
}

impl Random {
    /// The numbers that belong to this secret, from the first one on.
    #[must_use]
    pub const fn new(secret: Secret) -> Self {
        Self { secret, counter: 0 }
    }

    /// Any number of 64 bits.
    pub fn u64(&mut self) -> u64 {
        self.counter = self.counter.wrapping_add(1);
        self.secret.hash(&self.counter)
    }

    /// Any number of 32 bits.
    pub fn u32(&mut self) -> u32 {
        (self.u64() >> 32) as u32
    }

    /// Any number below `n`, each as likely; 0 if `n` is 0.
    ///
    /// By multiplication instead of division: D. Lemire, "Fast Random Integer Generation in an Interval" (2019).
    pub fn below(&mut self, n: u32) -> u32 {
        loop {
            let product = u64::from(self.u32()) * u64::from(n);
            // Of the 2^32 numbers, 2^32 mod n are too many for all results to be as likely.
            if (product as u32) >= n || (product as u32) >= n.wrapping_neg().checked_rem(n).unwrap_or(0) {
                return (product >> 32) as u32;
            }
        }
    }

    /// Any time from `least` to `most`, to the nanosecond; `least` if `most` is not longer.
    pub fn between(&mut self, least: Duration, most: Duration) -> Duration {
        let span = u64::try_from(most.saturating_sub(least).as_nanos()).unwrap_or(u64::MAX);
        // The bias of 2^-64 per nanosecond is of no matter for a timer.
        let share = (u128::from(self.u64()) * (u128::from(span) + 1)) >> 64;
        least + Duration::from_nanos(share as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::{IpAddr, Ipv4Addr};

    const SECRET: Secret = Secret([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);

    /// The vectors of the paper's appendix A and of the reference implementation.
    #[test]
    fn hash_is_siphash_2_4() {
        struct Raw(&'static [u8]);
        impl Hash for Raw {
            fn hash<H: Hasher>(&self, state: &mut H) {
                state.write(self.0);
            }
        }
        assert_eq!(SECRET.hash(&Raw(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14])), 0xa129_ca61_49be_45e5);
        assert_eq!(SECRET.hash(&Raw(&[])), 0x726f_db47_dd0e_0e31);
    }

    #[test]
    fn derived_secrets_differ_by_label_and_by_origin() {
        let (ports, table) = (SECRET.derive("ports"), SECRET.derive("table"));
        assert_eq!(ports, SECRET.derive("ports"));
        assert_ne!(ports, table);
        assert_ne!(ports, Secret([7; 16]).derive("ports"));
        assert_ne!(ports.0[..8], ports.0[8..]);
        assert_eq!(format!("{ports:?} {:?}", ports.hasher()), "Secret(..) Keyed(..)");
    }

    #[test]
    fn tables_of_two_secrets_hash_otherwise() {
        let address = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
        let one = SECRET.hasher().hash_one(address);
        assert_eq!(one, SECRET.hasher().hash_one(address));
        assert_ne!(one, SECRET.derive("other").hasher().hash_one(address));
    }

    #[test]
    fn numbers_repeat_by_secret_and_spread_evenly() {
        let mut random = Random::new(SECRET);
        let first: Vec<u64> = (0..4).map(|_| random.u64()).collect();
        let mut again = Random::new(SECRET);
        assert_eq!(first, (0..4).map(|_| again.u64()).collect::<Vec<_>>());
        let mut counts = [0_u32; 7];
        for _ in 0..70_000 {
            counts[random.below(7) as usize] += 1;
        }
        // Six standard deviations of 10,000 on each side.
        assert!(counts.iter().all(|count| count.abs_diff(10_000) < 560), "{counts:?}");
        assert_eq!((random.below(0), random.below(1)), (0, 0));
        assert!((0..1000).all(|_| random.below(u32::MAX) < u32::MAX));
    }

    #[test]
    fn times_stay_between_their_ends() {
        let mut random = Random::new(SECRET);
        let (least, most) = (Duration::from_millis(500), Duration::from_millis(1500));
        let times: Vec<_> = (0..1000).map(|_| random.between(least, most)).collect();
        assert!(times.iter().all(|time| (least..=most).contains(time)));
        assert!(times.iter().any(|time| *time < least + Duration::from_millis(100)));
        assert!(times.iter().any(|time| *time + Duration::from_millis(100) > most));
        assert_eq!(random.between(most, least), most);
        assert!(random.between(Duration::ZERO, Duration::MAX) <= Duration::from_nanos(u64::MAX));
    }
}
