// SPDX-License-Identifier: MIT OR Apache-2.0
//! A narrow link behind a router of the kernel: path MTU discovery (RFC 1191, RFC 8201), and what is left of it where ICMP is dropped.

use crate::alone;
use crate::host::{Host, OUR_V4, OUR_V6, at, bytes};
use crate::routed::{FAR_V4, FAR_V6, routed};
use crate::space::Space;
use core::time::Duration;
use std::net::UdpSocket;

const NARROW: u16 = 1300;
/// Longer than the narrow link takes, shorter than ours.
const LONG: usize = 1400;
const FAMILIES: [(&str, &str); 2] = [(OUR_V4, FAR_V4), (OUR_V6, FAR_V6)];
const WHOLE_V4: usize = 1500 - 20 - 8;

fn far_socket(far: &Space, address: &str) -> (UdpSocket, core::net::SocketAddr) {
    let socket = far.udp(&at(address, 0).to_string());
    let to = socket.local_addr().unwrap();
    (socket, to)
}

/// The first long datagram is lost, and the router says why; the next ones fit. After ten minutes more is tried again.
#[test]
fn is_found() {
    alone("path_mtu::is_found", &[], |router| {
        let far = Space::new();
        let mut host = routed(router, &far, NARROW, |_| ());
        for (ours, theirs) in FAMILIES {
            let (socket, to) = far_socket(&far, theirs);
            let (id, _) = host.bound(ours);
            host.there_and_back(id, b"short", &socket, to);
            let heard = host.counters().errors_received;
            host.send(id, &bytes(LONG, 1), to).unwrap();
            host.until("the router's word", |host| (host.counters().errors_received > heard).then_some(()));
            for len in [LONG, NARROW.into(), 2000, 40_000] {
                host.there_and_back(id, &bytes(len, 2), &socket, to);
            }
            // No word was needed any more.
            assert_eq!(host.counters().errors_received, heard + 1);
            host.skip(Duration::from_secs(601));
            host.send(id, &bytes(LONG, 3), to).unwrap();
            host.until("the router's word", |host| (host.counters().errors_received > heard + 1).then_some(()));
            host.unheard(&socket);
            host.there_and_back(id, &bytes(LONG, 4), &socket, to);
        }
        // A path that has become wide is used as such once the old word is forgotten.
        router.ip("link set away mtu 1500\n");
        far.ip("link set far mtu 1500\n");
        host.skip(Duration::from_secs(601));
        let (socket, to) = far_socket(&far, FAR_V4);
        let (id, _) = host.bound(OUR_V4);
        let cut = host.counters().fragmented;
        host.send(id, &bytes(WHOLE_V4, 5), to).unwrap();
        assert!(host.heard(&socket).1 == bytes(WHOLE_V4, 5));
        assert_eq!(host.counters().fragmented, cut);
    });
}

/// Where the router's word is dropped on its way, nobody can know: long datagrams vanish, and no socket hears of it; short
/// ones pass, and so do those that leave in fragments over IPv4, since routers cut these further. The setting of the MTU helps.
#[test]
fn in_a_black_hole() {
    alone("path_mtu::in_a_black_hole", &["nft"], |router| {
        let far = Space::new();
        let mut host = routed(router, &far, NARROW, |_| ());
        black_hole(router);
        let told = |router: &Space| router.counted("inet", "hole", "told");
        for (number, (ours, theirs)) in FAMILIES.into_iter().enumerate() {
            let (socket, to) = far_socket(&far, theirs);
            let (id, _) = host.bound(ours);
            host.there_and_back(id, b"short", &socket, to);
            let before = told(router);
            for _ in 0..3 {
                host.send(id, &bytes(LONG, 1), to).unwrap();
            }
            host.until("words that are dropped", |_| (told(router) == before + 3).then_some(()));
            host.unheard(&socket);
            assert!(host.look(id).is_none(), "nobody said anything");
            host.there_and_back(id, &bytes(1200, 2), &socket, to);
            if number == 0 {
                host.there_and_back(id, &bytes(4000, 3), &socket, to);
            } else {
                host.send(id, &bytes(4000, 3), to).unwrap();
                host.unheard(&socket);
            }
        }
        assert_eq!(host.counters().errors_received, 0);
    });
    alone("path_mtu::in_a_black_hole", &["nft"], |router| {
        let far = Space::new();
        let mut host = routed(router, &far, NARROW, |settings| settings.mtu = Some(NARROW));
        black_hole(router);
        for (ours, theirs) in FAMILIES {
            let (socket, to) = far_socket(&far, theirs);
            let (id, _) = host.bound(ours);
            for len in [LONG, 4000, 40_000] {
                host.there_and_back(id, &bytes(len, 4), &socket, to);
            }
        }
    });
}

fn black_hole(router: &Space) {
    router.nft(
        "table inet hole {\n\
           counter told { }\n\
           chain path {\n\
             type filter hook output priority 0;\n\
             icmp type destination-unreachable counter name told drop\n\
             icmpv6 type packet-too-big counter name told drop\n\
           }\n\
         }\n",
    );
}

/// A router that has never heard of next-hop MTUs is none of the kernel's; but one whose link is narrower than IPv4 has to know is: from
/// there on routers may cut.
#[test]
fn narrower_than_is_believed() {
    alone("path_mtu::narrower_than_is_believed", &[], |router| {
        let far = Space::new();
        // IPv6 does not live on such a link.
        let mut host: Host = routed_v4_only(router, &far);
        let (socket, to) = far_socket(&far, FAR_V4);
        let (id, _) = host.bound(OUR_V4);
        host.send(id, &bytes(LONG, 1), to).unwrap();
        host.until("the router's word", |host| (host.counters().errors_received > 0).then_some(()));
        for len in [300, 500, 560, LONG, 4000] {
            host.there_and_back(id, &bytes(len, 2), &socket, to);
        }
    });
}

fn routed_v4_only(router: &Space, far: &Space) -> Host {
    let host = routed(router, far, NARROW, |_| ());
    router.ip("link set away mtu 400\n");
    far.ip("link set far mtu 400\n");
    host
}
