// SPDX-License-Identifier: MIT OR Apache-2.0
//! One wait over many connections, with a time limit: what comes first is served first, and a limit that passes leaves
//! every operation pending.

mod common;

use common::figures::{Random, now};
use common::options::Flag;
use common::{About, Options, Place, Result, sockets};
use margay::{Errno, LibOs, Qd, Qt};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

const ABOUT: About = About {
    name: "tcp-wait",
    shows: "Waits for whichever of many connections has something, with a time limit. The client sends over connections \
            picked at random and rests now and then, so that limits pass.",
    roles: SocketAddr::PAIR,
    flags: &[Flag::count("messages of one byte", "10000"), Flag::clients("connections", "64"), Flag::seed()],
    tries: &["--server 127.0.0.1:7000", "--client 127.0.0.1:7000"],
};

/// The server's limit of each wait, and the client's rests, which are longer.
const LIMIT: Duration = Duration::from_millis(10);
const REST: Duration = Duration::from_millis(50);
const RESTS: u64 = 3;

fn main() -> ExitCode {
    common::run(&ABOUT, |libos, options| if options.server { serve(libos, options) } else { call(libos, options) })
}

/// A connection that the server waits for, and the bytes that have come over it.
struct Served {
    qd: Qd,
    bytes: u64,
}

fn serve(libos: &mut LibOs, options: &Options<SocketAddr>) -> Result<()> {
    let listening = sockets::listen(libos, options.place, options.clients)?;
    let mut served = Vec::new();
    let mut pops = Vec::new();
    for _ in 0..options.clients {
        let qd = sockets::accept(libos, listening)?;
        pops.push(libos.pop(qd, None)?);
        served.push(Served { qd, bytes: 0 });
    }
    // Nothing is sent before the client is told so: these limits must pass, and the pops must stay.
    for limit in [Duration::ZERO, LIMIT] {
        match libos.wait_any(&pops, Some(limit)) {
            Err(error) if error.errno() == Errno::TIMEDOUT => {}
            Err(error) => return Err(error.into()),
            Ok((which, _)) => return Err(format!("connection {which} had something before it was sent").into()),
        }
    }
    for connection in &served {
        sockets::push(libos, connection.qd, b"!")?;
    }
    let (total, passed) = serve_until_the_end(libos, &mut served, &mut pops)?;
    if total != options.count {
        return Err(format!("{total} messages came: start both sides with the same numbers").into());
    }
    println!("{total} messages over {} connections, the limit passed {passed} times", options.clients);
    Ok(())
}

/// Serves until every connection has ended; says how many bytes came, and how often the limit passed.
fn serve_until_the_end(libos: &mut LibOs, served: &mut Vec<Served>, pops: &mut Vec<Qt>) -> Result<(u64, u64)> {
    let (mut total, mut passed) = (0, 0);
    while !pops.is_empty() {
        let (which, completion) = match libos.wait_any(pops, Some(LIMIT)) {
            Err(error) if error.errno() == Errno::TIMEDOUT => {
                passed += 1;
                continue;
            }
            other => other?,
        };
        let connection = &mut served[which];
        if completion.qd != connection.qd || completion.qt != pops[which] {
            return Err(format!("the completion of {:?} came for {:?}", completion.qd, connection.qd).into());
        }
        let message = completion.into_message()?;
        if message.is_empty() {
            sockets::close(libos, connection.qd)?;
            served.swap_remove(which);
            pops.swap_remove(which);
            continue;
        }
        // The bytes of each connection are numbered.
        for &byte in message.iter().flat_map(|segment| segment.iter()) {
            if byte != connection.bytes as u8 {
                return Err(format!("byte {} of {:?} is {byte}", connection.bytes, connection.qd).into());
            }
            connection.bytes += 1;
        }
        total += message.len() as u64;
        pops[which] = libos.pop(connection.qd, None)?;
    }
    Ok((total, passed))
}

fn call(libos: &mut LibOs, options: &Options<SocketAddr>) -> Result<()> {
    let mut random = Random::new(options.seed);
    let mut connections = Vec::new();
    for _ in 0..options.clients {
        connections.push((sockets::connect(libos, options.place)?, 0_u8));
    }
    for &(qd, _) in &connections {
        sockets::pop_filled(libos, qd, 1, b'!')?;
    }
    let start = now();
    for number in 0..options.count {
        if number % options.count.div_ceil(RESTS) == 0 {
            std::thread::sleep(REST);
        }
        let which = random.below(connections.len());
        let (qd, next) = &mut connections[which];
        sockets::push(libos, *qd, &[*next])?;
        *next = next.wrapping_add(1);
    }
    let took = start.elapsed();
    for (qd, _) in connections {
        sockets::close(libos, qd)?;
    }
    println!("{} messages sent over {} connections in {took:.3?}", options.count, options.clients);
    Ok(())
}
