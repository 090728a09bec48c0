// SPDX-License-Identifier: MIT OR Apache-2.0
//! What carries messages between the two processes: a Margay pipe or socket, what the kernel has, and bare shared memory
//! as the limit of what any of them can reach.

mod connections;
mod copy_ring;
mod crowd;
mod datagrams;
mod echo;
mod futex;
mod kernel;
mod load;
mod margay;
mod memif;
mod rtrb;
mod shared;
mod stacks;
mod two_line;
mod veth;
mod visits;

use crate::measure;
use crate::process::job::{Job, Pattern, Report, Role};
use crate::process::worker::Teller;
use crate::units;
use anyhow::{Context, Result, bail};
use catmem::mapping::Mapping;
pub use connections::{IDLE_BYTES, POLL};
use crowd::Crowd;
pub use crowd::WORKING;
pub use datagrams::PER_DATAGRAM;
pub use echo::{ALLOCATIONS, CONNECTIONS, SYSTEM_CALLS};
pub use memif::Memif;
use serde::{Deserialize, Serialize};
pub use stacks::{Bulk, Carries, Connections, Ends, Stack, Way, Work};
use std::os::fd::OwnedFd;
use std::time::Duration;

/// One end of something that carries messages of one size.
pub trait Channel {
    /// Sends one message.
    fn send(&mut self) -> Result<()>;

    /// Takes one message.
    fn receive(&mut self) -> Result<()>;

    /// Where the other side finds this one, if that is a port which the kernel has chosen.
    fn port(&mut self) -> Result<Option<u16>> {
        Ok(None)
    }

    /// Waits for the other side to come, where that is a step of its own.
    fn meet(&mut self) -> Result<()> {
        Ok(())
    }

    /// Waits for so long for a message that does not come.
    fn wait_in_vain(&mut self, _time: Duration) -> Result<()> {
        bail!("only Margay can wait without being held up")
    }
}

/// One side of connections that come and go.
pub trait Visits {
    /// One connection, from its beginning to its end.
    fn visit(&mut self) -> Result<()>;
}

/// What the reader does with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Read {
    /// Copies it out of shared memory.
    Copy,
    /// Reads every byte where it lies.
    InPlace,
}

/// What of Margay's carries the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Over {
    /// A pipe.
    Pipe,
    /// A stream socket.
    Socket(Sockets),
}

impl Over {
    /// Whether it is a socket of the kernel.
    pub fn is_kernel(self) -> bool {
        matches!(self, Self::Socket(sockets) if sockets.is_kernel())
    }
}

/// A back end for sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Sockets {
    /// Over shared memory.
    Catloop,
    /// The kernel's, by epoll.
    Catnap,
    /// The kernel's, by io_uring.
    Catcollar,
}

impl Sockets {
    /// Its name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Catloop => "catloop",
            Self::Catnap => "catnap",
            Self::Catcollar => "catcollar",
        }
    }

    /// Whether they are the kernel's.
    pub fn is_kernel(self) -> bool {
        self != Self::Catloop
    }
}

/// An echo server of many connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Server {
    /// Written by hand on epoll.
    Epoll,
    /// Written by hand on io_uring.
    IoUring,
    /// On Margay, as an application would write it.
    Margay(Sockets),
}

impl Server {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Epoll => "epoll",
            Self::IoUring => "io_uring",
            Self::Margay(sockets) => sockets.name(),
        }
    }
}

/// How a server takes the completions of many connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Batch {
    /// One at a time from a wait set.
    Set,
    /// With `wait_next_n`.
    Next,
}

/// How a Margay pipe or socket is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MargayUse {
    /// Which of the two.
    pub over: Over,
    /// Bytes per message.
    pub size: usize,
    /// What the reader does.
    pub read: Read,
    /// What the writer pushes.
    pub write: Write,
    /// How the two sides wait.
    pub wait: Wait,
}

/// What the writer of a Margay pipe or socket pushes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Write {
    /// Private bytes, which the push copies.
    Bytes,
    /// Memory of the pipe itself, filled and handed over.
    HandedOver,
    /// A buffer of the LibOs, which a kernel copies out of.
    Buffer,
    /// The same, which a kernel socket is to send without a copy, whatever its size.
    ZeroCopy,
}

/// How the two sides of a Margay pipe or socket wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Wait {
    /// As the configuration says that `CONFIG_PATH` names.
    Configured,
    /// As it is without a configuration.
    Default,
    /// Both poll for ever.
    Poll,
    /// The server sleeps at once, the client polls.
    ServerSleeps,
}

