// SPDX-License-Identifier: MIT OR Apache-2.0
//! TCP options: MSS (RFC 9293 section 3.2, RFC 6691), window scale and timestamps (RFC 7323), selective acknowledgment (RFC
//! 2018, RFC 2883), Fast Open (RFC 7413). Others are skipped.
//!
//! What is written keeps every option on a boundary of four bytes (RFC 7323 appendix A), which is what receivers look for
//! first.

use arrayvec::ArrayVec;

use crate::wire::Malformed;
use crate::wire::bytes::Writer;

/// How many selective acknowledgments fit the longest header (RFC 2018 section 3).
pub const SACK_BLOCKS_MAX: usize = 4;
/// The largest window scale (RFC 7323 section 2.3).
pub const WINDOW_SCALE_MAX: u8 = 14;
/// Bytes of the longest options.
pub const OPTIONS_MAX: usize = 40;

const END: u8 = 0;
const NOP: u8 = 1;
const MSS: u8 = 2;
const WINDOW_SCALE: u8 = 3;
const SACK_PERMITTED: u8 = 4;
const SACK: u8 = 5;
const TIMESTAMPS: u8 = 8;
const FAST_OPEN: u8 = 34;
/// Bytes of the longest cookie of Fast Open, and of the shortest (RFC 7413 section 4.1.1).
const COOKIE_MAX: usize = 16;
const COOKIE_MIN: usize = 4;

/// What the receiver has beyond what it acknowledges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SackBlock {
    /// The first sequence number of the block.
    pub start: u32,
    /// The one behind its last.
    pub end: u32,
}

/// The sender's clock, and the last that it saw of the receiver's (RFC 7323 section 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timestamps {
    /// TSval.
    pub value: u32,
    /// TSecr.
    pub echo: u32,
}

/// What a host gives to those that call it, so that they can show it again with their next SYN (RFC 7413 section 4.1.1). An empty
/// one asks for one.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Cookie {
    len: u8,
    bytes: [u8; COOKIE_MAX],
}

impl Cookie {
    /// The cookie of an option with so much in it. `None`: no cookie is so long, and the option does not count.
    #[must_use]
    pub fn new(data: &[u8]) -> Option<Self> {
        let is_right =
            data.is_empty() || (COOKIE_MIN..=COOKIE_MAX).contains(&data.len()) && data.len().is_multiple_of(2);
        let mut bytes = [0; COOKIE_MAX];
        bytes.get_mut(..data.len()).filter(|_| is_right)?.copy_from_slice(data);
        Some(Self { len: data.len() as u8, bytes })
    }

    /// What it is made of.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len.into()).unwrap_or_default()
    }

    /// Whether it asks for one.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl From<[u8; 8]> for Cookie {
    fn from(data: [u8; 8]) -> Self {
        let mut bytes = [0; COOKIE_MAX];
        for (to, from) in bytes.iter_mut().zip(data) {
            *to = from;
        }
        Self { len: 8, bytes }
    }
}

impl core::fmt::Debug for Cookie {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Cookie({:02x?})", self.bytes())
    }
}

/// The options of one segment; of one that comes twice, the last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The largest segment that the sender takes.
    pub mss: Option<u16>,
    /// The sender's window scale, at most [`WINDOW_SCALE_MAX`]: a larger one is read as that (RFC 7323 section 2.3).
    pub window_scale: Option<u8>,
    /// Whether the sender reads selective acknowledgments.
    pub sack_permitted: bool,
    /// The clocks.
    pub timestamps: Option<Timestamps>,
    /// A cookie of Fast Open, or that one is asked for. On segments with SYN only.
    pub fast_open: Option<Cookie>,
    /// Selective acknowledgments. What does not fit behind the other options is not written.
    pub sack: ArrayVec<SackBlock, SACK_BLOCKS_MAX>,
}

