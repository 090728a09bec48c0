// SPDX-License-Identifier: MIT OR Apache-2.0
//! Random operation lists against a model that copies every byte: same contents, same errnos, and all back at the end.

use std::rc::Rc;

use proptest::prelude::*;

use super::header::narrow;
use super::tests::{Foreign, Lender};
use super::*;
use crate::{Errno, Error, Result};

const SLOT: usize = 32;
const SLOTS: usize = 4;
const HEADROOM: usize = 8;
const VIEWS: usize = 5;

#[derive(Clone, Debug)]
enum Op {
    Alloc(usize),
    View(usize),
    SplitFront(usize, usize),
    SplitBack(usize, usize),
    TrimFront(usize, usize),
    TrimBack(usize, usize),
    Truncate(usize, usize),
    Prepend(usize, usize),
    Append(usize, usize),
    Write(usize),
    Raw(usize),
    Drop(usize),
    DropPool,
}

fn op() -> impl Strategy<Value = Op> {
    let (which, n) = (0..16_usize, 0..SLOT + 4);
    prop_oneof![
        6 => n.clone().prop_map(Op::Alloc),
        3 => which.clone().prop_map(Op::View),
        2 => (which.clone(), n.clone()).prop_map(|(i, n)| Op::SplitFront(i, n)),
        2 => (which.clone(), n.clone()).prop_map(|(i, n)| Op::SplitBack(i, n)),
        1 => (which.clone(), n.clone()).prop_map(|(i, n)| Op::TrimFront(i, n)),
        1 => (which.clone(), n.clone()).prop_map(|(i, n)| Op::TrimBack(i, n)),
        1 => (which.clone(), n.clone()).prop_map(|(i, n)| Op::Truncate(i, n)),
        2 => (which.clone(), n.clone()).prop_map(|(i, n)| Op::Prepend(i, n % 12)),
        2 => (which.clone(), n).prop_map(|(i, n)| Op::Append(i, n)),
        2 => which.clone().prop_map(Op::Write),
        1 => which.clone().prop_map(Op::Raw),
        6 => which.prop_map(Op::Drop),
        1 => Just(Op::DropPool),
    ]
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Heap,
    Region,
    Loans,
    Oversize,
}

/// One view as the model has it.
struct View {
    block: Rc<core::cell::RefCell<Vec<u8>>>,
    start: usize,
    len: usize,
    first: bool,
    buf: Buf,
}

impl View {
    fn twin(&self, start: usize, len: usize, buf: Buf) -> View {
        View { block: self.block.clone(), start, len, first: false, buf }
    }
}

struct World {
    kind: Kind,
    pool: Pool,
    spare: Option<Pool>,
    lender: Lender,
    views: Vec<View>,
    byte: u8,
}

impl World {
    fn new(kind: Kind) -> World {
        let lender = Lender::default();
        let (slot_size, slots, headroom) = (narrow(SLOT), narrow(SLOTS), narrow(HEADROOM));
        let pool = match kind {
            Kind::Heap => Pool::heap(slot_size, slots, headroom, narrow(VIEWS)),
            Kind::Region => {
                let (region, _) = Foreign::new(SLOTS * (SLOT + HEADROOM));
                Pool::over(region, Layout { slot_size, slots, headroom, views: narrow(VIEWS) })
            }
            Kind::Loans => Pool::loans(Box::new(lender.clone()), narrow(SLOTS + VIEWS)),
            Kind::Oversize => Pool::oversize(usize::MAX, narrow(SLOTS + VIEWS)),
        }
        .unwrap();
        World { kind, spare: Some(pool.clone()), pool, lender, views: Vec::new(), byte: 0 }
    }

    fn has_slots(&self) -> bool {
        matches!(self.kind, Kind::Heap | Kind::Region)
    }

    /// Blocks in use: a block counts once, by its views.
    fn blocks(&self) -> usize {
        let mut blocks: Vec<_> = self.views.iter().map(|view| Rc::as_ptr(&view.block)).collect();
        blocks.sort_unstable();
        blocks.dedup();
        blocks.len()
    }

    /// Second views in use.
    fn seconds(&self) -> usize {
        self.views.iter().filter(|view| !view.first).count()
    }

    fn no_view_left(&self) -> bool {
        if self.has_slots() { self.seconds() == VIEWS } else { self.blocks() + self.seconds() == SLOTS + VIEWS }
    }

