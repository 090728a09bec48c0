// SPDX-License-Identifier: MIT OR Apache-2.0
//! Margay's own stack, as its device and its sockets' owner drive it.

use super::frame::{MTU, OURS, PEER, PREFIX, arp_reply, datagram, payload};
use super::{BURST, Datagrams};
use network::ip::Prefix;
use network::keyed::Secret;
use network::stack::{Config, SocketId, Stack};
use network::wire::MacAddress;
use runtime::Result;
use runtime::buf::{Buf, Classes, Pool, Pools, Sga};
use runtime::device::{Caps, Frame};
use runtime::socket::Domain;
use runtime::time::Time;
use std::hint::black_box;
use std::net::SocketAddr;
use std::task::Poll;

/// Blocks of the device's memory.
const FRAMES: u32 = 2 * BURST as u32;
/// The time, which stands still: the neighbour stays known.
const NOW: Time = Time::ZERO;

/// A stack, and one socket.
pub struct Margay {
    pub(super) stack: Stack,
    pub(super) pools: Pools,
    /// The device's memory, in every block of which the frame lies.
    frames: Pool,
    pub(super) socket: SocketId,
    pub(super) frame: Vec<u8>,
    payload: Vec<u8>,
    to: SocketAddr,
}

impl Margay {
    /// For payloads of so many bytes.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn new(size: usize) -> Result<Self> {
        let caps = Caps { mtu: MTU, headroom: 0, checksum: false, segments_tcp: false, segments_udp: false };
        let mut config = Config::new(MacAddress(OURS.mac), caps, Secret([7; 16]));
        config.addresses = vec![Prefix::new(OURS.address.into(), PREFIX)?];
        let pools = Pools::new(&Classes { large_count: 1, ..Classes::default() })?;
        let mut stack = Stack::new(config, pools.clone(), NOW)?;
        let socket = stack.udp_socket(Domain::V4)?;
        stack.bind(socket, (OURS.address, OURS.port).into())?;
        let to = (PEER.address, PEER.port).into();
        let frame = datagram(size);
        let frames = Pool::heap(frame.len() as u32, FRAMES, 0, 0)?;
        // All of them at once, so that it is written to each. Nobody writes to what has come in.
        let written: Result<Vec<Buf>> = (0..FRAMES).map(|_| frames.alloc_copy(&frame)).collect();
        drop(written?);
        let mut margay = Self { stack, pools, frames, socket, frame, payload: payload(size), to };
        margay.meet();
        Ok(margay)
    }

    /// The first datagram asks for the peer's hardware address, and the peer answers.
    fn meet(&mut self) {
        self.push();
        self.stack.poll(NOW);
        while self.stack.transmit().is_some() {}
        self.take_in(&arp_reply());
        self.stack.poll(NOW);
        while self.stack.transmit().is_some() {}
    }

    /// A frame of any kind comes.
    #[inline]
    pub(super) fn take_in(&mut self, frame: &[u8]) {
        if let Ok(data) = self.pools.alloc_copy(frame) {
            self.stack.receive(Frame::from(Sga::from(data)), NOW);
        }
    }

    #[inline]
    pub(super) fn push(&mut self) -> bool {
        let Ok(message) = self.pools.alloc_copy(&self.payload) else { return false };
        self.stack.send(self.socket, &mut message.into(), Some(self.to), NOW) == Poll::Ready(Ok(()))
    }

    /// What is done once for each burst beside.
    #[inline]
    fn look_after(&mut self) {
        if self.stack.next_deadline().is_some_and(|at| at <= NOW) {
            self.stack.poll(NOW);
        }
    }
}

impl Datagrams for Margay {
    fn receive(&mut self) -> usize {
        for _ in 0..BURST {
            if let Ok(data) = self.frames.alloc(self.frame.len()) {
                self.stack.receive(Frame::from(Sga::from(data)), NOW);
            }
        }
        let mut bytes = 0;
        while let Some((socket, _)) = self.stack.woken() {
            while let Poll::Ready(Ok((from, message))) = self.stack.receive_from(socket) {
                black_box((&from, &message));
                bytes += message.len();
            }
        }
        self.look_after();
        bytes
    }

    fn send(&mut self) -> usize {
        for _ in 0..BURST {
            if !self.push() {
                return 0;
            }
        }
        let mut bytes = 0;
        while let Some(frame) = self.stack.transmit() {
            bytes += black_box(&frame).data.len();
        }
        self.look_after();
        bytes
    }
}
