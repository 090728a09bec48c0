// SPDX-License-Identifier: MIT OR Apache-2.0
//! Packet sockets on one end of a `veth(4)`, with the kernel at the other.

use crate::frames::{EVERYBODY, OUR_MAC, arp_request, parse_udp, udp};
use crate::network::{ip, own};
use crate::{all, ask, frame, pools, receive, send};
use catnip::device::packet::{Packet, Settings};
use runtime::Errno;
use runtime::buf::{Classes, Pools};
use runtime::device::{Burst, Checksum, Device, Frame, SegmentKind, Segmentation};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, SocketFlags, SocketType, netdevice, socket_with};
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::process::Command;
use std::time::Duration;

const SETTINGS: Settings = Settings { address: OUR_MAC, receive: 256, transmit: 64, promiscuous: false };

/// A `veth(4)` pair: ours, and the kernel's with its address.
fn veth() {
    ip("link add ours type veth peer name theirs\n\
        link set ours up\n\
        link set theirs up\n\
        addr add 10.9.0.1/24 dev theirs\n");
}

fn up() -> Packet {
    veth();
    ip("neigh add 10.9.0.2 lladdr 02:00:00:00:00:42 dev theirs nud permanent\n");
    Packet::open("ours", &SETTINGS, pools()).unwrap()
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("10.9.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket
}

/// A socket of the kernel whose datagrams leave as one long frame.
fn trains() -> UdpSocket {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    let size: libc::c_int = 1400;
    // SAFETY: an option whose value is an int.
    let set = unsafe {
        let at = (&raw const size).cast();
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_UDP, libc::UDP_SEGMENT, at, size_of_val(&size) as u32)
    };
    assert_eq!(set, 0);
    socket
}

/// Sends what begins with virtio's header by a packet socket of the kernel, without a ring.
fn send_raw(interface: &str, bytes: &[u8]) {
    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::PACKET, SocketType::RAW, flags, None).unwrap();
    let on: libc::c_int = 1;
    // SAFETY: plain numbers, for which zeros are right.
    let mut to: libc::sockaddr_ll = unsafe { core::mem::zeroed() };
    to.sll_family = libc::AF_PACKET as u16;
    to.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
    to.sll_ifindex = netdevice::name_to_index(&socket, interface).unwrap().cast_signed();
    // SAFETY: an option whose value is an int, an address of its type, and bytes that are there.
    let sent = unsafe {
        let set = libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_VNET_HDR,
            (&raw const on).cast(),
            size_of_val(&on) as u32,
        );
        assert_eq!(set, 0);
        let len = size_of_val(&to) as u32;
        libc::sendto(socket.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), 0, (&raw const to).cast(), len)
    };
    assert_eq!(sent, bytes.len().cast_signed(), "{}", std::io::Error::last_os_error());
}

/// Whether a frame says that it stands for many datagrams, whose UDP header is there.
fn is_train(frame: &Frame, at: u16) -> bool {
    let cut = matches!(frame.segmentation, Some(Segmentation { kind: SegmentKind::Udp, size: 1400, .. }));
    cut && frame.checksum == Checksum::Partial { start: at, offset: 6 }
}

#[test]
fn the_kernel_answers() {
    if !own("packet::the_kernel_answers") {
        return;
    }
    let mut packet = up();
    assert_eq!(packet.caps().mtu, 1500);
    let mac = ask(&mut packet);
    let kernel = socket();
    let port = kernel.local_addr().unwrap().port();
    let mut bytes = [0; 2000];
    let pools = pools();
    // More than the rings have slots, of all lengths.
    for len in (0..1472).step_by(3) {
        let payload: Vec<u8> = (0..len).map(|at: usize| (at % 251) as u8).collect();
        send(&mut packet, [frame(&pools, &udp(mac, [7, port], &payload, true))]);
        assert_eq!(kernel.recv(&mut bytes).unwrap(), len);
        assert!(bytes[..len] == payload);
        kernel.send_to(&bytes[..len], "10.9.0.2:7").unwrap();
        let (came, bytes) = receive(&mut packet, |_, bytes| parse_udp(bytes).is_some());
        let (back, right) = parse_udp(&bytes).unwrap();
        assert!(back == payload);
        // Whoever sends within one machine leaves the sum away, and the header says so.
        assert!(right || came.checksum == Checksum::Partial { start: 34, offset: 6 }, "{:?}", came.checksum);
    }
    assert_eq!((packet.counters().receive_drops, packet.counters().send_drops), (0, 0));
}

