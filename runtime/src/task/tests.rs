// SPDX-License-Identifier: MIT OR Apache-2.0
//! Wake words against a set, and the executor's promises one by one.

use super::*;
use crate::error::Errno;
use proptest::prelude::*;
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::{Rc, Weak};
use std::task::{Poll, Waker};

fn executor(capacity: u32) -> Executor {
    Executor::new(capacity, WakeHandle::new().unwrap())
}

/// A coroutine that counts its polls and wakes itself each time.
fn spinning(count: Rc<Cell<u32>>) -> impl Future<Output = ()> {
    poll_fn(move |context| {
        count.set(count.get() + 1);
        context.waker().wake_by_ref();
        Poll::Pending
    })
}

#[test]
fn words_out_of_range_are_ignored() {
    let words = WakeWords::new(70);
    for index in [70, 127, 128, u32::MAX] {
        words.wake(index);
    }
    assert!(words.is_empty());
    words.wake(69);
    assert_eq!(words.take(9, |index| assert_eq!(index, 69)), 1);
    let none = WakeWords::new(0);
    none.wake(0);
    assert_eq!(none.take(9, |_| unreachable!()), 0);
}

#[test]
fn words_go_round() {
    let words = WakeWords::new(8192);
    let all = [3, 64, 65, 4095, 4096, 8191];
    let mut order = Vec::new();
    for _ in 0..4 {
        for index in all {
            words.wake(index);
        }
        assert_eq!(words.take(3, |index| order.push(index)), 3);
    }
    assert_eq!(order, [3, 64, 65, 4095, 4096, 8191, 3, 64, 65, 4095, 4096, 8191]);
}

#[test]
fn words_survive_a_panic() {
    let words = WakeWords::new(128);
    (0..128).for_each(|index| words.wake(index));
    assert!(catch_unwind(AssertUnwindSafe(|| words.take(128, |index| assert!(index < 10)))).is_err());
    let mut rest = 0;
    words.take(128, |_| rest += 1);
    assert_eq!(rest, 128 - 11);
    assert!(words.is_empty());
}

proptest! {
    #[test]
    fn words_agree_with_a_set(
        capacity in 1u32..10_000,
        steps in prop::collection::vec((any::<u32>(), 0usize..8, any::<bool>()), 1..200),
    ) {
        let words = WakeWords::new(capacity);
        let mut set = BTreeSet::new();
        for (index, budget, wake) in steps {
            if wake {
                words.wake(index % capacity);
                set.insert(index % capacity);
            } else {
                let before = set.len();
                let mut taken = Vec::new();
                let count = words.take(budget, |index| taken.push(index));
                prop_assert_eq!(count, taken.len());
                prop_assert_eq!(count, before.min(budget));
                for index in taken {
                    prop_assert!(set.remove(&index));
                }
            }
            prop_assert_eq!(words.is_empty(), set.is_empty());
        }
    }
}

#[test]
fn runs_to_the_end_and_frees_the_slot() {
    let executor = executor(1);
    let done = Rc::new(Cell::new(false));
    let flag = done.clone();
    let id = executor.spawn(async move { flag.set(true) }).unwrap();
    assert_eq!(executor.spawn(async {}).unwrap_err().errno(), Errno::MFILE);
    assert!(executor.has_ready());
    assert_eq!(executor.run(8), 1);
    assert!(done.get());
    assert!(executor.is_empty() && !executor.has_ready());
    assert!(!executor.abort(id));
    let next = executor.spawn(pending()).unwrap();
    assert!(!executor.abort(id), "the slot is used again, the name is not");
    assert!(executor.abort(next));
    assert_eq!(executor.run(8), 0, "the wake of the aborted one finds nobody");
}

#[test]
fn self_waking_runs_once_per_batch_and_all_get_their_turn() {
    let executor = executor(200);
    let counts: Vec<_> = (0..150).map(|_| Rc::new(Cell::new(0))).collect();
    for count in &counts {
        executor.spawn(spinning(count.clone())).unwrap();
    }
    assert_eq!(executor.run(1000), 150);
    assert!(counts.iter().all(|count| count.get() == 1));
    for _ in 0..15 {
        assert_eq!(executor.run(10), 10);
    }
    assert!(counts.iter().all(|count| count.get() == 2), "a small budget still goes round");
}

#[test]
fn a_coroutine_spawns_and_aborts() {
    let executor = Rc::new(executor(8));
    let log = Rc::new(RefCell::new(Vec::new()));
    let victim = {
        let log = log.clone();
        executor.spawn(async move { log.borrow_mut().push("victim") }).unwrap()
    };
    assert!(executor.abort(victim));
    let victim = executor.spawn(pending()).unwrap();
    let (weak, inner) = (Rc::downgrade(&executor), log.clone());
    executor
        .spawn(async move {
            let executor = weak.upgrade().unwrap();
            assert!(executor.abort(victim));
            let log = inner.clone();
            executor.spawn(async move { log.borrow_mut().push("child") }).unwrap();
            assert_eq!(executor.run(8), 0, "no run inside a run");
            inner.borrow_mut().push("parent");
        })
        .unwrap();
    while executor.has_ready() {
        executor.run(8);
    }
    assert_eq!(*log.borrow(), ["parent", "child"]);
    assert!(executor.is_empty());
}

