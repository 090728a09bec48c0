// SPDX-License-Identifier: MIT OR Apache-2.0
//! Two stacks over Unix sockets, without any right.

use crate::{NAP, ROUNDS, Side, at, bytes, end};
use catnip::device::faults;
use catnip::tcp::Completion;
use core::num::NonZeroUsize;
use core::task::Poll;
use core::time::Duration;
use runtime::Errno;
use runtime::buf::Sga;
use runtime::limits::SGA_SEGMENTS_MAX;
use runtime::op::{Datagram, Direction};
use runtime::socket::{Domain, Kind, OptionName, SocketOption};
use runtime::transport::{PopMode, Transport};
use std::sync::mpsc;
use tempfile::TempDir;

const LONGEST: usize = 65_507;
/// What is waited for comes by then.
const LIMIT: Duration = Duration::from_secs(20);

fn pair() -> (TempDir, Side, Side) {
    let folder = tempfile::tempdir().unwrap();
    let near = Side::new(&end(folder.path(), "a", "b", &["10.0.0.1/24", "fd00::1/64"]));
    let far = Side::new(&end(folder.path(), "b", "a", &["10.0.0.2/24", "fd00::2/64"]));
    (folder, near, far)
}

/// Datagrams of every kind of length, in one fragment and in many, there and back, over both families.
#[test]
fn there_and_back() {
    let (_folder, mut near, mut far) = pair();
    for (ours, theirs) in [("10.0.0.1:0", "10.0.0.2:0"), ("[fd00::1]:0", "[fd00::2]:0")] {
        let (client, own) = near.bound(ours);
        let (server, to) = far.bound(theirs);
        for (number, len) in
            [0, 1, 2, 63, 64, 1452, 1453, 1472, 1473, 2048, 9000, 40_000, LONGEST].into_iter().enumerate()
        {
            let sent = bytes(len, number);
            near.push_to(client, &sent, to).unwrap();
            let (from, came) = far.pop(server, &mut [&mut near]).unwrap();
            assert!(from == own && came == sent, "{len} bytes from {from}");
            far.push_to(server, &came, from).unwrap();
            let (from, came) = near.pop(client, &mut [&mut far]).unwrap();
            assert!(from == to && came == sent, "{len} bytes back from {from}");
        }
    }
    assert_eq!((near.catnip.counters().drops, far.catnip.counters().drops), (0, 0));
}

/// In many pieces, as many as a message may have.
#[test]
fn scattered_messages() {
    let (_folder, mut near, mut far) = pair();
    let (client, _) = near.bound("10.0.0.1:0");
    let (server, to) = far.bound("10.0.0.2:0");
    for (number, len) in [100, 1400, 20_000, LONGEST].into_iter().enumerate() {
        let sent = bytes(len, number);
        let mut message = Sga::new();
        for piece in sent.chunks(len.div_ceil(SGA_SEGMENTS_MAX - 2)) {
            message.push_back(near.pools.alloc_copy(piece).unwrap()).unwrap();
        }
        near.until(client, Direction::Push, &mut [&mut far], |catnip| catnip.push_to(client, &mut message, to))
            .unwrap();
        assert!(far.pop(server, &mut [&mut near]).unwrap().1 == sent, "{len} bytes");
    }
}

/// Who is not there is asked for, given up, and told.
#[test]
fn nobody_and_no_socket() {
    let (_folder, mut near, mut far) = pair();
    let client = near.socket(Domain::V4);
    near.catnip.connect(client, at("10.0.0.2:9")).unwrap();
    assert!(near.catnip.connected(client).is_ready());
    // A host, but no socket: ICMP says so, and the next operation tells it.
    let mut message = near.message(b"anybody?");
    near.until(client, Direction::Push, &mut [&mut far], |catnip| catnip.push(client, &mut message)).unwrap();
    assert_eq!(near.pop(client, &mut [&mut far]), Err(Errno::CONNREFUSED));
    assert_eq!(near.push_to(client, b"x", at("192.0.2.1:9")), Err(Errno::NETUNREACH));
    assert_eq!(near.push_to(client, b"x", at("[fd00::2]:9")), Err(Errno::AFNOSUPPORT));
    assert_eq!(near.push_to(client, &vec![0; LONGEST + 1], at("10.0.0.2:9")), Err(Errno::MSGSIZE));
}

