// SPDX-License-Identifier: MIT OR Apache-2.0
//! One end of a pipe against a peer that writes whatever it likes. The harness is in `catmem::fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| catmem::fuzz::ring_reader(bytes));