/// What carries the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// One word in one cache line per direction: the limit of a round trip.
    TwoLine {
        /// Whether 64 bytes of payload go with the word.
        loaded: bool,
    },
    /// Slots of shared memory, each with a word that says it is full: the limit of what copies.
    CopyRing {
        /// Bytes per message.
        size: usize,
        /// What the reader does.
        read: Read,
    },
    /// A server that sleeps on a word of shared memory: the limit of a wake-up.
    Futex,
    /// A Unix stream socket.
    UnixSocket {
        /// Bytes per message.
        size: usize,
    },
    /// Two kernel pipes.
    KernelPipe {
        /// Bytes per message.
        size: usize,
    },
    /// TCP over the loopback interface, without delay of small segments.
    Tcp {
        /// Bytes per message.
        size: usize,
    },
    /// The ring of the crate `rtrb` between two threads, 64 bytes.
    Rtrb,
    /// The same with sockets that never sleep: both sides poll.
    SpinningTcp {
        /// Bytes per message.
        size: usize,
    },
    /// A Margay pipe or socket.
    Margay(MargayUse),
    /// A stack over a device that is memory.
    Stack {
        /// Which.
        stack: Stack,
        /// Which way.
        way: Way,
        /// Bytes per datagram.
        size: usize,
    },
    /// A loop over bytes in the cache.
    Bytes {
        /// What it does.
        work: Work,
        /// How many.
        size: usize,
    },
    /// Connections by their number.
    Connections(Connections),
    /// Many bytes, so many of them at once.
    Bulk {
        /// What is done to them.
        bulk: Bulk,
        /// How many make a message.
        size: usize,
    },
    /// Messages over a veth pair, each end of which is in a network of its own; both sides poll.
    Veth {
        /// Whose sockets.
        ends: Ends,
        /// What they are.
        carries: Carries,
        /// Bytes per message.
        size: usize,
    },
    /// TCP over a TAP device, between Margay's own stack and the kernel's.
    Tap {
        /// Who has Margay's own stack.
        catnip: Role,
        /// Bytes per message.
        size: usize,
    },
    /// Two processes over a port of DPDK that is memory.
    Memif {
        /// What is on the wire.
        what: Memif,
        /// Bytes per message.
        size: usize,
    },
    /// One thread over two ports of DPDK that give back what they are given.
    Ring {
        /// What goes there and back.
        what: Memif,
        /// Bytes per message.
        size: usize,
    },
    /// A server on TCP over the loopback interface, loaded by a client on epoll that is the same for all.
    Echo {
        /// Which.
        server: Server,
        /// Bytes of a request, and of its answer.
        size: usize,
    },
}

impl Kind {
    /// A Margay pipe or socket whose sides poll, read by copying.
    pub fn margay(over: Over, size: usize) -> Self {
        Self::Margay(MargayUse { over, size, read: Read::Copy, write: Write::Bytes, wait: Wait::Poll })
    }

