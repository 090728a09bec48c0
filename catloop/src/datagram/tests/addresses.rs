// SPDX-License-Identifier: MIT OR Apache-2.0
//! Binding, connecting, and what sockets call each other.

use super::*;

#[test]
fn wildcards_serve_every_address() {
    let directory = tempfile::tempdir().unwrap();
    let (mut a, mut b) = (Node::new(&directory), Node::new(&directory));
    for (bound, reached) in [
        ("0.0.0.0:53", &["127.0.0.1:53", "127.9.9.9:53", "0.0.0.0:53"][..]),
        ("[::]:54", &["127.0.0.1:54", "127.2.3.4:54"]),
    ] {
        let server = a.bound(bound);
        assert_eq!(a.address(server), at(bound));
        for to in reached {
            let client = b.socket();
            b.push_to(client, to.as_bytes(), at(to)).unwrap();
            let (question, sender) = a.pop(server);
            assert_eq!(question, to.as_bytes());
            // An IPv6 socket sees IPv4 senders in its own notation, and can answer there.
            assert_eq!(sender.is_ipv6(), at(bound).is_ipv6());
            assert_eq!((sender.ip().to_canonical(), sender.port()), {
                let own = b.address(client);
                (own.ip(), own.port())
            });
            a.push_to(server, b"answer", sender).unwrap();
            let (answer, from) = b.pop(client);
            let reached = at(&to.replace("0.0.0.0", "127.0.0.1"));
            assert_eq!((&answer[..], from), (&b"answer"[..], reached));
        }
    }
}

#[test]
fn ipv6_works_alike() {
    let directory = tempfile::tempdir().unwrap();
    let (mut a, mut b) = (Node::new(&directory), Node::new(&directory));
    let (server, client) = (a.bound("[::]:53"), b.bound("[::1]:0"));
    b.push_to(client, b"six", at("[::1]:53")).unwrap();
    assert_eq!(a.pop(server), (b"six".to_vec(), b.address(client)));
    assert_eq!(b.push_to(client, b"four", at("127.0.0.1:53")), Err(Errno::AFNOSUPPORT));
}

#[test]
fn addresses_are_checked() {
    let directory = tempfile::tempdir().unwrap();
    let (mut a, mut b) = (Node::new(&directory), Node::new(&directory));
    let server = a.bound("127.0.0.1:53");
    let bind = |node: &mut Node, address| {
        let socket = node.socket();
        node.sockets.bind(socket, at(address)).map_err(Error::errno)
    };
    assert_eq!(bind(&mut a, "127.0.0.1:53"), Err(Errno::ADDRINUSE));
    assert_eq!(bind(&mut b, "0.0.0.0:53"), Err(Errno::ADDRINUSE));
    assert_eq!(bind(&mut b, "192.0.2.1:53"), Err(Errno::ADDRNOTAVAIL));
    assert_eq!(bind(&mut b, "[::1]:53"), Err(Errno::AFNOSUPPORT));
    assert_eq!(bind(&mut b, "127.0.0.2:53"), Ok(()));
    assert_eq!(a.sockets.bind(server, at("127.0.0.1:54")).unwrap_err().errno(), Errno::INVAL);
    let client = b.socket();
    for (to, errno) in
        [("192.0.2.1:53", Errno::NETUNREACH), ("127.0.0.1:0", Errno::ADDRNOTAVAIL), ("[::1]:53", Errno::AFNOSUPPORT)]
    {
        assert_eq!(b.push_to(client, b"x", at(to)), Err(errno), "{to}");
        assert_eq!(b.sockets.connect(client, at(to)).map_err(Error::errno), Err(errno), "{to}");
    }
    assert_eq!(b.push(client, b"x"), Err(Errno::DESTADDRREQ));
    assert_eq!(b.sockets.peer_address(client).map_err(Error::errno), Err(Errno::NOTCONN));
    assert_eq!(b.sockets.shutdown(client).map_err(Error::errno), Err(Errno::NOTCONN));
}

