// SPDX-License-Identifier: MIT OR Apache-2.0
//! The limit of what copies: slots in shared memory, as many bytes in all as a pipe's ring has by default.
//!
//! ```text
//! credit word | slot 0: word, payload | slot 1: word, payload | ...        once per direction
//! ```
//! The word in front of the payload is the number of the message that fills the slot. The writer learns from the credit
//! word how many messages were read; it looks there only when its last look leaves no free slot.

use super::shared::{APART, Shared};
use super::{Channel, Read};
use crate::process::job::Role;
use anyhow::Result;
use std::hint::black_box;
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering;

/// Payload bytes of all slots of one direction.
const RING: usize = 512 << 10;
/// The word in front of a payload, which starts at a cache line.
const WORD: usize = 64;
/// Bytes that are read before the writer is told.
const TELL: usize = RING / 8;

/// Bytes of the segment for messages of `size` bytes.
pub fn len(size: usize) -> usize {
    2 * direction(size)
}

fn slots(size: usize) -> usize {
    RING / size
}

fn direction(size: usize) -> usize {
    APART + slots(size) * (WORD + size.next_multiple_of(64))
}

/// One end.
pub struct CopyRing {
    memory: Shared,
    read: Read,
    private: Vec<u8>,
    out: usize,
    into: usize,
    slots: u64,
    tell_every: u64,
    sent: u64,
    received: u64,
    /// Messages that the other side had read when it was last looked at.
    credit: u64,
    told: u64,
}

impl CopyRing {
    /// The end of `role`.
    pub fn new(fd: &OwnedFd, role: Role, size: usize, read: Read) -> Result<Self> {
        let (out, into) = if role == Role::Server { (0, direction(size)) } else { (direction(size), 0) };
        Ok(Self {
            memory: Shared::new(fd, len(size))?,
            read,
            private: vec![7; size],
            out,
            into,
            slots: slots(size) as u64,
            tell_every: (TELL / size).max(1) as u64,
            sent: 0,
            received: 0,
            credit: 0,
            told: 0,
        })
    }

    #[inline]
    fn slot(&self, direction: usize, message: u64) -> usize {
        let index = (message & (self.slots - 1)) as usize;
        direction + APART + index * (WORD + self.private.len().next_multiple_of(64))
    }
}

impl Channel for CopyRing {
    #[inline]
    fn send(&mut self) -> Result<()> {
        while self.sent - self.credit == self.slots {
            // SYNC POINT acquire: pairs with the release at the end of `receive`.
            self.credit = self.memory.word(self.out).load(Ordering::Acquire);
        }
        let slot = self.slot(self.out, self.sent);
        self.memory.copy_in(slot + WORD, &self.private);
        self.sent += 1;
        // SYNC POINT release: pairs with the acquire at the start of `receive`.
        self.memory.word(slot).store(self.sent, Ordering::Release);
        Ok(())
    }

    #[inline]
    fn receive(&mut self) -> Result<()> {
        let slot = self.slot(self.into, self.received);
        self.received += 1;
        // SYNC POINT acquire.
        while self.memory.word(slot).load(Ordering::Acquire) != self.received {}
        match self.read {
            Read::Copy => {
                self.memory.copy_out(slot + WORD, &mut self.private);
                black_box(self.private.as_ptr());
            }
            Read::InPlace => {
                black_box(self.memory.with(slot + WORD, self.private.len(), fold));
            }
        }
        if self.received - self.told >= self.tell_every {
            self.told = self.received;
            // SYNC POINT release.
            self.memory.word(self.into).store(self.received, Ordering::Release);
        }
        Ok(())
    }
}

/// Reads every byte.
#[inline]
pub fn fold(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let sum = words.iter().fold(0, |sum, word| sum ^ u64::from_le_bytes(*word));
    rest.iter().fold(sum, |sum, &byte| sum ^ u64::from(byte))
}
