// SPDX-License-Identifier: MIT OR Apache-2.0
//! The options of `socket(7)` and `tcp(7)` that concern the connection itself.

use core::time::Duration;

use runtime::socket::{OptionName, SocketOption};
use runtime::time::Time;

use super::keep_alive::KeepAlive;
use super::open::Open;
use crate::limits::RECEIVE_BUFFER_RANGE;
use crate::tcp::settings::Settings;

/// Options of a connection that is not there yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Later {
    pub no_delay: bool,
    pub keep_alive: KeepAlive,
    pub send_buffer: usize,
    /// If it was set: such a buffer does not grow by itself.
    pub receive_buffer: Option<usize>,
    receive_default: usize,
    /// What there is memory for.
    pub receive_room: usize,
}

/// Seconds, as `tcp(7)` bounds them.
fn seconds(time: Duration) -> u16 {
    time.as_secs().clamp(1, 32_767) as u16
}

impl KeepAlive {
    /// Whether the option was one of its own.
    fn set(&mut self, option: SocketOption) -> bool {
        match option {
            SocketOption::KeepAlive(on) => self.on = on,
            SocketOption::KeepIdle(time) => self.idle = seconds(time),
            SocketOption::KeepInterval(time) => self.interval = seconds(time),
            SocketOption::KeepCount(count) => self.count = count.clamp(1, 127) as u8,
            _ => return false,
        }
        true
    }

    fn get(self, name: OptionName) -> Option<SocketOption> {
        Some(match name {
            OptionName::KeepAlive => SocketOption::KeepAlive(self.on),
            OptionName::KeepIdle => SocketOption::KeepIdle(self.idle()),
            OptionName::KeepInterval => SocketOption::KeepInterval(self.interval()),
            OptionName::KeepCount => SocketOption::KeepCount(self.count.into()),
            _ => return None,
        })
    }
}

impl Later {
    pub const fn new(settings: &Settings) -> Self {
        Self {
            no_delay: settings.no_delay,
            keep_alive: KeepAlive::OFF,
            send_buffer: settings.send_buffer,
            receive_buffer: None,
            receive_default: settings.receive_buffer,
            receive_room: usize::MAX,
        }
    }

    pub fn set(&mut self, option: SocketOption) {
        match option {
            SocketOption::NoDelay(on) => self.no_delay = on,
            SocketOption::SendBuffer(size) => self.send_buffer = in_range(size),
            SocketOption::ReceiveBuffer(size) => self.receive_buffer = Some(in_range(size)),
            other => {
                self.keep_alive.set(other);
            }
        }
    }

    pub fn get(&self, name: OptionName) -> Option<SocketOption> {
        match name {
            OptionName::NoDelay => Some(SocketOption::NoDelay(self.no_delay)),
            OptionName::SendBuffer => Some(SocketOption::SendBuffer(self.send_buffer)),
            OptionName::ReceiveBuffer => {
                Some(SocketOption::ReceiveBuffer(self.receive_buffer.unwrap_or(self.receive_default)))
            }
            other => self.keep_alive.get(other),
        }
    }

    /// Sets an open connection to the same.
    pub fn apply(&self, open: &mut Open, now: Time) {
        open.no_delay = self.no_delay;
        open.keep_alive = self.keep_alive;
        open.queue.set_limit(self.send_buffer);
        if let Some(size) = self.receive_buffer {
            open.receiver.set_buffer(size);
        }
        open.receiver.set_room(self.receive_room);
        open.arm_keep_alive(now);
    }
}

fn in_range(size: usize) -> usize {
    size.clamp(RECEIVE_BUFFER_RANGE.0, RECEIVE_BUFFER_RANGE.1)
}

impl Open {
    pub fn set_option(&mut self, option: SocketOption, now: Time) {
        match option {
            SocketOption::NoDelay(on) => {
                self.no_delay = on;
                // What waited for company leaves.
                self.stirred = true;
            }
            SocketOption::SendBuffer(size) => self.queue.set_limit(in_range(size)),
            SocketOption::ReceiveBuffer(size) => {
                self.receiver.set_buffer(in_range(size));
                self.stirred = true;
            }
            other => {
                if self.keep_alive.set(other) {
                    self.keep_alive.sent = 0;
                    self.arm_keep_alive(now);
                }
            }
        }
    }

    pub fn option(&self, name: OptionName) -> Option<SocketOption> {
        match name {
            OptionName::NoDelay => Some(SocketOption::NoDelay(self.no_delay)),
            OptionName::SendBuffer => Some(SocketOption::SendBuffer(self.queue.limit())),
            OptionName::ReceiveBuffer => Some(SocketOption::ReceiveBuffer(self.receiver.buffer())),
            other => self.keep_alive.get(other),
        }
    }
}
