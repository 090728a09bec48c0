// SPDX-License-Identifier: MIT OR Apache-2.0
//! Multicast listener discovery, version 1 (RFC 2710) and 2 (RFC 3810): who listens to which IPv6 group, in ICMPv6.
//!
//! Values name groups, not sources, as those of [`igmp`](super::igmp) do. What RFC 3810 section 5 asks of the IPv6 header
//! too (link-local source, hop limit 1, router alert) and the checksum are the caller's to check.

use arrayvec::ArrayVec;
use core::net::Ipv6Addr;

use super::Malformed;
use super::bytes::{Writer, front, get_u16, get_v6};
use crate::limits::REPORT_RECORDS_MAX;

pub use super::igmp::{QueryV3 as QueryV2, RecordKind};

const QUERY: u8 = 130;
const REPORT_V1: u8 = 131;
const DONE: u8 = 132;
const REPORT_V2: u8 = 143;

/// Bytes of a report of version 2 without records.
pub const HEADER: usize = 8;
/// Bytes of a message of version 1.
const MESSAGE_V1: usize = 24;
/// Bytes of a query of version 2 without sources.
const QUERY_V2: usize = 28;
/// Bytes of a group record without sources.
const RECORD: usize = 20;

/// A message where it lies, from the ICMPv6 header on.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    header: &'a [u8; HEADER],
    payload: &'a [u8],
}

impl<'a> View<'a> {
    /// # Errors
    /// Another kind of message, or too short.
    pub fn new(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let (header, payload) = front::<HEADER>(bytes)?;
        match header[0] {
            QUERY | REPORT_V1 | DONE if payload.len() < MESSAGE_V1 - HEADER => Err(Malformed::Truncated),
            QUERY | REPORT_V1 | DONE | REPORT_V2 => Ok(Self { header, payload }),
            _ => Err(Malformed::Field),
        }
    }

    /// The message's type.
    pub const fn kind(&self) -> u8 {
        self.header[0]
    }

    /// The sources of a query of version 2.
    pub fn sources(&self) -> impl Iterator<Item = Ipv6Addr> + use<'a> {
        let rest = self.payload.get(20..).filter(|_| self.header[0] == QUERY).unwrap_or_default();
        let count = self.payload.get(18..20).map_or(0, |count| usize::from(count[0]) << 8 | usize::from(count[1]));
        rest.as_chunks::<16>().0.iter().take(count).map(|octets| Ipv6Addr::from_octets(*octets))
    }

    /// Bytes of the part that all messages have.
    pub const fn header_len(&self) -> usize {
        HEADER
    }

    /// What stands behind it.
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

/// A message as a value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "short-lived; a box would be an allocation")]
pub enum Header {
    /// A router asks who listens.
    Query(Query),
    /// A listener of version 1 listens.
    ReportV1(Ipv6Addr),
    /// A listener of version 1 does so no more.
    Done(Ipv6Addr),
    /// What a listener of version 2 listens to, or has changed.
    ReportV2(ArrayVec<Record, REPORT_RECORDS_MAX>),
}

/// A router asks who listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query {
    /// To which group; unspecified: to any.
    pub group: Ipv6Addr,
    /// By when to answer, as it is sent. See [`max_response`](Self::max_response).
    pub max_response_code: u16,
    /// What version 2 adds.
    pub v2: Option<QueryV2>,
}

impl Query {
    /// Of which version it is (RFC 3810 section 8.1).
    pub const fn version(&self) -> u8 {
        if self.v2.is_some() { 2 } else { 1 }
    }

    /// By when to answer, in milliseconds (RFC 3810 section 5.1.3).
    pub const fn max_response(&self) -> u32 {
        let code = self.max_response_code as u32;
        if self.v2.is_none() || code < 0x8000 { code } else { (code & 0x0fff | 0x1000) << ((code >> 12 & 7) + 3) }
    }
}

/// What a report says of one group, without its sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// What.
    pub kind: RecordKind,
    /// Of which group.
    pub group: Ipv6Addr,
}

impl Header {
    /// Records of an unknown kind are skipped, and of more than fit a value only the first are read.
    ///
    /// # Errors
    /// A length that no version has, a group that is none, a record that is cut off.
    pub fn parse(view: &View<'_>) -> Result<Self, Malformed> {
        if view.kind() == REPORT_V2 {
            return Record::parse_all(view).map(Self::ReportV2);
        }
        let (fixed, rest) = front::<16>(view.payload)?;
        let group = get_v6::<0, _>(fixed);
        match view.kind() {
            QUERY if group.is_unspecified() || group.is_multicast() => {
                let v2 = match *rest {
                    [] => None,
                    [flags, interval, a, b, ref sources @ ..] => {
                        if sources.len() < usize::from(u16::from_be_bytes([a, b])) * 16 {
                            return Err(Malformed::Truncated);
                        }
                        Some(QueryV2::parse(flags, interval))
                    }
                    _ => return Err(Malformed::Length),
                };
                Ok(Self::Query(Query { group, max_response_code: get_u16::<4, _>(view.header), v2 }))
            }
            REPORT_V1 if group.is_multicast() => Ok(Self::ReportV1(group)),
            DONE if group.is_multicast() => Ok(Self::Done(group)),
            _ => Err(Malformed::Field),
        }
    }

    /// Bytes that [`emit`](Self::emit) writes.
    #[expect(clippy::len_without_is_empty, reason = "a message is never empty")]
    pub fn len(&self) -> usize {
        match self {
            Self::Query(Query { v2: Some(_), .. }) => QUERY_V2,
            Self::ReportV2(records) => HEADER + records.len() * RECORD,
            _ => MESSAGE_V1,
        }
    }

    /// Writes it to the front of `out`, the checksum zero: see [`icmpv6::complete_whole`](super::icmpv6::complete_whole).
    pub fn emit(&self, out: &mut [u8]) {
        let mut to = Writer::new(out);
        let short = |to: &mut Writer<'_>, kind: u8, code: u16, group: &Ipv6Addr| {
            to.put(&[kind, 0, 0, 0]);
            to.u16(code);
            to.u16(0);
            to.put(&group.octets());
        };
        match self {
            Self::Query(query) => {
                short(&mut to, QUERY, query.max_response_code, &query.group);
                if let Some(v2) = query.v2 {
                    to.put(&v2.bytes());
                    to.u16(0);
                }
            }
            Self::ReportV1(group) => short(&mut to, REPORT_V1, 0, group),
            Self::Done(group) => short(&mut to, DONE, 0, group),
            Self::ReportV2(records) => {
                to.put(&[REPORT_V2, 0, 0, 0, 0, 0]);
                to.u16(records.len() as u16);
                for record in records {
                    to.put(&[record.kind as u8, 0, 0, 0]);
                    to.put(&record.group.octets());
                }
            }
        }
    }
}

impl Record {
    fn parse_all(view: &View<'_>) -> Result<ArrayVec<Self, REPORT_RECORDS_MAX>, Malformed> {
        let mut records = ArrayVec::new();
        let mut rest = view.payload;
        for _ in 0..get_u16::<6, _>(view.header) {
            let (record, behind) = front::<RECORD>(rest)?;
            let beside = usize::from(record[1]) * 4 + usize::from(get_u16::<2, _>(record)) * 16;
            rest = behind.get(beside..).ok_or(Malformed::Truncated)?;
            let group = get_v6::<4, _>(record);
            if !group.is_multicast() {
                return Err(Malformed::Field);
            }
            if let Some(kind) = RecordKind::of(record[0]) {
                let _ = records.try_push(Self { kind, group });
            }
        }
        Ok(records)
    }
}