    fn alloc(&mut self, len: usize) {
        let (result, headroom, capacity) = match self.kind {
            Kind::Heap | Kind::Region => (self.pool.alloc(len), HEADROOM, SLOT + HEADROOM),
            Kind::Loans => (self.lender.lend(&self.pool, &vec![0; len]), 0, len),
            Kind::Oversize => (self.pool.alloc_oversize(len), 0, len.max(1)),
        };
        let full = if self.has_slots() { self.blocks() == SLOTS } else { self.no_view_left() };
        let expected = match () {
            () if self.has_slots() && len > SLOT => Some(Errno::MSGSIZE),
            () if full => Some(Errno::NOBUFS),
            () => None,
        };
        assert_eq!(errno(&result), expected);
        let Ok(buf) = result else { return };
        assert_eq!((buf.len(), buf.headroom(), buf.tailroom()), (len, headroom, capacity - headroom - len));
        let block = Rc::new(vec![0; capacity].into());
        self.views.push(View { block, start: headroom, len, first: true, buf });
        self.write(self.views.len() - 1);
    }

    /// Writes fresh bytes through the view, if it is the only one.
    fn write(&mut self, index: usize) {
        let view = &mut self.views[index];
        let sole = Rc::strong_count(&view.block) == 1 && !matches!(self.kind, Kind::Loans);
        let Some(bytes) = view.buf.get_mut() else {
            return assert!(!sole);
        };
        assert!(sole);
        Self::paint(&mut self.byte, bytes, &view.block, view.start);
    }

    fn paint(byte: &mut u8, bytes: &mut [u8], block: &core::cell::RefCell<Vec<u8>>, start: usize) {
        for (at, to) in (start..).zip(bytes) {
            *byte = byte.wrapping_add(1);
            *to = *byte;
            block.borrow_mut()[at] = *byte;
        }
    }

    fn add(
        &mut self,
        expected: Option<Errno>,
        made: Result<Buf>,
        model: impl FnOnce(&mut View, Buf) -> View,
        of: usize,
    ) {
        assert_eq!(errno(&made), expected);
        if let Ok(buf) = made {
            let twin = model(&mut self.views[of], buf);
            self.views.push(twin);
        }
    }

    fn split_errno(&self, index: usize, n: usize) -> Option<Errno> {
        match () {
            () if n > self.views[index].len => Some(Errno::INVAL),
            () if self.no_view_left() => Some(Errno::NOBUFS),
            () => None,
        }
    }

    fn run(&mut self, op: &Op) {
        if let Op::Alloc(len) = *op {
            return self.alloc(len);
        }
        let count = self.views.len().max(1);
        let (Op::View(i)
        | Op::SplitFront(i, _)
        | Op::SplitBack(i, _)
        | Op::TrimFront(i, _)
        | Op::TrimBack(i, _)
        | Op::Truncate(i, _)
        | Op::Prepend(i, _)
        | Op::Append(i, _)
        | Op::Write(i)
        | Op::Raw(i)
        | Op::Drop(i)) = *op
        else {
            return drop(self.spare.take());
        };
        let i = i % count;
        if self.views.is_empty() {
            return;
        }
        let no_view = self.no_view_left().then_some(Errno::NOBUFS);
        let split = |n| self.split_errno(i, n);
        match *op {
            Op::View(_) => {
                let made = self.views[i].buf.view();
                self.add(no_view, made, |view, buf| view.twin(view.start, view.len, buf), i);
            }
            Op::SplitFront(_, n) => {
                let expected = split(n);
                let made = self.views[i].buf.split_front(n);
                let model = |view: &mut View, buf| {
                    let front = view.twin(view.start, n, buf);
                    (view.start, view.len) = (view.start + n, view.len - n);
                    front
                };
                self.add(expected, made, model, i);
            }
            Op::SplitBack(_, n) => {
                let expected = split(n);
                let made = self.views[i].buf.split_back(n);
                let model = |view: &mut View, buf| {
                    let back = view.twin(view.start + n, view.len - n, buf);
                    view.len = n;
                    back
                };
                self.add(expected, made, model, i);
            }
            Op::TrimFront(_, n) => self.trim(i, n, |buf| buf.trim_front(n), |view| (view.start + n, view.len - n)),
            Op::TrimBack(_, n) => self.trim(i, n, |buf| buf.trim_back(n), |view| (view.start, view.len - n)),
            Op::Truncate(_, n) => self.trim(i, n, |buf| buf.truncate(n), |view| (view.start, n)),
            Op::Prepend(_, n) => self.grow(i, n, true),
            Op::Append(_, n) => self.grow(i, n, false),
            Op::Write(_) => self.write(i),
            Op::Raw(_) => {
                let view = self.views.swap_remove(i);
                let raw = view.buf.into_raw();
                // SAFETY: from `into_raw`, taken back once.
                self.views.push(View { buf: unsafe { Buf::from_raw(raw) }, ..view });
            }
            Op::Drop(_) => drop(self.views.swap_remove(i)),
            Op::Alloc(_) | Op::DropPool => {}
        }
    }

