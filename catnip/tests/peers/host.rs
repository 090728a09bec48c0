// SPDX-License-Identifier: MIT OR Apache-2.0
//! Our host: a stack over a device, driven as its owner does. Its clock can jump ahead, so that what takes a stack minutes takes a test
//! none.

use catnip::device::xdp;
use catnip::{Nic, Settings, SocketId, Wire};
use core::net::{IpAddr, SocketAddr};
use core::task::Poll;
use core::time::Duration;
use network::counters::{Counters, Reason};
use network::link::neighbours::State;
use network::stack::EchoReply;
use runtime::buf::{Classes, Pools, Sga};
use runtime::reactor::{Events, Interest, Reactor};
use runtime::socket::Domain;
use runtime::time::Time;
use runtime::{Errno, Result};
use std::net::UdpSocket;
use std::rc::Rc;

use crate::space::{Program, Space, ip};

/// One round's longest sleep, and how long it takes before a test gives up.
const NAP: Duration = Duration::from_micros(500);
const PATIENCE: Duration = Duration::from_secs(20);

/// What is between our host and its peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// A `veth(4)` whose one end we have by packet sockets.
    Packet,
    /// A TAP device.
    Tap,
    /// A `veth(4)` whose one end we have by XDP sockets. What the kernel sends is finished, as on a wire: nothing tells us what is not.
    Xdp,
}

impl Link {
    /// Our interface on the link, whose other end is `theirs`; a TAP device has one end only.
    pub const fn interface(self) -> &'static str {
        if matches!(self, Self::Tap) { "theirs" } else { "ours" }
    }
}

pub const OUR_V4: &str = "10.9.0.2";
pub const OUR_V6: &str = "fd09::2";
pub const THEIR_V4: &str = "10.9.0.1";
pub const THEIR_V6: &str = "fd09::1";
/// Each family's addresses: ours, and the peer's.
pub const BOTH: [(&str, &str); 2] = [(OUR_V4, THEIR_V4), (OUR_V6, THEIR_V6)];

/// Our host.
pub struct Host {
    pub nic: Nic,
    pub pools: Pools,
    reactor: Rc<Reactor>,
    events: Events,
    /// How far its clock is ahead.
    ahead: Duration,
    /// What else is done in each round.
    meanwhile: Option<Box<dyn FnMut()>>,
}

/// An address with a port.
pub fn at(address: &str, port: u16) -> SocketAddr {
    SocketAddr::new(address.parse().expect("an address"), port)
}

/// Bytes that tell where they are.
pub fn bytes(len: usize, number: usize) -> Vec<u8> {
    (0..len).map(|at| ((at + number * 7) % 251) as u8).collect()
}

/// Our usual settings on a link, whose interface has this name.
pub fn settings(link: Link, interface: &str) -> Settings {
    let interface = interface.to_owned();
    let mut settings = Settings::new(match link {
        Link::Packet => Wire::Packet { interface, receive: 1024, transmit: 256, promiscuous: false },
        Link::Tap => Wire::Tap { interface, checksum: true, segmentation: true },
        Link::Xdp => Wire::Xdp { interface, settings: xdp::Settings::DEFAULT },
    });
    settings.addresses =
        [OUR_V4.to_owned() + "/24", OUR_V6.to_owned() + "/64"].map(|text| text.parse().unwrap()).into();
    settings
}

/// A `veth(4)` from us to this host of the kernel.
pub fn veth(peer: &Space) {
    ip(&format!("link add ours type veth peer name theirs netns {}\nlink set ours up\n", peer.path()));
    peer.ip("link set theirs up\n");
}

impl Host {
    /// On a link to this host of the kernel, which has the interface `theirs`, up and without addresses.
    pub fn beside(link: Link, peer: &Space, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = settings(link, link.interface());
        change(&mut settings);
        if link != Link::Tap {
            veth(peer);
            if link == Link::Xdp {
                peer.output("ethtool", &["-K", "theirs", "tx", "off", "tso", "off", "gso", "off", "gro", "off"]);
            }
            return Self::new(&settings);
        }
        let host = Self::new(&settings);
        ip(&format!("link set theirs netns {}\n", peer.path()));
        peer.ip("link set theirs up\n");
        host
    }

    /// On a link to this host of the kernel, which has its usual addresses.
    pub fn with(link: Link, peer: &Space, change: impl FnOnce(&mut Settings)) -> Self {
        let host = Self::beside(link, peer, change);
        peer.ip(&format!("addr add {THEIR_V4}/24 dev theirs\naddr add {THEIR_V6}/64 dev theirs nodad\n"));
        host
    }

