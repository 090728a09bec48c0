// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can be set of interfaces by `AF_XDP`, and how people write it.

use super::check::{Violation, duration};
use super::parse::{Refused, count};
use catnip::device::xdp::Settings;
use core::time::Duration;

pub use catnip::device::xdp::Mode;

/// The longest that an empty look may take.
const BUSY_POLL_MAX: Duration = Duration::from_millis(10);

/// An interface of the kernel by `AF_XDP` as the device of our own network stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XdpConfig {
    /// Where the program runs that takes our frames. Default: [`Mode::Auto`].
    pub mode: Mode,
    /// Whether the driver may read and write our buffers itself, if it can. Default: true.
    pub zero_copy: bool,
    /// How many queues of the interface are taken: 1 to 64; `None`: all. Default: `None`.
    pub queues: Option<usize>,
    /// How long a look at an empty queue works in the driver: 0 to 10 ms. Default: 0.
    pub busy_poll: Duration,
}

impl Default for XdpConfig {
    fn default() -> Self {
        Self { mode: Mode::Auto, zero_copy: true, queues: None, busy_poll: Duration::ZERO }
    }
}

impl XdpConfig {
    /// What the device is told, with what all devices have in common. [`Config::check`](super::Config::check) has found it right.
    pub(super) fn settings(&self, common: &super::CatnipConfig) -> Settings {
        Settings {
            receive: common.receive_frames,
            transmit: common.transmit_frames,
            promiscuous: common.promiscuous,
            mode: self.mode,
            zero_copy: self.zero_copy,
            queues: self.queues.unwrap_or_default(),
            busy_poll: self.busy_poll,
        }
    }

    /// What the table of rules cannot say.
    pub(super) fn check(&self) -> Result<(), Violation> {
        duration("catnip.xdp.busy_poll", self.busy_poll, Duration::ZERO, BUSY_POLL_MAX, "")
    }
}

const MODES: [(&str, Mode); 3] = [("auto", Mode::Auto), ("native", Mode::Native), ("generic", Mode::Generic)];

/// Where the program runs.
pub(super) fn mode(text: &str) -> Result<Mode, Refused> {
    let known = MODES.into_iter().find(|(name, _)| *name == text.trim());
    known
        .map(|(_, mode)| mode)
        .ok_or_else(|| Refused { allowed: "auto, native or generic", advice: "name one of those".to_owned() })
}

/// As it is written.
#[must_use]
pub fn show_mode(mode: Mode) -> &'static str {
    MODES.into_iter().find(|(_, known)| *known == mode).map_or("auto", |(name, _)| name)
}

/// How many queues, or `all`.
pub(super) fn queues(text: &str) -> Result<Option<usize>, Refused> {
    if text.trim() == "all" {
        return Ok(None);
    }
    count(text).map(Some).map_err(|r| Refused { advice: format!("{}, or write all", r.advice), ..r })
}
