// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command line: what can be asked for, and the help that says so.

use crate::bench::{self, Suite};
use crate::channel::Sockets;
use crate::pin::Cores;
use crate::process::apart;
use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use core::net::IpAddr;
use margay::config::catnip::Prefix;
use std::path::PathBuf;
use std::time::Duration;

const AFTER_HELP: &str = "\
Exit codes:
  0  done
  1  it failed; the message on standard error says what to do. `doctor`: something is missing
  2  the command line is wrong

Environment:
  CONFIG_PATH  YAML file that `demo` sets up its pipes and sockets from, and that tells `top` and `doctor` where to
               look (docs/config.md has the keys)
  RUST_LOG     what to log to standard error, such as `debug`";

const BENCH_HELP: &str = "\
catcollar and catnap can be measured in one run: `margay bench catcollar catnap`. Each of the others has a run of its own.

Every figure comes from two processes of this command, pinned to two cores, in short blocks; rounds of blocks take turns
with rounds of the limit and of the kernel's own ways, so that a change of the machine's speed meets all of them. A
figure is the median of its blocks, a ratio the median of those within the rounds. The limits are hand-written loops
over the same kind of shared memory; for kernel sockets, echo servers written by hand on epoll and on io_uring; for the
network stack, a loop that copies the same bytes.

`dpdk` takes a build with the feature `catnip-dpdk`, and no hardware: its wire is net_memif, memory that two processes
share. The limit are frames that are sent back as they come.

`network` and `dpdk` have a part over a veth pair, which takes root: the pair and a network for each process are made for it, and go
with it. Without root that part is skipped.

Goals that are missed do not change the exit code: on a busy or a virtual machine they may be.";

const DOCTOR_HELP: &str = "\
Nothing is changed, and no privilege is needed; root sees the same as the programs that run as root.

Exit codes:
  0  every back end can run, some perhaps limited
  1  something is missing, without which a back end cannot run; or the configuration cannot be read
  2  the command line is wrong";

const PING_HELP: &str = "\
What the options leave out is taken from the section `catnip` of the configuration.

  margay ping 10.0.0.2 --device socket --path /tmp/a --peer /tmp/b --address 10.0.0.1/24
  margay ping 10.0.0.254 --device tap --interface margay0 --address 10.0.0.1/24
  margay ping fd00::1 --device packet --interface eth0 --address fd00::42/64 --count 3

Exit codes:
  0  there was an answer
  1  there was none, or the device cannot be opened
  2  the command line is wrong";

/// A library operating system for kernel-bypass I/O: shows it, measures it, checks its configuration.
#[derive(Debug, Parser)]
#[command(name = "margay", version, about, after_help = AFTER_HELP, max_term_width = 120)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Let two processes talk through shared memory, beside the kernel's Unix socket, pipe and TCP (about 15 s)
    Demo {
        /// The two cores to run on, such as 0,2; two are chosen if left out
        #[arg(long, value_name = "A,B")]
        cores: Option<Cores>,
    },
    /// Measure a back end against the limits of this machine
    #[command(after_help = BENCH_HELP)]
    Bench {
        /// The back end
        #[arg(value_name = "BACK END", required = true, value_enum)]
        what: Vec<Measured>,
        #[command(flatten)]
        options: BenchOptions,
    },
    /// Show the LibOses of this user on this host as they work: what they serve, how much goes through, what is dropped
    Top(TopOptions),
    /// Ask a host whether it is there, through a network stack of our own
    #[command(after_help = PING_HELP)]
    Ping(Box<PingOptions>),
    /// Show what this machine lets the library do, back end by back end, and what to do where something is missing
    #[command(after_help = DOCTOR_HELP)]
    Doctor(DoctorOptions),
    /// Work with configuration files
    Config {
        /// What to do with them.
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// One half of a measurement; started by the other commands
    #[command(hide = true)]
    Worker {
        /// The core to run on.
        #[arg(long)]
        core: usize,
    },
}

