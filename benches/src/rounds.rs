// SPDX-License-Identifier: MIT OR Apache-2.0
//! Round trips in one thread over two devices, each of which gives back what it is given: what one end sends into the first, the other end
//! receives from it, and answers through the second. No wire and no other processor is in it, so that what two stacks take more than bare
//! frames is what the stacks themselves cost on such a device.

use crate::datagrams::frame::{HEADERS, payload};
use crate::hosts::{ADDRESSES, Host};
use crate::streams::STEP;
use network::stack::{SocketId, StreamId};
use runtime::buf::{Buf, Pools, Sga};
use runtime::device::{Burst, Device, Frame};
use runtime::socket::{Domain, SocketOption};
use runtime::time::Time;
use runtime::{Errno, Error, Result};
use std::hint::black_box;
use std::task::Poll;

const NOT_MET: Error = Error::new(Errno::TIMEDOUT, "the ends do not meet");
const LOST: Error = Error::new(Errno::IO, "a message did not come");
/// Turns in which a handshake is done, and more.
const TURNS: usize = 8;

/// What goes there and back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Frames as long as those of datagrams, without a stack.
    Frames,
    /// UDP.
    Datagrams,
    /// TCP.
    Stream,
}

enum Ends {
    Frames(Buf),
    Datagrams([SocketId; 2]),
    Stream([StreamId; 2]),
}

/// Two ends.
pub struct Rounds<D> {
    ends: Ends,
    /// In which each end sends; the other receives there.
    devices: [D; 2],
    hosts: [Host; 2],
    burst: Burst,
    payload: Vec<u8>,
    now: Time,
}

impl<D: Device> Rounds<D> {
    /// For payloads of so many bytes, over devices that `open` gives to the memory of each end.
    ///
    /// # Errors
    /// `ENOMEM`; those of the devices; `ETIMEDOUT` a device gives nothing back.
    pub fn new(what: What, size: usize, mut open: impl FnMut(&Pools) -> Result<D>) -> Result<Self> {
        let mut hosts = Host::pair()?;
        // What is received on a device is its other end's.
        let devices = [open(&hosts[1].pools)?, open(&hosts[0].pools)?];
        let ends = match what {
            What::Frames => Ends::Frames(hosts[0].pools.alloc_copy(&vec![7; HEADERS + size])?),
            What::Datagrams => {
                let mut bound = |end: usize| -> Result<_> {
                    let socket = hosts[end].stack.udp_socket(Domain::V4)?;
                    hosts[end].stack.bind(socket, (ADDRESSES[end].address, ADDRESSES[end].port).into())?;
                    Ok(socket)
                };
                Ends::Datagrams([bound(0)?, bound(1)?])
            }
            What::Stream => {
                let mut bound = |end: usize| -> Result<_> {
                    let stack = &mut hosts[end].stack;
                    let stream = stack.stream_socket(Domain::V4)?;
                    stack.stream_set_option(stream, SocketOption::NoDelay(true))?;
                    stack.stream_bind(stream, (ADDRESSES[end].address, ADDRESSES[end].port).into())?;
                    Ok(stream)
                };
                Ends::Stream([bound(0)?, bound(1)?])
            }
        };
        let mut rounds = Self { ends, devices, hosts, burst: Burst::new(), payload: payload(size), now: Time::ZERO };
        rounds.meet()?;
        Ok(rounds)
    }

    /// A stream is made.
    fn meet(&mut self) -> Result<()> {
        let Ends::Stream([near, far]) = &mut self.ends else { return Ok(()) };
        let [one, other] = &mut self.hosts;
        other.stack.stream_listen(*far, 1)?;
        one.stack.stream_connect(*near, (ADDRESSES[1].address, ADDRESSES[1].port).into(), self.now)?;
        let (near, listening) = (*near, *far);
        for turn in 0..TURNS {
            self.send(turn % 2)?;
            self.take_in(1 - turn % 2)?;
        }
        let [one, other] = &mut self.hosts;
        let Poll::Ready(Ok(far)) = other.stack.stream_accept(listening, self.now) else { return Err(NOT_MET) };
        let Poll::Ready(Ok(())) = one.stack.stream_connected(near) else { return Err(NOT_MET) };
        self.ends = Ends::Stream([near, far]);
        Ok(())
    }

