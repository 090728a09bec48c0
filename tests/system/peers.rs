// SPDX-License-Identifier: MIT OR Apache-2.0
//! One side is killed at any moment: the other gets all that was published, then `ECONNRESET`, soon.

use crate::harness::board::KILLED_AT;
use crate::harness::bytes::{fill, matches, message};
use crate::harness::system::{now, waited_for_processor};
use crate::harness::{Context, LIMIT, Random, Role, pair, pop_message, push_message};
use core::time::Duration;
use margay::config::Spin;
use margay::{Config, Errno, LibOs, Qd};

/// Set by the victim when the traffic has begun.
const STARTED: usize = 0;
/// Messages whose push has completed in the process that is killed.
const PUBLISHED: usize = 1;
/// When the survivor knew, and what it had by then.
const KNEW_AT: usize = 2;
/// How long the survivor had been ready to run and had no processor since about the kill, in nanoseconds.
const WAITED: usize = 3;
/// Messages from one reading of what the survivor waited to the next.
const READINGS: u64 = 8;
const ROUNDS: u64 = 100;
/// How soon a death is to be known, in nanoseconds.
const SOON: u64 = 100_000_000;

fn config(context: &Context, config: &mut Config) {
    config.catmem.ring = 16 << 10;
    config.catmem.slot = 16 << 10;
    // Every other round sleeps at once, the rest spin first.
    if context.argument.is_multiple_of(2) {
        config.wait.spin = Spin::For(Duration::ZERO);
    }
}

/// Pushes for ever: small ones, some in shared memory, some larger than the ring.
fn victim(context: &Context, libos: &mut LibOs, qd: Qd) {
    push_message(libos, qd, b"begin");
    assert_eq!(pop_message(libos, qd).to_vec(), b"begin");
    context.board.set(STARTED, 1);
    let mut random = context.random();
    for number in 0.. {
        let most = if random.below(20) == 0 { 100_000 } else { 2000 };
        let len = random.length(most);
        let shared = if random.below(4) == 0 { libos.alloc_on(qd, len).ok() } else { None };
        let pushed = match shared {
            Some(mut buf) => {
                fill(buf.get_mut().unwrap(), context.seed, number);
                libos.push(qd, buf)
            }
            None => libos.push(qd, &message(len, context.seed, number)[..]),
        };
        libos.wait(pushed.unwrap(), LIMIT).unwrap().ok().unwrap();
        context.board.set(PUBLISHED, number + 1);
    }
}

/// Pops until the victim is gone, with pushes of its own under way.
fn survivor(context: &Context, libos: &mut LibOs, qd: Qd) {
    assert_eq!(pop_message(libos, qd).to_vec(), b"begin");
    push_message(libos, qd, b"begin");
    // More than the ring takes, and nobody pops them.
    let pushes: Vec<_> = (0..64).map(|_| libos.push(qd, &[1; 1500]).unwrap()).collect();
    let (mut number, mut before) = (0, waited_for_processor());
    let end = loop {
        // What it waited before the kill explains nothing: the last reading before it is where counting begins.
        if number % READINGS == 0 && context.board.get(KILLED_AT) == 0 {
            before = waited_for_processor();
        }
        let qt = libos.pop(qd, None).unwrap();
        match libos.wait(qt, LIMIT).unwrap().into_message() {
            Ok(popped) => assert!(!popped.is_empty() && matches(&popped, context.seed, number), "message {number}"),
            Err(error) => break error,
        }
        number += 1;
    };
    context.board.set(WAITED, waited_for_processor() - before);
    context.board.set(KNEW_AT, now());
    assert_eq!(end.errno(), Errno::CONNRESET);
    let published = context.board.get(PUBLISHED);
    assert!(number >= published, "{number} of {published} published messages were delivered");
    let mut failed = 0;
    for qt in pushes {
        if let Err(error) = libos.wait(qt, LIMIT).unwrap().ok() {
            assert_eq!(error.errno(), Errno::CONNRESET);
            failed += 1;
        }
    }
    assert_ne!(failed, 0, "64 messages do not fit into the ring");
    for _ in 0..2 {
        let qt = libos.pop(qd, None).unwrap();
        assert_eq!(libos.wait(qt, LIMIT).unwrap().into_message().unwrap_err().errno(), Errno::CONNRESET);
        // It says so at once, or with the completion.
        if let Ok(qt) = libos.push(qd, b"anybody?") {
            assert_eq!(libos.wait(qt, LIMIT).unwrap().ok().unwrap_err().errno(), Errno::CONNRESET);
        }
    }
    let closed = libos.close(qd).unwrap();
    libos.wait(closed, LIMIT).unwrap().ok().unwrap();
    assert_eq!(libos.queues(), 0);
}

