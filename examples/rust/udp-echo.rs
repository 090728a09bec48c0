// SPDX-License-Identifier: MIT OR Apache-2.0
//! Many datagram sockets at once on one thread: a server that returns what it gets to whoever sent it, and clients that
//! measure it and send again what is lost.

mod common;

use common::datagrams::{self, END, NUMBERED, RESEND, number, numbered};
use common::figures::{Latencies, now, per_second};
use common::options::Flag;
use common::{About, Options, Place, Result, sockets};
use margay::{Domain, Errno, Kind, LibOs, Outcome, Qd};
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Instant;

const ABOUT: About = About {
    name: "udp-echo",
    shows: "Echoes datagrams to many clients at once, and prints throughput and latency. What is lost is sent again.",
    roles: SocketAddr::PAIR,
    flags: &[
        Flag::count("messages of each client", "10000"),
        Flag::size("64"),
        Flag::clients("sockets of the client", "4"),
    ],
    tries: &["--server 127.0.0.1:7000 --clients 4", "--client 127.0.0.1:7000 --clients 4"],
};

/// Completions taken at once.
const BATCH: usize = 64;

fn main() -> ExitCode {
    common::run(&ABOUT, |libos, options| if options.server { serve(libos, options) } else { call(libos, options) })
}

fn serve(libos: &mut LibOs, options: &Options<SocketAddr>) -> Result<()> {
    let qd = sockets::bound(libos, options.place, Kind::Datagram)?;
    sockets::say_where(libos, qd)?;
    let (mut returned, mut ended) = (0_u64, HashSet::new());
    while ended.len() < options.clients {
        let datagram = datagrams::pop(libos, qd)?;
        let sender = datagram.sender();
        let message = datagram.into_message();
        if datagrams::is(&message, END) {
            ended.insert(sender);
        }
        datagrams::push_to(libos, qd, message, sender)?;
        returned += 1;
    }
    println!("{returned} datagrams of {} clients returned", ended.len());
    Ok(())
}

/// The message of one socket that is on its way.
struct Caller {
    number: u64,
    since: Instant,
}

impl Caller {
    /// Sends the message, or the end behind the last one.
    fn send(&mut self, libos: &mut LibOs, qd: Qd, options: &Options<SocketAddr>, buffer: &mut [u8]) -> Result<()> {
        numbered(buffer, self.number)?;
        let message = if self.number < options.count { &*buffer } else { END };
        self.since = now();
        libos.push_to(qd, message, options.place)?;
        Ok(())
    }
}

fn call(libos: &mut LibOs, options: &Options<SocketAddr>) -> Result<()> {
    let mut buffer = vec![0; options.size.max(NUMBERED)];
    let mut callers = HashMap::new();
    let (mut latencies, mut again) = (Latencies::new(), 0_u64);
    let start = now();
    for _ in 0..options.clients {
        let qd = libos.socket(Domain::of(&options.place), Kind::Datagram)?;
        let mut caller = Caller { number: 0, since: start };
        caller.send(libos, qd, options, &mut buffer)?;
        libos.pop(qd, None)?;
        callers.insert(qd, caller);
    }
    let mut done = Vec::with_capacity(BATCH);
    while !callers.is_empty() {
        match libos.wait_next_n(&mut done, BATCH, Some(RESEND)) {
            Err(error) if error.errno() == Errno::TIMEDOUT => {
                for (&qd, caller) in &mut callers {
                    caller.send(libos, qd, options, &mut buffer)?;
                    again += 1;
                }
                continue;
            }
            other => other?,
        };
        for completion in done.drain(..) {
            let qd = completion.qd;
            let answer = match completion.outcome {
                Outcome::Push | Outcome::Close => continue,
                Outcome::Datagram(datagram) => datagram.into_message(),
                Outcome::Failed(error) => return Err(error.into()),
                other => return Err(format!("{qd:?}: {other:?} was not asked for").into()),
            };
            let caller = callers.get_mut(&qd).ok_or("a socket that is not ours")?;
            if caller.number == options.count && datagrams::is(&answer, END) {
                libos.close(qd)?;
                callers.remove(&qd);
                continue;
            }
            // Anything else is the second answer to an earlier message.
            if number(&answer) == Some(caller.number) {
                latencies.add(caller.since.elapsed());
                caller.number += 1;
                caller.send(libos, qd, options, &mut buffer)?;
            }
            libos.pop(qd, None)?;
        }
    }
    let took = start.elapsed();
    let messages = options.count * options.clients as u64;
    println!(
        "{} sockets, {messages} datagrams of {} bytes there and back in {took:.3?}: {:.0} datagrams/s, {:.2} MB/s, \
         latency p50 {:.1} us, p99 {:.1} us, {again} sent again",
        options.clients,
        buffer.len(),
        per_second(messages, took),
        per_second(messages * buffer.len() as u64, took) * 1e-6,
        latencies.percentile(50),
        latencies.percentile(99)
    );
    Ok(())
}
