// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reassembly of fragments that anybody may have sent, against a model that sorts what has come and looks whether it is
//! whole.
//!
//! The fuzzer invents what comes and when; the tests run what was kept, and random ones. What must always hold, beside
//! that the outcome is the model's: every buffer is in the table or was given back.

#![expect(clippy::unwrap_used, reason = "what is not there is a finding")]

use alloc::vec;
use alloc::vec::Vec;
use core::net::{Ipv4Addr, Ipv6Addr};
use core::time::Duration;

use runtime::buf::Pool;
use runtime::time::Time;

use super::{Key, Outcome, Reassembly, Refusal};
use crate::limits::{REASSEMBLY_TIME_V4, REASSEMBLY_TIME_V6};

/// Which datagrams there are: some of each family, from one source.
const DATAGRAMS: usize = 8;
/// Where fragments start, in units of eight bytes: so near that no datagram has too many which do not adjoin.
const UNITS: usize = 100;

/// What has come of one datagram.
#[derive(Clone, Default)]
pub(super) struct Model {
    /// Where, whether more come, and what.
    pub pieces: Vec<(usize, bool, Vec<u8>)>,
    pub poisoned: bool,
}

/// What the model says of a fragment.
#[derive(PartialEq, Debug)]
pub(super) enum Expected {
    Waits,
    Complete(Vec<u8>),
    Refused(Refusal),
}

impl Model {
    pub fn insert(&mut self, offset: usize, more: bool, payload: &[u8], v6: bool) -> Expected {
        if self.pieces.iter().any(|(at, also, bytes)| (*at, *also, &bytes[..]) == (offset, more, payload)) {
            return Expected::Refused(Refusal::Duplicate);
        }
        self.pieces.push((offset, more, payload.to_vec()));
        self.pieces.sort_by_key(|(at, ..)| *at);
        let overlap = self.pieces.windows(2).any(|pair| pair[0].0 + pair[0].2.len() > pair[1].0);
        let ends_early = self.pieces.iter().rev().skip(1).any(|(_, more, _)| !more);
        if self.poisoned || overlap || ends_early {
            *self = Model { poisoned: v6, ..Model::default() };
            return Expected::Refused(Refusal::Overlap);
        }
        let mut read = vec![];
        for (at, more, bytes) in &self.pieces {
            if *at != read.len() {
                return Expected::Waits;
            }
            read.extend_from_slice(bytes);
            if !more {
                *self = Model::default();
                return Expected::Complete(read);
            }
        }
        Expected::Waits
    }

    /// Whether these bytes have come for this place, by whatever fragments.
    fn has(&self, offset: usize, payload: &[u8]) -> bool {
        let byte_at = |at: usize| {
            self.pieces.iter().find_map(|(start, _, bytes)| at.checked_sub(*start).and_then(|at| bytes.get(at)))
        };
        payload.iter().enumerate().all(|(at, byte)| byte_at(offset + at) == Some(byte))
    }
}

/// What is compared, in one run.
struct World {
    pool: Pool,
    table: Reassembly,
    models: [Model; DATAGRAMS],
    /// When their time is over.
    ends: [Time; DATAGRAMS],
    now: Time,
}

fn is_v6(datagram: usize) -> bool {
    datagram % 2 == 1
}

fn key(datagram: usize) -> Key {
    let id = datagram as u32 / 2;
    let (v4, v6) = (Ipv4Addr::new(10, 0, 0, 1).into(), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into());
    let address = if is_v6(datagram) { v6 } else { v4 };
    Key { source: address, destination: address, id, protocol: 17 }
}

impl World {
    fn fragment(&mut self, datagram: usize, offset: usize, more: bool, payload: &[u8]) {
        let (headers, v6) = if is_v6(datagram) { (48, true) } else { (20, false) };
        let mut packet = vec![b'h'; headers];
        packet.extend_from_slice(payload);
        let packet = self.pool.alloc_copy(&packet).unwrap();
        let found = match self.table.insert(key(datagram), offset as u16, more, packet, headers, self.now) {
            Outcome::Waits => Expected::Waits,
            Outcome::Complete(whole) => Expected::Complete(whole.payload.to_vec()),
            Outcome::Refused(refusal, packet) => {
                assert_eq!(packet[headers..], *payload);
                Expected::Refused(refusal)
            }
        };
        let whole = offset == 0 && !more;
        if (more && !payload.len().is_multiple_of(8)) || (payload.is_empty() && !whole) {
            assert_eq!(found, Expected::Refused(Refusal::Length));
        } else if whole {
            assert_eq!(found, Expected::Complete(payload.to_vec()));
        } else {
            let model = &mut self.models[datagram];
            let is_new = model.pieces.is_empty() && !model.poisoned;
            // Where pieces were put together, a part of them is a duplicate too.
            if found == Expected::Refused(Refusal::Duplicate) && model.has(offset, payload) {
                return;
            }
            assert_eq!(found, model.insert(offset, more, payload, v6));
            if is_new {
                self.ends[datagram] = self.now + if v6 { REASSEMBLY_TIME_V6 } else { REASSEMBLY_TIME_V4 };
            }
        }
    }

    fn advance(&mut self, by: Duration) {
        self.now += by;
        while let Some(expired) = self.table.poll(self.now) {
            let datagram = (0..DATAGRAMS).find(|&datagram| key(datagram) == expired.key).unwrap();
            let model = core::mem::take(&mut self.models[datagram]);
            assert!(self.ends[datagram] <= self.now && (model.poisoned || !model.pieces.is_empty()));
            let first = model.pieces.first().filter(|first| first.0 == 0).map(|(.., bytes)| bytes.clone());
            let headers = if is_v6(datagram) { 48 } else { 20 };
            assert_eq!(expired.first.map(|packet| packet[headers..].to_vec()), first);
        }
        for (model, end) in self.models.iter().zip(self.ends) {
            assert!(self.now < end || (model.pieces.is_empty() && !model.poisoned));
        }
    }
}

/// Four bytes are one step: a fragment of one of a few datagrams, or some time.
///
/// # Panics
/// If reassembly does not do as the model.
pub fn reassembly(bytes: &[u8]) {
    let mut world = World {
        pool: Pool::heap(2048, 1024, 0, 0).unwrap(),
        table: Reassembly::new(1024),
        models: Default::default(),
        ends: [Time::MAX; DATAGRAMS],
        now: Time::from_nanos(1 << 40),
    };
    for step in bytes.as_chunks::<4>().0 {
        let &[which, start, form, odd] = step;
        if which >= 0xf0 {
            world.advance(Duration::from_millis(u64::from(start) * 100));
        } else {
            let start = usize::from(start) % UNITS;
            let units = usize::from(form & 7) + 1;
            // Mostly what belongs there, so that duplicates are such.
            let mut payload: Vec<u8> = (start * 8..(start + units) * 8).map(|at| (at / 3) as u8).collect();
            match odd {
                0xff => payload[0] ^= 1,
                0xe0.. => payload.truncate(payload.len().saturating_sub(usize::from(odd - 0xe0))),
                _ => {}
            }
            world.fragment(usize::from(which) % DATAGRAMS, start * 8, form & 0x80 == 0, &payload);
        }
        assert_eq!(world.table.buffers(), world.pool.stats().in_use as usize);
    }
    assert_eq!(world.table.evicted(), 0);
    world.advance(Duration::MAX);
    assert_eq!((world.table.len(), world.pool.available()), (0, 1024));
}
