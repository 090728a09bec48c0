// SPDX-License-Identifier: MIT OR Apache-2.0
//! The section `catnip.dpdk`.

use super::{Reader, Value};
use crate::config::catnip::flag;
use crate::config::dpdk::{self, DpdkConfig};
use crate::config::error::ConfigError;
use crate::config::parse;
use serde::Deserialize;
use serde_saphyr::Spanned;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Dpdk {
    port: Value,
    eal: Option<Vec<Spanned<String>>>,
    memory: Value,
    queues: Value,
    burst: Value,
    prefetch: Value,
    buffers: Value,
    attach: Value,
    interrupts: Value,
}

/// The keys, in the order of the fields.
pub const KEYS: &[&str] = &["port", "eal", "memory", "queues", "burst", "prefetch", "buffers", "attach", "interrupts"];

impl Reader<'_> {
    pub(super) fn dpdk(&mut self, given: Dpdk, c: &mut DpdkConfig) -> Result<(), ConfigError> {
        // In full, so that a new key does not compile before it is read.
        let Dpdk { port, eal, memory, queues, burst, prefetch, buffers, attach, interrupts } = given;
        self.set(&mut c.port, "catnip.dpdk.port", port, dpdk::port)?;
        self.list(&mut c.eal, "catnip.dpdk.eal", eal, |text| Ok(text.to_owned()))?;
        self.set(&mut c.memory, "catnip.dpdk.memory", memory, parse::size)?;
        self.set(&mut c.queues, "catnip.dpdk.queues", queues, parse::count)?;
        self.set(&mut c.burst, "catnip.dpdk.burst", burst, parse::count)?;
        self.set(&mut c.prefetch, "catnip.dpdk.prefetch", prefetch, parse::count)?;
        self.set(&mut c.buffers, "catnip.dpdk.buffers", buffers, |text| parse::or_auto(text, parse::count))?;
        self.set(&mut c.attach, "catnip.dpdk.attach", attach, flag)?;
        self.set(&mut c.interrupts, "catnip.dpdk.interrupts", interrupts, flag)
    }
}
