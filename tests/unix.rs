// SPDX-License-Identifier: MIT OR Apache-2.0
//! Unix sockets on each back end that has them, with sockets of the kernel at the other end. Text: `unix(7)`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where what it stands on is missing")]

use margay::{Completion, Config, Domain, Errno, Error, Kind, LibOs, Outcome, Qd, Qt, Result, Sga};
use std::ffi::OsString;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// The limit of every single wait; far beyond what any takes.
const LIMIT: Option<Duration> = Some(Duration::from_secs(20));

/// A LibOs on a back end, and a folder for names.
struct Side {
    libos: LibOs,
    folder: tempfile::TempDir,
}

impl Side {
    fn new(libos: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config { libos: Some(libos.to_owned()), ..Config::default() };
        config.catmem.directory = Some(folder.path().join("runtime"));
        Self { libos: LibOs::new(&config).unwrap(), folder }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn socket(&mut self, kind: Kind) -> Qd {
        self.libos.socket(Domain::Unix, kind).unwrap()
    }

    fn bound(&mut self, kind: Kind, path: &Path) -> Qd {
        let qd = self.socket(kind);
        self.libos.bind_path(qd, path).unwrap();
        qd
    }

    fn listening(&mut self, path: &Path, backlog: usize) -> Qd {
        let qd = self.bound(Kind::Stream, path);
        self.libos.listen(qd, backlog).unwrap();
        qd
    }

    fn wait(&mut self, qt: Qt) -> Completion {
        self.libos.wait(qt, LIMIT).unwrap()
    }

    /// What came of an operation, whether the call or the completion says it.
    fn ended(&mut self, started: Result<Qt>) -> Result<()> {
        started.and_then(|qt| self.wait(qt).ok())
    }

    fn connected(&mut self, path: &Path) -> Qd {
        let qd = self.socket(Kind::Stream);
        let connecting = self.libos.connect_path(qd, path);
        self.ended(connecting).unwrap();
        qd
    }

    fn accepted(&mut self, listening: Qd) -> Qd {
        let accepting = self.libos.accept(listening).unwrap();
        self.wait(accepting).accepted().unwrap()
    }

    fn pop(&mut self, qd: Qd) -> Result<Sga> {
        let popped = self.libos.pop(qd, None).unwrap();
        self.wait(popped).into_message()
    }

    fn push(&mut self, qd: Qd, bytes: &[u8]) {
        let pushed = self.libos.push(qd, bytes);
        self.ended(pushed).unwrap();
    }

    /// Bytes until the end of the stream.
    fn pop_all(&mut self, qd: Qd) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            let message = self.pop(qd).unwrap();
            if message.is_empty() {
                return all;
            }
            all.extend(message.to_vec());
        }
    }
}

fn errno<T: core::fmt::Debug>(result: Result<T>) -> Errno {
    result.unwrap_err().errno()
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 31 + at / 251) as u8).collect()
}

/// Abstract names of this process.
fn hidden(name: &str) -> (PathBuf, SocketAddr) {
    let name = format!("margay-test-{}-{name}", std::process::id());
    let path = OsString::from_vec([b"\0", name.as_bytes()].concat());
    (path.into(), SocketAddr::from_abstract_name(name).unwrap())
}

fn streams_reach_a_server_of_the_kernel(libos: &str) {
    let mut side = Side::new(libos);
    let path = side.at("server");
    let listener = UnixListener::bind(&path).unwrap();
    let sent = pattern(3 << 20);
    let expected = sent.clone();
    let server = thread::spawn(move || {
        let (mut stream, address) = listener.accept().unwrap();
        assert!(address.is_unnamed());
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        assert!(bytes == expected);
        stream.write_all(&bytes).unwrap();
    });
    let qd = side.connected(&path);
    assert_eq!(side.libos.peer_path(qd), Ok(path));
    assert_eq!(side.libos.local_path(qd), Ok(PathBuf::new()));
    side.push(qd, &sent);
    side.libos.shutdown(qd, Shutdown::Write).unwrap();
    assert!(side.pop_all(qd) == sent);
    assert_eq!(side.pop(qd).map(|_| ()).map_err(Error::errno), Err(Errno::PIPE));
    server.join().unwrap();
}

