// SPDX-License-Identifier: MIT OR Apache-2.0
//! Streams between our host and those of the kernel: what both sides do in most tests.
//!
//! The kernel's side is a thread in its network, which blocks; ours works until that has ended. A stream of bytes tells at each place which
//! place it is, so that none can be lost, doubled or moved without being seen.

use catnip::StreamId;
use core::net::SocketAddr;
use core::task::Poll;
use core::time::Duration;
use runtime::buf::Sga;
use runtime::socket::Domain;
use runtime::{Errno, Result};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;

use crate::host::{Host, at};
use crate::space::Space;

/// Bytes of one push.
const PIECE: usize = 32 << 10;
/// How long a call of the kernel's side may take.
const PATIENCE: Option<Duration> = Some(Duration::from_mins(1));

/// The byte at a place of a stream: no piece of a stream is the same as one near it.
fn byte(at: u64) -> u8 {
    (at ^ (at >> 8) ^ (at >> 16) ^ (at / 251)) as u8
}

/// Writes the bytes of a stream from one place to another.
pub fn fill(to: &mut [u8], from: u64) {
    for (place, at) in to.iter_mut().zip(from..) {
        *place = byte(at);
    }
}

/// These are the bytes of a stream from this place on.
#[track_caller]
pub fn check(bytes: &[u8], from: u64) {
    if let Some(wrong) = bytes.iter().zip(from..).position(|(&found, at)| found != byte(at)) {
        panic!("byte {} of the stream is not what was sent", from + wrong as u64);
    }
}

/// Pushes so many bytes into a socket of the kernel.
pub fn write_all(socket: &mut TcpStream, len: u64) {
    let mut sent = 0;
    while sent < len {
        let now = (len - sent).min(PIECE as u64);
        write_from(socket, sent, now);
        sent += now;
    }
}

/// Pushes the next so many bytes of a stream into a socket of the kernel.
pub fn write_from(socket: &mut TcpStream, sent: u64, len: u64) {
    let mut piece = vec![0; len as usize];
    fill(&mut piece, sent);
    socket.write_all(&piece).unwrap_or_else(|error| panic!("after {sent} bytes: {error}"));
}

/// Reads so many bytes, which are the right ones.
pub fn read_exact(socket: &mut TcpStream, len: u64) {
    let mut piece = vec![0; PIECE];
    let mut read = 0;
    while read < len {
        let most = (len - read).min(PIECE as u64) as usize;
        let now =
            socket.read(&mut piece[..most]).unwrap_or_else(|error| panic!("after {read} of {len} bytes: {error}"));
        assert_ne!(now, 0, "the end after {read} of {len} bytes");
        check(&piece[..now], read);
        read += now as u64;
    }
}

/// Reads up to the end, and gives how many bytes came, which are the right ones.
pub fn read_all(socket: &mut TcpStream) -> u64 {
    let mut piece = vec![0; PIECE];
    let mut read = 0;
    loop {
        let now = socket.read(&mut piece).unwrap_or_else(|error| panic!("after {read} bytes: {error}"));
        if now == 0 {
            return read;
        }
        check(&piece[..now], read);
        read += now as u64;
    }
}

/// The end, and nothing before it.
pub fn read_end(socket: &mut TcpStream) {
    assert_eq!(socket.read(&mut [0; 8]).expect("the end is no error"), 0);
}

impl Space {
    /// Does something there in a thread of its own.
    pub fn beside<T: Send + 'static>(&self, act: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        // A thread is in the network of the one that makes it.
        self.run(|| std::thread::spawn(act))
    }

    /// A listener there, at a port of its own.
    pub fn tcp(&self, address: &str) -> (TcpListener, SocketAddr) {
        let address = at(address, 0);
        self.run(move || {
            let listener = TcpListener::bind(address).expect("the address is there");
            let place = listener.local_addr().expect("it is bound");
            (listener, place)
        })
    }

    /// Connects from there, and does something with that.
    pub fn calls<T: Send + 'static>(
        &self,
        to: SocketAddr,
        act: impl FnOnce(TcpStream) -> T + Send + 'static,
    ) -> JoinHandle<T> {
        self.beside(move || {
            let socket = TcpStream::connect(to).unwrap_or_else(|error| panic!("{to}: {error}"));
            act(patient(socket))
        })
    }

    /// Accepts there, and does something with that.
    pub fn serves<T: Send + 'static>(
        &self,
        listener: TcpListener,
        act: impl FnOnce(TcpStream) -> T + Send + 'static,
    ) -> JoinHandle<T> {
        self.beside(move || act(patient(listener.accept().expect("somebody connects").0)))
    }
}

fn patient(socket: TcpStream) -> TcpStream {
    socket.set_read_timeout(PATIENCE).expect("a time limit");
    socket.set_write_timeout(PATIENCE).expect("a time limit");
    socket
}

