// SPDX-License-Identifier: MIT OR Apache-2.0
//! Operations: what was begun by `push`, `pop`, `accept`, `connect` and `close`, from its token to its completion.
//!
//! [`Ops`] is the table: a slot per token, parked operations in one FIFO per queue and direction, finished ones in the
//! order in which they finished. Every list is linked through the slots, so nothing here allocates once the table has
//! grown to the number of operations in flight. [`Wakes`] says which queue's direction can go on.

mod completion;
mod datagram;
mod fresh;
mod list;
mod sets;
mod table;
#[cfg(test)]
#[cfg(not(loom))]
mod tests;
mod wakes;

pub use completion::{Completion, Outcome};
pub use datagram::Datagram;
pub use list::List;
pub use sets::SetId;
pub use table::{Direction, Fifo, Ops, Tried, Work};
pub use wakes::Wakes;
