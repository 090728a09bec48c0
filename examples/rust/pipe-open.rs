// SPDX-License-Identifier: MIT OR Apache-2.0
//! Creates, opens and closes many pipes, one after another, with one message over each.

mod common;

use common::figures::{each, now};
use common::options::Flag;
use common::{About, Options, Place, pipes, sockets};
use std::process::ExitCode;

const ABOUT: About = About {
    name: "pipe-open",
    shows: "Opens and closes many pipes, one after another, with one message over each.",
    roles: String::PAIR,
    flags: &[Flag::count("pipes", "1000"), Flag::size("64")],
    tries: &["--server many", "--client many"],
};

fn main() -> ExitCode {
    common::run(&ABOUT, |libos, options: &Options<String>| {
        let start = now();
        for number in 0..options.count {
            let name = format!("{}-{number}", options.place);
            let qd = pipes::connect(libos, options.server, &name)?;
            if !options.server {
                sockets::push(libos, qd, &vec![number as u8; options.size])?;
            }
            // The server pops the message, and the client the end of the stream that the server's close gives.
            let expected = if options.server { options.size } else { 0 };
            let popped = sockets::pop(libos, qd)?.len();
            if popped != expected {
                return Err(format!("{name}: popped {popped} bytes in place of {expected}").into());
            }
            sockets::close(libos, qd)?;
        }
        let took = start.elapsed();
        let done = if options.server { "created" } else { "opened" };
        println!("{} pipes {done} and closed in {took:.3?}: {} ns each", options.count, each(took, options.count));
        Ok(())
    })
}
