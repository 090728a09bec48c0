// SPDX-License-Identifier: MIT OR Apache-2.0
//! Flows share a link: Jain's index of two of the same algorithm, one of which begins later.

use super::applications::{Application, Plan, connect, listen};
use crate::support::{Run, at, seeds};
use core::time::Duration;
use network::sim::Conditions;
use network::tcp::settings::Algorithm;

/// Bits per second of the link that both go through.
const RATE: u64 = 20_000_000;

/// (Σx)² / nΣx² of what each flow has got (R. Jain and others, 1984): 1 where all have got the same.
fn jain(shares: &[f64]) -> f64 {
    let (sum, squares) = shares.iter().fold((0.0, 0.0), |(sum, squares), x| (sum + x, squares + x * x));
    sum * sum / (shares.len() as f64 * squares)
}

/// Mbit/s of two flows over a minute, once both are there.
fn two_flows(seed: u64, algorithm: Algorithm, delay: Duration) -> [f64; 2] {
    let mut run = Run::new(seed);
    let lan = run.lan();
    let hosts = [1, 2].map(|number| {
        let mut config = run.config(number);
        config.tcp.algorithm = algorithm;
        // Neither takes all of the host's buffers.
        config.tcp.send_buffer = 1 << 20;
        run.host(lan, config).unwrap()
    });
    let queue = (RATE / 8) as usize * 2 * delay.as_millis() as usize / 1000;
    let conditions = Conditions { rate: Some(RATE), queue: queue.max(30_000), delay, ..Conditions::default() };
    run.set_conditions_of(lan, hosts[0], conditions);
    run.set_conditions_of(lan, hosts[1], Conditions { delay, ..Conditions::default() });
    let applications = hosts.map(|host| Application::on(&mut run, host));
    let plan = |bytes: u64| Plan { bytes, seed, push: 2000, pop: 0 };
    listen(&mut run, hosts[1], &applications[1], at("10.0.0.2:7"), plan(0));
    let jitter = Duration::from_millis(u64::from(run.random().below(500)));
    for pause in [Duration::from_secs(1) + jitter, Duration::from_secs(20)] {
        connect(&mut run, hosts[0], &applications[0], at("10.0.0.2:7"), plan(u64::MAX));
        run.run(pause);
    }
    let got = || -> Vec<u64> { applications[1].borrow().ends.iter().map(|end| end.popped).collect() };
    let before = got();
    run.run(Duration::from_mins(1));
    let after = got();
    assert_eq!((before.len(), after.len()), (2, 2), "both are there");
    [0, 1].map(|flow| (after[flow] - before[flow]) as f64 * 8.0 / 60e6)
}

#[test]
fn two_flows_of_cubic_share_a_link() {
    for seed in seeds(0..3) {
        for delay in [5, 25] {
            let shares = two_flows(seed, Algorithm::Cubic, Duration::from_millis(delay));
            println!("CUBIC, {delay} ms: {shares:.2?} Mbit/s, Jain {:.3}", jain(&shares));
            assert!(jain(&shares) >= 0.95, "{shares:?} Mbit/s at {delay} ms");
            assert!(shares.iter().sum::<f64>() > 0.85 * RATE as f64 / 1e6, "the link is used: {shares:?} Mbit/s");
        }
    }
}

#[test]
fn two_flows_of_newreno_share_a_link() {
    for seed in seeds(0..2) {
        let shares = two_flows(seed, Algorithm::NewReno, Duration::from_millis(10));
        println!("NewReno: {shares:.2?} Mbit/s, Jain {:.3}", jain(&shares));
        assert!(jain(&shares) >= 0.9, "{shares:?} Mbit/s");
    }
}

#[test]
fn the_index_is_one_for_equals() {
    assert!((jain(&[3.0, 3.0]) - 1.0).abs() < 1e-12 && (jain(&[6.0, 0.0]) - 0.5).abs() < 1e-12);
}
