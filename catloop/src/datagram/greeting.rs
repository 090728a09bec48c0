// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a sender says when it comes to a socket's name: its [`Request`], then the memory of the pipe, which it has made
//! itself. It does not wait for an answer: its first datagram is in that memory already, and reaches the receiver even if the
//! sender has gone when it looks.
//!
//! Nearly always both messages are there when the connection is accepted. A sender that was stopped between them is waited
//! for by a coroutine, for so long and no longer.

use crate::handshake::Request;
use catmem::rendezvous::{Hello, recv_bytes, recv_offer, send_bytes, send_offer};
use core::cell::RefCell;
use runtime::reactor::Reactor;
use runtime::time::Time;
use runtime::transport::Handle;
use runtime::{Errno, Error, Result};
use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::rc::Rc;

/// All that a sender says.
pub struct Greeting {
    /// The connection, which is the pipe's doorbell from now on.
    pub connection: Rc<OwnedFd>,
    /// Who it is, and whom it wants.
    pub request: Request,
    /// How its memory is laid out.
    pub hello: Hello,
    /// The memory.
    pub memory: OwnedFd,
}

/// A sender that has connected, and what it has said so far.
pub struct Newcomer {
    connection: Rc<OwnedFd>,
    request: Option<Request>,
}

impl Newcomer {
    /// It has connected.
    pub fn new(connection: OwnedFd) -> Self {
        Self { connection: Rc::new(connection), request: None }
    }

    /// Hears what has come; `None` if that is not all.
    ///
    /// # Errors
    /// `EPROTO` if it breaks the rules, `ECONNRESET` if it has gone.
    pub fn hear(&mut self) -> Result<Option<Greeting>> {
        let request = match self.request {
            Some(request) => request,
            None => match recv_bytes(&*self.connection)? {
                None => return Ok(None),
                Some(bytes) => *self.request.insert(Request::from_bytes(&bytes)?),
            },
        };
        let Some((hello, memory)) = recv_offer(&*self.connection)? else { return Ok(None) };
        if hello.directions().iter().any(|direction| direction.slots() != 0) {
            return Err(Error::new(Errno::PROTO, "a pipe for datagrams has no slots"));
        }
        Ok(Some(Greeting { connection: Rc::clone(&self.connection), request, hello, memory }))
    }
}

/// Says all that a sender says.
///
/// # Errors
/// `ECONNRESET` if the receiver is gone, else what `sendmsg` says.
pub fn say(greeting: &Greeting) -> Result<()> {
    let Greeting { connection, request, hello, memory } = greeting;
    send_bytes(&**connection, &request.to_bytes())?;
    send_offer(&**connection, hello, memory)
}

/// What coroutines tell the table of sockets.
pub enum Letter {
    /// A sender has said all.
    Greeted(Box<Greeting>),
    /// It is time to look at the name again.
    Retry,
}

/// Where coroutines leave their letters: the socket's handle and serial number, and the letter.
#[derive(Default)]
pub struct Mailbox(RefCell<VecDeque<(Handle, u64, Letter)>>);

impl Mailbox {
    /// Leaves a letter.
    pub fn put(&self, socket: Handle, serial: u64, letter: Letter) {
        self.0.borrow_mut().push_back((socket, serial, letter));
    }

    /// Takes the oldest letter.
    pub fn take(&self) -> Option<(Handle, u64, Letter)> {
        self.0.borrow_mut().pop_front()
    }

    /// How many letters there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.0.borrow().len()
    }
}

/// Hears a slow newcomer out, until the deadline.
///
/// # Errors
/// As [`Newcomer::hear`]; `ETIMEDOUT`.
pub async fn hear_out(reactor: &Reactor, mut newcomer: Newcomer, deadline: Time) -> Result<Greeting> {
    loop {
        if let Some(greeting) = newcomer.hear()? {
            return Ok(greeting);
        }
        reactor.timeout(reactor.readable(&*newcomer.connection), deadline).await??;
    }
}
