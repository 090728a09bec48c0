// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a connector says first, as bytes and as a checked value. The answer is catmem's `Hello`, with the memory.
//!
//! Little-endian. Each value has exactly one encoding: what `from_bytes` accepts, `to_bytes` gives back bit by bit.
//!
//! ```text
//! Request   magic "MGYC" @0 | version u16@4 | flags u16@6 (1 membarrier) | kind u8@8 (1 stream, 2 datagram)
//!           family u8@9 (4, 6) | send order u8@10 | receive order u8@11 | source port u16@12 | destination port u16@14
//!           source 16 bytes @16 | destination 16 bytes @32 (IPv4: the first 4 bytes)                        48 bytes
//! ```

use catmem::rendezvous::Direction;
use core::net::{IpAddr, SocketAddr};
use runtime::socket::Kind;
use runtime::{Errno, Error, Result};

const MAGIC: [u8; 4] = *b"MGYC";
const VERSION: u16 = 1;
const FLAG_MEMBARRIER: u16 = 1;
const BROKEN: Error = Error::new(Errno::PROTO, "the peer's request is malformed");

/// The wish to connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Stream or datagrams.
    pub kind: Kind,
    /// The connector is registered for `MEMBARRIER_CMD_GLOBAL_EXPEDITED`.
    pub membarrier: bool,
    /// The connector's canonical address; its port is not 0.
    pub source: SocketAddr,
    /// The canonical address that it wants to reach, of the same family; its port is not 0.
    pub destination: SocketAddr,
    /// The largest ring that the connector wants to write, as a power of two.
    pub send_order: u8,
    /// The largest ring that it wants to read.
    pub receive_order: u8,
}

impl Request {
    /// The size of the message.
    pub const LEN: usize = 48;

    /// The message as it is sent.
    pub fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4..6].copy_from_slice(&VERSION.to_le_bytes());
        bytes[6..8].copy_from_slice(&(if self.membarrier { FLAG_MEMBARRIER } else { 0 }).to_le_bytes());
        bytes[8] = match self.kind {
            Kind::Stream => 1,
            Kind::Datagram => 2,
        };
        bytes[9] = if self.source.is_ipv4() { 4 } else { 6 };
        bytes[10] = self.send_order;
        bytes[11] = self.receive_order;
        bytes[12..14].copy_from_slice(&self.source.port().to_le_bytes());
        bytes[14..16].copy_from_slice(&self.destination.port().to_le_bytes());
        bytes[16..32].copy_from_slice(&octets(self.source.ip()));
        bytes[32..48].copy_from_slice(&octets(self.destination.ip()));
        bytes
    }

    /// Reads a message that came from a peer.
    ///
    /// # Errors
    /// `EPROTO` for anything that [`to_bytes`](Self::to_bytes) would not have written for addresses that can be.
    pub fn from_bytes(bytes: &[u8; Self::LEN]) -> Result<Self> {
        let b = bytes;
        if b[..4] != MAGIC {
            return Err(Error::new(Errno::PROTO, "the peer does not speak the protocol of sockets"));
        }
        if b[4..6] != VERSION.to_le_bytes() {
            return Err(Error::new(Errno::PROTO, "the peer runs another version of Margay: upgrade the older one"));
        }
        let membarrier = match u16::from_le_bytes([b[6], b[7]]) {
            0 => false,
            FLAG_MEMBARRIER => true,
            _ => return Err(BROKEN),
        };
        let kind = match b[8] {
            1 => Kind::Stream,
            2 => Kind::Datagram,
            _ => return Err(BROKEN),
        };
        let source = address(b[9], &b[16..32], [b[12], b[13]])?;
        let destination = address(b[9], &b[32..48], [b[14], b[15]])?;
        let (send_order, receive_order) = (b[10], b[11]);
        if !Direction::ORDERS.contains(&send_order) || !Direction::ORDERS.contains(&receive_order) {
            return Err(BROKEN);
        }
        Ok(Self { kind, membarrier, source, destination, send_order, receive_order })
    }
}

fn octets(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        }
        IpAddr::V6(ip) => ip.octets(),
    }
}

/// A canonical address with a port, of one host.
fn address(family: u8, octets: &[u8], port: [u8; 2]) -> Result<SocketAddr> {
    let octets: [u8; 16] = octets.try_into().map_err(|_| BROKEN)?;
    let ip = match family {
        4 if octets[4..] == [0; 12] => IpAddr::from([octets[0], octets[1], octets[2], octets[3]]),
        6 => IpAddr::from(octets),
        _ => return Err(BROKEN),
    };
    let port = u16::from_le_bytes(port);
    if port == 0 || ip.is_unspecified() || ip.to_canonical() != ip {
        return Err(BROKEN);
    }
    Ok(SocketAddr::new(ip, port))
}
