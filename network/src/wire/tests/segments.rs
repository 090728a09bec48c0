// SPDX-License-Identifier: MIT OR Apache-2.0
//! The short way of a TCP segment against the views and headers of each protocol.

use core::net::Ipv4Addr;

use proptest::prelude::*;
use runtime::buf::Pool;

use crate::wire::checksum::{pseudo_header, sum};
use crate::wire::segment::{AT, Ends, HEADERS, Plain, View, emit};
use crate::wire::tcp::{Flags, Options, Timestamps};
use crate::wire::whole::Station;
use crate::wire::{Ecn, EtherType, MacAddress, Protocol, ethernet, ipv4, tcp};

const TO: MacAddress = MacAddress([2, 0, 0, 0, 0, 2]);

fn ends() -> impl Strategy<Value = Ends> {
    (any::<([u8; 4], [u8; 4])>(), (1_u16.., 1_u16..), 1_u8.., any::<bool>()).prop_map(
        |((source, destination), ports, hops, ecn)| Ends {
            mac: MacAddress([2, 0, 0, 0, 0, 1]),
            addresses: (Ipv4Addr::from(source), Ipv4Addr::from(destination)),
            ports,
            hops,
            ecn: if ecn { Ecn::Capable0 } else { Ecn::NotCapable },
        },
    )
}

fn plain() -> impl Strategy<Value = Plain> {
    (any::<(u32, u32, u16, u32, u32)>(), any::<bool>()).prop_map(
        |((sequence, acknowledgment, window, value, echo), push)| Plain {
            sequence,
            acknowledgment,
            flags: if push { Flags::ACK | Flags::PSH } else { Flags::ACK },
            window,
            clocks: Timestamps { value, echo },
        },
    )
}

/// The same by the headers of each protocol.
fn long(ends: &Ends, segment: &Plain, payload: &[u8]) -> Vec<u8> {
    let header = tcp::Header {
        source: ends.ports.0,
        destination: ends.ports.1,
        sequence: segment.sequence,
        acknowledgment: segment.acknowledgment,
        flags: segment.flags,
        window: segment.window,
        urgent: 0,
        options: Options { timestamps: Some(segment.clocks), ..Options::default() },
    };
    let len = header.len() + payload.len();
    let mut frame = vec![0; HEADERS];
    let (link, packet) = frame.split_at_mut(ethernet::HEADER);
    let (network, transport) = packet.split_at_mut(ipv4::HEADER);
    ethernet::Header { destination: TO, source: ends.mac, ether_type: EtherType::IPV4 }.emit(link);
    let ip = ipv4::Header {
        dscp: 0,
        ecn: ends.ecn,
        payload_len: len as u16,
        identification: 0,
        dont_fragment: true,
        more_fragments: false,
        fragment_offset: 0,
        ttl: ends.hops,
        protocol: Protocol::TCP,
        source: ends.addresses.0,
        destination: ends.addresses.1,
        router_alert: false,
    };
    ip.emit(network);
    header.emit(transport);
    let mut rest = pseudo_header(ends.addresses.0.into(), ends.addresses.1.into(), Protocol::TCP.0, len as u32);
    rest.add_sum(sum(payload));
    tcp::complete(transport, rest);
    frame.extend(payload);
    frame
}

fn short(ends: &Ends, segment: &Plain, payload: &[u8]) -> Vec<u8> {
    let pool = Pool::heap(2048, 1, 0, 0).unwrap();
    let mut frame = pool.alloc(HEADERS + payload.len()).unwrap();
    let out = frame.get_mut().unwrap();
    out.fill(0xaa);
    emit(out, ends, TO, segment, payload.len(), Some(sum(payload)));
    out[HEADERS..].copy_from_slice(payload);
    frame.to_vec()
}

proptest! {
    #[test]
    fn short_and_long_write_the_same(
        ends in ends(), segment in plain(), payload in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        prop_assert_eq!(short(&ends, &segment, &payload), long(&ends, &segment, &payload));
    }

    /// What is written is found again, with padding behind it too; and no byte of it can change unseen.
    #[test]
    fn finds_what_is_written(
        ends in ends(), segment in plain(), payload in prop::collection::vec(any::<u8>(), 0..80), padding in 0_usize..20,
        bit in any::<prop::sample::Index>(),
    ) {
        let mut frame = short(&ends, &segment, &payload);
        let whole = frame.len();
        frame.extend(vec![0x55; padding]);
        let view = View::new(&frame).unwrap();
        prop_assert!(view.is_between(Station::new(TO, None)) && !view.is_between(Station::new(ends.mac, None)));
        prop_assert!(view.header_is_right() && view.segment_is_right());
        prop_assert_eq!(view.payload_len(), payload.len());
        prop_assert_eq!(view.ports(), u32::from(ends.ports.0) << 16 | u32::from(ends.ports.1));
        let found = view.header();
        prop_assert_eq!((found.sequence, found.acknowledgment), (segment.sequence, segment.acknowledgment));
        prop_assert_eq!((found.flags, found.window, found.clocks), (segment.flags, segment.window, segment.clocks));
        let bit = ethernet::HEADER * 8 + bit.index((whole - ethernet::HEADER) * 8);
        frame[bit / 8] ^= 1 << (bit % 8);
        let is_right = View::new(&frame).is_some_and(|view| view.header_is_right() && view.segment_is_right());
        prop_assert!(!is_right, "bit {} of byte {}", bit % 8, bit / 8);
    }
}

/// RFC 3168 section 5: a mark is for the long way, as is whatever else is out of the ordinary.
#[test]
fn leaves_what_is_not_ordinary() {
    let ends = Ends {
        mac: MacAddress([2, 0, 0, 0, 0, 1]),
        addresses: ([10, 0, 0, 1].into(), [10, 0, 0, 2].into()),
        ports: (1, 2),
        hops: 64,
        ecn: Ecn::Congestion,
    };
    let clocks = Timestamps { value: 1, echo: 2 };
    let segment = Plain { sequence: 1, acknowledgment: 2, flags: Flags::ACK, window: 3, clocks };
    assert!(View::new(&short(&ends, &segment, b"x")).is_none());
    let ends = Ends { ecn: Ecn::Capable0, ..ends };
    let frame = short(&ends, &segment, b"x");
    assert!(View::new(&frame).is_some() && View::new(&frame[..HEADERS]).is_none());
    // Another class of service, a fragment, another protocol, a longer header, FIN, another option.
    for (at, value) in [(15, 4), (20, 0x20), (23, 17), (AT + 12, 0x90), (AT + 13, 0x11), (AT + 22, 5)] {
        let mut other = frame.clone();
        other[at] = value;
        assert!(View::new(&other).is_none(), "byte {at}");
    }
}
