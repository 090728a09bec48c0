// SPDX-License-Identifier: MIT OR Apache-2.0
//! A peer that lies: frames with wrong lengths, checksums and fields, by hand, on the same wire as honest ones. Each is counted under its
//! reason, none is answered that must not be, and the service goes on.

use crate::host::{Host, Link, OUR_V4, OUR_V6, THEIR_V4, THEIR_V6, at, bytes, settings};
use crate::space::{ip, own, sysctl};
use crate::tools::has;
use catnip::device::packet::{Packet, Settings};
use core::net::{Ipv4Addr, Ipv6Addr};
use core::time::Duration;
use network::counters::Reason;
use network::wire::checksum::{Sum, pseudo_header};
use network::wire::{Ecn, EtherType, MacAddress, Protocol, arp, ethernet, icmpv4, icmpv6, ipv4, ipv6, ndp, udp};
use runtime::buf::Sga;
use runtime::device::{Burst, Device, Frame};

/// Who lies.
const LIAR: MacAddress = MacAddress([2, 0, 0, 0, 0, 0x66]);
/// The port that is served.
const PORT: u16 = 7;

/// Our host, and on the other end of its wire the kernel, and a liar beside it.
struct Scene {
    host: Host,
    liar: Packet,
    mac: MacAddress,
}

fn scene(test: &str) -> Option<Scene> {
    if !has(test, &["ip"]) || !own(test) {
        return None;
    }
    ip("link add ours type veth peer name theirs\nlink set ours up\n");
    for (name, value) in [("disable_ipv6", "0"), ("accept_dad", "0"), ("router_solicitations", "0")] {
        sysctl(&format!("ipv6.conf.theirs.{name}"), value);
    }
    ip(&format!("link set theirs up\naddr add {THEIR_V4}/24 dev theirs\naddr add {THEIR_V6}/64 dev theirs nodad\n"));
    let mut host = Host::new(&settings(Link::Packet, "ours"));
    let liar = Settings { address: LIAR.0, receive: 64, transmit: 1024, promiscuous: false };
    let liar = Packet::open("theirs", &liar, host.pools.clone()).unwrap();
    let mac = host.nic.stack.mac();
    host.work(Duration::from_millis(5));
    Some(Scene { host, liar, mac })
}

impl Scene {
    /// Puts a frame on the wire, and lets our host see it.
    fn lie(&mut self, frame: &[u8]) {
        let before = self.host.counters().frames_received;
        let mut burst = Burst::new();
        burst.push(Frame::from(Sga::from(self.host.pools.alloc_copy(frame).unwrap()))).unwrap();
        self.liar.tx(&mut burst).unwrap();
        assert!(burst.is_empty(), "there is room for one");
        self.host.until("the frame", |host| (host.counters().frames_received > before).then_some(()));
    }

    /// A packet in a frame to our host.
    fn framed(&self, ether_type: EtherType, packet: &[u8]) -> Vec<u8> {
        let mut frame = vec![0; ethernet::HEADER];
        ethernet::Header { destination: self.mac, source: LIAR, ether_type }.emit(&mut frame);
        frame.extend(packet);
        frame
    }

    /// The honest go on: the kernel's datagrams come, and come back.
    fn still_serves(&mut self) {
        for (ours, theirs) in [(OUR_V4, THEIR_V4), (OUR_V6, THEIR_V6)] {
            let socket = std::net::UdpSocket::bind(at(theirs, 0)).unwrap();
            socket.set_nonblocking(true).unwrap();
            let (id, _) = self.host.bound(ours);
            self.host.there_and_back(id, &bytes(3000, 5), &socket, socket.local_addr().unwrap());
            let now = self.host.now();
            self.host.nic.stack.close(id, now).unwrap();
        }
    }
}

fn v4(protocol: Protocol, payload: &[u8], change: impl FnOnce(&mut ipv4::Header)) -> Vec<u8> {
    let (source, destination): (Ipv4Addr, Ipv4Addr) = (THEIR_V4.parse().unwrap(), OUR_V4.parse().unwrap());
    let mut header = ipv4::Header {
        dscp: 0,
        ecn: Ecn::NotCapable,
        payload_len: payload.len() as u16,
        identification: 77,
        dont_fragment: false,
        more_fragments: false,
        fragment_offset: 0,
        ttl: 64,
        protocol,
        source,
        destination,
        router_alert: false,
    };
    change(&mut header);
    let mut packet = vec![0; header.len()];
    header.emit(&mut packet);
    packet.extend(payload);
    packet
}

