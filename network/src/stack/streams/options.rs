// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a stream socket is set to before it has a connection, and what its connections take over from it.

use core::num::NonZeroU32;
use core::time::Duration;

use runtime::socket::{OptionName, SocketOption};
use runtime::time::Time;
use runtime::{Errno, Error, Result};

use super::StreamId;
use super::socket::Kind;
use crate::limits::RECEIVE_BUFFER_RANGE;
use crate::stack::Stack;
use crate::tcp::connection::Connection;
use crate::tcp::settings::Settings;
use crate::udp::Setting;

const BOUND: Error = Error::new(Errno::INVAL, "the socket is bound already");
const NO_HOPS: Error = Error::new(Errno::INVAL, "a packet makes 1 to 255 hops");
const DATAGRAMS: Error = Error::new(Errno::OPNOTSUPP, "an option for datagrams");

/// What a socket is set to. `None`: as the stack is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Options {
    pub linger: Option<Duration>,
    no_delay: Option<bool>,
    keep_alive: bool,
    keep_idle: Duration,
    keep_interval: Duration,
    keep_count: u32,
    send_buffer: Option<NonZeroU32>,
    receive_buffer: Option<NonZeroU32>,
    /// No use to a stream, as those behind it: kept and given back.
    segment: u16,
    multicast_hops: u8,
    multicast_loop: bool,
}

/// A buffer's size, if it was set.
fn bytes(size: Option<NonZeroU32>) -> Option<usize> {
    size.map(|size| size.get() as usize)
}

impl Default for Options {
    fn default() -> Self {
        Self {
            linger: None,
            no_delay: None,
            keep_alive: false,
            keep_idle: Duration::from_hours(2),
            keep_interval: Duration::from_secs(75),
            keep_count: 9,
            send_buffer: None,
            receive_buffer: None,
            segment: 0,
            multicast_hops: 1,
            multicast_loop: true,
        }
    }
}

impl Options {
    pub fn set(&mut self, option: SocketOption) {
        let clamp = |size: usize| NonZeroU32::new(size.clamp(RECEIVE_BUFFER_RANGE.0, RECEIVE_BUFFER_RANGE.1) as u32);
        match option {
            SocketOption::Linger(time) => self.linger = time,
            SocketOption::NoDelay(on) => self.no_delay = Some(on),
            SocketOption::KeepAlive(on) => self.keep_alive = on,
            SocketOption::KeepIdle(time) => self.keep_idle = time,
            SocketOption::KeepInterval(time) => self.keep_interval = time,
            SocketOption::KeepCount(count) => self.keep_count = count,
            SocketOption::SendBuffer(size) => self.send_buffer = clamp(size),
            SocketOption::ReceiveBuffer(size) => self.receive_buffer = clamp(size),
            SocketOption::SegmentSize(size) => self.segment = size,
            SocketOption::MulticastHops(hops) => self.multicast_hops = hops,
            SocketOption::MulticastLoop(on) => self.multicast_loop = on,
            // The socket's own.
            SocketOption::ReuseAddress(_) => {}
        }
    }

    pub fn get(&self, name: OptionName, settings: &Settings) -> SocketOption {
        match name {
            OptionName::Linger => SocketOption::Linger(self.linger),
            OptionName::NoDelay => SocketOption::NoDelay(self.no_delay.unwrap_or(settings.no_delay)),
            OptionName::KeepAlive => SocketOption::KeepAlive(self.keep_alive),
            OptionName::KeepIdle => SocketOption::KeepIdle(self.keep_idle),
            OptionName::KeepInterval => SocketOption::KeepInterval(self.keep_interval),
            OptionName::KeepCount => SocketOption::KeepCount(self.keep_count),
            OptionName::SendBuffer => SocketOption::SendBuffer(bytes(self.send_buffer).unwrap_or(settings.send_buffer)),
            OptionName::ReceiveBuffer => {
                SocketOption::ReceiveBuffer(bytes(self.receive_buffer).unwrap_or(settings.receive_buffer))
            }
            OptionName::ReuseAddress => SocketOption::ReuseAddress(false),
            OptionName::SegmentSize => SocketOption::SegmentSize(self.segment),
            OptionName::MulticastHops => SocketOption::MulticastHops(self.multicast_hops),
            OptionName::MulticastLoop => SocketOption::MulticastLoop(self.multicast_loop),
        }
    }

