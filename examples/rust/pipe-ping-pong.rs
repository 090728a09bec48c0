// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sends a message back and forth over a pipe. The server returns the memory that it popped, so it copies nothing itself.

mod common;

use common::figures::{each, now};
use common::options::Flag;
use common::{About, Options, Place, Result, pipes, sockets};
use margay::{LibOs, Qd};
use std::process::ExitCode;

const ABOUT: About = About {
    name: "pipe-ping-pong",
    shows: "Sends a message back and forth over a pipe, and prints how long a round trip takes.",
    roles: String::PAIR,
    flags: &[Flag::count("round trips", "100000"), Flag::size("64")],
    tries: &["--server ping", "--client ping"],
};

fn main() -> ExitCode {
    common::run(&ABOUT, |libos, options: &Options<String>| {
        let qd = pipes::connect(libos, options.server, &options.place)?;
        if options.server { serve(libos, qd) } else { call(libos, qd, options) }
    })
}

fn serve(libos: &mut LibOs, qd: Qd) -> Result<()> {
    let mut served = 0_u64;
    loop {
        let message = sockets::pop(libos, qd)?;
        if message.is_empty() {
            break;
        }
        let pushed = libos.push(qd, message)?;
        libos.wait(pushed, None)?.ok()?;
        served += 1;
    }
    println!("{served} messages returned");
    Ok(())
}

fn call(libos: &mut LibOs, qd: Qd, options: &Options<String>) -> Result<()> {
    let mut ping = vec![0; options.size];
    let start = now();
    for number in 0..options.count {
        ping.fill(number as u8);
        sockets::push(libos, qd, &ping)?;
        let pong = sockets::pop(libos, qd)?;
        // A pipe keeps messages whole.
        if pong.len() != ping.len() || !sockets::is_filled(&pong, number as u8) {
            return Err(format!("message {number} did not come back as it was sent").into());
        }
    }
    let took = start.elapsed();
    let each = each(took, options.count);
    println!("{} round trips of {} bytes in {took:.3?}: {each} ns each", options.count, options.size);
    Ok(())
}
