// SPDX-License-Identifier: MIT OR Apache-2.0
//! The stages of back ends: all programs on this host, or each on a host of its own, which a wire connects. On the kernel's wires the kernel can be a
//! host, too, for the programs of others.

#![allow(dead_code, reason = "each test binary takes a part of it")]

use crate::harness::network::own;
use crate::programs::stage::{Stage, Wires};
use crate::wires::{Hub, Ports, file, kernel, program, set_up};
use core::net::{IpAddr, Ipv4Addr};
use margay::config::catnip::Wire;
use tempfile::TempDir;

/// The wire of a back end, by what it is called here: `catnip_tap` is catnip on TAP.
fn wire(libos: &str) -> Option<Wire> {
    let name = libos.strip_prefix("catnip_")?;
    [Wire::Socket, Wire::Tap, Wire::Packet].into_iter().find(|wire| wire.name() == name)
}

/// Whether its tests can run here; a test of hosts whose wires are the kernel's gets a network of its own.
pub fn ready(libos: &str, test: &str) -> bool {
    match wire(libos) {
        None | Some(Wire::Socket) => true,
        Some(wire) => {
            let can_run = own(test);
            if can_run {
                set_up(wire, Ports::AfPacket);
            }
            can_run
        }
    }
}

/// The same with the kernel on the wire, too.
pub fn ready_with_the_kernel(libos: &str, test: &str) -> bool {
    let can_run = ready(libos, test);
    if can_run && wire(libos).is_some() {
        crate::wires::join_the_kernel();
    }
    can_run
}

/// A stage for processes of this back end.
pub fn stage(libos: &'static str) -> Stage {
    let Some(wire) = wire(libos) else { return Stage::new(libos) };
    let directory = tempfile::tempdir().expect("a folder");
    let hub = (wire == Wire::Socket).then(|| Hub::start(directory.path()));
    // By the name that Demikernel has for it, where there is one.
    let libos = if wire == Wire::Packet { "catpowder" } else { "catnip" };
    Stage::of_hosts(libos, Box::new(Hosts { wire, _hub: hub, directory }))
}

/// The address of the program that is started as this one, from 0 on.
pub fn address(libos: &str, started: usize) -> IpAddr {
    if wire(libos).is_some() { program(started, true) } else { Ipv4Addr::LOCALHOST.into() }
}

struct Hosts {
    wire: Wire,
    /// Ends before its directory goes.
    _hub: Option<Hub>,
    directory: TempDir,
}

impl Wires for Hosts {
    fn join(&self, host: usize) -> String {
        file(self.wire, host, self.directory.path())
    }

    fn address(&self, host: usize, is_v4: bool) -> IpAddr {
        program(host, is_v4)
    }

    fn kernel(&self, is_v4: bool) -> IpAddr {
        kernel(is_v4)
    }
}
