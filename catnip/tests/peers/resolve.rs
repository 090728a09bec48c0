// SPDX-License-Identifier: MIT OR Apache-2.0
//! Hardware addresses of neighbours both ways: ARP (RFC 826, RFC 1122 section 2.3.2) and neighbour discovery (RFC 4861 section 7).

use crate::host::{BOTH, Host, Link, OUR_V4, OUR_V6, at};
use crate::space::Space;
use core::time::Duration;
use network::link::neighbours::State;
use runtime::Errno;

/// Longer than any neighbour is believed without a word: once and a half of 30 s.
const BELIEVED: Duration = Duration::from_secs(46);
/// How long a packet to a neighbour that is in doubt waits for a word of upper layers; and between two questions.
const DOUBT: Duration = Duration::from_secs(5);
const QUESTION: Duration = Duration::from_secs(1);
/// The hardware address that the kernel's host takes later.
const OTHER: &str = "02:00:00:00:09:09";

on_all_links! { ["ping"]; the_kernel_finds_us we_find_the_kernel another_hardware_address nobody_there }

fn known_to(peer: &Space, address: &str) -> String {
    peer.output("ip", &["neigh", "show", address, "dev", "theirs"])
}

/// The kernel asks us again and again: after it has forgotten us, alone when it has doubts; and in vain for others' addresses.
fn the_kernel_finds_us(link: Link, peer: &Space) {
    let mut host = Host::with(link, peer, |_| ());
    let mac = host.nic.stack.mac().to_string();
    for sysctl in ["ipv4.neigh.theirs", "ipv6.neigh.theirs"] {
        peer.sysctl(&format!("{sysctl}.mcast_solicit"), "1");
        peer.sysctl(&format!("{sysctl}.retrans_time_ms"), "50");
    }
    for (ours, _) in BOTH {
        for _ in 0..2 {
            host.until_done(peer.start("ping", &["-n", "-c", "1", "-W", "5", ours]));
            let known = known_to(peer, ours);
            assert!(known.contains(&mac) && known.contains("REACHABLE"), "{known}");
            peer.ip(&format!("neigh del {ours} dev theirs\n"));
        }
        // It has an idea, and asks whether it is true.
        peer.sysctl(&format!("ipv{}.neigh.theirs.retrans_time_ms", if ours.contains(':') { 6 } else { 4 }), "1000");
        peer.ip(&format!("neigh replace {ours} lladdr {mac} dev theirs nud probe\n"));
        host.until("the kernel is sure", |_| known_to(peer, ours).contains("REACHABLE").then_some(()));
        let other = if ours.contains(':') { "fd09::99" } else { "10.9.0.99" };
        let (well, said) = host.until_ended(peer.start("ping", &["-n", "-c", "1", "-W", "3", other]));
        assert!(!well && said.contains("0 received"), "{said}");
        let known = known_to(peer, other);
        assert!(!known.contains(&mac), "{known}");
    }
}

/// A neighbour is asked for, believed, doubted while it is used, and asked again.
fn we_find_the_kernel(link: Link, peer: &Space) {
    let mut host = Host::with(link, peer, |_| ());
    for (ours, theirs) in BOTH {
        assert_eq!(host.neighbour(theirs), None);
        let (id, _) = host.bound(ours);
        let socket = peer.udp(&at(theirs, 0).to_string());
        let to = socket.local_addr().unwrap();
        host.send(id, b"who are you?", to).unwrap();
        assert_eq!(host.neighbour(theirs), Some(State::Incomplete));
        assert_eq!(host.heard(&socket).1, b"who are you?");
        assert_eq!(host.neighbour(theirs), Some(State::Reachable));
        for _ in 0..2 {
            host.skip(BELIEVED);
            assert_eq!(host.neighbour(theirs), Some(State::Stale));
            host.send(id, b"still there?", to).unwrap();
            assert_eq!(host.neighbour(theirs), Some(State::Delay));
            host.heard(&socket);
            host.skip(DOUBT);
            host.until("the answer to a probe", |host| {
                (host.neighbour(theirs) == Some(State::Reachable)).then_some(())
            });
        }
        // Nobody has used it: nobody asks.
        let sent = host.counters().frames_sent;
        host.skip(10 * BELIEVED);
        host.work(Duration::from_millis(20));
        assert_eq!(host.counters().frames_sent, sent, "an idle host is silent");
    }
}

