// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a router says about packets that it does not forward (RFC 792, RFC 1191 section 4, RFC 4443 section 3).

use core::net::IpAddr;

use runtime::time::Time;

use super::Router;
use crate::ip::errors::{Complaint, Offender, may_answer, quoted};
use crate::sim::frames;
use crate::wire::{icmpv4, icmpv6, ipv4, ipv6};

/// Why a packet does not go on.
#[derive(Clone, Copy)]
pub(super) enum Trouble {
    /// The next link's MTU.
    TooBig(u16),
    Expired,
    NoRoute,
}

impl Router {
    /// Counts a packet that does not go on, and tells its sender, unless the router is silent.
    pub(super) fn tell(&mut self, at: usize, trouble: Trouble, packet: &[u8], now: Time) {
        match trouble {
            Trouble::TooBig(_) => self.counters.too_big += 1,
            Trouble::Expired => self.counters.expired += 1,
            Trouble::NoRoute => self.counters.unreachable += 1,
        }
        if self.silent {
            return;
        }
        let interface = &self.interfaces[at];
        let (error, source) = if let Ok(view) = ipv4::View::new(packet) {
            let source = IpAddr::V4(view.source());
            let offender = Offender {
                source,
                destination: view.destination().into(),
                broadcast: false,
                to_many: false,
                offset: view.fragment_offset(),
                protocol: view.protocol().0,
                payload: view.payload(),
            };
            if !may_answer(&offender, Complaint::Usual) {
                return;
            }
            let header = match trouble {
                Trouble::TooBig(mtu) => {
                    icmpv4::Header::Unreachable { code: icmpv4::Unreachable::FRAGMENTATION_NEEDED, mtu }
                }
                Trouble::Expired => icmpv4::Header::TimeExceeded { code: 0 },
                Trouble::NoRoute => icmpv4::Header::Unreachable { code: icmpv4::Unreachable::NETWORK, mtu: 0 },
            };
            let quote = &packet[..quoted(source, packet.len())];
            (frames::icmpv4_packet(interface.v4(), view.source(), &header, quote), source)
        } else if let Ok(view) = ipv6::View::new(packet) {
            let source = IpAddr::V6(view.source());
            let upper = view.upper().ok();
            let offender = Offender {
                source,
                destination: view.destination().into(),
                broadcast: false,
                to_many: false,
                // A fragment is answered, too: the quote has the first one's ports or is of no use.
                offset: 0,
                protocol: upper.map_or(view.next_header(), |upper| upper.protocol).0,
                payload: upper.and_then(|upper| packet.get(upper.offset..)).unwrap_or_default(),
            };
            if !may_answer(&offender, Complaint::EvenToMany) {
                return;
            }
            let header = match trouble {
                Trouble::TooBig(mtu) => icmpv6::Header::PacketTooBig { mtu: u32::from(mtu) },
                Trouble::Expired => icmpv6::Header::TimeExceeded { code: 0 },
                Trouble::NoRoute => icmpv6::Header::Unreachable { code: icmpv6::Unreachable::NO_ROUTE },
            };
            let quote = &packet[..quoted(source, packet.len())];
            (frames::icmpv6_packet(interface.v6(), view.source(), &header, quote), source)
        } else {
            return;
        };
        if let Some((to, hop)) = self.route(source) {
            self.forward(to, hop, &error, now);
        }
    }
}
