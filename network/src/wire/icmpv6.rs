// SPDX-License-Identifier: MIT OR Apache-2.0
//! ICMP for IPv6 (RFC 4443).
//!
//! A header is eight bytes, whatever the message. What follows is echo data, or the packet that an error quotes. Neighbour
//! discovery and multicast listeners have modules of their own over the same bytes: [`ndp`](super::ndp), [`mld`](super::mld).

use super::Malformed;
use super::bytes::{front, get, get_u16, get_u32, set, space};
use super::checksum::Sum;

/// Bytes of a header.
pub const HEADER: usize = 8;

const UNREACHABLE: u8 = 1;
const PACKET_TOO_BIG: u8 = 2;
const TIME_EXCEEDED: u8 = 3;
const PARAMETER_PROBLEM: u8 = 4;
const ECHO_REQUEST: u8 = 128;
const ECHO_REPLY: u8 = 129;

/// Why a packet could not be delivered: the code of an unreachable message (RFC 4443 section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Unreachable(pub u8);

impl Unreachable {
    /// No route.
    pub const NO_ROUTE: Self = Self(0);
    /// A filter forbids it.
    pub const PROHIBITED: Self = Self(1);
    /// The source's scope ends before.
    pub const BEYOND_SCOPE: Self = Self(2);
    /// The address does not answer.
    pub const ADDRESS: Self = Self(3);
    /// Nobody listens at the port.
    pub const PORT: Self = Self(4);
    /// A policy forbids the source.
    pub const SOURCE_POLICY: Self = Self(5);
    /// The route says to refuse it.
    pub const REJECT_ROUTE: Self = Self(6);
}

/// A message where it lies.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    header: &'a [u8; HEADER],
    payload: &'a [u8],
}

impl<'a> View<'a> {
    /// # Errors
    /// Shorter than a header.
    #[inline]
    pub const fn new(bytes: &'a [u8]) -> Result<Self, Malformed> {
        match front(bytes) {
            Ok((header, payload)) => Ok(Self { header, payload }),
            Err(malformed) => Err(malformed),
        }
    }

    /// The message's type.
    #[inline]
    pub const fn kind(&self) -> u8 {
        self.header[0]
    }

    /// What it says beside its type.
    #[inline]
    pub const fn code(&self) -> u8 {
        self.header[1]
    }

    /// Whether it is an error message, which must never be answered by another (RFC 4443 section 2.4 e).
    #[inline]
    pub const fn is_error(&self) -> bool {
        self.kind() < 128
    }

    /// Whether [`ndp`](super::ndp) reads it.
    #[inline]
    pub const fn is_ndp(&self) -> bool {
        matches!(self.kind(), 133..=137)
    }

    /// Whether [`mld`](super::mld) reads it.
    #[inline]
    pub const fn is_mld(&self) -> bool {
        matches!(self.kind(), 130..=132 | 143)
    }

    /// Whether the checksum is right, if all bytes are here; `pseudo_header` is for all of them.
    #[inline]
    pub fn checksum_is_right(&self, mut pseudo_header: Sum) -> bool {
        pseudo_header.add_words(self.header);
        pseudo_header.add(self.payload);
        pseudo_header.is_right()
    }

    /// Bytes of the header.
    #[inline]
    pub const fn header_len(&self) -> usize {
        HEADER
    }

    /// Echo data, or the front of the packet that an error is about.
    #[inline]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

/// A header as a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// Send this back.
    EchoRequest {
        /// Whose request it is.
        identifier: u16,
        /// Which of them.
        sequence: u16,
    },
    /// Here it is.
    EchoReply {
        /// That of the request.
        identifier: u16,
        /// That of the request.
        sequence: u16,
    },
    /// The quoted packet was not delivered.
    Unreachable {
        /// Why.
        code: Unreachable,
    },
    /// The quoted packet is longer than the next link's MTU.
    PacketTooBig {
        /// That MTU.
        mtu: u32,
    },
    /// The quoted packet was too long on its way: code 0, over too many routers; 1, its fragments did not all come in time.
    TimeExceeded {
        /// Which.
        code: u8,
    },
    /// The quoted packet has something wrong or unknown in it.
    ParameterProblem {
        /// 0: a wrong field; 1: an unknown next header; 2: an unknown option; 3: a first fragment without all headers (RFC 7112).
        code: u8,
        /// The place in the packet, in bytes.
        pointer: u32,
    },
    /// Any other message.
    Other {
        /// Its type.
        kind: u8,
        /// Its code.
        code: u8,
        /// What stands in the header behind the checksum.
        rest: [u8; 4],
    },
}

