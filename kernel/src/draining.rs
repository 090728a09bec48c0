// SPDX-License-Identifier: MIT OR Apache-2.0
//! Closing a stream whose peer may still be sending.
//!
//! `close(2)` answers bytes that nobody has read with a reset, and so does the kernel what arrives later; either throws away
//! what it still has to send (RFC 9293, 3.10.4; RFC 2525, 2.17). So the stream is ended first, and what comes is read away until the peer has
//! ended, too, or has taken everything and falls silent: the way out that RFC 9112, 9.6 describes. The bounds are
//! [`DRAINED_MAX`] bytes and [`DRAINED_FOR`]; beyond them the socket is closed as it is.

use crate::Socket;
use crate::raw::{discard, unsent};
use runtime::limits::{DRAINED_FOR, DRAINED_MAX, DRAINED_PER_LOOK, DRAINED_SILENCE};
use runtime::socket::{Domain, Kind};
use runtime::time::Time;
use rustix::net::{Shutdown, shutdown};

/// What `SIOCOUTQ` counts for the end alone.
const END: usize = 1;

/// What a look has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// Close it: nothing that was sent can be lost by that, or the bounds are reached.
    Over,
    /// Look again when something has come, or at this time.
    Until(Time),
    /// There is more: look again after others had their turn.
    More,
}

/// A stream that the application has closed.
#[derive(Clone, Copy, Debug)]
pub struct Draining {
    until: Time,
    /// Bytes that it may still take.
    left: usize,
    /// When something came last; `None`: nothing has since the close.
    heard: Option<Time>,
}

/// What was read away of a stream.
enum Read {
    Bytes(usize),
    /// All that the peer will ever send.
    All,
}

/// Reads away what is there, up to so many bytes.
fn read_away(socket: &Socket, most: usize) -> Read {
    let mut read = 0;
    while read < most {
        match discard(socket, most - read) {
            Ok(Some(0)) | Err(_) => return Read::All,
            Ok(Some(bytes)) => read += bytes,
            Ok(None) => break,
        }
    }
    Read::Bytes(read)
}

impl Draining {
    /// Ends the stream of a socket that is to be closed, and reads away what is there. `unread`: something has come that was taken from
    /// the kernel, and that nobody has popped. `None`: it can be closed at once.
    pub fn begin(socket: &Socket, unread: bool, now: Time) -> Option<Self> {
        if socket.kind() != Kind::Stream || !socket.is_connected() {
            return None;
        }
        if socket.domain() == Domain::Unix {
            // What was sent is with the peer already. It cannot send any more, so that what is there is all.
            let _ = shutdown(socket, Shutdown::Both);
            read_away(socket, DRAINED_MAX);
            return None;
        }
        // Where this fails, nothing is on its way.
        socket.shutdown_write().ok()?;
        let heard = match read_away(socket, DRAINED_PER_LOOK) {
            Read::All => return None,
            Read::Bytes(0) if !unread && !is_sending(socket) => return None,
            Read::Bytes(0) if !unread => None,
            Read::Bytes(_) => Some(now),
        };
        Some(Self { until: now + DRAINED_FOR, left: DRAINED_MAX, heard })
    }

    /// Whether something has come at this time.
    #[must_use]
    pub fn has_heard_at(&self, now: Time) -> bool {
        self.heard == Some(now)
    }

    /// Reads away what has come.
    pub fn look(&mut self, socket: &Socket, now: Time) -> Drained {
        let most = self.left.min(DRAINED_PER_LOOK);
        let Read::Bytes(read) = read_away(socket, most) else { return Drained::Over };
        self.left -= read.min(self.left);
        if read > 0 {
            self.heard = Some(now);
        }
        let silent = self.heard.is_none_or(|heard| now >= heard + DRAINED_SILENCE);
        if self.left == 0 || now >= self.until || (silent && !is_sending(socket)) {
            return Drained::Over;
        }
        if read == most { Drained::More } else { Drained::Until(self.until.min(now + DRAINED_SILENCE)) }
    }
}

