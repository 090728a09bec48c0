// SPDX-License-Identifier: MIT OR Apache-2.0
//! Multicast with a bridge of the kernel that listens who wants what (IGMP and MLD snooping): it knows of our groups what we report, and passes
//! on what was asked for (RFC 2236, RFC 3376, RFC 2710, RFC 3810).

use crate::alone;
use crate::host::{Host, Link, THEIR_V4, THEIR_V6, at};
use crate::space::Space;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;
use network::stack::{Setting, SocketId};

const GROUP_V4: &str = "239.1.2.3";
const GROUP_V6: &str = "ff15::1234";
/// Each with our address, where a socket hears both, and the kernel's.
const GROUPS: [(&str, &str, &str); 2] = [(GROUP_V4, "0.0.0.0", THEIR_V4), (GROUP_V6, "::", THEIR_V6)];

/// Our host at a port of a bridge, which asks as often as its versions of the protocols allow.
fn bridged(peer: &Space, igmp: u8, mld: u8) -> Host {
    let mut host = Host::beside(Link::Packet, peer, |_| ());
    // The port itself is no host.
    peer.sysctl("ipv6.conf.theirs.disable_ipv6", "1");
    peer.ip(&format!(
        "link add br0 type bridge mcast_snooping 1 mcast_igmp_version {igmp} mcast_mld_version {mld} \
         mcast_query_response_interval 20 mcast_last_member_interval 10 mcast_startup_query_interval 10 mcast_startup_query_count 5\n\
         link set br0 type bridge mcast_querier 1\nlink set theirs master br0\nlink set br0 up\n\
         addr add {THEIR_V4}/24 dev br0\naddr add {THEIR_V6}/64 dev br0 nodad\n"
    ));
    // Its questions, of which the first ones of IPv6 lack an address, and the time after which it trusts the answers.
    host.work(Duration::from_millis(500));
    host
}

fn is_known(peer: &Space, group: &str) -> bool {
    is_behind(peer, "theirs", group)
}

/// Whether the bridge knows of a member behind a port, or on its own host: `br0`.
fn is_behind(peer: &Space, port: &str, group: &str) -> bool {
    let said = peer.output("bridge", &["mdb", "show", "dev", "br0"]);
    said.lines().any(|line| line.contains(&format!("port {port} ")) && line.contains(&format!("grp {group} ")))
}

fn speaks(host: &mut Host, peer: &Space, id: SocketId, group: &str, theirs: &str) {
    let port = host.nic.stack.local(id).unwrap().port();
    let socket = peer.udp(&at(theirs, 0).to_string());
    let to = at(group, port);
    // The bridge hears of a new member before it sends on to it.
    host.until("the bridge knows", |_| is_known(peer, group).then_some(()));
    for number in 0..10 {
        socket.send_to(&[number], to).unwrap();
        let (from, came) = host.receive(id);
        assert_eq!((from, came), (socket.local_addr().unwrap(), vec![number]));
    }
}

fn joined_and_left(igmp: u8, mld: u8, peer: &Space) {
    let mut host = bridged(peer, igmp, mld);
    for (group, any, theirs) in GROUPS {
        let address: IpAddr = group.parse().unwrap();
        assert!(!is_known(peer, group));
        let (id, _) = host.bound(any);
        let now = host.now();
        host.nic.stack.join(id, address, now).unwrap();
        speaks(&mut host, peer, id, group, theirs);
        // A second member on this host: the group stays until both have left. Both hear.
        let port = host.nic.stack.local(id).unwrap().port();
        let other = host.socket(any);
        for id in [id, other] {
            host.nic.stack.set_option(id, runtime::socket::SocketOption::ReuseAddress(true)).ok();
        }
        host.nic.stack.bind(other, at(any, 0)).unwrap();
        host.nic.stack.join(other, address, now).unwrap();
        host.nic.stack.leave(other, address, now).unwrap();
        host.work(Duration::from_millis(100));
        assert!(is_known(peer, group));
        // It is asked again, and answers: longer than the bridge would believe it without.
        host.skip(Duration::from_secs(1));
        speaks(&mut host, peer, id, group, theirs);
        // We leave: the bridge sends us nothing more.
        let now = host.now();
        host.nic.stack.leave(id, address, now).unwrap();
        host.until("the bridge knows", |_| (!is_known(peer, group)).then_some(()));
        let socket = peer.udp(&at(theirs, 0).to_string());
        let received = host.nic.device_counters().received;
        for number in 0..10 {
            socket.send_to(&[number], at(group, port)).unwrap();
        }
        host.work(Duration::from_millis(50));
        assert!(host.look(id).is_none());
        let more = host.nic.device_counters().received - received;
        assert!(more < 10, "the bridge sends all the same: {more}, {group}, {:?}", host.drops());
    }
}

#[test]
fn with_the_newest_versions() {
    alone("groups::with_the_newest_versions", &["bridge"], |peer| joined_and_left(3, 2, peer));
}

/// A router that speaks older ones is answered in them.
#[test]
fn with_older_versions() {
    alone("groups::with_older_versions", &["bridge"], |peer| joined_and_left(2, 1, peer));
}

/// What we send to a group its members of the kernel hear; at more than one hop, if we say so, and here if we want.
#[test]
fn we_send() {
    alone("groups::we_send", &["bridge"], |peer| {
        let mut host = bridged(peer, 3, 2);
        let (v4, v6): (Ipv4Addr, Ipv6Addr) = (GROUP_V4.parse().unwrap(), GROUP_V6.parse().unwrap());
        let member = peer.udp("0.0.0.0:0");
        member.join_multicast_v4(&v4, &THEIR_V4.parse().unwrap()).unwrap();
        let member_v6 = peer.udp("[::]:0");
        let index = peer.run(|| {
            let path = "/proc/thread-self/net/if_inet6";
            let all = std::fs::read_to_string(path).unwrap();
            let line = all.lines().find(|line| line.ends_with("br0")).unwrap();
            u32::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap()
        });
        member_v6.join_multicast_v6(&v6, index).unwrap();
        for (socket, (group, any, _)) in [&member, &member_v6].into_iter().zip(GROUPS) {
            let (id, own) = host.bound(any);
            let to = at(group, socket.local_addr().unwrap().port());
            host.until("the bridge knows its own host", |_| is_behind(peer, "br0", group).then_some(()));
            for len in [0, 1, 1000, 5000] {
                host.send(id, &vec![7; len], to).unwrap();
                let (from, came) = host.heard(socket);
                assert_eq!((from.port(), came.len()), (own.port(), len));
                assert!(host.look(id).is_none(), "we are no member");
            }
            // No hop at all: it stays here.
            host.nic.stack.set(id, Setting::MulticastHops(0)).unwrap();
            host.send(id, b"nobody", to).unwrap();
            host.unheard(socket);
        }
    });
}
