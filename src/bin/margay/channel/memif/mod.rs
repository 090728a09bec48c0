// SPDX-License-Identifier: MIT OR Apache-2.0
//! What goes between two processes over `net_memif`, a port of DPDK whose wire is memory that both share: bare frames, as the limit of
//! what any stack can reach there, and datagrams and streams of Margay's own stack. Nobody sleeps.

mod load;
#[cfg(feature = "catnip-dpdk")]
mod ring;
#[cfg(feature = "catnip-dpdk")]
mod wire;

use super::veth::{Catnip, CatnipStream};
use super::{echo, run};
use crate::process::job::{Job, Pattern, Place, Report, Role};
use crate::process::worker::Teller;
use anyhow::Result;
#[cfg(not(feature = "catnip-dpdk"))]
use anyhow::bail;
use margay::config::Spin;
use margay::config::catnip::{Prefix, Wire};
use margay::{Config, LibOs};
use serde::{Deserialize, Serialize};
use std::net::{Ipv4Addr, SocketAddr};

/// What is on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Memif {
    /// Frames as long as those of datagrams, sent back as they come.
    Frames,
    /// UDP.
    Datagrams,
    /// TCP.
    Stream,
}

#[cfg(not(feature = "catnip-dpdk"))]
const NO_DPDK: &str = "this build of Margay has no DPDK: build it with the feature `catnip-dpdk`";

/// The port of the server.
const PORT: u16 = 7;
/// The server's address, then the client's.
const ADDRESSES: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 77, 3, 1), Ipv4Addr::new(10, 77, 3, 2)];
const PREFIX: u8 = 24;

/// Where the server is.
const fn server() -> (Ipv4Addr, u16) {
    (ADDRESSES[0], PORT)
}

/// What DPDK calls the end of `role`. The client makes the memory, and the server's socket is where they meet.
fn port(place: &Place, role: Role) -> String {
    let end = if role == Role::Server { "server" } else { "client" };
    let socket = place.directory.join(format!("{}.memif", place.name));
    format!("net_memif0,role={end},id=0,socket={},socket-abstract=no", socket.display())
}

/// A stack over the end of `role`.
fn libos(place: &Place, role: Role) -> Result<LibOs> {
    let own = if role == Role::Server { ADDRESSES[0] } else { ADDRESSES[1] };
    let mut config = Config { libos: Some("catnip".to_owned()), ..Config::default() };
    config.wait.spin = Spin::Forever;
    config.catnip.device = Wire::Dpdk;
    config.catnip.dpdk.port = Some(port(place, role));
    config.catnip.addresses = vec![Prefix::new(own.into(), PREFIX)?];
    Ok(LibOs::new(&config)?)
}

/// Does one half of a measurement.
pub fn perform(what: Memif, size: usize, job: &Job, teller: &mut Teller<'_>) -> Result<Report> {
    let (role, place) = (job.role, &job.place);
    let [own, other] = if role == Role::Server { ADDRESSES } else { [ADDRESSES[1], ADDRESSES[0]] };
    match (what, job.pattern) {
        (Memif::Frames, _) => frames(place, size, job, teller),
        (_, Pattern::Load { .. }) if role == Role::Client => {
            load::call(libos(place, role)?, what, size, job.pattern, teller)
        }
        (Memif::Datagrams, Pattern::Load { .. }) => load::serve(libos(place, role)?, job.pattern, teller),
        (Memif::Stream, Pattern::Load { .. }) => {
            let requests = load::requests(job.pattern)?;
            echo::serve_over(libos(place, role)?, SocketAddr::from(server()), size, job.pattern, requests, teller)
        }
        (Memif::Datagrams, _) => run(Catnip::on(libos(place, role)?, size, own, other)?, job, teller),
        (Memif::Stream, _) => run(CatnipStream::on(libos(place, role)?, role, size, own, other)?, job, teller),
    }
}

/// What one thread does over ports of `net_ring`.
#[cfg(feature = "catnip-dpdk")]
pub fn alone(what: Memif, size: usize, blocks: u32, per_block: u32, teller: &mut Teller<'_>) -> Result<Report> {
    ring::rounds(what, size, blocks, per_block, teller)
}

/// The same without DPDK.
#[cfg(not(feature = "catnip-dpdk"))]
pub fn alone(_: Memif, _: usize, _: u32, _: u32, _: &mut Teller<'_>) -> Result<Report> {
    bail!(NO_DPDK)
}

#[cfg(feature = "catnip-dpdk")]
fn frames(place: &Place, size: usize, job: &Job, teller: &mut Teller<'_>) -> Result<Report> {
    run(wire::Frames::new(&port(place, job.role), job.role, size)?, job, teller)
}

#[cfg(not(feature = "catnip-dpdk"))]
fn frames(_: &Place, _: usize, _: &Job, _: &mut Teller<'_>) -> Result<Report> {
    bail!(NO_DPDK)
}
