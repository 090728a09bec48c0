// SPDX-License-Identifier: MIT OR Apache-2.0
//! XDP sockets on one end of a `veth(4)`, whose program runs in the driver or in front of the kernel's stack, with the kernel at the
//! other. What the kernel sends has checksums and is one datagram in each frame, as on a wire; that takes `ethtool`.

use crate::foreign;
use crate::frames::{EVERYBODY, OUR_MAC, OURS, arp_request, parse_udp, udp};
use crate::network::{ip, own};
use crate::{SetAtEnd, all, ask, frame, pools, receive, send};
use catnip::device::xdp::{Mode, Ours, Settings, Xdp};
use runtime::buf::{Classes, Pools};
use runtime::device::{Burst, Checksum, Device, Frame};
use runtime::{Errno, Error};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::set_socket_recv_buffer_size;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, UdpSocket};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const SETTINGS: Settings = Settings { receive: 256, transmit: 64, ..Settings::DEFAULT };
const MODES: [Mode; 2] = [Mode::Native, Mode::Generic];
/// Where a frame begins in the block into which the kernel has put it.
const IN_PLACE: usize = 256;

fn ours() -> Ours {
    Ours { mac: OUR_MAC, addresses: vec![IpAddr::V4(OURS)], vlan: None }
}

/// As on a wire.
fn wire(interface: &str) -> bool {
    let off = ["tx", "tso", "gso", "gro"].map(|what| [what, "off"]).concat();
    let done = Command::new("ethtool").args(["-K", interface]).args(off).output();
    done.is_ok_and(|done| done.status.success())
}

/// A `veth(4)` pair in a network of its own: ours, and the kernel's with its address.
fn veth(test: &str, more: &str, mtu: u16) -> bool {
    if !own(test) {
        return false;
    }
    ip(&format!(
        "link add ours mtu {mtu} {more} type veth peer name theirs mtu {mtu} {more}\n\
         link set ours up\n\
         link set theirs up\n\
         addr add 10.9.0.1/24 dev theirs\n\
         neigh add 10.9.0.2 lladdr 02:00:00:00:00:42 dev theirs nud permanent\n"
    ));
    let wire = wire("theirs");
    if !wire {
        eprintln!("skipped - {test}: there is no ethtool");
    }
    wire
}

fn open(mode: Mode) -> Xdp {
    with(&Settings { mode, ..SETTINGS }, pools())
}

fn with(settings: &Settings, pools: Pools) -> Xdp {
    Xdp::open("ours", settings, &ours(), pools).unwrap()
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("10.9.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket
}

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at % 251) as u8).collect()
}

/// Whether a frame lies where the kernel has put it.
fn is_in_place(frame: &Frame) -> bool {
    frame.data.iter().all(|piece| piece.headroom() == IN_PLACE)
}

/// A datagram from us to the kernel, and one back, which is not copied on its way.
#[track_caller]
fn there_and_back(xdp: &mut Xdp, from: &Pools, mac: [u8; 6], kernel: &UdpSocket, len: usize) {
    let (port, payload) = (kernel.local_addr().unwrap().port(), bytes(len));
    send(xdp, [frame(from, &udp(mac, [7, port], &payload, true))]);
    let mut heard = vec![0; len + 1];
    assert_eq!(kernel.recv(&mut heard).unwrap(), len);
    assert!(heard[..len] == payload);
    kernel.send_to(&payload, "10.9.0.2:7").unwrap();
    let (came, bytes) = receive(xdp, |_, bytes| parse_udp(bytes).is_some());
    assert!(parse_udp(&bytes) == Some((payload, true)), "{len}");
    assert!(is_in_place(&came) && came.checksum == Checksum::Complete, "{came:?}");
}