fn v6(next_header: Protocol, payload: &[u8], change: impl FnOnce(&mut ipv6::Header)) -> Vec<u8> {
    let (source, destination): (Ipv6Addr, Ipv6Addr) = (THEIR_V6.parse().unwrap(), OUR_V6.parse().unwrap());
    let mut header = ipv6::Header {
        dscp: 0,
        ecn: Ecn::NotCapable,
        flow_label: 0,
        payload_len: payload.len() as u16,
        next_header,
        hop_limit: 64,
        source,
        destination,
    };
    change(&mut header);
    let mut packet = vec![0; ipv6::HEADER];
    header.emit(&mut packet);
    packet.extend(payload);
    packet
}

/// A datagram with a right checksum, from the kernel's address.
fn datagram(is_v4: bool, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; udp::HEADER];
    udp::Header { source: 9999, destination: PORT, payload_len: payload.len() as u16 }.emit(&mut bytes);
    let (from, to) = if is_v4 { (THEIR_V4, OUR_V4) } else { (THEIR_V6, OUR_V6) };
    let mut rest = pseudo_header(
        from.parse().unwrap(),
        to.parse().unwrap(),
        Protocol::UDP.0,
        (payload.len() + udp::HEADER) as u32,
    );
    rest.add(payload);
    udp::complete(&mut bytes, rest);
    bytes.extend(payload);
    bytes
}

fn echo_v4(payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; icmpv4::HEADER];
    icmpv4::Header::EchoRequest { identifier: 1, sequence: 1 }.emit(&mut bytes);
    let mut rest = Sum::new();
    rest.add(payload);
    icmpv4::complete(&mut bytes, rest);
    bytes.extend(payload);
    bytes
}

fn changed(bytes: &[u8], at: usize, value: u8) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    assert_ne!(bytes[at], value, "that changes nothing");
    bytes[at] = value;
    bytes
}

/// A solicitation for our address with this hop limit.
fn solicitation(hop_limit: u8) -> Vec<u8> {
    let target: Ipv6Addr = OUR_V6.parse().unwrap();
    let header = ndp::Header::NeighbourSolicitation { target, source_mac: Some(LIAR) };
    let mut message = vec![0; header.len()];
    header.emit(&mut message);
    let len = message.len() as u32;
    // Not from the kernel's address: that would tell where the kernel is.
    let source: Ipv6Addr = "fd09::66".parse().unwrap();
    let sum = pseudo_header(source.into(), target.into(), Protocol::ICMPV6.0, len);
    icmpv6::complete_whole(&mut message, sum);
    v6(Protocol::ICMPV6, &message, |header| (header.source, header.hop_limit) = (source, hop_limit))
}

fn arp_request() -> Vec<u8> {
    let header = arp::Header {
        operation: arp::Operation::Request,
        sender_mac: LIAR,
        sender: "10.9.0.200".parse().unwrap(),
        target_mac: MacAddress::UNSPECIFIED,
        target: OUR_V4.parse().unwrap(),
    };
    let mut packet = vec![0; header.len()];
    header.emit(&mut packet);
    packet
}

