// SPDX-License-Identifier: MIT OR Apache-2.0
//! DPDK's own program for trying ports (`dpdk-testpmd`) as a neighbour: one that answers requests of ARP (RFC 826) and echo requests
//! (RFC 792) for every address, each frame for itself; and one that sends every frame back with its two hardware addresses swapped, and
//! not another byte changed.

use crate::alone;
use crate::host::{Host, Link, bytes, veth};
use crate::space::{Program, Space};
use catnip::device::packet::{self, Packet};
use catnip::device::xdp::{self, Ours, Xdp};
use core::net::IpAddr;
use core::ops::Range;
use core::time::Duration;
use network::link::neighbours::State;
use runtime::buf::{Classes, Pools, Sga};
use runtime::device::{Burst, Device, Frame};
use runtime::socket::Domain;
use std::collections::BTreeMap;

/// It takes packet buffers from the system's memory, and two threads on one processor.
const START: [&str; 6] = ["--lcores=(0-1)@0", "--no-pci", "--no-huge", "--no-shconf", "-m", "64"];
const FORWARD: [&str; 5] =
    ["--", "--port-topology=loop", "--total-num-mbufs=4096", "--no-mlockall", "--stats-period=60"];
const PACKET_SOCKET: &str = "net_af_packet0,iface=theirs";

/// Stations of frames that are swapped, and their type: for experiments on the own network (IEEE 802, local experimental Ethertype 1).
const OURS: [u8; 6] = [2, 0, 0, 0, 0, 0x42];
const THEIRS: [u8; 6] = [2, 0, 0, 0, 0, 0x43];
const TYPE: [u8; 2] = [0x88, 0xb5];
/// Ethernet's header and a number; the shortest frame, and the longest.
const HEADER: usize = 18;
const LENGTHS: Range<usize> = 60..1515;
/// Frames that are swapped, and how many of them are under way at once.
const FRAMES: usize = 1000;
const AT_ONCE: usize = 20;
/// A pause between two looks; how many in vain there are for all that are under way, and for one that nobody may be there for.
const PAUSE: Duration = Duration::from_micros(100);
const LOOKS: u32 = 100_000;
const SOME_LOOKS: u32 = 500;

#[test]
fn packet() {
    alone("testpmd::packet", &["dpdk-testpmd", "ethtool"], |peer| echoes(Link::Packet, peer));
}

#[test]
fn xdp() {
    alone("testpmd::xdp", &["dpdk-testpmd", "ethtool"], |peer| echoes(Link::Xdp, peer));
}

#[test]
fn swaps_for_packet_sockets() {
    alone("testpmd::swaps_for_packet_sockets", &["dpdk-testpmd"], |peer| {
        veth(peer);
        let settings = packet::Settings { address: OURS, receive: 256, transmit: 128, promiscuous: false };
        swaps(peer, "packet", PACKET_SOCKET, |pools| Packet::open("ours", &settings, pools.clone()).unwrap());
    });
}

#[test]
fn swaps_for_xdp_sockets() {
    alone("testpmd::swaps_for_xdp_sockets", &["dpdk-testpmd"], |peer| {
        veth(peer);
        let ours = Ours { mac: OURS, addresses: Vec::new(), vlan: None };
        let open = |pools: &Pools| Xdp::open("ours", &xdp::Settings::DEFAULT, &ours, pools.clone()).unwrap();
        swaps(peer, "xdp", PACKET_SOCKET, open);
    });
}

/// Our ports of DPDK, of another process.
#[cfg(feature = "dpdk")]
mod dpdk {
    use super::*;
    use catnip::device::dpdk::{Dpdk, Settings};

    fn open(port: &str, pools: &Pools) -> Dpdk {
        let settings = Settings { address: Some(OURS), memory: 64, buffers: Some(1024), ..Settings::new(port) };
        Dpdk::open(&settings, pools).unwrap_or_else(|error| panic!("{port}: {error}"))
    }

    #[test]
    fn swaps_over_memif() {
        alone("testpmd::dpdk::swaps_over_memif", &["dpdk-testpmd"], |peer| {
            let directory = tempfile::tempdir().unwrap();
            let socket = directory.path().join("memif.sock");
            let end = |role| format!("net_memif0,role={role},id=0,socket={},socket-abstract=no", socket.display());
            swaps(peer, "memif", &end("server"), |pools| {
                let made = (0..LOOKS).any(|_| {
                    std::thread::sleep(PAUSE);
                    socket.exists()
                });
                assert!(made, "testpmd has made no socket");
                open(&end("client"), pools)
            });
        });
    }

    #[test]
    fn swaps_for_net_af_packet() {
        alone("testpmd::dpdk::swaps_for_net_af_packet", &["dpdk-testpmd"], |peer| {
            veth(peer);
            swaps(peer, "af-packet", PACKET_SOCKET, |pools| open("net_af_packet0,iface=ours", pools));
        });
    }
}

/// What it makes for other processes, which a program that is killed leaves behind.
struct Directory(String);

impl Drop for Directory {
    fn drop(&mut self) {
        // It may not have come so far.
        let _ = std::fs::remove_dir_all(std::path::Path::new("/var/run/dpdk").join(&self.0));
    }
}

