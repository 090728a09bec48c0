// SPDX-License-Identifier: MIT OR Apache-2.0
//! How the TCP connections of a LibOs fare: a section behind its page, where there are any.
//!
//! Each is 288 bytes, numbers little-endian: 4 descriptor, 2 + 2 ports here and there, 16 + 16 addresses here and there, 8 zero, 240
//! `struct tcp_info` (linux/tcp.h), whose numbers have the order of this machine. An address of IPv4 is mapped (RFC 4291 section
//! 2.5.5.2). Only connections of a back end that does TCP itself are told: of the kernel's, `ss -ti` knows more.

use super::section::Section;
use core::net::{IpAddr, Ipv6Addr, SocketAddr};
use runtime::Qd;
use runtime::tcp_info::{LINUX_LEN, TcpInfo};

/// Connections that one LibOs tells about.
pub const CONNECTIONS_MAX: usize = 16;

pub(super) const SECTION: Section =
    Section { magic: *b"MARGAYTC", record: 48 + LINUX_LEN, most: CONNECTIONS_MAX, at: 256 };
/// The longest.
pub(super) const LEN_MAX: usize = SECTION.len_max();

/// How one connection fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// The descriptor that its application knows it by.
    pub qd: Qd,
    /// Its own end.
    pub local: SocketAddr,
    /// Its peer's.
    pub peer: SocketAddr,
    /// How it fares. Windows are in whole segments, and times in microseconds.
    pub info: TcpInfo,
}

/// Adds a connection. False: there is no room for more.
pub(super) fn add(bytes: &mut Vec<u8>, connection: &Connection) -> bool {
    if !SECTION.has_room(bytes) {
        return false;
    }
    let Connection { qd, local, peer, info } = connection;
    bytes.extend(qd.to_raw().to_le_bytes());
    for end in [local, peer] {
        bytes.extend(end.port().to_le_bytes());
    }
    for end in [local, peer] {
        let address = match end.ip() {
            IpAddr::V4(address) => address.to_ipv6_mapped(),
            IpAddr::V6(address) => address,
        };
        bytes.extend(address.octets());
    }
    bytes.extend([0; 8]);
    bytes.extend(info.to_linux());
    true
}

/// The connections that these bytes tell about; none if a LibOs could not have written them.
pub(super) fn read(bytes: &[u8]) -> Vec<Connection> {
    SECTION.records(bytes).and_then(|records| records.map(connection).collect()).unwrap_or_default()
}

fn connection(record: &[u8]) -> Option<Connection> {
    let (qd, rest) = record.split_first_chunk()?;
    let (here, rest) = rest.split_first_chunk()?;
    let (there, rest) = rest.split_first_chunk()?;
    let (local, rest) = rest.split_first_chunk::<16>()?;
    let (peer, rest) = rest.split_first_chunk::<16>()?;
    let end = |address: &[u8; 16], port: &[u8; 2]| {
        SocketAddr::new(IpAddr::V6(Ipv6Addr::from(*address)).to_canonical(), u16::from_le_bytes(*port))
    };
    Some(Connection {
        qd: Qd::from_raw(i32::from_le_bytes(*qd))?,
        local: end(local, here),
        peer: end(peer, there),
        info: TcpInfo::from_linux(rest.get(8..)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime::tcp_info::TcpState;

    fn example(number: u16) -> Connection {
        let ip = if number.is_multiple_of(2) { "10.0.0.1" } else { "fd00::1" };
        let mut info = TcpInfo::in_state(TcpState::Established);
        (info.mss, info.congestion_window, info.retransmits) = (1448, 14_480, number.into());
        Connection {
            qd: Qd::new(number.into(), 3),
            local: (ip.parse::<IpAddr>().unwrap(), 80).into(),
            peer: (ip.parse::<IpAddr>().unwrap(), 1000 + number).into(),
            info,
        }
    }

    fn written(count: u16) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(LEN_MAX);
        SECTION.begin(&mut bytes);
        for number in 0..count {
            assert_eq!(add(&mut bytes, &example(number)), usize::from(number) < CONNECTIONS_MAX);
        }
        SECTION.end(&mut bytes);
        assert!(bytes.len() <= LEN_MAX && bytes.capacity() == LEN_MAX, "it does not allocate");
        bytes
    }

    #[test]
    fn what_is_told_is_read_as_far_as_there_is_room() {
        for count in [0, 1, 16, 20] {
            let expected: Vec<Connection> = (0..count.min(CONNECTIONS_MAX as u16)).map(example).collect();
            let mut bytes = written(count);
            assert_eq!(read(&bytes), expected);
            // Of a time when there were more.
            bytes.extend([7; 100]);
            assert_eq!(read(&bytes), expected);
        }
    }

    #[test]
    fn what_is_damaged_or_cut_tells_nothing() {
        let bytes = written(2);
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << (at % 8);
            assert_eq!(read(&changed), [], "byte {at}");
            assert_eq!(read(&bytes[..at]), [], "{at} bytes");
        }
    }
}
