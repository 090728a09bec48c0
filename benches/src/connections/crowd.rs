// SPDX-License-Identifier: MIT OR Apache-2.0
//! Many connections on which nothing happens, and one that works.

use super::STEP;
use crate::datagrams::frame::payload;
use crate::hosts::{ADDRESSES, Host, exchange};
use network::stack::StreamId;
use runtime::socket::{Domain, SocketOption};
use runtime::time::Time;
use runtime::{Errno, Error, Result};
use std::hint::black_box;
use std::net::SocketAddr;
use std::task::Poll;
use std::time::Duration;

/// Connections to one port of the server: of its 32,768 ports the client finds one that is free soon.
const PER_PORT: u32 = 16_384;
/// The first port that the server listens at.
const FIRST_PORT: u16 = 1024;
/// Connections that wait to be accepted at most.
const BACKLOG: usize = 16;
/// Bytes of a message of the connection that works.
const SIZE: usize = 64;
/// After so long, all timers of connections that have just been made have fired.
const SETTLED: Duration = Duration::from_secs(5);
const NOT_MET: Error = Error::new(Errno::TIMEDOUT, "the ends do not meet");

/// A client and a server with many connections.
pub struct Crowd {
    hosts: [Host; 2],
    /// The ends of the connection that works.
    working: [StreamId; 2],
    payload: Vec<u8>,
    now: Time,
    /// Bytes for each idle connection at each of its ends.
    bytes: u64,
}

impl Crowd {
    /// So many connections, and one more. `memory` tells how many bytes this process has; it is asked before and after the
    /// idle ones are made.
    ///
    /// # Errors
    /// `ENOMEM`, `EMFILE`, or what else keeps the ends from meeting.
    pub fn new(idle: u32, mut memory: impl FnMut() -> u64) -> Result<Self> {
        let mut hosts = Host::pair()?;
        let working = meet(&mut hosts, FIRST_PORT - 1, 1, Time::ZERO)?.ok_or(NOT_MET)?;
        let mut crowd = Self { hosts, working, payload: payload(SIZE), now: Time::ZERO, bytes: 0 };
        let before = memory();
        for (port, left) in (FIRST_PORT..).zip((0..idle).step_by(PER_PORT as usize).map(|done| idle - done)) {
            let now = crowd.now;
            meet(&mut crowd.hosts, port, left.min(PER_PORT), now)?;
            crowd.settle();
        }
        crowd.bytes = memory().saturating_sub(before) / u64::from(2 * idle.max(1));
        Ok(crowd)
    }

    /// Everything that has a time is done: who is idle then has no timer.
    fn settle(&mut self) {
        self.now += SETTLED;
        let now = self.now;
        while self.hosts.iter().any(|host| host.stack.next_deadline().is_some_and(|at| at <= now)) {
            self.hosts.iter_mut().for_each(|host| host.stack.poll(now));
            exchange(&mut self.hosts, now);
        }
        for host in &mut self.hosts {
            while host.stack.stream_woken().is_some() {}
        }
    }

    /// How many connections there are.
    #[must_use]
    pub fn connections(&self) -> u32 {
        self.hosts[0].stack.stream_counts().flows
    }

    /// Bytes for each idle connection at each of its ends.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The server looks after its timers once, when nothing is due.
    #[inline]
    pub fn poll(&mut self) {
        self.now += STEP;
        let [_, server] = &mut self.hosts;
        black_box(server.stack.next_deadline());
        server.stack.poll(self.now);
    }

    /// A message goes from the client to the server on the connection that works, with what acknowledges it. Gives its bytes.
    pub fn message(&mut self) -> usize {
        self.now += STEP;
        let now = self.now;
        self.hosts.iter_mut().for_each(|host| host.look_after(now));
        let [client, server] = &mut self.hosts;
        let Ok(message) = client.pools.alloc_copy(&self.payload) else { return 0 };
        if client.stack.stream_push(self.working[0], &mut message.into(), now) != Poll::Ready(Ok(())) {
            return 0;
        }
        client.send();
        client.carry_to(server);
        server.receive(now);
        let mut bytes = 0;
        while let Some((stream, news)) = server.stack.stream_woken() {
            while news.readable
                && let Poll::Ready(Ok(message)) = server.stack.stream_pop(stream, None, now)
            {
                bytes += black_box(&message).len();
            }
        }
        server.send();
        if server.carry_to(client) > 0 {
            client.receive(now);
        }
        bytes
    }
}

/// Makes so many connections to a port. Gives the ends of the last.
fn meet(hosts: &mut [Host; 2], port: u16, connections: u32, now: Time) -> Result<Option<[StreamId; 2]>> {
    let to: SocketAddr = (ADDRESSES[1].address, port).into();
    let [_, server] = &mut *hosts;
    let listener = server.stack.stream_socket(Domain::V4)?;
    server.stack.stream_set_option(listener, SocketOption::NoDelay(true))?;
    server.stack.stream_bind(listener, to)?;
    server.stack.stream_listen(listener, BACKLOG)?;
    let mut last = None;
    for _ in 0..connections {
        let [client, _] = &mut *hosts;
        let id = client.stack.stream_socket(Domain::V4)?;
        client.stack.stream_set_option(id, SocketOption::NoDelay(true))?;
        client.stack.stream_connect(id, to, now)?;
        exchange(hosts, now);
        let [client, server] = &mut *hosts;
        let Poll::Ready(Ok(())) = client.stack.stream_connected(id) else { return Err(NOT_MET) };
        let Poll::Ready(Ok(accepted)) = server.stack.stream_accept(listener, now) else { return Err(NOT_MET) };
        last = Some([id, accepted]);
    }
    let [_, server] = hosts;
    let Poll::Ready(Ok(())) = server.stack.stream_close(listener, now) else { return Err(NOT_MET) };
    Ok(last)
}
