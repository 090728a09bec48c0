// SPDX-License-Identifier: MIT OR Apache-2.0
//! Streams and datagrams at random between two LibOses over ports of DPDK that lose one frame in a hundred: every byte comes, once and in
//! its order, and at the end every packet buffer is back in its pool.
//!
//! Both are in this process, so that its pools can be counted. `MARGAY_SOAK_SECONDS` makes it last longer, `MARGAY_TEST_SEED` repeats
//! its choices (not its timing).

#![cfg(feature = "catnip-dpdk")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where what it stands on is missing")]

#[path = "common/harness/mod.rs"]
mod harness;

use core::time::Duration;
use harness::system::now;
use harness::{LIMIT, Random};
use margay::config::Spin;
use margay::config::catnip::{MILLION, Wire};
use margay::{Completion, Config, Domain, Errno, Kind, LibOs, Outcome, Qd};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;

const SECONDS: u64 = 20;
const ADDRESSES: [&str; 2] = ["10.9.8.1", "10.9.8.2"];
const PORT: u16 = 7;
/// Of each kind.
const SOCKETS: usize = 16;
/// The longest request: more than a window at first, or a datagram of several fragments.
const LONGEST: usize = 100_000;
const LONGEST_DATAGRAM: usize = 8_000;
/// Requests of a connection until it is closed and another one takes its place, at most.
const REQUESTS: usize = 20;
const BATCH: usize = 64;
/// Nanoseconds until a datagram is sent again.
const AGAIN: u64 = 200_000_000;

