// SPDX-License-Identifier: MIT OR Apache-2.0
//! Multicast: which groups this interface hears, and the packets of IGMP and MLD (RFC 3376 section 4, RFC 3810 section 5).

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use runtime::Result;
use runtime::time::Time;

use super::input::Packet;
use super::output::{v4_header, v6_header};
use super::{Stack, message};
use crate::counters::Reason;
use crate::limits::ACTIONS_PER_POLL;
use crate::multicast::{Message, Report};
use crate::udp::Target;
use crate::wire::checksum::pseudo_header;
use crate::wire::ipv6::extension::{ROUTER_ALERT, router_alert};
use crate::wire::{MacAddress, Protocol, icmpv6, igmp, ipv4, ipv6, mld};

/// No router forwards them (RFC 2236 section 2, RFC 3810 section 5).
const HOPS: u8 = 1;
/// Who is asked for all groups (RFC 3376 section 4.1.12).
const ALL_SYSTEMS: IpAddr = IpAddr::V4(Ipv4Addr::new(224, 0, 0, 1));

impl Stack {
    /// Whether packets to a group are for this host.
    pub(super) fn is_in_group(&self, group: IpAddr) -> bool {
        self.groups.is_member(group)
    }

    pub(super) fn join_group(&mut self, group: IpAddr, now: Time) -> Result<()> {
        self.groups.join(group, now)?;
        self.set_due();
        Ok(())
    }

    pub(super) fn leave_group(&mut self, group: IpAddr, now: Time) {
        // It was joined before, or is one that is never left.
        let _ = self.groups.leave(group, now);
        self.set_due();
    }

    pub(super) fn receive_igmp(&mut self, packet: &Packet, now: Time) {
        let bytes = message::front(&packet.data).get(packet.at..).unwrap_or_default();
        let parsed = igmp::View::new(bytes).ok().filter(|view| packet.hops == HOPS && view.checksum_is_right());
        match parsed.map(|view| igmp::Header::parse(&view)) {
            Some(Ok(header)) if self.is_from_this_link(packet, &header) => {
                self.groups.heard_igmp(&header, now);
                self.set_due();
            }
            _ => self.counters.drop(Reason::GroupReport),
        }
    }

    /// Whether a message of IGMP is what routers and members of this link send, as far as its packet tells (RFC 3376 section 9.1,
    /// RFC 2236 section 10): one hop alone can be had from further away, too.
    fn is_from_this_link(&self, packet: &Packet, header: &igmp::Header) -> bool {
        match header {
            igmp::Header::Query(query) => {
                let general = query.group.is_unspecified();
                let astray = general && packet.destination.is_multicast() && packet.destination != ALL_SYSTEMS;
                // Version 1 is older than the option.
                !astray && (packet.router_alert || query.version() == 1)
            }
            // It would keep us from answering.
            igmp::Header::ReportV1(_) | igmp::Header::ReportV2(_) => {
                self.addresses.iter().any(|here| here.prefix.contains(packet.source))
            }
            igmp::Header::Leave(_) | igmp::Header::ReportV3(_) => true,
        }
    }

    pub(super) fn receive_mld(&mut self, packet: &Packet, now: Time) {
        let bytes = message::front(&packet.data).get(packet.at..).unwrap_or_default();
        // RFC 3810 section 5.1.14: from a router of this link, and not through another.
        let link_local = matches!(packet.source, IpAddr::V6(source) if source.is_unicast_link_local());
        let legal = packet.hops == HOPS && link_local && packet.router_alert;
        match mld::View::new(bytes).ok().filter(|_| legal).map(|view| mld::Header::parse(&view)) {
            Some(Ok(header)) => {
                self.groups.heard_mld(&header, now);
                self.set_due();
            }
            _ => self.counters.drop(Reason::GroupReport),
        }
    }

    pub(super) fn poll_groups(&mut self, now: Time) {
        for _ in 0..ACTIONS_PER_POLL {
            let Some(Report { to, message }) = self.groups.poll(now) else { return };
            let sent = match (to, &message) {
                (IpAddr::V4(to), Message::Igmp(header)) => self.report_v4(to, header),
                (IpAddr::V6(to), Message::Mld(header)) => self.report_v6(to, header),
                _ => Ok(()),
            };
            if sent.is_err() {
                self.counters.drop(Reason::NoBuffer);
            }
        }
    }

    /// Sends a report of IPv4 to a group, from no address if there is none yet (RFC 3376 section 4.2.13).
    fn report_v4(&mut self, to: Ipv4Addr, header: &igmp::Header) -> Result<()> {
        let source = match self.addresses.source_for(IpAddr::V4(to)) {
            Some(IpAddr::V4(source)) => source,
            _ => Ipv4Addr::UNSPECIFIED,
        };
        let value = v4_header(source, to, HOPS, Protocol::IGMP);
        let ip = ipv4::Header { payload_len: header.len() as u16, router_alert: true, ..value };
        let packet = self.pools.alloc_filled(ip.len() + header.len(), |bytes| {
            ip.emit(bytes);
            header.emit(bytes.get_mut(ip.len()..).unwrap_or_default());
        })?;
        self.send_ip(MacAddress::multicast_of(IpAddr::V4(to)), packet.into());
        Ok(())
    }

    /// Sends a report of IPv6 to a group, from the link-local address if it is in use (RFC 3590).
    fn report_v6(&mut self, to: Ipv6Addr, header: &mld::Header) -> Result<()> {
        let link_local = self.addresses.iter().find_map(|here| match here.prefix.address() {
            IpAddr::V6(address) if address.is_unicast_link_local() && self.addresses.is_ours(address.into()) => {
                Some(address)
            }
            _ => None,
        });
        let source = link_local.unwrap_or(Ipv6Addr::UNSPECIFIED);
        let len = header.len();
        let ip = v6_header(source, to, HOPS, Protocol::HOP_BY_HOP, ROUTER_ALERT + len);
        let packet = self.pools.alloc_filled(ipv6::HEADER + ROUTER_ALERT + len, |bytes| {
            ip.emit(bytes);
            let Some((option, message)) =
                bytes.get_mut(ipv6::HEADER..).and_then(|rest| rest.split_at_mut_checked(ROUTER_ALERT))
            else {
                return;
            };
            option.copy_from_slice(&router_alert(Protocol::ICMPV6));
            header.emit(message);
            let (source, to) = (IpAddr::V6(source), IpAddr::V6(to));
            icmpv6::complete_whole(message, pseudo_header(source, to, Protocol::ICMPV6.0, len as u32));
        })?;
        self.hand_over(Target::Group(MacAddress::multicast_of(IpAddr::V6(to))), packet.into(), Time::ZERO)
    }
}
