// SPDX-License-Identifier: MIT OR Apache-2.0
//! Addresses that others have, and addresses that routers give.

use crate::support::{Run, ip, number, payload, seeds};
use core::net::{IpAddr, Ipv6Addr};
use core::time::Duration;
use network::ip::Prefix;
use network::ip::addresses::State;
use network::keyed::Secret;
use network::sim::{Chance, Conditions, LinkId, Loss, NodeId, frames, mac};
use network::wire::MacAddress;
use network::wire::ndp::{Header, PrefixInformation, RouterAdvertisement};

const ROUTER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xff);

fn has(run: &mut Run, node: NodeId, address: &str) -> bool {
    let address = ip(address);
    let mut addresses = run.host_mut(node).stack.addresses();
    addresses.any(|here| here.prefix.address() == address && here.state == State::Preferred)
}

/// A host with the addresses of number 1, but of its own card and secret.
fn claimant(run: &mut Run, lan: LinkId, card: u8) -> NodeId {
    let mut config = run.config(1);
    config.mac = mac(card);
    config.secret = Secret([card; 16]).derive(&run.seed.to_string());
    config.detect_duplicates = true;
    run.host(lan, config).unwrap()
}

#[test]
fn of_two_that_claim_an_address_at_once_not_both_get_it() {
    let mut one_has_it = 0;
    let all = seeds(0..40);
    for &seed in &all {
        let mut run = Run::new(seed);
        let lan = run.lan();
        let hosts = [claimant(&mut run, lan, 11), claimant(&mut run, lan, 12)];
        for address in ["10.0.0.1", "fd00::1"] {
            assert!(!has(&mut run, hosts[0], address), "not before it was looked for");
        }
        run.run(Duration::from_secs(20));
        for address in ["10.0.0.1", "fd00::1"] {
            let have = hosts.map(|host| has(&mut run, host, address));
            assert!(have != [true, true], "both have {address}");
            one_has_it += usize::from(have != [false, false]);
        }
        run.finish(&[]);
    }
    // Who looks a second sooner has it, mostly: their moments are apart by chance.
    assert!(all.len() < 10 || one_has_it > all.len() / 2, "{one_has_it} of {}", 2 * all.len());
}

#[test]
fn who_has_an_address_keeps_it() {
    for seed in seeds(0..10) {
        let mut run = Run::new(seed);
        let lan = run.lan();
        let first = claimant(&mut run, lan, 11);
        run.run(Duration::from_secs(20));
        let second = claimant(&mut run, lan, 12);
        run.run(Duration::from_secs(20));
        for address in ["10.0.0.1", "fd00::1"] {
            assert!(has(&mut run, first, address) && !has(&mut run, second, address), "{address}");
        }
    }
}

#[test]
fn probes_that_are_lost_find_no_conflict_but_most_are_found() {
    // RFC 4862 has one probe, RFC 5227 three: where a tenth of frames is lost, v4 finds nearly every conflict.
    let mut missed = [0, 0];
    let all = seeds(0..40);
    for &seed in &all {
        let mut run = Run::new(seed);
        let lan = run.lan();
        run.set_conditions(lan, Conditions { loss: Loss::Random(Chance::percent(10)), ..Conditions::default() });
        let first = claimant(&mut run, lan, 11);
        run.run(Duration::from_secs(20));
        let second = claimant(&mut run, lan, 12);
        run.run(Duration::from_secs(20));
        for (family, address) in ["10.0.0.1", "fd00::1"].into_iter().enumerate() {
            assert!(has(&mut run, first, address) || has(&mut run, second, address), "nobody has {address}");
            missed[family] += usize::from(has(&mut run, second, address));
        }
    }
    assert!(missed[0] <= 2 && missed[1] <= all.len() / 2, "{missed:?}");
}

/// What a router says to all hosts.
fn advertise(run: &mut Run, router: NodeId, lifetime: u32) {
    let mut header = RouterAdvertisement {
        hop_limit: 33,
        lifetime: 1800.min(lifetime) as u16,
        source_mac: Some(mac(0xff)),
        mtu: Some(1400),
        ..RouterAdvertisement::default()
    };
    header.prefixes.push(PrefixInformation {
        prefix: Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0),
        length: 64,
        on_link: true,
        autonomous: true,
        valid: lifetime,
        preferred: lifetime / 2,
    });
    let all = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    let packet = frames::ndp_packet(ROUTER, all, &Header::RouterAdvertisement(header));
    run.inject(router, frames::ip_frame(MacAddress::multicast_of(all.into()), mac(0xff), &packet));
}

fn global(run: &mut Run, node: NodeId) -> Option<IpAddr> {
    let prefix: Prefix = "2001:db8::/64".parse().unwrap();
    let usable = |state| matches!(state, State::Preferred | State::Deprecated);
    let mut addresses = run.host_mut(node).stack.addresses();
    addresses
        .find(|here| prefix.contains(here.prefix.address()) && usable(here.state))
        .map(|here| here.prefix.address())
}

#[test]
fn hosts_speak_by_addresses_that_a_router_gave() {
    for seed in seeds(0..5) {
        let mut run = Run::new(seed);
        let lan = run.lan();
        let hosts = [1, 2].map(|number| {
            let mut config = run.config(number);
            config.addresses.clear();
            config.slaac = true;
            run.host(lan, config).unwrap()
        });
        // Router solicitations are counted; the test answers.
        let router = run.station(lan, Box::new(|_, _, _| {}));
        run.watch(lan, 10_000);
        run.run(Duration::from_secs(15));
        let asked = run.records(lan).iter().filter(|record| record.bytes.get(54) == Some(&133)).count();
        assert!(asked >= 2, "routers are asked for");
        assert!(hosts.iter().all(|&host| global(&mut run, host).is_none()));
        advertise(&mut run, router, 100);
        run.run(Duration::from_secs(5));
        let addresses = hosts.map(|host| global(&mut run, host).expect("an address of the prefix"));
        assert_ne!(addresses[0], addresses[1]);
        let (from, to) = (run.udp(hosts[0], "[::]:1"), run.udp(hosts[1], "[::]:7"));
        // 1,400 bytes are the link's MTU now: two fragments.
        run.send(hosts[0], from, &payload(5, 1390), &format!("[{}]:7", addresses[1]));
        run.run(Duration::from_secs(1));
        let came = run.take(hosts[1], to);
        assert_eq!(
            came.iter().map(|(from, bytes)| (from.ip(), number(bytes))).collect::<Vec<_>>(),
            [(addresses[0], 5)]
        );
        assert!(
            run.records(lan)
                .iter()
                .filter(|record| record.bytes.get(12) == Some(&0x86))
                .all(|record| { record.bytes.len() <= 1414 })
        );
        // By the router to where no route but its leads; it is a station here, and only gets the packet.
        run.send(hosts[0], from, &payload(6, 20), "[2001:db8:1::1]:7");
        run.run(Duration::from_secs(1));
        let sent = run.records(lan).iter().find(|record| record.bytes.ends_with(&payload(6, 20))).unwrap();
        assert_eq!((&sent.bytes[..6], sent.bytes[21]), (&mac(0xff).0[..], 33), "to the router, with its hop limit");
        // Its time is over.
        run.run(Duration::from_mins(2));
        assert!(hosts.iter().all(|&host| global(&mut run, host).is_none()));
        run.finish(&[(hosts[0], from), (hosts[1], to)]);
    }
}
