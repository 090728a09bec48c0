// SPDX-License-Identifier: MIT OR Apache-2.0
//! Frames made by hand: ARP (RFC 826), and UDP (RFC 768) over IPv4 (RFC 791).

use std::net::Ipv4Addr;

/// Our addresses, and the kernel's IP address.
pub const OUR_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0x42];
pub const OURS: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 2);
pub const THEIRS: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);
pub const EVERYBODY: [u8; 6] = [0xff; 6];

const IPV4: [u8; 2] = [8, 0];
const ARP: [u8; 2] = [8, 6];

/// Who has the kernel's address? Asked by us.
pub fn arp_request() -> Vec<u8> {
    let mut frame = [&EVERYBODY[..], &OUR_MAC, &ARP, &[0, 1], &IPV4, &[6, 4, 0, 1]].concat();
    frame.extend(OUR_MAC);
    frame.extend(OURS.octets());
    frame.extend([0; 6]);
    frame.extend(THEIRS.octets());
    frame
}

/// The kernel's hardware address, if this is its answer.
pub fn arp_reply(frame: &[u8]) -> Option<[u8; 6]> {
    let right = frame.get(..6)? == OUR_MAC
        && frame.get(12..14)? == ARP
        && frame.get(20..22)? == [0, 2]
        && frame.get(28..32)? == THEIRS.octets()
        && frame.get(38..42)? == OURS.octets();
    right.then(|| frame[22..28].try_into().unwrap())
}

pub fn sum(bytes: &[u8]) -> u32 {
    bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0))).sum()
}

pub fn folded(mut sum: u32) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

fn pseudo_header(from: Ipv4Addr, to: Ipv4Addr, len: usize) -> u32 {
    sum(&from.octets()) + sum(&to.octets()) + 17 + len as u32
}

/// A datagram from us to the kernel. Its checksum is whole, or that of the pseudo-header alone.
pub fn udp(to_mac: [u8; 6], ports: [u16; 2], payload: &[u8], whole: bool) -> Vec<u8> {
    let len = 8 + payload.len();
    let mut ip = [&[0x45, 0][..], &((20 + len) as u16).to_be_bytes(), &[0, 1, 0x40, 0, 64, 17, 0, 0]].concat();
    ip.extend(OURS.octets());
    ip.extend(THEIRS.octets());
    let check = !folded(sum(&ip));
    ip[10..12].copy_from_slice(&check.to_be_bytes());
    let [from, to] = ports.map(u16::to_be_bytes);
    let mut datagram = [&from[..], &to, &(len as u16).to_be_bytes(), &[0, 0], payload].concat();
    let pseudo = pseudo_header(OURS, THEIRS, len);
    let check = if whole { !folded(pseudo + sum(&datagram)) } else { folded(pseudo) };
    datagram[6..8].copy_from_slice(&check.to_be_bytes());
    [&to_mac[..], &OUR_MAC, &IPV4, &ip, &datagram].concat()
}

/// A datagram from the kernel to us: its payload, and whether its checksum is right.
pub fn parse_udp(frame: &[u8]) -> Option<(Vec<u8>, bool)> {
    let right = frame.get(12..14)? == IPV4 && frame.get(23)? == &17 && frame.get(30..34)? == OURS.octets();
    let total = usize::from(u16::from_be_bytes(frame.get(16..18)?.try_into().ok()?));
    let datagram = frame.get(34..14 + total)?;
    let summed = folded(pseudo_header(THEIRS, OURS, datagram.len()) + sum(datagram));
    right.then(|| (datagram[8..].to_vec(), summed == 0xffff))
}
