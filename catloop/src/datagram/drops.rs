// SPDX-License-Identifier: MIT OR Apache-2.0
//! Datagrams that were lost, by reason. Each is counted once, by the LibOs that dropped it.

/// Why a datagram did not get through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// No room: in the ring, or at the name of a receiver that has not looked for a while.
    Full,
    /// Nobody is there.
    Nobody,
    /// The pipe to its receiver could not be made.
    Unmade,
    /// Its sender's pipe had to go for another one's before it was popped.
    Evicted,
    /// It came to a connected socket, from somebody else than its peer.
    Filtered,
    /// It came, and no buffer can be long enough for it.
    TooLong,
}

/// How many there were of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drops([u64; 6]);

impl Drops {
    /// One more.
    #[inline]
    pub fn count(&mut self, reason: Reason) {
        self.0[reason as usize] += 1;
    }

    /// How many for this reason.
    #[cfg(test)]
    pub fn of(&self, reason: Reason) -> u64 {
        self.0[reason as usize]
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}
