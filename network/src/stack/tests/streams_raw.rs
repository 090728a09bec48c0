// SPDX-License-Identifier: MIT OR Apache-2.0
//! Segments by hand against one host: those that nobody expects, floods, cookies, and what is late.

use super::*;
use crate::limits::{RESETS_BURST, SYN_QUEUE_MIN};
use crate::stack::StreamId;
use crate::tcp::seq::Seq;
use crate::tcp::settings::Settings;
use crate::wire::checksum::{pseudo_header, sum};
use crate::wire::tcp::{self, Flags, Options, Timestamps};
use crate::wire::{Ecn, EtherType, Protocol, ethernet, icmpv4, ipv4};
use core::net::Ipv4Addr;

const HERE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
pub(super) const THERE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 9);
/// By the same hand.
pub(super) const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 10);

/// One host, and the other by hand.
pub(super) struct Hand {
    pub stack: Stack,
    pub pools: Pools,
    pub now: Time,
    /// The number of the last SYN that was taken note of.
    pub last_iss: u32,
}

pub(super) fn header(source: u16, destination: u16, flags: Flags, seq: u32, ack: u32) -> tcp::Header {
    tcp::Header {
        source,
        destination,
        sequence: seq,
        acknowledgment: ack,
        flags,
        window: 60_000,
        urgent: 0,
        options: Options::default(),
    }
}

pub(super) fn clocks(value: u32, echo: u32) -> Options {
    Options { timestamps: Some(Timestamps { value, echo }), ..Options::default() }
}

fn packet(source: Ipv4Addr, destination: Ipv4Addr, protocol: Protocol, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 34];
    ethernet::Header { destination: mac(2), source: mac(9), ether_type: EtherType::IPV4 }.emit(&mut bytes);
    ipv4::Header {
        dscp: 0,
        ecn: Ecn::NotCapable,
        payload_len: payload.len() as u16,
        identification: 0,
        dont_fragment: true,
        more_fragments: false,
        fragment_offset: 0,
        ttl: 64,
        protocol,
        source,
        destination,
        router_alert: false,
    }
    .emit(&mut bytes[14..]);
    bytes.extend(payload);
    bytes
}

impl Hand {
    pub fn new() -> Self {
        Self::with(|_| ())
    }

    pub fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let now = Time::from_nanos(1 << 42);
        let mut config = config(2);
        change(&mut config.tcp);
        config.neighbours = vec![(THERE.into(), mac(9)), (ELSEWHERE.into(), mac(9))];
        let pools = pools();
        let stack = Stack::new(config, pools.clone(), now).unwrap();
        let mut hand = Self { stack, pools, now, last_iss: 0 };
        hand.run(Duration::from_secs(10));
        hand
    }

    pub fn listen(&mut self, backlog: usize) -> StreamId {
        self.listen_at(80, backlog)
    }

    pub fn listen_at(&mut self, port: u16, backlog: usize) -> StreamId {
        let id = self.stack.stream_socket(Domain::V4).unwrap();
        self.stack.stream_bind(id, SocketAddr::new(HERE.into(), port)).unwrap();
        self.stack.stream_listen(id, backlog).unwrap();
        id
    }

    fn frame(&mut self, bytes: &[u8]) {
        let data = self.pools.alloc_copy(bytes).unwrap().into();
        self.stack.receive(Frame { data, checksum: Checksum::Complete, segmentation: None }, self.now);
    }

    /// Sends a segment from a host, and gives the segments that come back.
    pub fn send_from(&mut self, from: Ipv4Addr, header: &tcp::Header, payload: &[u8]) -> Vec<tcp::Header> {
        let mut bytes = vec![0; header.len()];
        header.emit(&mut bytes);
        bytes.extend(payload);
        let mut rest = pseudo_header(from.into(), HERE.into(), Protocol::TCP.0, bytes.len() as u32);
        rest.add(payload);
        tcp::complete(&mut bytes, rest);
        self.frame(&packet(from, HERE, Protocol::TCP, &bytes));
        self.sent()
    }

    pub fn send(&mut self, header: &tcp::Header, payload: &[u8]) -> Vec<tcp::Header> {
        self.send_from(THERE, header, payload)
    }

    /// The segments that the host has sent.
    pub fn sent(&mut self) -> Vec<tcp::Header> {
        let mut all = Vec::new();
        while let Some(frame) = self.stack.transmit() {
            let bytes = frame.data.to_vec();
            let Ok(view) = ipv4::View::new(&bytes[14..]) else { continue };
            if view.protocol() != Protocol::TCP {
                continue;
            }
            let segment = tcp::View::new(view.payload()).unwrap();
            let len = view.payload().len() as u32;
            let pseudo = pseudo_header(view.source().into(), view.destination().into(), Protocol::TCP.0, len);
            assert!(segment.checksum_is_right(pseudo));
            all.push(tcp::Header::parse(&segment).unwrap());
        }
        all
    }

    pub fn run(&mut self, time: Duration) -> Vec<tcp::Header> {
        let (end, mut all) = (self.now + time, Vec::new());
        for _ in 0..100_000 {
            all.extend(self.sent());
            match self.stack.next_deadline() {
                Some(due) if due <= end => self.now = self.now.max(due),
                _ => break,
            }
            self.stack.poll(self.now);
        }
        self.now = end;
        all.extend(self.sent());
        all
    }

    /// The handshake from a port there: the number that the host has answered with.
    pub fn open(&mut self, port: u16, seq: u32) -> u32 {
        self.open_from(THERE, port, seq)
    }

    pub fn open_from(&mut self, from: Ipv4Addr, port: u16, seq: u32) -> u32 {
        let answer = self.send_from(from, &header(port, 80, Flags::SYN, seq, 0), b"");
        assert_eq!((answer.len(), answer[0].flags, answer[0].acknowledgment), (1, Flags::SYN | Flags::ACK, seq + 1));
        let iss = answer[0].sequence;
        assert!(self.send_from(from, &header(port, 80, Flags::ACK, seq + 1, iss.wrapping_add(1)), b"").is_empty());
        iss
    }
}

