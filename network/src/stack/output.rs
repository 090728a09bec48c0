// SPDX-License-Identifier: MIT OR Apache-2.0
//! From a transport's message to frames: route and source, path MTU, fragments, neighbour, headers (RFC 1122 section 3.3,
//! RFC 894, RFC 2464).
//!
//! What must always hold: the payload is not copied; headers stand in its headroom, or in a buffer of their own where
//! somebody else may see that memory. Frames of what a socket sends never exceed the output's bound, since the socket waits.

use core::net::IpAddr;

use runtime::buf::Sga;
use runtime::device::{Checksum, Frame};
use runtime::time::Time;
use runtime::{Errno, Error, Result};

use super::{Stack, message};
use crate::counters::Reason;
use crate::ip::addresses::Class;
use crate::ip::fragment::fragments;
use crate::limits::{LOOPBACK_MAX, OUTPUT_FRAMES_MAX, UDP_SEGMENTS_MAX};
use crate::link::neighbours::{Reason as Lost, Resolved};
use crate::multicast::stays_here;
use crate::udp::{Path, Target};
use crate::wire::checksum::{Sum, pseudo_header};
use crate::wire::{Ecn, EtherType, MacAddress, Protocol, ethernet, icmpv4, icmpv6, ipv4, ipv6, udp, vlan};

/// Ethernet, a VLAN tag, IPv6, and a transport's eight bytes.
pub(super) const HEADERS_MAX: usize = ethernet::HEADER + vlan::HEADER + ipv6::HEADER + TRANSPORT;
const TRANSPORT: usize = 8;

const NO_ROUTE: Error = Error::new(Errno::NETUNREACH, "no route to this address");
const NO_SOURCE: Error = Error::new(Errno::NETUNREACH, "no address of ours to send from");
pub(super) const NO_NEIGHBOUR: Error = Error::new(Errno::HOSTUNREACH, "the next hop does not answer");
pub(super) const TOO_LONG: Error = Error::new(Errno::MSGSIZE, "longer than a packet can be");
const QUEUE_FULL: Error = Error::new(Errno::NOBUFS, "too many packets wait for hardware addresses");

/// The header in front of a payload.
#[derive(Clone, Copy, Debug)]
pub(super) enum Head {
    /// None: the payload is the whole message, its checksum complete.
    Whole(Protocol),
    Udp(udp::Header),
    Icmpv4(icmpv4::Header),
    Icmpv6(icmpv6::Header),
}

impl Head {
    const fn protocol(&self) -> Protocol {
        match self {
            Self::Whole(protocol) => *protocol,
            Self::Udp(_) => Protocol::UDP,
            Self::Icmpv4(_) => Protocol::ICMPV4,
            Self::Icmpv6(_) => Protocol::ICMPV6,
        }
    }

    const fn len(&self) -> usize {
        if matches!(self, Self::Whole(_)) { 0 } else { TRANSPORT }
    }

    /// Writes the header to the front of `out`, its checksum by the payload.
    fn emit(&self, out: &mut [u8], path: &Path, payload: &Sga) {
        let rest = |covers_addresses: bool| {
            let len = payload.len();
            let mut rest = if covers_addresses {
                // A length that does not fit was refused.
                pseudo_header(path.source, path.destination, self.protocol().0, (len + TRANSPORT) as u32)
            } else {
                Sum::new()
            };
            message::sum(payload, 0, len, &mut rest);
            rest
        };
        match self {
            Self::Whole(_) => {}
            Self::Udp(header) => {
                header.emit(out);
                udp::complete(out, rest(true));
            }
            Self::Icmpv4(header) => {
                header.emit(out);
                icmpv4::complete(out, rest(false));
            }
            Self::Icmpv6(header) => {
                header.emit(out);
                icmpv6::complete(out, rest(true));
            }
        }
    }
}

/// How a packet goes out, beside its path.
#[derive(Clone, Copy, Debug)]
pub(super) struct How {
    pub hops: u8,
    pub head: Head,
}

