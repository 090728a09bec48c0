// SPDX-License-Identifier: MIT OR Apache-2.0
//! See `network::ip::reassembly::fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| network::ip::reassembly::fuzz::reassembly(bytes));
