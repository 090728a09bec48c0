// SPDX-License-Identifier: MIT OR Apache-2.0
//! TCP between two whole stacks. See `network::sim::fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| network::sim::fuzz::tcp(bytes));
