// SPDX-License-Identifier: MIT OR Apache-2.0
//! Streams messages one way: the client keeps many pushes under way, the server pops until the end of the stream.

mod common;

use common::{Options, connect, pop};
use margay::{LibOs, Qd};
use std::error::Error;
use std::time::Instant;

/// Pushes that the client keeps under way at once.
const WINDOW: u64 = 32;

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse("Streams messages one way over a pipe.", 100_000, 1024)?;
    let mut libos = LibOs::from_env()?;
    let qd = connect(&mut libos, options.server, &options.name)?;
    if options.server { serve(&mut libos, qd) } else { stream(&mut libos, qd, &options) }
}

#[expect(clippy::disallowed_methods, reason = "an example measures from outside")]
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn serve(libos: &mut LibOs, qd: Qd) -> Result<(), Box<dyn Error>> {
    let (mut messages, mut bytes) = (0_u64, 0_u64);
    let mut start = Instant::now();
    loop {
        let message = pop(libos, qd)?;
        let Some(first) = message.iter().next().and_then(|part| part.first()) else { break };
        if *first != messages as u8 {
            return Err(format!("message {messages} is out of order").into());
        }
        if messages == 0 {
            start = Instant::now();
        }
        messages += 1;
        bytes += message.len() as u64;
    }
    let took = start.elapsed().as_secs_f64();
    println!(
        "{messages} messages, {bytes} bytes in {took:.3} s: {:.2} M messages/s, {:.3} GB/s",
        messages as f64 / took * 1e-6,
        bytes as f64 / took * 1e-9
    );
    Ok(())
}

fn stream(libos: &mut LibOs, qd: Qd, options: &Options) -> Result<(), Box<dyn Error>> {
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
    libos.shutdown(qd)?;
    println!("{done} messages of {} bytes pushed", options.size);
    // The server leaves after it has read the end, and so ends our stream as well.
    pop(libos, qd)?;
    Ok(())
}
