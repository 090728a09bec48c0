// SPDX-License-Identifier: MIT OR Apache-2.0
//! [`TcpInfo`]: how a connection of TCP fares, whoever carries it; and the same as `struct tcp_info` of `linux/tcp.h`, which is what
//! `TCP_INFO` of `tcp(7)` gives.
//!
//! What must always hold: a structure that is shorter than ours, as that of an older kernel is, has zeros in place of what it lacks; what
//! stands behind ours is not looked at.

use core::time::Duration;

/// Bytes of the structure as far as it is known here.
pub const LINUX_LEN: usize = 240;

/// Where a connection stands (RFC 9293 section 3.3.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TcpState {
    /// Data flow both ways.
    Established,
    /// Our SYN has left, nothing has come.
    SynSent,
    /// SYNs have met.
    SynReceived,
    /// We have ended; the peer has not acknowledged it.
    FinWait1,
    /// We have ended, and the peer knows.
    FinWait2,
    /// Both have ended and know.
    TimeWait,
    /// There is no connection.
    #[default]
    Closed,
    /// The peer has ended.
    CloseWait,
    /// The peer has ended, then we; the peer has not acknowledged it.
    LastAck,
    /// It waits for connections.
    Listen,
    /// Both have ended at once.
    Closing,
}

impl TcpState {
    /// In the order of the kernel's numbers (`net/tcp_states.h`), which begin with 1.
    const ALL: [Self; 11] = [
        Self::Established,
        Self::SynSent,
        Self::SynReceived,
        Self::FinWait1,
        Self::FinWait2,
        Self::TimeWait,
        Self::Closed,
        Self::CloseWait,
        Self::LastAck,
        Self::Listen,
        Self::Closing,
    ];

    fn from_linux(number: u8) -> Self {
        // The twelfth is a SYN that was answered.
        let other = if number == 12 { Self::SynReceived } else { Self::Closed };
        Self::ALL.get(usize::from(number).wrapping_sub(1)).copied().unwrap_or(other)
    }

    const fn to_linux(self) -> u8 {
        self as u8 + 1
    }
}

/// How a connection fares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TcpInfo {
    /// Where it stands.
    pub state: TcpState,
    /// Whether both have timestamps (RFC 7323).
    pub timestamps: bool,
    /// Whether both read selective acknowledgments (RFC 2018).
    pub sack: bool,
    /// Whether both take part in ECN (RFC 3168).
    pub ecn: bool,
    /// By how many bits the peer's window and ours are shifted, if both said it (RFC 7323).
    pub scales: Option<(u8, u8)>,
    /// Payload bytes of the longest segment that is sent.
    pub mss: u32,
    /// The round trip, smoothed; zero before it was measured.
    pub rtt: Duration,
    /// How much it varies.
    pub rtt_variance: Duration,
    /// The shortest of late.
    pub rtt_min: Duration,
    /// The retransmission timeout.
    pub rto: Duration,
    /// The congestion window in bytes.
    pub congestion_window: u64,
    /// The slow start threshold in bytes; `None` before anything was lost.
    pub threshold: Option<u64>,
    /// The peer's window in bytes; 0 where the kernel does not say it.
    pub send_window: u32,
    /// Our window in bytes; 0 where the kernel does not say it.
    pub receive_window: u32,
    /// Bytes that have left and are not acknowledged.
    pub in_flight: u64,
    /// Bytes that wait to be sent for the first time.
    pub unsent: u32,
    /// Segments that were sent again.
    pub retransmits: u64,
    /// Timeouts in a row.
    pub timeouts: u8,
    /// Bytes per second that are let out, if that is bounded.
    pub pacing_rate: Option<u64>,
    /// Bytes per second that have reached the peer, by the last measurement; `None` where it is not measured.
    pub delivery_rate: Option<u64>,
    /// Payload bytes that the peer has acknowledged.
    pub bytes_acknowledged: u64,
    /// Payload bytes that have come in order.
    pub bytes_received: u64,
    /// Segments that have left.
    pub segments_sent: u64,
    /// Segments that have come.
    pub segments_received: u64,
}

/// `TCPI_OPT_*`.
const TIMESTAMPS: u8 = 1;
const SACK: u8 = 2;
const SCALED: u8 = 4;
const ECN: u8 = 8;
/// What the kernel has for no threshold yet.
const NO_THRESHOLD: u32 = 0x7fff_ffff;

