// SPDX-License-Identifier: MIT OR Apache-2.0
//! One ring that is shared with the kernel (`Documentation/networking/af_xdp.rst`, `net/xdp/xsk_queue.h`).
//!
//! ```text
//! mapping:  | producer u32 | consumer u32 | flags u32 | entries, a power of two .. |
//! ```
//!
//! Positions run freely and are masked at each access. Each side stores its own, and loads the other's.
//!
//! What must always hold: an entry is read or written only while its position is on our side; the other side's position is
//! copied once, and one that cannot be (more than the whole ring away) is `EIO`, never a place in memory.

use core::marker::PhantomData;
use core::mem::size_of;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicU32, Ordering};
use runtime::{Errno, Error, Result};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use rustix::net::xdp::{XdpDesc, XdpRingFlags, XdpRingOffset};
use std::os::fd::BorrowedFd;

const BAD_POSITION: Error = Error::new(Errno::IO, "the other side of an XDP ring is where it cannot be");
const BAD_PLACES: Error = Error::new(Errno::IO, "the kernel puts an XDP ring where it cannot be");

/// What stands in a ring: plain numbers.
pub trait Entry: Copy {}

/// In the fill and completion rings: where a frame is.
impl Entry for u64 {}
/// In the receive and transmit rings: where a frame is, and how long.
impl Entry for XdpDesc {}

/// A piece of memory that both sides see.
struct Mapping {
    base: NonNull<u8>,
    len: usize,
}

impl Mapping {
    /// A ring of this socket.
    fn of(fd: BorrowedFd<'_>, which: u64, len: usize) -> Result<Self> {
        let flags = MapFlags::SHARED | MapFlags::POPULATE;
        // SAFETY: a new mapping, which takes nobody's place.
        let base = unsafe { mmap(ptr::null_mut(), len, ProtFlags::READ | ProtFlags::WRITE, flags, fd, which) };
        Self::at(base, len)
    }

    /// As if it were one, for nobody else.
    #[cfg(test)]
    fn alone(len: usize) -> Result<Self> {
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: as above.
        let base = unsafe { rustix::mm::mmap_anonymous(ptr::null_mut(), len, protection, MapFlags::PRIVATE) };
        Self::at(base, len)
    }

    fn at(base: rustix::io::Result<*mut core::ffi::c_void>, len: usize) -> Result<Self> {
        let base = base.map_err(|errno| Error::os(errno, "mmap: a ring of an XDP socket"))?;
        Ok(Self { base: NonNull::new(base.cast()).ok_or(BAD_PLACES)?, len })
    }

    /// Where so many values of a type are, if they lie inside and aligned.
    fn place<T>(&self, at: u64, count: usize) -> Result<NonNull<T>> {
        let at = usize::try_from(at).map_err(|_| BAD_PLACES)?;
        let end = count.checked_mul(size_of::<T>()).and_then(|bytes| bytes.checked_add(at));
        if end.is_none_or(|end| end > self.len) || !at.is_multiple_of(align_of::<T>()) {
            return Err(BAD_PLACES);
        }
        // SAFETY: inside the mapping.
        Ok(unsafe { self.base.add(at) }.cast())
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: our mapping, of which no reference is left. Where it fails it stays, which harms nobody.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), self.len) };
    }
}

/// What both kinds of rings have.
struct Shared<T> {
    /// Our position, which the other side does not know before it is published.
    own: u32,
    /// How many entries there are: a power of two.
    size: u32,
    /// The word that is ours, and the one that is the other side's.
    ours: NonNull<u32>,
    theirs: NonNull<u32>,
    flags: NonNull<u32>,
    entries: NonNull<T>,
    _memory: Mapping,
    _entries: PhantomData<T>,
}

impl<T: Entry> Shared<T> {
    fn new(memory: Mapping, places: &XdpRingOffset, size: u32, produces: bool) -> Result<Self> {
        if !size.is_power_of_two() {
            return Err(BAD_PLACES);
        }
        let producer = memory.place(places.producer, 1)?;
        let consumer = memory.place(places.consumer, 1)?;
        let (ours, theirs) = if produces { (producer, consumer) } else { (consumer, producer) };
        let flags = memory.place(places.flags.ok_or(BAD_PLACES)?, 1)?;
        let entries = memory.place(places.desc, size as usize)?;
        let mut ring = Self { own: 0, size, ours, theirs, flags, entries, _memory: memory, _entries: PhantomData };
        ring.own = ring.word(ours).load(Ordering::Relaxed);
        Ok(ring)
    }

