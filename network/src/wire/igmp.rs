// SPDX-License-Identifier: MIT OR Apache-2.0
//! IGMP, version 1 (RFC 1112 appendix I), 2 (RFC 2236) and 3 (RFC 3376): who listens to which IPv4 group.
//!
//! Values name groups, not sources: Margay listens to all sources. Sources in what others send are skipped; those of a query
//! are told by the view. Messages are whole and short, so that `parse` checks the checksum and `emit` writes it.

use arrayvec::ArrayVec;
use core::net::Ipv4Addr;

use super::Malformed;
use super::bytes::{Writer, front, get_u16, get_v4, space};
use super::checksum::sum;
use crate::limits::REPORT_RECORDS_MAX;

const QUERY: u8 = 0x11;
const REPORT_V1: u8 = 0x12;
const REPORT_V2: u8 = 0x16;
const LEAVE: u8 = 0x17;
const REPORT_V3: u8 = 0x22;

/// Bytes of a message of version 1 or 2.
pub const HEADER: usize = 8;
/// Bytes of a query of version 3 without sources.
const QUERY_V3: usize = 12;
/// Bytes of a group record without sources.
const RECORD: usize = 8;

/// What a record of a report says of its group (RFC 3376 section 4.2.12, RFC 3810 section 5.2.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum RecordKind {
    /// The listener hears only the record's sources.
    IsInclude = 1,
    /// The listener hears all sources but the record's.
    IsExclude = 2,
    /// It does from now on: with no sources, it has left.
    ToInclude = 3,
    /// It does from now on: with no sources, it has joined.
    ToExclude = 4,
    /// More sources.
    Allow = 5,
    /// Fewer sources.
    Block = 6,
}

impl RecordKind {
    pub(super) const fn of(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::IsInclude,
            2 => Self::IsExclude,
            3 => Self::ToInclude,
            4 => Self::ToExclude,
            5 => Self::Allow,
            6 => Self::Block,
            _ => return None,
        })
    }
}

/// Reads a time code of eight bits (RFC 3376 section 4.1.1).
pub(super) const fn decode(code: u8) -> u32 {
    if code < 128 { code as u32 } else { (code as u32 & 0x0f | 0x10) << ((code >> 4 & 7) + 3) }
}

/// A message where it lies.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    bytes: &'a [u8],
    header: &'a [u8; HEADER],
    payload: &'a [u8],
}

impl<'a> View<'a> {
    /// # Errors
    /// Shorter than a header.
    pub fn new(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let (header, payload) = front::<HEADER>(bytes)?;
        Ok(Self { bytes, header, payload })
    }

    /// The message's type.
    pub const fn kind(&self) -> u8 {
        self.header[0]
    }

    /// Whether the checksum is right.
    pub fn checksum_is_right(&self) -> bool {
        sum(self.bytes).is_right()
    }

    /// The sources of a query of version 3.
    pub fn sources(&self) -> impl Iterator<Item = Ipv4Addr> + use<'a> {
        let rest = self.payload.get(4..).filter(|_| self.header[0] == QUERY).unwrap_or_default();
        let count = self.payload.get(2..4).map_or(0, |count| usize::from(count[0]) << 8 | usize::from(count[1]));
        rest.as_chunks::<4>().0.iter().take(count).map(|octets| Ipv4Addr::from_octets(*octets))
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
    ReportV1(Ipv4Addr),
    /// A listener of version 2 listens.
    ReportV2(Ipv4Addr),
    /// A listener of version 2 does so no more.
    Leave(Ipv4Addr),
    /// What a listener of version 3 listens to, or has changed.
    ReportV3(ArrayVec<Record, REPORT_RECORDS_MAX>),
}

/// A router asks who listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query {
    /// To which group; unspecified: to any.
    pub group: Ipv4Addr,
    /// By when to answer, as it is sent; zero in version 1. See [`max_response`](Self::max_response).
    pub max_response_code: u8,
    /// What version 3 adds.
    pub v3: Option<QueryV3>,
}

/// What a query of version 3 says beside (RFC 3376 section 4.1; RFC 3810 section 5.1 has the same for MLD version 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryV3 {
    /// Whether other routers are not to run their timers.
    pub suppress: bool,
    /// The querier's robustness variable, 0 to 7; 0: not said.
    pub robustness: u8,
    /// The querier's interval, as it is sent.
    pub interval_code: u8,
}

impl QueryV3 {
    /// The querier's interval in seconds.
    pub const fn interval(self) -> u32 {
        decode(self.interval_code)
    }

    pub(super) const fn parse(flags: u8, interval_code: u8) -> Self {
        Self { suppress: flags & 8 != 0, robustness: flags & 7, interval_code }
    }

