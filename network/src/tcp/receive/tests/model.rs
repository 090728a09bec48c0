// SPDX-License-Identifier: MIT OR Apache-2.0
//! The receiver against an array of bytes: whatever comes, in whatever order, cut however.

use core::time::Duration;

use proptest::prelude::*;
use runtime::buf::Pool;

use super::*;

/// Bytes of the stream, behind which stands the FIN.
const STREAM: usize = 6000;

#[derive(Clone, Debug)]
enum Step {
    /// So far from the next byte, so long, cut into buffers behind so many bytes; marked by a router or not.
    Segment {
        from: i32,
        len: usize,
        cut: usize,
        marked: bool,
    },
    Pop(Option<usize>),
    Acknowledge(usize),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let from = prop_oneof![4 => Just(0), 4 => -300..1500_i32, 1 => -6000..6000_i32];
    let len = prop_oneof![Just(0), 1..20_usize, 1..800_usize];
    prop_oneof![
        12 => (from, len, 0..900_usize, any::<bool>())
            .prop_map(|(from, len, cut, marked)| Step::Segment { from, len, cut, marked }),
        2 => Just(Step::Pop(None)),
        2 => (1..2000_usize).prop_map(|most| Step::Pop(Some(most))),
        5 => (0..5_usize).prop_map(Step::Acknowledge),
        1 => (0..50_000_000_u64).prop_map(Step::Wait),
    ]
}

/// What the receiver should be.
struct Model {
    first: Seq,
    have: Vec<bool>,
    /// Whether the FIN has come.
    fin: bool,
    popped: usize,
    /// The right edge, as a place.
    edge: usize,
    /// What the last segments had that was there: `start..end`.
    twice: Option<(usize, usize)>,
}

impl Model {
    fn new(first: Seq, window: usize) -> Self {
        Self { first, have: vec![false; STREAM], fin: false, popped: 0, edge: window, twice: None }
    }

    /// The first that is missing, the FIN left out.
    fn filled(&self) -> usize {
        self.have.iter().position(|have| !have).unwrap_or(STREAM)
    }

    fn ended(&self) -> bool {
        self.fin && self.filled() == STREAM
    }

    fn next(&self) -> usize {
        self.filled() + usize::from(self.ended())
    }

    /// Takes `start..end` in, and says what should be said of it.
    fn take(&mut self, start: usize, end: usize, fin: bool) -> Taken {
        let (next, filled) = (self.next(), self.filled());
        let len = end - start + usize::from(fin);
        let old = next.saturating_sub(start).min(len);
        if old > 0 && old == len {
            self.twice = Some((start, start + old));
            return Taken::Duplicate;
        }
        let to = end.min(self.edge);
        let fin = fin && to == end && end <= self.edge;
        let start_new = start + old;
        // The first run of bytes that were here.
        let repeated = (start..to.max(start)).find(|at| self.have[*at]);
        if let Some(from) = repeated {
            let until = (from..to).find(|at| !self.have[*at]).unwrap_or(to);
            self.twice = Some((from, until));
        }
        if start_new >= to && !fin {
            return Taken::Refused;
        }
        let new = (start_new..to).filter(|at| !self.have[*at]).count();
        (start_new..to).for_each(|at| self.have[at] = true);
        self.fin |= fin;
        match self.filled() - filled {
            _ if start_new == filled => Taken::InOrder { bytes: (self.filled() - filled) as u32 },
            _ if new == 0 && start_new < to => Taken::Duplicate,
            _ => Taken::OutOfOrder,
        }
    }

    /// The runs behind the first hole, the FIN with the bytes in front of it.
    fn runs(&self) -> Vec<(usize, usize)> {
        let mut runs = Vec::new();
        let mut at = self.filled();
        while let Some(start) = (at..STREAM).find(|at| self.have[*at]) {
            let end = (start..STREAM).find(|at| !self.have[*at]).unwrap_or(STREAM);
            runs.push((start, end + usize::from(self.fin && end == STREAM)));
            at = end;
        }
        runs
    }

    fn block(&self, (start, end): (usize, usize)) -> SackBlock {
        SackBlock { start: (self.first + start as u32).0, end: (self.first + end as u32).0 }
    }
}

