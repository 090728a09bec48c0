// SPDX-License-Identifier: MIT OR Apache-2.0
//! What device and application do for a datagram's buffer, without any stack between them: what it costs is no stack's.

use super::frame::{HEADERS, datagram, payload};
use super::{BURST, Datagrams};
use runtime::Result;
use runtime::buf::{Buf, Classes, Pool, Pools, Sga};
use runtime::device::Frame;
use std::hint::black_box;

/// The buffers of both, as [`Margay`](super::Margay) has them.
pub struct Bare {
    pools: Pools,
    frames: Pool,
    len: usize,
    payload: Vec<u8>,
}

impl Bare {
    /// For payloads of so many bytes.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn new(size: usize) -> Result<Self> {
        let pools = Pools::new(&Classes { large_count: 1, ..Classes::default() })?;
        let frame = datagram(size);
        let frames = Pool::heap(frame.len() as u32, 1, 0, 0)?;
        drop(frames.alloc_copy(&frame)?);
        Ok(Self { pools, frames, len: frame.len(), payload: payload(size) })
    }
}

/// As the device gives it to a stack or takes it from there; then the buffer is let go.
#[inline]
fn hand_over(data: Buf) -> usize {
    let frame = Frame::from(Sga::from(data));
    black_box(&frame).data.len()
}

impl Datagrams for Bare {
    fn receive(&mut self) -> usize {
        (0..BURST).filter_map(|_| self.frames.alloc(self.len).ok()).map(|data| hand_over(data) - HEADERS).sum()
    }

    fn send(&mut self) -> usize {
        (0..BURST).filter_map(|_| self.pools.alloc_copy(&self.payload).ok()).map(|data| hand_over(data) + HEADERS).sum()
    }
}
