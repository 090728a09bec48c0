// SPDX-License-Identifier: MIT OR Apache-2.0
//! ICMP of both families (RFC 792, RFC 1122 section 3.2.2, RFC 4443): echo, what routers and hosts say about packets of
//! ours, and what this host says about packets of others.
//!
//! What must always hold: an error concerns the socket whose addresses and ports its quote has, and nobody if there is none;
//! no error answers what must not be answered (`ip::errors`), and all are limited in rate.

use core::net::{IpAddr, SocketAddr};

use runtime::buf::Sga;
use runtime::time::Time;
use runtime::{Errno, Error};

use super::input::Packet;
use super::output::{Head, How, NO_NEIGHBOUR, v4_header, v6_header};
use super::streams::Quoted;
use super::{Stack, message};
use crate::counters::Reason;
use crate::ip::addresses::Class;
use crate::ip::errors::{self, Offender, may_answer};
use crate::tcp::seq::Seq;
use crate::udp::{Datagram, Flow, Kind, Local};
use crate::wire::checksum::{Sum, pseudo_header};
use crate::wire::{Protocol, icmpv4, icmpv6, ipv4, ipv6, udp};

/// What is wrong with a packet.
#[derive(Clone, Copy, Debug)]
pub(super) enum Complaint {
    /// Nobody has the port.
    Port,
    /// Nobody serves the protocol.
    Protocol,
    /// The rest of it did not come.
    Late,
    /// IPv6: a header has something wrong in it.
    Problem(ipv6::Problem),
}

const REFUSED: Error = Error::new(Errno::CONNREFUSED, "nobody has that port there");
const NO_PROTOCOL: Error = Error::new(Errno::NOPROTOOPT, "the host there does not serve this protocol");
const NO_NETWORK: Error = Error::new(Errno::NETUNREACH, "a router knows no way to this network");
const NO_HOST: Error = Error::new(Errno::HOSTUNREACH, "a router cannot reach this host");
const FORBIDDEN: Error = Error::new(Errno::ACCESS, "a router forbids it");
const TOO_FAR: Error = Error::new(Errno::HOSTUNREACH, "the packet made too many hops");
const PROBLEM: Error = Error::new(Errno::PROTO, "the packet had something wrong for a host on its way");

/// Bytes that the headers of a packet of this host take at most: IPv6, fragment, UDP.
const QUOTE_FRONT: usize = ipv6::HEADER + ipv6::extension::FRAGMENT + udp::HEADER;

/// The address and port pairs of a packet of ours that an error quotes.
pub(super) struct Quote {
    pub of: Of,
    /// Bytes that the packet had, as far as it says.
    pub len: usize,
}

/// Whose packet it was.
pub(super) enum Of {
    /// A datagram socket's.
    Socket(Flow),
    /// A stream's.
    Stream(Quoted),
}

impl Quote {
    /// Where the packet was to go.
    pub(super) const fn destination(&self) -> IpAddr {
        match &self.of {
            Of::Socket(flow) => flow.address,
            Of::Stream(quoted) => quoted.flow.remote.0,
        }
    }

    /// Where it came from: an address of ours.
    const fn source(&self) -> IpAddr {
        match &self.of {
            Of::Socket(flow) => flow.local.address,
            Of::Stream(quoted) => quoted.flow.local.0,
        }
    }
}

impl Stack {
    pub(super) fn receive_icmpv4(&mut self, packet: Packet, now: Time) {
        if !packet.verified {
            let mut sum = Sum::new();
            message::sum(&packet.data, packet.at, packet.at + packet.len, &mut sum);
            if !sum.is_right() {
                return self.counters.drop(Reason::Icmp);
            }
        }
        let bytes = message::front(&packet.data).get(packet.at..).unwrap_or_default();
        let parsed = icmpv4::View::new(bytes).and_then(|view| icmpv4::Header::parse(&view));
        let Ok(header) = parsed else { return self.counters.drop(Reason::Icmp) };
        let error = match header {
            icmpv4::Header::EchoRequest { identifier, sequence } => {
                return self.echo(packet, Head::Icmpv4(icmpv4::Header::EchoReply { identifier, sequence }), now);
            }
            icmpv4::Header::EchoReply { identifier, sequence } => {
                return self.receive_echo(packet, identifier, sequence);
            }
            icmpv4::Header::Unreachable { code, mtu } => match code {
                icmpv4::Unreachable::FRAGMENTATION_NEEDED => {
                    return self.receive_too_big(&packet, u32::from(mtu), now);
                }
                icmpv4::Unreachable::PORT => REFUSED,
                icmpv4::Unreachable::PROTOCOL => NO_PROTOCOL,
                icmpv4::Unreachable::NETWORK
                | icmpv4::Unreachable::NETWORK_UNKNOWN
                | icmpv4::Unreachable::NETWORK_SERVICE => NO_NETWORK,
                icmpv4::Unreachable::NETWORK_PROHIBITED
                | icmpv4::Unreachable::HOST_PROHIBITED
                | icmpv4::Unreachable::PROHIBITED => FORBIDDEN,
                _ => NO_HOST,
            },
            icmpv4::Header::TimeExceeded { .. } => TOO_FAR,
            icmpv4::Header::ParameterProblem { .. } => PROBLEM,
            icmpv4::Header::Redirect { gateway, .. } => return self.redirected_v4(&packet, gateway),
            icmpv4::Header::Other { .. } => return self.counters.drop(Reason::IcmpType),
        };
        self.receive_error(&packet, error, now);
    }