fn payload(pool: &Pool, start: usize, end: usize, cut: usize) -> Sga {
    let mut payload = Sga::new();
    let cut = (start + cut).min(end);
    for (from, to) in [(start, cut), (cut, end)] {
        if from < to {
            payload.push_back(pool.alloc_copy(&bytes(from, to - from)).unwrap()).unwrap();
        }
    }
    payload
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_order_gives_the_stream(
        first: u32,
        buffer in 3000..9000_usize,
        scale in 0..15_u8,
        steps in prop::collection::vec(step(), 1..150),
    ) {
        let pool = Pool::heap(1024, 4000, 0, 200).unwrap();
        let settings = Settings { receive_buffer: buffer, receive_buffer_max: 20_000, ..Settings::default() };
        let first = Seq(first);
        let mut now = Time::ZERO;
        let mut receiver = Receiver::new(&settings, first, scale, 1000, now);
        let mut model = Model::new(first, buffer);
        let mut recent = None;
        for step in steps {
            match step {
                Step::Segment { from, len, cut, marked } => {
                    let start = model.filled().saturating_add_signed(from as isize).min(STREAM);
                    let end = (start + len).min(STREAM);
                    let fin = end == STREAM;
                    if start == end && !fin {
                        continue;
                    }
                    let memory = Chain::from(payload(&pool, start, end, cut)).memory();
                    if receiver.memory() + memory > receiver.memory_max() {
                        // Lost on the way: what becomes of it where memory counts, the next test sees.
                        continue;
                    }
                    let acceptable = receiver.is_acceptable(first + start as u32, (end - start) as u32 + u32::from(fin));
                    let before = (model.next(), model.edge);
                    let expected = model.take(start, end, fin);
                    let taken = receiver.take(first + start as u32, payload(&pool, start, end, cut), fin, marked, now);
                    prop_assert_eq!(taken, expected, "{}..{} {} of {:?}", start, end, fin, before);
                    let fresh = !matches!(taken, Taken::Duplicate | Taken::Refused);
                    // A bare FIN just behind the edge is taken.
                    prop_assert!(acceptable || !fresh || start == end);
                    if model.have.get(start.max(model.next())).copied() == Some(true) && start < end {
                        recent = Some(start.max(model.next()));
                    }
                    let at_once = taken == Taken::OutOfOrder || !fresh || model.twice.is_some() || model.ended();
                    prop_assert!(!at_once || receiver.acknowledge(now) == Need::Now);
                    prop_assert!(receiver.acknowledge(now) != Need::Nothing);
                }
                Step::Pop(most) => {
                    let readable = model.filled() - model.popped;
                    let popped = receiver.pop(most, || Duration::ZERO, now).unwrap();
                    prop_assert_eq!(popped.is_some(), readable > 0);
                    let popped = popped.map_or(Vec::new(), |popped| popped.to_vec());
                    prop_assert!(popped.len() <= most.unwrap_or(usize::MAX).min(readable));
                    prop_assert!(!popped.is_empty() || readable == 0);
                    prop_assert_eq!(&popped, &bytes(model.popped, popped.len()));
                    model.popped += popped.len();
                }
                Step::Acknowledge(room) => {
                    let blocks = receiver.sack(room);
                    let mut blocks = &blocks[..];
                    if let Some(twice) = model.twice.take().filter(|_| room > 0) {
                        prop_assert_eq!(blocks.first(), Some(&model.block(twice)));
                        blocks = &blocks[1..];
                    }
                    let runs = model.runs();
                    for block in blocks {
                        prop_assert!(runs.iter().any(|run| model.block(*run) == *block));
                    }
                    prop_assert!((1..blocks.len()).all(|at| !blocks[..at].contains(&blocks[at])));
                    if let (Some(recent), Some(block)) = (recent, blocks.first())
                        && recent > model.next()
                    {
                        let run = runs.iter().find(|run| (run.0..run.1).contains(&recent));
                        prop_assert_eq!(Some(*block), run.map(|run| model.block(*run)));
                    }
                    let window = receiver.window() as usize;
                    receiver.acknowledged(now);
                    prop_assert_eq!(receiver.acknowledge(now), Need::Nothing);
                    let unit = 1 << scale;
                    prop_assert!(window.is_multiple_of(unit) && window + unit > model.edge.saturating_sub(model.next()));
                    model.edge = model.edge.max(model.next() + window);
                    prop_assert!(model.edge <= (model.popped + receiver.buffer() + unit + 1).max(buffer));
                }
                Step::Wait(nanos) => now += Duration::from_nanos(nanos),
            }
            prop_assert_eq!(receiver.next(), first + model.next() as u32);
            prop_assert_eq!(receiver.has_end(), model.ended());
            prop_assert_eq!(receiver.readable(), model.filled() - model.popped);
            prop_assert!(receiver.memory() <= receiver.memory_max());
            prop_assert_eq!(receiver.disorder.is_none(), model.runs().is_empty());
            prop_assert!(receiver.buffer() >= buffer && receiver.buffer() <= 20_000);
        }
        drop(receiver);
        prop_assert_eq!(pool.available(), pool.capacity());
    }

    /// Little memory, blocks that are mostly empty: what is refused comes again, and the stream arrives.
    #[test]
    fn refusals_cost_time_and_no_bytes(
        slot in prop_oneof![Just(600_u32), Just(2048), Just(65_536)],
        headroom in prop_oneof![Just(0_u32), Just(20_000)],
        buffer in 2304..5000_usize,
        steps in prop::collection::vec(step(), 1..200),
    ) {
        let pool = Pool::heap(slot, 3000, headroom, 50).unwrap();
        let settings = Settings { receive_buffer: buffer, receive_buffer_max: buffer, ..Settings::default() };
        let mut receiver = Receiver::new(&settings, FIRST, 2, 500, Time::ZERO);
        let (mut popped, mut now) = (0, Time::ZERO);
        let rest = (0..400).flat_map(|_| {
            [Step::Segment { from: 0, len: 500, cut: 500, marked: false }, Step::Pop(None), Step::Acknowledge(3)]
        });
        let bound = receiver.memory_max() + 2 * (slot + headroom) as usize;
        for step in steps.into_iter().chain(rest) {
            let next = receiver.next().since(FIRST) as usize;
            match step {
                Step::Segment { from, len, cut, marked } => {
                    let start = next.saturating_add_signed(from as isize).min(STREAM);
                    let end = (start + len.min(500)).min(STREAM);
                    let (fin, readable) = (end == STREAM, receiver.readable());
                    let taken = receiver.take(FIRST + start as u32, payload(&pool, start, end, cut), fin, marked, now);
                    if let Taken::InOrder { bytes } = taken {
                        prop_assert_eq!(receiver.readable(), readable + bytes as usize);
                    } else {
                        prop_assert_eq!((receiver.readable(), receiver.next()), (readable, FIRST + next as u32));
                    }
                }
                Step::Pop(most) => {
                    if let Some(message) = receiver.pop(most, || Duration::ZERO, now).unwrap() {
                        prop_assert_eq!(message.to_vec(), bytes(popped, message.len()));
                        popped += message.len();
                    }
                }
                Step::Acknowledge(room) => {
                    let window = receiver.window() as usize;
                    prop_assert!(next + window <= popped + buffer + 8 || next + window <= buffer);
                    for block in receiver.sack(room) {
                        prop_assert!(Seq(block.start).is_before(Seq(block.end)));
                    }
                    receiver.acknowledged(now);
                }
                Step::Wait(nanos) => now += Duration::from_nanos(nanos),
            }
            prop_assert!(receiver.memory() <= bound, "{} of {}", receiver.memory(), bound);
            let blocks = pool.stats().in_use as usize;
            prop_assert_eq!(receiver.memory(), blocks * (slot + headroom) as usize);
            let early = receiver.disorder.as_ref().map_or(0, |disorder| disorder.assembler.count());
            prop_assert_eq!(receiver.segments(), receiver.queue.segments() + early);
        }
        prop_assert!(receiver.has_end());
        prop_assert_eq!((popped, receiver.segments()), (STREAM, 0));
    }

    /// Junk: any numbers, any bytes, FINs anywhere.
    #[test]
    fn junk_is_survived_and_bounded(
        segments in prop::collection::vec((any::<i32>(), 0..32_u32, 0..3000_usize, 0..8_u8, any::<bool>()), 1..300),
    ) {
        let pools = pools();
        let settings = Settings { receive_buffer: 20_000, receive_buffer_max: 40_000, ..Settings::default() };
        let mut receiver = receiver(&settings);
        let (mut popped, mut ends) = (0, None);
        for (seq, shift, len, what, pops) in segments {
            let seq = receiver.next() + (seq >> (shift)).cast_unsigned();
            let payload = pools.alloc_copy(&vec![7; len]).unwrap().into();
            let before = receiver.next();
            let fin = what == 0;
            let _ = receiver.is_acceptable(seq, len as u32);
            receiver.take(seq, payload, fin, what == 1, Time::ZERO);
            if what == 2 {
                receiver.unacceptable(seq, len as u32);
            }
            prop_assert!(!receiver.next().is_before(before));
            prop_assert!(receiver.memory() <= receiver.memory_max() + 70_000);
            if pops {
                popped += receiver.pop(Some(len.max(1)), || Duration::ZERO, Time::ZERO).unwrap().map_or(0, |message| message.len());
            }
            let come = receiver.next().since(FIRST) as usize - usize::from(receiver.has_end());
            prop_assert_eq!(popped + receiver.readable(), come);
            if receiver.has_end() {
                prop_assert_eq!(*ends.get_or_insert(receiver.next()), receiver.next());
            }
            if what > 3 {
                prop_assert!(receiver.sack(4).iter().all(|block| block.start != block.end));
                receiver.window();
                receiver.acknowledged(Time::ZERO);
            }
        }
        drop(receiver);
        prop_assert!(pools.stats().iter().all(|stats| stats.in_use == 0));
    }
}
