// SPDX-License-Identifier: MIT OR Apache-2.0
//! One test on one back end: its processes, and the calls that most tests make.

#![allow(dead_code, reason = "each test binary takes a part of it")]

use crate::backends::{Backend, Carrier};
use crate::harness::bytes::Stream;
use crate::harness::system::{now, sleep};
use crate::harness::{Context, LIMIT, Pair, Report, Role, done, pop_message, push_message};
use crate::wires::Ports;
use core::net::{IpAddr, SocketAddr};
use core::ops::Deref;
use core::sync::atomic::Ordering;
use core::time::Duration;
use margay::config::catnip::Wire;
use margay::{Completion, Config, Domain, Errno, Kind, LibOs, Outcome, Qd, Qt, Result, Sga, SocketOption};
use std::path::PathBuf;

/// The word of the board that has the server's port.
const PORT: usize = 47;
/// The word that counts the paths that were given to Unix sockets.
const PATHS: usize = 46;
/// The word that says that the server has its first LibOs.
const OPENED: usize = 45;
/// A push that is not done after so long waits for its peer: longer than TCP may hold back what it acknowledges.
const STUCK: Option<Duration> = Some(Duration::from_millis(60));

/// One test on one back end.
pub struct Subject {
    backend: &'static Backend,
    test: &'static str,
}

impl Subject {
    /// `test` is the path of a function inside the test function. None: it cannot run here, and has said so.
    pub fn new(backend: &'static Backend, test: &'static str) -> Option<Self> {
        let path = test.strip_suffix("::here").unwrap_or(test);
        let private = match backend.carrier {
            Carrier::Kernel | Carrier::Mixed(..) => true,
            Carrier::Stack(Wire::Dpdk) => !backend.ports.are_memory(),
            Carrier::Stack(wire) => wire != Wire::Socket,
            Carrier::Memory | Carrier::Unix => false,
        };
        let mut can_run = !private || crate::harness::network::own(path);
        match backend.carrier {
            Carrier::Stack(wire) if can_run => crate::wires::set_up(wire, backend.ports),
            Carrier::Mixed(kernel, wire) if can_run => {
                crate::wires::set_up(wire, backend.ports);
                crate::wires::join_with(&[backend.host, backend.other].map(|ip| crate::wires::address(ip, kernel)));
                if matches!(wire, Wire::Xdp | Wire::Dpdk) && !crate::wires::complete_frames() {
                    eprintln!("skipped - {path}: there is no ethtool");
                    can_run = false;
                }
            }
            _ => {}
        }
        can_run.then_some(Self { backend, test })
    }

    /// What carries the sockets.
    pub fn backend(&self) -> &'static Backend {
        self.backend
    }

    /// A test with a process for each role; see [`Pair`].
    pub fn pair<'a>(&self) -> Play<'a> {
        let mut pair = Pair::new(self.test);
        if self.backend.carrier == Carrier::Stack(Wire::Socket) {
            pair = pair.meanwhile(crate::wires::Hub::start);
        }
        Play { pair, backend: self.backend }
    }

    /// A test with one process of its own.
    pub fn alone(&self, act: impl FnOnce(&Side<'_>)) -> Report {
        self.pair().server(act).run()
    }
}

/// A [`Pair`] whose roles know their back end.
pub struct Play<'a> {
    pair: Pair<'a>,
    backend: &'static Backend,
}

