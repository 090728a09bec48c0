// SPDX-License-Identifier: MIT OR Apache-2.0
//! [`Buf`]: the handle of one view of a block.

use core::fmt;
use core::marker::PhantomData;
use core::ops::Deref;
use core::ptr::NonNull;
use core::slice;

use super::header::{Header, narrow};
use super::inner::Inner;
use super::pool::Pool;
use crate::{Errno, Error, Result};

const OUT_OF_RANGE: Error = Error::new(Errno::INVAL, "beyond the end of the buffer");
const SHARED: Error = Error::new(Errno::BUSY, "the memory has other views");
const NO_HEADROOM: Error = Error::new(Errno::NOBUFS, "not enough headroom in front of the data");
const NO_TAILROOM: Error = Error::new(Errno::NOBUFS, "not enough room behind the data");

/// A view of pooled memory, one pointer wide; so is `Option<Buf>`.
///
/// It reads as a `[u8]`. [`view`](Buf::view) makes a second view of the same bytes; the block returns to its pool when
/// its last view drops. Lengths and counts are in bytes.
#[repr(transparent)]
pub struct Buf {
    /// An initialised header that is this view's alone. Not `Send`, as a raw pointer never is.
    header: NonNull<Header>,
    _owns: PhantomData<Header>,
}

impl Buf {
    /// Takes over a header.
    ///
    /// # Safety
    /// The header is initialised, was taken from its pool, is part of no message, belongs to no other buffer, and its
    /// view lies inside its owner's block, in which this view is counted.
    #[inline]
    pub(super) unsafe fn from_header(header: NonNull<Header>) -> Self {
        Self { header, _owns: PhantomData }
    }

    #[inline]
    pub(super) fn header(&self) -> &Header {
        // SAFETY: initialised, kept alive by this view, and only ever shared: what changes in it is in cells.
        unsafe { self.header.as_ref() }
    }

    #[inline]
    pub(super) fn as_header(&self) -> NonNull<Header> {
        self.header
    }

    /// Bytes of the block if this is its first view; what second views keep counts there.
    #[inline]
    pub(super) fn memory(&self) -> usize {
        let header = self.header();
        if header.owner.get() == self.header { header.capacity.get() as usize } else { 0 }
    }

    #[inline]
    fn owner(&self) -> &Header {
        // SAFETY: the owner's header stays as long as the block has a view, and this is one.
        unsafe { self.header().owner.get().as_ref() }
    }

    /// Where the view starts.
    #[inline]
    #[must_use]
    pub fn as_ptr(&self) -> *const u8 {
        self.header().data.get().as_ptr()
    }

