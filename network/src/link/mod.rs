// SPDX-License-Identifier: MIT OR Apache-2.0
//! The link: which MAC address a neighbour has, and whether an address of ours is ours alone.

pub mod claim;
pub mod neighbours;
