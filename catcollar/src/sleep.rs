// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sleeping: in the ring, where a completion ends it, with the reactor's descriptor watched by a request; or in the reactor,
//! if somebody else sleeps there, with the ring's bell watched by it.
//!
//! Only one of the two watches the other at a time: each would take the other's news for its own, without end. So the bell
//! rings only while somebody sleeps on the reactor's descriptor. The request that watches the reactor is made anew whenever it has completed, and the kernel looks at the descriptor then; so nothing that was
//! ready before is missed.

use crate::Catcollar;
use core::time::Duration;
use runtime::Result;
use runtime::reactor::Interest;
use runtime::transport::Armed;
use std::os::fd::BorrowedFd;

/// Looks that a cancel may take.
const LOOKS: u32 = 4;

impl Catcollar {
    /// Whether this thread may sleep. What is queued is handed over by the sleep itself.
    pub(crate) fn arm_here(&mut self) -> Armed {
        let ready = !self.woken.is_empty()
            || self.ring.has_completions()
            || self.ring.is_signaled()
            || self.ring.is_backlogged();
        if ready { Armed::Ready } else { Armed::Quiet }
    }

    /// Sleeps until a completion, an event of the reactor, or for so long.
    pub(crate) fn sleep_in_the_ring(&mut self, reactor: BorrowedFd<'_>, timeout: Option<Duration>) {
        if self.watch.is_none() {
            self.watch = Some(self.ring.watch(reactor));
        }
        self.ring.refill();
        self.ring.sleep(timeout);
    }

    /// Nobody sleeps on the reactor's descriptor any more.
    #[cold]
    pub(crate) fn disarm_in_the_reactor(&mut self) {
        self.armed = false;
        self.ring.ring_bell(false);
    }

    /// Whether somebody else may sleep on the reactor's descriptor, which then has the ring's events.
    pub(crate) fn arm_in_the_reactor(&mut self) -> Armed {
        if let Some(watch) = self.watch {
            self.ring.cancel(watch);
        }
        for _ in 0..LOOKS {
            self.advance();
        }
        if self.watch.is_some() || self.ring.is_due() || self.listen_to_the_bell().is_err() {
            return Armed::Ready;
        }
        self.armed = true;
        self.ring.ring_bell(true);
        // What came before that has not rung.
        let armed = self.arm_here();
        if armed == Armed::Ready {
            self.disarm_in_the_reactor();
        }
        armed
    }

    /// Lets the reactor watch the bell, once and for all.
    fn listen_to_the_bell(&mut self) -> Result<()> {
        if !self.watched {
            self.reactor.watch(self.ring.bell()?, Interest::READABLE.edge(), self.token)?;
            self.watched = true;
        }
        Ok(())
    }
}
