// SPDX-License-Identifier: MIT OR Apache-2.0
//! Connections that come and go.

use super::STEP;
use crate::hosts::{ADDRESSES, Host, exchange};
use network::stack::StreamId;
use runtime::Result;
use runtime::socket::Domain;
use runtime::time::Time;
use std::task::Poll;

/// Connections that wait to be accepted at most.
const BACKLOG: usize = 16;

/// A client and a server that listens.
pub struct Visits {
    hosts: [Host; 2],
    listener: StreamId,
    now: Time,
}

impl Visits {
    /// Nobody has come yet.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn new() -> Result<Self> {
        let mut hosts = Host::pair()?;
        let [_, server] = &mut hosts;
        let listener = server.stack.stream_socket(Domain::V4)?;
        server.stack.stream_bind(listener, (ADDRESSES[1].address, ADDRESSES[1].port).into())?;
        server.stack.stream_listen(listener, BACKLOG)?;
        Ok(Self { hosts, listener, now: Time::ZERO })
    }

    /// One connection, from its beginning to its end. Whether all of it went as it should.
    pub fn visit(&mut self) -> bool {
        self.now += STEP;
        let now = self.now;
        self.hosts.iter_mut().for_each(|host| host.look_after(now));
        let [client, _] = &mut self.hosts;
        let Ok(id) = client.stack.stream_socket(Domain::V4) else { return false };
        if client.stack.stream_connect(id, (ADDRESSES[1].address, ADDRESSES[1].port).into(), now).is_err() {
            return false;
        }
        exchange(&mut self.hosts, now);
        let [client, server] = &mut self.hosts;
        let connected = client.stack.stream_connected(id).map(|connected| connected.is_ok());
        let Poll::Ready(Ok(accepted)) = server.stack.stream_accept(self.listener, now) else { return false };
        let closed = server.stack.stream_close(accepted, now).map(|closed| closed.is_ok());
        exchange(&mut self.hosts, now);
        let [client, _] = &mut self.hosts;
        let ended = client.stack.stream_pop(id, None, now).map(|end| end.is_ok_and(|end| end.is_empty()));
        let left = client.stack.stream_close(id, now).map(|closed| closed.is_ok());
        exchange(&mut self.hosts, now);
        for host in &mut self.hosts {
            while host.stack.stream_woken().is_some() {}
        }
        [connected, closed, ended, left].iter().all(|done| *done == Poll::Ready(true))
    }

    /// How many connections and what is left of them the client and the server have.
    #[cfg(test)]
    pub(super) fn counts(&self) -> [network::stack::StreamCounts; 2] {
        [0, 1].map(|number: usize| self.hosts[number].stack.stream_counts())
    }
}
