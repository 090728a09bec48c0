// SPDX-License-Identifier: MIT OR Apache-2.0
//! Both ends of a pipe in one LibOs against a list of messages: whichever way a push or a pop goes (at once, parked, spun for, in
//! place, in parts, cancelled), what each pop gives depends on the order of the calls alone.

use super::{LIMIT, config};
use crate::{Errno, LibOs, Outcome, Qd, Qt};
use proptest::prelude::*;
use runtime::buf::Sga;
use runtime::op::Completion;
use std::time::Duration;

/// Tokens that are not taken, at most.
const OPEN: usize = 24;
/// Messages that are read in place and kept, at most.
const KEPT: usize = 4;

/// One step. The first number is the end of the pipe; the others choose among what is there.
#[derive(Clone, Debug)]
enum Step {
    Push(usize, usize),
    /// In as many segments.
    PushParts(usize, usize, usize),
    Pop(usize),
    PopSome(usize, usize),
    PopInPlace(usize),
    /// Zero: looks once. Else it may spin and sleep.
    Wait(usize, u64),
    WaitAny(usize),
    WaitNext(usize),
    Cancel(usize),
    Drop(usize),
    Poll,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (n, end) = (any::<usize>, || 0..2_usize);
    let len = || prop_oneof![4 => 1_usize..100, 2 => 1_usize..3000, 1 => 1_usize..40_000];
    let step = prop_oneof![
        8 => (end(), len()).prop_map(|(end, len)| Step::Push(end, len)),
        2 => (end(), len(), 1..5_usize).prop_map(|(end, len, parts)| Step::PushParts(end, len, parts)),
        8 => end().prop_map(Step::Pop),
        3 => (end(), 1_usize..3000).prop_map(|(end, size)| Step::PopSome(end, size)),
        3 => end().prop_map(Step::PopInPlace),
        8 => (n(), 0..2_u64).prop_map(|(which, time)| Step::Wait(which, time)),
        2 => n().prop_map(Step::WaitAny),
        2 => (1_usize..6).prop_map(Step::WaitNext),
        2 => n().prop_map(Step::Cancel),
        4 => n().prop_map(Step::Drop),
        2 => Just(Step::Poll),
    ];
    prop::collection::vec(step, 1..150)
}

/// What a pop takes of a message.
#[derive(Clone, Copy, Debug)]
enum Takes {
    All,
    Some(usize),
}

#[derive(Default)]
struct Direction {
    /// Messages in order, those that were cancelled left out.
    pushed: Vec<(Qt, Vec<u8>)>,
    /// Pops in order, those that took nothing left out.
    popped: Vec<(Qt, Takes)>,
}

impl Direction {
    /// What each pop gives: that follows from what was called before it. Whether something is left behind them.
    fn go(&self, mut gives: impl FnMut(Qt, &[u8])) -> bool {
        let mut messages = self.pushed.iter().map(|(_, bytes)| &bytes[..]);
        let mut rest: &[u8] = &[];
        for &(qt, takes) in &self.popped {
            if rest.is_empty() {
                let Some(next) = messages.next() else { return false };
                rest = next;
            }
            let len = match takes {
                Takes::All => rest.len(),
                Takes::Some(size) => size.min(rest.len()),
            };
            let (taken, left) = rest.split_at(len);
            gives(qt, taken);
            rest = left;
        }
        !rest.is_empty() || messages.next().is_some()
    }

    fn expected(&self, qt: Qt) -> Option<Vec<u8>> {
        let mut expected = None;
        self.go(|other, bytes| {
            if other == qt {
                expected = Some(bytes.to_vec());
            }
        });
        expected
    }