impl Stack {
    /// The way to a destination, from `source` if that is named.
    ///
    /// What must always hold: the source is an address of ours, of the family of the destination, and one of loopback only
    /// where the packet does not leave this host (RFC 1122 section 3.2.1.3, RFC 4862 section 5.5.4).
    pub(super) fn route(&self, destination: IpAddr, source: Option<IpAddr>) -> Result<Path> {
        let class = self.addresses.class(destination);
        let target = match class {
            Class::Ours | Class::Loopback => Target::Loop,
            Class::Broadcast => Target::Broadcast,
            Class::Multicast if stays_here(destination) => Target::Loop,
            Class::Multicast => Target::Group(MacAddress::multicast_of(destination)),
            Class::Unspecified => return Err(NO_ROUTE),
            Class::Tentative | Class::Other => {
                let hop = self.routes.lookup(destination).ok_or(NO_ROUTE)?;
                Target::Neighbour(self.redirects.next_hop(destination, hop))
            }
        };
        let source = match source {
            Some(source) => source,
            None if matches!(class, Class::Ours | Class::Loopback) => destination,
            None => self.addresses.source_for(destination).ok_or(NO_SOURCE)?,
        };
        let may = self.addresses.is_ours(source) || (source.is_loopback() && target == Target::Loop);
        if !may || source.is_ipv4() != destination.is_ipv4() {
            return Err(NO_SOURCE);
        }
        Ok(Path { source, destination, target, epoch: self.epoch })
    }

    /// Whether a socket's packet has room.
    #[inline]
    pub(super) fn has_room(&self) -> bool {
        self.output.len() < OUTPUT_FRAMES_MAX && self.loopback.len() < LOOPBACK_MAX
    }

    /// Sends a message, which is taken unless the error is `EMSGSIZE` or `EHOSTUNREACH`. Lost ones are counted here.
    #[inline]
    pub(super) fn send_packet(&mut self, path: &Path, how: &How, payload: &mut Sga, now: Time) -> Result<()> {
        let ip_len = if path.source.is_ipv4() { ipv4::HEADER } else { ipv6::HEADER };
        let payload_len = payload.len();
        let len = how.head.len() + payload_len;
        if path.target == Target::Loop {
            return self.loop_back(path, how, payload);
        }
        let mtu = self.path_mtus.get(path.destination, now);
        if ip_len + len > usize::from(mtu.bytes) {
            self.has_not_failed(path.target, now)?;
            return self.send_fragments(path, how, payload, usize::from(mtu.bytes), now);
        }
        let mac = match path.target {
            Target::Loop | Target::Broadcast => MacAddress::BROADCAST,
            Target::Group(mac) => mac,
            Target::Neighbour(neighbour) => match self.neighbours.lookup(neighbour, now) {
                Some(mac) => mac,
                None => return self.send_later(path, how, payload, neighbour, mtu.dont_fragment, now),
            },
        };
        let identification = self.identification(path, how.head.protocol(), mtu.dont_fragment);
        let link_len = self.link_len();
        let mut headers = [0; HEADERS_MAX];
        let headers_len = link_len + ip_len + how.head.len();
        let Some(headers) = headers.get_mut(..headers_len) else { return Err(TOO_LONG) };
        self.emit_link(headers, mac, ether_type(path.source));
        emit_ip(
            headers.get_mut(link_len..).unwrap_or_default(),
            path,
            how.hops,
            how.head.protocol(),
            len,
            identification,
        );
        let mut checksum = Checksum::Complete;
        let at = link_len + ip_len;
        let transport = headers.get_mut(at..).unwrap_or_default();
        match how.head {
            Head::Udp(header) if self.caps.checksum => {
                header.emit(transport);
                udp::partial(transport, pseudo_header(path.source, path.destination, Protocol::UDP.0, len as u32));
                checksum = Checksum::Partial { start: at as u16, offset: udp::CHECKSUM as u16 };
            }
            head => head.emit(transport, path, payload),
        }
        message::prepend(payload, headers, usize::from(self.caps.headroom), &self.pools)?;
        self.push_frame(
            Frame { data: core::mem::take(payload), checksum, segmentation: None },
            headers_len + payload_len,
        );
        Ok(())
    }

