// SPDX-License-Identifier: MIT OR Apache-2.0
//! The handshake of a pipe as coroutines: the creator's greets openers until one has the memory, the opener's waits for
//! its answer. What comes of it goes into a mailbox, which the transport empties when it polls.

use crate::doorbell::{Doorbell, can_membarrier};
use crate::eventfd::Eventfd;
use crate::mapping::Mapping;
use crate::rendezvous::{
    BACKLOG, Caller, Direction, Hello, Listener, OpenRequest, recv_hello, recv_request, send_hello, send_refusal,
    send_request,
};
use core::cell::{Cell, RefCell};
use core::future::poll_fn;
use core::task::Poll;
use core::time::Duration;
use runtime::reactor::Reactor;
use runtime::{Errno, Error, Result};
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

/// The sizes of a new pipe; both directions alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Bytes of each ring, as a power of two.
    pub ring_order: u8,
    /// Bytes of each arena slot, as a power of two.
    pub slot_order: u8,
    /// Slots of each arena.
    pub slots: u16,
}

impl Sizes {
    /// As the handshake has them.
    ///
    /// # Errors
    /// `EINVAL` if one is out of range.
    pub fn directions(self) -> Result<[Direction; 2]> {
        Ok([Direction::new(self.ring_order, self.slot_order, self.slots)?; 2])
    }
}

/// What a handshake came to.
pub enum Outcome {
    /// Creator: the peer has the memory.
    Joined(OwnedFd),
    /// Opener: the answer with the memory and both doorbells, the creator's first.
    Opened(OwnedFd, Hello, OwnedFd, [OwnedFd; 2]),
    /// Creator: the one that had connected was sent away. A close that waited for it can go on.
    Refused,
    /// It failed for good.
    Failed(Error),
}

/// Where handshakes leave their outcomes: the pipe's serial number, and what came of it.
#[derive(Default)]
pub struct Mailbox {
    filled: Cell<bool>,
    letters: RefCell<Vec<(u64, Outcome)>>,
}

impl Mailbox {
    fn put(&self, serial: u64, outcome: Outcome) {
        self.letters.borrow_mut().push((serial, outcome));
        self.filled.set(true);
    }

    /// Whether a letter is there.
    #[inline]
    pub fn is_filled(&self) -> bool {
        self.filled.get()
    }

    /// Takes one letter.
    pub fn take(&self) -> Option<(u64, Outcome)> {
        let letter = self.letters.borrow_mut().pop();
        self.filled.set(!self.letters.borrow().is_empty());
        letter
    }
}

/// What the creator hands to whoever opens.
pub struct Offer {
    /// The name's socket; gone with the last reference.
    pub listener: Listener,
    /// The sizes.
    pub hello: Hello,
    /// The memory's descriptor.
    pub memory: OwnedFd,
    /// Rings the creator.
    pub mine: Rc<Eventfd>,
    /// Rings the opener.
    pub bell: Rc<Doorbell>,
    /// An opener has connected and has not said yet what it wants.
    pub greeting: Cell<bool>,
    /// A close waits for the greeting to end: no further openers.
    pub closing: Cell<bool>,
}

impl Offer {
    /// Answers an opener whose request has come.
    fn answer(&self, socket: &OwnedFd, request: OpenRequest) -> Result<()> {
        // Before the answer: once the opener has it, it may sleep, and rely on this side's barriers.
        self.bell.use_membarrier(request.membarrier);
        send_hello(socket, &self.hello, &self.memory, [self.mine.as_fd(), self.bell.peer().as_fd()])
    }

    /// One last look, without waiting, for an opener that has connected and asked already. Those in front of it that are
    /// dead or silent are let go.
    pub fn last_call(&self) -> Option<OwnedFd> {
        // As many as can wait, and one that comes meanwhile.
        for _ in 0..=BACKLOG {
            let socket = match self.listener.accept().ok()? {
                Caller::Opener(socket) => socket,
                Caller::Strangers => continue,
                Caller::Nobody => return None,
            };
            if let Ok(Some(request)) = recv_request(&socket)
                && self.answer(&socket, request).is_ok()
            {
                return Some(socket);
            }
        }
        None
    }
}

/// An opener is being greeted. However that ends, also if the coroutine is dropped, a close need not wait for it any longer,
/// unless a letter says that it has joined.
struct Greeting<'a>(&'a Cell<bool>);

impl<'a> Greeting<'a> {
    fn begin(offer: &'a Offer) -> Self {
        offer.greeting.set(true);
        Self(&offer.greeting)
    }
}

impl Drop for Greeting<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

/// What an opener is told that is refused for this reason.
fn refusal(errno: Errno) -> Errno {
    match errno {
        Errno::PROTO | Errno::TIMEDOUT => Errno::PROTO,
        // It has done nothing wrong: something is lacking here, such as descriptors on their way (`ETOOMANYREFS`).
        _ => Errno::NOBUFS,
    }
}

