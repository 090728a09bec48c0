// SPDX-License-Identifier: MIT OR Apache-2.0
//! From a frame to a transport's message: Ethernet, VLAN, ARP, IPv4, IPv6 and fragments.
//!
//! What must always hold: no byte is copied, but for headers of a frame that a device gives in pieces; a packet that is
//! dropped is counted by its reason; nothing here answers but through [`Stack::complain`], which says when that is allowed.

use core::net::IpAddr;

use runtime::buf::{Buf, Sga};
use runtime::device::{Checksum, Frame, SegmentKind, Segmentation};
use runtime::time::Time;

use super::icmp::Complaint;
use super::{Stack, message};
use crate::counters::Reason;
use crate::ip::addresses::Class;
use crate::ip::reassembly::{Key, Outcome, Refusal};
use crate::limits::HEADERS_GATHERED;
use crate::multicast::stays_here;
use crate::wire::{Ecn, EtherType, Malformed, Protocol, ethernet, ipv4, ipv6, tcp, udp, vlan};

/// A packet for this host, on its way up.
#[derive(Debug)]
pub(super) struct Packet {
    pub source: IpAddr,
    pub destination: IpAddr,
    pub protocol: Protocol,
    /// What is left of them.
    pub hops: u8,
    /// What the destination is.
    pub class: Class,
    /// Whether its frame went to many.
    pub to_many: bool,
    /// Whether the transport's checksum needs no look.
    pub verified: bool,
    /// Whether routers were to look at it.
    pub router_alert: bool,
    /// Of one that was put together of fragments, be it a single one: the protocol that its data begin with.
    pub put_together: Option<Protocol>,
    /// What routers say about congestion; of fragments, all together.
    pub ecn: Ecn,
    /// Bytes of each of the datagrams that its frame stands for; 0: it is one.
    pub segment: u16,
    /// The packet from its IP header on; a datagram that was put together has none.
    pub data: Sga,
    /// Where in it the transport's header begins.
    pub at: usize,
    /// Bytes from there on.
    pub len: usize,
    /// Where in an IPv6 packet the protocol is named; of one that was put together, behind an IPv6 header in front of its data.
    pub named_at: usize,
}

/// How a packet came.
#[derive(Clone, Copy)]
pub(super) struct Came {
    pub to_many: bool,
    pub verified: bool,
    /// From this host itself.
    pub looped: bool,
    /// Bytes of each of the UDP datagrams that the device has put together; 0: it has not.
    pub segment: u16,
}

impl Stack {
    /// Takes in a frame that the device has received. What it means for sockets, [`woken`](Self::woken) says; what is to be
    /// answered, [`transmit`](Self::transmit) gives.
    #[inline]
    pub fn receive(&mut self, frame: Frame, now: Time) {
        self.counters.frames_received += 1;
        if frame.segmentation.is_some() {
            return self.receive_frame(frame, now);
        }
        let single = match frame.data.into_single() {
            Ok(single) => single,
            Err(data) => return self.receive_frame(Frame { data, ..frame }, now),
        };
        let len = single.len() as u64;
        // A partial checksum came from this very machine, and never was on a wire.
        let verified = frame.checksum != Checksum::Complete;
        match self.receive_quickly(single, verified, now) {
            None => self.counters.bytes_received += len,
            Some(single) => self.receive_frame(Frame { data: single.into(), ..frame }, now),
        }
    }

    /// Takes in frames that came together. As [`receive`](Self::receive) of each, but that the segments of one connection that stand behind one
    /// another there, and are in order, are answered and told of once.
    #[inline(always)]
    pub fn receive_burst(&mut self, frames: impl ExactSizeIterator<Item = Frame>, now: Time) {
        let mut behind = frames.len();
        for frame in frames {
            behind = behind.saturating_sub(1);
            self.row_goes_on(behind > 0);
            self.receive(frame, now);
        }
        self.row_goes_on(false);
        self.settle_row(now);
    }

