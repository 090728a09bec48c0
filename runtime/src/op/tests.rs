// SPDX-License-Identifier: MIT OR Apache-2.0
//! The table of operations against a plain list, step by step; and the order in which wakes are taken.

use super::*;
use crate::buf::Pool;
use crate::transport::PopMode;
use crate::{Errno, Error, Qd, Qt};
use proptest::prelude::*;
use std::collections::{BTreeSet, HashMap};

/// Queues of the model, one FIFO each.
const FIFOS: usize = 3;
/// Open tokens that the table allows.
const LIMIT: usize = 12;
const CANCELED: Error = Error::new(Errno::CANCELED, "cancelled");
const BROKEN: Error = Error::new(Errno::PIPE, "broken");
/// Messages at once: those of open tokens, and one on its way.
const MESSAGES: u32 = LIMIT as u32 + 1;

/// One step. Numbers choose among what is there.
#[derive(Clone, Debug)]
enum Step {
    Reserve,
    Finished,
    Pushed,
    Popped,
    Park(usize),
    FinishFirst(usize),
    TakeFirst(usize),
    SpendFirst(usize),
    Cancel(usize),
    Take(usize),
    TakeFreshened(usize),
    TakeOldest,
    /// Tokens, and how many queues have an operation finish while the call waits.
    Ask(Vec<usize>, usize),
    OpenSet,
    Add(usize, usize),
    TakeFromSet(usize),
    CloseSet(usize),
    Stale(usize),
    Shutdown(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let n = any::<usize>;
    let step = prop_oneof![
        3 => Just(Step::Reserve),
        3 => Just(Step::Finished),
        3 => Just(Step::Pushed),
        3 => Just(Step::Popped),
        6 => n().prop_map(Step::Park),
        6 => n().prop_map(Step::FinishFirst),
        2 => n().prop_map(Step::TakeFirst),
        4 => n().prop_map(Step::SpendFirst),
        2 => n().prop_map(Step::Cancel),
        6 => n().prop_map(Step::Take),
        2 => n().prop_map(Step::TakeFreshened),
        3 => Just(Step::TakeOldest),
        3 => (prop::collection::vec(n(), 1..5), 0_usize..3).prop_map(|(which, later)| Step::Ask(which, later)),
        1 => Just(Step::OpenSet),
        4 => (n(), n()).prop_map(|(set, which)| Step::Add(set, which)),
        4 => n().prop_map(Step::TakeFromSet),
        1 => n().prop_map(Step::CloseSet),
        2 => n().prop_map(Step::Stale),
        1 => n().prop_map(Step::Shutdown),
    ];
    prop::collection::vec(step, 1..150)
}

/// What the oracle knows of one open token.
#[derive(Clone, Debug)]
struct Entry {
    qt: Qt,
    qd: Qd,
    /// Its FIFO while it is parked.
    fifo: Option<usize>,
    /// When it finished, and how: see `mark_of`.
    done: Option<(u64, i32)>,
    set: Option<SetId>,
}

struct Model {
    ops: Ops,
    pool: Pool,
    fifos: [Fifo; FIFOS],
    /// Open tokens in the order in which they began; a half-close has none.
    open: Vec<Entry>,
    /// Per FIFO, the operations in order; `None` is a half-close.
    order: [Vec<Option<Qt>>; FIFOS],
    sets: Vec<SetId>,
    closed_sets: Vec<SetId>,
    spent: BTreeSet<Qt>,
    begun: u32,
    clock: u64,
}

/// What a completion says: zero for a push, an errno, or below zero the number that is in its message.
fn mark_of(completion: &Completion) -> i32 {
    match &completion.outcome {
        Outcome::Push => 0,
        Outcome::Pop(message) => -i32::from_ne_bytes(message.to_vec().try_into().unwrap()),
        Outcome::Failed(error) => error.errno().raw(),
        Outcome::Close => panic!("nobody closed"),
        other => panic!("nobody began that: {other:?}"),
    }
}

impl Model {
    /// `old`: each slot has been used nearly as often as generations can tell.
    fn new(old: bool) -> Self {
        let mut ops = Ops::new(LIMIT);
        if old {
            while ops.grow().is_ok() {}
            ops.slots.iter_mut().for_each(|slot| slot.generation = u32::MAX - 2);
        }
        Self {
            ops,
            pool: Pool::heap(4, MESSAGES, 0, 0).unwrap(),
            fifos: [List::EMPTY; FIFOS],
            open: Vec::new(),
            order: Default::default(),
            sets: Vec::new(),
            closed_sets: Vec::new(),
            spent: BTreeSet::new(),
            begun: 0,
            clock: 0,
        }
    }