/// RFC 9293 section 3.10.7.1: what the reset acknowledges, and what it is sent with.
#[test]
fn a_closed_port_resets() {
    let mut hand = Hand::new();
    for (flags, payload, answer) in [
        (Flags::SYN, &b""[..], Some((0, 101, Flags::RST | Flags::ACK))),
        (Flags::SYN, &[7; 100], Some((0, 201, Flags::RST | Flags::ACK))),
        (Flags::FIN, &[7; 100], Some((0, 201, Flags::RST | Flags::ACK))),
        (Flags::ACK, b"", Some((555, 0, Flags::RST))),
        (Flags::SYN | Flags::ACK, b"", Some((555, 0, Flags::RST))),
        (Flags::RST, b"", None),
        (Flags::RST | Flags::ACK, b"", None),
    ] {
        let sent = hand.send(&header(4000, 81, flags, 100, 555), payload);
        let said = sent.first().map(|reset| (reset.sequence, reset.acknowledgment, reset.flags));
        assert_eq!((sent.len(), said), (usize::from(answer.is_some()), answer), "{flags:?}");
    }
    assert_eq!(hand.stack.counters().dropped(Reason::TcpNobody), 7);
    let mut resets = 0;
    for port in 1..3000 {
        resets += hand.send(&header(port, 81, Flags::SYN, 100, 0), b"").len();
    }
    assert!(resets <= RESETS_BURST as usize, "{resets}");
}

/// RFC 9293 sections 3.1 and 3.9.2.3: nothing that is damaged, or from a group, is answered.
#[test]
fn damage_is_counted() {
    let mut hand = Hand::new();
    hand.listen(1);
    let mut bytes = vec![0; 20];
    header(4000, 80, Flags::SYN, 100, 0).emit(&mut bytes);
    hand.frame(&packet(THERE, HERE, Protocol::TCP, &bytes));
    assert_eq!(hand.stack.counters().dropped(Reason::TcpChecksum), 1);
    hand.frame(&packet(THERE, HERE, Protocol::TCP, &bytes[..12]));
    bytes[12] = 0x40;
    hand.frame(&packet(THERE, HERE, Protocol::TCP, &bytes));
    assert_eq!(hand.stack.counters().dropped(Reason::Tcp), 2);
    assert!(hand.send_from(Ipv4Addr::new(224, 0, 0, 1), &header(4000, 80, Flags::SYN, 1, 0), b"").is_empty());
    assert_eq!((hand.sent().len(), hand.stack.stream_counts().half_open), (0, 0));
}