    /// How many bytes the view has.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.header().len.get() as usize
    }

    /// Whether the view has no bytes.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many views the block has, this one included.
    #[inline]
    #[must_use]
    pub fn ref_count(&self) -> u32 {
        self.owner().refs.get()
    }

    #[inline]
    fn is_sole(&self) -> bool {
        // A loan is the lender's memory: it may have lent the same bytes twice, and may still read them.
        self.ref_count() == 1 && !self.is_lent()
    }

    #[inline]
    fn is_lent(&self) -> bool {
        // SAFETY: a pool lives as long as one of its buffers.
        unsafe { self.header().pool.as_ref() }.lent
    }

    /// The bytes, to write to; `None` while the block has another view, even one of other bytes, and for memory that is
    /// lent.
    ///
    /// ```
    /// # let pool = runtime::buf::Pool::heap(64, 1, 0, 1)?;
    /// let mut buf = pool.alloc(3)?;
    /// buf.get_mut().expect("the only view").copy_from_slice(b"abc");
    /// let other = buf.view()?;
    /// assert!(buf.get_mut().is_none());
    /// # Ok::<(), runtime::Error>(())
    /// ```
    #[inline]
    #[must_use]
    pub fn get_mut(&mut self) -> Option<&mut [u8]> {
        self.is_sole().then(|| {
            // SAFETY: inside the block, which is initialised and writable; the only view is borrowed for writing.
            unsafe { slice::from_raw_parts_mut(self.header().data.get().as_ptr(), self.len()) }
        })
    }

    /// A second view of the same bytes.
    ///
    /// # Errors
    /// `ENOBUFS` if the pool's second views are used up.
    pub fn view(&self) -> Result<Buf> {
        let (this, owner) = (self.header(), self.owner());
        // SAFETY: the pool is alive as long as one of its buffers.
        let taken = unsafe { Inner::take_view(this.pool) }?;
        // SAFETY: just taken, so that it is initialised and nobody else has it.
        let header = unsafe { taken.as_ref() };
        header.data.set(this.data.get());
        header.len.set(this.len.get());
        header.owner.set(this.owner.get());
        header.next.set(None);
        owner.refs.set(owner.refs.get() + 1); // a pool has fewer than `u32::MAX` headers, and each view holds one
        // SAFETY: a complete header of its own, whose view is counted.
        Ok(unsafe { Buf::from_header(taken) })
    }

    /// Gives out the first `n` bytes; this view keeps the rest.
    ///
    /// ```
    /// # let pool = runtime::buf::Pool::heap(64, 1, 0, 1)?;
    /// let mut rest = pool.alloc_copy(b"headbody")?;
    /// let head = rest.split_front(4)?;
    /// assert_eq!((&*head, &*rest), (&b"head"[..], &b"body"[..]));
    /// # Ok::<(), runtime::Error>(())
    /// ```
    ///
    /// # Errors
    /// `EINVAL` if the view is shorter; `ENOBUFS` if the pool's second views are used up. The view is then unchanged.
    pub fn split_front(&mut self, n: usize) -> Result<Buf> {
        let n = self.within(n)?;
        let front = self.view()?;
        front.header().len.set(n);
        self.cut_front(n);
        Ok(front)
    }

    /// Gives out what lies behind the first `n` bytes; this view keeps those.
    ///
    /// ```
    /// # let pool = runtime::buf::Pool::heap(64, 1, 0, 1)?;
    /// let mut payload = pool.alloc_copy(b"payloadtrailer")?;
    /// let trailer = payload.split_back(7)?;
    /// assert_eq!((&*payload, &*trailer), (&b"payload"[..], &b"trailer"[..]));
    /// # Ok::<(), runtime::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`split_front`](Buf::split_front).
    pub fn split_back(&mut self, n: usize) -> Result<Buf> {
        let n = self.within(n)?;
        let back = self.view()?;
        back.cut_front(n);
        self.header().len.set(n);
        Ok(back)
    }

    /// Takes `n` bytes off the front.
    ///
    /// # Errors
    /// `EINVAL` if the view is shorter.
    #[inline]
    pub fn trim_front(&mut self, n: usize) -> Result<()> {
        let n = self.within(n)?;
        self.cut_front(n);
        Ok(())
    }

    /// Takes `n` bytes off the end.
    ///
    /// # Errors
    /// `EINVAL` if the view is shorter.
    #[inline]
    pub fn trim_back(&mut self, n: usize) -> Result<()> {
        let n = self.within(n)?;
        let len = &self.header().len;
        len.set(len.get() - n);
        Ok(())
    }

    /// Shortens the view to its first `len` bytes.
    ///
    /// # Errors
    /// `EINVAL` if the view is shorter.
    #[inline]
    pub fn truncate(&mut self, len: usize) -> Result<()> {
        let len = self.within(len)?;
        self.header().len.set(len);
        Ok(())
    }

    /// Takes off all but the `len` bytes from `start` on.
    ///
    /// # Errors
    /// `EINVAL` if the view does not have them.
    #[inline]
    pub fn narrow(&mut self, start: usize, len: usize) -> Result<()> {
        let end = self.within(start.saturating_add(len))?;
        // Neither is beyond the end.
        self.header().len.set(end);
        self.cut_front(narrow(start));
        Ok(())
    }

    /// `n` as a count of bytes of this view.
    #[inline]
    fn within(&self, n: usize) -> Result<u32> {
        match u32::try_from(n) {
            Ok(n) if n <= self.header().len.get() => Ok(n),
            _ => Err(OUT_OF_RANGE),
        }
    }

    /// Moves the start by `n`, which is at most the length.
    #[inline]
    fn cut_front(&self, n: u32) {
        let header = self.header();
        // SAFETY: n is no more than the view's length, and the view lies inside its block.
        header.data.set(unsafe { header.data.get().add(n as usize) });
        header.len.set(header.len.get() - n);
    }

    /// Where the view starts, counted from the start of its block, headroom included.
    #[inline]
    #[must_use]
    pub fn offset(&self) -> usize {
        self.as_ptr().addr() - self.owner().base.get().addr().get()
    }

    /// Bytes of the block in front of the view, whether or not another view has them.
    #[inline]
    #[must_use]
    pub fn headroom(&self) -> usize {
        self.offset()
    }

    /// Bytes of the block behind the view, whether or not another view has them.
    #[inline]
    #[must_use]
    pub fn tailroom(&self) -> usize {
        self.owner().capacity.get() as usize - self.offset() - self.len()
    }

    /// Grows the view by `n` bytes to the front and gives those bytes to write to. They are not cleared.
    ///
    /// ```
    /// # let pool = runtime::buf::Pool::heap(64, 1, 14, 0)?;
    /// let mut frame = pool.alloc_copy(b"packet")?;
    /// frame.prepend(2)?.copy_from_slice(b"> ");
    /// assert_eq!(&*frame, b"> packet");
    /// # Ok::<(), runtime::Error>(())
    /// ```
    ///
    /// # Errors
    /// `EBUSY` if the block has another view or is lent, `ENOBUFS` if the headroom is shorter. The view is then unchanged.
    #[inline(always)]
    pub fn prepend(&mut self, n: usize) -> Result<&mut [u8]> {
        self.growable(n, self.headroom(), NO_HEADROOM)?;
        let header = self.header();
        // SAFETY: there are n bytes of the block in front of the view.
        let start = unsafe { header.data.get().sub(n) };
        header.data.set(start);
        header.len.set(header.len.get() + narrow(n)); // no more than the capacity
        // SAFETY: inside the block, initialised and writable, and this is the only view.
        Ok(unsafe { slice::from_raw_parts_mut(start.as_ptr(), n) })
    }

    /// Grows the view by `n` bytes to the back and gives those bytes to write to. They are not cleared.
    ///
    /// # Errors
    /// `EBUSY` if the block has another view or is lent, `ENOBUFS` if the tailroom is shorter. The view is then unchanged.
    #[inline]
    pub fn append(&mut self, n: usize) -> Result<&mut [u8]> {
        self.growable(n, self.tailroom(), NO_TAILROOM)?;
        let header = self.header();
        // SAFETY: the end of the view is inside its block, or just behind it.
        let start = unsafe { header.data.get().add(self.len()) };
        header.len.set(header.len.get() + narrow(n)); // no more than the capacity
        // SAFETY: inside the block, initialised and writable, and this is the only view.
        Ok(unsafe { slice::from_raw_parts_mut(start.as_ptr(), n) })
    }

    #[inline]
    fn growable(&self, n: usize, room: usize, no_room: Error) -> Result<()> {
        if !self.is_sole() {
            Err(SHARED)
        } else if n > room {
            Err(no_room)
        } else {
            Ok(())
        }
    }

    /// Whether the memory came from this pool.
    #[inline]
    #[must_use]
    pub fn belongs_to(&self, pool: &Pool) -> bool {
        self.header().pool == pool.inner
    }

    /// What the lender calls the memory; `None` if it is no loan.
    #[inline]
    #[must_use]
    pub fn loan_token(&self) -> Option<u64> {
        self.is_lent().then(|| self.owner().token.get())
    }

    /// Hands the view over as a pointer, without dropping it: for C callers and for tables that hold views.
    #[inline]
    #[must_use = "the block is lost unless `from_raw` takes the pointer back"]
    pub fn into_raw(self) -> NonNull<()> {
        let header = self.header;
        core::mem::forget(self);
        header.cast()
    }

    /// Takes back what [`into_raw`](Buf::into_raw) gave.
    ///
    /// # Safety
    /// `raw` came from `into_raw` on this thread and is taken back once.
    #[inline]
    #[must_use]
    pub unsafe fn from_raw(raw: NonNull<()>) -> Self {
        // SAFETY: the header of the buffer that was handed over, which nobody dropped.
        unsafe { Self::from_header(raw.cast()) }
    }

    /// The segment behind this one in its message.
    #[inline]
    pub(super) fn next(&self) -> Option<&Buf> {
        let next: *const Option<NonNull<Header>> = self.header().next.as_ptr();
        // SAFETY: a `Buf` is a non-null header pointer and nothing else, so that an optional one has the same form;
        // links change only under `&mut Sga`, which no borrow of a segment outlives.
        unsafe { &*next.cast::<Option<Buf>>() }.as_ref()
    }

    /// Links `next` behind this one, where nothing is linked yet, and gives it back borrowed.
    #[inline]
    pub(super) fn link(&self, next: Buf) -> Option<&Buf> {
        self.header().next.set(Some(next.into_raw().cast()));
        self.next()
    }

    /// Unlinks what is behind this one.
    #[inline]
    pub(super) fn unlink(&self) -> Option<Buf> {
        // SAFETY: a link owns the buffer that it was made from.
        self.header().next.take().map(|next| unsafe { Buf::from_header(next) })
    }
}

impl Drop for Buf {
    #[inline]
    fn drop(&mut self) {
        if self.header().owner.get() == self.header && self.header().refs.get() == 1 {
            // SAFETY: the only view of the block, and it ends here.
            unsafe { Inner::give_back(self.header) };
        } else {
            // SAFETY: this view ends here.
            unsafe { Inner::drop_view(self.header) };
        }
    }
}

impl Deref for Buf {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: inside the block, which is initialised; it is written to only through the only view, by `&mut`.
        unsafe { slice::from_raw_parts(self.as_ptr(), self.len()) }
    }
}

impl AsRef<[u8]> for Buf {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for Buf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buf")
            .field("len", &self.len())
            .field("offset", &self.offset())
            .field("views", &self.ref_count())
            .finish_non_exhaustive()
    }
}
