// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is said to recovery, and what it says.

use core::time::Duration;

use runtime::time::Time;

use crate::tcp::seq::Seq;
use crate::wire::tcp::SackBlock;

/// What both ends have agreed on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// The peer sends SACK blocks (RFC 2018).
    pub sack: bool,
    /// Both send timestamps (RFC 7323).
    pub timestamps: bool,
    /// ECN is in use (RFC 3168).
    pub ecn: bool,
}

/// What a segment with ACK says of what was sent.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "what a segment says, each for itself")]
pub struct Acknowledgment<'a> {
    /// The acknowledgment number: not behind SND.NXT. One before SND.UNA says nothing but its SACK blocks.
    pub ack: Seq,
    /// SACK blocks as they stand in the option (RFC 2018, RFC 2883); none without SACK.
    pub sack: &'a [SackBlock],
    /// The round trip by the echoed timestamp, if there is one that counts (RFC 7323 section 4.1).
    pub rtt: Option<Duration>,
    /// The last moment at which the segment whose timestamp is echoed can have left: the end of that tick of the clock.
    pub echo: Option<Time>,
    /// The segment takes sequence space, so that it is no duplicate acknowledgment (RFC 5681 section 2).
    pub has_data: bool,
    /// The window differs from that of the segment before: the same.
    pub window_changed: bool,
    /// New data wait, and the peer's window has room for them: F-RTO asks (RFC 5682 section 2.1).
    pub unsent: bool,
    /// ECE is set (RFC 3168 section 6.1.2).
    pub ece: bool,
    /// Bytes of those that this acknowledges which came marked (RFC 8257 section 3.3).
    pub marked: u32,
}

/// What came of an acknowledgment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Sequence numbers by which SND.UNA has moved: the send queue lets go of them.
    pub acked: u32,
    /// Sequence numbers delivered for the first time, selectively or not.
    pub delivered: u32,
    /// Sequence numbers that were found lost.
    pub lost: u32,
    /// The window was reduced: the next new data carry CWR if ECN is in use (RFC 3168 section 6.1.2).
    pub reduced: bool,
    /// A retransmission turned out to have been for nothing, and the window is what it was.
    pub undone: bool,
}

/// Which timer ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expired {
    /// None.
    Nothing,
    /// The probe timer (RFC 8985 section 7.3): send one segment of new data, whatever [`Recovery::room`](super::Recovery::room)
    /// says, or, if there is none or no window for it, [`Recovery::probe`](super::Recovery::probe) again.
    Probe,
    /// The retransmission timer: [`Recovery::lost`](super::Recovery::lost) gives what to send.
    Timeout {
        /// How often in a row, without anything acknowledged between.
        count: u8,
    },
    /// Something is late enough to count as lost: [`Recovery::lost`](super::Recovery::lost) gives what to send.
    Reordered {
        /// Whether the window was reduced for it.
        reduced: bool,
    },
}

/// Whether something is being made good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Nothing is.
    #[default]
    Open,
    /// What ACKs have shown to be lost (fast recovery, RFC 5681 section 3.2).
    Recovery,
    /// What was lost when the retransmission timer ran out.
    Loss,
    /// A probe of the path, and nothing else: it was too long, and the path is not full because of that (RFC 4821 section 7.6.2).
    Repair,
}
