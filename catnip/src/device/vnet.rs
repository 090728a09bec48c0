// SPDX-License-Identifier: MIT OR Apache-2.0
//! The header in front of a frame that says what its sender has left to do: `struct virtio_net_hdr` without the number of
//! buffers, little endian (virtio 1.2, 5.1.6; `linux/virtio_net.h`).
//!
//! ```text
//! 0 flags u8 | 1 gso_type u8 | 2 hdr_len u16 | 4 gso_size u16 | 6 csum_start u16 | 8 csum_offset u16
//! ```
//!
//! What must always hold: a frame that is given on lies whole behind its own checksum's place, whatever the header says.

use runtime::device::{Checksum, Frame, SegmentKind, Segmentation};

/// Its length in bytes.
pub const HEADER: usize = 10;

const NEEDS_CHECKSUM: u8 = 1;
const DATA_VALID: u8 = 2;

const GSO_NONE: u8 = 0;
const GSO_TCP_V4: u8 = 1;
const GSO_TCP_V6: u8 = 4;
const GSO_UDP: u8 = 5;
/// Beside a kind of TCP: the sender has set CWR, which only the first segment is to carry.
const GSO_ECN: u8 = 0x80;

/// What is known of a frame of `len` bytes with this header; `None` if they do not fit each other.
pub fn parse(header: &[u8; HEADER], len: usize) -> Option<(Checksum, Option<Segmentation>)> {
    let [flags, kind, ..] = *header;
    let word = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
    let (start, offset) = (word(6), word(8));
    let checksum = if flags & NEEDS_CHECKSUM != 0 {
        // Two bytes of checksum inside the frame.
        let inside = usize::from(start) + usize::from(offset) + 2 <= len;
        if !inside {
            return None;
        }
        Checksum::Partial { start, offset }
    } else if flags & DATA_VALID != 0 {
        Checksum::Verified
    } else {
        Checksum::Complete
    };
    let kind = match kind & !GSO_ECN {
        GSO_NONE => return Some((checksum, None)),
        GSO_TCP_V4 => SegmentKind::TcpV4,
        GSO_TCP_V6 => SegmentKind::TcpV6,
        GSO_UDP => SegmentKind::Udp,
        _ => return None,
    };
    let (header, size) = (word(2), word(4));
    if size == 0 || usize::from(header) > len {
        return None;
    }
    Some((checksum, Some(Segmentation { kind, size, header })))
}

/// The header for a frame.
pub fn emit(frame: &Frame) -> [u8; HEADER] {
    let mut out = [0; HEADER];
    if let Checksum::Partial { start, offset } = frame.checksum {
        out[0] = NEEDS_CHECKSUM;
        out[6..8].copy_from_slice(&start.to_le_bytes());
        out[8..10].copy_from_slice(&offset.to_le_bytes());
    }
    if let Some(Segmentation { kind, size, header }) = frame.segmentation {
        let cwr = if has_cwr(frame) { GSO_ECN } else { 0 };
        out[1] = match kind {
            SegmentKind::TcpV4 => GSO_TCP_V4 | cwr,
            SegmentKind::TcpV6 => GSO_TCP_V6 | cwr,
            SegmentKind::Udp => GSO_UDP,
        };
        out[2..4].copy_from_slice(&header.to_le_bytes());
        out[4..6].copy_from_slice(&size.to_le_bytes());
    }
    out
}

/// Whether the TCP header of a frame says CWR (RFC 3168 section 6.1): not every card that cuts takes care of that.
fn has_cwr(frame: &Frame) -> bool {
    const FLAGS: usize = 13;
    const CWR: u8 = 0x80;
    let Checksum::Partial { start, .. } = frame.checksum else { return false };
    let headers = frame.data.iter().next();
    headers.and_then(|headers| headers.get(usize::from(start) + FLAGS)).is_some_and(|flags| flags & CWR != 0)
}

/// The same in the order of this host, or back: packet sockets have it so.
#[must_use]
pub fn in_order_of_this_host(mut header: [u8; HEADER]) -> [u8; HEADER] {
    if cfg!(target_endian = "big") {
        header[2..].chunks_exact_mut(2).for_each(<[u8]>::reverse);
    }
    header
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use runtime::buf::{Classes, Pools};

    proptest! {
        /// What is emitted is parsed as it was, and what does not fit is refused.
        #[test]
        fn emitted_is_parsed(
            start in 14_u16..200,
            offset in 0_u16..64,
            partial in any::<bool>(),
            kind in 0_usize..4,
            size in 1_u16..=u16::MAX,
            header in 14_u16..200,
        ) {
            let kind = [None, Some(SegmentKind::TcpV4), Some(SegmentKind::TcpV6), Some(SegmentKind::Udp)][kind];
            let checksum = if partial { Checksum::Partial { start, offset } } else { Checksum::Complete };
            let segmentation = kind.map(|kind| Segmentation { kind, size, header });
            let bytes = emit(&Frame { checksum, segmentation, ..Frame::default() });
            prop_assert_eq!(parse(&bytes, 300), Some((checksum, segmentation)));
            let needed = usize::from(start + offset) + 2;
            let fits = !partial || needed <= 100;
            let long = segmentation.is_some_and(|one| one.header > 100);
            prop_assert_eq!(parse(&bytes, 100).is_some(), fits && !long);
        }

        #[test]
        fn nothing_makes_it_panic(header in any::<[u8; HEADER]>(), len in 0_usize..70_000) {
            if let Some((Checksum::Partial { start, offset }, _)) = parse(&header, len) {
                prop_assert!(usize::from(start) + usize::from(offset) + 2 <= len);
            }
        }
    }

    /// CWR is for the first segment only (RFC 3168 section 6.1.2), which who cuts has to know.
    #[test]
    fn cwr_is_told() {
        let pools = Pools::new(&Classes { small_count: 4, large_count: 1, ..Classes::default() }).unwrap();
        for (kind, flags, told) in [
            (SegmentKind::TcpV4, 0x90, GSO_TCP_V4 | GSO_ECN),
            (SegmentKind::TcpV6, 0x90, GSO_TCP_V6 | GSO_ECN),
            (SegmentKind::TcpV4, 0x50, GSO_TCP_V4),
            (SegmentKind::Udp, 0x90, GSO_UDP),
        ] {
            let mut bytes = [0; 54];
            bytes[34 + 13] = flags;
            let frame = Frame {
                data: pools.alloc_copy(&bytes).unwrap().into(),
                checksum: Checksum::Partial { start: 34, offset: 16 },
                segmentation: Some(Segmentation { kind, size: 1448, header: 54 }),
            };
            assert_eq!(emit(&frame)[1], told, "{kind:?} {flags:x}");
        }
    }

    #[test]
    fn verified_and_unknown_kinds() {
        let with = |flags, kind| [flags, kind, 0, 0, 1, 0, 0, 0, 0, 0];
        assert_eq!(parse(&with(DATA_VALID, 0), 60), Some((Checksum::Verified, None)));
        assert_eq!(parse(&with(0, 0), 60), Some((Checksum::Complete, None)));
        assert!(parse(&with(0, GSO_TCP_V4 | GSO_ECN), 60).is_some_and(|(_, segments)| segments.is_some()));
        // Fragments of UDP (3) left Linux with 4.14.
        for kind in [2, 3, 6, 0x7f] {
            assert_eq!(parse(&with(0, kind), 60), None);
        }
        let no_size = [0, GSO_UDP, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(parse(&no_size, 60), None);
    }
}