    /// What people call it.
    pub fn title(self) -> String {
        match self {
            Self::TwoLine { loaded: false } => "one word each way".to_owned(),
            Self::TwoLine { loaded: true } => "two cache lines each way".to_owned(),
            Self::CopyRing { size, read: Read::Copy } => format!("bare copy in and out, {}", units::size(size)),
            Self::CopyRing { size, read: Read::InPlace } => format!("bare copy in, {}", units::size(size)),
            Self::Futex => "bare futex".to_owned(),
            Self::UnixSocket { size } => format!("Unix stream socket, {}", units::size(size)),
            Self::KernelPipe { size } => format!("kernel pipe, {}", units::size(size)),
            Self::Tcp { size } => format!("TCP over loopback, {}", units::size(size)),
            Self::Rtrb => "rtrb between two threads".to_owned(),
            Self::Margay(MargayUse { over: Over::Pipe, size, .. }) => format!("Margay pipe, {}", units::size(size)),
            Self::Margay(MargayUse { over: Over::Socket(_), size, .. }) => {
                format!("Margay socket, {}", units::size(size))
            }
            Self::SpinningTcp { size } => format!("TCP over loopback, polled, {}", units::size(size)),
            Self::Stack { stack, size, .. } => format!("{} over memory, {}", stack.name(), units::size(size)),
            Self::Bytes { work, size } => format!("{}, {}", work.name(), units::size(size)),
            Self::Connections(Connections::Visit) => "connections that come and go".to_owned(),
            Self::Connections(Connections::Crowd(idle)) => format!("one connection beside {idle} idle ones"),
            Self::Bulk { bulk, size } => format!("{}, {}", bulk.name(), units::size(size)),
            Self::Veth { ends: Ends::Catnip, size, .. } => format!("catnip over veth, {}", units::size(size)),
            Self::Veth { ends: Ends::Kernel, size, .. } => format!("the kernel over veth, {}", units::size(size)),
            Self::Tap { size, .. } => format!("catnip and the kernel over tap, {}", units::size(size)),
            Self::Memif { what: Memif::Frames, size } => format!("bare frames over memif, {}", units::size(size)),
            Self::Memif { what: Memif::Datagrams, size } => format!("UDP over memif, {}", units::size(size)),
            Self::Memif { what: Memif::Stream, size } => format!("TCP over memif, {}", units::size(size)),
            Self::Ring { what: Memif::Frames, size } => format!("bare frames over net_ring, {}", units::size(size)),
            Self::Ring { what: Memif::Datagrams, size } => format!("UDP over net_ring, {}", units::size(size)),
            Self::Ring { what: Memif::Stream, size } => format!("TCP over net_ring, {}", units::size(size)),
            Self::Echo { server, size } => format!("echo server on {}, {}", server.name(), units::size(size)),
        }
    }
}

/// What each side needs to reach the other, made by whoever starts them.
pub fn descriptors(kind: Kind, pattern: Pattern) -> Result<[Vec<OwnedFd>; 2]> {
    let memory = |len| -> Result<[Vec<OwnedFd>; 2]> {
        let (_, fd) = Mapping::create(len).context("cannot make shared memory")?;
        Ok([vec![fd.try_clone()?], vec![fd]])
    };
    match kind {
        Kind::TwoLine { .. } => memory(two_line::LEN),
        Kind::CopyRing { size, .. } => memory(copy_ring::len(size)),
        Kind::Futex => memory(futex::LEN),
        Kind::UnixSocket { .. } => kernel::socket_descriptors(),
        Kind::KernelPipe { .. } => kernel::pipe_descriptors(),
        Kind::Tcp { .. } if matches!(pattern, Pattern::Visits { .. }) => visits::Tcp::descriptors(),
        Kind::Tcp { .. } | Kind::SpinningTcp { .. } => kernel::tcp_descriptors(),
        Kind::Margay(_)
        | Kind::Rtrb
        | Kind::Echo { .. }
        | Kind::Stack { .. }
        | Kind::Bytes { .. }
        | Kind::Connections(_)
        | Kind::Bulk { .. }
        | Kind::Veth { .. }
        | Kind::Tap { .. }
        | Kind::Ring { .. }
        | Kind::Memif { .. } => Ok([Vec::new(), Vec::new()]),
    }
}

