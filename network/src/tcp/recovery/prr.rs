// SPDX-License-Identifier: MIT OR Apache-2.0
//! Proportional Rate Reduction (RFC 6937, with the bound of RFC 9937 when less is in flight than should be): in recovery,
//! what leaves is in proportion to what arrives, so that the window is reduced over a round trip without a pause or a burst.

/// The bytes of one recovery.
#[derive(Clone, Copy, Debug, Default)]
pub struct Prr {
    /// Bytes that were not acknowledged when it began (RecoverFS).
    flight: u32,
    delivered: u32,
    out: u32,
    /// What may leave now.
    budget: u32,
}

impl Prr {
    /// Recovery begins, with that many bytes neither acknowledged nor selectively acknowledged before. The first
    /// retransmission leaves in any case.
    pub fn begin(flight: u32, mss: u32) -> Self {
        Self { flight: flight.max(1), delivered: 0, out: 0, budget: mss }
    }

    /// What may leave now.
    #[inline]
    pub const fn budget(&self) -> u32 {
        self.budget
    }

    /// Bytes have left.
    #[inline]
    pub fn sent(&mut self, bytes: u32) {
        self.out = self.out.saturating_add(bytes);
        self.budget = self.budget.saturating_sub(bytes);
    }

    /// An ACK has delivered bytes. `is_safe`: it moved the left edge, and nothing more was found lost.
    pub fn delivered(&mut self, delivered: u32, in_flight: u32, threshold: u32, mss: u32, is_safe: bool) {
        if delivered == 0 {
            return;
        }
        self.delivered = self.delivered.saturating_add(delivered);
        let budget = if in_flight > threshold {
            let share = u64::from(self.delivered) * u64::from(threshold);
            let share = share.div_ceil(u64::from(self.flight));
            u32::try_from(share).unwrap_or(u32::MAX).saturating_sub(self.out)
        } else {
            let bound = self.delivered.saturating_sub(self.out).max(delivered);
            let bound = if is_safe { bound.saturating_add(mss) } else { bound };
            bound.min(threshold - in_flight)
        };
        self.budget = if self.out == 0 { budget.max(mss) } else { budget };
    }
}
