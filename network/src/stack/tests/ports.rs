// SPDX-License-Identifier: MIT OR Apache-2.0
//! Local addresses and ports, options, names of sockets.

use super::*;
use runtime::socket::{OptionName, SocketOption};
use std::collections::HashSet;

/// RFC 6056 §3.2.
#[test]
fn port_zero_is_a_free_one_each_time() {
    let mut wire = Wire::pair();
    let stack = &mut wire.stacks[0];
    let mut ports = HashSet::new();
    for round in 0..3000 {
        let address = ["0.0.0.0:0", "10.0.0.1:0", "[::]:0", "[fd00::1]:0"][round % 4];
        let id = stack.udp_socket(Domain::of(&at(address))).unwrap();
        assert_eq!(stack.local(id).unwrap(), Domain::of(&at(address)).unspecified());
        stack.bind(id, at(address)).unwrap();
        let local = stack.local(id).unwrap();
        assert_eq!(local.ip(), at(address).ip());
        assert!(ports.insert(local.port()) && local.port() >= crate::limits::EPHEMERAL_FIRST, "{local}");
        assert_eq!(stack.bind(id, at(address)).unwrap_err().errno(), Errno::INVAL);
    }
    assert_eq!(stack.sockets(), 3000);
}

#[test]
fn a_send_binds_and_keeps_the_port() {
    let mut wire = Wire::pair();
    let (server, client) = (wire.udp(1, "10.0.0.2:7"), wire.stacks[0].udp_socket(Domain::V4).unwrap());
    let mut port = None;
    for _ in 0..3 {
        wire.send(0, client, b"x", "10.0.0.2:7");
        wire.settle();
        let (from, _) = wire.take(1, server);
        assert_eq!(from.ip(), ip("10.0.0.1"));
        assert_eq!(*port.get_or_insert(from.port()), from.port());
        assert_eq!(wire.stacks[0].local(client).unwrap(), SocketAddr::new(ip("0.0.0.0"), from.port()));
    }
}

#[test]
fn addresses_are_shared_only_where_both_agree() {
    let mut wire = Wire::pair();
    let stack = &mut wire.stacks[0];
    let taken = [
        ("10.0.0.1:7", "10.0.0.1:7", true),
        ("10.0.0.1:7", "0.0.0.0:7", true),
        ("0.0.0.0:7", "10.0.0.1:7", true),
        ("[::]:7", "10.0.0.1:7", true),
        ("10.0.0.1:7", "[::]:7", true),
        ("[::]:7", "0.0.0.0:7", true),
        ("[fd00::1]:7", "[::]:7", true),
        ("[::ffff:10.0.0.1]:7", "10.0.0.1:7", true),
        ("10.0.0.1:7", "127.0.0.1:7", false),
        ("[fd00::1]:7", "10.0.0.1:7", false),
        ("[fd00::1]:7", "0.0.0.0:7", false),
        ("10.0.0.1:7", "10.0.0.1:8", false),
    ];
    for (first, second, conflict) in taken {
        for [one_reuses, other_reuses] in [[false; 2], [true, false], [false, true], [true; 2]] {
            let mut open = |address: &str, reuse| {
                let id = stack.udp_socket(Domain::of(&at(address))).unwrap();
                stack.set_option(id, SocketOption::ReuseAddress(reuse)).unwrap();
                (id, stack.bind(id, at(address)))
            };
            let (one, bound) = open(first, one_reuses);
            bound.unwrap();
            let (other, bound) = open(second, other_reuses);
            let refused = conflict && !(one_reuses && other_reuses);
            assert_eq!(bound.err().map(Error::errno), refused.then_some(Errno::ADDRINUSE), "{first} {second}");
            stack.close(one, Time::ZERO).unwrap();
            stack.close(other, Time::ZERO).unwrap();
        }
    }
    let id = stack.udp_socket(Domain::V4).unwrap();
    for (address, errno) in
        [("10.0.0.9:7", Errno::ADDRNOTAVAIL), ("8.8.8.8:0", Errno::ADDRNOTAVAIL), ("[::]:7", Errno::AFNOSUPPORT)]
    {
        assert_eq!(stack.bind(id, at(address)).unwrap_err().errno(), errno);
    }
    assert_eq!(stack.udp_socket(Domain::Unix).unwrap_err().errno(), Errno::AFNOSUPPORT);
}

#[test]
fn names_of_closed_sockets_find_nobody() {
    let mut wire = Wire::pair();
    let stack = &mut wire.stacks[0];
    let old = stack.udp_socket(Domain::V4).unwrap();
    stack.bind(old, at("10.0.0.1:7")).unwrap();
    stack.close(old, Time::ZERO).unwrap();
    let new = stack.udp_socket(Domain::V4).unwrap();
    assert_eq!((old.index(), old == new), (new.index(), false));
    stack.bind(new, at("10.0.0.1:7")).unwrap();
    assert_eq!(stack.close(old, Time::ZERO).unwrap_err().errno(), Errno::BADF);
    assert_eq!(stack.local(old).unwrap_err().errno(), Errno::BADF);
    assert_eq!(stack.bind(old, at("10.0.0.1:8")).unwrap_err().errno(), Errno::BADF);
    assert_eq!(stack.set(old, Setting::Hops(1)).unwrap_err().errno(), Errno::BADF);
    assert_eq!(errno(stack.receive_from(old)), Errno::BADF);
    assert_eq!(errno(stack.send(old, &mut Sga::new(), None, Time::ZERO)), Errno::BADF);
    assert_eq!(stack.local(new).unwrap(), at("10.0.0.1:7"));
}

/// RFC 1112 §6.1.
#[test]
fn options_are_kept_and_hops_are_used() {
    let mut wire = Wire::pair();
    let id = wire.udp(0, "10.0.0.1:1");
    let stack = &mut wire.stacks[0];
    stack.set_option(id, SocketOption::NoDelay(true)).unwrap();
    assert_eq!(stack.option(id, OptionName::NoDelay).unwrap(), SocketOption::NoDelay(true));
    assert_eq!(stack.option(id, OptionName::KeepAlive).unwrap(), SocketOption::KeepAlive(false));
    stack.set_option(id, SocketOption::ReceiveBuffer(1)).unwrap();
    let least = SocketOption::ReceiveBuffer(crate::limits::RECEIVE_BUFFER_RANGE.0);
    assert_eq!(stack.option(id, OptionName::ReceiveBuffer).unwrap(), least);
    assert_eq!(stack.set(id, Setting::Hops(0)).unwrap_err().errno(), Errno::INVAL);
    stack.set(id, Setting::Hops(3)).unwrap();
    wire.send(0, id, b"three hops", "10.0.0.2:7");
    wire.settle();
    let (_, frame) = wire.seen.iter().rfind(|(from, frame)| *from == 0 && frame.ends_with(b"three hops")).unwrap();
    assert_eq!(frame[22], 3);
}

#[test]
fn the_table_of_sockets_is_bounded() {
    let mut wire = Wire::pair();
    let stack = &mut wire.stacks[0];
    for _ in 0..crate::limits::SOCKETS_MAX {
        stack.udp_socket(Domain::V4).unwrap();
    }
    assert_eq!(stack.udp_socket(Domain::V4).unwrap_err().errno(), Errno::MFILE);
    assert_eq!(stack.echo_socket(Domain::V4).unwrap_err().errno(), Errno::MFILE);
}
