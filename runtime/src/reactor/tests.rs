// SPDX-License-Identifier: MIT OR Apache-2.0
//! The reactor over real descriptors. Every wait has a deadline; no test asserts how long something took.

use super::*;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd};
use rustix::pipe::pipe;
use std::cell::{Cell, RefCell};
use std::os::fd::OwnedFd;
use std::sync::mpsc;
use std::task::Waker;

/// Nothing that is expected here takes as long.
const LIMIT: Duration = Duration::from_secs(20);

/// The owner's loop: until `done`, or the deadline.
fn drive(reactor: &Reactor, mut done: impl FnMut() -> bool) -> Vec<Event> {
    let mut events = Events::new();
    let mut seen = Vec::new();
    reactor.refresh_clock();
    let limit = reactor.now() + LIMIT;
    while !done() {
        assert!(reactor.now() < limit, "the deadline of the test passed");
        let mut timeout = Duration::ZERO;
        if reactor.announce_sleep() {
            let next = reactor.next_deadline().unwrap_or(limit).min(limit);
            timeout = next - reactor.now();
        }
        reactor.collect(Some(timeout), &mut events).unwrap();
        reactor.retract_sleep();
        seen.extend(&events);
        reactor.refresh_clock();
        reactor.run_tasks(16);
    }
    seen
}

fn collect(reactor: &Reactor, timeout: Duration) -> Vec<Event> {
    let mut events = Events::new();
    reactor.collect(Some(timeout), &mut events).unwrap();
    events.as_slice().to_vec()
}

fn new_eventfd() -> OwnedFd {
    eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).unwrap()
}

fn ring(fd: impl AsFd) {
    rustix::io::write(fd, &1u64.to_ne_bytes()).unwrap();
}

/// Whether another event loop would see the reactor's descriptor as readable, within the limit.
fn is_readable(reactor: &Reactor, limit: Duration) -> bool {
    let fd = reactor.fd();
    let mut fds = [PollFd::new(&fd, PollFlags::IN)];
    let timeout = Timespec::try_from(limit).unwrap();
    rustix::event::poll(&mut fds, Some(&timeout)).unwrap() == 1
}

#[test]
fn a_watched_descriptor_gives_its_token() {
    let reactor = Reactor::new().unwrap();
    let (reader, writer) = pipe().unwrap();
    reactor.watch(&reader, Interest::READABLE, 41).unwrap();
    reactor.watch(&writer, Interest::WRITABLE.edge(), (1 << 63) - 1).unwrap();
    assert_eq!(reactor.watch(&reader, Interest::BOTH, 42).unwrap_err().errno(), Errno::EXIST);
    assert_eq!(reactor.watch(&reader, Interest::BOTH, 1 << 63).unwrap_err().errno(), Errno::INVAL);

    let room = Event { token: (1 << 63) - 1, readable: false, writable: true, hangup: false };
    assert_eq!(collect(&reactor, LIMIT), [room]);
    assert_eq!(collect(&reactor, Duration::ZERO), [], "an edge comes once");

    rustix::io::write(&writer, b"x").unwrap();
    let data = Event { token: 41, readable: true, writable: false, hangup: false };
    assert!(collect(&reactor, LIMIT).contains(&data));
    assert!(collect(&reactor, LIMIT).contains(&data), "a level stays");

    reactor.unwatch(&writer).unwrap();
    assert_eq!(reactor.unwatch(&writer).unwrap_err().errno(), Errno::NOENT);
    drop(writer);
    assert_eq!(collect(&reactor, LIMIT), [Event { hangup: true, ..data }]);
    reactor.unwatch(&reader).unwrap();
    assert_eq!(collect(&reactor, Duration::ZERO), []);
}

#[test]
fn an_edge_triggered_doorbell_needs_no_read() {
    let reactor = Reactor::new().unwrap();
    let doorbell = new_eventfd();
    reactor.watch(&doorbell, Interest::READABLE.edge(), 1).unwrap();
    for _ in 0..3 {
        assert_eq!(collect(&reactor, Duration::ZERO), []);
        ring(&doorbell);
        assert_eq!(collect(&reactor, LIMIT).len(), 1);
    }
}