    /// A packet to this host itself: it waits until the next poll, and its checksum is not looked at.
    fn loop_back(&mut self, path: &Path, how: &How, payload: &mut Sga) -> Result<()> {
        // A socket that finds no room waits; what one push makes has it.
        if self.loopback.len() >= LOOPBACK_MAX + UDP_SEGMENTS_MAX {
            self.counters.drop(Reason::LoopbackFull);
            return Ok(());
        }
        // What the sender can still write to must not change once it was sent.
        if payload.iter().any(|segment| segment.ref_count() > 1 || segment.loan_token().is_some()) {
            *payload = message::copy(payload, &self.pools)?.into();
        }
        let ip_len = if path.source.is_ipv4() { ipv4::HEADER } else { ipv6::HEADER };
        let mut headers = [0; HEADERS_MAX];
        let headers = headers.get_mut(..ip_len + how.head.len()).unwrap_or_default();
        emit_ip(headers, path, how.hops, how.head.protocol(), how.head.len() + payload.len(), None);
        how.head.emit(headers.get_mut(ip_len..).unwrap_or_default(), path, payload);
        message::prepend(payload, headers, 0, &self.pools)?;
        self.counters.looped += 1;
        self.loopback.push_back(core::mem::take(payload));
        Ok(())
    }

    /// A packet whose next hop's hardware address is not known yet.
    #[inline(never)]
    fn send_later(
        &mut self,
        path: &Path,
        how: &How,
        payload: &mut Sga,
        neighbour: IpAddr,
        dont_fragment: bool,
        now: Time,
    ) -> Result<()> {
        self.has_not_failed(path.target, now)?;
        let ip_len = if path.source.is_ipv4() { ipv4::HEADER } else { ipv6::HEADER };
        let mut headers = [0; HEADERS_MAX];
        let headers = headers.get_mut(..ip_len + how.head.len()).unwrap_or_default();
        let identification = self.identification(path, how.head.protocol(), dont_fragment);
        emit_ip(headers, path, how.hops, how.head.protocol(), how.head.len() + payload.len(), identification);
        how.head.emit(headers.get_mut(ip_len..).unwrap_or_default(), path, payload);
        message::prepend(payload, headers, usize::from(self.caps.headroom) + self.link_len(), &self.pools)?;
        self.hand_to(neighbour, core::mem::take(payload), now)
    }

    /// What a whole packet is called, should a router have to cut it. One that is not to be cut needs no name (RFC 6864 section 4.1).
    #[inline]
    fn identification(&mut self, path: &Path, protocol: Protocol, dont_fragment: bool) -> Option<u16> {
        // The low bits, as `Identifications::next` has it.
        (!dont_fragment).then(|| self.identifications.next(path.source, path.destination, protocol.0) as u16)
    }

    /// Fails for a neighbour that did not answer a moment ago, while the message is still as it was.
    pub(super) fn has_not_failed(&mut self, target: Target, now: Time) -> Result<()> {
        use crate::link::neighbours::State;
        if let Target::Neighbour(neighbour) = target
            && self.neighbours.get(neighbour, now).is_some_and(|known| known.state == State::Failed)
        {
            self.counters.drop(Reason::NeighbourFailed);
            return Err(NO_NEIGHBOUR);
        }
        Ok(())
    }

