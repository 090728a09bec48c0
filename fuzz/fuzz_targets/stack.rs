// SPDX-License-Identifier: MIT OR Apache-2.0
//! Two whole stacks and a wire. See `network::sim::fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| network::sim::fuzz::stack(bytes));