/// A sender that fills in checksums is checked.
#[test]
fn whole_checksums_come_as_such() {
    if !own("packet::whole_checksums_come_as_such") {
        return;
    }
    let mut packet = up();
    let Ok(done) = Command::new("ethtool").args(["-K", "theirs", "tx", "off"]).output() else {
        eprintln!("skipped - packet::whole_checksums_come_as_such: there is no ethtool");
        return;
    };
    assert!(done.status.success());
    socket().send_to(b"with a sum", "10.9.0.2:7").unwrap();
    let (came, bytes) = receive(&mut packet, |_, bytes| parse_udp(bytes).is_some());
    assert_eq!(parse_udp(&bytes), Some((b"with a sum".to_vec(), true)));
    assert_eq!(came.checksum, Checksum::Complete);
}

/// Only what is for us or for groups, and nothing that this host sends on the interface itself.
#[test]
fn only_ours() {
    if !own("packet::only_ours") {
        return;
    }
    let mut packet = up();
    ip("neigh add 10.9.0.3 lladdr 02:00:00:00:00:43 dev theirs nud permanent\n\
        addr add 10.8.0.1/24 dev ours\n\
        neigh add 10.8.0.2 lladdr 02:00:00:00:00:42 dev ours nud permanent\n");
    let kernel = socket();
    kernel.set_broadcast(true).unwrap();
    kernel.send_to(b"for another", "10.9.0.3:7").unwrap();
    kernel.send_to(b"for everybody", "10.9.0.255:7").unwrap();
    let outgoing = UdpSocket::bind("10.8.0.1:0").unwrap();
    outgoing.send_to(b"from here", "10.8.0.2:7").unwrap();
    kernel.send_to(b"for us", "10.9.0.2:7").unwrap();
    let came = all(&mut packet, 50);
    let has = |text: &[u8]| came.iter().any(|frame| frame.ends_with(text));
    assert!(has(b"for us") && has(b"for everybody"));
    assert!(!has(b"for another") && !has(b"from here"));
    assert!(came.iter().all(|frame| frame[..6] == OUR_MAC || frame[..6] == EVERYBODY || frame[0] & 1 == 1));
}

/// A tag that the kernel has taken out stands in its place again.
#[test]
fn tags_are_put_back() {
    if !own("packet::tags_are_put_back") {
        return;
    }
    let mut packet = up();
    let mut other = Packet::open("theirs", &Settings { address: [2, 0, 0, 0, 0, 9], ..SETTINGS }, pools()).unwrap();
    let pools = pools();
    for (number, kind) in [[0x81, 0], [0x88, 0xa8]].into_iter().enumerate() {
        // The kernel lets only the first kind be longer than the MTU.
        for len in [46, 1500 - 4 * number] {
            let payload = vec![number as u8; len];
            let tagged = [&OUR_MAC[..], &[2, 0, 0, 0, 0, 9], &kind, &[0x60, 7], &[8, 0], &payload].concat();
            send(&mut other, [frame(&pools, &tagged)]);
            let (_, bytes) = receive(&mut packet, |_, bytes| bytes.ends_with(&payload));
            assert!(bytes == tagged, "{:x?}", &bytes[..20]);
        }
    }
}

/// A frame that does not fit a slot comes whole all the same.
#[test]
fn longer_than_a_slot() {
    if !own("packet::longer_than_a_slot") {
        return;
    }
    let mut packet = up();
    let kernel = trains();
    for number in 0..10 {
        let payload: Vec<u8> = (0..7000 + number).map(|at: usize| (at % 251) as u8).collect();
        kernel.send_to(&payload, "10.9.0.2:7").unwrap();
        let (came, bytes) = receive(&mut packet, |_, bytes| parse_udp(bytes).is_some());
        assert!(parse_udp(&bytes).unwrap().0 == payload, "frame {number}");
        assert!(is_train(&came, 34), "{came:?}");
    }
    assert_eq!(packet.counters().receive_drops, 0);
}

/// A long frame for which there is no buffer is lost, and with it nothing that comes behind it.
#[test]
fn longer_than_a_slot_without_a_buffer() {
    if !own("packet::longer_than_a_slot_without_a_buffer") {
        return;
    }
    let _first = up();
    let few = Classes { small_count: 64, large_count: 1, ..Classes::default() };
    let pools = Pools::new(&few).unwrap();
    let mut packet = Packet::open("ours", &SETTINGS, pools.clone()).unwrap();
    let kernel = trains();
    let held = pools.alloc(9000).unwrap();
    kernel.send_to(&[1; 7000], "10.9.0.2:7").unwrap();
    assert_eq!(all(&mut packet, 20).iter().filter(|bytes| parse_udp(bytes).is_some()).count(), 0);
    assert_eq!(packet.counters().receive_drops, 1);
    drop(held);
    for number in 2..5 {
        // Of the same length, so that the one is not taken for the other.
        kernel.send_to(&[number; 7000], "10.9.0.2:7").unwrap();
        let (_, bytes) = receive(&mut packet, |_, bytes| parse_udp(bytes).is_some());
        assert!(parse_udp(&bytes).unwrap().0 == [number; 7000], "frame {number}");
    }
    let descriptor = packet.descriptor().unwrap();
    let mut polled = [PollFd::new(&descriptor, PollFlags::IN)];
    assert_eq!(poll(&mut polled, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })), Ok(0), "nothing is left in the socket");
}

