// SPDX-License-Identifier: MIT OR Apache-2.0
//! TCP on bad links: every byte arrives once and in order, whatever the links do; how fast that is, and how fair.
//!
//! - `applications`: what pushes and pops, and hashes what it does. `delivery`: any link, many seeds. `throughput`: a table of
//!   loss, delay and algorithm, which stands beside it. `fairness`: two flows on one link.
//!   `interop`: smoltcp at the other end. `paths`: routers whose links become narrow and wide again.

#![allow(clippy::cast_precision_loss, reason = "rates are shown, not counted")]

mod applications;
mod delivery;
mod fairness;
mod interop;
mod paths;
mod throughput;