/// What a pop's size cuts off is lost.
#[test]
fn sized_pops() {
    let (_folder, mut near, mut far) = pair();
    let (client, _) = near.bound("10.0.0.1:0");
    let (server, to) = far.bound("10.0.0.2:0");
    for (number, len) in [1400, 20_000].into_iter().enumerate() {
        for size in [1, 1000, len - 1, len, len + 1] {
            let sent = bytes(len, number);
            near.push_to(client, &sent, to).unwrap();
            let mode = PopMode::AtMost(NonZeroUsize::new(size).unwrap());
            let chain = far.until(server, Direction::Pop, &mut [&mut near], |catnip| catnip.pop(server, mode)).unwrap();
            assert!(Datagram::from_chain(chain).into_message().to_vec() == sent[..size.min(len)]);
        }
    }
    assert!(far.catnip.pop(server, PopMode::Whole).is_pending());
}

#[test]
fn a_socket_to_itself_and_its_neighbour() {
    let (_folder, mut near, _far) = pair();
    let (one, at_one) = near.bound("10.0.0.1:0");
    let (two, at_two) = near.bound("0.0.0.0:0");
    let at_two = at(&format!("10.0.0.1:{}", at_two.port()));
    for len in [0, 10, 1472, LONGEST] {
        near.push_to(one, &bytes(len, 1), at_one).unwrap();
        assert!(near.pop(one, &mut []).unwrap() == (at_one, bytes(len, 1)));
        near.push_to(one, &bytes(len, 2), at_two).unwrap();
        assert!(near.pop(two, &mut []).unwrap() == (at_one, bytes(len, 2)));
    }
}

/// What is not there says so.
#[test]
fn calls_that_datagrams_do_not_have() {
    let (_folder, mut near, _far) = pair();
    let errno = |result: runtime::Result<u32>| result.map_err(runtime::Error::errno);
    for kind in [Kind::Stream, Kind::Datagram] {
        assert_eq!(errno(near.catnip.socket(1, Domain::Unix, kind)), Err(Errno::AFNOSUPPORT));
    }
    let (socket, address) = near.bound("10.0.0.1:0");
    assert_eq!(near.catnip.listen(socket, 1).unwrap_err().errno(), Errno::OPNOTSUPP);
    assert_eq!(near.catnip.can_accept(socket).unwrap_err().errno(), Errno::OPNOTSUPP);
    assert_eq!(near.catnip.peer_address(socket).unwrap_err().errno(), Errno::NOTCONN);
    let other = near.socket(Domain::V4);
    assert_eq!(near.catnip.bind(other, address).unwrap_err().errno(), Errno::ADDRINUSE);
    assert_eq!(near.catnip.bind(other, at("10.0.0.9:0")).unwrap_err().errno(), Errno::ADDRNOTAVAIL);
    near.catnip.set_option(other, SocketOption::NoDelay(true)).unwrap();
    assert_eq!(near.catnip.option(other, OptionName::NoDelay), Ok(SocketOption::NoDelay(true)));
    assert_eq!(near.catnip.close(socket), Poll::Ready(Ok(())));
    near.catnip.bind(other, address).unwrap();
    assert_eq!(near.catnip.close(socket).map(|done| done.unwrap_err().errno()), Poll::Ready(Errno::BADF));
}

/// A flood is taken or counted, in order, and nothing is stuck afterwards.
#[test]
fn a_flood() {
    const COUNT: u32 = 5000;
    let (_folder, mut near, mut far) = pair();
    let (client, _) = near.bound("10.0.0.1:0");
    let (server, to) = far.bound("10.0.0.2:0");
    near.push_to(client, b"hello", to).unwrap();
    far.pop(server, &mut [&mut near]).unwrap();
    let mut came = Vec::new();
    let mut take = |far: &mut Side| {
        while let Poll::Ready(chain) = far.catnip.pop(server, PopMode::Whole) {
            let bytes = Datagram::from_chain(chain.unwrap()).into_message().to_vec();
            came.push(u32::from_be_bytes(bytes.try_into().unwrap()));
        }
    };
    for number in 0..COUNT {
        let mut message = near.message(&number.to_be_bytes());
        near.until(client, Direction::Push, &mut [&mut far], |catnip| catnip.push_to(client, &mut message, to))
            .unwrap();
        if number % 100 == 0 {
            take(&mut far);
        }
    }
    for _ in 0..100 {
        near.round(NAP);
        far.round(NAP);
    }
    take(&mut far);
    let dropped = near.catnip.counters().drops + far.catnip.counters().drops;
    assert_eq!(came.len() as u64 + dropped, u64::from(COUNT));
    assert!(came.is_sorted(), "out of order");
}