    /// Gives a whole IP packet to a neighbour, now or once its hardware address is known.
    pub(super) fn hand_to(&mut self, neighbour: IpAddr, packet: Sga, now: Time) -> Result<()> {
        let resolved = self.neighbours.resolve(neighbour, packet, now);
        self.count_lost();
        match resolved {
            Resolved::Send(mac, packet) => {
                self.send_ip(mac, packet);
                Ok(())
            }
            Resolved::Waits => Ok(()),
            Resolved::Dropped(Lost::Unreachable) => {
                self.counters.drop(Reason::NeighbourFailed);
                Err(NO_NEIGHBOUR)
            }
            Resolved::Dropped(Lost::QueueFull | Lost::TableFull) => {
                self.counters.drop(Reason::NeighbourFull);
                Err(QUEUE_FULL)
            }
        }
    }

    /// Gives a whole IP packet to whom the path says.
    pub(super) fn hand_over(&mut self, target: Target, packet: Sga, now: Time) -> Result<()> {
        match target {
            Target::Loop => {
                self.counters.looped += 1;
                self.loopback.push_back(packet);
                Ok(())
            }
            Target::Broadcast => {
                self.send_ip(MacAddress::BROADCAST, packet);
                Ok(())
            }
            Target::Group(mac) => {
                self.send_ip(mac, packet);
                Ok(())
            }
            Target::Neighbour(neighbour) => self.hand_to(neighbour, packet, now),
        }
    }

    /// A datagram that does not fit into one packet (RFC 791 section 2.3, RFC 8200 section 4.5). Routers may cut the fragments
    /// of IPv4 further.
    #[inline(never)]
    fn send_fragments(&mut self, path: &Path, how: &How, payload: &mut Sga, mtu: usize, now: Time) -> Result<()> {
        let is_v4 = path.source.is_ipv4();
        let headers_len = if is_v4 { ipv4::HEADER } else { ipv6::HEADER + ipv6::extension::FRAGMENT };
        let len = how.head.len() + payload.len();
        if len + if is_v4 { headers_len } else { 0 } > usize::from(u16::MAX) {
            return Err(TOO_LONG);
        }
        let mut head = [0; TRANSPORT];
        let head = head.get_mut(..how.head.len()).unwrap_or_default();
        how.head.emit(head, path, payload);
        message::prepend(payload, head, 0, &self.pools)?;
        let protocol = how.head.protocol();
        let identification = self.identifications.next(path.source, path.destination, protocol.0);
        self.counters.fragmented += 1;
        for fragment in fragments(core::mem::take(payload), mtu.saturating_sub(headers_len))? {
            let mut fragment = fragment?;
            let len = fragment.payload.len();
            let mut headers = [0; HEADERS_MAX];
            let headers = headers.get_mut(..headers_len).unwrap_or_default();
            match (path.source, path.destination) {
                (IpAddr::V4(source), IpAddr::V4(destination)) => ipv4::Header {
                    payload_len: len as u16,
                    identification: identification as u16,
                    more_fragments: fragment.more,
                    fragment_offset: fragment.offset,
                    ..v4_header(source, destination, how.hops, protocol)
                }
                .emit(headers),
                (IpAddr::V6(source), IpAddr::V6(destination)) => {
                    let len = len + ipv6::extension::FRAGMENT;
                    v6_header(source, destination, how.hops, Protocol::FRAGMENT, len).emit(headers);
                    let extension = ipv6::Fragment {
                        next_header: protocol,
                        offset: fragment.offset,
                        more: fragment.more,
                        identification,
                    };
                    extension.emit(headers.get_mut(ipv6::HEADER..).unwrap_or_default());
                }
                _ => return Err(NO_ROUTE),
            }
            message::prepend(&mut fragment.payload, headers, usize::from(self.caps.headroom), &self.pools)?;
            self.hand_over(path.target, fragment.payload, now)?;
        }
        Ok(())
    }

    /// Bytes of the link's headers.
    #[inline]
    pub(super) const fn link_len(&self) -> usize {
        if self.vlan.is_some() { ethernet::HEADER + vlan::HEADER } else { ethernet::HEADER }
    }