/// With blocks that are chunks at multiples of their size, and others; from memory that is shared, and others.
#[test]
fn the_kernel_answers() {
    for (mode, small_size) in [(Mode::Native, 2048), (Mode::Native, 1920), (Mode::Generic, 2048), (Mode::Generic, 3968)]
    {
        if !veth("xdp::the_kernel_answers", "", 1500) {
            return;
        }
        let own = Pools::new(&Classes { small_size, small_count: 512, large_count: 64, ..Classes::default() }).unwrap();
        let mut xdp = with(&Settings { mode, ..SETTINGS }, own.clone());
        assert_eq!((xdp.caps().mtu, xdp.is_native(), xdp.is_zero_copy()), (1500, mode == Mode::Native, false));
        let (mac, kernel, others) = (ask(&mut xdp), socket(), pools());
        // More than the rings have entries.
        for len in (0..1472).step_by(7) {
            there_and_back(&mut xdp, &own, mac, &kernel, len);
            there_and_back(&mut xdp, &others, mac, &kernel, len);
        }
        assert_eq!((xdp.counters().receive_drops, xdp.counters().send_drops), (0, 0));
        drop(xdp);
        let left: Vec<u32> = own.stats().iter().map(|stats| stats.in_use).collect();
        assert_eq!(left, [0; 3], "all memory is back");
    }
}

/// The same datagram to this port in so many segments, which are of one block.
fn in_segments(own: &Pools, datagram: &[u8], count: usize) -> Frame {
    let mut rest = own.alloc_copy(datagram).unwrap();
    let mut data = runtime::buf::Sga::new();
    for _ in 1..count {
        data.push_back(rest.split_front(15).unwrap()).unwrap();
    }
    data.push_back(rest).unwrap();
    Frame::from(data)
}

/// A frame of several segments, and one of which a view stays here, arrive whole; what they are made of stays until then.
#[test]
fn segments_and_views() {
    for mode in MODES {
        if !veth("xdp::segments_and_views", "", 1500) {
            return;
        }
        let own = pools();
        let mut xdp = with(&Settings { mode, ..SETTINGS }, own.clone());
        let (mac, kernel) = (ask(&mut xdp), socket());
        let port = kernel.local_addr().unwrap().port();
        for count in [1, 2, 3, 15, 16, 17, 40] {
            let payload = bytes(700 + count);
            let whole = in_segments(&own, &udp(mac, [7, port], &payload, true), count).data;
            let mut heard = [0; 2000];
            for again in 0..2 {
                send(&mut xdp, [Frame::from(whole.view().unwrap())]);
                assert_eq!(kernel.recv(&mut heard).unwrap(), payload.len(), "{count} segments, {again}");
                assert!(heard[..payload.len()] == payload);
            }
            assert_eq!(whole.len(), payload.len() + 42);
        }
        drop(xdp);
        assert_eq!(own.stats()[0].in_use, 0);
    }
}

/// A signal that comes while the kernel checks the program has it break off (`EAGAIN`), which is no reason not to open; and a queue that is not
/// free is waited for as long as said, since sleeps that many signals interrupt must not become longer.
#[test]
fn signals_keep_nobody_from_opening() {
    const OPENINGS: usize = 40;
    const SIGNALS_MAX: u32 = 20_000_000;
    extern "C" fn nothing(_: libc::c_int) {}
    if !veth("xdp::signals_keep_nobody_from_opening", "", 1500) {
        return;
    }
    // SAFETY: a handler that does nothing, for a signal that nothing else here has a use for.
    unsafe { libc::signal(libc::SIGUSR2, nothing as extern "C" fn(libc::c_int) as libc::sighandler_t) };
    // SAFETY: this thread's own name.
    let this = unsafe { libc::pthread_self() };
    let is_over = AtomicBool::new(false);
    let signals = std::thread::scope(|scope| {
        // They end, whatever becomes of those who open.
        let sending = scope.spawn(|| {
            let mut signals = 0;
            while !is_over.load(Ordering::Relaxed) && signals < SIGNALS_MAX {
                // SAFETY: that thread waits for this one at its end.
                unsafe { libc::pthread_kill(this, libc::SIGUSR2) };
                signals += 1;
                std::thread::yield_now();
            }
            signals
        });
        let over = SetAtEnd(&is_over);
        for _ in 0..OPENINGS {
            drop(open(Mode::Native));
        }
        let _other = open(Mode::Native);
        let refused = Xdp::open("ours", &SETTINGS, &ours(), pools()).map(drop);
        assert_eq!(refused.map_err(Error::errno), Err(Errno::BUSY));
        drop(over);
        sending.join().unwrap()
    });
    assert!((200..SIGNALS_MAX).contains(&signals), "{signals}");
}

