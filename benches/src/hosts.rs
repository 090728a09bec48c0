// SPDX-License-Identifier: MIT OR Apache-2.0
//! Hosts of Margay's stack whose devices are memory, two of which make a network: the frames of one are copied into the device memory
//! of the other, as a wire does. Neither has an offload, so that each frame is a packet of the link's MTU.

use crate::datagrams::frame::{End, MTU, OURS, PEER, PREFIX};
use network::ip::Prefix;
use network::keyed::Secret;
use network::stack::{Config, Stack};
use network::wire::MacAddress;
use runtime::Result;
use runtime::buf::{Buf, Classes, Pool, Pools, Sga};
use runtime::device::{Caps, Frame};
use runtime::time::Time;

/// Frames that a device has memory for.
const FRAMES: u32 = 1024;
/// Bytes of a frame.
const FRAME: u32 = 14 + MTU as u32;

/// The address of each.
pub const ADDRESSES: [End; 2] = [OURS, PEER];

/// A stack, its memory and its device.
pub struct Host {
    pub stack: Stack,
    pub pools: Pools,
    /// What the device writes what comes into.
    device: Pool,
    sent: Vec<Frame>,
    came: Vec<Buf>,
}

impl Host {
    /// One of the two.
    fn new(number: usize) -> Result<Self> {
        let [ours, theirs] = [number, 1 - number].map(|number| ADDRESSES[number]);
        let caps = Caps { mtu: MTU, headroom: 0, checksum: false, segments_tcp: false, segments_udp: false };
        let mut config = Config::new(MacAddress(ours.mac), caps, Secret([7 + number as u8; 16]));
        config.addresses = vec![Prefix::new(ours.address.into(), PREFIX)?];
        config.neighbours = vec![(theirs.address.into(), MacAddress(theirs.mac))];
        let pools = Pools::new(&Classes { large_count: 16, ..Classes::default() })?;
        let stack = Stack::new(config, pools.clone(), Time::ZERO)?;
        let device = Pool::heap(FRAME, FRAMES, 0, FRAMES)?;
        Ok(Self { stack, pools, device, sent: Vec::new(), came: Vec::new() })
    }

    /// Both, which know each other.
    pub fn pair() -> Result<[Self; 2]> {
        Ok([Self::new(0)?, Self::new(1)?])
    }

    /// What the stack has to send goes onto the wire.
    #[inline]
    pub fn send(&mut self) {
        while let Some(frame) = self.stack.transmit() {
            self.sent.push(frame);
        }
    }

    /// The stack takes in what its device has.
    #[inline]
    pub fn receive(&mut self, now: Time) {
        self.stack.receive_burst(self.came.drain(..).map(|data| Frame::from(Sga::from(data))), now);
    }

    /// Does what time asks for.
    #[inline]
    pub fn look_after(&mut self, now: Time) {
        if self.stack.next_deadline().is_some_and(|at| at <= now) {
            self.stack.poll(now);
            self.send();
        }
    }

    /// What this one has put onto the wire comes to the other's device. Gives how many bytes came.
    #[inline]
    pub fn carry_to(&mut self, other: &mut Self) -> usize {
        let mut bytes = 0;
        for frame in self.sent.drain(..) {
            let len = frame.data.len();
            let data = other.device.alloc_filled(len, |room| {
                frame.data.copy_to_slice(room);
            });
            if let Ok(data) = data {
                other.came.push(data);
                bytes += len;
            }
        }
        bytes
    }
}

/// All that two hosts have to say to each other, until both are silent.
pub fn exchange(hosts: &mut [Host; 2], now: Time) {
    let [one, other] = hosts;
    one.send();
    other.send();
    while one.carry_to(other) + other.carry_to(one) > 0 {
        for host in [&mut *one, &mut *other] {
            host.receive(now);
            host.send();
        }
    }
}