    /// Takes in a frame the long way.
    #[inline(never)]
    fn receive_frame(&mut self, frame: Frame, now: Time) {
        let Frame { mut data, checksum, segmentation } = frame;
        if data.as_single().is_none() && message::gather(&mut data, HEADERS_GATHERED, &self.pools).is_err() {
            return self.counters.drop(Reason::NoBuffer);
        }
        self.counters.bytes_received += data.len() as u64;
        let verified = checksum != Checksum::Complete;
        let Ok(view) = ethernet::View::new(message::front(&data)) else {
            return self.counters.drop(Reason::Ethernet);
        };
        let to_many = view.destination() != self.mac;
        if to_many && !view.destination().is_multicast() {
            return self.counters.drop(Reason::OtherStation);
        }
        let Ok(header) = ethernet::Header::parse(&view) else {
            return self.counters.drop(Reason::Ethernet);
        };
        if to_many && header.source == self.mac {
            // Our own frame, which the link has given back to us.
            return self.counters.drop(Reason::OtherStation);
        }
        let (mut ether_type, mut len) = (header.ether_type, ethernet::HEADER);
        if ether_type == EtherType::VLAN {
            let tag = vlan::View::new(view.payload()).and_then(|view| vlan::Header::parse(&view));
            let Ok(tag) = tag else { return self.counters.drop(Reason::Ethernet) };
            // VLAN 0 is a priority alone, on a link without VLANs.
            if tag.id != self.vlan.unwrap_or(0) {
                return self.counters.drop(Reason::OtherVlan);
            }
            (ether_type, len) = (tag.ether_type, ethernet::HEADER + vlan::HEADER);
        } else if self.vlan.is_some() {
            return self.counters.drop(Reason::OtherVlan);
        }
        // Segments of TCP have no protocol above that would take them.
        let segment = match segmentation {
            Some(Segmentation { kind: SegmentKind::Udp, size, .. }) => size,
            _ => 0,
        };
        let came = Came { to_many, verified, looped: false, segment };
        match ether_type {
            EtherType::IPV4 | EtherType::IPV6 => {
                data.trim_front(len);
                self.receive_ip(data, came, ether_type == EtherType::IPV4, now);
            }
            EtherType::ARP => {
                self.settle_row(now);
                data.trim_front(len);
                self.receive_arp(&data, now);
            }
            _ => self.counters.drop(Reason::EtherType),
        }
    }

    /// Takes in an IP packet.
    #[inline]
    pub(super) fn receive_ip(&mut self, data: Sga, came: Came, is_v4: bool, now: Time) {
        if is_v4 { self.receive_v4(data, came, now) } else { self.receive_v6(data, came, now) }
    }

    #[inline]
    fn receive_v4(&mut self, mut data: Sga, came: Came, now: Time) {
        // Of a packet in pieces the first has the headers; whether all is there is looked at below.
        let parsed = ipv4::View::quoted(message::front(&data)).and_then(|view| {
            let header = ipv4::Header::parse(&view)?;
            Ok((header, view.header_len(), view.total_len(), view.is_fragment()))
        });
        let Ok((header, at, total, is_fragment)) = parsed else {
            return self.counters.drop(Reason::Ipv4);
        };
        if total > data.len() || usize::from(header.fragment_offset) + total > usize::from(u16::MAX) {
            return self.counters.drop(Reason::Ipv4);
        }
        message::truncate(&mut data, total);
        let (source, destination) = (IpAddr::V4(header.source), IpAddr::V4(header.destination));
        let mut packet = Packet {
            source,
            destination,
            protocol: header.protocol,
            hops: header.ttl,
            class: self.addresses.class(destination),
            to_many: came.to_many,
            verified: came.verified,
            router_alert: header.router_alert,
            put_together: None,
            ecn: header.ecn,
            segment: came.segment,
            data,
            at,
            len: total - at,
            named_at: 9,
        };
        if !self.is_for_us(&packet, came) {
            return;
        }
        if is_fragment {
            let key = Key { source, destination, id: u32::from(header.identification), protocol: header.protocol.0 };
            match self.put_together(key, header.fragment_offset, header.more_fragments, packet, now) {
                Some(whole) => packet = whole,
                None => return,
            }
        }
        if packet.protocol != Protocol::TCP {
            // What it says may concern the connection whose segments came before.
            self.settle_row(now);
        }
        match packet.protocol {
            Protocol::UDP => self.receive_udp(packet, now),
            Protocol::TCP => self.receive_tcp(packet, now),
            Protocol::ICMPV4 => self.receive_icmpv4(packet, now),
            Protocol::IGMP => self.receive_igmp(&packet, now),
            _ => {
                self.counters.drop(Reason::Protocol);
                self.complain(&packet, Complaint::Protocol, now);
            }
        }
    }