    pub(super) fn receive_icmpv6(&mut self, packet: Packet, now: Time) {
        if !packet.verified {
            let mut sum = pseudo_header(packet.source, packet.destination, Protocol::ICMPV6.0, packet.len as u32);
            message::sum(&packet.data, packet.at, packet.at + packet.len, &mut sum);
            if !sum.is_right() {
                return self.counters.drop(Reason::Icmp);
            }
        }
        let bytes = message::front(&packet.data).get(packet.at..).unwrap_or_default();
        let Ok(view) = icmpv6::View::new(bytes) else { return self.counters.drop(Reason::Icmp) };
        if view.is_ndp() {
            return self.receive_ndp(&packet, now);
        }
        if view.is_mld() {
            return self.receive_mld(&packet, now);
        }
        let Ok(header) = icmpv6::Header::parse(&view) else { return self.counters.drop(Reason::Icmp) };
        let error = match header {
            icmpv6::Header::EchoRequest { identifier, sequence } => {
                return self.echo(packet, Head::Icmpv6(icmpv6::Header::EchoReply { identifier, sequence }), now);
            }
            icmpv6::Header::EchoReply { identifier, sequence } => {
                return self.receive_echo(packet, identifier, sequence);
            }
            icmpv6::Header::PacketTooBig { mtu } => return self.receive_too_big(&packet, mtu, now),
            icmpv6::Header::Unreachable { code } => match code {
                icmpv6::Unreachable::PORT => REFUSED,
                icmpv6::Unreachable::NO_ROUTE | icmpv6::Unreachable::REJECT_ROUTE => NO_NETWORK,
                icmpv6::Unreachable::PROHIBITED | icmpv6::Unreachable::SOURCE_POLICY => FORBIDDEN,
                _ => NO_HOST,
            },
            icmpv6::Header::TimeExceeded { .. } => TOO_FAR,
            icmpv6::Header::ParameterProblem { code: 1, .. } => NO_PROTOCOL,
            icmpv6::Header::ParameterProblem { .. } => PROBLEM,
            icmpv6::Header::Other { .. } => return self.counters.drop(Reason::IcmpType),
        };
        self.receive_error(&packet, error, now);
    }

    /// Answers an echo request with what it carries, in the same memory (RFC 1122 section 3.2.2.6, RFC 4443 section 4.2).
    fn echo(&mut self, packet: Packet, head: Head, now: Time) {
        // Not to groups and broadcasts: the answers of all would be a flood (RFC 1122 allows it; CVE-1999-0513).
        if packet.class != Class::Ours && packet.class != Class::Loopback {
            return self.counters.drop(Reason::IcmpType);
        }
        let Packet { source, destination, mut data, at, .. } = packet;
        let Ok(path) = self.route(source, Some(destination)) else { return self.counters.drop(Reason::NoRoute) };
        data.trim_front(at + icmpv4::HEADER);
        let how = How { hops: self.hops_to(source), head };
        if !self.has_room() {
            return self.counters.drop(Reason::OutputFull);
        }
        match self.send_packet(&path, &how, &mut data, now) {
            Ok(()) => self.counters.echoed += 1,
            // Counted where it was lost, but for want of memory.
            Err(error) if error.errno() == Errno::NOBUFS => self.counters.drop(Reason::NoBuffer),
            Err(_) => {}
        }
    }

    fn receive_echo(&mut self, packet: Packet, identifier: u16, sequence: u16) {
        let Packet { source, destination, hops, mut data, at, len, .. } = packet;
        let local = Local { kind: Kind::Echo, address: destination, port: identifier };
        let Some(index) = self.sockets.find(&Flow { local, address: source, port: 0 }) else {
            return self.counters.drop(Reason::NoEcho);
        };
        data.trim_front(at + icmpv4::HEADER);
        let len = len.saturating_sub(icmpv4::HEADER) as u32;
        self.deliver(index, Datagram { from: SocketAddr::new(source, 0), hops, sequence, data, len });
    }

