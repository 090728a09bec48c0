// SPDX-License-Identifier: MIT OR Apache-2.0
//! The fuzzer's harnesses on stable: over the kept strings, and over some random ones.

use super::*;
use proptest::prelude::*;
use std::path::Path;

fn corpus(target: &str, run: fn(&[u8])) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let mut files: Vec<_> = std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 10, "the corpus of {target} is not there");
    for file in files {
        let bytes = std::fs::read(&file).unwrap();
        // Truncated at some places too: a string may end anywhere.
        for len in (0..=bytes.len()).rev().step_by(1 + bytes.len() / 16) {
            println!("{}, {len} bytes", file.display());
            run(&bytes[..len]);
        }
    }
}

#[test]
fn corpus_of_ring_reader() {
    corpus("ring_reader", ring_reader);
}

#[test]
fn corpus_of_handshake() {
    corpus("handshake", handshake);
}

/// Strings of whole steps: plain bytes seldom make two sensible steps in a row.
fn steps() -> impl Strategy<Value = Vec<u8>> {
    let argument = prop_oneof![Just(0_u8), Just(1), Just(8), Just(16), Just(255), any::<u8>()];
    let step = (0_u8..24, prop::collection::vec(argument, 0..12));
    prop::collection::vec(step, 0..120)
        .prop_map(|steps| steps.into_iter().flat_map(|(op, arguments)| std::iter::once(op).chain(arguments)).collect())
}

proptest! {
    #[test]
    fn random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        ring_reader(&bytes);
        handshake(&bytes);
    }

    #[test]
    fn random_steps(bytes in steps()) {
        ring_reader(&bytes);
    }
}