/// Does one half of a measurement.
pub fn perform(job: &Job, descriptors: Vec<OwnedFd>, teller: &mut Teller<'_>) -> Result<Report> {
    let (role, place) = (job.role, &job.place);
    match (job.kind, job.pattern) {
        (Kind::Margay(how), Pattern::OneThread { blocks, per_block }) => {
            teller.ready()?;
            return match role {
                Role::Server => Ok(Report::default()),
                Role::Client => margay::one_thread(place, how, blocks, per_block, teller),
            };
        }
        (
            Kind::Stack { .. } | Kind::Bytes { .. } | Kind::Connections(_) | Kind::Bulk { .. } | Kind::Ring { .. },
            Pattern::OneThread { blocks, per_block },
        ) => {
            teller.ready()?;
            return match (role, job.kind) {
                (Role::Client, Kind::Stack { stack, way, size }) => {
                    datagrams::through(stack, way, size, blocks, per_block, teller)
                }
                (Role::Client, Kind::Bytes { work, size }) => datagrams::over(work, size, blocks, per_block, teller),
                (Role::Client, Kind::Connections(Connections::Visit)) => {
                    connections::come_and_go(blocks, per_block, teller)
                }
                (Role::Client, Kind::Connections(Connections::Crowd(idle))) => {
                    connections::beside(idle, blocks, per_block, teller)
                }
                (Role::Client, Kind::Bulk { bulk, size }) => connections::bulk(bulk, size, blocks, per_block, teller),
                (Role::Client, Kind::Ring { what, size }) => memif::alone(what, size, blocks, per_block, teller),
                _ => Ok(Report::default()),
            };
        }
        (Kind::Rtrb, _) => {
            teller.ready()?;
            return if role == Role::Server { Ok(Report::default()) } else { rtrb::both_ends(job, teller) };
        }
        (Kind::Margay(how), Pattern::Crowd { idle, batch, blocks, per_block }) => {
            let crowd = Crowd { place, how, idle, batch, blocks, per_block };
            return if role == Role::Server { crowd.serve(teller) } else { crowd.call(teller) };
        }
        (Kind::Margay(how), Pattern::Visits { .. }) => {
            return visit(visits::Margay::new(place, role, how)?, job, teller);
        }
        (Kind::Tcp { .. }, Pattern::Visits { .. }) => {
            return visit(visits::Tcp::new(one(descriptors)?, role)?, job, teller);
        }
        (Kind::Memif { what, size }, _) => return memif::perform(what, size, job, teller),
        (Kind::Echo { server, size }, pattern) => {
            return match role {
                Role::Server => echo::serve(server, size, pattern, place, teller),
                Role::Client => load::call(size, pattern, place, teller),
            };
        }
        _ => {}
    }
    match job.kind {
        Kind::TwoLine { loaded } => run(two_line::TwoLine::new(&one(descriptors)?, role, loaded)?, job, teller),
        Kind::CopyRing { size, read } => {
            run(copy_ring::CopyRing::new(&one(descriptors)?, role, size, read)?, job, teller)
        }
        Kind::Futex => run(futex::Futex::new(&one(descriptors)?, role)?, job, teller),
        Kind::UnixSocket { size } => run(kernel::socket(one(descriptors)?, size)?, job, teller),
        Kind::KernelPipe { size } => run(kernel::pipe(descriptors, size)?, job, teller),
        Kind::Tcp { size } => run(kernel::tcp(one(descriptors)?, size)?, job, teller),
        Kind::Rtrb => rtrb::both_ends(job, teller),
        Kind::SpinningTcp { size } => run(kernel::spinning_tcp(one(descriptors)?, size)?, job, teller),
        Kind::Margay(how) => run(margay::Margay::new(place, role, how)?, job, teller),
        Kind::Veth { ends, carries, size } => match (ends, carries) {
            (Ends::Catnip, Carries::Datagrams) => run(veth::Catnip::new(role, size)?, job, teller),
            (Ends::Kernel, Carries::Datagrams) => run(veth::Kernel::new(role, size)?, job, teller),
            (Ends::Catnip, Carries::Stream) => run(veth::CatnipStream::new(role, size)?, job, teller),
            (Ends::Kernel, Carries::Stream) => run(veth::KernelStream::new(role, size)?, job, teller),
        },
        Kind::Tap { catnip, size } => {
            // The server is at home: nothing came with its job.
            let _away = descriptors.first().map(veth::tap::Away::to).transpose()?;
            if catnip == role {
                run(veth::tap::ours(role, size)?, job, teller)
            } else {
                run(veth::tap::theirs(role, size)?, job, teller)
            }
        }
        Kind::Memif { .. }
        | Kind::Ring { .. }
        | Kind::Echo { .. }
        | Kind::Stack { .. }
        | Kind::Bytes { .. }
        | Kind::Connections(_)
        | Kind::Bulk { .. } => {
            bail!("{} is no channel between two processes", job.kind.title())
        }
    }
}

fn run(mut channel: impl Channel, job: &Job, teller: &mut Teller<'_>) -> Result<Report> {
    if job.role == Role::Server {
        match channel.port()? {
            Some(port) => teller.ready_at(port)?,
            None => teller.ready()?,
        }
    }
    channel.meet()?;
    measure::run(&mut channel, job.role, job.pattern, teller)
}

fn visit(mut side: impl Visits, job: &Job, teller: &mut Teller<'_>) -> Result<Report> {
    if job.role == Role::Server {
        teller.ready()?;
    }
    measure::visits(&mut side, job.role, job.pattern, teller)
}

fn one(descriptors: Vec<OwnedFd>) -> Result<OwnedFd> {
    let [fd] =
        <[OwnedFd; 1]>::try_from(descriptors).map_err(|fds| anyhow::anyhow!("{} descriptors came", fds.len()))?;
    Ok(fd)
}
