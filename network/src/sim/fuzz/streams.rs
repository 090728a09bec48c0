// SPDX-License-Identifier: MIT OR Apache-2.0
//! TCP between two whole stacks, under any calls, times, accidents on the wire and forged segments, in any order.
//!
//! The first two bytes say how both are set and whether the wire is hostile; the rest are steps. What must always hold:
//!
//! - No panic; each frame is well-formed, its checksums right; what is due is done in a bounded number of polls.
//! - Nothing is sent behind a FIN, and no window is taken back beyond what its scale rounds off (RFC 9293 section 3.8.6).
//! - While something is unacknowledged or waits to be sent, a timer is set.
//! - On a wire that forges nothing, what is popped is what was pushed, from the first byte on.
//! - In the end every buffer is back and every connection gone.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::task::Poll;
use core::time::Duration;

use runtime::buf::{Classes, Pools, Sga};
use runtime::device::Caps;
use runtime::socket::{Domain, SocketOption};
use runtime::time::Time;

use super::Input;
use crate::keyed::Secret;
use crate::sim::host::complete;
use crate::sim::mac;
use crate::stack::{Config, Stack, StreamId};
use crate::tcp::connection::State;
use crate::tcp::seq::Seq;
use crate::tcp::settings::{Algorithm, Settings};
use crate::wire::tcp::Flags;
use crate::wire::{checksum, ethernet, ipv4, tcp};

const STEPS_MAX: usize = 1500;
const HELD_MAX: usize = 48;
const POLLS_MAX: usize = 2000;
const SOCKETS_MAX: usize = 6;
const PORT: u16 = 7;
/// Where the TCP header stands: nobody here sends options of IP.
const SEGMENT: usize = ethernet::HEADER + ipv4::HEADER;

/// Byte `at` of the stream of one end: of who opened, or of who was connected to.
const fn byte(opener: bool, port: u16, at: u64) -> u8 {
    (at.wrapping_mul(31) ^ (at >> 8) ^ (at >> 16) ^ port as u64) as u8 ^ if opener { 0x55 } else { 0 }
}

struct Socket {
    id: StreamId,
    opener: bool,
    /// The opener's port.
    port: u16,
    pushed: u64,
    popped: u64,
    rest: Option<Sga>,
}

/// What was seen on the wire of one direction of one flow.
#[derive(Default)]
struct Seen {
    scale: Option<u8>,
    ack: Option<Seq>,
    edge: Option<Seq>,
    end: Option<Seq>,
}

struct Side {
    stack: Stack,
    pools: Pools,
    listener: StreamId,
    sockets: Vec<Socket>,
    seen: BTreeMap<(u16, u16), Seen>,
    fast_open: bool,
    last: Vec<u8>,
}

/// What a run came to: whether it was worth it.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::sim) struct Tally {
    pub accepted: u64,
    /// Of those, the ones whose data came with their SYN.
    pub early: u64,
    pub popped: u64,
    pub resent: u64,
    pub ended: u64,
}

struct World {
    hostile: bool,
    tally: Tally,
    now: Time,
    sides: [Side; 2],
    held: Vec<(usize, Vec<u8>)>,
}

fn address(side: usize, port: u16) -> SocketAddr {
    SocketAddr::new([10, 0, 0, side as u8 + 1].into(), port)
}

/// What two bytes say of one side.
fn settings(mode: u8, more: u8) -> Settings {
    let is = |bit: u8| mode >> bit & 1 == 1;
    let small = more & 1 == 1;
    Settings {
        algorithm: [Algorithm::Cubic, Algorithm::NewReno, Algorithm::Dctcp, Algorithm::Bbr][usize::from(more >> 1 & 3)],
        sack: !is(2),
        timestamps: !is(3),
        window_scaling: !is(4),
        ecn: is(5),
        rack: !is(6),
        no_delay: is(7),
        receive_buffer: if small { 5000 } else { 131_072 },
        receive_buffer_max: if small { 5000 } else { 1 << 20 },
        send_buffer: if small { 6000 } else { 1 << 20 },
        ..Settings::default()
    }
}

