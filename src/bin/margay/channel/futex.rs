// SPDX-License-Identifier: MIT OR Apache-2.0
//! The limit of a wake-up: the server sleeps on a word of shared memory, the client changes it and wakes the server,
//! then polls for the answer. Text: `futex(2)`.

use super::Channel;
use super::shared::{APART, Shared};
use crate::process::job::Role;
use anyhow::{Context, Result};
use rustix::thread::futex::{Flags, wait, wake};
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering;

/// Bytes of the segment.
pub const LEN: usize = 4096;

/// One end.
pub struct Futex {
    memory: Shared,
    role: Role,
    sent: u32,
    received: u32,
}

impl Futex {
    /// The end of `role`.
    pub fn new(fd: &OwnedFd, role: Role) -> Result<Self> {
        Ok(Self { memory: Shared::new(fd, LEN)?, role, sent: 0, received: 0 })
    }

    fn offset(role: Role) -> usize {
        if role == Role::Server { 0 } else { APART }
    }
}

impl Channel for Futex {
    fn send(&mut self) -> Result<()> {
        self.sent += 1;
        let word = self.memory.half_word(Self::offset(self.role));
        word.store(self.sent, Ordering::Release);
        if self.role == Role::Client {
            wake(word, Flags::empty(), 1).context("futex wake")?;
        }
        Ok(())
    }

    fn receive(&mut self) -> Result<()> {
        let before = self.received;
        self.received += 1;
        let other = if self.role == Role::Server { Role::Client } else { Role::Server };
        let word = self.memory.half_word(Self::offset(other));
        while word.load(Ordering::Acquire) == before {
            if self.role == Role::Server {
                match wait(word, Flags::empty(), before, None) {
                    Ok(()) | Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
                    Err(error) => return Err(error).context("futex wait"),
                }
            }
        }
        Ok(())
    }
}
