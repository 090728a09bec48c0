// SPDX-License-Identifier: MIT OR Apache-2.0
//! The program on frames of every kind, by a machine of our own; and what the kernel's verifier says of it is tested where it is loaded.

use super::super::super::raw;
use super::*;
use proptest::prelude::*;
use std::net::IpAddr;

const MAC: [u8; 6] = [2, 0x11, 0x22, 0x33, 0x44, 0x55];
const OTHER: [u8; 6] = [2, 0, 0, 0, 0, 9];
const GROUP_MAC: [u8; 6] = [0x33, 0x33, 0xff, 0, 0, 2];
const EVERYBODY: [u8; 6] = [0xff; 6];
const OURS: [&str; 2] = ["10.9.0.2", "fd09::2"];
const QUEUE_NUMBER: u64 = 5;
/// Where the machine has things: a frame, the stack's end, what the program is given.
const FRAME: u64 = 0x1000;
const STACK: u64 = 0x9000;
const CONTEXT: u64 = 0xa000;
const SOCKETS: i32 = 70;
const ADDRESSES: i32 = 71;

/// A machine that has a frame.
struct Machine<'a> {
    frame: &'a [u8],
    stack: [u8; 64],
    registers: [u64; 11],
}

impl Machine<'_> {
    fn read(&self, at: u64, size: usize) -> u64 {
        let word: &[u8] = if at >= CONTEXT {
            let word = match at - CONTEXT {
                0 => FRAME,
                4 => FRAME + self.frame.len() as u64,
                16 => QUEUE_NUMBER,
                other => panic!("{other} of the context"),
            };
            return word;
        } else if at >= STACK - 64 {
            &self.stack[(at + 64 - STACK) as usize..]
        } else {
            // What is beyond the frame panics here.
            &self.frame[(at - FRAME) as usize..]
        };
        let mut bytes = [0; 8];
        bytes[..size].copy_from_slice(&word[..size]);
        u64::from_le_bytes(bytes)
    }

    fn write(&mut self, at: u64, size: usize, value: u64) {
        let at = (at + 64 - STACK) as usize;
        self.stack[at..at + size].copy_from_slice(&value.to_le_bytes()[..size]);
    }

    /// What the program does with the frame: true, it is ours.
    fn run(&mut self, program: &[Instruction]) -> bool {
        (self.registers[1], self.registers[10]) = (CONTEXT, STACK);
        let mut at = 0;
        for _ in 0..=program.len() {
            let Instruction { code, registers, offset, immediate } = program[at];
            let (to, from) = (usize::from(registers & 15), usize::from(registers >> 4));
            let value = i64::from(immediate).cast_unsigned();
            let place = |base: u64| base.wrapping_add(i64::from(offset).cast_unsigned());
            at += 1;
            let jump = match code {
                MOVE => {
                    self.registers[to] = value;
                    false
                }
                MOVE_REGISTER => {
                    self.registers[to] = self.registers[from];
                    false
                }
                ADD => {
                    self.registers[to] = self.registers[to].wrapping_add(value);
                    false
                }
                AND => {
                    self.registers[to] &= value;
                    false
                }
                LOAD_WORD | LOAD_HALF | LOAD_BYTE => {
                    let size = [4, 2, 1][usize::from(code - LOAD_WORD) / 8];
                    self.registers[to] = self.read(place(self.registers[from]), size);
                    false
                }
                LOAD_WIDE => {
                    assert_eq!((from, program[at].code), (usize::from(MAP), 0));
                    self.registers[to] = value;
                    at += 1;
                    false
                }
                STORE_WORD => {
                    self.write(place(self.registers[to]), 4, self.registers[from]);
                    false
                }
                STORE_WORD_VALUE => {
                    self.write(place(self.registers[to]), 4, value);
                    false
                }
                STORE_DOUBLE_VALUE => {
                    self.write(place(self.registers[to]), 8, value);
                    false
                }
                IF_EQUAL => self.registers[to] == value,
                IF_NOT_EQUAL => self.registers[to] != value,
                IF_ABOVE_REGISTER => self.registers[to] > self.registers[from],
                ALWAYS => true,
                CALL if immediate == LOOK_UP => {
                    assert_eq!(self.registers[1], ADDRESSES as u64);
                    let key: Vec<u8> =
                        (0..KEY as u64).map(|byte| self.read(self.registers[2] + byte, 1) as u8).collect();
                    self.registers[0] = OURS.iter().any(|ours| key == self::key(ours)).into();
                    false
                }
                CALL => {
                    assert_eq!(immediate, REDIRECT_MAP);
                    assert_eq!(self.registers[1..4], [SOCKETS as u64, QUEUE_NUMBER, PASS as u64]);
                    return true;
                }
                EXIT => {
                    assert_eq!(self.registers[0], PASS as u64);
                    return false;
                }
                _ => panic!("instruction {code:x}"),
            };
            if jump {
                at += usize::try_from(offset).expect("forward");
            }
        }
        panic!("it does not end");
    }
}

