// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ports of DPDK: virtual devices, whose other end is the kernel, another port, or the port itself. The environment is one for all
//! tests of this process, without huge pages if there are none; each test has ports of its own.

use crate::frames::{EVERYBODY, OUR_MAC, parse_udp, udp};
use crate::network::{ip, own};
use crate::random::{Numbers, Random, carry};
use crate::{LOOKS, SetAtEnd, ask, frame, pools, receive, send, until};
use catnip::device::dpdk::{self, Dpdk, Settings};
use catnip::device::packet::{self, Packet};
use runtime::buf::{Classes, Pools, Sga};
use runtime::device::{BURST_FRAMES_MAX, Burst, Checksum, Device, Frame};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

fn open(port: &str) -> Dpdk {
    Dpdk::open(&small(port), &pools()).unwrap_or_else(|error| panic!("{port}: {error}"))
}

/// Few of everything, so that the ends of it are met.
fn small(port: &str) -> Settings {
    Settings { receive: 128, transmit: 64, buffers: Some(2048), ..Settings::new(port) }
}

/// Random frames; the addresses are nobody's here.
fn random(seed: u64) -> Random {
    println!("seed {seed:#x}");
    Random::new(seed, OUR_MAC, OUR_MAC, pools())
}

/// What is sent on `net_ring` is received on it: the packet buffers themselves, attached payloads among them.
#[test]
fn a_ring_gives_back_what_it_is_given() {
    let mut port = open("net_ring_back0");
    assert!(port.attaches() && port.driver() == "net_ring" && port.link_up());
    let mut random = random(0x5eed_0001);
    let before = port.in_use();
    carry(&mut random, &mut port, None, 20_000);
    // Everything has come, and so what was attached is back with the next look.
    port.rx(&mut Burst::new()).unwrap();
    assert!(port.in_use() <= before + 2 * BURST_FRAMES_MAX as u32, "{} and {before}", port.in_use());
    let counters = port.counters();
    assert_eq!((counters.sent, counters.received), (20_000, 20_000));
    assert_eq!((counters.send_drops, counters.receive_drops), (0, 0));
    // The driver's own, by its own names, and none that is zero.
    let mut extended = Vec::new();
    port.extended_counters(&mut |name, value| extended.push((name.to_owned(), value)));
    for name in ["rx_good_packets", "tx_good_packets", "rx_q0_packets"] {
        assert!(extended.contains(&(name.to_owned(), 20_000)), "{extended:?}");
    }
    assert!(extended.iter().all(|&(_, value)| value > 0), "{extended:?}");
}

/// However few packets the port is asked for at once, and however far ahead they are fetched, all come, and a look fills its burst.
#[test]
fn bursts_and_prefetches_of_any_length_give_the_same() {
    for (number, (burst, prefetch)) in [(4, 0), (5, 1), (7, 8), (32, 3), (32, 8)].into_iter().enumerate() {
        let settings = Settings { burst, prefetch, ..small(&format!("net_ring_burst{number}")) };
        let mut port = Dpdk::open(&settings, &pools()).unwrap();
        carry(&mut random(0x5eed_0006), &mut port, None, 3_000);
        let counters = port.counters();
        assert_eq!(
            (counters.sent, counters.received, counters.receive_drops),
            (3_000, 3_000, 0),
            "{burst}, {prefetch}"
        );

        let settings = Settings { burst, prefetch, ..small(&format!("net_null_burst{number}")) };
        let mut port = Dpdk::open(&settings, &pools()).unwrap();
        let mut full = Burst::new();
        port.rx(&mut full).unwrap();
        assert_eq!(full.len(), BURST_FRAMES_MAX, "{burst}, {prefetch}");
    }
}

/// A payload that the driver has keeps its memory, whoever else drops it, and is not written to.
#[test]
fn an_attached_payload_is_kept_until_the_driver_is_done() {
    let mut port = open("net_ring_kept0");
    let pools = pools();
    let payload = pools.alloc_copy(&[7; 1000]).unwrap();
    let mut mine = payload.view().unwrap();
    send(&mut port, [Frame::from(Sga::from(payload))]);
    assert!(mine.get_mut().is_none(), "the driver looks at it");
    assert_eq!(pools.stats()[0].in_use, 1);
    let (_, bytes) = receive(&mut port, |_, _| true);
    assert_eq!(bytes, [7; 1000]);
    port.rx(&mut Burst::new()).unwrap();
    assert!(mine.get_mut().is_some(), "it is done");
    drop(mine);
    assert_eq!(pools.stats()[0].in_use, 0);
    // What is under way when the port goes is given back, too.
    send(&mut port, [Frame::from(Sga::from(pools.alloc_copy(&[8; 1000]).unwrap()))]);
    assert_eq!(pools.stats()[0].in_use, 1);
    let mut burst = Burst::new();
    port.rx(&mut burst).unwrap();
    drop(burst);
    drop(port);
    assert_eq!(pools.stats()[0].in_use, 0);
}

