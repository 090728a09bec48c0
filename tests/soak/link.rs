// SPDX-License-Identifier: MIT OR Apache-2.0
//! One end of a stream, over a socket or a pipe: what is under way on it, and how it comes to its end.

use crate::frames::{Receiver, Sender};
use crate::harness::Random;
use crate::harness::system::now;
use crate::patience;
use core::time::Duration;
use margay::{Errno, Error, LibOs, Qd, Qt, Result, Sga, SocketOption};
use std::collections::VecDeque;
use std::net::Shutdown;

/// Pushes under way at most.
const PUSHES: usize = 6;
const POPS: usize = 3;

/// How a link came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    Connected,
    Accepted,
    /// Others find it by its name; nobody may ever come.
    Created,
    Opened,
}

/// One end of a stream.
#[expect(clippy::struct_excessive_bools, reason = "they are independent: any of them may come first")]
pub struct Link {
    pub qd: Qd,
    pub origin: Origin,
    sender: Sender,
    receiver: Receiver,
    /// When each push that is under way was begun.
    pushes: VecDeque<u64>,
    pops: VecDeque<Qt>,
    /// The last frame was pushed.
    said_all: bool,
    /// The peer's end was popped, or there will be none.
    heard_all: bool,
    /// Pushes fail: the peer has gone.
    broken: bool,
    connecting: bool,
}

impl Link {
    pub fn new(qd: Qd, origin: Origin) -> Self {
        Self {
            qd,
            origin,
            sender: Sender::default(),
            receiver: Receiver::default(),
            pushes: VecDeque::new(),
            pops: VecDeque::new(),
            said_all: false,
            heard_all: false,
            broken: false,
            connecting: origin == Origin::Connected,
        }
    }

    pub fn connected(&mut self) {
        self.connecting = false;
    }

    /// Whether there is nothing more to do but to close it.
    pub fn is_done(&self) -> bool {
        (self.said_all || self.broken) && self.pushes.is_empty() && self.heard_all
    }

    /// Whether it could be closed without a loss: all was said, and taken.
    pub fn may_close(&self) -> bool {
        (self.said_all && self.pushes.is_empty()) || self.broken
    }

    fn push(&mut self, libos: &mut LibOs, random: &mut Random, len: usize, last: bool) -> bool {
        let mut sender = self.sender.clone();
        let frame = sender.frame(random, len, last);
        match libos.push(self.qd, &frame[..]) {
            Ok(_) => {
                // Only what was accepted counts.
                self.sender = sender;
                self.pushes.push_back(now());
                true
            }
            Err(error) => {
                assert!([Errno::NOBUFS, Errno::AGAIN].contains(&error.errno()), "a push: {error}");
                false
            }
        }
    }

    /// Something at random.
    pub fn act(&mut self, libos: &mut LibOs, random: &mut Random) {
        self.check();
        self.keep_popping(libos, random);
        // A pipe that nobody has opened yet would only fill up.
        let silent = self.origin == Origin::Created && !self.receiver.has_begun();
        match random.below(40) {
            0 => self.finish(libos, random),
            1 if !self.pops.is_empty() => {
                let index = random.below(self.pops.len() as u64) as usize;
                // Too late is fair.
                let _ = libos.cancel(self.pops[index]);
            }
            2..25 if !self.said_all && !self.broken && !silent && self.pushes.len() < PUSHES => {
                let most = if random.below(30) == 0 { 200_000 } else { 6000 };
                let len = random.length(most);
                self.push(libos, random, len, false);
            }
            _ => {}
        }
    }

    /// Says all that is to be said, and shuts the queue down for writing behind it, or leaves that to the close.
    pub fn finish(&mut self, libos: &mut LibOs, random: &mut Random) {
        if !self.said_all && !self.broken && self.push(libos, random, 0, true) {
            self.said_all = true;
            if random.below(2) == 0
                && let Err(error) = libos.shutdown(self.qd, Shutdown::Write)
            {
                let fair = [Errno::PIPE, Errno::CONNRESET, Errno::NOTCONN, Errno::AGAIN];
                assert!(fair.contains(&error.errno()), "a half-close: {error}");
            }
        }
    }