/// Who receives a frame is not charged for the segments that it was made of: without zero copy the kernel makes a page of each piece, and
/// a small buffer had room for one frame, or for none. Only where there is no block for a copy it goes in its pieces.
#[test]
fn segments_cost_their_receiver_nothing() {
    const FRAMES: usize = 4;
    for (mode, mtu, len) in [(Mode::Native, 1500, 700), (Mode::Generic, 1500, 700), (Mode::Native, 9000, 1900)] {
        if !veth("xdp::segments_cost_their_receiver_nothing", "", mtu) {
            return;
        }
        let own = pools();
        let mut xdp = with(&Settings { mode, ..SETTINGS }, own.clone());
        let (mac, kernel) = (ask(&mut xdp), socket());
        // The kernel doubles it.
        set_socket_recv_buffer_size(&kernel, 16 << 10).unwrap();
        let (port, payload, mut heard) = (kernel.local_addr().unwrap().port(), bytes(len), [0; 2000]);
        let datagram = udp(mac, [7, port], &payload, true);
        let frames: Vec<Frame> = (0..FRAMES).map(|_| in_segments(&own, &datagram, 16)).collect();
        send(&mut xdp, frames);
        for number in 0..FRAMES {
            assert_eq!(kernel.recv(&mut heard).unwrap(), len, "{mode:?}, {number}");
            assert!(heard[..len] == payload);
        }
        let last = in_segments(&own, &datagram, 16);
        let held: Vec<_> = core::iter::from_fn(|| own.alloc(100).ok()).collect();
        send(&mut xdp, [last]);
        assert_eq!(kernel.recv(&mut heard).unwrap(), len);
        drop(held);
    }
}

