// SPDX-License-Identifier: MIT OR Apache-2.0
//! Packets with few hops left, through a router of the kernel: `traceroute(8)` to us, and our own probes the other way
//! (RFC 1122 section 3.2.2, RFC 4443 section 3).

use crate::alone;
use crate::host::{Host, OUR_V4, OUR_V6, at};
use crate::routed::{AWAY_V4, AWAY_V6, FAR_V4, FAR_V6, routed};
use crate::space::Space;
use network::stack::Setting;
use runtime::Errno;

const WHOLE: u16 = 1500;

/// Probes to ports where nobody is end at the router, then at us.
#[test]
fn we_are_the_end() {
    alone("trace::we_are_the_end", &["traceroute"], |router| {
        let far = Space::new();
        let mut host = routed(router, &far, WHOLE, |_| ());
        let mut trace = |how: &[&str], hops: [&str; 2]| {
            let program =
                far.start("traceroute", &[&["-n", "-q", "1", "-w", "5", "-m", "5"], how, &[hops[1]]].concat());
            let said = host.until_done(program);
            let found: Vec<&str> = said.lines().skip(1).filter_map(|line| line.split_whitespace().nth(1)).collect();
            assert_eq!(found, hops, "{how:?}: {said}");
        };
        trace(&[], [AWAY_V4, OUR_V4]);
        trace(&["-6"], [AWAY_V6, OUR_V6]);
        // To one port again and again; and by echo requests.
        trace(&["-U"], [AWAY_V4, OUR_V4]);
        trace(&["-I"], [AWAY_V4, OUR_V4]);
        trace(&["-6", "-I"], [AWAY_V6, OUR_V6]);
        assert!(host.counters().errors_sent >= 3, "nobody was told that nobody is there");
        host.nic.turn(host.now());
    });
}

/// The errors that come back for our own probes reach the socket that sent them: too far, then refused.
#[test]
fn we_trace() {
    alone("trace::we_trace", &[], |router| {
        let far = Space::new();
        let mut host = routed(router, &far, WHOLE, |_| ());
        for (ours, to) in [(OUR_V4, FAR_V4), (OUR_V6, FAR_V6)] {
            let (id, _) = host.bound(ours);
            host.nic.stack.connect(id, at(to, 33_434), host.now()).unwrap();
            for (hops, error) in [(1, Errno::HOSTUNREACH), (2, Errno::CONNREFUSED), (64, Errno::CONNREFUSED)] {
                host.nic.stack.set(id, Setting::Hops(hops)).unwrap();
                host.send(id, b"how far?", at(to, 33_434)).unwrap();
                assert_eq!(host.error(id), error, "{hops} hops to {to}");
            }
            beyond(&mut host, ours);
        }
    });
}

/// A network that the router knows no way to.
fn beyond(host: &mut Host, ours: &str) {
    let nowhere = if ours == OUR_V4 { "192.0.2.1" } else { "2001:db8::1" };
    let (id, _) = host.bound(ours);
    host.nic.stack.connect(id, at(nowhere, 9), host.now()).unwrap();
    host.send(id, b"anybody?", at(nowhere, 9)).unwrap();
    assert_eq!(host.error(id), Errno::NETUNREACH);
}
