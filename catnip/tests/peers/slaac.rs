// SPDX-License-Identifier: MIT OR Apache-2.0
//! Addresses made of what a router advertises (RFC 4861 section 6.3, RFC 4862, RFC 7217), with `dnsmasq(8)` as the router.

use crate::alone;
use crate::host::{Host, Link, at};
use crate::space::{Program, Space};
use core::net::{IpAddr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use network::ip::addresses::State;
use runtime::Errno;
use runtime::socket::Domain;

/// An address of the router's host that only its route leads to.
const BEYOND: &str = "fd08::1";
/// How long dnsmasq says that it is a router.
const ROUTER_LIFETIME: Duration = Duration::from_mins(30);

fn advertise(peer: &Space) -> Program {
    let arguments = [
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--pid-file=",
        "--user=root",
        "--port=0",
        "--no-resolv",
        "--no-hosts",
        "--interface=theirs",
        "--except-interface=lo",
        "--bind-interfaces",
        "--log-facility=-",
        "--log-dhcp",
        "--enable-ra",
        "--dhcp-range=fd09::,ra-only,64,2h",
        "--ra-param=theirs,mtu:1400,600,1800",
    ];
    peer.start("dnsmasq", &arguments)
}

fn host(peer: &Space) -> Host {
    let host = Host::beside(Link::Packet, peer, |settings| {
        settings.addresses.clear();
        settings.slaac = true;
    });
    peer.sysctl("ipv6.conf.all.forwarding", "1");
    peer.ip(&format!("addr add fd09::1/64 dev theirs nodad\naddr add {BEYOND}/128 dev lo\n"));
    host
}

/// Our addresses of a scope that are in use.
fn ours(host: &Host, link_local: bool) -> Vec<Ipv6Addr> {
    let all = host.nic.stack.addresses().filter_map(|here| match here.prefix.address() {
        IpAddr::V6(address) if here.state != State::Tentative => Some(address),
        _ => None,
    });
    all.filter(|address| address.is_unicast_link_local() == link_local).collect()
}

#[track_caller]
fn found(host: &mut Host, router: &Program) -> Ipv6Addr {
    // The first question is asked within a second, the next ones after four and more.
    for _ in 0..10 {
        host.skip(Duration::from_secs(1));
        for _ in 0..20 {
            host.work(Duration::from_millis(10));
            if let [address] = ours(host, false)[..] {
                return address;
            }
        }
    }
    panic!("no address: {}", router.said());
}

#[track_caller]
fn speak(host: &mut Host, peer: &Space, ours: Ipv6Addr) {
    let id = host.nic.stack.udp_socket(Domain::V6).unwrap();
    host.nic.stack.bind(id, SocketAddr::new(ours.into(), 0)).unwrap();
    let socket = peer.udp(&at(BEYOND, 0).to_string());
    host.there_and_back(id, b"by the router", &socket, socket.local_addr().unwrap());
    let now = host.now();
    host.nic.stack.close(id, now).unwrap();
}

#[test]
fn an_address_and_a_route() {
    alone("slaac::an_address_and_a_route", &["dnsmasq", "ping"], |peer| {
        let mut host = host(peer);
        host.skip(Duration::from_secs(1));
        host.skip(Duration::from_secs(1));
        assert_eq!(ours(&host, true).len(), 1, "the link's own address needs no router");
        let id = host.socket("::");
        assert_eq!(host.send(id, b"x", at(BEYOND, 9)).unwrap_err().errno(), Errno::NETUNREACH);
        let router = advertise(peer);
        let address = found(&mut host, &router);
        assert_eq!(address.segments()[..4], [0xfd09, 0, 0, 0]);
        // No address of the link layer is in it (RFC 8064).
        assert_ne!(address.octets()[11..13], [0xff, 0xfe]);
        speak(&mut host, peer, address);
        host.until_done(peer.start("ping", &["-n", "-c", "1", "-W", "5", "-s", "3000", &address.to_string()]));
        // The link's MTU is the router's to say: what is longer goes in fragments.
        let socket = peer.udp("[fd09::1]:0");
        let to = socket.local_addr().unwrap();
        let id = host.socket("::");
        let cut = host.counters().fragmented;
        host.there_and_back(id, &[1; 1400 - 48], &socket, to);
        assert_eq!(host.counters().fragmented, cut);
        host.there_and_back(id, &[2; 1400 - 47], &socket, to);
        assert_eq!(host.counters().fragmented, cut + 1);
        // The router goes without a word: it is believed for as long as it has said, the address for longer.
        router.kill();
        host.skip(ROUTER_LIFETIME * 29 / 30);
        speak(&mut host, peer, address);
        host.skip(Duration::from_mins(2));
        assert_eq!(host.send(id, b"x", at(BEYOND, 9)).unwrap_err().errno(), Errno::NETUNREACH);
        host.there_and_back(id, b"a neighbour", &socket, to);
        host.skip(Duration::from_hours(2));
        assert!(ours(&host, false).is_empty(), "the address is over");
        let router = advertise(peer);
        assert_eq!(found(&mut host, &router), address, "the same prefix makes the same address");
        speak(&mut host, peer, address);
    });
}

/// Another host has the addresses that ours was given: it is found out, and they are not used.
#[test]
fn addresses_that_are_taken() {
    alone("slaac::addresses_that_are_taken", &[], |peer| {
        let mut host = Host::beside(Link::Packet, peer, |settings| {
            settings.addresses = vec!["fd09::2/64".parse().unwrap(), "10.9.0.2/24".parse().unwrap()];
            settings.detect_duplicates = true;
        });
        peer.ip("addr add fd09::2/64 dev theirs nodad\naddr add fd09::1/64 dev theirs nodad\naddr add 10.9.0.2/24 dev theirs\n");
        // Each is tried for some seconds.
        host.until("the conflict", |host| {
            host.skip(Duration::from_millis(100));
            std::thread::sleep(Duration::from_millis(2));
            let taken = ["fd09::2", "10.9.0.2"].map(|text| text.parse::<IpAddr>().unwrap());
            let left = host.nic.stack.addresses().any(|here| taken.contains(&here.prefix.address()));
            (!left).then_some(())
        });
        // What nobody else has is used.
        (0..5).for_each(|_| host.skip(Duration::from_secs(1)));
        assert_eq!(ours(&host, true).len(), 1);
        let said = peer.output("ip", &["-6", "addr", "show", "dev", "theirs"]);
        assert!(said.contains("fd09::2/64") && !said.contains("dadfailed"), "{said}");
    });
}
