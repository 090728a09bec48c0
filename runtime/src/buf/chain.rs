// SPDX-License-Identifier: MIT OR Apache-2.0
//! [`Chain`]: a queue of buffers through their own headers, for streams that wait to be read.
//!
//! Like a message it allocates nothing, but it has no greatest length, knows its end, and so takes a buffer or a whole other
//! chain behind its last one in one step. It knows how much memory it keeps from others, which is more than its bytes.

use core::fmt;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;

use super::header::Header;
use super::sga::{Iter, SGA_SEGMENTS_MAX, Sga};
use super::view::Buf;
use crate::Result;

/// A queue of buffers, read one behind the other.
///
/// ```
/// use runtime::buf::{Chain, Pool};
///
/// let pool = Pool::heap(64, 3, 0, 1)?;
/// let mut chain = Chain::new();
/// for part in ["scatter-", "gather-", "read"] {
///     chain.push_back(pool.alloc_copy(part.as_bytes())?);
/// }
/// assert_eq!((chain.segments(), chain.len(), chain.memory()), (3, 19, 192));
/// assert_eq!(chain.pop_bytes(10)?.to_vec(), b"scatter-ga");
/// assert_eq!(chain.pop().to_vec(), b"ther-read");
/// # Ok::<(), runtime::Error>(())
/// ```
#[derive(Default)]
pub struct Chain {
    head: Option<Buf>,
    /// The last buffer that is linked behind `head`, or that itself; means something while there is a head only.
    last: Option<NonNull<Header>>,
    segments: usize,
    len: usize,
    memory: usize,
}

impl Chain {
    /// One without buffers.
    #[inline]
    #[must_use]
    pub const fn new() -> Self {
        Self { head: None, last: None, segments: 0, len: 0, memory: 0 }
    }

    /// How many buffers there are.
    #[inline]
    #[must_use]
    pub const fn segments(&self) -> usize {
        self.segments
    }

