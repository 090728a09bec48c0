// SPDX-License-Identifier: MIT OR Apache-2.0
//! Registered descriptors: a table of open sockets that the ring keeps, so that a request names a slot of it and the kernel
//! neither looks the descriptor up nor counts a reference (`io_uring_register(2)`: `IORING_REGISTER_FILES2`).
//!
//! The table is a second reference to the socket: the kernel ends a connection when the last one is gone. So a slot is emptied
//! in front of the `close(2)`, by a call that has done it when it returns, and the table is taken away in front of the ring. Up
//! to Linux 6.12 an emptied slot held its socket until every request that had begun before it was done; there is no table there.

use io_uring::squeue::Flags;
use io_uring::types::Fd;
use io_uring::{IoUring, Submitter};
use runtime::Errno;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, BorrowedFd};

/// A table smaller than this is none.
const SLOTS_MIN: u32 = 8;
/// An empty slot.
const EMPTY: i32 = -1;

/// A slot with a socket in it.
#[derive(Debug)]
pub struct Registered(u32);

/// What a request works on: a descriptor, or the slot that has the same socket.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    number: i32,
    flags: Flags,
    open: PhantomData<BorrowedFd<'a>>,
}

impl<'a> Target<'a> {
    /// The socket of this descriptor, by its slot if it has one.
    #[inline]
    pub fn new(fd: BorrowedFd<'a>, slot: Option<&Registered>) -> Self {
        match slot {
            // Far fewer slots than that.
            Some(slot) => Self { number: slot.0.cast_signed(), flags: Flags::FIXED_FILE, open: PhantomData },
            None => fd.into(),
        }
    }

    /// What stands in the entry, together with [`flags`](Self::flags).
    #[inline]
    pub fn fd(self) -> Fd {
        Fd(self.number)
    }

    /// Says what the number is.
    #[inline]
    pub fn flags(self) -> Flags {
        self.flags
    }
}

impl<'a> From<BorrowedFd<'a>> for Target<'a> {
    fn from(fd: BorrowedFd<'a>) -> Self {
        Self { number: fd.as_raw_fd(), flags: Flags::empty(), open: PhantomData }
    }
}

/// The table of one ring.
pub struct Files {
    /// Slots that were emptied.
    free: Vec<u32>,
    /// Slots from here on were never used.
    next: u32,
    size: u32,
}

impl Files {
    /// A table of so many slots, or of as many as the process may have descriptors (`RLIMIT_NOFILE`); `None` where there is no
    /// memory for one.
    pub fn new(io: &IoUring, slots: u32) -> Option<Self> {
        let mut size = slots;
        while size >= SLOTS_MIN {
            match io.submitter().register_files_sparse(size) {
                Ok(()) => return Some(Self { free: Vec::new(), next: 0, size }),
                Err(error) if error.raw_os_error() == Some(Errno::MFILE.raw()) => size /= 2,
                Err(_) => break,
            }
        }
        None
    }

    /// Gives a socket a slot; `None`: the table is full, or the kernel has no memory.
    pub fn register(&mut self, submitter: &Submitter<'_>, fd: BorrowedFd<'_>) -> Option<Registered> {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None if self.next < self.size => {
                self.next += 1;
                self.next - 1
            }
            None => return None,
        };
        if let Ok(1) = submitter.register_files_update(slot, &[fd.as_raw_fd()]) {
            return Some(Registered(slot));
        }
        self.free.push(slot);
        None
    }

    /// Empties a slot, which is not its owner's any more.
    #[expect(clippy::needless_pass_by_value, reason = "a slot that was emptied must not be used again")]
    pub fn unregister(&mut self, submitter: &Submitter<'_>, slot: Registered) {
        let Registered(slot) = slot;
        // One that cannot be emptied is not used again; it goes with the table.
        if let Ok(1) = submitter.register_files_update(slot, &[EMPTY]) {
            self.free.push(slot);
        }
    }
}