    fn slots_used(&self) -> usize {
        self.open.len() + self.order.iter().flatten().filter(|qt| qt.is_none()).count()
    }

    fn next_qd(&mut self) -> Qd {
        self.begun += 1;
        Qd::new(self.begun, 0)
    }

    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    /// What comes of the next operation that ends, and its mark.
    fn outcome(&mut self) -> (Outcome, i32) {
        let number = self.tick() as i32;
        match number % 3 {
            0 => (Outcome::Push, 0),
            1 => (Outcome::Failed(BROKEN), Errno::PIPE.raw()),
            _ => (Outcome::Pop(self.pool.alloc_copy(&number.to_ne_bytes()).unwrap().into()), -number),
        }
    }

    /// Notes a token that was given out, or checks that it was refused for good reason. `mark`: of an operation that has ended.
    fn began(&mut self, qd: Qd, given: crate::Result<Qt>, fifo: Option<usize>, mark: i32) {
        match given {
            Ok(qt) => {
                assert!(self.slots_used() < LIMIT);
                assert!(qt.to_raw() != 0 && self.spent.insert(qt), "{qt:?} was given out before");
                if let Some(fifo) = fifo {
                    self.order[fifo].push(Some(qt));
                }
                let done = if fifo.is_none() { Some((self.tick(), mark)) } else { None };
                self.open.push(Entry { qt, qd, fifo, done, set: None });
            }
            Err(error) => {
                assert_eq!(error.errno(), Errno::AGAIN);
                assert_eq!(self.slots_used(), LIMIT);
            }
        }
    }

    fn entry(&mut self, qt: Qt) -> &mut Entry {
        self.open.iter_mut().find(|entry| entry.qt == qt).unwrap()
    }

    /// A completion came: the oracle's entry goes, and all of it must be as expected.
    fn delivered(&mut self, completion: &Completion) {
        let place = self.open.iter().position(|entry| entry.qt == completion.qt).expect("delivered twice");
        let entry = self.open.remove(place);
        let (_, mark) = entry.done.expect("delivered before it had finished");
        assert_eq!((completion.qd, mark_of(completion)), (entry.qd, mark));
        self.spent(entry.qt);
    }

    /// Not asked each time: the question alone brings the table into order.
    fn spent(&mut self, qt: Qt) {
        assert!(!self.ops.is_fresh(qt));
        if self.tick().is_multiple_of(4) {
            assert_eq!(self.ops.take(qt).unwrap_err().errno(), Errno::INVAL);
        }
    }

    /// The finished token that is oldest among those of this set, or of none.
    fn oldest(&self, set: Option<SetId>) -> Option<Qt> {
        let of_set = self.open.iter().filter(|entry| entry.set == set && entry.done.is_some());
        of_set.min_by_key(|entry| entry.done).map(|entry| entry.qt)
    }

