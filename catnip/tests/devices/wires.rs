// SPDX-License-Identifier: MIT OR Apache-2.0
//! What every device must do, whatever carries its frames: two of them, at the ends of one wire.
//!
//! `MARGAY_FRAMES=10000000` sends so many random frames over each in place of some thousand.

use crate::network::{ip, own};
use crate::random::{Random, carry, number};
use crate::{all, until};
#[cfg(feature = "dpdk")]
use catnip::device::dpdk::{self, Dpdk};
use catnip::device::packet::{Packet, Settings as Sockets};
use catnip::device::socket::Socket;
use catnip::device::tap::{Offloads, Tap};
use catnip::device::xdp::{self, Mode, Ours, Xdp};
use runtime::buf::{Classes, Pools, Sga};
use runtime::device::{Burst, Device, Frame};
#[cfg(feature = "dpdk")]
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const NEAR: [u8; 6] = [2, 0, 0, 0, 0, 0x42];
const FAR: [u8; 6] = [2, 0, 0, 0, 0, 0x43];
/// Random frames over each wire, half of them each way.
const FRAMES: u64 = 100_000;
const SEED: u64 = 0x5eed_0010;
/// Frames that a queue with a bound may take before it is full.
const MANY: u64 = 20_000;

/// Two devices and what is between them.
struct Wire {
    // They go before what they are on.
    near: Box<dyn Device>,
    far: Box<dyn Device>,
    /// The kernel's interface of the near one, if it is on one.
    interface: Option<&'static str>,
    /// Memory of each.
    pools: [Pools; 2],
    _directory: Option<tempfile::TempDir>,
}

impl Wire {
    fn random(&self, seed: u64) -> [Random; 2] {
        let [near, far] = &self.pools;
        [Random::new(seed, FAR, NEAR, near.clone()), Random::new(seed + 1, NEAR, FAR, far.clone())]
    }
}

/// Room for what one wire has under way, each frame in up to four pieces.
fn pools() -> Pools {
    Pools::new(&Classes { small_count: 2048, large_count: 256, ..Classes::default() }).unwrap()
}

/// Makes a module of tests for each of these ways to make a wire.
macro_rules! wires {
    ($($wire:ident)+) => {
        $(mod $wire {
            wires!(@test $wire random_frames back_pressure odd_lengths down_and_up);
        })+
    };
    (@test $wire:ident $($test:ident)+) => {
        $(#[test]
        fn $test() {
            if let Some(wire) = super::$wire(concat!("wires::", stringify!($wire), "::", stringify!($test))) {
                super::$test(wire);
            }
        })+
    };
}

wires! { socket packet long_packet tap xdp_native xdp_generic long_xdp }
#[cfg(feature = "dpdk")]
wires! { memif vhost long_vhost net_af_packet net_af_xdp net_tap }

fn random_frames(mut wire: Wire) {
    let frames = std::env::var("MARGAY_FRAMES").map_or(FRAMES, |text| text.parse().expect("a number of frames"));
    println!("seed {SEED:#x}");
    let [mut there, mut back] = wire.random(SEED);
    // In turns, so that each has just sent when it receives.
    for _ in 0..10 {
        carry(&mut there, &mut *wire.near, Some(&mut *wire.far), frames / 20);
        carry(&mut back, &mut *wire.far, Some(&mut *wire.near), frames / 20);
    }
    for device in [&wire.near, &wire.far] {
        let counters = device.counters();
        assert_eq!((counters.send_drops, counters.receive_drops), (0, 0));
        assert!(counters.sent >= frames / 2 && counters.received >= frames / 2, "{counters:?}");
    }
    let pools = wire.pools.clone();
    drop(wire);
    for pools in pools {
        assert_eq!(pools.stats().map(|class| class.in_use), [0; 3], "all memory is back");
    }
}

