// SPDX-License-Identifier: MIT OR Apache-2.0
//! TCP headers (RFC 9293 section 3.1). Their options are in [`options`].

use core::fmt;
use core::ops::{BitOr, BitOrAssign};

use super::Malformed;
use super::bytes::{front, get_u16, get_u32, set, space};
use super::checksum::Sum;

pub mod options;

pub use options::{Cookie, Options, SackBlock, Timestamps};

/// Bytes of a header without options.
pub const HEADER: usize = 20;
/// Bytes of the longest header.
pub const HEADER_MAX: usize = 60;
/// Where in the header the checksum stands.
pub const CHECKSUM: usize = 16;

/// The control bits (RFC 9293 section 3.1, RFC 3168 section 6.1).
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Flags(pub u8);

impl Flags {
    /// The sender has no more to send.
    pub const FIN: Self = Self(0x01);
    /// The sequence numbers begin.
    pub const SYN: Self = Self(0x02);
    /// The connection is no more.
    pub const RST: Self = Self(0x04);
    /// The receiver should not wait for more.
    pub const PSH: Self = Self(0x08);
    /// The acknowledgment number counts.
    pub const ACK: Self = Self(0x10);
    /// The urgent pointer counts.
    pub const URG: Self = Self(0x20);
    /// Congestion was experienced: echo of what IP said.
    pub const ECE: Self = Self(0x40);
    /// The congestion window was reduced.
    pub const CWR: Self = Self(0x80);

    /// Whether all of the other's bits are set here.
    #[inline]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether one of the other's bits is set here.
    #[inline]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl BitOr for Flags {
    type Output = Self;

    #[inline]
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Flags {
    #[inline]
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"];
        let mut set = names.iter().enumerate().filter(|(bit, _)| self.0 >> bit & 1 != 0).map(|(_, name)| name);
        f.write_str(set.next().unwrap_or(&"none"))?;
        set.try_for_each(|name| write!(f, "|{name}"))
    }
}

/// A segment where it lies.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    header: &'a [u8; HEADER],
    options: &'a [u8],
    payload: &'a [u8],
}

impl<'a> View<'a> {
    /// A view of the first bytes of a segment, or of all: the header with its options must be there, and
    /// [`payload`](Self::payload) is what of it stands here.
    ///
    /// # Errors
    /// Shorter than the header says, or a header shorter than itself.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let (header, rest) = front::<HEADER>(bytes)?;
        let options_len = usize::from(header[12] >> 4) * 4;
        let options_len = options_len.checked_sub(HEADER).ok_or(Malformed::Length)?;
        let (options, payload) = rest.split_at_checked(options_len).ok_or(Malformed::Truncated)?;
        Ok(Self { header, options, payload })
    }

    /// The sender's port.
    #[inline]
    pub fn source(&self) -> u16 {
        get_u16::<0, _>(self.header)
    }

    /// The receiver's port.
    #[inline]
    pub fn destination(&self) -> u16 {
        get_u16::<2, _>(self.header)
    }

    /// The sequence number of the first byte, or of the SYN.
    #[inline]
    pub fn sequence(&self) -> u32 {
        get_u32::<4, _>(self.header)
    }

    /// The sequence number that the sender expects next; counts with [`Flags::ACK`].
    #[inline]
    pub fn acknowledgment(&self) -> u32 {
        get_u32::<8, _>(self.header)
    }

    /// The control bits.
    #[inline]
    pub const fn flags(&self) -> Flags {
        Flags(self.header[13])
    }

    /// The window, not scaled.
    #[inline]
    pub fn window(&self) -> u16 {
        get_u16::<14, _>(self.header)
    }

    /// Where the urgent data end; counts with [`Flags::URG`].
    #[inline]
    pub fn urgent(&self) -> u16 {
        get_u16::<18, _>(self.header)
    }

    /// Whether the checksum is right, if all bytes are here; `pseudo_header` is for all of them.
    #[inline]
    pub fn checksum_is_right(&self, mut pseudo_header: Sum) -> bool {
        pseudo_header.add_words(self.header);
        pseudo_header.add(self.options);
        pseudo_header.add(self.payload);
        pseudo_header.is_right()
    }

    /// The options' bytes.
    #[inline]
    pub const fn options(&self) -> &'a [u8] {
        self.options
    }

    /// Bytes of the header with its options.
    #[inline]
    pub const fn header_len(&self) -> usize {
        HEADER + self.options.len()
    }

    /// What stands behind the header.
    #[inline]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

