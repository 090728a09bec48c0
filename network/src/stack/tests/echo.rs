// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ping, both ways, of every length, in both families.

use super::*;

fn ping(wire: &mut Wire, from: usize, to: &str, len: usize) {
    let domain = if ip(to).is_ipv4() { Domain::V4 } else { Domain::V6 };
    let id = wire.stacks[from].echo_socket(domain).unwrap();
    let mut payload = wire.message(&pattern(len));
    done(wire.stacks[from].echo_send(id, ip(to), 7, &mut payload, wire.now));
    drop(payload);
    wire.settle();
    let reply = done(wire.stacks[from].echo_receive(id));
    assert_eq!((reply.from, reply.sequence, reply.hops), (ip(to), 7, 64));
    assert!(reply.payload.to_vec() == pattern(len), "{len} bytes to {to}");
    drop(reply);
    assert!(wire.stacks[from].echo_receive(id).is_pending());
    wire.stacks[from].close(id, wire.now).unwrap();
}

/// RFC 792; RFC 1122 §3.2.2.6; RFC 4443 §4, §4.2.
#[test]
fn every_length_comes_back_from_both_sides() {
    let mut wire = Wire::pair();
    for len in [0, 1, 7, 8, 56, 63, 64, 1452, 1453, 1472, 1473, 2048, 2960, 9000, 40_001, 65_506, 65_507] {
        ping(&mut wire, 0, "10.0.0.2", len);
        ping(&mut wire, 1, "10.0.0.1", len);
        ping(&mut wire, 0, "fd00::2", len);
        ping(&mut wire, 1, "fd00::1", len);
    }
    ping(&mut wire, 0, "fd00::2", 65_527 - 8);
    assert_eq!((wire.lost(0), wire.lost(1)), (0, 0));
    wire.assert_all_back();
}

/// RFC 4291 §2.8.
#[test]
fn link_local_addresses_answer() {
    let mut wire = Wire::pair();
    let address = |wire: &Wire, host: usize| {
        wire.stacks[host].addresses().map(|here| here.prefix.address()).find(|here| Prefix::LINK_LOCAL.contains(*here))
    };
    let other = address(&wire, 1).unwrap().to_string();
    ping(&mut wire, 0, &other, 100);
}

#[test]
fn this_host_answers_itself() {
    let mut wire = Wire::pair();
    for to in ["10.0.0.1", "127.0.0.1", "fd00::1", "::1"] {
        ping(&mut wire, 0, to, 3000);
    }
    assert!(wire.seen.iter().all(|(_, frame)| frame[..6] == [0xff; 6] || frame[0] == 0x33), "nothing but ARP and MLD");
    wire.assert_all_back();
}

#[test]
fn everything_works_on_a_vlan() {
    let mut configs = vec![config(1), config(2), config(3)];
    configs[0].vlan = Some(100);
    configs[1].vlan = Some(100);
    configs[2].vlan = Some(101);
    let mut wire = Wire::of(configs);
    ping(&mut wire, 0, "10.0.0.2", 5000);
    ping(&mut wire, 1, "fd00::1", 5000);
    let id = wire.stacks[0].echo_socket(Domain::V4).unwrap();
    let mut payload = wire.message(b"other VLAN");
    done(wire.stacks[0].echo_send(id, ip("10.0.0.3"), 1, &mut payload, wire.now));
    wire.run(Duration::from_secs(10));
    assert_eq!(errno(wire.stacks[0].echo_receive(id)), Errno::HOSTUNREACH);
    assert!(wire.dropped(2, Reason::OtherVlan) > 10);
    assert!(wire.seen.iter().all(|(_, frame)| frame[12..14] == [0x81, 0]));
}

/// RFC 1122 §3.2.2.6.
#[test]
fn nobody_answers_broadcast_and_groups() {
    let mut wire = Wire::pair();
    let id = wire.stacks[0].echo_socket(Domain::V4).unwrap();
    let mut payload = wire.message(b"all");
    assert_eq!(errno(wire.stacks[0].echo_send(id, ip("10.0.0.255"), 1, &mut payload, wire.now)), Errno::ACCESS);
    wire.stacks[0].set(id, Setting::Broadcast(true)).unwrap();
    done(wire.stacks[0].echo_send(id, ip("10.0.0.255"), 1, &mut payload, wire.now));
    let mut payload = wire.message(b"all");
    done(wire.stacks[0].echo_send(id, ip("224.0.0.1"), 1, &mut payload, wire.now));
    wire.settle();
    assert!(wire.stacks[0].echo_receive(id).is_pending());
    assert_eq!(wire.dropped(1, Reason::IcmpType), 2);
}

#[test]
fn sockets_are_told_apart_by_identifier() {
    let mut wire = Wire::pair();
    let ids: Vec<_> = (0..10).map(|_| wire.stacks[0].echo_socket(Domain::V4).unwrap()).collect();
    for (number, id) in ids.iter().enumerate() {
        let mut payload = wire.message(&[number as u8]);
        done(wire.stacks[0].echo_send(*id, ip("10.0.0.2"), number as u16, &mut payload, wire.now));
    }
    wire.settle();
    for (number, id) in ids.iter().enumerate() {
        let reply = done(wire.stacks[0].echo_receive(*id));
        assert_eq!((reply.sequence, reply.payload.to_vec()), (number as u16, vec![number as u8]));
        assert!(wire.stacks[0].echo_receive(*id).is_pending());
    }
}
