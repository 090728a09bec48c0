// SPDX-License-Identifier: MIT OR Apache-2.0
//! A network that loses every so many frames, by nftables on the peer's side: whatever does not come was lost there, to the last one.

use crate::alone;
use crate::host::{BOTH, Host, Link, OUR_V4, OUR_V6, at, bytes};
use crate::routed::{FAR_V4, FAR_V6, routed};
use crate::space::Space;
use core::time::Duration;
use network::counters::Reason;

const COUNT: usize = 1000;
/// Fragments of a datagram of this length; fewer than there are frames from one that is lost to the next.
const FRAGMENTED: usize = 4000;
const FRAGMENTS: usize = 3;
const EVERY: usize = 7;

on_all_links! { ["nft"]; one_way the_other_way }

/// Loses every seventh packet of UDP, whole or in part, that passes this hook of an interface.
fn lose(peer: &Space, interface: &str, hook: &str) {
    peer.nft(&format!(
        "table netdev lossy {{\n\
           counter lost {{ }}\n\
           chain path {{\n\
             type filter hook {hook} device \"{interface}\" priority 0;\n\
             ip protocol udp numgen inc mod {EVERY} == 0 counter name lost drop\n\
             ip6 nexthdr {{ udp, 44 }} numgen inc mod {EVERY} == 0 counter name lost drop\n\
           }}\n\
         }}\n"
    ));
}

fn lost(peer: &Space) -> usize {
    peer.counted("netdev", "lossy", "lost") as usize
}

fn one_way(link: Link, peer: &Space) {
    let mut host = Host::with(link, peer, |_| ());
    for (ours, theirs) in BOTH {
        // They know each other before anything is lost.
        let socket = peer.udp(&at(theirs, 0).to_string());
        let to = socket.local_addr().unwrap();
        let (id, _) = host.bound(ours);
        host.there_and_back(id, b"hello", &socket, to);
        lose(peer, "theirs", "ingress");
        let before = lost(peer);
        let mut came = Vec::new();
        let mut buffer = [0; 8];
        for number in 0..COUNT as u64 {
            host.send(id, &number.to_be_bytes(), to).unwrap();
            while socket.recv(&mut buffer).is_ok() {
                came.push(u64::from_be_bytes(buffer));
            }
        }
        host.until("what was not lost", |_| {
            while socket.recv(&mut buffer).is_ok() {
                came.push(u64::from_be_bytes(buffer));
            }
            (came.len() + lost(peer) - before == COUNT).then_some(())
        });
        assert!((COUNT / EVERY..=COUNT.div_ceil(EVERY)).contains(&(lost(peer) - before)));
        assert!(came.is_sorted(), "in order");
        peer.nft("delete table netdev lossy\n");
    }
    host.assert_nothing_lost();
}

fn the_other_way(link: Link, peer: &Space) {
    let mut host = Host::with(link, peer, |_| ());
    lose(peer, "theirs", "egress");
    for (ours, theirs) in BOTH {
        let before = lost(peer);
        let socket = peer.udp(&at(theirs, 0).to_string());
        let (id, own) = host.bound(ours);
        let received = host.counters().datagrams_received;
        let mut came = Vec::new();
        for number in 0..COUNT as u64 {
            // What the hook drops is an error for the sender.
            let _ = socket.send_to(&number.to_be_bytes(), own);
            host.turn();
            while let Some(datagram) = host.look(id) {
                came.push(u64::from_be_bytes(datagram.unwrap().1.try_into().unwrap()));
            }
        }
        host.until("what was not lost", |host| {
            while let Some(datagram) = host.look(id) {
                came.push(u64::from_be_bytes(datagram.unwrap().1.try_into().unwrap()));
            }
            (came.len() + lost(peer) - before == COUNT).then_some(())
        });
        assert!((COUNT / EVERY..=COUNT.div_ceil(EVERY)).contains(&(lost(peer) - before)));
        assert!(came.is_sorted(), "in order");
        assert_eq!(host.counters().datagrams_received - received, came.len() as u64);
    }
    host.assert_nothing_lost();
}

/// A datagram without one of its parts never comes; its other parts are given up in time, and the sender is told where it may be.
#[test]
fn parts_of_datagrams() {
    const DATAGRAMS: usize = 70;
    alone("loss::parts_of_datagrams", &["nft"], |router| {
        let far = Space::new();
        let mut host = routed(router, &far, 1500, |_| ());
        for (ours, theirs) in [(OUR_V4, FAR_V4), (OUR_V6, FAR_V6)] {
            let socket = far.udp(&at(theirs, 0).to_string());
            let to = socket.local_addr().unwrap();
            let (id, own) = host.bound(ours);
            host.there_and_back(id, b"hello", &socket, to);
            // Where it comes in at the router: its sender does not know.
            lose(router, "away", "ingress");
            let (late, told) = (host.dropped(Reason::FragmentLate), host.counters().errors_sent);
            for number in 0..DATAGRAMS {
                socket.send_to(&bytes(FRAGMENTED, number), own).unwrap();
                host.turn();
            }
            let mut came = 0;
            host.until("what was not lost", |host| {
                while let Some(datagram) = host.look(id) {
                    assert_eq!(datagram.unwrap().1.len(), FRAGMENTED);
                    came += 1;
                }
                (came == DATAGRAMS - DATAGRAMS * FRAGMENTS / EVERY).then_some(())
            });
            assert_eq!(lost(router), DATAGRAMS * FRAGMENTS / EVERY);
            host.skip(Duration::from_secs(61));
            // Each is counted once; the sender is told of those whose first part came, where its ports are.
            assert_eq!(host.dropped(Reason::FragmentLate) - late, lost(router) as u64);
            let told = host.counters().errors_sent - told;
            assert!((1..lost(router) as u64).contains(&told), "{told}");
            router.nft("delete table netdev lossy\n");
            host.there_and_back(id, &bytes(FRAGMENTED, 9), &socket, to);
        }
    });
}
