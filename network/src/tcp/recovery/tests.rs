// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tests of recovery: rules one by one, then a model of a path and a receiver.

mod bounds;
mod congestion;
mod hand;
mod model;
mod property;
mod rack;
mod rto;
mod sacked;
mod spurious;
mod tail;