#[test]
fn more_events_than_fit_come_with_the_next_collection() {
    let reactor = Reactor::new().unwrap();
    let doorbells: Vec<_> = (0..EVENTS_MAX + 10).map(|_| new_eventfd()).collect();
    for (token, doorbell) in doorbells.iter().enumerate() {
        reactor.watch(doorbell, Interest::READABLE.edge(), token as u64).unwrap();
        ring(doorbell);
    }
    let mut tokens: Vec<_> = collect(&reactor, LIMIT).iter().map(|event| event.token).collect();
    assert_eq!(tokens.len(), EVENTS_MAX);
    tokens.extend(collect(&reactor, LIMIT).iter().map(|event| event.token));
    tokens.sort_unstable();
    assert_eq!(tokens, (0..EVENTS_MAX as u64 + 10).collect::<Vec<_>>());
}

#[test]
fn a_coroutine_waits_for_a_descriptor() {
    let reactor = Reactor::new().unwrap();
    let (reader, writer) = pipe().unwrap();
    let log = Rc::new(RefCell::new(Vec::new()));
    let ready = reactor.readable(&reader);
    let (own, words) = (reactor.clone(), log.clone());
    reactor
        .spawn(async move {
            ready.await.unwrap();
            words.borrow_mut().push("data");
            rustix::io::read(&reader, &mut [0; 8]).unwrap();
            // The descriptor itself may be closed while somebody waits.
            let hangup = own.readable(&reader);
            let _keep = reader;
            hangup.await.unwrap();
            words.borrow_mut().push("hangup");
        })
        .unwrap();
    reactor.run_tasks(16);
    assert!(log.borrow().is_empty());
    rustix::io::write(&writer, b"x").unwrap();
    let events = drive(&reactor, || log.borrow().len() == 1);
    drop(writer);
    drive(&reactor, || log.borrow().len() == 2);
    assert!(events.is_empty(), "what coroutines wait for is not given out");
    assert_eq!(*log.borrow(), ["data", "hangup"]);
}

#[test]
fn several_wait_for_one_descriptor_that_is_watched_too() {
    let reactor = Reactor::new().unwrap();
    let doorbell = new_eventfd();
    reactor.watch(&doorbell, Interest::READABLE.edge(), 9).unwrap();
    let woken = Rc::new(Cell::new(0));
    for _ in 0..3 {
        let (ready, woken) = (reactor.readable(&doorbell), woken.clone());
        reactor
            .spawn(async move {
                ready.await.unwrap();
                woken.set(woken.get() + 1);
            })
            .unwrap();
    }
    let aborted = reactor
        .spawn({
            let (ready, woken) = (reactor.readable(&doorbell), woken.clone());
            async move {
                ready.await.unwrap();
                woken.set(100);
            }
        })
        .unwrap();
    reactor.run_tasks(16);
    assert!(reactor.abort(aborted));
    ring(&doorbell);
    let events = drive(&reactor, || woken.get() >= 3);
    assert_eq!(woken.get(), 3);
    assert_eq!(events.iter().map(|event| event.token).collect::<Vec<_>>(), [9]);
    assert_eq!(reactor.coroutines(), 0);
}

#[test]
fn a_descriptor_that_cannot_be_watched_is_an_error() {
    let reactor = Reactor::new().unwrap();
    let file = std::fs::File::open("/proc/self/exe").unwrap();
    let failed = Rc::new(Cell::new(None));
    let (ready, result) = (reactor.readable(&file), failed.clone());
    reactor.spawn(async move { result.set(ready.await.err()) }).unwrap();
    reactor.run_tasks(16);
    assert_eq!(failed.get().unwrap().errno(), Errno::PERM);
}

