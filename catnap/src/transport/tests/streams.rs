// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bytes over TCP: every size, in parts, in both directions, and what each costs in system calls and buffers.

use super::*;
use core::num::NonZeroUsize;
use proptest::prelude::*;

fn at_most(size: usize) -> PopMode {
    PopMode::AtMost(NonZeroUsize::new(size).unwrap())
}

#[test]
fn sizes() {
    let mut side = Side::new();
    let ends = pair(&mut side);
    for len in [1, 2, 100, 2047, 2048, 2049, 16 << 10, 65_535, 65_536, 65_537, 300_000] {
        for [from, to] in [ends, [ends[1], ends[0]]] {
            let mut message = side.message(&bytes(len, len));
            let mut got = Vec::new();
            let pushed = side.finish_beside(
                from,
                Direction::Push,
                |side| side.push(from, &mut message),
                |side| {
                    while let Poll::Ready(more) = side.pop(to) {
                        got.extend(more.unwrap());
                    }
                },
            );
            assert_eq!(pushed, Ok(()));
            let rest = side.pop_all(to, len - got.len());
            got.extend(rest);
            assert!(got == bytes(len, len), "{len} bytes");
        }
    }
    assert_no_buffers(&side);
}

/// 64 MiB through a send buffer of less than one, to a peer that reads as it likes.
#[test]
fn a_large_push_goes_in_parts() {
    const LEN: usize = 64 << 20;
    let mut side = Side::new();
    let (near, mut peer) = with_std(&mut side);
    side.catnap.set_option(near, SocketOption::SendBuffer(200 << 10)).unwrap();
    side.catnap.set_option(near, SocketOption::NoDelay(true)).unwrap();
    let reader = std::thread::spawn(move || {
        let (mut got, mut buffer) = (0, vec![0; 1 << 20]);
        while got < LEN {
            let n = peer.read(&mut buffer).unwrap();
            assert!(n > 0 && buffer[..n] == bytes(got, n)[..], "after {got} bytes");
            got += n;
        }
    });
    let mut message = side.message(&bytes(0, LEN));
    assert_eq!(side.push(near, &mut message), Poll::Pending);
    assert!(message.len() < LEN);
    assert_eq!(side.finish(near, Direction::Push, |side| side.push(near, &mut message)), Ok(()));
    reader.join().unwrap();
    drop(message);
    assert_no_buffers(&side);
}

/// What is known not to be there is not asked for; what is known not to fit is not tried.
#[test]
fn no_call_for_what_is_known() {
    let mut side = Side::new();
    let (near, mut peer) = with_std(&mut side);
    assert_eq!(side.pop(near), Poll::Pending);
    let before = side.calls();
    for _ in 0..100 {
        assert_eq!(side.pop(near), Poll::Pending);
        assert!(!side.catnap.spin(near, Direction::Pop, 1));
    }
    assert_eq!(side.calls(), before);
    // While few wait a request costs two calls. The answer is short, so nobody asks for more.
    peer.write_all(b"request").unwrap();
    assert_eq!(side.popped(near).unwrap(), b"request");
    let before = side.calls();
    side.push_now(near, b"answer");
    assert_eq!(side.calls(), before + 1);
    assert_eq!(side.pop(near), Poll::Pending);
    assert_eq!(side.calls(), before + 1);
    peer.read_exact(&mut [0; 6]).unwrap();
    peer.write_all(b"request").unwrap();
    assert_eq!(side.popped(near).unwrap(), b"request");
    side.push_now(near, b"answer");
    // With many who wait there is a share of one that asks for all.
    let (listener, _) = side.listen("127.0.0.1:0", 1);
    assert_eq!(side.accept(listener), Poll::Pending);
    let others: Vec<_> = (0..4).map(|_| with_std(&mut side)).collect();
    for (other, _) in &others {
        assert_eq!(side.pop(*other), Poll::Pending);
    }
    side.look();
    for (_, other) in &others {
        let mut other = other;
        other.write_all(b"request").unwrap();
    }
    let before = side.calls();
    while others.iter().any(|(other, _)| !side.woken.contains(&(side.queues[other], true))) {
        side.look();
    }
    let looks = side.calls() - before;
    for (other, _) in &others {
        assert_eq!(side.pop(*other), Poll::Ready(Ok(b"request".to_vec())));
        side.push_now(*other, b"answer");
    }
    assert_eq!(side.calls(), before + looks + 8);
    assert_eq!(side.close(listener), Poll::Ready(Ok(())));
    let before = side.calls();
    // Nobody waits now: looking costs nothing.
    for _ in 0..100 {
        side.look();
    }
    assert_eq!(side.calls(), before);
    // No room.
    side.catnap.set_option(near, SocketOption::SendBuffer(4096)).unwrap();
    let mut message = side.message(&bytes(0, 8 << 20));
    assert_eq!(side.push(near, &mut message), Poll::Pending);
    let before = side.calls();
    for _ in 0..100 {
        assert_eq!(side.push(near, &mut message), Poll::Pending);
        assert!(!side.catnap.spin(near, Direction::Push, 4096));
    }
    assert_eq!(side.calls(), before);
}