impl<'a> Play<'a> {
    fn part(self, role: Role, act: impl FnOnce(&Side<'_>) + 'a) -> Self {
        let backend = self.backend;
        let act = move |context: &Context| act(&Side { context, backend });
        let pair = match role {
            Role::Server => self.pair.server(act),
            Role::Client => self.pair.client(act),
            Role::Intruder => self.pair.intruder(act),
        };
        Self { pair, backend }
    }

    /// What the server does.
    pub fn server(self, act: impl FnOnce(&Side<'_>) + 'a) -> Self {
        self.part(Role::Server, act)
    }

    /// What the client does.
    pub fn client(self, act: impl FnOnce(&Side<'_>) + 'a) -> Self {
        self.part(Role::Client, act)
    }

    /// What a third process does.
    pub fn third(self, act: impl FnOnce(&Side<'_>) + 'a) -> Self {
        self.part(Role::Intruder, act)
    }

    /// See [`Pair::argument`].
    pub fn argument(self, argument: u64) -> Self {
        Self { pair: self.pair.argument(argument), ..self }
    }

    /// See [`Pair::deadline`].
    pub fn deadline(self, deadline: Duration) -> Self {
        Self { pair: self.pair.deadline(deadline), ..self }
    }

    /// See [`Pair::kill`].
    pub fn kill(self, role: Role, word: usize, delay: Duration) -> Self {
        Self { pair: self.pair.kill(role, word, delay), ..self }
    }

    /// See [`Pair::run`].
    pub fn run(self) -> Report {
        self.pair.run()
    }
}

/// What a role gets: the harness's context, and its back end.
pub struct Side<'a> {
    context: &'a Context,
    /// What carries the sockets.
    pub backend: &'static Backend,
}

impl Deref for Side<'_> {
    type Target = Context;

    fn deref(&self) -> &Context {
        self.context
    }
}

impl Side<'_> {
    /// The back end's configuration in the run's own directory.
    pub fn config(&self) -> Config {
        let mut config = self.context.config();
        config.libos = Some(self.backend.libos_of(self.role).to_owned());
        (self.backend.configure)(&mut config);
        if let Some(wire) = self.backend.wire_of(self.role) {
            let wire = (wire, self.backend.ports);
            crate::wires::configure(&mut config, wire, self.role, &self.pipes, [self.host(), self.other()]);
        }
        config
    }

    /// A LibOs with that configuration.
    pub fn libos(&self) -> LibOs {
        self.libos_with(|_| ())
    }

    /// A LibOs whose configuration is changed first.
    pub fn libos_with(&self, change: impl FnOnce(&mut Config)) -> LibOs {
        let mut config = self.config();
        change(&mut config);
        let wire = self.backend.wire_of(self.role).map(|wire| (wire, self.backend.ports));
        // A guest's card is made with its host there, or not at all.
        if matches!(wire, Some((Wire::Dpdk, Ports::Vhost | Ports::VhostTso))) && self.role != Role::Server {
            self.board.wait(OPENED, 1);
        }
        let libos = LibOs::new(&config).expect("the LibOs starts");
        if let Some(wire) = wire {
            crate::wires::opened(wire, self.role);
        }
        if self.role == Role::Server {
            self.board.set(OPENED, 1);
        }
        libos
    }

    /// In a configuration that is being changed: see [`Backend::narrow`].
    pub fn narrow(&self, config: &mut Config, bytes: usize) {
        (self.backend.narrow)(config, bytes);
    }

    /// A new stream socket.
    pub fn stream(&self, libos: &mut LibOs) -> Qd {
        libos.socket(self.backend.domain, Kind::Stream).expect("there are sockets")
    }

    /// A new datagram socket.
    pub fn datagram(&self, libos: &mut LibOs) -> Qd {
        libos.socket(self.backend.domain, Kind::Datagram).expect("there are sockets")
    }

    /// The usual address of this role's host, which mostly is that of all roles.
    pub fn host(&self) -> IpAddr {
        self.mine(self.backend.host)
    }

    /// Another address of this role's host.
    pub fn other(&self) -> IpAddr {
        self.mine(self.backend.other)
    }

    /// The address that this role has in the server's place.
    fn mine(&self, ip: IpAddr) -> IpAddr {
        if self.backend.has_hosts() { crate::wires::address(ip, self.role) } else { ip }
    }

    /// The usual address with this port.
    pub fn at(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.host(), port)
    }

    /// Binds a socket to an address, or to the path that stands for it; with port 0 to any that is free.
    pub fn bind(&self, libos: &mut LibOs, qd: Qd, address: SocketAddr) -> Result<SocketAddr> {
        if self.backend.domain != Domain::Unix {
            libos.bind(qd, address)?;
            return libos.local_address(qd);
        }
        let port = match address.port() {
            0 => self.board.word(PATHS).fetch_add(1, Ordering::Relaxed) as u16 + 1,
            port => port,
        };
        libos.bind_path(qd, self.path(port))?;
        Ok(self.at(port))
    }

    /// Begins to connect a socket to an address, or to the path that stands for it.
    pub fn begin(&self, libos: &mut LibOs, qd: Qd, to: SocketAddr) -> Result<Qt> {
        match self.backend.domain {
            Domain::Unix => libos.connect_path(qd, self.path(to.port())),
            _ => libos.connect(qd, to),
        }
    }