impl Header {
    /// Does not look at the checksum.
    ///
    /// # Errors
    /// An echo whose code is not zero.
    #[inline]
    pub fn parse(view: &View<'_>) -> Result<Self, Malformed> {
        let header = view.header;
        let (identifier, sequence) = (get_u16::<4, _>(header), get_u16::<6, _>(header));
        Ok(match (view.kind(), view.code()) {
            (ECHO_REQUEST, 0) => Self::EchoRequest { identifier, sequence },
            (ECHO_REPLY, 0) => Self::EchoReply { identifier, sequence },
            (ECHO_REQUEST | ECHO_REPLY, _) => return Err(Malformed::Field),
            (UNREACHABLE, code) => Self::Unreachable { code: Unreachable(code) },
            // Its code means nothing (RFC 4443 section 3.2).
            (PACKET_TOO_BIG, _) => Self::PacketTooBig { mtu: get_u32::<4, _>(header) },
            (TIME_EXCEEDED, code) => Self::TimeExceeded { code },
            (PARAMETER_PROBLEM, code) => Self::ParameterProblem { code, pointer: get_u32::<4, _>(header) },
            (kind, code) => Self::Other { kind, code, rest: get::<4, 4, _>(header) },
        })
    }

    /// Bytes that [`emit`](Self::emit) writes.
    #[inline]
    #[expect(clippy::len_without_is_empty, reason = "a header is never empty")]
    pub const fn len(&self) -> usize {
        HEADER
    }

    /// Writes it to the front of `out`, the checksum zero: see [`complete`].
    #[inline]
    pub fn emit(&self, out: &mut [u8]) {
        let Some(out) = space::<HEADER>(out) else { return };
        let echo = |identifier: u16, sequence: u16| u32::from(identifier) << 16 | u32::from(sequence);
        let (kind, code, rest) = match *self {
            Self::EchoRequest { identifier, sequence } => (ECHO_REQUEST, 0, echo(identifier, sequence)),
            Self::EchoReply { identifier, sequence } => (ECHO_REPLY, 0, echo(identifier, sequence)),
            Self::Unreachable { code } => (UNREACHABLE, code.0, 0),
            Self::PacketTooBig { mtu } => (PACKET_TOO_BIG, 0, mtu),
            Self::TimeExceeded { code } => (TIME_EXCEEDED, code, 0),
            Self::ParameterProblem { code, pointer } => (PARAMETER_PROBLEM, code, pointer),
            Self::Other { kind, code, rest } => (kind, code, u32::from_be_bytes(rest)),
        };
        set::<0, 4, _>(out, [kind, code, 0, 0]);
        set::<4, 4, _>(out, rest.to_be_bytes());
    }
}

/// Fills in the checksum of a header whose field is zero; `rest` is the sum of pseudo-header and payload.
#[inline]
pub fn complete(out: &mut [u8], mut rest: Sum) {
    let Some(out) = space::<HEADER>(out) else { return };
    rest.add_in_front(out);
    set::<2, 2, _>(out, rest.finish().to_be_bytes());
}

/// Fills in the checksum of a message that is whole in `message`, its field zero, as those of [`ndp`](super::ndp) and
/// [`mld`](super::mld) are.
pub fn complete_whole(message: &mut [u8], mut pseudo_header: Sum) {
    pseudo_header.add(message);
    let Some(header) = space::<HEADER>(message) else { return };
    set::<2, 2, _>(header, pseudo_header.finish().to_be_bytes());
}
