// SPDX-License-Identifier: MIT OR Apache-2.0
//! How a frame becomes a chain of packet buffers: long pieces are attached, short ones copied together.
//!
//! Ports take only so many packet buffers as one packet (`nb_seg_max` of `rte_eth_desc_lim`), and NICs fewer for what is one packet on the
//! wire (`nb_mtu_seg_max`): a frame that is sent as it is, or each segment that is cut out of a long one. What would take more is copied,
//! whole: the driver refuses it for good.

use super::limits::COPIED_PIECE_MAX;
use super::plan::Plan;
use super::reach::Reach;
use runtime::buf::Buf;
use runtime::device::Frame;
use runtime::limits::SGA_SEGMENTS_MAX;

/// Where a piece of a frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It is attached.
    Attached,
    /// It is copied, into a packet buffer that begins with it.
    Begun,
    /// It is copied behind the one before.
    Added,
}

/// How frames are divided.
pub struct Pieces {
    /// Data bytes of a packet buffer that is copied into.
    segment: usize,
    /// Packet buffers of one frame at most.
    chains: usize,
    /// And of what is one packet on the wire.
    per_mtu: Option<usize>,
    /// From where the port can send.
    pub reach: Reach,
}

impl Pieces {
    /// For a port that can send from nowhere yet but its own packet buffers.
    pub fn new(plan: &Plan) -> Self {
        Self {
            segment: plan.segment as usize,
            chains: plan.chains.unwrap_or(1),
            per_mtu: plan.per_mtu,
            reach: Reach::Nothing,
        }
    }

    /// Whether a piece of a frame is attached: it is long enough, its length fits the field for it, and the port can read it.
    #[inline]
    fn is_attached(&self, piece: &Buf) -> bool {
        (COPIED_PIECE_MAX + 1..=usize::from(u16::MAX)).contains(&piece.len()) && self.reach.has(piece)
    }

    /// Packet buffers of a frame whose long pieces are attached: with copies, and without. `None`: the port does not take it so.
    #[inline]
    pub fn divide(&self, frame: &Frame) -> Option<(usize, usize)> {
        let (mut copies, mut attached, mut walk) = (0, 0, Walk::default());
        for piece in &frame.data {
            match walk.next(self, piece)? {
                Place::Attached => attached += 1,
                Place::Begun => copies += 1,
                Place::Added => {}
            }
        }
        let all = copies + attached;
        let crowded = self.per_mtu.is_some_and(|most| all > most && self.is_crowded(frame, most));
        (all <= self.chains && !crowded).then_some((copies, attached))
    }

    /// Packet buffers of a frame that is copied. `None`: the port does not take it.
    #[inline]
    pub fn copies(&self, frame: &Frame) -> Option<usize> {
        let copies = frame.data.len().div_ceil(self.segment);
        // What is cut is known to have room: see `Plan`.
        let most = self.per_mtu.filter(|_| frame.segmentation.is_none()).unwrap_or(usize::MAX);
        (copies <= self.chains.min(most)).then_some(copies)
    }

    /// Whether the frame, or one of the segments that are cut out of it, is of more packet buffers than `most`, as all of it is.
    fn is_crowded(&self, frame: &Frame, most: usize) -> bool {
        let Some(cut) = frame.segmentation else { return true };
        let (mut lens, mut count, mut walk) = ([0_usize; SGA_SEGMENTS_MAX], 0, Walk::default());
        let mut headers = usize::from(cut.header);
        for piece in &frame.data {
            let in_headers = headers.min(piece.len());
            headers -= in_headers;
            let payload = piece.len() - in_headers;
            // A packet buffer with headers alone is none of the payload's.
            let begins = walk.next(self, piece) != Some(Place::Added) || count == 0;
            if payload == 0 {
                continue;
            }
            count += usize::from(begins);
            if let Some(last) = count.checked_sub(1).and_then(|last| lens.get_mut(last)) {
                *last += payload;
            }
        }
        // The headers are in one, which the device reads for each segment.
        has_crowd(&lens[..count.min(SGA_SEGMENTS_MAX)], cut.size.into(), most.saturating_sub(1))
    }
}

/// Goes over the pieces of a frame, first to last.
#[derive(Default)]
pub struct Walk {
    /// What is left of the last packet buffer that was copied into.
    room: usize,
}

impl Walk {
    /// Where the next piece goes. `None`: it is too long to be copied, and not attached.
    #[inline]
    pub fn next(&mut self, pieces: &Pieces, piece: &Buf) -> Option<Place> {
        if pieces.is_attached(piece) {
            self.room = 0;
            return Some(Place::Attached);
        }
        if piece.len() <= self.room {
            self.room -= piece.len();
            return Some(Place::Added);
        }
        self.room = pieces.segment.checked_sub(piece.len())?;
        Some(Place::Begun)
    }
}

