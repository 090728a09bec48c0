// SPDX-License-Identifier: MIT OR Apache-2.0
//! One direction of a pipe: a single-producer single-consumer ring of bytes, in memory that both processes write.
//!
//! ```text
//!            head (reader's, private)         tail (writer's, private)
//!             ▼                                ▼
//!  ┌─────────┬────────┬─────────┬────────┬────┬────────┬──────────────┐
//!  │  free   │ header │ payload │ header │ .. │ header │     free     │   positions run freely and are masked
//!  └─────────┴────────┴─────────┴────────┴────┴────────┴──────────────┘
//!             ≠ 0: published             ≠ 0    = 0: nothing yet
//! ```
//!
//! The commit word is the record's own header, so a small message moves one or two cache lines and there is no shared
//! tail; the reader gives space back through one credit word, in batches. The header *behind* a record is cleared before
//! the record is published. A record's payload may go around the ring's end; a header never does.

pub mod consumer;
#[cfg(test)]
#[cfg(loom)]
mod loom_tests;
pub mod memory;
pub mod producer;
pub mod record;
pub mod release;
#[cfg(test)]
#[cfg(not(loom))]
mod tests;

pub use consumer::Consumer;
pub use memory::{Memory, SharedMemory};
pub use producer::Producer;
pub use record::{Kind, Record};