fn clients_of_the_kernel_are_served(libos: &str) {
    let mut side = Side::new(libos);
    let path = side.at("server");
    let listening = side.listening(&path, 16);
    assert_eq!(side.libos.local_path(listening), Ok(path.clone()));
    let clients = (0..8_u8).map(|number| {
        let path = path.clone();
        thread::spawn(move || {
            let mut stream = UnixStream::connect(path).unwrap();
            stream.write_all(&[number; 1000]).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).unwrap();
            assert_eq!(answer, [number; 1000]);
        })
    });
    let clients: Vec<_> = clients.collect();
    for _ in 0..8 {
        let served = side.accepted(listening);
        assert_eq!(side.libos.local_path(served), Ok(path.clone()));
        assert_eq!(side.libos.peer_path(served), Ok(PathBuf::new()));
        let request = side.pop_all(served);
        side.push(served, &request);
        let closed = side.libos.close(served);
        side.ended(closed).unwrap();
    }
    for client in clients {
        client.join().unwrap();
    }
}

fn abstract_names_are_names(libos: &str) {
    let mut side = Side::new(libos);
    let (path, address) = hidden(&format!("stream-{libos}"));
    let listening = side.listening(&path, 4);
    assert_eq!(side.libos.local_path(listening), Ok(path.clone()));
    let mut near = UnixStream::connect_addr(&address).unwrap();
    near.write_all(b"near").unwrap();
    let served = side.accepted(listening);
    assert_eq!(side.pop(served).unwrap().to_vec(), b"near");
    let qd = side.connected(&path);
    assert_eq!(side.libos.peer_path(qd), Ok(path));

    let (path, address) = hidden(&format!("datagram-{libos}"));
    let receiver = UnixDatagram::bind_addr(&address).unwrap();
    receiver.set_read_timeout(LIMIT).unwrap();
    let (own, own_address) = hidden(&format!("sender-{libos}"));
    let sender = side.bound(Kind::Datagram, &own);
    let pushed = side.libos.push_to_path(sender, b"question", &path);
    side.ended(pushed).unwrap();
    let mut bytes = [0; 16];
    let (len, from) = receiver.recv_from(&mut bytes).unwrap();
    assert_eq!((&bytes[..len], from.as_abstract_name()), (&b"question"[..], own_address.as_abstract_name()));
    receiver.send_to_addr(b"answer", &from).unwrap();
    let popped = side.libos.pop(sender, None).unwrap();
    let answer = side.wait(popped).into_datagram().unwrap();
    assert_eq!(answer.sender_path(), Some(path.as_path()));
    assert_eq!(answer.into_message().to_vec(), b"answer");
}

fn datagrams_know_their_sender(libos: &str) {
    let mut side = Side::new(libos);
    let (own, other) = (side.at("own"), side.at("other"));
    let qd = side.bound(Kind::Datagram, &own);
    let named = UnixDatagram::bind(&other).unwrap();
    named.set_read_timeout(LIMIT).unwrap();
    named.send_to(b"named", &own).unwrap();
    UnixDatagram::unbound().unwrap().send_to(b"", &own).unwrap();
    for (bytes, sender) in [(&b"named"[..], other.as_path()), (b"", Path::new(""))] {
        let popped = side.libos.pop(qd, None).unwrap();
        let datagram = side.wait(popped).into_datagram().unwrap();
        assert_eq!(datagram.sender_path(), Some(sender));
        assert_eq!(datagram.into_message().to_vec(), bytes);
    }
    // Longer than any small buffer, and than what a pop asks for.
    let long = pattern(60_000);
    let pushed = side.libos.push_to_path(qd, &long[..], &other);
    side.ended(pushed).unwrap();
    let mut bytes = vec![0; 65_536];
    let (len, sender) = named.recv_from(&mut bytes).unwrap();
    assert!(bytes[..len] == long && sender.as_pathname() == Some(&own));
    named.send_to(&long, &own).unwrap();
    named.send_to(b"next", &own).unwrap();
    let popped = side.libos.pop(qd, Some(10)).unwrap();
    let datagram = side.wait(popped).into_datagram().unwrap();
    assert_eq!(datagram.sender_path(), Some(other.as_path()));
    assert_eq!(datagram.into_message().to_vec(), long[..10]);
    let popped = side.libos.pop(qd, None).unwrap();
    assert_eq!(side.wait(popped).into_datagram().unwrap().into_message().to_vec(), b"next");
    // Connected: a push needs no name.
    let connecting = side.libos.connect_path(qd, &other);
    side.ended(connecting).unwrap();
    assert_eq!(side.libos.peer_path(qd), Ok(other));
    side.push(qd, b"short");
    let (len, _) = named.recv_from(&mut bytes).unwrap();
    assert_eq!(&bytes[..len], b"short");
}