/// Whether some `size` bytes in a row lie in more than `most` of pieces of these lengths.
fn has_crowd(lens: &[usize], size: usize, most: usize) -> bool {
    // Those between the first and the last of them are in it whole, and of these two a byte each.
    most == 0 || lens.windows(most + 1).any(|some| some[1..most].iter().sum::<usize>() + 2 <= size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime::buf::{Classes, Pools, Sga};
    use runtime::device::{SegmentKind, Segmentation};

    const HEADERS: usize = 66;

    fn port(per_mtu: Option<usize>) -> Pieces {
        Pieces { segment: 2048, chains: 250, per_mtu, reach: Reach::Everything }
    }

    /// A frame of these pieces behind its headers, which is cut into segments of so many bytes.
    fn frame(lens: &[usize], cut: Option<u16>) -> Frame {
        let pools = Pools::new(&Classes { small_count: 64, large_count: 4, ..Classes::default() }).unwrap();
        let mut data = Sga::from(pools.alloc_copy(&[0; HEADERS]).unwrap());
        for &len in lens {
            data.push_back(pools.alloc(len).unwrap()).unwrap();
        }
        let cut = cut.map(|size| Segmentation { kind: SegmentKind::TcpV4, size, header: HEADERS as u16 });
        Frame { segmentation: cut, ..Frame::from(data) }
    }

    #[test]
    fn long_pieces_are_attached_and_others_share() {
        let port = port(None);
        for (lens, divided) in [
            (&[1448][..], Some((1, 1))),
            (&[100, 100], Some((1, 0))),
            (&[100, 1448, 100, 0, 20, 1448], Some((2, 2))),
            (&[128, 129], Some((1, 1))),
            (&[60_000], Some((1, 1))),
            // Neither a packet buffer nor the field for its length has room.
            (&[70_000], None),
        ] {
            assert_eq!(port.divide(&frame(lens, None)), divided, "{lens:?}");
        }
        // What the port cannot read is copied; and what is too long for that has all copied.
        let blind = Pieces { reach: Reach::Nothing, ..port };
        assert_eq!(blind.divide(&frame(&[1448, 500, 200], None)), Some((2, 0)));
        assert_eq!(blind.divide(&frame(&[3000], None)), None);
        assert_eq!(blind.copies(&frame(&[3000], None)), Some(2));
        assert_eq!(Pieces { chains: 2, ..blind }.copies(&frame(&[4031], None)), None);
    }

    /// As i40e and ice have it: eight for a packet on the wire.
    #[test]
    fn what_a_nic_would_refuse_is_copied() {
        let (nic, other) = (port(Some(8)), port(None));
        let (seven, eight) = (frame(&[150; 7], None), frame(&[150; 8], None));
        assert_eq!((nic.divide(&seven), nic.divide(&eight)), (Some((1, 7)), None));
        assert_eq!((nic.copies(&eight), other.divide(&eight)), (Some(1), Some((1, 8))));
        assert_eq!(port(Some(2)).copies(&frame(&[5000], None)), None, "nor does it take so many copies");
        // Of a long frame each segment.
        for (lens, size, taken) in [
            (&[150; 40][..], 1448, false),
            (&[1448; 40], 1448, true),
            (&[1448; 7], 1448, true),
            (&[241; 40], 1448, false),
            (&[242; 40], 1448, true),
            (&[150; 40], 536, true),
            // Few pieces are never too many.
            (&[150; 7], 1448, true),
            (&[150; 8], 1448, false),
        ] {
            let frame = frame(lens, Some(size));
            let divided = nic.divide(&frame);
            assert_eq!(divided, taken.then_some((1, lens.len())), "{size} out of {} of {}", lens.len(), lens[0]);
            assert_eq!(nic.copies(&frame), Some(frame.data.len().div_ceil(2048)));
        }
        // Short ones share a packet buffer, also with the headers.
        assert_eq!(nic.divide(&frame(&[100; 40], Some(1448))), Some((3, 0)));
        let mixed = [100, 100, 600, 100, 100, 600, 100, 100, 600, 100, 100, 600, 100];
        assert_eq!(nic.divide(&frame(&mixed, Some(1448))), Some((5, 4)));
    }

    #[test]
    fn crowds() {
        for (lens, size, most, crowd) in [
            (&[][..], 1448, 7, false),
            (&[150; 7], 1448, 7, false),
            (&[150; 8], 1448, 7, true),
            (&[1, 1448, 1], 1448, 2, false),
            (&[1, 1446, 1], 1448, 2, true),
            (&[9, 9], 2, 1, true),
            (&[9, 9], 1, 1, false),
            (&[9], 1, 0, true),
        ] {
            assert_eq!(has_crowd(lens, size, most), crowd, "{size} bytes of {lens:?} in more than {most}");
        }
    }
}
