// SPDX-License-Identifier: MIT OR Apache-2.0
//! smoltcp at the other end: a stack that shares no code with this one. Either opens; bulk goes both ways at once, over a wire that
//! loses, repeats and reorders; either closes first, or both do at the same time (RFC 9293 sections 3.5 and 3.6). What is
//! popped is what was pushed, at both ends, and nothing stays behind.

use super::applications::{bytes, mix};
use crate::support::seeds;
use core::net::SocketAddr;
use core::task::Poll;
use core::time::Duration;
use network::keyed::Secret;
use network::sim::mac;
use network::stack::{Config, Stack, StreamId};
use network::tcp::connection::State;
use runtime::buf::{Classes, Pools, Sga};
use runtime::device::Caps;
use runtime::socket::Domain;
use runtime::time::Time;
use smoltcp::iface::{Interface, SocketHandle, SocketSet};
use smoltcp::phy::{self, DeviceCapabilities, Medium};
use smoltcp::socket::tcp;
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpAddress, IpCidr};
use std::collections::{BTreeMap, VecDeque};

const PORT: u16 = 7;
const OURS: [u8; 4] = [10, 0, 0, 1];
const THEIRS: [u8; 4] = [10, 0, 0, 2];
const ETHERNET: usize = 14;
const DELAY: Duration = Duration::from_millis(5);
/// How long it may take in the wire's time, and in turns.
const PATIENCE: Duration = Duration::from_hours(1);
const TURNS: usize = 1_000_000;
/// When their application looks again if nothing is to come.
const LOOK: Duration = Duration::from_secs(1);
/// The longest push, and the longest pop.
const PIECE: usize = 3000;

/// What smoltcp sees of the wire.
#[derive(Default)]
struct Wire {
    come: VecDeque<Vec<u8>>,
    go: Vec<Vec<u8>>,
}

struct Rx(Vec<u8>);

struct Tx<'a>(&'a mut Vec<Vec<u8>>);

impl phy::RxToken for Rx {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, take: F) -> R {
        take(&self.0)
    }
}

impl phy::TxToken for Tx<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, fill: F) -> R {
        let mut frame = vec![0; len];
        let result = fill(&mut frame);
        self.0.push(frame);
        result
    }
}

