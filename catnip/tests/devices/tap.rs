// SPDX-License-Identifier: MIT OR Apache-2.0
//! TAP, with the kernel at the other end.

use crate::frames::{OUR_MAC, arp_reply, arp_request, folded, parse_udp, sum, udp};
use crate::network::{ip, own};
use crate::{ask, frame, pools, receive, send, until};
use catnip::device::tap::{Offloads, Tap};
use runtime::Errno;
use runtime::device::{Checksum, Device, Frame, SegmentKind, Segmentation};
use std::net::UdpSocket;
use std::time::Duration;

const ALL: Offloads = Offloads { checksum: true, segmentation: true };
const NONE: Offloads = Offloads { checksum: false, segmentation: false };

fn up(offloads: Offloads) -> Tap {
    // A program that another test is about to start has a copy of every descriptor until it runs, that of a TAP that was closed among them.
    let mut tap = Tap::open("margay0", offloads, pools());
    until(|| {
        if matches!(&tap, Err(error) if error.errno() == Errno::BUSY) {
            tap = Tap::open("margay0", offloads, pools());
        }
        tap.is_ok()
    });
    let tap = tap.unwrap();
    ip("addr add 10.9.0.1/24 dev margay0\n\
        link set margay0 up\n\
        neigh add 10.9.0.2 lladdr 02:00:00:00:00:42 dev margay0 nud permanent\n");
    tap
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("10.9.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket
}

#[test]
fn the_kernel_answers() {
    if !own("tap::the_kernel_answers") {
        return;
    }
    for offloads in [NONE, ALL] {
        let mut tap = up(offloads);
        assert_eq!((tap.caps().mtu, tap.caps().checksum), (1500, offloads.checksum));
        let mac = ask(&mut tap);
        assert_ne!(mac, OUR_MAC);
        // A whole checksum is always right.
        let kernel = socket();
        let port = kernel.local_addr().unwrap().port();
        send(&mut tap, [frame(&pools(), &udp(mac, [7, port], b"hello, kernel", true))]);
        let mut bytes = [0; 100];
        assert_eq!(kernel.recv(&mut bytes).unwrap(), 13);
        kernel.send_to(b"hello, stack", "10.9.0.2:7").unwrap();
        let (came, bytes) = receive(&mut tap, |_, bytes| parse_udp(bytes).is_some());
        let (payload, right) = parse_udp(&bytes).unwrap();
        assert_eq!(payload, b"hello, stack");
        if offloads.checksum {
            // UDP in IPv4: behind 14 and 20 bytes, at the sixth.
            assert_eq!((came.checksum, right), (Checksum::Partial { start: 34, offset: 6 }, false));
        } else {
            assert_eq!((came.checksum, right), (Checksum::Complete, true));
        }
    }
}

/// What we leave to the kernel it does: checksums, and cutting one frame into many datagrams.
#[test]
fn the_kernel_completes_what_is_left_to_it() {
    if !own("tap::the_kernel_completes_what_is_left_to_it") {
        return;
    }
    let mut tap = up(ALL);
    let mac = ask(&mut tap);
    let kernel = socket();
    let port = kernel.local_addr().unwrap().port();
    let pools = pools();
    let partial = |payload: &[u8], segmentation| {
        let data = frame(&pools, &udp(mac, [7, port], payload, false)).data;
        Frame { data, checksum: Checksum::Partial { start: 34, offset: 6 }, segmentation }
    };
    let mut bytes = [0; 2000];
    send(&mut tap, [partial(b"sum it up", None)]);
    assert_eq!(kernel.recv(&mut bytes).unwrap(), 9);
    if !tap.caps().segments_udp {
        return;
    }
    let payload: Vec<u8> = (0..5000).map(|at: usize| (at % 251) as u8).collect();
    send(&mut tap, [partial(&payload, Some(Segmentation { kind: SegmentKind::Udp, size: 1400, header: 42 }))]);
    for expected in payload.chunks(1400) {
        let len = kernel.recv(&mut bytes).unwrap();
        assert!(bytes[..len] == *expected, "{len} bytes");
    }
}

/// Many datagrams of the kernel come as one frame, which says so.
#[test]
fn many_datagrams_come_as_one_frame() {
    if !own("tap::many_datagrams_come_as_one_frame") {
        return;
    }
    let mut tap = up(ALL);
    if !tap.caps().segments_udp {
        return;
    }
    let kernel = socket();
    let size: libc::c_int = 1400;
    let payload: Vec<u8> = (0..14_000).map(|at: usize| (at % 251) as u8).collect();
    // SAFETY: an option whose value is an int.
    let set = unsafe {
        use std::os::fd::AsRawFd;
        let at = (&raw const size).cast();
        libc::setsockopt(kernel.as_raw_fd(), libc::SOL_UDP, libc::UDP_SEGMENT, at, size_of_val(&size) as u32)
    };
    assert_eq!(set, 0);
    kernel.send_to(&payload, "10.9.0.2:7").unwrap();
    let (came, bytes) = receive(&mut tap, |_, bytes| parse_udp(bytes).is_some());
    assert!(parse_udp(&bytes).unwrap().0 == payload);
    let Some(Segmentation { kind: SegmentKind::Udp, size: 1400, .. }) = came.segmentation else {
        panic!("{:?}", came.segmentation)
    };
    assert_eq!(came.checksum, Checksum::Partial { start: 34, offset: 6 });
    assert_eq!(folded(sum(&bytes[14..34])), 0xffff, "the checksum of IP is never left to anybody");
}

#[test]
fn what_cannot_be_opened_says_why() {
    if !own("tap::what_cannot_be_opened_says_why") {
        return;
    }
    let errno = |name: &str| Tap::open(name, NONE, pools()).err().unwrap().errno();
    assert_eq!(errno(""), Errno::INVAL);
    assert_eq!(errno("longer-than-names-are"), Errno::INVAL);
    assert_eq!(errno("a/b"), Errno::INVAL);
    // No TAP device.
    assert_eq!(errno("lo"), Errno::INVAL);
    let _first = Tap::open("margay0", NONE, pools()).unwrap();
    assert_eq!(errno("margay0"), Errno::BUSY);
}

/// While the interface is down frames are lost, as on a wire, and nothing breaks.
#[test]
fn down_and_up_again() {
    if !own("tap::down_and_up_again") {
        return;
    }
    let mut tap = up(ALL);
    ask(&mut tap);
    ip("link set margay0 down\n");
    send(&mut tap, [frame(&pools(), &arp_request())]);
    assert_eq!(tap.counters().send_drops, 1);
    assert!(crate::all(&mut tap, 3).iter().all(|bytes| arp_reply(bytes).is_none()));
    ip("link set margay0 up\n");
    ask(&mut tap);
}
