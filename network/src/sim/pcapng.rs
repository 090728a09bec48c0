// SPDX-License-Identifier: MIT OR Apache-2.0
//! The frames of a link in the form that Wireshark and tcpdump read: pcapng (draft-ietf-opsawg-pcapng), with nanoseconds of the
//! simulation's clock. Each node of the link is an interface: what it sends is outbound there, what comes to it inbound, and a
//! frame that never arrives has a comment that says why.

use alloc::vec::Vec;

use runtime::time::Time;

use super::NodeId;
use super::trace::{Fate, Record};

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const PACKET: u32 = 6;
const BYTE_ORDER: u32 = 0x1a2b_3c4d;
/// `LINKTYPE_ETHERNET`.
const ETHERNET: u32 = 1;
const COMMENT: u16 = 1;
/// `epb_flags`, and its values.
const FLAGS: u16 = 2;
const INBOUND: u32 = 1;
const OUTBOUND: u32 = 2;
/// `if_name`, `if_tsresol`, and the value of the latter for nanoseconds.
const NAME: u16 = 2;
const RESOLUTION: u16 = 9;
const NANOSECONDS: u8 = 9;

/// One block: its body is written by `fill`, its type and lengths around it here.
fn block(out: &mut Vec<u8>, kind: u32, fill: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    word(out, kind);
    word(out, 0);
    fill(out);
    pad(out, start);
    let len = (out.len() - start + 4) as u32;
    word(out, len);
    if let Some(length) = out.get_mut(start + 4..start + 8) {
        length.copy_from_slice(&len.to_le_bytes());
    }
}

fn word(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn pad(out: &mut Vec<u8>, start: usize) {
    let len = (out.len() - start).next_multiple_of(4);
    out.resize(start + len, 0);
}

fn option(out: &mut Vec<u8>, code: u16, value: &[u8]) {
    let start = out.len();
    out.extend_from_slice(&code.to_le_bytes());
    out.extend_from_slice(&(value.len() as u16).to_le_bytes());
    out.extend_from_slice(value);
    pad(out, start);
}

/// A file of what was recorded on one link, whose nodes are `nodes`.
pub(super) fn file(nodes: &[NodeId], records: &[Record]) -> Vec<u8> {
    let mut out = Vec::new();
    block(&mut out, SECTION, |out| {
        word(out, BYTE_ORDER);
        word(out, 1); // version 1.0
        out.extend_from_slice(&u64::MAX.to_le_bytes()); // of no length that is known
    });
    for node in nodes {
        block(&mut out, INTERFACE, |out| {
            word(out, ETHERNET);
            word(out, 0); // no limit of length
            option(out, NAME, alloc::format!("node {}", node.0).as_bytes());
            option(out, RESOLUTION, &[NANOSECONDS]);
            option(out, 0, &[]);
        });
    }
    let mut packets = Vec::new();
    for record in records {
        let comment = match record.fate {
            Fate::Arrives { to, at, duplicate, corrupt } => {
                let comment = match (duplicate, corrupt) {
                    (false, false) => "",
                    (true, false) => "duplicate",
                    (false, true) => "corrupt",
                    (true, true) => "duplicate, corrupt",
                };
                packets.push((at, to, INBOUND, comment, &record.bytes));
                if duplicate { None } else { Some("") }
            }
            Fate::Lost { .. } => Some("lost"),
            Fate::QueueFull => Some("dropped: the queue is full"),
            Fate::TooLong => Some("dropped: longer than the link's MTU"),
        };
        if let Some(comment) = comment {
            packets.push((record.sent, record.from, OUTBOUND, comment, &record.bytes));
        }
    }
    // Of one moment, what is sent stands in front of what arrives.
    packets.sort_by_key(|&(at, _, way, ..)| (at, way == INBOUND));
    // A frame for many went out once.
    packets.dedup_by(|later, first| first.2 == OUTBOUND && later == first);
    for (at, node, way, comment, bytes) in packets {
        let interface = nodes.iter().position(|known| *known == node).unwrap_or(0) as u32;
        block(&mut out, PACKET, |out| {
            packet(out, interface, at, bytes);
            option(out, FLAGS, &way.to_le_bytes());
            if !comment.is_empty() {
                option(out, COMMENT, comment.as_bytes());
            }
            option(out, 0, &[]);
        });
    }
    out
}

fn packet(out: &mut Vec<u8>, interface: u32, at: Time, bytes: &[u8]) {
    let (nanos, len) = (at.as_nanos(), bytes.len() as u32);
    word(out, interface);
    word(out, (nanos >> 32) as u32);
    word(out, nanos as u32);
    word(out, len);
    word(out, len);
    let start = out.len();
    out.extend_from_slice(bytes);
    pad(out, start);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_as_the_draft_has_them() {
        let (one, two) = (NodeId(0), NodeId(1));
        let time = Time::from_nanos;
        let arrives = Fate::Arrives { to: two, at: time(1 << 33), duplicate: false, corrupt: true };
        let records = [
            Record { sent: time(7), from: one, fate: Fate::Lost { to: two }, bytes: vec![1; 5] },
            Record { sent: time(3), from: one, fate: arrives, bytes: vec![2; 8] },
        ];
        let file = file(&[one, two], &records);
        let at = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
        let (mut start, mut blocks) = (0, vec![]);
        while start < file.len() {
            let len = at(start + 4) as usize;
            assert_eq!((len % 4, at(start + len - 4) as usize), (0, len), "both lengths");
            blocks.push((at(start), start));
            start += len;
        }
        let kinds: Vec<_> = blocks.iter().map(|block| block.0).collect();
        assert_eq!(kinds, [SECTION, INTERFACE, INTERFACE, PACKET, PACKET, PACKET]);
        assert_eq!(at(8), BYTE_ORDER);
        let packets: Vec<_> =
            blocks[3..].iter().map(|&(_, start)| [8, 12, 16, 20].map(|field| at(start + field))).collect();
        assert_eq!(packets, [[0, 0, 3, 8], [0, 0, 7, 5], [1, 2, 0, 8]], "by time");
        assert!(file.windows(4).any(|text| text == b"lost") && file.windows(7).any(|text| text == b"corrupt"));
    }
}