/// RFC 9293 section 3.5: the bytes of a SYN come again once the handshake is done, if they are not acknowledged.
#[test]
fn data_on_a_syn_are_not_acknowledged() {
    let mut hand = Hand::new();
    let listener = hand.listen(1);
    let answer = hand.send(&header(4000, 80, Flags::SYN, 100, 0), b"early");
    assert_eq!(answer[0].acknowledgment, 101);
    let iss = answer[0].sequence;
    let sent = hand.send(&header(4000, 80, Flags::ACK | Flags::PSH, 101, iss.wrapping_add(1)), b"early");
    assert!(sent.iter().all(|segment| segment.acknowledgment == 106));
    let id = done(hand.stack.stream_accept(listener, hand.now));
    assert_eq!(done(hand.stack.stream_pop(id, None, hand.now)).to_vec(), b"early");
}

/// RFC 4987: SYNs of nobody neither grow without bound nor keep others out.
#[test]
fn a_flood_of_syns_lets_others_in() {
    let mut hand = Hand::new();
    let listener = hand.listen(1);
    for number in 0..2000_u32 {
        let from = Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 0, 0, 20)) + number % 200);
        hand.send_from(from, &header(1000 + (number / 200) as u16, 80, Flags::SYN, number, 0), b"");
    }
    assert_eq!(hand.stack.stream_counts().half_open as usize, SYN_QUEUE_MIN);
    assert_eq!(hand.stack.counters().cookies_sent, 2000 - SYN_QUEUE_MIN as u64);
    let mut syn = header(4000, 80, Flags::SYN, 100, 0);
    syn.options = Options { mss: Some(1460), window_scale: Some(7), sack_permitted: true, ..clocks(50, 0) };
    let answer = hand.send(&syn, b"");
    let (iss, shown) = (answer[0].sequence, answer[0].options.timestamps.unwrap().value);
    // Who has not seen it makes nothing of it.
    let mut guess = header(4000, 80, Flags::ACK, 101, iss.wrapping_add(2));
    guess.options = clocks(51, shown);
    assert_eq!(hand.send(&guess, b"").first().map(|reset| reset.flags), Some(Flags::RST));
    let mut back = header(4000, 80, Flags::ACK | Flags::PSH, 101, iss.wrapping_add(1));
    back.options = clocks(51, shown);
    hand.send(&back, b"hello");
    let id = done(hand.stack.stream_accept(listener, hand.now));
    assert_eq!(done(hand.stack.stream_pop(id, None, hand.now)).to_vec(), b"hello");
    let info = hand.stack.stream_info(id, hand.now).unwrap();
    assert!(info.sack && info.timestamps && info.scales.is_some_and(|(one, other)| one == 7 || other == 7));
    assert_eq!(hand.stack.counters().cookies_received, 1);
    // The others are forgotten in time, each asked again as often as it is set.
    hand.run(Duration::from_mins(3));
    assert_eq!(hand.stack.stream_counts().half_open, 0);
    assert_eq!(hand.stack.stream_counts().flows, 1);
}

/// RFC 5961 sections 3 and 4, RFC 9293 section 3.10.7.4: what an attacker can guess neither ends nor makes a connection.
#[test]
fn a_syn_is_answered_until_it_is_given_up() {
    let mut hand = Hand::new();
    hand.listen(1);
    let first = hand.send(&header(4000, 80, Flags::SYN, 100, 0), b"");
    let again = hand.send(&header(4000, 80, Flags::SYN, 100, 0), b"");
    assert_eq!(first[0].sequence, again[0].sequence);
    assert!(hand.send(&header(4000, 80, Flags::RST, 200, 0), b"").iter().all(|answer| answer.flags == Flags::ACK));
    assert_eq!(hand.stack.stream_counts().half_open, 1);
    let wrong = hand.send(&header(4000, 80, Flags::ACK, 101, 12_345), b"");
    assert_eq!(wrong.first().map(|reset| (reset.flags, reset.sequence)), Some((Flags::RST, 12_345)));
    let repeated = hand.run(Duration::from_mins(3));
    assert_eq!(repeated.len(), 5, "as often as it is set");
    assert!(repeated.iter().all(|answer| answer.sequence == first[0].sequence));
    assert_eq!(hand.stack.stream_counts().flows, 0);
    hand.send(&header(4000, 80, Flags::SYN, 100, 0), b"");
    hand.send(&header(4000, 80, Flags::RST, 101, 0), b"");
    assert_eq!(hand.stack.stream_counts().flows, 0, "the peer did not mean it");
}

