// SPDX-License-Identifier: MIT OR Apache-2.0
//! Stream sockets: the calls of `socket(7)` and `tcp(7)`, and TCP's way through the stack.
//!
//! ```text
//!   calls ─────────▶ stream ──▶ connection ──▶ output ──▶ route, neighbour, frame
//!   input ─▶ table ─┬─▶ connection ─▶ woken      ▲
//!                   ├─▶ half open ── passive ────┤
//!                   ├─▶ TIME-WAIT ───────────────┤
//!                   └─▶ listener, or nobody: RST ┘
//! ```
//!
//! What must always hold: a flow has one place in the table, be it a connection, a SYN that was answered, or one that has ended;
//! a connection has one timer in the wheel, never later than its deadline; whatever has called a connection ends in
//! [`Stack::settle`], which sends what there is to send and tells who waits. A connection whose socket was closed is found by
//! segments and timers only, and goes when it is over.

mod calls;
mod early;
mod ending;
mod errors;
mod input;
mod listeners;
mod names;
mod options;
mod output;
mod passive;
mod ports;
mod quick;
mod row;
mod shortage;
mod socket;
mod timers;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use runtime::slab::{Key, Slab};
use runtime::time::Time;
use runtime::timer::{TimerId, Wheel};
use runtime::{Errno, Error, Result};

use super::Stack;
use crate::ip::rate::Bucket;
use crate::keyed::{Random, Secret};
use crate::limits::{
    CHALLENGES_BURST, CHALLENGES_PER_SECOND, HALF_OPEN_MAX, RECEIVE_BUFFER_RANGE, RESETS_BURST, RESETS_PER_SECOND,
    STREAMS_HOLD_EIGHTHS, STREAMS_MAX, STREAMS_PUSH_SHARE, STREAMS_TAKE_EIGHTHS, TIME_WAITS_MAX,
};
use crate::tcp::fast_open::{Known, Mint};
use crate::tcp::isn::Origins;
use crate::tcp::listen::{Cookies, HalfOpen};
use crate::tcp::settings::Settings;
use crate::tcp::table::{Flow, Place, Table};
use crate::tcp::time_wait::TimeWaits;
use crate::udp::Readiness;
pub(super) use errors::Quoted;
use listeners::Listeners;
use ports::Ports;
use quick::Recents;
use row::Row;
use shortage::Search;
use socket::{Kind, Stream};

/// Bytes of a packet that are not payload, of IPv6 and TCP with timestamps: fewer than the smallest MTU has.
const HEADERS: usize = 72;

const CLOSED: Error = Error::new(Errno::BADF, "the socket is closed");

/// Names a stream socket of one stack: an index and a generation, so that the name of a closed one finds nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StreamId(Key);

impl StreamId {
    /// A number that no other open stream socket of the stack has, from 0 on: for tables.
    #[must_use]
    pub const fn index(self) -> u32 {
        self.0.index
    }
}

/// How many of what TCP keeps there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamCounts {
    /// Stream sockets, connections that end by themselves after their close included.
    pub sockets: u32,
    /// SYNs that were answered, and whose connection is not made yet.
    pub half_open: u32,
    /// Connections that have ended and are remembered.
    pub time_waits: u32,
    /// Flows that are known, of all three kinds.
    pub flows: u32,
}

impl Stack {
    /// How many of what TCP keeps there are.
    #[must_use]
    pub fn stream_counts(&self) -> StreamCounts {
        let streams = &self.streams;
        StreamCounts {
            sockets: streams.slab.len(),
            half_open: streams.half_open.len(),
            time_waits: streams.time_waits.len(),
            flows: streams.table.len() as u32,
        }
    }
}

/// A SYN that was answered, and its timer.
struct Answered {
    half: HalfOpen,
    timer: Option<TimerId>,
}