impl World {
    fn new(mode: u8, more: u8) -> Self {
        let now = Time::from_nanos(1 << 40);
        let sides = [0, 1].map(|side| {
            let pools = Pools::new(&Classes { small_count: 512, large_count: 8, ..Classes::default() }).unwrap();
            let caps =
                Caps { mtu: 1500, headroom: 0, checksum: mode & 2 != 0, segments_tcp: false, segments_udp: false };
            let mut config = Config::new(mac(side as u8 + 1), caps, Secret([side as u8 + 1; 16]));
            config.addresses = [alloc::format!("10.0.0.{}/24", side + 1).parse().unwrap()].into();
            config.neighbours = [(address(1 - side, 0).ip(), mac(2 - side as u8))].into();
            // One of them speaks what the bytes say, the other all of it or the same.
            config.tcp = Settings {
                fast_open: more & 0x80 != 0,
                ..settings(if more & 0x40 != 0 && side == 1 { mode & 2 } else { mode }, more >> (3 * side))
            };
            let fast_open = config.tcp.fast_open;
            let mut stack = Stack::new(config, pools.clone(), now).unwrap();
            let listener = stack.stream_socket(Domain::V4).unwrap();
            stack.stream_bind(listener, address(side, PORT)).unwrap();
            stack.stream_listen(listener, 4).unwrap();
            Side { stack, pools, listener, sockets: Vec::new(), seen: BTreeMap::new(), fast_open, last: Vec::new() }
        });
        Self { hostile: mode & 1 == 1, tally: Tally::default(), now, sides, held: Vec::new() }
    }

    fn call(&mut self, side: usize, what: u8, input: &mut Input<'_>) {
        let now = self.now;
        let own = &mut self.sides[side];
        if what == 0 {
            if own.sockets.len() < SOCKETS_MAX {
                let id = own.stack.stream_socket(Domain::V4).unwrap();
                own.stack.stream_connect(id, address(1 - side, PORT), now).unwrap();
                let port = own.stack.stream_local(id).unwrap().port();
                let mut socket = Socket { id, opener: true, port, pushed: 0, popped: 0, rest: None };
                if own.fast_open {
                    // Before the SYN leaves, so that it can go with it.
                    let len = usize::from(input.word()) % 3000;
                    own.push(&mut socket, len, now);
                }
                own.sockets.push(socket);
            }
            return;
        }
        if own.sockets.len() < SOCKETS_MAX
            && let Poll::Ready(Ok(id)) = own.stack.stream_accept(own.listener, now)
        {
            let port = own.stack.stream_peer(id).unwrap().port();
            self.tally.accepted += 1;
            own.sockets.push(Socket { id, opener: false, port, pushed: 0, popped: 0, rest: None });
        }
        if own.sockets.is_empty() {
            return;
        }
        let index = usize::from(input.byte()) % own.sockets.len();
        if let 1..4 = what {
            let len = usize::from(input.word()) % if what == 1 { 100 } else { 9000 };
            let mut socket = own.sockets.swap_remove(index);
            own.push(&mut socket, len, now);
            own.sockets.push(socket);
            return;
        }
        let socket = &mut own.sockets[index];
        match what {
            4..7 => {
                let most = input.byte();
                let most = if most == 0 { None } else { Some(usize::from(most) * 16) };
                if let Poll::Ready(Ok(data)) = own.stack.stream_pop(socket.id, most, now) {
                    assert!(most.is_none_or(|most| data.len() <= most));
                    self.tally.popped += data.len() as u64;
                    self.tally.ended += u64::from(data.is_empty());
                    if !self.hostile {
                        let came = data.to_vec();
                        let from = socket.popped;
                        let right =
                            came.iter().zip(from..).all(|(is, at)| *is == byte(!socket.opener, socket.port, at));
                        assert!(right, "other bytes than were pushed, from {from} on");
                        socket.popped += came.len() as u64;
                    }
                }
            }
            7 => drop(own.stack.stream_shutdown(socket.id, now)),
            8 => {
                let value = input.byte();
                let option = match value % 5 {
                    0 => SocketOption::NoDelay(value & 8 != 0),
                    1 => SocketOption::KeepAlive(value & 8 != 0),
                    2 => SocketOption::ReceiveBuffer(usize::from(value) << 6),
                    3 => SocketOption::SendBuffer(usize::from(value) << 6),
                    _ => SocketOption::Linger(None),
                };
                own.stack.stream_set_option(socket.id, option).unwrap();
            }
            _ => {
                let socket = own.sockets.swap_remove(index);
                if let Ok(info) = own.stack.stream_info(socket.id, now) {
                    self.tally.resent += info.retransmits;
                }
                if what == 10 {
                    own.stack.stream_set_option(socket.id, SocketOption::Linger(Some(Duration::ZERO))).unwrap();
                }
                assert!(own.stack.stream_close(socket.id, now).is_ready());
            }
        }
    }

    /// The next frame of a stack, looked at.
    fn transmit(&mut self, from: usize) -> Option<Vec<u8>> {
        let side = &mut self.sides[from];
        let frame = side.stack.transmit()?;
        let mut bytes = frame.data.to_vec();
        complete(&mut bytes, &frame);
        if bytes.get(12..14) == Some(&[8, 0]) && bytes.get(23) == Some(&6) {
            side.look(&bytes);
            side.last.clone_from(&bytes);
        }
        Some(bytes)
    }

    fn give(&mut self, to: usize, bytes: &[u8]) {
        let side = &mut self.sides[to];
        if let Ok(data) = side.pools.alloc_copy(bytes) {
            side.stack.receive(Sga::from(data).into(), self.now);
        }
    }

