// SPDX-License-Identifier: MIT OR Apache-2.0
//! Networks and hosts that cannot be reached: what this host's routing says at once, what a router says with ICMP
//! (RFC 1122, 4.2.3.9; RFC 4443, 3.1), and what nobody says, so that a timer must.

use crate::harness::bytes::Stream;
use crate::harness::done;
use crate::harness::network::{ip, sysctl};
use crate::peer::{self, Host, until};
use crate::subject::{Side, Subject, accept, connected, ends_with, errno, fails, pop_stream, push_stream};
use core::net::SocketAddr;
use core::time::Duration;
use margay::{Errno, LibOs, Outcome};
use std::net::TcpListener;

/// A stream and a datagram socket that want to go there: both end with this errno, and the stream can connect elsewhere.
fn says(side: &Side<'_>, libos: &mut LibOs, to: &str, expected: Errno) {
    let to = SocketAddr::new(to.parse().unwrap(), 9);
    let (listening, server) = side.listen(libos, 1);
    let qd = side.stream(libos);
    let begun = libos.connect(qd, to);
    assert_eq!(fails(libos, begun), expected, "connecting to {to}");
    assert_eq!(errno(libos.peer_address(qd)), Errno::NOTCONN);
    let begun = libos.connect(qd, server).unwrap();
    connected(libos, begun);
    let far = accept(libos, listening);
    push_stream(libos, qd, &mut Stream::new(side.seed), 100);
    pop_stream(libos, far, &mut Stream::new(side.seed), 100);
}

pub fn errnos_of_this_host(subject: &Subject) {
    subject.alone(|side| {
        let v4 = side.backend.host.is_ipv4();
        let net =
            if v4 { ["10.2.0.0/16", "10.3.0.0/16", "10.4.0.0/16"] } else { ["fd02::/16", "fd03::/16", "fd04::/16"] };
        let to = if v4 {
            ["10.2.0.1", "10.3.0.1", "10.4.0.1", "10.5.0.1"]
        } else {
            ["fd02::1", "fd03::1", "fd04::1", "fd05::1"]
        };
        ip(&format!(
            "route add unreachable {}\nroute add prohibit {}\nroute add blackhole {}\n",
            net[0], net[1], net[2]
        ));
        let mut libos = side.libos();
        let expected = [Errno::HOSTUNREACH, Errno::ACCESS, Errno::INVAL, Errno::NETUNREACH];
        for (to, expected) in to.into_iter().zip(expected) {
            says(side, &mut libos, to, expected);
            let to = SocketAddr::new(to.parse().unwrap(), 9);
            let qd = side.datagram(&mut libos);
            let begun = libos.push_to(qd, b"x", to);
            assert_eq!(fails(&mut libos, begun), expected, "a datagram to {to}");
            let begun = libos.connect(qd, to);
            assert_eq!(fails(&mut libos, begun), expected, "a datagram socket to {to}");
            // And none of it stays with the socket.
            let (server, address) = side.bound_datagram(&mut libos);
            let qt = libos.push_to(qd, b"reachable", address).unwrap();
            done(&mut libos, qt);
            let popped = libos.pop(server, None).unwrap();
            let datagram = crate::subject::wait(&mut libos, popped).into_datagram().unwrap();
            assert_eq!(datagram.into_message().to_vec(), b"reachable");
        }
    });
}

/// A wire to another host with an address at each end; these networks are said to lie behind it.
fn wire(v4: bool, behind: &[&str]) -> Host {
    let host = Host::new();
    let [here, there] = if v4 { ["10.1.0.1/16", "10.1.0.2/16"] } else { ["fd01::1/16", "fd01::2/16"] };
    let nodad = if v4 { "" } else { "nodad" };
    let there_plain = there.trim_end_matches("/16");
    let here_plain = here.trim_end_matches("/16");
    host.run(&format!(
        "ip addr add {there} dev wire1 {nodad}
         ip neigh replace {here_plain} lladdr 02:00:00:00:00:a0 dev wire1 nud permanent"
    ));
    ip(&format!("addr add {here} dev wire0 {nodad}\n"));
    // What it was is not learned: it is known, and stays so when it is no longer true.
    ip(&format!("neigh replace {there_plain} lladdr 02:00:00:00:00:b0 dev wire0 nud permanent\n"));
    for net in behind {
        ip(&format!("route add {net} via {there_plain}\n"));
    }
    host
}

/// What a router says comes with the connect that it belongs to.
pub fn errnos_of_a_router(subject: &Subject) {
    subject.alone(|side| {
        let v4 = side.backend.host.is_ipv4();
        let behind =
            if v4 { ["10.2.0.0/16", "10.3.0.0/16", "10.4.0.0/16"] } else { ["fd02::/16", "fd03::/16", "fd04::/16"] };
        let to = if v4 { ["10.2.0.1", "10.3.0.1", "10.4.0.1"] } else { ["fd02::1", "fd03::1", "fd04::1"] };
        let router = wire(v4, &behind);
        let forward = if v4 { "ipv4/ip_forward" } else { "ipv6/conf/all/forwarding" };
        router.run(&format!(
            "echo 1 > /proc/sys/net/{forward}
             echo 0 > /proc/sys/net/ipv4/icmp_ratelimit
             echo 0 > /proc/sys/net/ipv6/icmp/ratelimit
             ip route add unreachable {}
             ip route add prohibit {}",
            behind[0], behind[1]
        ));
        let mut libos = side.libos();
        // Nothing is said there of the third network. What Linux sends of the others differs between the families, and so
        // does what it makes of it: `icmp_err_convert`, `tab_unreach`.
        let prohibited = if v4 { Errno::HOSTUNREACH } else { Errno::ACCESS };
        says(side, &mut libos, to[0], if v4 { Errno::HOSTUNREACH } else { Errno::NETUNREACH });
        says(side, &mut libos, to[1], prohibited);
        says(side, &mut libos, to[2], Errno::NETUNREACH);
        // A connected datagram socket is told with a later operation.
        let qd = side.datagram(&mut libos);
        let begun = libos.connect(qd, SocketAddr::new(to[1].parse().unwrap(), 9)).unwrap();
        connected(&mut libos, begun);
        let qt = libos.push(qd, b"x").unwrap();
        done(&mut libos, qt);
        let popped = libos.pop(qd, None).unwrap();
        assert_eq!(ends_with(&mut libos, popped), prohibited);
    });
}