/// The stream sockets of one stack, and all that TCP knows.
pub(super) struct Streams {
    settings: Settings,
    slab: Slab<Box<Stream>>,
    table: Table,
    recents: Recents,
    half_open: Slab<Answered>,
    time_waits: TimeWaits,
    listeners: Listeners,
    ports: Ports,
    timers: Wheel,
    /// What has fired and is not worked off; kept for its memory.
    fired: Vec<u32>,
    origins: Origins,
    cookies: Cookies,
    mint: Mint,
    known: Known,
    challenges: Bucket,
    resets: Bucket,
    woken: VecDeque<u32>,
    /// Connections that have found no room in the output.
    crowd: VecDeque<u32>,
    /// Connections whose pushes wait until all together hold less.
    starved: VecDeque<u32>,
    /// Buffers that all connections hold; beyond the first bound pushes wait, beyond the second nothing is taken in by those that
    /// have something, and beyond the third by nobody.
    held: usize,
    /// Of those, what was pushed and is not acknowledged.
    pushed: usize,
    /// A push waits though its connection has less than its share.
    refuses: bool,
    search: Search,
    row: Row,
    push_max: usize,
    take_max: usize,
    hold_max: usize,
    /// Bytes of full segments that the second has room for: the most that a window promises.
    receive_room: usize,
    /// The last time that anybody has told.
    now: Time,
}

impl Streams {
    /// `buffers`: how many small ones there are, in each of which a packet of the link's `mtu` comes.
    pub fn new(settings: Settings, secret: &Secret, buffers: usize, mtu: u16, now: Time) -> Self {
        let take_max = buffers / 8 * STREAMS_TAKE_EIGHTHS;
        let secret = secret.derive("streams");
        let random = |label| Random::new(secret.derive(label));
        Self {
            settings,
            slab: Slab::new(STREAMS_MAX),
            table: Table::new(&secret),
            recents: Recents::default(),
            half_open: Slab::new(HALF_OPEN_MAX),
            time_waits: TimeWaits::new(TIME_WAITS_MAX),
            listeners: Listeners::new(&secret),
            ports: Ports::new(&secret),
            timers: Wheel::new(now, STREAMS_MAX + HALF_OPEN_MAX),
            fired: Vec::new(),
            origins: Origins::new(&secret),
            cookies: Cookies::new(&secret),
            mint: Mint::new(&secret),
            known: Known::new(),
            challenges: Bucket::new(CHALLENGES_BURST, CHALLENGES_PER_SECOND, random("challenges")),
            resets: Bucket::new(RESETS_BURST, RESETS_PER_SECOND, random("resets")),
            woken: VecDeque::new(),
            crowd: VecDeque::new(),
            starved: VecDeque::new(),
            held: 0,
            pushed: 0,
            refuses: false,
            search: Search::default(),
            row: Row::NONE,
            push_max: buffers / STREAMS_PUSH_SHARE,
            take_max,
            hold_max: buffers / 8 * STREAMS_HOLD_EIGHTHS,
            receive_room: take_max.saturating_mul(usize::from(mtu) - HEADERS).max(RECEIVE_BUFFER_RANGE.0),
            now,
        }
    }

    /// The socket that its owner names.
    #[inline]
    fn get(&mut self, id: StreamId) -> Result<&mut Stream> {
        match self.slab.get_mut(id.0) {
            Some(stream) if !stream.orphan => Ok(stream),
            _ => Err(CLOSED),
        }
    }

    fn peek(&self, id: StreamId) -> Result<&Stream> {
        match self.slab.get(id.0) {
            Some(stream) if !stream.orphan => Ok(stream),
            _ => Err(CLOSED),
        }
    }

    /// The place of a flow, with the hash by which it is found.
    #[inline]
    fn find(&self, flow: &Flow) -> (u32, Option<Place>) {
        let hash = self.table.hash(flow);
        let place = self.table.find(hash, |place| match place {
            Place::Connection(index) => self.slab.at(index).is_some_and(|stream| stream.is_between(flow)),
            Place::HalfOpen(index) => self.half_open.at(index).is_some_and(|answered| answered.half.flow == *flow),
            Place::TimeWait(index) => self.time_waits.get(index).is_some_and(|waiting| waiting.flow == *flow),
        });
        (hash, place)
    }