impl Host {
    /// Works until a thread of the peer's has ended, and gives what it gives.
    #[track_caller]
    pub fn until_joined<T>(&mut self, thread: JoinHandle<T>) -> T {
        self.until("the peer's end", |_| thread.is_finished().then_some(()));
        match thread.join() {
            Ok(value) => value,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    pub fn stream(&mut self, address: &str) -> StreamId {
        self.nic.stack.stream_socket(Domain::of(&at(address, 0))).unwrap()
    }

    /// A socket that listens at this address of ours.
    pub fn listens(&mut self, address: &str, backlog: usize) -> (StreamId, SocketAddr) {
        let id = self.stream(address);
        self.nic.stack.stream_bind(id, at(address, 0)).unwrap();
        self.nic.stack.stream_listen(id, backlog).unwrap();
        let place = self.nic.stack.stream_local(id).unwrap();
        (id, place)
    }

    #[track_caller]
    pub fn accepts(&mut self, listening: StreamId) -> StreamId {
        self.until("a connection", |host| {
            let now = host.now();
            ready(host.nic.stack.stream_accept(listening, now))
        })
        .unwrap()
    }

    /// Begins to connect.
    pub fn calls(&mut self, own: &str, to: SocketAddr) -> StreamId {
        let id = self.stream(own);
        let now = self.now();
        self.nic.stack.stream_connect(id, to, now).unwrap();
        self.nic.flush(now);
        id
    }

    /// What becomes of that.
    #[track_caller]
    pub fn connected(&mut self, id: StreamId) -> Result<()> {
        self.until("a connection", |host| ready(host.nic.stack.stream_connected(id)))
    }

    /// A connection to this place.
    #[track_caller]
    pub fn connects(&mut self, own: &str, to: SocketAddr) -> StreamId {
        let id = self.calls(own, to);
        self.connected(id).unwrap_or_else(|error| panic!("{to}: {error}"));
        id
    }

    /// Pushes bytes, waiting for room.
    #[track_caller]
    pub fn says(&mut self, id: StreamId, bytes: &[u8]) -> Result<()> {
        let mut message: Sga = self.pools.alloc_copy(bytes).unwrap().into();
        self.until("room to push", |host| {
            let now = host.now();
            let pushed = ready(host.nic.stack.stream_push(id, &mut message, now));
            host.nic.flush(now);
            pushed
        })
    }

    /// Pushes so many bytes of a stream.
    #[track_caller]
    pub fn pushes(&mut self, id: StreamId, len: u64) {
        let mut piece = vec![0; PIECE];
        let mut sent = 0;
        while sent < len {
            let now = (len - sent).min(PIECE as u64) as usize;
            fill(&mut piece[..now], sent);
            self.says(id, &piece[..now]).unwrap_or_else(|error| panic!("after {sent} of {len} bytes: {error}"));
            sent += now as u64;
        }
    }

    /// One pop, if there is something.
    pub fn takes(&mut self, id: StreamId, at_most: Option<usize>) -> Option<Result<Sga>> {
        let now = self.now();
        let popped = ready(self.nic.stack.stream_pop(id, at_most, now));
        self.nic.flush(now);
        popped
    }

    /// Pops what comes next: bytes, the end, or what went wrong.
    #[track_caller]
    pub fn hears(&mut self, id: StreamId) -> core::result::Result<Vec<u8>, Errno> {
        self.until("something to pop", |host| host.takes(id, None))
            .map(|message| message.to_vec())
            .map_err(runtime::Error::errno)
    }

    /// Pops so many bytes of a stream, which are the right ones.
    #[track_caller]
    pub fn pops(&mut self, id: StreamId, len: u64) {
        let mut read = 0;
        while read < len {
            let most = (len - read).min(usize::MAX as u64) as usize;
            let popped = self.until("bytes to pop", |host| host.takes(id, Some(most)));
            let popped = popped.unwrap_or_else(|error| panic!("after {read} of {len} bytes: {error}"));
            assert!(!popped.is_empty(), "the end after {read} of {len} bytes");
            for segment in &popped {
                check(segment, read);
                read += segment.len() as u64;
            }
        }
    }

    /// The end once, and then that it was told.
    #[track_caller]
    pub fn pops_the_end(&mut self, id: StreamId) {
        assert_eq!(self.hears(id), Ok(Vec::new()));
        assert_eq!(self.hears(id), Err(Errno::PIPE));
    }

    /// Gives back what comes until its end, and how many bytes that were.
    #[track_caller]
    pub fn echoes(&mut self, id: StreamId) -> u64 {
        let mut echoed = 0;
        loop {
            let message = self.until("something to echo", |host| host.takes(id, None)).unwrap();
            if message.is_empty() {
                return echoed;
            }
            echoed += self.answers(id, message);
        }
    }

    /// Gives back what has come, and how many bytes that were.
    #[track_caller]
    pub fn answers(&mut self, id: StreamId, mut message: Sga) -> u64 {
        let len = message.len() as u64;
        self.until("room to push", |host| {
            let now = host.now();
            let pushed = ready(host.nic.stack.stream_push(id, &mut message, now));
            host.nic.flush(now);
            pushed
        })
        .unwrap();
        len
    }

    /// Says that no more is pushed.
    pub fn shuts(&mut self, id: StreamId) -> Result<()> {
        let now = self.now();
        let shut = self.nic.stack.stream_shutdown(id, now);
        self.nic.flush(now);
        shut
    }

    /// Closes a socket that does not linger.
    #[track_caller]
    pub fn closes(&mut self, id: StreamId) {
        let now = self.now();
        let closed = self.nic.stack.stream_close(id, now);
        self.nic.flush(now);
        assert_eq!(closed, Poll::Ready(Ok(())));
    }

    /// Works until nothing that was closed has something left to do.
    #[track_caller]
    pub fn finishes(&mut self) {
        self.until("the end of all connections", |host| (host.nic.stack.streams_unfinished() == 0).then_some(()));
    }
}

fn ready<T>(polled: Poll<T>) -> Option<T> {
    match polled {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}