/// Virtual devices whose frames this processor copies read a payload wherever it is, be it in a block of the heap; no device has to be told of it.
#[test]
fn virtual_devices_read_all_memory() {
    if !own("dpdk::virtual_devices_read_all_memory") {
        return;
    }
    veth();
    let directory = tempfile::tempdir().unwrap();
    let place = |name: &str| directory.path().join(name).display().to_string();
    for (port, attaches) in [
        ("net_ring_reads0".to_owned(), true),
        // A packet is one packet buffer there.
        ("net_null_reads0".to_owned(), false),
        (format!("net_memif_reads0,role=server,id=0,socket={},socket-abstract=no", place("memif.sock")), true),
        (format!("net_vhost_reads0,iface={},queues=1", place("vhost.sock")), true),
        ("net_af_packet_reads0,iface=ours".to_owned(), true),
        ("net_tap_reads0,iface=mine".to_owned(), true),
    ] {
        let device = open(&port);
        assert_eq!(device.attaches(), attaches, "{port}");
    }
    let mut port = open("net_ring_reads1");
    let pools = pools();
    // A part of it, since no frame is as long.
    let mut block = pools.alloc(pools.slotted()[1].slot_size() + 1).unwrap();
    let payload = block.split_front(1000).unwrap();
    let is_out = |pools: &Pools| pools.stats()[2].in_use > 0;
    drop(block);
    send(&mut port, [Frame::from(Sga::from(payload))]);
    assert!(is_out(&pools), "it is attached");
    receive(&mut port, |_, bytes| bytes.len() == 1000);
    port.rx(&mut Burst::new()).unwrap();
    assert!(!is_out(&pools));
}

/// Received memory is the application's to keep, to write to, and to keep longer than the port.
#[test]
fn a_received_buffer_outlives_its_port() {
    let mut port = Dpdk::open(&Settings { attach: false, ..small("net_ring_long0") }, &pools()).unwrap();
    send(&mut port, [frame(&pools(), &[1; 700])]);
    let mut burst = Burst::new();
    while burst.is_empty() {
        port.rx(&mut burst).unwrap();
    }
    let mut kept = burst.pop().unwrap().data.pop_front().unwrap();
    drop(port);
    kept.prepend(14).unwrap().fill(2);
    kept.get_mut().unwrap()[14..].fill(3);
    assert_eq!(kept.len(), 714);
    assert!(kept[..14].iter().all(|&byte| byte == 2) && kept[14..].iter().all(|&byte| byte == 3));
}

/// A receiver that keeps twice as much as there are packet buffers gets copies, then nothing, and everything again when it lets go.
#[test]
fn running_out_of_buffers_is_survived() {
    // This device receives as long as it is asked.
    let tight = Pools::new(&Classes { small_count: 256, large_count: 4, ..Classes::default() }).unwrap();
    let mut port = Dpdk::open(&Settings { buffers: Some(900), ..small("net_null_tight0") }, &tight).unwrap();
    let (mut kept, mut burst) = (Vec::new(), Burst::new());
    for _ in 0..2 * 900 {
        port.rx(&mut burst).unwrap();
        kept.extend(core::iter::from_fn(|| burst.pop()));
    }
    let drops = port.counters().receive_drops;
    assert!(drops > 0 && tight.stats()[0].in_use == 256, "{drops}");
    // Copies, and those lent: never the ones that the driver needs.
    assert!(kept.len() > 256 && kept.len() < 256 + 900, "{}", kept.len());
    kept.clear();
    port.rx(&mut burst).unwrap();
    assert_eq!(burst.len(), BURST_FRAMES_MAX);
    assert_eq!(tight.stats()[0].in_use, 0);
}

