// SPDX-License-Identifier: MIT OR Apache-2.0
//! The kernel as the other host, over TAP and over packet sockets on a `veth(4)`.

use crate::network::{ip, own};
use crate::{Side, at, bytes};
use catnip::{Settings, Wire};
use core::net::SocketAddr;
use core::task::Poll;
use runtime::op::{Datagram, Direction};
use runtime::socket::SocketOption;
use runtime::transport::{PopMode, Transport};
use std::net::UdpSocket;

const LONGEST: usize = 65_507;

fn addressed(wire: Wire) -> Settings {
    let mut settings = Settings::new(wire);
    settings.addresses = vec!["10.9.0.2/24".parse().unwrap(), "fd09::2/64".parse().unwrap()];
    settings
}

/// A stack on TAP, and the kernel's end of it.
fn tap(offload: bool) -> Side {
    std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "0").unwrap();
    let wire = Wire::Tap { interface: "margay0".to_owned(), checksum: offload, segmentation: offload };
    let side = Side::new(&addressed(wire));
    ip("addr add 10.9.0.1/24 dev margay0\n\
        addr add fd09::1/64 dev margay0 nodad\n\
        link set margay0 up\n");
    side
}

/// A stack on one end of a `veth(4)`, and the kernel's addresses on the other.
fn packet() -> Side {
    std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "0").unwrap();
    ip("link add ours type veth peer name theirs\n\
        link set ours up\n\
        link set theirs up\n\
        addr add 10.9.0.1/24 dev theirs\n\
        addr add fd09::1/64 dev theirs nodad\n");
    let interface = "ours".to_owned();
    Side::new(&addressed(Wire::Packet { interface, receive: 1024, transmit: 256, promiscuous: false }))
}

fn kernel(address: &str) -> UdpSocket {
    let socket = UdpSocket::bind(address).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket
}

/// What comes to the kernel's socket.
#[track_caller]
fn receive(socket: &UdpSocket, side: &mut Side) -> (Vec<u8>, SocketAddr) {
    let mut bytes = vec![0; 1 << 16];
    let mut came = None;
    side.work_until(&mut [], |_| {
        came = socket.recv_from(&mut bytes).ok();
        came.is_some()
    });
    let (len, from) = came.unwrap();
    bytes.truncate(len);
    (bytes, from)
}

/// Datagrams of every kind of length both ways, over both families; the kernel resolves our address and we the kernel's.
fn there_and_back(side: &mut Side) {
    for (theirs, ours) in [("10.9.0.1:0", "10.9.0.2:0"), ("[fd09::1]:0", "[fd09::2]:0")] {
        let socket = kernel(theirs);
        let to = socket.local_addr().unwrap();
        let (handle, own) = side.bound(ours);
        for (number, len) in [0, 1, 64, 1452, 1453, 1472, 1473, 9000, 40_000, LONGEST].into_iter().enumerate() {
            let sent = bytes(len, number);
            side.push_to(handle, &sent, to).unwrap();
            let (came, from) = receive(&socket, side);
            assert!(came == sent && from == own, "{len} bytes from {from}, {} came", came.len());
            socket.send_to(&came, from).unwrap();
            let (from, came) = side.pop(handle, &mut []).unwrap();
            assert!(came == sent && from == to, "{len} bytes back from {from}, {} came", came.len());
        }
        // The kernel speaks first.
        let (other, own) = side.bound(ours);
        socket.send_to(b"first", own).unwrap();
        assert_eq!(side.pop(other, &mut []).unwrap(), (to, b"first".to_vec()));
    }
    assert_eq!(side.catnip.counters().drops, 0);
}

#[test]
fn there_and_back_over_tap() {
    if own("kernel::there_and_back_over_tap") {
        there_and_back(&mut tap(true));
    }
}

#[test]
fn there_and_back_over_tap_without_offloads() {
    if own("kernel::there_and_back_over_tap_without_offloads") {
        there_and_back(&mut tap(false));
    }
}

#[test]
fn there_and_back_over_packet() {
    if own("kernel::there_and_back_over_packet") {
        there_and_back(&mut packet());
    }
}

/// One push leaves as many datagrams, cut by the kernel or by us; and many that the kernel leaves to us to cut come as many.
fn segments(side: &mut Side) {
    for (theirs, ours) in [("10.9.0.1:0", "10.9.0.2:0"), ("[fd09::1]:0", "[fd09::2]:0")] {
        let socket = kernel(theirs);
        let to = socket.local_addr().unwrap();
        let (handle, own) = side.bound(ours);
        side.catnip.set_option(handle, SocketOption::SegmentSize(1400)).unwrap();
        let sent = bytes(14_100, 3);
        // The first one goes before the neighbour is known.
        for _ in 0..3 {
            side.push_to(handle, &sent, to).unwrap();
            for expected in sent.chunks(1400) {
                let (came, from) = receive(&socket, side);
                assert!(came == expected && from == own, "{} bytes from {from}", came.len());
            }
        }
        let size: libc::c_int = 1400;
        // SAFETY: an option whose value is an int.
        let set = unsafe {
            use std::os::fd::AsRawFd;
            let at = (&raw const size).cast();
            libc::setsockopt(socket.as_raw_fd(), libc::SOL_UDP, libc::UDP_SEGMENT, at, size_of_val(&size) as u32)
        };
        assert_eq!(set, 0);
        for _ in 0..3 {
            socket.send_to(&sent, own).unwrap();
            for expected in sent.chunks(1400) {
                let (from, came) = side.pop(handle, &mut []).unwrap();
                assert!(came == expected && from == to, "{} bytes from {from}", came.len());
            }
        }
    }
    assert_eq!(side.catnip.counters().drops, 0);
}

