// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every byte arrives, once and in order, on any link: loss of 0 to 20 %, reordering, duplication, corruption, delays of 50 µs to
//! 200 ms, rates of 1 Mbit/s to 100 Gbit/s, full queues; any algorithm, and with extensions switched off.
//!
//! One seed makes one network and its streams. `MARGAY_SIM_SEEDS=100000` runs so many in place of a thousand (`make sim`).

use super::applications::{Application, PORT, Plan, Shared, close, connect, listen};
use crate::support::{Run, at, ip};
use core::time::Duration;
use network::sim::{Chance, Conditions, Loss, NodeId, mac};
use network::tcp::settings::{Algorithm, Settings};
use std::panic::catch_unwind;

/// How many seeds there are, and how many tests share them, so that they run side by side.
const SEEDS: u64 = 1000;
const SHARES: u64 = 4;
/// How long it may take, in the network's time: of a hundred segments each may be lost a few times, each time with a longer
/// timeout.
const PATIENCE: Duration = Duration::from_hours(3);

fn below(run: &mut Run, n: u32) -> u32 {
    run.random().below(n)
}

/// So many of a thousand at most, and mostly none.
fn seldom(run: &mut Run, most: u32) -> Chance {
    if below(run, 2) == 0 { Chance::NEVER } else { Chance(below(run, most * 1000 + 1)) }
}

fn conditions(run: &mut Run) -> Conditions {
    let loss = match below(run, 4) {
        0 => Loss::None,
        1 | 2 => Loss::Random(seldom(run, 200)),
        _ => Loss::Burst {
            enter: Chance::percent(1),
            leave: Chance::percent(20 + below(run, 60)),
            good: Chance::NEVER,
            bad: Chance::percent(50 + below(run, 50)),
        },
    };
    let rates = [None, Some(1_000_000), Some(10_000_000), Some(1_000_000_000), Some(100_000_000_000)];
    // 50 µs, and up to 200 ms.
    let delay = Duration::from_micros(50 << below(run, 13)).min(Duration::from_millis(200));
    Conditions {
        rate: rates[below(run, 5) as usize],
        queue: 4000 << below(run, 7),
        waits: below(run, 4) == 0,
        delay,
        jitter: if below(run, 2) == 0 { Duration::ZERO } else { delay / 4 },
        loss,
        duplicate: seldom(run, 50),
        reorder: seldom(run, 100),
        reorder_by: delay / 2 + Duration::from_micros(u64::from(below(run, 20_000))),
        corrupt: seldom(run, 30),
        mtu: 1500,
    }
}

fn settings(run: &mut Run) -> Settings {
    let mut tcp = if below(run, 6) == 0 { Settings::datacenter() } else { Settings::default() };
    tcp.algorithm = [Algorithm::Cubic, Algorithm::NewReno, Algorithm::Dctcp, Algorithm::Bbr][below(run, 4) as usize];
    tcp.sack = below(run, 5) != 0;
    tcp.timestamps = below(run, 5) != 0;
    tcp.window_scaling = below(run, 5) != 0;
    tcp.rack = below(run, 5) != 0;
    tcp.ecn = below(run, 2) == 0;
    tcp.no_delay = below(run, 2) == 0;
    if below(run, 4) == 0 {
        // Small buffers: windows that close.
        tcp.receive_buffer = 4000 << below(run, 4);
        tcp.receive_buffer_max = tcp.receive_buffer;
        tcp.send_buffer = 3000 << below(run, 5);
    }
    // On a link that loses a fifth both ways.
    (tcp.syn_retries, tcp.syn_ack_retries, tcp.retries) = (30, 30, 30);
    tcp
}

fn plan(run: &mut Run) -> Plan {
    let most = 1 << (4 + below(run, 13));
    Plan {
        bytes: u64::from(below(run, most)),
        seed: u64::from(below(run, u32::MAX)),
        // Some thousand at most: where bad times last for so many frames, not for so long, each timeout may fall into one.
        push: (1 << below(run, 15)).max(most as usize >> 11),
        pop: if below(run, 2) == 0 { 0 } else { 1 << below(run, 14) },
    }
}