/// The receiver's queue is short (`net.unix.max_dgram_qlen`): pushes wait, and nothing is lost or overtaken.
fn datagrams_wait_for_room(libos: &str) {
    const COUNT: u32 = 2_000;
    let mut side = Side::new(libos);
    let path = side.at("slow");
    let receiver = UnixDatagram::bind(&path).unwrap();
    receiver.set_read_timeout(LIMIT).unwrap();
    for connect in [false, true] {
        let qd = side.socket(Kind::Datagram);
        if connect {
            let connecting = side.libos.connect_path(qd, &path);
            side.ended(connecting).unwrap();
        }
        let tokens: Vec<Qt> = (0..COUNT)
            .map(|number| {
                let bytes = number.to_le_bytes();
                let pushed =
                    if connect { side.libos.push(qd, &bytes) } else { side.libos.push_to_path(qd, &bytes, &path) };
                pushed.unwrap()
            })
            .collect();
        let last = tokens[COUNT as usize - 1];
        assert!(
            side.libos.try_wait(last).unwrap().is_none(),
            "the queue takes all of them: there is nothing to wait for"
        );
        let reader = receiver.try_clone().unwrap();
        let reading = thread::spawn(move || {
            for number in 0..COUNT {
                let mut bytes = [0; 8];
                assert_eq!(reader.recv(&mut bytes).unwrap(), 4);
                assert_eq!(bytes[..4], number.to_le_bytes());
            }
        });
        for qt in tokens {
            side.wait(qt).ok().unwrap();
        }
        reading.join().unwrap();
    }
}

/// More connects than the backlog takes: those beyond it wait, as they do with other families.
fn connects_wait_for_the_backlog(libos: &str) {
    const COUNT: usize = 24;
    let (mut server, mut client) = (Side::new(libos), Side::new(libos));
    let path = server.at("busy");
    let listening = server.listening(&path, 1);
    let mut connecting = Vec::new();
    for _ in 0..COUNT {
        let qd = client.socket(Kind::Stream);
        connecting.push(client.libos.connect_path(qd, &path).unwrap());
    }
    for _ in 0..COUNT {
        let accepting = server.libos.accept(listening).unwrap();
        for tries in 0.. {
            assert!(tries < 20_000, "a connection that waits is made at last");
            if let Some(accepted) = server.libos.try_wait(accepting).unwrap() {
                accepted.accepted().unwrap();
                break;
            }
            // Whoever waits tries again meanwhile.
            client.libos.poll();
            thread::sleep(Duration::from_millis(1));
        }
    }
    for qt in connecting {
        client.wait(qt).ok().unwrap();
    }
}