    fn path(&self, port: u16) -> PathBuf {
        self.pipes.with_file_name(format!("socket-{port}"))
    }

    /// A datagram socket at a free port.
    pub fn bound_datagram(&self, libos: &mut LibOs) -> (Qd, SocketAddr) {
        let qd = self.datagram(libos);
        let address = self.bind(libos, qd, self.at(0)).expect("a port is free");
        (qd, address)
    }

    /// A stream socket that listens at a free port.
    pub fn listen(&self, libos: &mut LibOs, backlog: usize) -> (Qd, SocketAddr) {
        let qd = self.stream(libos);
        let address = self.bind(libos, qd, self.at(0)).expect("a port is free");
        libos.listen(qd, backlog).expect("it is bound");
        (qd, address)
    }

    /// As [`listen`](Self::listen), and tells the other roles.
    pub fn serve(&self, libos: &mut LibOs, backlog: usize) -> Qd {
        let (qd, address) = self.listen(libos, backlog);
        self.announce(address);
        qd
    }

    /// Tells the other roles at which port the server is.
    pub fn announce(&self, address: SocketAddr) {
        self.board.set(PORT, u64::from(address.port()));
    }

    /// Where the server is, once it has told so.
    pub fn announced(&self) -> SocketAddr {
        let port = u16::try_from(self.board.wait(PORT, 1)).expect("it is a port");
        SocketAddr::new(self.backend.host, port)
    }

    /// A connection to this address.
    pub fn connect(&self, libos: &mut LibOs, to: SocketAddr) -> Qd {
        let qd = self.stream(libos);
        let qt = self.begin(libos, qd, to).expect("it can connect");
        connected(libos, qt);
        qd
    }

    /// A connection to the server.
    pub fn call(&self, libos: &mut LibOs) -> Qd {
        let to = self.announced();
        self.connect(libos, to)
    }

    /// A LibOs that listens, tells the other roles, and has accepted one connection.
    pub fn served(&self) -> (LibOs, Qd) {
        self.served_with(|_| ())
    }

    /// The same, its configuration changed first.
    pub fn served_with(&self, change: impl FnOnce(&mut Config)) -> (LibOs, Qd) {
        let mut libos = self.libos_with(change);
        let listening = self.serve(&mut libos, 1);
        let qd = accept(&mut libos, listening);
        (libos, qd)
    }

    /// A LibOs that has a connection to the server.
    pub fn called(&self) -> (LibOs, Qd) {
        self.called_with(|_| ())
    }

    /// The same, its configuration changed first.
    pub fn called_with(&self, change: impl FnOnce(&mut Config)) -> (LibOs, Qd) {
        let mut libos = self.libos_with(change);
        let qd = self.call(&mut libos);
        (libos, qd)
    }

    /// A LibOs that has both ends of a connection.
    pub fn both_ends(&self) -> (LibOs, [Qd; 2]) {
        self.both_ends_with(|_| ())
    }

    /// The same, its configuration changed first.
    pub fn both_ends_with(&self, change: impl FnOnce(&mut Config)) -> (LibOs, [Qd; 2]) {
        let mut libos = self.libos_with(change);
        let qds = self.two_ends(&mut libos);
        (libos, qds)
    }

    /// Both ends of a connection within one LibOs.
    pub fn two_ends(&self, libos: &mut LibOs) -> [Qd; 2] {
        self.two_ends_that(libos, |_, _| ())
    }

    /// The same, its accepting end prepared with the listening socket that it inherits from.
    pub fn two_ends_that(&self, libos: &mut LibOs, prepare: impl FnOnce(&mut LibOs, Qd)) -> [Qd; 2] {
        let (listening, address) = self.listen(libos, 1);
        prepare(libos, listening);
        let near = self.connect(libos, address);
        let far = accept(libos, listening);
        close(libos, listening);
        [near, far]
    }

    /// Both ends of a connection, with so many bytes of a stream pushed for which a close would linger.
    pub fn ends_with_something_unread(&self, libos: &mut LibOs) -> (Qd, Qd, usize) {
        // Where it is enough that the peer's kernel has them, they are more than that takes.
        let len = if self.backend.lingers_until_read() { 1000 } else { 150_000 };
        let [near, far] = self.two_ends_that(libos, |libos, listening| {
            libos.set_option(listening, SocketOption::ReceiveBuffer(4096)).expect("it is a socket");
        });
        push_stream(libos, near, &mut Stream::new(self.seed), len);
        (near, far, len)
    }

