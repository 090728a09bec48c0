// SPDX-License-Identifier: MIT OR Apache-2.0
//! Foreign event loops and other threads: the readiness descriptor, polling, and wake handles.

use core::ffi::c_int;
use std::os::fd::AsRawFd;

use runtime::Errno;
use runtime::reactor::WakeHandle;

use super::arguments::Out;
use super::state::{call, guarded};

/// `margay_readiness_fd`: [`LibOs::readiness_fd`](crate::LibOs::readiness_fd).
///
/// # Safety
/// `fd_out` is null or valid for a write.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn margay_readiness_fd(fd_out: *mut c_int) -> c_int {
    call(|state| {
        // SAFETY: as C promises.
        let out = unsafe { Out::new(fd_out) }?;
        out.put(state.libos.readiness_fd().as_raw_fd());
        Ok(())
    })
}

/// `margay_arm`: [`LibOs::arm`](crate::LibOs::arm), whose answer is turned round: 1 says that there is something to do.
///
/// # Safety
/// `ready_out` is null or valid for a write.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn margay_arm(ready_out: *mut c_int) -> c_int {
    call(|state| {
        // SAFETY: as C promises.
        let out = unsafe { Out::new(ready_out) }?;
        out.put(c_int::from(!state.libos.arm()?));
        Ok(())
    })
}

/// `margay_poll`: [`LibOs::poll`](crate::LibOs::poll).
#[unsafe(no_mangle)]
pub extern "C" fn margay_poll() -> c_int {
    call(|state| {
        state.libos.poll();
        Ok(())
    })
}

/// `margay_wake_handle_create`: [`LibOs::wake_handle`](crate::LibOs::wake_handle).
///
/// # Safety
/// `handle_out` is null or valid for a write.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn margay_wake_handle_create(handle_out: *mut *mut WakeHandle) -> c_int {
    call(|state| {
        // SAFETY: as C promises.
        let out = unsafe { Out::new(handle_out) }?;
        out.put(Box::into_raw(Box::new(state.libos.wake_handle())));
        Ok(())
    })
}

/// `margay_wake`: [`WakeHandle::wake`], from any thread or signal handler.
///
/// # Safety
/// `handle` is null or came from `margay_wake_handle_create` and was not destroyed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn margay_wake(handle: *const WakeHandle) -> c_int {
    // Not as other calls: to note an error may free memory, which a signal handler must not.
    if handle.is_null() || !handle.is_aligned() {
        return Errno::INVAL.raw();
    }
    // Two atomic steps and at most one write(2), and no state of this thread: that is what lets a signal handler call.
    // SAFETY: C promises a live handle; `WakeHandle` is `Sync`, so a shared reference may exist in many threads.
    unsafe { &*handle }.wake();
    0
}

/// `margay_wake_handle_destroy`: drops the handle, from any thread.
///
/// # Safety
/// `handle` is null, or came from `margay_wake_handle_create`, was not destroyed, and nobody uses it any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn margay_wake_handle_destroy(handle: *mut WakeHandle) -> c_int {
    guarded(|| {
        if !handle.is_null() {
            // SAFETY: C promises that the handle came from `Box::into_raw` above and is destroyed once; `WakeHandle` is
            // `Send`, so any thread may drop it.
            drop(unsafe { Box::from_raw(handle) });
        }
        Ok(())
    })
}