/// One network of two hosts, and up to three connections between them.
fn network(seed: u64) -> u64 {
    let mut run = Run::new(seed);
    let lan = run.lan();
    let hosts: Vec<NodeId> = (1..=2)
        .map(|number| {
            let mut config = run.config(number);
            config.caps.checksum = below(&mut run, 2) == 0;
            config.tcp = settings(&mut run);
            // A connect fails where nobody answers for the address, as may happen where a fifth is lost.
            let other = 3 - number;
            config.neighbours =
                vec![(ip(&format!("10.0.0.{other}")), mac(other)), (ip(&format!("fd00::{other}")), mac(other))];
            run.host(lan, config).unwrap()
        })
        .collect();
    let applications: Vec<Shared> = hosts.iter().map(|&host| Application::on(&mut run, host)).collect();
    // Hosts tell their addresses to the link (RFC 5227 section 2.3), by ARP, which has no checksum.
    run.run(Duration::from_secs(10));
    for &host in &hosts {
        let conditions = conditions(&mut run);
        run.set_conditions_of(lan, host, conditions);
    }
    let address = at(if below(&mut run, 2) == 0 { "10.0.0.2:7" } else { "[fd00::2]:7" });
    assert_eq!(address.port(), PORT);
    let served = plan(&mut run);
    listen(&mut run, hosts[1], &applications[1], address, served);
    let connections = 1 + below(&mut run, 3) as usize;
    for _ in 0..connections {
        let asked = plan(&mut run);
        connect(&mut run, hosts[0], &applications[0], address, asked);
        let pause = Duration::from_millis(u64::from(below(&mut run, 100)));
        run.run(pause);
    }
    let done = run.run_while_not(PATIENCE, |_| {
        applications.iter().all(|application| {
            let ends = &application.borrow().ends;
            ends.len() == connections && ends.iter().all(|end| end.is_done() || end.failed.is_some())
        })
    });
    let mut bytes = 0;
    if !done {
        for (&host, application) in hosts.iter().zip(&applications) {
            let of_host = run.host_mut(host);
            println!("{:?}", of_host.stack.counters().iter().collect::<Vec<_>>());
            println!("without a buffer {}, buffers out {}", of_host.no_buffer, of_host.buffers_out());
            for end in &application.borrow().ends {
                let now = run.now();
                println!("{}\n{:?}", end.shown(), run.host_mut(host).stack.stream_info(end.id, now));
            }
        }
    }
    {
        let (clients, servers) = (applications[0].borrow(), applications[1].borrow());
        for end in clients.ends.iter().chain(&servers.ends) {
            assert_eq!(end.failed, None, "after {} bytes out, {} in", end.pushed, end.popped);
            assert!(end.is_done(), "stands still after {} bytes out and {} in", end.pushed, end.popped);
            bytes += end.popped;
        }
        assert!(done, "{} of {connections} connections", servers.ends.len());
        // Each stream is at the other end what it was at the one; who was accepted first is left to the network.
        let mut sent: Vec<_> = clients.ends.iter().map(|end| (end.gave(), end.got())).collect();
        let mut come: Vec<_> = servers.ends.iter().map(|end| (end.got(), end.gave())).collect();
        sent.sort_unstable();
        come.sort_unstable();
        assert_eq!(sent, come, "other bytes have come than were sent");
    }
    for (&host, application) in hosts.iter().zip(&applications) {
        close(&mut run, host, application);
    }
    // TIME-WAIT is a minute, and the last FIN may be lost some times before it.
    run.run(Duration::from_mins(10));
    for &host in &hosts {
        assert_eq!(run.host_mut(host).stack.streams(), 0, "connections that do not end");
    }
    run.finish(&[]);
    bytes
}

fn share(number: u64) {
    let seeds: Vec<u64> = match (std::env::var("MARGAY_SIM_SEED"), std::env::var("MARGAY_SIM_SEEDS")) {
        (Ok(seed), _) => vec![seed.parse().expect("MARGAY_SIM_SEED is a number")],
        (_, Ok(seeds)) => (0..seeds.parse().expect("MARGAY_SIM_SEEDS is a number")).collect(),
        _ => (0..SEEDS).collect(),
    };
    let of_share = seeds.iter().filter(|seed| seeds.len() == 1 || *seed % SHARES == number);
    let (mut networks, mut bytes) = (0, 0);
    let mut failed = vec![];
    for &seed in of_share {
        match catch_unwind(|| network(seed)) {
            Ok(came) => bytes += came,
            Err(_) => failed.push(seed),
        }
        networks += 1;
    }
    assert!(failed.is_empty(), "failed under {failed:?} of {networks} seeds");
    println!("{networks} networks, {bytes} bytes came");
    assert!(networks < 100 || bytes / networks > 1000, "{bytes} bytes in {networks} networks");
}

#[test]
fn every_byte_arrives_once_and_in_order_0() {
    share(0);
}

#[test]
fn every_byte_arrives_once_and_in_order_1() {
    share(1);
}

#[test]
fn every_byte_arrives_once_and_in_order_2() {
    share(2);
}

#[test]
fn every_byte_arrives_once_and_in_order_3() {
    share(3);
}
