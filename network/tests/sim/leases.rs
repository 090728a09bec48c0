// SPDX-License-Identifier: MIT OR Apache-2.0
//! An address by DHCP (RFC 2131) from a small server, on a link that loses, doubles and reorders.

use crate::support::{Run, at, number, payload, seeds};
use core::net::Ipv4Addr;
use core::task::Poll;
use core::time::Duration;
use network::ip::addresses::State;
use network::sim::{Chance, Conditions, Host, Loss, NodeId, Wake};
use network::stack::{Setting, SocketId};
use network::wire::dhcpv4::{Header, Kind, View};
use runtime::socket::Domain;
use runtime::time::Time;

/// Answers each question in one socket with an address that ends as the client's hardware address does.
fn serve(host: &mut Host, id: SocketId, now: Time) {
    while let Poll::Ready(Ok((from, message))) = host.stack.receive_from(id) {
        let bytes = message.to_vec();
        let question = Header::parse(&View::new(&bytes).unwrap()).unwrap();
        let kind = match question.kind {
            Kind::Discover => Kind::Offer,
            Kind::Request => Kind::Ack,
            _ => continue,
        };
        let mut answer = Header::new(kind, question.transaction, question.mac);
        answer.yours = Ipv4Addr::new(10, 0, 0, 100 + question.mac.0[5]);
        answer.options.subnet_mask = Some(Ipv4Addr::new(255, 255, 255, 0));
        answer.options.lease = Some(120);
        answer.options.server = Some(Ipv4Addr::new(10, 0, 0, 9));
        let mut bytes = vec![0; answer.len()];
        answer.emit(&mut bytes);
        let to = if from.ip().is_unspecified() { at("255.255.255.255:68") } else { from };
        let mut message = host.message(&bytes).unwrap();
        assert!(host.stack.send(id, &mut message, Some(to), now).is_ready());
    }
}

fn lease(run: &mut Run, node: NodeId, last: u8) -> bool {
    let address = Ipv4Addr::new(10, 0, 0, 100 + last);
    run.host_mut(node).stack.addresses().any(|here| here.prefix.address() == address && here.state == State::Preferred)
}

#[test]
fn clients_get_their_addresses_and_keep_them() {
    for seed in seeds(0..6) {
        let mut run = Run::new(seed);
        let lan = run.lan();
        let server = run.config(9);
        let server = run.host(lan, server).unwrap();
        let id = run.call(server, |host, _| {
            let id = host.stack.udp_socket(Domain::V4).unwrap();
            host.stack.bind(id, at("0.0.0.0:67")).unwrap();
            host.stack.set(id, Setting::Broadcast(true)).unwrap();
            id
        });
        run.run_on(
            server,
            Box::new(move |host, wake, now| {
                if matches!(wake, Wake::Socket(..)) {
                    serve(host, id, now);
                }
            }),
        );
        run.set_conditions(
            lan,
            Conditions {
                loss: Loss::Random(Chance::percent(20)),
                duplicate: Chance::percent(10),
                reorder: Chance::percent(10),
                ..Conditions::default()
            },
        );
        let clients = [1, 2, 3].map(|number| {
            let mut config = run.config(number);
            config.addresses.clear();
            config.dhcp = true;
            run.host(lan, config).unwrap()
        });
        let all = |run: &mut Run| (1..=3).all(|number| lease(run, clients[usize::from(number) - 1], number));
        for _ in 0..60 {
            run.run(Duration::from_secs(5));
        }
        assert!(all(&mut run), "five minutes are enough for everybody");
        // Leases of two minutes are renewed again and again.
        let mut kept = 0;
        for _ in 0..60 {
            run.run(Duration::from_secs(10));
            kept += usize::from(all(&mut run));
        }
        assert!(kept >= 55, "{kept} of 60");
        run.set_conditions(lan, Conditions::default());
        let (one, two) = (run.udp(clients[0], "0.0.0.0:5"), run.udp(clients[1], "0.0.0.0:5"));
        run.run(Duration::from_mins(1));
        run.send(clients[0], one, &payload(1, 50), "10.0.0.102:5");
        run.run(Duration::from_secs(5));
        let came = run.take(clients[1], two);
        assert_eq!(
            came.iter().map(|(from, bytes)| (*from, number(bytes))).collect::<Vec<_>>(),
            [(at("10.0.0.101:5"), 1)]
        );
        run.finish(&[(clients[0], one), (clients[1], two)]);
    }
}
