// SPDX-License-Identifier: MIT OR Apache-2.0
//! UDP over the veth pair.

use super::{OWN_ADDRESSES, at, ends, libos};
use crate::channel::Channel;
use crate::process::apart::{INTERFACES, KERNEL_ADDRESSES};
use crate::process::job::Role;
use anyhow::{Context, Result, bail, ensure};
use margay::config::catnip::Wire;
use margay::{Buf, Domain, Kind, LibOs, Outcome, Qd};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

/// A socket of Margay's own stack.
pub struct Catnip {
    libos: LibOs,
    qd: Qd,
    to: SocketAddr,
    message: Buf,
}

impl Catnip {
    /// The end of `role`.
    pub fn new(role: Role, size: usize) -> Result<Self> {
        let (interface, _) = ends(INTERFACES, role);
        let (own, other) = ends(OWN_ADDRESSES, role);
        Self::on(libos(Wire::Packet, interface, own)?, size, own, other)
    }

    /// An end at its own address, for messages to the other's.
    pub fn on(mut libos: LibOs, size: usize, own: Ipv4Addr, other: Ipv4Addr) -> Result<Self> {
        let qd = libos.socket(Domain::V4, Kind::Datagram)?;
        libos.bind(qd, at(own)).context("bind")?;
        let message = crate::channel::margay::filled(&mut libos, size)?;
        Ok(Self { libos, qd, to: at(other), message })
    }
}

impl Channel for Catnip {
    #[inline]
    fn send(&mut self) -> Result<()> {
        let qt = self.libos.push_to(self.qd, &self.message[..], self.to)?;
        match self.libos.wait(qt, None)?.outcome {
            Outcome::Push => Ok(()),
            Outcome::Failed(error) => Err(error).context("push"),
            other => bail!("a push ended as {other:?}"),
        }
    }

    #[inline]
    fn receive(&mut self) -> Result<()> {
        let qt = self.libos.pop(self.qd, None)?;
        let datagram = self.libos.wait(qt, None)?.into_datagram().context("pop")?;
        ensure!(datagram.len() == self.message.len(), "a datagram of another length came");
        Ok(())
    }
}

/// A socket of the kernel, which is asked for datagrams until there is one.
pub struct Kernel {
    socket: UdpSocket,
    to: SocketAddr,
    message: Vec<u8>,
}

impl Kernel {
    /// The end of `role`.
    pub fn new(role: Role, size: usize) -> Result<Self> {
        let (own, other) = ends(KERNEL_ADDRESSES, role);
        let socket = UdpSocket::bind(at(own)).context("bind")?;
        Ok(Self { socket, to: at(other), message: vec![7; size] })
    }
}

impl Channel for Kernel {
    fn send(&mut self) -> Result<()> {
        self.socket.send_to(&self.message, self.to).context("sendto")?;
        Ok(())
    }

    fn receive(&mut self) -> Result<()> {
        loop {
            match recv(&self.socket, &mut *self.message, RecvFlags::DONTWAIT) {
                Ok((len, _)) => {
                    ensure!(len == self.message.len(), "a datagram of another length came");
                    return Ok(());
                }
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(error) => return Err(error).context("recv"),
            }
        }
    }
}
