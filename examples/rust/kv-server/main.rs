// SPDX-License-Identifier: MIT OR Apache-2.0
//! Keys and values in memory over RESP2, so that Redis' own clients can use it, from thousands of connections on one
//! thread.
//!
//! - `request`: from bytes to commands. - `commands`: what they do. - `store`: keys and values. - `reply`: how replies are
//!   written. What serves connections is `common::server`.

mod commands;
mod reply;
mod request;
mod store;
#[cfg(test)]
mod tests;

#[path = "../common/mod.rs"]
mod common;

use commands::Commands;
use common::options::Flag;
use common::stop::Stop;
use common::{About, Options, Place, Result, server};
use margay::LibOs;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

const ABOUT: About = About {
    name: "kv-server",
    shows: "Keeps keys and values in memory and speaks RESP2, as Redis does: GET, SET, DEL, INCR, PING and what its clients \
            need. Pipelined commands are answered with one push.",
    roles: &[&[SocketAddr::SERVER]],
    flags: &[
        Flag::memory(),
        Flag::clients("connections at once", "10000"),
        Flag::connections(),
        Flag::seconds(),
        Flag { default: "86400", ..Flag::idle() },
    ],
    tries: &["--server 127.0.0.1:6380", "$ redis-benchmark -p 6380 -t ping,set,get,incr -P 16 -q"],
};

/// From the first byte of a command to its last; a value may have a slow way.
const REQUEST: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    common::run_server(&ABOUT, serve)
}

fn serve(libos: &mut LibOs, options: &Options<SocketAddr>, stop: &Stop) -> Result<()> {
    let commands = Commands::new(options.memory);
    let done = server::serve(libos, options, stop, commands, REQUEST.min(options.idle))?;
    println!("{} commands over {} connections, {} too slow", done.requests, done.connections, done.expired);
    Ok(())
}