/// What the driver has no room for stays, in order, and goes once it has.
#[test]
fn a_full_ring_is_waited_for() {
    let mut port = open("net_ring_full0");
    let pools = pools();
    let (mut burst, mut sent) = (Burst::new(), 0_u32);
    // A ring of net_ring has room for some thousand.
    for _ in 0..LOOKS {
        while !burst.is_full() {
            burst.push(frame(&pools, &[&sent.to_be_bytes()[..], &[0; 60]].concat())).unwrap();
            sent += 1;
        }
        port.tx(&mut burst).unwrap();
        if !burst.is_empty() {
            break;
        }
    }
    assert!(burst.is_full() && port.is_sending(), "it takes no more");
    assert!(port.arm(), "there is something to do");
    let (mut next, mut incoming, mut looks) = (0_u32, Burst::new(), 0);
    while next < sent {
        port.rx(&mut incoming).unwrap();
        port.tx(&mut burst).unwrap();
        while let Some(frame) = incoming.pop() {
            assert_eq!(frame.data.to_vec()[..4], next.to_be_bytes());
            next += 1;
        }
        looks += 1;
        assert!(looks < LOOKS, "{next} of {sent}");
    }
    assert!(!port.is_sending());
    assert_eq!((port.counters().sent, port.counters().send_drops), (sent.into(), 0));
}

/// What can never be sent is counted, and does not stand in the way.
#[test]
fn what_cannot_be_sent_is_counted() {
    let mut port = open("net_ring_odd0");
    let pools = pools();
    let longest = 14 + 4 + usize::from(port.caps().mtu);
    for len in [0, 13, longest + 1, 9000] {
        send(&mut port, [frame(&pools, &vec![1; len])]);
    }
    assert_eq!(port.counters().send_drops, 4);
    for len in [14, 60, longest] {
        send(&mut port, [frame(&pools, &vec![2; len])]);
        assert_eq!(receive(&mut port, |_, _| true).1, vec![2; len]);
    }
    assert_eq!(port.counters().send_drops, 4);
}

#[test]
fn a_port_has_one_owner() {
    let port = open("net_ring_one0");
    let second = Dpdk::open(&small("net_ring_one0"), &pools());
    assert_eq!(second.err().map(runtime::Error::errno), Some(runtime::Errno::BUSY));
    drop(port);
    drop(open("net_ring_one0"));
    for (wrong, errno) in [("", runtime::Errno::INVAL), ("net_nothing0", runtime::Errno::INVAL)] {
        let error = Dpdk::open(&small(wrong), &pools()).err().map(runtime::Error::errno);
        assert!(error.is_some(), "{wrong}: {errno:?}");
    }
    // Nobody has this hardware address.
    assert!(Dpdk::open(&small("02:aa:bb:cc:dd:ee"), &pools()).is_err());
}

