// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a port's driver counts beside what every port does: extended statistics (`rte_eth_xstats_get`), by their names.

use super::limits::EXTENDED_MAX;
use dpdk_sys::{rte_eth_xstat, rte_eth_xstat_name, rte_eth_xstats_get, rte_eth_xstats_get_names};

/// Room for them, made once: a port that has started has the same ones to its end.
pub struct Extended {
    port: u16,
    names: Box<[rte_eth_xstat_name]>,
    values: Box<[rte_eth_xstat]>,
}

impl Extended {
    /// Those of a port that has started; none, if its driver cannot say which there are.
    pub fn new(port: u16) -> Self {
        // SAFETY: without room it only says how many there are.
        let count = unsafe { rte_eth_xstats_get_names(port, core::ptr::null_mut(), 0) };
        let count = u32::try_from(count).unwrap_or(0).min(EXTENDED_MAX);
        let mut names = vec![rte_eth_xstat_name::default(); count as usize].into_boxed_slice();
        // SAFETY: room for as many.
        let said = unsafe { rte_eth_xstats_get_names(port, names.as_mut_ptr(), count) };
        // Of more than there is room for, nothing is filled in.
        if u32::try_from(said) != Ok(count) {
            names = Box::default();
        }
        Self { port, values: vec![rte_eth_xstat::default(); names.len()].into_boxed_slice(), names }
    }

    /// Asks the driver, and hands over those that are not zero.
    pub fn tell(&mut self, tell: &mut dyn FnMut(&str, u64)) {
        let room = self.values.len();
        if room == 0 {
            return;
        }
        // SAFETY: room for as many, fewer than `EXTENDED_MAX`.
        let said = unsafe { rte_eth_xstats_get(self.port, self.values.as_mut_ptr(), room as u32) };
        let filled = usize::try_from(said).ok().and_then(|count| self.values.get(..count)).unwrap_or_default();
        for counter in filled.iter().filter(|counter| counter.value != 0) {
            let name = usize::try_from(counter.id).ok().and_then(|id| self.names.get(id));
            if let Some(name) = name.and_then(text) {
                tell(name, counter.value);
            }
        }
    }
}

/// A name, if it is one.
fn text(name: &rte_eth_xstat_name) -> Option<&str> {
    // SAFETY: as many bytes, of which every value is one of `u8`, too.
    let bytes = unsafe { core::slice::from_raw_parts(name.name.as_ptr().cast::<u8>(), name.name.len()) };
    let len = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    core::str::from_utf8(&bytes[..len]).ok().filter(|text| !text.is_empty())
}