/// `listen(2)`: who comes when as many wait as may is not answered, and gets in later.
#[test]
fn a_full_backlog_waits() {
    let mut hand = Hand::new();
    let listener = hand.listen(1);
    hand.open(4000, 100);
    hand.open(4001, 100);
    assert!(hand.send(&header(4002, 80, Flags::SYN, 100, 0), b"").is_empty());
    assert_eq!(hand.stack.counters().dropped(Reason::TcpBacklog), 1);
    done(hand.stack.stream_accept(listener, hand.now));
    hand.open(4002, 100);
    assert_eq!(hand.stack.stream_counts().sockets, 4);
    // Whoever was not accepted hears that nobody is there any more.
    done(hand.stack.stream_close(listener, hand.now));
    let resets = hand.sent();
    assert_eq!(resets.iter().filter(|segment| segment.flags.contains(Flags::RST)).count(), 2, "{resets:?}");
    assert_eq!(hand.stack.stream_counts().sockets, 1);
}

/// RFC 9293 section 3.6.1, RFC 6191 section 2, RFC 1337.
#[test]
fn what_is_late_is_told_and_what_is_new_gets_in() {
    let mut hand = Hand::new();
    let listener = hand.listen(4);
    let iss = hand.open(4000, 100);
    let id = done(hand.stack.stream_accept(listener, hand.now));
    done(hand.stack.stream_close(id, hand.now));
    assert!(hand.sent().iter().any(|segment| segment.flags.contains(Flags::FIN)));
    let fin = header(4000, 80, Flags::FIN | Flags::ACK, 101, iss.wrapping_add(2));
    assert_eq!(hand.send(&fin, b"").first().map(|answer| answer.acknowledgment), Some(102));
    assert_eq!((hand.stack.stream_counts().time_waits, hand.stack.streams()), (1, 1));
    // The last acknowledgment was lost.
    assert_eq!(hand.send(&fin, b"").first().map(|answer| answer.acknowledgment), Some(102));
    assert!(hand.send(&header(4000, 80, Flags::RST, 102, 0), b"").is_empty());
    assert_eq!(hand.stack.stream_counts().time_waits, 1, "a reset ends no wait");
    // An old SYN is told where we are; a new one opens.
    let old = hand.send(&header(4000, 80, Flags::SYN, 50, 0), b"");
    assert_eq!(old.first().map(|answer| (answer.flags, answer.acknowledgment)), Some((Flags::ACK, 102)));
    let new = hand.send(&header(4000, 80, Flags::SYN, 5000, 0), b"");
    assert_eq!(new[0].flags, Flags::SYN | Flags::ACK);
    assert!(Seq(new[0].sequence).is_behind(Seq(iss) + 2), "behind the numbers of the old one");
    assert_eq!((hand.stack.stream_counts().time_waits, hand.stack.stream_counts().half_open), (0, 1));
}

/// RFC 5927 section 4.1, RFC 1122 section 4.2.3.9: an error is about a segment that is on its way, or about nothing.
#[test]
fn routers_are_believed_about_what_was_sent() {
    let mut hand = Hand::new();
    let id = hand.stack.stream_socket(Domain::V4).unwrap();
    hand.stack.stream_connect(id, at("10.0.0.9:80"), hand.now).unwrap();
    let syn = hand.sent().remove(0);
    for (wrong, ends) in [(1, false), (0, true)] {
        let quoted = header(syn.source, 80, Flags::SYN, syn.sequence.wrapping_add(wrong), 0);
        let mut transport = vec![0; 20];
        quoted.emit(&mut transport);
        let mut inner = packet(HERE, THERE, Protocol::TCP, &transport).split_off(14);
        let mut message = vec![0; 8];
        icmpv4::Header::Unreachable { code: icmpv4::Unreachable::PORT, mtu: 0 }.emit(&mut message);
        icmpv4::complete(&mut message, sum(&inner));
        message.append(&mut inner);
        hand.frame(&packet(THERE, HERE, Protocol::ICMPV4, &message));
        let outcome = hand.stack.stream_connected(id);
        assert_eq!(outcome.is_ready(), ends);
        if ends {
            assert_eq!(errno(outcome), Errno::CONNREFUSED);
        }
    }
    assert_eq!(hand.stack.counters().dropped(Reason::IcmpQuote), 1);
}

