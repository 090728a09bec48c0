// SPDX-License-Identifier: MIT OR Apache-2.0
//! The ring: requests go in, completions come out; `io_uring(7)`.
//!
//! - `setup`: which ring this kernel gives. `request`: the requests, one call each.
//! - `enter`: the system call. `files`: registered descriptors. `regions`: registered memory.
//! - `flight`: what is in flight, with its memory. `provided`: buffers that the kernel takes. `name`: socket
//!   addresses. `record`: datagrams with their senders.
//! - here: `io_uring_enter(2)`, completions, sleeping, and the end.
//!
//! Requests are gathered, and go to the kernel with the next [`Ring::enter`]. Without something to hand over, and without a
//! word of the kernel in the ring's flags, there is no system call.
//!
//! What must always hold: the kernel has no memory but that of `flights` and of `groups`, and both outlive what is in
//! flight: the end cancels everything and waits; what does not end in time is leaked.

mod enter;
mod files;
mod flight;
mod name;
mod provided;
mod record;
mod regions;
mod request;
mod setup;

pub use files::{Registered, Target};
pub use flight::{Id, Kind, Memory};
pub use name::{Name, Peer};
pub use record::{PAYLOAD_AT, Record};
#[cfg(test)]
pub use setup::STEPS;
pub use setup::{Features, NEEDED, Setup, USED, open};

use name::NAME_MAX;

use crate::Settings;
use core::mem::ManuallyDrop;
use core::time::Duration;
use files::Files;
use flight::{Flights, Header};
use io_uring::types::CancelBuilder;
use io_uring::{EnterFlags, IoUring, cqueue, squeue};
use provided::Provided;
use regions::Regions;
use runtime::buf::{Buf, Pool};
use runtime::{Errno, Error, Result};
use rustix::event::{EventfdFlags, eventfd};
use std::collections::VecDeque;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// What a cancel is called: its completion says nothing that matters.
const CANCEL: u64 = u64::MAX;
/// How long the end waits for the kernel to let go of what is in flight.
const LAST_WAIT: Duration = Duration::from_millis(10);
const LAST_WAITS: u32 = 50;
/// Longer sleeps end early, which is allowed.
const SLEEP_MAX: Duration = Duration::from_secs(1 << 20);

/// The buffers for streams, and those for datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Bytes of streams.
    Streams = 0,
    /// Datagrams with their names in front.
    Datagrams = 1,
}

/// What a completion says.
pub struct Done {
    /// Which request.
    pub id: Id,
    /// What it does.
    pub kind: Kind,
    /// For which socket.
    pub handle: u32,
    /// What the system call would have returned: a count, a descriptor, or an errno below zero.
    pub result: i32,
    /// The request goes on: more completions come.
    pub more: bool,
    /// The kernel has let go of the memory of a send without a copy; `result` says nothing.
    pub released: bool,
    /// The number of the buffer that was filled.
    pub buffer: Option<u16>,
    /// With the last completion, the memory comes back.
    pub memory: Memory,
}

impl Done {
    /// What a kernel might say of an accept.
    #[cfg(test)]
    pub fn of_accept(id: Id, handle: u32, result: i32) -> Self {
        let (kind, memory) = (Kind::Accept, Memory::None);
        Self { id, kind, handle, result, more: false, released: false, buffer: None, memory }
    }

    /// The descriptor of a connection that was accepted; once.
    pub fn descriptor(&mut self) -> Option<OwnedFd> {
        if self.kind != Kind::Accept || self.result < 0 {
            return None;
        }
        let fd = core::mem::replace(&mut self.result, -libc::EBADF);
        // SAFETY: the kernel has opened it for this completion, and nobody else has it.
        Some(unsafe { OwnedFd::from_raw_fd(fd) })
    }
}

/// What was done with a ring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls of `io_uring_enter`.
    pub enters: u64,
    /// Requests.
    pub requests: u64,
    /// Calls of `io_uring_register` for single sockets.
    pub registers: u64,
    /// Completions.
    pub completions: u64,
    /// Times at which the kernel kept completions because the queue was full.
    pub overflows: u64,
}

