// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sleeping: here, woken by a socket or by the reactor; and in the reactor, for another event loop.

use super::*;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

const LONG: Option<Duration> = Some(Duration::from_secs(20));

fn later(milliseconds: u64, what: impl FnOnce() + Send + 'static) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(milliseconds));
        what();
    })
}

#[test]
fn data_ends_a_sleep() {
    let mut side = Side::new();
    let (near, peer) = with_std(&mut side);
    side.look();
    for _ in 0..10 {
        assert_eq!(side.pop(near), Poll::Pending);
        assert_eq!(side.catnap.arm(), Armed::Quiet);
        let mut writing = peer.try_clone().unwrap();
        let thread = later(2, move || writing.write_all(b"wake up").unwrap());
        let reactor = Rc::clone(&side.reactor);
        while side.pop(near) == Poll::Pending {
            assert!(side.catnap.sleep(reactor.fd(), LONG));
        }
        thread.join().unwrap();
        side.look();
    }
}

/// Whatever is for the reactor alone ends the sleep, too.
#[test]
fn the_reactor_ends_a_sleep() {
    let mut side = Side::new();
    let reactor = Rc::clone(&side.reactor);
    let handle = reactor.wake_handle();
    let thread = later(2, move || handle.wake());
    assert!(reactor.announce_sleep());
    assert_eq!(side.catnap.arm(), Armed::Quiet);
    assert!(side.catnap.sleep(reactor.fd(), LONG));
    side.collect();
    reactor.retract_sleep();
    assert!(reactor.take_wake());
    thread.join().unwrap();
}

/// A sleep that ran out asks the kernel once, and the look behind it not again.
#[test]
fn what_a_sleep_costs() {
    let mut side = Side::new();
    let (near, _peer) = with_std(&mut side);
    assert_eq!(side.pop(near), Poll::Pending);
    side.look();
    let before = side.calls();
    side.round(Duration::from_micros(10));
    assert_eq!(side.calls(), before + 1);
}

/// Another loop waits for the reactor's descriptor, in turns with sleeps here.
#[test]
fn for_an_owner() {
    let mut side = Side::new();
    let (near, mut peer) = with_std(&mut side);
    let reactor = Rc::clone(&side.reactor);
    let readable = |milliseconds: i64| {
        let mut fds = [PollFd::from_borrowed_fd(reactor.fd(), PollFlags::IN)];
        let limit = Timespec { tv_sec: milliseconds / 1000, tv_nsec: milliseconds % 1000 * 1_000_000 };
        poll(&mut fds, Some(&limit)).unwrap() == 1
    };
    for round in 0..6 {
        assert_eq!(side.pop(near), Poll::Pending);
        if round % 3 == 2 {
            assert_eq!(side.catnap.arm(), Armed::Quiet);
            assert!(side.catnap.sleep(reactor.fd(), Some(Duration::from_millis(1))));
            side.look();
        }
        // An edge of before may be left: an owner polls then, and waits again.
        while side.catnap.arm_for_owner() == Armed::Ready || readable(0) {
            side.collect();
            side.look();
        }
        peer.write_all(b"wake up").unwrap();
        assert!(readable(20_000));
        side.collect();
        side.look();
        assert!(side.take_wake(near, Direction::Pop));
        assert_eq!(side.pop(near), Poll::Ready(Ok(b"wake up".to_vec())));
    }
}

/// Somebody who has operations to try again does not sleep.
#[test]
fn news_keep_awake() {
    let mut side = Side::new();
    let (gone, address) = side.listen("127.0.0.1:0", 1);
    assert_eq!(side.close(gone), Poll::Ready(Ok(())));
    let calling = side.stream();
    side.catnap.connect(calling, address).unwrap();
    assert_eq!(side.pop(calling), Poll::Pending);
    let _ = side.connect(calling, address);
    assert_eq!(side.finish(calling, Direction::Push, |side| side.connected(calling)), Err(Errno::CONNREFUSED));
    assert_eq!((side.catnap.arm(), side.catnap.arm_for_owner()), (Armed::Ready, Armed::Ready));
    side.look();
    assert!(side.take_wake(calling, Direction::Pop));
    assert_eq!(side.catnap.arm(), Armed::Quiet);
}
