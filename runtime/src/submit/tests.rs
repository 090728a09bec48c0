// SPDX-License-Identifier: MIT OR Apache-2.0
//! The submit queue on real threads and over a real reactor. Every wait has a deadline.

use super::*;
use crate::reactor::{Events, Reactor};
use core::time::Duration;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

/// Nothing that is expected here takes as long.
const LIMIT: Duration = Duration::from_secs(20);

fn new<T: Send>(capacity: usize) -> (Rc<Reactor>, Submissions<T>) {
    let reactor = Reactor::new().unwrap();
    let submissions = Submissions::new(capacity, reactor.wake_handle());
    (reactor, submissions)
}

/// The owner's loop until there is an item: announce, look again, sleep.
fn wait<T: Send>(reactor: &Reactor, submissions: &mut Submissions<T>) -> T {
    let mut events = Events::new();
    reactor.refresh_clock();
    let limit = reactor.now() + LIMIT;
    loop {
        reactor.run_tasks(16);
        if let Some(item) = submissions.take() {
            return item;
        }
        assert!(reactor.now() < limit, "the deadline of the test passed");
        if reactor.announce_sleep() {
            if submissions.is_empty() {
                reactor.collect(Some(LIMIT), &mut events).unwrap();
            }
            reactor.retract_sleep();
        }
        reactor.refresh_clock();
    }
}

#[test]
fn producers_may_be_anywhere() {
    fn anywhere<T: Clone + Send + Sync + 'static>(_: &T) {}
    // An item need not be shareable.
    let (_reactor, submissions) = new::<core::cell::Cell<u8>>(1);
    anywhere(&submissions.submitter());
}

#[test]
fn a_full_queue_gives_the_item_back() {
    let (_reactor, mut submissions) = new(2);
    let submitter = submissions.submitter();
    for round in 0..5 {
        assert_eq!(submitter.submit(round), Ok(()));
        assert_eq!(submitter.clone().submit(round + 100), Ok(()));
        let (item, error) = submitter.submit(round + 200).unwrap_err();
        assert_eq!((item, error.errno()), (round + 200, Errno::AGAIN));
        // What is in the consumer's batch counts as well.
        assert_eq!(submissions.take(), Some(round));
        assert_eq!(submitter.submit(round + 300), Ok(()));
        assert_eq!(submitter.submit(round + 400).unwrap_err().1.errno(), Errno::AGAIN);
        assert_eq!([submissions.take(), submissions.take()], [Some(round + 100), Some(round + 300)]);
        assert!(submissions.is_empty() && submissions.take().is_none());
    }
}

/// Tries to submit another when it is dropped, and counts its drops.
struct Stubborn {
    submitter: Submitter<Self>,
    drops: Arc<AtomicUsize>,
    more: bool,
}

impl Drop for Stubborn {
    fn drop(&mut self) {
        self.drops.fetch_add(1, Ordering::Relaxed);
        if self.more {
            let another = Self { submitter: self.submitter.clone(), drops: Arc::default(), more: false };
            let refused = self.submitter.submit(another).map_err(|(_, error)| error.errno());
            assert_eq!(refused, Err(Errno::CANCELED));
        }
    }
}

#[test]
fn a_consumer_that_goes_drops_its_items_and_refuses_more() {
    let (_reactor, mut submissions) = new(8);
    let submitter = submissions.submitter();
    let drops = Arc::new(AtomicUsize::new(0));
    let item = || Stubborn { submitter: submitter.clone(), drops: drops.clone(), more: true };
    let dropped = || drops.load(Ordering::Relaxed);
    // One in the hand, one in the batch, one in the inbox.
    assert!(submitter.submit(item()).is_ok() && submitter.submit(item()).is_ok());
    let taken = submissions.take().unwrap();
    assert!(submitter.submit(item()).is_ok());
    assert_eq!(dropped(), 0);
    drop(submissions);
    assert_eq!(dropped(), 2);
    drop(taken);
    assert_eq!(dropped(), 3);
    let (back, error) = submitter.submit(item()).unwrap_err();
    assert_eq!((error.errno(), dropped()), (Errno::CANCELED, 3));
    drop(back);
    assert_eq!(dropped(), 4);
}

#[test]
fn a_submission_ends_a_sleep_and_no_wait() {
    let (reactor, mut submissions) = new(4);
    let submitter = submissions.submitter();
    assert!(reactor.announce_sleep());
    submitter.submit(1).unwrap();
    let mut events = Events::new();
    reactor.collect(None, &mut events).unwrap();
    reactor.retract_sleep();
    assert_eq!((events.as_slice(), reactor.take_wake()), (&[][..], false));
    assert_eq!(submissions.take(), Some(1));
    // The word is taken with the announcement, so an old submission keeps nobody awake.
    assert!(reactor.announce_sleep() && submissions.is_empty());
    reactor.retract_sleep();
}

#[test]
fn a_sleeper_wakes_for_each_submission() {
    const COUNT: u32 = 20_000;
    let (reactor, mut submissions) = new(1);
    let submitter = submissions.submitter();
    let (answer, answers) = mpsc::channel();
    let producer = std::thread::spawn(move || {
        for number in 0..COUNT {
            submitter.submit(number).unwrap();
            if answers.recv_timeout(LIMIT) != Ok(number) {
                return;
            }
        }
    });
    for number in 0..COUNT {
        assert_eq!(wait(&reactor, &mut submissions), number);
        answer.send(number).unwrap();
    }
    producer.join().unwrap();
}

#[test]
fn many_producers_lose_nothing() {
    const PRODUCERS: usize = 4;
    const COUNT: u32 = 30_000;
    let (reactor, mut submissions) = new(64);
    let producers = [0; PRODUCERS].map(|_| submissions.submitter()).into_iter().enumerate().map(|(own, submitter)| {
        std::thread::spawn(move || {
            for number in 0..COUNT {
                let mut item = (own, number);
                while let Err((back, error)) = submitter.submit(item) {
                    assert_eq!(error.errno(), Errno::AGAIN);
                    std::thread::yield_now();
                    item = back;
                }
            }
        })
    });
    let producers: Vec<_> = producers.collect();
    let mut next = [0; PRODUCERS];
    while next != [COUNT; PRODUCERS] {
        let (own, number) = wait(&reactor, &mut submissions);
        assert_eq!(number, next[own]);
        next[own] += 1;
    }
    for producer in producers {
        producer.join().unwrap();
    }
    assert_eq!(submissions.take(), None);
}

proptest! {
    /// Against a plain queue with a bound.
    #[test]
    fn it_is_a_bounded_fifo(capacity in 0..6usize, steps in prop::collection::vec(any::<bool>(), 0..80)) {
        let (_reactor, mut submissions) = new(capacity);
        let submitter = submissions.submitter();
        let mut model = VecDeque::new();
        for (number, submit) in steps.into_iter().enumerate() {
            if submit {
                let room = model.len() < capacity;
                prop_assert_eq!(submitter.submit(number).is_ok(), room);
                if room {
                    model.push_back(number);
                }
            } else {
                prop_assert_eq!(submissions.take(), model.pop_front());
            }
            prop_assert_eq!(submissions.is_empty(), model.is_empty());
        }
    }
}
