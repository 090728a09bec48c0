// SPDX-License-Identifier: MIT OR Apache-2.0
//! What this kernel's io_uring has, for people.

use crate::Settings;
use crate::ring::{NEEDED, Setup, USED, open};
use core::time::Duration;
use runtime::Error;

/// What this kernel's io_uring has.
#[derive(Clone, Debug)]
pub struct Probe {
    /// Why there is none; the lists are empty then.
    pub error: Option<Error>,
    /// Flags of `io_uring_setup(2)`, and whether this kernel takes them.
    pub flags: Vec<(&'static str, bool)>,
    /// What requests can do, and whether they do it here.
    pub features: Vec<(&'static str, bool)>,
    /// Requests, and whether this kernel knows them.
    pub requests: Vec<(&'static str, bool)>,
}

/// Makes a small ring and asks it.
///
/// ```
/// let probe = catcollar::probe();
/// // Some hosts forbid it.
/// assert_eq!(probe.error.is_some(), probe.flags.is_empty());
/// ```
#[must_use]
pub fn probe() -> Probe {
    let settings = Settings {
        entries: 8,
        completions: 16,
        buffers: 16,
        buffer_size: 256,
        sqpoll: None,
        busy_poll: Duration::ZERO,
        registered_sockets: None,
        zero_copy: None,
    };
    let (io, setup, features) = match open(&settings, 0) {
        Ok(opened) => opened,
        Err(error) => {
            return Probe { error: Some(error), flags: Vec::new(), features: Vec::new(), requests: Vec::new() };
        }
    };
    let Setup { submit_all, coop_taskrun, single_issuer, defer_taskrun, no_sqarray } = setup;
    let mut opcodes = io_uring::Probe::new();
    // It was asked before, to open the ring.
    let known = io.submitter().register_probe(&mut opcodes).is_ok();
    Probe {
        error: None,
        flags: vec![
            ("SUBMIT_ALL", submit_all),
            ("COOP_TASKRUN", coop_taskrun),
            ("SINGLE_ISSUER", single_issuer),
            ("DEFER_TASKRUN", defer_taskrun),
            ("NO_SQARRAY", no_sqarray),
        ],
        features: vec![
            ("multishot accept", features.multishot_accept),
            ("multishot receive, buffer rings", features.multishot_receive),
            ("receive bundles", features.bundles),
            ("sends without a copy", features.zero_copy),
            ("registered ring", features.registered_ring),
            ("registered descriptors", features.registered_files),
            ("NO_IOWAIT", features.no_iowait),
        ],
        requests: NEEDED.iter().chain(&USED).map(|&(name, code)| (name, known && opcodes.is_supported(code))).collect(),
    }
}
