// SPDX-License-Identifier: MIT OR Apache-2.0
//! Margay as applications meet it: between real processes, over its public API.
//!
//! - `harness`: how a test runs a server and a client as processes; in `tests/common`, for the conformance suite, too.
//! - `streams`, `order`, `arena`, `halves`: what is pushed arrives, whole, once and in order, and the end comes after it.
//! - `peers`: one side is killed. `corrupt`, `hostile`: one side, or a third one, means harm.
//! - `waits`, `sleep`, `readiness`, `cancel`: completions, and how they are waited for.
//! - `submit`: work that other threads hand to a LibOs, and several LibOses in one process.
//! - `statistics`: what a LibOs publishes about itself. `leaks`: nothing is left behind.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where what it stands on is missing")]

mod arena;
mod cancel;
mod corrupt;
mod halves;
#[path = "../common/harness/mod.rs"]
mod harness;
mod hostile;
mod leaks;
mod order;
mod peers;
mod readiness;
mod sleep;
mod statistics;
mod streams;
mod submit;
mod waits;
