// SPDX-License-Identifier: MIT OR Apache-2.0
//! One end of a pipe against a peer that writes whatever it likes, steered by a string of bytes.
//!
//! The fuzzer invents the strings; the tests run those that were kept. What must always hold, whatever the peer writes:
//! nothing panics; every step ends; a message lies in the peer's part of the segment or in this side's own buffers;
//! this side writes to nothing but its own part; and the only errors are those that the API names.

use crate::doorbell::Doorbell;
use crate::eventfd::Eventfd;
use crate::layout::{CONTROL, Layout, Side};
use crate::mapping::Mapping;
use crate::pipe::{Ends, Pipe};
use crate::rendezvous::{Direction, Hello, OpenRequest};
use crate::ring::record::{DESCRIPTOR, HEADER, TOTAL, behind};
use core::num::NonZeroUsize;
use core::ops::Range;
use core::task::Poll;
use runtime::buf::{Buf, Classes, Pools, Sga};
use runtime::transport::PopMode;
use runtime::{Errno, Error, Result};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use std::os::fd::OwnedFd;
use std::rc::Rc;

#[cfg(test)]
mod tests;

const RING: usize = 4096;
const ARENA: usize = 2 * 4096;
/// Steps of one run, however long the string is.
const STEPS: usize = 4096;
/// Messages that are kept at once.
const KEPT: usize = 400;

/// The string, read from its front; zeros behind its end.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((&first, rest)) => {
                self.0 = rest;
                first
            }
            None => 0,
        }
    }

    fn number<const N: usize>(&mut self) -> u64 {
        (0..N).fold(0, |number, index| number | u64::from(self.byte()) << (8 * index))
    }
}

/// The whole: the segment, the end under test, and what the peer wrote.
struct Harness {
    mapping: Rc<Mapping>,
    layout: Layout,
    pools: Pools,
    pipe: Pipe,
    /// The peer's end of the connection.
    connection: Option<OwnedFd>,
    /// What the segment must hold where this side does not write.
    shadow: Vec<u8>,
    /// Where the peer publishes next.
    tail: u64,
    kept: Vec<Sga>,
    lent: Vec<Buf>,
    /// The message that is being pushed.
    pushing: Option<Sga>,
    ended: bool,
}

/// Runs over the string for a pipe of messages and for a stream, with buffers that are long enough for all and with such that
/// are not.
///
/// # Panics
/// If one of the promises above does not hold.
pub fn ring_reader(bytes: &[u8]) {
    for (stream, short) in [(false, false), (true, false), (false, true), (true, true)] {
        let mut input = Input(bytes);
        // Out of descriptors or memory: nothing to find out about.
        let Ok(mut harness) = Harness::new(stream, short) else { return };
        for _ in 0..STEPS {
            if input.0.is_empty() {
                break;
            }
            harness.step(&mut input);
        }
        harness.finish();
    }
}

/// The two messages of a handshake: what is accepted has exactly one encoding.
///
/// # Panics
/// If it has not.
pub fn handshake(bytes: &[u8]) {
    if let Some(bytes) = bytes.first_chunk()
        && let Ok(request) = OpenRequest::from_bytes(bytes)
    {
        assert_eq!(request.to_bytes(), *bytes);
    }
    if let Some(bytes) = bytes.first_chunk() {
        crate::rendezvous::check_hello(bytes);
    }
}

impl Harness {
    fn new(stream: bool, short: bool) -> Result<Self> {
        let directions = [Direction::new(12, 12, 2)?; 2];
        let layout = Layout::new(directions);
        let hello = Hello::new(directions, layout.total as u64, false)?;
        let mapping = Rc::new(Mapping::create(layout.total)?.0);
        let [mine, theirs] = [Rc::new(Eventfd::new()?), Rc::new(Eventfd::new()?)];
        let (own, peer) = (Layout::wake(Side::Opener), Layout::wake(Side::Creator));
        let bell = Rc::new(Doorbell::new(Rc::clone(&mapping), own, peer, theirs));
        let pools = Pools::new(&Classes {
            small_size: 256,
            small_count: 64,
            large_size: if short { 512 } else { 4096 },
            large_count: 16,
            headroom: 0,
            oversize_limit: if short { 0 } else { 256 << 10 },
            views: 64,
        })?;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (here, there) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
            .map_err(|errno| Error::os(errno, "socketpair"))?;
        let mut pipe = Pipe::new(0, 1);
        let mut ends = Ends::new(&mapping, &hello, Side::Opener, bell, Some(mine), (&pools, 64 << 10));
        if stream {
            ends.inbox.as_stream();
        }
        pipe.ends = Some(ends);
        pipe.joined(here);
        pipe.wants = [true; 2];
        Ok(Self {
            shadow: vec![0; layout.total],
            mapping,
            layout,
            pools,
            pipe,
            connection: Some(there),
            tail: 0,
            kept: Vec::new(),
            lent: Vec::new(),
            pushing: None,
            ended: false,
        })
    }

