// SPDX-License-Identifier: MIT OR Apache-2.0
//! Senders that are slow, silent, or break the rules.

use super::*;
use crate::handshake::Request;
use crate::names::file_name;
use catmem::layout::Layout;
use catmem::mapping::Mapping;
use catmem::rendezvous::{Dial, Directory, Hello, send_bytes, send_offer};
use catmem::ring::record::{HEADER, Kind as RecordKind, Record};
use runtime::limits::{DATAGRAM_MAX, GREETINGS_MAX};
use runtime::socket::Kind;
use std::os::fd::OwnedFd;

const HERE: &str = "127.0.0.1:53";

/// A connection to the name, and nothing said.
fn connect(directory: &TempDir) -> OwnedFd {
    let directory = Directory::open(directory.path()).unwrap();
    let socket = directory.socket().unwrap();
    let name = file_name(Kind::Datagram, at(HERE)).unwrap();
    assert_eq!(directory.dial(&socket, &name), Ok(Dial::Waiting));
    socket
}

fn request(kind: Kind, destination: &str) -> [u8; Request::LEN] {
    let (source, destination) = (at("127.0.0.1:4711"), at(destination));
    Request { kind, membarrier: false, source, destination, send_order: 12, receive_order: 12 }.to_bytes()
}

/// Memory, and how it is laid out.
fn memory(slots: u16) -> (Hello, Mapping, OwnedFd) {
    let sizes = [catmem::rendezvous::Direction::new(12, 12, slots).unwrap(); 2];
    let total = Layout::new(sizes).total;
    let (mapping, fd) = Mapping::create(total).unwrap();
    (Hello::new(sizes, total as u64, false).unwrap(), mapping, fd)
}

/// Longer than any test waits.
const PATIENCE: Duration = Duration::from_hours(1);

fn node(directory: &TempDir, handshake_timeout: Duration) -> (Node, Handle) {
    let settings = Settings { handshake_timeout, ..settings(directory.path()) };
    let mut node = Node::with(&settings);
    let socket = node.bound(HERE);
    (node, socket)
}

#[test]
fn one_that_is_stopped_between_its_messages_is_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let (mut a, server) = node(&directory, PATIENCE);
    let connection = connect(&directory);
    a.round(NAP);
    send_bytes(&connection, &request(Kind::Datagram, HERE)).unwrap();
    a.round(NAP);
    assert_eq!((a.peers(server), a.reactor.coroutines()), (0, 1));
    let (hello, _mapping, fd) = memory(0);
    send_offer(&connection, &hello, &fd).unwrap();
    a.until(|a| a.peers(server) == 1);
    assert_eq!((a.reactor.coroutines(), a.sockets.refused), (0, 0));
    drop(connection);
    a.until(|a| a.peers(server) == 0);
}

#[test]
fn silence_does_not_last() {
    let directory = tempfile::tempdir().unwrap();
    let (mut a, server) = node(&directory, Duration::from_millis(10));
    let silent = [connect(&directory), connect(&directory)];
    // Rounds until both are waited for, or have been; then until neither is.
    a.until(|a| a.reactor.coroutines() > 0);
    a.until(|a| a.reactor.coroutines() == 0);
    assert_eq!((Rc::strong_count(&a.sockets.waiting), a.peers(server)), (1, 0));
    assert_eq!(rustix::io::read(&silent[0], &mut [0; 1]), Ok(0), "it was hung up on");
}

#[test]
fn one_that_comes_after_a_long_sleep_has_all_its_time() {
    let directory = tempfile::tempdir().unwrap();
    let limit = Duration::from_millis(20);
    let (mut a, _) = node(&directory, limit);
    let _silent = connect(&directory);
    // The LibOs has the time of before its sleep when it sees what ended that.
    a.reactor.collect(Some(Duration::ZERO), &mut a.events).unwrap();
    for &event in &a.events.clone() {
        a.sockets.event(event, &mut a.wakes);
    }
    std::thread::sleep(2 * limit);
    a.reactor.refresh_clock();
    a.reactor.run_tasks(64);
    assert_eq!(a.reactor.coroutines(), 1);
    a.until(|a| a.reactor.coroutines() == 0);
}

#[test]
fn a_silent_crowd_is_bounded_and_in_nobodys_way() {
    let directory = tempfile::tempdir().unwrap();
    let (mut a, server) = node(&directory, PATIENCE);
    let silent: Vec<OwnedFd> = (0..GREETINGS_MAX + 10).map(|_| connect(&directory)).collect();
    a.until(|a| a.reactor.coroutines() == GREETINGS_MAX);
    a.until(|a| a.sockets.refused == 10);
    // Others are served meanwhile.
    let mut b = Node::new(&directory);
    let client = b.socket();
    b.push_to(client, b"x", at(HERE)).unwrap();
    assert_eq!(a.pop(server).0, b"x");
    drop(silent);
    a.until(|a| a.reactor.coroutines() == 0);
    assert_eq!(Rc::strong_count(&a.sockets.waiting), 1);
}

