// SPDX-License-Identifier: MIT OR Apache-2.0
//! DPDK's own program for trying ports (`dpdk-testpmd`) as a neighbour that answers requests of ARP (RFC 826) and echo requests
//! (RFC 792) for every address, each frame for itself.

use crate::alone;
use crate::host::{Host, Link, bytes};
use crate::space::Space;
use core::net::IpAddr;
use core::time::Duration;
use network::link::neighbours::State;
use runtime::socket::Domain;

/// It takes packet buffers from the system's memory, and two threads on one processor.
const START: [&str; 6] = ["--lcores=(0-1)@0", "--no-pci", "--no-huge", "--no-shconf", "-m", "64"];
const FORWARD: [&str; 5] =
    ["--", "--forward-mode=icmpecho", "--total-num-mbufs=4096", "--no-mlockall", "--stats-period=60"];

#[test]
fn packet() {
    alone("testpmd::packet", &["dpdk-testpmd", "ethtool"], |peer| echoes(Link::Packet, peer));
}

#[test]
fn xdp() {
    alone("testpmd::xdp", &["dpdk-testpmd", "ethtool"], |peer| echoes(Link::Xdp, peer));
}

/// What it makes for other processes, which a program that is killed leaves behind.
struct Directory(String);

impl Drop for Directory {
    fn drop(&mut self) {
        // It may not have come so far.
        let _ = std::fs::remove_dir_all(std::path::Path::new("/var/run/dpdk").join(&self.0));
    }
}

fn echoes(link: Link, peer: &Space) {
    let mut host = Host::beside(link, peer, |_| ());
    // It answers what passes, and needs nobody's address; the kernel has none, and is silent.
    let directory = Directory(format!("margay-echo-{}-{link:?}", std::process::id()));
    let prefix = format!("--file-prefix={}", directory.0);
    let port = "--vdev=net_af_packet0,iface=theirs".to_owned();
    let mut testpmd = peer.start("dpdk-testpmd", &[&START[..], &[&prefix, &port], &FORWARD].concat());
    let early = host.nic.stack.echo_socket(Domain::V4).unwrap();
    let neighbours: [IpAddr; 2] = ["10.9.0.77", "10.9.0.78"].map(|text| text.parse().unwrap());
    // Until it forwards: until then nobody answers, and some requests may be told so.
    let mut tries = 0;
    while host.neighbour("10.9.0.77") != Some(State::Reachable) {
        assert!(tries < 100 && testpmd.ended().is_none(), "{}", testpmd.said());
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
