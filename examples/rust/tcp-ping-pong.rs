// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sends a message back and forth over one connection. The server returns the memory that it popped, so it copies nothing
//! itself.

mod common;

use common::figures::{each, now};
use common::options::Flag;
use common::{About, Options, Place, Result, sockets};
use margay::LibOs;
use std::net::SocketAddr;
use std::process::ExitCode;

const ABOUT: About = About {
    name: "tcp-ping-pong",
    shows: "Sends a message back and forth over a stream socket, and prints how long a round trip takes.",
    roles: SocketAddr::PAIR,
    flags: &[Flag::count("round trips", "100000"), Flag::size("64")],
    tries: &["--server 127.0.0.1:7000", "--client 127.0.0.1:7000"],
};

fn main() -> ExitCode {
    common::run(&ABOUT, |libos, options| if options.server { serve(libos, options) } else { call(libos, options) })
}

fn serve(libos: &mut LibOs, options: &Options<SocketAddr>) -> Result<()> {
    let listening = sockets::listen(libos, options.place, 1)?;
    let qd = sockets::accept(libos, listening)?;
    println!("{} connected to {}", libos.peer_address(qd)?, libos.local_address(qd)?);
    let mut bytes = 0;
    loop {
        let message = sockets::pop(libos, qd)?;
        if message.is_empty() {
            break;
        }
        bytes += message.len();
        let pushed = libos.push(qd, message)?;
        libos.wait(pushed, None)?.ok()?;
    }
    sockets::close(libos, qd)?;
    println!("{bytes} bytes returned");
    Ok(())
}

fn call(libos: &mut LibOs, options: &Options<SocketAddr>) -> Result<()> {
    let qd = sockets::connect(libos, options.place)?;
    let mut ping = vec![0; options.size];
    let start = now();
    for number in 0..options.count {
        ping.fill(number as u8);
        // Popped while it is still being pushed: a message may be longer than what both directions hold.
        let pushed = libos.push(qd, &ping[..])?;
        sockets::pop_filled(libos, qd, ping.len(), number as u8)?;
        libos.wait(pushed, None)?.ok()?;
    }
    let took = start.elapsed();
    sockets::close(libos, qd)?;
    let each = each(took, options.count);
    println!("{} round trips of {} bytes in {took:.3?}: {each} ns each", options.count, options.size);
    Ok(())
}
