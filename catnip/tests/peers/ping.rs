// SPDX-License-Identifier: MIT OR Apache-2.0
//! Echo requests both ways (RFC 792, RFC 4443 section 4), of every kind of length: RFC 791 has room for 65,507 bytes, RFC 8200 for 65,527.

use crate::host::{BOTH, Host, Link, OUR_V4, THEIR_V4, bytes};
use crate::space::Space;
use network::counters::Reason;
use runtime::socket::Domain;

on_all_links! { ["ping"]; we_answer we_ask nobody_answers_for_everybody }

/// The kernel's `ping(8)` checks what comes back. It is answered once: no kernel answers beside us.
fn we_answer(link: Link, peer: &Space) {
    let mut host = Host::with(link, peer, |_| ());
    for (&(to, _), longest) in BOTH.iter().zip(["65507", "65527"]) {
        for size in ["0", "1", "56", "1452", "1453", "1472", "1473", "8000", longest] {
            let ping = peer.start("ping", &["-n", "-c", "3", "-i", "0.002", "-W", "5", "-s", size, to]);
            // It does not wait long for the last answers if it has had one: whether all were given is counted here.
            let said = host.until_done(ping);
            assert!(said.contains("3 packets transmitted"), "{size} bytes: {said}");
            assert!(!said.contains("DUP") && !said.contains("wrong"), "{size} bytes: {said}");
        }
    }
    host.until("all answers", |host| (host.counters().echoed == 2 * 9 * 3).then_some(()));
    // What is longer than the link takes went and came in fragments.
    assert!(host.counters().reassembled >= 3 * 6 && host.counters().fragmented >= 3 * 6);
    host.assert_nothing_lost();
}

fn we_ask(link: Link, peer: &Space) {
    let mut host = Host::with(link, peer, |_| ());
    for (&(_, to), longest) in BOTH.iter().zip([65_507, 65_527]) {
        let to = to.parse().unwrap();
        let id = host.nic.stack.echo_socket(Domain::of(&(to, 0).into())).unwrap();
        for (sequence, size) in [0, 1, 56, 1452, 1453, 1472, 1473, 8000, longest].into_iter().enumerate() {
            let sent = bytes(size, sequence);
            let reply = host.ping(id, to, sequence as u16, &sent).unwrap();
            assert_eq!((reply.from, usize::from(reply.sequence), reply.hops), (to, sequence, 64));
            assert!(reply.payload.to_vec() == sent, "{size} bytes came back otherwise");
        }
    }
    host.assert_nothing_lost();
}

/// Who asks everybody is not answered, or a single packet would be a flood.
fn nobody_answers_for_everybody(link: Link, peer: &Space) {
    let mut host = Host::with(link, peer, |_| ());
    for arguments in [["-b", "10.9.0.255"], ["-Itheirs", "ff02::1"]] {
        let ping = peer.start("ping", &[&["-n", "-c", "2", "-i", "0.01", "-W", "0.1"], &arguments[..]].concat());
        let (_, said) = host.until_ended(ping);
        assert!(!said.contains(&format!("from {OUR_V4}")) && !said.contains("DUP"), "{said}");
    }
    host.until("all questions", |host| (host.dropped(Reason::IcmpType) >= 4).then_some(()));
    assert_eq!(host.counters().echoed, 0);
    let id = host.nic.stack.echo_socket(Domain::V4).unwrap();
    assert!(host.ping(id, THEIR_V4.parse().unwrap(), 1, b"still there?").is_ok());
}
