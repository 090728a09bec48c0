// SPDX-License-Identifier: MIT OR Apache-2.0
//! The options of a socket. Linger and the sizes have an effect here; the others are kept, since there is no segment to
//! delay and no silent death of a peer to probe for.

use core::ops::RangeInclusive;
use core::time::Duration;
use runtime::socket::{OptionName, SocketOption};

/// The smallest ring, as a power of two.
const ORDER_MIN: u32 = 12;

/// One socket's options.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of socket(7), tcp(7) or ip(7)")]
pub struct Options {
    /// `SO_LINGER`.
    pub linger: Option<Duration>,
    /// `SO_SNDBUF` as a power of two.
    pub send_order: u8,
    /// `SO_RCVBUF` likewise.
    pub receive_order: u8,
    order_max: u8,
    no_delay: bool,
    keep_alive: bool,
    keep_idle: Duration,
    keep_interval: Duration,
    keep_count: u32,
    reuse_address: bool,
    segment_size: u16,
    multicast_hops: u8,
    multicast_loop: bool,
}

impl Options {
    /// What a new socket has, with rings of `ring` bytes; the times are those of `tcp(7)`.
    pub fn new(ring: usize) -> Self {
        let order = order(ring, ORDER_MIN..=usize::BITS - 1);
        Self {
            linger: None,
            send_order: order,
            receive_order: order,
            order_max: order,
            no_delay: false,
            keep_alive: false,
            keep_idle: Duration::from_hours(2),
            keep_interval: Duration::from_secs(75),
            keep_count: 9,
            reuse_address: false,
            segment_size: 0,
            multicast_hops: 1,
            multicast_loop: true,
        }
    }

    /// Sets one; sizes are brought into range.
    pub fn set(&mut self, option: SocketOption) {
        let orders = ORDER_MIN..=u32::from(self.order_max);
        match option {
            SocketOption::Linger(linger) => self.linger = linger,
            SocketOption::NoDelay(on) => self.no_delay = on,
            SocketOption::KeepAlive(on) => self.keep_alive = on,
            SocketOption::KeepIdle(time) => self.keep_idle = time,
            SocketOption::KeepInterval(time) => self.keep_interval = time,
            SocketOption::KeepCount(count) => self.keep_count = count,
            SocketOption::SendBuffer(bytes) => self.send_order = order(bytes, orders),
            SocketOption::ReceiveBuffer(bytes) => self.receive_order = order(bytes, orders),
            SocketOption::ReuseAddress(on) => self.reuse_address = on,
            SocketOption::SegmentSize(size) => self.segment_size = size,
            SocketOption::MulticastHops(hops) => self.multicast_hops = hops,
            SocketOption::MulticastLoop(on) => self.multicast_loop = on,
        }
    }

    /// Reads one.
    pub fn get(&self, name: OptionName) -> SocketOption {
        match name {
            OptionName::Linger => SocketOption::Linger(self.linger),
            OptionName::NoDelay => SocketOption::NoDelay(self.no_delay),
            OptionName::KeepAlive => SocketOption::KeepAlive(self.keep_alive),
            OptionName::KeepIdle => SocketOption::KeepIdle(self.keep_idle),
            OptionName::KeepInterval => SocketOption::KeepInterval(self.keep_interval),
            OptionName::KeepCount => SocketOption::KeepCount(self.keep_count),
            OptionName::SendBuffer => SocketOption::SendBuffer(1 << self.send_order),
            OptionName::ReceiveBuffer => SocketOption::ReceiveBuffer(1 << self.receive_order),
            OptionName::ReuseAddress => SocketOption::ReuseAddress(self.reuse_address),
            OptionName::SegmentSize => SocketOption::SegmentSize(self.segment_size),
            OptionName::MulticastHops => SocketOption::MulticastHops(self.multicast_hops),
            OptionName::MulticastLoop => SocketOption::MulticastLoop(self.multicast_loop),
        }
    }
}

/// The order of the smallest power of two that has so many bytes, or the nearest in range.
fn order(bytes: usize, orders: RangeInclusive<u32>) -> u8 {
    let order = bytes.checked_next_power_of_two().map_or(*orders.end(), usize::trailing_zeros);
    order.clamp(*orders.start(), *orders.end()) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_come_into_range() {
        let mut options = Options::new(256 << 10);
        for (asked, got) in [(0, 4096), (4096, 4096), (4097, 8192), (256 << 10, 256 << 10), (usize::MAX, 256 << 10)] {
            options.set(SocketOption::SendBuffer(asked));
            assert_eq!(options.get(OptionName::SendBuffer), SocketOption::SendBuffer(got));
            options.set(SocketOption::ReceiveBuffer(asked));
            assert_eq!(options.get(OptionName::ReceiveBuffer), SocketOption::ReceiveBuffer(got));
        }
    }

    #[test]
    fn what_is_set_is_read() {
        let second = Duration::from_secs(1);
        let mut options = Options::new(4096);
        for (name, option) in [
            (OptionName::Linger, SocketOption::Linger(Some(second))),
            (OptionName::NoDelay, SocketOption::NoDelay(true)),
            (OptionName::KeepAlive, SocketOption::KeepAlive(true)),
            (OptionName::KeepIdle, SocketOption::KeepIdle(second)),
            (OptionName::KeepInterval, SocketOption::KeepInterval(second)),
            (OptionName::KeepCount, SocketOption::KeepCount(3)),
            (OptionName::ReuseAddress, SocketOption::ReuseAddress(true)),
            (OptionName::SegmentSize, SocketOption::SegmentSize(1400)),
            (OptionName::MulticastHops, SocketOption::MulticastHops(7)),
            (OptionName::MulticastLoop, SocketOption::MulticastLoop(false)),
        ] {
            assert_ne!(options.get(name), option);
            options.set(option);
            assert_eq!(options.get(name), option);
        }
    }
}