/// A ring with what is in flight.
pub struct Ring {
    io: ManuallyDrop<IoUring>,
    flights: ManuallyDrop<Flights>,
    groups: ManuallyDrop<[Option<Provided>; 2]>,
    /// Memory that is sent without being looked up each time.
    regions: ManuallyDrop<Option<Regions>>,
    /// Descriptors that are not looked up each time.
    files: Option<Files>,
    name: enter::Name,
    /// What a `recvmsg` of many datagrams reads its sizes from.
    datagrams: ManuallyDrop<Box<Header>>,
    /// Requests that found the queue full, in order.
    backlog: VecDeque<squeue::Entry>,
    /// Headers that are not in use.
    #[expect(clippy::vec_box, reason = "each goes in and out of the table of what is in flight without being moved")]
    spare: Vec<Box<Header>>,
    /// Entries that the kernel has not taken.
    queued: u32,
    bell: Option<OwnedFd>,
    sqpoll: bool,
    setup: Setup,
    features: Features,
    counts: Counts,
}

impl Ring {
    /// A ring as good as the kernel has it.
    ///
    /// # Errors
    /// As [`setup::open`].
    pub fn new(settings: &Settings, first: usize, allowed: Features) -> Result<Self> {
        let (io, setup, features) = setup::open(settings, first)?;
        log::debug!("io_uring: {setup:?}, {features:?}");
        let features = features.and(allowed);
        let fd = io.as_raw_fd();
        // The kernel's submission thread is woken by the descriptor.
        let by_index = features.registered_ring && settings.sqpoll.is_none();
        let name = if by_index { enter::Name::register(fd) } else { enter::Name::Descriptor(fd) };
        let slots = settings.registered_sockets.filter(|_| features.registered_files);
        let files = slots.and_then(|slots| Files::new(&io, slots));
        let mut datagrams = Header::new();
        datagrams.message.msg_namelen = NAME_MAX as u32;
        Ok(Self {
            io: ManuallyDrop::new(io),
            flights: ManuallyDrop::new(Flights::new()),
            groups: ManuallyDrop::new([None, None]),
            regions: ManuallyDrop::new(None),
            files,
            name,
            datagrams: ManuallyDrop::new(datagrams),
            backlog: VecDeque::new(),
            spare: Vec::new(),
            queued: 0,
            bell: None,
            sqpoll: settings.sqpoll.is_some(),
            setup,
            features,
            counts: Counts::default(),
        })
    }

    /// What this ring can do.
    #[inline]
    pub fn features(&self) -> Features {
        self.features
    }

    /// Its flags.
    #[cfg(test)]
    pub fn setup(&self) -> Setup {
        self.setup
    }

