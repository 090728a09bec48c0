// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sending: what was pushed and is not acknowledged, the peer's window, and how much of the one may leave because of the
//! other. What congestion control allows is recovery's to say.

mod completion;
mod queue;
mod size;
mod window;

pub(super) use completion::Completions;
pub use queue::Queue;
pub(super) use size::{Offer, amount};
pub(super) use window::Window;

#[cfg(test)]
mod tests;