    /// With these settings.
    pub fn new(settings: &Settings) -> Self {
        let reactor = Reactor::new().unwrap();
        reactor.refresh_clock();
        let pools = Pools::new(&Classes { small_count: 2048, large_count: 256, ..Classes::default() }).unwrap();
        let nic = Nic::open(settings, &pools, reactor.now()).unwrap();
        reactor.watch(nic.descriptor().expect("the kernel's devices have one"), Interest::READABLE, 0).unwrap();
        Self { nic, pools, reactor, events: Events::new(), ahead: Duration::ZERO, meanwhile: None }
    }

    /// Does this in each round, too.
    pub fn meanwhile(&mut self, act: impl FnMut() + 'static) {
        self.meanwhile = Some(Box::new(act));
    }

    pub fn now(&self) -> Time {
        self.reactor.now() + self.ahead
    }

    /// Lets so much time pass for our host alone, and does what is due then.
    pub fn skip(&mut self, time: Duration) {
        self.ahead += time;
        self.turn();
    }

    /// A turn; true: there may be more.
    pub fn turn(&mut self) -> bool {
        self.reactor.refresh_clock();
        let now = self.now();
        let more = self.nic.turn(now);
        if let Some(meanwhile) = &mut self.meanwhile {
            meanwhile();
        }
        more
    }

    fn round(&mut self) {
        if !self.turn() && !self.nic.has_news() {
            let now = self.now();
            let nap = self.nic.next_deadline().map_or(NAP, |at| at.saturating_since(now).min(NAP));
            self.reactor.collect(Some(nap), &mut self.events).unwrap();
        }
    }

    /// Works until there is something.
    #[track_caller]
    pub fn until<T>(&mut self, what: &str, look: impl FnMut(&mut Self) -> Option<T>) -> T {
        self.until_within(PATIENCE, what, look)
    }

    /// The same, with a time of its own.
    #[track_caller]
    pub fn until_within<T>(
        &mut self,
        patience: Duration,
        what: &str,
        mut look: impl FnMut(&mut Self) -> Option<T>,
    ) -> T {
        let end = self.reactor.now() + patience;
        while self.reactor.now() < end {
            if let Some(found) = look(self) {
                return found;
            }
            self.round();
        }
        panic!("{what}: it did not come true; {:?}", self.drops());
    }

    /// Works until a program has ended well, and gives what it said.
    #[track_caller]
    pub fn until_done(&mut self, program: Program) -> String {
        let (well, said) = self.until_ended(program);
        assert!(well, "{said}");
        said
    }

    /// Works until a program has ended: whether well, and what it said.
    #[track_caller]
    pub fn until_ended(&mut self, mut program: Program) -> (bool, String) {
        let status = self.until("the program's end", |_| program.ended());
        (status.success(), program.said())
    }

    /// Works for about so long.
    pub fn work(&mut self, time: Duration) {
        let end = self.now() + time;
        while self.now() < end {
            self.round();
        }
    }

    pub fn socket(&mut self, address: &str) -> SocketId {
        self.nic.stack.udp_socket(Domain::of(&at(address, 0))).unwrap()
    }

    /// A socket at this address of ours, and its port.
    pub fn bound(&mut self, address: &str) -> (SocketId, SocketAddr) {
        let id = self.socket(address);
        self.nic.stack.bind(id, at(address, 0)).unwrap();
        (id, self.nic.stack.local(id).unwrap())
    }

    /// Sends a datagram; waits for room.
    pub fn send(&mut self, id: SocketId, bytes: &[u8], to: SocketAddr) -> Result<()> {
        let mut message = self.message(bytes);
        self.until("room to send", |host| {
            let now = host.now();
            let sent = match host.nic.stack.send(id, &mut message, Some(to), now) {
                Poll::Ready(sent) => Some(sent),
                Poll::Pending => None,
            };
            host.nic.flush(now);
            sent
        })
    }

    fn message(&self, bytes: &[u8]) -> Sga {
        if bytes.is_empty() { Sga::new() } else { self.pools.alloc_copy(bytes).unwrap().into() }
    }