/// Everything but what is for our addresses is the kernel's as if nothing were there; what is for groups is for both.
#[test]
fn the_host_keeps_its_own() {
    for mode in MODES {
        if !veth("xdp::the_host_keeps_its_own", "", 1500) {
            return;
        }
        // Another host at the other end, so that what goes there passes the wire.
        let other = Command::new("unshare").args(["-n", "sleep", "60"]).stdin(Stdio::null()).spawn();
        let Ok(mut other) = other else {
            eprintln!("skipped - xdp::the_host_keeps_its_own: there is no unshare");
            return;
        };
        let mut xdp = open(mode);
        ip("addr add 10.9.0.5/24 dev ours\n");
        // Wait for the network of its own.
        let there = |pid: u32| std::fs::read_link(format!("/proc/{pid}/ns/net")).unwrap();
        for _ in 0..crate::LOOKS {
            if there(other.id()) != std::fs::read_link("/proc/thread-self/ns/net").unwrap() {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let pid = other.id().to_string();
        ip(&format!("link set theirs netns {pid}\n"));
        let inside = |script: &str| {
            let done = Command::new("nsenter").args(["-t", &pid, "-n", "sh", "-ec", script]).output().unwrap();
            assert!(done.status.success(), "{script}: {}", String::from_utf8_lossy(&done.stderr));
        };
        inside(
            "ip link set theirs up; ip addr add 10.9.0.1/24 dev theirs; ethtool -K theirs tx off gso off tso off >/dev/null",
        );
        let kernel = UdpSocket::bind("0.0.0.0:9").unwrap();
        kernel.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        inside("ping -c 3 -i 0.05 -W 5 10.9.0.5");
        inside("ip neigh replace 10.9.0.2 lladdr 02:00:00:00:00:42 dev theirs nud permanent");
        inside(
            "printf kernel | socat -u - UDP:10.9.0.5:9; printf ours | socat -u - UDP:10.9.0.2:9; printf both | socat -u - UDP-DATAGRAM:10.9.0.255:9,broadcast",
        );
        let mut heard = [0; 100];
        // In either order: two processes on two processors have sent them.
        let mut texts: Vec<Vec<u8>> =
            (0..2).map(|_| kernel.recv(&mut heard).map(|len| heard[..len].to_vec()).unwrap()).collect();
        texts.sort();
        assert_eq!(texts, [&b"both"[..], b"kernel"]);
        let (mut burst, mut came) = (Burst::new(), Vec::new());
        for _ in 0..crate::LOOKS {
            xdp.rx(&mut burst).unwrap();
            came.extend(core::iter::from_fn(|| burst.pop()).map(|frame| (is_in_place(&frame), frame.data.to_vec())));
            // They are not in order: the one comes past the stack, the other through it.
            if [&b"ours"[..], b"both"].iter().all(|text| came.iter().any(|(_, bytes)| bytes.ends_with(text))) {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let has = |text: &[u8]| came.iter().find(|(_, bytes)| bytes.ends_with(text)).map(|(in_place, _)| *in_place);
        assert_eq!((has(b"ours"), has(b"both"), has(b"kernel")), (Some(true), Some(false), None));
        assert!(came.iter().all(|(_, bytes)| bytes[..6] == OUR_MAC || bytes[0] & 1 == 1));
        other.kill().unwrap();
        other.wait().unwrap();
    }
}

/// Requests for our address come to us past the kernel, those for others only as what is for everybody.
#[test]
fn requests_for_our_address() {
    for mode in MODES {
        if !veth("xdp::requests_for_our_address", "", 1500) {
            return;
        }
        let mut xdp = open(mode);
        ip("neigh del 10.9.0.2 dev theirs\n");
        for (to, in_place) in [("10.9.0.2:7", true), ("10.9.0.77:7", false)] {
            socket().send_to(b"who?", to).unwrap();
            let target: IpAddr = to.parse::<std::net::SocketAddr>().unwrap().ip();
            let IpAddr::V4(target) = target else { panic!() };
            let (came, _) = receive(&mut xdp, |_, bytes| {
                bytes[..6] == EVERYBODY && bytes.get(38..42) == Some(&target.octets()[..])
            });
            assert_eq!(is_in_place(&came), in_place, "{to}");
        }
    }
}

/// The interface's own hardware address can be ours as well: the IP address tells whose a frame is.
#[test]
fn one_hardware_address_for_both() {
    for mode in MODES {
        if !veth("xdp::one_hardware_address_for_both", "", 1500) {
            return;
        }
        ip("link set ours address 02:00:00:00:00:42\n\
            neigh add 10.9.0.3 lladdr 02:00:00:00:00:42 dev theirs nud permanent\n");
        let mut xdp = open(mode);
        let kernel = socket();
        kernel.send_to(b"for the kernel", "10.9.0.3:7").unwrap();
        kernel.send_to(b"for us", "10.9.0.2:7").unwrap();
        let came = all(&mut xdp, 50);
        let has = |text: &[u8]| came.iter().any(|frame| frame.ends_with(text));
        assert!(has(b"for us") && !has(b"for the kernel"));
    }
}

#[test]
fn everything_if_asked_for() {
    if !veth("xdp::everything_if_asked_for", "", 1500) {
        return;
    }
    let mut xdp = with(&Settings { promiscuous: true, ..SETTINGS }, pools());
    ip("neigh add 10.9.0.3 lladdr 02:00:00:00:00:43 dev theirs nud permanent\n");
    socket().send_to(b"for another", "10.9.0.3:7").unwrap();
    let (came, _) = receive(&mut xdp, |_, bytes| bytes.ends_with(b"for another"));
    assert!(is_in_place(&came));
}

/// What finds no block is counted, and the rest is in order.
#[test]
fn a_full_ring_is_counted() {
    for mode in MODES {
        if !veth("xdp::a_full_ring_is_counted", "", 1500) {
            return;
        }
        // An eighth of them is the kernel's to fill.
        let own = pools();
        let mut xdp = with(&Settings { mode, ..SETTINGS }, own.clone());
        let kernel = socket();
        for number in 0..1000_u32 {
            kernel.send_to(&number.to_be_bytes(), "10.9.0.2:7").unwrap();
        }
        let mut numbers = Vec::new();
        for bytes in all(&mut xdp, 50) {
            if let Some((payload, _)) = parse_udp(&bytes) {
                numbers.push(u32::from_be_bytes(payload.try_into().unwrap()));
            }
        }
        assert!(numbers.len() >= 64 && numbers.is_sorted(), "{numbers:?}");
        assert!(xdp.counters().receive_drops >= 1000 - numbers.len() as u64);
        ask(&mut xdp);
    }
}

/// Without a buffer nothing comes, and with the first that is free again something does.
#[test]
fn without_buffers() {
    if !veth("xdp::without_buffers", "", 1500) {
        return;
    }
    let own = Pools::new(&Classes { small_count: 64, large_count: 1, ..Classes::default() }).unwrap();
    let mut xdp = with(&SETTINGS, own.clone());
    let mac = ask(&mut xdp);
    let held: Vec<_> = core::iter::from_fn(|| own.alloc(100).ok()).collect();
    let kernel = socket();
    let others = pools();
    let (mut burst, mut taken) = (Burst::new(), Vec::new());
    for number in 0..30_u8 {
        kernel.send_to(&[number; 10], "10.9.0.2:7").unwrap();
        xdp.rx(&mut burst).unwrap();
        taken.extend(core::iter::from_fn(|| burst.pop()));
    }
    assert!(taken.len() <= 8 && own.stats()[0].in_use == 64, "{}", taken.len());
    assert!(xdp.counters().receive_drops >= 22);
    // What would have to be copied stays.
    burst.push(frame(&others, &udp(mac, [7, 9], b"waits", true))).unwrap();
    xdp.tx(&mut burst).unwrap();
    assert_eq!((burst.len(), xdp.counters().send_drops), (1, 0));
    drop((held, taken));
    xdp.tx(&mut burst).unwrap();
    assert!(burst.is_empty());
    all(&mut xdp, 3);
    there_and_back(&mut xdp, &others, mac, &kernel, 100);
}

/// What the ring has no room for stays in order; what is too long, or not finished, is dropped.
#[test]
fn too_long_and_too_many() {
    for mode in MODES {
        if !veth("xdp::too_long_and_too_many", "", 1500) {
            return;
        }
        let own = pools();
        let mut xdp = with(&Settings { mode, transmit: 16, ..SETTINGS }, own.clone());
        let mac = ask(&mut xdp);
        send(&mut xdp, [frame(&own, &vec![0; 1519]), frame(&own, &[0; 13]), frame(&own, &[])]);
        let unfinished = Frame { checksum: Checksum::Partial { start: 34, offset: 6 }, ..frame(&own, &[0; 60]) };
        send(&mut xdp, [unfinished]);
        assert_eq!(xdp.counters().send_drops, 4);
        let kernel = socket();
        let port = kernel.local_addr().unwrap().port();
        let mut heard = [0; 100];
        for round in 0..20_u8 {
            let frames = (0..64).map(|number| frame(&own, &udp(mac, [7, port], &[round, number], true)));
            send(&mut xdp, frames);
            for number in 0..64 {
                assert_eq!(kernel.recv(&mut heard).unwrap(), 2);
                assert_eq!(heard[..2], [round, number]);
            }
        }
        drop(xdp);
        assert_eq!(own.stats()[0].in_use, 0);
    }
}

/// Frames that are longer than a block are in several.
#[test]
fn longer_than_a_block() {
    if !veth("xdp::longer_than_a_block", "", 9000) {
        return;
    }
    let own = Pools::new(&Classes { small_count: 1024, large_count: 64, ..Classes::default() }).unwrap();
    let mut xdp = with(&Settings { mode: Mode::Native, ..SETTINGS }, own.clone());
    assert_eq!(xdp.caps().mtu, 9000);
    let (mac, kernel) = (ask(&mut xdp), socket());
    for len in [100, 1800, 1878, 1879, 3000, 5000, 8972] {
        for round in 0..20 {
            there_and_back(&mut xdp, &own, mac, &kernel, len - round % 2);
        }
    }
    assert_eq!((xdp.counters().receive_drops, xdp.counters().send_drops), (0, 0));
    drop(xdp);
    assert_eq!(own.stats()[0].in_use, 0);
}

/// Whatever queue a frame comes on, it comes to us past the kernel.
#[test]
fn several_queues() {
    for mode in MODES {
        if !veth("xdp::several_queues", "numrxqueues 4 numtxqueues 4", 1500) {
            return;
        }
        let mut xdp = open(mode);
        assert_eq!(xdp.queues(), 4);
        let mac = ask(&mut xdp);
        for number in 0..40_u8 {
            let kernel = socket();
            there_and_back(&mut xdp, &pools(), mac, &kernel, 10 + usize::from(number));
        }
        drop(xdp);
        // What comes on a queue that is left to the kernel comes to us as well, the longer way.
        let mut xdp = with(&Settings { mode, queues: 1, ..SETTINGS }, pools());
        assert_eq!(xdp.queues(), 1);
        for number in 0..40_u8 {
            socket().send_to(&[number; 20], "10.9.0.2:7").unwrap();
            receive(&mut xdp, |_, bytes| bytes.ends_with(&[number; 20]));
        }
    }
}

/// With the interface's own hardware address a frame for us on a queue that is left to the kernel would be the kernel's, without a word: only
/// with all queues.
#[test]
fn one_hardware_address_takes_all_queues() {
    for (count, queues, mac, all) in [
        (4, 1, OUR_MAC, false),
        (4, 3, OUR_MAC, false),
        (4, 4, OUR_MAC, true),
        (4, 5, OUR_MAC, true),
        (4, 0, OUR_MAC, true),
        (1, 0, OUR_MAC, true),
        // An address of our own tells us from the kernel by any way.
        (4, 1, [2, 0, 0, 0, 0, 0x43], true),
        // More than are ever taken.
        (65, 0, OUR_MAC, false),
        (65, 64, OUR_MAC, false),
        (65, 0, [2, 0, 0, 0, 0, 0x43], true),
    ] {
        let more = format!("numrxqueues {count} numtxqueues {count}");
        if !veth("xdp::one_hardware_address_takes_all_queues", &more, 1500) {
            return;
        }
        ip("link set ours address 02:00:00:00:00:42\n");
        let ours = Ours { mac, ..ours() };
        let opened = Xdp::open("ours", &Settings { queues, mode: Mode::Generic, ..SETTINGS }, &ours, pools());
        match opened.map(drop) {
            Ok(()) => assert!(all, "{queues} of {count}"),
            Err(error) => {
                assert!(!all && error.errno() == Errno::INVAL, "{queues} of {count}: {error}");
                let said = error.to_string();
                assert!(said.contains("catnip.xdp.queues") && said.contains("catnip.mac"), "{said}");
            }
        }
    }
}

fn is_readable(xdp: &Xdp, milliseconds: i64) -> bool {
    let descriptor = xdp.descriptor().unwrap();
    let mut polled = [PollFd::new(&descriptor, PollFlags::IN)];
    let time = Timespec { tv_sec: 0, tv_nsec: milliseconds * 1_000_000 };
    poll(&mut polled, Some(&time)).unwrap() == 1
}

#[test]
fn readable_when_something_has_come() {
    for mode in MODES {
        if !veth("xdp::readable_when_something_has_come", "", 1500) {
            return;
        }
        let mut xdp = open(mode);
        let kernel = socket();
        all(&mut xdp, 20);
        for number in 0..10 {
            assert!(!xdp.arm() && !is_readable(&xdp, 0));
            kernel.send_to(&[number], "10.9.0.2:7").unwrap();
            assert!(is_readable(&xdp, 900) && xdp.arm());
            xdp.disarm();
            receive(&mut xdp, |_, bytes| parse_udp(bytes).is_some());
        }
    }
}

#[test]
fn looking_in_the_driver() {
    if !veth("xdp::looking_in_the_driver", "", 1500) {
        return;
    }
    let mut xdp = with(&Settings { busy_poll: Duration::from_micros(20), ..SETTINGS }, pools());
    let (mac, kernel) = (ask(&mut xdp), socket());
    for len in 0..100 {
        there_and_back(&mut xdp, &pools(), mac, &kernel, len);
    }
}

#[test]
fn down_and_up_again_and_gone() {
    for mode in MODES {
        if !veth("xdp::down_and_up_again_and_gone", "", 1500) {
            return;
        }
        let mut xdp = open(mode);
        ask(&mut xdp);
        ip("link set ours down\n");
        send(&mut xdp, [frame(&pools(), &arp_request())]);
        assert_eq!(all(&mut xdp, 3), Vec::<Vec<u8>>::new());
        ip("link set ours up\nneigh replace 10.9.0.2 lladdr 02:00:00:00:00:42 dev theirs nud permanent\n");
        ask(&mut xdp);
        ip("link del ours\n");
        let mut burst = Burst::new();
        let gone = (0..crate::LOOKS).find_map(|_| {
            // There may be room still.
            let _ = burst.push(frame(&pools(), &arp_request()));
            xdp.tx(&mut burst).err()
        });
        assert_eq!(gone.map(runtime::Error::errno), Some(Errno::NETDOWN));
    }
}

/// What a program attached to the interface says of it.
fn has_program() -> bool {
    let said = Command::new("ip").args(["link", "show", "ours"]).output().unwrap();
    String::from_utf8_lossy(&said.stdout).contains("xdp")
}

/// What somebody else has attached stays, with its frames, and it is said; once it is gone, the interface is free.
#[test]
fn a_foreign_program_stays() {
    for native in [true, false] {
        if !veth("xdp::a_foreign_program_stays", "", 1500) {
            return;
        }
        foreign::attach("ours", native);
        assert!(has_program());
        for mode in [Mode::Auto, Mode::Native, Mode::Generic] {
            let refused = Xdp::open("ours", &Settings { mode, ..SETTINGS }, &ours(), pools()).map(drop).unwrap_err();
            assert_eq!(refused.errno(), Errno::BUSY, "{native} {mode:?}: {refused}");
            assert!(refused.to_string().contains("another XDP program"), "{refused}");
            assert!(has_program());
        }
        ip(&format!("link set ours {} off\n", if native { "xdpdrv" } else { "xdpgeneric" }));
        ask(&mut open(Mode::Auto));
    }
}

/// Started by the next test: holds the interface until it is killed.
#[test]
fn a_holder() {
    if std::env::var_os("MARGAY_TEST_HOLDER").is_none() {
        return;
    }
    let mut xdp = open(Mode::Auto);
    ask(&mut xdp);
    println!("\nholding");
    std::thread::sleep(Duration::from_secs(30));
}

#[test]
fn nothing_is_left_of_a_killed_process() {
    if !veth("xdp::nothing_is_left_of_a_killed_process", "", 1500) {
        return;
    }
    for _ in 0..2 {
        assert!(!has_program());
        let program = std::env::current_exe().unwrap();
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(program)
            .args(["xdp::a_holder", "--exact", "--nocapture", "--test-threads=1"])
            .env("MARGAY_TEST_HOLDER", "1")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.map_while(Result::ok).any(|line| line == "holding"));
        assert!(has_program());
        // Somebody has it: said, and nothing changed.
        let taken = Xdp::open("ours", &SETTINGS, &ours(), pools()).map(drop).unwrap_err();
        assert_eq!(taken.errno(), Errno::BUSY);
        assert!(has_program());
        child.kill().unwrap();
        child.wait().unwrap();
        for _ in 0..crate::LOOKS {
            if !has_program() {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(!has_program());
        // The queue is free some moments later, and is waited for.
        ask(&mut open(Mode::Auto));
    }
}

/// Frames that the application keeps outlive the device, and their memory goes back to its pool.
#[test]
fn frames_outlive_the_device() {
    if !veth("xdp::frames_outlive_the_device", "", 1500) {
        return;
    }
    let own = pools();
    let mut xdp = with(&SETTINGS, own.clone());
    socket().send_to(b"stays", "10.9.0.2:7").unwrap();
    let (frame, bytes) = receive(&mut xdp, |_, bytes| bytes.ends_with(b"stays"));
    drop(xdp);
    assert_eq!(frame.data.to_vec(), bytes);
    assert_eq!(own.stats()[0].in_use, 1);
    drop(frame);
    assert_eq!(own.stats()[0].in_use, 0);
}

#[test]
fn what_cannot_be_opened_says_why() {
    if !veth("xdp::what_cannot_be_opened_says_why", "", 1500) {
        return;
    }
    let open = |name: &str, settings: &Settings, pools: Pools| {
        Xdp::open(name, settings, &ours(), pools).map(drop).map_err(runtime::Error::errno)
    };
    assert_eq!(open("nobody", &SETTINGS, pools()), Err(Errno::from_raw(libc::ENODEV)));
    assert!(open("longer-than-names-are", &SETTINGS, pools()).is_err());
    let tiny = Pools::new(&Classes { small_size: 512, ..Classes::default() }).unwrap();
    assert_eq!(open("ours", &SETTINGS, tiny), Err(Errno::INVAL));
    // Loopback's driver has no place for a program, and the kernel has one for every interface.
    assert_eq!(open("lo", &Settings { mode: Mode::Native, ..SETTINGS }, pools()), Err(Errno::NOTSUP));
    assert_eq!(open("lo", &Settings { mode: Mode::Auto, ..SETTINGS }, pools()), Ok(()));
    let _held = with(&SETTINGS, pools());
    assert_eq!(open("ours", &SETTINGS, pools()), Err(Errno::BUSY));
}
