// SPDX-License-Identifier: MIT OR Apache-2.0
//! The echo server on epoll: one edge-triggered set, and for each request one `recv(2)`, one `send(2)` and a share of
//! one `epoll_wait(2)`. Text: `epoll(7)`.
//!
//! - Every request is received into the same buffer, which stays in the cache. Only one that comes in parts is put
//!   together elsewhere.
//! - A `recv` asks for one byte more than there can be. So it comes back short, which means that the socket is drained
//!   and that its next edge will be reported; no second call has to ask for that, unless the edge said that the client
//!   sends no more: that end lies behind the bytes, and no other edge reports it.
//! - A connection is added to the set once, for both directions, and never modified.
//! - It is `epoll_wait(2)`, whose timeout is a number: `epoll_pwait2(2)`, which takes a structure, costs a little more each
//!   time, and a server that polls calls it all the time.
#![expect(unsafe_code, reason = "rustix has no epoll_wait(2) where it may use epoll_pwait2(2)")]

use crate::{Meter, Service};
use rustix::event::epoll;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketFlags, accept_with, recv, send};
use std::io::{Error, ErrorKind, Result};
use std::os::fd::{AsRawFd, OwnedFd};

/// Events that one `epoll_wait` takes.
const EVENTS: i32 = 512;
/// The listening socket's data; connections have their index.
const LISTENER: u64 = u64::MAX;

/// Edges behind which nothing more comes than what is there.
const ENDS: u32 = (libc::EPOLLRDHUP | libc::EPOLLHUP | libc::EPOLLERR) as u32;

/// A connection.
struct Connection {
    fd: OwnedFd,
    /// What has come of a request that came in parts, or what is left of its answer.
    held: Vec<u8>,
    /// `held` is an answer that the socket had no room for.
    answering: bool,
}

/// The server.
struct Echo {
    epoll: OwnedFd,
    listener: OwnedFd,
    connections: Vec<Option<Connection>>,
    service: Service,
    space: Vec<u8>,
    closed: usize,
    system_calls: u64,
}

/// Serves until all clients have gone. The listening socket does not block, nor do those that it accepts.
///
/// # Errors
/// What the kernel says, unless it says that a client has gone; [`ErrorKind::InvalidData`] if a client sends a second
/// request before it has its answer.
pub fn serve(listener: OwnedFd, service: Service, meter: &mut Meter) -> Result<()> {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, &listener, epoll::EventData::new_u64(LISTENER), epoll::EventFlags::IN)?;
    let mut echo = Echo {
        epoll,
        listener,
        connections: Vec::with_capacity(service.connections),
        service,
        space: vec![0; service.size + 1],
        closed: 0,
        system_calls: 0,
    };
    let mut events = [libc::epoll_event { events: 0, u64: 0 }; EVENTS as usize];
    while echo.closed < service.connections {
        echo.system_calls += 1;
        // SAFETY: there is room for so many events.
        let found = unsafe { libc::epoll_wait(echo.epoll.as_raw_fd(), events.as_mut_ptr(), EVENTS, 0) };
        let Ok(found) = usize::try_from(found) else {
            match Error::last_os_error() {
                error if error.kind() == ErrorKind::Interrupted => continue,
                error => return Err(error),
            }
        };
        for event in &events[..found] {
            let (data, flags) = (event.u64, event.events);
            if data == LISTENER {
                echo.accept()?;
            } else {
                echo.serve(data as usize, flags & ENDS != 0, meter)?;
            }
        }
    }
    Ok(())
}

impl Echo {
    /// Takes all that wait.
    fn accept(&mut self) -> Result<()> {
        loop {
            self.system_calls += 1;
            let fd = match accept_with(&self.listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                Ok(fd) => fd,
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR | Errno::CONNABORTED) => continue,
                Err(error) => return Err(error.into()),
            };
            let flags =
                epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::RDHUP | epoll::EventFlags::ET;
            self.system_calls += 1;
            epoll::add(&self.epoll, &fd, epoll::EventData::new_u64(self.connections.len() as u64), flags)?;
            self.connections.push(Some(Connection { fd, held: Vec::new(), answering: false }));
        }
    }

    /// A connection has an edge, which may say that its client `ends`.
    fn serve(&mut self, index: usize, ends: bool, meter: &mut Meter) -> Result<()> {
        // While an answer waits for room the end can, too: the edge of that room says it again.
        while self.answer(index, meter)? {
            if !ends || self.connections[index].as_ref().is_none_or(|connection| connection.answering) {
                return Ok(());
            }
        }
        // Closing takes it out of the set.
        self.connections[index] = None;
        self.closed += 1;
        Ok(())
    }

    /// Receives once, and answers what is whole. False: the client has gone.
    fn answer(&mut self, index: usize, meter: &mut Meter) -> Result<bool> {
        let Some(connection) = self.connections.get_mut(index).and_then(Option::as_mut) else { return Ok(true) };
        if connection.answering {
            self.system_calls += 1;
            let Some(sent) = sent(send(&connection.fd, &connection.held, SendFlags::NOSIGNAL))? else {
                return Ok(false);
            };
            connection.held.drain(..sent);
            connection.answering = !connection.held.is_empty();
            if connection.answering {
                return Ok(true);
            }
            meter.answered(|| self.system_calls);
        }
        let wanted = self.service.size - connection.held.len();
        let received = loop {
            self.system_calls += 1;
            match recv(&connection.fd, &mut self.space[..=wanted], RecvFlags::empty()) {
                Ok((0, _)) | Err(Errno::CONNRESET) => return Ok(false),
                Ok((received, _)) => break received,
                Err(Errno::AGAIN) => return Ok(true),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        };
        if received > wanted {
            return Err(Error::new(ErrorKind::InvalidData, "a request came before the answer to the one before it"));
        }
        if received < wanted {
            connection.held.extend_from_slice(&self.space[..received]);
            return Ok(true);
        }
        let request = if connection.held.is_empty() {
            &self.space[..received]
        } else {
            connection.held.extend_from_slice(&self.space[..received]);
            &connection.held
        };
        self.system_calls += 1;
        let Some(sent) = sent(send(&connection.fd, request, SendFlags::NOSIGNAL))? else { return Ok(false) };
        if sent == self.service.size {
            connection.held.clear();
            meter.answered(|| self.system_calls);
            return Ok(true);
        }
        if connection.held.is_empty() {
            connection.held.extend_from_slice(&self.space[sent..received]);
        } else {
            connection.held.drain(..sent);
        }
        connection.answering = true;
        Ok(true)
    }
}

/// Bytes that the socket has taken; `None` if its client has gone.
fn sent(result: rustix::io::Result<usize>) -> Result<Option<usize>> {
    match result {
        Ok(sent) => Ok(Some(sent)),
        Err(Errno::AGAIN) => Ok(Some(0)),
        Err(Errno::PIPE | Errno::CONNRESET) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
