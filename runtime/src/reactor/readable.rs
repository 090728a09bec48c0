// SPDX-License-Identifier: MIT OR Apache-2.0
//! A future that waits until a file descriptor is readable or hung up.

use super::poller::Poller;
use crate::error::{Error, Result};
use crate::slab::Key;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

/// Resolves when the descriptor is readable, has an error, or its peer hung up.
///
/// It watches a duplicate of its own, so that several can wait for one descriptor, and so that the descriptor may be
/// closed meanwhile. Dropping it ends the watch.
#[must_use = "a future does nothing unless it is awaited"]
pub struct Readable {
    source: Result<Source>,
}

struct Source {
    poller: Rc<Poller>,
    fd: OwnedFd,
    key: Key,
}

impl Readable {
    pub(super) fn new(poller: Rc<Poller>, fd: BorrowedFd<'_>) -> Self {
        let duplicate =
            rustix::io::fcntl_dupfd_cloexec(fd, 0).map_err(|errno| Error::os(errno, "duplicate a descriptor"));
        let source = duplicate.and_then(|fd| {
            let key = poller.add_source(fd.as_fd())?;
            Ok(Source { poller, fd, key })
        });
        Self { source }
    }
}

impl Future for Readable {
    /// Fails if the descriptor could not be watched: `EMFILE`, `EPERM` for a regular file, `ENOMEM`, `ENOSPC`.
    type Output = Result<()>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        match &self.source {
            Ok(source) if source.poller.poll_source(source.key, context.waker()) => Poll::Ready(Ok(())),
            Ok(_) => Poll::Pending,
            Err(error) => Poll::Ready(Err(*error)),
        }
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        // Closing the duplicate alone would leave the registration, because the original keeps the file open. It
        // cannot fail: the duplicate is in the set for as long as this value lives.
        let _ = self.poller.unwatch(self.fd.as_fd());
        self.poller.remove_source(self.key);
    }
}
