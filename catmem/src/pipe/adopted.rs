// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ends whose handshake somebody else has done, over a connection that is their doorbell as well.
//!
//! On the connection go a byte for each ring and, as the last one, [`BYE`](super::BYE). What always holds: an end whose
//! peer has said so, or has hung up, knows it before it says that there is nothing more to read.

use super::{BYE, DIED, Ends, Half, Peer, Pipe, SHUT};
use crate::doorbell::{Bell, RING};
use crate::transport::Carries;
use core::task::Poll;
use runtime::{Error, Result};
use rustix::io::Errno as OsErrno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};
use std::os::fd::OwnedFd;
use std::rc::Rc;

/// Rings that an honest peer may have left unread, and some more: beyond that the rest comes with the next event.
const READS_MAX: usize = 8;

impl Pipe {
    /// A pipe that nothing joins to a peer yet; operations give `idle`, or wait if there is none.
    pub fn reserved(queue: runtime::transport::QueueId, serial: u64, idle: Option<Error>) -> Self {
        Self { idle, ..Self::new(queue, serial) }
    }

    /// Both halves are there, and the connection is the doorbell.
    pub fn adopt(&mut self, mut ends: Ends, connection: Rc<OwnedFd>, carries: Carries) {
        match carries {
            Carries::Messages => {}
            Carries::Stream => ends.inbox.as_stream(),
            Carries::Datagrams => ends.inbox.as_datagrams(),
        }
        self.ends = Some(ends);
        self.idle = None;
        self.joined(connection);
    }

    /// Whether the connection is the doorbell.
    pub fn is_adopted(&self) -> bool {
        self.ends.as_ref().is_some_and(|ends| matches!(ends.bell.peer(), Bell::Connection(_)))
    }

    /// Whether there is a peer that has neither closed nor died.
    pub fn has_peer(&self) -> bool {
        self.ends.is_some() && self.peer == Peer::Expected && self.failed.is_none()
    }

    /// Whether the peer has ended what it writes and all of that was popped, as far as a look at the ring can tell.
    #[inline]
    pub fn is_at_end(&self) -> bool {
        self.ends.as_ref().is_none_or(|ends| ends.inbox.is_at_end())
    }

    /// Pushes a message without a byte, to a peer that takes datagrams.
    pub fn push_empty(&mut self) -> Poll<Result<()>> {
        if self.peer != Peer::Expected || self.machine.write() == Half::Ended {
            return Poll::Ready(Err(self.cannot_push()));
        }
        let Some(ends) = &mut self.ends else { return self.not_yet() };
        let pushed = ends.outbox.push_empty();
        if let Poll::Ready(Ok(())) = pushed {
            ends.bell.notify(crate::doorbell::DATA);
        }
        pushed
    }

    /// Reads a ring, the goodbye or the hang-up off the connection; if it was hung up, all that lies before that, too.
    /// True if nothing more will come.
    pub fn read_connection(&mut self, hangup: bool) -> bool {
        let Some(connection) = &self.connection else { return false };
        for _ in 0..READS_MAX {
            let mut byte = [0];
            match recv(&**connection, &mut byte, RecvFlags::DONTWAIT) {
                // Its last word: when it hangs up is its own business.
                Ok((1.., _)) if byte == BYE => {
                    if self.peer == Peer::Expected {
                        self.peer = Peer::Left;
                    }
                    return true;
                }
                Ok((1.., _)) if byte == [RING] => {}
                // What a peer leaves that has not read all of our rings: its own last words still come behind it.
                Err(OsErrno::CONNRESET) => continue,
                Err(OsErrno::AGAIN | OsErrno::INTR) => return false,
                Ok(_) | Err(_) => {
                    if self.peer == Peer::Expected {
                        self.peer = Peer::Died;
                    }
                    return true;
                }
            }
            if !hangup {
                return false;
            }
        }
        false
    }

    /// Publishes the end and says goodbye, but stays until [`is_drained`](Self::is_drained) or closed.
    ///
    /// # Errors
    /// What became of the pipe, if nothing can be published any more.
    pub fn take_leave(&mut self) -> Result<()> {
        if self.peer == Peer::Died || self.failed.is_some() {
            return Err(self.failed.unwrap_or(DIED));
        }
        let Some(ends) = &mut self.ends else { return Err(self.idle.unwrap_or(SHUT)) };
        ends.outbox.abandon();
        if self.machine.end_write().is_ok() {
            ends.outbox.end();
        }
        // This is a ring as well.
        self.say_bye();
        Ok(())
    }

    /// The connection, also once the peer has said goodbye: it is not listened to any more then, but the peer may still wait
    /// there for what this end does.
    fn way_to_peer(&self) -> Option<&OwnedFd> {
        match (&self.connection, &self.ends) {
            (Some(connection), _) => Some(connection),
            (None, Some(Ends { bell, .. })) => match bell.peer() {
                Bell::Connection(connection) => Some(connection),
                Bell::Eventfd(_) => None,
            },
            (None, None) => None,
        }
    }

    /// Says that this end closes, once.
    pub(super) fn say_bye(&mut self) {
        if let Some(connection) = self.way_to_peer()
            && !self.said_bye
        {
            // If the peer is gone, nobody is left to be told.
            let _ = send(connection, &BYE, SendFlags::NOSIGNAL | SendFlags::DONTWAIT);
            self.said_bye = true;
        }
    }

    /// `Ready` once the peer has read all that was published, has closed or is gone.
    pub fn drained(&mut self) -> Poll<()> {
        if self.peer != Peer::Expected || self.failed.is_some() {
            return Poll::Ready(());
        }
        match self.ends.as_mut().map(|ends| ends.outbox.drained()) {
            Some(Ok(false)) => Poll::Pending,
            _ => Poll::Ready(()),
        }
    }

    /// Hangs up without a goodbye: for the peer, this end has died. A descriptor of the connection may be in a doorbell
    /// that a lent buffer keeps, so closing is not enough.
    pub fn hang_up(&mut self) {
        if let Some(connection) = self.way_to_peer() {
            // If the peer is gone, nobody is left to be told.
            let _ = shutdown(connection, Shutdown::Both);
        }
    }
}
