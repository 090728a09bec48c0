// SPDX-License-Identifier: MIT OR Apache-2.0
//! The limit of a round trip: each side counts up a word in a cache line of its own, and looks at the other's. A message
//! of 64 bytes and the word that announces it take two lines each way; that is the limit of a message (*loaded*). The word
//! alone takes one.

use super::Channel;
use super::shared::{APART, Shared};
use crate::process::job::Role;
use anyhow::Result;
use std::hint::black_box;
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering;

/// Bytes of the segment.
pub const LEN: usize = 4096;
/// The payload's distance from its word.
const PAYLOAD: usize = 64;
const SIDE: usize = 2 * APART;

/// One end.
pub struct TwoLine {
    memory: Shared,
    mine: usize,
    theirs: usize,
    sent: u64,
    received: u64,
    payload: Option<[u8; 64]>,
}

impl TwoLine {
    /// The end of `role`; `loaded` if 64 bytes of payload go with each word.
    pub fn new(fd: &OwnedFd, role: Role, loaded: bool) -> Result<Self> {
        let (mine, theirs) = if role == Role::Server { (0, SIDE) } else { (SIDE, 0) };
        let payload = loaded.then_some([7; 64]);
        Ok(Self { memory: Shared::new(fd, LEN)?, mine, theirs, sent: 0, received: 0, payload })
    }
}

impl Channel for TwoLine {
    #[inline]
    fn send(&mut self) -> Result<()> {
        if let Some(payload) = &self.payload {
            self.memory.copy_in(self.mine + PAYLOAD, payload);
        }
        self.sent += 1;
        // SYNC POINT release: pairs with the acquire in `receive`.
        self.memory.word(self.mine).store(self.sent, Ordering::Release);
        Ok(())
    }

    #[inline]
    fn receive(&mut self) -> Result<()> {
        self.received += 1;
        let word = self.memory.word(self.theirs);
        // SYNC POINT acquire. No pause in the loop: it would cost more than the line takes to come.
        while word.load(Ordering::Acquire) != self.received {}
        if let Some(payload) = &mut self.payload {
            self.memory.copy_out(self.theirs + PAYLOAD, payload);
            black_box(payload);
        }
        Ok(())
    }
}
