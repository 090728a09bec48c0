// SPDX-License-Identifier: MIT OR Apache-2.0
//! The `margay` command: `demo`, `bench`, `ping`, `top`, `doctor` and `config check`.
//!
//! What is measured between processes runs in two processes of this same program, which `process` starts; `channel`
//! holds what carries the messages (Margay, the kernel, bare memory) and `measure` how they are timed, alike for all.

#![deny(unsafe_code)]
#![expect(clippy::cast_precision_loss, reason = "figures are told with three digits")]

mod bench;
mod channel;
mod check;
mod cli;
mod clock;
mod cost;
mod demo;
mod doctor;
mod measure;
mod memory;
mod pin;
mod ping;
mod process;
mod table;
mod top;
mod units;

use clap::Parser;
use cli::{Cli, Command, ConfigCommand, Measured};
use std::process::ExitCode;

/// The benches say what a message costs in allocations.
#[global_allocator]
static ALLOCATOR: baselines::Counting = baselines::Counting;

fn main() -> ExitCode {
    env_logger::init();
    let done = match Cli::parse().command {
        Command::Demo { cores } => demo::run(cores),
        Command::Bench { what, options } => match Measured::suite(&what) {
            Ok(suite) => bench::run(suite, &options),
            Err(error) => error.exit(),
        },
        Command::Top(options) => top::run(&options),
        Command::Ping(options) => return told(ping::run(&options)),
        Command::Doctor(options) => return told(doctor::run(&options)),
        Command::Config { command: ConfigCommand::Check { file } } => check::run(&file),
        Command::Worker { core } => process::worker::run(core),
    };
    told(done.map(|()| ExitCode::SUCCESS))
}

/// The exit code; an error goes to standard error.
fn told(done: anyhow::Result<ExitCode>) -> ExitCode {
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("margay: {error:#}");
            ExitCode::FAILURE
        }
    }
}