    fn give_together(&mut self, to: usize, frames: &[Vec<u8>]) {
        let Side { stack, pools, .. } = &mut self.sides[to];
        let frames: Vec<_> = frames.iter().filter_map(|bytes| pools.alloc_copy(bytes).ok()).collect();
        stack.receive_burst(frames.into_iter().map(|data| Sga::from(data).into()), self.now);
    }

    /// Carries what a stack has to send; `how` says what becomes of the first frame, and whether all come in one burst.
    fn carry(&mut self, from: usize, how: u8) {
        let mut first = true;
        let mut burst = Vec::new();
        while let Some(mut bytes) = self.transmit(from) {
            if core::mem::take(&mut first) {
                match how % 6 {
                    0 => continue,
                    1 => burst.push(bytes.clone()),
                    2 if self.held.len() < HELD_MAX => {
                        self.held.push((1 - from, bytes));
                        continue;
                    }
                    // A router marks it (RFC 3168 section 5).
                    3 if bytes[15] & 3 != 0 => {
                        bytes[15] |= 3;
                        let check = checksum::update(u16::from_be_bytes([bytes[24], bytes[25]]), 0x4502, 0x4503);
                        bytes[24..26].copy_from_slice(&check.to_be_bytes());
                    }
                    _ => {}
                }
            }
            burst.push(bytes);
        }
        if how < 128 {
            self.give_together(1 - from, &burst);
        } else {
            for bytes in &burst {
                self.give(1 - from, bytes);
            }
        }
        self.turn();
    }

    /// A segment that nobody has sent, like the last that somebody has.
    fn forge(&mut self, from: usize, input: &mut Input<'_>) {
        let mut frame = self.sides[from].last.clone();
        if frame.len() < SEGMENT + tcp::HEADER {
            return;
        }
        let mut add = |at: usize, by: u32| {
            let value = u32::from_be_bytes(frame[at..at + 4].try_into().unwrap()).wrapping_add(by);
            frame[at..at + 4].copy_from_slice(&value.to_be_bytes());
        };
        let (what, by) = (input.byte(), input.byte());
        let by = u32::from(by).wrapping_mul(1 << (what >> 4)).wrapping_sub(128);
        match what % 6 {
            0 => add(SEGMENT + 4, by),
            1 => add(SEGMENT + 8, by),
            2 => frame[SEGMENT + 13] ^= input.byte(),
            3 => frame[SEGMENT + 14..SEGMENT + 16].copy_from_slice(&input.word().to_be_bytes()),
            4 => {
                let at = SEGMENT + tcp::HEADER + usize::from(input.byte()) % 40;
                if let Some(byte) = frame.get_mut(at) {
                    *byte = input.byte();
                }
            }
            _ => frame[SEGMENT + 13] = Flags::RST.0 | what >> 6 << 4,
        }
        let len = u32::from(u16::from_be_bytes([frame[16], frame[17]])) - ipv4::HEADER as u32;
        let pseudo = checksum::pseudo_header(address(from, 0).ip(), address(1 - from, 0).ip(), 6, len);
        let segment = &mut frame[SEGMENT..];
        segment[tcp::CHECKSUM..tcp::CHECKSUM + 2].fill(0);
        let mut sum = pseudo;
        sum.add(segment);
        let sum = sum.finish();
        segment[tcp::CHECKSUM..tcp::CHECKSUM + 2].copy_from_slice(&sum.to_be_bytes());
        self.give(1 - from, &frame);
    }

    /// Lets both do what is due, and looks at what must hold between.
    fn turn(&mut self) {
        for side in &mut self.sides {
            let mut polls = 0;
            while side.stack.next_deadline().is_some_and(|due| due <= self.now) {
                side.stack.poll(self.now);
                polls += 1;
                assert!(polls <= POLLS_MAX, "it finds no end");
            }
            while side.stack.stream_woken().is_some() {}
            for socket in &side.sockets {
                if let Ok(info) = side.stack.stream_info(socket.id, self.now)
                    && info.state != State::Closed
                    && info.in_flight > 0
                {
                    assert!(side.stack.next_deadline().is_some(), "nobody waits for an acknowledgment: {info:?}");
                }
            }
        }
    }

    fn step(&mut self, input: &mut Input<'_>) -> Option<()> {
        let op = input.next()?;
        let side = usize::from(op >> 7);
        match op & 0x1f {
            what @ 0..11 => self.call(side, what, input),
            11..18 => self.carry(side, input.byte()),
            18 => {
                if !self.held.is_empty() {
                    let (to, bytes) = self.held.swap_remove(usize::from(input.byte()) % self.held.len());
                    self.give(to, &bytes);
                }
            }
            19..24 => {
                // Up to some minutes.
                let shift = input.byte() % 38;
                self.now += Duration::from_nanos(u64::from(input.byte()) << shift);
                self.turn();
            }
            _ if self.hostile => self.forge(side, input),
            _ => self.carry(side, 5),
        }
        self.turn();
        Some(())
    }

