// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which frames of an interface are ours: a filter of classic BPF (`Documentation/networking/filter.rst`), attached before the
//! socket is bound, so that no other frame ever comes in.
//!
//! Ours are those for our hardware address and those for groups; not what this host itself sends on the interface.

/// Where ancillary data begins, and which word of it has the packet's type.
const PACKET_TYPE: u32 = (libc::SKF_AD_OFF + libc::SKF_AD_PKTTYPE).cast_unsigned();
/// `PACKET_OUTGOING` of `linux/if_packet.h`.
const OUTGOING: u32 = libc::PACKET_OUTGOING as u32;
/// The lowest bit of the first byte: a group's address (IEEE 802.3, 3.2.3).
const GROUP: u32 = 1;
/// Bytes of a frame that are kept: all.
const ALL: u32 = u32::MAX;

const LOAD_WORD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const LOAD_HALF: u16 = (libc::BPF_LD | libc::BPF_H | libc::BPF_ABS) as u16;
const LOAD_BYTE: u16 = (libc::BPF_LD | libc::BPF_B | libc::BPF_ABS) as u16;
const IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const IF_BITS: u16 = (libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

/// An instruction: what to do with `k`, and how many instructions to skip if it is so, and if not.
const fn step(code: u16, k: u32, so: u8, not: u8) -> libc::sock_filter {
    libc::sock_filter { code, jt: so, jf: not, k }
}

/// The filter for a hardware address.
pub fn program(address: [u8; 6]) -> [libc::sock_filter; 10] {
    let [a, b, c, d, rest @ ..] = address;
    [
        step(LOAD_WORD, PACKET_TYPE, 0, 0),
        step(IF_EQUAL, OUTGOING, 7, 0),
        step(LOAD_BYTE, 0, 0, 0),
        step(IF_BITS, GROUP, 4, 0),
        step(LOAD_WORD, 0, 0, 0),
        step(IF_EQUAL, u32::from_be_bytes([a, b, c, d]), 0, 3),
        step(LOAD_HALF, 4, 0, 0),
        step(IF_EQUAL, u32::from(u16::from_be_bytes(rest)), 0, 1),
        step(RETURN, ALL, 0, 0),
        step(RETURN, 0, 0, 0),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the program says of a frame, by the rules of the machine.
    fn takes(program: &[libc::sock_filter], frame: &[u8], kind: u32) -> bool {
        let (mut at, mut accumulator) = (0, 0);
        for _ in 0..program.len() {
            let libc::sock_filter { code, jt, jf, k } = program[at];
            let from = k as usize;
            let so = match code {
                LOAD_WORD if k == PACKET_TYPE => {
                    accumulator = kind;
                    true
                }
                LOAD_WORD => {
                    accumulator = u32::from_be_bytes(frame[from..from + 4].try_into().unwrap());
                    true
                }
                LOAD_HALF => {
                    accumulator = u16::from_be_bytes(frame[from..from + 2].try_into().unwrap()).into();
                    true
                }
                LOAD_BYTE => {
                    accumulator = frame[from].into();
                    true
                }
                IF_EQUAL => accumulator == k,
                IF_BITS => accumulator & k != 0,
                RETURN => return k != 0,
                _ => panic!("instruction {code}"),
            };
            at += 1 + usize::from(if so { jt } else { jf });
        }
        panic!("it does not return");
    }

    #[test]
    fn takes_ours_and_groups() {
        let own = [2, 0x11, 0x22, 0x33, 0x44, 0x55];
        let program = program(own);
        let frame = |to: [u8; 6]| [&to[..], &[2, 0, 0, 0, 0, 9], &[8, 0]].concat();
        assert!(takes(&program, &frame(own), 0));
        // A host of this segment, as the kernel sees ours.
        assert!(takes(&program, &frame(own), 3));
        assert!(takes(&program, &frame([0xff; 6]), 1));
        assert!(takes(&program, &frame([0x33, 0x33, 0, 0, 0, 1]), 2));
        for other in 0..6 {
            let mut to = own;
            to[other] ^= 0x80;
            assert!(!takes(&program, &frame(to), 3), "{to:x?}");
        }
        for to in [own, [0xff; 6]] {
            assert!(!takes(&program, &frame(to), OUTGOING), "what this host sends");
        }
    }
}
