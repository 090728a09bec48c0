// SPDX-License-Identifier: MIT OR Apache-2.0
//! Many connections at once and one after another; and a flood of SYNs from hosts that are not there, through which those that are get in.

use crate::alone;
use crate::host::{BOTH, Host, Link, OUR_V4, THEIR_V4};
use crate::streams::{read_end, read_exact};
use catnip::StreamId;
use core::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use core::time::Duration;
use network::wire::checksum::pseudo_header;
use runtime::buf::Pool;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const MANY: usize = 2000;

/// All are open at once; each says a few bytes of its own and hears them again.
#[test]
fn at_once() {
    alone("tcp_crowds::at_once", &[], |peer| {
        let mut host = Host::with(Link::Packet, peer, |_| ());
        for (ours, theirs) in BOTH {
            let (listening, place) = host.listens(ours, 128);
            let called = peer.beside(move || {
                let mut sockets: Vec<TcpStream> =
                    (0..MANY / 2).map(|_| TcpStream::connect(place).expect("it answers")).collect();
                for (number, socket) in sockets.iter_mut().enumerate() {
                    socket.write_all(&(number as u64).to_be_bytes()).expect("room");
                }
                for (number, socket) in sockets.iter_mut().enumerate() {
                    let mut bytes = [0; 8];
                    socket.read_exact(&mut bytes).expect("it comes back");
                    assert_eq!(u64::from_be_bytes(bytes), number as u64);
                }
            });
            let (listener, to) = peer.tcp(theirs);
            let served = peer.beside(move || {
                let mut sockets: Vec<TcpStream> =
                    (0..MANY / 2).map(|_| listener.accept().expect("somebody calls").0).collect();
                for socket in &mut sockets {
                    read_exact(socket, 1000);
                    read_end(socket);
                }
            });
            let mut near: Vec<StreamId> = Vec::new();
            for _ in 0..MANY / 2 {
                near.push(host.connects(ours, to));
                let id = host.accepts(listening);
                near.push(id);
            }
            assert_eq!(host.nic.stack.streams(), MANY as u32 + 1);
            for pair in near.chunks(2) {
                host.pushes(pair[0], 1000);
                host.shuts(pair[0]).unwrap();
                let mut number = Vec::new();
                while number.len() < 8 {
                    number.extend(host.hears(pair[1]).unwrap());
                }
                host.says(pair[1], &number).unwrap();
            }
            host.until_joined(called);
            host.until_joined(served);
            for id in near {
                host.closes(id);
            }
            host.closes(listening);
            // Theirs have ended; that we have heard of it is another matter, and those of the next round are counted.
            host.until("the last ends of theirs", |host| (host.nic.stack.streams() == 0).then_some(()));
        }
    });
}

/// Ten thousand of theirs are open at once, with far fewer buffers than that; all say something, and each hears it again. What there is no
/// room for comes again.
#[test]
fn ten_thousand_at_once() {
    const THRONG: usize = 10_000;
    alone("tcp_crowds::ten_thousand_at_once", &[], |peer| {
        let limit = getrlimit(Resource::Nofile);
        if limit.maximum.is_some_and(|most| most < 2 * THRONG as u64) {
            eprintln!("skipped - tcp_crowds::ten_thousand_at_once: it takes as many descriptors");
            return;
        }
        setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })
            .expect("up to the maximum it is allowed");
        peer.sysctl("ipv4.ip_local_port_range", "20000 60999");
        let mut host = Host::with(Link::Packet, peer, |_| ());
        let free = host.pools.slotted().map(Pool::available);
        let (listening, place) = host.listens(OUR_V4, 1024);
        let called = peer.beside(move || {
            let mut sockets: Vec<TcpStream> =
                (0..THRONG).map(|_| TcpStream::connect(place).expect("it answers")).collect();
            for (number, socket) in sockets.iter_mut().enumerate() {
                socket.write_all(&(number as u64).to_be_bytes()).expect("room");
            }
            for (number, socket) in sockets.iter_mut().enumerate() {
                let mut bytes = [0; 8];
                socket.read_exact(&mut bytes).expect("it comes back");
                assert_eq!(u64::from_be_bytes(bytes), number as u64);
            }
        });
        let near: Vec<StreamId> = (0..THRONG).map(|_| host.accepts(listening)).collect();
        assert_eq!(host.nic.stack.streams() as usize, THRONG + 1);
        // As a server does: whoever has something to say is heard next.
        let mut echoed = 0;
        host.until_within(Duration::from_mins(1), "all are answered", |host| {
            while let Some((id, _)) = host.nic.stack.stream_woken() {
                if id != listening
                    && let Some(message) = host.takes(id, None)
                {
                    echoed += host.answers(id, message.unwrap());
                }
            }
            (echoed == 8 * THRONG as u64).then_some(())
        });
        host.until_joined(called);
        for id in near {
            host.pops_the_end(id);
            host.closes(id);
        }
        host.closes(listening);
        host.finishes();
        println!("{free:?} buffers; {:?}", host.drops());
        assert_eq!(host.pools.slotted().map(Pool::available), free, "buffers");
    });
}

