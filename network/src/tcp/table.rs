// SPDX-License-Identifier: MIT OR Apache-2.0
//! What connections are found by: both ends, as a packet has them.
//!
//! What must always hold: no peer can choose ends that lie together, for the hash is keyed by a secret; what is found here has
//! exactly these ends, as the caller who knows them says. A place takes eight bytes, and a table that grows looks at no
//! connection.

use core::hash::{BuildHasher, Hash, Hasher};
use core::net::{IpAddr, SocketAddr};

use hashbrown::HashTable;

use crate::keyed::{Keyed, Secret};

/// Both ends of a connection, of one family, never v4-mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// The address of this host, and the port here.
    pub local: (IpAddr, u16),
    /// Those of the peer.
    pub remote: (IpAddr, u16),
}

impl Flow {
    /// Between these ends.
    #[must_use]
    pub const fn new(local: SocketAddr, remote: SocketAddr) -> Self {
        Self { local: (local.ip(), local.port()), remote: (remote.ip(), remote.port()) }
    }
}

impl Hash for Flow {
    /// Two words in IPv4 and five in IPv6: it is hashed for every segment.
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        let ports = u64::from(self.local.1) << 16 | u64::from(self.remote.1);
        match (self.local.0, self.remote.0) {
            (IpAddr::V4(local), IpAddr::V4(remote)) => {
                state.write_u64(u64::from(local.to_bits()) << 32 | u64::from(remote.to_bits()));
            }
            (local, remote) => {
                for address in [local, remote] {
                    let bits = match address {
                        IpAddr::V4(address) => u128::from(address.to_bits()),
                        IpAddr::V6(address) => address.to_bits(),
                    };
                    state.write_u64((bits >> 64) as u64);
                    state.write_u64(bits as u64);
                }
            }
        }
        state.write_u64(ports);
    }
}

/// Where the state of a flow is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// With the connection at this index.
    Connection(u32),
    /// Among those whose handshake is not done.
    HalfOpen(u32),
    /// Among those that have ended.
    TimeWait(u32),
}

/// How many bits of a place say which kind it is of.
const KIND_SHIFT: u32 = 30;
/// The largest index.
pub const INDEX_MAX: u32 = (1 << KIND_SHIFT) - 1;

impl Place {
    /// As one word.
    #[inline]
    #[must_use]
    pub const fn pack(self) -> u32 {
        match self {
            Self::Connection(index) => index & INDEX_MAX,
            Self::HalfOpen(index) => 1 << KIND_SHIFT | index & INDEX_MAX,
            Self::TimeWait(index) => 2 << KIND_SHIFT | index & INDEX_MAX,
        }
    }

    /// The place that a word stands for.
    #[inline]
    #[must_use]
    pub const fn unpack(word: u32) -> Self {
        let index = word & INDEX_MAX;
        match word >> KIND_SHIFT {
            0 => Self::Connection(index),
            1 => Self::HalfOpen(index),
            _ => Self::TimeWait(index),
        }
    }
}

#[derive(Clone, Copy)]
struct Entry {
    hash: u32,
    place: u32,
}