/// A pop's size is kept to, and nothing of the rest is lost.
#[test]
fn sized_pops() {
    let mut side = Side::new();
    let (near, mut peer) = with_std(&mut side);
    peer.write_all(&bytes(0, 20_000)).unwrap();
    let mut got = Vec::new();
    for size in [1, 10, 2048, 3000, 100, 1 << 20].into_iter().cycle() {
        let popped = side.finish(near, Direction::Pop, |side| side.catnap.pop(near, at_most(size))).unwrap();
        assert!((1..=size).contains(&popped.len()));
        got.extend(popped.to_vec());
        if got.len() == 20_000 {
            break;
        }
    }
    assert_eq!(got, bytes(0, 20_000));
}

/// What a connection says little holds little; who says much gets large buffers, one system call for each.
#[test]
fn buffers_suit_the_messages() {
    let mut side = Side::new();
    let (near, mut peer) = with_std(&mut side);
    let pop =
        |side: &mut Side| side.finish(near, Direction::Pop, |side| side.catnap.pop(near, PopMode::Whole)).unwrap();
    let large = |side: &Side| side.pools.stats()[1].in_use;
    peer.write_all(&bytes(0, 100)).unwrap();
    let small = pop(&mut side);
    assert_eq!((small.len(), large(&side)), (100, 0));
    // The first of the long ones comes in two.
    peer.write_all(&bytes(0, 16_000)).unwrap();
    let (first, rest) = (pop(&mut side), pop(&mut side));
    assert_eq!((first.len(), rest.len(), rest.segments()), (2048, 13_952, 1));
    peer.write_all(&bytes(0, 16_000)).unwrap();
    let whole = pop(&mut side);
    assert_eq!((whole.len(), large(&side)), (16_000, 2));
    drop((first, rest, whole));
    peer.write_all(&bytes(0, 100)).unwrap();
    let short = pop(&mut side);
    assert_eq!((short.len(), large(&side)), (100, 1), "one is kept to receive into");
    drop((small, short));
    assert_no_buffers(&side);
}

/// Without large buffers the small ones do; without any a pop fails, and what it would have given is still there.
#[test]
fn empty_pools() {
    let mut side = Side::new();
    let (near, mut peer) = with_std(&mut side);
    peer.write_all(&bytes(0, 10_000)).unwrap();
    let first = side.pop_all(near, 2048);
    let large: Vec<Buf> = std::iter::from_fn(|| side.pools.alloc(65_536).ok()).collect();
    let second = side.popped(near).unwrap();
    assert_eq!(second.len(), 2048);
    let small: Vec<Buf> = std::iter::from_fn(|| side.pools.alloc(1).ok()).collect();
    assert_eq!(side.pop(near), Poll::Ready(Err(Errno::NOBUFS)));
    drop((large, small));
    let rest = side.pop_all(near, 10_000 - 4096);
    assert_eq!([first, second, rest].concat(), bytes(0, 10_000));
}

/// Bytes that go without a buffer; what the kernel takes a part of only goes on as a message.
#[test]
fn bytes_without_a_buffer() {
    let mut side = Side::new();
    let (near, mut peer) = with_std(&mut side);
    assert!(side.catnap.push_bytes(near, b"at once").unwrap());
    peer.read_exact(&mut [0; 7]).unwrap();
    side.catnap.set_option(near, SocketOption::SendBuffer(4096)).unwrap();
    let mut sent = 0;
    let mut parts = 0;
    while parts < 20 {
        let piece = bytes(sent, 60_001);
        sent += piece.len();
        if side.catnap.push_bytes(near, &piece).unwrap() {
            continue;
        }
        parts += 1;
        let mut message = side.message(&piece);
        let mut got = vec![0; 30_000];
        let begun = sent;
        let pushed = side.finish_beside(
            near,
            Direction::Push,
            |side| side.push(near, &mut message),
            |_| {
                peer.set_nonblocking(true).unwrap();
                while let Ok(n) = peer.read(&mut got) {
                    CHECKED.with(|checked| {
                        let at = checked.get();
                        assert!(got[..n] == bytes(at, n)[..], "after {at} of {begun} bytes");
                        checked.set(at + n);
                    });
                }
            },
        );
        assert_eq!(pushed, Ok(()));
    }
    assert_eq!(side.close(near), Poll::Ready(Ok(())));
    peer.set_nonblocking(false).unwrap();
    let mut rest = Vec::new();
    peer.read_to_end(&mut rest).unwrap();
    let checked = CHECKED.with(Cell::get);
    assert!(rest == bytes(checked, sent - checked), "{} bytes after {checked}", rest.len());
}

thread_local! {
    /// Bytes that a peer has read and found right.
    static CHECKED: Cell<usize> = const { Cell::new(0) };
}