    fn has_more(&self) -> bool {
        self.go(|_, _| ())
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Push,
    Pop,
}

struct Model {
    libos: LibOs,
    ends: [Qd; 2],
    /// Of the messages that this end pushes.
    directions: [Direction; 2],
    /// Tokens that are not taken, with the direction of their message.
    open: Vec<(Qt, usize, Kind)>,
    kept: Vec<(Sga, Vec<u8>)>,
    seed: u8,
    _directory: tempfile::TempDir,
}

impl Model {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut config = config(&directory);
        config.catmem.ring = 4096;
        let mut libos = LibOs::new(&config).unwrap();
        let ends = [libos.create_pipe("model").unwrap(), libos.open_pipe("model").unwrap()];
        let (directions, open, kept) = (Default::default(), Vec::new(), Vec::new());
        Self { libos, ends, directions, open, kept, seed: 0, _directory: directory }
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        self.seed = self.seed.wrapping_add(1);
        (0..len).map(|at| (at as u8).wrapping_mul(31) ^ self.seed).collect()
    }

    fn push(&mut self, end: usize, len: usize, parts: usize) {
        let bytes = self.bytes(len);
        let qt = if parts == 0 {
            self.libos.push(self.ends[end], &bytes[..]).unwrap()
        } else {
            let mut message = Sga::new();
            for part in bytes.chunks(len.div_ceil(parts)) {
                let mut buf = self.libos.alloc(part.len()).unwrap();
                buf.get_mut().unwrap().copy_from_slice(part);
                message.push_back(buf).unwrap();
            }
            self.libos.push(self.ends[end], message).unwrap()
        };
        self.open.push((qt, end, Kind::Push));
        self.directions[end].pushed.push((qt, bytes));
    }

    fn pop(&mut self, end: usize, takes: Takes, in_place: bool) {
        let qt = match takes {
            Takes::All if in_place => self.libos.pop_in_place(self.ends[end]),
            Takes::All => self.libos.pop(self.ends[end], None),
            Takes::Some(size) => self.libos.pop(self.ends[end], Some(size)),
        };
        let qt = qt.unwrap();
        self.open.push((qt, 1 - end, Kind::Pop));
        self.directions[1 - end].popped.push((qt, takes));
    }

    /// An operation has ended.
    fn ended(&mut self, qt: Qt, outcome: Outcome) {
        let place = self.open.iter().position(|&(other, ..)| other == qt).expect("a token that is open");
        let (_, direction, kind) = self.open.swap_remove(place);
        let direction = &mut self.directions[direction];
        match (outcome, kind) {
            (Outcome::Push, Kind::Push) => {}
            (Outcome::Pop(message), Kind::Pop) => {
                let expected = direction.expected(qt).expect("nothing was pushed that it could have given");
                assert!(message.to_vec() == expected, "{} bytes for {}", message.len(), expected.len());
                if self.kept.len() < KEPT {
                    self.kept.push((message, expected));
                }
            }
            (Outcome::Failed(error), _) if error.errno() == Errno::CANCELED => {
                direction.pushed.retain(|&(other, _)| other != qt);
                direction.popped.retain(|&(other, _)| other != qt);
            }
            (outcome, _) => panic!("{outcome:?}"),
        }
        assert_eq!(self.libos.try_wait(qt).unwrap_err().errno(), Errno::INVAL);
    }

    fn all_ended(&mut self, done: Vec<Completion>) {
        for completion in done {
            self.ended(completion.qt, completion.outcome);
        }
    }

    fn choose(&self, which: usize) -> Option<Qt> {
        self.open.get(which % self.open.len().max(1)).map(|&(qt, ..)| qt)
    }

