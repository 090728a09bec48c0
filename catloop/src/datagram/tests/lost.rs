// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is dropped is counted, and what goes away is let go.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

#[test]
fn a_full_ring_drops_and_counts() {
    let directory = tempfile::tempdir().unwrap();
    let (mut a, mut b) = (Node::new(&directory), Node::new(&directory));
    let (server, client) = (a.bound("127.0.0.1:53"), b.socket());
    let (mut sent, mut received) = (0, 0);
    for len in [1000, 0, 65_507, 3] {
        for _ in 0..2 * RING / (len + 8) {
            b.push_to(client, &bytes(len), at("127.0.0.1:53")).unwrap();
            sent += 1;
        }
        let full = b.dropped(Reason::Full);
        assert!(full > 0);
        received += a.drain(server);
        assert_eq!(sent, received + full as usize, "of {len} bytes");
        b.push_to(client, b"there is room again", at("127.0.0.1:53")).unwrap();
        sent += 1;
        assert_eq!(b.dropped(Reason::Full), full);
    }
    received += a.drain(server);
    assert_eq!(sent, received + b.sockets.drops.total() as usize);
    assert_eq!(a.sockets.drops.total(), 0);
}

#[test]
fn one_that_fits_no_buffer_is_counted_and_the_next_one_comes() {
    let directory = tempfile::tempdir().unwrap();
    let small = Classes { large_size: 8192, large_count: 8, oversize_limit: 0, ..Classes::default() };
    let (mut a, mut b) = (Node::with_buffers(&settings(directory.path()), &small), Node::new(&directory));
    let (server, client) = (a.bound("127.0.0.1:53"), b.socket());
    for payload in [&bytes(8193)[..], b"next"] {
        b.push_to(client, payload, at("127.0.0.1:53")).unwrap();
    }
    let mut popped = None;
    a.until(|a| {
        popped = a.try_pop(server);
        popped.is_some()
    });
    assert_eq!(popped, Some(Err(Errno::MSGSIZE)));
    assert_eq!(a.pop(server).0, b"next");
    assert_eq!((a.dropped(Reason::TooLong), a.sockets.drops.total(), a.peers(server)), (1, 1, 1));

    // A connected socket hears nothing of what strangers send.
    let peer = b.bound("127.0.0.1:54");
    a.sockets.connect(server, at("127.0.0.1:54")).unwrap();
    b.push_to(client, &bytes(8193), at("127.0.0.1:53")).unwrap();
    b.push_to(peer, b"from the peer", at("127.0.0.1:53")).unwrap();
    let mut popped = Vec::new();
    a.until(|a| {
        popped.extend(a.try_pop(server));
        !popped.is_empty() && a.dropped(Reason::TooLong) == 2
    });
    assert_eq!(popped, [Ok((b"from the peer".to_vec(), at("127.0.0.1:54")))]);
}

#[test]
fn what_was_pushed_before_a_close_arrives() {
    let directory = tempfile::tempdir().unwrap();
    let mut a = Node::new(&directory);
    let server = a.bound("127.0.0.1:53");
    // The receiver has not looked yet when the sender is gone, its socket or all of it.
    for whole in [false, true] {
        let mut b = Node::new(&directory);
        let client = b.socket();
        for number in 0..3 {
            b.push_to(client, &[number], at("127.0.0.1:53")).unwrap();
        }
        if !whole {
            b.sockets.close(client).unwrap();
        }
        drop(b);
        for number in 0..3 {
            assert_eq!(a.pop(server).0, [number]);
        }
        a.until(|a| a.try_pop(server).is_none() && a.peers(server) == 0);
    }
}

#[test]
fn an_answer_that_is_faster_than_the_sender_is_not_lost() {
    let directory = tempfile::tempdir().unwrap();
    let (a, mut b) = (Rc::new(RefCell::new(Node::new(&directory))), Node::new(&directory));
    let server = a.borrow_mut().bound("127.0.0.1:53");
    let client = b.bound("127.0.0.1:54");
    let (receiver, heard) = (Rc::clone(&a), Rc::new(RefCell::new(None)));
    let hears = Rc::clone(&heard);
    // All of this before the sender does anything else.
    WHEN_SAID.set(Some(Box::new(move || {
        let mut a = receiver.borrow_mut();
        a.until(|a| a.peers(server) == 1);
        *hears.borrow_mut() = a.try_pop(server);
        a.push_to(server, b"answer", at("127.0.0.1:54")).unwrap();
    })));
    b.push_to(client, b"question", at("127.0.0.1:53")).unwrap();
    assert_eq!(heard.take(), Some(Ok((b"question".to_vec(), at("127.0.0.1:54")))), "it came with the pipe");
    assert_eq!(b.pop(client), (b"answer".to_vec(), at("127.0.0.1:53")));
    assert_eq!((b.sockets.drops.total(), b.peers(client), a.borrow_mut().peers(server)), (0, 1, 1));
}

#[test]
fn a_dead_peer_is_let_go_without_a_pop() {
    let directory = tempfile::tempdir().unwrap();
    let mut a = Node::new(&directory);
    let server = a.bound("127.0.0.1:53");
    let mut b = Node::new(&directory);
    let client = b.socket();
    b.push_to(client, b"1", at("127.0.0.1:53")).unwrap();
    let (_, sender) = a.pop(server);
    drop(b);
    a.until(|a| a.peers(server) == 0);
    // Its address leads nowhere, until somebody else has it.
    a.push_to(server, b"?", sender).unwrap();
    assert_eq!(a.dropped(Reason::Nobody), 1);
    let mut c = Node::new(&directory);
    let heir = c.bound(&sender.to_string());
    a.push_to(server, b"heir", sender).unwrap();
    assert_eq!(c.pop(heir).0, b"heir");
}

