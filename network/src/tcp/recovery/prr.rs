// SPDX-License-Identifier: MIT OR Apache-2.0
//! Proportional Rate Reduction (RFC 6937, with the bound of RFC 9937 when less is in flight than should be): in recovery,
//! what leaves is in proportion to what arrives, so that the window is reduced over a round trip without a pause or a burst.

use alloc::boxed::Box;

/// What may leave in recovery; most connections are in none.
#[derive(Debug, Default)]
pub struct Prr(Option<Box<Bytes>>);

/// The bytes of one recovery.
#[derive(Debug)]
struct Bytes {
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
        Self(Some(Box::new(Bytes { flight: flight.max(1), delivered: 0, out: 0, budget: mss })))
    }

    /// What may leave now.
    #[inline]
    pub fn budget(&self) -> u32 {
        self.0.as_ref().map_or(0, |recovery| recovery.budget)
    }

    /// Bytes have left.
    #[inline]
    pub fn sent(&mut self, bytes: u32) {
        if let Some(recovery) = &mut self.0 {
            recovery.out = recovery.out.saturating_add(bytes);
            recovery.budget = recovery.budget.saturating_sub(bytes);
        }
    }

    /// An ACK has delivered bytes. `is_safe`: it moved the left edge, and nothing more was found lost.
    pub fn delivered(&mut self, delivered: u32, in_flight: u32, threshold: u32, mss: u32, is_safe: bool) {
        let Some(recovery) = self.0.as_mut().filter(|_| delivered != 0) else { return };
        recovery.delivered = recovery.delivered.saturating_add(delivered);
        let budget = if in_flight > threshold {
            let share = u64::from(recovery.delivered) * u64::from(threshold);
            let share = share.div_ceil(u64::from(recovery.flight));
            u32::try_from(share).unwrap_or(u32::MAX).saturating_sub(recovery.out)
        } else {
            let bound = recovery.delivered.saturating_sub(recovery.out).max(delivered);
            let bound = if is_safe { bound.saturating_add(mss) } else { bound };
            bound.min(threshold - in_flight)
        };
        recovery.budget = if recovery.out == 0 { budget.max(mss) } else { budget };
    }
}
