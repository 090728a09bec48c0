// SPDX-License-Identifier: MIT OR Apache-2.0
//! The network stack of our own as programs have it: `margay ping` asks the kernel's host on the other end of a wire; and two processes
//! speak to each other without any right.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where what it stands on is missing")]

#[path = "common/harness/mod.rs"]
mod harness;

use core::net::SocketAddr;
use core::time::Duration;
use harness::bytes::message;
use harness::network::{ip, own, sysctl};
use harness::{Context, done, pair};
use margay::config::catnip::Wire;
use margay::{Config, Datagram, Domain, Errno, Kind, LibOs, Outcome, Qd, Qt};
use std::process::Command;

/// The kernel's host, and bytes of the longest request.
const KERNEL: [&str; 2] = ["10.9.0.1", "fd09::1"];
const LONGEST: &str = "65507";

/// Exit code, standard output and standard error of a command that ends by itself.
fn margay(arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_margay"));
    let output = command.args(arguments).env_remove("CONFIG_PATH").env_remove("LIBOS").output().expect("margay starts");
    let text = |bytes| String::from_utf8(bytes).expect("text is UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// Bytes that the kernel's host may hold back for a neighbour whom it is still asking for, as it counts them: with the memory around each
/// fragment. Its own bound is less than three of the longest answers, and a question that leaves while a carrier has just come is lost, so
/// that it asks again after a second only.
const HELD_BACK: &str = "16777216";

/// Asks the kernel's host, behind its interface `end`, by requests of all lengths, and who is not there in vain.
fn pings(device: &str, end: &str) {
    for family in ["ipv4", "ipv6"] {
        sysctl(&format!("{family}.neigh.{end}.unres_qlen_bytes"), HELD_BACK);
    }
    let ask = |to: &str, size: &str, seconds: &str| {
        let arguments = ["ping", to, "--device", device, "--interface", "ours", "--size", size];
        let ours = ["--address", "10.9.0.2/24", "--address", "fd09::2/64"];
        let often = ["--count", "2", "--interval", "0.002", "--timeout", seconds];
        margay(&[&arguments[..], &ours, &often].concat())
    };
    for to in KERNEL {
        for size in ["0", "1473", LONGEST] {
            let (code, out, err) = ask(to, size, "20");
            assert_eq!(code, Some(0), "{to}, {size} bytes: {out}{err}");
            assert!(out.contains("2 sent, 2 answered, 0 lost") && out.contains("p99"), "{out}");
            assert!(out.contains(&format!("{size} bytes from {to}: request 1, 64 hops left")), "{out}");
        }
        // Three questions, a second each.
        let (code, out, err) = ask(&to.replace("9.0.1", "9.0.77").replace("::1", "::77"), "56", "6");
        assert_eq!(code, Some(1), "{out}{err}");
        assert!(out.contains("2 sent, 0 answered, 2 lost") && out.contains("EHOSTUNREACH"), "{out}{err}");
    }
}

#[test]
fn margay_ping_over_packet() {
    if own("margay_ping_over_packet") {
        ip("link add ours type veth peer name theirs\nlink set ours up\nlink set theirs up\n\
            addr add 10.9.0.1/24 dev theirs\naddr add fd09::1/64 dev theirs nodad\n");
        pings("packet", "theirs");
    }
}

#[test]
fn margay_ping_over_tap() {
    if own("margay_ping_over_tap") {
        sysctl("ipv6.conf.default.accept_dad", "0");
        ip(
            "tuntap add ours mode tap\nlink set ours up\naddr add 10.9.0.1/24 dev ours\naddr add fd09::1/64 dev ours nodad\n",
        );
        pings("tap", "ours");
    }
}

/// Whom nothing belongs to on any machine.
const NOBODY: u32 = 65_534;
const ROUNDS: u64 = 300;
/// Of the board.
const READY: usize = 0;

/// A stack on one end of a wire over Unix sockets, where anybody may make such.
fn host(context: &Context, own: &str, other: &str, number: u8) -> LibOs {
    assert!(!rustix::process::geteuid().is_root(), "this is to work without any right");
    let place = |end: &str| context.shared().join(end);
    let mut config = context.config();
    config.libos = Some("catnip".to_owned());
    config.catmem.directory = Some(place("pipes").with_extension(own));
    config.catnip.device = Wire::Socket;
    config.catnip.path = Some(place(own));
    config.catnip.peer = Some(place(other));
    config.catnip.addresses =
        [format!("10.13.0.{number}/24"), format!("fd13::{number}/64")].map(|text| text.parse().unwrap()).into();
    LibOs::new(&config).expect("the LibOs starts")
}

fn pop(libos: &mut LibOs, qd: Qd) -> Datagram {
    let qt = libos.pop(qd, None).unwrap();
    libos.wait(qt, harness::LIMIT).unwrap().into_datagram().unwrap()
}

/// The port that is served on the first host, in each family.
fn served(domain: Domain) -> SocketAddr {
    if domain == Domain::V4 { "10.13.0.1:77" } else { "[fd13::1]:77" }.parse().unwrap()
}

/// RFC 7413 section 4.2.2: to whom a cookie is known, what is pushed right behind the connect goes with the SYN.
#[test]
fn what_is_pushed_behind_a_connect_goes_with_the_syn() {
    const EARLY: &[u8] = b"this need not wait for the handshake";
    let folder = tempfile::tempdir().unwrap();
    let frames = folder.path().join("frames.pcapng");
    let host = |own: &str, other: &str, number: u8| {
        let mut config = Config { libos: Some("catnip".to_owned()), ..Config::default() };
        config.catmem.directory = Some(folder.path().join(own).with_extension("pipes"));
        config.catnip.device = Wire::Socket;
        config.catnip.path = Some(folder.path().join(own));
        config.catnip.peer = Some(folder.path().join(other));
        config.catnip.addresses = vec![format!("10.13.0.{number}/24").parse().unwrap()];
        config.catnip.tcp.fast_open = true;
        config.catnip.pcap = (number == 2).then(|| frames.clone());
        LibOs::new(&config).unwrap()
    };
    let (mut server, mut client) = (host("near", "far", 1), host("far", "near", 2));
    let both = |server: &mut LibOs, client: &mut LibOs, qt: Qt| {
        for _ in 0..harness::LIMIT.map_or(0, |limit| limit.as_millis()) {
            server.poll();
            match client.wait(qt, Some(Duration::from_millis(1))) {
                Ok(completion) => return completion,
                Err(error) => assert_eq!(error.errno(), Errno::TIMEDOUT),
            }
        }
        panic!("it does not end");
    };
    let listening = server.socket(Domain::V4, Kind::Stream).unwrap();
    server.bind(listening, served(Domain::V4)).unwrap();
    server.listen(listening, 4).unwrap();
    // The first is given a cookie; of the others, one calls its push off, and only the waiting for it.
    for round in 0..3 {
        let qd = client.socket(Domain::V4, Kind::Stream).unwrap();
        let connected = client.connect(qd, served(Domain::V4)).unwrap();
        let pushed = client.push(qd, EARLY).unwrap();
        let accepted = server.accept(listening).unwrap();
        if round == 2 {
            client.cancel(pushed).unwrap();
        }
        assert!(matches!(both(&mut server, &mut client, connected).outcome, Outcome::Connect));
        let outcome = both(&mut server, &mut client, pushed).outcome;
        assert_eq!(matches!(outcome, Outcome::Push), round != 2, "{outcome:?}");
        let far = match both(&mut client, &mut server, accepted).outcome {
            Outcome::Accept(far) => far,
            other => panic!("{other:?}"),
        };
        let popped = server.pop(far, None).unwrap();
        assert_eq!(both(&mut client, &mut server, popped).into_message().unwrap().to_vec(), EARLY);
        let closed = client.close(qd).unwrap();
        both(&mut server, &mut client, closed).ok().unwrap();
        let closed = server.close(far).unwrap();
        both(&mut client, &mut server, closed).ok().unwrap();
    }
    drop(client);
    // Ethernet, IPv4 without options, TCP: its flags are the 14th byte.
    let bytes = std::fs::read(&frames).unwrap();
    let places = (0..bytes.len()).filter(|&at| bytes[at..].starts_with(EARLY));
    let with_syn: Vec<bool> = places
        .map(|at| {
            let header = bytes[..at].windows(3).rposition(|three| three == [8, 0, 0x45]).expect("it is IPv4") + 2;
            bytes[header + 20 + 13] & 2 != 0
        })
        .collect();
    assert_eq!(with_syn, [false, true, true]);
}

#[test]
fn without_any_right() {
    // Who runs this without any right is not changed.
    let is_root = rustix::process::geteuid().is_root();
    let mut pair = pair!().server(|context| {
        let mut libos = host(context, "near", "far", 1);
        let qds = [Domain::V4, Domain::V6].map(|domain| {
            let qd = libos.socket(domain, Kind::Datagram).unwrap();
            libos.bind(qd, served(domain)).unwrap();
            qd
        });
        context.board.set(READY, 1);
        for qd in qds {
            for _ in 0..ROUNDS {
                let datagram = pop(&mut libos, qd);
                let to = datagram.sender();
                let qt = libos.push_to(qd, datagram.into_message(), to).unwrap();
                done(&mut libos, qt);
            }
        }
        // The last answer may still be asked for.
        while context.board.get(READY) < 2 {
            libos.poll();
        }
    });
    if is_root {
        pair = pair.uid(NOBODY);
    }
    pair = pair.client(|context| {
        context.board.wait(READY, 1);
        let mut libos = host(context, "far", "near", 2);
        for domain in [Domain::V4, Domain::V6] {
            let qd = libos.socket(domain, Kind::Datagram).unwrap();
            for number in 0..ROUNDS {
                let bytes = message([1, 100, 1400, 9000][number as usize % 4], context.seed, number);
                let qt = libos.push_to(qd, &bytes[..], served(domain)).unwrap();
                done(&mut libos, qt);
                let answer = pop(&mut libos, qd);
                assert_eq!(answer.sender(), served(domain));
                assert!(answer.into_message().to_vec() == bytes, "round {number}");
            }
        }
        assert_eq!(libos.counters().drops, 0);
        context.board.set(READY, 2);
    });
    if is_root {
        pair = pair.uid(NOBODY);
    }
    pair.run();
}
