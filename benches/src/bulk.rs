// SPDX-License-Identifier: MIT OR Apache-2.0
//! Many bytes over one TCP connection between two of Margay's stacks, with memory for a wire and no offload, and the least that has to
//! be done to them: they are copied once, and summed at either end.

use crate::datagrams::frame::payload;
use crate::hosts::{ADDRESSES, Host, exchange};
use network::stack::StreamId;
use network::wire::checksum::sum;
use runtime::buf::Buf;
use runtime::socket::{Domain, SocketOption};
use runtime::time::Time;
use runtime::{Errno, Error, Result};
use std::hint::black_box;
use std::task::Poll;
use std::time::Duration;

/// Bytes that are pushed at once.
pub const MESSAGE: usize = 64 << 10;
/// Payload bytes of a segment: of an MSS of 1,460, what timestamps leave.
pub const SEGMENT: usize = 1448;
/// How far the clock goes on with each message.
const STEP: Duration = Duration::from_micros(10);
const NOT_MET: Error = Error::new(Errno::TIMEDOUT, "the ends do not meet");

/// Two ends of a connection.
pub struct Bulk {
    hosts: [Host; 2],
    ends: [StreamId; 2],
    message: Buf,
    now: Time,
}

impl Bulk {
    /// An established connection, whose windows are still those of its beginning.
    ///
    /// # Errors
    /// `ENOMEM`, or what else keeps the ends from meeting.
    pub fn new() -> Result<Self> {
        let mut hosts = Host::pair()?;
        let to = (ADDRESSES[1].address, ADDRESSES[1].port).into();
        let [client, server] = &mut hosts;
        let listener = server.stack.stream_socket(Domain::V4)?;
        server.stack.stream_bind(listener, to)?;
        server.stack.stream_listen(listener, 1)?;
        let id = client.stack.stream_socket(Domain::V4)?;
        client.stack.stream_set_option(id, SocketOption::NoDelay(true))?;
        client.stack.stream_connect(id, to, Time::ZERO)?;
        exchange(&mut hosts, Time::ZERO);
        let [client, server] = &mut hosts;
        let Poll::Ready(Ok(())) = client.stack.stream_connected(id) else { return Err(NOT_MET) };
        let Poll::Ready(Ok(accepted)) = server.stack.stream_accept(listener, Time::ZERO) else { return Err(NOT_MET) };
        let message = client.pools.alloc_copy(&payload(MESSAGE))?;
        Ok(Self { hosts, ends: [id, accepted], message, now: Time::ZERO })
    }

    /// One message, out of memory that lies ready, and all that the ends then have to say to each other. Gives the bytes that the
    /// server's application has taken out; nothing if the message was not taken.
    pub fn message(&mut self) -> usize {
        self.now += STEP;
        let now = self.now;
        self.hosts.iter_mut().for_each(|host| host.look_after(now));
        let [client, server] = &mut self.hosts;
        let Ok(view) = self.message.view() else { return 0 };
        if client.stack.stream_push(self.ends[0], &mut view.into(), now) != Poll::Ready(Ok(())) {
            return 0;
        }
        let mut bytes = 0;
        client.send();
        while client.carry_to(server) > 0 {
            server.receive(now);
            while let Poll::Ready(Ok(message)) = server.stack.stream_pop(self.ends[1], None, now)
                && !message.is_empty()
            {
                bytes += black_box(&message).len();
            }
            server.send();
            server.carry_to(client);
            client.receive(now);
            client.send();
        }
        for host in &mut self.hosts {
            while host.stack.stream_woken().is_some() {}
        }
        bytes
    }
}

/// The least that has to be done.
pub struct Copied {
    message: Vec<u8>,
    slots: Vec<[u8; SEGMENT]>,
    ends: bool,
}

impl Copied {
    /// Summed at both ends, or once.
    #[must_use]
    pub fn new(ends: bool) -> Self {
        Self { message: payload(MESSAGE), slots: vec![[0; SEGMENT]; MESSAGE.div_ceil(SEGMENT)], ends }
    }

    /// One message, segment by segment. Gives its bytes.
    pub fn message(&mut self) -> usize {
        let mut bytes = 0;
        for (segment, slot) in black_box(&*self.message).chunks(SEGMENT).zip(&mut self.slots) {
            let Some(slot) = slot.get_mut(..segment.len()) else { continue };
            black_box(sum(segment).finish());
            slot.copy_from_slice(segment);
            let slot = black_box(slot);
            if self.ends {
                black_box(sum(slot).finish());
            }
            bytes += slot.len();
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_arrives() {
        let mut bulk = Bulk::new().expect("they meet");
        let (messages, mut bytes) = (500, 0);
        for _ in 0..messages {
            bytes += bulk.message();
        }
        assert_eq!(bytes, messages * MESSAGE);
        for ends in [true, false] {
            let mut copied = Copied::new(ends);
            assert_eq!(copied.message(), MESSAGE);
            assert_eq!(copied.slots.concat()[..MESSAGE], copied.message[..]);
        }
    }
}
