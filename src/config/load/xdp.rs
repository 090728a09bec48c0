// SPDX-License-Identifier: MIT OR Apache-2.0
//! The section `catnip.xdp`.

use super::{Reader, Value};
use crate::config::catnip::flag;
use crate::config::error::ConfigError;
use crate::config::parse;
use crate::config::xdp::{self, XdpConfig};
use serde::Deserialize;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Xdp {
    mode: Value,
    zero_copy: Value,
    queues: Value,
    busy_poll: Value,
}

/// The keys, in the order of the fields.
pub const KEYS: &[&str] = &["mode", "zero_copy", "queues", "busy_poll"];

impl Reader<'_> {
    pub(super) fn xdp(&mut self, given: Xdp, c: &mut XdpConfig) -> Result<(), ConfigError> {
        // In full, so that a new key does not compile before it is read.
        let Xdp { mode, zero_copy, queues, busy_poll } = given;
        self.set(&mut c.mode, "catnip.xdp.mode", mode, xdp::mode)?;
        self.set(&mut c.zero_copy, "catnip.xdp.zero_copy", zero_copy, flag)?;
        self.set(&mut c.queues, "catnip.xdp.queues", queues, xdp::queues)?;
        self.set(&mut c.busy_poll, "catnip.xdp.busy_poll", busy_poll, parse::duration)
    }
}
