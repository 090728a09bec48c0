// SPDX-License-Identifier: MIT OR Apache-2.0
//! Timers: a hierarchical timing wheel.

mod wheel;

pub use wheel::{TimerId, Wheel};

#[cfg(test)]
mod tests;
