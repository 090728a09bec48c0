// SPDX-License-Identifier: MIT OR Apache-2.0
//! Two processes of this program, a server and a client, each on its core.
//!
//! Always true: no measurement outlasts its deadline, and when one process fails, both are killed. They also die with
//! the process that started them.

pub mod apart;
mod directory;
pub mod job;
mod link;
pub mod worker;

use crate::channel::{self, Kind};
use crate::clock;
use crate::pin::Cores;
use anyhow::{Context, Result, bail};
use directory::Directory;
use job::{Answer, Job, Pattern, Place, Progress, Report, Role};
use link::Link;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long one measurement may take, and how much more for each connection of a crowd; both far above what they do
/// take, for the sake of busy machines.
const DEADLINE: Duration = Duration::from_mins(1);
const PER_CONNECTION: Duration = Duration::from_millis(20);

/// How long the end of a process is waited for when the other one has failed.
const LAST_WORDS: Duration = Duration::from_millis(200);

fn ended(index: usize) -> String {
    format!("the {} ended in the middle of a measurement", ["server", "client"][index])
}

struct Worker {
    child: Child,
    link: Link,
}

impl Worker {
    fn start(core: usize, apart: bool) -> Result<Self> {
        let (ours, theirs) = Link::pair()?;
        let program = std::env::current_exe().context("cannot find this program to start it again")?;
        let mut command = if apart {
            let [unshare, arguments @ ..] = apart::UNSHARE;
            let mut command = Command::new(unshare);
            command.args(arguments).arg(&program);
            command
        } else {
            Command::new(&program)
        };
        let child = command
            .args(["worker", "--core", &core.to_string()])
            .stdin(Stdio::from(theirs.into_fd()))
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        Ok(Self { child, link: ours })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may be dead already; then there is nobody to kill, and only its exit to collect.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Both processes.
pub struct Pair {
    server: Worker,
    client: Worker,
    jobs: u32,
    cores: Cores,
    // Removed after both processes are gone.
    directory: Directory,
}

impl Pair {
    /// Starts them.
    pub fn start(cores: Cores) -> Result<Self> {
        Self::start_in(cores, false)
    }

    /// Starts them in a network for each, joined by a veth pair.
    pub fn start_apart(cores: Cores) -> Result<Self> {
        let pair = Self::start_in(cores, true)?;
        let (server, client) = pair.ids();
        apart::join(server, client)?;
        Ok(pair)
    }

    fn start_in(cores: Cores, apart: bool) -> Result<Self> {
        let directory = Directory::new()?;
        Ok(Self {
            server: Worker::start(cores.server, apart)?,
            client: Worker::start(cores.client, apart)?,
            jobs: 0,
            cores,
            directory,
        })
    }

    /// Their process ids.
    pub fn ids(&self) -> (u32, u32) {
        (self.server.child.id(), self.client.child.id())
    }

    /// Measures one thing. Tells `watch` now and then how it goes.
    pub fn run(&mut self, kind: Kind, pattern: Pattern, watch: &mut dyn FnMut(Progress)) -> Result<Report> {
        self.jobs += 1;
        let mut place = Place {
            directory: self.directory.path().to_owned(),
            name: self.jobs.to_string(),
            // In the private folder no port is taken but by the jobs before, which have ended.
            port: (1024 + self.jobs % 60_000) as u16,
        };
        let [for_server, mut for_client] = channel::descriptors(kind, pattern)?;
        if let Kind::Tap { .. } = kind {
            for_client.push(apart::network_of(self.server.child.id())?);
        }
        let lend = |place: &Place, fds: &[std::os::fd::OwnedFd], link: &Link, role| {
            let job = Job { role, kind, pattern, place: place.clone(), server_core: self.cores.server };
            link.send(&job, &fds.iter().map(AsFd::as_fd).collect::<Vec<_>>())
        };
        let allowed = match pattern {
            Pattern::Crowd { idle: many, .. }
            | Pattern::Load { connections: many, .. }
            | Pattern::Asleep { connections: many, .. } => DEADLINE + PER_CONNECTION * many,
            _ => DEADLINE,
        };
        let deadline = clock::now() + allowed;
        lend(&place, &for_server, &self.server.link, Role::Server)?;
        let mut reports = [None, None];
        let mut called = false;
        while reports.iter().any(Option::is_none) {
            let left = deadline.saturating_duration_since(clock::now());
            if left.is_zero() {
                bail!("{} was not done within {} s", kind.title(), allowed.as_secs());
            }
            for index in self.talking(left)? {
                let link = [&self.server.link, &self.client.link][index];
                let Some((answer, _)) = link.receive()? else {
                    bail!(ended(index));
                };
                match answer {
                    Answer::Ready { port } if !called => {
                        called = true;
                        place.port = port.unwrap_or(place.port);
                        lend(&place, &for_client, &self.client.link, Role::Client)?;
                    }
                    Answer::Ready { .. } => {}
                    Answer::Progress(progress) => watch(progress),
                    Answer::Done(report) => reports[index] = Some(report),
                    Answer::Failed(why) => {
                        if self.has_ended(1 - index)? {
                            bail!(ended(1 - index));
                        }
                        bail!("{}: {why}", kind.title())
                    }
                }
            }
        }
        let [server, client] = reports.map(Option::unwrap_or_default);
        let mut report = client;
        report.facts.extend(server.facts);
        if report.blocks.is_empty() {
            report.blocks = server.blocks;
        }
        Ok(report)
    }

    /// Whether one of the two has died, which the other may have failed of.
    fn has_ended(&self, index: usize) -> Result<bool> {
        let link = [&self.server.link, &self.client.link][index];
        let heard = poll(&mut [PollFd::new(link, PollFlags::IN)], Some(&Timespec::try_from(LAST_WORDS)?));
        Ok(matches!(heard, Ok(1..)) && link.receive::<Answer>()?.is_none())
    }

    /// Which of the two, server 0 and client 1, has something to say.
    fn talking(&self, timeout: Duration) -> Result<Vec<usize>> {
        let links = [&self.server.link, &self.client.link];
        let mut polled = links.map(|link| PollFd::new(link, PollFlags::IN));
        match poll(&mut polled, Some(&Timespec::try_from(timeout)?)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error).context("cannot wait for the two processes"),
        }
        Ok((0..2).filter(|&index| !polled[index].revents().is_empty()).collect())
    }
}
