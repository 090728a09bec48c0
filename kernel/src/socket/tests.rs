// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every call in every state, against the real kernel.

use super::*;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixListener;

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn open(domain: Domain, kind: Kind) -> Socket {
    Socket::open(domain, kind).unwrap()
}

fn bound(address: &str, kind: Kind) -> Socket {
    let mut socket = open(Domain::of(&at(address)), kind);
    socket.bind(at(address)).unwrap();
    socket
}

fn listening() -> (Socket, SocketAddr) {
    let mut socket = bound("127.0.0.1:0", Kind::Stream);
    socket.listen(4).unwrap();
    let address = socket.local_address().unwrap();
    (socket, address)
}

/// Asks until it is known.
fn connect(socket: &mut Socket, to: SocketAddr) -> Result<()> {
    socket.begin_connect(to)?;
    for _ in 0..10_000 {
        if socket.connecting()? == Connecting::Done {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("nobody answers {to}");
}

fn accept(listener: &Socket) -> Socket {
    for _ in 0..10_000 {
        if let Some(socket) = listener.accept().unwrap() {
            return socket;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("nobody connects");
}

fn connected() -> [Socket; 2] {
    let (listener, address) = listening();
    let mut calling = open(Domain::V4, Kind::Stream);
    connect(&mut calling, address).unwrap();
    [calling, accept(&listener)]
}

#[track_caller]
fn says<T>(errno: Errno, result: Result<T>) {
    assert_eq!(result.map(|_| ()).map_err(Error::errno), Err(errno));
}

#[test]
fn binding() {
    for kind in [Kind::Stream, Kind::Datagram] {
        let taken = bound("127.0.0.1:0", kind);
        let address = taken.local_address().unwrap();
        let mut socket = open(Domain::V4, kind);
        assert_eq!(socket.local_address().unwrap(), Domain::V4.unspecified());
        says(Errno::AFNOSUPPORT, socket.bind(at("[::1]:0")));
        says(Errno::ADDRNOTAVAIL, socket.bind(at("192.0.2.1:0")));
        says(Errno::ADDRINUSE, socket.bind(address));
        // A bind that fails changes nothing.
        assert_eq!(socket.local_address().unwrap(), Domain::V4.unspecified());
        socket.bind(at("127.0.0.1:0")).unwrap();
        says(Errno::INVAL, socket.bind(at("127.0.0.1:0")));
    }
    for mut socket in connected() {
        says(Errno::INVAL, socket.bind(at("127.0.0.1:0")));
    }
}

#[test]
fn listening_and_accepting() {
    let mut socket = open(Domain::V4, Kind::Stream);
    says(Errno::DESTADDRREQ, socket.listen(1));
    says(Errno::INVAL, socket.accept());
    socket.bind(at("127.0.0.1:0")).unwrap();
    says(Errno::INVAL, socket.accept());
    socket.listen(usize::MAX).unwrap();
    says(Errno::ADDRINUSE, socket.listen(1));
    assert!(socket.is_listening() && socket.accept().unwrap().is_none());
    for mut socket in connected() {
        says(Errno::INVAL, socket.listen(1));
        says(Errno::INVAL, socket.accept());
    }
    let mut datagram = bound("127.0.0.1:0", Kind::Datagram);
    says(Errno::OPNOTSUPP, datagram.listen(1));
    says(Errno::OPNOTSUPP, datagram.can_accept());
}

#[test]
fn connecting() {
    let (mut listener, address) = listening();
    let mut socket = open(Domain::V4, Kind::Stream);
    says(Errno::NOTCONN, socket.connecting());
    says(Errno::AFNOSUPPORT, socket.begin_connect(at("[::1]:7")));
    says(Errno::ADDRNOTAVAIL, socket.begin_connect(at("127.0.0.1:0")));
    says(Errno::OPNOTSUPP, listener.begin_connect(address));
    says(Errno::NOTCONN, socket.peer_address());
    says(Errno::NOTCONN, socket.shutdown_write());
    socket.begin_connect(address).unwrap();
    assert!(socket.is_connecting());
    says(Errno::ALREADY, socket.begin_connect(address));
    says(Errno::ADDRINUSE, bound_listen(&mut socket));
    says(Errno::NOTCONN, socket.peer_address());
    while socket.connecting().unwrap() != Connecting::Done {}
    assert_eq!(socket.connecting().unwrap(), Connecting::Done);
    assert_eq!(socket.peer_address().unwrap(), address);
    says(Errno::ISCONN, socket.begin_connect(address));
    let accepted = accept(&listener);
    assert_eq!(accepted.peer_address().unwrap(), socket.local_address().unwrap());
    assert_eq!(accepted.local_address().unwrap(), address);
    // Who it was is known after it has gone, too.
    let caller = socket.local_address().unwrap();
    socket.reset_on_close().unwrap();
    drop(socket);
    while rustix::net::recv(&accepted, &mut [0_u8; 1], rustix::net::RecvFlags::empty()) == Err(Os::AGAIN) {}
    assert_eq!(accepted.peer_address().unwrap(), caller);
    accepted.shutdown_write().unwrap();
}

fn bound_listen(socket: &mut Socket) -> Result<()> {
    socket.bound = true;
    let said = socket.listen(1);
    socket.bound = false;
    said
}

#[test]
fn refused_given_up_and_again() {
    let (gone, address) = listening();
    drop(gone);
    let mut socket = open(Domain::V4, Kind::Stream);
    for _ in 0..10 {
        says(Errno::CONNREFUSED, connect(&mut socket, address));
        assert!(!socket.is_connected() && !socket.is_connecting());
    }
    // Without room in the backlog nobody answers.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    rustix::net::listen(&listener, 1).unwrap();
    let full = listener.local_addr().unwrap();
    let waiting: Vec<TcpStream> = (0..2).map(|_| TcpStream::connect(full).unwrap()).collect();
    for _ in 0..3 {
        socket.begin_connect(full).unwrap();
        assert_eq!(socket.connecting().unwrap(), Connecting::Pending);
        socket.give_up_connect();
        says(Errno::NOTCONN, socket.connecting());
    }
    drop((waiting, listener.accept().unwrap(), listener.accept().unwrap()));
    connect(&mut socket, full).unwrap();
    // Given up after it was connected: the peer reads a reset, not a connection that nobody uses.
    let (mut peer, _) = listener.accept().unwrap();
    socket.reset();
    assert!(peer.read(&mut [0]).is_err());
    assert!(!socket.is_connected());
}

#[test]
fn to_the_wildcard() {
    let (listener, address) = listening();
    let mut socket = open(Domain::V4, Kind::Stream);
    connect(&mut socket, SocketAddr::new([0, 0, 0, 0].into(), address.port())).unwrap();
    assert_eq!(socket.peer_address().unwrap(), address);
    drop(accept(&listener));
    let server = bound("127.0.0.1:0", Kind::Datagram);
    let address = server.local_address().unwrap();
    let mut datagram = open(Domain::V4, Kind::Datagram);
    datagram.begin_connect(SocketAddr::new([0, 0, 0, 0].into(), address.port())).unwrap();
    assert_eq!(datagram.peer_address().unwrap(), address);
}

#[test]
fn both_stacks() {
    let mut socket = bound("[::]:0", Kind::Stream);
    socket.listen(4).unwrap();
    let port = socket.local_address().unwrap().port();
    let near = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let accepted = accept(&socket);
    let peer = accepted.peer_address().unwrap();
    assert_eq!((peer.ip().to_canonical(), peer.port()), ([127, 0, 0, 1].into(), near.local_addr().unwrap().port()));
}

/// A datagram socket gets another peer at any time, and keeps the one that it has if that fails.
#[test]
fn datagrams() {
    let [one, two] = [bound("127.0.0.1:0", Kind::Datagram), bound("127.0.0.1:0", Kind::Datagram)];
    let mut socket = open(Domain::V4, Kind::Datagram);
    says(Errno::DESTADDRREQ, socket.check_push());
    socket.check_push_to(&one.local_address().unwrap()).unwrap();
    says(Errno::AFNOSUPPORT, socket.check_push_to(&at("[::1]:7")));
    says(Errno::ADDRNOTAVAIL, socket.check_push_to(&at("127.0.0.1:0")));
    says(Errno::AFNOSUPPORT, socket.check_push_to_path());
    for to in [&one, &two] {
        let to = to.local_address().unwrap();
        socket.begin_connect(to).unwrap();
        assert_eq!((socket.connecting().unwrap(), socket.peer_address().unwrap()), (Connecting::Done, to));
    }
    says(Errno::ADDRNOTAVAIL, socket.begin_connect(at("127.0.0.1:0")));
    says(Errno::ACCESS, socket.begin_connect(at("255.255.255.255:7")));
    assert_eq!(socket.peer_address().unwrap(), two.local_address().unwrap());
    socket.check_push().unwrap();
    socket.shutdown_write().unwrap();
    let [stream, _peer] = connected();
    says(Errno::ISCONN, stream.check_push_to(&at("127.0.0.1:7")));
    says(Errno::NOTCONN, open(Domain::V4, Kind::Stream).check_push_to(&at("127.0.0.1:7")));
    says(Errno::NOTCONN, open(Domain::V4, Kind::Stream).check_push());
}

#[test]
fn unix_sockets() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let name = path.as_os_str().as_bytes();
    let mut listener = open(Domain::Unix, Kind::Stream);
    assert_eq!(listener.local_path().unwrap(), b"");
    says(Errno::AFNOSUPPORT, listener.bind(at("127.0.0.1:0")));
    listener.bind_path(name).unwrap();
    says(Errno::INVAL, listener.bind_path(name));
    listener.listen(4).unwrap();
    assert_eq!(listener.local_address().unwrap(), Domain::Unix.unspecified());
    let mut socket = open(Domain::Unix, Kind::Stream);
    says(Errno::ADDRINUSE, socket.bind_path(name));
    says(Errno::AFNOSUPPORT, socket.begin_connect(at("127.0.0.1:7")));
    says(Errno::INVAL, socket.begin_connect_path(b""));
    socket.begin_connect_path(name).unwrap();
    assert_eq!(socket.connecting().unwrap(), Connecting::Done);
    assert_eq!(socket.peer_path().unwrap(), name);
    assert_eq!(socket.peer_address().unwrap(), Domain::Unix.unspecified());
    let accepted = accept(&listener);
    assert_eq!((accepted.local_path().unwrap(), accepted.peer_path().unwrap()), (name.to_vec(), vec![]));
    says(Errno::AFNOSUPPORT, open(Domain::V4, Kind::Stream).local_path());
    says(Errno::NOTCONN, open(Domain::Unix, Kind::Stream).peer_path());
    // The longest name, without room for a NUL behind it, comes back whole; and an abstract one.
    let hidden = [&[0][..], &[b'x'; 107]].concat();
    let mut long = open(Domain::Unix, Kind::Datagram);
    long.bind_path(&hidden).unwrap();
    assert_eq!(long.local_path().unwrap(), hidden);
}

/// Nobody says when a full backlog has room.
#[test]
fn a_full_unix_backlog() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("full");
    let listener = UnixListener::bind(&path).unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let _first = std::os::unix::net::UnixStream::connect(&path).unwrap();
    let mut socket = open(Domain::Unix, Kind::Stream);
    socket.begin_connect_path(path.as_os_str().as_bytes()).unwrap();
    assert_eq!(socket.connecting().unwrap(), Connecting::Full);
    assert_eq!(socket.connecting().unwrap(), Connecting::Full);
    drop(listener.accept().unwrap());
    assert_eq!(socket.connecting().unwrap(), Connecting::Done);
    assert!(socket.is_connected());
}

#[test]
fn options() {
    let mut socket = open(Domain::V4, Kind::Stream);
    for (name, option) in [
        (OptionName::Linger, SocketOption::Linger(Some(Duration::from_millis(50)))),
        (OptionName::NoDelay, SocketOption::NoDelay(true)),
        (OptionName::KeepAlive, SocketOption::KeepAlive(true)),
        (OptionName::KeepIdle, SocketOption::KeepIdle(Duration::from_mins(1))),
        (OptionName::KeepInterval, SocketOption::KeepInterval(Duration::from_secs(5))),
        (OptionName::KeepCount, SocketOption::KeepCount(3)),
        (OptionName::ReuseAddress, SocketOption::ReuseAddress(true)),
    ] {
        assert_ne!(socket.option(name).unwrap(), option, "{name:?} as the kernel has it");
        socket.set_option(option).unwrap();
        assert_eq!(socket.option(name).unwrap(), option);
    }
    for asked in [0, 10_000, usize::MAX] {
        socket.set_option(SocketOption::SendBuffer(asked)).unwrap();
        socket.set_option(SocketOption::ReceiveBuffer(asked)).unwrap();
        let SocketOption::SendBuffer(got) = socket.option(OptionName::SendBuffer).unwrap() else { panic!() };
        assert!(got > 0 && (asked == usize::MAX || got >= asked), "{got} for {asked}");
    }
    // `close` would block for it: the kernel is not told.
    assert_eq!(sockopt::socket_linger(&socket).unwrap(), None);
    let mut datagram = open(Domain::V6, Kind::Datagram);
    assert_eq!(datagram.option(OptionName::SegmentSize).unwrap(), SocketOption::SegmentSize(0));
    for size in [1400, u16::MAX, 0] {
        datagram.set_option(SocketOption::SegmentSize(size)).unwrap();
        assert_eq!(datagram.option(OptionName::SegmentSize).unwrap(), SocketOption::SegmentSize(size));
    }
    let mut unix = open(Domain::Unix, Kind::Stream);
    for socket in [&mut socket, &mut unix] {
        says(Errno::NOPROTOOPT, socket.set_option(SocketOption::SegmentSize(1400)));
        says(Errno::NOPROTOOPT, socket.option(OptionName::SegmentSize));
    }
    for socket in [&mut datagram, &mut unix] {
        for option in [SocketOption::NoDelay(true), SocketOption::KeepCount(3)] {
            says(Errno::NOPROTOOPT, socket.set_option(option));
        }
        says(Errno::NOPROTOOPT, socket.option(OptionName::KeepIdle));
        socket.set_option(SocketOption::ReuseAddress(true)).unwrap();
    }
}
