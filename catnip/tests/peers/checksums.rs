// SPDX-License-Identifier: MIT OR Apache-2.0
//! Checksums and trains of datagrams: a kernel that fills them in and looks at them, and one that leaves them to us, as hosts of one
//! machine do.

use crate::host::{BOTH, Host, Link, at, bytes};
use crate::space::Space;
use std::os::fd::AsRawFd;

on_all_links! { ["ethtool"]; left_to_each_other complete a_train_of_datagrams }

const LENGTHS: [usize; 10] = [0, 1, 2, 63, 1452, 1453, 1472, 1473, 9001, 65_507];

fn speak(host: &mut Host, peer: &Space) {
    for (ours, theirs) in BOTH {
        let socket = peer.udp(&at(theirs, 0).to_string());
        let to = socket.local_addr().unwrap();
        let (id, own) = host.bound(ours);
        for (number, len) in LENGTHS.into_iter().enumerate() {
            host.there_and_back(id, &bytes(len, number), &socket, to);
        }
        // The kernel speaks first.
        let (id, first) = host.bound(ours);
        assert_ne!(own, first);
        socket.send_to(b"first", first).unwrap();
        assert_eq!(host.receive(id), (to, b"first".to_vec()));
    }
    host.assert_nothing_lost();
    assert_eq!(wrong(peer), 0, "the kernel found wrong checksums");
}

/// Checksums that the kernel of this host has found to be wrong, of any protocol.
fn wrong(peer: &Space) -> u64 {
    let read = |path: &'static str| peer.run(move || std::fs::read_to_string(path).unwrap());
    let v6 = read("/proc/thread-self/net/snmp6");
    let six = v6
        .lines()
        .filter(|line| line.contains("CsumErrors"))
        .filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    let v4 = read("/proc/thread-self/net/snmp");
    let lines: Vec<&str> = v4.lines().collect();
    let four = lines.chunks_exact(2).flat_map(|pair| {
        let names = pair[0].split_whitespace().zip(pair[1].split_whitespace());
        names
            .filter(|(name, _)| name.ends_with("CsumErrors"))
            .filter_map(|(_, value)| value.parse::<u64>().ok())
            .collect::<Vec<_>>()
    });
    four.sum::<u64>() + six.sum::<u64>()
}

fn left_to_each_other(link: Link, peer: &Space) {
    speak(&mut Host::with(link, peer, |_| ()), peer);
}

/// The kernel looks at every checksum, and fills in each of its own; a stack without a device that would do it, too.
fn complete(link: Link, peer: &Space) {
    let mut host = Host::with(link, peer, |settings| {
        if let catnip::Wire::Tap { checksum, segmentation, .. } = &mut settings.wire {
            (*checksum, *segmentation) = (false, false);
        }
    });
    // What TAP does is what its other end has agreed to; a veth does what it is told.
    if link != Link::Tap {
        peer.output("ethtool", &["-K", "theirs", "rx", "off", "tx", "off"]);
    }
    speak(&mut host, peer);
}

/// `UDP_SEGMENT` of `udp(7)`: one call, many datagrams. They come one by one.
fn a_train_of_datagrams(link: Link, peer: &Space) {
    const EACH: usize = 500;
    static OPTION: libc::c_int = 500;
    let mut host = Host::with(link, peer, |_| ());
    if link != Link::Tap {
        // Nothing in a frame says of how many datagrams it is, so its sender must not leave the cutting to us.
        peer.output("ethtool", &["-K", "theirs", "tx", "off"]);
    }
    for (ours, theirs) in BOTH {
        let socket = peer.udp(&at(theirs, 0).to_string());
        // SAFETY: the option is an integer, which the call only reads.
        let set = unsafe {
            let size = core::mem::size_of_val(&OPTION) as libc::socklen_t;
            libc::setsockopt(socket.as_raw_fd(), libc::SOL_UDP, libc::UDP_SEGMENT, (&raw const OPTION).cast(), size)
        };
        assert_eq!(set, 0);
        let (id, own) = host.bound(ours);
        let train = bytes(10 * EACH + 7, 3);
        for _ in 0..3 {
            assert_eq!(socket.send_to(&train, own).unwrap(), train.len());
            for datagram in train.chunks(EACH) {
                let (_, came) = host.receive(id);
                assert!(came == datagram, "{} bytes in place of {}", came.len(), datagram.len());
            }
        }
    }
    host.assert_nothing_lost();
}
