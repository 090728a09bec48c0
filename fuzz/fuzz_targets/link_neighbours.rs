// SPDX-License-Identifier: MIT OR Apache-2.0
//! See `network::link::neighbours::fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| network::link::neighbours::fuzz::neighbours(bytes));
