// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can be pushed.

use runtime::Result;
use runtime::buf::{Buf, Pools, Sga};

/// Something that can be pushed: a buffer, a list of them, or bytes that are copied into a buffer of the LibOs first.
pub trait IntoMessage {
    /// The bytes, if the message is bytes that still have to be copied: a transport may take them without a buffer.
    #[inline]
    fn bytes(&self) -> Option<&[u8]> {
        None
    }

    /// The message, with buffers from these pools if it needs any.
    ///
    /// # Errors
    /// `ENOBUFS` if it needs a buffer and there is none.
    fn into_message(self, pools: &Pools) -> Result<Sga>;
}

impl IntoMessage for Sga {
    #[inline]
    fn into_message(self, _pools: &Pools) -> Result<Sga> {
        Ok(self)
    }
}

impl IntoMessage for Buf {
    #[inline]
    fn into_message(self, _pools: &Pools) -> Result<Sga> {
        Ok(self.into())
    }
}

impl IntoMessage for &[u8] {
    #[inline]
    fn bytes(&self) -> Option<&[u8]> {
        Some(self)
    }

    #[inline]
    fn into_message(self, pools: &Pools) -> Result<Sga> {
        if self.is_empty() {
            return Ok(Sga::new());
        }
        pools.alloc_copy(self).map(Sga::from)
    }
}

impl<const N: usize> IntoMessage for &[u8; N] {
    #[inline]
    fn bytes(&self) -> Option<&[u8]> {
        Some(self.as_slice())
    }

    #[inline]
    fn into_message(self, pools: &Pools) -> Result<Sga> {
        self.as_slice().into_message(pools)
    }
}
