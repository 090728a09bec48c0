// SPDX-License-Identifier: MIT OR Apache-2.0
//! TCP between Margay's own stack and the kernel's, over a TAP device whose two ends leave checksums and segmentation to each other
//! (`Documentation/networking/tuntap.rst`, virtio's header).
//!
//! A TAP device has one network, that of whoever makes it: the client comes into the server's.

use super::libos;
use super::streams::{CatnipStream, KernelStream};
use crate::process::apart::{PREFIX, ip_here};
use crate::process::job::Role;
use anyhow::{Context, Result};
use margay::config::catnip::Wire;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, OwnedFd};

/// The device.
const INTERFACE: &str = "margay2";
/// Margay's address, and the kernel's.
const OURS: Ipv4Addr = Ipv4Addr::new(10, 77, 2, 2);
const THEIRS: Ipv4Addr = Ipv4Addr::new(10, 77, 2, 1);

/// A process in another one's network, until this is dropped.
pub struct Away {
    home: OwnedFd,
}

impl Away {
    /// Goes there.
    pub fn to(network: impl AsFd) -> Result<Self> {
        let home = File::open("/proc/thread-self/ns/net").context("cannot name this process's network")?.into();
        enter(network).context("cannot come into the other process's network")?;
        Ok(Self { home })
    }
}

impl Drop for Away {
    fn drop(&mut self) {
        // It has come from there.
        let _ = enter(&self.home);
    }
}

fn enter(network: impl AsFd) -> rustix::io::Result<()> {
    move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))
}

/// Margay's end, for `role`: makes the device, and gives the kernel its address at the other end.
pub fn ours(role: Role, size: usize) -> Result<CatnipStream> {
    let libos = libos(Wire::Tap, INTERFACE, OURS)?;
    ip_here(&format!("addr add {THEIRS}/{PREFIX} dev {INTERFACE}\nlink set {INTERFACE} addrgenmode none up\n"))?;
    CatnipStream::on(libos, role, size, OURS, THEIRS)
}

/// The kernel's end, for `role`: as a server it is there before the device, and listens at all addresses.
pub fn theirs(role: Role, size: usize) -> Result<KernelStream> {
    KernelStream::at(role, size, Ipv4Addr::UNSPECIFIED, OURS)
}
