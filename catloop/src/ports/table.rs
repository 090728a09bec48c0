// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which bytes of the lock file a claim needs, and what this LibOs holds of them.
//!
//! Two bytes stand for each port and protocol in each family:
//!
//! ```text
//!  bit 50        49       48        47 … 16        15 … 0
//!  protocol   family    kind 0        0             port     W: shared by specific addresses, exclusive for the wildcard
//!  protocol   family    kind 1    address            port     A: exclusive, one specific address
//! ```
//!
//! `[::]` takes the port in both families, as Linux does unless `IPV6_V6ONLY` is set. An IPv6 address is hashed into the 32
//! bits: two that meet there (one pair in four thousand million) exclude each other on the same port. Scopes are ignored.
//!
//! Locks of one open description do not exclude each other, so a LibOs counts for itself what it holds, by the same rules.

use super::Protocol;
use super::locks::{Hold, LockFile, PRESENCE};
use core::net::{IpAddr, Ipv6Addr};
use runtime::Result;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// A byte of the file, and how it has to be held.
pub type Need = (i64, Hold);

const PROTOCOL: u32 = 50;
const FAMILY: u32 = 49;
const KIND: u32 = 48;
const ADDRESS: u32 = 16;

const _: () = assert!(1 << (PROTOCOL + 1) < PRESENCE);

/// What a claim of an address locks, apart from the port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    first: Need,
    second: Option<Need>,
}

impl Plan {
    /// For this address; the wildcards stand for all of theirs.
    pub fn new(protocol: Protocol, ip: IpAddr) -> Self {
        let byte = |v6: bool, kind: i64, address: u32| {
            (protocol as i64) << PROTOCOL | i64::from(v6) << FAMILY | kind << KIND | i64::from(address) << ADDRESS
        };
        // An IPv4 address in IPv6's notation is the same address.
        match ip.to_canonical() {
            IpAddr::V4(v4) if v4.is_unspecified() => Self { first: (byte(false, 0, 0), Hold::Exclusive), second: None },
            IpAddr::V6(v6) if v6.is_unspecified() => {
                Self { first: (byte(false, 0, 0), Hold::Exclusive), second: Some((byte(true, 0, 0), Hold::Exclusive)) }
            }
            IpAddr::V4(v4) => Self {
                first: (byte(false, 0, 0), Hold::Shared),
                second: Some((byte(false, 1, v4.to_bits()), Hold::Exclusive)),
            },
            IpAddr::V6(v6) => Self {
                first: (byte(true, 0, 0), Hold::Shared),
                second: Some((byte(true, 1, hash(v6)), Hold::Exclusive)),
            },
        }
    }

    /// What it needs for one port.
    fn needs(self, port: u16) -> impl Iterator<Item = Need> {
        core::iter::once(self.first).chain(self.second).map(move |(byte, hold)| (byte | i64::from(port), hold))
    }
}

/// FNV-1a: all processes have to agree, and no more.
fn hash(ip: Ipv6Addr) -> u32 {
    ip.octets().iter().fold(0x811c_9dc5, |hash, &byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// What this LibOs holds of a byte.
#[derive(Debug)]
enum Held {
    Shared(u32),
    Exclusive,
}

/// What taking a port came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is ours.
    Yes,
    /// This LibOs has it.
    Here,
    /// Another one has it: this byte of the plan.
    Elsewhere(i64),
}

/// The bytes that this LibOs holds.
#[derive(Debug, Default)]
pub struct Table {
    held: HashMap<i64, Held>,
}

impl Table {
    /// Takes the port, all of it or nothing.
    ///
    /// # Errors
    /// What the system says.
    pub fn take(&mut self, file: &LockFile, plan: Plan, port: u16) -> Result<Taken> {
        for (index, (byte, hold)) in plan.needs(port).enumerate() {
            let taken = self.take_byte(file, byte, hold);
            if taken != Ok(Taken::Yes) {
                plan.needs(port).take(index).for_each(|(byte, _)| self.give_byte(file, byte));
                return taken;
            }
        }
        Ok(Taken::Yes)
    }

    /// Gives the port back.
    pub fn give(&mut self, file: &LockFile, plan: Plan, port: u16) {
        plan.needs(port).for_each(|(byte, _)| self.give_byte(file, byte));
    }

    fn take_byte(&mut self, file: &LockFile, byte: i64, hold: Hold) -> Result<Taken> {
        match (self.held.entry(byte), hold) {
            (Entry::Vacant(entry), _) => {
                if !file.lock(byte, hold)? {
                    return Ok(Taken::Elsewhere(byte));
                }
                entry.insert(match hold {
                    Hold::Shared => Held::Shared(1),
                    Hold::Exclusive => Held::Exclusive,
                });
                Ok(Taken::Yes)
            }
            (Entry::Occupied(mut entry), Hold::Shared) => match entry.get_mut() {
                Held::Shared(count) => {
                    *count += 1;
                    Ok(Taken::Yes)
                }
                Held::Exclusive => Ok(Taken::Here),
            },
            (Entry::Occupied(_), Hold::Exclusive) => Ok(Taken::Here),
        }
    }

    fn give_byte(&mut self, file: &LockFile, byte: i64) {
        let Entry::Occupied(mut entry) = self.held.entry(byte) else { return };
        match entry.get_mut() {
            Held::Shared(count) if *count > 1 => *count -= 1,
            Held::Shared(_) | Held::Exclusive => {
                entry.remove();
                file.unlock(byte);
            }
        }
    }

    /// Whether nothing is held.
    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }
}
