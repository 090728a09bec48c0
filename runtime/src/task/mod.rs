// SPDX-License-Identifier: MIT OR Apache-2.0
//! Coroutines: who is to run (wake words), running them (executor), and waking a LibOs that sleeps (wake handle).

mod executor;
mod handle;
mod words;

pub use executor::{Executor, TaskId};
#[cfg(all(test, loom))]
pub(crate) use handle::SleepWord;
pub use handle::WakeHandle;
pub(crate) use handle::{CALL, TASK};
pub use words::WakeWords;

#[cfg(all(test, loom))]
pub(crate) mod loom_tests;
#[cfg(test)]
#[cfg(not(loom))]
mod tests;
