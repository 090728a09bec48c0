// SPDX-License-Identifier: MIT OR Apache-2.0
//! Static files over HTTP/1.1, to thousands of connections on one thread.
//!
//! - `request`: from bytes to requests. - `target`, `range`: what they ask for. - `files`: what there is below the root.
//! - `site`: the replies. - `status`, `date`: how they are written. What serves connections is `common::server`.

mod date;
mod files;
mod range;
mod request;
mod site;
mod status;
mod target;
#[cfg(test)]
mod tests;

#[path = "../common/mod.rs"]
mod common;

use common::options::Flag;
use common::stop::Stop;
use common::{About, Options, Place, Result, server};
use margay::LibOs;
use site::Site;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

const ABOUT: About = About {
    name: "http-server",
    shows: "Serves the files of a folder over HTTP/1.1, with keep-alive, pipelining and ranges. It reads from nobody who does \
            not read, and waits for nobody for long.",
    roles: &[&[SocketAddr::SERVER]],
    flags: &[
        Flag::root(),
        Flag::clients("connections at once", "10000"),
        Flag::connections(),
        Flag::seconds(),
        Flag::idle(),
    ],
    tries: &["--server 127.0.0.1:8000 --root docs", "$ curl -i http://127.0.0.1:8000/config.md"],
};

/// From the first byte of a request to its last.
const REQUEST: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    common::run_server(&ABOUT, serve)
}

fn serve(libos: &mut LibOs, options: &Options<SocketAddr>, stop: &Stop) -> Result<()> {
    let site = Site::new(&options.root)
        .map_err(|error| format!("--root {}: {error}: name a folder that can be read", options.root.display()))?;
    let done = server::serve(libos, options, stop, site, REQUEST.min(options.idle))?;
    println!("{} requests over {} connections, {} too slow", done.requests, done.connections, done.expired);
    Ok(())
}