/// What to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Measured {
    /// Shared-memory pipes: latency, rate, bandwidth and wake-up, each beside its limit and its goal (half a minute)
    Catmem,
    /// Sockets over shared memory beside TCP over loopback: latency, rate, bandwidth, connections (90 s)
    Catloop,
    /// Kernel sockets by io_uring beside servers written by hand: requests, latency, system calls, crowds (3 minutes)
    Catcollar,
    /// Kernel sockets by epoll, in the same way
    Catnap,
    /// Margay's own network stack beside smoltcp: datagrams in and out, checksum; round trips over veth (half a minute)
    Network,
    /// The same over a port of DPDK between two processes: round trips beside bare frames, requests of many sockets (ten seconds)
    Dpdk,
}

impl Measured {
    /// The one suite that measures all of these.
    ///
    /// # Errors
    /// What is wrong with the command line: they do not go into one run.
    pub fn suite(what: &[Self]) -> Result<&'static Suite, clap::Error> {
        let sockets = |&one: &Self| match one {
            Self::Catcollar => Some(Sockets::Catcollar),
            Self::Catnap => Some(Sockets::Catnap),
            Self::Catmem | Self::Catloop | Self::Network | Self::Dpdk => None,
        };
        match what {
            [Self::Catmem] => Ok(&bench::catmem::SUITE),
            [Self::Catloop] => Ok(&bench::catloop::SUITE),
            [Self::Dpdk] if !cfg!(feature = "catnip-dpdk") => Err(Cli::command().error(
                ErrorKind::InvalidValue,
                "this build of Margay has no DPDK: build it with the feature `catnip-dpdk` (cargo run --release --features catnip-dpdk)",
            )),
            [Self::Dpdk] => Ok(bench::dpdk::suite(apart::why_not().is_none())),
            [Self::Network] => Ok(bench::network::suite(apart::why_not().is_none())),
            _ => match what.iter().map(sockets).collect::<Option<Vec<Sockets>>>() {
                Some(which) => Ok(bench::sockets::suite(&which)),
                None => Err(Cli::command().error(
                    ErrorKind::ArgumentConflict,
                    "catmem, catloop, network and dpdk have a run of their own; only catcollar and catnap go into one",
                )),
            },
        }
    }
}

/// How to measure, and where to put it.
#[derive(Debug, Args)]
pub struct BenchOptions {
    /// Write every figure with its blocks as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Draw the percentiles of the 64 B round trip as SVG; of `network` also the time of each datagram
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// Fewer and shorter rounds: about ten seconds, less steady figures
    #[arg(long)]
    pub quick: bool,
    /// The two cores to run on, such as 0,2; two are chosen if left out
    #[arg(long, value_name = "A,B")]
    pub cores: Option<Cores>,
}

/// What to show, and how often.
#[derive(Debug, Args)]
pub struct TopOptions {
    /// Seconds over which rates are taken, and between two tables: 0.2 to 3600
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    pub interval: Duration,
    /// One table after one interval, and no more
    #[arg(long)]
    pub once: bool,
    /// One line of JSON instead of each table
    #[arg(long)]
    pub json: bool,
    /// The runtime directory to look into; the configuration's own if left out
    #[arg(long, value_name = "FOLDER")]
    pub directory: Option<PathBuf>,
}

/// Whom to ask, and through what.
#[derive(Debug, Args)]
pub struct PingOptions {
    /// The host
    #[arg(value_name = "ADDRESS")]
    pub to: IpAddr,
    /// Configuration file, in place of that of `CONFIG_PATH`
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What carries the frames
    #[arg(long, value_enum)]
    pub device: Option<Wire>,
    /// The TAP device, or the kernel's interface
    #[arg(long, value_name = "NAME")]
    pub interface: Option<String>,
    /// Our end of a wire over Unix sockets
    #[arg(long, value_name = "PATH")]
    pub path: Option<PathBuf>,
    /// Its other end
    #[arg(long, value_name = "PATH")]
    pub peer: Option<PathBuf>,
    /// Our address with the length of its network's prefix, such as 10.0.0.1/24; can be given several times
    #[arg(long, value_name = "PREFIX")]
    pub address: Vec<Prefix>,
    /// Who leads to hosts that are not neighbours
    #[arg(long, value_name = "ADDRESS")]
    pub gateway: Option<IpAddr>,
    /// Write the frames to this file (pcapng)
    #[arg(long, value_name = "FILE")]
    pub pcap: Option<PathBuf>,
    /// How many requests to send
    #[arg(long, short = 'c', default_value = "5", value_parser = clap::value_parser!(u16).range(1..))]
    pub count: u16,
    /// Seconds between two of them: 0 to 3600
    #[arg(long, short = 'i', value_name = "SECONDS", default_value = "0.2", value_parser = pause)]
    pub interval: Duration,
    /// Bytes in each
    #[arg(long, short = 's', value_name = "BYTES", default_value = "56", value_parser = clap::value_parser!(u16).range(..=65_507))]
    pub size: u16,
    /// Seconds to wait for an answer: 0 to 3600
    #[arg(long, short = 'W', value_name = "SECONDS", default_value = "2", value_parser = pause)]
    pub timeout: Duration,
}