    fn finish_first(&mut self, fifo: usize) -> Option<Qt> {
        assert_eq!(self.ops.first(self.fifos[fifo]).is_some(), !self.order[fifo].is_empty());
        if self.order[fifo].is_empty() {
            self.ops.finish_first(&mut self.fifos[fifo], Outcome::Push);
            return None;
        }
        let (outcome, mark) = self.outcome();
        self.ops.finish_first(&mut self.fifos[fifo], outcome);
        let first = self.order[fifo].remove(0)?;
        let now = self.tick();
        let entry = self.entry(first);
        (entry.done, entry.fifo) = (Some((now, mark)), None);
        Some(first)
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Reserve => assert_eq!(self.ops.reserve().is_ok(), self.slots_used() < LIMIT),
            Step::Finished => {
                let (qd, (outcome, mark)) = (self.next_qd(), self.outcome());
                let given = self.ops.finished(qd, outcome);
                self.began(qd, given, None, mark);
            }
            Step::Pushed => {
                let qd = self.next_qd();
                let given = self.ops.pushed(qd);
                self.began(qd, given, None, 0);
            }
            Step::Popped => {
                let qd = self.next_qd();
                let message = self.pool.alloc_copy(&self.begun.to_ne_bytes()).unwrap();
                let given = self.ops.popped(qd, message.into());
                self.began(qd, given, None, -self.begun.cast_signed());
            }
            Step::Park(fifo) => {
                let (fifo, qd) = (fifo % FIFOS, self.next_qd());
                let given = self.ops.park(qd, Work::Pop(PopMode::Whole), &mut self.fifos[fifo]);
                self.began(qd, given, Some(fifo), 0);
            }
            Step::Shutdown(fifo) => {
                let (fifo, qd) = (fifo % FIFOS, self.next_qd());
                match self.ops.park(qd, Work::Shutdown, &mut self.fifos[fifo]) {
                    Ok(_) => self.order[fifo].push(None),
                    Err(error) => assert_eq!((error.errno(), self.slots_used()), (Errno::AGAIN, LIMIT)),
                }
            }
            Step::FinishFirst(fifo) => {
                self.finish_first(fifo % FIFOS);
            }
            Step::TakeFirst(fifo) => self.take_first(fifo % FIFOS),
            Step::SpendFirst(fifo) => self.spend_first(fifo % FIFOS),
            Step::Cancel(which) => self.cancel(which),
            Step::Take(which) => {
                let Some(qt) = self.choose(which) else { return };
                let expected = self.entry(qt).done.is_some();
                match self.ops.take(qt).unwrap() {
                    Some(completion) => self.delivered(&completion),
                    None => assert!(!expected, "{qt:?} has finished"),
                }
            }
            Step::TakeFreshened(which) => {
                let Some(qt) = self.choose(which) else { return };
                let done = self.entry(qt).done.is_some();
                assert_eq!(self.ops.freshen(qt).unwrap(), done);
                if done {
                    let completion = self.ops.take_fresh();
                    self.delivered(&completion);
                }
            }
            Step::TakeOldest => {
                let expected = self.oldest(None);
                assert_eq!(self.ops.has_done(), expected.is_some());
                let taken = self.ops.take_oldest();
                assert_eq!(taken.as_ref().map(|completion| completion.qt), expected);
                if let Some(completion) = taken {
                    self.delivered(&completion);
                }
            }
            Step::Ask(which, later) => self.ask(&which, later),
            Step::OpenSet => {
                let set = self.ops.open_set();
                assert!(!self.sets.contains(&set) && !self.closed_sets.contains(&set));
                self.sets.push(set);
            }
            Step::Add(set, which) => {
                let (Some(&set), Some(qt)) = (self.sets.get(set % self.sets.len().max(1)), self.choose(which)) else {
                    return;
                };
                let entry = self.entry(qt);
                if entry.set.is_some() {
                    assert_eq!(self.ops.add_to_set(set, qt).unwrap_err().errno(), Errno::EXIST);
                } else {
                    entry.set = Some(set);
                    self.ops.add_to_set(set, qt).unwrap();
                }
            }
            Step::TakeFromSet(set) => {
                let Some(&set) = self.sets.get(set % self.sets.len().max(1)) else { return };
                let expected = self.oldest(Some(set));
                let taken = self.ops.take_from_set(set).unwrap();
                assert_eq!(taken.as_ref().map(|completion| completion.qt), expected);
                if let Some(completion) = taken {
                    self.delivered(&completion);
                }
            }
            Step::CloseSet(set) => {
                if self.sets.is_empty() {
                    return;
                }
                let set = self.sets.swap_remove(set % self.sets.len());
                self.ops.close_set(set).unwrap();
                self.closed_sets.push(set);
                self.open.iter_mut().filter(|entry| entry.set == Some(set)).for_each(|entry| entry.set = None);
            }
            Step::Stale(which) => self.stale(which),
        }
    }

    fn choose(&self, which: usize) -> Option<Qt> {
        self.open.get(which % self.open.len().max(1)).map(|entry| entry.qt)
    }

    fn take_first(&mut self, fifo: usize) {
        let Some(&Some(qt)) = self.order[fifo].first() else { return };
        if self.entry(qt).set.is_some() {
            assert!(!self.ops.is_first(self.fifos[fifo], qt));
            return;
        }
        assert!(self.ops.is_first(self.fifos[fifo], qt));
        let (outcome, mark) = self.outcome();
        self.ops.freshen_first(&mut self.fifos[fifo], outcome);
        assert!(self.ops.is_fresh(qt));
        let completion = self.ops.take_fresh();
        assert_eq!(completion.qt, qt);
        self.order[fifo].remove(0);
        let now = self.tick();
        self.entry(qt).done = Some((now, mark));
        self.delivered(&completion);
    }

    /// A pop that is waited for gets its message past the table.
    fn spend_first(&mut self, fifo: usize) {
        let Some(&Some(qt)) = self.order[fifo].first() else { return };
        let qd = self.entry(qt).qd;
        assert_eq!(self.ops.parked(qt).unwrap(), Some((qd, Direction::Pop)));
        if !self.ops.is_first(self.fifos[fifo], qt) {
            assert!(self.entry(qt).set.is_some());
            return;
        }
        self.ops.spend_first(&mut self.fifos[fifo]);
        assert_eq!(self.ops.queue_of_spent(qt), qd);
        self.order[fifo].remove(0);
        self.open.retain(|entry| entry.qt != qt);
        self.spent(qt);
    }

