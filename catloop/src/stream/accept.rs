// SPDX-License-Identifier: MIT OR Apache-2.0
//! Listening, and accepting connections.

use super::{State, Stream};
use crate::greeting::{Door, Guests};
use crate::handshake::{Acceptor, Request};
use crate::names::file_name;
use crate::socket::{Shared, Sockets};
use catmem::Carries;
use catmem::rendezvous::{Direction as Sizes, send_offer, send_refusal};
use core::task::Poll;
use runtime::limits::KNOCKING_MAX;
use runtime::socket::Kind;
use runtime::transport::{Handle, QueueId};
use runtime::{Errno, Error, Result};
use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::rc::Rc;

/// The queue of a connection that nobody has accepted yet: no queue has this index.
const NOBODYS: QueueId = QueueId::MAX;

/// What a listening socket has.
pub struct Listening {
    /// Its name, and those who come to it.
    pub door: Door,
    /// Connections that are made and not accepted, oldest first.
    pub ready: VecDeque<Handle>,
}

impl Stream {
    /// From now on others can connect.
    ///
    /// # Errors
    /// `EDESTADDRREQ` unbound, `EADDRINUSE` listening or connecting already, `EINVAL` connected; what the system says.
    pub fn listen(&mut self, handle: Handle, backlog: usize, shared: &Shared) -> Result<()> {
        match self.state {
            State::Idle | State::Failed(_) => {}
            State::Listening(_) => return Err(Error::new(Errno::ADDRINUSE, "the socket listens already")),
            State::Connecting(_) => return Err(Error::new(Errno::ADDRINUSE, "the socket is connecting")),
            State::Connected { .. } | State::Lingering(_) => {
                return Err(Error::new(Errno::INVAL, "the socket is connected"));
            }
        }
        let Some(claim) = &self.claim else {
            return Err(Error::new(Errno::DESTADDRREQ, "bind the socket to an address before it listens"));
        };
        let address = claim.address();
        let name = shared.places.open()?.directory.listen_on(file_name(Kind::Stream, address)?, KNOCKING_MAX).map_err(
            |error| {
                let taken = error.errno() == Errno::EXIST;
                if taken { Error::new(Errno::ADDRINUSE, "somebody listens under this address' name") } else { error }
            },
        )?;
        let acceptor = Acceptor::new(Kind::Stream, address, backlog, shared.settings.backlog_full);
        let door = Door::open(name, acceptor, handle, shared)?;
        self.state = State::Listening(Box::new(Listening { door, ready: VecDeque::new() }));
        Ok(())
    }

    /// What a listening socket has.
    ///
    /// # Errors
    /// `EINVAL` if it does not listen.
    pub fn listening(&mut self) -> Result<&mut Listening> {
        match &mut self.state {
            State::Listening(listening) => Ok(listening),
            _ => Err(Error::new(Errno::INVAL, "the socket does not listen")),
        }
    }
}

/// Takes a connection that waits. True with it if the listener can serve others now.
pub fn accept(
    sockets: &mut Sockets,
    handle: Handle,
    queue: QueueId,
    shared: &mut Shared,
) -> Poll<Result<(Handle, bool)>> {
    let listening = match sockets.get(handle).and_then(Stream::listening) {
        Ok(listening) => listening,
        Err(error) => return Poll::Ready(Err(error)),
    };
    let Some(connection) = listening.ready.pop_front() else { return Poll::Pending };
    let more = listening.door.accepted();
    shared.counters.accepted += 1;
    shared.pipes.assign(connection, queue);
    if let Ok(stream) = sockets.get(connection) {
        stream.queue = queue;
    }
    Poll::Ready(Ok((connection, more)))
}

/// Serves those who come to a listener, and the silent guest that has just spoken, within `budget`. True if somebody can
/// be accepted.
pub fn serve(
    sockets: &mut Sockets,
    handle: Handle,
    spoke: Option<u64>,
    guests: &mut Guests,
    budget: &mut usize,
    shared: &mut Shared,
) -> bool {
    let mut made = false;
    let mut spoke = spoke;
    loop {
        let Ok(listener) = sockets.get(handle) else { return made };
        let (domain, options) = (listener.domain, listener.options);
        let Ok(listening) = listener.listening() else { return made };
        let next = match spoke.take() {
            Some(id) => listening.door.spoke(handle, id, guests, shared),
            None => match listening.door.next(handle, guests, budget, shared) {
                Some(guest) => Some(guest),
                None => return made,
            },
        };
        let Some((guest, request)) = next else { continue };
        let accepted = Stream {
            queue: NOBODYS,
            domain,
            options,
            claim: None,
            state: State::Connected { local: request.destination, peer: request.source },
        };
        match answer(guest, request, &accepted, shared) {
            Ok(connection) => {
                listening.door.answered();
                listening.ready.push_back(connection);
                sockets.insert(connection, accepted);
                made = true;
            }
            Err(error) => {
                log::debug!("a connection could not be made: {error}");
                shared.counters.refused += 1;
            }
        }
    }
}

/// Makes the connection that was asked for, and tells the connector.
fn answer(guest: OwnedFd, request: Request, accepted: &Stream, shared: &mut Shared) -> Result<Handle> {
    let guest = Rc::new(guest);
    let handle = shared.pipes.reserve(NOBODYS, None);
    let made = sizes(request, accepted, shared)
        .and_then(|sizes| shared.pipes.host(handle, &guest, sizes, request.membarrier, Carries::Stream))
        // This can lack something too: of one user only so many descriptors may be on their way (`ETOOMANYREFS`).
        .and_then(|(hello, memory)| send_offer(&*guest, &hello, memory))
        .inspect_err(|_| {
            // It may be gone already; then nobody is left to be told.
            let _ = send_refusal(&*guest, Errno::NOBUFS);
        });
    match made {
        Ok(()) => Ok(handle),
        Err(error) => {
            shared.pipes.abort(handle);
            Err(error)
        }
    }
}

/// Each ring is as large as the smaller of its writer's and its reader's wish.
fn sizes(request: Request, accepted: &Stream, shared: &Shared) -> Result<[Sizes; 2]> {
    let slot_order = shared.settings.slot.trailing_zeros() as u8;
    let slots = shared.settings.slots;
    Ok([
        Sizes::new(accepted.options.send_order.min(request.receive_order), slot_order, slots)?,
        Sizes::new(accepted.options.receive_order.min(request.send_order), slot_order, slots)?,
    ])
}
