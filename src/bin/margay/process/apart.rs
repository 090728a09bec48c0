// SPDX-License-Identifier: MIT OR Apache-2.0
//! Two processes with a network of its own for each, joined by a veth pair, so that what one sends the other does go through
//! the pair, and nobody else's traffic does.
//!
//! A process is started in its network by `unshare(1)`; the pair is made by `ip(8)`, in the client's network by `nsenter(1)`.
//! A network goes with the last process in it. Text: `network_namespaces(7)`, `veth(4)`.

use crate::clock;
use anyhow::{Context, Result, bail};
use std::fs::File;
use std::io::Write;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

/// The interfaces: the server's, then the client's.
pub const INTERFACES: [&str; 2] = ["margay0", "margay1"];
/// The addresses that the kernel has on them.
pub const KERNEL_ADDRESSES: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 77, 0, 1), Ipv4Addr::new(10, 77, 0, 2)];
/// The length of their network's prefix.
pub const PREFIX: u8 = 24;

/// `ip(8)`, which reads what it is to do.
const BATCH: [&str; 3] = ["ip", "-batch", "-"];
/// How long a process and an interface may take to be there; far above what they do take.
const DEADLINE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(2);

/// What starts a program in a network of its own, in front of the program's name.
pub const UNSHARE: [&str; 3] = ["unshare", "--net", "--"];

/// Why two processes cannot have networks of their own here; nothing if they can.
pub fn why_not() -> Option<String> {
    let [program, arguments @ ..] = UNSHARE;
    let tried = Command::new(program).args(arguments).args(["ip", "link", "show", "lo"]).stdin(Stdio::null()).output();
    match tried {
        Err(_) => Some("util-linux, which has unshare(1), is not installed".to_owned()),
        Ok(output) if !output.status.success() => Some(format!(
            "networks of one's own take root and iproute2: {}",
            String::from_utf8_lossy(&output.stderr).lines().next().unwrap_or("no reason was given")
        )),
        Ok(_) => None,
    }
}

fn network(process: u32) -> PathBuf {
    format!("/proc/{process}/ns/net").into()
}

/// The network of a process that was started by [`UNSHARE`] and joined with another.
pub fn network_of(process: u32) -> Result<OwnedFd> {
    let network = File::open(network(process)).context("cannot open a process's network")?;
    Ok(network.into())
}

/// Joins the networks of two processes that were started by [`UNSHARE`].
pub fn join(server: u32, client: u32) -> Result<()> {
    // Only then are they in their own.
    let ours = std::fs::read_link("/proc/self/ns/net").context("cannot read the name of this network")?;
    for process in [server, client] {
        until("a process has a network of its own", || {
            Ok(std::fs::read_link(network(process)).is_ok_and(|theirs| theirs != ours))
        })?;
    }
    let ([at_server, at_client], [server_address, client_address]) = (INTERFACES, KERNEL_ADDRESSES);
    // No IPv6, whose own packets would only come between.
    ip(
        client,
        &format!(
            "link add {at_client} type veth peer name {at_server} netns {server}\n\
         link set {at_client} addrgenmode none up\naddr add {client_address}/{PREFIX} dev {at_client}\n"
        ),
    )?;
    ip(
        server,
        &format!("link set {at_server} addrgenmode none up\naddr add {server_address}/{PREFIX} dev {at_server}\n"),
    )?;
    for (process, interface) in [(server, at_server), (client, at_client)] {
        until("the veth pair is up", || {
            let shown = enter(process, &["ip", "-oneline", "link", "show", interface]).output()?;
            Ok(String::from_utf8_lossy(&shown.stdout).contains("state UP"))
        })?;
    }
    Ok(())
}

/// A command in a process' network.
fn enter(process: u32, command: &[&str]) -> Command {
    let mut nsenter = Command::new("nsenter");
    nsenter.arg(format!("--net={}", network(process).display())).arg("--").args(command).stdin(Stdio::null());
    nsenter
}

/// Has `ip(8)` do these things in a process' network, one on each line.
fn ip(process: u32, batch: &str) -> Result<()> {
    told(&mut enter(process, &BATCH), batch)
}

/// The same in this process's network.
pub fn ip_here(batch: &str) -> Result<()> {
    let [program, arguments @ ..] = BATCH;
    told(Command::new(program).args(arguments), batch)
}

/// Starts `ip(8)`, and tells it this.
fn told(command: &mut Command, batch: &str) -> Result<()> {
    let missing = "cannot start nsenter(1), of util-linux, or ip(8), of iproute2";
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().context(missing)?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(batch.as_bytes()).context("ip(8) does not read")?;
    }
    let Output { status, stderr, .. } = child.wait_with_output().context(missing)?;
    if !status.success() {
        bail!("an interface could not be made: {}", String::from_utf8_lossy(&stderr).trim());
    }
    Ok(())
}

fn until(what: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = clock::now() + DEADLINE;
    while !holds()? {
        if clock::now() >= deadline {
            bail!("waited {} s in vain until {what}", DEADLINE.as_secs());
        }
        sleep(PAUSE);
    }
    Ok(())
}