    /// Marks a socket as worth trying again.
    #[inline]
    fn wake(&mut self, index: u32, news: Readiness) {
        if news == Readiness::default() {
            return;
        }
        let Some(stream) = self.slab.at_mut(index) else { return };
        // Who is not accepted yet has nobody who could be told.
        let tell = stream.news == Readiness::default() && !stream.orphan && !stream.waits;
        stream.news.readable |= news.readable;
        stream.news.writable |= news.writable;
        if tell {
            self.woken.push_back(index);
        }
    }

    /// The next that was marked.
    fn woken(&mut self) -> Option<(StreamId, Readiness)> {
        loop {
            let index = self.woken.pop_front()?;
            // It may be gone, and another one in its place.
            let Some(stream) = self.slab.at_mut(index) else { continue };
            if stream.orphan || stream.waits || stream.news == Readiness::default() {
                continue;
            }
            let news = core::mem::take(&mut stream.news);
            return self.slab.key_at(index).map(|key| (StreamId(key), news));
        }
    }

    /// All connections hold less, or more, than before. Those whose pushes wait try again once it is clearly less than may be.
    #[inline]
    fn feed_if_room(&mut self) {
        let is_little = self.held <= self.push_max / 4 * 3;
        if !self.starved.is_empty() && (is_little || (self.refuses && !self.is_nearly_full())) {
            self.feed();
        }
    }

    /// Whether nobody may push, not even who holds nothing: acknowledgments, which let go what is held, need buffers to come in.
    const fn is_full(&self) -> bool {
        self.held >= self.push_max && (self.pushed >= self.take_max || self.held >= self.hold_max + self.push_max / 2)
    }

    /// The same, with some room to spare.
    const fn is_nearly_full(&self) -> bool {
        self.pushed >= self.take_max / 4 * 3 || self.held >= self.hold_max + self.push_max / 4
    }

    /// A connection holds nothing any more.
    fn holds_none(&mut self, index: u32) {
        if let Some(open) = self.slab.at_mut(index).and_then(|stream| stream.open()) {
            self.held = self.held.saturating_sub(core::mem::take(&mut open.held) as usize);
            self.pushed = self.pushed.saturating_sub(core::mem::take(&mut open.pushed) as usize);
            self.feed_if_room();
        }
    }

    /// Sets the timer of a connection; [`Time::MAX`]: takes it back.
    #[cold]
    fn set_timer(&mut self, index: u32, due: Time) {
        let Some(open) = self.slab.at_mut(index).and_then(|stream| stream.open()) else { return };
        if open.fires < Time::MAX {
            self.timers.cancel(open.timer);
            open.fires = Time::MAX;
        }
        // There is room for as many as there are connections.
        if due < Time::MAX
            && let Ok(timer) = self.timers.insert(due, Place::Connection(index).pack())
        {
            (open.timer, open.fires) = (timer, due);
        }
    }

    #[cold]
    fn feed(&mut self) {
        self.refuses = false;
        while let Some(index) = self.starved.pop_front() {
            let Some(open) = self.slab.at_mut(index).and_then(|stream| stream.open()) else { continue };
            open.listed = false;
            if core::mem::take(&mut open.starves) {
                self.wake(index, Readiness { readable: false, writable: true });
            }
        }
    }

    /// Takes a connection out of the table.
    fn unlink(&mut self, index: u32) {
        let Some(stream) = self.slab.at_mut(index) else { return };
        let flow = stream.flow();
        if let (Some(flow), Kind::Open(open)) = (flow, &mut stream.kind)
            && core::mem::take(&mut open.linked)
        {
            let hash = open.hash;
            self.recents.forget(&flow);
            self.table.remove(hash, Place::Connection(index));
        }
    }

    /// Takes a socket out of everything.
    fn remove(&mut self, index: u32) -> Option<Box<Stream>> {
        self.unlink(index);
        self.holds_none(index);
        let key = self.slab.key_at(index)?;
        let stream = self.slab.remove(key)?;
        if let Kind::Open(open) = &stream.kind {
            self.timers.cancel(open.timer);
        }
        if let Some(hold) = stream.hold() {
            self.ports.release(stream.local.1, hold, stream.sharing());
        }
        Some(stream)
    }
}
