// SPDX-License-Identifier: MIT OR Apache-2.0
//! The epoll set of the sockets, and how it sleeps together with the reactor's.
//!
//! One of the two sets watches the other (both at once would be a circle, `ELOOP`). Mostly this one watches the reactor's,
//! and a LibOs that sleeps does so here: what wakes it is then at hand with no further call. Only while another event loop
//! sleeps on the reactor's descriptor is it the other way round.

use core::mem::MaybeUninit;
use core::time::Duration;
use runtime::limits::SOCKETS_PER_LOOK;
use runtime::reactor::{Interest, Reactor};
use runtime::{Error, Result};
use rustix::event::{Timespec, epoll};
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

pub use epoll::EventFlags;

/// What the reactor's set is called in this one; no socket's name has all its bits.
const REACTOR: u64 = u64::MAX;

/// Longer sleeps end early, which is allowed, so that the time fits the system call.
const SLEEP_MAX: Duration = Duration::from_secs(1 << 20);

/// What a socket is watched for, always.
const INTEREST: EventFlags =
    EventFlags::IN.union(EventFlags::PRI).union(EventFlags::OUT).union(EventFlags::RDHUP).union(EventFlags::ET);

/// Which of the two sets watches the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sleeper {
    /// A LibOs sleeps here.
    Here,
    /// Somebody sleeps on the reactor.
    Reactor,
    /// A change from one to the other has failed half way.
    Neither,
}

/// The sockets' epoll set.
pub struct Poller {
    epoll: OwnedFd,
    reactor: Rc<Reactor>,
    token: u64,
    sleeper: Sleeper,
}

impl Poller {
    /// An empty set that watches the reactor. `token` is what events are called that the reactor has for it.
    ///
    /// # Errors
    /// `EMFILE`, `ENFILE`, `ENOMEM`, `ENOSPC`.
    pub fn new(reactor: Rc<Reactor>, token: u64) -> Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(|errno| Error::os(errno, "epoll_create1"))?;
        let mut poller = Self { epoll, reactor, token, sleeper: Sleeper::Neither };
        poller.sleep_here()?;
        Ok(poller)
    }

    /// Watches a socket under a name, until its descriptor is closed.
    ///
    /// # Errors
    /// `ENOMEM`, `ENOSPC` (`fs.epoll.max_user_watches`).
    pub fn watch(&self, socket: impl AsFd, name: u64) -> Result<()> {
        epoll::add(&self.epoll, socket, epoll::EventData::new_u64(name), INTEREST)
            .map_err(|errno| Error::os(errno, "epoll_ctl: watch a socket"))
    }

    /// Makes that [`wait`](Self::wait) returns for whatever the reactor has.
    ///
    /// # Errors
    /// `ENOMEM`, `ENOSPC`.
    pub fn sleep_here(&mut self) -> Result<()> {
        if self.sleeper == Sleeper::Reactor {
            self.reactor.unwatch(&self.epoll)?;
            self.sleeper = Sleeper::Neither;
        }
        if self.sleeper == Sleeper::Neither {
            epoll::add(&self.epoll, self.reactor.fd(), epoll::EventData::new_u64(REACTOR), EventFlags::IN)
                .map_err(|errno| Error::os(errno, "epoll_ctl: watch the reactor"))?;
            self.sleeper = Sleeper::Here;
        }
        Ok(())
    }

    /// Makes that the reactor has an event for whatever is here.
    ///
    /// # Errors
    /// As [`sleep_here`](Self::sleep_here).
    pub fn sleep_in_the_reactor(&mut self) -> Result<()> {
        if self.sleeper == Sleeper::Here {
            epoll::delete(&self.epoll, self.reactor.fd())
                .map_err(|errno| Error::os(errno, "epoll_ctl: unwatch the reactor"))?;
            self.sleeper = Sleeper::Neither;
        }
        if self.sleeper == Sleeper::Neither {
            self.reactor.watch(&self.epoll, Interest::READABLE, self.token)?;
            self.sleeper = Sleeper::Reactor;
        }
        Ok(())
    }

    /// Takes events, waiting for the first at most `timeout` (`None`: for ever), and gives those of sockets to `take` by
    /// name. A signal ends it early.
    #[inline]
    pub fn wait(&self, timeout: Option<Duration>, mut take: impl FnMut(u64, EventFlags)) {
        let mut give = |name, flags| {
            if name != REACTOR {
                take(name, flags);
            }
        };
        match timeout {
            Some(Duration::ZERO) => {
                kernel::events_now(&self.epoll, |name, flags| give(name, EventFlags::from_bits_retain(flags)));
            }
            timeout => self.sleep(timeout, give),
        }
    }

    #[inline(never)]
    fn sleep(&self, timeout: Option<Duration>, mut give: impl FnMut(u64, EventFlags)) {
        let mut space = [MaybeUninit::<epoll::Event>::uninit(); SOCKETS_PER_LOOK];
        let timeout = timeout.map(|timeout| {
            let timeout = timeout.min(SLEEP_MAX);
            Timespec { tv_sec: timeout.as_secs().cast_signed(), tv_nsec: i64::from(timeout.subsec_nanos()) }
        });
        // An open set gives no error but EINTR.
        let Ok((events, _)) = epoll::wait(&self.epoll, &mut space, timeout.as_ref()) else { return };
        for event in events {
            give(event.data.u64(), event.flags);
        }
    }
}
