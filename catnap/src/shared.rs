// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the sockets of a LibOs share: the epoll set, buffers, deadlines, and who has news.

use crate::entry::Entry;
use crate::poller::Poller;
use crate::settings::Settings;
use runtime::Result;
use runtime::buf::{Buf, Pools};
use runtime::deadlines::Deadlines;
use runtime::limits::{UNIX_PAUSE, UNIX_PAUSE_MAX};
use runtime::op::Direction;
use runtime::reactor::Reactor;
use runtime::socket::Counters;
use runtime::time::Time;
use runtime::transport::Handle;
use std::rc::Rc;

/// What belongs to no socket alone.
pub struct Shared {
    pub settings: Settings,
    pub poller: Poller,
    pub reactor: Rc<Reactor>,
    pub pools: Pools,
    pub deadlines: Deadlines,
    pub counters: Counters,
    /// Sockets whose waiting operations may be worth a try.
    pub news: Vec<Handle>,
    /// Operations that wait to be woken, and closed sockets whose memory the kernel still reads.
    pub waiting: usize,
    /// The socket that has popped last.
    pub served: Handle,
    /// Bytes of a stream's message, on the average of the last ones.
    pub typical: usize,
    /// A large buffer to receive into; what is short is copied out of it, so that it stays.
    pub spare: Option<Buf>,
    /// The same for datagrams.
    pub spare_datagram: Option<Buf>,
}

impl Shared {
    /// # Errors
    /// From the kernel.
    pub fn new(settings: Settings, reactor: &Rc<Reactor>, pools: Pools, token: u64) -> Result<Self> {
        Ok(Self {
            settings,
            poller: Poller::new(Rc::clone(reactor), token)?,
            reactor: Rc::clone(reactor),
            pools,
            deadlines: Deadlines::new(Rc::clone(reactor)),
            counters: Counters::default(),
            news: Vec::new(),
            waiting: 0,
            served: 0,
            typical: 0,
            spare: None,
            spare_datagram: None,
        })
    }

    /// Counts a system call.
    #[inline]
    pub const fn called(&mut self) {
        self.counters.system_calls += 1;
    }

    /// The operation in this direction waits to be woken.
    #[inline]
    pub const fn park(&mut self, entry: &mut Entry, direction: Direction) {
        if !entry.parked[direction as usize] {
            entry.parked[direction as usize] = true;
            self.waiting += 1;
        }
    }

    /// What waits is to be woken at the next look, where it is ready.
    #[inline]
    pub fn list(&mut self, entry: &mut Entry, handle: Handle) {
        if !entry.listed {
            entry.listed = true;
            self.news.push(handle);
        }
    }

    /// Nobody waits for this socket any more.
    pub fn forget(&mut self, entry: &mut Entry) {
        for parked in &mut entry.parked {
            self.waiting -= usize::from(core::mem::take(parked));
        }
    }

    /// Looks at the socket again after a while, though nothing has happened. False: there is no timer left.
    pub fn later(&mut self, entry: &mut Entry, handle: Handle, after: core::time::Duration) -> bool {
        let at = self.reactor.now() + after;
        self.until(entry, handle, at)
    }

    /// As [`later`](Self::later), at this time.
    pub fn until(&mut self, entry: &mut Entry, handle: Handle, at: Time) -> bool {
        self.deadlines.set(handle, &mut entry.deadline, Some(at)).is_ok()
    }

    /// Looks at a Unix socket again after a pause, which is twice as long as the one before it. False: there is no timer left.
    pub fn pause(&mut self, entry: &mut Entry, handle: Handle) -> bool {
        let pause = UNIX_PAUSE.saturating_mul(1 << entry.pauses.min(7)).min(UNIX_PAUSE_MAX);
        entry.pauses = entry.pauses.saturating_add(1);
        self.later(entry, handle, pause)
    }

    /// It has no deadline any more.
    pub fn no_deadline(&mut self, entry: &mut Entry, handle: Handle) {
        // Taking one away cannot fail.
        let _ = self.deadlines.set(handle, &mut entry.deadline, None::<Time>);
    }
}
