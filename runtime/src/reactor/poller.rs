// SPDX-License-Identifier: MIT OR Apache-2.0
//! One epoll set (`epoll(7)`) for all that a LibOs waits for.
//!
//! The upper bit of a registration's token tells the two kinds apart:
//!
//! ```text
//! 0 | token of the owner, 63 bits                   given out as an event
//! 1 | 0 | generation, 30 bits | index, 32 bits      a coroutine waits for this descriptor: its waker fires
//! 1 | 1 | 0                                         an end of sleep (bell, timerfd): nothing to do but to return
//! ```
//!
//! What must always hold: no borrow of the table is held while a waker runs, is cloned or is dropped; an event that
//! was on its way when its future was dropped finds another generation, and wakes nobody.

use super::events::{EVENTS_MAX, Event, Events, Interest};
use crate::error::{Errno, Error, Result};
use crate::slab::{Key, Slab};
use core::cell::RefCell;
use core::mem::MaybeUninit;
use core::task::Waker;
use core::time::Duration;
use rustix::event::{Timespec, epoll};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

const INSIDE: u64 = 1 << 63;
const RETURN: u64 = INSIDE | 1 << 62;
const GENERATION_MASK: u32 = (1 << 30) - 1;

/// Longer sleeps end early, which is allowed, so that the time fits every form of the system call.
const SLEEP_MAX: Duration = Duration::from_secs(1 << 20);

/// A descriptor that a coroutine waits for.
#[derive(Default)]
struct Source {
    ready: bool,
    waker: Option<Waker>,
}

pub(super) struct Poller {
    epoll: OwnedFd,
    sources: RefCell<Slab<Source>>,
}

impl Poller {
    pub(super) fn new(capacity: u32) -> Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(|errno| Error::os(errno, "epoll_create1"))?;
        Ok(Self { epoll, sources: RefCell::new(Slab::new(capacity)) })
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }

    pub(super) fn watch(&self, fd: BorrowedFd<'_>, interest: Interest, token: u64) -> Result<()> {
        if token & INSIDE != 0 {
            return Err(Error::new(Errno::INVAL, "a watch token has at most 63 bits"));
        }
        self.add(fd, token, interest.flags())
    }

    /// Adds a descriptor that does nothing but end a sleep, at each of its edges.
    pub(super) fn watch_return(&self, fd: BorrowedFd<'_>) -> Result<()> {
        self.add(fd, RETURN, epoll::EventFlags::IN | epoll::EventFlags::ET)
    }

    pub(super) fn unwatch(&self, fd: BorrowedFd<'_>) -> Result<()> {
        epoll::delete(&self.epoll, fd).map_err(|errno| Error::os(errno, "epoll_ctl: unwatch a descriptor"))
    }

    fn add(&self, fd: BorrowedFd<'_>, token: u64, flags: epoll::EventFlags) -> Result<()> {
        epoll::add(&self.epoll, fd, epoll::EventData::new_u64(token), flags)
            .map_err(|errno| Error::os(errno, "epoll_ctl: watch a descriptor"))
    }

    /// Watches a descriptor for a coroutine until its first event.
    pub(super) fn add_source(&self, fd: BorrowedFd<'_>) -> Result<Key> {
        let inserted = self.sources.borrow_mut().insert(Source::default());
        let Ok(key) = inserted else {
            return Err(Error::new(Errno::MFILE, "too many coroutines wait for descriptors"));
        };
        let flags = epoll::EventFlags::IN | epoll::EventFlags::RDHUP | epoll::EventFlags::ONESHOT;
        let added =
            self.add(fd, INSIDE | u64::from(key.generation & GENERATION_MASK) << 32 | u64::from(key.index), flags);
        if let Err(error) = added {
            self.remove_source(key);
            return Err(error);
        }
        Ok(key)
    }

    pub(super) fn remove_source(&self, key: Key) {
        let removed = self.sources.borrow_mut().remove(key);
        drop(removed);
    }

    /// Whether the descriptor is ready; if it is not, the waker fires when it is.
    pub(super) fn poll_source(&self, key: Key, waker: &Waker) -> bool {
        let new = Some(waker.clone());
        let mut sources = self.sources.borrow_mut();
        let Some(source) = sources.get_mut(key) else { return true };
        let old = core::mem::replace(&mut source.waker, new);
        let ready = source.ready;
        drop(sources);
        drop(old);
        ready
    }

    /// Waits for events, at most `timeout`, or for ever if there is none. A signal ends it with no events.
    pub(super) fn collect(&self, timeout: Option<Duration>, out: &mut Events) -> Result<()> {
        out.clear();
        let timeout = timeout
            .map(|timeout| Timespec::try_from(timeout.min(SLEEP_MAX)))
            .transpose()
            .map_err(|_| Error::new(Errno::INVAL, "the time limit does not fit epoll"))?;
        let mut space = [MaybeUninit::<epoll::Event>::uninit(); EVENTS_MAX];
        let events = match epoll::wait(&self.epoll, &mut space, timeout.as_ref()) {
            Ok((events, _)) => events,
            Err(rustix::io::Errno::INTR) => return Ok(()),
            Err(errno) => return Err(Error::os(errno, "epoll_wait")),
        };
        for event in events {
            let (token, flags) = (event.data.u64(), event.flags);
            if token & INSIDE == 0 {
                out.push(Event::new(token, flags));
            } else if token & RETURN != RETURN {
                self.wake_source(token);
            }
        }
        Ok(())
    }

    fn wake_source(&self, token: u64) {
        // The lower half is the index, the upper half without its two flags the generation.
        let (index, generation) = ((token & 0xffff_ffff) as u32, (token >> 32) as u32 & GENERATION_MASK);
        let mut sources = self.sources.borrow_mut();
        let current = sources.key_at(index).filter(|key| key.generation & GENERATION_MASK == generation);
        let waker = current.and_then(|key| sources.get_mut(key)).and_then(|source| {
            source.ready = true;
            source.waker.take()
        });
        drop(sources);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
