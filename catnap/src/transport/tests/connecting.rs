// SPDX-License-Identifier: MIT OR Apache-2.0
//! Connecting: refused, given up, tried again, and with operations that wait for it.

use super::*;

#[test]
fn refused_and_tried_again() {
    let mut side = Side::new();
    let (gone, address) = side.listen("127.0.0.1:0", 1);
    assert_eq!(side.close(gone), Poll::Ready(Ok(())));
    let calling = side.stream();
    for _ in 0..20 {
        assert_eq!(side.connect(calling, address), Err(Errno::CONNREFUSED));
        assert_eq!(side.pop(calling), Poll::Ready(Err(Errno::NOTCONN)));
        let mut message = side.message(b"x");
        assert_eq!(side.push(calling, &mut message), Poll::Ready(Err(Errno::NOTCONN)));
        assert_eq!(side.catnap.peer_address(calling).map_err(Error::errno), Err(Errno::NOTCONN));
    }
    assert_eq!(side.catnap.counters().refused, 20);
    let listener = TcpListener::bind(address).unwrap();
    assert_eq!(side.connect(calling, address), Ok(()));
    assert_eq!(side.catnap.connect(calling, address).map_err(Error::errno), Err(Errno::ISCONN));
    let (mut peer, _) = listener.accept().unwrap();
    peer.write_all(b"at last").unwrap();
    assert_eq!(side.popped(calling), Ok(b"at last".to_vec()));
}

/// A listener whose backlog is full answers nobody more.
fn full() -> (TcpListener, Vec<TcpStream>, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    // Said again with a smaller backlog: the kernel lets one more wait.
    rustix::net::listen(&listener, 1).unwrap();
    let address = listener.local_addr().unwrap();
    let waiting = (0..2).map(|_| TcpStream::connect(address).unwrap()).collect();
    (listener, waiting, address)
}

/// While nobody answers: every call says so, and what was pushed and popped waits.
#[test]
fn while_connecting() {
    let (listener, waiting, address) = full();
    let mut side = Side::new();
    let calling = side.stream();
    side.catnap.connect(calling, address).unwrap();
    assert_eq!(side.connected(calling), Poll::Pending);
    let errno = |result: Result<()>| result.unwrap_err().errno();
    assert_eq!(errno(side.catnap.connect(calling, address)), Errno::ALREADY);
    assert_eq!(errno(side.catnap.listen(calling, 1)), Errno::ADDRINUSE);
    assert_eq!(errno(side.catnap.can_accept(calling)), Errno::INVAL);
    assert_eq!(errno(side.catnap.bind(calling, at("127.0.0.1:0"))), Errno::INVAL);
    assert_eq!(side.pop(calling), Poll::Pending);
    let mut message = side.message(b"x");
    assert_eq!(side.push(calling, &mut message), Poll::Pending);
    // Given up: the pop is woken, and says that there is nothing to come.
    side.catnap.canceled(calling, Direction::Push);
    assert_eq!(side.popped(calling), Err(Errno::NOTCONN));
    assert_eq!(side.catnap.peer_address(calling).map_err(Error::errno), Err(Errno::NOTCONN));
    // There is room again.
    drop((waiting, listener.accept().unwrap(), listener.accept().unwrap()));
    assert_eq!(side.connect(calling, address), Ok(()));
    let (mut peer, _) = listener.accept().unwrap();
    peer.write_all(b"second try").unwrap();
    assert_eq!(side.popped(calling), Ok(b"second try".to_vec()));
}

/// A pop that was begun while connecting gets what comes after it.
#[test]
fn a_pop_waits_for_the_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut side = Side::new();
    let calling = side.stream();
    side.catnap.connect(calling, listener.local_addr().unwrap()).unwrap();
    assert_eq!(side.pop(calling), Poll::Pending);
    // The kernel is asked for the first time: it begins now.
    let _ = side.connected(calling);
    let (mut peer, _) = listener.accept().unwrap();
    peer.write_all(b"welcome").unwrap();
    assert_eq!(side.finish(calling, Direction::Push, |side| side.connected(calling)), Ok(()));
    for _ in 0..ROUNDS {
        side.round(NAP);
        if side.take_wake(calling, Direction::Pop) {
            assert_eq!(side.pop(calling), Poll::Ready(Ok(b"welcome".to_vec())));
            return;
        }
    }
    panic!("the pop was not woken");
}

/// A pop that was begun while connecting is told when that fails.
#[test]
fn a_pop_is_told_of_a_refusal() {
    let mut side = Side::new();
    let (gone, address) = side.listen("127.0.0.1:0", 1);
    assert_eq!(side.close(gone), Poll::Ready(Ok(())));
    let calling = side.stream();
    side.catnap.connect(calling, address).unwrap();
    assert_eq!(side.pop(calling), Poll::Pending);
    assert_eq!(side.finish(calling, Direction::Push, |side| side.connected(calling)), Err(Errno::CONNREFUSED));
    for _ in 0..ROUNDS {
        side.round(NAP);
        if side.take_wake(calling, Direction::Pop) {
            assert_eq!(side.pop(calling), Poll::Ready(Err(Errno::NOTCONN)));
            return;
        }
    }
    panic!("the pop was not woken");
}

#[test]
fn nowhere() {
    let mut side = Side::new();
    let calling = side.stream();
    assert_eq!(side.connect(calling, at("127.0.0.1:0")), Err(Errno::ADDRNOTAVAIL));
    assert_eq!(side.connect(calling, at("[::1]:7")), Err(Errno::AFNOSUPPORT));
    // A net that no host may use as a destination.
    assert!(side.connect(calling, at("255.255.255.255:7")).is_err());
    let [near, far] = pair(&mut side);
    side.push_now(near, b"none of that matters");
    assert_eq!(side.popped(far), Ok(b"none of that matters".to_vec()));
}
