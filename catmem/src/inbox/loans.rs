// SPDX-License-Identifier: MIT OR Apache-2.0
//! Buffers over memory that the peer lent. What they need is made with the first: most pipes never lend any.

use super::GiveBack;
use core::ptr::NonNull;
use runtime::buf::{Buf, Pool};
use runtime::limits::LOANS_MAX;
use runtime::{Errno, Error, Result};

const NO_MEMORY: Error = Error::new(Errno::NOMEM, "no memory for buffers over lent memory");

/// The pool of such buffers, and before there is one, what it will be told when one is dropped.
pub(super) enum Loans {
    /// None was made yet.
    None(Option<Box<GiveBack>>),
    /// Some were.
    Some(Pool),
}

impl Loans {
    /// None yet.
    pub fn new(hook: GiveBack) -> Self {
        Self::None(Some(Box::new(hook)))
    }

    /// How many more there can be.
    #[inline]
    pub fn available(&self) -> u32 {
        match self {
            Self::None(_) => LOANS_MAX,
            Self::Some(pool) => pool.available(),
        }
    }

    /// Takes memory on loan.
    ///
    /// # Errors
    /// `ENOBUFS` too many are out, `ENOMEM`.
    ///
    /// # Safety
    /// As [`Pool::loan`].
    #[inline]
    pub unsafe fn loan(&mut self, at: NonNull<u8>, len: u32, token: u64) -> Result<Buf> {
        if let Self::None(hook) = self {
            *self = Self::first(hook)?;
        }
        match self {
            // SAFETY: the caller's promise.
            Self::Some(pool) => unsafe { pool.loan(at, len, token) },
            Self::None(_) => Err(NO_MEMORY),
        }
    }

    #[cold]
    fn first(hook: &mut Option<Box<GiveBack>>) -> Result<Self> {
        Ok(Self::Some(Pool::loans(hook.take().ok_or(NO_MEMORY)?, LOANS_MAX)?))
    }
}