fn key(address: &str) -> Vec<u8> {
    match address.parse().unwrap() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

fn takes(filter: Filter, frame: &[u8]) -> bool {
    let program = program(&filter, SOCKETS, ADDRESSES);
    Machine { frame, stack: [0xaa; 64], registers: [0xdead; 11] }.run(&program)
}

const OWN: Filter = Filter { address: Some(MAC), vlan: None, everything: false };
const SHARED: Filter = Filter { address: None, ..OWN };

fn frame(to: [u8; 6], kind: u16, packet: &[u8]) -> Vec<u8> {
    [&to[..], &OTHER, &kind.to_be_bytes(), packet].concat()
}

fn ipv4(to: &str) -> Vec<u8> {
    let mut packet = vec![0x45; 28];
    packet[16..20].copy_from_slice(&key(to)[12..]);
    packet
}

fn ipv6(to: &str, next: u8, kind: u8, target: &str) -> Vec<u8> {
    let mut packet = vec![0; 72];
    (packet[0], packet[6], packet[40]) = (0x60, next, kind);
    packet[24..40].copy_from_slice(&key(to));
    packet[48..64].copy_from_slice(&key(target));
    packet
}

fn arp(target: &str) -> Vec<u8> {
    let mut packet = vec![0, 1, 8, 0, 6, 4, 0, 1];
    packet.resize(24, 7);
    packet.extend(&key(target)[12..]);
    packet
}

#[test]
fn by_hardware_address() {
    assert!(takes(OWN, &frame(MAC, 0x1234, &[])));
    for byte in 0..6 {
        let mut to = MAC;
        to[byte] ^= 0x40;
        assert!(!takes(OWN, &frame(to, 0x1234, &[])), "{to:x?}");
    }
    // The kernel has it, too: its IP addresses tell.
    assert!(!takes(SHARED, &frame(MAC, IPV4, &ipv4("10.9.0.3"))));
}

#[test]
fn by_ip_address() {
    for filter in [OWN, SHARED] {
        for (to, is) in [("10.9.0.2", true), ("10.9.0.3", false), ("255.255.255.255", false), ("224.0.0.1", false)] {
            assert_eq!(takes(filter, &frame(OTHER, IPV4, &ipv4(to))), is, "{to}");
        }
        for (to, is) in [("fd09::2", true), ("fd09::3", false), ("ff02::1", false), ("::ffff:10.9.0.9", false)] {
            assert_eq!(takes(filter, &frame(OTHER, IPV6, &ipv6(to, 17, 0, "fd09::2"))), is, "{to}");
        }
    }
}

/// RFC 826, and RFC 4861 section 4.3: who asks for ours is answered by us, who asks for the kernel's by the kernel.
#[test]
fn requests_for_addresses() {
    for filter in [OWN, SHARED] {
        assert!(takes(filter, &frame(EVERYBODY, ARP, &arp("10.9.0.2"))));
        assert!(!takes(filter, &frame(EVERYBODY, ARP, &arp("10.9.0.1"))));
        let mut other = arp("10.9.0.2");
        other[2] = 9;
        assert!(!takes(filter, &frame(EVERYBODY, ARP, &other)), "another protocol");
        let solicitation = |target, next, kind| frame(GROUP_MAC, IPV6, &ipv6("ff02::1:ff00:2", next, kind, target));
        assert!(takes(filter, &solicitation("fd09::2", 58, 135)));
        assert!(!takes(filter, &solicitation("fd09::1:2", 58, 135)));
        // Advertisements, reports, and what only looks like a solicitation, are for both.
        assert!(!takes(filter, &solicitation("fd09::2", 58, 136)));
        assert!(!takes(filter, &solicitation("fd09::2", 17, 135)));
    }
}

/// With a VLAN, an IP address is ours in that alone.
#[test]
fn tags() {
    let tagged =
        |tag: u16, packet: &[u8]| frame(OTHER, VLAN, &[&tag.to_be_bytes()[..], &IPV4.to_be_bytes(), packet].concat());
    let filter = Filter { vlan: Some(7), ..OWN };
    assert!(takes(filter, &tagged(7, &ipv4("10.9.0.2"))));
    assert!(takes(filter, &tagged(0xe007, &ipv4("10.9.0.2"))), "whatever its priority");
    assert!(!takes(filter, &tagged(8, &ipv4("10.9.0.2"))));
    assert!(!takes(filter, &tagged(7, &ipv4("10.9.0.3"))));
    assert!(!takes(filter, &frame(OTHER, IPV4, &ipv4("10.9.0.2"))));
    assert!(!takes(OWN, &tagged(7, &ipv4("10.9.0.2"))));
    assert!(takes(filter, &frame(MAC, IPV4, &[])));
}

#[test]
fn everything() {
    for bytes in [&[][..], &frame(OTHER, IPV4, &ipv4("10.9.0.3"))] {
        assert!(takes(Filter { everything: true, ..OWN }, bytes));
    }
}

proptest! {
    /// Nothing is read beyond the end: a frame that is cut short is passed on, or is ours by what is left of it.
    #[test]
    fn cut_short(kind in 0_usize..5, len in 0_usize..90, vlan in any::<bool>(), own in any::<bool>()) {
        let whole = [
            frame(OTHER, IPV4, &ipv4("10.9.0.2")),
            frame(GROUP_MAC, IPV6, &ipv6("ff02::1:ff00:2", 58, 135, "fd09::2")),
            frame(OTHER, IPV6, &ipv6("fd09::2", 6, 0, "fd09::2")),
            frame(EVERYBODY, ARP, &arp("10.9.0.2")),
            frame(OTHER, VLAN, &[&[0, 7, 8, 0][..], &ipv4("10.9.0.2")].concat()),
        ][kind].clone();
        let needed = [34, 78, 54, 42, 38][kind];
        let filter = Filter { vlan: vlan.then_some(7), address: own.then_some(MAC), everything: false };
        let taken = takes(filter, &whole[..len.min(whole.len())]);
        prop_assert_eq!(taken, len >= needed && vlan == (kind == 4));
    }

    #[test]
    fn nothing_stops_it(bytes in proptest::collection::vec(any::<u8>(), 0..100), vlan in any::<Option<u16>>()) {
        takes(Filter { vlan, ..OWN }, &bytes);
    }
}

/// An instruction is eight bytes, as the kernel reads it.
#[test]
fn shape() {
    assert_eq!(size_of::<Instruction>(), 8);
    // Queues are asked of any interface.
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    assert_eq!(raw::queues(&socket, "lo"), 1);
    assert_eq!(raw::queues(&socket, "no-such-interface"), 1);
}