/// Whether a sleep ends before so many milliseconds are over.
fn ends_within(port: &Dpdk, milliseconds: i64) -> bool {
    let descriptor = port.descriptor().unwrap();
    let wait = Timespec { tv_sec: milliseconds / 1000, tv_nsec: milliseconds % 1000 * 1_000_000 };
    loop {
        match poll(&mut [PollFd::new(&descriptor, PollFlags::IN)], Some(&wait)) {
            Ok(ready) => return ready == 1,
            // A signal of net_tap.
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// A sleep that ends in any case.
const DEADLINE: i64 = 10_000;

/// A LibOs sleeps in epoll: the port ends each sleep by itself, since nothing interrupts.
#[test]
fn a_sleep_ends() {
    let mut port = open("net_ring_sleep0");
    assert!(!port.interrupts());
    for _ in 0..10 {
        assert!(!port.arm());
        assert!(ends_within(&port, DEADLINE));
        port.disarm();
    }
    assert!(!port.arm());
    send(&mut port, [frame(&pools(), &[5; 64])]);
    assert!(port.arm(), "it has come");
    assert_eq!(receive(&mut port, |_, _| true).1, [5; 64], "and is not lost by looking");
}

/// Two ports of one process over shared memory, both ways.
#[test]
fn memif_carries_frames_both_ways() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("memif.sock");
    let port = |role: &str| {
        open(&format!("net_memif_{role}0,role={role},id=0,socket={},socket-abstract=no,secret=abc", socket.display()))
    };
    let (mut server, mut client) = (port("server"), port("client"));
    assert!(!server.interrupts() && !client.interrupts());
    wait_for_links(&server, &client);
    let mut random = random(0x5eed_0002);
    carry(&mut random, &mut server, Some(&mut client), 10_000);
    carry(&mut random, &mut client, Some(&mut server), 10_000);
    // A peer that goes takes the link with it, and what is sent then is nobody's.
    drop(server);
    assert!(until(|| !client.link_up()), "a link without a peer");
    let (pools, drops) = (pools(), client.counters().send_drops);
    for _ in 0..200 {
        send(&mut client, [frame(&pools, &[3; 900])]);
    }
    let mut none = Burst::new();
    for _ in 0..100 {
        client.tx(&mut none).unwrap();
    }
    assert_eq!((client.counters().send_drops - drops, pools.stats()[0].in_use), (200, 0));
}

/// Peers that come and go while the port is busy: the driver maps and unmaps the shared memory on a thread of its own.
#[test]
fn memif_peers_come_and_go_under_a_busy_port() {
    const PEERS: usize = 60;
    let directory = tempfile::tempdir().unwrap();
    let wire = format!("id=0,socket={},socket-abstract=no", directory.path().join("memif.sock").display());
    let (stop, opened) = (AtomicBool::new(false), Barrier::new(2));
    let received = std::thread::scope(|scope| {
        let server = scope.spawn(|| {
            let mut port = open(&format!("net_memif_busy0,role=server,{wire}"));
            opened.wait();
            let (pools, mut burst) = (pools(), Burst::new());
            while !stop.load(Ordering::Relaxed) {
                port.rx(&mut burst).unwrap();
                while burst.pop().is_some() {}
                while !burst.is_full() {
                    burst.push(frame(&pools, &[9; 64])).unwrap();
                }
                port.tx(&mut burst).unwrap();
                while burst.pop().is_some() {}
            }
            port.counters().received
        });
        let over = SetAtEnd(&stop);
        opened.wait();
        for peer in 0..PEERS {
            let mut port = open(&format!("net_memif_busy1,role=client,{wire}"));
            let (_, bytes) = receive(&mut port, |_, _| true);
            assert_eq!(bytes, [9; 64], "peer {peer}");
            let (pools, mut burst) = (pools(), Burst::new());
            while !burst.is_full() {
                burst.push(frame(&pools, &[8; 64])).unwrap();
            }
            port.tx(&mut burst).unwrap();
        }
        drop(over);
        server.join().unwrap()
    });
    assert!(received > 0);
}

/// A virtual machine's card and its host, in one process: the guest's end reads the memory that it was told of, so payloads are copied there.
#[test]
fn vhost_and_virtio_user_carry_frames_both_ways() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("vhost.sock");
    let mut host = open(&format!("net_vhost0,iface={},queues=1", socket.display()));
    let mut guest = open(&format!("net_virtio_user0,path={},queues=1,queue_size=256", socket.display()));
    assert!(host.attaches() && !guest.attaches());
    // The guest's descriptors are its own; its host's are the guest's.
    assert!(guest.interrupts() && !host.interrupts());
    wait_for_links(&host, &guest);
    let mut random = random(0x5eed_0003);
    carry(&mut random, &mut host, Some(&mut guest), 5_000);
    carry(&mut random, &mut guest, Some(&mut host), 5_000);
}

/// Started by the next test, in a process whose descriptors are its own.
#[test]
fn a_process_with_few_descriptors() {
    if std::env::var_os("MARGAY_TEST_FEW").is_none() || !own("dpdk::a_process_with_few_descriptors") {
        return;
    }
    // DPDK's environment has what it takes.
    drop(open("net_tap_few0,iface=few"));
    let limit = getrlimit(Resource::Nofile);
    let free = std::fs::File::open("/dev/null").unwrap().as_raw_fd().cast_unsigned();
    let mut refused = String::new();
    for more in 0..64 {
        setrlimit(Resource::Nofile, Rlimit { current: Some((free + more).into()), ..limit }).unwrap();
        let opened = Dpdk::open(&small("net_tap_few0,iface=few"), &pools());
        setrlimit(Resource::Nofile, limit).unwrap();
        match opened {
            Ok(_) => {
                assert!(refused.contains("epoll"), "the last that it takes: {refused}");
                return;
            }
            Err(error) => refused = error.to_string(),
        }
        assert_eq!(dpdk::pools(), 0, "after {refused}");
    }
    panic!("{refused}");
}

/// A port that cannot become a device, at whatever step, leaves nothing behind: it is closed before the memory goes that its driver has.
#[test]
fn what_cannot_be_opened_leaves_nothing_behind() {
    if !own("dpdk::what_cannot_be_opened_leaves_nothing_behind") {
        return;
    }
    let done = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["dpdk::a_process_with_few_descriptors", "--exact", "--nocapture", "--test-threads=1"])
        .env("MARGAY_TEST_FEW", "1")
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// Descriptors that are opened while ports close theirs stay open, and are what they were: a port closes nothing twice.
#[test]
fn ports_close_only_what_is_theirs() {
    let directory = tempfile::tempdir().unwrap();
    let (is_over, [hosts, guests]) = (AtomicBool::new(false), ["close_host0", "close_guest0"]);
    std::thread::scope(|scope| {
        let opening = scope.spawn(|| {
            // Those with the lowest numbers that are free, which are the ones that were closed last.
            let (mut mine, zero) = (Vec::new(), rustix::fs::stat("/dev/zero").unwrap().st_rdev);
            while !is_over.load(Ordering::Relaxed) {
                while mine.len() < 256 {
                    mine.push(std::fs::File::open("/dev/zero").unwrap());
                }
                let lost = mine.iter().position(|file| rustix::fs::fstat(file).map(|is| is.st_rdev) != Ok(zero));
                if let Some(lost) = lost {
                    // Who closes it now closes what somebody else has opened since.
                    std::mem::forget(mine.swap_remove(lost));
                    std::mem::forget(mine);
                    return false;
                }
                mine.drain(..200);
            }
            true
        });
        let over = SetAtEnd(&is_over);
        for round in 0..8 {
            let socket = directory.path().join(format!("vhost{round}.sock"));
            let host = open(&format!("net_vhost_{hosts},iface={},queues=1", socket.display()));
            let guest = open(&format!("net_virtio_user_{guests},path={},queues=1", socket.display()));
            assert!(guest.interrupts());
            drop((guest, host));
            let socket = directory.path().join(format!("memif{round}.sock"));
            let end = |role: &str| {
                format!("net_memif_{role}1,role={role},id=0,socket={},socket-abstract=no", socket.display())
            };
            drop([open(&end("server")), open(&end("client"))]);
        }
        drop(over);
        assert!(opening.join().unwrap(), "a descriptor of somebody else was closed");
    });
}

#[track_caller]
fn wait_for_links(one: &Dpdk, other: &Dpdk) {
    assert!(until(|| one.link_up() && other.link_up()), "{} {}", one.link_up(), other.link_up());
}

/// A `veth(4)` pair: ours, and the kernel's with its address.
fn veth() {
    ip("link add ours type veth peer name theirs\n\
        link set ours up\n\
        link set theirs up\n\
        addr add 10.9.0.1/24 dev theirs\n\
        neigh add 10.9.0.2 lladdr 02:00:00:00:00:42 dev theirs nud permanent\n");
    // The kernel fills in its checksums: this driver does not say which are missing.
    let status = std::process::Command::new("ethtool").args(["-K", "theirs", "tx", "off"]).output().unwrap();
    assert!(status.status.success(), "{status:?}");
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("10.9.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket
}

/// Datagrams of all lengths to the kernel and back; `step` from one length to the next.
fn echo(port: &mut Dpdk, step: usize) {
    let mac = ask(port);
    let kernel = socket();
    let to = kernel.local_addr().unwrap().port();
    let (mut bytes, pools) = ([0; 2000], pools());
    let leaves_sums = port.caps().checksum;
    for len in (0..1472).step_by(step) {
        let payload: Vec<u8> = (0..len).map(|at: usize| (at % 251) as u8).collect();
        let mut sent = frame(&pools, &udp(mac, [7, to], &payload, !leaves_sums));
        if leaves_sums {
            sent.checksum = Checksum::Partial { start: 34, offset: 6 };
        }
        send(port, [sent]);
        assert_eq!(kernel.recv(&mut bytes).unwrap(), len);
        assert!(bytes[..len] == payload);
        kernel.send_to(&bytes[..len], "10.9.0.2:7").unwrap();
        let (came, bytes) = receive(port, |_, bytes| parse_udp(bytes).is_some());
        let (back, right) = parse_udp(&bytes).unwrap();
        assert!(back == payload);
        assert!(right || came.checksum == Checksum::Verified, "{:?}", came.checksum);
    }
    assert_eq!((port.counters().receive_drops, port.counters().send_drops), (0, 0));
}

#[test]
fn af_packet_has_the_kernel_as_its_peer() {
    if !own("dpdk::af_packet_has_the_kernel_as_its_peer") {
        return;
    }
    veth();
    let settings = Settings { address: Some(OUR_MAC), ..small("net_af_packet0,iface=ours") };
    let mut port = Dpdk::open(&settings, &pools()).unwrap();
    assert_eq!((port.address(), port.caps().mtu, port.interrupts()), (Some(OUR_MAC), 1500, false));
    echo(&mut port, 5);
    // A frame with a tag keeps it, though the kernel takes it out.
    let settings = packet::Settings { address: [2, 0, 0, 0, 0, 9], receive: 64, transmit: 64, promiscuous: false };
    let mut other = Packet::open("theirs", &settings, pools()).unwrap();
    let payload: Vec<u8> = (0..200).collect();
    let tagged = [&OUR_MAC[..], &[2, 0, 0, 0, 0, 9], &[0x81, 0], &[0x60, 7], &[8, 0], &payload].concat();
    send(&mut other, [frame(&pools(), &tagged)]);
    let (_, bytes) = receive(&mut port, |_, bytes| bytes[12..14] == [0x81, 0]);
    assert!(bytes == tagged, "{:x?}", &bytes[..20]);
}

/// An MTU that is asked for is the port's, and that of the kernel's interface behind it.
#[test]
fn an_mtu_reaches_the_interface() {
    if !own("dpdk::an_mtu_reaches_the_interface") {
        return;
    }
    veth();
    for (port, interface, mtu) in
        [("net_af_packet_mtu0,iface=ours", "ours", 1400), ("net_tap_mtu0,iface=mine", "mine", 1300)]
    {
        let port = Dpdk::open(&Settings { mtu: Some(mtu), ..small(port) }, &pools()).unwrap();
        assert_eq!(port.caps().mtu, mtu);
        let said = std::process::Command::new("ip").args(["-o", "link", "show", interface]).output().unwrap();
        let said = String::from_utf8(said.stdout).unwrap();
        assert!(said.contains(&format!(" mtu {mtu} ")), "{said}");
    }
    // More than its slots have room for.
    assert!(Dpdk::open(&Settings { mtu: Some(9000), ..small("net_af_packet_mtu1,iface=ours") }, &pools()).is_err());
}

#[test]
fn tap_has_the_kernel_as_its_peer() {
    if !own("dpdk::tap_has_the_kernel_as_its_peer") {
        return;
    }
    let mut port = open("net_tap0,iface=theirs,mac=02:00:00:00:00:42");
    ip("link set theirs up\naddr add 10.9.0.1/24 dev theirs\n\
        neigh add 10.9.0.2 lladdr 02:00:00:00:00:42 dev theirs nud permanent\n");
    // It offers both, and does neither well.
    assert!(!port.caps().checksum && !port.caps().segments_tcp);
    echo(&mut port, 50);
    // To everybody, and in the other direction nothing is lost that was there before.
    send(&mut port, [frame(&pools(), &udp(EVERYBODY, [7, 9], &[1; 30], true))]);
}

/// What a frame is known by, if it is one for port 7.
fn number(bytes: &[u8]) -> Option<u32> {
    let payload = bytes.get(42..46).filter(|_| bytes[36..38] == [0, 7])?;
    payload.try_into().map(u32::from_be_bytes).ok()
}

/// Nothing comes, and nothing ends the sleep: a timer would do so within some milliseconds, time and again.
#[track_caller]
fn sleeps_on(port: &mut Dpdk) {
    let mut burst = Burst::new();
    for _ in 0..100 {
        port.rx(&mut burst).unwrap();
        while burst.pop().is_some() {}
        if !port.arm() && !ends_within(port, 300) {
            return;
        }
    }
    panic!("it does not sleep");
}

/// Another thread sends frames one by one, each at some moment before, while or after this one goes to sleep.
fn each_frame_ends_a_sleep(port: &mut Dpdk, go: &SyncSender<u32>) {
    sleeps_on(port);
    frames_end_sleeps(port, go);
    sleeps_on(port);
}

fn frames_end_sleeps(port: &mut Dpdk, go: &SyncSender<u32>) {
    const FRAMES: u32 = 600;
    let mut pauses = Numbers(0x5eed_0004);
    let (mut burst, mut sleeps) = (Burst::new(), 0);
    for frame in 0..FRAMES {
        go.send(frame).unwrap();
        pause(&mut pauses);
        'comes: loop {
            port.rx(&mut burst).unwrap();
            while let Some(came) = burst.pop() {
                if number(&came.data.to_vec()) == Some(frame) {
                    break 'comes;
                }
            }
            if !port.arm() {
                sleeps += 1;
                assert!(ends_within(port, DEADLINE), "frame {frame} was slept through: {:?}", port.counters());
            }
        }
    }
    assert!(sleeps > 0);
}

/// None, a short one, or one after which everybody sleeps.
fn pause(pauses: &mut Numbers) {
    let micros = match pauses.below(4) {
        0 => return,
        1 => 2000,
        _ => pauses.below(100),
    };
    std::thread::sleep(Duration::from_micros(micros as u64));
}

/// Sends a frame whenever it is told to.
fn send_when_told(told: &Receiver<u32>, mut sending: impl FnMut(u32)) {
    let mut pauses = Numbers(0x5eed_0005);
    while let Ok(frame) = told.recv() {
        pause(&mut pauses);
        sending(frame);
    }
}

/// From the kernel, into so many queues.
fn wake_by_the_kernel(queues: u16) {
    let name = format!("net_tap_sleep{queues},iface=theirs,mac=02:00:00:00:00:42");
    let mut port = Dpdk::open(&Settings { queues, ..small(&name) }, &pools()).unwrap();
    assert!(port.interrupts());
    ip("link set theirs up\naddr add 10.9.0.1/24 dev theirs\n\
        neigh add 10.9.0.2 lladdr 02:00:00:00:00:42 dev theirs nud permanent\n");
    // Of many flows, which the kernel spreads.
    let sockets: Vec<_> = (0..16).map(|_| socket()).collect();
    let (go, told) = sync_channel(1);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            send_when_told(&told, |frame| {
                sockets[frame as usize % sockets.len()].send_to(&frame.to_be_bytes(), "10.9.0.2:7").unwrap();
            });
        });
        each_frame_ends_a_sleep(&mut port, &go);
        drop(go);
    });
    assert_eq!((port.counters().receive_drops, port.counters().send_drops), (0, 0));
}

