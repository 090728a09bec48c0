// SPDX-License-Identifier: MIT OR Apache-2.0
//! The handshake's messages, as a peer may send them. The harness is in `catmem::fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| catmem::fuzz::handshake(bytes));
