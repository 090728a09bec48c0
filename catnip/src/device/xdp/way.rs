// SPDX-License-Identifier: MIT OR Apache-2.0
//! How a socket is bound to its queue, and of how many pieces a frame may be sent that way.
//!
//! Without zero copy the kernel makes a frame of its own out of up to [`XDP_PIECES_MAX`] pieces. With it the NIC reads the pieces, and takes fewer:
//! its bound (`xdp_zc_max_segs`) is not told by any option of a socket. A frame of more pieces is dropped without a word, and its memory never comes
//! back by the completion ring. So what is sent there stays below what every NIC takes.

use runtime::limits::XDP_PIECES_MAX;

/// Pieces of a frame that a NIC reads from where they are: whoever binds for several is refused where it takes one only.
const READ_PIECES_MAX: usize = 2;
/// Blocks of a copied frame that it reads: "usually at least five" (`af_xdp.rst`, "Multi-Buffer Support").
const READ_BLOCKS_MAX: usize = 5;

/// How a socket is bound to its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// The device reads and writes our memory itself.
    pub zero_copy: bool,
    /// A frame may be of several pieces.
    pub pieces: bool,
}

impl Way {
    /// The ways to bind a socket, the best first.
    pub const fn all(zero_copy: bool) -> &'static [Self] {
        const ALL: [Way; 4] = [
            Way { zero_copy: true, pieces: true },
            Way { zero_copy: true, pieces: false },
            Way { zero_copy: false, pieces: true },
            Way { zero_copy: false, pieces: false },
        ];
        if zero_copy { &ALL } else { ALL.split_at(2).1 }
    }

    /// Of how many pieces a frame may be that is sent from where it is.
    const fn pieces_max(self) -> usize {
        match self {
            Self { pieces: false, .. } => 1,
            Self { zero_copy: true, .. } => READ_PIECES_MAX,
            Self { zero_copy: false, .. } => XDP_PIECES_MAX,
        }
    }

    /// Of how many blocks a frame may be that is copied, and so the longest.
    pub const fn blocks_max(self) -> usize {
        match self {
            Self { pieces: false, .. } => 1,
            Self { zero_copy: true, .. } => READ_BLOCKS_MAX,
            Self { zero_copy: false, .. } => XDP_PIECES_MAX,
        }
    }

    /// Whether a frame of so many pieces can be sent from where it is.
    #[inline]
    pub const fn takes(self, pieces: usize) -> bool {
        pieces <= self.pieces_max()
    }

    /// Whether it should be: nobody copies it, or a copy of its `len` bytes into blocks of `block` would be of as many pieces.
    #[inline]
    pub const fn is_whole(self, pieces: usize, len: usize, block: usize) -> bool {
        self.takes(pieces) && (self.zero_copy || pieces.saturating_sub(1) * block < len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_frame_is_sent() {
        // Zero copy, several pieces; the frame's pieces and length; whether it can be sent from where it is, and whether it should be.
        for (zero_copy, several, pieces, len, can, should) in [
            (true, true, 1, 60, true, true),
            (true, true, 2, 1514, true, true),
            // Some NICs would take them, others drop them.
            (true, true, 3, 1514, false, false),
            (true, true, 3, 9014, false, false),
            (true, true, 16, 9014, false, false),
            (true, false, 1, 1514, true, true),
            (true, false, 2, 1514, false, false),
            (false, true, 1, 1514, true, true),
            // The kernel copies all of it, each piece to a page.
            (false, true, 2, 1514, true, false),
            (false, true, 2, 1793, true, true),
            (false, true, 16, 1514, true, false),
            (false, true, 16, 16 * 1792, true, true),
            (false, true, 17, 17 * 1792, false, false),
            (false, false, 1, 1514, true, true),
            (false, false, 2, 1793, false, false),
        ] {
            let way = Way { zero_copy, pieces: several };
            assert_eq!(
                (way.takes(pieces), way.is_whole(pieces, len, 1792)),
                (can, should),
                "{way:?}, {len} bytes in {pieces}"
            );
        }
    }

    #[test]
    fn how_long_a_frame_may_be() {
        let blocks = |zero_copy, pieces| Way { zero_copy, pieces }.blocks_max();
        assert_eq!((blocks(true, true), blocks(true, false)), (5, 1));
        assert_eq!((blocks(false, true), blocks(false, false)), (XDP_PIECES_MAX, 1));
    }

    #[test]
    fn without_zero_copy_none_of_its_ways_is_tried() {
        assert!(Way::all(true).len() == 4 && Way::all(true)[0] == Way { zero_copy: true, pieces: true });
        assert!(Way::all(false).len() == 2 && Way::all(false).iter().all(|way| !way.zero_copy));
    }
}