/// A header as a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// The sender's port, not zero.
    pub source: u16,
    /// The receiver's port, not zero.
    pub destination: u16,
    /// The sequence number of the first byte, or of the SYN.
    pub sequence: u32,
    /// The sequence number that the sender expects next; counts with [`Flags::ACK`].
    pub acknowledgment: u32,
    /// The control bits.
    pub flags: Flags,
    /// The window, not scaled.
    pub window: u16,
    /// Where the urgent data end; counts with [`Flags::URG`].
    pub urgent: u16,
    /// The options.
    pub options: Options,
}

impl Header {
    /// Does not look at the checksum.
    ///
    /// # Errors
    /// A port is zero, or the options are cut off.
    #[inline]
    pub fn parse(view: &View<'_>) -> Result<Self, Malformed> {
        let (source, destination) = (view.source(), view.destination());
        if source == 0 || destination == 0 {
            return Err(Malformed::Field);
        }
        Ok(Self {
            source,
            destination,
            sequence: view.sequence(),
            acknowledgment: view.acknowledgment(),
            flags: view.flags(),
            window: view.window(),
            urgent: view.urgent(),
            options: Options::parse(view.options)?,
        })
    }

    /// Bytes that [`emit`](Self::emit) writes.
    #[inline]
    #[expect(clippy::len_without_is_empty, reason = "a header is never empty")]
    pub fn len(&self) -> usize {
        HEADER + self.options.len()
    }

    /// Writes it to the front of `out`, the checksum zero: see [`complete`].
    #[inline]
    pub fn emit(&self, out: &mut [u8]) {
        let len = self.len();
        if len > HEADER
            && let Some(options) = out.get_mut(HEADER..len)
        {
            self.options.emit(options);
        }
        let Some(out) = space::<HEADER>(out) else { return };
        set::<0, 2, _>(out, self.source.to_be_bytes());
        set::<2, 2, _>(out, self.destination.to_be_bytes());
        set::<4, 4, _>(out, self.sequence.to_be_bytes());
        set::<8, 4, _>(out, self.acknowledgment.to_be_bytes());
        set::<12, 2, _>(out, [(len / 4) as u8 * 16, self.flags.0]);
        set::<14, 2, _>(out, self.window.to_be_bytes());
        set::<16, 2, _>(out, [0, 0]);
        set::<18, 2, _>(out, self.urgent.to_be_bytes());
    }
}

/// Fills in the checksum of a header whose field is zero; `rest` is the sum of pseudo-header and payload.
#[inline]
pub fn complete(out: &mut [u8], mut rest: Sum) {
    let Ok(header_len) = View::new(out).map(|view| view.header_len()) else { return };
    rest.add_in_front(out.get(..header_len).unwrap_or_default());
    let Some(out) = space::<HEADER>(out) else { return };
    set::<CHECKSUM, 2, _>(out, rest.finish().to_be_bytes());
}

/// Puts the pseudo-header's sum where a device will fill in the checksum ([`runtime::device::Checksum::Partial`], its offset
/// [`CHECKSUM`]).
#[inline]
pub fn partial(out: &mut [u8], pseudo_header: Sum) {
    let Some(out) = space::<HEADER>(out) else { return };
    set::<CHECKSUM, 2, _>(out, pseudo_header.partial().to_be_bytes());
}