impl Options {
    /// Reads them. An option that is known but has not its length is skipped like an unknown one.
    ///
    /// # Errors
    /// One is cut off or shorter than itself (RFC 9293 section 3.1, MUST-7).
    #[inline]
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        // What segments between two hosts that know RFC 7323 mostly have.
        if let Some((&[NOP, NOP, TIMESTAMPS, 10], data)) = bytes.split_first_chunk()
            && let Ok((value, echo)) = data.try_into().map(two)
        {
            return Ok(Self { timestamps: Some(Timestamps { value, echo }), ..Self::default() });
        }
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        Self::walk(bytes)
    }

    fn walk(mut bytes: &[u8]) -> Result<Self, Malformed> {
        let mut options = Self::default();
        while let Some((&kind, rest)) = bytes.split_first() {
            bytes = match kind {
                END => break,
                NOP => rest,
                _ => {
                    let &len = rest.first().ok_or(Malformed::Options)?;
                    let data_len = usize::from(len).checked_sub(2).ok_or(Malformed::Options)?;
                    let data = rest.get(1..=data_len).ok_or(Malformed::Options)?;
                    options.take(kind, data);
                    rest.get(1 + data_len..).unwrap_or_default()
                }
            };
        }
        Ok(options)
    }

    fn take(&mut self, kind: u8, data: &[u8]) {
        match (kind, data) {
            (MSS, &[a, b]) => self.mss = Some(u16::from_be_bytes([a, b])),
            (WINDOW_SCALE, &[shift]) => self.window_scale = Some(shift.min(WINDOW_SCALE_MAX)),
            (SACK_PERMITTED, []) => self.sack_permitted = true,
            (TIMESTAMPS, data) => {
                if let Ok((value, echo)) = data.try_into().map(two) {
                    self.timestamps = Some(Timestamps { value, echo });
                }
            }
            (FAST_OPEN, data) => self.fast_open = Cookie::new(data),
            (SACK, data) => {
                let (blocks, rest) = data.as_chunks::<8>();
                if rest.is_empty() {
                    let blocks = blocks.iter().take(SACK_BLOCKS_MAX).map(|block| two(*block));
                    self.sack = blocks.map(|(start, end)| SackBlock { start, end }).collect();
                }
            }
            _ => {}
        }
    }

    /// Bytes of the options without the selective acknowledgments.
    #[inline]
    fn fixed_len(&self) -> usize {
        let clocks = match (self.timestamps, self.sack_permitted) {
            (Some(_), _) => 12,
            (None, true) => 4,
            (None, false) => 0,
        };
        let words = usize::from(self.mss.is_some()) + usize::from(self.window_scale.is_some());
        let cookie = self.fast_open.map_or(0, |cookie| (2 + cookie.bytes().len()).next_multiple_of(4));
        words * 4 + clocks + cookie
    }

    /// How many selective acknowledgments are written.
    #[inline]
    pub(in crate::wire) fn sack_blocks(&self) -> usize {
        self.sack.len().min((OPTIONS_MAX - 4).saturating_sub(self.fixed_len()) / 8)
    }

    /// Bytes that [`emit`](Self::emit) writes, a multiple of four.
    #[inline]
    pub fn len(&self) -> usize {
        match self.sack_blocks() {
            0 => self.fixed_len(),
            blocks => self.fixed_len() + 4 + blocks * 8,
        }
    }

    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes them to the front of `out`.
    #[inline]
    pub fn emit(&self, out: &mut [u8]) {
        let mut out = Writer::new(out);
        if let Some(mss) = self.mss {
            let [a, b] = mss.to_be_bytes();
            out.put(&[MSS, 4, a, b]);
        }
        let padding = if self.sack_permitted { [SACK_PERMITTED, 2] } else { [NOP, NOP] };
        if let Some(Timestamps { value, echo }) = self.timestamps {
            out.put(&padding);
            out.put(&[TIMESTAMPS, 10]);
            out.u32(value);
            out.u32(echo);
        } else if self.sack_permitted {
            out.put(&[NOP, NOP, SACK_PERMITTED, 2]);
        }
        if let Some(shift) = self.window_scale {
            out.put(&[NOP, WINDOW_SCALE, 3, shift]);
        }
        if let Some(cookie) = &self.fast_open {
            let bytes = cookie.bytes();
            if (2 + bytes.len()) % 4 != 0 {
                out.put(&[NOP, NOP]);
            }
            out.put(&[FAST_OPEN, 2 + bytes.len() as u8]);
            out.put(bytes);
        }
        let blocks = self.sack_blocks();
        if blocks > 0 {
            out.put(&[NOP, NOP, SACK, 2 + blocks as u8 * 8]);
            for block in self.sack.iter().take(blocks) {
                out.u32(block.start);
                out.u32(block.end);
            }
        }
    }
}

/// Two words behind each other.
#[inline]
fn two(data: [u8; 8]) -> (u32, u32) {
    let words = u64::from_be_bytes(data);
    ((words >> 32) as u32, words as u32)
}