/// Who is not received from has a bound. What has no room stays in the burst or is dropped by the wire; what comes is whole and in
/// order, and afterwards all is as before.
fn back_pressure(mut wire: Wire) {
    let [mut there, mut back] = wire.random(SEED);
    let (mut burst, mut refused) = (Burst::new(), 0);
    while there.made < MANY && refused < 100 {
        while !burst.is_full()
            && let Some(frame) = there.next(700)
        {
            burst.push(frame).unwrap();
        }
        let before = burst.len();
        wire.near.tx(&mut burst).unwrap();
        refused = if burst.len() == before { refused + 1 } else { 0 };
    }
    let (made, mut came, mut last) = (there.made, 0_u64, None);
    let (mut incoming, mut idle) = (Burst::new(), 0);
    while idle < 100 {
        wire.near.tx(&mut burst).unwrap();
        wire.far.rx(&mut incoming).unwrap();
        idle = if incoming.is_empty() && burst.is_empty() { idle + 1 } else { 0 };
        if incoming.is_empty() {
            std::thread::sleep(Duration::from_millis(1));
        }
        while let Some(frame) = incoming.pop() {
            if let Some(number) = number(&frame) {
                assert!(last < Some(number) && number < made, "{number} behind {last:?}");
                last = Some(number);
                came += 1;
            }
        }
    }
    assert!(came >= 16, "{came} of {made}");
    carry(&mut back, &mut *wire.far, Some(&mut *wire.near), 500);
    carry(&mut there, &mut *wire.near, Some(&mut *wire.far), 500);
}

/// What is too long or too short is dropped, or comes as it is: it does not stay, and harms nobody behind it.
fn odd_lengths(mut wire: Wire) {
    let [mut there, _] = wire.random(SEED);
    let pools = wire.pools[0].clone();
    let longest = usize::from(wire.near.caps().mtu) + 18;
    assert!(wire.near.caps().mtu >= 1500);
    for len in [0, 1, 13, longest + 1, longest + 1000, 30_000] {
        let mut bytes = [&FAR[..], &NEAR, &[0x88, 0xb6]].concat();
        bytes.resize(len, 7);
        let data = if len == 0 { Sga::new() } else { Sga::from(pools.alloc_copy(&bytes).unwrap()) };
        let mut burst = Burst::new();
        burst.push(Frame::from(data)).unwrap();
        let went = until(|| {
            wire.near.tx(&mut burst).unwrap();
            burst.is_empty()
        });
        assert!(went, "a frame of {len} bytes stays");
        carry(&mut there, &mut *wire.near, Some(&mut *wire.far), 40);
    }
    assert!(all(&mut *wire.far, 1).is_empty());
}

/// The link goes, and comes again.
fn down_and_up(mut wire: Wire) {
    let [mut there, mut back] = wire.random(SEED);
    carry(&mut there, &mut *wire.near, Some(&mut *wire.far), 100);
    let Some(interface) = wire.interface else { return };
    for _ in 0..3 {
        ip(&format!("link set {interface} down\n"));
        // What is sent meanwhile waits, or is lost.
        let mut burst = Burst::new();
        for _ in 0..10 {
            burst.push(there.next(500).unwrap()).unwrap();
            wire.near.tx(&mut burst).unwrap();
            wire.near.rx(&mut Burst::new()).unwrap();
            wire.far.rx(&mut Burst::new()).unwrap();
        }
        ip(&format!("link set {interface} up\n"));
        // The first may find that the kernel has not told yet of the old news.
        let works = until(|| {
            if burst.is_empty() {
                burst.push(there.next(500).unwrap()).unwrap();
            }
            wire.near.tx(&mut burst).unwrap();
            !all(&mut *wire.far, 2).is_empty() && burst.is_empty()
        });
        assert!(works, "{} frames stay", burst.len());
        all(&mut *wire.far, 20);
        carry(&mut back, &mut *wire.far, Some(&mut *wire.near), 100);
        carry(&mut there, &mut *wire.near, Some(&mut *wire.far), 100);
    }
}

