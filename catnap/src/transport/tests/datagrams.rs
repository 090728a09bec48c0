// SPDX-License-Identifier: MIT OR Apache-2.0
//! UDP: each datagram whole, from whom it came; what goes wrong is told where it is of use, and drops are counted.

use super::*;
use core::num::NonZeroUsize;
use runtime::limits::{DATAGRAM_MAX, UDP_MAX};
use runtime::op::Datagram;

fn bound(side: &mut Side, address: &str) -> (Handle, SocketAddr) {
    let socket = side.socket(Domain::of(&at(address)), Kind::Datagram);
    side.catnap.bind(socket, at(address)).unwrap();
    (socket, side.catnap.local_address(socket).unwrap())
}

fn push_to(side: &mut Side, socket: Handle, bytes: &[u8], to: SocketAddr) -> Outcome<()> {
    let mut message = if bytes.is_empty() { Sga::new() } else { side.message(bytes) };
    side.finish(socket, Direction::Push, |side| side.catnap.push_to(socket, &mut message, to)).map_err(Error::errno)
}

fn pop(side: &mut Side, socket: Handle, mode: PopMode) -> Outcome<Datagram> {
    side.finish(socket, Direction::Pop, |side| side.catnap.pop(socket, mode))
        .map(Datagram::from_chain)
        .map_err(Error::errno)
}

#[test]
fn boundaries_and_senders() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let mut side = Side::new();
        let ((server, to), (client, own)) = (bound(&mut side, address), bound(&mut side, address));
        let longest = if Domain::of(&to) == Domain::V6 { UDP_MAX - 1 } else { DATAGRAM_MAX };
        for len in [0, 1, 2047, 2048, 2049, 9000, DATAGRAM_MAX - 1, DATAGRAM_MAX, longest] {
            assert_eq!(push_to(&mut side, client, &bytes(len, len), to), Ok(()));
            let datagram = pop(&mut side, server, PopMode::Whole).unwrap();
            assert_eq!((datagram.sender(), datagram.len()), (own, len));
            assert!(datagram.into_message().to_vec() == bytes(len, len));
        }
        assert_no_buffers(&side);
        assert_eq!(side.pop(server), Poll::Pending);
        let before = side.calls();
        assert_eq!(side.pop(server), Poll::Pending);
        assert_eq!(side.calls(), before);
    }
}

#[test]
fn in_pieces() {
    let mut side = Side::new();
    let ((server, to), (client, _)) = (bound(&mut side, "127.0.0.1:0"), bound(&mut side, "127.0.0.1:0"));
    let mut message = Sga::new();
    for index in 0..60 {
        message.push_back(side.pools.alloc_copy(&bytes(index * 100, 100)).unwrap()).unwrap();
    }
    assert_eq!(side.catnap.push_to(client, &mut message, to), Poll::Ready(Ok(())));
    assert_eq!(pop(&mut side, server, PopMode::Whole).unwrap().into_message().to_vec(), bytes(0, 6000));
}

#[test]
fn sizes_cut() {
    let mut side = Side::new();
    let ((server, to), (client, _)) = (bound(&mut side, "127.0.0.1:0"), bound(&mut side, "127.0.0.1:0"));
    for size in [1, 100, 2999, 3000, 1 << 20] {
        assert_eq!(push_to(&mut side, client, &bytes(0, 3000), to), Ok(()));
        let mode = PopMode::AtMost(NonZeroUsize::new(size).unwrap());
        let datagram = pop(&mut side, server, mode).unwrap();
        assert_eq!(datagram.into_message().to_vec(), bytes(0, size.min(3000)));
    }
    assert_eq!(side.pop(server), Poll::Pending);
}

