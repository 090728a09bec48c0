// SPDX-License-Identifier: MIT OR Apache-2.0
//! What has been acknowledged goes in, and the window that the RFCs' formulas give must come out.
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "the models are in floating point, and their numbers far from its bounds"
)]

mod bbr;
mod cubic;
mod dctcp;
mod flow;
mod hystart;
mod link;
mod newreno;
mod properties;
mod throughput;
