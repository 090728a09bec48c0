// SPDX-License-Identifier: MIT OR Apache-2.0
//! One test on one back end: its processes, and the calls that most tests make.

use crate::backends::Backend;
use crate::harness::bytes::Stream;
use crate::harness::system::{now, sleep};
use crate::harness::{Context, LIMIT, Pair, Report, Role, done};
use core::net::{IpAddr, SocketAddr};
use core::ops::Deref;
use core::time::Duration;
use margay::{Completion, Config, Errno, Kind, LibOs, Outcome, Qd, Qt, Result, Sga};

/// The word of the board that has the server's port.
const PORT: usize = 47;

/// One test on one back end.
pub struct Subject {
    backend: &'static Backend,
    test: &'static str,
}

impl Subject {
    /// `test` is the path of a function inside the test function.
    pub fn new(backend: &'static Backend, test: &'static str) -> Self {
        Self { backend, test }
    }

    /// A test with a process for each role; see [`Pair`].
    pub fn pair<'a>(&self) -> Play<'a> {
        Play { pair: Pair::new(self.test), backend: self.backend }
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
        config.libos = Some(self.backend.libos.to_owned());
        (self.backend.configure)(&mut config);
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
        LibOs::new(&config).expect("the LibOs starts")
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

    /// The usual address with this port.
    pub fn at(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.backend.host, port)
    }

    /// A datagram socket at a free port.
    pub fn bound_datagram(&self, libos: &mut LibOs) -> (Qd, SocketAddr) {
        let qd = self.datagram(libos);
        libos.bind(qd, self.at(0)).expect("a port is free");
        (qd, libos.local_address(qd).expect("it is a socket"))
    }

    /// A stream socket that listens at a free port.
    pub fn listen(&self, libos: &mut LibOs, backlog: usize) -> (Qd, SocketAddr) {
        let qd = self.stream(libos);
        libos.bind(qd, self.at(0)).expect("a port is free");
        libos.listen(qd, backlog).expect("it is bound");
        (qd, libos.local_address(qd).expect("it is a socket"))
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
        self.at(u16::try_from(self.board.wait(PORT, 1)).expect("it is a port"))
    }

    /// A connection to this address.
    pub fn connect(&self, libos: &mut LibOs, to: SocketAddr) -> Qd {
        let qd = self.stream(libos);
        let qt = libos.connect(qd, to).expect("it can connect");
        connected(libos, qt);
        qd
    }

    /// A connection to the server.
    pub fn call(&self, libos: &mut LibOs) -> Qd {
        let to = self.announced();
        self.connect(libos, to)
    }

    /// Both ends of a connection within one LibOs.
    pub fn two_ends(&self, libos: &mut LibOs) -> [Qd; 2] {
        let (listening, address) = self.listen(libos, 1);
        let near = self.connect(libos, address);
        let far = accept(libos, listening);
        close(libos, listening);
        [near, far]
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
    for _ in 0..10_000 {
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
