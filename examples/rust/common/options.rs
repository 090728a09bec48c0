// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command line: the same options in every example, as far as they mean something there.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// What a server that ends by itself or when it is told to has in place of a deadline.
const SECONDS: Flag = Flag { name: "--seconds", value: "N", means: "end after so long; 0: never", default: "0" };
const TIMEOUT: Flag = Flag { name: "--timeout", value: "SECONDS", means: "give up after so long", default: "30" };

/// What one example says about itself.
pub struct About {
    pub name: &'static str,
    /// What it shows, in whole sentences.
    pub shows: &'static str,
    /// Its ways to be started, each with the options that it needs.
    pub roles: &'static [&'static [Role]],
    /// What else it can be told.
    pub flags: &'static [Flag],
    /// Arguments of two commands to try, one for each side; a side that is another example begins with its name, one that
    /// is any other program with `$`.
    pub tries: &'static [&'static str],
}

impl About {
    /// Whether it serves whoever comes, until it is told to end; the others end with what they have to do.
    pub fn is_server(&self) -> bool {
        self.flags.iter().any(|flag| flag.name == SECONDS.name)
    }
}

/// An option that says what this side is, and where.
pub struct Role {
    pub name: &'static str,
    pub means: &'static str,
}

/// An option with a default.
pub struct Flag {
    pub name: &'static str,
    pub value: &'static str,
    pub means: &'static str,
    pub default: &'static str,
}

impl Flag {
    pub const fn count(means: &'static str, default: &'static str) -> Self {
        Self { name: "--count", value: "N", means, default }
    }

    pub const fn size(default: &'static str) -> Self {
        Self { name: "--size", value: "BYTES", means: "length of a message", default }
    }

    pub const fn clients(means: &'static str, default: &'static str) -> Self {
        Self { name: "--clients", value: "N", means, default }
    }

    pub const fn rate(default: &'static str) -> Self {
        Self { name: "--rate", value: "N", means: "messages a second; 0: as fast as it goes", default }
    }

    pub const fn seed() -> Self {
        Self { name: "--seed", value: "N", means: "of the random numbers; 0: another one each time", default: "0" }
    }

    pub const fn seconds() -> Self {
        SECONDS
    }

    pub const fn connections() -> Self {
        Self { name: "--connections", value: "N", means: "end after so many connections; 0: never", default: "0" }
    }

    pub const fn idle() -> Self {
        Self { name: "--idle", value: "SECONDS", means: "close what is silent for so long", default: "60" }
    }

    pub const fn root() -> Self {
        Self { name: "--root", value: "DIR", means: "the files to serve", default: "." }
    }

    pub const fn memory() -> Self {
        Self { name: "--memory", value: "MIB", means: "for keys and values together", default: "256" }
    }

    pub const fn run_mode() -> Self {
        Self {
            name: "--run-mode",
            value: "MODE",
            means: "sequential: one connection after the other; concurrent: all at once",
            default: "concurrent",
        }
    }
}

/// Where the two sides meet.
pub trait Place: FromStr {
    const SHAPE: &'static str;
    const EXAMPLE: &'static str;
    const SERVER: Role;
    const CLIENT: Role;
    /// A server and a client.
    const PAIR: &'static [&'static [Role]] = &[&[Self::SERVER], &[Self::CLIENT]];
}

impl Place for SocketAddr {
    const SHAPE: &'static str = "ADDR:PORT";
    const EXAMPLE: &'static str = "127.0.0.1:7000 or [::1]:7000";
    const SERVER: Role = Role { name: "--server", means: "serve there" };
    const CLIENT: Role = Role { name: "--client", means: "go there, as soon as there is a server" };
}

impl Place for String {
    const SHAPE: &'static str = "NAME";
    const EXAMPLE: &'static str = "the name of a pipe";
    const SERVER: Role = Role { name: "--server", means: "create the pipe NAME and serve one client" };
    const CLIENT: Role = Role { name: "--client", means: "open the pipe NAME, as soon as there is a server" };
}

/// What the command line says. What an example does not have is 0.
pub struct Options<P> {
    /// Whether this is the side that the other one looks for.
    pub server: bool,
    /// Where the server is.
    pub place: P,
    /// Where a relay sends to.
    pub to: Option<P>,
    pub count: u64,
    pub size: usize,
    pub clients: usize,
    pub rate: u64,
    pub seed: u64,
    pub concurrent: bool,
    pub timeout: Duration,
    /// How long a server serves, and how many connections; 0: without end.
    pub seconds: u64,
    pub connections: u64,
    pub idle: Duration,
    pub root: PathBuf,
    /// Bytes.
    pub memory: usize,
}

