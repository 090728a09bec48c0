// SPDX-License-Identifier: MIT OR Apache-2.0
//! One seed makes the run; and what a failing run says is how to repeat it.

use crate::support::{Run, payload, replay};
use core::time::Duration;
use network::sim::{Chance, Conditions, Loss};

/// A run in which everything happens, and its hash.
fn run(seed: u64) -> (u64, u64, Vec<u8>) {
    let mut run = Run::new(seed);
    let (lan, hosts) = run.hosts(3);
    run.watch(lan, 100_000);
    run.set_conditions(
        lan,
        Conditions {
            rate: Some(100_000_000),
            jitter: Duration::from_millis(2),
            loss: Loss::Random(Chance::percent(5)),
            duplicate: Chance::percent(5),
            reorder: Chance::percent(5),
            corrupt: Chance::percent(5),
            ..Conditions::default()
        },
    );
    let sockets: Vec<_> = hosts.iter().map(|&host| run.udp(host, "[::]:7")).collect();
    for number in 0..300_u32 {
        let from = run.random().below(3) as usize;
        let to = 1 + run.random().below(3);
        let to = if number.is_multiple_of(2) { format!("[fd00::{to}]:7") } else { format!("[::ffff:10.0.0.{to}]:7") };
        let len = 4 + run.random().below(5000) as usize;
        let _ = run.try_send(hosts[from], sockets[from], &payload(number, len), to.parse().unwrap());
        run.run(Duration::from_millis(3));
    }
    run.run(Duration::from_secs(100));
    (run.hash(), run.events(), run.pcapng(lan))
}

#[test]
fn a_seed_makes_the_run() {
    let first = run(1);
    let again = run(1);
    assert_eq!((first.0, first.1), (again.0, again.1));
    assert!(first.2 == again.2, "the captures differ");
    assert!(first.2.len() > 100_000, "there are captures");
    let other = run(2);
    assert_ne!(first.0, other.0);
    assert_ne!(first.2, other.2);
}

#[test]
fn the_hash_sees_one_bit() {
    let run = |bit: u8| {
        let mut run = Run::new(3);
        let (_, hosts) = run.hosts(2);
        let id = run.udp(hosts[0], "10.0.0.1:1");
        run.run(Duration::from_secs(1));
        run.send(hosts[0], id, &[1, 2, 3, bit], "10.0.0.2:7");
        run.run(Duration::from_secs(1));
        run.hash()
    };
    assert_eq!(run(4), run(4));
    assert_ne!(run(4), run(5));
}

#[test]
fn a_failing_run_says_how_to_repeat_it() {
    assert_eq!(
        replay("repeat::a_seed_makes_the_run", 17),
        "MARGAY_SIM_SEED=17 cargo test -p network --test sim -- --exact repeat::a_seed_makes_the_run"
    );
    // The command names a test that there is: this one's name comes from where `Run` has it.
    assert_eq!(std::thread::current().name(), Some("repeat::a_failing_run_says_how_to_repeat_it"));
}
