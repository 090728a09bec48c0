// SPDX-License-Identifier: MIT OR Apache-2.0
//! Two whole stacks under any frames, times and socket calls, in any order.
//!
//! The fuzzer invents them; the tests run those that were kept, and random ones. The first byte says what kind of a network it
//! is, the rest are steps: a socket call, frames of one stack that reach the other or meet with an accident, time, or (if the wire is
//! hostile) a frame that neither has sent. What must always hold:
//!
//! - No panic; each frame that leaves is one that a receiver would not find malformed, see [`check`].
//! - Once a stack has polled what was due, its next deadline is to come; and it polls so often at most.
//! - A socket that had nothing and now has something was woken, and so was one that waited for room.
//! - On a wire that is not hostile, what is delivered was sent, byte for byte.
//! - In the end every buffer is back.

#![expect(clippy::unwrap_used, reason = "what is not there is a finding")]

mod calls;
mod check;
mod hostile;
mod streams;

use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use runtime::buf::{Classes, Pools, Sga};
use runtime::device::{Caps, Checksum, Frame, Segmentation};
use runtime::time::Time;

use super::mac;
use crate::counters::Counters;
use crate::keyed::Secret;
use crate::stack::{Config, SocketId, Stack};

#[cfg(test)]
pub(super) use streams::run_tcp;
pub use streams::tcp;

/// Steps of one run.
const STEPS_MAX: usize = 1000;
/// Frames that are held back at once.
const HELD_MAX: usize = 32;
/// Polls until nothing is due: of packets to oneself and of those that waited for neighbours there are a few hundred, and a poll
/// does many.
const POLLS_MAX: usize = 64;
/// Sockets of one stack.
const SOCKETS_MAX: usize = 8;

