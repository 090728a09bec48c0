// SPDX-License-Identifier: MIT OR Apache-2.0
//! Margay's stack, twice.

use super::{ENDS, STEP, Streams};
use crate::datagrams::frame::{MTU, OURS, PEER, PREFIX, payload};
use network::ip::Prefix;
use network::keyed::Secret;
use network::stack::{Config, Stack, StreamId};
use network::wire::MacAddress;
use runtime::buf::{Buf, Classes, Pool, Pools, Sga};
use runtime::device::{Caps, Frame};
use runtime::socket::{Domain, SocketOption};
use runtime::time::Time;
use runtime::{Errno, Error, Result};
use std::hint::black_box;
use std::task::Poll;

/// Frames that a device has memory for.
const FRAMES: u32 = 1024;
/// Bytes of a frame.
const FRAME: u32 = 14 + MTU as u32;
const NOT_MET: Error = Error::new(Errno::TIMEDOUT, "the ends do not meet");

/// One end: its stack, its memory and its device.
struct End {
    stack: Stack,
    pools: Pools,
    stream: StreamId,
    /// What the device writes what comes into.
    device: Pool,
    sent: Vec<Frame>,
    came: Vec<Buf>,
}

/// Two stacks, and a connection between them.
pub struct Margay {
    ends: [End; 2],
    payload: Vec<u8>,
    /// Taken once, and pushed over and over, as one who reads a file into memory does; else each message is copied into a buffer.
    ready: Option<Buf>,
    now: Time,
}

fn end(number: usize) -> Result<End> {
    let (ours, theirs) = if number == 0 { (OURS, PEER) } else { (PEER, OURS) };
    let caps = Caps { mtu: MTU, headroom: 0, checksum: false, segments_tcp: false, segments_udp: false };
    let mut config = Config::new(MacAddress(ours.mac), caps, Secret([7 + number as u8; 16]));
    config.addresses = vec![Prefix::new(ours.address.into(), PREFIX)?];
    config.neighbours = vec![(theirs.address.into(), MacAddress(theirs.mac))];
    let pools = Pools::new(&Classes { large_count: 16, ..Classes::default() })?;
    let mut stack = Stack::new(config, pools.clone(), Time::ZERO)?;
    let stream = stack.stream_socket(Domain::V4)?;
    stack.stream_set_option(stream, SocketOption::NoDelay(true))?;
    stack.stream_bind(stream, (ours.address, ours.port).into())?;
    let device = Pool::heap(FRAME, FRAMES, 0, FRAMES)?;
    Ok(End { stack, pools, stream, device, sent: Vec::new(), came: Vec::new() })
}

impl End {
    #[inline(never)]
    fn counted_push(&mut self, message: Result<Buf>, now: Time) -> bool {
        let Ok(message) = message else { return false };
        let pushed = self.stack.stream_push(self.stream, &mut message.into(), now);
        self.send();
        pushed == Poll::Ready(Ok(()))
    }

    #[inline(never)]
    fn counted_take(&mut self, now: Time) -> usize {
        for data in self.came.drain(..) {
            self.stack.receive(Frame::from(Sga::from(data)), now);
        }
        let mut bytes = 0;
        while let Some((stream, news)) = self.stack.stream_woken() {
            while news.readable
                && let Poll::Ready(Ok(message)) = self.stack.stream_pop(stream, None, now)
            {
                bytes += black_box(&message).len();
            }
        }
        self.send();
        bytes
    }

    /// What the stack has to send goes onto the wire.
    #[inline(always)]
    fn send(&mut self) {
        while let Some(frame) = self.stack.transmit() {
            self.sent.push(frame);
        }
    }

    fn look_after(&mut self, now: Time) {
        if self.stack.next_deadline().is_some_and(|at| at <= now) {
            self.stack.poll(now);
            self.send();
        }
    }
}

impl Margay {
    /// For messages of so many bytes, each copied into a buffer when it is pushed.
    ///
    /// # Errors
    /// `ENOMEM`, or what else keeps the ends from meeting.
    pub fn new(size: usize) -> Result<Self> {
        let mut margay = Self { ends: [end(0)?, end(1)?], payload: payload(size), ready: None, now: Time::ZERO };
        let [one, other] = &mut margay.ends;
        other.stack.stream_listen(other.stream, 1)?;
        one.stack.stream_connect(one.stream, (PEER.address, PEER.port).into(), margay.now)?;
        one.send();
        for _ in 0..4 {
            for end in ENDS {
                margay.carry(end);
                margay.take(1 - end);
            }
        }
        let [one, other] = &mut margay.ends;
        let Poll::Ready(Ok(accepted)) = other.stack.stream_accept(other.stream, margay.now) else {
            return Err(NOT_MET);
        };
        other.stream = accepted;
        let Poll::Ready(Ok(())) = one.stack.stream_connected(one.stream) else { return Err(NOT_MET) };
        Ok(margay)
    }

    /// For messages of so many bytes that lie in a buffer already.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn ready(size: usize) -> Result<Self> {
        let mut margay = Self::new(size)?;
        margay.ready = Some(margay.ends[0].pools.alloc_copy(&margay.payload)?);
        Ok(margay)
    }
}

impl Streams for Margay {
    fn push(&mut self, end: usize) -> bool {
        self.now += STEP;
        let now = self.now;
        self.ends.iter_mut().for_each(|end| end.look_after(now));
        let Some(end) = self.ends.get_mut(end) else { return false };
        let message = match &self.ready {
            Some(ready) => ready.view(),
            None => end.pools.alloc_copy(&self.payload),
        };
        end.counted_push(message, now)
    }

    fn carry(&mut self, from: usize) -> usize {
        let [one, other] = &mut self.ends;
        let (from, to) = if from == 0 { (one, other) } else { (other, one) };
        let mut bytes = 0;
        for frame in from.sent.drain(..) {
            let len = frame.data.len();
            let data = to.device.alloc_filled(len, |room| {
                frame.data.copy_to_slice(room);
            });
            if let Ok(data) = data {
                to.came.push(data);
                bytes += len;
            }
        }
        bytes
    }

    fn take(&mut self, end: usize) -> usize {
        let now = self.now;
        self.ends.get_mut(end).map_or(0, |end| end.counted_take(now))
    }
}