    #[inline]
    fn receive_v6(&mut self, mut data: Sga, came: Came, now: Time) {
        if !self.v6 {
            return self.counters.drop(Reason::OtherHost);
        }
        let parsed = ipv6::View::quoted(message::front(&data)).and_then(|view| {
            let header = ipv6::Header::parse(&view)?;
            Ok((header, view.upper()))
        });
        let Ok((header, upper)) = parsed else { return self.counters.drop(Reason::Ipv6) };
        let total = ipv6::HEADER + usize::from(header.payload_len);
        if total > data.len() {
            return self.counters.drop(Reason::Ipv6);
        }
        message::truncate(&mut data, total);
        let (source, destination) = (IpAddr::V6(header.source), IpAddr::V6(header.destination));
        let mut packet = Packet {
            source,
            destination,
            protocol: header.next_header,
            hops: header.hop_limit,
            class: self.addresses.class(destination),
            to_many: came.to_many,
            verified: came.verified,
            router_alert: false,
            put_together: None,
            ecn: header.ecn,
            segment: came.segment,
            data,
            at: ipv6::HEADER,
            len: 0,
            named_at: ipv6::NEXT_HEADER,
        };
        if !self.is_for_us(&packet, came) {
            return;
        }
        let upper = match upper {
            Ok(upper) => upper,
            Err(refused) => {
                self.counters.drop(Reason::Ipv6);
                if let Some(problem) = refused.problem {
                    self.complain(&packet, Complaint::Problem(problem), now);
                }
                return;
            }
        };
        packet.protocol = upper.protocol;
        packet.router_alert = upper.router_alert;
        packet.at = upper.offset;
        packet.named_at = upper.named_at;
        packet.len = total.saturating_sub(upper.offset);
        if let Some(fragment) = upper.fragment {
            if fragment.offset == 0 && fragment.more && !has_all_headers(&packet) {
                self.counters.drop(Reason::Ipv6);
                let problem = ipv6::Problem { code: 3, pointer: 0, also_multicast: false };
                return self.complain(&packet, Complaint::Problem(problem), now);
            }
            let key = Key { source, destination, id: fragment.identification, protocol: fragment.next_header.0 };
            match self.put_together(key, fragment.offset, fragment.more, packet, now) {
                Some(whole) => packet = whole,
                None => return,
            }
            if ipv6::extension::is_extension(packet.protocol) && !walk_on(&mut packet) {
                return self.counters.drop(Reason::Ipv6);
            }
        }
        if packet.protocol != Protocol::TCP {
            // What it says may concern the connection whose segments came before.
            self.settle_row(now);
        }
        match packet.protocol {
            Protocol::UDP => self.receive_udp(packet, now),
            Protocol::TCP => self.receive_tcp(packet, now),
            Protocol::ICMPV6 => self.receive_icmpv6(packet, now),
            // Nothing is in it, and nothing is wrong with it (RFC 8200 section 4.7).
            Protocol::NO_NEXT_HEADER => self.counters.drop(Reason::Protocol),
            _ => {
                self.counters.drop(Reason::Protocol);
                self.complain(&packet, Complaint::Protocol, now);
            }
        }
    }

    /// Whether the packet is for this host, and from one that it can be from.
    #[inline]
    fn is_for_us(&mut self, packet: &Packet, came: Came) -> bool {
        if !came.looped && self.has_impossible_source(packet) {
            self.counters.drop(Reason::Source);
            return false;
        }
        let ours = match packet.class {
            // RFC 1122 section 3.3.6: a packet for one host in a frame for many.
            Class::Ours => !packet.to_many,
            Class::Loopback => came.looped,
            Class::Broadcast => true,
            Class::Multicast => {
                came.looped || (self.is_in_group(packet.destination) && !stays_here(packet.destination))
            }
            // What tells whether another host has the address; and DHCP's answers before there is one (RFC 2131 section 4.1).
            Class::Tentative => packet.protocol == Protocol::ICMPV6,
            Class::Unspecified | Class::Other => false,
        };
        let ours = ours || self.is_for_dhcp(packet);
        if !ours {
            self.counters.drop(Reason::OtherHost);
        }
        ours
    }

    /// Whether nobody can send from this address (RFC 1122 section 3.2.1.3): not from one that is ours, nor from loopback, nor
    /// from that of everybody, whom an answer would reach then; nor from none, but to all. A v4-mapped address of IPv6 stands
    /// for one of IPv4 in this host (RFC 4291 section 2.5.5.2): on a wire it would be a way to speak for that one.
    #[inline]
    fn has_impossible_source(&self, packet: &Packet) -> bool {
        let source = packet.source;
        let to_one = !matches!(packet.class, Class::Broadcast | Class::Multicast);
        source.is_loopback()
            || matches!(source, IpAddr::V6(source) if source.to_ipv4_mapped().is_some())
            || (source.is_unspecified() && to_one)
            || self.addresses.is_broadcast(source)
            || (self.addresses.is_ours(source) && !is_neighbour_discovery(packet))
    }