    /// Writes the link's headers to the front of `out`.
    #[inline]
    pub(super) fn emit_link(&self, out: &mut [u8], destination: MacAddress, ether_type: EtherType) {
        let mut header = ethernet::Header { destination, source: self.mac, ether_type };
        if let Some(id) = self.vlan {
            header.ether_type = EtherType::VLAN;
            let tag = vlan::Header { id, priority: 0, drop_eligible: false, ether_type };
            tag.emit(out.get_mut(ethernet::HEADER..).unwrap_or_default());
        }
        header.emit(out);
    }

    /// Sends an IP packet to a station; lost if there is no buffer.
    pub(super) fn send_ip(&mut self, to: MacAddress, packet: Sga) {
        let version = message::front(&packet).first().map_or(0, |byte| byte >> 4);
        self.send_link(to, if version == 4 { EtherType::IPV4 } else { EtherType::IPV6 }, packet);
    }

    /// Sends a packet of any type to a station; lost if there is no buffer.
    pub(super) fn send_link(&mut self, to: MacAddress, ether_type: EtherType, mut packet: Sga) {
        let mut headers = [0; HEADERS_MAX];
        let headers = headers.get_mut(..self.link_len()).unwrap_or_default();
        self.emit_link(headers, to, ether_type);
        if message::prepend(&mut packet, headers, usize::from(self.caps.headroom), &self.pools).is_err() {
            self.counters.drop(Reason::NoBuffer);
            return;
        }
        let len = packet.len();
        self.push_frame(packet.into(), len);
    }

    /// Puts a frame of so many bytes behind the others.
    #[inline]
    pub(super) fn push_frame(&mut self, frame: Frame, len: usize) {
        self.push_frame_with(|| frame, len);
    }

    /// The same with a frame that is made where it is to lie.
    #[inline(always)]
    pub(super) fn push_frame_with(&mut self, frame: impl FnOnce() -> Frame, len: usize) {
        if !self.output.push_back_with(frame) {
            return self.counters.drop(Reason::OutputFull);
        }
        self.counters.frames_sent += 1;
        self.counters.bytes_sent += len as u64;
    }
}

pub(super) const fn ether_type(source: IpAddr) -> EtherType {
    match source {
        IpAddr::V4(_) => EtherType::IPV4,
        IpAddr::V6(_) => EtherType::IPV6,
    }
}

/// A header of a packet of `len` bytes behind it that is whole; both addresses are of one family. With an identification, routers of IPv4 may
/// cut it.
#[inline]
pub(super) fn emit_ip(
    out: &mut [u8],
    path: &Path,
    hops: u8,
    protocol: Protocol,
    len: usize,
    identification: Option<u16>,
) {
    match (path.source, path.destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let (dont_fragment, identification) = (identification.is_none(), identification.unwrap_or(0));
            let header = v4_header(source, destination, hops, protocol);
            ipv4::Header { payload_len: len as u16, dont_fragment, identification, ..header }.emit(out);
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => v6_header(source, destination, hops, protocol, len).emit(out),
        _ => debug_assert!(false, "a path has one family"),
    }
}

#[inline]
pub(super) const fn v4_header(
    source: core::net::Ipv4Addr,
    destination: core::net::Ipv4Addr,
    ttl: u8,
    protocol: Protocol,
) -> ipv4::Header {
    ipv4::Header {
        dscp: 0,
        ecn: Ecn::NotCapable,
        payload_len: 0,
        identification: 0,
        dont_fragment: false,
        more_fragments: false,
        fragment_offset: 0,
        ttl,
        protocol,
        source,
        destination,
        router_alert: false,
    }
}

#[inline]
pub(super) const fn v6_header(
    source: core::net::Ipv6Addr,
    destination: core::net::Ipv6Addr,
    hop_limit: u8,
    next_header: Protocol,
    len: usize,
) -> ipv6::Header {
    ipv6::Header {
        dscp: 0,
        ecn: Ecn::NotCapable,
        flow_label: 0,
        payload_len: len as u16,
        next_header,
        hop_limit,
        source,
        destination,
    }
}
