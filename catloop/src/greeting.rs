// SPDX-License-Identifier: MIT OR Apache-2.0
//! Taking and greeting those who connect to an address: the shell around [`Acceptor`], for sockets of both kinds.
//!
//! What always holds: whatever those who come do, each costs one descriptor, a bounded time and a bounded place, and the
//! others are served.

use crate::handshake::{Acceptor, Request, Verdict};
use crate::socket::Shared;
use catmem::rendezvous::{self, Caller, recv_bytes, send_refusal};
use core::time::Duration;
use runtime::reactor::Interest;
use runtime::time::Time;
use runtime::transport::Handle;
use runtime::{Errno, Result};
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

/// Set in tokens of what is no pipe.
const OWN: u64 = 1 << 47;
/// Set beside it in those of connectors that were taken and are silent; clear: a listener's name.
const SILENT: u64 = 1 << 46;
/// After an error of the kernel, such as a lack of descriptors, the next connector is taken so much later.
const PAUSE: Duration = Duration::from_millis(10);

/// What an event's token stands for.
pub enum Watched {
    /// The connection of the pipe with this handle.
    Pipe(Handle),
    /// The name of the listener with this handle.
    Name(Handle),
    /// The connector of this number, taken by this listener.
    Silent(u64),
}

impl Watched {
    /// Reads a token that was made here or by the pipes.
    pub fn of(token: u64, shared: &Shared) -> Self {
        let rest = token & !shared.token;
        if rest & OWN == 0 {
            Self::Pipe(shared.pipes.handle_of(token))
        } else if rest & SILENT == 0 {
            Self::Name(rest as Handle)
        } else {
            Self::Silent(rest & !(OWN | SILENT))
        }
    }
}

/// Connectors that were taken and are not answered yet, of all listeners.
#[derive(Default)]
pub struct Guests {
    all: BTreeMap<u64, (Handle, OwnedFd)>,
    last: u64,
}

impl Guests {
    /// The listener that took this one.
    pub fn host(&self, id: u64) -> Option<Handle> {
        self.all.get(&id).map(|&(host, _)| host)
    }

    fn drop(&mut self, id: u64, shared: &mut Shared) {
        if self.all.remove(&id).is_some() {
            shared.counters.refused += 1;
        }
    }
}

/// A name and those who come to it.
pub struct Door {
    name: rendezvous::Listener,
    acceptor: Acceptor,
    deadline: Option<Time>,
}

impl Door {
    /// Watches a name for the listener of this handle.
    ///
    /// # Errors
    /// `ENOMEM` or `ENOSPC` from the kernel.
    pub fn open(name: rendezvous::Listener, acceptor: Acceptor, handle: Handle, shared: &Shared) -> Result<Self> {
        // By edges, so that those who have to wait for room do not wake anybody.
        shared.reactor.watch(&name, Interest::READABLE.edge(), shared.token | OWN | u64::from(handle))?;
        Ok(Self { name, acceptor, deadline: None })
    }

    /// Somebody may have come.
    pub fn knocked(&mut self) {
        self.acceptor.knocked();
    }

    /// The application has taken a connection that was answered. True if [`next`](Self::next) may have another.
    pub fn accepted(&mut self) -> bool {
        self.acceptor.accepted();
        self.acceptor.takes() || self.acceptor.keeps()
    }

    /// A connection was made.
    pub fn answered(&mut self) {
        self.acceptor.answered();
    }

