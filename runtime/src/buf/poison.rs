// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tells AddressSanitizer which memory of a pool is out: it knows heap blocks only, and a pool is one of those for all its slots.
//!
//! With `--cfg asan` (`scripts/asan`) every access to a slot that is not out, or between two slots, is reported. Without it nothing of
//! this is left.

#[cfg(asan)]
mod calls {
    use core::ffi::{c_int, c_void};

    // SAFETY: of the sanitizer's public interface, `sanitizer/asan_interface.h`; it is linked where the flag is set.
    unsafe extern "C" {
        pub fn __asan_poison_memory_region(from: *const c_void, len: usize);
        pub fn __asan_unpoison_memory_region(from: *const c_void, len: usize);
        pub safe fn __asan_address_is_poisoned(at: *const c_void) -> c_int;
    }
}

/// Nobody may touch these bytes until [`taken`] is told of them.
///
/// # Safety
/// They lie in one allocation, which is alive.
#[inline(always)]
#[cfg_attr(not(asan), expect(unused_variables, reason = "only the sanitizer wants to know"))]
pub(super) unsafe fn free(from: core::ptr::NonNull<u8>, len: usize) {
    #[cfg(asan)]
    // SAFETY: the caller's promise.
    unsafe {
        calls::__asan_poison_memory_region(from.as_ptr().cast(), len);
    }
}

/// These bytes have an owner.
///
/// # Safety
/// They lie in one allocation, which is alive.
#[inline(always)]
#[cfg_attr(not(asan), expect(unused_variables, reason = "only the sanitizer wants to know"))]
pub(super) unsafe fn taken(from: core::ptr::NonNull<u8>, len: usize) {
    #[cfg(asan)]
    // SAFETY: the caller's promise.
    unsafe {
        calls::__asan_unpoison_memory_region(from.as_ptr().cast(), len);
    }
}

/// Whether the byte must not be touched.
#[cfg(all(asan, test))]
pub(super) fn is_free(at: *const u8) -> bool {
    calls::__asan_address_is_poisoned(at.cast()) != 0
}