/// Where in the structure what stands. Bytes; the scales are two halves of one.
mod at {
    pub const STATE: usize = 0;
    pub const TIMEOUTS: usize = 2;
    pub const OPTIONS: usize = 5;
    pub const SCALES: usize = 6;
    pub const RTO: usize = 8;
    pub const MSS: usize = 16;
    pub const UNACKED: usize = 24;
    pub const RTT: usize = 68;
    pub const RTT_VARIANCE: usize = 72;
    pub const THRESHOLD: usize = 76;
    pub const WINDOW: usize = 80;
    pub const RETRANSMITS: usize = 100;
    pub const PACING_RATE: usize = 104;
    pub const BYTES_ACKED: usize = 120;
    pub const BYTES_RECEIVED: usize = 128;
    pub const SEGMENTS_OUT: usize = 136;
    pub const SEGMENTS_IN: usize = 140;
    pub const UNSENT: usize = 144;
    pub const RTT_MIN: usize = 148;
    pub const DELIVERY_RATE: usize = 160;
    pub const SEND_WINDOW: usize = 228;
    pub const RECEIVE_WINDOW: usize = 232;
}

impl TcpInfo {
    /// Nothing but a state.
    #[must_use]
    pub fn in_state(state: TcpState) -> Self {
        Self { state, ..Self::default() }
    }

    /// What a kernel's structure says. It counts windows in segments.
    #[must_use]
    pub fn from_linux(bytes: &[u8]) -> Self {
        let byte = |at: usize| bytes.get(at).copied().unwrap_or(0);
        let word = |at: usize| {
            u32::from_ne_bytes(bytes.get(at..at + 4).and_then(|part| part.try_into().ok()).unwrap_or_default())
        };
        let long = |at: usize| {
            u64::from_ne_bytes(bytes.get(at..at + 8).and_then(|part| part.try_into().ok()).unwrap_or_default())
        };
        let micros = |at: usize| Duration::from_micros(word(at).into());
        let (options, mss) = (byte(at::OPTIONS), word(at::MSS));
        let segments = |at: usize| u64::from(word(at)) * u64::from(mss);
        // No rate is no bound.
        let rate = |at: usize| Some(long(at)).filter(|&rate| rate != 0 && rate != u64::MAX);
        let (low, high) = (byte(at::SCALES) & 15, byte(at::SCALES) >> 4);
        let scales = if cfg!(target_endian = "little") { (low, high) } else { (high, low) };
        Self {
            state: TcpState::from_linux(byte(at::STATE)),
            timestamps: options & TIMESTAMPS != 0,
            sack: options & SACK != 0,
            ecn: options & ECN != 0,
            scales: (options & SCALED != 0).then_some(scales),
            mss,
            rtt: micros(at::RTT),
            rtt_variance: micros(at::RTT_VARIANCE),
            rtt_min: Some(micros(at::RTT_MIN)).filter(|time| time.as_micros() < u32::MAX.into()).unwrap_or_default(),
            rto: micros(at::RTO),
            congestion_window: segments(at::WINDOW),
            threshold: (1..NO_THRESHOLD).contains(&word(at::THRESHOLD)).then(|| segments(at::THRESHOLD)),
            send_window: word(at::SEND_WINDOW),
            receive_window: word(at::RECEIVE_WINDOW),
            in_flight: segments(at::UNACKED),
            unsent: word(at::UNSENT),
            retransmits: word(at::RETRANSMITS).into(),
            timeouts: byte(at::TIMEOUTS),
            pacing_rate: rate(at::PACING_RATE),
            delivery_rate: rate(at::DELIVERY_RATE),
            bytes_acknowledged: long(at::BYTES_ACKED),
            bytes_received: long(at::BYTES_RECEIVED),
            segments_sent: word(at::SEGMENTS_OUT).into(),
            segments_received: word(at::SEGMENTS_IN).into(),
        }
    }