/// A tag of a frame that is longer than a slot stands in its place again, too.
#[test]
fn tags_of_long_frames() {
    if !own("packet::tags_of_long_frames") {
        return;
    }
    let mut packet = up();
    let payload: Vec<u8> = (0..7000).map(|at: usize| (at % 251) as u8).collect();
    let mut tagged = udp(OUR_MAC, [7, 7], &payload, false);
    tagged.splice(12..12, [0x81, 0, 0, 7]);
    // Virtio's header of a train: its checksum is left to whoever gets it, and so is cutting it every 1,400 bytes.
    let header = [[1, 5].to_vec(), [46_u16, 1400, 38, 6].map(u16::to_le_bytes).concat()].concat();
    send_raw("theirs", &[header, tagged].concat());
    let (came, bytes) = receive(&mut packet, |_, bytes| bytes.len() > 7000 && bytes[..6] == OUR_MAC);
    assert!(is_train(&came, 38), "{came:?}");
    assert_eq!(bytes[12..18], [0x81, 0, 0, 7, 8, 0]);
    assert!(bytes.ends_with(&payload));
    assert_eq!(bytes.len(), 18 + 28 + 7000);
}

/// What finds the ring full is counted, and the rest is in order.
#[test]
fn a_full_ring_is_counted() {
    if !own("packet::a_full_ring_is_counted") {
        return;
    }
    let mut packet = up();
    let kernel = socket();
    for number in 0..1000_u32 {
        kernel.send_to(&number.to_be_bytes(), "10.9.0.2:7").unwrap();
    }
    let mut numbers = Vec::new();
    for bytes in all(&mut packet, 50) {
        if let Some((payload, _)) = parse_udp(&bytes) {
            numbers.push(u32::from_be_bytes(payload.try_into().unwrap()));
        }
    }
    assert!(numbers.len() >= 200 && numbers.iter().enumerate().all(|(at, &number)| at as u32 == number), "{numbers:?}");
    assert!(packet.counters().receive_drops >= 1000 - numbers.len() as u64);
    ask(&mut packet);
}

/// What the transmit ring has no room for stays; what is too long is dropped.
#[test]
fn too_long_and_too_many() {
    if !own("packet::too_long_and_too_many") {
        return;
    }
    let mut packet = up();
    let mac = ask(&mut packet);
    let pools = pools();
    send(&mut packet, [frame(&pools, &vec![0; 1519])]);
    assert_eq!(packet.counters().send_drops, 1);
    let kernel = socket();
    let port = kernel.local_addr().unwrap().port();
    let mut bytes = [0; 100];
    for round in 0..20_u8 {
        let mut burst = Burst::new();
        for number in 0..64 {
            burst.push(frame(&pools, &udp(mac, [7, port], &[round, number], true))).unwrap();
        }
        while !burst.is_empty() {
            packet.tx(&mut burst).unwrap();
        }
        for number in 0..64 {
            assert_eq!(kernel.recv(&mut bytes).unwrap(), 2);
            assert_eq!(bytes[..2], [round, number]);
        }
    }
}

#[test]
fn down_and_up_again() {
    if !own("packet::down_and_up_again") {
        return;
    }
    let mut packet = up();
    ask(&mut packet);
    ip("link set ours down\n");
    send(&mut packet, [frame(&pools(), &arp_request())]);
    assert_eq!(all(&mut packet, 3), Vec::<Vec<u8>>::new());
    ip("link set ours up\n");
    ask(&mut packet);
}

#[test]
fn what_cannot_be_opened_says_why() {
    if !own("packet::what_cannot_be_opened_says_why") {
        return;
    }
    veth();
    let open = |name: &str, settings: &Settings| {
        Packet::open(name, settings, pools()).map(drop).map_err(runtime::Error::errno)
    };
    assert_eq!(open("nobody", &SETTINGS), Err(Errno::from_raw(libc::ENODEV)));
    assert!(open("longer-than-names-are", &SETTINGS).is_err());
    assert_eq!(open("ours", &Settings { receive: 1 << 40, ..SETTINGS }), Err(Errno::INVAL));
    assert_eq!(open("ours", &Settings { promiscuous: true, ..SETTINGS }), Ok(()));
}
