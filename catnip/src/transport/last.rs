// SPDX-License-Identifier: MIT OR Apache-2.0
//! The end of a LibOs. No kernel stays behind to finish what its sockets have begun, so it is finished here, within a bounded time.
//!
//! - What was pushed goes out: to neighbours whose hardware addresses come within [`LAST_PACKETS_WAIT`], through a device that has room for it
//!   within that time, and on streams for as long as their peers take it, but no longer than [`LAST_STREAMS_WAIT`].
//! - A peer that has everything has [`LAST_ENDS_WAIT`] to end the connection from its side. Then it is left alone: a reset would take from it
//!   what it has not read. Unless it has sent something since.
//! - Any other connection that is not at its end then is reset: nobody would ever answer its peer. A reset is lost as anything else is, and
//!   is never repeated by itself; so who goes on sending within [`LAST_RESETS_WAIT`] is told again.

use super::Catnip;
use crate::entry::Socket;
use network::limits::{LAST_ENDS_WAIT, LAST_PACKETS_WAIT, LAST_RESETS_WAIT, LAST_STREAMS_WAIT};
use runtime::limits::STUCK_PAUSE;
use runtime::reactor::Events;
use runtime::socket::{OptionName, SocketOption};
use runtime::time::Time;

impl Catnip {
    /// Whether something of what was pushed has not arrived, as far as can be known, and may still do so.
    fn is_unfinished(&self, begun: Time) -> bool {
        let waited = self.reactor.now().saturating_since(begun);
        let unsent = (self.nic.is_sending() || self.nic.stack.unresolved() > 0) && waited < LAST_PACKETS_WAIT;
        let unfinished = self.nic.stack.streams_unfinished() > 0 && waited < LAST_STREAMS_WAIT;
        let ending = self.nic.stack.streams_ending() > 0 && waited < LAST_ENDS_WAIT;
        self.nic.failed().is_none() && (unsent || unfinished || ending)
    }

    /// Sends what is left, for which there may be no room just now: the resets of connections are told once, and never again.
    fn send_the_last(&mut self, events: &mut Events) {
        let begun = self.reactor.now();
        loop {
            let now = self.reactor.now();
            let more = self.nic.flush(now);
            if !(more || self.nic.is_sending()) || now.saturating_since(begun) >= LAST_PACKETS_WAIT {
                return;
            }
            if !more {
                let _ = self.reactor.collect(Some(STUCK_PAUSE), events);
            }
            self.reactor.refresh_clock();
        }
    }

    /// Answers those who have not heard that their connections are over.
    fn repeat_the_last(&mut self, events: &mut Events) {
        self.reactor.refresh_clock();
        let begun = self.reactor.now();
        while self.reactor.now().saturating_since(begun) < LAST_RESETS_WAIT && self.nic.failed().is_none() {
            self.wait_and_look(events);
        }
    }

    /// The DHCP server need not keep the lease for nobody (RFC 2131 section 4.4.6). Where it is may still have to be asked for.
    fn give_the_lease_back(&mut self, events: &mut Events) {
        if self.nic.failed().is_some() || self.nic.stack.lease().is_none() {
            return;
        }
        self.reactor.refresh_clock();
        let begun = self.reactor.now();
        self.nic.stack.release_lease(begun);
        self.nic.flush(begun);
        while self.nic.stack.unresolved() > 0
            && self.nic.failed().is_none()
            && self.reactor.now().saturating_since(begun) < LAST_PACKETS_WAIT
        {
            self.wait_and_look(events);
        }
        self.send_the_last(events);
    }

    /// A turn, as soon as there is something to do, or after a moment.
    fn wait_and_look(&mut self, events: &mut Events) {
        if !self.more && !self.nic.has_news() {
            // A sleep that fails is one that is short.
            let _ = self.reactor.collect(Some(STUCK_PAUSE), events);
        }
        self.reactor.refresh_clock();
        self.look();
    }
}

impl Drop for Catnip {
    fn drop(&mut self) {
        self.reactor.refresh_clock();
        let begun = self.reactor.now();
        let resets = self.nic.stack.counters().resets_sent;
        let open: Vec<Socket> = self.table.sockets().collect();
        for socket in open {
            if let Socket::Stream(id) = socket {
                // Those that linger have the same time as all others.
                if let Ok(SocketOption::Linger(Some(time))) = self.nic.stack.stream_option(id, OptionName::Linger)
                    && !time.is_zero()
                {
                    let _ = self.nic.stack.stream_set_option(id, SocketOption::Linger(None));
                }
                let _ = self.nic.stack.stream_close(id, begun);
            }
        }
        self.nic.flush(begun);
        let mut events = Events::new();
        while self.is_unfinished(begun) {
            self.wait_and_look(&mut events);
        }
        self.nic.stack.abort_streams(self.reactor.now());
        self.send_the_last(&mut events);
        if self.nic.stack.counters().resets_sent != resets {
            self.repeat_the_last(&mut events);
        }
        self.give_the_lease_back(&mut events);
        if let Some(descriptor) = self.nic.descriptor() {
            // It is closed right away, too.
            let _ = self.reactor.unwatch(descriptor);
        }
    }
}
