// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bindings to DPDK (21.11 or later), made at build time from the headers that are installed.
//!
//! What is inline in DPDK's headers, and every field of a packet buffer, is reached by the functions `margay_*` of `shim/shim.h`:
//! so no layout that changes between releases is known here. Structures of the port's configuration are as `rte_ethdev.h` has them.
//!
//! Without the feature `link` there is nothing here, and nothing is needed to build it.

#![no_std]

#[cfg(feature = "link")]
#[allow(
    clippy::all,
    clippy::pedantic,
    clippy::undocumented_unsafe_blocks,
    clippy::allow_attributes_without_reason,
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    unsafe_op_in_unsafe_fn,
    dead_code,
    reason = "made by bindgen; the names and their meaning are DPDK's"
)]
mod bindings {
    include!(concat!(env!("OUT_DIR"), "/bindings.rs"));
}

#[cfg(feature = "link")]
pub use bindings::*;

#[cfg(all(test, feature = "link"))]
mod tests;
