// SPDX-License-Identifier: MIT OR Apache-2.0
//! Unix sockets: names, streams, datagrams, and the two places where the kernel does not say when there is room.

use super::*;
use runtime::op::Datagram;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{UnixListener, UnixStream};
use tempfile::TempDir;

fn path(directory: &TempDir, name: &str) -> Vec<u8> {
    directory.path().join(name).as_os_str().as_bytes().to_vec()
}

fn socket(side: &mut Side, kind: Kind, name: &[u8]) -> Handle {
    let socket = side.socket(Domain::Unix, kind);
    side.catnap.bind_path(socket, name).unwrap();
    socket
}

fn connect(side: &mut Side, socket: Handle, name: &[u8]) -> Outcome<()> {
    side.catnap.connect_path(socket, name).map_err(Error::errno)?;
    side.finish(socket, Direction::Push, |side| side.connected(socket))
}

#[test]
fn streams() {
    let directory = tempfile::tempdir().unwrap();
    let abstract_name = [b"\0margay-", directory.path().as_os_str().as_bytes()].concat();
    for name in [path(&directory, "stream"), abstract_name] {
        let mut side = Side::new();
        let listener = socket(&mut side, Kind::Stream, &name);
        side.catnap.listen(listener, 4).unwrap();
        assert_eq!(side.catnap.local_path(listener).unwrap(), name);
        let calling = side.socket(Domain::Unix, Kind::Stream);
        assert_eq!(connect(&mut side, calling, &name), Ok(()));
        let accepted = side.accepted(listener);
        assert_eq!(side.catnap.peer_path(calling).unwrap(), name);
        assert_eq!(side.catnap.peer_path(accepted).unwrap(), b"");
        assert_eq!(side.catnap.local_path(accepted).unwrap(), name);
        for [from, to] in [[calling, accepted], [accepted, calling]] {
            let mut message = side.message(&bytes(0, 1 << 20));
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
            let rest = side.pop_all(to, (1 << 20) - got.len());
            got.extend(rest);
            assert!(got == bytes(0, 1 << 20));
        }
        assert_eq!(side.close(calling), Poll::Ready(Ok(())));
        assert_eq!(side.popped(accepted), Ok(vec![]));
        assert_eq!(side.popped(accepted), Err(Errno::PIPE));
    }
}

#[test]
fn errors() {
    let directory = tempfile::tempdir().unwrap();
    let name = path(&directory, "taken");
    let mut side = Side::new();
    let first = socket(&mut side, Kind::Stream, &name);
    let second = side.socket(Domain::Unix, Kind::Stream);
    let errno = |result: Result<()>| result.unwrap_err().errno();
    assert_eq!(errno(side.catnap.bind_path(first, &name)), Errno::INVAL);
    assert_eq!(errno(side.catnap.bind_path(second, &name)), Errno::ADDRINUSE);
    assert_eq!(errno(side.catnap.bind_path(second, b"")), Errno::INVAL);
    assert_eq!(errno(side.catnap.bind_path(second, &[b'p'; 200])), Errno::NAMETOOLONG);
    assert_eq!(errno(side.catnap.bind(second, at("127.0.0.1:0"))), Errno::AFNOSUPPORT);
    assert_eq!(errno(side.catnap.connect(second, at("127.0.0.1:7"))), Errno::AFNOSUPPORT);
    assert_eq!(connect(&mut side, second, &name), Err(Errno::CONNREFUSED));
    assert_eq!(connect(&mut side, second, &path(&directory, "nobody")), Err(Errno::NOENT));
    assert_eq!(side.catnap.option(second, OptionName::NoDelay).map_err(Error::errno), Err(Errno::NOPROTOOPT));
    let inet = side.stream();
    assert_eq!(errno(side.catnap.bind_path(inet, &name)), Errno::AFNOSUPPORT);
    assert_eq!(errno(side.catnap.connect_path(inet, &name)), Errno::AFNOSUPPORT);
    assert_eq!(side.catnap.local_path(inet).map_err(Error::errno), Err(Errno::AFNOSUPPORT));
    // After all that.
    side.catnap.listen(first, 1).unwrap();
    assert_eq!(connect(&mut side, second, &name), Ok(()));
}

/// A full backlog: the connect waits, though the kernel says nothing, and gets in when there is room; or is given up.
#[test]
fn a_full_backlog() {
    let directory = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(directory.path().join("full")).unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let first = UnixStream::connect(directory.path().join("full")).unwrap();
    let (mut side, name) = (Side::new(), path(&directory, "full"));
    let calling = side.socket(Domain::Unix, Kind::Stream);
    side.catnap.connect_path(calling, &name).unwrap();
    assert_eq!(side.connected(calling), Poll::Pending);
    side.catnap.canceled(calling, Direction::Push);
    side.catnap.connect_path(calling, &name).unwrap();
    let mut rounds = 0;
    let connected = side.finish_beside(
        calling,
        Direction::Push,
        |side| side.connected(calling),
        |_| {
            rounds += 1;
            if rounds == 10 {
                drop(listener.accept().unwrap());
            }
        },
    );
    assert_eq!(connected, Ok(()));
    assert!(rounds >= 10);
    drop(first);
}