    /// What a connection begins with. A receive buffer that was asked for does not grow by itself, as on Linux; of more than there is
    /// memory for, the window has the scale, but not the size.
    pub fn settings(&self, stack: &Settings, room: usize) -> Settings {
        let mut settings = *stack;
        settings.no_delay = self.no_delay.unwrap_or(settings.no_delay);
        settings.send_buffer = bytes(self.send_buffer).unwrap_or(settings.send_buffer);
        if let Some(size) = bytes(self.receive_buffer) {
            (settings.receive_buffer, settings.receive_buffer_max) = (size, size);
        }
        settings.receive_buffer = settings.receive_buffer.min(room);
        settings
    }

    /// Sets a new connection to what is not in its settings.
    pub fn apply(&self, connection: &mut Connection, now: Time) {
        connection.set_option(SocketOption::KeepIdle(self.keep_idle), now);
        connection.set_option(SocketOption::KeepInterval(self.keep_interval), now);
        connection.set_option(SocketOption::KeepCount(self.keep_count), now);
        connection.set_option(SocketOption::KeepAlive(self.keep_alive), now);
    }
}

/// An option as a connection gets it: no receive buffer is larger than there is memory for.
fn within(option: SocketOption, room: usize) -> SocketOption {
    match option {
        SocketOption::ReceiveBuffer(size) => SocketOption::ReceiveBuffer(size.min(room)),
        other => other,
    }
}

impl Stack {
    /// Sets an option, whose value is in its range.
    ///
    /// # Errors
    /// `EBADF`.
    pub fn stream_set_option(&mut self, id: StreamId, option: SocketOption) -> Result<()> {
        let (now, settings, room) = (self.streams.now, self.streams.settings, self.streams.receive_room);
        let stream = self.streams.get(id)?;
        if let SocketOption::ReuseAddress(on) = option {
            return self.share(id, |stream| stream.reuse_address = on);
        }
        let options = stream.options.get_or_insert_default();
        options.set(option);
        let options = **options;
        match &mut stream.kind {
            Kind::Idle => {}
            // For those that come from now on.
            Kind::Listening(listener) => listener.settings = options.settings(&settings, room),
            Kind::Open(open) => {
                open.connection.set_option(within(option, room), now);
                self.settle(id.0.index, now);
            }
        }
        Ok(())
    }

    /// Changes with whom a socket shares its address, and what is counted of it at its port.
    fn share(&mut self, id: StreamId, change: impl FnOnce(&mut super::socket::Stream)) -> Result<()> {
        let stream = self.streams.get(id)?;
        let (hold, port, before) = (stream.hold(), stream.local.1, stream.sharing());
        let listens = matches!(stream.kind, Kind::Listening(_));
        change(stream);
        let after = stream.sharing();
        if let Some(address) = hold {
            let ports = &mut self.streams.ports;
            if listens {
                ports.set_listening(port, address, before, false);
            }
            ports.release(port, address, before);
            ports.hold(port, address, after);
            if listens {
                ports.set_listening(port, address, after, true);
            }
        }
        Ok(())
    }

    /// Reads an option.
    ///
    /// # Errors
    /// `EBADF`.
    pub fn stream_option(&self, id: StreamId, name: OptionName) -> Result<SocketOption> {
        let stream = self.streams.peek(id)?;
        if name == OptionName::ReuseAddress {
            return Ok(SocketOption::ReuseAddress(stream.reuse_address));
        }
        Ok(stream.options().get(name, &self.streams.settings))
    }

    /// Sets what [`SocketOption`] does not have: of [`Setting`], what streams have a use for.
    ///
    /// # Errors
    /// `EBADF`; `EINVAL` bound already, or out of range; `EOPNOTSUPP` of datagrams only.
    pub fn stream_set(&mut self, id: StreamId, setting: Setting) -> Result<()> {
        let stream = self.streams.get(id)?;
        let is_bound = stream.local.1 != 0;
        match setting {
            Setting::ReusePort(_) | Setting::V6Only(_) if is_bound => return Err(BOUND),
            Setting::ReusePort(on) => stream.reuse_port = on,
            Setting::V6Only(on) => stream.v6_only = on,
            Setting::Hops(0) => return Err(NO_HOPS),
            Setting::Hops(hops) => stream.hops = Some(hops),
            Setting::Broadcast(_) | Setting::MulticastHops(_) | Setting::MulticastLoop(_) | Setting::SegmentSize(_) => {
                return Err(DATAGRAMS);
            }
        }
        Ok(())
    }
}
