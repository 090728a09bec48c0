// SPDX-License-Identifier: MIT OR Apache-2.0
//! How an operation ended.

use super::Datagram;
use crate::buf::Sga;
use crate::{Error, Qd, Qt};

/// The end of one operation; delivered exactly once, to whoever waits for its token.
#[derive(Debug)]
pub struct Completion {
    /// The queue that the operation was begun on.
    pub qd: Qd,
    /// The operation's token, which is spent now.
    pub qt: Qt,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of an operation.
#[derive(Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// The message was taken: it will reach the peer if the peer lives.
    Push,
    /// A message. An empty one is the end of the stream: the peer has closed or shut down, and all was popped.
    Pop(Sga),
    /// A datagram with its sender's address. An empty one is a message, too.
    Datagram(Datagram),
    /// A connection that was accepted: its queue, which knows its peer's address.
    Accept(Qd),
    /// The connection is made.
    Connect,
    /// The queue is closed.
    Close,
    /// The operation failed.
    Failed(Error),
}

impl Outcome {
    /// Takes the outcome and leaves `Push` behind, case by case: the two usual ones where they are asked for.
    #[inline(always)]
    pub(super) fn lift(&mut self) -> Self {
        match self {
            Self::Push => Self::Push,
            Self::Pop(message) => {
                let lifted = Self::Pop(core::mem::take(message));
                // An empty message has nothing to drop.
                core::mem::forget(core::mem::replace(self, Self::Push));
                lifted
            }
            _ => self.lift_other(),
        }
    }

    #[inline(never)]
    fn lift_other(&mut self) -> Self {
        let lifted = match self {
            Self::Push => return Self::Push,
            Self::Pop(message) => Self::Pop(core::mem::take(message)),
            Self::Datagram(datagram) => Self::Datagram(Datagram::from_chain(core::mem::take(datagram.chain_mut()))),
            Self::Accept(qd) => Self::Accept(*qd),
            Self::Connect => Self::Connect,
            Self::Close => Self::Close,
            Self::Failed(error) => Self::Failed(*error),
        };
        // An empty message and an error have nothing to drop.
        core::mem::forget(core::mem::replace(self, Self::Push));
        lifted
    }
}

impl Completion {
    /// The popped message.
    ///
    /// # Errors
    /// The operation's own error; `EINVAL` if it was no pop.
    #[inline(always)]
    pub fn into_message(self) -> crate::Result<Sga> {
        match self.outcome {
            Outcome::Pop(message) => Ok(message),
            Outcome::Failed(error) => Err(error),
            _ => Err(Error::new(crate::Errno::INVAL, "this operation was no pop")),
        }
    }

    /// The popped datagram.
    ///
    /// # Errors
    /// The operation's own error; `EINVAL` if it was no pop of a datagram socket.
    pub fn into_datagram(self) -> crate::Result<Datagram> {
        match self.outcome {
            Outcome::Datagram(datagram) => Ok(datagram),
            Outcome::Failed(error) => Err(error),
            _ => Err(Error::new(crate::Errno::INVAL, "this operation was no pop of a datagram socket")),
        }
    }

    /// The queue of the connection that was accepted.
    ///
    /// # Errors
    /// The operation's own error; `EINVAL` if it was no accept.
    pub fn accepted(&self) -> crate::Result<Qd> {
        match self.outcome {
            Outcome::Accept(qd) => Ok(qd),
            Outcome::Failed(error) => Err(error),
            _ => Err(Error::new(crate::Errno::INVAL, "this operation was no accept")),
        }
    }

    /// Whether the operation did what it was asked.
    ///
    /// # Errors
    /// The operation's own error.
    pub fn ok(&self) -> crate::Result<()> {
        match self.outcome {
            Outcome::Failed(error) => Err(error),
            _ => Ok(()),
        }
    }
}