/// Spreads the half of a hash that is kept over a whole word, whose ends the table looks at.
#[inline]
const fn spread(hash: u32) -> u64 {
    (hash as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// The places of all flows.
pub struct Table {
    hasher: Keyed,
    entries: HashTable<Entry>,
}

impl Table {
    /// An empty one; allocates nothing yet.
    #[must_use]
    pub fn new(secret: &Secret) -> Self {
        Self { hasher: secret.derive("connections").hasher(), entries: HashTable::new() }
    }

    /// The hash of a flow, by which its place is found.
    #[inline]
    #[must_use]
    pub fn hash(&self, flow: &Flow) -> u32 {
        self.hasher.hash_one(flow) as u32
    }

    /// The place of the flow with this hash that `is` the right one.
    #[inline]
    #[must_use]
    pub fn find(&self, hash: u32, is: impl Fn(Place) -> bool) -> Option<Place> {
        let entry = self.entries.find(spread(hash), |entry| entry.hash == hash && is(Place::unpack(entry.place)))?;
        Some(Place::unpack(entry.place))
    }

    /// Puts a flow there that has no place yet.
    pub fn insert(&mut self, hash: u32, place: Place) {
        self.entries.insert_unique(spread(hash), Entry { hash, place: place.pack() }, |entry| spread(entry.hash));
    }

    /// Gives a flow another place; false if it was not there.
    pub fn move_to(&mut self, hash: u32, from: Place, to: Place) -> bool {
        let from = from.pack();
        let found = self.entries.find_mut(spread(hash), |entry| entry.hash == hash && entry.place == from);
        found.map(|entry| entry.place = to.pack()).is_some()
    }

    /// Takes a flow out; false if it was not there.
    pub fn remove(&mut self, hash: u32, place: Place) -> bool {
        let place = place.pack();
        let found = self.entries.find_entry(spread(hash), |entry| entry.hash == hash && entry.place == place);
        found.map(hashbrown::hash_table::OccupiedEntry::remove).is_ok()
    }

    /// How many flows have a place.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none has.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl core::fmt::Debug for Table {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Table").field("len", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn flow(number: u32) -> Flow {
        Flow {
            local: (IpAddr::from([10, 0, 0, 1]), 80),
            remote: (IpAddr::from((0x0a00_0000_u32 | number >> 8).to_be_bytes()), number as u16 % 256 + 1),
        }
    }

    #[test]
    fn places_are_words() {
        for index in [0, 1, INDEX_MAX] {
            for place in [Place::Connection(index), Place::HalfOpen(index), Place::TimeWait(index)] {
                assert_eq!(Place::unpack(place.pack()), place);
            }
        }
    }

    #[test]
    fn ends_are_all_of_the_key() {
        let table = Table::new(&Secret([1; 16]));
        let (v4, v6) = (IpAddr::from([10, 0, 0, 1]), "fd00::1".parse().unwrap());
        let flows = [
            Flow { local: (v4, 1), remote: (v4, 2) },
            Flow { local: (v4, 2), remote: (v4, 1) },
            Flow { local: (v6, 1), remote: (v6, 2) },
            Flow { local: (v6, 2), remote: (v6, 1) },
            Flow { local: (v4, 1), remote: (IpAddr::from([10, 0, 0, 2]), 2) },
        ];
        let hashes: std::collections::HashSet<u32> = flows.iter().map(|flow| table.hash(flow)).collect();
        assert_eq!(hashes.len(), flows.len());
        assert_ne!(table.hash(&flows[0]), Table::new(&Secret([2; 16])).hash(&flows[0]));
    }

    proptest! {
        #[test]
        fn finds_what_is_there(steps in prop::collection::vec((0_u8..3, 0_u32..300), 0..500)) {
            let (mut table, mut oracle) = (Table::new(&Secret([7; 16])), HashMap::new());
            for (step, number) in steps {
                let hash = table.hash(&flow(number));
                let is = |place| matches!(place, Place::Connection(at) | Place::TimeWait(at) if at == number);
                prop_assert_eq!(table.find(hash, is), oracle.get(&number).copied());
                match (step, oracle.get(&number).copied()) {
                    (0, None) => {
                        table.insert(hash, Place::Connection(number));
                        oracle.insert(number, Place::Connection(number));
                    }
                    (1, Some(place)) => {
                        prop_assert!(table.move_to(hash, place, Place::TimeWait(number)));
                        oracle.insert(number, Place::TimeWait(number));
                    }
                    (2, Some(place)) => {
                        prop_assert!(table.remove(hash, place));
                        oracle.remove(&number);
                    }
                    _ => prop_assert!(!table.remove(hash, Place::HalfOpen(number))),
                }
                prop_assert_eq!(table.len(), oracle.len());
            }
        }
    }
}
