// SPDX-License-Identifier: MIT OR Apache-2.0
//! The states of RFC 9293 section 3.3.2, and the ways between those in which both ends know each other.
//!
//! What must always hold: every way is one of figure 5. What is no way there changes nothing.

/// Where a connection stands. LISTEN is none of it: a listener is no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Our SYN has left, nothing has come.
    SynSent,
    /// SYNs have met: both ends have opened at once.
    SynReceived,
    /// Data flow both ways.
    Established,
    /// We have ended; the peer has not acknowledged it.
    FinWait1,
    /// We have ended, and the peer knows.
    FinWait2,
    /// The peer has ended.
    CloseWait,
    /// Both have ended at once; the peer has not acknowledged ours.
    Closing,
    /// The peer has ended, then we; the peer has not acknowledged it.
    LastAck,
    /// Both have ended and know; what is still on its way has time to die.
    TimeWait,
    /// There is none any more.
    Closed,
}

impl State {
    /// Our end of the stream stands in the send queue.
    #[must_use]
    pub const fn ended_here(self) -> Self {
        match self {
            Self::Established => Self::FinWait1,
            Self::CloseWait => Self::LastAck,
            other => other,
        }
    }

    /// The peer's end has come, with all before it.
    #[must_use]
    pub const fn ended_there(self) -> Self {
        match self {
            Self::Established => Self::CloseWait,
            Self::FinWait1 => Self::Closing,
            Self::FinWait2 => Self::TimeWait,
            other => other,
        }
    }

    /// The peer has acknowledged our end.
    #[must_use]
    pub const fn end_acknowledged(self) -> Self {
        match self {
            Self::FinWait1 => Self::FinWait2,
            Self::Closing => Self::TimeWait,
            Self::LastAck => Self::Closed,
            other => other,
        }
    }

    /// Whether more may be pushed.
    #[must_use]
    pub const fn may_push(self) -> bool {
        matches!(self, Self::Established | Self::CloseWait)
    }

    /// Whether more may come from the peer.
    #[must_use]
    pub const fn may_come(self) -> bool {
        matches!(self, Self::Established | Self::FinWait1 | Self::FinWait2)
    }

    /// Whether both ends know each other's sequence numbers.
    #[must_use]
    pub const fn is_synchronized(self) -> bool {
        !matches!(self, Self::SynSent | Self::SynReceived | Self::Closed)
    }
}