#[test]
fn a_frame_of_the_kernel_ends_a_sleep() {
    if own("dpdk::a_frame_of_the_kernel_ends_a_sleep") {
        wake_by_the_kernel(1);
    }
}

#[test]
fn a_frame_into_any_queue_ends_a_sleep() {
    if own("dpdk::a_frame_into_any_queue_ends_a_sleep") {
        wake_by_the_kernel(4);
    }
}

/// Without them, as if the driver had none.
#[test]
fn interrupts_can_be_left_out() {
    if !own("dpdk::interrupts_can_be_left_out") {
        return;
    }
    let settings = Settings { interrupts: false, ..small("net_tap_timer0,iface=theirs,mac=02:00:00:00:00:42") };
    let mut port = Dpdk::open(&settings, &pools()).unwrap();
    assert!(!port.interrupts());
    for _ in 0..10 {
        assert!(!port.arm());
        assert!(ends_within(&port, DEADLINE));
        port.disarm();
    }
}

/// From a virtual machine's host; and while the guest has something to send for which there is no room, a timer ends its sleeps, for no interrupt
/// tells that there is.
fn wake_by_the_host(name: &str, more: &str) {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("vhost.sock");
    let (socket, opened) = (socket.display(), Barrier::new(2));
    let ((go, told), (full, is_full)) = (sync_channel(1), sync_channel::<()>(1));
    std::thread::scope(|scope| {
        let (opened, shown) = (&opened, &socket);
        let host = scope.spawn(move || {
            let mut host = open(&format!("net_vhost_{name}0,iface={shown},queues=1"));
            opened.wait();
            let pools = pools();
            send_when_told(&told, |number| {
                // The guest's first frames may come before the host knows it.
                wait_for_links(&host, &host);
                send(&mut host, [frame(&pools, &udp(OUR_MAC, [9, 7], &number.to_be_bytes(), true))]);
            });
            // The other end is dropped, whatever becomes of the guest.
            let _ = is_full.recv();
            receive(&mut host, |_, bytes| number(bytes) == Some(0));
        });
        opened.wait();
        let mut guest = open(&format!("net_virtio_user_{name}0,path={socket},queues=1,queue_size=256{more}"));
        assert!(guest.interrupts());
        each_frame_ends_a_sleep(&mut guest, &go);
        drop(go);
        let (pools, mut burst) = (pools(), Burst::new());
        // More have gone than wait for the driver, and then none go for a while: one that does not may only have found the port's turn taken.
        let mut in_vain = 0;
        until(|| {
            loop {
                while !burst.is_full() {
                    burst.push(frame(&pools, &udp(OUR_MAC, [9, 7], &[0; 4], true))).unwrap();
                }
                let before = guest.counters().sent;
                guest.tx(&mut burst).unwrap();
                if before > BURST_FRAMES_MAX as u64 && guest.counters().sent == before {
                    in_vain += 1;
                    return in_vain == 10;
                }
                in_vain = 0;
                if burst.is_full() {
                    return false;
                }
            }
        });
        assert_eq!(in_vain, 10, "there is room without end");
        for _ in 0..10 {
            assert!(!guest.arm());
            assert!(ends_within(&guest, DEADLINE));
            guest.disarm();
        }
        drop(full);
        until(|| {
            guest.tx(&mut burst).unwrap();
            host.is_finished()
        });
        host.join().unwrap();
    });
}