fn errors_are_those_of_the_kernel(libos: &str) {
    let mut side = Side::new(libos);
    let (path, datagrams, nowhere) = (side.at("taken"), side.at("datagrams"), side.at("nowhere"));
    let listening = side.listening(&path, 4);
    let receiver = side.bound(Kind::Datagram, &datagrams);
    let stream = side.socket(Kind::Stream);
    let sender = side.socket(Kind::Datagram);

    assert_eq!(errno(side.libos.bind_path(stream, &path)), Errno::ADDRINUSE);
    assert_eq!(errno(side.libos.bind_path(stream, nowhere.join("below"))), Errno::NOENT);
    assert_eq!(errno(side.libos.bind_path(stream, path.join("below"))), Errno::NOTDIR);
    assert_eq!(errno(side.libos.bind_path(stream, "")), Errno::INVAL);
    assert_eq!(errno(side.libos.bind_path(stream, "a\0b")), Errno::INVAL);
    assert_eq!(errno(side.libos.bind_path(stream, "x".repeat(108))), Errno::NAMETOOLONG);
    assert_eq!(errno(side.libos.bind_path(listening, &nowhere)), Errno::INVAL);
    assert_eq!(errno(side.libos.connect_path(stream, "")), Errno::INVAL);
    assert_eq!(errno(side.libos.push_to_path(sender, b"x", "x".repeat(108))), Errno::NAMETOOLONG);

    for (to, expected) in [(&nowhere, Errno::NOENT), (&datagrams, Errno::PROTOTYPE)] {
        let connecting = side.libos.connect_path(stream, to);
        assert_eq!(errno(side.ended(connecting)), expected, "{}", to.display());
    }
    for (to, expected) in [(&nowhere, Errno::NOENT), (&path, Errno::PROTOTYPE)] {
        let pushed = side.libos.push_to_path(sender, b"x", to);
        assert_eq!(errno(side.ended(pushed)), expected, "{}", to.display());
        let connecting = side.libos.connect_path(sender, to);
        assert_eq!(errno(side.ended(connecting)), expected, "{}", to.display());
    }
    let pushed = side.libos.push(sender, b"x");
    assert_eq!(errno(side.ended(pushed)), Errno::DESTADDRREQ);
    assert_eq!(errno(side.libos.push_to_path(stream, b"x", &datagrams)), Errno::OPNOTSUPP);
    assert_eq!(errno(side.libos.listen(sender, 1)), Errno::OPNOTSUPP);
    assert_eq!(errno(side.libos.listen(stream, 1)), Errno::DESTADDRREQ);
    assert_eq!(errno(side.libos.peer_path(stream)), Errno::NOTCONN);
    assert_eq!(errno(side.libos.shutdown(stream, Shutdown::Read)), Errno::NOTCONN);
    assert_eq!(errno(side.libos.shutdown(stream, Shutdown::Write)), Errno::NOTCONN);

    // After failures it connects all the same.
    let connecting = side.libos.connect_path(stream, &path);
    side.ended(connecting).unwrap();
    let connecting = side.libos.connect_path(stream, &path);
    assert_eq!(errno(side.ended(connecting)), Errno::ISCONN);

    // A file whose socket is closed.
    for qd in [listening, receiver] {
        let closed = side.libos.close(qd);
        side.ended(closed).unwrap();
    }
    let late = side.socket(Kind::Stream);
    let connecting = side.libos.connect_path(late, &path);
    assert_eq!(errno(side.ended(connecting)), Errno::CONNREFUSED);
    let pushed = side.libos.push_to_path(sender, b"x", &datagrams);
    assert_eq!(errno(side.ended(pushed)), Errno::CONNREFUSED);
    assert_eq!(errno(side.libos.bind_path(late, &path)), Errno::ADDRINUSE);
    std::fs::remove_file(&path).unwrap();
    side.libos.bind_path(late, &path).unwrap();
}

fn addresses_and_paths_are_not_mixed(libos: &str) {
    let mut side = Side::new(libos);
    let (path, ip) = (side.at("path"), "127.0.0.1:9".parse().unwrap());
    for kind in [Kind::Stream, Kind::Datagram] {
        let unix = side.socket(kind);
        assert_eq!(errno(side.libos.bind(unix, ip)), Errno::AFNOSUPPORT);
        assert_eq!(errno(side.libos.connect(unix, ip)), Errno::AFNOSUPPORT);
        assert_eq!(errno(side.libos.local_address(unix)), Errno::AFNOSUPPORT);
        assert_eq!(errno(side.libos.peer_address(unix)), Errno::AFNOSUPPORT);
        assert_eq!(side.libos.local_path(unix), Ok(PathBuf::new()));
        let internet = side.libos.socket(Domain::V4, kind).unwrap();
        assert_eq!(errno(side.libos.bind_path(internet, &path)), Errno::AFNOSUPPORT);
        assert_eq!(errno(side.libos.connect_path(internet, &path)), Errno::AFNOSUPPORT);
        assert_eq!(errno(side.libos.local_path(internet)), Errno::AFNOSUPPORT);
        assert_eq!(errno(side.libos.peer_path(internet)), Errno::AFNOSUPPORT);
        if kind == Kind::Datagram {
            let pushed = side.libos.push_to(unix, b"x", ip);
            assert_eq!(errno(side.ended(pushed)), Errno::AFNOSUPPORT);
            let pushed = side.libos.push_to_path(internet, b"x", &path);
            assert_eq!(errno(side.ended(pushed)), Errno::AFNOSUPPORT);
        }
    }
    let pipe = side.libos.create_pipe("pipe").unwrap();
    assert_eq!(errno(side.libos.bind_path(pipe, &path)), Errno::OPNOTSUPP);
    assert_eq!(errno(side.libos.connect_path(pipe, &path)), Errno::OPNOTSUPP);
    assert_eq!(errno(side.libos.push_to_path(pipe, b"x", &path)), Errno::OPNOTSUPP);
    assert_eq!(errno(side.libos.local_path(pipe)), Errno::OPNOTSUPP);
    assert!(!path.exists());
}