/// What is wrong with a frame is what it is counted under.
#[test]
fn each_lie_has_its_counter() {
    let Some(mut scene) = scene("hostile::each_lie_has_its_counter") else { return };
    let id = scene.host.socket("::");
    scene.host.nic.stack.bind(id, at("::", PORT)).unwrap();
    let good_v4 = v4(Protocol::UDP, &datagram(true, b"true"), |_| ());
    let good_v6 = v6(Protocol::UDP, &datagram(false, b"true"), |_| ());
    let quoted = |kind: u8, code: u8, quote: &[u8]| {
        let mut bytes = [&[kind, code, 0, 0, 0, 0, 2, 88], quote].concat();
        let mut sum = Sum::new();
        sum.add(&bytes);
        bytes[2..4].copy_from_slice(&sum.finish().to_be_bytes());
        v4(Protocol::ICMPV4, &bytes, |_| ())
    };
    // A packet that we have never sent.
    let ours = v4(Protocol::UDP, &datagram(true, b"never"), |header| {
        core::mem::swap(&mut header.source, &mut header.destination);
    });
    let four = |packet: Vec<u8>| (EtherType::IPV4, packet);
    let six = |packet: Vec<u8>| (EtherType::IPV6, packet);
    let udp_at = ipv4::HEADER;
    let lies: Vec<(Reason, (EtherType, Vec<u8>))> = vec![
        (Reason::EtherType, (EtherType(0x88b5), b"nobody knows".to_vec())),
        (Reason::Arp, (EtherType::ARP, changed(&arp_request(), 4, 7))),
        (Reason::Arp, (EtherType::ARP, changed(&arp_request(), 7, 9))),
        (Reason::Arp, (EtherType::ARP, arp_request()[..20].to_vec())),
        (Reason::Ipv4, four(changed(&good_v4, 0, 0x65))),
        (Reason::Ipv4, four(changed(&good_v4, 0, 0x44))),
        (Reason::Ipv4, four(changed(&good_v4, 3, 200))),
        (Reason::Ipv4, four(changed(&good_v4, 3, 19))),
        (Reason::Ipv4, four(changed(&good_v4, 8, 63))),
        (Reason::Ipv4, four(good_v4[..19].to_vec())),
        (Reason::Ipv4, four(v4(Protocol::UDP, b"x", |header| header.source = Ipv4Addr::BROADCAST))),
        (Reason::Ipv4, four(v4(Protocol::UDP, &[0; 1400], |header| header.fragment_offset = 65_528))),
        (
            Reason::Source,
            four(v4(Protocol::UDP, &datagram(true, b"land"), |header| header.source = header.destination)),
        ),
        (Reason::Source, four(v4(Protocol::UDP, &datagram(true, b"lo"), |header| header.source = Ipv4Addr::LOCALHOST))),
        (Reason::OtherHost, four(v4(Protocol::UDP, b"x", |header| header.destination = Ipv4Addr::new(10, 9, 0, 3)))),
        (Reason::OtherHost, four(v4(Protocol::UDP, b"x", |header| header.destination = Ipv4Addr::LOCALHOST))),
        (Reason::Protocol, four(v4(Protocol(143), b"what is that?", |_| ()))),
        (Reason::Udp, four(v4(Protocol::UDP, &changed(&datagram(true, b"true"), 5, 200), |_| ()))),
        (Reason::Udp, four(v4(Protocol::UDP, &changed(&datagram(true, b"true"), 5, 7), |_| ()))),
        (Reason::Udp, four(v4(Protocol::UDP, &[1, 2, 3], |_| ()))),
        (Reason::UdpChecksum, four(changed(&good_v4, udp_at + 8, b'T'))),
        (Reason::UdpChecksum, six(changed(&good_v6, ipv6::HEADER + 8, b'T'))),
        (
            Reason::UdpChecksum,
            six({
                let mut none = good_v6.clone();
                none[ipv6::HEADER + 6..ipv6::HEADER + 8].fill(0);
                none
            }),
        ),
        (Reason::Ipv6, six(changed(&good_v6, 0, 0x45))),
        (Reason::Ipv6, six(changed(&good_v6, 5, 200))),
        (Reason::Ipv6, six(good_v6[..39].to_vec())),
        // A routing header of type 0 (RFC 5095).
        (
            Reason::Ipv6,
            six(v6(Protocol(43), &[&[17, 0, 0, 1, 0, 0, 0, 0], &datagram(false, b"x")[..]].concat(), |_| ())),
        ),
        (Reason::Icmp, four(v4(Protocol::ICMPV4, &changed(&echo_v4(b"hello"), 10, b'L'), |_| ()))),
        (Reason::Icmp, four(v4(Protocol::ICMPV4, &echo_v4(b"")[..5], |_| ()))),
        (Reason::IcmpQuote, four(quoted(3, 3, &ours))),
        (Reason::IcmpQuote, four(quoted(3, 4, &ours))),
        (Reason::IcmpQuote, four(quoted(11, 0, &ours[..10]))),
        (Reason::Ndp, six(solicitation(254))),
    ];
    for (reason, (ether_type, packet)) in lies {
        let before =
            (scene.host.dropped(reason), scene.host.counters().datagrams_received, scene.host.counters().echoed);
        let frame = scene.framed(ether_type, &packet);
        for _ in 0..3 {
            scene.lie(&frame);
        }
        let after =
            (scene.host.dropped(reason), scene.host.counters().datagrams_received, scene.host.counters().echoed);
        let drops = scene.host.drops();
        assert_eq!(after, (before.0 + 3, before.1, before.2), "{}: {packet:02x?}; {drops:?}", reason.name());
    }
    assert!(scene.host.look(id).is_none(), "a lie was delivered");
    // Frames for others, and a packet for one host in a frame for all.
    let mut frame = scene.framed(EtherType::IPV4, &good_v4);
    frame[..6].copy_from_slice(&MacAddress::BROADCAST.0);
    let before = scene.host.dropped(Reason::OtherHost);
    scene.lie(&frame);
    assert_eq!(scene.host.dropped(Reason::OtherHost), before + 1);
    // The truth, from the same mouth.
    for packet in [(EtherType::IPV4, good_v4), (EtherType::IPV6, good_v6)] {
        let frame = scene.framed(packet.0, &packet.1);
        scene.lie(&frame);
        assert_eq!(scene.host.receive(id).1, b"true");
    }
    scene.still_serves();
}

