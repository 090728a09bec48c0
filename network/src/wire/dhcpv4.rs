// SPDX-License-Identifier: MIT OR Apache-2.0
//! DHCP for IPv4 (RFC 2131 section 2) over Ethernet. The options are in [`options`].

use core::net::Ipv4Addr;

use super::bytes::{Writer, front, get, get_mac, get_u16, get_u32, get_v4};
use super::{MacAddress, Malformed};

pub mod options;

pub use options::{Identifier, Options, Parameters, Route, Servers};

/// Bytes in front of the options: the fields of BOOTP and the magic number.
pub const HEADER: usize = 240;
/// The shortest message that relays pass on (RFC 1542 section 2.1): shorter ones are padded.
pub const MESSAGE_MIN: usize = 300;
/// The port of clients.
pub const CLIENT_PORT: u16 = 68;
/// The port of servers.
pub const SERVER_PORT: u16 = 67;

const MAGIC: [u8; 4] = [99, 130, 83, 99];
const BROADCAST: u16 = 0x8000;
const ETHERNET: [u8; 2] = [1, 6];

/// What a message is (RFC 2132 section 9.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// A client looks for servers.
    Discover = 1,
    /// A server offers an address.
    Offer = 2,
    /// A client takes an offer, or wants its lease to go on.
    Request = 3,
    /// A client has found the address in use.
    Decline = 4,
    /// The lease is granted.
    Ack = 5,
    /// It is not.
    Nak = 6,
    /// A client needs its lease no more.
    Release = 7,
    /// A client that has an address asks for the rest.
    Inform = 8,
}

impl Kind {
    const fn of(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Discover,
            2 => Self::Offer,
            3 => Self::Request,
            4 => Self::Decline,
            5 => Self::Ack,
            6 => Self::Nak,
            7 => Self::Release,
            8 => Self::Inform,
            _ => return None,
        })
    }

    /// Whether servers send it.
    pub const fn is_reply(self) -> bool {
        matches!(self, Self::Offer | Self::Ack | Self::Nak)
    }
}

/// A message where it lies: the payload of a UDP datagram.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    header: &'a [u8; HEADER],
    payload: &'a [u8],
}

impl<'a> View<'a> {
    /// # Errors
    /// Too short, no magic number (plain BOOTP), not over Ethernet.
    pub fn new(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let (header, payload) = front::<HEADER>(bytes)?;
        if get::<236, 4, _>(header) != MAGIC {
            return Err(Malformed::Version);
        }
        if get::<1, 2, _>(header) != ETHERNET {
            return Err(Malformed::Field);
        }
        Ok(Self { header, payload })
    }

    /// 1 from clients, 2 from servers.
    pub const fn operation(&self) -> u8 {
        self.header[0]
    }

    /// The transaction's number.
    pub fn transaction(&self) -> u32 {
        get_u32::<4, _>(self.header)
    }

    /// Bytes in front of the options.
    pub const fn header_len(&self) -> usize {
        HEADER
    }

    /// The options' bytes.
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

/// A message as a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// What it is.
    pub kind: Kind,
    /// The transaction's number, which a reply repeats.
    pub transaction: u32,
    /// Seconds since the client began.
    pub seconds: u16,
    /// Whether the reply must be broadcast, since the client cannot take packets to an address that it has not yet.
    pub broadcast: bool,
    /// The client's address while it has one (`ciaddr`).
    pub client: Ipv4Addr,
    /// The address that it is to have (`yiaddr`).
    pub yours: Ipv4Addr,
    /// The server of the next step of booting (`siaddr`).
    pub next_server: Ipv4Addr,
    /// The relay that passed it on (`giaddr`).
    pub relay: Ipv4Addr,
    /// The client's hardware address (`chaddr`).
    pub mac: MacAddress,
    /// The options but for the kind.
    pub options: Options,
}

impl Header {
    /// A message with nothing but these in it.
    pub fn new(kind: Kind, transaction: u32, mac: MacAddress) -> Self {
        Self {
            kind,
            transaction,
            seconds: 0,
            broadcast: false,
            client: Ipv4Addr::UNSPECIFIED,
            yours: Ipv4Addr::UNSPECIFIED,
            next_server: Ipv4Addr::UNSPECIFIED,
            relay: Ipv4Addr::UNSPECIFIED,
            mac,
            options: Options::default(),
        }
    }

    /// Server name and file of BOOTP are read for options only, if the message says that some stand there (RFC 2132 section
    /// 9.3).
    ///
    /// # Errors
    /// No kind, or one that the operation does not have; an option that is cut off, or is known and has a wrong length.
    pub fn parse(view: &View<'_>) -> Result<Self, Malformed> {
        let header = view.header;
        let mut options = Options::default();
        let mut start = options::Start::default();
        options.read(view.payload, &mut start)?;
        let overload = start.overload;
        // The file comes before the name (RFC 2131 section 4.1).
        if overload & 1 != 0 {
            options.read(&get::<108, 128, _>(header), &mut start)?;
        }
        if overload & 2 != 0 {
            options.read(&get::<44, 64, _>(header), &mut start)?;
        }
        let kind = start.kind.and_then(Kind::of).ok_or(Malformed::Options)?;
        if view.operation() != 1 + u8::from(kind.is_reply()) {
            return Err(Malformed::Field);
        }
        Ok(Self {
            kind,
            transaction: view.transaction(),
            seconds: get_u16::<8, _>(header),
            broadcast: get_u16::<10, _>(header) & BROADCAST != 0,
            client: get_v4::<12, _>(header),
            yours: get_v4::<16, _>(header),
            next_server: get_v4::<20, _>(header),
            relay: get_v4::<24, _>(header),
            mac: get_mac::<28, _>(header),
            options,
        })
    }

    /// Bytes that [`emit`](Self::emit) writes.
    #[expect(clippy::len_without_is_empty, reason = "a message is never empty")]
    pub fn len(&self) -> usize {
        // The kind in front, the end behind.
        (HEADER + 3 + self.options.len() + 1).max(MESSAGE_MIN)
    }

    /// Writes it to the front of `out`.
    pub fn emit(&self, out: &mut [u8]) {
        let mut out = Writer::new(out);
        out.put(&[1 + u8::from(self.kind.is_reply())]);
        out.put(&ETHERNET);
        out.u8(0);
        out.u32(self.transaction);
        out.u16(self.seconds);
        out.u16(if self.broadcast { BROADCAST } else { 0 });
        for address in [self.client, self.yours, self.next_server, self.relay] {
            out.put(&address.octets());
        }
        out.put(&self.mac.0);
        out.pad_to(HEADER - MAGIC.len());
        out.put(&MAGIC);
        out.put(&[options::KIND, 1, self.kind as u8]);
        self.options.emit(&mut out);
        out.u8(options::END);
        out.pad_to(MESSAGE_MIN);
    }
}
