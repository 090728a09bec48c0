// SPDX-License-Identifier: MIT OR Apache-2.0
//! The stack in simulated networks. Each test runs under several seeds, and one that fails prints the command that runs it again
//! with the seed that it failed with:
//!
//! ```text
//! MARGAY_SIM_SEED=17 cargo test -p network --test sim -- --exact fragments::...
//! ```
//!
//! With `MARGAY_SIM_PCAP=DIRECTORY` each link's frames are written there, for Wireshark.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where what it stands on is missing")]

mod addresses;
mod datagrams;
mod fragments;
mod groups;
mod leases;
mod links;
mod neighbours;
mod path_mtu;
mod repeat;
mod scenarios;
mod streams;
mod support;