/// The program and, behind its end, what it leaves.
struct Testpmd {
    program: Program,
    _directory: Directory,
}

/// Starts it on a host of the kernel; `name` is for this test alone.
fn start(peer: &Space, name: &str, port: &str, mode: &str) -> Testpmd {
    let directory = Directory(format!("margay-testpmd-{}-{name}", std::process::id()));
    let own = [format!("--file-prefix={}", directory.0), format!("--vdev={port}")];
    let mode = format!("--forward-mode={mode}");
    let program = peer.start("dpdk-testpmd", &[&START[..], &[&own[0], &own[1]], &FORWARD, &[&mode]].concat());
    Testpmd { program, _directory: directory }
}

fn echoes(link: Link, peer: &Space) {
    let mut host = Host::beside(link, peer, |_| ());
    // It answers what passes, and needs nobody's address; the kernel has none, and is silent.
    let mut testpmd = start(peer, &format!("echo-{link:?}"), PACKET_SOCKET, "icmpecho");
    let early = host.nic.stack.echo_socket(Domain::V4).unwrap();
    let neighbours: [IpAddr; 2] = ["10.9.0.77", "10.9.0.78"].map(|text| text.parse().unwrap());
    // Until it forwards: until then nobody answers, and some requests may be told so.
    let mut tries = 0;
    while host.neighbour("10.9.0.77") != Some(State::Reachable) {
        assert!(tries < 100 && testpmd.program.ended().is_none(), "{}", testpmd.program.said());
        tries += 1;
        let _ = host.asks(early, neighbours[0], 0, b"are you there?");
        host.work(Duration::from_millis(100));
        host.skip(Duration::from_secs(1));
    }
    // What of that is answered late is not for this one.
    let id = host.nic.stack.echo_socket(Domain::V4).unwrap();
    for (sequence, size) in (1..).zip([0, 1, 2, 3, 56, 63, 64, 65, 1000, 1471, 1472]) {
        for to in neighbours {
            let sent = bytes(size, usize::from(sequence));
            let reply = host.ping(id, to, sequence, &sent).unwrap();
            assert_eq!((reply.from, reply.sequence), (to, sequence));
            assert!(reply.payload.to_vec() == sent, "{size} bytes from {to} came back otherwise");
        }
    }
}

/// Frames of every kind of length from a device of ours to testpmd's port, and each of them back once.
fn swaps<D: Device>(peer: &Space, name: &str, port: &str, open: impl FnOnce(&Pools) -> D) {
    let pools = Pools::new(&Classes { small_count: 2048, large_count: 256, ..Classes::default() }).unwrap();
    let mut testpmd = start(peer, name, port, "macswap");
    let mut device = open(&pools);
    // Until it forwards.
    let mut tries = 0;
    while !come_back(&mut device, &pools, 0..1, SOME_LOOKS) {
        assert!(tries < 100 && testpmd.program.ended().is_none(), "{}", testpmd.program.said());
        tries += 1;
    }
    let drops = |device: &D| (device.counters().send_drops, device.counters().receive_drops);
    let before = drops(&device);
    for first in (1..FRAMES).step_by(AT_ONCE) {
        let came = come_back(&mut device, &pools, first..first + AT_ONCE, LOOKS);
        assert!(came, "frames from {first} on: {:?}; {}", device.counters(), testpmd.program.said());
    }
    assert_eq!(drops(&device), before);
}

/// Sends the frames of these numbers, and says whether all have come back in time: each once, and whole. That of number 0 may have been
/// sent before.
#[track_caller]
fn come_back(device: &mut impl Device, pools: &Pools, numbers: Range<usize>, mut looks: u32) -> bool {
    let (mut outgoing, mut incoming, mut under_way) = (Burst::new(), Burst::new(), BTreeMap::new());
    for number in numbers.clone() {
        let len = LENGTHS.start + number * 37 % LENGTHS.len();
        let rest = [&TYPE[..], &(number as u32).to_be_bytes(), &bytes(len - HEADER, number)].concat();
        let frame = [&THEIRS[..], &OURS, &rest].concat();
        outgoing.push(Frame::from(Sga::from(pools.alloc_copy(&frame).unwrap()))).unwrap();
        under_way.insert(number, [&OURS[..], &THEIRS, &rest].concat());
    }
    while !under_way.is_empty() && looks > 0 {
        device.tx(&mut outgoing).unwrap();
        device.rx(&mut incoming).unwrap();
        if incoming.is_empty() {
            looks -= 1;
            std::thread::sleep(PAUSE);
        }
        while let Some(frame) = incoming.pop() {
            let frame = frame.data.to_vec();
            let Some(number) = frame.get(14..HEADER).filter(|_| frame[12..14] == TYPE) else { continue };
            let number = u32::from_be_bytes(number.try_into().unwrap()) as usize;
            let swapped = under_way.remove(&number);
            let right = swapped.is_some_and(|swapped| frame == swapped);
            assert!(right || number == 0, "frame {number} of {numbers:?}: {:x?}", &frame[..HEADER]);
        }
    }
    under_way.is_empty()
}
