// SPDX-License-Identifier: MIT OR Apache-2.0
//! The fuzzer's harnesses on stable: over the kept packets, cut anywhere or with a byte changed, and over random bytes.

use crate::wire::fuzz;
use proptest::prelude::*;
use std::path::Path;

type Harness = fn(&[u8]);

const TARGETS: [(&str, Harness); 12] = [
    ("wire_arp", fuzz::arp),
    ("wire_dhcpv4", fuzz::dhcpv4),
    ("wire_frame", fuzz::frame),
    ("wire_icmpv4", fuzz::icmpv4),
    ("wire_icmpv6", fuzz::icmpv6),
    ("wire_igmp", fuzz::igmp),
    ("wire_ipv4", fuzz::ipv4),
    ("wire_ipv6", fuzz::ipv6),
    ("wire_mld", fuzz::mld),
    ("wire_ndp", fuzz::ndp),
    ("wire_tcp", fuzz::tcp),
    ("wire_udp", fuzz::udp),
];

#[test]
fn corpus() {
    for (target, run) in TARGETS {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
        let mut files: Vec<_> = std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        assert!(files.len() >= 2, "the corpus of {target} is not there");
        for file in files {
            let bytes = std::fs::read(&file).unwrap();
            println!("{}, {} bytes", file.display(), bytes.len());
            (0..=bytes.len()).rev().for_each(|len| run(&bytes[..len]));
            for at in 0..bytes.len().min(400) {
                for value in [0, 1, 0x7f, 0x80, 0xff, bytes[at] ^ 1, bytes[at].wrapping_add(4)] {
                    let mut changed = bytes.clone();
                    changed[at] = value;
                    run(&changed);
                }
            }
        }
    }
}

/// Bytes of which some are those that parsers look for.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![any::<u8>(), prop::sample::select(vec![0_u8, 1, 2, 3, 4, 5, 6, 8, 10, 17, 44, 58, 60, 255])];
    prop::collection::vec(byte, 0..400)
}

proptest! {
    #[test]
    fn random_bytes(bytes in bytes()) {
        for (_, run) in TARGETS {
            run(&bytes);
        }
    }

    /// With what lets a parser past its first look.
    #[test]
    fn random_bytes_behind_a_good_start(bytes in bytes(), kind: u8) {
        let starts: [(&[u8], Harness); 9] = [
            (&[0, 1, 8, 0, 6, 4, 0, 1], fuzz::arp),
            (&[0x46, 0, 0, 120, 0, 0, 0x20, 0, 64, kind, 0, 0], fuzz::ipv4),
            (&[0x60, 0, 0, 0, 0, 100, kind, 64], fuzz::ipv6),
            (&[0x60, 0, 0, 0, 0, 100, 0, 64, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
               0, 0, 0, 0, 0, 0, 0, 1, kind, 1], fuzz::ipv6),
            (&[133 + kind % 5, 0], fuzz::ndp),
            (&[0, 1, 0, 2, 0, 40], fuzz::udp),
            (&[0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0xa0], fuzz::tcp),
            (&[[0x11, 0x22, 0x16, 0x17][usize::from(kind % 4)], 9, 0, 0, 224, 0, 0, 1], fuzz::igmp),
            (&[[130, 131, 132, 143][usize::from(kind % 4)], 9, 0, 0, 0, 1, 0, 1], fuzz::mld),
        ];
        for (start, run) in starts {
            run(&[start, &bytes].concat());
        }
        let mut message = vec![0; 236];
        message[..3].copy_from_slice(&[1 + kind % 2, 1, 6]);
        fuzz::dhcpv4(&[&message[..], &[99, 130, 83, 99, 53, 1, kind % 10], &bytes].concat());
    }
}