/// While nothing happens both sleep, until their timers; a datagram wakes the sleeper.
#[test]
fn idle_sides_sleep() {
    let (_folder, mut near, mut far) = pair();
    let (client, _) = near.bound("10.0.0.1:0");
    let (server, to) = far.bound("10.0.0.2:0");
    near.push_to(client, b"hello", to).unwrap();
    far.pop(server, &mut [&mut near]).unwrap();
    assert!(far.catnip.pop(server, PopMode::Whole).is_pending());
    let slept = (0..200).filter(|_| far.round(NAP)).count();
    assert!(slept > 150, "{slept} of 200 rounds");
    near.push_to(client, b"wake up", to).unwrap();
    assert_eq!(far.pop(server, &mut []).unwrap().1, b"wake up");
}

/// A bad network loses, doubles, mixes and damages datagrams; what arrives is whole.
#[test]
fn a_bad_network() {
    let folder = tempfile::tempdir().unwrap();
    let mut bad = end(folder.path(), "a", "b", &["10.0.0.1/24"]);
    bad.faults = Some(faults::Settings {
        seed: 1,
        drop: 50_000,
        duplicate: 50_000,
        reorder: 50_000,
        corrupt: 50_000,
        delay: Duration::from_micros(100),
    });
    let (mut near, mut far) = (Side::new(&bad), Side::new(&end(folder.path(), "b", "a", &["10.0.0.2/24"])));
    let (client, _) = near.bound("10.0.0.1:0");
    let (server, to) = far.bound("10.0.0.2:0");
    let mut came = vec![0_u32; 500];
    for number in 0..500_usize {
        let len = [10, 1000, 5000][number % 3];
        let sent = [&(number as u32).to_be_bytes()[..], &bytes(len, number)].concat();
        near.push_to(client, &sent, to).unwrap();
        for _ in 0..4 {
            near.round(NAP / 5);
            far.round(NAP / 5);
        }
        while let Poll::Ready(chain) = far.catnip.pop(server, PopMode::Whole) {
            let came_bytes = Datagram::from_chain(chain.unwrap()).into_message().to_vec();
            let number = u32::from_be_bytes(came_bytes[..4].try_into().unwrap()) as usize;
            assert!(came_bytes[4..] == bytes([10, 1000, 5000][number % 3], number), "datagram {number} is damaged");
            came[number] += 1;
        }
    }
    let whole = came.iter().filter(|&&count| count > 0).count();
    assert!((250..500).contains(&whole), "{whole} of 500 came");
    assert!(came.iter().any(|&count| count > 1), "none came twice");
}

/// Where the other end is not there, nothing breaks; once it is, datagrams pass.
#[test]
fn the_other_end_comes_and_goes() {
    let folder = tempfile::tempdir().unwrap();
    let mut near = Side::new(&end(folder.path(), "a", "b", &["10.0.0.1/24"]));
    let (client, _) = near.bound("10.0.0.1:0");
    for _ in 0..3 {
        let mut far = Side::new(&end(folder.path(), "b", "a", &["10.0.0.2/24"]));
        let (server, to) = far.bound("10.0.0.2:7");
        let mut tries = 0;
        near.work_until(&mut [&mut far], |near| {
            tries += 1;
            if tries % 100 == 1 {
                let mut message = near.message(b"there?");
                let _ = near.catnip.push_to(client, &mut message, to);
            }
            tries > 400
        });
        assert_eq!(far.pop(server, &mut [&mut near]).unwrap().1, b"there?");
        drop(far);
        assert!(!folder.path().join("b").exists());
        let _ = near.push_to(client, b"gone?", to);
        near.round(NAP);
    }
}

