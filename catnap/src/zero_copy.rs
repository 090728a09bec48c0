// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sending without a copy (`MSG_ZEROCOPY`, Documentation/networking/msg_zerocopy.rst).
//!
//! The kernel reads the memory while the data is on its way, and says by the socket's error queue when it is done. Until then
//! the message is held here, whatever becomes of the push and of the socket, and the push is not complete: the application
//! may write to its memory again afterwards. One push at a time is under way; those that were given up stay behind it.

use crate::entry::Entry;
use crate::send::Vector;
use crate::shared::Shared;
use core::task::Poll;
use kernel::{Done, ZERO_COPY, enable_zero_copy, taken};
use runtime::Result;
use runtime::buf::Sga;
use runtime::op::Direction;
use runtime::socket::{Domain, Kind};
use rustix::io::{Errno as Os, retry_on_intr};
use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};
use std::collections::VecDeque;

/// A message that the kernel may be reading.
struct Flight {
    message: Sga,
    len: usize,
    /// Bytes that were sent.
    sent: usize,
    /// The number of its first send, how many there were, and how many of them the kernel has done with.
    first: u32,
    sends: u32,
    done: u32,
}

impl Flight {
    /// Takes those sends as done that are this message's.
    fn land(&mut self, done: Done) {
        self.done += (0..self.sends).filter(|&send| done.contains(self.first.wrapping_add(send))).count() as u32;
    }

    const fn is_read(&self) -> bool {
        self.done < self.sends
    }
}

/// The messages of one socket that the kernel may be reading.
#[derive(Default)]
pub struct Flights {
    /// The socket cannot: its messages are copied.
    refused: bool,
    /// The number of the next send.
    next: u32,
    /// The push that is under way.
    current: Option<Flight>,
    /// What was given up.
    behind: VecDeque<Flight>,
}

impl Flights {
    /// Whether the kernel may be reading something.
    pub fn is_busy(&self) -> bool {
        self.current.is_some() || !self.behind.is_empty()
    }

    fn land(&mut self, done: Done) {
        self.current.iter_mut().chain(&mut self.behind).for_each(|flight| flight.land(done));
        self.behind.retain(Flight::is_read);
    }

    /// The push that is under way ends here; what was sent of it is kept as long as it is read.
    pub fn give_up(&mut self) {
        self.behind.extend(self.current.take().filter(Flight::is_read));
    }

    /// Never gives the memory back: the kernel may read it later than anybody could wait.
    pub fn leak(self) {
        let Self { current, behind, .. } = self;
        current.into_iter().chain(behind).filter(Flight::is_read).for_each(|flight| core::mem::forget(flight.message));
    }
}

impl Entry {
    /// Whether this message, or the one that is under way, goes without a copy.
    #[inline]
    pub fn flies(&mut self, message: &Sga, shared: &Shared) -> bool {
        let Some(least) = shared.settings.zero_copy else { return false };
        if self.flights.as_ref().is_some_and(|flights| flights.current.is_some()) {
            return true;
        }
        let tcp = self.socket.kind() == Kind::Stream && self.socket.domain() != Domain::Unix;
        tcp && message.len() >= least && self.can_fly()
    }

    fn can_fly(&mut self) -> bool {
        let socket = &self.socket;
        let flights = self.flights.get_or_insert_with(|| {
            let refused = enable_zero_copy(socket).is_err();
            Box::new(Flights { refused, ..Flights::default() })
        });
        !flights.refused
    }

    /// Sends what is left of the message. Ready once all is sent and the kernel reads none of it any more.
    pub fn fly(&mut self, message: &mut Sga, shared: &mut Shared) -> Poll<Result<()>> {
        let Self { socket, flights: Some(flights), ready, .. } = self else { return Poll::Pending };
        let Flights { next, current, .. } = &mut **flights;
        let flight = current.get_or_insert_with(|| {
            let message = core::mem::take(message);
            Flight { len: message.len(), message, sent: 0, first: *next, sends: 0, done: 0 }
        });
        let ready = &mut ready[Direction::Push as usize];
        while flight.sent < flight.len && *ready {
            let vector = Vector::new(&flight.message, flight.sent);
            let attempt = |flags| {
                retry_on_intr(|| sendmsg(&*socket, vector.slices(), &mut SendAncillaryBuffer::default(), flags))
            };
            shared.counters.system_calls += 1;
            let sent = match attempt(SendFlags::NOSIGNAL | ZERO_COPY) {
                Ok(sent) => {
                    *next = next.wrapping_add(1);
                    flight.sends += 1;
                    Ok(sent)
                }
                // No room to account for it (`net.core.optmem_max`, locked memory): this part is copied.
                Err(Os::NOBUFS) => attempt(SendFlags::NOSIGNAL),
                Err(errno) => Err(errno),
            };
            match sent {
                Ok(sent) => flight.sent += sent,
                Err(Os::AGAIN) => *ready = false,
                Err(errno) => {
                    flights.give_up();
                    return Poll::Ready(Err(self.broken(errno)));
                }
            }
        }
        self.reap(shared);
        let landed = |flight: &mut Flight| flight.sent == flight.len && !flight.is_read();
        match self.flights.as_mut().and_then(|flights| flights.current.take_if(landed)) {
            Some(_) => Poll::Ready(Ok(())),
            None => Poll::Pending,
        }
    }

    /// Hears what the kernel has done with.
    pub fn reap(&mut self, shared: &mut Shared) {
        let Some(flights) = &mut self.flights else { return };
        while flights.is_busy() {
            shared.called();
            match taken(&self.socket) {
                Ok(Some(done)) => flights.land(done),
                Ok(None) | Err(_) => break,
            }
        }
        if flights.current.as_ref().is_some_and(|flight| flight.sent == flight.len && !flight.is_read()) {
            // The push has nothing to send any more: it is complete.
            self.set_ready(Direction::Push, true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flight(first: u32, sends: u32) -> Flight {
        Flight { message: Sga::new(), len: 0, sent: 0, first, sends, done: 0 }
    }

    #[test]
    fn each_flight_hears_of_its_own_sends() {
        let mut flights = Flights { current: Some(flight(1, 2)), ..Flights::default() };
        flights.behind.push_back(flight(u32::MAX, 2));
        flights.land(Done { first: 0, last: 1 });
        assert_eq!((flights.current.as_ref().unwrap().done, flights.behind[0].done), (1, 1));
        flights.land(Done { first: u32::MAX, last: u32::MAX });
        assert!(flights.behind.is_empty() && flights.is_busy());
        flights.give_up();
        assert!(flights.current.is_none() && flights.behind.len() == 1);
        flights.land(Done { first: 2, last: 2 });
        assert!(!flights.is_busy());
    }

    #[test]
    fn what_was_not_sent_is_not_kept() {
        let mut flights = Flights { current: Some(flight(0, 0)), ..Flights::default() };
        flights.give_up();
        assert!(!flights.is_busy());
    }
}
