// SPDX-License-Identifier: MIT OR Apache-2.0
//! [`Sga`]: a message as a scatter-gather array, a chain of buffers through their own headers.
//!
//! It is one pointer wide and allocates nothing. Most messages have one segment, so that a walk is one step.

use alloc::vec::Vec;
use core::fmt;

use super::view::Buf;
use crate::{Errno, Error, Result};

pub use crate::limits::SGA_SEGMENTS_MAX;

const TOO_MANY: Error = Error::new(Errno::INVAL, "a message has at most 64 segments");
const OUT_OF_RANGE: Error = Error::new(Errno::INVAL, "beyond the end of the message");

/// A message: a list of up to [`SGA_SEGMENTS_MAX`] buffers, read one behind the other.
///
/// ```
/// use runtime::buf::{Pool, Sga};
///
/// let pool = Pool::heap(64, 2, 0, 0)?;
/// let mut message = Sga::from(pool.alloc_copy(b"scatter-")?);
/// message.push_back(pool.alloc_copy(b"gather")?)?;
/// assert_eq!((message.segments(), message.len()), (2, 14));
/// assert_eq!(message.to_vec(), b"scatter-gather");
/// # Ok::<(), runtime::Error>(())
/// ```
#[derive(Default)]
pub struct Sga {
    head: Option<Buf>,
}

impl Sga {
    /// A message without segments.
    #[inline]
    #[must_use]
    pub const fn new() -> Self {
        Self { head: None }
    }

    /// Of buffers that are linked already.
    #[inline]
    pub(super) const fn from_head(head: Option<Buf>) -> Self {
        Self { head }
    }

    /// The first segment, on which the others hang.
    #[inline]
    pub(super) fn into_head(mut self) -> Option<Buf> {
        self.head.take()
    }

    /// Puts a segment behind the last one.
    ///
    /// # Errors
    /// `EINVAL` if there are [`SGA_SEGMENTS_MAX`] already; the buffer is dropped then.
    #[inline]
    pub fn push_back(&mut self, buf: Buf) -> Result<()> {
        let Some(mut last) = self.head.as_ref() else {
            self.head = Some(buf);
            return Ok(());
        };
        let mut segments = 1;
        while let Some(next) = last.next() {
            last = next;
            segments += 1;
        }
        if segments >= SGA_SEGMENTS_MAX {
            return Err(TOO_MANY);
        }
        last.link(buf);
        Ok(())
    }

    /// Puts a segment in front of the first one.
    ///
    /// # Errors
    /// As [`push_back`](Self::push_back).
    #[inline]
    pub fn push_front(&mut self, buf: Buf) -> Result<()> {
        if let Some(head) = self.head.take() {
            if head.next().is_some() && 1 + (Iter { next: Some(&head) }).count() > SGA_SEGMENTS_MAX {
                self.head = Some(head);
                return Err(TOO_MANY);
            }
            buf.link(head);
        }
        self.head = Some(buf);
        Ok(())
    }

    /// Takes the first segment out.
    #[inline]
    pub fn pop_front(&mut self) -> Option<Buf> {
        let front = self.head.take()?;
        self.head = front.unlink();
        Some(front)
    }

    /// Takes the only segment out; `None` leaves all as it is, if there are none or several.
    #[inline]
    pub fn take_single(&mut self) -> Option<Buf> {
        if self.as_single().is_some() { self.head.take() } else { None }
    }

    /// As its only segment.
    ///
    /// # Errors
    /// The message itself, if there are none or several.
    #[inline]
    pub fn into_single(mut self) -> core::result::Result<Buf, Self> {
        match self.head.take() {
            Some(head) if head.next().is_none() => Ok(head),
            head => Err(Self { head }),
        }
    }