/// Greets openers until one has the memory. One that says nothing within `limit`, or nonsense, is dropped.
pub async fn create(reactor: Rc<Reactor>, offer: Rc<Offer>, limit: Duration, mailbox: Rc<Mailbox>, serial: u64) {
    loop {
        let socket = match offer.listener.accept() {
            Ok(Caller::Opener(socket)) => socket,
            Ok(Caller::Strangers | Caller::Nobody) => {
                if let Err(error) = reactor.readable(&offer.listener).await {
                    return mailbox.put(serial, Outcome::Failed(error));
                }
                continue;
            }
            Err(error) => {
                // Out of descriptors or memory, most likely: try again a little later rather than give up the name.
                log::warn!("a pipe could not accept its opener: {error}");
                if let Err(error) = reactor.sleep_until(reactor.now() + limit / 10).await {
                    return mailbox.put(serial, Outcome::Failed(error));
                }
                continue;
            }
        };
        let greeting = Greeting::begin(&offer);
        match greet(&reactor, &offer, &socket, limit).await {
            Ok(()) => {
                // Still greeting until the letter is read: a close before that must not look for another opener.
                core::mem::forget(greeting);
                return mailbox.put(serial, Outcome::Joined(socket));
            }
            Err(error) => {
                drop(greeting);
                log::debug!("a pipe refused an opener: {error}");
                // It may be gone already; then nobody is left to be told.
                let _ = send_refusal(&socket, refusal(error.errno()));
                mailbox.put(serial, Outcome::Refused);
                // Everything else has its turn, however fast such openers come; above all a close that waited for this one.
                pause().await;
                while offer.closing.get() {
                    pause().await;
                }
            }
        }
    }
}

/// Lets everything else run once.
async fn pause() {
    let mut paused = false;
    poll_fn(|context| {
        if core::mem::replace(&mut paused, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

async fn greet(reactor: &Rc<Reactor>, offer: &Offer, socket: &OwnedFd, limit: Duration) -> Result<()> {
    let deadline = reactor.now() + limit;
    loop {
        if let Some(request) = recv_request(socket)? {
            return offer.answer(socket, request);
        }
        reactor.timeout(reactor.readable(socket), deadline).await??;
    }
}

/// Asks the creator for the memory. It answers when it next polls, however long that takes: only its death ends this.
pub async fn open(reactor: Rc<Reactor>, socket: OwnedFd, mailbox: Rc<Mailbox>, serial: u64) {
    let outcome = match answer(&reactor, &socket).await {
        Ok((hello, memory, bells)) => Outcome::Opened(socket, hello, memory, bells),
        Err(error) => Outcome::Failed(error),
    };
    mailbox.put(serial, outcome);
}

async fn answer(reactor: &Rc<Reactor>, socket: &OwnedFd) -> Result<(Hello, OwnedFd, [OwnedFd; 2])> {
    loop {
        if let Some(answer) = recv_hello(socket)? {
            return Ok(answer);
        }
        reactor.readable(socket).await?;
    }
}

/// Sends the opener's request, as soon as it is connected.
///
/// # Errors
/// The creator's refusal if it has given one already, `ECONNRESET` if it is gone.
pub fn request(socket: &OwnedFd) -> Result<()> {
    send_request(socket, OpenRequest { membarrier: can_membarrier() })
        .map_err(|error| recv_hello(socket).err().unwrap_or(error))
}

/// Attaches what the opener was given, checking all of it.
///
/// # Errors
/// `EPROTO` if the memory or a doorbell is not what an honest creator sends.
pub fn attach(hello: &Hello, memory: OwnedFd, bells: [OwnedFd; 2]) -> Result<(Mapping, [Eventfd; 2])> {
    let total = crate::layout::Layout::new(hello.directions()).total;
    if hello.total_len() != total as u64 {
        return Err(Error::new(Errno::PROTO, "the peer's segment does not have the size that its parts add up to"));
    }
    let mapping = Mapping::attach(memory, total)?;
    let [creator, opener] = bells;
    Ok((mapping, [Eventfd::from_peer(creator)?, Eventfd::from_peer(opener)?]))
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    #[test]
    fn only_who_broke_the_rules_is_told_so() {
        for (errno, told) in [
            (Errno::PROTO, Errno::PROTO),
            (Errno::TIMEDOUT, Errno::PROTO),
            (Errno::MFILE, Errno::NOBUFS),
            (Errno::from_raw(rustix::io::Errno::TOOMANYREFS.raw_os_error()), Errno::NOBUFS),
        ] {
            assert_eq!(refusal(errno), told);
        }
    }
}
