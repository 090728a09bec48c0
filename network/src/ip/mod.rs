// SPDX-License-Identifier: MIT OR Apache-2.0
//! The Internet layer, IPv4 and IPv6 alike: addresses and routes, fragments both ways, path MTUs, router discovery, and
//! when an ICMP error may be sent.
//!
//! What must always hold: an address of one family never matches a prefix of the other; every table is bounded, and
//! what comes from a packet can fill only its own share.

pub mod addresses;
pub mod errors;
pub mod fragment;
pub mod path_mtu;
pub mod prefix;
pub mod rate;
pub mod reassembly;
pub mod redirects;
pub mod routers;
pub mod routes;

pub use addresses::Addresses;
pub use prefix::Prefix;
pub use routes::{Hop, Route, Routes};