    fn trim(
        &mut self,
        index: usize,
        n: usize,
        real: impl FnOnce(&mut Buf) -> Result<()>,
        model: impl FnOnce(&View) -> (usize, usize),
    ) {
        let view = &mut self.views[index];
        let result = real(&mut view.buf);
        assert_eq!(errno(&result), (n > view.len).then_some(Errno::INVAL));
        if result.is_ok() {
            (view.start, view.len) = model(view);
        }
    }

    fn grow(&mut self, index: usize, n: usize, front: bool) {
        let view = &mut self.views[index];
        let room = if front { view.start } else { view.block.borrow().len() - view.start - view.len };
        let expected = match () {
            () if Rc::strong_count(&view.block) > 1 || matches!(self.kind, Kind::Loans) => Some(Errno::BUSY),
            () if n > room => Some(Errno::NOBUFS),
            () => None,
        };
        let grown = if front { view.buf.prepend(n) } else { view.buf.append(n) };
        assert_eq!(errno(&grown), expected);
        let Ok(bytes) = grown else { return };
        assert_eq!(bytes.len(), n);
        let from = if front { view.start - n } else { view.start + view.len };
        Self::paint(&mut self.byte, bytes, &view.block, from);
        (view.start, view.len) = (view.start.min(from), view.len + n);
    }

    fn check(&self) {
        for view in &self.views {
            let block = view.block.borrow();
            assert_eq!(*view.buf, block[view.start..view.start + view.len]);
            assert_eq!(view.buf.offset(), view.start);
            assert_eq!(view.buf.tailroom(), block.len() - view.start - view.len);
            assert_eq!(view.buf.ref_count() as usize, Rc::strong_count(&view.block));
            assert_eq!(self.pool.slot_index(&view.buf).is_some(), self.has_slots());
        }
        let stats = self.pool.stats();
        let (blocks, seconds) = (self.blocks(), self.seconds());
        if self.has_slots() {
            assert_eq!((stats.in_use as usize, stats.views_in_use as usize), (blocks, seconds));
        } else {
            assert_eq!(stats.in_use as usize, blocks + seconds);
        }
    }

    /// Drops all that is left, the pool's handles before or after the buffers.
    fn finish(mut self, pool_first: bool) {
        let lent = self.lender.clone();
        if pool_first {
            drop((self.pool, self.spare));
            drop(self.views);
        } else {
            self.views.clear();
            self.check();
            assert_eq!(self.pool.available(), self.pool.capacity());
        }
        assert!(lent.all_back());
    }
}

fn errno<T>(result: &Result<T>) -> Option<Errno> {
    result.as_ref().err().copied().map(Error::errno)
}

