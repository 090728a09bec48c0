// SPDX-License-Identifier: MIT OR Apache-2.0
//! Datagrams arrive whole, in order from one sender, and with its address.

use super::*;
use runtime::limits::DATAGRAM_MAX;
use runtime::transport::Armed;

#[test]
fn a_question_and_its_answer() {
    let directory = tempfile::tempdir().unwrap();
    let (mut a, mut b) = (Node::new(&directory), Node::new(&directory));
    let server = a.bound("127.0.0.1:53");
    let client = b.socket();
    assert_eq!(b.address(client), at("0.0.0.0:0"));
    for round in 0..100_u8 {
        b.push_to(client, &[round], at("127.0.0.1:53")).unwrap();
        let (question, sender) = a.pop(server);
        assert_eq!((question, sender), (vec![round], b.address(client)));
        assert!(sender.ip().is_loopback() && sender.port() >= 32_768);
        a.push_to(server, &[round, 1], sender).unwrap();
        assert_eq!(b.pop(client), (vec![round, 1], at("127.0.0.1:53")));
    }
    assert_eq!((a.peers(server), b.peers(client)), (1, 1), "one pipe carries both ways");
    assert_eq!((a.sockets.drops.total(), b.sockets.drops.total()), (0, 0));
}

#[test]
fn boundaries_are_kept() {
    let directory = tempfile::tempdir().unwrap();
    let (mut a, mut b) = (Node::new(&directory), Node::new(&directory));
    let server = a.bound("127.0.0.1:53");
    let client = b.socket();
    for len in [0, 1, 7, 8, 9, 0, 0, 1500, 2048, 2049, 40_000, DATAGRAM_MAX, 0] {
        b.push_to(client, &bytes(len), at("127.0.0.1:53")).unwrap();
        assert_eq!(a.pop(server).0, bytes(len));
        a.push_to(server, &bytes(len), b.address(client)).unwrap();
        assert_eq!(b.pop(client).0, bytes(len), "on the way back");
    }
    // Several at once.
    for len in [3, 0, 5000, 1] {
        b.push_to(client, &bytes(len), at("127.0.0.1:53")).unwrap();
    }
    for len in [3, 0, 5000, 1] {
        assert_eq!(a.pop(server).0, bytes(len));
    }
    assert_eq!(b.push_to(client, &bytes(DATAGRAM_MAX + 1), at("127.0.0.1:53")), Err(Errno::MSGSIZE));
}

#[test]
fn segments_become_one() {
    let directory = tempfile::tempdir().unwrap();
    let (mut a, mut b) = (Node::new(&directory), Node::new(&directory));
    let server = a.bound("127.0.0.1:53");
    let client = b.socket();
    let mut message = Sga::new();
    for len in [100, 0, 2000, 1] {
        message.push_back(b.pools.alloc_copy(&bytes(len)).unwrap()).unwrap();
    }
    b.sockets.push_to(client, &mut message, at("127.0.0.1:53")).unwrap();
    assert_eq!(a.pop(server).0, [bytes(100), bytes(2000), bytes(1)].concat());
}

#[test]
fn a_size_cuts_off_the_rest_for_good() {
    let directory = tempfile::tempdir().unwrap();
    let mut a = Node::new(&directory);
    let (server, client) = (a.bound("127.0.0.1:53"), a.socket());
    for text in [&b"long enough"[..], b"next"] {
        a.push_to(client, text, at("127.0.0.1:53")).unwrap();
    }
    a.until(|a| a.peers(server) == 1);
    let Poll::Ready(Ok(chain)) = a.sockets.pop(server, PopMode::AtMost(NonZeroUsize::new(4).unwrap())) else {
        panic!("nothing there")
    };
    assert_eq!(Datagram::from_chain(chain).into_message().to_vec(), b"long");
    let Poll::Ready(Ok(chain)) = a.sockets.pop(server, PopMode::InPlace) else { panic!("nothing there") };
    assert_eq!(Datagram::from_chain(chain).into_message().to_vec(), b"next");
}

