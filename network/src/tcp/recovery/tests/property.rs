// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whatever the path does, all arrives, the sums hold, a timer runs, and nothing is lost without a reason.

use core::time::Duration;

use proptest::prelude::*;

use runtime::time::Time;

use super::model::{Chance, Load, Path, Run};
use crate::tcp::recovery::{Acknowledgment, Expired, Features, Recovery};
use crate::tcp::seq::Seq;
use crate::tcp::settings::{Algorithm, Settings};
use crate::wire::tcp::SackBlock;

fn settings(rack: bool, algorithm: Algorithm) -> Settings {
    Settings { algorithm, rack, ..Settings::default() }
}

fn load() -> impl Strategy<Value = Load> {
    (1_u32..300_000, 1_u32..8, 0_u64..200, prop::bool::ANY, prop_oneof![Just(100_u32), Just(536), Just(1460)]).prop_map(
        |(bytes, burst, short, delays_acks, mss)| Load {
            bytes: bytes.min(mss * 300),
            mss,
            burst,
            short,
            reneges: 0,
            delays_acks,
            marked: short / 4,
            narrows_at: if burst > 4 { short * 3 } else { 0 },
        },
    )
}

fn path() -> impl Strategy<Value = Path> {
    (0_u64..250, 0_u64..250, 0_u64..50, 0_u64..300, 0_u64..100, 1_u64..100).prop_map(
        |(lost, acks_lost, repeated, delayed, jitter, delay)| Path {
            lost,
            acks_lost,
            repeated,
            delayed,
            jitter: Duration::from_millis(jitter),
            delay: Duration::from_millis(delay),
        },
    )
}

const ALGORITHMS: [Algorithm; 4] = [Algorithm::Cubic, Algorithm::NewReno, Algorithm::Dctcp, Algorithm::Bbr];

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 3, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn all_arrives(load in load(), path in path(), sack: bool, timestamps: bool, rack: bool, seed: u64, which in 0_usize..4) {
        let features = Features { sack, timestamps, ecn: true };
        Run::new(&settings(rack, ALGORITHMS[which]), features, load, path, seed).run();
    }

    /// RFC 2018 section 8: a receiver that throws away what it had acknowledged selectively costs time, not data.
    #[test]
    fn all_arrives_though_the_peer_reneges(load in load(), path in path(), rack: bool, seed: u64, reneges in 1_u64..300) {
        let features = Features { sack: true, timestamps: true, ecn: false };
        let load = Load { reneges, ..load };
        Run::new(&settings(rack, Algorithm::Cubic), features, load, path, seed).run();
    }

    /// Whatever a peer says, the sums hold, a timer runs, and the window and the number of records have their bounds.
    #[test]
    fn nothing_that_a_peer_says_breaks_it(seed: u64, sack: bool, rack: bool, ecn: bool, which in 0_usize..4) {
        let features = Features { sack, timestamps: true, ecn };
        let mut now = Time::from_nanos(1 << 40);
        let mut mss = 1000;
        let mut recovery = Recovery::new(&settings(rack, ALGORITHMS[which]), features, mss, Seq(seed as u32), now);
        let mut chance = Chance(seed);
        let mut probe = None;
        for _ in 0..600 {
            now += Duration::from_micros(chance.below(3000));
            let outstanding = recovery.next().since(recovery.una());
            match chance.below(11) {
                0 if recovery.may_probe() && recovery.room() > mss + 1 => {
                    let start = recovery.next();
                    let end = start + (mss * 2).min(recovery.room());
                    recovery.sent(end, now);
                    recovery.sent_probe();
                    probe = Some((start, end));
                }
                10 => {
                    // A router says that it was too long, while it is under way or later.
                    if let Some((start, end)) = probe
                        && !start.is_before(recovery.una())
                    {
                        recovery.lose_probe(start, end);
                        prop_assert!(recovery.is_probe_lost(start) || recovery.sacked() > 0);
                    }
                }
                0..3 => {
                    let bytes = recovery.room().min(chance.below(20_000) as u32);
                    recovery.sent(recovery.next() + bytes, now);
                }
                3 => {
                    if let Some((start, end)) = recovery.lost() {
                        prop_assert!(start.is_before(end) && end.since(start) <= mss);
                        prop_assert!(!start.is_before(recovery.una()) && !end.is_behind(recovery.next()));
                        recovery.resent(start, end, now);
                    }
                }
                4 => recovery.limited(),
                5 => {
                    now = now.max(recovery.deadline().unwrap_or(now));
                    if recovery.expired(now) == Expired::Probe
                        && let Some((start, end)) = recovery.probe()
                    {
                        recovery.resent(start, end, now);
                    }
                }
                6 if chance.hits(100) => {
                    mss = 100 + chance.below(1400) as u32;
                    recovery.set_mss(mss);
                }
                _ => {
                    let reach = u64::from(outstanding) + 3000;
                    let mut any = || recovery.una() - 1500 + chance.below(reach) as u32;
                    let blocks = [any(), any(), any(), any(), any(), any(), any(), any()].map(|seq| seq.0);
                    let blocks: Vec<_> = blocks.chunks(2).map(|two| SackBlock { start: two[0], end: two[1] }).collect();
                    let ack = any().min(recovery.next());
                    let ack = if chance.hits(600) { recovery.una() } else { ack };
                    let echo = Some(now - Duration::from_micros(chance.below(200_000)));
                    let rtt = Some(Duration::from_nanos(chance.below(1 << 40)));
                    recovery.acknowledged(
                        &Acknowledgment {
                            ack,
                            sack: &blocks[chance.below(5) as usize..],
                            rtt,
                            echo,
                            has_data: chance.hits(100),
                            window_changed: chance.hits(100),
                            unsent: chance.hits(500),
                            ece: chance.hits(50),
                            marked: chance.below(2000) as u32,
                        },
                        now,
                    );
                }
            }
            recovery.check();
        }
    }

    /// Nothing is sent again where nothing is lost, late or out of order, and each ACK comes at once.
    #[test]
    fn nothing_is_sent_again_in_vain(load in load(), sack: bool, rack: bool, delay in 1_u64..100, seed: u64) {
        let features = Features { sack, timestamps: true, ecn: false };
        let delay = Duration::from_millis(delay);
        let path = Path { lost: 0, acks_lost: 0, repeated: 0, delayed: 0, jitter: Duration::ZERO, delay };
        let load = Load { delays_acks: false, narrows_at: 0, ..load };
        let mut run = Run::new(&settings(rack, Algorithm::Cubic), features, load, path, seed);
        run.run();
        prop_assert_eq!((run.recovery.retransmits(), run.timeouts, run.lost), (0, 0, 0));
    }
}