    /// The structure that says this; zeros stand for what is not known here. Windows are in whole segments, at least one if there is
    /// anything.
    #[must_use]
    pub fn to_linux(&self) -> [u8; LINUX_LEN] {
        let mut bytes = [0; LINUX_LEN];
        let mut put = |at: usize, part: &[u8]| {
            if let Some(place) = bytes.get_mut(at..at + part.len()) {
                place.copy_from_slice(part);
            }
        };
        let word = |value: u64| u32::try_from(value).unwrap_or(u32::MAX).to_ne_bytes();
        let micros = |time: Duration| u32::try_from(time.as_micros()).unwrap_or(u32::MAX).to_ne_bytes();
        let segments = |bytes: u64| word(bytes.div_ceil(u64::from(self.mss.max(1))));
        let option = |is_on: bool, bit: u8| if is_on { bit } else { 0 };
        put(at::STATE, &[self.state.to_linux()]);
        put(at::TIMEOUTS, &[self.timeouts]);
        let options = option(self.timestamps, TIMESTAMPS)
            | option(self.sack, SACK)
            | option(self.scales.is_some(), SCALED)
            | option(self.ecn, ECN);
        let (send, receive) = self.scales.unwrap_or_default();
        let scales = if cfg!(target_endian = "little") { receive << 4 | send & 15 } else { send << 4 | receive & 15 };
        put(at::OPTIONS, &[options, scales]);
        put(at::RTO, &micros(self.rto));
        put(at::MSS, &self.mss.to_ne_bytes());
        put(at::UNACKED, &segments(self.in_flight));
        put(at::RTT, &micros(self.rtt));
        put(at::RTT_VARIANCE, &micros(self.rtt_variance));
        put(at::THRESHOLD, &self.threshold.map_or_else(|| NO_THRESHOLD.to_ne_bytes(), segments));
        put(at::WINDOW, &segments(self.congestion_window));
        put(at::RETRANSMITS, &word(self.retransmits));
        put(at::PACING_RATE, &self.pacing_rate.unwrap_or(u64::MAX).to_ne_bytes());
        put(at::BYTES_ACKED, &self.bytes_acknowledged.to_ne_bytes());
        put(at::BYTES_RECEIVED, &self.bytes_received.to_ne_bytes());
        put(at::SEGMENTS_OUT, &word(self.segments_sent));
        put(at::SEGMENTS_IN, &word(self.segments_received));
        put(at::UNSENT, &self.unsent.to_ne_bytes());
        put(at::RTT_MIN, &micros(self.rtt_min));
        put(at::DELIVERY_RATE, &self.delivery_rate.unwrap_or(0).to_ne_bytes());
        put(at::SEND_WINDOW, &self.send_window.to_ne_bytes());
        put(at::RECEIVE_WINDOW, &self.receive_window.to_ne_bytes());
        bytes
    }
}

const _: () = assert!(at::SCALES == at::OPTIONS + 1);

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    fn info() -> TcpInfo {
        TcpInfo {
            state: TcpState::CloseWait,
            timestamps: true,
            sack: true,
            ecn: true,
            scales: Some((7, 8)),
            mss: 1448,
            rtt: Duration::from_micros(12_345),
            rtt_variance: Duration::from_micros(678),
            rtt_min: Duration::from_millis(9),
            rto: Duration::from_millis(212),
            congestion_window: 14_480,
            threshold: Some(28_960),
            send_window: 65_536,
            receive_window: 1 << 20,
            in_flight: 2896,
            unsent: 17,
            retransmits: 3,
            timeouts: 1,
            pacing_rate: Some(1_000_000),
            delivery_rate: Some(900_000),
            bytes_acknowledged: 1 << 40,
            bytes_received: 5,
            segments_sent: 100,
            segments_received: 200,
        }
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(TcpInfo::from_linux(&info().to_linux()), info());
        for state in TcpState::ALL {
            let info = TcpInfo { state, scales: None, threshold: None, pacing_rate: None, ..info() };
            assert_eq!(TcpInfo::from_linux(&info.to_linux()), info);
        }
        assert_eq!(TcpInfo::from_linux(&TcpInfo::default().to_linux()), TcpInfo::default());
    }

    #[test]
    fn older_and_newer_structures_are_read() {
        let whole = info().to_linux();
        let old = TcpInfo::from_linux(&whole[..104]);
        assert_eq!((old.rtt, old.retransmits, old.delivery_rate, old.send_window), (info().rtt, 3, None, 0));
        assert_eq!(TcpInfo::from_linux(&[&whole[..], &[7; 32]].concat()), info());
        assert_eq!(TcpInfo::from_linux(&[]), TcpInfo::default());
    }

    #[test]
    fn windows_are_whole_segments() {
        let said = TcpInfo { congestion_window: 1449, in_flight: 1, mss: 1448, ..TcpInfo::default() };
        let read = TcpInfo::from_linux(&said.to_linux());
        assert_eq!((read.congestion_window, read.in_flight), (2896, 1448));
        // Nonsense of a peer's making does no harm.
        let read = TcpInfo::from_linux(&TcpInfo { mss: 0, ..said }.to_linux());
        assert_eq!(read.congestion_window, 0);
        assert_eq!(TcpInfo::from_linux(&[0xff; LINUX_LEN]).state, TcpState::Closed);
    }
}