    /// These two are the ends of one connection.
    #[track_caller]
    pub fn assert_ends(&self, libos: &mut LibOs, near: Qd, far: Qd) {
        if self.backend.domain == Domain::Unix {
            push_message(libos, near, b"it is me");
            assert_eq!(pop_message(libos, far).to_vec(), b"it is me");
        } else {
            assert_eq!(libos.peer_address(far).unwrap(), libos.local_address(near).unwrap());
        }
    }

    /// Begins to connect to somebody who does not answer: a silent host, or a server that does not work meanwhile.
    pub fn call_in_vain(&self, libos: &mut LibOs, qd: Qd) -> Qt {
        let to = self.announced();
        let to = self.backend.silent.map_or(to, |ip| with_ip(to, ip));
        self.begin(libos, qd, to).expect("it can connect")
    }

    /// Ends what [`call_in_vain`](Self::call_in_vain) has begun with a connection to the server, which works now.
    #[track_caller]
    pub fn get_through(&self, libos: &mut LibOs, qd: Qd, mut connecting: Qt) {
        if self.backend.silent.is_some() {
            libos.cancel(connecting).expect("it is pending");
            assert_eq!(ends_with(libos, connecting), Errno::CANCELED);
            let to = self.announced();
            connecting = self.begin(libos, qd, to).expect("it can connect");
        }
        connected(libos, connecting);
    }

    /// Lets the LibOs work until a word of the board is at least `value`.
    pub fn poll_until(&self, libos: &mut LibOs, word: usize, value: u64) {
        poll_until(libos, |_| self.board.get(word) >= value);
    }
}

/// Lets the LibOs work until this holds.
#[track_caller]
pub fn poll_until(libos: &mut LibOs, mut holds: impl FnMut(&mut LibOs) -> bool) {
    let deadline = now() + LIMIT.map_or(0, |limit| limit.as_nanos() as u64);
    while !holds(libos) {
        assert!(now() < deadline, "it did not come true in time");
        libos.poll();
        sleep(20_000);
    }
}

/// Lets the LibOs work for so long.
pub fn poll_for(libos: &mut LibOs, time: Duration) {
    let end = now() + time.as_nanos() as u64;
    while now() < end {
        libos.poll();
        sleep(20_000);
    }
}

/// The same address with another host.
pub fn with_ip(address: SocketAddr, ip: IpAddr) -> SocketAddr {
    SocketAddr::new(ip, address.port())
}

/// Waits for a token.
#[track_caller]
pub fn wait(libos: &mut LibOs, qt: Qt) -> Completion {
    libos.wait(qt, LIMIT).expect("it ends in time")
}

/// Waits for a connect that must succeed.
#[track_caller]
pub fn connected(libos: &mut LibOs, qt: Qt) {
    let completion = wait(libos, qt);
    assert!(matches!(completion.outcome, Outcome::Connect), "{:?}", completion.outcome);
}

/// Accepts a connection.
#[track_caller]
pub fn accept(libos: &mut LibOs, listening: Qd) -> Qd {
    let qt = libos.accept(listening).expect("it listens");
    let completion = wait(libos, qt);
    assert_eq!((completion.qd, completion.qt), (listening, qt));
    completion.accepted().expect("somebody connects")
}

/// Closes a queue and waits for that.
#[track_caller]
pub fn close(libos: &mut LibOs, qd: Qd) {
    let qt = libos.close(qd).expect("it is open");
    let completion = wait(libos, qt);
    assert!(matches!(completion.outcome, Outcome::Close), "{:?}", completion.outcome);
}

/// The errno of a call that fails at once.
#[track_caller]
pub fn errno<T>(called: Result<T>) -> Errno {
    called.err().expect("the call fails").errno()
}

/// The errno of an operation that fails, at once or with its completion.
#[track_caller]
pub fn fails(libos: &mut LibOs, begun: Result<Qt>) -> Errno {
    match begun {
        Ok(qt) => ends_with(libos, qt),
        Err(error) => error.errno(),
    }
}