#[test]
fn a_frame_of_the_host_ends_a_sleep() {
    wake_by_the_host("split", "");
}

/// While DPDK's interrupt thread has every port's turn, time and again, because somebody calls at the socket of another port.
#[test]
fn a_frame_ends_a_sleep_among_other_interrupts() {
    let directory = tempfile::tempdir().unwrap();
    let place = |name: &str| directory.path().join(name);
    let (bell, socket) = (place("memif.sock"), place("vhost.sock"));
    let _called = open(&format!("net_memif_called0,role=server,id=0,socket={},socket-abstract=no", bell.display()));
    let (opened, is_over) = (Barrier::new(2), AtomicBool::new(false));
    let (go, told) = sync_channel(1);
    std::thread::scope(|scope| {
        let (opened, is_over, shown) = (&opened, &is_over, socket.display());
        scope.spawn(move || {
            let mut host = open(&format!("net_vhost_among0,iface={shown},queues=1"));
            opened.wait();
            let pools = pools();
            send_when_told(&told, |number| {
                wait_for_links(&host, &host);
                send(&mut host, [frame(&pools, &udp(OUR_MAC, [9, 7], &number.to_be_bytes(), true))]);
            });
        });
        scope.spawn(move || {
            let address = SocketAddrUnix::new(&bell).unwrap();
            while !is_over.load(Ordering::Relaxed) {
                let caller = rustix::net::socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).unwrap();
                rustix::net::connect(&caller, &address).unwrap();
                // It is greeted, and leaves. Nobody leaves before that: DPDK's interrupt thread ends the process for it (22.11).
                let greeting = PollFd::new(&caller, PollFlags::IN);
                assert_eq!(poll(&mut [greeting], Some(&Timespec { tv_sec: 10, tv_nsec: 0 })), Ok(1));
            }
        });
        opened.wait();
        let mut guest = open(&format!("net_virtio_user_among0,path={},queues=1,queue_size=256", socket.display()));
        assert!(guest.interrupts());
        let over = SetAtEnd(is_over);
        frames_end_sleeps(&mut guest, &go);
        drop((go, over));
    });
}

