// SPDX-License-Identifier: MIT OR Apache-2.0
//! What TCP can be set to, for a stack and, where the socket has an option for it, for one connection.

use core::time::Duration;

/// What governs how much may be under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Algorithm {
    /// CUBIC with HyStart++ (RFC 9438, RFC 9406).
    #[default]
    Cubic,
    /// NewReno (RFC 5681, RFC 6582).
    NewReno,
    /// DCTCP (RFC 8257), for networks whose switches mark early; needs ECN.
    Dctcp,
    /// BBR, third version, as its draft has it: experimental.
    Bbr,
}

/// When a push counts as done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Completion {
    /// When it stands in the send buffer.
    #[default]
    Queued,
    /// When its last byte has left for the first time.
    Sent,
    /// When the peer has acknowledged its last byte.
    Acked,
}

/// What TCP is set to. [`Settings::default`] is what Linux does where the RFCs leave a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a feature of its own")]
pub struct Settings {
    /// What governs how much may be under way.
    pub algorithm: Algorithm,
    /// The shortest retransmission timeout (RFC 6298 section 2.4 would have 1 s).
    pub rto_min: Duration,
    /// The longest; as the shortest, of no more than 71 minutes.
    pub rto_max: Duration,
    /// The first, before a round trip was measured (RFC 6298 section 2.1).
    pub rto_initial: Duration,
    /// The longest that an acknowledgment waits for company (RFC 9293 section 3.8.6.3).
    pub ack_delay: Duration,
    /// What a receive buffer begins with, in bytes.
    pub receive_buffer: usize,
    /// How far it may grow by itself.
    pub receive_buffer_max: usize,
    /// What a send buffer holds, in bytes.
    pub send_buffer: usize,
    /// Whether SACK is offered (RFC 2018).
    pub sack: bool,
    /// Whether timestamps are offered (RFC 7323).
    pub timestamps: bool,
    /// Whether window scaling is offered (RFC 7323).
    pub window_scaling: bool,
    /// Whether ECN is asked for (RFC 3168). Asked by the peer, it is granted in any case.
    pub ecn: bool,
    /// Whether RACK-TLP finds losses (RFC 8985); else three duplicates do (RFC 6675).
    pub rack: bool,
    /// Small segments do not wait (Nagle's algorithm off, RFC 9293 section 3.7.4).
    pub no_delay: bool,
    /// How long both ends of a connection are remembered after it (2 MSL, RFC 9293 section 3.6.1).
    pub time_wait: Duration,
    /// How often a SYN is sent again.
    pub syn_retries: u8,
    /// How often a SYN that was answered is answered again.
    pub syn_ack_retries: u8,
    /// How often data are sent again before the connection is given up (RFC 1122 section 4.2.3.5, R2).
    pub retries: u8,
    /// How long a peer may leave data unacknowledged, if that is bounded otherwise than by `retries` (RFC 5482).
    pub user_timeout: Option<Duration>,
    /// How long a connection that was closed waits for its peer's end.
    pub fin_wait: Duration,
    /// When a push counts as done.
    pub completion: Completion,
    /// Whether SYN cookies are sent when the queue of those that have not answered is full (RFC 4987).
    pub cookies: bool,
    /// Whether the first push may go with the SYN, and what came with one is taken before its sender has shown that it is there
    /// (RFC 7413). What a listener gets so can come twice (section 6.1): for requests only that may be repeated.
    pub fast_open: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl Settings {
    /// What Linux does where the RFCs leave a choice.
    pub const DEFAULT: Self = Self {
        algorithm: Algorithm::Cubic,
        rto_min: Duration::from_millis(200),
        rto_max: Duration::from_mins(2),
        rto_initial: Duration::from_secs(1),
        ack_delay: Duration::from_millis(40),
        receive_buffer: 131_072,
        receive_buffer_max: 6 << 20,
        send_buffer: 4 << 20,
        sack: true,
        timestamps: true,
        window_scaling: true,
        ecn: true,
        rack: true,
        no_delay: false,
        time_wait: Duration::from_mins(1),
        syn_retries: 6,
        syn_ack_retries: 5,
        retries: 15,
        user_timeout: None,
        fin_wait: Duration::from_mins(1),
        completion: Completion::Queued,
        cookies: true,
        fast_open: false,
    };

    /// For a network of one building: losses are made good in milliseconds.
    #[must_use]
    pub const fn datacenter() -> Self {
        Self {
            rto_min: Duration::from_millis(5),
            rto_initial: Duration::from_millis(50),
            ack_delay: Duration::from_millis(1),
            algorithm: Algorithm::Dctcp,
            ..Self::DEFAULT
        }
    }
}