/// A name that was left by a killed process is refused, then free.
fn stale_name(libos: &mut LibOs, name: &str) {
    // Its descriptors are closed one after another; the connection may be gone a little before the name.
    for tries in 0.. {
        match libos.open_pipe(name) {
            Ok(qd) => {
                let closed = libos.close(qd).unwrap();
                libos.wait(closed, LIMIT).unwrap();
            }
            Err(error) if error.errno() == Errno::CONNRESET => {}
            Err(error) => {
                assert_eq!(error.errno(), Errno::CONNREFUSED);
                break;
            }
        }
        assert!(tries < 1000, "the name is still served");
        crate::harness::system::sleep(1_000_000);
    }
    let qd = libos.create_pipe(name).unwrap();
    let other = libos.open_pipe(name).unwrap();
    push_message(libos, other, b"alive");
    assert_eq!(pop_message(libos, qd).to_vec(), b"alive");
}

fn play(context: &Context, victim_is: Role) {
    let mut libos = context.libos_with(|settings| config(context, settings));
    let qd = match context.role {
        Role::Server => {
            if victim_is == Role::Server {
                libos.create_pipe("stale").unwrap();
            }
            libos.create_pipe("mortal").unwrap()
        }
        _ => context.open(&mut libos, "mortal"),
    };
    if context.role == victim_is {
        victim(context, &mut libos, qd);
    } else {
        survivor(context, &mut libos, qd);
        if victim_is == Role::Server {
            stale_name(&mut libos, "stale");
        }
    }
}

fn milliseconds(nanoseconds: u64) -> f64 {
    Duration::from_nanos(nanoseconds).as_secs_f64() * 1e3
}

fn rounds(name: &str, victim_is: Role, run: impl Fn(u64, Duration) -> crate::harness::Report) {
    let mut delays = Random::new(now());
    let (mut times, mut published) = (Vec::new(), 0);
    for round in 0..ROUNDS {
        let report = run(round, Duration::from_nanos(delays.below(3_000_000)));
        // What other processes of the machine took is theirs; all the rest counts.
        let late = report.board.get(KNEW_AT).saturating_sub(report.board.get(KILLED_AT));
        times.push(late.saturating_sub(report.board.get(WAITED)));
        published += report.board.get(PUBLISHED);
        if victim_is == Role::Client {
            report.assert_no_pipes();
        }
    }
    times.sort_unstable();
    let (middle, worst) = (times[times.len() / 2], times[times.len() - 1]);
    println!(
        "{name}: known after {:.2} ms in the middle and {:.2} ms at worst, counted from before the kill, less what the survivor waited for a processor; \
         {published} messages published",
        milliseconds(middle),
        milliseconds(worst)
    );
    assert!(worst <= SOON, "a death was known only after {worst} ns of the survivor's own time");
}

#[test]
fn server_is_killed() {
    // Only the first `run` is reached in the other processes, whatever the round.
    rounds("server killed", Role::Server, |round, delay| {
        crate::harness::Pair::new("system::peers::server_is_killed")
            .argument(round)
            .server(|context| play(context, Role::Server))
            .client(|context| play(context, Role::Server))
            .kill(Role::Server, STARTED, delay)
            .run()
    });
}

#[test]
fn client_is_killed() {
    rounds("client killed", Role::Client, |round, delay| {
        crate::harness::Pair::new("system::peers::client_is_killed")
            .argument(round)
            .server(|context| play(context, Role::Client))
            .client(|context| play(context, Role::Client))
            .kill(Role::Client, STARTED, delay)
            .run()
    });
}

/// Killed at any point of the handshake: nobody hangs.
#[test]
fn server_is_killed_in_the_handshake() {
    const WAITS: usize = 0;
    for round in 0..20 {
        pair!()
            .argument(round)
            .server(|context| {
                let mut libos = context.libos();
                let qd = libos.create_pipe("brief").unwrap();
                context.board.set(WAITS, 1);
                // Answers late, or never.
                crate::harness::system::sleep(context.random().below(1_500_000) + context.argument * 10_000);
                let popped = libos.pop(qd, None).unwrap();
                let _ = libos.wait(popped, LIMIT);
                crate::harness::system::sleep(10_000_000_000);
            })
            .client(|context| {
                context.board.wait(WAITS, 1);
                let mut libos = context.libos();
                match libos.open_pipe("brief") {
                    Ok(qd) => {
                        let qt = libos.pop(qd, None).unwrap();
                        let error = libos.wait(qt, LIMIT).unwrap().into_message().unwrap_err();
                        assert_eq!(error.errno(), Errno::CONNRESET);
                    }
                    Err(error) => assert!([Errno::CONNREFUSED, Errno::CONNRESET].contains(&error.errno()), "{error}"),
                }
            })
            .kill(Role::Server, WAITS, Duration::from_micros(round * 600))
            .run();
    }
}
