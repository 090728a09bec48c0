// SPDX-License-Identifier: MIT OR Apache-2.0
//! The two messages of the handshake, as bytes and as checked values.
//!
//! All integers are little-endian. Each value has exactly one encoding: what `from_bytes` accepts, `to_bytes` gives
//! back bit by bit, so there is no field that a peer could fill with something unchecked.
//!
//! ```text
//! OpenRequest   magic "MGYO" u32@0 | version u16@4 | flags u16@6                                       8 bytes
//! Hello         magic "MGYH" u32@0 | version u16@4 | flags u16@6 | errno u32@8 | ring_order u8[2]@12
//!               slot_order u8[2]@14 | slots u16[2]@16 | zero u32@20 | total_len u64@24                 32 bytes
//! ```
//!
//! Index 0 of a pair is the direction from the creator to the opener, index 1 the way back. A `Hello` with an `errno`
//! is a refusal: all that follows is zero, and no descriptors come with it.

use runtime::{Errno, Error, Result};

const REQUEST_MAGIC: [u8; 4] = *b"MGYO";
const HELLO_MAGIC: [u8; 4] = *b"MGYH";
const VERSION: u16 = 1;
const FLAG_MEMBARRIER: u16 = 1;

/// No segment is larger than this, 256 GiB: twice the largest ring and arena, and all that goes around them.
const TOTAL_LEN_MAX: u64 = 1 << 38;

/// What an opener says first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenRequest {
    /// The opener is registered for `MEMBARRIER_CMD_GLOBAL_EXPEDITED`.
    pub membarrier: bool,
}

impl OpenRequest {
    /// The size of the message.
    pub const LEN: usize = 8;

    /// The message as it is sent.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        put_head(&mut bytes, REQUEST_MAGIC, self.membarrier);
        bytes
    }

    /// Reads a message that came from a peer.
    ///
    /// # Errors
    ///
    /// `EPROTO` for anything that [`to_bytes`](Self::to_bytes) would not have written.
    pub fn from_bytes(bytes: &[u8; Self::LEN]) -> Result<Self> {
        Ok(Self { membarrier: get_head(bytes, REQUEST_MAGIC)? })
    }
}

/// The sizes of one direction of a pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Direction {
    ring_order: u8,
    slot_order: u8,
    slots: u16,
}

impl Direction {
    /// The smallest and largest order (base-2 logarithm of the bytes) of a ring and of a slot: 4 KiB and 64 MiB.
    pub const ORDERS: core::ops::RangeInclusive<u8> = 12..=26;
    /// The most slots that an arena has.
    pub const SLOTS_MAX: u16 = 1024;

    /// A direction with a ring of 2^`ring_order` bytes and `slots` slots of 2^`slot_order` bytes.
    ///
    /// # Errors
    ///
    /// `EINVAL` if an order or the number of slots is out of range.
    pub fn new(ring_order: u8, slot_order: u8, slots: u16) -> Result<Self> {
        if !Self::ORDERS.contains(&ring_order) {
            return Err(Error::new(Errno::INVAL, "a ring has 4 KiB to 64 MiB"));
        }
        if !Self::ORDERS.contains(&slot_order) {
            return Err(Error::new(Errno::INVAL, "a slot has 4 KiB to 64 MiB"));
        }
        if slots > Self::SLOTS_MAX {
            return Err(Error::new(Errno::INVAL, "an arena has at most 1024 slots"));
        }
        Ok(Self { ring_order, slot_order, slots })
    }

    /// The base-2 logarithm of the ring's size.
    #[must_use]
    pub const fn ring_order(self) -> u8 {
        self.ring_order
    }

    /// The base-2 logarithm of a slot's size.
    #[must_use]
    pub const fn slot_order(self) -> u8 {
        self.slot_order
    }

    /// The size of the ring in bytes.
    #[must_use]
    pub const fn ring_size(self) -> usize {
        1 << self.ring_order
    }

    /// The size of one slot in bytes.
    #[must_use]
    pub const fn slot_size(self) -> usize {
        1 << self.slot_order
    }

    /// How many slots the arena has; 0 for a pipe that always copies.
    #[must_use]
    pub const fn slots(self) -> u16 {
        self.slots
    }

    /// The bytes of ring and slots, without what goes around them.
    fn payload(self) -> u64 {
        (1 << self.ring_order) + (u64::from(self.slots) << self.slot_order)
    }
}

/// What the creator answers: how the memory that comes with this message is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    directions: [Direction; 2],
    total_len: u64,
    membarrier: bool,
}

impl Hello {
    /// The size of the message.
    pub const LEN: usize = 32;

