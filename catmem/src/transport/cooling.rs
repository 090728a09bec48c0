// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pipes that have been idle long are armed instead of looked at, so that looking costs what there is to see, and not what
//! there might be.
//!
//! What always holds: a pipe that is neither hot nor armed has no parked operation. Arming takes a barrier, which is dear, so
//! it is done for many pipes at once.

use super::Catmem;
use crate::doorbell::heavy;
use runtime::limits::{ARMED_AT_ONCE, HOT_PIPES_IDLE, HOT_PIPES_MAX, IDLE_LOOKS};
use runtime::transport::Handle;

/// Counts looks.
#[derive(Default)]
pub struct Cooling {
    looks: u32,
    epoch: u32,
}

impl Cooling {
    /// Which stretch of [`IDLE_LOOKS`] looks this is; goes round.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Counts a look. True at the end of a stretch.
    #[inline]
    pub fn is_due(&mut self) -> bool {
        self.looks += 1;
        if self.looks < IDLE_LOOKS {
            return false;
        }
        self.looks = 0;
        self.epoch = self.epoch.wrapping_add(1);
        true
    }
}

impl Catmem {
    /// There are too many.
    #[cold]
    pub(super) fn cool_oldest(&mut self) {
        let _ = self.cool(HOT_PIPES_MAX - ARMED_AT_ONCE, 0);
    }

    /// A stretch of looks has ended: those in which nothing came throughout it have been idle long enough.
    #[cold]
    pub(super) fn cool_idle(&mut self) {
        for _ in 0..HOT_PIPES_MAX / ARMED_AT_ONCE {
            if self.cool(HOT_PIPES_IDLE, 2) < ARMED_AT_ONCE {
                break;
            }
        }
    }

    /// Arms the pipes that have been hot longest, for at least so many stretches, until `left` are; those that have news
    /// stay. Says how many were armed: at most [`ARMED_AT_ONCE`].
    fn cool(&mut self, left: usize, stretches: u32) -> usize {
        let mut armed = [0; ARMED_AT_ONCE];
        let mut count = 0;
        while count < ARMED_AT_ONCE && self.hot.len() > left {
            let Some(&handle) = self.hot.front() else { break };
            if let Some(Some(pipe)) = self.pipes.get_mut(handle as usize) {
                if self.cooling.epoch().wrapping_sub(pipe.hot_since) < stretches {
                    break;
                }
                let wanted = pipe.wanted();
                match &pipe.ends {
                    Some(ends) if wanted != 0 => {
                        ends.bell.arm(wanted);
                        armed[count] = handle;
                        count += 1;
                    }
                    _ => pipe.hot = false,
                }
            }
            self.hot.pop_front();
        }
        if count != 0 {
            heavy();
            armed[..count].iter().for_each(|&handle| self.look_once_more(handle));
        }
        count
    }

    /// Behind the barrier: what came before it is seen here, what comes after it rings.
    fn look_once_more(&mut self, handle: Handle) {
        let Some(Some(pipe)) = self.pipes.get_mut(handle as usize) else { return };
        if pipe.news() == [false; 2] {
            pipe.hot = false;
        } else {
            pipe.hot_since = self.cooling.epoch();
            self.hot.push_back(handle);
        }
    }
}