#[test]
fn errors() {
    let mut side = Side::new();
    let (server, to) = bound(&mut side, "127.0.0.1:0");
    let client = side.socket(Domain::V4, Kind::Datagram);
    let mut message = side.message(b"to whom?");
    assert_eq!(side.push(client, &mut message), Poll::Ready(Err(Errno::DESTADDRREQ)));
    let long = vec![1; DATAGRAM_MAX + 1];
    assert_eq!(push_to(&mut side, client, &long, to), Err(Errno::MSGSIZE));
    assert_eq!(push_to(&mut side, client, b"x", at("[::1]:9")), Err(Errno::AFNOSUPPORT));
    assert_eq!(push_to(&mut side, client, b"x", at("127.0.0.1:0")), Err(Errno::ADDRNOTAVAIL));
    let stream = side.stream();
    assert_eq!(push_to(&mut side, stream, b"x", to), Err(Errno::NOTCONN));
    assert_eq!(side.accept(server), Poll::Ready(Err(Errno::OPNOTSUPP)));
    assert_eq!(side.catnap.listen(server, 1).map_err(Error::errno), Err(Errno::OPNOTSUPP));
    assert_eq!(side.catnap.alloc(server, 1).map(|_| ()).map_err(Error::errno), Err(Errno::NOTSUP));
    assert_eq!(side.pop(server), Poll::Pending);
}

/// A connected socket hears that nobody is there with one of its next operations, and works when somebody comes.
#[test]
fn to_nobody() {
    let mut side = Side::new();
    let (gone, to) = bound(&mut side, "127.0.0.1:0");
    assert_eq!(side.close(gone), Poll::Ready(Ok(())));
    let (client, own) = bound(&mut side, "127.0.0.1:0");
    assert_eq!(side.connect(client, to), Ok(()));
    assert_eq!(side.catnap.peer_address(client).unwrap(), to);
    assert_eq!(side.pop(client), Poll::Pending);
    side.push_now(client, b"hello?");
    // The pop that waits is told.
    assert_eq!(side.popped(client), Err(Errno::CONNREFUSED));
    let server = side.socket(Domain::V4, Kind::Datagram);
    side.catnap.bind(server, to).unwrap();
    side.push_now(client, b"at last");
    let datagram = pop(&mut side, server, PopMode::Whole).unwrap();
    assert_eq!((datagram.sender(), datagram.into_message().to_vec()), (own, b"at last".to_vec()));
}

/// Everything that was pushed is popped or counted, also after the socket is closed.
#[test]
fn drops_are_counted() {
    const COUNT: u64 = 300;
    let mut side = Side::new();
    let ((server, to), (client, _)) = (bound(&mut side, "127.0.0.1:0"), bound(&mut side, "127.0.0.1:0"));
    side.catnap.set_option(server, SocketOption::ReceiveBuffer(4096)).unwrap();
    for _ in 0..COUNT {
        assert_eq!(push_to(&mut side, client, &[7; 1000], to), Ok(()));
    }
    let mut popped = 0;
    while let Poll::Ready(datagram) = side.catnap.pop(server, PopMode::Whole) {
        drop(datagram.unwrap());
        popped += 1;
        side.look();
    }
    let drops = side.catnap.counters().drops;
    assert!(popped > 0 && drops > 0);
    assert_eq!(popped + drops, COUNT);
    assert_eq!(side.close(server), Poll::Ready(Ok(())));
    assert_eq!(side.catnap.counters().drops, drops);
}

/// No buffer for a datagram: it is still there.
#[test]
fn empty_pools() {
    let mut side = Side::new();
    let ((server, to), (client, _)) = (bound(&mut side, "127.0.0.1:0"), bound(&mut side, "127.0.0.1:0"));
    assert_eq!(push_to(&mut side, client, b"patient", to), Ok(()));
    let small: Vec<Buf> = std::iter::from_fn(|| side.pools.alloc(1).ok()).collect();
    assert_eq!(
        side.catnap.pop(server, PopMode::Whole).map_err(Error::errno).map_ok(drop),
        Poll::Ready(Err(Errno::NOBUFS))
    );
    drop(small);
    assert_eq!(pop(&mut side, server, PopMode::Whole).unwrap().into_message().to_vec(), b"patient");
}
