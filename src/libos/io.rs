// SPDX-License-Identifier: MIT OR Apache-2.0
//! Buffers, pushes and pops.

use super::queues::Deaf;
use super::{IntoMessage, LibOs, SHUT};
use core::num::NonZeroUsize;
use core::task::Poll;
use runtime::buf::Buf;
use runtime::op::{Datagram, Direction, Outcome, Work};
use runtime::transport::PopMode;
use runtime::{Errno, Error, Qd, Qt, Result};

impl LibOs {
    /// A private buffer of `len` bytes, whose contents are whatever was in it before.
    ///
    /// # Errors
    /// `ENOBUFS` if the pool is empty: drop buffers, or configure more.
    ///
    /// ```
    /// let mut libos = margay::LibOs::new(&margay::Config::default())?;
    /// let mut buf = libos.alloc(5)?;
    /// buf.get_mut().expect("a new buffer has no second view").copy_from_slice(b"hello");
    /// assert_eq!(&buf[..], b"hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn alloc(&mut self, len: usize) -> Result<Buf> {
        self.pools.alloc(len)
    }

    /// Memory that this queue can hand over without a copy: for a pipe, a slot of the shared segment. Once pushed it
    /// belongs to the reader, who reads it in place; get a new one for the next message.
    ///
    /// # Errors
    /// `EBADF`; `ENOBUFS` all slots are out: they come back as the peer drops what it has read, which a later call sees once
    /// this LibOs has waited or polled; `EMSGSIZE` larger than a slot (`catmem.slot`); `ENOTCONN` the handshake of a
    /// pipe that was opened here is not done.
    ///
    /// ```
    /// # use margay::{Config, LibOs};
    /// # let directory = tempfile::tempdir()?;
    /// # let mut config = Config::default();
    /// # config.catmem.directory = Some(directory.path().into());
    /// let mut libos = LibOs::new(&config)?;
    /// let made = libos.create_pipe("frames")?;
    /// let opened = libos.open_pipe("frames")?;
    /// let mut frame = libos.alloc_on(made, 60_000)?;
    /// frame.get_mut().expect("a new buffer has no second view").fill(7);
    /// let (_, popped) = (libos.push(made, frame)?, libos.pop(opened, None)?);
    /// let message = libos.wait(popped, None)?.into_message()?;
    /// assert!(message.len() == 60_000 && message.iter().all(|part| part.iter().all(|&byte| byte == 7)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn alloc_on(&mut self, qd: Qd, len: usize) -> Result<Buf> {
        let queue = self.queues.get(qd)?;
        self.backends.get(queue.backend).alloc(queue.handle, len)
    }

    /// Pushes a message: a [`Buf`], an [`Sga`](runtime::buf::Sga), or bytes. The token completes once the transport has taken all of it.
    ///
    /// # Errors
    /// `EBADF`; `EINVAL` empty message (a datagram may be empty); `EPIPE` after [`shutdown`](Self::shutdown); `EAGAIN` too many tokens are open;
    /// `ENOBUFS` no buffer to copy the bytes into. What goes wrong later comes with the completion: `EPIPE` the peer has
    /// closed, `ECONNRESET` it died, `EPROTO` it broke the rules, `EMSGSIZE` the message is over the configured limit. Sockets:
    /// `ENOTCONN`; datagram sockets: `EDESTADDRREQ` not connected, `ECONNREFUSED` nobody was there for an earlier one.
    ///
    /// ```
    /// # use margay::{Config, LibOs, Outcome};
    /// # let directory = tempfile::tempdir()?;
    /// # let mut config = Config::default();
    /// # config.catmem.directory = Some(directory.path().into());
    /// let mut libos = LibOs::new(&config)?;
    /// let qd = libos.create_pipe("log")?;
    /// let qt = libos.push(qd, b"a line")?;
    /// assert!(matches!(libos.wait(qt, None)?.outcome, Outcome::Push));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn push(&mut self, qd: Qd, message: impl IntoMessage) -> Result<Qt> {
        let queue = self.queues.get(qd)?;
        if queue.shut {
            return Err(SHUT);
        }
        self.ops.reserve()?;
        // The usual case stands where it is called from, and gives and takes no more than fits into registers.
        if queue.fifos[Direction::Push as usize].is_empty()
            && let Some(bytes) = message.bytes()
            && !bytes.is_empty()
            && self.backends.get(queue.backend).push_now(queue.handle, bytes)
        {
            self.counted.pushed(bytes.len());
            return self.ops.pushed(qd);
        }
        self.push_other(qd, message)
    }

    /// A push that takes more than a copy.
    #[inline(never)]
    fn push_other(&mut self, qd: Qd, message: impl IntoMessage) -> Result<Qt> {
        let queue = self.queues.get(qd)?;
        let backend = self.backends.get(queue.backend);
        let first = queue.fifos[Direction::Push as usize].is_empty();
        if first
            && let Some(bytes) = message.bytes()
            && !bytes.is_empty()
        {
            match backend.push_bytes(queue.handle, bytes) {
                Ok(true) => {
                    self.counted.pushed(bytes.len());
                    return self.ops.pushed(qd);
                }
                Ok(false) => {}
                Err(error) => return self.ops.finished(qd, Outcome::Failed(error)),
            }
        }
        let mut message = message.into_message(&self.pools)?;
        let len = message.len();
        if len == 0 && !queue.datagrams {
            return Err(Error::new(Errno::INVAL, "an empty message cannot be pushed: it would mean the end"));
        }
        if first {
            match backend.push(queue.handle, &mut message) {
                Poll::Ready(Ok(())) => {
                    self.counted.pushed(len);
                    return self.ops.pushed(qd);
                }
                Poll::Ready(Err(error)) => return self.ops.finished(qd, Outcome::Failed(error)),
                Poll::Pending => {}
            }
        } else if self.ops.only_connects(queue.fifos[Direction::Push as usize]) {
            backend.push_early(queue.handle, &mut message);
        }
        self.counted.pushed(len);
        self.ops.park(qd, Work::Push(message), &mut queue.fifos[Direction::Push as usize])
    }

    /// Pops a message, or with a `size` at most so many bytes of it; the rest stays for the next pop. At the end of the
    /// stream one pop completes with an empty message, and those after it with `EPIPE`. On a datagram socket it completes
    /// with [`Outcome::Datagram`], which knows the sender; what a `size` cuts off is lost.
    ///
    /// # Errors
    /// `EBADF`; `EINVAL` for a size of zero; `EAGAIN` too many tokens are open. With the completion: `ECONNRESET` the peer
    /// died and all that it had published was popped, `EPROTO` it broke the rules, `ENOBUFS` no buffer for the message,
    /// which is still there, `EMSGSIZE` it was longer than `catmem.max_message` or than any buffer can be, and is gone. Sockets: `ENOTCONN`.
    ///
    /// ```
    /// # use margay::{Config, LibOs};
    /// # let directory = tempfile::tempdir()?;
    /// # let mut config = Config::default();
    /// # config.catmem.directory = Some(directory.path().into());
    /// let mut libos = LibOs::new(&config)?;
    /// let (made, opened) = (libos.create_pipe("bytes")?, libos.open_pipe("bytes")?);
    /// libos.push(opened, b"abcdef")?;
    /// for part in [&b"abcd"[..], b"ef"] {
    ///     let popped = libos.pop(made, Some(4))?;
    ///     assert_eq!(libos.wait(popped, None)?.into_message()?.to_vec(), part);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn pop(&mut self, qd: Qd, size: Option<usize>) -> Result<Qt> {
        let mode = match size {
            None => PopMode::Whole,
            Some(size) => match NonZeroUsize::new(size) {
                Some(size) => PopMode::AtMost(size),
                None => return Err(Error::new(Errno::INVAL, "a pop of zero bytes would mean the end")),
            },
        };
        self.pop_as(qd, mode)
    }

    /// Pops a message where it lies, without copying it if the transport can: for a pipe, in the shared ring. Its room is
    /// given back when the message is dropped, so drop it soon. A peer of the same user that breaks the rules can change
    /// the bytes while they are read; [`pop`](Self::pop) copies first.
    ///
    /// # Errors
    /// As [`pop`](Self::pop).
    ///
    /// ```
    /// # use margay::{Config, LibOs};
    /// # let directory = tempfile::tempdir()?;
    /// # let mut config = Config::default();
    /// # config.catmem.directory = Some(directory.path().into());
    /// let mut libos = LibOs::new(&config)?;
    /// let (made, opened) = (libos.create_pipe("big")?, libos.open_pipe("big")?);
    /// libos.push(opened, &[1; 1024])?;
    /// let popped = libos.pop_in_place(made)?;
    /// assert_eq!(libos.wait(popped, None)?.into_message()?.len(), 1024);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn pop_in_place(&mut self, qd: Qd) -> Result<Qt> {
        self.pop_as(qd, PopMode::InPlace)
    }

    #[inline(always)]
    fn pop_as(&mut self, qd: Qd, mode: PopMode) -> Result<Qt> {
        let queue = self.queues.get(qd)?;
        self.ops.reserve()?;
        // As in `push`.
        if queue.fifos[Direction::Pop as usize].is_empty() && queue.deaf == Deaf::No {
            let message = self.backends.get(queue.backend).pop_now(queue.handle, mode);
            if !message.has_no_segment() {
                self.counted.popped(message.len());
                return self.ops.popped(qd, message);
            }
        }
        self.pop_other(qd, mode)
    }

    /// A pop that takes more than a copy, or has to wait.
    #[inline(never)]
    fn pop_other(&mut self, qd: Qd, mode: PopMode) -> Result<Qt> {
        let queue = self.queues.get(qd)?;
        if queue.deaf != Deaf::No {
            let end = queue.end();
            return self.ops.finished(qd, end);
        }
        if queue.fifos[Direction::Pop as usize].is_empty() {
            match self.backends.get(queue.backend).pop(queue.handle, mode) {
                Poll::Ready(Ok(message)) => {
                    if queue.datagrams {
                        let datagram = Datagram::from_chain(message);
                        self.counted.popped(datagram.len());
                        return self.ops.finished(qd, Outcome::Datagram(datagram));
                    }
                    self.counted.popped(message.len());
                    return self.ops.popped(qd, message);
                }
                Poll::Ready(Err(error)) => return self.ops.finished(qd, Outcome::Failed(error)),
                Poll::Pending => {}
            }
        }
        self.ops.park(qd, Work::Pop(mode), &mut queue.fifos[Direction::Pop as usize])
    }
}