    /// Takes in a fragment; gives the datagram if it was the last.
    #[cold]
    fn put_together(&mut self, key: Key, offset: u16, more: bool, mut packet: Packet, now: Time) -> Option<Packet> {
        let whole = match packet.data.as_single() {
            Some(_) => packet.data.pop_front(),
            None => message::copy(&packet.data, &self.pools).ok(),
        };
        let Some(whole) = whole else {
            self.counters.drop(Reason::NoBuffer);
            return None;
        };
        let evicted = self.reassembly.evicted();
        let outcome = self.reassembly.insert(key, offset, more, whole, packet.at, now);
        self.counters.add(Reason::FragmentFull, self.reassembly.evicted() - evicted);
        self.set_due();
        match outcome {
            Outcome::Waits => None,
            Outcome::Complete(datagram) => {
                self.counters.reassembled += 1;
                packet.protocol = Protocol(datagram.protocol);
                packet.data = datagram.payload;
                packet.ecn = datagram.ecn;
                packet.put_together = Some(packet.protocol);
                packet.named_at = ipv6::NEXT_HEADER;
                packet.segment = 0;
                // A transport's header is read from one piece.
                if message::gather(&mut packet.data, udp::HEADER, &self.pools).is_err() {
                    self.counters.drop(Reason::NoBuffer);
                    return None;
                }
                packet.at = 0;
                packet.len = packet.data.len();
                packet.verified = false; // a device looks at each part for itself
                Some(packet)
            }
            Outcome::Refused(refusal, fragment) => {
                self.refuse(refusal, more, fragment, packet, now);
                None
            }
        }
    }

    fn refuse(&mut self, refusal: Refusal, more: bool, fragment: Buf, mut packet: Packet, now: Time) {
        let pointer = match refusal {
            Refusal::TooMany => return self.counters.drop(Reason::FragmentFull),
            Refusal::Length if more => 4,
            Refusal::Duplicate | Refusal::Overlap | Refusal::Congestion | Refusal::Length => {
                return self.counters.drop(Reason::FragmentBad);
            }
            Refusal::TooLong => packet.at.saturating_sub(ipv6::extension::FRAGMENT) + 2,
        };
        self.counters.drop(Reason::FragmentBad);
        // Also of one that is not the first (RFC 8200 section 4.5).
        if packet.source.is_ipv6() {
            packet.data = fragment.into();
            let problem = ipv6::Problem { code: 0, pointer: pointer as u32, also_multicast: false };
            self.complain(&packet, Complaint::Problem(problem), now);
        }
    }
}

/// Whether it is what may also come from one of our own addresses: a neighbour solicitation or advertisement, which tells of a
/// conflict.
#[cold]
fn is_neighbour_discovery(packet: &Packet) -> bool {
    let kind = message::front(&packet.data).get(packet.at);
    packet.protocol == Protocol::ICMPV6 && packet.hops == 255 && matches!(kind, Some(135 | 136))
}

/// Whether a first fragment of IPv6 has every header up to the transport's, as it must (RFC 8200 section 4.5, RFC 7112
/// section 5): what follows could say anything of them otherwise.
#[cold]
fn has_all_headers(packet: &Packet) -> bool {
    let bytes = message::front(&packet.data).get(packet.at..).unwrap_or_default();
    let (protocol, rest) = if ipv6::extension::is_extension(packet.protocol) {
        match ipv6::walk(packet.protocol, packet.named_at, bytes, packet.at) {
            Ok(upper) => (upper.protocol, bytes.get(upper.offset - packet.at..).unwrap_or_default()),
            // What else is wrong is found once the datagram is whole.
            Err(refused) => return refused.why != Malformed::Truncated,
        }
    } else {
        (packet.protocol, bytes)
    };
    rest.len()
        >= match protocol {
            Protocol::UDP | Protocol::ICMPV6 => udp::HEADER,
            Protocol::TCP => tcp::HEADER,
            _ => 0,
        }
}

/// Goes over the extension headers behind a fragment header (RFC 8200 section 4.5).
fn walk_on(packet: &mut Packet) -> bool {
    let bytes = message::front(&packet.data).get(packet.at..).unwrap_or_default();
    match ipv6::walk(packet.protocol, packet.named_at, bytes, packet.at) {
        // A fragment in a fragment is nobody's.
        Ok(upper) if upper.fragment.is_none() => {
            let skipped = upper.offset - packet.at;
            packet.protocol = upper.protocol;
            packet.at = upper.offset;
            packet.named_at = ipv6::HEADER + upper.named_at;
            packet.len = packet.len.saturating_sub(skipped);
            true
        }
        _ => false,
    }
}