    fn receive_error(&mut self, packet: &Packet, error: Error, now: Time) {
        // RFC 1122 section 4.2.3.9: that nobody has the port or serves the protocol stays so.
        let hard = error == REFUSED || error == NO_PROTOCOL;
        let told = match quote(packet) {
            Some(Quote { of: Of::Socket(flow), .. }) => self.sockets.fail(&flow, error),
            Some(Quote { of: Of::Stream(quoted), .. }) => self.stream_unreachable(&quoted, error, hard, now),
            None => false,
        };
        if told {
            self.counters.errors_received += 1;
        } else {
            self.counters.drop(Reason::IcmpQuote);
        }
    }

    /// Whether somebody here has sent, or could have sent, the packet that is quoted.
    pub(super) fn has_sent(&self, quote: &Quote) -> bool {
        match &quote.of {
            Of::Socket(flow) => self.sockets.has_sent(flow),
            Of::Stream(quoted) => self.has_sent_segment(quoted),
        }
    }

    /// A router says that a packet was too long (RFC 1191, RFC 8201): the next one will be shorter.
    fn receive_too_big(&mut self, packet: &Packet, mtu: u32, now: Time) {
        match quote(packet) {
            Some(quote) if self.has_sent(&quote) => {
                self.counters.errors_received += 1;
                let len = u16::try_from(quote.len).unwrap_or(u16::MAX);
                self.path_mtus.too_big(quote.destination(), mtu, len, now);
                if let Of::Stream(quoted) = &quote.of {
                    self.stream_mtus.too_big(quote.destination(), mtu, len, now);
                    self.stream_too_big(quoted, now);
                }
            }
            _ => self.counters.drop(Reason::IcmpQuote),
        }
    }

    /// A packet of ours whose next hop does not answer: its socket hears so (RFC 1122 section 2.3.2.2, RFC 4861 section 7.2.2).
    pub(super) fn undelivered(&mut self, packet: &Sga, now: Time) {
        self.counters.drop(Reason::NeighbourFailed);
        // Of one that was cut, the headers may stand in several pieces.
        let mut front = [0; QUOTE_FRONT];
        let len = message::copy_from(packet, 0, &mut front);
        match read_quote(front.get(..len).unwrap_or_default()).map(|quote| quote.of) {
            Some(Of::Socket(flow)) => drop(self.sockets.fail(&flow, NO_NEIGHBOUR)),
            Some(Of::Stream(quoted)) => drop(self.stream_unreachable(&quoted, NO_NEIGHBOUR, false, now)),
            None => {}
        }
    }

    /// Tells the sender what was wrong with a packet, if that is allowed.
    #[cold]
    pub(super) fn complain(&mut self, packet: &Packet, complaint: Complaint, now: Time) {
        let mut first = [0; 1];
        message::copy_from(&packet.data, packet.at, &mut first);
        let offender = Offender {
            source: packet.source,
            destination: packet.destination,
            broadcast: packet.class == Class::Broadcast,
            to_many: packet.to_many,
            offset: 0,
            protocol: packet.protocol.0,
            payload: &first,
        };
        let kind = match complaint {
            Complaint::Problem(problem) if problem.also_multicast => errors::Complaint::EvenToMany,
            _ => errors::Complaint::Usual,
        };
        if !may_answer(&offender, kind) {
            return;
        }
        if !self.errors.take(now) || !self.has_room() {
            return self.counters.drop(Reason::IcmpLimit);
        }
        let head = match packet.source {
            IpAddr::V4(_) => Head::Icmpv4(match complaint {
                Complaint::Port => unreachable(icmpv4::Unreachable::PORT),
                Complaint::Protocol => unreachable(icmpv4::Unreachable::PROTOCOL),
                Complaint::Late => icmpv4::Header::TimeExceeded { code: 1 },
                Complaint::Problem(_) => return,
            }),
            IpAddr::V6(_) => Head::Icmpv6(match complaint {
                Complaint::Port => icmpv6::Header::Unreachable { code: icmpv6::Unreachable::PORT },
                Complaint::Protocol => icmpv6::Header::ParameterProblem { code: 1, pointer: packet.named_at as u32 },
                Complaint::Late => icmpv6::Header::TimeExceeded { code: 1 },
                Complaint::Problem(problem) => {
                    icmpv6::Header::ParameterProblem { code: problem.code, pointer: problem.pointer }
                }
            }),
        };
        let own = (packet.class == Class::Ours).then_some(packet.destination);
        let Ok(path) = self.route(packet.source, own) else { return self.counters.drop(Reason::NoRoute) };
        let Ok(mut quote) = self.quotation(packet) else { return self.counters.drop(Reason::NoBuffer) };
        match self.send_packet(&path, &How { hops: self.hops_to(packet.source), head }, &mut quote, now) {
            Ok(()) => self.counters.errors_sent += 1,
            Err(error) if error.errno() == Errno::NOBUFS => self.counters.drop(Reason::NoBuffer),
            Err(_) => {}
        }
    }