impl phy::Device for Wire {
    type RxToken<'a> = Rx;
    type TxToken<'a> = Tx<'a>;

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = ETHERNET + 1500;
        capabilities
    }

    fn receive(&mut self, _: Instant) -> Option<(Rx, Tx<'_>)> {
        let frame = self.come.pop_front()?;
        Some((Rx(frame), Tx(&mut self.go)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Tx<'_>> {
        Some(Tx(&mut self.go))
    }
}

/// What one end has to push, and what it has popped.
#[derive(Debug, Default)]
struct End {
    seed: u64,
    len: u64,
    pushed: u64,
    popped: Vec<u8>,
    /// It ends its stream only once the other's has ended.
    waits: bool,
    shut: bool,
    ended: bool,
}

impl End {
    /// The next bytes to push.
    fn next(&self) -> Vec<u8> {
        bytes(self.seed, self.pushed, (self.len - self.pushed).min(PIECE as u64) as usize)
    }

    fn may_shut(&self) -> bool {
        !self.shut && self.pushed == self.len && (!self.waits || self.ended)
    }

    fn is_done(&self) -> bool {
        self.shut && self.ended
    }
}

struct Pair {
    now: Time,
    stack: Stack,
    pools: Pools,
    stream: Option<StreamId>,
    rest: Option<Sga>,
    ours: End,
    interface: Interface,
    sockets: SocketSet<'static>,
    socket: SocketHandle,
    device: Wire,
    theirs: End,
    under_way: BTreeMap<(Time, u64), (bool, Vec<u8>)>,
    frames: u64,
    random: u64,
    /// Of a thousand frames, so many are lost; half as many come twice, and as many late.
    loss: u64,
}

fn instant(now: Time) -> Instant {
    Instant::from_micros((now.as_nanos() / 1000).cast_signed())
}

impl Pair {
    fn new(seed: u64, loss: u64, ours: End, theirs: End) -> Self {
        let now = Time::from_nanos(1 << 40);
        let pools = Pools::new(&Classes { small_count: 2048, large_count: 8, ..Classes::default() }).unwrap();
        let caps = Caps { mtu: 1500, headroom: 0, checksum: false, segments_tcp: false, segments_udp: false };
        let mut config = Config::new(mac(1), caps, Secret([seed as u8; 16]));
        config.addresses = ["10.0.0.1/24".parse().unwrap()].into();
        let stack = Stack::new(config, pools.clone(), now).unwrap();

        let mut device = Wire::default();
        let address = HardwareAddress::Ethernet(EthernetAddress(mac(2).0));
        let mut config = smoltcp::iface::Config::new(address);
        config.random_seed = seed;
        let mut interface = Interface::new(config, &mut device, instant(now));
        interface.update_ip_addrs(|addresses| {
            addresses.push(IpCidr::new(IpAddress::Ipv4(THEIRS.into()), 24)).unwrap();
        });
        let buffer = || tcp::SocketBuffer::new(vec![0; 40_000]);
        let mut sockets = SocketSet::new(vec![]);
        let socket = sockets.add(tcp::Socket::new(buffer(), buffer()));
        Self {
            now,
            stack,
            pools,
            stream: None,
            rest: None,
            ours,
            interface,
            sockets,
            socket,
            device,
            theirs,
            under_way: BTreeMap::new(),
            frames: 0,
            random: seed,
            loss,
        }
    }

    fn below(&mut self, n: u64) -> u64 {
        self.random = mix(self.random);
        self.random % n
    }

    fn launch(&mut self, to_us: bool, frame: &[u8]) {
        let (fate, spread) = (self.below(1000), self.below(1000));
        if fate < self.loss {
            return;
        }
        let late = if fate < self.loss * 2 { Duration::from_micros(spread * 8) } else { Duration::ZERO };
        for copy in 0..if fate < self.loss * 5 / 2 { 2 } else { 1 } {
            self.frames += 1;
            let at = self.now + DELAY + late * copy;
            self.under_way.insert((at, self.frames), (to_us, frame.to_vec()));
        }
    }

    /// What an application would do at our end.
    fn work(&mut self, listener: Option<StreamId>) {
        if self.stream.is_none()
            && let Some(listener) = listener
            && let Poll::Ready(accepted) = self.stack.stream_accept(listener, self.now)
        {
            self.stream = Some(accepted.unwrap());
        }
        let Some(id) = self.stream else { return };
        if self.stack.stream_connected(id).is_pending() {
            return;
        }
        while self.ours.pushed < self.ours.len || self.rest.is_some() {
            if self.rest.is_none() {
                let data = self.ours.next();
                // Without a buffer it tries again a little later.
                let Ok(message) = self.pools.alloc_copy(&data) else { break };
                self.ours.pushed += data.len() as u64;
                self.rest = Some(message.into());
            }
            let Some(message) = &mut self.rest else { return };
            match self.stack.stream_push(id, message, self.now) {
                Poll::Ready(result) => {
                    result.unwrap();
                    self.rest = None;
                }
                Poll::Pending => break,
            }
        }
        while !self.ours.ended
            && let Poll::Ready(came) = self.stack.stream_pop(id, Some(PIECE), self.now)
        {
            let came = came.unwrap();
            self.ours.ended = came.is_empty();
            self.ours.popped.extend(came.to_vec());
        }
        if self.ours.may_shut() && self.rest.is_none() {
            self.stack.stream_shutdown(id, self.now).unwrap();
            self.ours.shut = true;
        }
    }

    /// The same at theirs.
    fn work_there(&mut self) {
        let Self { sockets, socket, theirs, .. } = self;
        let socket = sockets.get_mut::<tcp::Socket<'_>>(*socket);
        if matches!(socket.state(), tcp::State::Listen | tcp::State::SynSent | tcp::State::SynReceived) {
            return;
        }
        while theirs.pushed < theirs.len && socket.can_send() {
            theirs.pushed += socket.send_slice(&theirs.next()).unwrap() as u64;
        }
        while socket.can_recv() {
            let came = socket.recv(|came| (came.len().min(PIECE), came[..came.len().min(PIECE)].to_vec())).unwrap();
            theirs.popped.extend(came);
        }
        theirs.ended |= !socket.may_recv();
        if theirs.may_shut() {
            socket.close();
            theirs.shut = true;
        }
    }

    /// Lets both do what they can, then the time pass to what comes next.
    fn turn(&mut self, listener: Option<StreamId>) {
        self.work(listener);
        self.work_there();
        self.stack.poll(self.now);
        while let Some(frame) = self.stack.transmit() {
            self.launch(false, &frame.data.to_vec());
        }
        self.interface.poll(instant(self.now), &mut self.device, &mut self.sockets);
        for frame in std::mem::take(&mut self.device.go) {
            self.launch(true, &frame);
        }
        let theirs = self.interface.poll_at(instant(self.now), &self.sockets);
        let theirs = theirs.map(|at| Time::from_nanos(at.total_micros().cast_unsigned() * 1000 + 1000));
        let next = [self.under_way.keys().next().map(|(at, _)| *at), self.stack.next_deadline(), theirs];
        // Their application looks at its socket in each turn, so one more may be needed though nothing is to come.
        self.now = next.into_iter().flatten().min().unwrap_or(self.now + LOOK).max(self.now);
        while let Some(entry) = self.under_way.first_entry()
            && entry.key().0 <= self.now
        {
            let (to_us, frame) = entry.remove();
            if to_us {
                self.stack.receive(Sga::from(self.pools.alloc_copy(&frame).unwrap()).into(), self.now);
            } else {
                self.device.come.push_back(frame);
            }
        }
    }

    /// One connection from the first SYN to the last ACK.
    fn run(&mut self, we_open: bool) {
        let mut listener = None;
        if we_open {
            self.sockets.get_mut::<tcp::Socket<'_>>(self.socket).listen(PORT).unwrap();
            let id = self.stack.stream_socket(Domain::V4).unwrap();
            self.stack.stream_connect(id, SocketAddr::from((THEIRS, PORT)), self.now).unwrap();
            self.stream = Some(id);
        } else {
            let id = self.stack.stream_socket(Domain::V4).unwrap();
            self.stack.stream_bind(id, SocketAddr::from((OURS, PORT))).unwrap();
            self.stack.stream_listen(id, 4).unwrap();
            listener = Some(id);
            let socket = self.sockets.get_mut::<tcp::Socket<'_>>(self.socket);
            socket.connect(self.interface.context(), (IpAddress::Ipv4(OURS.into()), PORT), 50_000).unwrap();
        }
        let end = self.now + PATIENCE;
        let mut turns = 0;
        while !(self.ours.is_done() && self.theirs.is_done()) {
            self.turn(listener);
            turns += 1;
            assert!(self.now < end && turns < TURNS, "it stands still: {:?}, {:?}", self.shown(), turns);
        }
        let id = self.stream.unwrap();
        let info = self.stack.stream_info(id, self.now).unwrap();
        assert!(info.mss == 1460 && info.sack && info.scales.is_some(), "what smoltcp offers was not taken: {info:?}");
        // The one that ended first waits for what comes late (RFC 9293 section 3.6.1).
        assert!(matches!(info.state, State::TimeWait | State::LastAck | State::Closing | State::Closed), "{info:?}");
        assert!(self.ours.popped == bytes(self.theirs.seed, 0, self.theirs.len as usize), "from them");
        assert!(self.theirs.popped == bytes(self.ours.seed, 0, self.ours.len as usize), "from us");
        assert!(self.stack.stream_close(id, self.now).is_ready());
        if let Some(listener) = listener {
            assert!(self.stack.stream_close(listener, self.now).is_ready());
        }
        self.stream = None;
        while self.now < end + PATIENCE {
            self.turn(None);
        }
        let state = self.sockets.get::<tcp::Socket<'_>>(self.socket).state();
        assert_eq!((self.stack.streams(), state), (0, tcp::State::Closed));
        assert_eq!(self.pools.stats().map(|stats| (stats.in_use, stats.views_in_use)), [(0, 0); 3]);
    }

    fn shown(&self) -> String {
        let short = |end: &End| (end.pushed, end.popped.len(), end.shut, end.ended);
        let socket = self.sockets.get::<tcp::Socket<'_>>(self.socket);
        let info = self.stream.map(|id| self.stack.stream_info(id, self.now));
        format!("{:?} {info:?}; {:?} {}", short(&self.ours), short(&self.theirs), socket.state())
    }
}

fn end(seed: u64, len: u64, waits: bool) -> End {
    End { seed, len, waits, ..End::default() }
}

/// Who opens and who ends first, each with bytes both ways, one way, and none.
fn all(loss: u64, most: u64) {
    for seed in seeds(0..4) {
        for case in 0..18 {
            let (we_open, who, ways) = (case % 2 == 0, case / 2 % 3, case / 6);
            let (ours, theirs) = [(most, most / 2), (0, most), (1, 0)][ways];
            println!(
                "seed {seed}, loss {loss}, case {case}: we open {we_open}, {who} ends first, {ours} and {theirs} bytes"
            );
            let ours = end(seed * 2 + 1, ours, who == 1);
            let theirs = end(seed * 2 + 2, theirs, who == 2);
            Pair::new(seed, loss, ours, theirs).run(we_open);
        }
    }
}

#[test]
fn all_arrives_on_a_wire_without_loss() {
    all(0, 300_000);
}

#[test]
fn all_arrives_where_two_in_a_hundred_are_lost() {
    all(20, 200_000);
}

#[test]
fn all_arrives_where_one_in_ten_is_lost() {
    all(100, 40_000);
}