proptest! {
    // Miri is some hundred times slower, and has no file system to keep failures in.
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 8 } else { 256 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn buffers_do_as_the_model(
        kind in prop_oneof![Just(Kind::Heap), Just(Kind::Region), Just(Kind::Loans), Just(Kind::Oversize)],
        ops in prop::collection::vec(op(), 1..80),
        pool_first: bool,
    ) {
        let mut world = World::new(kind);
        for op in &ops {
            world.run(op);
            world.check();
        }
        world.finish(pool_first);
    }

    #[test]
    fn message_is_the_sum_of_its_segments(
        parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..6), 0..SGA_SEGMENTS_MAX),
        cuts in prop::collection::vec(0..40_usize, 0..6),
    ) {
        let pool = Pool::heap(8, narrow(SGA_SEGMENTS_MAX), 0, narrow(SGA_SEGMENTS_MAX) + 8).unwrap();
        let mut bytes = parts.concat();
        let mut message = Sga::new();
        for part in &parts {
            message.push_back(pool.alloc_copy(part).unwrap()).unwrap();
        }
        let whole = message.view().unwrap();
        prop_assert_eq!(whole.to_vec(), bytes.clone());
        drop(whole);
        for cut in cuts {
            let front = message.split_front(cut);
            if cut > bytes.len() {
                prop_assert_eq!(errno(&front), Some(Errno::INVAL));
            } else {
                let rest = bytes.split_off(cut);
                prop_assert_eq!(front.unwrap().to_vec(), bytes);
                bytes = rest;
            }
            prop_assert_eq!(message.len(), bytes.len());
            prop_assert_eq!(message.to_vec(), bytes.clone());
        }
        drop(message);
        prop_assert_eq!(pool.available(), pool.capacity());
        prop_assert_eq!(pool.stats().views_in_use, 0);
    }

    #[test]
    fn chain_is_a_queue_of_bytes(
        steps in prop::collection::vec((0..7_u8, 0..40_usize, prop::collection::vec(any::<u8>(), 0..9)), 0..120),
        views in 0..6_u32,
    ) {
        let pool = Pool::heap(16, 1100, 8, views).unwrap();
        let (mut chain, mut oracle) = (Chain::new(), Vec::new());
        for (step, n, bytes) in steps {
            let buffers = chain.segments();
            match step {
                0 => {
                    chain.push_back(pool.alloc_copy(&bytes).unwrap());
                    oracle.extend_from_slice(&bytes);
                }
                1 => {
                    let mut message = Sga::new();
                    for byte in &bytes {
                        message.push_back(pool.alloc_copy(&[*byte]).unwrap()).unwrap();
                    }
                    let other = Chain::from(message);
                    prop_assert_eq!((other.segments(), other.memory()), (bytes.len(), bytes.len() * 24));
                    chain.append(other);
                    oracle.extend_from_slice(&bytes);
                }
                2 => {
                    let room = chain.iter().last().is_some_and(|last| last.ref_count() == 1 && last.tailroom() >= bytes.len());
                    prop_assert_eq!(chain.extend_last(&bytes), room);
                    if room {
                        oracle.extend_from_slice(&bytes);
                    }
                }
                3 => {
                    let first = chain.pop_front();
                    prop_assert_eq!(first.is_some(), buffers > 0);
                    let first = first.map_or(Vec::new(), |first| first.to_vec());
                    let rest = oracle.split_off(first.len());
                    prop_assert_eq!(first, oracle);
                    oracle = rest;
                }
                4 => {
                    chain.trim_front(n);
                    oracle.drain(..n.min(oracle.len()));
                }
                5 => {
                    chain.truncate(n * 4);
                    oracle.truncate(n * 4);
                }
                _ => match chain.pop_bytes(n) {
                    Ok(popped) => {
                        let whole = n >= oracle.len() && buffers <= SGA_SEGMENTS_MAX;
                        prop_assert!(popped.len() <= n && (!whole || popped.len() == oracle.len()));
                        prop_assert!(popped.segments() <= SGA_SEGMENTS_MAX);
                        prop_assert!(!popped.is_empty() || n == 0 || oracle.is_empty() || chain.len() == oracle.len());
                        let rest = oracle.split_off(popped.len());
                        prop_assert_eq!(popped.to_vec(), oracle);
                        oracle = rest;
                    }
                    Err(error) => {
                        prop_assert_eq!(error.errno(), Errno::NOBUFS);
                        prop_assert!(chain.iter().next().unwrap().len() > n && pool.stats().views_in_use == views);
                    }
                },
            }
            prop_assert_eq!(chain.iter().flat_map(|buf| buf.to_vec()).collect::<Vec<_>>(), oracle.clone());
            prop_assert_eq!((chain.len(), chain.segments()), (oracle.len(), chain.iter().count()));
            prop_assert_eq!(chain.is_empty(), chain.segments() == 0);
            // Pieces that came out keep no memory here.
            let blocks = pool.stats().in_use as usize;
            prop_assert!(chain.memory() <= blocks * 24 && chain.memory() >= chain.len());
        }
        let whole = chain.len();
        let mut all = 0;
        while !chain.is_empty() {
            all += chain.pop().len();
        }
        prop_assert_eq!((all, chain.memory()), (whole, 0));
        drop(chain);
        prop_assert_eq!(pool.available(), pool.capacity());
    }
}