/// Whether bytes are on their way to the peer; its end alone may be.
fn is_sending(socket: &Socket) -> bool {
    unsent(socket).is_ok_and(|bytes| bytes > END)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Connecting;
    use core::time::Duration;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    const NAP: Duration = Duration::from_millis(1);
    const TRIES: u32 = 20_000;

    fn connection() -> (Socket, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut socket = Socket::open(Domain::V4, Kind::Stream).unwrap();
        socket.begin_connect(listener.local_addr().unwrap()).unwrap();
        while socket.connecting().unwrap() != Connecting::Done {
            std::thread::sleep(NAP);
        }
        (socket, listener.accept().unwrap().0)
    }

    /// As [`Draining::begin`], once the peer has acknowledged what it takes.
    fn begin(socket: &Socket, unread: bool) -> Option<Draining> {
        for _ in 0..TRIES {
            if !is_sending(socket) {
                break;
            }
            std::thread::sleep(NAP);
        }
        Draining::begin(socket, unread, Time::ZERO)
    }

    #[test]
    fn a_silent_peer_is_left_at_once() {
        let (socket, mut peer) = connection();
        rustix::net::send(&socket, b"all", rustix::net::SendFlags::empty()).unwrap();
        assert!(begin(&socket, false).is_none());
        drop(socket);
        let mut answer = Vec::new();
        peer.read_to_end(&mut answer).unwrap();
        assert_eq!(answer, b"all");
        assert!(Draining::begin(&Socket::open(Domain::V4, Kind::Stream).unwrap(), true, Time::ZERO).is_none());
    }

    #[test]
    fn one_that_was_heard_has_time() {
        for before in [true, false] {
            let (socket, mut peer) = connection();
            if !before {
                peer.write_all(b"not read").unwrap();
            }
            let mut draining = (0..TRIES)
                .find_map(|_| {
                    std::thread::sleep(NAP);
                    begin(&socket, before)
                })
                .unwrap();
            assert!(draining.has_heard_at(Time::ZERO));
            let silent = Time::ZERO + DRAINED_SILENCE;
            assert_eq!(draining.look(&socket, Time::ZERO), Drained::Until(silent));
            assert_eq!(draining.look(&socket, silent), Drained::Over);
            drop(peer);
        }
    }

    #[test]
    fn the_end_of_the_peer_is_the_end() {
        let (socket, peer) = connection();
        let mut draining = begin(&socket, true).unwrap();
        drop(peer);
        let over = (0..TRIES).any(|_| {
            std::thread::sleep(NAP);
            draining.look(&socket, Time::ZERO) == Drained::Over
        });
        assert!(over);
    }

    #[test]
    fn one_that_takes_nothing_has_its_time_and_no_more() {
        let (socket, peer) = connection();
        let bytes = vec![7; 1 << 16];
        while rustix::net::send(&socket, &bytes, rustix::net::SendFlags::DONTWAIT).is_ok() {}
        let mut draining = Draining::begin(&socket, false, Time::ZERO).unwrap();
        let last = Time::ZERO + DRAINED_FOR;
        assert_eq!(
            draining.look(&socket, Time::ZERO + 4 * DRAINED_SILENCE),
            Drained::Until(Time::ZERO + 5 * DRAINED_SILENCE)
        );
        assert_eq!(draining.look(&socket, last - NAP), Drained::Until(last));
        assert_eq!(draining.look(&socket, last), Drained::Over);
        drop(peer);
    }

    #[test]
    fn one_that_never_stops_may_send_so_much() {
        let (socket, mut peer) = connection();
        let mut draining = begin(&socket, true).unwrap();
        let sender = std::thread::spawn(move || {
            let bytes = vec![7; 1 << 16];
            let mut sent = 0;
            while peer.write_all(&bytes).is_ok() {
                sent += bytes.len();
            }
            sent
        });
        let mut tries = 0;
        while draining.look(&socket, Time::ZERO) != Drained::Over {
            tries += 1;
            assert!(tries < 1000 * TRIES);
        }
        assert_eq!(draining.left, 0);
        drop(socket);
        assert!(sender.join().unwrap() >= DRAINED_MAX);
    }
}
