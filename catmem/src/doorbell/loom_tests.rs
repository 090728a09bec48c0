// SPDX-License-Identifier: MIT OR Apache-2.0
//! Models of a publisher and a sleeper: `RUSTFLAGS="--cfg loom" cargo test -p catmem --release --lib loom_`.
//!
//! The heavy and the light barrier together act as a full fence on both sides, and that is how they stand here; what
//! `membarrier(2)` does to make that true is the kernel's to prove. A lost wake-up shows as a deadlock.

use super::protocol::{CREDIT, DATA, Word, arm, disarm, must_ring};
use loom::sync::atomic::{AtomicU32, Ordering, fence};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

impl Word for AtomicU32 {
    fn load(&self, order: Ordering) -> u32 {
        AtomicU32::load(self, order)
    }

    fn store(&self, value: u32, order: Ordering) {
        AtomicU32::store(self, value, order);
    }

    fn fetch_and(&self, mask: u32, order: Ordering) -> u32 {
        AtomicU32::fetch_and(self, mask, order)
    }
}

/// An eventfd that is registered edge-triggered: each ring ends one sleep.
struct Bell(Mutex<bool>, Condvar);

impl Bell {
    fn ring(&self) {
        *self.0.lock().unwrap() = true;
        self.1.notify_one();
    }

    fn sleep(&self) {
        let mut rung = self.0.lock().unwrap();
        while !*rung {
            rung = self.1.wait(rung).unwrap();
        }
        *rung = false;
    }
}

struct Model {
    wake: AtomicU32,
    bell: Bell,
    /// What is published: how many records, how much credit.
    data: AtomicU32,
    credit: AtomicU32,
    /// The sleeper's and the publisher's barrier are there.
    barriers: [bool; 2],
}

impl Model {
    fn new(barriers: [bool; 2]) -> Arc<Self> {
        Arc::new(Self {
            wake: AtomicU32::new(0),
            bell: Bell(Mutex::new(false), Condvar::new()),
            data: AtomicU32::new(0),
            credit: AtomicU32::new(0),
            barriers,
        })
    }

    fn publish(&self, word: &AtomicU32, value: u32, what: u32) {
        word.store(value, Ordering::Release);
        if self.barriers[1] {
            fence(Ordering::SeqCst);
        }
        if must_ring(&self.wake, what) {
            self.bell.ring();
        }
    }

    /// What the transport does until `ready`: look, arm, barrier, look again, sleep, disarm.
    fn sleep_until(&self, what: u32, ready: impl Fn() -> bool) {
        while !ready() {
            arm(&self.wake, what);
            if self.barriers[0] {
                fence(Ordering::SeqCst);
            }
            if !ready() {
                self.bell.sleep();
            }
            disarm(&self.wake);
        }
    }
}

fn check(barriers: [bool; 2], body: impl Fn(Arc<Model>) + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(move || body(Model::new(barriers)));
}

fn one_record(model: Arc<Model>) {
    let publisher = {
        let model = model.clone();
        thread::spawn(move || model.publish(&model.data, 1, DATA))
    };
    model.sleep_until(DATA, || model.data.load(Ordering::Acquire) == 1);
    publisher.join().unwrap();
}

#[test]
fn loom_a_record_wakes_the_sleeper() {
    check([true; 2], one_record);
}

#[test]
fn loom_each_of_two_records_wakes_the_sleeper() {
    check([true; 2], |model| {
        let publisher = {
            let model = model.clone();
            thread::spawn(move || {
                model.publish(&model.data, 1, DATA);
                model.publish(&model.data, 2, DATA);
            })
        };
        for seen in 1..=2 {
            model.sleep_until(DATA, || model.data.load(Ordering::Acquire) >= seen);
        }
        publisher.join().unwrap();
    });
}

#[test]
fn loom_data_and_credit_do_not_hide_each_other() {
    check([true; 2], |model| {
        let publisher = {
            let model = model.clone();
            thread::spawn(move || {
                model.publish(&model.credit, 1, CREDIT);
                model.publish(&model.data, 1, DATA);
            })
        };
        // It waits for either, and then for the other.
        let (mut data, mut credit) = (false, false);
        while !(data && credit) {
            let wanted = if data { 0 } else { DATA } | if credit { 0 } else { CREDIT };
            let ready = || {
                (!data && model.data.load(Ordering::Acquire) == 1)
                    || (!credit && model.credit.load(Ordering::Acquire) == 1)
            };
            model.sleep_until(wanted, ready);
            data |= model.data.load(Ordering::Acquire) == 1;
            credit |= model.credit.load(Ordering::Acquire) == 1;
        }
        publisher.join().unwrap();
    });
}

#[test]
#[should_panic(expected = "deadlock")]
fn loom_finds_the_wake_up_that_is_lost_without_the_sleepers_barrier() {
    check([false, true], one_record);
}

#[test]
#[should_panic(expected = "deadlock")]
fn loom_finds_the_wake_up_that_is_lost_without_the_publishers_barrier() {
    check([true, false], one_record);
}
