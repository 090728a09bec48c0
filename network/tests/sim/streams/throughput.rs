// SPDX-License-Identifier: MIT OR Apache-2.0
//! Goodput by loss, round trip and algorithm, as a table that stands in `throughput.txt` beside this file. What moves by more than
//! a tenth fails; `MARGAY_WRITE=1 cargo test -p network --test sim streams::throughput` writes the table anew, and the difference is
//! there to be read.

use super::applications::{Application, Plan, connect, listen};
use crate::support::{Run, at};
use core::time::Duration;
use network::sim::{Chance, Conditions, Loss};
use network::tcp::settings::{Algorithm, Settings};
use std::fmt::Write as _;
use std::path::Path;

/// Bits per second of the link.
const RATE: u64 = 20_000_000;
/// How long each cell runs, and with how many seeds.
const TIME: Duration = Duration::from_secs(6);
const SEEDS: u64 = 2;
/// Losses in parts per million, and round trips in milliseconds.
const LOSSES: [u32; 5] = [0, 1000, 10_000, 50_000, 200_000];
const ROUND_TRIPS: [u64; 3] = [1, 20, 100];
/// How far a cell may be from the table, and what does not count: in Mbit/s.
const TOLERANCE: f64 = 0.1;
const GRAIN: f64 = 0.03;

/// A column: its name and its settings.
fn columns() -> Vec<(&'static str, Settings)> {
    let of = |algorithm| Settings { algorithm, ..Settings::default() };
    vec![
        ("CUBIC", of(Algorithm::Cubic)),
        ("NewReno", of(Algorithm::NewReno)),
        ("DCTCP", of(Algorithm::Dctcp)),
        ("BBR", of(Algorithm::Bbr)),
        ("CUBIC, no RACK", Settings { rack: false, ..of(Algorithm::Cubic) }),
        ("CUBIC, no RACK, no SACK", Settings { rack: false, sack: false, ..of(Algorithm::Cubic) }),
    ]
}

/// Losses that are independent of each other, in parts per million.
const fn random(loss: u32) -> Loss {
    if loss == 0 { Loss::None } else { Loss::Random(Chance(loss)) }
}

/// Bytes that come in so long.
fn bytes(seed: u64, tcp: Settings, rate: u64, loss: Loss, round_trip: Duration, time: Duration) -> u64 {
    let mut run = Run::new(seed);
    let lan = run.lan();
    let hosts = [1, 2].map(|number| {
        let mut config = run.config(number);
        config.tcp = Settings { send_buffer: 1 << 20, ..tcp };
        run.host(lan, config).unwrap()
    });
    let applications = hosts.map(|host| Application::on(&mut run, host));
    let plan = |bytes| Plan { bytes, seed, push: 2000, pop: 0 };
    listen(&mut run, hosts[1], &applications[1], at("10.0.0.2:7"), plan(0));
    let delay = round_trip / 2;
    // A queue as long as the path, as is usual.
    let queue = (rate / 8) as usize * round_trip.as_millis() as usize / 1000;
    let lossy = Conditions { rate: Some(rate), queue: queue.max(30_000), delay, loss, ..Conditions::default() };
    run.set_conditions_of(lan, hosts[1], Conditions { delay, ..Conditions::default() });
    run.set_conditions_of(lan, hosts[0], Conditions { loss: Loss::None, ..lossy });
    connect(&mut run, hosts[0], &applications[0], at("10.0.0.2:7"), plan(u64::MAX));
    // The handshake is not what is measured.
    assert!(run.run_while_not(Duration::from_secs(5), |_| !applications[1].borrow().ends.is_empty()));
    run.set_conditions_of(lan, hosts[0], lossy);
    run.run(time);
    let ends = &applications[1].borrow().ends;
    assert_eq!(ends[0].failed, None);
    ends[0].popped
}

fn cell(tcp: Settings, loss: u32, round_trip: u64) -> f64 {
    let all: u64 =
        (0..SEEDS).map(|seed| bytes(seed, tcp, RATE, random(loss), Duration::from_millis(round_trip), TIME)).sum();
    all as f64 * 8.0 / 1e6 / TIME.as_secs_f64() / SEEDS as f64
}

fn write(rows: &[(u32, u64, Vec<f64>)]) -> String {
    let columns = columns();
    let mut text = format!(
        "Goodput in Mbit/s of one connection over {} Mbit/s with a queue as long as the path, {} s, {SEEDS} seeds.\n\n",
        RATE / 1_000_000,
        TIME.as_secs()
    );
    let _ = write!(text, "{:>7} {:>8}", "loss", "trip");
    for (name, _) in &columns {
        let _ = write!(text, "  {name:>width$}", width = name.len().max(8));
    }
    text.push('\n');
    for (loss, round_trip, cells) in rows {
        let _ = write!(text, "{:>5.1} % {round_trip:>5} ms", f64::from(*loss) / 1e4);
        for ((name, _), cell) in columns.iter().zip(cells) {
            let _ = write!(text, "  {cell:>width$.2}", width = name.len().max(8));
        }
        text.push('\n');
    }
    text
}