    pub(super) const fn bytes(self) -> [u8; 2] {
        [(self.suppress as u8) << 3 | self.robustness & 7, self.interval_code]
    }
}

impl Query {
    /// Of which version it is (RFC 3376 section 7.1).
    pub const fn version(&self) -> u8 {
        match (self.v3, self.max_response_code) {
            (Some(_), _) => 3,
            (None, 0) => 1,
            (None, _) => 2,
        }
    }

    /// By when to answer, in milliseconds: 10 s to version 1 (RFC 2236 section 4).
    pub const fn max_response(&self) -> u32 {
        match self.version() {
            1 => 10_000,
            2 => self.max_response_code as u32 * 100,
            _ => decode(self.max_response_code) * 100,
        }
    }
}

/// What a report says of one group, without its sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// What.
    pub kind: RecordKind,
    /// Of which group.
    pub group: Ipv4Addr,
}

impl Header {
    /// Records of an unknown kind are skipped, and of more than fit a value only the first are read.
    ///
    /// # Errors
    /// A wrong checksum, an unknown type, a length that no version has, a group that is none, a record that is cut off.
    pub fn parse(view: &View<'_>) -> Result<Self, Malformed> {
        if !view.checksum_is_right() {
            return Err(Malformed::Checksum);
        }
        let group = get_v4::<4, _>(view.header);
        match view.kind() {
            QUERY if group.is_unspecified() || group.is_multicast() => {
                let v3 = match *view.payload {
                    [] => None,
                    [flags, interval, a, b, ref sources @ ..] => {
                        if sources.len() < usize::from(u16::from_be_bytes([a, b])) * 4 {
                            return Err(Malformed::Truncated);
                        }
                        Some(QueryV3::parse(flags, interval))
                    }
                    _ => return Err(Malformed::Length),
                };
                Ok(Self::Query(Query { group, max_response_code: view.header[1], v3 }))
            }
            REPORT_V1 if group.is_multicast() => Ok(Self::ReportV1(group)),
            REPORT_V2 if group.is_multicast() => Ok(Self::ReportV2(group)),
            LEAVE if group.is_multicast() => Ok(Self::Leave(group)),
            REPORT_V3 => Record::parse_all(view).map(Self::ReportV3),
            _ => Err(Malformed::Field),
        }
    }

    /// Bytes that [`emit`](Self::emit) writes.
    #[expect(clippy::len_without_is_empty, reason = "a message is never empty")]
    pub fn len(&self) -> usize {
        match self {
            Self::Query(Query { v3: Some(_), .. }) => QUERY_V3,
            Self::ReportV3(records) => HEADER + records.len() * RECORD,
            _ => HEADER,
        }
    }

    /// Writes it to the front of `out`, with its checksum.
    pub fn emit(&self, out: &mut [u8]) {
        let Some(out) = out.get_mut(..self.len()) else {
            debug_assert!(false, "the output is shorter than the message");
            return;
        };
        let mut to = Writer::new(out);
        let short = |to: &mut Writer<'_>, kind: u8, code: u8, group: &Ipv4Addr| {
            to.put(&[kind, code, 0, 0]);
            to.put(&group.octets());
        };
        match self {
            Self::Query(query) => {
                short(&mut to, QUERY, query.max_response_code, &query.group);
                if let Some(v3) = query.v3 {
                    to.put(&v3.bytes());
                    to.u16(0);
                }
            }
            Self::ReportV1(group) => short(&mut to, REPORT_V1, 0, group),
            Self::ReportV2(group) => short(&mut to, REPORT_V2, 0, group),
            Self::Leave(group) => short(&mut to, LEAVE, 0, group),
            Self::ReportV3(records) => {
                to.put(&[REPORT_V3, 0, 0, 0, 0, 0]);
                to.u16(records.len() as u16);
                for record in records {
                    to.put(&[record.kind as u8, 0, 0, 0]);
                    to.put(&record.group.octets());
                }
            }
        }
        let checksum = sum(out).finish();
        if let Some(header) = space::<HEADER>(out) {
            super::bytes::set::<2, 2, _>(header, checksum.to_be_bytes());
        }
    }
}

impl Record {
    fn parse_all(view: &View<'_>) -> Result<ArrayVec<Self, REPORT_RECORDS_MAX>, Malformed> {
        let mut records = ArrayVec::new();
        let mut rest = view.payload;
        for _ in 0..get_u16::<6, _>(view.header) {
            let (record, behind) = front::<RECORD>(rest)?;
            let beside = (usize::from(record[1]) + usize::from(get_u16::<2, _>(record))) * 4;
            rest = behind.get(beside..).ok_or(Malformed::Truncated)?;
            let group = get_v4::<4, _>(record);
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
