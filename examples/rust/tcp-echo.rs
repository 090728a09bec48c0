// SPDX-License-Identifier: MIT OR Apache-2.0
//! Many connections at once on one thread: a server that returns all that it gets, and clients that measure it.

mod common;

use common::figures::{Latencies, now, per_second};
use common::options::Flag;
use common::{About, Options, Place, Result, sockets};
use margay::{LibOs, Outcome, Qd, Sga};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Instant;

const ABOUT: About = About {
    name: "tcp-echo",
    shows: "Echoes messages over stream sockets, to many clients at once or to one after the other, and prints throughput \
            and latency.",
    roles: SocketAddr::PAIR,
    flags: &[
        Flag::count("messages of each client", "10000"),
        Flag::size("64"),
        Flag::clients("connections", "4"),
        Flag::run_mode(),
    ],
    tries: &["--server 127.0.0.1:7000 --clients 4", "--client 127.0.0.1:7000 --clients 4"],
};

/// Completions taken at once.
const BATCH: usize = 64;

fn main() -> ExitCode {
    common::run(&ABOUT, |libos, options: &Options<SocketAddr>| {
        if !options.server {
            return call(libos, options);
        }
        let listening = sockets::listen(libos, options.place, options.clients)?;
        let bytes = if options.concurrent {
            serve_all(libos, listening, options.clients)?
        } else {
            serve_each(libos, listening, options.clients)?
        };
        println!("{} connections served, {bytes} bytes returned", options.clients);
        Ok(())
    })
}

fn serve_each(libos: &mut LibOs, listening: Qd, clients: usize) -> Result<u64> {
    let mut bytes = 0;
    for _ in 0..clients {
        let qd = sockets::accept(libos, listening)?;
        loop {
            let message = sockets::pop(libos, qd)?;
            if message.is_empty() {
                break;
            }
            bytes += message.len() as u64;
            // The memory that was popped is pushed: nothing is copied here.
            let pushed = libos.push(qd, message)?;
            libos.wait(pushed, None)?.ok()?;
        }
        sockets::close(libos, qd)?;
    }
    Ok(bytes)
}

fn serve_all(libos: &mut LibOs, listening: Qd, clients: usize) -> Result<u64> {
    let (mut accepted, mut closed, mut bytes) = (0, 0, 0);
    let mut done = Vec::with_capacity(BATCH);
    libos.accept(listening)?;
    while closed < clients {
        libos.wait_next_n(&mut done, BATCH, None)?;
        for completion in done.drain(..) {
            let qd = completion.qd;
            match completion.outcome {
                Outcome::Accept(connection) => {
                    accepted += 1;
                    libos.pop(connection, None)?;
                    if accepted < clients {
                        libos.accept(listening)?;
                    }
                }
                Outcome::Pop(message) if message.is_empty() => drop(libos.close(qd)?),
                Outcome::Pop(message) => {
                    bytes += message.len() as u64;
                    libos.push(qd, message)?;
                }
                Outcome::Push => drop(libos.pop(qd, None)?),
                Outcome::Close => closed += 1,
                Outcome::Failed(error) => return Err(error.into()),
                other => return Err(format!("{qd:?}: {other:?} was not asked for").into()),
            }
        }
    }
    Ok(bytes)
}

/// A connection, and the message that is on its way.
struct Connection {
    /// Messages that came back.
    number: u64,
    /// Bytes of the message that are still to come.
    missing: usize,
    since: Instant,
}

impl Connection {
    /// Sends the next message.
    fn send(&mut self, libos: &mut LibOs, qd: Qd, buffer: &mut [u8]) -> Result<()> {
        buffer.fill(self.number as u8);
        (self.missing, self.since) = (buffer.len(), now());
        libos.push(qd, &*buffer)?;
        libos.pop(qd, None)?;
        Ok(())
    }

    /// Takes a part of the message. True: that was the last.
    fn take(&mut self, part: &Sga) -> Result<bool> {
        if part.is_empty() || part.len() > self.missing || !sockets::is_filled(part, self.number as u8) {
            return Err(format!("message {} did not come back as it was sent", self.number).into());
        }
        self.missing -= part.len();
        self.number += u64::from(self.missing == 0);
        Ok(self.missing == 0)
    }
}

fn call(libos: &mut LibOs, options: &Options<SocketAddr>) -> Result<()> {
    let at_once = if options.concurrent { options.clients } else { 1 };
    let mut latencies = Latencies::new();
    let start = now();
    for _ in 0..options.clients / at_once {
        drive(libos, options, at_once, &mut latencies)?;
    }
    let took = start.elapsed();
    let messages = options.count * options.clients as u64;
    println!(
        "{} connections, {messages} messages of {} bytes there and back in {took:.3?}: {:.0} messages/s, {:.2} MB/s, \
         latency p50 {:.1} us, p99 {:.1} us",
        options.clients,
        options.size,
        per_second(messages, took),
        per_second(messages * options.size as u64, took) * 1e-6,
        latencies.percentile(50),
        latencies.percentile(99)
    );
    Ok(())
}

/// Opens so many connections, sends all messages over each, and closes them.
fn drive(libos: &mut LibOs, options: &Options<SocketAddr>, many: usize, latencies: &mut Latencies) -> Result<()> {
    let mut buffer = vec![0; options.size];
    let mut connections = HashMap::new();
    for _ in 0..many {
        let qd = sockets::connect(libos, options.place)?;
        connections.insert(qd, Connection { number: 0, missing: 0, since: now() });
    }
    for (&qd, connection) in &mut connections {
        connection.send(libos, qd, &mut buffer)?;
    }
    let mut done = Vec::with_capacity(BATCH);
    while !connections.is_empty() {
        libos.wait_next_n(&mut done, BATCH, None)?;
        for completion in done.drain(..) {
            let qd = completion.qd;
            let connection = connections.get_mut(&qd).ok_or("a connection that is not ours")?;
            match completion.outcome {
                Outcome::Push => {}
                Outcome::Pop(part) if !connection.take(&part)? => drop(libos.pop(qd, None)?),
                Outcome::Pop(_) => {
                    latencies.add(connection.since.elapsed());
                    if connection.number < options.count {
                        connection.send(libos, qd, &mut buffer)?;
                    } else {
                        libos.close(qd)?;
                    }
                }
                Outcome::Close => drop(connections.remove(&qd)),
                Outcome::Failed(error) => return Err(error.into()),
                other => return Err(format!("{qd:?}: {other:?} was not asked for").into()),
            }
        }
    }
    Ok(())
}
