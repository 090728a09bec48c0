// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tests of the packet formats.

mod checksum;
mod corpus;
mod oracle;
mod packets;
mod segments;
mod values;
