// SPDX-License-Identifier: MIT OR Apache-2.0
//! What C cannot bring about: a panic inside a call, and a call inside a call. All else is tested from C (`tests/c`).

use core::ffi::CStr;
use core::ptr;

use runtime::{Errno, Error};

use super::state::{call, guarded};
use super::*;

const EBUSY: i32 = Errno::BUSY.raw();
const EIO: i32 = Errno::IO.raw();

fn reason() -> &'static str {
    // SAFETY: the text is this thread's, and no call fails before it is looked at.
    unsafe { CStr::from_ptr(margay_last_error()) }.to_str().expect("texts are UTF-8")
}

fn init() {
    // SAFETY: null is allowed.
    assert_eq!(unsafe { demi_init(ptr::null()) }, 0, "{}", reason());
}

#[test]
fn a_panic_is_an_errno() {
    assert_eq!(guarded(|| panic!("on purpose")), EIO);
    assert_eq!(margay_last_errno(), EIO);
    assert_eq!(reason(), "an internal fault was caught");
}

#[test]
fn a_panic_in_a_call_leaves_the_state_usable() {
    init();
    assert_eq!(call(|_| panic!("on purpose")), EIO);
    assert_eq!(margay_poll(), 0);
    let mut sga = demi_sgaalloc(16);
    assert_eq!({ sga.segments }, 1);
    // SAFETY: the array is a local.
    assert_eq!(unsafe { demi_sgafree(&raw mut sga) }, 0);
    assert_eq!(margay_fini(), 0);
    assert_eq!(call(|_| Ok(())), Errno::NOSYS.raw());
}

#[test]
fn a_call_inside_a_call_is_refused() {
    init();
    let mut inner = [0; 4];
    let outer = call(|_| {
        inner = [margay_poll(), margay_fini(), demi_close(0), demi_sgaalloc(8).segments.cast_signed()];
        Ok(())
    });
    assert_eq!((outer, inner), (0, [EBUSY, EBUSY, EBUSY, 0]));
    assert_eq!(margay_fini(), 0);
}

#[test]
fn an_error_is_kept_until_the_next() {
    const FIRST: Error = Error::new(Errno::NOENT, "the first");
    assert_eq!(guarded(|| Err(FIRST)), Errno::NOENT.raw());
    assert_eq!(guarded(|| Ok(())), 0);
    assert_eq!((margay_last_errno(), reason()), (Errno::NOENT.raw(), "the first"));
}

#[test]
fn threads_do_not_know_the_memory_of_others() {
    init();
    let handle = demi_sgaalloc(16).handle.addr();
    let other = std::thread::spawn(move || {
        init();
        let mut foreign = demi_sgaalloc(16);
        assert_ne!(handle, foreign.handle.addr());
        foreign.handle = ptr::without_provenance_mut(handle);
        // SAFETY: the array is a local.
        unsafe { demi_sgafree(&raw mut foreign) }
    });
    assert_eq!(other.join().expect("no panic"), Errno::INVAL.raw());
    assert_eq!(margay_fini(), 0);
}
