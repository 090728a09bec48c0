// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ports that the system chooses: from a random start upward, so that LibOses do not meet, and so that neighbouring locks
//! become one range in the kernel.
//!
//! A port that was given back comes last, as far as the range goes. Ranges that other LibOses hold are stepped over
//! whole, and their number is bounded, so that nobody can make a claim last.

use super::locks::LockFile;
use super::table::{Plan, Table, Taken};
use core::ops::RangeInclusive;
use runtime::limits::PORT_RUNS_MAX;
use runtime::{Error, Result};
use rustix::rand::{GetRandomFlags, getrandom};

/// The range that Linux uses unless told otherwise.
pub const RANGE: RangeInclusive<u16> = 32_768..=60_999;
const COUNT: i64 = (*RANGE.end() - *RANGE.start()) as i64 + 1;

/// Where to look next.
#[derive(Debug)]
pub struct Ephemeral {
    /// Counted from the range's start.
    next: i64,
}

impl Ephemeral {
    /// Begins somewhere.
    ///
    /// # Errors
    /// What `getrandom` says.
    pub fn new() -> Result<Self> {
        let mut random = [0; 4];
        // Before the system has collected entropy, at boot, any start will do.
        getrandom(&mut random, GetRandomFlags::INSECURE).map_err(|errno| Error::os(errno, "getrandom"))?;
        Ok(Self { next: i64::from(u32::from_ne_bytes(random)) % COUNT })
    }

    /// Takes a free port; `None` if there is none.
    ///
    /// # Errors
    /// What the system says.
    pub fn take(&mut self, table: &mut Table, file: &LockFile, plan: Plan) -> Result<Option<u16>> {
        let (mut looked, mut runs) = (0, 0);
        while looked < COUNT && runs < PORT_RUNS_MAX {
            let at = (self.next + looked) % COUNT;
            let Some(port) = u16::try_from(at).ok().and_then(|at| RANGE.start().checked_add(at)) else { break };
            let step = match table.take(file, plan, port)? {
                Taken::Yes => {
                    self.next = (at + 1) % COUNT;
                    return Ok(Some(port));
                }
                Taken::Here => 1,
                Taken::Elsewhere(byte) => {
                    runs += 1;
                    // Not around the range's end: there another run begins.
                    (file.end_of_run(byte) - byte).min(COUNT - at)
                }
            };
            looked += step;
        }
        self.next = (self.next + looked) % COUNT;
        Ok(None)
    }

    /// Where the next search begins, counted from the range's start.
    #[cfg(test)]
    pub fn start_at(&mut self, next: i64) {
        self.next = next;
    }
}
