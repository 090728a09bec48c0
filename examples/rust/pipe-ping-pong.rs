// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sends a message back and forth over a pipe. The server returns the memory that it popped, so it copies nothing itself.

mod common;

use common::{Options, connect, pop};
use margay::{LibOs, Qd};
use std::error::Error;
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse("Sends a message back and forth over a pipe.", 100_000, 64)?;
    let mut libos = LibOs::from_env()?;
    let qd = connect(&mut libos, options.server, &options.name)?;
    if options.server { serve(&mut libos, qd) } else { call(&mut libos, qd, &options) }
}

fn serve(libos: &mut LibOs, qd: Qd) -> Result<(), Box<dyn Error>> {
    let mut served = 0_u64;
    loop {
        let message = pop(libos, qd)?;
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

#[expect(clippy::disallowed_methods, reason = "an example measures from outside")]
fn call(libos: &mut LibOs, qd: Qd, options: &Options) -> Result<(), Box<dyn Error>> {
    let mut ping = vec![0; options.size];
    let start = Instant::now();
    for number in 0..options.count {
        ping.fill(number as u8);
        let pushed = libos.push(qd, &ping[..])?;
        libos.wait(pushed, None)?.ok()?;
        let pong = pop(libos, qd)?;
        if pong.len() != ping.len() || pong.iter().any(|part| part.iter().any(|&byte| byte != number as u8)) {
            return Err(format!("message {number} did not come back as it was sent").into());
        }
    }
    let took = start.elapsed();
    let each = took.as_nanos() / u128::from(options.count);
    println!("{} round trips of {} bytes in {took:.3?}: {each} ns each", options.count, options.size);
    Ok(())
}
