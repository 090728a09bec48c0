// SPDX-License-Identifier: MIT OR Apache-2.0
//! Margay's stack, twice.

use super::{ENDS, STEP, Streams};
use crate::datagrams::frame::payload;
use crate::hosts::{ADDRESSES, Host};
use network::stack::StreamId;
use runtime::buf::Buf;
use runtime::socket::{Domain, SocketOption};
use runtime::time::Time;
use runtime::{Errno, Error, Result};
use std::hint::black_box;
use std::task::Poll;

const NOT_MET: Error = Error::new(Errno::TIMEDOUT, "the ends do not meet");

/// One end.
struct End {
    host: Host,
    stream: StreamId,
}

/// Two stacks, and a connection between them.
pub struct Margay {
    ends: [End; 2],
    payload: Vec<u8>,
    /// Taken once, and pushed over and over, as one who reads a file into memory does; else each message is copied into a buffer.
    ready: Option<Buf>,
    now: Time,
}

fn end(number: usize, mut host: Host) -> Result<End> {
    let own = &ADDRESSES[number];
    let stream = host.stack.stream_socket(Domain::V4)?;
    host.stack.stream_set_option(stream, SocketOption::NoDelay(true))?;
    host.stack.stream_bind(stream, (own.address, own.port).into())?;
    Ok(End { host, stream })
}

impl End {
    #[inline(never)]
    fn counted_push(&mut self, message: Result<Buf>, now: Time) -> bool {
        let Ok(message) = message else { return false };
        let pushed = self.host.stack.stream_push(self.stream, &mut message.into(), now);
        self.host.send();
        pushed == Poll::Ready(Ok(()))
    }

    #[inline(never)]
    fn counted_take(&mut self, now: Time) -> usize {
        self.host.receive(now);
        let mut bytes = 0;
        while let Some((stream, news)) = self.host.stack.stream_woken() {
            while news.readable
                && let Poll::Ready(Ok(message)) = self.host.stack.stream_pop(stream, None, now)
            {
                bytes += black_box(&message).len();
            }
        }
        self.host.send();
        bytes
    }
}

impl Margay {
    /// For messages of so many bytes, each copied into a buffer when it is pushed.
    ///
    /// # Errors
    /// `ENOMEM`, or what else keeps the ends from meeting.
    pub fn new(size: usize) -> Result<Self> {
        let [one, other] = Host::pair()?;
        let ends = [end(0, one)?, end(1, other)?];
        let mut margay = Self { ends, payload: payload(size), ready: None, now: Time::ZERO };
        let [one, other] = &mut margay.ends;
        other.host.stack.stream_listen(other.stream, 1)?;
        let to = &ADDRESSES[1];
        one.host.stack.stream_connect(one.stream, (to.address, to.port).into(), margay.now)?;
        one.host.send();
        for _ in 0..4 {
            for end in ENDS {
                margay.carry(end);
                margay.take(1 - end);
            }
        }
        let [one, other] = &mut margay.ends;
        let Poll::Ready(Ok(accepted)) = other.host.stack.stream_accept(other.stream, margay.now) else {
            return Err(NOT_MET);
        };
        other.stream = accepted;
        let Poll::Ready(Ok(())) = one.host.stack.stream_connected(one.stream) else { return Err(NOT_MET) };
        Ok(margay)
    }

    /// For messages of so many bytes that lie in a buffer already.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn ready(size: usize) -> Result<Self> {
        let mut margay = Self::new(size)?;
        margay.ready = Some(margay.ends[0].host.pools.alloc_copy(&margay.payload)?);
        Ok(margay)
    }
}

impl Streams for Margay {
    fn push(&mut self, end: usize) -> bool {
        self.now += STEP;
        let now = self.now;
        self.ends.iter_mut().for_each(|end| end.host.look_after(now));
        let Some(end) = self.ends.get_mut(end) else { return false };
        let message = match &self.ready {
            Some(ready) => ready.view(),
            None => end.host.pools.alloc_copy(&self.payload),
        };
        end.counted_push(message, now)
    }

    fn carry(&mut self, from: usize) -> usize {
        let [one, other] = &mut self.ends;
        let (from, to) = if from == 0 { (one, other) } else { (other, one) };
        from.host.carry_to(&mut to.host)
    }

    fn take(&mut self, end: usize) -> usize {
        let now = self.now;
        self.ends.get_mut(end).map_or(0, |end| end.counted_take(now))
    }
}