/// RFC 4987 section 3.6: who was answered by a cookie gets in by it, though the same SYN came again and was remembered.
#[test]
fn a_cookie_is_good_when_there_is_room_again() {
    let mut hand = Hand::new();
    let listener = hand.listen(1);
    for port in 0..SYN_QUEUE_MIN as u16 {
        hand.send(&header(1000 + port, 80, Flags::SYN, 7, 0), b"");
    }
    let syn = header(4000, 80, Flags::SYN, 100, 0);
    let cookie = hand.send(&syn, b"")[0].sequence;
    assert_eq!(hand.stack.counters().cookies_sent, 1);
    hand.send(&header(1000, 80, Flags::RST, 8, 0), b"");
    let later = hand.send(&syn, b"")[0].sequence;
    assert_eq!(hand.stack.counters().cookies_sent, 1);
    assert_ne!(cookie, later);
    let back = |ack: u32| header(4000, 80, Flags::ACK | Flags::PSH, 101, ack);
    let guess = hand.send(&back(cookie.wrapping_add(2)), b"hello");
    assert_eq!(guess.first().map(|reset| reset.flags), Some(Flags::RST));
    let answer = hand.send(&back(cookie.wrapping_add(1)), b"hello");
    assert!(answer.iter().all(|segment| !segment.flags.contains(Flags::RST)), "{answer:?}");
    let id = done(hand.stack.stream_accept(listener, hand.now));
    assert_eq!(done(hand.stack.stream_pop(id, None, hand.now)).to_vec(), b"hello");
    let mut message = hand.pools.alloc_copy(b"welcome").unwrap().into();
    done(hand.stack.stream_push(id, &mut message, hand.now));
    assert!(hand.sent().iter().all(|segment| segment.sequence == cookie.wrapping_add(1)));
    let counts = hand.stack.stream_counts();
    assert_eq!((counts.half_open as usize, counts.flows as usize), (SYN_QUEUE_MIN - 1, SYN_QUEUE_MIN));
    // Nothing was ever answered from the other number.
    let rest = hand.run(Duration::from_mins(3));
    assert!(rest.iter().filter(|segment| segment.destination == 4000).all(|segment| segment.sequence != later));
}

/// RFC 9293 section 3.6.1, RFC 6191 section 2: what has ended is remembered until a new connection is begun, and that is not while there is no room.
#[test]
fn what_has_ended_is_remembered_until_there_is_room() {
    for fills in [false, true] {
        let mut hand = Hand::new();
        let listener = hand.listen(1);
        let iss = hand.open(4000, 100);
        let id = done(hand.stack.stream_accept(listener, hand.now));
        done(hand.stack.stream_close(id, hand.now));
        hand.sent();
        hand.send(&header(4000, 80, Flags::FIN | Flags::ACK, 101, iss.wrapping_add(2)), b"");
        assert_eq!(hand.stack.stream_counts().time_waits, 1);
        // Either queue of the listener is full.
        if fills {
            for port in 0..SYN_QUEUE_MIN as u16 {
                hand.send(&header(1000 + port, 80, Flags::SYN, 7, 0), b"");
            }
        } else {
            hand.open(4001, 100);
            hand.open(4002, 100);
        }
        let syn = header(4000, 80, Flags::SYN, 5000, 0);
        assert!(hand.send(&syn, b"").is_empty());
        assert_eq!(hand.stack.stream_counts().time_waits, 1);
        if fills {
            hand.send(&header(1000, 80, Flags::RST, 8, 0), b"");
        } else {
            done(hand.stack.stream_accept(listener, hand.now));
        }
        let new = hand.send(&syn, b"");
        assert_eq!(new[0].flags, Flags::SYN | Flags::ACK);
        assert!(Seq(new[0].sequence).is_behind(Seq(iss) + 2), "behind the numbers of the old one");
        assert_eq!(hand.stack.stream_counts().time_waits, 0);
    }
}