#[test]
fn an_answer_is_not_lost_with_the_peer_that_gave_it() {
    let directory = tempfile::tempdir().unwrap();
    let (mut a, mut b) = (Node::new(&directory), Node::new(&directory));
    let (server, client) = (a.bound("127.0.0.1:53"), b.socket());
    b.push_to(client, b"?", at("127.0.0.1:53")).unwrap();
    let (_, sender) = a.pop(server);
    for answer in [&b"one"[..], b"", b"three"] {
        a.push_to(server, answer, sender).unwrap();
    }
    drop(a);
    // It sees the death first, and the answers after that.
    for _ in 0..10 {
        b.round(Duration::ZERO);
    }
    for answer in [&b"one"[..], b"", b"three"] {
        assert_eq!(b.pop(client).0, answer);
    }
    b.until(|b| b.try_pop(client).is_none() && b.peers(client) == 0);
}

#[test]
fn a_port_can_be_bound_again_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let (mut a, mut b) = (Node::new(&directory), Node::new(&directory));
    let client = b.socket();
    for round in 0..20 {
        let server = a.bound("127.0.0.1:53");
        b.push_to(client, &[round], at("127.0.0.1:53")).unwrap();
        assert_eq!(a.pop(server), (vec![round], b.address(client)));
        a.sockets.close(server).unwrap();
        assert_eq!(a.sockets.local_address(server).map_err(Error::errno), Err(Errno::BADF));
    }
    assert_eq!(b.sockets.drops.total(), 0);
}

#[test]
fn pushes_that_cross_make_two_pipes_and_either_goes_on() {
    for first_to_leave in [true, false] {
        let directory = tempfile::tempdir().unwrap();
        let (mut a, mut b) = (Node::new(&directory), Node::new(&directory));
        let (one, two) = (a.bound("127.0.0.1:1"), b.bound("127.0.0.1:2"));
        a.push_to(one, b"from one", at("127.0.0.1:2")).unwrap();
        b.push_to(two, b"from two", at("127.0.0.1:1")).unwrap();
        assert_eq!(a.pop(one), (b"from two".to_vec(), at("127.0.0.1:2")));
        assert_eq!(b.pop(two), (b"from one".to_vec(), at("127.0.0.1:1")));
        assert_eq!((a.peers(one), b.peers(two)), (2, 2));
        for round in 0..10 {
            a.push_to(one, &[round], at("127.0.0.1:2")).unwrap();
            b.push_to(two, &[round], at("127.0.0.1:1")).unwrap();
            assert_eq!((a.pop(one).0, b.pop(two).0), (vec![round], vec![round]));
        }
        // One of the two pipes goes: the other one takes the address.
        a.sockets.remove(u32::from(!first_to_leave));
        b.until(|b| b.peers(two) == 1);
        a.push_to(one, b"still", at("127.0.0.1:2")).unwrap();
        b.push_to(two, b"here", at("127.0.0.1:1")).unwrap();
        assert_eq!((a.pop(one).0, b.pop(two).0), (b"here".to_vec(), b"still".to_vec()));
        assert_eq!((a.peers(one), b.peers(two)), (1, 1));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// Pushes, pops, closes and new sockets in three LibOses: each datagram arrives as it was pushed, in order from each
    /// sender's socket, and what does not arrive is counted.
    #[test]
    fn nothing_is_lost_without_being_counted(
        steps in vec((0_u8..8, 0_usize..3, 0_usize..3, 0_usize..20_000, 1_usize..40), 1..60),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let mut nodes = [(); 3].map(|()| Node::new(&directory));
        let name = |node: usize| at(&format!("127.0.0.1:{}", node + 1));
        let sockets: Vec<Handle> =
            nodes.iter_mut().enumerate().map(|(node, it)| it.bound(&name(node).to_string())).collect();
        let (mut next, mut seen) = ([[0_u32; 3]; 3], [[None; 3]; 3]);
        let (mut sent, mut received) = (0_u64, 0_u64);
        for (step, from, to, len, count) in steps {
            match step {
                0..4 => {
                    for _ in 0..count {
                        let mut payload = next[from][to].to_le_bytes().to_vec();
                        payload.resize(4 + len, next[from][to] as u8);
                        next[from][to] += 1;
                        prop_assert_eq!(nodes[from].push_to(sockets[from], &payload, name(to)), Ok(()));
                        sent += 1;
                    }
                }
                4..7 => {
                    nodes[to].round(Duration::ZERO);
                    for _ in 0..count {
                        let Some(popped) = nodes[to].try_pop(sockets[to]) else { break };
                        let (payload, sender) = popped.unwrap();
                        let number = u32::from_le_bytes(payload[..4].try_into().unwrap());
                        prop_assert!(payload[4..].iter().all(|&byte| byte == number as u8));
                        let from = usize::from(sender.port()) - 1;
                        // Two pipes between two sockets may overtake each other, so order holds only towards oneself.
                        if from == to {
                            prop_assert!(seen[from][to] < Some(number));
                            seen[from][to] = Some(number);
                        }
                        received += 1;
                    }
                }
                _ => nodes[to].round(Duration::ZERO),
            }
        }
        for node in 0..3 {
            received += nodes[node].drain(sockets[node]) as u64;
        }
        let dropped: u64 = nodes.iter().map(|node| node.sockets.drops.total()).sum();
        prop_assert_eq!(sent, received + dropped);
    }
}