    /// What an end's stack has to send goes into its device.
    #[inline]
    fn send(&mut self, end: usize) -> Result<()> {
        loop {
            while !self.burst.is_full()
                && let Some(frame) = self.hosts[end].stack.transmit()
            {
                // There is room.
                let _ = self.burst.push(frame);
            }
            if self.burst.is_empty() {
                return Ok(());
            }
            self.devices[end].tx(&mut self.burst)?;
        }
    }

    /// An end's stack takes in what has come.
    #[inline]
    fn take_in(&mut self, end: usize) -> Result<()> {
        self.devices[1 - end].rx(&mut self.burst)?;
        while let Some(frame) = self.burst.pop() {
            self.hosts[end].stack.receive(frame, self.now);
        }
        Ok(())
    }

    /// One message from an end to the other, which takes it out. Gives its bytes.
    #[inline]
    fn message(&mut self, from: usize) -> Result<usize> {
        let (now, to) = (self.now, 1 - from);
        self.hosts[from].look_after(now);
        match &self.ends {
            Ends::Frames(frame) => {
                let _ = self.burst.push(Frame::from(Sga::from(frame.view()?)));
                while !self.burst.is_empty() {
                    self.devices[from].tx(&mut self.burst)?;
                }
                self.devices[from].rx(&mut self.burst)?;
                let came = self.burst.pop().ok_or(LOST)?;
                Ok(black_box(&came).data.len().saturating_sub(HEADERS))
            }
            Ends::Datagrams(sockets) => {
                let (sender, receiver) = (sockets[from], sockets[to]);
                let mut message = self.hosts[from].pools.alloc_copy(&self.payload)?.into();
                let address = (ADDRESSES[to].address, ADDRESSES[to].port).into();
                let Poll::Ready(sent) = self.hosts[from].stack.send(sender, &mut message, Some(address), now) else {
                    return Err(LOST);
                };
                sent?;
                self.send(from)?;
                self.take_in(to)?;
                while self.hosts[to].stack.woken().is_some() {}
                let Poll::Ready(came) = self.hosts[to].stack.receive_from(receiver) else { return Err(LOST) };
                Ok(black_box(&came?).1.len())
            }
            Ends::Stream(streams) => {
                let (sender, receiver) = (streams[from], streams[to]);
                let mut message = self.hosts[from].pools.alloc_copy(&self.payload)?.into();
                let Poll::Ready(pushed) = self.hosts[from].stack.stream_push(sender, &mut message, now) else {
                    return Err(LOST);
                };
                pushed?;
                self.send(from)?;
                self.take_in(to)?;
                while self.hosts[to].stack.stream_woken().is_some() {}
                let Poll::Ready(came) = self.hosts[to].stack.stream_pop(receiver, None, now) else { return Err(LOST) };
                Ok(black_box(&came?).len())
            }
        }
    }

    /// A message there, and one back. Gives the bytes of both.
    ///
    /// # Errors
    /// `EIO` one did not come; those of the devices.
    #[inline]
    pub fn round_trip(&mut self) -> Result<usize> {
        self.now += STEP;
        Ok(self.message(0)? + self.message(1)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime::device::{Caps, DeviceCounters};
    use std::collections::VecDeque;

    /// Gives back what it is given.
    struct Mirror(VecDeque<Frame>);

    impl Device for Mirror {
        fn name(&self) -> &'static str {
            "mirror"
        }

        fn address(&self) -> Option<[u8; 6]> {
            None
        }

        fn caps(&self) -> Caps {
            Caps { mtu: 1500, headroom: 0, checksum: false, segments_tcp: false, segments_udp: false }
        }

        fn rx(&mut self, burst: &mut Burst) -> Result<()> {
            while !burst.is_full()
                && let Some(frame) = self.0.pop_front()
            {
                let _ = burst.push(frame);
            }
            Ok(())
        }

        fn tx(&mut self, burst: &mut Burst) -> Result<()> {
            self.0.extend(core::iter::from_fn(|| burst.pop()));
            Ok(())
        }

        fn counters(&self) -> DeviceCounters {
            DeviceCounters::default()
        }
    }

    #[test]
    fn messages_go_there_and_back() {
        for what in [What::Frames, What::Datagrams, What::Stream] {
            for size in [1, 64, 1400] {
                let mut rounds = Rounds::new(what, size, |_| Ok(Mirror(VecDeque::new()))).unwrap();
                for _ in 0..1000 {
                    assert_eq!(rounds.round_trip().unwrap(), 2 * size, "{what:?}");
                }
            }
        }
    }
}
