// SPDX-License-Identifier: MIT OR Apache-2.0
//! smoltcp, the stack that a Rust program would take instead.

use super::frame::{MTU, OURS, PEER, PREFIX, arp_reply, datagram, payload};
use super::{BURST, Datagrams, frame_len};
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{self, DeviceCapabilities, Medium};
use smoltcp::socket::udp::{BindError, PacketBuffer, PacketMetadata, Socket};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpAddress, IpCidr, IpEndpoint};
use std::hint::black_box;

/// The time, which stands still: the neighbour stays known.
const NOW: Instant = Instant::ZERO;
/// Bytes of an Ethernet header, which its MTU includes.
const ETHERNET: usize = 14;

/// A device that is memory.
pub(super) struct Memory {
    /// What comes in.
    pub frame: Vec<u8>,
    /// How often it still comes.
    pub left: usize,
    /// Where the stack puts what goes out.
    pub outgoing: Vec<u8>,
    /// Bytes of the last frame that went out, and of all.
    pub last: usize,
    pub sent: usize,
}

pub(super) struct Rx<'a>(&'a [u8]);

pub(super) struct Tx<'a> {
    outgoing: &'a mut [u8],
    last: &'a mut usize,
    sent: &'a mut usize,
}

impl phy::RxToken for Rx<'_> {
    #[inline]
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, take: F) -> R {
        take(self.0)
    }
}

impl phy::TxToken for Tx<'_> {
    #[inline]
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, fill: F) -> R {
        // No frame is longer than the MTU allows.
        let room = &mut self.outgoing[..len];
        let result = fill(room);
        black_box(room);
        *self.last = len;
        *self.sent += len;
        result
    }
}

impl phy::Device for Memory {
    type RxToken<'a> = Rx<'a>;
    type TxToken<'a> = Tx<'a>;

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = ETHERNET + usize::from(MTU);
        capabilities
    }

    #[inline]
    fn receive(&mut self, now: Instant) -> Option<(Rx<'_>, Tx<'_>)> {
        let _ = now;
        self.left = self.left.checked_sub(1)?;
        let Self { frame, outgoing, last, sent, .. } = self;
        Some((Rx(black_box(&**frame)), Tx { outgoing, last, sent }))
    }

    #[inline]
    fn transmit(&mut self, now: Instant) -> Option<Tx<'_>> {
        let _ = now;
        let Self { outgoing, last, sent, .. } = self;
        Some(Tx { outgoing, last, sent })
    }
}

/// An interface, and one socket.
pub struct Smoltcp {
    pub(super) device: Memory,
    pub(super) interface: Interface,
    pub(super) sockets: SocketSet<'static>,
    pub(super) socket: SocketHandle,
    payload: Vec<u8>,
    to: IpEndpoint,
}

impl Smoltcp {
    /// For payloads of so many bytes.
    ///
    /// # Errors
    /// The socket cannot be bound.
    pub fn new(size: usize) -> Result<Self, BindError> {
        let room = frame_len(usize::from(MTU));
        let mut device = Memory { frame: arp_reply(), left: 0, outgoing: vec![0; room], last: 0, sent: 0 };
        let mac = HardwareAddress::Ethernet(EthernetAddress(OURS.mac));
        let mut interface = Interface::new(Config::new(mac), &mut device, NOW);
        interface.update_ip_addrs(|addresses| {
            // There is room for one.
            let _ = addresses.push(IpCidr::new(IpAddress::Ipv4(OURS.address), PREFIX));
        });
        let buffer = || PacketBuffer::new(vec![PacketMetadata::EMPTY; 2 * BURST], vec![0; 2 * BURST * size.max(1)]);
        let mut socket = Socket::new(buffer(), buffer());
        socket.bind(OURS.port)?;
        let mut sockets = SocketSet::new(Vec::new());
        let socket = sockets.add(socket);
        let to = IpEndpoint::new(IpAddress::Ipv4(PEER.address), PEER.port);
        let mut smoltcp = Self { device, interface, sockets, socket, payload: payload(size), to };
        // It takes in an answer that it has not asked for.
        smoltcp.take_in(1);
        smoltcp.device.frame = datagram(size);
        Ok(smoltcp)
    }

    /// The frame comes so often.
    #[inline]
    pub(super) fn take_in(&mut self, times: usize) {
        self.device.left = times;
        for _ in 0..times {
            self.interface.poll_ingress_single(NOW, &mut self.device, &mut self.sockets);
        }
    }
}

impl Datagrams for Smoltcp {
    fn receive(&mut self) -> usize {
        self.take_in(BURST);
        let socket = self.sockets.get_mut::<Socket<'_>>(self.socket);
        let mut bytes = 0;
        while let Ok((message, from)) = socket.recv() {
            black_box((&from, message));
            bytes += message.len();
        }
        bytes
    }

    fn send(&mut self) -> usize {
        let socket = self.sockets.get_mut::<Socket<'_>>(self.socket);
        for _ in 0..BURST {
            if socket.send_slice(&self.payload, self.to).is_err() {
                return 0;
            }
        }
        let before = self.device.sent;
        for _ in 0..BURST {
            self.interface.poll_egress(NOW, &mut self.device, &mut self.sockets);
        }
        self.device.sent - before
    }
}