    /// The peer writes; beyond the segment's end it goes on at its start.
    fn poke(&mut self, at: usize, bytes: impl IntoIterator<Item = u8>) {
        for (index, byte) in bytes.into_iter().enumerate() {
            let at = (at + index) % self.shadow.len();
            self.shadow[at] = byte;
            // SAFETY: inside the mapping; nothing holds a reference to the segment while the peer writes.
            unsafe { self.mapping.base().add(at).write_volatile(byte) };
        }
    }

    /// The peer writes into the ring that this side reads, around its end.
    fn poke_ring(&mut self, position: u64, bytes: impl IntoIterator<Item = u8>) {
        for (index, byte) in bytes.into_iter().enumerate() {
            let at = (position as usize).wrapping_add(index) % RING;
            self.poke(self.layout.ring[0] + at, [byte]);
        }
    }

    /// The peer publishes as an honest one does: the next header is cleared first.
    fn publish(&mut self, kind: u8, payload: &[u8]) {
        let next = behind(self.tail, payload.len());
        self.poke_ring(next, [0; HEADER]);
        self.poke_ring(self.tail.wrapping_add(HEADER as u64), payload.iter().copied());
        self.poke_ring(self.tail, (u64::from(kind) << 32 | payload.len() as u64).to_le_bytes());
        self.tail = next;
    }

    fn step(&mut self, input: &mut Input) {
        match input.byte() % 24 {
            0 => {
                let (kind, len) = (input.byte(), input.number::<2>() as usize % RING);
                let payload: Vec<u8> = (0..len).map(|i| i as u8).collect();
                self.publish(kind, &payload);
            }
            1 => {
                let mut payload = input.number::<8>().to_le_bytes().to_vec();
                payload.resize(TOTAL + input.number::<2>() as usize % (RING - 64), 0xab);
                self.publish(2, &payload);
            }
            2 => {
                let count = input.byte() % 80;
                let payload: Vec<u8> = (0..usize::from(count) * DESCRIPTOR).map(|_| input.byte()).collect();
                self.publish(5, &payload);
            }
            // A descriptor that is right but for one of its parts, perhaps.
            3 => {
                let (id, offset, len) = (input.number::<2>() as u32, input.number::<2>(), input.number::<2>() as u32);
                let payload = [&id.to_ne_bytes()[..], &len.to_ne_bytes(), &offset.to_ne_bytes()].concat();
                self.publish(5, &payload);
            }
            4 => {
                let word = input.number::<8>();
                self.poke_ring(self.tail, word.to_le_bytes());
            }
            5 => self.tail = input.number::<2>() & !7,
            6 => {
                let (at, len) = (input.number::<2>(), usize::from(input.byte()));
                let bytes: Vec<u8> = (0..len).map(|_| input.byte()).collect();
                self.poke_ring(at, bytes);
            }
            7 => {
                let (at, value) = (input.number::<2>() as usize % CONTROL, input.number::<8>());
                self.poke(at & !7, value.to_le_bytes());
            }
            // The peer gives back what it was lent, or pretends to.
            8 => {
                let (index, id) = (input.byte(), input.number::<2>() as u32);
                self.poke(Layout::returns(Side::Opener) + usize::from(index) * 4, id.to_ne_bytes());
            }
            9 => {
                let credit = input.number::<4>();
                self.poke(Layout::credit(Side::Opener), credit.to_le_bytes());
            }
            10 => {
                if let (Some(connection), true) = (&self.connection, input.byte().is_multiple_of(2)) {
                    // A full socket buffer is as good.
                    let _ = rustix::io::write(connection, &[input.byte()]);
                } else {
                    self.connection = None;
                }
                self.pipe.look_at_connection();
            }
            11 | 12 => self.pop(PopMode::Whole),
            13 => {
                let size = NonZeroUsize::MIN.saturating_add(input.number::<2>() as usize);
                self.pop(PopMode::AtMost(size));
            }
            14 | 15 => self.pop(PopMode::InPlace),
            16 => {
                let mode = if input.byte().is_multiple_of(2) { PopMode::Whole } else { PopMode::InPlace };
                (0..64).for_each(|_| self.pop(mode));
            }
            17 => {
                let which = input.number::<2>() as usize;
                if !self.kept.is_empty() {
                    self.kept.swap_remove(which % self.kept.len());
                }
            }
            18 => self.kept.clear(),
            19 => {
                let len = input.number::<2>() as usize * 2;
                if let Ok(buf) = self.pools.alloc(len.max(1)) {
                    self.push(buf.into());
                }
            }
            20 => {
                let len = input.number::<2>() as usize % 5000;
                match self.pipe.alloc(len) {
                    Ok(buf) => self.lent.push(buf),
                    Err(error) => self.failed(error),
                }
            }
            21 => self.push_lent(input.byte()),
            22 => {
                self.pipe.news();
                if input.byte().is_multiple_of(4) {
                    self.pipe.canceled();
                    self.pushing = None;
                }
            }
            _ => {
                if self.pushing.is_none()
                    && let Poll::Ready(Err(error)) = self.pipe.shutdown()
                {
                    self.failed(error);
                }
            }
        }
    }

