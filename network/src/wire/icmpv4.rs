// SPDX-License-Identifier: MIT OR Apache-2.0
//! ICMP for IPv4 (RFC 792; RFC 1122 section 3.2.2; RFC 1191 section 4 for the next hop's MTU; RFC 1812 section 5.2.7.1).
//!
//! A header is eight bytes, whatever the message. What follows is echo data, or the packet that an error quotes.

use core::net::Ipv4Addr;

use super::Malformed;
use super::bytes::{front, get, get_u16, get_v4, set, space};
use super::checksum::Sum;

/// Bytes of a header.
pub const HEADER: usize = 8;

/// Bytes of payload that an error quotes at least, behind the header of the packet (RFC 792).
pub const QUOTED_MIN: usize = 8;

const ECHO_REPLY: u8 = 0;
const UNREACHABLE: u8 = 3;
const REDIRECT: u8 = 5;
const ECHO_REQUEST: u8 = 8;
const TIME_EXCEEDED: u8 = 11;
const PARAMETER_PROBLEM: u8 = 12;

/// Why a packet could not be delivered: the code of an unreachable message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Unreachable(pub u8);

impl Unreachable {
    /// No way to the network.
    pub const NETWORK: Self = Self(0);
    /// No way to the host.
    pub const HOST: Self = Self(1);
    /// The host does not serve the protocol.
    pub const PROTOCOL: Self = Self(2);
    /// Nobody listens at the port.
    pub const PORT: Self = Self(3);
    /// Too long for a link, and not to be fragmented.
    pub const FRAGMENTATION_NEEDED: Self = Self(4);
    /// The source route led nowhere.
    pub const SOURCE_ROUTE: Self = Self(5);
    /// There is no such network.
    pub const NETWORK_UNKNOWN: Self = Self(6);
    /// There is no such host.
    pub const HOST_UNKNOWN: Self = Self(7);
    /// The sender is isolated.
    pub const ISOLATED: Self = Self(8);
    /// The network is forbidden.
    pub const NETWORK_PROHIBITED: Self = Self(9);
    /// The host is forbidden.
    pub const HOST_PROHIBITED: Self = Self(10);
    /// No way to the network for this type of service.
    pub const NETWORK_SERVICE: Self = Self(11);
    /// No way to the host for this type of service.
    pub const HOST_SERVICE: Self = Self(12);
    /// A filter forbids it.
    pub const PROHIBITED: Self = Self(13);
    /// The precedence is not allowed.
    pub const PRECEDENCE_VIOLATION: Self = Self(14);
    /// The precedence is too low.
    pub const PRECEDENCE_CUTOFF: Self = Self(15);
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

    /// Whether it is an error message, which must never be answered by another (RFC 1122 section 3.2.2).
    #[inline]
    pub const fn is_error(&self) -> bool {
        // 4 is source quench, which nobody sends any more (RFC 6633).
        matches!(self.kind(), UNREACHABLE | 4 | REDIRECT | TIME_EXCEEDED | PARAMETER_PROBLEM)
    }

    /// Whether the checksum is right, if all bytes are here.
    #[inline]
    pub fn checksum_is_right(&self) -> bool {
        let mut sum = Sum::new();
        sum.add_words(self.header);
        sum.add(self.payload);
        sum.is_right()
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
        /// The next link's MTU if it was too long; zero from routers that do not know RFC 1191, and with other codes.
        mtu: u16,
    },
    /// The quoted packet was too long on its way: code 0, over too many routers; 1, its fragments did not all come in time.
    TimeExceeded {
        /// Which.
        code: u8,
    },
    /// The quoted packet's header is wrong.
    ParameterProblem {
        /// 0: the pointer tells where; 1: an option is missing; 2: a length is wrong.
        code: u8,
        /// The wrong byte's place in the packet.
        pointer: u8,
    },
    /// Another router is the better one for the quoted packet.
    Redirect {
        /// 0 network, 1 host, 2 and 3 the same for a type of service.
        code: u8,
        /// That router.
        gateway: Ipv4Addr,
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
            (UNREACHABLE, code) => {
                let code = Unreachable(code);
                let mtu = if code == Unreachable::FRAGMENTATION_NEEDED { get_u16::<6, _>(header) } else { 0 };
                Self::Unreachable { code, mtu }
            }
            (TIME_EXCEEDED, code) => Self::TimeExceeded { code },
            (PARAMETER_PROBLEM, code) => Self::ParameterProblem { code, pointer: header[4] },
            (REDIRECT, code) => Self::Redirect { code, gateway: get_v4::<4, _>(header) },
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
            Self::Unreachable { code, mtu } => (UNREACHABLE, code.0, u32::from(mtu)),
            Self::TimeExceeded { code } => (TIME_EXCEEDED, code, 0),
            Self::ParameterProblem { code, pointer } => (PARAMETER_PROBLEM, code, u32::from(pointer) << 24),
            Self::Redirect { code, gateway } => (REDIRECT, code, gateway.to_bits()),
            Self::Other { kind, code, rest } => (kind, code, u32::from_be_bytes(rest)),
        };
        set::<0, 4, _>(out, [kind, code, 0, 0]);
        set::<4, 4, _>(out, rest.to_be_bytes());
    }
}

/// Fills in the checksum of a header whose field is zero; `payload` is the sum of what follows.
#[inline]
pub fn complete(out: &mut [u8], mut payload: Sum) {
    let Some(out) = space::<HEADER>(out) else { return };
    payload.add_in_front(out);
    set::<2, 2, _>(out, payload.finish().to_be_bytes());
}