    /// Bytes that a ring of so many entries takes.
    fn bytes(places: &XdpRingOffset, size: u32) -> Result<usize> {
        let entries = u64::from(size) * size_of::<T>() as u64;
        places.desc.checked_add(entries).and_then(|len| usize::try_from(len).ok()).ok_or(BAD_PLACES)
    }

    #[expect(clippy::unused_self, reason = "the word stays as long as the ring")]
    fn word(&self, word: NonNull<u32>) -> &AtomicU32 {
        // SAFETY: one of this ring's words: inside the mapping, which lives as long as this; aligned, as `place` has seen to;
        // both sides use it as one word that is loaded and stored whole.
        unsafe { AtomicU32::from_ptr(word.as_ptr()) }
    }

    /// How far the other side is from our position: `ahead` as it is, behind it as counted from there.
    #[inline]
    fn distance(&self, ahead: bool) -> Result<u32> {
        // What it did before it stored its position is to be seen.
        let theirs = self.word(self.theirs).load(Ordering::Acquire);
        let distance = if ahead { theirs.wrapping_sub(self.own) } else { self.own.wrapping_sub(theirs) };
        if distance > self.size { Err(BAD_POSITION) } else { Ok(distance) }
    }

    #[inline]
    fn publish(&self) {
        // The other side sees the entries before the position.
        self.word(self.ours).store(self.own, Ordering::Release);
    }

    /// The entry at our position.
    #[inline]
    fn entry(&self) -> NonNull<T> {
        let at = self.own & (self.size - 1);
        // SAFETY: below the number of entries, which lie inside the mapping.
        unsafe { self.entries.add(at as usize) }
    }
}

/// A ring into which we put: fill, transmit.
pub struct Producer<T>(Shared<T>);

impl<T: Entry> Producer<T> {
    /// The ring of `size` entries of a socket, at the offset `which`.
    ///
    /// # Errors
    /// Those of `mmap(2)`; `EIO` the kernel says nonsense about it.
    pub fn new(fd: BorrowedFd<'_>, which: u64, places: &XdpRingOffset, size: u32) -> Result<Self> {
        let memory = Mapping::of(fd, which, Shared::<T>::bytes(places, size)?)?;
        Shared::new(memory, places, size, true).map(Self)
    }

    /// How many may be put, including what is not published.
    ///
    /// # Errors
    /// `EIO` the other side has taken what was not there.
    #[inline]
    pub fn free(&self) -> Result<u32> {
        Ok(self.0.size - self.pending()?)
    }

    /// How many the other side has not taken.
    ///
    /// # Errors
    /// As [`free`](Self::free).
    #[inline]
    pub fn pending(&self) -> Result<u32> {
        self.0.distance(false)
    }

    /// Puts one in, where `free` has said that there is room.
    #[inline]
    pub fn put(&mut self, entry: T) {
        // SAFETY: inside the mapping, aligned, and on our side until it is published; the other side only reads it.
        unsafe { self.0.entry().write_volatile(entry) };
        self.0.own = self.0.own.wrapping_add(1);
    }

    /// Shows the other side what was put.
    #[inline]
    pub fn publish(&self) {
        self.0.publish();
    }

    /// Whether the kernel sleeps, and has to be called to take what is there.
    #[inline]
    pub fn needs_wakeup(&self) -> bool {
        self.0.word(self.0.flags).load(Ordering::Relaxed) & XdpRingFlags::XDP_RING_NEED_WAKEUP.bits() != 0
    }
}

/// A ring from which we take: receive, completion.
pub struct Consumer<T>(Shared<T>);

impl<T: Entry> Consumer<T> {
    /// As [`Producer::new`].
    ///
    /// # Errors
    /// As there.
    pub fn new(fd: BorrowedFd<'_>, which: u64, places: &XdpRingOffset, size: u32) -> Result<Self> {
        let memory = Mapping::of(fd, which, Shared::<T>::bytes(places, size)?)?;
        Shared::new(memory, places, size, false).map(Self)
    }

    /// How many may be taken.
    ///
    /// # Errors
    /// `EIO` the other side has put in more than there is room for.
    #[inline]
    pub fn ready(&self) -> Result<u32> {
        self.0.distance(true)
    }

