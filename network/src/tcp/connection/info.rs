// SPDX-License-Identifier: MIT OR Apache-2.0
//! [`Info`]: how a connection fares, as `TCP_INFO` of `tcp(7)` has it.

use core::time::Duration;

use runtime::time::Time;

use super::State;
use super::open::Open;

/// How a connection fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Info {
    /// Where it stands.
    pub state: State,
    /// Payload bytes of the longest segment that is sent.
    pub mss: u16,
    /// The peer's window scale and ours, if both said one.
    pub scales: Option<(u8, u8)>,
    /// Whether both read selective acknowledgments.
    pub sack: bool,
    /// Whether both have timestamps.
    pub timestamps: bool,
    /// Whether both take part in ECN.
    pub ecn: bool,
    /// The round trip, smoothed; zero before it was measured.
    pub rtt: Duration,
    /// How much it varies.
    pub rtt_variance: Duration,
    /// The shortest of late.
    pub rtt_min: Duration,
    /// The retransmission timeout.
    pub rto: Duration,
    /// The congestion window in bytes.
    pub congestion_window: u32,
    /// The slow start threshold in bytes; `u32::MAX` before anything was lost.
    pub threshold: u32,
    /// The peer's window in bytes.
    pub send_window: u32,
    /// What a segment has offered last of our window, in bytes.
    pub receive_window: u32,
    /// Bytes that have left and are neither acknowledged nor thought lost.
    pub in_flight: u32,
    /// Bytes that wait to be sent for the first time.
    pub unsent: u32,
    /// Bytes that wait to be popped.
    pub readable: usize,
    /// Segments that were sent again.
    pub retransmits: u64,
    /// Timeouts in a row.
    pub timeouts: u8,
    /// Bytes per second that are let out, if that is bounded.
    pub pacing_rate: Option<u64>,
    /// Bytes per second that have reached the peer, by the last measurement, where the congestion control asks for such.
    pub delivery_rate: Option<u64>,
    /// Payload bytes that the peer has acknowledged.
    pub bytes_acknowledged: u64,
    /// Payload bytes that have come in order.
    pub bytes_received: u64,
    /// Segments that have come, modulo 2^32.
    pub segments_received: u64,
    /// Segments that have left, modulo 2^32; of one that a device cuts, one.
    pub segments_sent: u64,
}

impl Info {
    /// Of a connection that has done nothing.
    pub(super) const NOTHING: Self = Self {
        state: State::Closed,
        mss: 0,
        scales: None,
        sack: false,
        timestamps: false,
        ecn: false,
        rtt: Duration::ZERO,
        rtt_variance: Duration::ZERO,
        rtt_min: Duration::ZERO,
        rto: Duration::ZERO,
        congestion_window: 0,
        threshold: u32::MAX,
        send_window: 0,
        receive_window: 0,
        in_flight: 0,
        unsent: 0,
        readable: 0,
        retransmits: 0,
        timeouts: 0,
        pacing_rate: None,
        delivery_rate: None,
        bytes_acknowledged: 0,
        bytes_received: 0,
        segments_received: 0,
        segments_sent: 0,
    };
}

impl Open {
    pub fn info(&self, _now: Time) -> Info {
        let (ours, theirs) = self.shifts;
        let recovery = &self.recovery;
        let controller = recovery.controller();
        Info {
            state: self.state,
            mss: self.mss.payload() as u16,
            scales: self.scaled.then_some((theirs, ours)),
            sack: self.sack,
            timestamps: self.stamps.is_some(),
            ecn: self.ecn.on,
            rtt: recovery.srtt(),
            rtt_variance: recovery.rttvar(),
            rtt_min: recovery.min_rtt(),
            rto: recovery.rto(),
            congestion_window: controller.window(),
            threshold: controller.threshold(),
            send_window: self.window.size(),
            receive_window: u32::from(self.offered) << ours,
            in_flight: recovery.in_flight(),
            unsent: self.queue.end().since(recovery.next()),
            readable: self.receiver.readable(),
            retransmits: recovery.retransmits(),
            timeouts: recovery.timeouts(),
            pacing_rate: controller.pacing_rate(recovery.srtt()),
            delivery_rate: recovery.delivery_rate().map(|sample| sample.rate()),
            bytes_acknowledged: self.counts.bytes_acknowledged,
            bytes_received: self.counts.bytes_received,
            segments_received: self.counts.segments_received.into(),
            segments_sent: self.counts.segments_sent.into(),
        }
    }
}
