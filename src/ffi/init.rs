// SPDX-License-Identifier: MIT OR Apache-2.0
//! The beginning and the end of a thread's LibOs.

use core::ffi::c_int;

use runtime::{Errno, Error, Result};

use super::arguments::read;
use super::error::note_message;
use super::memory::Table;
use super::sets::Sets;
use super::state::{State, count_forks, with_place};
use super::types::Args;
use crate::LibOs;

const TWICE: Error = Error::new(Errno::EXIST, "this thread has called demi_init() before");
const ARGUMENTS: Error = Error::new(Errno::INVAL, "argc is negative, or counts arguments of a null argv");
const NONE: Error = Error::new(Errno::NOSYS, "this thread has no LibOs to end");

/// Nothing in the arguments has a meaning to Margay, but wrong ones show a mistake in the program.
///
/// # Safety
/// `args` is null or valid for a read.
unsafe fn check(args: *const Args) -> Result<()> {
    if args.is_null() {
        return Ok(());
    }
    // SAFETY: as the caller promises.
    let Args { argc, argv, callback: _ } = unsafe { read(args) }?;
    if argc < 0 || (argc > 0 && argv.is_null()) { Err(ARGUMENTS) } else { Ok(()) }
}

/// `demi_init`: [`LibOs::from_env`] for this thread.
///
/// # Safety
/// `args` is null or valid for a read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn demi_init(args: *const Args) -> c_int {
    let mut message = None;
    let errno = with_place(|place| {
        if place.is_some() {
            return Err(TWICE);
        }
        // SAFETY: as C promises.
        unsafe { check(args) }?;
        count_forks()?;
        let libos = LibOs::from_env().map_err(|error| {
            message = Some((error.error(), error.to_string()));
            error.error()
        })?;
        *place = Some(State { memory: Table::new(), sets: Sets::new(), completions: Vec::new(), libos });
        Ok(())
    });
    if let Some((error, text)) = message {
        note_message(error, &text);
    }
    errno
}

/// `margay_fini`: drops this thread's LibOs.
#[unsafe(no_mangle)]
pub extern "C" fn margay_fini() -> c_int {
    with_place(|place| {
        // Dropped while the place is borrowed, so a call from inside is EBUSY and not a second end.
        place.take().map(drop).ok_or(NONE)
    })
}
