// SPDX-License-Identifier: MIT OR Apache-2.0
//! What C passes, turned into what Rust takes: out-parameters, names, timeouts, descriptors and tokens.

use core::ffi::{CStr, c_char, c_int};
use core::ptr::NonNull;
use core::time::Duration;

use runtime::{Errno, Error, Qd, Result};

use super::types::Timespec;

const NULL: Error = Error::new(Errno::INVAL, "a pointer argument is null");

/// An out-parameter: known not to be null, written at most once, and only when the call succeeds.
pub(super) struct Out<T>(NonNull<T>);

impl<T> Out<T> {
    /// # Safety
    /// `pointer` is null, or valid for one write of a `T` until the call from C returns.
    pub(super) unsafe fn new(pointer: *mut T) -> Result<Self> {
        NonNull::new(pointer).map(Self).ok_or(NULL)
    }

    pub(super) fn put(self, value: T) {
        // SAFETY: `new` was promised that one write is valid, and `self` is consumed by it. C may pass an address that
        // is not aligned for `T` where the structure that it points into is packed.
        unsafe { self.0.write_unaligned(value) }
    }
}

/// Copies an in-parameter, so that nothing that C changes later is seen.
///
/// # Safety
/// `pointer` is null or valid for one read of a `T`.
pub(super) unsafe fn read<T: Copy>(pointer: *const T) -> Result<T> {
    if pointer.is_null() {
        return Err(NULL);
    }
    // SAFETY: the caller promises that a pointer which is not null is valid for one read.
    Ok(unsafe { pointer.read_unaligned() })
}

/// The pointer, if it is not null; for arguments whose pointee this call does not look at.
pub(super) fn present<T>(pointer: *const T) -> Result<()> {
    if pointer.is_null() { Err(NULL) } else { Ok(()) }
}

/// A pipe's name. Its length and bytes are checked by the call that takes it.
///
/// # Safety
/// `pointer` is null or points to a NUL-terminated string that lives, unchanged, as long as `'a`.
pub(super) unsafe fn name<'a>(pointer: *const c_char) -> Result<&'a str> {
    present(pointer)?;
    // SAFETY: the caller promises a NUL-terminated string.
    let text = unsafe { CStr::from_ptr(pointer) };
    text.to_str().map_err(|_| Error::new(Errno::INVAL, "the name of a pipe is not UTF-8"))
}

/// A descriptor. A negative one was never given out.
pub(super) fn descriptor(raw: c_int) -> Result<Qd> {
    Qd::from_raw(raw).ok_or(Error::new(Errno::BADF, "the queue descriptor is negative"))
}

/// A span or a point of time.
pub(super) fn duration(time: Timespec) -> Result<Duration> {
    const RANGE: Error = Error::new(Errno::INVAL, "a time is negative, or its nanoseconds are not below 1,000,000,000");
    let seconds = u64::try_from(time.seconds).map_err(|_| RANGE)?;
    let nanoseconds = u32::try_from(time.nanoseconds).map_err(|_| RANGE)?;
    if nanoseconds >= 1_000_000_000 {
        return Err(RANGE);
    }
    Ok(Duration::new(seconds, nanoseconds))
}

/// A timeout; null is none, that is for ever.
///
/// # Safety
/// `pointer` is null or valid for one read.
pub(super) unsafe fn timeout(pointer: *const Timespec) -> Result<Option<Duration>> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller promises that a pointer which is not null is valid for one read.
    duration(unsafe { read(pointer) }?).map(Some)
}
