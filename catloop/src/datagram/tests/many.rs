// SPDX-License-Identifier: MIT OR Apache-2.0
//! Many peers, many sockets.

use super::*;
use runtime::limits::{DATAGRAM_LOOKS, DATAGRAM_PEERS_MAX, HOT_PIPES_MAX};

const PEERS: usize = 600;
// Beyond what one look takes in.
const _: () = assert!(PEERS > HOT_PIPES_MAX && PEERS > DATAGRAM_LOOKS);

/// A small ring: the mappings of many pipes.
fn small(directory: &TempDir) -> Node {
    Node::with(&Settings { datagram_ring: 4096, ..settings(directory.path()) })
}

#[test]
fn peers_take_turns() {
    let directory = tempfile::tempdir().unwrap();
    let (mut a, mut b) = (small(&directory), small(&directory));
    let server = a.bound("127.0.0.1:53");
    let clients: Vec<Handle> = (0..5).map(|_| b.socket()).collect();
    // The first one pushes much more than the others.
    for (client, count) in clients.iter().zip([60, 3, 3, 3, 3]) {
        for _ in 0..count {
            b.push_to(*client, b"x", at("127.0.0.1:53")).unwrap();
        }
    }
    a.until(|a| a.peers(server) == 5);
    let mut counts = std::collections::HashMap::new();
    for _ in 0..15 {
        *counts.entry(a.try_pop(server).unwrap().unwrap().1).or_insert(0) += 1;
    }
    assert_eq!(counts.into_values().collect::<Vec<_>>(), [3; 5]);
    assert_eq!(a.drain(server), 57);
}

#[test]
fn each_of_many_peers_is_heard_and_answered() {
    let directory = tempfile::tempdir().unwrap();
    let (mut a, mut b) = (small(&directory), small(&directory));
    let server = a.bound("127.0.0.1:53");
    let clients: Vec<Handle> = (0..PEERS).map(|_| b.socket()).collect();
    for round in 0..3 {
        for (index, client) in clients.iter().enumerate() {
            b.push_to(*client, &[round, index as u8], at("127.0.0.1:53")).unwrap();
        }
        for _ in 0..PEERS {
            let (question, sender) = a.pop(server);
            assert_eq!(question[0], round);
            a.push_to(server, &question, sender).unwrap();
        }
        for (index, client) in clients.iter().enumerate() {
            assert_eq!(b.pop(*client), (vec![round, index as u8], at("127.0.0.1:53")));
        }
    }
    assert_eq!((a.sockets.drops.total(), b.sockets.drops.total()), (0, 0));
}

#[test]
fn a_crowd_that_is_filtered_does_not_hide_the_peer() {
    let directory = tempfile::tempdir().unwrap();
    let (mut a, mut b) = (small(&directory), small(&directory));
    let (server, friend) = (a.bound("127.0.0.1:53"), b.bound("127.0.0.1:54"));
    a.sockets.connect(server, at("127.0.0.1:54")).unwrap();
    for _ in 0..3 * DATAGRAM_LOOKS {
        let client = b.socket();
        b.push_to(client, b"noise", at("127.0.0.1:53")).unwrap();
    }
    b.push_to(friend, b"signal", at("127.0.0.1:53")).unwrap();
    assert_eq!(a.pop(server).0, b"signal");
    assert_eq!(a.drain(server), 0);
    assert_eq!(a.dropped(Reason::Filtered), 3 * DATAGRAM_LOOKS as u64);
}

/// In a process of its own: it takes more descriptors than other tests may leave.
#[test]
fn the_peer_that_was_not_used_for_longest_goes() {
    // Each peer takes a descriptor at either end, and each client a name.
    if rustix::process::getrlimit(rustix::process::Resource::Nofile).current.is_some_and(|most| most < 4096) {
        println!("\nskipped: too few descriptors");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (mut a, mut b) = (small(&directory), small(&directory));
    let server = a.bound("127.0.0.1:53");
    let clients: Vec<Handle> = (0..DATAGRAM_PEERS_MAX).map(|_| b.socket()).collect();
    let mut senders = Vec::new();
    for &client in &clients {
        b.push_to(client, b"1", at("127.0.0.1:53")).unwrap();
        senders.push(a.pop(server).1);
    }
    assert_eq!(a.peers(server), DATAGRAM_PEERS_MAX);
    // The first is used again, the second has something unread: two more push it and the third out.
    a.push_to(server, b"2", senders[0]).unwrap();
    b.push_to(clients[1], b"unread", at("127.0.0.1:53")).unwrap();
    b.push_to(clients[1], b"unread", at("127.0.0.1:53")).unwrap();
    for _ in 0..2 {
        let client = b.socket();
        b.push_to(client, b"3", at("127.0.0.1:53")).unwrap();
        a.until(|a| {
            a.round(Duration::ZERO);
            a.try_pop(server).is_some()
        });
        assert_eq!(a.peers(server), DATAGRAM_PEERS_MAX);
    }
    assert_eq!((a.dropped(Reason::Evicted), a.sockets.drops.total()), (2, 2));
    b.until(|b| b.peers(clients[1]) == 0 && b.peers(clients[2]) == 0);
    assert_eq!((b.peers(clients[0]), b.peers(clients[3])), (1, 1));
    // It comes back as a new one.
    b.push_to(clients[1], b"again", at("127.0.0.1:53")).unwrap();
    assert_eq!(a.pop(server), (b"again".to_vec(), senders[1]));
}

#[test]
fn a_thousand_sockets_leave_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let mut a = small(&directory);
    let server = a.bound("127.0.0.1:53");
    let settle = |a: &mut Node| a.until(|a| a.try_pop(server).is_none() && a.peers(server) == 0);
    // What is opened once stays open.
    let client = a.socket();
    a.push_to(client, b"x", at("127.0.0.1:53")).unwrap();
    a.pop(server);
    a.sockets.close(client).unwrap();
    settle(&mut a);
    let mine = || {
        std::fs::read_dir("/proc/self/fd")
            .unwrap()
            .filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok())
            .filter(|link| link.to_str().is_some_and(|link| link.contains("margay-pipe")))
            .count()
    };
    let (handles, peers, segments) = (a.sockets.sockets.len(), a.sockets.peers.numbers(), mine());
    for _ in 0..1000 {
        let client = a.socket();
        a.push_to(client, b"x", at("127.0.0.1:53")).unwrap();
        let (_, sender) = a.pop(server);
        a.push_to(server, b"y", sender).unwrap();
        assert_eq!(a.pop(client).0, b"y");
        a.sockets.close(client).unwrap();
        settle(&mut a);
    }
    assert_eq!((a.sockets.sockets.len(), a.sockets.peers.numbers(), mine()), (handles, peers, segments));
    assert_eq!(a.reactor.coroutines(), 0);
    let mut left = files(directory.path());
    left.sort();
    assert_eq!(left, ["ports", "udp-127.0.0.1-53.sock"]);
    a.sockets.close(server).unwrap();
    assert_eq!(files(directory.path()), ["ports"]);
    drop(a);
    assert_eq!(files(directory.path()), [""; 0]);
}