    /// The bytes of all segments together.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.iter().map(Buf::len).sum()
    }

    /// Whether there is no byte in it.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.iter().all(Buf::is_empty)
    }

    /// Whether there is no segment in it: cheaper than [`is_empty`](Self::is_empty), which looks into each.
    #[inline]
    #[must_use]
    pub const fn has_no_segment(&self) -> bool {
        self.head.is_none()
    }

    /// How many segments there are.
    #[inline]
    #[must_use]
    pub fn segments(&self) -> usize {
        self.iter().count()
    }

    /// The segments in order.
    #[inline]
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter { next: self.head.as_ref() }
    }

    /// The only segment; `None` if there are none or several.
    #[inline]
    #[must_use]
    pub fn as_single(&self) -> Option<&Buf> {
        self.head.as_ref().filter(|head| head.next().is_none())
    }

    /// Copies the bytes to the front of `out` as far as they fit, and says how many that were.
    pub fn copy_to_slice(&self, out: &mut [u8]) -> usize {
        let mut copied = 0;
        for segment in self {
            let n = segment.len().min(out.len() - copied);
            out[copied..copied + n].copy_from_slice(&segment[..n]);
            copied += n;
        }
        copied
    }

    /// A copy of all bytes.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.len());
        self.iter().for_each(|segment| bytes.extend_from_slice(segment));
        bytes
    }

    /// A second view of the same message.
    ///
    /// # Errors
    /// `ENOBUFS` if a pool's second views are used up.
    #[inline]
    pub fn view(&self) -> Result<Sga> {
        let Some(head) = self.head.as_ref() else {
            return Ok(Sga::new());
        };
        let copy = Sga::from(head.view()?);
        // Links behind the last segment by hand: the copy is as long as this, so that the limit needs no look.
        let mut last = copy.head.as_ref();
        for segment in self.iter().skip(1) {
            let view = segment.view()?;
            last = last.and_then(|before| before.link(view));
        }
        Ok(copy)
    }

    /// Gives out the first `n` bytes as a message; this one keeps the rest. A segment that `n` falls into is split.
    ///
    /// ```
    /// # use runtime::buf::{Pool, Sga};
    /// # let pool = Pool::heap(64, 2, 0, 1)?;
    /// let mut message = Sga::from(pool.alloc_copy(b"one ")?);
    /// message.push_back(pool.alloc_copy(b"two")?)?;
    /// let front = message.split_front(5)?;
    /// assert_eq!((front.to_vec(), message.to_vec()), (b"one t".to_vec(), b"wo".to_vec()));
    /// # Ok::<(), runtime::Error>(())
    /// ```
    ///
    /// # Errors
    /// `EINVAL` if the message is shorter, `ENOBUFS` if the pool's second views are used up. Nothing changes then.
    pub fn split_front(&mut self, n: usize) -> Result<Sga> {
        let (mut whole, mut rest, mut piece) = (0, n, None);
        for segment in self.iter() {
            if segment.len() > rest {
                if rest > 0 {
                    let mut view = segment.view()?;
                    view.truncate(rest)?;
                    piece = Some(view);
                }
                break;
            }
            rest -= segment.len();
            whole += 1;
        }
        if rest > 0 && piece.is_none() {
            return Err(OUT_OF_RANGE);
        }
        let mut front = Sga::new();
        for _ in 0..whole {
            if let Some(segment) = self.pop_front() {
                front.push_back(segment)?;
            }
        }
        if let (Some(piece), Some(head)) = (piece, self.head.as_mut()) {
            head.trim_front(piece.len())?;
            front.push_back(piece)?;
        }
        Ok(front)
    }

    /// Takes the first `n` bytes off, or all if there are fewer.
    ///
    /// ```
    /// # use runtime::buf::{Classes, Pools, Sga};
    /// # let pools = Pools::new(&Classes::default())?;
    /// let mut message = Sga::from(pools.alloc_copy(b"one ")?);
    /// message.push_back(pools.alloc_copy(b"two")?)?;
    /// message.trim_front(5);
    /// assert_eq!(message.to_vec(), b"wo");
    /// # Ok::<(), runtime::Error>(())
    /// ```
    #[inline]
    pub fn trim_front(&mut self, mut n: usize) {
        while let Some(mut first) = self.pop_front() {
            let here = n.min(first.len());
            // No more than it has.
            let _ = first.trim_front(here);
            n -= here;
            if n == 0 {
                // There was one segment more a moment ago.
                let _ = self.push_front(first);
                return;
            }
        }
    }
}

impl Drop for Sga {
    #[inline]
    fn drop(&mut self) {
        // Mostly there is one segment: nothing to unlink.
        if let Some(head) = self.head.take()
            && head.next().is_some()
        {
            drop_chain(head);
        }
    }
}

#[cold]
fn drop_chain(head: Buf) {
    let mut next = Some(head);
    while let Some(buf) = next {
        next = buf.unlink();
    }
}

impl From<Buf> for Sga {
    #[inline]
    fn from(buf: Buf) -> Self {
        Self { head: Some(buf) }
    }
}

/// The segments of a message or of a chain in order; see [`Sga::iter`].
#[derive(Clone)]
pub struct Iter<'a> {
    next: Option<&'a Buf>,
}

impl<'a> From<Option<&'a Buf>> for Iter<'a> {
    /// From a buffer on.
    #[inline]
    fn from(next: Option<&'a Buf>) -> Self {
        Self { next }
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = &'a Buf;

    #[inline]
    fn next(&mut self) -> Option<&'a Buf> {
        let buf = self.next?;
        self.next = buf.next();
        Some(buf)
    }
}

impl<'a> IntoIterator for &'a Sga {
    type Item = &'a Buf;
    type IntoIter = Iter<'a>;

    #[inline]
    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// The segments of a message, taken out in order.
pub struct IntoIter(Sga);

impl Iterator for IntoIter {
    type Item = Buf;

    #[inline]
    fn next(&mut self) -> Option<Buf> {
        self.0.pop_front()
    }
}

impl IntoIterator for Sga {
    type Item = Buf;
    type IntoIter = IntoIter;

    #[inline]
    fn into_iter(self) -> IntoIter {
        IntoIter(self)
    }
}

impl fmt::Debug for Sga {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}