fn over(near: impl Device + 'static, far: impl Device + 'static, pools: [Pools; 2]) -> Wire {
    Wire { near: Box::new(near), far: Box::new(far), interface: None, pools, _directory: None }
}

/// Unix sockets.
#[expect(clippy::unnecessary_wraps, reason = "others may find that they cannot be")]
fn socket(_: &str) -> Option<Wire> {
    let directory = tempfile::tempdir().unwrap();
    let at = |name| directory.path().join(name);
    let all = [pools(), pools()];
    let near = Socket::open(&at("near"), &at("far"), 1500, all[0].clone()).unwrap();
    let far = Socket::open(&at("far"), &at("near"), 1500, all[1].clone()).unwrap();
    Some(Wire { _directory: Some(directory), ..over(near, far, all) })
}

/// A `veth(4)` pair in a network of its own.
fn veth(test: &str, mtu: u16) -> bool {
    let can_run = own(test);
    if can_run {
        ip(&format!("link add near mtu {mtu} type veth peer name far mtu {mtu}\nlink set near up\nlink set far up\n"));
    }
    can_run
}

fn packets(name: &str, address: [u8; 6], pools: &Pools) -> Packet {
    let settings = Sockets { address, receive: 256, transmit: 128, promiscuous: false };
    Packet::open(name, &settings, pools.clone()).unwrap()
}

/// Packet sockets at both ends of a veth.
fn packet(test: &str) -> Option<Wire> {
    packet_of(test, 1500)
}

/// The same with frames that are longer than a slot.
fn long_packet(test: &str) -> Option<Wire> {
    packet_of(test, 9000)
}

fn packet_of(test: &str, mtu: u16) -> Option<Wire> {
    let all = [pools(), pools()];
    veth(test, mtu).then(|| {
        let wire = over(packets("near", NEAR, &all[0]), packets("far", FAR, &all[1]), all);
        assert_eq!(wire.near.caps().mtu, mtu);
        Wire { interface: Some("near"), ..wire }
    })
}

/// TAP, with a packet socket on the interface that is its other end.
fn tap(test: &str) -> Option<Wire> {
    own(test).then(|| {
        let all = [pools(), pools()];
        let tap = Tap::open("near", Offloads { checksum: true, segmentation: true }, all[0].clone()).unwrap();
        ip("link set near up\n");
        Wire { interface: Some("near"), ..over(tap, packets("near", FAR, &all[1]), all) }
    })
}

fn xdp_native(test: &str) -> Option<Wire> {
    xdp_of(test, Mode::Native, 1500)
}

fn xdp_generic(test: &str) -> Option<Wire> {
    xdp_of(test, Mode::Generic, 1500)
}

/// Frames that are longer than a block of memory.
fn long_xdp(test: &str) -> Option<Wire> {
    xdp_of(test, Mode::Native, 9000)
}

/// XDP sockets at both ends of a veth.
fn xdp_of(test: &str, mode: Mode, mtu: u16) -> Option<Wire> {
    let all = [pools(), pools()];
    let open = |name, mac, pools: &Pools| {
        let settings = xdp::Settings { receive: 256, transmit: 128, mode, ..xdp::Settings::DEFAULT };
        Xdp::open(name, &settings, &Ours { mac, addresses: Vec::new(), vlan: None }, pools.clone()).unwrap()
    };
    veth(test, mtu).then(|| {
        let wire = over(open("near", NEAR, &all[0]), open("far", FAR, &all[1]), all);
        assert_eq!(wire.near.caps().mtu, mtu);
        Wire { interface: Some("near"), ..wire }
    })
}

/// A port of DPDK with pools of its own, and few of everything. Its name ends in a number that no other port of this process has.
#[cfg(feature = "dpdk")]
fn port(name: impl FnOnce(usize) -> String, pools: &Pools) -> Dpdk {
    port_of(name, pools, None)
}

