// SPDX-License-Identifier: MIT OR Apache-2.0
//! See `network::wire::fuzz::mld`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| network::wire::fuzz::mld(bytes));