/// In the ring's other form, whose interrupts are asked for in another place.
#[test]
fn a_frame_in_a_packed_ring_ends_a_sleep() {
    wake_by_the_host("packed", ",packed_vq=1");
}

/// The driver forgets to close its XDP socket, and with it stays all that it has taken: neither is so here. Opened once more right away, time and
/// again.
// The chosen drivers of a static link are without it.
#[cfg(not(feature = "dpdk-static"))]
#[test]
fn af_xdp_leaves_nothing_behind() {
    if !own("dpdk::af_xdp_leaves_nothing_behind") {
        return;
    }
    veth();
    let mut other = Packet::open(
        "theirs",
        &packet::Settings { address: [2, 0, 0, 0, 0, 9], receive: 64, transmit: 64, promiscuous: true },
        pools(),
    )
    .unwrap();
    // More than there is memory for at once.
    for _ in 0..20 {
        let settings = Settings { buffers: Some(6000), ..small("net_af_xdp_again0,iface=ours") };
        let mut port = Dpdk::open(&settings, &pools()).unwrap();
        let sent = [&[2, 0, 0, 0, 0, 9][..], &OUR_MAC, &[0x88, 0xb5], &[7; 100]].concat();
        send(&mut port, [frame(&pools(), &sent)]);
        receive(&mut other, |_, bytes| bytes == sent);
        // A view holds its port's memory.
        let address = port.address().unwrap();
        let back = [&address[..], &[2, 0, 0, 0, 0, 9], &[0x88, 0xb5], &[8; 100]].concat();
        send(&mut other, [frame(&pools(), &back)]);
        let (held, _) = receive(&mut port, |_, bytes| bytes == back);
        drop(port);
        assert_eq!(held.data.to_vec(), back);
    }
}
