// SPDX-License-Identifier: MIT OR Apache-2.0
//! The load generator: plain sockets on one edge-triggered epoll set, one request under way on each connection that works,
//! the next one sent as soon as the answer is there. It polls, and is the same for every server.
//!
//! A single connection needs no epoll: then the one socket is asked until the answer is there.

use crate::clock;
use crate::measure::{self, all, histogram, recorded};
use crate::process::job::{Pattern, Place, Report};
use crate::process::worker::Teller;
use anyhow::{Context, Result, bail, ensure};
use hdrhistogram::Histogram;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use rustix::net::sockopt::{set_socket_linger, set_tcp_nodelay};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrV4, SocketFlags, SocketType, connect, recv, send, socket_with,
};
use std::mem::MaybeUninit;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// Events that one `epoll_wait` takes.
const EVENTS: usize = 256;
/// Poll: do not sleep.
const AT_ONCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// A connection that works.
struct Connection {
    fd: OwnedFd,
    /// Bytes of the answer that have come.
    got: usize,
    /// An answer has been compared with its request.
    seen: bool,
    /// When its request was sent, if it is timed.
    since: Option<Instant>,
}

/// The generator.
struct Load {
    epoll: OwnedFd,
    working: Vec<Connection>,
    /// Connections on which nothing happens, but that they are open.
    idle: Vec<OwnedFd>,
    /// Of the last `epoll_wait`, which connections have something, and how many of these were looked at.
    ready: Vec<u64>,
    looked: usize,
    request: Vec<u8>,
    space: Vec<u8>,
    /// Requests that are still to be sent.
    left: u64,
    times: Option<Histogram<u64>>,
}

/// Does the client's half of a [`Pattern::Load`], or of a [`Pattern::Asleep`].
pub fn call(size: usize, pattern: Pattern, place: &Place, teller: &mut Teller<'_>) -> Result<Report> {
    match pattern {
        Pattern::Load { connections, active, blocks, per_block, timed } => {
            // Those that are under way when timing begins are not timed.
            let timed = timed + active;
            let mut load = Load::new(size, connections, active, place)?;
            load.left = all(blocks, per_block) + u64::from(timed);
            for index in 0..load.working.len() {
                load.send(index)?;
            }
            let blocks = measure::in_blocks(blocks, per_block, teller, || load.answer())?;
            load.times = Some(histogram()?);
            for _ in 0..timed {
                load.answer()?;
            }
            let timed = load.times.as_ref().map(recorded).unwrap_or_default();
            Ok(Report { timed, ..Report::of_blocks(blocks) })
        }
        Pattern::Asleep { connections, .. } => {
            let load = Load::new(size, connections, connections, place)?;
            // Until the server has slept enough, and closes.
            match recv(&load.working[0].fd, &mut [0; 1], RecvFlags::empty()) {
                Ok((0, _)) | Err(Errno::CONNRESET) => Ok(Report::default()),
                Ok(_) => bail!("an answer came that nobody had asked for"),
                Err(error) => Err(error).context("recv"),
            }
        }
        _ => bail!("a load generator works on many connections, or waits"),
    }
}

impl Load {
    fn new(size: usize, connections: u32, active: u32, place: &Place) -> Result<Self> {
        let mut load = Self {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC).context("epoll_create")?,
            working: Vec::with_capacity(active as usize),
            idle: Vec::with_capacity((connections - active) as usize),
            ready: Vec::with_capacity(EVENTS),
            looked: 0,
            request: (0..size).map(|index| index as u8).collect(),
            space: vec![0; size],
            left: 0,
            times: None,
        };
        let apart = connections / active;
        for index in 0..connections {
            let fd = connected(place.port).with_context(|| format!("connection {} of {connections}", index + 1))?;
            if index % apart != 0 || load.working.len() == active as usize {
                load.idle.push(fd);
                continue;
            }
            let data = epoll::EventData::new_u64(load.working.len() as u64);
            epoll::add(&load.epoll, &fd, data, epoll::EventFlags::IN | epoll::EventFlags::ET).context("epoll_ctl")?;
            load.working.push(Connection { fd, got: 0, seen: false, since: None });
        }
        Ok(load)
    }

    /// Takes the next answer of any connection, and sends that connection's next request.
    #[inline]
    fn answer(&mut self) -> Result<()> {
        loop {
            let index = self.next()?;
            if self.take(index)? {
                return self.send(index);
            }
        }
    }

    /// A connection that may have something.
    #[inline]
    fn next(&mut self) -> Result<usize> {
        if self.working.len() == 1 {
            return Ok(0);
        }
        while self.looked == self.ready.len() {
            let mut space = [MaybeUninit::uninit(); EVENTS];
            let events = match epoll::wait(&self.epoll, &mut space, Some(&AT_ONCE)) {
                Ok((events, _)) => events,
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error).context("epoll_wait"),
            };
            self.ready.clear();
            self.ready.extend(events.iter().map(|event| event.data.u64()));
            self.looked = 0;
        }
        self.looked += 1;
        Ok(self.ready[self.looked - 1] as usize)
    }

    /// Receives; true if the answer is whole now.
    #[inline]
    fn take(&mut self, index: usize) -> Result<bool> {
        let connection = &mut self.working[index];
        match recv(&connection.fd, &mut self.space[connection.got..], RecvFlags::DONTWAIT) {
            Ok((0, _)) => bail!("the server has closed a connection"),
            Ok((more, _)) => connection.got += more,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(false),
            Err(error) => return Err(error).context("recv"),
        }
        // Less than was asked for: the socket is drained, and its next edge will come.
        let whole = connection.got == self.request.len();
        if whole {
            connection.got = 0;
            if !connection.seen {
                // All look alike, so that parts which landed in the common space between those of others do, too.
                ensure!(self.space == self.request, "an answer is not what was asked");
                connection.seen = true;
            }
            if let (Some(times), Some(since)) = (&mut self.times, connection.since.take()) {
                times.saturating_record(clock::nanoseconds_since(since));
            }
        }
        Ok(whole)
    }

    #[inline]
    fn send(&mut self, index: usize) -> Result<()> {
        if self.left == 0 {
            return Ok(());
        }
        self.left -= 1;
        let connection = &mut self.working[index];
        if self.times.is_some() {
            connection.since = Some(clock::now());
        }
        // The socket blocks, which it hardly ever does: the server reads a request before it answers.
        let mut sent = 0;
        while sent < self.request.len() {
            match send(&connection.fd, &self.request[sent..], SendFlags::NOSIGNAL) {
                Ok(more) => sent += more,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error).context("send"),
            }
        }
        Ok(())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        // With a reset, so that thousands of connections do not stay in `TIME_WAIT` beside the next measurement. Where it cannot
        // be had they do.
        for fd in self.working.iter().map(|connection| &connection.fd).chain(&self.idle) {
            let _ = set_socket_linger(fd, Some(Duration::ZERO));
        }
    }
}

fn connected(port: u16) -> Result<OwnedFd> {
    let fd = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None).context("socket")?;
    set_tcp_nodelay(&fd, true).context("TCP_NODELAY")?;
    match connect(&fd, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)) {
        Ok(()) => Ok(fd),
        Err(Errno::ADDRNOTAVAIL) => bail!(
            "no local port is free: wait until the connections of other programs are gone, or widen \
             net.ipv4.ip_local_port_range"
        ),
        Err(error) => Err(error).context("connect"),
    }
}