/// The numbers of a table.
fn read(text: &str) -> Vec<Vec<f64>> {
    let rows = text.lines().skip(3);
    rows.map(|row| row.split_whitespace().skip(4).map(|cell| cell.parse().expect("a number")).collect()).collect()
}

#[test]
fn the_table_is_what_it_was() {
    let mut rows = vec![];
    for loss in LOSSES {
        for round_trip in ROUND_TRIPS {
            let cells = columns().into_iter().map(|(_, tcp)| cell(tcp, loss, round_trip)).collect();
            rows.push((loss, round_trip, cells));
        }
    }
    let text = write(&rows);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sim/streams/throughput.txt");
    if std::env::var("MARGAY_WRITE").is_ok() {
        std::fs::write(&path, &text).unwrap();
        return;
    }
    let was = std::fs::read_to_string(&path).expect("the table; MARGAY_WRITE=1 writes it");
    let (is, before) = (read(&text), read(&was));
    let same = is.len() == before.len()
        && is.iter().zip(&before).all(|(is, before)| {
            is.len() == before.len()
                && is.iter().zip(before).all(|(is, before)| (is - before).abs() <= before * TOLERANCE + GRAIN)
        });
    assert!(same, "the table has changed (MARGAY_WRITE=1 writes it anew); it is\n{text}\nand was\n{was}");
}

/// RFC 9438 section 5.1: what CUBIC comes to at a loss of one in a hundred and 20 ms. In that region it is as fast as Reno, by
/// the model of RFC 9438 section 4.3: a window of `sqrt(3 / 2p)` segments in each round trip.
#[test]
fn cubic_is_as_fast_as_its_model() {
    let (loss, round_trip, time) = (0.01_f64, 0.020, Duration::from_mins(2));
    let segments = (1.5 / loss).sqrt() / round_trip;
    let model = segments * 1448.0 * 8.0 / 1e6;
    let run = |tcp: Settings| {
        let got: u64 =
            (0..2).map(|seed| bytes(seed, tcp, 100_000_000, random(10_000), Duration::from_millis(20), time)).sum();
        got as f64 * 8.0 / 1e6 / time.as_secs_f64() / 2.0
    };
    let cubic = run(Settings::default());
    let bare = run(Settings { rack: false, sack: false, ..Settings::default() });
    println!("CUBIC {cubic:.2} Mbit/s, by the model {model:.2}; without RACK and SACK {bare:.2}");
    assert!((0.9..1.1).contains(&(cubic / model)), "{cubic:.2} Mbit/s, by the model {model:.2}");
    assert!(cubic > bare, "RACK and SACK gain: {cubic:.2} Mbit/s with, {bare:.2} without");
}

/// What RACK (RFC 8985) and SACK (RFC 6675) gain at 1 % of loss, 20 ms and 100 Mbit/s. With CUBIC it cannot be much: that many
/// losses leave a window of twelve segments, in which there is one to be made good at a time, and that is the bound with them and
/// without (`cubic_is_as_fast_as_its_model`). BBR goes on sending, and where sixteen are lost in a row whoever makes one good in
/// each round trip (RFC 6582 section 3.2) never comes to an end.
#[test]
fn selective_recovery_gains_where_the_window_is_not_the_bound() {
    let time = Duration::from_secs(10);
    let leave = 1_000_000 / 16;
    let loss =
        Loss::Burst { enter: Chance(leave / 99), leave: Chance(leave), good: Chance::NEVER, bad: Chance::percent(100) };
    let run = |tcp: Settings| {
        let got: u64 = (0..2).map(|seed| bytes(seed, tcp, 100_000_000, loss, Duration::from_millis(20), time)).sum();
        got as f64 * 8.0 / 1e6 / time.as_secs_f64() / 2.0
    };
    let of = Settings { algorithm: Algorithm::Bbr, ..Settings::default() };
    let (whole, bare) = (run(of), run(Settings { rack: false, sack: false, ..of }));
    println!("BBR {whole:.2} Mbit/s; without RACK and SACK {bare:.2}; {:.1} times as much", whole / bare);
    assert!(whole > bare * 5.0, "{whole:.2} Mbit/s with RACK and SACK, {bare:.2} without");
}
