// SPDX-License-Identifier: MIT OR Apache-2.0
//! TCP between two processes that have a network each.

use super::{OWN_ADDRESSES, at, ends, libos};
use crate::channel::Channel;
use crate::channel::kernel::{SpinningTcp, spinning_tcp};
use crate::channel::margay::{accept, filled};
use crate::process::apart::{INTERFACES, KERNEL_ADDRESSES};
use crate::process::job::Role;
use anyhow::{Context, Result, bail, ensure};
use margay::config::catnip::Wire;
use margay::{Buf, Domain, Kind, LibOs, Outcome, Qd, SocketOption};
use std::net::{Ipv4Addr, TcpListener, TcpStream};

/// One end of a connection of Margay's own stack.
pub struct CatnipStream {
    libos: LibOs,
    qd: Qd,
    /// The queue listens, and the connection has yet to come.
    listens: bool,
    message: Buf,
    /// Bytes that have come beyond the messages that were taken.
    ahead: usize,
}

impl CatnipStream {
    /// The end of `role` on the veth pair.
    pub fn new(role: Role, size: usize) -> Result<Self> {
        let (interface, _) = ends(INTERFACES, role);
        let (own, other) = ends(OWN_ADDRESSES, role);
        Self::on(libos(Wire::Packet, interface, own)?, role, size, own, other)
    }

    /// The end of `role`: the server listens at its own address, the client connects to the other's.
    pub fn on(mut libos: LibOs, role: Role, size: usize, own: Ipv4Addr, other: Ipv4Addr) -> Result<Self> {
        let qd = libos.socket(Domain::V4, Kind::Stream)?;
        libos.set_option(qd, SocketOption::NoDelay(true))?;
        let listens = role == Role::Server;
        if listens {
            libos.bind(qd, at(own)).context("bind")?;
            libos.listen(qd, 1).context("listen")?;
        } else {
            let qt = libos.connect(qd, at(other))?;
            libos.wait(qt, None)?.ok().context("connect")?;
        }
        let message = filled(&mut libos, size)?;
        Ok(Self { libos, qd, listens, message, ahead: 0 })
    }
}

impl Channel for CatnipStream {
    fn meet(&mut self) -> Result<()> {
        if self.listens {
            self.qd = accept(&mut self.libos, self.qd)?;
            self.listens = false;
        }
        Ok(())
    }

    #[inline]
    fn send(&mut self) -> Result<()> {
        let qt = self.libos.push(self.qd, self.message.view()?)?;
        match self.libos.wait(qt, None)?.outcome {
            Outcome::Push => Ok(()),
            Outcome::Failed(error) => Err(error).context("push"),
            other => bail!("a push ended as {other:?}"),
        }
    }

    #[inline]
    fn receive(&mut self) -> Result<()> {
        while self.ahead < self.message.len() {
            let qt = self.libos.pop(self.qd, None)?;
            let message = self.libos.wait(qt, None)?.into_message().context("pop")?;
            ensure!(!message.is_empty(), "the end came");
            self.ahead += message.len();
        }
        self.ahead -= self.message.len();
        Ok(())
    }
}

/// One end of a connection of the kernel's, which is asked for bytes until there are some.
pub struct KernelStream {
    listener: Option<TcpListener>,
    stream: Option<SpinningTcp>,
    size: usize,
}

impl KernelStream {
    /// The end of `role` on the veth pair.
    pub fn new(role: Role, size: usize) -> Result<Self> {
        let (own, other) = ends(KERNEL_ADDRESSES, role);
        Self::at(role, size, own, other)
    }

    /// The end of `role`: the server listens at its own address, the client connects to the other's.
    pub(super) fn at(role: Role, size: usize, own: Ipv4Addr, other: Ipv4Addr) -> Result<Self> {
        Ok(match role {
            Role::Server => Self { listener: Some(TcpListener::bind(at(own)).context("listen")?), stream: None, size },
            Role::Client => {
                let stream = TcpStream::connect(at(other)).context("connect")?;
                Self { listener: None, stream: Some(spinning_tcp(stream.into(), size)?), size }
            }
        })
    }

    fn stream(&mut self) -> Result<&mut SpinningTcp> {
        self.stream.as_mut().context("nobody has connected")
    }
}

impl Channel for KernelStream {
    fn meet(&mut self) -> Result<()> {
        if let Some(listener) = self.listener.take() {
            let (stream, _) = listener.accept().context("accept")?;
            self.stream = Some(spinning_tcp(stream.into(), self.size)?);
        }
        Ok(())
    }

    fn send(&mut self) -> Result<()> {
        self.stream()?.send()
    }

    fn receive(&mut self) -> Result<()> {
        self.stream()?.receive()
    }
}