/// Good frames that end too soon, or with a byte that is wrong: thousands of them.
#[test]
fn bent_frames() {
    let Some(mut scene) = scene("hostile::bent_frames") else { return };
    let good = [
        (EtherType::IPV4, v4(Protocol::UDP, &datagram(true, b"true"), |_| ())),
        (EtherType::IPV6, v6(Protocol::UDP, &datagram(false, b"true"), |_| ())),
        (EtherType::IPV4, v4(Protocol::ICMPV4, &echo_v4(b"hello"), |_| ())),
        (EtherType::IPV4, v4(Protocol::UDP, &[1; 64], |header| header.more_fragments = true)),
        (EtherType::IPV6, solicitation(255)),
        (EtherType::ARP, arp_request()),
    ];
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    println!("seed {:#x}", random.0);
    for (ether_type, packet) in good {
        let frame = scene.framed(ether_type, &packet);
        for len in ethernet::HEADER..frame.len() {
            scene.lie(&frame[..len]);
        }
        for at in 6..frame.len() {
            for _ in 0..3 {
                let mut bent = frame.clone();
                bent[at] ^= 1 + (random.next() % 255) as u8;
                // From a group: the stack's own business, and not the wire's.
                scene.lie(&bent);
            }
        }
    }
    for _ in 0..1000 {
        let len = 14 + random.next() as usize % 1400;
        let kind = [EtherType::IPV4, EtherType::IPV6, EtherType::ARP][random.next() as usize % 3];
        let mut noise: Vec<u8> = (0..len).map(|_| random.next() as u8).collect();
        noise[0] = if kind == EtherType::IPV6 { 0x60 } else { 0x45 };
        let frame = scene.framed(kind, &noise);
        scene.lie(&frame);
    }
    assert!(scene.host.counters().drops() > 1500, "{:?}", scene.host.drops());
    assert!(scene.host.nic.failed().is_none());
    scene.still_serves();
}

/// Numbers by xorshift.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 11
    }
}

/// Claims about neighbours that nobody asked about: none is believed, and the kernel's host is still found where it is.
#[test]
fn poison() {
    let Some(mut scene) = scene("hostile::poison") else { return };
    let socket = std::net::UdpSocket::bind(at(THEIR_V4, 0)).unwrap();
    socket.set_nonblocking(true).unwrap();
    let (id, _) = scene.host.bound(OUR_V4);
    scene.host.there_and_back(id, b"hello", &socket, socket.local_addr().unwrap());
    let reply = |operation, sender: &str, target: &str| {
        let (sender, target) = (sender.parse().unwrap(), target.parse().unwrap());
        let header = arp::Header { operation, sender_mac: LIAR, sender, target_mac: LIAR, target };
        let mut packet = vec![0; header.len()];
        header.emit(&mut packet);
        packet
    };
    for packet in [reply(arp::Operation::Reply, THEIR_V4, OUR_V4), reply(arp::Operation::Reply, "10.9.0.222", OUR_V4)] {
        let frame = scene.framed(EtherType::ARP, &packet);
        for _ in 0..5 {
            scene.lie(&frame);
        }
    }
    assert_eq!(scene.host.neighbour("10.9.0.222"), None, "nobody asked for it");
    scene.host.there_and_back(id, b"still there", &socket, socket.local_addr().unwrap());
    // A flood of hosts that ask for us: the table has its bound, and who is in use stays.
    for number in 0..3000_u32 {
        let sender = Ipv4Addr::from_bits(u32::from(Ipv4Addr::new(10, 9, 0, 3)) + number % 250).to_string();
        let frame = scene.framed(EtherType::ARP, &reply(arp::Operation::Request, &sender, OUR_V4));
        scene.lie(&frame);
    }
    scene.still_serves();
}
