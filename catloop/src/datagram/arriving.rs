// SPDX-License-Identifier: MIT OR Apache-2.0
//! Senders that come to a socket's name, and the pipes that they bring.

use super::greeting::{Greeting, Letter, Newcomer, hear_out};
use super::naming::UNJOINED;
use super::{Datagrams, NAMES};
use crate::address::serves;
use catmem::Carries;
use catmem::rendezvous::Caller;
use runtime::limits::{GREETINGS_MAX, TAKEN_PER_LOOK};
use runtime::op::{Direction, Wakes};
use runtime::reactor::Interest;
use runtime::socket::Kind;
use runtime::transport::Handle;
use runtime::{Errno, Error};
use std::rc::Rc;

const BAD: Error = Error::new(Errno::PROTO, "a sender came to the wrong socket");

impl Datagrams {
    /// Senders have come to a socket's name.
    pub(super) fn knocked(&mut self, handle: Handle, wakes: &mut Wakes) {
        for _ in 0..TAKEN_PER_LOOK {
            let Some(Some(socket)) = self.sockets.get(handle as usize) else { return };
            let Some(bound) = &socket.bound else { return };
            match bound.listener.accept() {
                Ok(Caller::Opener(connection)) => self.greet(handle, Newcomer::new(connection), wakes),
                // Behind strangers others may wait: then the event comes again.
                Ok(Caller::Nobody | Caller::Strangers) => return,
                Err(error) => {
                    log::warn!("a datagram socket could not take a sender: {error}");
                    // Out of descriptors, most likely: not before a while, or the event would come all the time.
                    let _ = self.reactor.unwatch(&bound.listener);
                    return self.retry_later(handle);
                }
            }
        }
    }

    fn retry_later(&mut self, handle: Handle) {
        let Ok(serial) = self.at(handle).map(|socket| socket.serial) else { return };
        let (reactor, mailbox) = (Rc::clone(&self.reactor), Rc::clone(&self.mailbox));
        let pause = self.handshake_timeout / 10;
        let spawned = self.reactor.spawn(async move {
            // The time of now, not of before the sleep that the event has ended.
            let at = reactor.now() + pause;
            // Without a timer it is tried again at once.
            let _ = reactor.sleep_until(at).await;
            mailbox.put(handle, serial, Letter::Retry);
        });
        if spawned.is_err() {
            self.mailbox.put(handle, serial, Letter::Retry);
        }
    }

    fn greet(&mut self, handle: Handle, mut newcomer: Newcomer, wakes: &mut Wakes) {
        match newcomer.hear() {
            Ok(Some(greeting)) => self.joined(handle, greeting, wakes),
            Ok(None) if Rc::strong_count(&self.waiting) <= GREETINGS_MAX => self.wait_for(handle, newcomer),
            Ok(None) => self.refused += 1,
            Err(error) => self.refuse(error),
        }
    }

    fn refuse(&mut self, error: Error) {
        log::debug!("a datagram socket sent a sender away: {error}");
        self.refused += 1;
    }

    fn wait_for(&mut self, handle: Handle, newcomer: Newcomer) {
        let Ok(serial) = self.at(handle).map(|socket| socket.serial) else { return };
        let (reactor, mailbox, waiting) =
            (Rc::clone(&self.reactor), Rc::clone(&self.mailbox), Rc::clone(&self.waiting));
        let limit = self.handshake_timeout;
        let spawned = self.reactor.spawn(async move {
            // As above: time is read between the event and this.
            let deadline = reactor.now() + limit;
            match hear_out(&reactor, newcomer, deadline).await {
                Ok(greeting) => mailbox.put(handle, serial, Letter::Greeted(Box::new(greeting))),
                Err(error) => log::debug!("a datagram socket gave a sender up: {error}"),
            }
            drop(waiting);
        });
        self.refused += u64::from(spawned.is_err());
    }

    /// Handles a coroutine's letter.
    pub(super) fn letter(&mut self, handle: Handle, serial: u64, letter: Letter, wakes: &mut Wakes) {
        // One for a socket that was closed meanwhile is dropped, with the descriptors in it.
        let Some(Some(socket)) = self.sockets.get(handle as usize) else { return };
        if socket.serial != serial {
            return;
        }
        match (letter, &socket.bound) {
            (Letter::Greeted(greeting), _) => self.joined(handle, *greeting, wakes),
            (Letter::Retry, Some(bound)) => {
                let token = self.token | NAMES | u64::from(handle);
                if self.reactor.watch(&bound.listener, Interest::READABLE, token).is_err() {
                    self.retry_later(handle);
                }
            }
            (Letter::Retry, None) => {}
        }
    }

    /// A sender has said all: its pipe is the socket's.
    fn joined(&mut self, handle: Handle, greeting: Greeting, wakes: &mut Wakes) {
        let Greeting { connection, request, hello, memory } = greeting;
        let Some(Some(socket)) = self.sockets.get(handle as usize) else { return };
        let (queue, bound) = (socket.queue, socket.bound.as_ref().map(|bound| bound.claim.address()));
        if request.kind != Kind::Datagram || !bound.is_some_and(|bound| serves(bound, request.destination)) {
            return self.refuse(BAD);
        }
        self.make_room(handle);
        let pipe = self.pipes.reserve(self.peers.next_id(), Some(UNJOINED));
        let token = self.pipes.connection_token(pipe);
        let joined = self.reactor.watch(&*connection, Interest::READABLE, token).and_then(|()| {
            self.pipes.join(pipe, &connection, &hello, memory, Carries::Datagrams).inspect_err(|_| {
                let _ = self.reactor.unwatch(&*connection);
            })
        });
        if let Err(error) = joined {
            self.pipes.abort(pipe);
            return self.refuse(error);
        }
        if let Some(id) = self.insert(handle, request.source, pipe)
            && let Some(Some(socket)) = self.sockets.get_mut(handle as usize)
        {
            socket.group.make_ready(&mut self.peers, id);
            wakes.wake(queue, Direction::Pop);
        }
    }
}
