// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the examples share: the command line, and how the two sides find each other.

use margay::{Errno, LibOs, Qd, Result, Sga};
use std::time::Duration;

/// How long the client waits for the server to create the pipe, in milliseconds.
const PATIENCE: u32 = 30_000;

/// What the command line says.
pub struct Options {
    pub server: bool,
    pub name: String,
    /// How many messages, or pipes.
    pub count: u64,
    /// Bytes of a message.
    pub size: usize,
}

impl Options {
    /// Reads the command line; with `--help`, says how it looks and ends the program.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(purpose: &str, count: u64, size: usize) -> std::result::Result<Self, String> {
        let mut options = Self { server: false, name: String::new(), count, size };
        let mut arguments = std::env::args().skip(1);
        while let Some(option) = arguments.next() {
            if matches!(option.as_str(), "-h" | "--help") {
                println!(
                    "{purpose}\n\n  --server NAME   create the pipe NAME and serve one client\n  \
                     --client NAME   open the pipe NAME, as soon as a server has created it\n  \
                     --count N       how many times (default {count})\n  \
                     --size BYTES    length of a message (default {size})\n\n\
                     Start both with the same numbers, in two terminals of one user. CONFIG_PATH may name a\n\
                     configuration file."
                );
                std::process::exit(0);
            }
            let value = arguments.next().ok_or_else(|| format!("{option} needs a value; try --help"))?;
            match option.as_str() {
                "--server" | "--client" => {
                    options.server = option == "--server";
                    options.name = value;
                }
                "--count" => options.count = number(&option, &value, u32::MAX.into())?,
                "--size" => options.size = number(&option, &value, 1 << 26)? as usize,
                _ => return Err(format!("there is no option {option}; try --help")),
            }
        }
        if options.name.is_empty() {
            return Err("say either --server NAME or --client NAME; try --help".to_owned());
        }
        Ok(options)
    }
}

fn number(option: &str, value: &str, most: u64) -> std::result::Result<u64, String> {
    match value.parse() {
        Ok(number) if (1..=most).contains(&number) => Ok(number),
        _ => Err(format!("{option}: '{value}' is not a number from 1 to {most}")),
    }
}

/// Creates the pipe, or opens it as soon as the server has created it.
///
/// # Errors
/// As `create_pipe` and `open_pipe`.
pub fn connect(libos: &mut LibOs, server: bool, name: &str) -> Result<Qd> {
    if server {
        return libos.create_pipe(name);
    }
    for _ in 0..PATIENCE {
        match libos.open_pipe(name) {
            Err(error) if matches!(error.errno(), Errno::NOENT | Errno::CONNREFUSED) => {
                std::thread::sleep(Duration::from_millis(1));
            }
            opened => return opened,
        }
    }
    libos.open_pipe(name)
}

/// Pops one message; an empty one is the end of the stream.
///
/// # Errors
/// What the operation failed with.
pub fn pop(libos: &mut LibOs, qd: Qd) -> Result<Sga> {
    let qt = libos.pop(qd, None)?;
    libos.wait(qt, None)?.into_message()
}