/// A datagram to a queue that is full waits, though the kernel says nothing, and arrives.
#[test]
fn datagrams_wait_for_room() {
    let directory = tempfile::tempdir().unwrap();
    let (mut side, name) = (Side::new(), path(&directory, "datagrams"));
    let server = socket(&mut side, Kind::Datagram, &name);
    let client = socket(&mut side, Kind::Datagram, &path(&directory, "client"));
    let mut sent = 0_u32;
    loop {
        let mut message = side.message(&sent.to_le_bytes());
        match side.catnap.push_to_path(client, &mut message, &name) {
            Poll::Ready(done) => done.unwrap(),
            Poll::Pending => {
                let mut got = 0;
                let pushed = side.finish_beside(
                    client,
                    Direction::Push,
                    |side| side.catnap.push_to_path(client, &mut message, &name),
                    |side| {
                        while let Poll::Ready(datagram) = side.catnap.pop(server, PopMode::Whole) {
                            let datagram = Datagram::from_chain(datagram.unwrap());
                            let sender = datagram.sender_path().unwrap().to_owned();
                            assert_eq!(sender, directory.path().join("client"));
                            assert_eq!(datagram.into_message().to_vec(), u32::to_le_bytes(got));
                            got += 1;
                        }
                    },
                );
                assert!(pushed.is_ok());
                assert_eq!(got, sent, "all that were taken");
                return;
            }
        }
        sent += 1;
        assert!(sent < 100_000, "the queue has no bound");
    }
}

/// Longer than any of UDP, cut, and from a socket without a name.
#[test]
fn odd_datagrams() {
    let directory = tempfile::tempdir().unwrap();
    let (mut side, name) = (Side::new(), path(&directory, "odd"));
    let server = socket(&mut side, Kind::Datagram, &name);
    let client = side.socket(Domain::Unix, Kind::Datagram);
    assert_eq!(connect(&mut side, client, &name), Ok(()));
    for len in [0, 1, 3000, 70_000, 100_000] {
        let mut message = if len == 0 { Sga::new() } else { side.message(&bytes(0, len)) };
        assert_eq!(side.push(client, &mut message), Poll::Ready(Ok(())));
        drop(message);
        let popped = side.finish(server, Direction::Pop, |side| side.catnap.pop(server, PopMode::Whole)).unwrap();
        let datagram = Datagram::from_chain(popped);
        assert_eq!(datagram.sender_path().unwrap().as_os_str(), "");
        assert!(datagram.into_message().to_vec() == bytes(0, len), "{len} bytes");
    }
    assert_no_buffers(&side);
}

/// A Unix stream lingers until the peer has read.
#[test]
fn it_lingers() {
    let (directory, mut side) = (tempfile::tempdir().unwrap(), Side::new());
    let listener = UnixListener::bind(directory.path().join("linger")).unwrap();
    let calling = side.socket(Domain::Unix, Kind::Stream);
    assert_eq!(connect(&mut side, calling, &path(&directory, "linger")), Ok(()));
    let (mut peer, _) = listener.accept().unwrap();
    side.catnap.set_option(calling, SocketOption::Linger(Some(Duration::from_mins(1)))).unwrap();
    side.push_now(calling, b"to be read");
    let mut rounds = 0;
    let closed = side.finish_beside(
        calling,
        Direction::Push,
        |side| side.close(calling),
        |_| {
            rounds += 1;
            if rounds == 10 {
                peer.read_exact(&mut [0; 10]).unwrap();
            }
        },
    );
    assert_eq!(closed, Ok(()));
    assert!(rounds >= 10);
}

/// `unix(7)`: a receive ends behind bytes that came with descriptors, and nothing tells of what is behind them.
#[test]
fn what_follows_descriptors_is_popped() {
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
    let directory = tempfile::tempdir().unwrap();
    let name = path(&directory, "rights");
    let mut side = Side::new();
    let listener = socket(&mut side, Kind::Stream, &name);
    side.catnap.listen(listener, 4).unwrap();
    let mut peer = UnixStream::connect(directory.path().join("rights")).unwrap();
    let far = side.accepted(listener);
    assert!(side.pop(far).is_pending());
    let file = std::fs::File::open(directory.path()).unwrap();
    let own = [std::os::fd::AsFd::as_fd(&file)];
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut with = SendAncillaryBuffer::new(&mut space);
    assert!(with.push(SendAncillaryMessage::ScmRights(&own)));
    sendmsg(&peer, &[std::io::IoSlice::new(b"abc")], &mut with, SendFlags::empty()).unwrap();
    peer.write_all(b"def").unwrap();
    side.catnap.collect(Some(Duration::ZERO));
    assert_eq!(side.pop(far), Poll::Ready(Ok(b"abc".to_vec())));
    assert_eq!(side.pop(far), Poll::Ready(Ok(b"def".to_vec())));
    assert!(side.pop(far).is_pending());
}