/// A device of `ping`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Wire {
    /// Unix datagram sockets
    Socket,
    /// A TAP device
    Tap,
    /// An interface of the kernel, by packet sockets
    Packet,
    /// An interface of the kernel, past the kernel's stack, by XDP sockets
    Xdp,
    /// The port of DPDK that the configuration names
    Dpdk,
}

impl From<Wire> for margay::config::catnip::Wire {
    fn from(wire: Wire) -> Self {
        match wire {
            Wire::Socket => Self::Socket,
            Wire::Tap => Self::Tap,
            Wire::Packet => Self::Packet,
            Wire::Xdp => Self::Xdp,
            Wire::Dpdk => Self::Dpdk,
        }
    }
}

fn pause(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| (0.0..=3600.0).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| "give a number of seconds from 0 to 3600".to_owned())
}

/// What `doctor` can look at alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum About {
    /// What ports of DPDK need: huge pages, drivers, an IOMMU, rights
    Dpdk,
}

/// What to look at, and how to tell.
#[derive(Debug, Args)]
pub struct DoctorOptions {
    /// Look at this alone, and closer
    #[arg(value_name = "WHAT")]
    pub about: Option<About>,
    /// One line of JSON instead of the table
    #[arg(long)]
    pub json: bool,
    /// The runtime directory to judge; the configuration's own if left out
    #[arg(long, value_name = "FOLDER")]
    pub directory: Option<PathBuf>,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| (0.2..=3600.0).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| "give a number of seconds from 0.2 to 3600".to_owned())
}

/// What to do with configuration files.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Say whether a file is right, and what is in force with it; if not, where it is wrong and what is allowed
    Check {
        /// The YAML file
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn cores_are_two_different_numbers() {
        assert!(Cli::try_parse_from(["margay", "demo", "--cores", "0,2"]).is_ok());
        for bad in ["0", "0,0", "a,b", "1,2,3", ""] {
            let told = Cli::try_parse_from(["margay", "demo", "--cores", bad]).expect_err(bad).to_string();
            assert!(told.contains("two different"), "{bad}: {told}");
        }
    }

    #[test]
    fn kernel_sockets_go_into_one_run_and_nothing_else_does() {
        let suite = |names: &[&str]| {
            let Command::Bench { what, .. } = Cli::try_parse_from([&["margay", "bench"], names].concat())?.command
            else {
                panic!("another command")
            };
            Measured::suite(&what).map(|suite| (suite.name, suite.goals.len()))
        };
        let found = |names: &[&str]| suite(names).unwrap_or_else(|error| panic!("{names:?}: {error}"));
        assert_eq!(found(&["catmem"]).0, "catmem");
        assert_eq!(found(&["catloop"]).0, "catloop");
        assert_eq!(found(&["network"]).0, "network");
        assert_eq!(found(&["catnap", "catcollar"]), found(&["catcollar", "catnap", "catnap"]));
        assert_eq!(found(&["catnap"]).0, "kernel-sockets");
        assert!(found(&["catnap"]).1 < found(&["catnap", "catcollar"]).1);
        for bad in [&["catmem", "catloop"][..], &["catnap", "catmem"], &["network", "catnap"], &["catnip"], &[]] {
            assert!(suite(bad).is_err_and(|error| error.exit_code() == 2), "{bad:?}");
        }
    }

    #[test]
    fn an_interval_is_a_number_of_seconds() {
        assert_eq!(seconds("0.25"), Ok(Duration::from_millis(250)));
        for bad in ["0.1", "3601", "-1", "NaN", "1s", ""] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