    /// Takes one, where `ready` has said that there is one.
    #[inline]
    pub fn take(&mut self) -> T {
        // SAFETY: inside the mapping and aligned; a plain number of initialised memory, whatever the other side does to it.
        let entry = unsafe { self.0.entry().read_volatile() };
        self.0.own = self.0.own.wrapping_add(1);
        entry
    }

    /// Gives the room of what was taken back.
    #[inline]
    pub fn release(&self) {
        self.0.publish();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SIZE: u32 = 8;
    const PLACES: XdpRingOffset = XdpRingOffset { producer: 0, consumer: 64, desc: 192, flags: Some(128) };

    fn memory() -> Mapping {
        Mapping::alone(192 + 8 * SIZE as usize).unwrap()
    }

    /// A ring whose positions are these; its other side is the test.
    fn producer(own: u32, theirs: u32) -> Producer<u64> {
        let mut ring = Shared::new(memory(), &PLACES, SIZE, true).unwrap();
        ring.own = own;
        ring.word(ring.theirs).store(theirs, Ordering::Relaxed);
        Producer(ring)
    }

    fn consumer(own: u32, theirs: u32) -> Consumer<u64> {
        let mut ring = Shared::new(memory(), &PLACES, SIZE, false).unwrap();
        ring.own = own;
        ring.word(ring.theirs).store(theirs, Ordering::Relaxed);
        Consumer(ring)
    }

    proptest! {
        /// Whatever the other side stores, it is counted right or refused.
        #[test]
        fn positions(own in any::<u32>(), theirs in any::<u32>()) {
            let ahead = u64::from(theirs.wrapping_sub(own));
            let ready = consumer(own, theirs).ready();
            prop_assert_eq!(ready.ok().map(u64::from), (ahead <= 8).then_some(ahead));
            let behind = u64::from(own.wrapping_sub(theirs));
            let free = producer(own, theirs).free();
            prop_assert_eq!(free.ok().map(u64::from), (behind <= 8).then(|| 8 - behind));
        }

        /// What is put at any position is found there by the other side, around the end, too.
        #[test]
        fn what_is_put_is_taken(start in any::<u32>(), count in 1_u32..=8) {
            let mut put = producer(start, start);
            for number in 0..count {
                put.put(u64::from(number) + 100);
            }
            prop_assert_eq!(put.0.word(put.0.ours).load(Ordering::Relaxed), 0, "not before it is published");
            put.publish();
            prop_assert_eq!(put.0.word(put.0.ours).load(Ordering::Relaxed), start.wrapping_add(count));
            let mut take = consumer(start, start.wrapping_add(count));
            for at in 0..SIZE as usize {
                // SAFETY: both have room for as many.
                unsafe { take.0.entries.add(at).write(put.0.entries.add(at).read()) };
            }
            for number in 0..count {
                prop_assert_eq!(take.take(), u64::from(number) + 100);
            }
            prop_assert_eq!(take.ready().ok(), Some(0));
            take.release();
            prop_assert_eq!(take.0.word(take.0.ours).load(Ordering::Relaxed), start.wrapping_add(count));
        }

        /// No offset from the kernel leads out of the mapping.
        #[test]
        fn places(producer in any::<u64>(), consumer in 0_u64..400, desc in any::<u64>(), flags in any::<Option<u64>>()) {
            let places = XdpRingOffset { producer, consumer, desc, flags };
            let inside = |at: u64, len: u64, align: u64| at.checked_add(len).is_some_and(|end| end <= 256) && at.is_multiple_of(align);
            let right = inside(producer, 4, 4) && inside(consumer, 4, 4) && inside(desc, 64, 8)
                && flags.is_some_and(|flags| inside(flags, 4, 4));
            prop_assert_eq!(Shared::<u64>::new(memory(), &places, SIZE, true).is_ok(), right);
            let right = XdpRingOffset { consumer, ..PLACES };
            prop_assert_eq!(Shared::<u64>::new(memory(), &right, SIZE, true).is_ok(), inside(consumer, 4, 4));
        }
    }

    #[test]
    fn odd_sizes_and_wakeup() {
        for size in [0, 3, 7] {
            assert!(Shared::<u64>::new(memory(), &PLACES, size, true).is_err(), "{size}");
        }
        let huge = XdpRingOffset { desc: u64::MAX, ..PLACES };
        assert!(Shared::<u64>::bytes(&huge, SIZE).is_err());
        let ring = producer(0, 0);
        assert!(!ring.needs_wakeup());
        ring.0.word(ring.0.flags).store(1, Ordering::Relaxed);
        assert!(ring.needs_wakeup());
    }
}