/// What has come and was not popped does not turn the end into a reset.
#[test]
fn closed_with_bytes_that_nobody_pops() {
    let directory = tempfile::tempdir().unwrap();
    let name = path(&directory, "unread");
    let mut side = Side::new();
    let listener = socket(&mut side, Kind::Stream, &name);
    side.catnap.listen(listener, 4).unwrap();
    let mut peer = UnixStream::connect(directory.path().join("unread")).unwrap();
    let far = side.accepted(listener);
    peer.write_all(&bytes(0, 3000)).unwrap();
    side.push_now(far, b"all the same");
    assert_eq!(side.close(far), Poll::Ready(Ok(())));
    let mut answer = Vec::new();
    peer.read_to_end(&mut answer).unwrap();
    assert_eq!(answer, b"all the same");
    assert_eq!(side.catnap.shared.waiting, 0);
}

/// A datagram that is longer than any buffer can be is told and taken away: what is behind it comes through.
#[test]
fn a_datagram_that_no_buffer_holds() {
    let directory = tempfile::tempdir().unwrap();
    let name = path(&directory, "receiver");
    let mut side = Side::with_pools(&Classes { small_count: 64, oversize_limit: 1 << 16, ..Classes::default() });
    let receiver = socket(&mut side, Kind::Datagram, &name);
    let peer = std::os::unix::net::UnixDatagram::unbound().unwrap();
    let to = directory.path().join("receiver");
    for round in 0..3_u8 {
        peer.send_to(&bytes(0, 150_000), &to).unwrap();
        peer.send_to(&[round], &to).unwrap();
        assert_eq!(side.popped(receiver).unwrap_err(), Errno::MSGSIZE);
        let popped = side
            .finish(receiver, Direction::Pop, |side| side.catnap.pop(receiver, PopMode::Whole).map_err(Error::errno));
        assert_eq!(Datagram::from_chain(popped.unwrap()).into_message().to_vec(), [round]);
    }
    assert_eq!(side.catnap.counters().drops, 3);
}

/// A push that waits for room at its receiver tries seldom, and more seldom each time.
#[test]
fn waiting_for_a_receiver_costs_little() {
    let directory = tempfile::tempdir().unwrap();
    let name = path(&directory, "full");
    let _receiver = std::os::unix::net::UnixDatagram::bind(directory.path().join("full")).unwrap();
    let mut side = Side::new();
    let near = side.socket(Domain::Unix, Kind::Datagram);
    let mut message = side.message(b"one more");
    while side.catnap.push_to_path(near, &mut message, &name).is_ready() {}
    let (before, begun) = (side.catnap.counters().system_calls, side.reactor.now());
    let mut tries = 0;
    while side.reactor.now().saturating_since(begun) < Duration::from_millis(300) {
        side.round(NAP);
        if side.take_wake(near, Direction::Push) {
            assert!(side.catnap.push_to_path(near, &mut message, &name).is_pending());
            tries += 1;
        }
    }
    assert!((5..40).contains(&tries), "{tries} tries in 300 ms");
    assert!(side.catnap.counters().system_calls > before);
}

/// A push to a path that waited, and failed in the end, leaves nothing behind: a push to the peer waits for that one's room, and goes.
#[test]
fn waiting_after_a_receiver_that_died() {
    let directory = tempfile::tempdir().unwrap();
    let (peer, other) = (path(&directory, "peer"), path(&directory, "other"));
    let receiver = std::os::unix::net::UnixDatagram::bind(directory.path().join("peer")).unwrap();
    let dying = std::os::unix::net::UnixDatagram::bind(directory.path().join("other")).unwrap();
    let mut side = Side::new();
    let near = side.socket(Domain::Unix, Kind::Datagram);
    assert_eq!(connect(&mut side, near, &peer), Ok(()));
    let mut message = side.message(b"to the other");
    while side.catnap.push_to_path(near, &mut message, &other).is_ready() {}
    drop(dying);
    let failed = side.finish(near, Direction::Push, |side| {
        side.catnap.push_to_path(near, &mut message, &other).map_err(Error::errno)
    });
    assert_eq!(failed, Err(Errno::CONNREFUSED));
    // As a LibOs pushes: without a buffer first.
    let mut sent = 0;
    while side.catnap.push_bytes(near, b"to the peer").unwrap() {
        sent += 1;
    }
    assert!(sent > 0);
    let mut message = side.message(b"to the peer");
    assert!(side.push(near, &mut message).is_pending());
    let mut bytes = [0; 32];
    for _ in 0..sent {
        assert_eq!(receiver.recv(&mut bytes).unwrap(), 11);
    }
    assert_eq!(side.finish(near, Direction::Push, |side| side.push(near, &mut message)), Ok(()));
    assert_eq!(receiver.recv(&mut bytes).unwrap(), 11);
}