/// A wait for one pop finds its message by itself; an end and an error are left for the pop.
#[test]
fn a_spin_gets_messages() {
    let mut side = Side::new();
    let (near, mut peer) = with_std(&mut side);
    assert_eq!(side.pop(near), Poll::Pending);
    assert!(side.catnap.spin_for_message(near, PopMode::Whole, 4096).has_no_segment());
    peer.write_all(b"here").unwrap();
    let message = side.catnap.spin_for_message(near, PopMode::Whole, 4096);
    assert_eq!(message.to_vec(), b"here");
    peer.write_all(b"more").unwrap();
    assert_eq!(side.popped(near), Ok(b"more".to_vec()));
    drop(peer);
    for _ in 0..3 {
        assert!(side.catnap.spin_for_message(near, PopMode::Whole, 4096).has_no_segment());
    }
    assert_eq!(side.popped(near), Ok(vec![]));
    assert!(side.catnap.spin_for_message(near, PopMode::Whole, 4096).has_no_segment());
    assert_eq!(side.popped(near), Err(Errno::PIPE));
}

/// Of two pops that wait, a spin serves the first; the second is woken for what is left.
#[test]
fn a_spin_wakes_the_next() {
    let mut side = Side::new();
    let (near, mut peer) = with_std(&mut side);
    assert_eq!(side.pop(near), Poll::Pending);
    peer.write_all(b"onetwo").unwrap();
    while side.catnap.spin_for_message(near, at_most(3), 64).has_no_segment() {}
    for _ in 0..ROUNDS {
        side.round(NAP);
        if side.take_wake(near, Direction::Pop) {
            assert_eq!(side.pop(near), Poll::Ready(Ok(b"two".to_vec())));
            return;
        }
    }
    panic!("the second pop was not woken");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    /// Pushes and pops of any size, mixed in any way, through small buffers: the same bytes come out.
    #[test]
    fn any_mix(pushes in prop::collection::vec(1_usize..70_000, 1..20), pops in prop::collection::vec(1_usize..70_000, 1..20)) {
        let mut side = Side::new();
        let [near, far] = pair(&mut side);
        side.catnap.set_option(near, SocketOption::SendBuffer(8192)).unwrap();
        let (mut sent, mut got, mut turn) = (0, 0, 0);
        for len in pushes {
            let mut message = side.message(&bytes(sent, len));
            sent += len;
            let pushed = side.finish_beside(near, Direction::Push, |side| side.push(near, &mut message), |side| {
                turn += 1;
                if let Poll::Ready(popped) = side.catnap.pop(far, at_most(pops[turn % pops.len()])) {
                    let popped = popped.unwrap().to_vec();
                    assert_eq!(popped, bytes(got, popped.len()));
                    got += popped.len();
                }
            });
            prop_assert_eq!(pushed, Ok(()));
        }
        prop_assert_eq!(side.pop_all(far, sent - got), bytes(got, sent - got));
        assert_no_buffers(&side);
    }
}

/// Long messages of many connections go through the application a few at a time, and all of them do.
#[test]
fn long_messages_take_turns() {
    let mut side = Side::new();
    let mut ends: Vec<_> = (0..12).map(|_| with_std(&mut side)).collect();
    side.look();
    for round in 0..20 {
        for (near, peer) in &mut ends {
            assert_eq!(side.pop(*near), Poll::Pending);
            peer.write_all(&bytes(round, 16 << 10)).unwrap();
        }
        let (mut served, mut most) = (0, 0);
        for _ in 0..ROUNDS {
            side.look();
            let woken: Vec<_> = side.woken.drain().collect();
            let burst = woken.iter().filter(|(_, pops)| *pops).count();
            most = most.max(burst);
            for (near, _) in &ends {
                if woken.contains(&(side.queues[near], true)) {
                    let popped = side.pop_all(*near, 16 << 10);
                    assert!(popped == bytes(round, 16 << 10));
                    served += 1;
                }
            }
            if served == ends.len() {
                break;
            }
        }
        assert_eq!(served, ends.len());
        // The average needs a few to become what they are.
        assert!(round < 10 || most <= 2, "{most} at once in round {round}");
    }
}

/// `tcp(7)`: a receive ends in front of an urgent byte, and nothing tells of what is behind it.
#[test]
fn what_follows_an_urgent_byte_is_popped() {
    let mut side = Side::new();
    let (handle, mut peer) = with_std(&mut side);
    assert!(side.pop(handle).is_pending());
    peer.write_all(b"abc").unwrap();
    rustix::net::send(&peer, b"!", rustix::net::SendFlags::OOB).unwrap();
    peer.write_all(b"def").unwrap();
    side.catnap.collect(Some(Duration::ZERO));
    assert_eq!(side.pop(handle), Poll::Ready(Ok(b"abc".to_vec())));
    assert_eq!(side.pop(handle), Poll::Ready(Ok(b"def".to_vec())));
    assert!(side.pop(handle).is_pending());
}