/// A LibOs pushes so many datagrams and ends, while nobody takes a frame from the wire, which has room for ten: until they are pushed, or until
/// the LibOs has ended. How many come then, the first ones in their order.
fn pushed_at_the_end(count: usize, has_ended: bool) -> usize {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let mut far = Side::new(&end(path, "b", "a", &["10.0.0.2/24"]));
    let (server, to) = far.bound("10.0.0.2:0");
    let (tell, told) = mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut near = Side::new(&end(path, "a", "b", &["10.0.0.1/24"]));
            let (client, own) = near.bound("10.0.0.1:0");
            near.push_to(client, b"hello", to).unwrap();
            near.pop(client, &mut []).unwrap();
            tell.send(own).unwrap();
            for number in 0..count {
                near.push_to(client, &bytes(100, number), to).unwrap();
            }
            // Dropped in front of the word, or behind it.
            let _near = (!has_ended).then_some(near);
            tell.send(own).unwrap();
        });
        let (from, hello) = far.pop(server, &mut []).unwrap();
        far.push_to(server, &hello, from).unwrap();
        far.work_until(&mut [], |_| told.try_recv() == Ok(from));
        assert_eq!(told.recv_timeout(LIMIT), Ok(from));
        let mut came = 0;
        // Who has ended sends nothing more.
        for _ in 0..if has_ended { count } else { ROUNDS } {
            far.round(NAP);
            while let Poll::Ready(chain) = far.catnip.pop(server, PopMode::Whole) {
                let datagram = Datagram::from_chain(chain.unwrap());
                assert_eq!((datagram.sender(), datagram.into_message().to_vec()), (from, bytes(100, came)));
                came += 1;
            }
            if came == count {
                break;
            }
        }
        came
    })
}

/// What was pushed goes out though its LibOs ends right away, and there is no room on the wire just then.
#[test]
fn the_last_datagrams_wait_for_room() {
    assert_eq!(pushed_at_the_end(40, false), 40);
}

/// A wire from which nobody takes a frame does not hold up the end of a LibOs for ever; what there was room for arrives.
#[test]
fn a_wire_that_nobody_reads() {
    let came = pushed_at_the_end(40, true);
    assert!((1..40).contains(&came), "{came}");
}

/// What was pushed goes out though its LibOs ends right away, and frames take their time to leave.
#[test]
fn the_last_datagrams_are_not_left_behind() {
    const COUNT: usize = 5;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let mut far = Side::new(&end(path, "b", "a", &["10.0.0.2/24"]));
    let (server, to) = far.bound("10.0.0.2:0");
    std::thread::scope(|scope| {
        let sender = scope.spawn(move || {
            let mut settings = end(path, "a", "b", &["10.0.0.1/24"]);
            settings.faults = Some(faults::Settings { delay: Duration::from_millis(50), ..Default::default() });
            let mut near = Side::new(&settings);
            let (client, own) = near.bound("10.0.0.1:0");
            for number in 0..COUNT {
                near.push_to(client, &bytes(100, number), to).unwrap();
            }
            own
        });
        let came: Vec<_> = (0..COUNT).map(|_| far.pop(server, &mut [])).collect();
        let own = sender.join().unwrap();
        for (number, one) in came.into_iter().enumerate() {
            assert_eq!(one, Ok((own, bytes(100, number))));
        }
    });
}

/// Whoever calls a push off has nobody wait for it: the next is done when its own bytes are acknowledged, and not that one's.
#[test]
fn a_push_that_was_called_off_counts_for_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = end(folder.path(), "a", "b", &["10.0.0.1/24"]);
    settings.tcp.completion = Completion::Acked;
    let (mut near, mut far) = (Side::new(&settings), Side::new(&end(folder.path(), "b", "a", &["10.0.0.2/24"])));
    let (client, server) = near.connects(&mut far, at("10.0.0.2:7"));
    let mut first = near.message(b"first");
    assert!(near.catnip.push(client, &mut first).is_pending());
    near.catnip.canceled(client, Direction::Push);
    let came =
        far.until(server, Direction::Pop, &mut [&mut near], |catnip| catnip.pop(server, PopMode::Whole)).unwrap();
    assert_eq!(came.to_vec(), b"first");
    for _ in 0..ROUNDS {
        if near.catnip.tcp_info(client).unwrap().in_flight == 0 {
            break;
        }
        far.round(NAP);
        near.round(NAP);
    }
    assert_eq!(near.catnip.tcp_info(client).unwrap().in_flight, 0, "what was called off is acknowledged");
    near.take_wake(client, Direction::Push);

    // Nobody works at the other end: nothing that is pushed now is acknowledged.
    let mut second = near.message(b"second");
    for _ in 0..100 {
        assert!(near.catnip.push(client, &mut second).is_pending());
        near.round(NAP);
    }
    near.take_wake(client, Direction::Push);
    assert_eq!(near.until(client, Direction::Push, &mut [&mut far], |catnip| catnip.push(client, &mut second)), Ok(()));
}