    fn failed(&mut self, error: Error) {
        let allowed = [Errno::PROTO, Errno::NOBUFS, Errno::MSGSIZE, Errno::CONNRESET, Errno::PIPE];
        assert!(allowed.contains(&error.errno()), "{error}");
        if error.errno() == Errno::PROTO {
            // What the transport does.
            self.pipe.fail(error);
        }
    }

    fn pop(&mut self, mode: PopMode) {
        match self.pipe.pop(mode) {
            Poll::Pending => {}
            Poll::Ready(Ok(message)) => {
                assert!(!self.ended, "a message behind the end");
                self.ended = message.is_empty();
                if let PopMode::AtMost(size) = mode {
                    assert!(message.len() <= size.get());
                }
                self.check(&message);
                if self.kept.len() < KEPT {
                    self.kept.push(message);
                }
            }
            Poll::Ready(Err(error)) => {
                assert!(error.errno() != Errno::PIPE || self.ended, "an end that was not read");
                self.failed(error);
            }
        }
    }

    /// A message lies where it may, and all of it can be read.
    fn check(&self, message: &Sga) {
        let base = self.mapping.base().addr().get();
        let ring = self.layout.ring[0]..self.layout.ring[0] + RING;
        let arena = self.layout.arena[0]..self.layout.arena[0] + ARENA;
        let inside = |outer: &Range<usize>, from: usize, to: usize| outer.start <= from && to <= outer.end;
        for buf in message {
            let from = buf.as_ptr().addr().wrapping_sub(base);
            let to = from.wrapping_add(buf.len());
            let elsewhere = from >= self.shadow.len() && to >= self.shadow.len();
            assert!(inside(&ring, from, to) || inside(&arena, from, to) || elsewhere, "{from:#x}..{to:#x}");
        }
        assert_eq!(message.to_vec().len(), message.len());
    }

    fn push(&mut self, message: Sga) {
        let mut message = self.pushing.take().unwrap_or(message);
        match self.pipe.push(&mut message) {
            Poll::Pending => self.pushing = Some(message),
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(error)) => self.failed(error),
        }
    }

    fn push_lent(&mut self, count: u8) {
        let mut message = Sga::new();
        for _ in 0..=count % 64 {
            match self.lent.first().map_or_else(|| self.pools.alloc(1), Buf::view) {
                Ok(buf) => assert_eq!(message.push_back(buf), Ok(())),
                Err(error) => self.failed(error),
            }
        }
        if count.is_multiple_of(4) {
            self.lent.clear();
        }
        if !message.is_empty() {
            self.push(message);
        }
    }

    /// What this side may not write is as the peer left it; then all goes, in an order that the string did not choose.
    fn finish(mut self) {
        let own = [
            Layout::wake(Side::Opener)..Layout::wake(Side::Opener) + 4,
            // Cleared by whoever rings.
            Layout::wake(Side::Creator)..Layout::wake(Side::Creator) + 4,
            Layout::credit(Side::Creator)..Layout::credit(Side::Creator) + 8,
            Layout::returns(Side::Creator)..CONTROL,
            self.layout.ring[1]..self.layout.ring[1] + RING,
            self.layout.arena[1]..self.layout.arena[1] + ARENA,
        ];
        for (at, &expected) in self.shadow.iter().enumerate() {
            // SAFETY: inside the mapping; nobody writes to it now.
            let found = unsafe { self.mapping.base().add(at).read_volatile() };
            assert!(found == expected || own.iter().any(|own| own.contains(&at)), "{at:#x} was written");
        }
        for message in &self.kept {
            self.check(message);
        }
        let closed = self.pipe.close();
        assert!(matches!(closed, Poll::Ready(Ok(()))), "a close failed");
        drop(self.pipe);
        self.kept.clear();
    }
}
