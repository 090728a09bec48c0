// SPDX-License-Identifier: MIT OR Apache-2.0
//! The `margay` command: `demo`, `bench`, `top` and `config check`.
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
mod measure;
mod memory;
mod pin;
mod process;
mod table;
mod top;
mod units;

use clap::Parser;
use cli::{BenchCommand, Cli, Command, ConfigCommand};
use std::process::ExitCode;

fn main() -> ExitCode {
    env_logger::init();
    let done = match Cli::parse().command {
        Command::Demo { cores } => demo::run(cores),
        Command::Bench { what: BenchCommand::Catmem(options) } => bench::run(&bench::catmem::SUITE, &options),
        Command::Bench { what: BenchCommand::Catloop(options) } => bench::run(&bench::catloop::SUITE, &options),
        Command::Top(options) => top::run(&options),
        Command::Config { command: ConfigCommand::Check { file } } => check::run(&file),
        Command::Worker { core } => process::worker::run(core),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("margay: {error:#}");
            ExitCode::FAILURE
        }
    }
}