    /// Serves those who come until one is to be answered, or there is nothing to do. `budget` is what is left of this look.
    pub fn next(
        &mut self,
        handle: Handle,
        guests: &mut Guests,
        budget: &mut usize,
        shared: &mut Shared,
    ) -> Option<(OwnedFd, Request)> {
        loop {
            if let Some((id, request)) = self.acceptor.next() {
                match guests.all.remove(&id) {
                    Some((_, guest)) => return Some((guest, request)),
                    None => continue,
                }
            }
            if *budget == 0 || !self.acceptor.takes() {
                return None;
            }
            *budget -= 1;
            let guest = match self.name.accept() {
                Ok(Caller::Opener(guest)) => guest,
                Ok(Caller::Nobody) => {
                    self.acceptor.deserted();
                    return None;
                }
                Ok(Caller::Strangers) => {
                    // Enough for this look; but the name is watched by edges, and would not say again that others wait.
                    *budget = 0;
                    return None;
                }
                Err(error) => {
                    log::warn!("a listener could not take a connection: {error}");
                    let at = shared.reactor.now() + PAUSE;
                    self.wake_at(handle, at, shared);
                    return None;
                }
            };
            guests.last += 1;
            if let Some(answered) = self.heard(handle, guests.last, guest, guests, shared) {
                return Some(answered);
            }
        }
    }

    /// A guest that was silent has said something, or hung up.
    pub fn spoke(
        &mut self,
        handle: Handle,
        id: u64,
        guests: &mut Guests,
        shared: &mut Shared,
    ) -> Option<(OwnedFd, Request)> {
        let (_, guest) = guests.all.remove(&id)?;
        // It is watched again if it still says nothing.
        let _ = shared.reactor.unwatch(&guest);
        self.heard(handle, id, guest, guests, shared)
    }

    /// Reads what this one says: `Some` if it is to be answered.
    fn heard(
        &mut self,
        handle: Handle,
        id: u64,
        guest: OwnedFd,
        guests: &mut Guests,
        shared: &mut Shared,
    ) -> Option<(OwnedFd, Request)> {
        let request = match recv_bytes(&guest).and_then(|said| said.as_ref().map(Request::from_bytes).transpose()) {
            Ok(Some(request)) => request,
            Ok(None) => {
                let token = shared.token | OWN | SILENT | id;
                if shared.reactor.watch(&guest, Interest::READABLE, token).is_ok() {
                    guests.all.insert(id, (handle, guest));
                    if let Some(oldest) =
                        self.acceptor.silent(id, shared.reactor.now() + shared.settings.handshake_timeout)
                    {
                        guests.drop(oldest, shared);
                    }
                    self.wait(handle, shared);
                }
                return None;
            }
            Err(error) => {
                log::debug!("a listener dropped a connector: {error}");
                self.acceptor.left(id);
                shared.counters.refused += 1;
                return None;
            }
        };
        let verdict = self.acceptor.asked(id, request);
        match verdict {
            Verdict::Answer => return Some((guest, request)),
            Verdict::Keep => drop(guests.all.insert(id, (handle, guest))),
            Verdict::Refuse | Verdict::Drop => {
                shared.counters.refused += 1;
                let reason = if verdict == Verdict::Refuse { Errno::CONNREFUSED } else { Errno::PROTO };
                // It may be gone already; then nobody is left to be told.
                let _ = send_refusal(&guest, reason);
            }
        }
        None
    }

    /// The deadline has passed.
    pub fn tick(&mut self, handle: Handle, guests: &mut Guests, shared: &mut Shared) {
        self.deadline = None;
        while let Some(id) = self.acceptor.expired(shared.reactor.now()) {
            guests.drop(id, shared);
        }
        self.wait(handle, shared);
    }

    /// Sets the deadline to that of the guest whose patience ends first.
    fn wait(&mut self, handle: Handle, shared: &mut Shared) {
        if let Some(at) = self.acceptor.deadline() {
            self.wake_at(handle, at, shared);
        }
    }

    fn wake_at(&mut self, handle: Handle, at: Time, shared: &mut Shared) {
        let at = self.deadline.map_or(at, |before| before.min(at));
        // Without a timer the silent stay until others push them out.
        let _ = shared.deadlines.set(handle, &mut self.deadline, Some(at));
    }

    /// Sends away whoever is not answered, and gives up the name.
    pub fn shut(mut self, handle: Handle, guests: &mut Guests, shared: &mut Shared) {
        // It cannot fail: only setting one can.
        let _ = shared.deadlines.set(handle, &mut self.deadline, None);
        for id in self.acceptor.guests() {
            guests.drop(id, shared);
        }
    }
}