/// Nobody answers: `ETIMEDOUT` for the connect when the kernel gives up, `EHOSTUNREACH` where not even the link layer
/// answers, and all the while others are served.
pub fn a_silent_host(subject: &Subject) {
    subject.alone(|side| {
        sysctl("ipv4.tcp_syn_retries", "1");
        let v4 = side.backend.host.is_ipv4();
        sysctl(&format!("ip{}.neigh.silent.retrans_time_ms", if v4 { "v4" } else { "v6" }), "100");
        let (mut libos, [near, far]) = side.both_ends();
        let qds = [side.stream(&mut libos), side.stream(&mut libos)];
        let silent = SocketAddr::new(side.backend.silent.unwrap(), 9);
        let unknown = if v4 { "198.51.100.77" } else { "2001:db8:1::77" };
        let unknown = SocketAddr::new(unknown.parse().unwrap(), 9);
        let connects = [libos.connect(qds[0], silent).unwrap(), libos.connect(qds[1], unknown).unwrap()];
        let behind = libos.push(qds[0], b"waits for it").unwrap();
        for expected in [Errno::HOSTUNREACH, Errno::TIMEDOUT] {
            let index = loop {
                push_stream(&mut libos, near, &mut Stream::new(side.seed), 1000);
                pop_stream(&mut libos, far, &mut Stream::new(side.seed), 1000);
                let pending = if expected == Errno::HOSTUNREACH { &connects[..] } else { &connects[..1] };
                match libos.wait_any(pending, Some(Duration::from_millis(20))) {
                    Ok((index, completion)) => {
                        let Outcome::Failed(error) = completion.outcome else { panic!("{:?}", completion.outcome) };
                        assert_eq!(error.errno(), expected);
                        assert_eq!(completion.qd, qds[index]);
                        break index;
                    }
                    Err(error) => assert_eq!(error.errno(), Errno::TIMEDOUT),
                }
            };
            assert_eq!(index, usize::from(expected == Errno::HOSTUNREACH));
        }
        assert_eq!(ends_with(&mut libos, behind), Errno::NOTCONN);
    });
}

/// A connected peer is gone without a word: the pop ends with `ETIMEDOUT` when the kernel gives up what was pushed, and
/// nothing after it looks like an end.
pub fn a_peer_that_vanishes(subject: &Subject) {
    subject.alone(|side| {
        sysctl("ipv4.tcp_retries2", "3");
        let v4 = side.backend.host.is_ipv4();
        let host = wire(v4, &[]);
        let (told, address) = std::sync::mpsc::channel();
        let (gone, wait_for_end) = std::sync::mpsc::channel::<()>();
        std::thread::scope(|scope| {
            let (there, seed) = (&host, side.seed);
            scope.spawn(move || {
                there.enter();
                let listener = TcpListener::bind(if v4 { "10.1.0.2:0" } else { "[fd01::2]:0" }).unwrap();
                told.send(listener.local_addr().unwrap()).unwrap();
                let (stream, _) = listener.accept().unwrap();
                peer::read(&stream, &mut Stream::new(seed), 1000);
                // Held open until the other side knows.
                let _ = wait_for_end.recv();
            });
            let mut libos = side.libos();
            let qd = side.connect(&mut libos, address.recv().unwrap());
            push_stream(&mut libos, qd, &mut Stream::new(side.seed), 1000);
            // All is acknowledged, so that the timers begin with what comes now.
            until(|| {
                libos.poll();
                let sockets = std::fs::read_to_string(if v4 { "/proc/net/tcp" } else { "/proc/net/tcp6" }).unwrap();
                sockets.lines().skip(1).all(|line| line.contains("00000000:00000000"))
            });
            host.run("ip link set wire1 address 02:00:00:00:00:99");
            let popped = libos.pop(qd, None).unwrap();
            push_stream(&mut libos, qd, &mut Stream::new(0), 1000);
            assert_eq!(ends_with(&mut libos, popped), Errno::TIMEDOUT);
            for _ in 0..2 {
                let begun = libos.pop(qd, None);
                assert_eq!(fails(&mut libos, begun), Errno::TIMEDOUT);
                let begun = libos.push(qd, b"anybody?");
                let said = fails(&mut libos, begun);
                assert!([Errno::TIMEDOUT, Errno::PIPE].contains(&said), "{said:?}");
            }
            crate::subject::close(&mut libos, qd);
            drop(gone);
        });
    });
}