    /// The front of a packet, as an error quotes it (RFC 4443 section 2.4 c). One that was put together gets a header like that of its
    /// fragments, but for theirs.
    fn quotation(&self, packet: &Packet) -> runtime::Result<Sga> {
        let mut header = [0; ipv6::HEADER];
        let len = packet.data.len();
        let header_len = match (packet.source, packet.destination, packet.put_together) {
            (IpAddr::V4(source), IpAddr::V4(destination), Some(first)) => {
                let value = v4_header(source, destination, packet.hops, first);
                ipv4::Header { payload_len: len as u16, ecn: packet.ecn, ..value }.emit(&mut header);
                ipv4::HEADER
            }
            (IpAddr::V6(source), IpAddr::V6(destination), Some(first)) => {
                let value = v6_header(source, destination, packet.hops, first, len);
                ipv6::Header { ecn: packet.ecn, ..value }.emit(&mut header);
                ipv6::HEADER
            }
            _ => 0,
        };
        let len = errors::quoted(packet.source, header_len + len);
        let mut quote = self.pools.alloc(len)?;
        if let Some((head, rest)) = quote.get_mut().and_then(|bytes| bytes.split_at_mut_checked(header_len)) {
            head.copy_from_slice(header.get(..header_len).unwrap_or_default());
            packet.data.copy_to_slice(rest);
        }
        Ok(quote.into())
    }
}

const fn unreachable(code: icmpv4::Unreachable) -> icmpv4::Header {
    icmpv4::Header::Unreachable { code, mtu: 0 }
}

/// The packet that the error in `packet` is about, if it was one of ours: errors go to where that came from.
pub(super) fn quote(packet: &Packet) -> Option<Quote> {
    // A quote that came in fragments is nobody's: no sender quotes so much.
    let bytes = message::front(&packet.data).get(packet.at + icmpv4::HEADER..)?;
    let to_us = matches!(packet.class, Class::Ours | Class::Loopback);
    read_quote(bytes).filter(|quote| to_us && quote.source() == packet.destination)
}

/// Reads the addresses and ports of a packet that this host has sent.
fn read_quote(bytes: &[u8]) -> Option<Quote> {
    let (source, destination, protocol, transport, len) = if bytes.first()? >> 4 == 4 {
        let view = ipv4::View::quoted(bytes).ok()?;
        if view.fragment_offset() > 0 {
            return None;
        }
        let (source, destination) = (IpAddr::V4(view.source()), IpAddr::V4(view.destination()));
        (source, destination, view.protocol(), view.payload(), view.total_len())
    } else {
        let view = ipv6::View::quoted(bytes).ok()?;
        let upper = view.upper().ok()?;
        if upper.fragment.is_some_and(|fragment| fragment.offset > 0) {
            return None;
        }
        let (source, destination) = (IpAddr::V6(view.source()), IpAddr::V6(view.destination()));
        let len = ipv6::HEADER + usize::from(view.payload_len());
        (source, destination, upper.protocol, bytes.get(upper.offset..)?, len)
    };
    let (kind, from, to) = match protocol {
        Protocol::TCP => {
            // Eight bytes of the header may be all that is quoted: the ports and the sequence number.
            let word = u64::from_be_bytes(*transport.first_chunk()?);
            let flow = crate::tcp::table::Flow {
                local: (source, (word >> 48) as u16),
                remote: (destination, (word >> 32) as u16),
            };
            let quoted = Quoted { flow, seq: Seq(word as u32) };
            return Some(Quote { of: Of::Stream(quoted), len });
        }
        Protocol::UDP => {
            let view = udp::View::of_front(transport, usize::MAX).ok()?;
            (Kind::Udp, view.source(), view.destination())
        }
        Protocol::ICMPV4 => match icmpv4::Header::parse(&icmpv4::View::new(transport).ok()?).ok()? {
            icmpv4::Header::EchoRequest { identifier, .. } => (Kind::Echo, identifier, 0),
            _ => return None,
        },
        Protocol::ICMPV6 => match icmpv6::Header::parse(&icmpv6::View::new(transport).ok()?).ok()? {
            icmpv6::Header::EchoRequest { identifier, .. } => (Kind::Echo, identifier, 0),
            _ => return None,
        },
        _ => return None,
    };
    let local = Local { kind, address: source, port: from };
    Some(Quote { of: Of::Socket(Flow { local, address: destination, port: to }), len })
}
