// SPDX-License-Identifier: MIT OR Apache-2.0
//! The state machine of a pipe's end: pure, without the pipe.
//!
//! A change is prepared (checked, and announced so that nothing else begins), then the work is done, then it is committed
//! or aborted. An aborted change leaves the state as it was.
//!
//! ```text
//!   Opening ──joined──▶ Open ──prepare──▶ Closing ──commit──▶ Closed
//!      └────────prepare───────────────────▲   └──abort──▶ (what it was)
//! ```

use runtime::{Errno, Error, Result};

/// Where the end stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The handshake is under way (opener), or nobody has opened yet (creator).
    Opening,
    /// The peer is there.
    Open,
    /// A close has been prepared.
    Closing,
    /// Closed.
    Closed,
}

/// Where one half of the stream stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// Bytes can flow.
    Open,
    /// The end has been published, or read.
    Ended,
}

/// A prepared close: to be committed or aborted.
#[derive(Debug)]
#[must_use = "a prepared change must be committed or aborted"]
pub struct Prepared {
    before: State,
}

/// The state of one end.
#[derive(Debug)]
pub struct Machine {
    state: State,
    write: Half,
    read: Half,
}

impl Machine {
    /// A new end.
    pub const fn new() -> Self {
        Self { state: State::Opening, write: Half::Open, read: Half::Open }
    }

    /// The half that this side writes.
    pub const fn write(&self) -> Half {
        self.write
    }

    /// The half that this side reads.
    pub const fn read(&self) -> Half {
        self.read
    }

    /// The peer is there. Ignored unless it was waited for.
    pub fn joined(&mut self) {
        if self.state == State::Opening {
            self.state = State::Open;
        }
    }

    /// Announces a close.
    ///
    /// # Errors
    /// `EBADF` once it is closed, `EALREADY` while another close is prepared.
    pub fn prepare_close(&mut self) -> Result<Prepared> {
        match self.state {
            State::Closing => Err(Error::new(Errno::ALREADY, "the pipe is being closed already")),
            State::Closed => Err(Error::new(Errno::BADF, "the pipe is closed")),
            before => {
                self.state = State::Closing;
                Ok(Prepared { before })
            }
        }
    }

    /// The close is done.
    pub fn commit_close(&mut self, _prepared: Prepared) {
        self.state = State::Closed;
        self.write = Half::Ended;
        self.read = Half::Ended;
    }

    /// The close did not happen.
    #[expect(clippy::needless_pass_by_value, reason = "a prepared change is used up")]
    pub fn abort_close(&mut self, prepared: Prepared) {
        self.state = prepared.before;
    }

    /// The end of what this side writes is published.
    ///
    /// # Errors
    /// `EPIPE` if it was before.
    pub fn end_write(&mut self) -> Result<()> {
        match core::mem::replace(&mut self.write, Half::Ended) {
            Half::Open => Ok(()),
            Half::Ended => Err(Error::new(Errno::PIPE, "the pipe was shut down for writing before")),
        }
    }

    /// The peer's end has been read.
    pub fn end_read(&mut self) {
        self.read = Half::Ended;
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
