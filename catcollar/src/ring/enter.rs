// SPDX-License-Identifier: MIT OR Apache-2.0
//! `io_uring_enter(2)`, by the ring's descriptor or by its index among those that the thread has registered
//! (`io_uring_register(2)`: `IORING_REGISTER_RING_FDS`), which spares the kernel a look into the table of descriptors. The
//! io-uring crate keeps that index only as long as it borrows its ring.
//!
//! A thread can register sixteen rings; one that comes later goes by its descriptor. The index is the thread's, as the whole
//! LibOs is, and is given back before the ring goes.

use core::time::Duration;
use io_uring::EnterFlags;
use std::os::fd::RawFd;

const REGISTER_RING_FDS: libc::c_uint = 20;
const UNREGISTER_RING_FDS: libc::c_uint = 21;
/// Let the kernel choose the index.
const ANY: u32 = u32::MAX;

/// `struct io_uring_rsrc_update`.
#[repr(C)]
struct Update {
    offset: u32,
    reserved: u32,
    data: u64,
}

/// `struct __kernel_timespec`.
#[repr(C)]
struct Time {
    seconds: i64,
    nanoseconds: i64,
}

/// `struct io_uring_getevents_arg`.
#[repr(C)]
struct Argument {
    signals: u64,
    signals_size: u32,
    shortest_wait: u32,
    time: u64,
}

/// How the kernel is told which ring is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// By its descriptor.
    Descriptor(RawFd),
    /// By its index among the thread's.
    Index(u32),
}

impl Name {
    /// Registers a ring, if the thread has room for one more.
    pub fn register(ring: RawFd) -> Self {
        let mut update = Update { offset: ANY, reserved: 0, data: u64::from(ring.cast_unsigned()) };
        // SAFETY: the kernel reads one such structure and writes the index into it; what it says on bad input is an error.
        let registered =
            unsafe { libc::syscall(libc::SYS_io_uring_register, ring, REGISTER_RING_FDS, &raw mut update, 1) };
        if registered == 1 { Self::Index(update.offset) } else { Self::Descriptor(ring) }
    }

    /// Gives the index back.
    pub fn unregister(self, ring: RawFd) {
        let Self::Index(offset) = self else { return };
        let mut update = Update { offset, reserved: 0, data: 0 };
        // SAFETY: the kernel reads one such structure. An index that it does not know is an error, and nothing depends on it.
        unsafe { libc::syscall(libc::SYS_io_uring_register, ring, UNREGISTER_RING_FDS, &raw mut update, 1) };
    }

    /// Hands over `submit` entries and waits for `want` completions, for at most so long. What comes of it shows in the ring.
    ///
    /// # Safety
    /// What the entries point to stays where it is until their completions.
    pub unsafe fn enter(self, submit: u32, want: u32, mut flags: EnterFlags, time: Option<Duration>) {
        let number = match self {
            Self::Descriptor(fd) => fd.cast_unsigned(),
            Self::Index(index) => {
                flags |= EnterFlags::REGISTERED_RING;
                index
            }
        };
        let time = time.map(|time| Time {
            // Far below i64::MAX: the caller bounds it.
            seconds: time.as_secs().cast_signed(),
            nanoseconds: time.subsec_nanos().into(),
        });
        // Exposed, here and where buffers are handed over: the kernel reads and writes behind such a number.
        let at = time.as_ref().map_or(0, |time| (&raw const *time).expose_provenance() as u64);
        let argument = Argument { signals: 0, signals_size: 0, shortest_wait: 0, time: at };
        let (start, size) = if flags.contains(EnterFlags::EXT_ARG) {
            (&raw const argument, size_of::<Argument>())
        } else {
            (core::ptr::null(), 0)
        };
        // SAFETY: no argument, or one of the form that the flag names, with a time that lives as long as this call; what the
        // entries point to is the caller's promise.
        unsafe { libc::syscall(libc::SYS_io_uring_enter, number, submit, want, flags.bits(), start, size) };
    }
}
