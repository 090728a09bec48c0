// SPDX-License-Identifier: MIT OR Apache-2.0
//! One of the eight: a LibOs with whatever comes and goes on it, and after some time another one.

use crate::harness::Random;
use crate::harness::board::Board;
use crate::harness::system::{descriptors, now};
use crate::link::{Link, Origin, Popped};
use crate::{
    ACCEPTED, BEAT, BYTES, DATAGRAM_PORT, DATAGRAMS, DIRECTORY, ENDS, FRAMES, LIBOS, LIBOSES, OPENED, PARENT, PIPE,
    RESETS, SEED, STOP, STREAM_PORT, WORKERS, config, patience,
};
use core::net::SocketAddr;
use core::sync::atomic::Ordering;
use core::time::Duration;
use margay::config::Spin;
use margay::{Completion, Domain, Errno, Kind, LibOs, Outcome, Qd};
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

const LINKS: usize = 24;

struct Worker<'a> {
    index: usize,
    board: &'a Board,
    /// The kernel carries the sockets.
    kernel: bool,
    random: Random,
    libos: LibOs,
    listening: Qd,
    datagrams: Qd,
    links: HashMap<Qd, Link>,
    /// Closed, and the close is not done.
    closing: HashSet<Qd>,
    /// Of each sender of datagrams the last number.
    senders: HashMap<u64, u64>,
    /// This sender's own.
    sent: (u64, u64),
}

fn host(index: usize, port: u64) -> SocketAddr {
    let port = u16::try_from(port).expect("it is a port");
    // Half of them speak IPv6.
    if index.is_multiple_of(2) {
        ([127, 0, 0, 1], port).into()
    } else {
        ("::1".parse::<core::net::Ipv6Addr>().unwrap(), port).into()
    }
}

/// The worker's whole life.
pub fn run(index: usize) -> ! {
    let variable = |name: &str| std::env::var(name).expect("the first process has set it");
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL)).unwrap();
    assert_eq!(std::os::unix::process::parent_id().to_string(), variable(PARENT), "the first process is there");
    let directory = PathBuf::from(variable(DIRECTORY));
    let board = Board::open(&directory);
    let mut random = Random::new(variable(SEED).parse().unwrap());
    let before = descriptors();
    let name = variable(LIBOS);
    while board.get(STOP) == 0 {
        let mut config = config(&name, &directory.join("pipes"));
        config.catloop.ring = 4096 << random.below(5);
        config.catloop.slot = 4096;
        config.catloop.connect_timeout = Duration::from_millis(500);
        config.catmem.ring = 4096 << random.below(5);
        config.catmem.slot = 4096;
        config.wait.spin = Spin::For(Duration::from_micros(random.below(2) * 50));
        let mut libos = LibOs::new(&config).unwrap();
        board.word(LIBOSES).fetch_add(1, Ordering::Relaxed);
        let any = host(index, 0);
        let listening = libos.socket(Domain::of(&any), Kind::Stream).unwrap();
        libos.bind(listening, any).unwrap();
        libos.listen(listening, 1 + random.below(4) as usize).unwrap();
        let datagrams = libos.socket(Domain::of(&any), Kind::Datagram).unwrap();
        libos.bind(datagrams, any).unwrap();
        board.set(STREAM_PORT + index, u64::from(libos.local_address(listening).unwrap().port()));
        board.set(DATAGRAM_PORT + index, u64::from(libos.local_address(datagrams).unwrap().port()));
        let mut worker = Worker {
            index,
            board: &board,
            kernel: name != "catloop",
            sent: (random.next(), 0),
            random: Random::new(random.next()),
            libos,
            listening,
            datagrams,
            links: HashMap::new(),
            closing: HashSet::new(),
            senders: HashMap::new(),
        };
        worker.work();
        worker.end();
        assert_eq!(descriptors(), before, "descriptors");
    }
    std::process::exit(0);
}