/// The errno with which an operation completes.
#[track_caller]
pub fn ends_with(libos: &mut LibOs, qt: Qt) -> Errno {
    let completion = wait(libos, qt);
    match completion.outcome {
        Outcome::Failed(error) => error.errno(),
        other => panic!("the operation succeeded: {other:?}"),
    }
}

/// Pushes the next `len` bytes of a stream and waits for that.
#[track_caller]
pub fn push_stream(libos: &mut LibOs, qd: Qd, stream: &mut Stream, len: usize) {
    let qt = libos.push(qd, &stream.take(len)[..]).expect("the queue takes it");
    done(libos, qt);
}

/// One pop that must succeed; an empty message is the end.
#[track_caller]
pub fn pop(libos: &mut LibOs, qd: Qd) -> Sga {
    let qt = libos.pop(qd, None).expect("the queue is open");
    wait(libos, qt).into_message().expect("it succeeds")
}

/// Pops exactly `len` bytes of a stream, which are the right ones.
#[track_caller]
pub fn pop_stream(libos: &mut LibOs, qd: Qd, stream: &mut Stream, len: usize) {
    let end = stream.at() + len as u64;
    while stream.at() < end {
        let left = (end - stream.at()) as usize;
        let qt = libos.pop(qd, Some(left)).expect("the queue is open");
        let popped = wait(libos, qt).into_message().expect("it succeeds");
        assert!(!popped.is_empty(), "the end came {left} bytes too soon");
        assert!(popped.len() <= left, "{} bytes were popped, at most {left} were asked for", popped.len());
        stream.check(&popped);
    }
}

/// Pops the whole rest of a stream. It has `len` bytes; the end comes once, and then `EPIPE`.
#[track_caller]
pub fn pop_rest(libos: &mut LibOs, qd: Qd, stream: &mut Stream, len: usize) {
    pop_stream(libos, qd, stream, len);
    read_end(libos, qd);
}

/// The end once, then `EPIPE`.
#[track_caller]
pub fn read_end(libos: &mut LibOs, qd: Qd) {
    let end = pop(libos, qd);
    assert!(end.is_empty(), "{} bytes in place of the end", end.len());
    for _ in 0..3 {
        let begun = libos.pop(qd, None);
        assert_eq!(fails(libos, begun), Errno::PIPE);
    }
}

/// Pushes until the queue says that nobody reads any more, and gives the errno.
#[track_caller]
pub fn push_until_it_fails(libos: &mut LibOs, qd: Qd) -> Errno {
    for tries in 1..=10_000 {
        if tries % 1000 == 0 {
            // Who takes what is late, and throws it away, stops once nothing has come for a while.
            poll_for(libos, Duration::from_millis(300));
        }
        match libos.push(qd, b"anybody?") {
            Ok(qt) => match wait(libos, qt).outcome {
                Outcome::Push => sleep(100_000),
                Outcome::Failed(error) => return error.errno(),
                other => panic!("{other:?}"),
            },
            Err(error) => return error.errno(),
        }
    }
    panic!("pushes to nobody went on for ever");
}

/// Pushes pieces of a stream until one of them waits for the peer. Gives its token, and the bytes of those before it.
#[track_caller]
pub fn push_until_full(libos: &mut LibOs, qd: Qd, stream: &mut Stream, piece: usize) -> (Qt, usize) {
    let mut taken = 0;
    while taken < 64 << 20 {
        let qt = libos.push(qd, &stream.take(piece)[..]).expect("the queue takes it");
        match libos.wait(qt, STUCK) {
            Ok(completion) => completion.ok().expect("it succeeds"),
            Err(error) => {
                assert_eq!(error.errno(), Errno::TIMEDOUT);
                return (qt, taken);
            }
        }
        taken += piece;
    }
    panic!("64 MiB are under way");
}

/// Pops what is left of a stream, to its end or to a reset.
#[track_caller]
pub fn pop_to_the_end(libos: &mut LibOs, qd: Qd, stream: &mut Stream) -> Errno {
    loop {
        let qt = libos.pop(qd, None).expect("the queue is open");
        match wait(libos, qt).into_message() {
            Ok(end) if end.is_empty() => return Errno::PIPE,
            Ok(message) => stream.check(&message),
            Err(error) => return error.errno(),
        }
    }
}