    /// Lets go of everything, and waits until nothing can be waited for.
    fn end(mut self) -> Tally {
        self.tally.early = self.sides.iter().map(|side| side.stack.counters().fast_opens_received).sum();
        for side in &mut self.sides {
            for socket in core::mem::take(&mut side.sockets) {
                if let Ok(info) = side.stack.stream_info(socket.id, self.now) {
                    self.tally.resent += info.retransmits;
                }
                side.stack.stream_set_option(socket.id, SocketOption::Linger(None)).unwrap();
                assert!(side.stack.stream_close(socket.id, self.now).is_ready());
            }
            assert!(side.stack.stream_close(side.listener, self.now).is_ready());
        }
        self.held.clear();
        // The longest that anybody is waited for is all retries, with two minutes between.
        let end = self.now + Duration::from_hours(2);
        for _ in 0..100_000 {
            self.carry(0, 5);
            self.carry(1, 5);
            match self.sides.iter().filter_map(|side| side.stack.next_deadline()).min() {
                Some(next) if next <= end => self.now = self.now.max(next),
                _ => break,
            }
        }
        // What the last of it has brought up is for nobody any more.
        for side in [0, 1] {
            while self.transmit(side).is_some() {}
        }
        for side in &self.sides {
            assert_eq!(side.stack.streams(), 0, "connections that do not end");
            assert_eq!(side.pools.stats().map(|stats| (stats.in_use, stats.views_in_use)), [(0, 0); 3]);
        }
        self.tally
    }
}

impl Side {
    /// Pushes the next bytes of a stream, or what is left of the last ones.
    fn push(&mut self, socket: &mut Socket, len: usize, now: Time) {
        if socket.rest.is_none() && len > 0 {
            let bytes: Vec<u8> =
                (0..len as u64).map(|at| byte(socket.opener, socket.port, socket.pushed + at)).collect();
            let Ok(data) = self.pools.alloc_copy(&bytes) else { return };
            socket.rest = Some(data.into());
            socket.pushed += len as u64;
        }
        if let Some(message) = &mut socket.rest
            && !self.stack.stream_push(socket.id, message, now).is_pending()
        {
            socket.rest = None;
        }
    }

    /// Looks at a segment that the stack sends.
    fn look(&mut self, bytes: &[u8]) {
        let packet = ipv4::View::new(&bytes[ethernet::HEADER..]).unwrap();
        assert!(packet.checksum_is_right() && packet.dont_fragment());
        let view = tcp::View::new(packet.payload()).unwrap();
        assert!(view.checksum_is_right(packet.pseudo_header(packet.payload().len() as u32)), "a wrong checksum");
        let header = tcp::Header::parse(&view).unwrap();
        let flags = header.flags;
        if flags.contains(Flags::RST) {
            self.seen.remove(&(header.source, header.destination));
            return;
        }
        let seen = self.seen.entry((header.source, header.destination)).or_default();
        if flags.contains(Flags::SYN) {
            *seen = Seen { scale: header.options.window_scale, ..Seen::default() };
            return;
        }
        let end = Seq(header.sequence) + view.payload().len() as u32;
        if let Some(last) = seen.end {
            // The FIN takes one number itself.
            let most = if view.payload().is_empty() { last + 1 } else { last };
            assert!(!end.is_behind(most), "bytes behind the FIN");
        }
        if flags.contains(Flags::FIN) {
            seen.end = Some(end);
        }
        let ack = Seq(header.acknowledgment);
        // The windows of both scale, or of none; what was said in a SYN need not have been answered.
        let scale = seen.scale.unwrap_or(0);
        let edge = ack + (u32::from(header.window) << scale);
        if seen.ack.is_none_or(|last| !ack.is_before(last)) {
            if let Some(last) = seen.edge
                && seen.scale.is_none()
            {
                assert!(!edge.is_before(last), "a window that shrinks");
            }
            (seen.ack, seen.edge) = (Some(ack), Some(edge));
        }
    }
}

/// Runs the steps that the bytes say.
///
/// # Panics
/// If a stack does what it must not do.
pub fn tcp(bytes: &[u8]) {
    run_tcp(bytes);
}

/// As [`tcp`]; gives what it came to.
pub(in crate::sim) fn run_tcp(bytes: &[u8]) -> Tally {
    let mut input = Input(bytes);
    let mut world = World::new(input.byte(), input.byte());
    for _ in 0..STEPS_MAX {
        if world.step(&mut input).is_none() {
            break;
        }
    }
    world.end()
}
