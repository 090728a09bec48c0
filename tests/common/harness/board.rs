// SPDX-License-Identifier: MIT OR Apache-2.0
//! Words that all processes of a test share: marks, counters and times. They live in a file, so what a process has
//! written is still there after it was killed.

use super::LIMIT;
use super::system::{now, sleep};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, Ordering};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use std::fs::File;
use std::path::Path;

/// Words on a board. Tests use those below [`OWN`].
pub const WORDS: usize = 64;
/// From here on the words are the harness's own.
pub const OWN: usize = 48;
/// When the kill was about to happen, in nanoseconds of the monotonic clock.
pub const KILLED_AT: usize = OWN;
/// Set by a role at its end: one word for each role.
pub const ENDED: usize = OWN + 1;

/// The shared words of one run.
pub struct Board {
    base: NonNull<u8>,
}

const LEN: usize = WORDS * 8;

impl Board {
    /// Opens the board in this directory, making it if it is not there.
    pub fn open(directory: &Path) -> Self {
        let file = File::options().read(true).write(true).create(true).truncate(false).open(directory.join("board"));
        let file = file.expect("the board's file can be opened");
        file.set_len(LEN as u64).expect("the board's file can be sized");
        // SAFETY: a new mapping of a file that nobody truncates.
        let base =
            unsafe { mmap(core::ptr::null_mut(), LEN, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, &file, 0) };
        Self { base: NonNull::new(base.expect("the board can be mapped").cast()).expect("a mapping is not at zero") }
    }

    /// A word of the board.
    pub fn word(&self, index: usize) -> &AtomicU64 {
        assert!(index < WORDS);
        // SAFETY: inside the mapping, aligned, and only ever used as an atomic.
        unsafe { self.base.add(index * 8).cast::<AtomicU64>().as_ref() }
    }

    /// Reads a word.
    pub fn get(&self, index: usize) -> u64 {
        self.word(index).load(Ordering::Acquire)
    }

    /// Writes a word.
    pub fn set(&self, index: usize, value: u64) {
        self.word(index).store(value, Ordering::Release);
    }

    /// Waits until a word is at least `value`, and gives it.
    pub fn wait(&self, index: usize, value: u64) -> u64 {
        let deadline = now() + LIMIT.map_or(0, |limit| limit.as_nanos() as u64);
        loop {
            let word = self.get(index);
            if word >= value {
                return word;
            }
            assert!(now() < deadline, "word {index} of the board is {word}, and did not become {value}");
            sleep(50_000);
        }
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        // SAFETY: mapped in `open`, and no reference to it outlives `self`.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), LEN) };
    }
}