    /// What was done with it.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// A descriptor that becomes readable, edge by edge, when there is something to do, from [`ring_bell`](Self::ring_bell)
    /// on. (The ring's own does not, where the kernel does its work in `enter` only.)
    ///
    /// # Errors
    /// `EMFILE`, `ENOMEM`.
    pub fn bell(&mut self) -> Result<BorrowedFd<'_>> {
        if self.bell.is_none() {
            let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
                .map_err(|errno| Error::os(errno, "eventfd"))?;
            let registered = self.io.submitter().register_eventfd(bell.as_raw_fd());
            registered.map_err(|error| setup::refused(&error, "io_uring_register: IORING_REGISTER_EVENTFD"))?;
            self.bell = Some(bell);
        }
        self.bell.as_ref().map(AsFd::as_fd).ok_or(Error::new(Errno::BADF, "no eventfd"))
    }

    /// Whether the kernel rings the bell.
    pub fn ring_bell(&mut self, on: bool) {
        let completion = self.io.completion();
        if on { completion.enable_eventfd() } else { completion.disable_eventfd() }
    }

    /// Gives the kernel buffers that it may fill; multishot requests take from them.
    ///
    /// # Errors
    /// `ENOMEM`, and those of `IORING_REGISTER_PBUF_RING`.
    pub fn provide(&mut self, group: Group, pool: &Pool) -> Result<()> {
        let provided = Provided::new(pool.clone())?;
        let (address, entries) = provided.memory();
        // SAFETY: the ring of buffers stays where it is until the end, which unregisters it first, or leaks it.
        let registered = unsafe { self.io.submitter().register_buf_ring_with_flags(address, entries, group as u16, 0) };
        registered.map_err(|error| setup::refused(&error, "io_uring_register: IORING_REGISTER_PBUF_RING"))?;
        self.groups[group as usize].insert(provided).refill();
        Ok(())
    }

    /// Gives a socket a slot of the table of registered descriptors, if there is one that is free.
    pub fn register(&mut self, fd: BorrowedFd<'_>) -> Option<Registered> {
        let files = self.files.as_mut()?;
        self.counts.registers += 1;
        files.register(&self.io.submitter(), fd)
    }

    /// Takes a socket out of its slot, before its descriptor is closed.
    pub fn unregister(&mut self, slot: Option<Registered>) {
        if let (Some(files), Some(slot)) = (&mut self.files, slot) {
            self.counts.registers += 1;
            files.unregister(&self.io.submitter(), slot);
        }
    }

    /// Lets the kernel lock the memory of these pools once, for what is sent from there without a copy. False: it does not.
    pub fn register_memory(&mut self, pools: Vec<Pool>) -> bool {
        if self.regions.is_none() {
            *self.regions = Regions::new(&self.io, pools);
        }
        self.regions.is_some()
    }

    /// Whether requests wait to be handed over.
    #[inline]
    pub fn has_queued(&self) -> bool {
        self.queued > 0
    }

    /// Whether there are buffers of this group.
    pub fn provides(&self, group: Group) -> bool {
        self.groups[group as usize].is_some()
    }

    /// Puts back what was dropped.
    #[inline]
    pub fn refill(&mut self) {
        for group in self.groups.iter_mut().flatten() {
            group.refill();
        }
    }

    /// The kernel found no buffer: gives it more from now on.
    #[cold]
    pub fn exhausted(&mut self, group: Group) {
        if let Some(provided) = &mut self.groups[group as usize] {
            provided.exhausted();
        }
    }

    /// Whether the kernel has buffers of this group.
    pub fn has_buffers(&mut self, group: Group) -> bool {
        let Some(provided) = &mut self.groups[group as usize] else { return false };
        provided.refill();
        !provided.is_empty()
    }

    /// The buffer that was filled with `len` bytes.
    #[inline]
    pub fn take_buffer(&mut self, group: Group, number: u16, len: usize) -> Option<Buf> {
        self.groups[group as usize].as_mut()?.take(number, len)
    }

    /// The number of the buffer that a bundle has behind this one.
    #[inline]
    pub fn buffer_behind(&self, group: Group, number: u16) -> Option<u16> {
        self.groups[group as usize].as_ref()?.behind(number)
    }

    /// Whether [`enter`](Self::enter) has something to do: requests to hand over, or the kernel says that it has work.
    #[inline]
    pub fn is_due(&mut self) -> bool {
        self.queued > 0 || self.is_signaled() || !self.backlog.is_empty()
    }

    /// Whether the kernel does its work for requests only while this thread is in [`enter`](Self::enter) or [`sleep`](Self::sleep).
    #[inline]
    pub fn defers(&self) -> bool {
        self.setup.defer_taskrun
    }

    /// Whether requests wait for room in the queue.
    pub fn is_backlogged(&self) -> bool {
        !self.backlog.is_empty()
    }

    /// Whether the kernel says that it has work for this thread, or completions that did not fit.
    #[inline]
    pub fn is_signaled(&mut self) -> bool {
        let submission = self.io.submission();
        submission.taskrun() || submission.cq_overflow()
    }

    /// Hands over the requests, and lets the kernel do the work that it has for this thread; does not wait.
    pub fn enter(&mut self) {
        self.flush_backlog();
        if self.io.submission().cq_overflow() {
            self.counts.overflows += 1;
        }
        if self.sqpoll {
            // A system call only if the kernel's thread sleeps, or completions are kept back.
            let submission = self.io.submission();
            self.counts.enters += u64::from(submission.need_wakeup() || submission.cq_overflow());
            drop(submission);
            if self.io.submit().is_ok() {
                self.queued = 0;
            }
            return;
        }
        self.call(0, EnterFlags::GETEVENTS, None);
    }

    fn call(&mut self, want: u32, flags: EnterFlags, time: Option<Duration>) {
        self.counts.enters += 1;
        // SAFETY: what the requests point to is in `flights`, or in what outlives them.
        unsafe { self.name.enter(self.queued, want, flags, time) };
        // A signal, no memory for requests, or a sleep that ran out of time: what was not taken is handed over again.
        self.queued = self.io.submission().len() as u32; // no more than the queue has entries
    }

    /// Sleeps until there is a completion, or for so long; hands over the requests first.
    pub fn sleep(&mut self, timeout: Option<Duration>) {
        self.flush_backlog();
        let mut flags = EnterFlags::GETEVENTS | EnterFlags::EXT_ARG;
        flags.set(EnterFlags::NO_IOWAIT, self.features.no_iowait);
        if self.sqpoll {
            self.io.submission().sync();
            flags.set(EnterFlags::SQ_WAKEUP, self.io.submission().need_wakeup());
        }
        self.call(1, flags, timeout.map(|timeout| timeout.min(SLEEP_MAX)));
        if self.sqpoll {
            self.queued = 0;
        }
    }

    /// Whether completions can be taken.
    #[inline]
    pub fn has_completions(&mut self) -> bool {
        !self.io.completion().is_empty()
    }

    /// The next completion.
    #[inline]
    pub fn next(&mut self) -> Option<Done> {
        loop {
            let entry = self.io.completion().next()?;
            self.counts.completions += 1;
            // Requests are called by their index, cancels by a number that is none.
            let Ok(id) = Id::try_from(entry.user_data()) else { continue };
            let Some((kind, handle)) = self.flights.get(id) else { continue };
            let (result, flags) = (entry.result(), entry.flags());
            let more = cqueue::more(flags);
            let memory = if more { Memory::None } else { self.flights.remove(id) };
            return Some(Done {
                id,
                kind,
                handle,
                result,
                more,
                released: cqueue::notif(flags),
                buffer: cqueue::buffer_select(flags),
                memory,
            });
        }
    }

    /// Keeps a header for the next message of parts.
    #[inline]
    fn keep(&mut self, header: Box<Header>) {
        self.spare.push(header);
    }

    #[cold]
    fn flush_slowly(&mut self) {
        while let Some(entry) = self.backlog.front() {
            // SAFETY: as when it came in: what it points to is in `flights`, or in what outlives them.
            if unsafe { self.io.submission().push(entry) }.is_err() {
                return;
            }
            self.backlog.pop_front();
            self.queued += 1;
        }
    }

    #[inline]
    fn flush_backlog(&mut self) {
        if !self.backlog.is_empty() {
            self.flush_slowly();
        }
    }

    /// Takes completions that nobody wants any more.
    fn discard(&mut self) {
        while let Some(mut done) = self.next() {
            drop(done.descriptor());
        }
    }

    /// Cancels everything and waits until nothing is in flight. False: something does not end.
    fn drain(&mut self) -> bool {
        for wait in 0..LAST_WAITS {
            self.discard();
            if self.flights.len() == 0 && self.backlog.is_empty() && self.queued == 0 {
                return true;
            }
            // Again with each turn: what was queued behind a full queue could not be cancelled before.
            if wait < 2 || !self.backlog.is_empty() {
                self.enter();
                let ids: Vec<Id> = self.flights.ids().collect();
                if self.io.submitter().register_sync_cancel(Some(LAST_WAIT.into()), CancelBuilder::any()).is_err() {
                    for id in ids {
                        self.cancel(id);
                    }
                }
                self.discard();
            }
            if self.flights.len() > 0 {
                self.sleep(Some(LAST_WAIT));
            }
        }
        self.flights.len() == 0
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        let drained = self.drain();
        self.name.unregister(self.io.as_raw_fd());
        if self.files.is_some() {
            // The ring goes in its own time, and would hold the sockets until then. What remains goes with it.
            let _ = self.io.submitter().unregister_files();
        }
        if !drained {
            log::warn!("{} requests did not end: their memory is not used again", self.flights.len());
            // SAFETY: dropped once, and no request reads or writes what is its own. What they do use is never freed.
            unsafe { ManuallyDrop::drop(&mut self.io) };
            return;
        }
        for group in [Group::Streams, Group::Datagrams] {
            if self.groups[group as usize].is_some() {
                // Nothing takes from it any more; the ring's end would do the same.
                let _ = self.io.submitter().unregister_buf_ring(group as u16);
            }
        }
        if self.regions.is_some() {
            // The ring's end would do the same, in its own time; the kernel only reads this memory, and nothing is in flight.
            let _ = self.io.submitter().unregister_buffers();
        }
        // SAFETY: nothing is in flight, so that the kernel has none of this memory; none of it is used afterwards.
        unsafe {
            ManuallyDrop::drop(&mut self.flights);
            ManuallyDrop::drop(&mut self.io);
            ManuallyDrop::drop(&mut self.groups);
            ManuallyDrop::drop(&mut self.regions);
            ManuallyDrop::drop(&mut self.datagrams);
        }
    }
}

#[cfg(test)]
mod tests;