/// Uses the executor when it is dropped, as a destructor of a user may.
struct SpawnsOnDrop(Weak<Executor>, Rc<Cell<u32>>);

impl Drop for SpawnsOnDrop {
    fn drop(&mut self) {
        self.1.set(self.1.get() + 1);
        if let Some(executor) = self.0.upgrade() {
            let _ = executor.spawn(async {});
        }
    }
}

#[test]
fn abort_drops_the_future_and_its_drop_may_use_the_executor() {
    let executor = Rc::new(executor(8));
    let drops = Rc::new(Cell::new(0));
    let hold = |drops: &Rc<Cell<u32>>| SpawnsOnDrop(Rc::downgrade(&executor), drops.clone());

    let held = hold(&drops);
    let id = executor
        .spawn(async move {
            let _held = held;
            pending::<()>().await;
        })
        .unwrap();
    executor.run(8);
    assert!(executor.abort(id));
    assert_eq!(drops.get(), 1);
    assert_eq!(executor.len(), 1);

    // Itself: dropped when its poll returns.
    let held = hold(&drops);
    let own = Rc::new(Cell::new(None));
    let (weak, name, seen) = (Rc::downgrade(&executor), own.clone(), drops.clone());
    let id = executor
        .spawn(async move {
            let _held = held;
            assert!(weak.upgrade().unwrap().abort(name.get().unwrap()));
            assert_eq!(seen.get(), 1);
            pending::<()>().await;
        })
        .unwrap();
    own.set(Some(id));
    executor.run(8);
    assert_eq!(drops.get(), 2);
    assert!(!executor.abort(id));

    // All, with new ones refused.
    let held = hold(&drops);
    executor
        .spawn(async move {
            let _held = held;
            pending::<()>().await;
        })
        .unwrap();
    executor.shutdown();
    assert_eq!(drops.get(), 3);
    assert!(executor.is_empty());
    assert_eq!(executor.spawn(async {}).unwrap_err().errno(), Errno::CANCELED);
}

#[test]
fn a_full_table_drops_the_future_outside_the_borrow() {
    let executor = Rc::new(executor(1));
    executor.spawn(pending()).unwrap();
    let drops = Rc::new(Cell::new(0));
    let held = SpawnsOnDrop(Rc::downgrade(&executor), drops.clone());
    assert!(executor.spawn(async move { drop(held) }).is_err());
    assert_eq!(drops.get(), 1);
}

#[test]
fn unwinding_leaves_the_executor_usable() {
    let executor = executor(4);
    let count = Rc::new(Cell::new(0));
    let id = executor.spawn(async { panic!("expected by the test") }).unwrap();
    executor.spawn(spinning(count.clone())).unwrap();
    assert!(catch_unwind(AssertUnwindSafe(|| executor.run(8))).is_err());
    assert!(!executor.abort(id));
    assert_eq!(executor.len(), 1);
    assert_eq!(executor.run(8), 1);
    assert_eq!(count.get(), 1);
}

#[test]
fn a_stale_waker_costs_one_spurious_poll_at_most() {
    let executor = executor(1);
    let kept: Rc<RefCell<Option<Waker>>> = Rc::default();
    let keep = kept.clone();
    executor
        .spawn(poll_fn(move |context| {
            *keep.borrow_mut() = Some(context.waker().clone());
            Poll::Ready(())
        }))
        .unwrap();
    executor.run(8);
    let waker = kept.take().unwrap();
    waker.wake_by_ref();
    assert_eq!(executor.run(8), 0);
    let polls = Rc::new(Cell::new(0));
    let count = polls.clone();
    executor
        .spawn(poll_fn(move |_| {
            count.set(count.get() + 1);
            Poll::Pending
        }))
        .unwrap();
    executor.run(8);
    waker.wake();
    executor.run(8);
    executor.run(8);
    assert_eq!(polls.get(), 2);
    drop(executor);
}

#[test]
fn a_waker_outlives_its_executor() {
    let executor = executor(1);
    let kept: Rc<RefCell<Option<Waker>>> = Rc::default();
    let keep = kept.clone();
    executor
        .spawn(poll_fn(move |context| {
            *keep.borrow_mut() = Some(context.waker().clone());
            Poll::Pending
        }))
        .unwrap();
    executor.run(8);
    drop(executor);
    kept.take().unwrap().wake();
}
