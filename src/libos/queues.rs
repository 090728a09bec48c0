// SPDX-License-Identifier: MIT OR Apache-2.0
//! The table behind queue descriptors.

use runtime::buf::Sga;
use runtime::op::{Fifo, Outcome};
use runtime::{Errno, Error, Qd, Result};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};

/// Number of the next table.
static TABLES: AtomicU32 = AtomicU32::new(0);
/// What is between the first generations of two tables, one made after the other: odd, so that each is another one before all were there.
const FAR_APART: u32 = 1265;

/// One queue.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each says one thing of its own, and in a word they take a byte each"
)]
pub struct Queue {
    /// Which back end serves it, and the back end's name for it.
    pub backend: u8,
    pub handle: u32,
    /// Operations that could not finish at once, per direction.
    pub fifos: [Fifo; 2],
    /// Shut down for writing: no further pushes.
    pub shut: bool,
    /// Shut down for reading: what is left of the stream is its end.
    pub deaf: Deaf,
    /// A datagram socket: pops give datagrams.
    pub datagrams: bool,
    /// A Unix socket: it has names in place of addresses.
    pub unix: bool,
    /// A close is pending: no further calls.
    pub closing: bool,
}

/// Whether a queue still reads, and whether its application has been told that it does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deaf {
    /// It reads.
    No,
    /// The next pop gives the end.
    Untold,
    /// The end was given.
    Told,
}

const ENDED: Error = Error::new(Errno::PIPE, "the queue was shut down for reading");

impl Queue {
    /// What a pop gives once the queue reads no more: the end once, then `EPIPE`.
    pub fn end(&mut self) -> Outcome {
        match core::mem::replace(&mut self.deaf, Deaf::Told) {
            Deaf::No | Deaf::Untold => Outcome::Pop(Sga::new()),
            Deaf::Told => Outcome::Failed(ENDED),
        }
    }
}

/// Half a cache line, so that finding one is a shift.
#[repr(align(32))]
struct Slot {
    /// The descriptor of the queue that is here, or else of the next one that will be.
    qd: Qd,
    queue: Option<Queue>,
}

const _: () = assert!(size_of::<Slot>() == 32);

/// The queues of one LibOs.
pub struct Queues {
    slots: Vec<Slot>,
    /// The one that came free last is taken first: it is still in the cache.
    free: Vec<u32>,
    /// Those that had each of their descriptors once. They rest until nothing else is left, so that who has kept an old one longer than he
    /// should gets an error.
    worn: VecDeque<u32>,
    /// Of each slot: 0 in a process with one LibOs, so that its descriptors are small numbers, as those of files are.
    first_generation: u32,
    limit: usize,
    open: usize,
    /// Open queues by back end.
    of_backend: Vec<usize>,
}

const STALE: Error = Error::new(Errno::BADF, "this queue descriptor is closed or was never given out");

impl Queues {
    pub fn new(limit: usize) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            worn: VecDeque::new(),
            first_generation: TABLES.fetch_add(1, Ordering::Relaxed).wrapping_mul(FAR_APART),
            limit: limit.min(Qd::SLOTS_MAX),
            open: 0,
            of_backend: Vec::new(),
        }
    }

    /// The index that the next queue will have.
    pub fn reserve(&self) -> Result<u32> {
        match self.free.last() {
            Some(&index) => Ok(index),
            None if self.slots.len() < self.limit => Ok(self.slots.len() as u32),
            None if let Some(&index) = self.worn.front() => Ok(index),
            None => Err(Error::new(Errno::MFILE, "too many queues are open (limits.queues)")),
        }
    }

    /// Puts a queue at the index that `reserve` gave.
    pub fn insert(&mut self, index: u32, backend: u8, handle: u32) -> Qd {
        let queue = Some(Queue {
            backend,
            handle,
            fifos: Default::default(),
            shut: false,
            deaf: Deaf::No,
            datagrams: false,
            unix: false,
            closing: false,
        });
        self.open += 1;
        let backend = usize::from(backend);
        self.of_backend.resize(self.of_backend.len().max(backend + 1), 0);
        self.of_backend[backend] += 1;
        if let Some(slot) = self.slots.get_mut(index as usize) {
            if self.free.last() == Some(&index) {
                self.free.pop();
            } else {
                self.worn.pop_front();
            }
            slot.queue = queue;
            return slot.qd;
        }
        let qd = Qd::new(index, self.first_generation);
        self.slots.push(Slot { qd, queue });
        qd
    }

    #[inline]
    fn slot(&mut self, qd: Qd) -> Result<&mut Queue> {
        match self.slots.get_mut(qd.index()) {
            Some(Slot { qd: here, queue: Some(queue) }) if *here == qd => Ok(queue),
            _ => Err(STALE),
        }
    }

    /// An open queue.
    #[inline]
    pub fn get(&mut self, qd: Qd) -> Result<&mut Queue> {
        match self.slots.get_mut(qd.index()) {
            Some(Slot { qd: here, queue: Some(queue @ Queue { closing: false, .. }) }) if *here == qd => Ok(queue),
            _ => Err(STALE),
        }
    }

    /// An open queue, or one whose close is pending.
    pub fn get_closing(&mut self, qd: Qd) -> Result<&mut Queue> {
        self.slot(qd)
    }

    /// The queue at an index, if there is one.
    #[inline]
    pub fn at(&mut self, index: u32) -> Option<(Qd, &mut Queue)> {
        let slot = self.slots.get_mut(index as usize)?;
        let qd = slot.qd;
        slot.queue.as_mut().map(|queue| (qd, queue))
    }

    pub fn remove(&mut self, qd: Qd) {
        if let Ok(queue) = self.slot(qd) {
            let backend = usize::from(queue.backend);
            self.of_backend[backend] -= 1;
            let slot = &mut self.slots[qd.index()];
            slot.queue = None;
            slot.qd = slot.qd.next_generation();
            let index = qd.index() as u32;
            if slot.qd == Qd::new(index, self.first_generation) {
                self.worn.push_back(index);
            } else {
                self.free.push(index);
            }
            self.open -= 1;
        }
    }

    pub fn len(&self) -> usize {
        self.open
    }

    /// Open queues of one back end.
    pub fn of_backend(&self, backend: usize) -> usize {
        self.of_backend.get(backend).copied().unwrap_or(0)
    }

    pub fn open(&self) -> impl Iterator<Item = Qd> {
        self.slots.iter().filter(|slot| slot.queue.is_some()).map(|slot| slot.qd)
    }
}