impl<P: Place> Options<P> {
    /// Reads the command line; `None` if it asked for help, which was given.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(about: &About) -> Result<Option<Self>, String> {
        let mut given: Vec<(String, String)> = Vec::new();
        let mut arguments = std::env::args().skip(1);
        let roles = || about.roles.iter().copied().flatten();
        while let Some(name) = arguments.next() {
            if matches!(name.as_str(), "-h" | "--help") {
                help::<P>(about);
                return Ok(None);
            }
            if !flags(about).any(|flag| flag.name == name) && !roles().any(|role| role.name == name) {
                return Err(format!("there is no option {name}"));
            }
            let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
            given.push((name, value));
        }
        // The last one counts, as usual.
        let find = |name: &str| given.iter().rev().find(|(given, _)| given == name).map(|(_, value)| value.as_str());
        let named = roles().filter(|role| find(role.name).is_some()).count();
        let role = about.roles.iter().find(|role| role.iter().all(|option| find(option.name).is_some()));
        let Some(role) = role.filter(|role| role.len() == named) else { return Err(say_one_of::<P>(about)) };
        let place = |name: &str| {
            let value = find(name).unwrap_or_default();
            value.parse::<P>().map_err(|_| format!("{name}: '{value}' is not {}", P::EXAMPLE))
        };
        let number = |name: &str, least: u64, most: u64| {
            let default = flags(about).find(|flag| flag.name == name).map(|flag| flag.default);
            match find(name).or(default).map(|value| (value, value.parse())) {
                None => Ok(0),
                Some((_, Ok(number))) if (least..=most).contains(&number) => Ok(number),
                Some((value, _)) => Err(format!("{name}: '{value}' is not a number from {least} to {most}")),
            }
        };
        Ok(Some(Self {
            server: role[0].name != "--client",
            place: place(role[0].name)?,
            to: role.get(1).map(|role| place(role.name)).transpose()?,
            count: number("--count", 1, 1_000_000_000)?,
            size: number("--size", 1, 1 << 26)? as usize,
            clients: number("--clients", 1, 10_000)? as usize,
            rate: number("--rate", 0, 1_000_000_000)?,
            seed: number("--seed", 0, u64::MAX)?,
            concurrent: match find("--run-mode") {
                None | Some("concurrent") => true,
                Some("sequential") => false,
                Some(other) => return Err(format!("--run-mode: '{other}' is neither sequential nor concurrent")),
            },
            timeout: Duration::from_secs(if about.is_server() { 0 } else { number(TIMEOUT.name, 1, 86_400)? }),
            seconds: number(SECONDS.name, 0, 86_400)?,
            connections: number("--connections", 0, u64::MAX)?,
            idle: Duration::from_secs(number("--idle", 1, 86_400)?),
            root: find("--root").unwrap_or(".").into(),
            memory: (number("--memory", 1, 1 << 16)? as usize) << 20,
        }))
    }
}

fn flags(about: &About) -> impl Iterator<Item = &Flag> {
    about.flags.iter().chain((!about.is_server()).then_some(&TIMEOUT))
}

fn say_one_of<P: Place>(about: &About) -> String {
    let way = |role: &&[Role]| {
        let options: Vec<String> = role.iter().map(|role| format!("{} {}", role.name, P::SHAPE)).collect();
        options.join(" ")
    };
    let ways: Vec<String> = about.roles.iter().map(way).collect();
    format!("say {}", ways.join(" or "))
}

fn help<P: Place>(about: &About) {
    println!("{}\n", about.shows);
    for role in about.roles.iter().copied().flatten() {
        println!("  {:<22}{}", format!("{} {}", role.name, P::SHAPE), role.means);
    }
    for flag in flags(about) {
        println!("  {:<22}{} (default {})", format!("{} {}", flag.name, flag.value), flag.means, flag.default);
    }
    println!("\nTo try it, in two terminals of one user:");
    for arguments in about.tries {
        if let Some(command) = arguments.strip_prefix("$ ") {
            println!("  {command}");
            continue;
        }
        let (name, arguments) = match arguments.split_once(' ') {
            Some((name, rest)) if !name.starts_with('-') => (name, rest),
            _ => (about.name, *arguments),
        };
        println!("  cargo run --release --example {name} -- {arguments}");
    }
    if about.is_server() {
        println!("\nIt ends when it is interrupted, too. CONFIG_PATH may name a configuration file, LIBOS a back end.");
    } else {
        println!(
            "\nStart both sides with the same numbers. CONFIG_PATH may name a configuration file, LIBOS a back end."
        );
    }
}