    /// What has come to a socket, or gone wrong with it.
    pub fn look(&mut self, id: SocketId) -> Option<core::result::Result<(SocketAddr, Vec<u8>), Errno>> {
        match self.nic.stack.receive_from(id) {
            Poll::Ready(Ok((from, data))) => Some(Ok((from, data.to_vec()))),
            Poll::Ready(Err(error)) => Some(Err(error.errno())),
            Poll::Pending => None,
        }
    }

    /// The next datagram of a socket.
    #[track_caller]
    pub fn receive(&mut self, id: SocketId) -> (SocketAddr, Vec<u8>) {
        self.until("a datagram", |host| host.look(id)).unwrap()
    }

    /// What goes wrong with a socket next.
    #[track_caller]
    pub fn error(&mut self, id: SocketId) -> Errno {
        self.until("an error", |host| host.look(id)).unwrap_err()
    }

    /// The next datagram of a socket of the kernel.
    #[track_caller]
    pub fn heard(&mut self, socket: &UdpSocket) -> (SocketAddr, Vec<u8>) {
        let mut bytes = vec![0; 1 << 16];
        let (len, from) = self.until("a datagram at the peer", |_| socket.recv_from(&mut bytes).ok());
        bytes.truncate(len);
        (from, bytes)
    }

    /// Nothing comes to a socket of the kernel within some milliseconds.
    #[track_caller]
    pub fn unheard(&mut self, socket: &UdpSocket) {
        self.work(Duration::from_millis(30));
        assert_eq!(socket.recv(&mut [0; 10]).map_err(|error| error.kind()), Err(std::io::ErrorKind::WouldBlock));
    }

    /// A datagram from us to a socket of the kernel, and its answer.
    #[track_caller]
    pub fn there_and_back(&mut self, id: SocketId, sent: &[u8], socket: &UdpSocket, to: SocketAddr) {
        self.send(id, sent, to).unwrap();
        let (from, came) = self.heard(socket);
        assert!(came == sent, "{} bytes of {} came to the peer", came.len(), sent.len());
        socket.send_to(sent, from).unwrap();
        let (from, came) = self.receive(id);
        assert!(came == sent && from == to, "{} bytes of {} came back from {from}", came.len(), sent.len());
    }

    /// Asks by an echo request.
    #[track_caller]
    pub fn asks(&mut self, id: SocketId, to: IpAddr, sequence: u16, payload: &[u8]) -> Result<()> {
        let mut message = self.message(payload);
        let now = self.now();
        match self.nic.stack.echo_send(id, to, sequence, &mut message, now) {
            Poll::Ready(sent) => sent?,
            Poll::Pending => panic!("no room for a single request"),
        }
        self.nic.flush(now);
        Ok(())
    }

    /// The next answer to an echo request, or what is wrong, once there is one.
    pub fn answer(&mut self, id: SocketId) -> Option<Result<EchoReply>> {
        match self.nic.stack.echo_receive(id) {
            Poll::Ready(heard) => Some(heard),
            Poll::Pending => None,
        }
    }

    /// Asks by an echo request, and gives the answer.
    #[track_caller]
    pub fn ping(&mut self, id: SocketId, to: IpAddr, sequence: u16, payload: &[u8]) -> Result<EchoReply> {
        self.asks(id, to, sequence, payload)?;
        self.until("an echo reply", |host| host.answer(id))
    }

    /// How well a neighbour is known.
    pub fn neighbour(&self, address: &str) -> Option<State> {
        let address: IpAddr = address.parse().unwrap();
        self.nic.stack.neighbours(self.now()).find(|known| known.address == address).map(|known| known.state)
    }

    pub fn counters(&self) -> &Counters {
        self.nic.stack.counters()
    }

    pub fn dropped(&self, reason: Reason) -> u64 {
        self.counters().dropped(reason)
    }

    /// Each reason for which something was dropped, and how often.
    pub fn drops(&self) -> Vec<(&'static str, u64)> {
        self.counters().iter().map(|(reason, count)| (reason.name(), count)).collect()
    }

    /// Nothing was lost but what was for nobody here: the kernel's own talk to groups.
    #[track_caller]
    pub fn assert_nothing_lost(&self) {
        let harmless = [Reason::OtherHost, Reason::OtherStation, Reason::GroupReport, Reason::IcmpType, Reason::Ndp];
        let lost: Vec<_> = self.counters().iter().filter(|(reason, _)| !harmless.contains(reason)).collect();
        assert!(lost.is_empty(), "{lost:?}");
        let device = self.nic.device_counters();
        assert_eq!((device.receive_drops, device.send_drops), (0, 0));
    }
}