#[cfg(feature = "dpdk")]
fn port_of(name: impl FnOnce(usize) -> String, pools: &Pools, mtu: Option<u16>) -> Dpdk {
    static NUMBER: AtomicUsize = AtomicUsize::new(100);
    let name = name(NUMBER.fetch_add(1, Ordering::Relaxed));
    let settings =
        dpdk::Settings { receive: 256, transmit: 128, buffers: Some(2048), mtu, ..dpdk::Settings::new(&name) };
    Dpdk::open(&settings, pools).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Two ports of DPDK whose other ends are each other.
#[cfg(feature = "dpdk")]
fn linked(near: Dpdk, far: Dpdk, pools: [Pools; 2], directory: tempfile::TempDir) -> Wire {
    assert!(until(|| near.link_up() && far.link_up()), "no link");
    Wire { _directory: Some(directory), ..over(near, far, pools) }
}

/// Shared memory, made by the client.
#[cfg(feature = "dpdk")]
#[expect(clippy::unnecessary_wraps, reason = "as for `socket`")]
fn memif(_: &str) -> Option<Wire> {
    let directory = tempfile::tempdir().unwrap();
    let all = [pools(), pools()];
    let wire = format!("id=0,socket={},socket-abstract=no", directory.path().join("memif.sock").display());
    let near = port(|number| format!("net_memif{number},role=server,{wire}"), &all[0]);
    let far = port(|number| format!("net_memif{number},role=client,{wire}"), &all[1]);
    Some(linked(near, far, all, directory))
}

/// A virtual machine's card, and its host.
#[cfg(feature = "dpdk")]
#[expect(clippy::unnecessary_wraps, reason = "as for `socket`")]
fn vhost(_: &str) -> Option<Wire> {
    Some(vhost_of(None))
}

/// The same with frames that are longer than a packet buffer.
#[cfg(feature = "dpdk")]
#[expect(clippy::unnecessary_wraps, reason = "as for `socket`")]
fn long_vhost(_: &str) -> Option<Wire> {
    Some(vhost_of(Some(9000)))
}

#[cfg(feature = "dpdk")]
fn vhost_of(mtu: Option<u16>) -> Wire {
    let directory = tempfile::tempdir().unwrap();
    let (all, socket) = ([pools(), pools()], directory.path().join("vhost.sock"));
    let near = port_of(|number| format!("net_vhost{number},iface={},queues=1", socket.display()), &all[0], mtu);
    let guest = |number| format!("net_virtio_user{number},path={},queues=1,queue_size=256", socket.display());
    let far = port_of(guest, &all[1], mtu);
    linked(near, far, all, directory)
}

/// DPDK's packet sockets at both ends of a veth.
#[cfg(feature = "dpdk")]
fn net_af_packet(test: &str) -> Option<Wire> {
    let all = [pools(), pools()];
    veth(test, 1500).then(|| {
        let open = |iface, pools| port(|number| format!("net_af_packet{number},iface={iface}"), pools);
        Wire { interface: Some("near"), ..over(open("near", &all[0]), open("far", &all[1]), all) }
    })
}

/// DPDK's XDP sockets at both ends of a veth.
#[cfg(feature = "dpdk")]
fn net_af_xdp(test: &str) -> Option<Wire> {
    let all = [pools(), pools()];
    veth(test, 1500).then(|| {
        let open = |iface, pools| port(|number| format!("net_af_xdp{number},iface={iface}"), pools);
        Wire { interface: Some("near"), ..over(open("near", &all[0]), open("far", &all[1]), all) }
    })
}

/// DPDK's TAP, with a packet socket of ours on the interface that is its other end.
#[cfg(feature = "dpdk")]
fn net_tap(test: &str) -> Option<Wire> {
    let all = [pools(), pools()];
    own(test).then(|| {
        let tap = port(|number| format!("net_tap{number},iface=near"), &all[0]);
        ip("link set near up\n");
        Wire { interface: Some("near"), ..over(tap, packets("near", FAR, &all[1]), all) }
    })
}
