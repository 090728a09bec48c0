// SPDX-License-Identifier: MIT OR Apache-2.0
//! Creates, opens and closes many pipes, one after another, with one message over each.

mod common;

use common::{Options, connect, pop};
use margay::LibOs;
use std::error::Error;
use std::time::Instant;

#[expect(clippy::disallowed_methods, reason = "an example measures from outside")]
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse("Opens and closes many pipes.", 1000, 64)?;
    let mut libos = LibOs::from_env()?;
    let start = Instant::now();
    for number in 0..options.count {
        let name = format!("{}-{number}", options.name);
        let qd = connect(&mut libos, options.server, &name)?;
        if !options.server {
            let pushed = libos.push(qd, &vec![number as u8; options.size][..])?;
            libos.wait(pushed, None)?.ok()?;
        }
        // The server pops the message, and the client the end of the stream that the server's close gives.
        let expected = if options.server { options.size } else { 0 };
        let popped = pop(&mut libos, qd)?.len();
        if popped != expected {
            return Err(format!("{name}: popped {popped} bytes instead of {expected}").into());
        }
        let closed = libos.close(qd)?;
        libos.wait(closed, None)?.ok()?;
    }
    let took = start.elapsed();
    let done = if options.server { "created" } else { "opened" };
    let each = took.as_secs_f64() * 1e6 / options.count as f64;
    println!("{} pipes {done} and closed in {took:.3?}: {each:.1} us each", options.count);
    Ok(())
}