/// The bytes that are left.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// The next byte, or 0 behind the end.
    fn byte(&mut self) -> u8 {
        self.next().unwrap_or(0)
    }

    fn word(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    fn take(&mut self, n: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(n.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

/// What kind of a network it is, by the bits of the first byte.
#[derive(Clone, Copy)]
struct Mode(u8);

impl Mode {
    const fn is(self, bit: u8) -> bool {
        self.0 >> bit & 1 == 1
    }

    const fn is_hostile(self) -> bool {
        self.is(0)
    }

    fn config(self, host: u8) -> Config {
        let checksum = self.is(1);
        let caps = Caps { mtu: 1500, headroom: 0, checksum, segments_tcp: false, segments_udp: false };
        let mut config = Config::new(mac(host), caps, Secret([host; 16]));
        config.addresses = [alloc::format!("10.0.0.{host}/24"), alloc::format!("fd00::{host}/64")]
            .map(|text| text.parse().unwrap())
            .into();
        config.detect_duplicates = self.is(2);
        config.slaac = self.is(3);
        config.vlan = self.is(4).then_some(7);
        config.dhcp = self.is(5);
        config
    }

    fn pools(self) -> Pools {
        // So few that they are used up.
        let small_count = if self.is(6) { 24 } else { 512 };
        Pools::new(&Classes { small_count, large_count: 4, ..Classes::default() }).unwrap()
    }
}

struct Socket {
    id: SocketId,
    echo: bool,
    /// It was empty when it was looked at last, and nobody has said otherwise.
    quiet: bool,
    /// A send waits for room, and nobody has said that there is any.
    waits: bool,
}

/// One of the two stacks.
struct Side {
    stack: Stack,
    pools: Pools,
    sockets: Vec<Socket>,
    given: u64,
    taken: u64,
    /// The last frame that it has sent.
    last: Vec<u8>,
    /// Every address that it has had.
    own: Vec<IpAddr>,
}

impl Side {
    fn note_addresses(&mut self) {
        for here in self.stack.addresses() {
            let address = here.prefix.address();
            if !self.own.contains(&address) {
                self.own.push(address);
            }
        }
    }
}

struct World {
    mode: Mode,
    now: Time,
    sides: [Side; 2],
    /// Frames that are held back, and to whom they go.
    held: Vec<(usize, Vec<u8>)>,
    /// Messages that were sent so far.
    messages: u32,
}

/// A message that says its number and is not like any other.
fn message(number: u32, len: usize) -> Vec<u8> {
    let mut bytes = number.to_be_bytes().to_vec();
    bytes.extend((4..len).map(|at| (at as u32).wrapping_mul(number.wrapping_mul(2).wrapping_add(31)) as u8));
    bytes
}

impl World {
    fn new(mode: Mode) -> Self {
        let now = Time::from_nanos(1 << 40);
        let sides = [1, 2].map(|host| {
            let pools = mode.pools();
            let stack = Stack::new(mode.config(host), pools.clone(), now).unwrap();
            Side { stack, pools, sockets: Vec::new(), given: 0, taken: 0, last: Vec::new(), own: Vec::new() }
        });
        Self { mode, now, sides, held: Vec::new(), messages: 0 }
    }

    /// Gives a frame to a stack, if its device has a buffer.
    fn give(&mut self, to: usize, bytes: &[u8]) {
        self.give_as(to, bytes, Checksum::Complete, None);
    }

    /// As [`give`](Self::give), with what the device says of the frame.
    fn give_as(&mut self, to: usize, bytes: &[u8], checksum: Checksum, segmentation: Option<Segmentation>) {
        let side = &mut self.sides[to];
        let Ok(data) = side.pools.alloc_copy(bytes) else { return };
        let mut data = Sga::from(data);
        // A device may give it in pieces.
        if bytes.len() > 200
            && bytes.len().is_multiple_of(5)
            && let Some(mut rest) = data.pop_front()
        {
            let front = rest.split_front(100).ok();
            front.into_iter().chain([rest]).for_each(|piece| data.push_back(piece).unwrap());
        }
        side.given += 1;
        side.stack.receive(Frame { data, checksum, segmentation }, self.now);
        assert_eq!(side.stack.counters().frames_received, side.given);
    }

    /// The next frame of a stack, as it stands on the wire.
    fn transmit(&mut self, from: usize) -> Option<Vec<u8>> {
        let side = &mut self.sides[from];
        let frame = side.stack.transmit()?;
        side.taken += 1;
        side.note_addresses();
        let bytes = check::frame(&side.stack, self.mode, &side.own, &frame);
        side.last.clone_from(&bytes);
        Some(bytes)
    }

    /// Carries what a stack has to send to the other; `how` says what becomes of the first of it.
    fn carry(&mut self, from: usize, how: u8, at: u8) {
        let (to, mut first) = (1 - from, true);
        while let Some(mut bytes) = self.transmit(from) {
            if core::mem::take(&mut first) {
                match how % 8 {
                    0 => continue,
                    1 => self.give(to, &bytes),
                    2 if self.held.len() < HELD_MAX => {
                        self.held.push((to, bytes));
                        continue;
                    }
                    3 if self.mode.is_hostile() => {
                        let len = bytes.len();
                        bytes[usize::from(at) * 3 % len] ^= 1 << (how >> 5);
                    }
                    4 if self.mode.is_hostile() => bytes.truncate(usize::from(at)),
                    _ => {}
                }
            }
            self.give(to, &bytes);
        }
        self.turn();
        // What that has brought goes too; nobody waits for room any more then.
        for _ in 0..1000 {
            let Some(bytes) = self.transmit(from) else {
                assert!(
                    self.sides[from].sockets.iter().all(|socket| !socket.waits),
                    "there is room and nobody says so"
                );
                break;
            };
            self.give(to, &bytes);
            self.turn();
        }
    }

    /// Lets both stacks do what is due.
    fn turn(&mut self) {
        for side in &mut self.sides {
            let mut polls = 0;
            while side.stack.next_deadline().is_some_and(|due| due <= self.now) {
                side.stack.poll(self.now);
                polls += 1;
                assert!(polls <= POLLS_MAX, "it finds no end");
            }
        }
        self.listen();
    }

    /// Hears which sockets were woken.
    fn listen(&mut self) {
        for side in &mut self.sides {
            side.note_addresses();
            let mut woken = Vec::new();
            while let Some((id, readiness)) = side.stack.woken() {
                assert!(readiness.readable || readiness.writable);
                assert!(!woken.contains(&id), "woken twice");
                woken.push(id);
                let socket = side.sockets.iter_mut().find(|socket| socket.id == id).unwrap();
                socket.quiet &= !readiness.readable;
                socket.waits &= !readiness.writable;
            }
        }
    }

    fn advance(&mut self, how: u8, much: u8) {
        let next = self.sides.iter().filter_map(|side| side.stack.next_deadline()).min();
        self.now = match next {
            Some(next) if how < 128 => self.now.max(next),
            _ => self.now + Duration::from_micros(u64::from(much) << (how % 20)),
        };
        self.turn();
    }

    fn step(&mut self, input: &mut Input<'_>) -> Option<()> {
        let op = input.next()?;
        let side = usize::from(op >> 7);
        match op & 0x1f {
            0..12 => self.call(side, op & 0x1f, input),
            12..18 => {
                let (how, at) = (input.byte(), input.byte());
                self.carry(side, how, at);
            }
            18 => {
                if !self.held.is_empty() {
                    let (to, bytes) = self.held.swap_remove(usize::from(input.byte()) % self.held.len());
                    self.give(to, &bytes);
                }
            }
            19..24 => {
                let (how, much) = (input.byte(), input.byte());
                self.advance(how, much);
            }
            _ if self.mode.is_hostile() => {
                let frame = self.invent(side, input);
                let (checksum, segmentation) = hostile::offloads(op >> 5 & 3, input);
                self.give_as(side, &frame, checksum, segmentation);
            }
            _ => self.carry(side, 5, 0),
        }
        self.listen();
        Some(())
    }

    /// Closes everything and waits until nothing can be waited for.
    fn end(mut self) -> [Counters; 2] {
        for side in &mut self.sides {
            for socket in core::mem::take(&mut side.sockets) {
                side.stack.close(socket.id, self.now).unwrap();
            }
            assert_eq!(side.stack.sockets(), 0);
        }
        self.held.clear();
        // A router may have said that neighbours are asked once a minute: three times, and then they have failed.
        let end = self.now + Duration::from_mins(5);
        for _ in 0..10_000 {
            for from in 0..2 {
                while self.transmit(from).is_some() {}
            }
            self.turn();
            let next = self.sides.iter().filter_map(|side| side.stack.next_deadline()).min();
            match next {
                Some(next) if next <= end => self.now = self.now.max(next),
                _ => break,
            }
        }
        for from in 0..2 {
            while self.transmit(from).is_some() {}
            let Side { stack, pools, taken, .. } = &self.sides[from];
            assert_eq!(stack.counters().frames_sent, *taken);
            assert_eq!(pools.stats().map(|stats| (stats.in_use, stats.views_in_use)), [(0, 0); 3], "host {from}");
        }
        self.sides.map(|side| side.stack.counters().clone())
    }
}

/// Runs the steps that the bytes say.
///
/// # Panics
/// If a stack does what it must not do.
pub fn stack(bytes: &[u8]) {
    run(bytes);
}

/// As [`stack`]; gives what both have counted.
pub(super) fn run(bytes: &[u8]) -> [Counters; 2] {
    let mut input = Input(bytes);
    let mut world = World::new(Mode(input.byte()));
    for _ in 0..STEPS_MAX {
        if world.step(&mut input).is_none() {
            break;
        }
    }
    world.end()
}
