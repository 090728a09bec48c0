// SPDX-License-Identifier: MIT OR Apache-2.0
//! The one socket that is busy is received from by `recv(2)`.
//!
//! Where the kernel works in `io_uring_enter` only, it says in the ring that something has come, has to be called to do that work,
//! and only then has a completion: for a message that comes alone this is the longer way, and the ring has nothing to gather. So once two
//! looks in a row have found one completion each, and both were of the same stream, what the kernel says next is taken to be more of it,
//! and asked for at once. What its request would have done then follows while the answer is under way: it finds nothing, and stays.
//!
//! What must always hold: the kernel takes bytes of a stream for its request only while this thread is in `enter` (`IORING_SETUP_DEFER_TASKRUN`),
//! and none of its completions is left in the ring when `recv` is called; so no byte overtakes another. Two calls in a row are not made without
//! an `enter` between them, so that nobody else waits for longer than one message.

use crate::Catcollar;
use crate::ring::{Done, Kind};
use runtime::buf::{Buf, Pool, Pools};
use runtime::transport::Handle;
use runtime::{Error, Result};
use rustix::io::Errno as Os;
use rustix::net::{RecvFlags, recv};

/// Whose messages came alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Lone {
    /// Nobody's.
    #[default]
    Nobody,
    /// The last one was this stream's.
    Once(Handle),
    /// The last ones were.
    Again(Handle),
    /// As before, and what the kernel says now it has said of bytes that were received.
    Received(Handle),
}

impl Lone {
    /// A look has found nothing but this completion.
    #[inline]
    pub(crate) fn came(self, handle: Handle) -> Self {
        match self {
            Self::Once(last) | Self::Again(last) | Self::Received(last) if last == handle => Self::Again(handle),
            _ => Self::Once(handle),
        }
    }
}

/// Whether a completion is of bytes of a stream whose request stays.
#[inline]
pub(crate) const fn is_of_a_stream(done: &Done) -> bool {
    matches!(done.kind, Kind::Receive) && done.more && done.result > 0
}

/// Memory for what a stream receives without the ring having chosen a buffer.
///
/// # Errors
/// `ENOBUFS`: there is none.
pub(crate) fn stream_buffer(streams: &Pool, pools: &Pools) -> Result<Buf> {
    let size = streams.slot_size();
    streams.alloc(size).or_else(|_| pools.alloc(size))
}

impl Catcollar {
    /// The kernel says that it has work. True: it was bytes of the stream that is busy alone, and they are here.
    #[inline]
    pub(crate) fn receive_directly(&mut self) -> bool {
        match self.lone {
            Lone::Again(handle) if !self.ring.has_queued() && !self.ring.has_completions() => self.receive_of(handle),
            Lone::Received(handle) => {
                self.lone = Lone::Again(handle);
                false
            }
            _ => false,
        }
    }

    fn receive_of(&mut self, handle: Handle) -> bool {
        let received = self.receive_now(handle);
        self.lone = if received { Lone::Received(handle) } else { Lone::Nobody };
        received
    }

    fn receive_now(&mut self, handle: Handle) -> bool {
        let Ok(mut buf) = stream_buffer(&self.streams, &self.pools) else { return false };
        let Ok(socket) = self.sockets.get(handle) else { return false };
        let receiving = &socket.receiving;
        let goes_on = receiving.request.is_some() && !receiving.canceled && !receiving.hung && receiving.end.is_none();
        let (Some(kernel), Some(room)) = (&socket.kernel, buf.get_mut()) else { return false };
        if !goes_on || !socket.pop_waits || !receiving.ready.is_empty() || !socket.closing.is_open() {
            return false;
        }
        self.counters.system_calls += 1;
        match recv(kernel, &mut *room, RecvFlags::DONTWAIT) {
            // The end is the request's to tell.
            Ok((0, _)) | Err(Os::AGAIN | Os::INTR) => return false,
            Ok((len, _)) => {
                let short =
                    (len <= crate::receive::COPY_MAX).then(|| self.pools.alloc_copy(&room[..len]).ok()).flatten();
                // The kernel wrote no more than there is room.
                let _ = buf.truncate(len);
                socket.receiving.ready.push_back(short.unwrap_or(buf));
            }
            // Said once, and now it was: the request will find the end of the stream, and nothing else.
            Err(errno) => socket.broken(Error::os(errno, "recv")),
        }
        // As where the ring has said it: the answer is alone, too.
        self.alone = true;
        socket.wake_pop(&mut self.woken);
        true
    }
}
