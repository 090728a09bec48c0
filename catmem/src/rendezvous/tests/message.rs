// SPDX-License-Identifier: MIT OR Apache-2.0
//! The bytes of the messages: as they are fixed, there and back, and damaged.

use proptest::prelude::*;
use runtime::{Errno, Result};

use super::hello;
use crate::rendezvous::message::{REFUSALS, Reply};
use crate::rendezvous::{Direction, Hello, OpenRequest};

const LARGEST: u64 = 2 * ((1 << 26) + (1024 << 26));

#[test]
fn the_encoding_is_fixed() {
    assert_eq!(OpenRequest { membarrier: true }.to_bytes(), *b"MGYO\x01\0\x01\0");
    assert_eq!(OpenRequest { membarrier: false }.to_bytes(), *b"MGYO\x01\0\0\0");
    let bytes = *b"MGYH\x01\0\x01\0\0\0\0\0\x12\x0c\x10\x1a\x10\0\0\0\0\0\0\0\0\0\x20\0\0\0\0\0";
    assert_eq!(Reply::Hello(hello()).to_bytes(), bytes);
    let refusal = *b"MGYH\x01\0\0\0\x0d\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    assert_eq!(Reply::Refused(Errno::ACCESS).to_bytes(), refusal);
}

#[test]
fn what_is_said_is_understood() {
    for membarrier in [false, true] {
        let request = OpenRequest { membarrier };
        assert_eq!(OpenRequest::from_bytes(&request.to_bytes()), Ok(request));
    }
    for errno in REFUSALS {
        let refusal = Reply::Refused(errno);
        assert_eq!(Reply::from_bytes(&refusal.to_bytes()), Ok(refusal));
    }
}

#[test]
fn ranges_end_where_they_should() {
    let ok = |ring, slot, slots| Direction::new(ring, slot, slots).is_ok();
    assert!(ok(12, 12, 0) && ok(26, 26, 1024));
    for (ring, slot, slots) in [(11, 12, 0), (27, 12, 0), (12, 11, 0), (12, 27, 0), (12, 12, 1025), (0, 0, 0)] {
        let error = Direction::new(ring, slot, slots).unwrap_err();
        assert_eq!(error.errno(), Errno::INVAL, "{ring} {slot} {slots}");
    }
    let direction = Direction::new(13, 14, 3).unwrap();
    assert_eq!((direction.ring_size(), direction.slot_size(), direction.slots()), (8192, 16384, 3));

    let payload = 2 * (8192 + 3 * 16384);
    assert!(Hello::new([direction; 2], payload, false).is_ok());
    for total_len in [0, payload - 1, (1 << 38) + 1, u64::MAX] {
        let error = Hello::new([direction; 2], total_len, false).unwrap_err();
        assert_eq!(error.errno(), Errno::INVAL, "{total_len}");
    }
    let largest = Direction::new(26, 26, 1024).unwrap();
    assert!(Hello::new([largest; 2], LARGEST, false).is_ok());
}

/// Errors must blame the peer, whatever the check that found them.
fn is_protocol_error<T>(result: Result<T>) -> bool {
    result.is_err_and(|error| error.errno() == Errno::PROTO)
}

#[test]
fn every_damaged_field_is_seen() {
    let good = Reply::Hello(hello()).to_bytes();
    for (at, value) in [
        (0, b'm'),
        (3, b'O'),
        (4, 0),
        (4, 2),
        (5, 1),
        (6, 2),
        (7, 1),
        (8, 1), // a reason together with a layout
        (11, 0x80),
        (12, 11),
        (12, 27),
        (13, 255),
        (14, 0),
        (15, 64),
        (17, 5),
        (19, 0x80),
        (20, 1),
        (23, 1),
        (26, 0), // too short
        (29, 1), // too long
        (31, 0xff),
    ] {
        let mut bad = good;
        bad[at] = value;
        assert!(is_protocol_error(Reply::from_bytes(&bad)), "byte {at} = {value}");
    }
    let refusal = Reply::Refused(Errno::ACCESS).to_bytes();
    for (at, value) in [(6, 1), (8, 11), (8, 4), (9, 1), (11, 0xff), (12, 12), (31, 1)] {
        let mut bad = refusal;
        bad[at] = value;
        assert!(is_protocol_error(Reply::from_bytes(&bad)), "byte {at} = {value} of a refusal");
    }
    for (at, value) in [(0, 0), (3, b'H'), (4, 2), (5, 1), (6, 2), (7, 0x80)] {
        let mut bad = OpenRequest { membarrier: true }.to_bytes();
        bad[at] = value;
        assert!(is_protocol_error(OpenRequest::from_bytes(&bad)), "byte {at} = {value} of a request");
    }
}

fn directions() -> impl Strategy<Value = Direction> {
    (12_u8..=26, 12_u8..=26, 0_u16..=1024).prop_map(|(ring, slot, slots)| Direction::new(ring, slot, slots).unwrap())
}

fn hellos() -> impl Strategy<Value = Hello> {
    ([directions(), directions()], LARGEST..=1 << 38, any::<bool>())
        .prop_map(|(directions, total_len, membarrier)| Hello::new(directions, total_len, membarrier).unwrap())
}

proptest! {
    #[test]
    fn hellos_go_there_and_back(hello in hellos()) {
        prop_assert_eq!(Reply::from_bytes(&Reply::Hello(hello).to_bytes()), Ok(Reply::Hello(hello)));
    }

    #[test]
    fn what_is_accepted_has_one_encoding(hello in hellos(), damage in prop::collection::vec((0_usize..32, any::<u8>()), 0..4)) {
        let mut bytes = Reply::Hello(hello).to_bytes();
        for (at, value) in damage {
            bytes[at] = value;
        }
        match Reply::from_bytes(&bytes) {
            Ok(reply) => prop_assert_eq!(reply.to_bytes(), bytes),
            Err(error) => prop_assert_eq!(error.errno(), Errno::PROTO),
        }
    }

    #[test]
    fn noise_is_refused(noise in any::<[u8; 32]>(), short in any::<[u8; 8]>()) {
        prop_assume!(noise[..4] != *b"MGYH" && short[..4] != *b"MGYO");
        prop_assert!(is_protocol_error(Reply::from_bytes(&noise)));
        prop_assert!(is_protocol_error(OpenRequest::from_bytes(&short)));
    }
}
