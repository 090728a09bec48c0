// SPDX-License-Identifier: MIT OR Apache-2.0
//! Buffers: reference-counted views of pooled memory, and messages made of them.
//!
//! What must always hold:
//!
//! - A [`Buf`] is one pointer wide. Memory is never copied by a view, a split or a trim.
//! - `&mut [u8]` is given out for the only view of a block, so it never meets a `&[u8]` of the same bytes.
//! - Every block goes back to the [`Pool`] that it came from, and a pool's memory stays until its last handle *and* its
//!   last buffer are gone, in whatever order.
//! - Everything is bounded: blocks, second views and oversize bytes. Reaching a bound is `ENOBUFS` and a count.
//! - Nothing here is `Send`: a pool belongs to one LibOs and so to one thread, and no counter is atomic.
//!
//! A block is what a pool hands out: headroom, then the payload, then tailroom. It has one header for as long as it is
//! in use, and each further view of it borrows one more header from the pool:
//!
//! ```text
//!   Buf ──> header (data, len, refs = 2) ──┐ block base
//!                     ▲ owner              ▼
//!   Buf ──> header (data, len) ──┐    ┌──────────┬─────────┬──────────┐
//!                                │    │ headroom │ payload │ tailroom │
//!                                └────┼──────────┼──►┄┄┄┄┄ │          │
//!                                     └──────────┴─────────┴──────────┘
//! ```
//!
//! ```
//! use runtime::buf::Pool;
//!
//! let pool = Pool::heap(2048, 16, 128, 16)?;
//! let mut packet = pool.alloc_copy(b"payload")?;
//! packet.prepend(4)?.copy_from_slice(b"head");
//! let head = packet.split_front(4)?;
//! assert_eq!((&*head, &*packet), (&b"head"[..], &b"payload"[..]));
//! # Ok::<(), runtime::Error>(())
//! ```
//!
//! No buffer leaves its thread:
//!
//! ```compile_fail,E0277
//! fn elsewhere(_: impl Send) {}
//! let pool = runtime::buf::Pool::heap(64, 1, 0, 0).unwrap();
//! elsewhere(pool.alloc(1).unwrap());
//! ```
//!
//! ```compile_fail,E0277
//! fn elsewhere(_: impl Send) {}
//! elsewhere(runtime::buf::Pool::heap(64, 1, 0, 0).unwrap());
//! ```

mod backing;
mod chain;
mod header;
mod inner;
mod poison;
mod pool;
mod pools;
mod sga;
mod view;

pub use backing::{Region, Release};
pub use chain::Chain;
pub use pool::{Layout, Pool, Stats};
pub use pools::{Classes, Pools};
pub use sga::{IntoIter, Iter, SGA_SEGMENTS_MAX, Sga};
pub use view::Buf;

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
