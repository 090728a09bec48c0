// SPDX-License-Identifier: MIT OR Apache-2.0
//! Models of what other threads may do: `RUSTFLAGS="--cfg loom" cargo test -p runtime --release --lib loom_`.
//!
//! A lost wake-up shows as a deadlock, which loom reports.

use super::handle::{CALL, SleepWord, TASK};
use super::words::WakeWords;
use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

/// The bell: an eventfd that is registered edge-triggered, so that each ring ends one sleep.
pub(crate) struct Bell(Mutex<bool>, Condvar);

impl Bell {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(false), Condvar::new())
    }

    pub(crate) fn ring(&self) {
        *self.0.lock().unwrap() = true;
        self.1.notify_one();
    }

    pub(crate) fn sleep(&self) {
        let mut rung = self.0.lock().unwrap();
        while !*rung {
            rung = self.1.wait(rung).unwrap();
        }
        *rung = false;
    }
}

struct Model {
    word: SleepWord,
    words: WakeWords,
    bell: Bell,
    data: [UnsafeCell<u32>; 2],
}

// SAFETY: each cell of `data` is written by one waker before its wake and read by the owner after it took that wake;
// loom checks exactly this.
unsafe impl Sync for Model {}

impl Model {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            word: SleepWord::new(),
            words: WakeWords::new(128),
            bell: Bell::new(),
            data: [UnsafeCell::new(0), UnsafeCell::new(0)],
        })
    }

    fn write(&self, slot: usize) {
        // SAFETY: see `Sync` above.
        self.data[slot].with_mut(|data| unsafe { *data = 7 });
    }

    fn assert_written(&self, slot: usize) {
        // SAFETY: see `Sync` above.
        assert_eq!(self.data[slot].with(|data| unsafe { *data }), 7);
    }

    fn call(&self, slot: usize) {
        self.write(slot);
        if self.word.wake(CALL) {
            self.bell.ring();
        }
    }

    fn wake_task(&self, slot: usize, index: u32) {
        self.write(slot);
        self.words.wake(index);
        if self.word.wake(TASK) {
            self.bell.ring();
        }
    }
}

#[test]
fn loom_a_call_is_never_lost() {
    loom::model(|| {
        let model = Model::new();
        let waker = {
            let model = model.clone();
            thread::spawn(move || model.call(0))
        };
        while !model.word.take(CALL) {
            if model.word.announce() {
                model.bell.sleep();
                model.word.retract();
            }
        }
        model.assert_written(0);
        waker.join().unwrap();
        assert!(!model.word.take(CALL));
    });
}

#[test]
fn loom_a_retracted_sleep_loses_nothing() {
    loom::model(|| {
        let model = Model::new();
        let waker = {
            let model = model.clone();
            thread::spawn(move || model.call(0))
        };
        // The owner finds work after its announcement, and sleeps later.
        let _ = model.word.announce();
        model.word.retract();
        while !model.word.take(CALL) {
            if model.word.announce() {
                model.bell.sleep();
                model.word.retract();
            }
        }
        model.assert_written(0);
        waker.join().unwrap();
    });
}

/// Owner's loop of the reactor until it has taken `wanted`, given as a bit set of the slots.
fn run_until(model: &Model, slot_of: impl Fn(u32) -> usize, wanted: u32) {
    let mut taken = 0;
    while taken != wanted {
        model.word.take(TASK);
        model.words.take(8, |index| {
            let slot = slot_of(index);
            model.assert_written(slot);
            taken |= 1 << slot;
        });
        if taken == wanted {
            break;
        }
        model.word.take(TASK);
        if model.words.is_empty() && model.word.announce() {
            model.bell.sleep();
            model.word.retract();
        }
    }
}

#[test]
fn loom_a_woken_task_is_never_lost() {
    loom::model(|| {
        let model = Model::new();
        let waker = {
            let model = model.clone();
            thread::spawn(move || model.wake_task(0, 5))
        };
        run_until(&model, |_| 0, 1);
        waker.join().unwrap();
        assert!(model.words.is_empty());
    });
}

/// Two wakers in one word, or in two words under one summary.
fn two_wakers(first: u32, second: u32) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(move || {
        let model = Model::new();
        let wakers = [(0, first), (1, second)].map(|(slot, index)| {
            let model = model.clone();
            thread::spawn(move || model.wake_task(slot, index))
        });
        run_until(&model, |index| usize::from(index != first), 3);
        for waker in wakers {
            waker.join().unwrap();
        }
        // A summary bit may come after its leaf was taken; one more look settles it.
        assert_eq!(model.words.take(8, |_| {}), 0);
        assert!(model.words.is_empty());
    });
}

#[test]
fn loom_two_wakers_in_one_word() {
    two_wakers(3, 9);
}

#[test]
fn loom_two_wakers_in_two_words() {
    two_wakers(3, 70);
}

#[test]
fn loom_the_same_task_woken_twice_sees_both_writes() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(|| {
        let words = Arc::new(WakeWords::new(64));
        let data = Arc::new([AtomicU32::new(0), AtomicU32::new(0)]);
        let wakers = [0, 1].map(|slot| {
            let (words, data) = (words.clone(), data.clone());
            thread::spawn(move || {
                data[slot].store(7, Ordering::Relaxed);
                words.wake(5);
            })
        });
        let mut seen = [0, 0];
        let early = words.take(8, |_| seen = [0, 1].map(|slot| data[slot].load(Ordering::Relaxed)));
        for waker in wakers {
            waker.join().unwrap();
        }
        // The wake that found its bit set already was merged into the one that was taken: so must be what it wrote.
        if words.take(8, |_| {}) == 0 {
            assert_eq!((early, seen), (1, [7, 7]));
        }
    });
}
