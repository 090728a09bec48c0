// SPDX-License-Identifier: MIT OR Apache-2.0
//! Models of producers and a consumer that sleeps: `RUSTFLAGS="--cfg loom" cargo test -p runtime --release --lib loom_`.
//!
//! A lost wake-up shows as a deadlock, an item that is lost as one that was never taken or dropped.

use super::queue::{Consumer, Producer, Refusal};
use crate::task::loom_tests::Bell;
use crate::task::{SleepWord, TASK};
use core::mem::ManuallyDrop;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

struct Reactor {
    word: SleepWord,
    bell: Bell,
}

impl Reactor {
    fn new() -> Arc<Self> {
        Arc::new(Self { word: SleepWord::new(), bell: Bell::new() })
    }

    /// What a submitter does.
    fn submit<T>(&self, producer: &Producer<T>, item: T) -> Result<(), (T, Refusal)> {
        producer.put(item)?;
        if self.word.wake(TASK) {
            self.bell.ring();
        }
        Ok(())
    }

    /// What the owner of a LibOs does when it has found nothing; `look` again is to be true.
    fn sleep<T>(&self, consumer: &Consumer<T>, look: bool) {
        self.word.take(TASK);
        if self.word.announce() {
            if !look || consumer.is_empty() {
                self.bell.sleep();
            }
            self.word.retract();
        }
    }
}

fn check(body: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(body);
}

/// Two producers: the first submits two items, the second one; the consumer sleeps whenever it finds none.
fn two_producers_and_a_sleeper(look: bool) {
    // Neither is dropped when the model ends in a deadlock: there is no thread left then that could.
    let (reactor, mut consumer) = (ManuallyDrop::new(Reactor::new()), ManuallyDrop::new(Consumer::new(3)));
    let producers = [vec![10, 11], vec![20]].map(|items| {
        let (reactor, producer) = (Arc::clone(&reactor), consumer.producer());
        thread::spawn(move || items.into_iter().for_each(|item| reactor.submit(&producer, item).unwrap()))
    });
    let mut taken = Vec::new();
    while taken.len() < 3 {
        reactor.word.take(TASK);
        while let Some(item) = consumer.take() {
            taken.push(item);
        }
        if taken.len() < 3 {
            reactor.sleep(&consumer, look);
        }
    }
    for producer in producers {
        producer.join().unwrap();
    }
    assert_eq!(consumer.take(), None);
    assert_eq!(taken.iter().filter(|&&item| item == 20).count(), 1);
    taken.retain(|&item| item != 20);
    assert_eq!(taken, [10, 11], "in the order of their producer, each once");
    drop((ManuallyDrop::into_inner(reactor), ManuallyDrop::into_inner(consumer)));
}

#[test]
fn loom_a_sleeper_gets_every_item_once_and_in_order() {
    check(|| two_producers_and_a_sleeper(true));
}

#[test]
#[should_panic(expected = "deadlock")]
fn loom_without_the_second_look_it_may_sleep_for_ever() {
    check(|| two_producers_and_a_sleeper(false));
}

/// A wake that the consumer meets while it is at work is not one too few later.
#[test]
fn loom_an_item_that_comes_during_a_batch_is_not_forgotten() {
    check(|| {
        let reactor = Reactor::new();
        let mut consumer = Consumer::new(4);
        reactor.submit(&consumer.producer(), 0).unwrap();
        let producer = {
            let (reactor, producer) = (reactor.clone(), consumer.producer());
            thread::spawn(move || (1..3).for_each(|item| reactor.submit(&producer, item).unwrap()))
        };
        // Batches of one: what is left keeps the owner awake.
        for expected in 0..3 {
            let item = loop {
                reactor.word.take(TASK);
                if let Some(item) = consumer.take() {
                    break item;
                }
                reactor.sleep(&consumer, true);
            };
            assert_eq!(item, expected);
        }
        producer.join().unwrap();
    });
}

#[test]
fn loom_no_more_than_the_capacity_waits_and_what_is_refused_comes_back() {
    check(|| {
        let mut consumer = Consumer::new(1);
        let producers = [1, 2].map(|item| {
            let producer = consumer.producer();
            thread::spawn(move || match producer.put(item) {
                Ok(()) => 0,
                Err((back, refusal)) => {
                    assert_eq!((back, refusal), (item, Refusal::Full));
                    back
                }
            })
        });
        let early = consumer.take();
        let refused: u32 = producers.into_iter().map(|producer| producer.join().unwrap()).sum();
        let late = consumer.take();
        assert_eq!(consumer.take(), None, "there was room for one");
        assert_eq!(early.unwrap_or(0) + late.unwrap_or(0) + refused, 3, "taken or refused, and once");
        assert!(early.is_some() || late.is_some(), "the first one had room");
    });
}

struct Item(Arc<AtomicUsize>);

impl Drop for Item {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// The consumer goes while two producers submit: each item is dropped once, whoever has it then.
#[test]
fn loom_a_consumer_that_goes_drops_what_it_has_once() {
    check(|| {
        let drops = [0; 4].map(|_| Arc::new(AtomicUsize::new(0)));
        let mut consumer = Consumer::new(3);
        assert!(consumer.producer().put(Item(drops[0].clone())).is_ok());
        assert!(consumer.producer().put(Item(drops[1].clone())).is_ok());
        let producers = [2, 3].map(|index| {
            let (producer, item) = (consumer.producer(), Item(drops[index].clone()));
            thread::spawn(move || producer.put(item).map_err(|(_, refusal)| refusal))
        });
        // One is taken and the other is in the batch: the rest is in the inbox, or refused.
        drop(consumer.take());
        let producer = consumer.producer();
        drop(consumer);
        let refused = producer.put(Item(Arc::new(AtomicUsize::new(0))));
        assert!(matches!(refused, Err((_, Refusal::Gone))), "nobody is there any more");
        for producer in producers {
            // Taken in before the consumer went, or refused.
            let _ = producer.join().unwrap();
        }
        for dropped in drops {
            assert_eq!(dropped.load(Ordering::Relaxed), 1);
        }
    });
}
