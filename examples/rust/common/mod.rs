// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the examples share.
//!
//! - here: starting and ending an example. - `options`: the command line. - `pipes`, `sockets`, `datagrams`: the usual
//!   sequences of calls. - `figures`: clocks, rates, percentiles, random numbers. - `server`, `stop`: serving many
//!   connections until told to end.
//!
//! An example ends by itself: after what it was told to do, or at the deadline of `--timeout`, whatever it waits for then.
//! So its waits need no limit of their own. A server that serves whoever comes has no deadline, and ends when it is told.

#![allow(dead_code, reason = "each example uses a part of it")]

pub mod datagrams;
pub mod figures;
pub mod options;
pub mod pipes;
pub mod server;
pub mod sockets;
pub mod stop;

use margay::{Errno, LibOs, WakeHandle};
pub use options::{About, Options, Place};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::process::ExitCode;
use std::time::Duration;
use stop::Stop;

/// From the deadline to the end of a program that does not wait then.
const GRACE: Duration = Duration::from_secs(1);

/// What goes wrong in an example: an error of Margay, or a sentence.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Runs an example with its command line and a LibOs set up by the environment. Exit code 1: it failed; 2: the command
/// line is wrong.
pub fn run<P: Place>(about: &About, example: impl FnOnce(&mut LibOs, &Options<P>) -> Result<()>) -> ExitCode {
    start(about, |libos, options| {
        end_after(about.name, options.timeout, libos.wake_handle());
        example(libos, options)
    })
}

/// The same for a server that serves until it is told to end.
pub fn run_server<P: Place>(
    about: &About,
    server: impl FnOnce(&mut LibOs, &Options<P>, &Stop) -> Result<()>,
) -> ExitCode {
    // Each connection is a descriptor; what is allowed is a soft limit of old times. Where it stays, fewer are accepted.
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    start(about, |libos, options| {
        let stop = Stop::watch(&libos.wake_handle(), options.seconds)?;
        server(libos, options, &stop)
    })
}

fn start<P: Place>(about: &About, example: impl FnOnce(&mut LibOs, &Options<P>) -> Result<()>) -> ExitCode {
    let options = match Options::parse(about) {
        Ok(Some(options)) => options,
        Ok(None) => return ExitCode::SUCCESS,
        Err(wrong) => {
            eprintln!("{}: {wrong}; try --help", about.name);
            return ExitCode::from(2);
        }
    };
    let done = LibOs::from_env().map_err(Into::into).and_then(|mut libos| example(&mut libos, &options));
    let Err(error) = done else { return ExitCode::SUCCESS };
    match error.downcast_ref::<margay::Error>().map(|error| error.errno()) {
        // Nobody wakes but the deadline.
        Some(Errno::INTR) => say_late(about.name, options.timeout),
        errno => eprintln!("{}: {error}{}", about.name, errno.map_or("", advice)),
    }
    ExitCode::FAILURE
}

/// Ends the program when its time is up: by ending the wait that it is in, so that it leaves nothing behind; and a little
/// later in any case, for it may not be waiting.
fn end_after(name: &'static str, timeout: Duration, handle: WakeHandle) {
    std::thread::spawn(move || {
        std::thread::sleep(timeout);
        handle.wake();
        std::thread::sleep(GRACE);
        say_late(name, timeout);
        std::process::exit(1);
    });
}

fn say_late(name: &str, timeout: Duration) {
    eprintln!(
        "{name}: not done within {timeout:?}: see whether the other side runs, as the same user and with the same numbers, \
         or allow more by --timeout"
    );
}

/// What to do about an error that people meet.
fn advice(errno: Errno) -> &'static str {
    match errno {
        Errno::NOTSUP => ": this back end does not have it; unset LIBOS, or set it to catloop",
        Errno::ADDRINUSE => ": end the program that has the port, or take another, such as 0 for any that is free",
        Errno::ADDRNOTAVAIL | Errno::NETUNREACH => {
            ": take an address of this host, such as 127.0.0.1 or [::1]; catloop has 127.0.0.0/8, [::1] and its catloop.addresses"
        }
        Errno::CONNREFUSED => ": start the server first",
        Errno::ACCESS => ": run both sides as the same user",
        Errno::CONNRESET | Errno::PIPE => ": the other side ended early; it has said why",
        Errno::EXIST => ": end the program that has the name, or take another",
        Errno::MSGSIZE => ": take a smaller --size",
        Errno::NOBUFS => ": take a smaller --size, or configure more buffers",
        Errno::MFILE => ": take fewer --clients, or raise limits.queues in the configuration and ulimit -n",
        _ => "",
    }
}