    fn cancel(&mut self, which: usize) {
        let Some(qt) = self.choose(which) else { return };
        let Entry { fifo, qd, .. } = *self.entry(qt);
        assert_eq!(self.ops.parked(qt).unwrap().map(|(qd, _)| qd), fifo.map(|_| qd));
        let Some(fifo) = fifo else {
            let error = self.ops.cancel(qt, &mut self.fifos[0], CANCELED).unwrap_err();
            assert_eq!(error.errno(), Errno::ALREADY);
            return;
        };
        let first = self.order[fifo].first() == Some(&Some(qt));
        assert_eq!(self.ops.cancel(qt, &mut self.fifos[fifo], CANCELED).unwrap(), first);
        self.order[fifo].retain(|&other| other != Some(qt));
        let now = self.tick();
        let entry = self.entry(qt);
        (entry.done, entry.fifo) = (Some((now, Errno::CANCELED.raw())), None);
    }

    fn ask(&mut self, which: &[usize], later: usize) {
        let asked: Vec<Qt> = which.iter().filter_map(|&which| self.choose(which)).collect();
        self.ops.ask(&asked).unwrap();
        // The one that finished first of all, or else the first that finishes from now on.
        let mut expected = (asked.iter())
            .filter_map(|&qt| self.open.iter().find(|entry| entry.qt == qt).and_then(|entry| entry.done).zip(Some(qt)))
            .min()
            .map(|(_, qt)| qt);
        for fifo in (0..FIFOS).cycle().take(later) {
            let finished = self.finish_first(fifo);
            expected = expected.or(finished.filter(|qt| asked.contains(qt)));
        }
        let hit = self.ops.take_asked();
        assert_eq!(hit.as_ref().map(|(_, completion)| completion.qt), expected);
        if let Some((position, completion)) = hit {
            assert_eq!(asked[position], completion.qt);
            self.delivered(&completion);
        }
        assert!(self.ops.take_asked().is_none(), "delivered twice");
    }

    /// Tokens that were taken, or never given out, are refused everywhere.
    fn stale(&mut self, which: usize) {
        let spent: Vec<Qt> =
            self.spent.iter().copied().filter(|qt| self.open.iter().all(|entry| entry.qt != *qt)).collect();
        let invented = [Qt::from_raw(0), Qt::from_raw(u64::MAX), Qt::new(LIMIT as u32, 1), Qt::new(0, u32::MAX)];
        let stale = spent.get(which % spent.len().max(1)).copied().unwrap_or(invented[which % invented.len()]);
        let closed = |qt: &Qt| self.open.iter().all(|entry| entry.qt != *qt);
        let refused: Vec<Qt> = invented.into_iter().chain([stale]).filter(closed).collect();
        for qt in refused {
            let refused = [
                self.ops.take(qt).map(drop),
                self.ops.parked(qt).map(drop),
                self.ops.cancel(qt, &mut self.fifos[0], CANCELED).map(drop),
                self.ops.freshen(qt).map(drop),
                self.ops.ask(&[qt]),
                self.sets.first().map_or(Err(CANCELED), |&set| self.ops.add_to_set(set, qt)),
            ];
            for error in refused.map(Result::unwrap_err) {
                assert!(matches!(error.errno(), Errno::INVAL | Errno::CANCELED), "{qt:?}: {error}");
            }
        }
        for &set in &self.closed_sets {
            assert_eq!(self.ops.take_from_set(set).unwrap_err().errno(), Errno::INVAL);
            assert_eq!(self.ops.close_set(set).unwrap_err().errno(), Errno::INVAL);
        }
    }

    fn check(&mut self) {
        let in_sets = self.open.iter().any(|entry| entry.set.is_some() && entry.done.is_some());
        assert_eq!(self.ops.has_done_in_sets(), in_sets);
        let members: HashMap<usize, usize> =
            self.open.iter().filter_map(|entry| entry.set).fold(HashMap::new(), |mut members, set| {
                *members.entry(self.sets.iter().position(|&other| other == set).unwrap()).or_default() += 1;
                members
            });
        for (index, &set) in self.sets.iter().enumerate() {
            assert_eq!(self.ops.set_len(set).unwrap(), members.get(&index).copied().unwrap_or(0));
        }
    }

