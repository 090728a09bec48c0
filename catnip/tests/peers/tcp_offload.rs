// SPDX-License-Identifier: MIT OR Apache-2.0
//! Streams over TAP with what virtio's header offers, and without: the two ends leave checksums and segmentation to each other, so that a
//! frame between them is as long as a packet of IP can be, or each does its own. What the device counts shows which.

use crate::alone;
use crate::host::{BOTH, Host, Link};
use crate::space::Space;
use crate::streams::{read_exact, write_all};
use network::counters::Reason;

const BULK: u64 = 16 << 20;
/// What goes before anything is counted.
const WARM: u64 = 1 << 20;
/// Bytes of the longest frame of a link whose packets have 1,500.
const FRAME: u64 = 1514;
/// What frames of many segments are longer than on the mean, however slow the machine is: some 50 KB when nothing disturbs.
const LONG: u64 = 8 << 10;

/// The mean lengths of frames from us and to us, while so much goes in either direction, one after the other.
fn lengths(host: &mut Host, peer: &Space, ours: &str, theirs: &str) -> (u64, u64) {
    let (listener, to) = peer.tcp(theirs);
    let done = peer.serves(listener, |mut socket| {
        read_exact(&mut socket, WARM);
        read_exact(&mut socket, BULK);
        write_all(&mut socket, BULK);
    });
    let id = host.connects(ours, to);
    // Its window is open by then.
    host.pushes(id, WARM);
    let before = host.nic.device_counters();
    host.pushes(id, BULK);
    let between = host.nic.device_counters();
    host.pops(id, BULK);
    host.pops_the_end(id);
    let after = host.nic.device_counters();
    host.until_joined(done);
    host.closes(id);
    host.finishes();
    (
        (between.sent_bytes - before.sent_bytes) / (between.sent - before.sent),
        (after.received_bytes - between.received_bytes) / (after.received - between.received),
    )
}

fn with(test: &str, checksum: bool, segmentation: bool, check: fn(u64, u64)) {
    alone(test, &[], |peer| {
        let mut host = Host::with(Link::Tap, peer, |settings| {
            settings.wire = catnip::Wire::Tap { interface: "theirs".to_owned(), checksum, segmentation };
        });
        for (ours, theirs) in BOTH {
            let (from_us, to_us) = lengths(&mut host, peer, ours, theirs);
            println!("{ours}: frames of {from_us} bytes from us, of {to_us} to us");
            check(from_us, to_us);
        }
        for reason in [Reason::Tcp, Reason::TcpChecksum] {
            assert_eq!(host.dropped(reason), 0, "{reason:?}: {:?}", host.drops());
        }
    });
}

/// Frames of up to 64 KiB, both ways.
#[test]
fn both() {
    with("tcp_offload::both", true, true, |from_us, to_us| {
        assert!(from_us > LONG && to_us > LONG, "{from_us} and {to_us}");
    });
}

#[test]
fn checksums_alone() {
    with("tcp_offload::checksums_alone", true, false, |from_us, to_us| {
        assert!(from_us <= FRAME && to_us <= FRAME, "{from_us} and {to_us}");
    });
}

#[test]
fn neither() {
    with("tcp_offload::neither", false, false, |from_us, to_us| {
        assert!(from_us <= FRAME && to_us <= FRAME, "{from_us} and {to_us}");
    });
}
