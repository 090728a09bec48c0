// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a link does to the frames that one of its ports sends: rate, delay, loss and worse.
//!
//! What must always hold: the same numbers from the same [`Random`] decide the same; a condition that is off takes none, so
//! that switching it on changes nothing that comes before.

use core::time::Duration;

use crate::keyed::Random;

/// How likely something is, in parts per million.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Chance(pub u32);

impl Chance {
    /// It does not happen.
    pub const NEVER: Self = Self(0);
    /// It happens to every frame.
    pub const ALWAYS: Self = Self(1_000_000);

    /// So many of a hundred.
    #[must_use]
    pub const fn percent(n: u32) -> Self {
        Self(n.saturating_mul(10_000))
    }

    /// Whether it happens this time.
    pub fn happens(self, random: &mut Random) -> bool {
        self.0 > 0 && random.below(1_000_000) < self.0
    }
}

/// Which frames are lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Loss {
    /// None.
    #[default]
    None,
    /// Each as likely, whatever became of those before.
    Random(Chance),
    /// In bursts: the model of E. N. Gilbert (1960) and E. O. Elliott (1963), two states between which each frame may change.
    Burst {
        /// From good to bad.
        enter: Chance,
        /// And back. A burst lasts one over this many frames in the mean.
        leave: Chance,
        /// Loss in the good state.
        good: Chance,
        /// Loss in the bad state.
        bad: Chance,
    },
}

impl Loss {
    /// Whether the next frame is lost; `bad` is the state that the model is in.
    pub(super) fn strikes(self, bad: &mut bool, random: &mut Random) -> bool {
        match self {
            Self::None => false,
            Self::Random(chance) => chance.happens(random),
            Self::Burst { enter, leave, good, bad: in_bad } => {
                if if *bad { leave } else { enter }.happens(random) {
                    *bad = !*bad;
                }
                if *bad { in_bad } else { good }.happens(random)
            }
        }
    }
}

/// What happens to frames on their way from one port to the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conditions {
    /// Bits per second, of the frame's bytes as a device has them; `None`: a frame takes no time.
    pub rate: Option<u64>,
    /// Bytes that wait in the port for their turn, if there is a rate. More are dropped (a bottleneck's tail drop), unless
    /// `waits`.
    pub queue: usize,
    /// A full queue takes no more from its host, whose stack then holds its sockets back, as a device's ring does.
    pub waits: bool,
    /// From the last bit sent to the frame's arrival.
    pub delay: Duration,
    /// Up to so much more. Frames keep their order.
    pub jitter: Duration,
    /// Which frames do not arrive.
    pub loss: Loss,
    /// Frames that arrive twice, each copy with a delay of its own.
    pub duplicate: Chance,
    /// Frames that are held back, so that later ones overtake them.
    pub reorder: Chance,
    /// For how long.
    pub reorder_by: Duration,
    /// Frames of which a byte is changed: a burst of errors of up to eight bits, which the Internet checksum always finds
    /// where it covers them (RFC 1071), and which nothing but it finds: there is no frame check sequence.
    pub corrupt: Chance,
    /// The longest packet behind the Ethernet header. Longer ones vanish.
    pub mtu: u16,
}

impl Default for Conditions {
    /// A wire that does nothing to frames: no rate, 10 µs of delay, 1,500 bytes.
    fn default() -> Self {
        Self {
            rate: None,
            queue: 128 << 10,
            waits: false,
            delay: Duration::from_micros(10),
            jitter: Duration::ZERO,
            loss: Loss::None,
            duplicate: Chance::NEVER,
            reorder: Chance::NEVER,
            reorder_by: Duration::from_millis(1),
            corrupt: Chance::NEVER,
            mtu: 1500,
        }
    }
}

/// Changes one byte of a frame into another.
pub(super) fn damage(frame: &mut [u8], random: &mut Random) {
    let at = random.below(u32::try_from(frame.len()).unwrap_or(u32::MAX)) as usize;
    let by = 1 + random.below(255) as u8;
    if let Some(byte) = frame.get_mut(at) {
        *byte ^= by;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyed::Secret;

    const FRAMES: u32 = 100_000;

    /// Frames that are lost, and how many runs of lost ones there are.
    fn losses(loss: Loss) -> (u32, u32) {
        let (mut random, mut bad, mut before) = (Random::new(Secret([1; 16])), false, false);
        let (mut lost, mut runs) = (0, 0);
        for _ in 0..FRAMES {
            let is_lost = loss.strikes(&mut bad, &mut random);
            lost += u32::from(is_lost);
            runs += u32::from(is_lost && !before);
            before = is_lost;
        }
        (lost, runs)
    }

    #[test]
    fn random_loss_is_as_likely_as_it_says() {
        assert_eq!(losses(Loss::None), (0, 0));
        assert_eq!(losses(Loss::Random(Chance::ALWAYS)), (FRAMES, 1));
        let (lost, runs) = losses(Loss::Random(Chance::percent(10)));
        // Six standard deviations; nine of ten runs are one frame.
        assert!(lost.abs_diff(10_000) < 570 && runs > 8500, "{lost} in {runs} runs");
    }

    #[test]
    fn burst_loss_comes_in_bursts() {
        // One fifth of the time in the bad state, ten frames each time.
        let loss = Loss::Burst {
            enter: Chance(25_000),
            leave: Chance::percent(10),
            good: Chance::NEVER,
            bad: Chance::percent(100),
        };
        let (lost, runs) = losses(loss);
        assert!(lost.abs_diff(20_000) < 3000 && lost / runs >= 8, "{lost} in {runs} runs");
    }

    #[test]
    fn damage_changes_one_byte() {
        let mut random = Random::new(Secret([2; 16]));
        for len in [1_usize, 14, 1500] {
            for _ in 0..100 {
                let mut frame = vec![7; len];
                damage(&mut frame, &mut random);
                assert_eq!(frame.iter().filter(|byte| **byte != 7).count(), 1);
            }
        }
        damage(&mut [], &mut random);
    }
}