    /// Every token that is left is delivered, and the table is as good as new.
    fn finish(mut self) {
        for fifo in 0..FIFOS {
            while !self.order[fifo].is_empty() {
                self.finish_first(fifo);
            }
            assert!(self.fifos[fifo].is_empty());
        }
        while let Some(set) = self.sets.pop() {
            self.ops.close_set(set).unwrap();
            self.open.iter_mut().filter(|entry| entry.set == Some(set)).for_each(|entry| entry.set = None);
        }
        while !self.open.is_empty() {
            self.step(Step::TakeOldest);
        }
        assert!(!self.ops.has_done() && !self.ops.has_done_in_sets() && self.ops.take_oldest().is_none());
        assert_eq!(self.pool.available(), MESSAGES, "a message is somewhere still");
        for _ in 0..LIMIT {
            self.step(Step::Park(0));
        }
        self.step(Step::Pushed);
        assert_eq!(self.open.len(), LIMIT);
    }
}

/// Its slot is in use, but nobody was given its token: whoever makes that up can neither wait for it nor end it.
#[test]
fn the_token_of_a_half_close_is_refused() {
    let (mut ops, mut fifo) = (Ops::new(LIMIT), List::EMPTY);
    let qt = ops.park(Qd::new(1, 0), Work::Shutdown, &mut fifo).unwrap();
    let set = ops.open_set();
    let refused = [
        ops.take(qt).map(drop),
        ops.parked(qt).map(drop),
        ops.cancel(qt, &mut fifo, CANCELED).map(drop),
        ops.freshen(qt).map(drop),
        ops.ask(&[qt]),
        ops.add_to_set(set, qt),
    ];
    for error in refused.map(Result::unwrap_err) {
        assert_eq!(error.errno(), Errno::INVAL);
    }
    assert!(matches!(ops.first(fifo), Some(Work::Shutdown)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_table_agrees_with_a_list(old in any::<bool>(), steps in steps()) {
        let mut model = Model::new(old);
        for step in steps {
            model.step(step);
            model.check();
        }
        model.finish();
    }

    /// Between two turns of one queue, every other one that was woken has its turn.
    #[test]
    fn wakes_go_round(
        queues in 1_usize..300,
        busy in prop::collection::btree_set(0_usize..300, 1..40),
        turns in 1_usize..2000,
    ) {
        let mut wakes = Wakes::default();
        wakes.grow(queues);
        let busy: BTreeSet<usize> = busy.into_iter().filter(|&bit| bit / 2 < queues).collect();
        let wake = |wakes: &mut Wakes, bit: usize| {
            wakes.wake((bit / 2) as u32, if bit.is_multiple_of(2) { Direction::Push } else { Direction::Pop });
        };
        for &bit in &busy {
            wake(&mut wakes, bit);
        }
        let mut last: HashMap<usize, usize> = HashMap::new();
        for turn in 0..turns {
            let Some((queue, direction)) = wakes.take() else {
                prop_assert!(busy.is_empty());
                break;
            };
            let bit = queue as usize * 2 + direction as usize;
            prop_assert!(busy.contains(&bit));
            let before = last.insert(bit, turn);
            prop_assert!(turn < busy.len() || before.is_some_and(|before| turn - before == busy.len()));
            wake(&mut wakes, bit);
        }
    }
}

#[test]
fn wakes_of_unknown_queues_are_ignored() {
    let mut wakes = Wakes::default();
    wakes.wake(0, Direction::Push);
    assert!(wakes.is_empty() && wakes.take().is_none());
    wakes.grow(1);
    wakes.wake(31, Direction::Pop);
    wakes.wake(32, Direction::Push);
    wakes.wake(31, Direction::Pop);
    assert_eq!(wakes.take(), Some((31, Direction::Pop)));
    assert!(wakes.is_empty() && wakes.take().is_none());
}

#[test]
fn a_completion_of_a_set_does_not_take_the_place_of_the_last_one() {
    let mut ops = Ops::new(8);
    let mut fifo = List::EMPTY;
    let first = ops.park(Qd::new(1, 0), Work::Pop(PopMode::Whole), &mut fifo).unwrap();
    let set = ops.open_set();
    ops.add_to_set(set, first).unwrap();
    ops.finish_first(&mut fifo, Outcome::Push);
    let last = ops.pushed(Qd::new(2, 0)).unwrap();
    assert_eq!(ops.take_from_set(set).unwrap().unwrap().qt, first);
    assert!(ops.has_done());
    ops.reserve().unwrap();
    assert_eq!(ops.take(last).unwrap().unwrap().qd, Qd::new(2, 0));
}