#[test]
fn sleepers_wake_and_not_early() {
    let reactor = Reactor::new().unwrap();
    let woken = Rc::new(RefCell::new(Vec::new()));
    for delay in [3u64, 1, 2, 0] {
        let sleep = reactor.sleep_until(reactor.now() + Duration::from_millis(delay));
        let (own, woken) = (Rc::downgrade(&reactor), woken.clone());
        reactor
            .spawn(async move {
                let deadline = sleep.deadline();
                sleep.await.unwrap();
                assert!(own.upgrade().unwrap().now() >= deadline);
                woken.borrow_mut().push(delay);
            })
            .unwrap();
    }
    reactor.run_tasks(16);
    assert!(reactor.next_deadline().is_some());
    drive(&reactor, || woken.borrow().len() == 4);
    woken.borrow_mut().sort_unstable();
    assert_eq!(*woken.borrow(), [0, 1, 2, 3]);
    assert_eq!(reactor.next_deadline(), None);
}

#[test]
fn a_dropped_sleeper_leaves_no_timer() {
    let reactor = Reactor::new().unwrap();
    let sleep = reactor.sleep_until(reactor.now() + LIMIT);
    let id = reactor.spawn(async move { sleep.await.unwrap() }).unwrap();
    reactor.run_tasks(16);
    assert!(reactor.next_deadline().is_some());
    assert!(reactor.abort(id));
    assert_eq!(reactor.next_deadline(), None);
}

#[test]
fn many_sleepers_need_several_batches() {
    let reactor = Reactor::new().unwrap();
    let woken = Rc::new(Cell::new(0));
    let deadline = reactor.now() + Duration::from_millis(1);
    for _ in 0..500 {
        let (sleep, woken) = (reactor.sleep_until(deadline), woken.clone());
        reactor
            .spawn(async move {
                sleep.await.unwrap();
                woken.set(woken.get() + 1);
            })
            .unwrap();
    }
    assert_eq!(reactor.run_tasks(1000), 500);
    assert!(reactor.run_tasks(7) <= 14, "one bounded batch of timers and one of coroutines");
    drive(&reactor, || woken.get() == 500);
}

#[test]
fn a_time_limit_ends_what_takes_too_long_and_nothing_else() {
    let reactor = Reactor::new().unwrap();
    let results = Rc::new(RefCell::new(Vec::new()));
    let limit = reactor.now() + Duration::from_millis(2);
    let (late, early, list) = (
        reactor.timeout(core::future::pending::<u32>(), limit),
        reactor.timeout(async { 7 }, reactor.now() + LIMIT),
        results.clone(),
    );
    reactor
        .spawn(async move {
            let first = early.await.map_err(Error::errno);
            let second = late.await.map_err(Error::errno);
            list.borrow_mut().extend([first, second]);
        })
        .unwrap();
    drive(&reactor, || results.borrow().len() == 2);
    assert_eq!(*results.borrow(), [Ok(7), Err(Errno::TIMEDOUT)]);
    assert_eq!(reactor.next_deadline(), None);
}

#[test]
fn a_wake_from_another_thread_ends_a_sleep_for_ever() {
    let reactor = Reactor::new().unwrap();
    let handle = reactor.wake_handle();
    let (asleep, about_to_sleep) = mpsc::channel();
    let waker = std::thread::spawn(move || {
        for _ in 0..200 {
            if about_to_sleep.recv_timeout(LIMIT).is_err() {
                return;
            }
            handle.wake();
        }
    });
    let mut events = Events::new();
    for _ in 0..200 {
        asleep.send(()).unwrap();
        while !reactor.take_wake() {
            if reactor.announce_sleep() {
                reactor.collect(Some(LIMIT), &mut events).unwrap();
                reactor.retract_sleep();
            }
        }
        assert_eq!(events.as_slice(), []);
    }
    waker.join().unwrap();
    assert!(!reactor.take_wake());
}

#[test]
fn a_wake_before_the_sleep_forbids_it() {
    let reactor = Reactor::new().unwrap();
    reactor.wake_handle().wake();
    assert!(!reactor.announce_sleep());
    assert!(!is_readable(&reactor, Duration::ZERO), "no system call for one who is awake");
    assert!(reactor.take_wake());
    assert!(!reactor.take_wake());
    assert!(reactor.announce_sleep());
    assert!(reactor.announce_sleep(), "to announce twice is the same as once");
    reactor.wake_handle().wake();
    assert!(is_readable(&reactor, LIMIT));
    reactor.retract_sleep();
}

