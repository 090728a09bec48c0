// SPDX-License-Identifier: MIT OR Apache-2.0
//! The vocabulary that every Margay crate speaks.
mod error;
pub use error::{Errno, Error, Result};