    fn wait(&mut self, qt: Qt, time: Option<Duration>) -> bool {
        match self.libos.wait(qt, time) {
            Ok(completion) => {
                assert_eq!(completion.qt, qt);
                self.ended(qt, completion.outcome);
                true
            }
            Err(error) => {
                assert_eq!(error.errno(), Errno::TIMEDOUT);
                false
            }
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Push(..) | Step::PushParts(..) | Step::Pop(_) | Step::PopSome(..) | Step::PopInPlace(_)
                if self.open.len() >= OPEN => {}
            Step::Push(end, len) => self.push(end, len, 0),
            Step::PushParts(end, len, parts) => self.push(end, len, parts),
            Step::Pop(end) => self.pop(end, Takes::All, false),
            Step::PopSome(end, size) => self.pop(end, Takes::Some(size), false),
            Step::PopInPlace(end) => self.pop(end, Takes::All, true),
            Step::Wait(which, time) => {
                if let Some(qt) = self.choose(which) {
                    self.wait(qt, Some(Duration::from_micros(200 * time)));
                }
            }
            Step::WaitAny(which) => {
                let mut qts: Vec<Qt> = self.open.iter().map(|&(qt, ..)| qt).collect();
                qts.truncate(1 + which % 4);
                match self.libos.wait_any(&qts, Some(Duration::ZERO)) {
                    Ok((place, completion)) => {
                        assert_eq!(qts[place], completion.qt);
                        self.ended(completion.qt, completion.outcome);
                    }
                    Err(error) if qts.is_empty() => assert_eq!(error.errno(), Errno::INVAL),
                    Err(error) => assert_eq!(error.errno(), Errno::TIMEDOUT),
                }
            }
            Step::WaitNext(n) => {
                let mut done = Vec::new();
                match self.libos.wait_next_n(&mut done, n, Some(Duration::ZERO)) {
                    Ok(taken) => assert!(taken == done.len() && taken <= n),
                    Err(error) => assert_eq!(error.errno(), Errno::TIMEDOUT),
                }
                self.all_ended(done);
            }
            Step::Cancel(which) => {
                let Some(qt) = self.choose(which) else { return };
                match self.libos.cancel(qt) {
                    // It takes and gives nothing: those behind it are the first.
                    Ok(()) => assert!(self.wait(qt, LIMIT)),
                    Err(error) => assert_eq!(error.errno(), Errno::ALREADY),
                }
            }
            Step::Drop(which) => {
                if !self.kept.is_empty() {
                    let (message, expected) = self.kept.swap_remove(which % self.kept.len());
                    assert!(message.to_vec() == expected, "it has changed while it was kept");
                }
            }
            Step::Poll => self.libos.poll(),
        }
    }

    /// All that was pushed is popped, then comes the end once, and nothing is left anywhere.
    fn finish(mut self) {
        self.kept.clear();
        // What waits for nothing is taken back.
        for (qt, direction, kind) in self.open.clone() {
            if kind == Kind::Pop && self.directions[direction].expected(qt).is_none() {
                match self.libos.cancel(qt) {
                    Ok(()) => assert!(self.wait(qt, LIMIT)),
                    Err(error) => panic!("{qt:?} has ended without a message: {error}"),
                }
            }
        }
        // In whatever order they end: a message that nobody takes can keep the room of those behind it.
        loop {
            for end in [0, 1] {
                if self.directions[1 - end].has_more() {
                    self.pop(end, Takes::All, false);
                }
            }
            if self.open.is_empty() {
                break;
            }
            let mut done = Vec::new();
            self.libos.wait_next_n(&mut done, OPEN, LIMIT).expect("one of them ends");
            self.all_ended(done);
            self.kept.clear();
        }
        for end in [0, 1] {
            self.libos.shutdown(self.ends[end], std::net::Shutdown::Write).unwrap();
            let mut pop = || {
                let qt = self.libos.pop(self.ends[1 - end], None).unwrap();
                self.libos.wait(qt, LIMIT).unwrap().into_message()
            };
            assert!(pop().unwrap().has_no_segment());
            assert_eq!(pop().unwrap_err().errno(), Errno::PIPE);
        }
        assert_eq!(self.libos.pool_stats().map(|stats| stats.in_use), [0; 3]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, max_shrink_time: 60_000, ..ProptestConfig::default() })]

    #[test]
    fn what_is_popped_follows_from_the_calls(steps in steps()) {
        let mut model = Model::new();
        for step in &steps {
            model.step(step);
        }
        model.finish();
    }
}
