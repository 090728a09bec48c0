// SPDX-License-Identifier: MIT OR Apache-2.0
//! Kernel sockets.

mod settings;
mod transport;

pub use settings::Settings;
pub use transport::Catcollar;