    /// A segment of `total_len` bytes that holds both directions, the creator's first; `membarrier` says that the
    /// creator is registered for `MEMBARRIER_CMD_GLOBAL_EXPEDITED`.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the rings and slots cannot fit in `total_len`, or it is beyond 256 GiB. How much room the layout
    /// needs around them is for the layout to check.
    pub fn new(directions: [Direction; 2], total_len: u64, membarrier: bool) -> Result<Self> {
        if total_len < directions[0].payload() + directions[1].payload() {
            return Err(Error::new(Errno::INVAL, "the segment is too short for its rings and slots"));
        }
        if total_len > TOTAL_LEN_MAX {
            return Err(Error::new(Errno::INVAL, "a segment has at most 256 GiB"));
        }
        Ok(Self { directions, total_len, membarrier })
    }

    /// The sizes from the creator to the opener, and those of the way back.
    #[must_use]
    pub const fn directions(&self) -> [Direction; 2] {
        self.directions
    }

    /// The length of the whole segment.
    #[must_use]
    pub const fn total_len(&self) -> u64 {
        self.total_len
    }

    /// Whether the creator is registered for `MEMBARRIER_CMD_GLOBAL_EXPEDITED`.
    #[must_use]
    pub const fn membarrier(&self) -> bool {
        self.membarrier
    }
}

/// The reasons that a creator may give. A peer must not be able to say `EAGAIN` or `EINTR` and be asked again for ever.
pub(super) const REFUSALS: [Errno; 7] =
    [Errno::ACCESS, Errno::BUSY, Errno::CONNREFUSED, Errno::MFILE, Errno::NOBUFS, Errno::NOMEM, Errno::PROTO];

/// All that can stand in the creator's message: the layout or the reason why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Hello(Hello),
    Refused(Errno),
}

impl Reply {
    pub(super) fn to_bytes(self) -> [u8; Hello::LEN] {
        let mut bytes = [0; Hello::LEN];
        match self {
            Self::Hello(Hello { directions: [there, back], total_len, membarrier }) => {
                put_head(&mut bytes, HELLO_MAGIC, membarrier);
                bytes[12..14].copy_from_slice(&[there.ring_order, back.ring_order]);
                bytes[14..16].copy_from_slice(&[there.slot_order, back.slot_order]);
                bytes[16..18].copy_from_slice(&there.slots.to_le_bytes());
                bytes[18..20].copy_from_slice(&back.slots.to_le_bytes());
                bytes[24..32].copy_from_slice(&total_len.to_le_bytes());
            }
            Self::Refused(errno) => {
                put_head(&mut bytes, HELLO_MAGIC, false);
                bytes[8..12].copy_from_slice(&errno.raw().to_le_bytes());
            }
        }
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8; Hello::LEN]) -> Result<Self> {
        let membarrier = get_head(bytes, HELLO_MAGIC)?;
        let b = bytes;
        let errno = i32::from_le_bytes([b[8], b[9], b[10], b[11]]);
        if errno != 0 {
            let errno = Errno::from_raw(errno);
            if !REFUSALS.contains(&errno) || membarrier || bytes[12..].iter().any(|&byte| byte != 0) {
                return Err(Error::new(Errno::PROTO, "the peer's refusal is malformed"));
            }
            return Ok(Self::Refused(errno));
        }
        if bytes[20..24] != [0; 4] {
            return Err(Error::new(Errno::PROTO, "the peer's hello has unknown fields"));
        }
        let out_of_range = |_| Error::new(Errno::PROTO, "the peer's hello has sizes out of range");
        let there = Direction::new(b[12], b[14], u16::from_le_bytes([b[16], b[17]])).map_err(out_of_range)?;
        let back = Direction::new(b[13], b[15], u16::from_le_bytes([b[18], b[19]])).map_err(out_of_range)?;
        let total_len = u64::from_le_bytes([b[24], b[25], b[26], b[27], b[28], b[29], b[30], b[31]]);
        Ok(Self::Hello(Hello::new([there, back], total_len, membarrier).map_err(out_of_range)?))
    }
}

/// Writes what both messages begin with; the slice has at least 8 bytes.
fn put_head(bytes: &mut [u8], magic: [u8; 4], membarrier: bool) {
    bytes[..4].copy_from_slice(&magic);
    bytes[4..6].copy_from_slice(&VERSION.to_le_bytes());
    bytes[6..8].copy_from_slice(&(if membarrier { FLAG_MEMBARRIER } else { 0 }).to_le_bytes());
}

/// Checks what both messages begin with, and gives their one flag; the slice has at least 8 bytes.
fn get_head(bytes: &[u8], magic: [u8; 4]) -> Result<bool> {
    if bytes[..4] != magic {
        return Err(Error::new(Errno::PROTO, "the peer does not speak the pipe protocol"));
    }
    if bytes[4..6] != VERSION.to_le_bytes() {
        return Err(Error::new(Errno::PROTO, "the peer runs another version of Margay: upgrade the older one"));
    }
    match u16::from_le_bytes([bytes[6], bytes[7]]) {
        0 => Ok(false),
        FLAG_MEMBARRIER => Ok(true),
        _ => Err(Error::new(Errno::PROTO, "the peer's message has unknown flags")),
    }
}