impl Worker<'_> {
    fn count(&self, word: usize, by: u64) {
        self.board.word(word).fetch_add(by, Ordering::Relaxed);
    }

    /// Does things at random, for some seconds.
    fn work(&mut self) {
        for _ in 0..2 {
            self.libos.accept(self.listening).unwrap();
            self.libos.pop(self.datagrams, None).unwrap();
        }
        let end = now() + self.random.below(6_000_000_000);
        while now() < end && self.board.get(STOP) == 0 {
            self.board.word(BEAT + self.index).fetch_add(1, Ordering::Relaxed);
            self.meet();
            let mut qds: Vec<Qd> = self.links.keys().copied().collect();
            // In an order that the seed alone decides.
            qds.sort_unstable();
            for qd in qds {
                self.touch(qd);
            }
            let limit = Duration::from_micros(self.random.below(2000));
            self.take(limit);
        }
    }

    /// New links, and datagrams.
    fn meet(&mut self) {
        let other = self.random.below(WORKERS as u64) as usize;
        match self.random.below(12) {
            0 | 1 if self.links.len() < LINKS => {
                let port = self.board.get(STREAM_PORT + other);
                if port != 0 {
                    let to = host(other, port);
                    let qd = self.libos.socket(Domain::of(&to), Kind::Stream).unwrap();
                    self.libos.connect(qd, to).unwrap();
                    self.links.insert(qd, Link::new(qd, Origin::Connected));
                }
            }
            2 if self.board.get(PIPE + self.index) == 0 && self.links.len() < LINKS => {
                let number = 1 + self.random.below(1 << 40);
                let qd = self.libos.create_pipe(&format!("{}-{number}", self.index)).unwrap();
                self.links.insert(qd, Link::new(qd, Origin::Created));
                self.board.set(PIPE + self.index, number);
            }
            3 if self.links.len() < LINKS => {
                // Whoever takes it leaves nothing for the others.
                let number = self.board.word(PIPE + other).swap(0, Ordering::AcqRel);
                if number != 0 {
                    match self.libos.open_pipe(&format!("{other}-{number}")) {
                        Ok(qd) => {
                            self.links.insert(qd, Link::new(qd, Origin::Opened));
                            self.count(OPENED, 1);
                        }
                        Err(error) => {
                            let fair = [Errno::NOENT, Errno::CONNREFUSED, Errno::CONNRESET];
                            assert!(fair.contains(&error.errno()), "opening a pipe: {error}");
                        }
                    }
                }
            }
            4..7 => {
                let port = self.board.get(DATAGRAM_PORT + other);
                // Of the same family.
                if port != 0 && other % 2 == self.index % 2 {
                    self.sent.1 += 1;
                    let len = self.random.length(3000);
                    let mut bytes = [self.sent.0, self.sent.1].map(u64::to_le_bytes).concat();
                    bytes.extend(crate::harness::bytes::message(len, self.sent.0, self.sent.1));
                    self.libos.push_to(self.datagrams, &bytes[..], host(other, port)).unwrap();
                }
            }
            _ => {}
        }
    }

    fn touch(&mut self, qd: Qd) {
        let Some(link) = self.links.get_mut(&qd) else { return };
        link.act(&mut self.libos, &mut self.random);
        let cut = self.random.below(600) == 0 && link.cut(&mut self.libos);
        let leave = self.random.below(20) == 0 && link.may_close();
        if cut || leave || link.is_done() {
            self.close(qd);
        }
    }

    fn close(&mut self, qd: Qd) {
        self.links.remove(&qd);
        self.libos.close(qd).unwrap();
        self.closing.insert(qd);
    }

    /// Completions, waiting for at most so long.
    fn take(&mut self, limit: Duration) {
        let mut out = Vec::new();
        match self.libos.wait_next_n(&mut out, 64, Some(limit)) {
            Ok(_) => out.into_iter().for_each(|completion| self.completed(completion)),
            Err(error) => assert_eq!(error.errno(), Errno::TIMEDOUT, "waiting: {error}"),
        }
    }

    fn completed(&mut self, completion: Completion) {
        let qd = completion.qd;
        if self.closing.contains(&qd) {
            // What came before the close, or with it.
            match completion.outcome {
                Outcome::Close => drop(self.closing.remove(&qd)),
                Outcome::Accept(accepted) => drop(self.links.insert(accepted, Link::new(accepted, Origin::Accepted))),
                _ => {}
            }
            return;
        }
        if qd == self.listening {
            let accepted = completion.accepted().expect("a listening socket accepts");
            self.links.insert(accepted, Link::new(accepted, Origin::Accepted));
            self.count(ACCEPTED, 1);
            self.libos.accept(self.listening).unwrap();
            return;
        }
        if qd == self.datagrams {
            self.datagram(completion);
            return;
        }
        let Some(link) = self.links.get_mut(&qd) else { panic!("{completion:?} of nobody") };
        let popped = match completion.outcome {
            Outcome::Connect => {
                link.connected();
                Popped::Nothing
            }
            Outcome::Push => {
                link.pushed(Ok(()));
                Popped::Nothing
            }
            Outcome::Pop(message) => link.popped(completion.qt, Ok(message), self.kernel),
            Outcome::Failed(error) if link.failed(completion.qt, error) => {
                self.close(qd);
                return;
            }
            Outcome::Failed(error) if link.is_pop(completion.qt) => link.popped(completion.qt, Err(error), self.kernel),
            Outcome::Failed(error) => {
                link.pushed(Err(error));
                Popped::Nothing
            }
            other => panic!("{other:?}"),
        };
        match popped {
            Popped::Nothing => {}
            Popped::Frames(frames, bytes) => {
                self.count(FRAMES, frames);
                self.count(BYTES, bytes);
            }
            Popped::End => self.count(ENDS, 1),
            Popped::Reset => self.count(RESETS, 1),
        }
    }

    fn datagram(&mut self, completion: Completion) {
        match completion.outcome {
            Outcome::Push => {}
            Outcome::Datagram(datagram) => {
                assert!(datagram.sender().ip().is_loopback() && datagram.sender().port() != 0);
                let bytes = datagram.into_message().to_vec();
                let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("it has eight bytes"));
                let (sender, number) = (word(0), word(8));
                assert!(
                    bytes[16..] == crate::harness::bytes::message(bytes.len() - 16, sender, number),
                    "datagram {number}"
                );
                let last = self.senders.insert(sender, number);
                assert!(last < Some(number), "datagram {number} behind {last:?}");
                self.count(DATAGRAMS, 1);
                self.libos.pop(self.datagrams, None).unwrap();
            }
            other => panic!("{other:?} of a datagram socket"),
        }
    }

    /// Everything comes to its end: streams say their last, and all is closed.
    fn end(mut self) {
        for word in [STREAM_PORT, DATAGRAM_PORT, PIPE] {
            self.board.set(word + self.index, 0);
        }
        for qd in [self.listening, self.datagrams] {
            self.libos.close(qd).unwrap();
            self.closing.insert(qd);
        }
        let deadline = now() + patience();
        while !self.links.is_empty() || !self.closing.is_empty() {
            assert!(now() < deadline, "{} links and {} closes do not end", self.links.len(), self.closing.len());
            self.board.word(BEAT + self.index).fetch_add(1, Ordering::Relaxed);
            for qd in self.links.keys().copied().collect::<Vec<_>>() {
                let Some(link) = self.links.get_mut(&qd) else { continue };
                link.keep_popping(&mut self.libos, &mut self.random);
                link.finish(&mut self.libos, &mut self.random);
                if link.may_close() {
                    self.close(qd);
                }
            }
            self.take(Duration::from_millis(2));
        }
        assert_eq!(self.libos.queues(), 0);
        // A back end may keep two at hand, for what streams and datagrams get next.
        let kept = if self.kernel { 2 } else { 0 };
        let in_use = self.libos.pool_stats().map(|stats| stats.in_use);
        assert!(in_use.iter().all(|&count| count <= kept), "buffers are in use: {in_use:?}");
    }
}