#[test]
fn a_sleeper_is_woken_by_datagrams_of_old_and_new_peers() {
    let directory = tempfile::tempdir().unwrap();
    let (mut a, mut b) = (Node::new(&directory), Node::new(&directory));
    let server = a.bound("127.0.0.1:53");
    assert!(a.try_pop(server).is_none());
    for round in 0..3 {
        let client = b.socket();
        for datagram in 0..3 {
            // As a LibOs that sleeps: armed, then nothing but the kernel's events.
            assert!(a.try_pop(server).is_none());
            assert_eq!(a.sockets.arm(), Armed::Quiet, "round {round}, datagram {datagram}");
            b.push_to(client, b"wake up", at("127.0.0.1:53")).unwrap();
            a.round(Duration::from_secs(10));
            a.sockets.disarm();
            assert_eq!(a.woken(), [(1, Direction::Pop)]);
            assert_eq!(a.try_pop(server).unwrap().unwrap().0, b"wake up");
        }
    }
}

#[test]
fn spinning_finds_what_comes() {
    let directory = tempfile::tempdir().unwrap();
    let (mut a, mut b) = (Node::new(&directory), Node::new(&directory));
    let (server, client) = (a.bound("127.0.0.1:53"), b.socket());
    assert!(!a.sockets.spin(server, Direction::Pop, 10), "nobody is there to look at");
    b.push_to(client, b"1", at("127.0.0.1:53")).unwrap();
    assert_eq!(a.pop(server).0, b"1");
    assert!(a.sockets.spin(server, Direction::Pop, 10));
    assert!(a.try_pop(server).is_none());
    assert!(!a.sockets.spin(server, Direction::Pop, 10));
    b.push_to(client, b"2", at("127.0.0.1:53")).unwrap();
    assert!(a.sockets.spin(server, Direction::Pop, 1000));
    assert_eq!(a.try_pop(server).unwrap().unwrap().0, b"2");
}

#[test]
fn nothing_is_lost_for_want_of_a_buffer() {
    let directory = tempfile::tempdir().unwrap();
    let (mut a, mut b) = (Node::new(&directory), Node::new(&directory));
    let (server, client) = (a.bound("127.0.0.1:53"), b.socket());
    for number in 0..10 {
        b.push_to(client, &[number], at("127.0.0.1:53")).unwrap();
    }
    a.until(|a| a.peers(server) == 1);
    // None for the payload; then one for that, and none for the address.
    let mut held: Vec<_> = std::iter::from_fn(|| a.pools.alloc(1).ok()).collect();
    assert_eq!(a.try_pop(server), Some(Err(Errno::NOBUFS)));
    held.pop();
    for _ in 0..3 {
        assert_eq!(a.try_pop(server), Some(Err(Errno::NOBUFS)));
    }
    held.clear();
    for number in 0..10 {
        assert_eq!(a.try_pop(server).unwrap().unwrap().0, [number]);
    }
}

#[test]
fn a_smaller_buffer_means_shorter_datagrams() {
    let directory = tempfile::tempdir().unwrap();
    let (mut a, mut b) = (Node::new(&directory), Node::new(&directory));
    let (server, client) = (a.bound("127.0.0.1:53"), b.socket());
    b.sockets.set_option(client, SocketOption::SendBuffer(4096)).unwrap();
    b.sockets.set_option(client, SocketOption::ReceiveBuffer(4096)).unwrap();
    assert_eq!(b.push_to(client, &bytes(1017), at("127.0.0.1:53")), Err(Errno::MSGSIZE));
    b.push_to(client, &bytes(1016), at("127.0.0.1:53")).unwrap();
    let (question, sender) = a.pop(server);
    assert_eq!(question, bytes(1016));
    // The client reads from a small ring: what does not fit there is dropped, in one piece or several.
    for pieces in [1, 3] {
        let mut message = Sga::new();
        (0..pieces).for_each(|_| message.push_back(a.pools.alloc_copy(&bytes(9000 / pieces)).unwrap()).unwrap());
        a.sockets.push_to(server, &mut message, sender).unwrap();
    }
    assert_eq!(a.dropped(Reason::Full), 2);
    a.push_to(server, b"short", sender).unwrap();
    assert_eq!(b.pop(client).0, b"short");
}
