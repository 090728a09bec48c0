// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tests with two or three real processes. Test binaries take it in by its path, as `harness`.
//!
//! A test says what the server does and what the client does (and, where there is one, an intruder); the harness starts
//! one process of the test binary for each:
//!
//! ```ignore
//! #[test]
//! fn greeting() {
//!     pair!()
//!         .server(|context| {
//!             let mut libos = context.libos();
//!             let qd = libos.create_pipe("greeting").unwrap();
//!             pop_message(&mut libos, qd);
//!         })
//!         .client(|context| {
//!             let mut libos = context.libos();
//!             let qd = context.open(&mut libos, "greeting");
//!             push_message(&mut libos, qd, b"hello");
//!         })
//!         .run();
//! }
//! ```
//!
//! How it works: the binary is executed again with the name of the very same test, and the role in the environment. The
//! test function runs in each of the processes; [`Pair::run`] starts the others in the first one, and in the others runs
//! its role and exits. So code in front of `run` runs in every process, and must not do more than set things up; code
//! behind it runs in the first process only. A test that runs several rounds passes what differs with
//! [`Pair::argument`] and reads it from [`Context::argument`], for in the other processes only the first `run` is
//! reached.
//!
//! What the harness sees to:
//! - Each process has the deadline ([`Pair::deadline`], 60 s unless said otherwise), and is killed at it. If one fails,
//!   the others are killed. If the first process dies, so do the others.
//! - The logs (standard output and error) of all are shown when a test fails, and the seed, with which
//!   `MARGAY_TEST_SEED` runs it again.
//! - Each run has its own directory, and a [`Board`] of shared words by which the processes tell each other, and the test,
//!   how far they are. The board outlives a process that is killed.
//! - `LIBOS` in the first process's environment is the back end of all roles, as an application would have it.
//! - A test that needs the kernel's network has one of its own: [`network`].
//! - [`Pair::kill`] kills a side with SIGKILL when a word of the board is set, and some time after it.
//! - Behind a run no process, no file and no descriptor of it is left.

#![allow(dead_code, unused_imports, unused_macros, reason = "each test binary takes a part of it")]

pub mod board;
pub mod bytes;
mod context;
pub mod network;
mod processes;
pub mod system;

pub use board::Board;
pub use bytes::Random;
pub use context::{Context, LIMIT, done, pop_message, push_message};
pub use processes::{Pair, Report, Role, can_change_user, is_role};

/// A [`Pair`] for the test function that this stands in.
macro_rules! pair {
    () => {{
        fn here() {}
        $crate::harness::Pair::new(core::any::type_name_of_val(&here))
    }};
}
pub(crate) use pair;