/// A peer that goes without having read everything: what was pushed before is popped, then the connection is reset.
fn a_peer_that_goes_is_noticed(libos: &str) {
    let mut side = Side::new(libos);
    let path = side.at("server");
    let listener = UnixListener::bind(&path).unwrap();
    let qd = side.connected(&path);
    let (mut stream, _) = listener.accept().unwrap();
    side.push(qd, b"never read");
    let popped = side.libos.pop(qd, None).unwrap();
    assert!(side.libos.try_wait(popped).unwrap().is_none());
    stream.write_all(b"last words").unwrap();
    drop(stream);
    assert_eq!(side.wait(popped).into_message().unwrap().to_vec(), b"last words");
    assert_eq!(errno(side.pop(qd)), Errno::CONNRESET);
    let pushed = side.libos.push(qd, b"too late");
    assert_eq!(errno(side.ended(pushed)), Errno::CONNRESET);

    // And one that reads everything first is an end.
    let qd = side.connected(&path);
    drop(listener.accept().unwrap());
    assert!(side.pop(qd).unwrap().is_empty());
    assert_eq!(errno(side.pop(qd)), Errno::PIPE);
}

fn a_close_is_heard_by_the_kernel(libos: &str) {
    let mut side = Side::new(libos);
    let path = side.at("server");
    let listening = side.listening(&path, 4);
    let mut stream = UnixStream::connect(&path).unwrap();
    stream.set_read_timeout(LIMIT).unwrap();
    let served = side.accepted(listening);
    let accepting = side.libos.accept(listening).unwrap();
    let popped = side.libos.pop(served, None).unwrap();
    side.push(served, b"bye");
    for qd in [served, listening] {
        let closed = side.libos.close(qd);
        side.ended(closed).unwrap();
    }
    for qt in [accepting, popped] {
        assert!(matches!(side.wait(qt).outcome, Outcome::Failed(error) if error.errno() == Errno::CANCELED));
    }
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, b"bye");
    assert_eq!(UnixStream::connect(&path).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    assert!(path.exists(), "the file of the name stays");
}

/// Each of them on each back end.
macro_rules! on_each_back_end {
    ($($test:ident),+ $(,)?) => {
        mod catnap {
            $(#[test] fn $test() { super::$test("catnap"); })+
        }
        mod catcollar {
            $(#[test] fn $test() { super::$test("catcollar"); })+
        }
    };
}

on_each_back_end!(
    streams_reach_a_server_of_the_kernel,
    clients_of_the_kernel_are_served,
    abstract_names_are_names,
    datagrams_know_their_sender,
    datagrams_wait_for_room,
    connects_wait_for_the_backlog,
    errors_are_those_of_the_kernel,
    addresses_and_paths_are_not_mixed,
    a_peer_that_goes_is_noticed,
    a_close_is_heard_by_the_kernel,
);

#[test]
fn catloop_has_none_and_names_who_has() {
    let mut side = Side::new("catloop");
    for kind in [Kind::Stream, Kind::Datagram] {
        let error = side.libos.socket(Domain::Unix, kind).unwrap_err();
        assert_eq!(error.errno(), Errno::AFNOSUPPORT);
        assert!(error.to_string().contains("catnap"), "{error}");
    }
    let qd = side.libos.socket(Domain::V6, Kind::Stream).unwrap();
    assert_eq!(errno(side.libos.bind_path(qd, "/nowhere")), Errno::AFNOSUPPORT);
}