    fn is_socket(&self) -> bool {
        matches!(self.origin, Origin::Connected | Origin::Accepted)
    }

    /// Cuts a socket off: the peer must read a reset.
    pub fn cut(&self, libos: &mut LibOs) -> bool {
        self.is_socket() && libos.set_option(self.qd, SocketOption::Linger(Some(Duration::ZERO))).is_ok()
    }

    /// A pop is always under way until the end, so that no peer waits for room for ever.
    pub fn keep_popping(&mut self, libos: &mut LibOs, random: &mut Random) {
        while !self.heard_all && !self.connecting && self.pops.len() < POPS {
            let begun = match random.below(3) {
                0 => libos.pop(self.qd, Some(random.length(20_000))),
                1 => libos.pop_in_place(self.qd),
                _ => libos.pop(self.qd, None),
            };
            match begun {
                Ok(qt) => self.pops.push_back(qt),
                Err(error) => {
                    assert_eq!(error.errno(), Errno::AGAIN, "a pop: {error}");
                    return;
                }
            }
        }
    }

    /// No push waits for ever: its peer pops, or has gone.
    fn check(&self) {
        if let Some(&since) = self.pushes.front() {
            let unheard = self.origin == Origin::Created && !self.receiver.has_begun();
            assert!(unheard || now() - since < patience(), "a push on {:?} ({:?}) is not done", self.qd, self.origin);
        }
    }

    /// Whether this token is one of its pops.
    pub fn is_pop(&self, qt: Qt) -> bool {
        self.pops.contains(&qt)
    }

    /// Whether it was the connect that failed.
    pub fn failed(&mut self, qt: Qt, error: Error) -> bool {
        if !self.connecting || self.is_pop(qt) {
            return false;
        }
        let fair = [Errno::CONNREFUSED, Errno::CONNRESET, Errno::TIMEDOUT];
        assert!(fair.contains(&error.errno()), "a connect: {error}");
        true
    }

    /// A push has ended.
    pub fn pushed(&mut self, done: Result<()>) {
        self.pushes.pop_front().expect("a push was under way");
        if let Err(error) = done {
            let fair = [Errno::PIPE, Errno::CONNRESET, Errno::NOTCONN, Errno::CONNREFUSED];
            assert!(fair.contains(&error.errno()), "a push: {error}");
            self.broken = true;
        }
    }

    /// A pop has ended. Gives frames and bytes that were checked. The kernel ends the sockets of the dead, as if they had
    /// been closed.
    pub fn popped(&mut self, qt: Qt, popped: Result<Sga>, kernel: bool) -> Popped {
        let first = self.pops.front() == Some(&qt);
        self.pops.retain(|&other| other != qt);
        match popped {
            Ok(message) if message.is_empty() => {
                assert!(first && !self.heard_all, "the end comes once");
                self.heard_all = true;
                if kernel && self.is_socket() && !self.receiver.is_whole() {
                    return Popped::Reset;
                }
                self.receiver.end();
                Popped::End
            }
            Ok(message) => {
                assert!(first, "pops complete in order");
                assert!(!self.heard_all, "nothing comes behind the end");
                let frames = message.iter().map(|part| self.receiver.take(part)).sum();
                Popped::Frames(frames, message.len() as u64)
            }
            Err(error) => match error.errno() {
                Errno::CANCELED | Errno::NOBUFS => Popped::Nothing,
                Errno::PIPE => {
                    assert!(self.heard_all, "no end was popped before: {error}");
                    Popped::Nothing
                }
                Errno::CONNRESET | Errno::NOTCONN | Errno::CONNREFUSED => {
                    self.broken = true;
                    if core::mem::replace(&mut self.heard_all, true) { Popped::Nothing } else { Popped::Reset }
                }
                _ => panic!("a pop: {error}"),
            },
        }
    }
}

/// What a pop has brought.
#[derive(Debug, PartialEq, Eq)]
pub enum Popped {
    Nothing,
    /// Frames that are complete now, and bytes.
    Frames(u64, u64),
    End,
    Reset,
}
