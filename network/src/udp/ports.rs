// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ephemeral ports: a free one, which nobody outside can foresee (RFC 6056, 3.3.1: simple port randomization).
//!
//! What must always hold: each choice begins at a place of its own. A datagram socket is mostly bound before its peer is
//! known, so that the algorithms that count on for each peer (3.3.3, 3.3.4) would count on for all of them: whoever saw one
//! port would know the next, which is what forged answers need (RFC 5452, 4.3).

use crate::keyed::{Random, Secret};
use crate::limits::EPHEMERAL_FIRST;

const PORTS: u32 = u16::MAX as u32 - EPHEMERAL_FIRST as u32 + 1;

pub struct Ports {
    random: Random,
}

impl Ports {
    pub fn new(secret: &Secret) -> Self {
        Self { random: Random::new(secret.derive("ports")) }
    }

    /// A port that `is_free`; `None` if there is none.
    pub fn choose(&mut self, is_free: impl Fn(u16) -> bool) -> Option<u16> {
        let first = self.random.below(PORTS);
        (0..PORTS)
            // At most the last port.
            .map(|next| EPHEMERAL_FIRST + ((first + next) % PORTS) as u16)
            .find(|port| is_free(*port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// RFC 6056 §3.2.
    #[test]
    fn every_free_port_is_found_and_no_other() {
        let mut ports = Ports::new(&Secret([3; 16]));
        let mut taken = HashSet::new();
        for _ in 0..PORTS {
            let port = ports.choose(|port| !taken.contains(&port)).unwrap();
            assert!(port >= EPHEMERAL_FIRST && taken.insert(port), "{port}");
        }
        assert_eq!(ports.choose(|port| !taken.contains(&port)), None);
        assert_eq!(ports.choose(|port| port == 40_000), Some(40_000));
    }

    /// RFC 6056, 2: who sees a port learns nothing of the next.
    /// RFC 6056 §3.3.1, RFC 5452 §4.3.
    #[test]
    fn one_port_says_nothing_of_the_next() {
        let mut ports = Ports::new(&Secret([9; 16]));
        let chosen: Vec<u16> = (0..200).filter_map(|_| ports.choose(|_| true)).collect();
        let near = chosen.windows(2).filter(|pair| pair[0].abs_diff(pair[1]) < 64).count();
        assert!(near < 5, "{chosen:?}");
        assert!(chosen.iter().collect::<HashSet<_>>().len() > 190, "{chosen:?}");
        let first = |secret| Ports::new(&Secret([secret; 16])).choose(|_| true);
        assert!((0..100).map(first).collect::<HashSet<_>>().len() > 90, "the secret decides");
        assert_eq!(first(1), first(1));
    }
}
