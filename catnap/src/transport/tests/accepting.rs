// SPDX-License-Identifier: MIT OR Apache-2.0
//! Accepting: in order, many at once, and with the state that a connection begins with.

use super::*;

#[test]
fn many_at_once() {
    let mut side = Side::new();
    let (listener, address) = side.listen("127.0.0.1:0", 64);
    assert_eq!(side.accept(listener), Poll::Pending);
    let peers: Vec<TcpStream> = (0..50).map(|_| TcpStream::connect(address).unwrap()).collect();
    for peer in &peers {
        let accepted = side.accepted(listener);
        assert_eq!(side.catnap.peer_address(accepted).unwrap(), peer.local_addr().unwrap());
        assert_eq!(side.catnap.local_address(accepted).unwrap(), address);
    }
    assert_eq!(side.accept(listener), Poll::Pending);
    assert_eq!(side.catnap.counters().accepted, 50);
}

/// What was said before the accept is there at once, the end as well.
#[test]
fn said_before_it_was_accepted() {
    let mut side = Side::new();
    let (listener, address) = side.listen("[::]:0", 4);
    let mut peer = TcpStream::connect(("127.0.0.1", address.port())).unwrap();
    peer.write_all(b"early").unwrap();
    drop(peer);
    let accepted = side.accepted(listener);
    assert!(side.catnap.peer_address(accepted).unwrap().ip().to_canonical().is_loopback());
    assert_eq!(side.popped(accepted), Ok(b"early".to_vec()));
    assert_eq!(side.popped(accepted), Ok(vec![]));
}

/// Connections have the options of their listener, the one included that the kernel is not told.
#[test]
fn options_are_inherited() {
    let mut side = Side::new();
    let (listener, address) = side.listen("127.0.0.1:0", 4);
    let set = [
        SocketOption::Linger(Some(Duration::from_millis(1500))),
        SocketOption::NoDelay(true),
        SocketOption::KeepIdle(Duration::from_mins(1)),
    ];
    for option in set {
        side.catnap.set_option(listener, option).unwrap();
    }
    let _peer = TcpStream::connect(address).unwrap();
    let accepted = side.accepted(listener);
    for (name, option) in [OptionName::Linger, OptionName::NoDelay, OptionName::KeepIdle].into_iter().zip(set) {
        assert_eq!(side.catnap.option(accepted, name).unwrap(), option);
    }
}

/// The listener goes: its connections stay.
#[test]
fn the_listener_goes_first() {
    let mut side = Side::new();
    let [accepted, calling] = pair(&mut side);
    side.push_now(accepted, b"still here");
    assert_eq!(side.popped(calling), Ok(b"still here".to_vec()));
    assert_eq!(side.accept(accepted), Poll::Ready(Err(Errno::INVAL)));
}