#[test]
fn a_connected_socket_hears_its_peer_alone() {
    let directory = tempfile::tempdir().unwrap();
    let (mut a, mut b) = (Node::new(&directory), Node::new(&directory));
    let (friend, stranger) = (a.bound("127.0.0.1:1"), a.bound("127.0.0.1:2"));
    let client = b.socket();
    b.sockets.connect(client, at("127.0.0.1:1")).unwrap();
    let own = b.address(client);
    assert!(own.ip().is_loopback() && own.port() != 0);
    assert_eq!(b.sockets.peer_address(client), Ok(at("127.0.0.1:1")));
    for round in 0..10 {
        a.push_to(stranger, b"psst", own).unwrap();
        a.push_to(friend, &[round], own).unwrap();
        assert_eq!(b.pop(client), (vec![round], at("127.0.0.1:1")));
    }
    b.push(client, b"to the friend").unwrap();
    assert_eq!(a.pop(friend), (b"to the friend".to_vec(), own));
    assert_eq!(b.drain(client), 0);
    assert_eq!((b.dropped(Reason::Filtered), b.sockets.drops.total()), (10, 10));
    // Others can be pushed to all the same, and it can turn to them.
    b.push_to(client, b"to the stranger", at("127.0.0.1:2")).unwrap();
    assert_eq!(a.pop(stranger), (b"to the stranger".to_vec(), own));
    b.sockets.connect(client, at("127.0.0.1:2")).unwrap();
    a.push_to(stranger, b"now", own).unwrap();
    assert_eq!(b.pop(client), (b"now".to_vec(), at("127.0.0.1:2")));
}

#[test]
fn a_connected_wildcard_shows_what_its_peer_sees() {
    let directory = tempfile::tempdir().unwrap();
    let mut a = Node::new(&directory);
    let (server, client) = (a.bound("127.0.0.1:53"), a.bound("0.0.0.0:1000"));
    assert_eq!(a.address(client), at("0.0.0.0:1000"));
    a.sockets.connect(client, at("127.0.0.1:53")).unwrap();
    assert_eq!(a.address(client), at("127.0.0.1:1000"));
    a.push(client, b"x").unwrap();
    assert_eq!(a.pop(server).1, at("127.0.0.1:1000"));
}

#[test]
fn a_connected_socket_learns_that_nobody_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let (mut a, mut b) = (Node::new(&directory), Node::new(&directory));
    let client = b.socket();
    b.sockets.connect(client, at("127.0.0.1:53")).unwrap();
    assert_eq!(b.push(client, b"1"), Ok(()));
    assert_eq!(b.push(client, b"2"), Err(Errno::CONNREFUSED), "of the first");
    assert_eq!(b.push(client, b"3"), Ok(()));
    // A pop that waits already hears of it, once.
    b.round(Duration::ZERO);
    assert!(b.woken().contains(&(1, Direction::Pop)));
    assert_eq!(b.try_pop(client), Some(Err(Errno::CONNREFUSED)));
    assert_eq!(b.try_pop(client), None);
    assert_eq!(b.dropped(Reason::Nobody), 2);
    // Somebody comes, and goes.
    let server = a.bound("127.0.0.1:53");
    b.push(client, b"4").unwrap();
    assert_eq!(a.pop(server).0, b"4");
    a.sockets.close(server).unwrap();
    b.until(|b| b.peers(client) == 0);
    assert_eq!(b.try_pop(client), None, "that it went is no error by itself");
    assert_eq!(b.push(client, b"5"), Ok(()));
    assert_eq!(b.push(client, b"6"), Err(Errno::CONNREFUSED));
}

#[test]
fn one_that_is_not_connected_is_not_told() {
    let directory = tempfile::tempdir().unwrap();
    let mut a = Node::new(&directory);
    let client = a.socket();
    for _ in 0..5 {
        assert_eq!(a.push_to(client, b"x", at("127.0.0.1:53")), Ok(()));
    }
    assert_eq!(a.try_pop(client), None);
    assert_eq!((a.dropped(Reason::Nobody), a.sockets.counts()), (5, (5, 0)));
}

#[test]
fn a_socket_can_talk_to_itself() {
    let directory = tempfile::tempdir().unwrap();
    let mut a = Node::new(&directory);
    let own = a.bound("127.0.0.1:53");
    for round in 0..10 {
        a.push_to(own, &[round], at("127.0.0.1:53")).unwrap();
        assert_eq!(a.pop(own), (vec![round], at("127.0.0.1:53")));
    }
    a.sockets.close(own).unwrap();
    a.round(Duration::ZERO);
}
