// SPDX-License-Identifier: MIT OR Apache-2.0
//! ARP (RFC 826, RFC 5227): questions for our addresses are answered, and what is said about others goes to the neighbour
//! cache and to the claims.

use core::net::{IpAddr, Ipv4Addr};

use runtime::buf::Sga;
use runtime::time::Time;

use super::{Stack, message};
use crate::counters::Reason;
use crate::link::claim::Evidence;
use crate::link::neighbours::{Heard, Kind};
use crate::wire::arp::{Header, Operation, PACKET, View};
use crate::wire::{EtherType, MacAddress};

impl Stack {
    pub(super) fn receive_arp(&mut self, data: &Sga, now: Time) {
        let parsed = View::new(message::front(data)).and_then(|view| Header::parse(&view));
        let Ok(header) = parsed else { return self.counters.drop(Reason::Arp) };
        let Header { operation, sender_mac, sender, target, .. } = header;
        if sender_mac == self.mac {
            return self.counters.drop(Reason::OtherStation);
        }
        if sender.is_unspecified() {
            // A probe (RFC 5227 section 1.1).
            self.evidence(IpAddr::V4(target), Evidence::Probe, now);
        } else if self.evidence(IpAddr::V4(sender), Evidence::Use, now) {
            return self.counters.drop(Reason::Duplicate);
        }
        let asked = self.addresses.is_ours(IpAddr::V4(target));
        if !sender.is_unspecified() {
            let kind = match operation {
                Operation::Request if asked && sender != target => Kind::Request,
                Operation::Reply if asked && sender != target => Kind::Reply,
                _ => Kind::Gratuitous,
            };
            self.heard(Heard { address: IpAddr::V4(sender), mac: Some(sender_mac), kind }, now);
        }
        if asked && operation == Operation::Request {
            let reply = Header {
                operation: Operation::Reply,
                sender_mac: self.mac,
                sender: target,
                target_mac: sender_mac,
                target: sender,
            };
            self.send_arp(&reply, sender_mac);
        }
    }

    /// Asks who has an address, of one station or of all.
    pub(super) fn ask_arp(&mut self, sender: Ipv4Addr, target: Ipv4Addr, to: Option<MacAddress>) {
        let request = Header {
            operation: Operation::Request,
            sender_mac: self.mac,
            sender,
            target_mac: MacAddress::UNSPECIFIED,
            target,
        };
        self.send_arp(&request, to.unwrap_or(MacAddress::BROADCAST));
    }

    fn send_arp(&mut self, header: &Header, to: MacAddress) {
        match self.pools.alloc_filled(PACKET, |bytes| header.emit(bytes)) {
            Ok(packet) => self.send_link(to, EtherType::ARP, packet.into()),
            Err(_) => self.counters.drop(Reason::NoBuffer),
        }
    }

    /// Tells the claim of an address of ours what another host's packet says about it; false if it is none of ours.
    pub(super) fn evidence(&mut self, address: IpAddr, evidence: Evidence, now: Time) -> bool {
        let claim = self.claims.iter_mut().find(|claim| claim.address() == address);
        if let Some(claim) = claim {
            claim.heard(evidence, now);
            self.set_due();
            return true;
        }
        false
    }
}
