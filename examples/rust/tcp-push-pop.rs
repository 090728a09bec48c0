// SPDX-License-Identifier: MIT OR Apache-2.0
//! Streams messages one way: the client keeps many pushes under way and closes, the server pops until the end.

mod common;

use common::figures::{now, per_second};
use common::options::Flag;
use common::{About, Options, Place, Result, sockets};
use margay::LibOs;
use std::net::SocketAddr;
use std::process::ExitCode;

const ABOUT: About = About {
    name: "tcp-push-pop",
    shows: "Streams messages one way over a stream socket, and prints the throughput.",
    roles: SocketAddr::PAIR,
    flags: &[Flag::count("messages", "100000"), Flag::size("1024")],
    tries: &["--server 127.0.0.1:7000", "--client 127.0.0.1:7000"],
};

/// Pushes that the client keeps under way at once.
const WINDOW: u64 = 32;

fn main() -> ExitCode {
    common::run(&ABOUT, |libos, options| if options.server { serve(libos, options) } else { stream(libos, options) })
}

fn serve(libos: &mut LibOs, options: &Options<SocketAddr>) -> Result<()> {
    let listening = sockets::listen(libos, options.place, 1)?;
    let qd = sockets::accept(libos, listening)?;
    let mut bytes = 0;
    let mut start = None;
    loop {
        let part = sockets::pop(libos, qd)?;
        if part.is_empty() {
            break;
        }
        start.get_or_insert_with(now);
        // Message n consists of bytes n. A look at the first and the last of each piece shows what is lost or moved.
        for piece in &part {
            let expected = |at: u64| (at / options.size as u64) as u8;
            let last = bytes + piece.len() as u64 - 1;
            if piece.first() != Some(&expected(bytes)) || piece.last() != Some(&expected(last)) {
                return Err(format!(
                    "byte {bytes} to {last} are not as they were pushed: start both sides with the same --size"
                )
                .into());
            }
            bytes = last + 1;
        }
    }
    let took = start.map(|start| start.elapsed()).unwrap_or_default();
    sockets::close(libos, qd)?;
    if bytes != options.count * options.size as u64 {
        return Err(format!("{bytes} bytes came before the end: start both sides with the same numbers").into());
    }
    println!(
        "{} messages, {bytes} bytes one way in {took:.3?}: {:.3} M messages/s, {:.3} GB/s",
        options.count,
        per_second(options.count, took) * 1e-6,
        per_second(bytes, took) * 1e-9
    );
    Ok(())
}

fn stream(libos: &mut LibOs, options: &Options<SocketAddr>) -> Result<()> {
    let qd = sockets::connect(libos, options.place)?;
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
    // What was pushed is delivered also after the close.
    sockets::close(libos, qd)?;
    println!("{done} messages of {} bytes pushed", options.size);
    Ok(())
}
