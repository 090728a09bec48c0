// SPDX-License-Identifier: MIT OR Apache-2.0
//! smoltcp, twice, on devices that keep what they are given until it is carried.

use super::{ENDS, STEP, Streams};
use crate::datagrams::frame::{MTU, OURS, PEER, PREFIX, payload};
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{self, DeviceCapabilities, Medium};
use smoltcp::socket::tcp::{Socket, SocketBuffer};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpAddress, IpCidr};
use std::hint::black_box;

/// Frames that a wire has memory for.
const FRAMES: usize = 1024;
/// Bytes of an Ethernet header, which its MTU includes.
const ETHERNET: usize = 14;
const FRAME: usize = ETHERNET + MTU as usize;
/// What either buffer of a socket holds.
const BUFFER: usize = 256 << 10;

/// Frames one behind the other.
struct Wire {
    slots: Vec<([u8; FRAME], usize)>,
    first: usize,
    len: usize,
}

impl Wire {
    fn new() -> Self {
        Self { slots: vec![([0; FRAME], 0); FRAMES], first: 0, len: 0 }
    }

    /// All frames go to another one, each with one copy. Gives their bytes.
    fn copy_to(&mut self, other: &mut Wire) -> usize {
        let mut bytes = 0;
        for ((from, len), (to, to_len)) in self.slots.iter().zip(&mut other.slots).take(self.len) {
            to[..*len].copy_from_slice(&from[..*len]);
            *to_len = *len;
            bytes += len;
        }
        (other.first, other.len) = (0, self.len);
        (self.first, self.len) = (0, 0);
        bytes
    }
}

/// A device that is memory.
struct Memory {
    incoming: Wire,
    outgoing: Wire,
}

struct Rx<'a>(&'a [u8]);

struct Tx<'a>(&'a mut Wire);

impl phy::RxToken for Rx<'_> {
    #[inline]
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, take: F) -> R {
        take(self.0)
    }
}

impl phy::TxToken for Tx<'_> {
    #[inline]
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, fill: F) -> R {
        // No frame is longer than the MTU allows, and no wire is full: the window is shorter.
        let (slot, length) = &mut self.0.slots[self.0.len];
        *length = len;
        self.0.len += 1;
        fill(&mut slot[..len])
    }
}

impl phy::Device for Memory {
    type RxToken<'a> = Rx<'a>;
    type TxToken<'a> = Tx<'a>;

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = FRAME;
        capabilities
    }

    #[inline]
    fn receive(&mut self, now: Instant) -> Option<(Rx<'_>, Tx<'_>)> {
        let _ = now;
        let Self { incoming, outgoing } = self;
        if incoming.first == incoming.len {
            return None;
        }
        let (frame, len) = incoming.slots.get(incoming.first)?;
        incoming.first += 1;
        Some((Rx(frame.get(..*len)?), Tx(outgoing)))
    }

    #[inline]
    fn transmit(&mut self, now: Instant) -> Option<Tx<'_>> {
        let _ = now;
        (self.outgoing.len < FRAMES).then_some(Tx(&mut self.outgoing))
    }
}

/// One end: an interface and a socket.
struct End {
    device: Memory,
    interface: Interface,
    sockets: SocketSet<'static>,
    socket: SocketHandle,
}

/// Two interfaces, and a connection between them.
pub struct Smoltcp {
    ends: [End; 2],
    payload: Vec<u8>,
    now: Instant,
}

/// Timestamps cost the same whatever they say.
fn clock() -> u32 {
    1
}

fn end(number: usize) -> End {
    let ours = if number == 0 { OURS } else { PEER };
    let mut device = Memory { incoming: Wire::new(), outgoing: Wire::new() };
    let mac = HardwareAddress::Ethernet(EthernetAddress(ours.mac));
    let mut interface = Interface::new(Config::new(mac), &mut device, Instant::ZERO);
    interface.update_ip_addrs(|addresses| {
        // There is room for one.
        let _ = addresses.push(IpCidr::new(IpAddress::Ipv4(ours.address), PREFIX));
    });
    let mut socket = Socket::new(SocketBuffer::new(vec![0; BUFFER]), SocketBuffer::new(vec![0; BUFFER]));
    socket.set_nagle_enabled(false);
    socket.set_tsval_generator(Some(clock));
    let mut sockets = SocketSet::new(Vec::new());
    let socket = sockets.add(socket);
    End { device, interface, sockets, socket }
}

impl End {
    #[inline(never)]
    fn counted_push(&mut self, payload: &[u8], now: Instant) -> bool {
        let pushed = self.sockets.get_mut::<Socket<'_>>(self.socket).send_slice(payload);
        self.interface.poll_egress(now, &mut self.device, &mut self.sockets);
        pushed == Ok(payload.len())
    }

    #[inline(never)]
    fn counted_take(&mut self, now: Instant) -> usize {
        while self.device.incoming.first < self.device.incoming.len {
            self.interface.poll_ingress_single(now, &mut self.device, &mut self.sockets);
        }
        let socket = self.sockets.get_mut::<Socket<'_>>(self.socket);
        let mut bytes = 0;
        while socket.can_recv()
            && let Ok(len) = socket.recv(|data| (data.len(), black_box(data).len()))
        {
            bytes += len;
        }
        self.interface.poll_egress(now, &mut self.device, &mut self.sockets);
        bytes
    }
}

impl Smoltcp {
    /// For messages of so many bytes. `None`: the ends do not meet.
    #[must_use]
    pub fn new(size: usize) -> Option<Self> {
        let mut smoltcp = Self { ends: [end(0), end(1)], payload: payload(size), now: Instant::ZERO };
        let [one, other] = &mut smoltcp.ends;
        other.sockets.get_mut::<Socket<'_>>(other.socket).listen(PEER.port).ok()?;
        let to = (IpAddress::Ipv4(PEER.address), PEER.port);
        let socket = one.sockets.get_mut::<Socket<'_>>(one.socket);
        socket.connect(one.interface.context(), to, OURS.port).ok()?;
        for _ in 0..8 {
            // Whom it does not know it asks for once a second.
            smoltcp.now += smoltcp::time::Duration::from_secs(1);
            for end in ENDS {
                smoltcp.take(end);
                smoltcp.carry(end);
            }
        }
        let socket = |end: &End| end.sockets.get::<Socket<'_>>(end.socket).may_send();
        smoltcp.ends.iter().all(socket).then_some(smoltcp)
    }
}

impl Streams for Smoltcp {
    fn push(&mut self, end: usize) -> bool {
        self.now += STEP.into();
        let now = self.now;
        self.ends.get_mut(end).is_some_and(|end| end.counted_push(&self.payload, now))
    }

    fn carry(&mut self, from: usize) -> usize {
        let [one, other] = &mut self.ends;
        let (from, to) = if from == 0 { (one, other) } else { (other, one) };
        from.device.outgoing.copy_to(&mut to.device.incoming)
    }

    fn take(&mut self, end: usize) -> usize {
        let now = self.now;
        self.ends.get_mut(end).map_or(0, |end| end.counted_take(now))
    }
}
