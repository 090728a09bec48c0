// SPDX-License-Identifier: MIT OR Apache-2.0
//! The atomics that other threads may touch: `core`'s, or loom's when a model is checked (`--cfg loom`).
//!
//! Loom's atomics work inside `loom::model` only, so under `--cfg loom` just the tests named `loom_` can run.

#[cfg(not(loom))]
pub(crate) use core::sync::atomic;

#[cfg(loom)]
pub(crate) use loom::sync::atomic;