#[test]
fn segments_over_tap() {
    if own("kernel::segments_over_tap") {
        segments(&mut tap(true));
    }
}

#[test]
fn segments_over_tap_without_offloads() {
    if own("kernel::segments_over_tap_without_offloads") {
        segments(&mut tap(false));
    }
}

#[test]
fn segments_over_packet() {
    if own("kernel::segments_over_packet") {
        segments(&mut packet());
    }
}

/// What the kernel's socket gets while nobody works for the stack.
#[track_caller]
fn alone(socket: &UdpSocket) -> u8 {
    let mut byte = [0; 1];
    for _ in 0..10_000 {
        if socket.recv(&mut byte).is_ok() {
            return byte[0];
        }
        std::thread::sleep(core::time::Duration::from_millis(1));
    }
    panic!("nothing came");
}

/// Who only pushes, and never looks whether something has come, is heard all the same; and so is who ends right behind it: the hardware
/// address of the other host is asked for, and its answer taken in.
#[test]
fn pushes_alone() {
    if !own("kernel::pushes_alone") {
        return;
    }
    let mut side = packet();
    let (first, last) = (kernel("10.9.0.1:0"), kernel("[fd09::1]:0"));
    let (handle, _) = side.bound("10.9.0.2:0");
    for number in 0..20 {
        let mut message = side.message(&[number]);
        let pushed = side.catnip.push_to(handle, &mut message, first.local_addr().unwrap());
        assert!(matches!(pushed, Poll::Ready(Ok(()))));
        std::thread::sleep(core::time::Duration::from_millis(1));
    }
    let mut message = side.message(&[99]);
    let (handle, _) = side.bound("[fd09::2]:0");
    assert!(matches!(side.catnip.push_to(handle, &mut message, last.local_addr().unwrap()), Poll::Ready(Ok(()))));
    drop(side);
    for number in 0..20 {
        assert_eq!(alone(&first), number);
    }
    assert_eq!(alone(&last), 99);
}

/// Nobody at a port: each tells the other.
#[test]
fn refusals() {
    if !own("kernel::refusals") {
        return;
    }
    let mut side = packet();
    for (theirs, ours) in [("10.9.0.1:0", "10.9.0.2:9"), ("[fd09::1]:0", "[fd09::2]:9")] {
        let socket = kernel(theirs);
        let nobody = SocketAddr::new(socket.local_addr().unwrap().ip(), 9);
        socket.connect(at(ours)).unwrap();
        socket.send(b"anybody?").unwrap();
        let mut refused = None;
        side.work_until(&mut [], |_| {
            refused = socket.recv(&mut [0; 10]).err().filter(|error| error.kind() != std::io::ErrorKind::WouldBlock);
            refused.is_some()
        });
        assert_eq!(refused.unwrap().kind(), std::io::ErrorKind::ConnectionRefused);
        let handle = side.socket(runtime::socket::Domain::of(&nobody));
        side.catnip.connect(handle, nobody).unwrap();
        let mut message = side.message(b"anybody?");
        side.until(handle, Direction::Push, &mut [], |catnip| catnip.push(handle, &mut message)).unwrap();
        assert_eq!(side.pop(handle, &mut []), Err(runtime::Errno::CONNREFUSED));
    }
}

/// The interface goes away while a socket waits: it is told, and so is who comes later.
#[test]
fn an_interface_that_goes_away() {
    if !own("kernel::an_interface_that_goes_away") {
        return;
    }
    let mut side = tap(true);
    let (handle, _) = side.bound("10.9.0.2:0");
    assert!(side.catnip.pop(handle, PopMode::Whole).is_pending());
    ip("link del margay0\n");
    let error = side.until(handle, Direction::Pop, &mut [], |catnip| catnip.pop(handle, PopMode::Whole)).unwrap_err();
    assert_eq!(error, runtime::Errno::from_raw(77), "EBADFD");
    assert!(side.push_to(handle, b"x", at("10.9.0.1:9")).is_err());
    // And nobody is kept awake by it.
    let slept = (0..50).filter(|_| side.round(crate::NAP)).count();
    assert!(slept > 30, "{slept} of 50 rounds");
}

/// Thousands of datagrams of both at once: whatever comes is in order, and what does not come is counted by somebody.
#[test]
fn a_flood_from_the_kernel() {
    if !own("kernel::a_flood_from_the_kernel") {
        return;
    }
    let mut side = packet();
    let socket = kernel("10.9.0.1:0");
    let (handle, own) = side.bound("10.9.0.2:0");
    let (mut came, mut back) = (Vec::new(), 0_u32);
    for number in 0..5000_u32 {
        let _ = socket.send_to(&number.to_be_bytes(), own);
        if number % 50 == 0 {
            side.look();
            while let Poll::Ready(chain) = side.catnip.pop(handle, PopMode::Whole) {
                let datagram = Datagram::from_chain(chain.unwrap());
                let to = datagram.sender();
                let mut message = datagram.into_message();
                came.push(u32::from_be_bytes(message.to_vec().try_into().unwrap()));
                let _ = side.catnip.push_to(handle, &mut message, to);
            }
            while socket.recv(&mut [0; 10]).is_ok() {
                back += 1;
            }
        }
    }
    assert!(came.is_sorted() && came.len() > 1000, "{} came", came.len());
    assert!(back > 1000, "{back} came back");
}
