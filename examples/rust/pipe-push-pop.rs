// SPDX-License-Identifier: MIT OR Apache-2.0
//! Streams messages one way: the client keeps many pushes under way, the server pops until the end of the stream.

mod common;

use common::figures::{now, per_second};
use common::options::Flag;
use common::{About, Options, Place, Result, pipes, sockets};
use margay::{LibOs, Qd};
use std::net::Shutdown;
use std::process::ExitCode;

const ABOUT: About = About {
    name: "pipe-push-pop",
    shows: "Streams messages one way over a pipe, and prints the throughput.",
    roles: String::PAIR,
    flags: &[Flag::count("messages", "100000"), Flag::size("1024")],
    tries: &["--server stream", "--client stream"],
};

/// Pushes that the client keeps under way at once.
const WINDOW: u64 = 32;

fn main() -> ExitCode {
    common::run(&ABOUT, |libos, options: &Options<String>| {
        let qd = pipes::connect(libos, options.server, &options.place)?;
        if options.server { serve(libos, qd) } else { stream(libos, qd, options) }
    })
}

fn serve(libos: &mut LibOs, qd: Qd) -> Result<()> {
    let (mut messages, mut bytes) = (0_u64, 0_u64);
    let mut start = now();
    loop {
        let message = sockets::pop(libos, qd)?;
        let Some(first) = message.iter().next().and_then(|part| part.first()) else { break };
        if *first != messages as u8 {
            return Err(format!("message {messages} is out of order").into());
        }
        if messages == 0 {
            start = now();
        }
        messages += 1;
        bytes += message.len() as u64;
    }
    let took = start.elapsed();
    println!(
        "{messages} messages, {bytes} bytes one way in {took:.3?}: {:.3} M messages/s, {:.3} GB/s",
        per_second(messages, took) * 1e-6,
        per_second(bytes, took) * 1e-9
    );
    Ok(())
}

fn stream(libos: &mut LibOs, qd: Qd, options: &Options<String>) -> Result<()> {
    let (mut pushed, mut done) = (0, 0);
    let mut completions = Vec::with_capacity(WINDOW as usize);
    while done < options.count {
        while pushed < options.count && pushed - done < WINDOW {
            let mut message = libos.alloc(options.size)?;
            // New memory has no second view.
            if let Some(bytes) = message.get_mut() {
                bytes.fill(pushed as u8);
            }
            libos.push(qd, message)?;
            pushed += 1;
        }
        done += libos.wait_next_n(&mut completions, WINDOW as usize, None)? as u64;
        for completion in completions.drain(..) {
            completion.ok()?;
        }
    }
    libos.shutdown(qd, Shutdown::Write)?;
    println!("{done} messages of {} bytes pushed", options.size);
    // The server leaves after it has read the end, and so ends our stream as well.
    sockets::pop(libos, qd)?;
    Ok(())
}