/// The peer takes another hardware address: with an announcement we know at once, without one after it did not answer at the old.
fn another_hardware_address(link: Link, peer: &Space) {
    let mut host = Host::with(link, peer, |_| ());
    let mut ends = BOTH.map(|(ours, theirs)| {
        let (id, _) = host.bound(ours);
        let socket = peer.udp(&at(theirs, 0).to_string());
        let to = socket.local_addr().unwrap();
        host.there_and_back(id, b"hello", &socket, to);
        (theirs, id, socket, to)
    });
    host.skip(BELIEVED);
    peer.ip(&format!("link set theirs address {OTHER}\n"));
    for (theirs, id, socket, to) in &mut ends {
        host.send(*id, b"where are you?", *to).unwrap();
        host.skip(DOUBT);
        for _ in 0..3 {
            assert_eq!(host.neighbour(theirs), Some(State::Probe));
            host.skip(QUESTION);
        }
        host.unheard(socket);
        // It has not answered. Who sends now finds it anew, at the latest after the time for which that is taken as settled.
        host.skip(4 * QUESTION);
        while host.look(*id).is_some() {}
        host.there_and_back(*id, b"there you are", socket, *to);
    }
    for family in ["ipv4.conf.theirs.arp_notify", "ipv6.conf.theirs.ndisc_notify"] {
        peer.sysctl(family, "1");
    }
    host.skip(2 * QUESTION);
    peer.ip("link set theirs address 02:00:00:00:09:0a\n");
    host.work(Duration::from_millis(20));
    for (_, id, socket, to) in &ends {
        host.there_and_back(*id, b"you said so", socket, *to);
    }
}

/// Who does not answer is asked three times; then the sockets that wait for it hear so, and for a while others are told at once.
fn nobody_there(link: Link, peer: &Space) {
    let mut host = Host::with(link, peer, |_| ());
    for (ours, nobody) in [(OUR_V4, "10.9.0.77"), (OUR_V6, "fd09::77")] {
        let (id, _) = host.bound(ours);
        let (other, _) = host.bound(ours);
        for id in [id, other] {
            // As in the kernel, who has a single peer is told of it.
            host.nic.stack.connect(id, at(nobody, 9), host.now()).unwrap();
            host.send(id, b"anybody?", at(nobody, 9)).unwrap();
        }
        for _ in 0..3 {
            assert_eq!(host.neighbour(nobody), Some(State::Incomplete));
            assert!(host.look(id).is_none());
            host.skip(QUESTION);
        }
        for id in [id, other] {
            assert_eq!(host.error(id), Errno::HOSTUNREACH);
            assert!(host.look(id).is_none(), "told once");
        }
        assert_eq!(host.send(id, b"anybody?", at(nobody, 9)).unwrap_err().errno(), Errno::HOSTUNREACH);
        // Then it comes.
        let dad = if nobody.contains(':') { "/64 dev theirs nodad" } else { "/24 dev theirs" };
        peer.ip(&format!("addr add {nobody}{dad}\n"));
        let socket = peer.udp(&at(nobody, 9).to_string());
        host.skip(3 * QUESTION);
        host.there_and_back(id, b"welcome", &socket, at(nobody, 9));
        // And goes.
        peer.ip(&format!("addr del {nobody}{dad}\n").replace(" nodad", ""));
        host.skip(BELIEVED);
        host.send(id, b"still there?", at(nobody, 9)).unwrap();
        host.skip(DOUBT);
        for _ in 0..4 {
            host.skip(QUESTION);
        }
        let failed = host.send(id, b"hello?", at(nobody, 9)).map_err(runtime::Error::errno);
        if failed.is_ok() {
            (0..4).for_each(|_| host.skip(QUESTION));
            assert_eq!(host.error(id), Errno::HOSTUNREACH);
        } else {
            assert_eq!(failed, Err(Errno::HOSTUNREACH));
        }
    }
}