/// Thousands, one after another, each closed by who called, or by who was called.
#[test]
fn one_after_another() {
    const ROUNDS: usize = 1000;
    alone("tcp_crowds::one_after_another", &[], |peer| {
        let mut host = Host::with(Link::Packet, peer, |_| ());
        for (ours, _) in BOTH {
            let (listening, place) = host.listens(ours, 16);
            let called = peer.beside(move || {
                for round in 0..ROUNDS {
                    let mut socket = TcpStream::connect(place).expect("it answers");
                    if round % 2 == 0 {
                        socket.write_all(b"hello").expect("room");
                        socket.shutdown(std::net::Shutdown::Write).expect("it is connected");
                    }
                    let mut said = Vec::new();
                    socket.read_to_end(&mut said).expect("an answer, and its end");
                    assert_eq!(said, b"bye");
                }
            });
            for round in 0..ROUNDS {
                let id = host.accepts(listening);
                if round % 2 == 0 {
                    assert_eq!(host.hears(id), Ok(b"hello".to_vec()));
                }
                host.says(id, b"bye").unwrap();
                host.closes(id);
            }
            host.until_joined(called);
            host.closes(listening);
            host.finishes();
        }
    });
}

/// SYNs from thousands of addresses that nobody answers for: the queue is full of them, and who is there is served all the same.
#[test]
fn a_flood_of_syns() {
    alone("tcp_crowds::a_flood_of_syns", &[], |peer| {
        let mut host = Host::with(Link::Packet, peer, |settings| {
            // What is answered to them goes to the kernel, which drops it: it forwards nothing.
            settings.routes = vec![catnip::Route {
                prefix: catnip::Prefix::DEFAULT_V4,
                hop: catnip::Hop::Gateway(THEIR_V4.parse().unwrap()),
                metric: 0,
            }];
        });
        let (listening, place) = host.listens(OUR_V4, 16);
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&sent));
        let flood = peer.beside(move || flood(place, &stopped, &counted));
        let flooded = Arc::clone(&sent);
        host.until("a flood", |_| (flooded.load(Ordering::Relaxed) > 5000).then_some(()));
        for round in 0..50 {
            let called = peer.beside(move || {
                let mut socket = TcpStream::connect_timeout(&place, Duration::from_secs(15)).expect("it gets through");
                socket.write_all(&[round]).expect("room");
                let mut byte = [0];
                socket.read_exact(&mut byte).expect("it comes back");
                byte[0]
            });
            let id = host.accepts(listening);
            assert_eq!(host.echoes(id), 1);
            assert_eq!(host.until_joined(called), round);
            host.closes(id);
        }
        stop.store(true, Ordering::Relaxed);
        host.until_joined(flood);
        println!("{} SYNs; {:?}", sent.load(Ordering::Relaxed), host.drops());
        assert!(host.nic.stack.streams() < 100, "{} connections", host.nic.stack.streams());
    });
}

/// Sends SYNs with made-up sources until it is stopped, by a raw socket (`raw(7)`), to this place.
fn flood(to: SocketAddr, stop: &AtomicBool, sent: &AtomicU64) {
    use rustix::net::{AddressFamily, SendFlags, SocketType, ipproto, sendto, socket};
    let IpAddr::V4(ip) = to.ip() else { panic!("a test of IPv4") };
    let raw = socket(AddressFamily::INET, SocketType::RAW, Some(ipproto::RAW)).expect("root may");
    let place = SocketAddrV4::new(ip, 0);
    for number in 0_u64.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        // RFC 5737: nobody's.
        let from = Ipv4Addr::new(198, 51, 100, (number % 250) as u8 + 1);
        let port = (1024 + number / 250 % 60_000) as u16;
        // The kernel is slow to notice that its queue is full; that is no reason to stop.
        if sendto(&raw, &syn(from, port, ip, to.port(), number as u32), SendFlags::empty(), &place).is_ok() {
            sent.fetch_add(1, Ordering::Relaxed);
        }
        if number % 50 == 0 {
            std::thread::sleep(Duration::from_micros(500));
        }
    }
}

/// A SYN with an MSS, as a packet.
fn syn(from: Ipv4Addr, port: u16, to: Ipv4Addr, at: u16, number: u32) -> Vec<u8> {
    let mut segment = Vec::new();
    segment.extend(port.to_be_bytes());
    segment.extend(at.to_be_bytes());
    segment.extend(number.to_be_bytes());
    segment.extend([0, 0, 0, 0, 0x60, 0x02, 0xff, 0xff, 0, 0, 0, 0, 2, 4, 5, 0xb4]);
    let mut sum = pseudo_header(from.into(), to.into(), 6, segment.len() as u32);
    sum.add(&segment);
    segment[16..18].copy_from_slice(&sum.finish().to_be_bytes());
    // The kernel fills in the checksum of the header of IP.
    let mut packet = vec![0x45, 0, 0, 44, 0, 0, 0x40, 0, 64, 6, 0, 0];
    packet.extend(from.octets());
    packet.extend(to.octets());
    packet.extend(segment);
    packet
}
