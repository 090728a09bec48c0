// SPDX-License-Identifier: MIT OR Apache-2.0
//! UDP datagrams on their way to sockets (RFC 768, RFC 1122 section 4.1, RFC 8200 section 8.1).

use core::net::SocketAddr;

use runtime::time::Time;

use super::icmp::Complaint;
use super::input::Packet;
use super::{Stack, message};
use crate::counters::Reason;
use crate::ip::addresses::Class;
use crate::limits::UDP_SEGMENTS_MAX;
use crate::udp::{Datagram, Flow, Kind, Local};
use crate::wire::checksum::pseudo_header;
use crate::wire::dhcpv4::CLIENT_PORT;
use crate::wire::{Protocol, udp};

impl Stack {
    #[inline]
    pub(super) fn receive_udp(&mut self, mut packet: Packet, now: Time) {
        let bytes = message::front(&packet.data).get(packet.at..).unwrap_or_default();
        let Ok(view) = udp::View::of_front(bytes, packet.len) else { return self.counters.drop(Reason::Udp) };
        let Ok(header) = udp::Header::parse(&view) else { return self.counters.drop(Reason::Udp) };
        let len = usize::from(view.length());
        // None in IPv4 means that the sender made none; IPv6 does not allow that, even if the device has found nothing wrong.
        let is_right = if view.checksum() == 0 {
            packet.source.is_ipv4()
        } else if packet.verified {
            true
        } else {
            let mut sum = pseudo_header(packet.source, packet.destination, Protocol::UDP.0, len as u32);
            message::sum(&packet.data, packet.at, packet.at + len, &mut sum);
            sum.is_right()
        };
        if !is_right {
            return self.counters.drop(Reason::UdpChecksum);
        }
        let local = Local { kind: Kind::Udp, address: packet.destination, port: header.destination };
        let flow = Flow { local, address: packet.source, port: header.source };
        if header.destination == CLIENT_PORT && self.is_for_dhcp(&packet) {
            return self.receive_dhcp(packet, now);
        }
        if matches!(packet.class, Class::Broadcast | Class::Multicast) {
            return self.receive_for_many(packet, &flow, len);
        }
        let Some(index) = self.sockets.find(&flow) else {
            self.counters.drop(Reason::NoSocket);
            return self.complain(&packet, Complaint::Port, now);
        };
        // One of this host with itself has no short way, which could not tell it from a frame that says the same
        // (RFC 1122 section 3.2.1.3).
        let is_own = packet.source.is_loopback() || self.addresses.is_ours(packet.source);
        if packet.class == Class::Ours && !is_own {
            self.sockets.remember(&flow, index, self.epoch);
        }
        message::truncate(&mut packet.data, packet.at + len);
        packet.data.trim_front(packet.at + udp::HEADER);
        let datagram = Datagram {
            from: SocketAddr::new(packet.source, header.source),
            hops: packet.hops,
            sequence: 0,
            data: packet.data,
            len: u32::from(header.payload_len),
        };
        if packet.segment > 0 {
            self.deliver_each(index, datagram, packet.segment);
        } else {
            self.deliver(index, datagram);
        }
    }

    /// Delivers the datagrams that one frame of the device stands for, of so many bytes each and a last one of what is left.
    #[cold]
    fn deliver_each(&mut self, index: u32, datagram: Datagram, segment: u16) {
        let Datagram { from, hops, mut data, len, .. } = datagram;
        let (mut left, each) = (len, u32::from(segment));
        if left.div_ceil(each.max(1)) as usize > UDP_SEGMENTS_MAX {
            return self.counters.drop(Reason::Udp);
        }
        while left > each {
            let Ok(front) = data.split_front(usize::from(segment)) else { return self.counters.drop(Reason::NoBuffer) };
            self.deliver(index, Datagram { from, hops, sequence: 0, data: front, len: each });
            left -= each;
        }
        self.deliver(index, Datagram { from, hops, sequence: 0, data, len: left });
    }

    /// One for a group or for everybody: each socket that is to have it gets a view of it.
    fn receive_for_many(&mut self, mut packet: Packet, flow: &Flow, len: usize) {
        message::truncate(&mut packet.data, packet.at + len);
        packet.data.trim_front(packet.at + udp::HEADER);
        let mut found = core::mem::take(&mut self.hearers);
        found.clear();
        self.sockets.find_many(flow, self.addresses.iter().map(|here| here.prefix.address()), &mut found);
        if found.is_empty() {
            self.counters.drop(Reason::NoSocket);
        }
        let last = found.last().copied();
        for index in found.iter().copied() {
            let data = if Some(index) == last { Ok(core::mem::take(&mut packet.data)) } else { packet.data.view() };
            let Ok(data) = data else {
                self.counters.drop(Reason::NoBuffer);
                continue;
            };
            let datagram = Datagram {
                from: SocketAddr::new(packet.source, flow.port),
                hops: packet.hops,
                sequence: 0,
                data,
                len: len.saturating_sub(udp::HEADER) as u32,
            };
            if packet.segment > 0 {
                self.deliver_each(index, datagram, packet.segment);
            } else {
                self.deliver(index, datagram);
            }
        }
        self.hearers = found;
    }

    /// Puts a datagram into a socket, or counts it.
    #[inline]
    pub(super) fn deliver(&mut self, index: u32, datagram: Datagram) {
        let buffers = datagram.data.segments();
        if self.sockets.deliver(index, datagram.len, || datagram, self.held >= self.held_max) {
            self.held += buffers;
            self.counters.datagrams_received += 1;
        } else {
            self.counters.drop(Reason::ReceiveFull);
        }
    }
}