    /// The bytes of all together.
    #[inline]
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no buffer, not even one without bytes.
    #[inline]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.head.is_none()
    }

    /// Bytes of the blocks that lie here, whatever part of them is read. A second view of a block counts none: whoever has the
    /// first one keeps the block.
    #[inline]
    #[must_use]
    pub const fn memory(&self) -> usize {
        self.memory
    }

    /// The buffers in order.
    #[inline]
    pub fn iter(&self) -> Iter<'_> {
        Iter::from(self.head.as_ref())
    }

    /// Puts a buffer behind the last one.
    #[inline]
    pub fn push_back(&mut self, buf: Buf) {
        self.segments += 1;
        self.len += buf.len();
        self.memory += buf.memory();
        let last = buf.as_header();
        self.link(buf, last);
    }

    /// Puts the buffers of a message behind the last one.
    #[inline]
    pub fn push_message(&mut self, message: Sga) {
        if let Some(head) = message.into_head() {
            if head.next().is_none() {
                self.push_back(head);
            } else {
                self.push_many(head);
            }
        }
    }

    #[inline(never)]
    fn push_many(&mut self, head: Buf) {
        let mut last = &head;
        loop {
            self.segments += 1;
            self.len += last.len();
            self.memory += last.memory();
            match last.next() {
                Some(next) => last = next,
                None => break,
            }
        }
        let last = last.as_header();
        self.link(head, last);
    }

    /// Puts another chain behind this one.
    #[inline]
    pub fn append(&mut self, mut other: Chain) {
        if let (Some(head), Some(last)) = (other.head.take(), other.last) {
            self.segments += other.segments;
            self.len += other.len;
            self.memory += other.memory;
            self.link(head, last);
        }
    }

    /// Links what begins with `head` and ends with `last` behind the last buffer.
    #[inline]
    fn link(&mut self, head: Buf, last: NonNull<Header>) {
        match (&self.head, self.last) {
            (Some(_), Some(before)) => {
                // SAFETY: the header of a buffer that hangs on `head`, so that it is alive; headers are only ever shared.
                unsafe { before.as_ref() }.next.set(Some(head.into_raw().cast()));
            }
            _ => self.head = Some(head),
        }
        self.last = Some(last);
    }

    /// Copies bytes behind those of the last buffer, if its block has room there and nobody else looks at it. Else nothing
    /// changes, and it says false.
    #[inline]
    pub fn extend_last(&mut self, bytes: &[u8]) -> bool {
        let (Some(_), Some(last)) = (&self.head, self.last) else { return false };
        // SAFETY: the header of a buffer that hangs on `head`, complete and alive, and nobody else has that buffer while this is
        // borrowed for writing. The second handle is never dropped.
        let mut last = ManuallyDrop::new(unsafe { Buf::from_header(last) });
        let Ok(room) = last.append(bytes.len()) else { return false };
        room.copy_from_slice(bytes);
        self.len += bytes.len();
        true
    }

    /// Takes the first buffer out.
    #[inline]
    pub fn pop_front(&mut self) -> Option<Buf> {
        let front = self.head.take()?;
        self.head = front.unlink();
        self.segments -= 1;
        self.len -= front.len();
        self.memory -= front.memory();
        Some(front)
    }

    /// Takes out as many buffers as a message may have: [`SGA_SEGMENTS_MAX`].
    #[inline]
    pub fn pop(&mut self) -> Sga {
        if self.segments > SGA_SEGMENTS_MAX {
            return self.pop_segments(SGA_SEGMENTS_MAX, usize::MAX);
        }
        let all = core::mem::take(self);
        Sga::from_head(all.into_head())
    }

    /// As [`pop`](Self::pop), but `n` bytes at most: a buffer that `n` falls into is split. Without a second view for that, what
    /// lies in front of it comes out alone.
    ///
    /// # Errors
    /// `ENOBUFS` if the first buffer is longer than that and its pool's second views are used up. Nothing changes then.
    #[inline]
    pub fn pop_bytes(&mut self, n: usize) -> Result<Sga> {
        if n >= self.len {
            return Ok(self.pop());
        }
        let before = self.len;
        let mut message = self.pop_segments(SGA_SEGMENTS_MAX, n);
        let rest = n - (before - self.len);
        if rest > 0
            && message.segments() < SGA_SEGMENTS_MAX
            && let Some(front) = self.head.as_mut()
        {
            // It is longer than the rest, since it was left.
            match front.split_front(rest) {
                Ok(piece) => {
                    self.len -= rest;
                    message.push_back(piece)?;
                }
                Err(error) if message.has_no_segment() => return Err(error),
                Err(_) => {}
            }
        }
        Ok(message)
    }

    /// Takes out whole buffers from the front: so many, and so many bytes, at most.
    fn pop_segments(&mut self, most: usize, bytes: usize) -> Sga {
        let (mut segments, mut len, mut memory) = (0, 0, 0);
        let mut end: Option<&Buf> = None;
        for buf in self.iter() {
            if segments == most || len + buf.len() > bytes {
                break;
            }
            segments += 1;
            len += buf.len();
            memory += buf.memory();
            end = Some(buf);
        }
        let Some(end) = end else { return Sga::new() };
        let rest = end.unlink();
        let front = core::mem::replace(&mut self.head, rest);
        self.segments -= segments;
        self.len -= len;
        self.memory -= memory;
        Sga::from_head(front)
    }

    /// Drops the first `n` bytes, or all if there are fewer. A buffer goes with its last byte.
    pub fn trim_front(&mut self, mut n: usize) {
        while let Some(front) = self.head.as_mut() {
            if front.len() > n {
                // Shorter than it.
                let _ = front.trim_front(n);
                self.len -= n;
                return;
            }
            n -= front.len();
            drop(self.pop_front());
        }
    }

    /// Drops what lies behind the first `len` bytes.
    pub fn truncate(&mut self, len: usize) {
        let mut left = len;
        let mut all = core::mem::take(self);
        while left > 0
            && let Some(mut buf) = all.pop_front()
        {
            // No more than it has.
            let _ = buf.truncate(left.min(buf.len()));
            left -= buf.len();
            self.push_back(buf);
        }
    }

    /// What hangs together from the first on.
    #[inline]
    fn into_head(mut self) -> Option<Buf> {
        self.head.take()
    }
}

impl<'a> IntoIterator for &'a Chain {
    type Item = &'a Buf;
    type IntoIter = Iter<'a>;

    #[inline]
    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl From<Sga> for Chain {
    #[inline]
    fn from(message: Sga) -> Self {
        let mut chain = Self::new();
        chain.push_message(message);
        chain
    }
}

impl Drop for Chain {
    #[inline]
    fn drop(&mut self) {
        // One behind the other, as a message does it.
        drop(Sga::from_head(self.head.take()));
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}