/// The byte of a socket's stream at a place.
fn byte(key: u64, at: usize) -> u8 {
    ((at as u64 ^ key).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8
}

fn bytes(key: u64, at: usize, len: usize) -> Vec<u8> {
    (at..at + len).map(|at| byte(key, at)).collect()
}

fn libos(directory: &Path, end: usize, seed: u64) -> LibOs {
    let role = if end == 0 { "server" } else { "client" };
    let mut config = Config { libos: Some("catnip".to_owned()), ..Config::default() };
    config.catmem.directory = Some(directory.to_owned());
    config.wait.spin = Spin::For(Duration::ZERO);
    config.catnip.device = Wire::Dpdk;
    let socket = directory.join("memif.sock");
    let port = format!("net_memif_soak{end},role={role},id=0,socket={},socket-abstract=no", socket.display());
    config.catnip.dpdk.port = Some(port);
    config.catnip.addresses = vec![format!("{}/24", ADDRESSES[end]).parse().unwrap()];
    config.catnip.faults =
        Some(margay::config::catnip::Faults { seed, drop: MILLION / 100, ..margay::config::catnip::Faults::default() });
    LibOs::new(&config).unwrap()
}

/// What is done, without waiting.
fn turn(libos: &mut LibOs, done: &mut Vec<Completion>) {
    match libos.wait_next_n(done, BATCH, Some(Duration::ZERO)) {
        Err(error) if error.errno() == Errno::TIMEDOUT => {}
        other => drop(other.unwrap()),
    }
}

/// Sends everything back.
struct Server {
    libos: LibOs,
    listening: Qd,
    datagrams: Qd,
}

impl Server {
    fn new(mut libos: LibOs) -> Self {
        let at: SocketAddr = (ADDRESSES[0].parse::<std::net::IpAddr>().unwrap(), PORT).into();
        let listening = libos.socket(Domain::V4, Kind::Stream).unwrap();
        libos.bind(listening, at).unwrap();
        libos.listen(listening, SOCKETS).unwrap();
        libos.accept(listening).unwrap();
        let datagrams = libos.socket(Domain::V4, Kind::Datagram).unwrap();
        libos.bind(datagrams, at).unwrap();
        libos.pop(datagrams, None).unwrap();
        Self { libos, listening, datagrams }
    }

    fn work(&mut self, done: &mut Vec<Completion>) {
        turn(&mut self.libos, done);
        for completion in done.drain(..) {
            let (libos, qd) = (&mut self.libos, completion.qd);
            match completion.outcome {
                Outcome::Accept(connection) => {
                    libos.pop(connection, None).unwrap();
                    libos.accept(self.listening).unwrap();
                }
                Outcome::Pop(end) if end.is_empty() => drop(libos.close(qd).unwrap()),
                Outcome::Pop(part) => {
                    libos.push(qd, part).unwrap();
                    libos.pop(qd, None).unwrap();
                }
                Outcome::Datagram(request) => {
                    let sender = request.sender();
                    libos.push_to(qd, request.into_message(), sender).unwrap();
                    libos.pop(self.datagrams, None).unwrap();
                }
                Outcome::Push | Outcome::Close => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

/// One socket of the client.
struct Caller {
    kind: Kind,
    key: u64,
    /// Where in its stream the request begins, how long it is, and how much of the answer has come.
    at: usize,
    len: usize,
    came: usize,
    /// Requests that are still to come.
    left: usize,
    since: u64,
}

struct Client {
    libos: LibOs,
    callers: HashMap<Qd, Caller>,
    random: Random,
    /// Answers that were right, by their kind, and connections that were made.
    answers: [u64; 2],
    connections: u64,
    stops: bool,
}

impl Client {
    fn new(libos: LibOs, seed: u64) -> Self {
        let random = Random::new(seed);
        let mut client = Self { libos, callers: HashMap::new(), random, answers: [0; 2], connections: 0, stops: false };
        for _ in 0..SOCKETS {
            client.begin(Kind::Stream);
            client.begin(Kind::Datagram);
        }
        client
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.random.next() % bound as u64) as usize
    }

    fn begin(&mut self, kind: Kind) {
        let qd = self.libos.socket(Domain::V4, kind).unwrap();
        let to: SocketAddr = (ADDRESSES[0].parse::<std::net::IpAddr>().unwrap(), PORT).into();
        self.libos.connect(qd, to).unwrap();
        let (key, left) = (self.random.next(), 1 + self.below(REQUESTS));
        self.callers.insert(qd, Caller { kind, key, at: 0, len: 0, came: 0, left, since: now() });
    }

    /// The next request of a socket.
    fn ask(&mut self, qd: Qd) {
        let longest = if self.callers[&qd].kind == Kind::Stream { LONGEST } else { LONGEST_DATAGRAM };
        // Mostly short ones.
        let bound = if self.below(4) == 0 { longest } else { 1000 };
        let len = 1 + self.below(bound);
        let caller = self.callers.get_mut(&qd).unwrap();
        (caller.at, caller.len, caller.came, caller.since) = (caller.at + caller.len, len, 0, now());
        let request = bytes(caller.key, caller.at, len);
        self.libos.push(qd, &request[..]).unwrap();
        self.libos.pop(qd, None).unwrap();
    }

    /// What came for a socket; the next step, if its answer is whole.
    fn came(&mut self, qd: Qd, part: &[u8]) {
        let caller = self.callers.get_mut(&qd).unwrap();
        if caller.kind == Kind::Datagram {
            if part != bytes(caller.key, caller.at, caller.len) {
                // The second answer to an earlier request.
                self.libos.pop(qd, None).unwrap();
                return;
            }
            caller.came = caller.len;
        } else {
            assert_eq!(part, bytes(caller.key, caller.at + caller.came, part.len()), "of a stream");
            caller.came += part.len();
            assert!(caller.came <= caller.len);
        }
        caller.since = now();
        if caller.came < caller.len {
            self.libos.pop(qd, None).unwrap();
            return;
        }
        self.answers[usize::from(caller.kind == Kind::Datagram)] += 1;
        caller.left -= 1;
        if caller.left > 0 && !self.stops {
            return self.ask(qd);
        }
        let kind = caller.kind;
        self.callers.remove(&qd);
        self.libos.close(qd).unwrap();
        if !self.stops {
            self.begin(kind);
        }
    }

    fn work(&mut self, done: &mut Vec<Completion>) {
        turn(&mut self.libos, done);
        for completion in done.drain(..) {
            let qd = completion.qd;
            match completion.outcome {
                Outcome::Connect => {
                    self.connections += u64::from(self.callers[&qd].kind == Kind::Stream);
                    self.ask(qd);
                }
                Outcome::Pop(part) => self.came(qd, &part.to_vec()),
                Outcome::Datagram(answer) => self.came(qd, &answer.into_message().to_vec()),
                Outcome::Push | Outcome::Close => {}
                // Of a datagram that was sent again, when its answer came all the same.
                Outcome::Failed(error) if error.errno() == Errno::CANCELED => {}
                other => panic!("{qd:?}: {other:?}"),
            }
        }
    }

    /// Datagrams without an answer are sent again; everything else must go on by itself.
    fn look_after(&mut self) {
        let (now, limit) = (now(), LIMIT.unwrap().as_nanos() as u64);
        for (&qd, caller) in &mut self.callers {
            assert!(now - caller.since < limit, "{:?}: {} of {} bytes came", caller.kind, caller.came, caller.len);
            if caller.kind == Kind::Datagram && caller.len > 0 && now - caller.since > AGAIN {
                let request = bytes(caller.key, caller.at, caller.len);
                self.libos.push(qd, &request[..]).unwrap();
            }
        }
    }
}

#[test]
fn mixed_traffic_with_losses_leaves_no_packet_buffer_behind() {
    let seconds = std::env::var("MARGAY_SOAK_SECONDS").map_or(SECONDS, |text| text.parse().expect("seconds"));
    let seed = std::env::var("MARGAY_TEST_SEED").map_or(now(), |text| text.parse().expect("a number"));
    println!("seed: again with MARGAY_TEST_SEED={seed}");
    let directory = tempfile::tempdir().unwrap();
    let mut server = Server::new(libos(directory.path(), 0, seed));
    let mut client = Client::new(libos(directory.path(), 1, seed + 1), seed);
    assert!(catnip::device::dpdk::pools() > 0);
    let (mut done, end) = (Vec::with_capacity(BATCH), now() + seconds * 1_000_000_000);
    let mut look = now() + AGAIN;
    while !client.callers.is_empty() {
        server.work(&mut done);
        client.work(&mut done);
        if now() > look {
            client.look_after();
            look = now() + AGAIN;
            client.stops = now() > end;
        }
    }
    let (drops, [streams, datagrams]) = (client.libos.counters().drops, client.answers);
    println!("{streams} answers on {} connections, {datagrams} by datagrams; {drops} drops", client.connections);
    assert!(streams > 0 && datagrams > 0 && client.connections > SOCKETS as u64);
    drop((server, client, done));
    assert_eq!(catnip::device::dpdk::pools(), 0, "a pool stays as long as one of its packet buffers is out");
}