#[test]
fn a_coroutines_waker_works_from_another_thread() {
    let reactor = Reactor::new().unwrap();
    let (send, receive) = mpsc::channel::<Waker>();
    let polls = Rc::new(Cell::new(0));
    let count = polls.clone();
    reactor
        .spawn(poll_fn(move |context| {
            count.set(count.get() + 1);
            if count.get() > 100 {
                return Poll::Ready(());
            }
            send.send(context.waker().clone()).unwrap();
            Poll::Pending
        }))
        .unwrap();
    let waker = std::thread::spawn(move || {
        for _ in 0..100 {
            let Ok(waker) = receive.recv_timeout(LIMIT) else { return };
            waker.wake();
        }
    });
    let mut events = Events::new();
    while reactor.coroutines() > 0 {
        if reactor.announce_sleep() {
            let started = polls.get();
            reactor.collect(Some(LIMIT), &mut events).unwrap();
            reactor.retract_sleep();
            assert!(reactor.has_ready_tasks(), "poll {started}: slept until the deadline, or woke for nothing");
        }
        reactor.run_tasks(16);
    }
    assert_eq!(polls.get(), 101);
    waker.join().unwrap();
}

#[test]
fn the_readiness_descriptor_follows_doorbells_and_timers() {
    let reactor = Reactor::new().unwrap();
    let doorbell = new_eventfd();
    reactor.watch(&doorbell, Interest::READABLE.edge(), 3).unwrap();
    reactor.arm_timerfd().unwrap();
    assert!(!is_readable(&reactor, Duration::ZERO));
    ring(&doorbell);
    assert!(is_readable(&reactor, LIMIT));
    assert_eq!(collect(&reactor, Duration::ZERO).len(), 1);
    assert!(!is_readable(&reactor, Duration::ZERO));

    for _ in 0..3 {
        reactor.refresh_clock();
        let sleep = reactor.sleep_until(reactor.now() + Duration::from_millis(1));
        reactor.spawn(async move { sleep.await.unwrap() }).unwrap();
        reactor.run_tasks(16);
        reactor.arm_timerfd().unwrap();
        assert!(is_readable(&reactor, LIMIT));
        assert_eq!(collect(&reactor, Duration::ZERO), []);
        reactor.refresh_clock();
        while reactor.coroutines() > 0 {
            reactor.run_tasks(16);
        }
    }
    // Armed for a deadline that has passed: ready at once. Armed for none: not any more.
    let id = reactor.spawn({
        let sleep = reactor.sleep_until(reactor.now() + Duration::from_nanos(1));
        async move { sleep.await.unwrap() }
    });
    reactor.run_tasks(16);
    reactor.arm_timerfd().unwrap();
    assert!(is_readable(&reactor, LIMIT));
    reactor.abort(id.unwrap());
    reactor.arm_timerfd().unwrap();
    assert!(!is_readable(&reactor, Duration::ZERO));
}

#[test]
fn a_sleep_of_any_length_is_no_error() {
    let reactor = Reactor::new().unwrap();
    let doorbell = new_eventfd();
    ring(&doorbell);
    reactor.watch(&doorbell, Interest::READABLE, 0).unwrap();
    assert_eq!(collect(&reactor, Duration::MAX).len(), 1);
    let mut events = Events::new();
    reactor.collect(None, &mut events).unwrap();
    assert_eq!(events.as_slice().len(), 1);
}

#[test]
fn shutdown_breaks_the_cycle_of_references() {
    let reactor = Reactor::new().unwrap();
    let weak = Rc::downgrade(&reactor);
    let own = reactor.clone();
    reactor
        .spawn(async move {
            own.sleep_until(Time::MAX).await.unwrap();
        })
        .unwrap();
    reactor.run_tasks(16);
    reactor.shutdown();
    assert_eq!(reactor.next_deadline(), None);
    drop(reactor);
    assert!(weak.upgrade().is_none());
}