#[test]
fn who_breaks_the_rules_is_sent_away() {
    let directory = tempfile::tempdir().unwrap();
    let (mut a, server) = node(&directory, PATIENCE);
    let (good, _mapping, fd) = memory(0);
    let (slotted, _mapping, slotted_fd) = memory(1);
    let ok = request(Kind::Datagram, HERE);
    let cases: [(&[u8], &Hello, &OwnedFd); 6] = [
        (&request(Kind::Stream, HERE), &good, &fd),
        (&request(Kind::Datagram, "127.0.0.1:54"), &good, &fd),
        (&[0; Request::LEN], &good, &fd),
        (&ok[1..], &good, &fd),
        (&ok, &slotted, &slotted_fd),
        (&ok, &good, &slotted_fd),
    ];
    for (index, (request, hello, fd)) in cases.into_iter().enumerate() {
        let connection = connect(&directory);
        send_bytes(&connection, request).unwrap();
        send_offer(&connection, hello, fd).unwrap();
        a.until(|a| a.sockets.refused == index as u64 + 1);
    }
    // A request that brings descriptors, and one that is nothing but a hang-up.
    let connection = connect(&directory);
    send_offer(&connection, &good, &fd).unwrap();
    a.until(|a| a.sockets.refused == 7);
    drop(connect(&directory));
    a.until(|a| a.sockets.refused == 8);
    assert_eq!((a.peers(server), a.reactor.coroutines()), (0, 0));
    // The last of all is honest.
    let connection = connect(&directory);
    send_bytes(&connection, &ok).unwrap();
    send_offer(&connection, &good, &fd).unwrap();
    a.until(|a| a.peers(server) == 1);
}

#[test]
fn one_that_publishes_more_than_a_datagram_is_sent_away() {
    let total = (DATAGRAM_MAX as u64 + 1).to_ne_bytes();
    let first = Record { kind: RecordKind::First, len: 16 };
    let whole = Record { kind: RecordKind::Whole, len: DATAGRAM_MAX + 1 };
    for record in [first, whole] {
        let directory = tempfile::tempdir().unwrap();
        let (mut a, server) = node(&directory, PATIENCE);
        let connection = connect(&directory);
        let sizes = [catmem::rendezvous::Direction::new(17, 12, 0).unwrap(); 2];
        let layout = Layout::new(sizes);
        let (mapping, fd) = Mapping::create(layout.total).unwrap();
        let file = std::fs::File::from(fd);
        for (at, bytes) in [(HEADER, &total), (0, &record.encode().to_ne_bytes())] {
            std::os::unix::fs::FileExt::write_all_at(&file, bytes, (layout.ring[0] + at) as u64).unwrap();
        }
        send_bytes(&connection, &request(Kind::Datagram, HERE)).unwrap();
        let hello = Hello::new(sizes, mapping.len() as u64, false).unwrap();
        send_offer(&connection, &hello, OwnedFd::from(file)).unwrap();
        a.until(|a| a.peers(server) == 1);
        assert!(a.try_pop(server).is_none(), "{record:?}");
        assert_eq!(a.peers(server), 0);
    }
}

#[test]
fn a_letter_for_a_socket_that_was_closed_is_dropped() {
    let directory = tempfile::tempdir().unwrap();
    let (mut a, server) = node(&directory, PATIENCE);
    let connection = connect(&directory);
    a.round(NAP);
    assert_eq!(a.reactor.coroutines(), 1);
    a.sockets.close(server).unwrap();
    let again = a.bound(HERE);
    assert_eq!(again, server, "the handle is used again");
    send_bytes(&connection, &request(Kind::Datagram, HERE)).unwrap();
    let (hello, _mapping, fd) = memory(0);
    send_offer(&connection, &hello, &fd).unwrap();
    a.until(|a| a.reactor.coroutines() == 0);
    a.round(NAP);
    assert_eq!(a.peers(again), 0);
}

#[test]
fn a_name_without_a_claim_is_not_taken_over() {
    let directory = tempfile::tempdir().unwrap();
    let mut a = Node::new(&directory);
    let name = file_name(Kind::Datagram, at(HERE)).unwrap();
    let _squatter = Directory::open(directory.path()).unwrap().listen_on(name, 1).unwrap();
    let socket = a.socket();
    assert_eq!(a.sockets.bind(socket, at(HERE)).map_err(Error::errno), Err(Errno::ADDRINUSE));
    assert_eq!(a.sockets.bind(socket, at("127.0.0.1:0")), Ok(()), "it can be bound elsewhere");
}

#[test]
fn a_receiver_that_does_not_look_is_not_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let _a = node(&directory, PATIENCE);
    // Its queue in the kernel is long, but it ends.
    let squatters: Vec<OwnedFd> = std::iter::from_fn(|| {
        let directory = Directory::open(directory.path()).unwrap();
        let socket = directory.socket().unwrap();
        let name = file_name(Kind::Datagram, at("127.0.0.1:54")).unwrap();
        (directory.dial(&socket, &name) == Ok(Dial::Waiting)).then_some(socket)
    })
    .collect();
    assert!(squatters.is_empty());
    let name = file_name(Kind::Datagram, at("127.0.0.1:55")).unwrap();
    let place = Directory::open(directory.path()).unwrap();
    let _deaf = place.listen_on(name.clone(), 0).unwrap();
    let mut b = Node::new(&directory);
    let mut full = 0;
    for _ in 0..10 {
        let client = b.socket();
        assert_eq!(b.push_to(client, b"x", at("127.0.0.1:55")), Ok(()));
        full = b.dropped(Reason::Full);
    }
    assert!(full >= 8, "{full}");
    assert_eq!(b.sockets.drops.total(), full);
}
