// SPDX-License-Identifier: MIT OR Apache-2.0
//! What several threads share: atomics of `core` and locks of `std`, or loom's when a model is checked (`--cfg loom`).
//!
//! Loom's work inside `loom::model` only, so under `--cfg loom` just the tests named `loom_` can run.

#[cfg(not(loom))]
pub(crate) use core::sync::atomic;
#[cfg(not(loom))]
pub(crate) use std::sync::{Arc, Mutex};

#[cfg(loom)]
pub(crate) use loom::sync::{Arc, Mutex, atomic};
