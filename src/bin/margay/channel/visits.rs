// SPDX-License-Identifier: MIT OR Apache-2.0
//! Connections that come and go: the client connects, the server accepts and closes, the client reads the end and closes.
//! So no side is ever further than one connection ahead, and a visit is all that a connection costs.

use super::margay::{accept, connect, libos, listen};
use super::{MargayUse, Sockets, Visits};
use crate::process::job::{Place, Role};
use anyhow::{Context, Result, ensure};
use margay::{LibOs, Qd};
use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;

/// Margay's.
pub struct Margay {
    libos: LibOs,
    /// The server's.
    listening: Option<Qd>,
    place: Place,
}

impl Margay {
    /// The side of `role`.
    pub fn new(place: &Place, role: Role, how: MargayUse) -> Result<Self> {
        let mut libos = libos(place, how, role)?;
        let listening = (role == Role::Server).then(|| listen(&mut libos, Sockets::Catloop, place)).transpose()?;
        Ok(Self { libos, listening, place: place.clone() })
    }
}

impl Visits for Margay {
    fn visit(&mut self) -> Result<()> {
        let qd = if let Some(listening) = self.listening {
            accept(&mut self.libos, listening)?
        } else {
            let qd = connect(&mut self.libos, &self.place, 1)?[0];
            let popped = self.libos.pop(qd, None)?;
            let end = self.libos.wait(popped, None)?.into_message().context("pop")?;
            ensure!(end.is_empty(), "the end was awaited, and something else came");
            qd
        };
        let closed = self.libos.close(qd)?;
        self.libos.wait(closed, None)?.ok().context("close")
    }
}

/// The kernel's.
pub enum Tcp {
    /// Accepts.
    Server(TcpListener),
    /// Connects.
    Client(SocketAddr),
}

impl Tcp {
    /// A socket that listens, for each side: the client only asks it for its address.
    pub fn descriptors() -> Result<[Vec<OwnedFd>; 2]> {
        let listener = super::kernel::loopback_listener()?;
        let second = listener.try_clone().context("cannot use a socket twice")?;
        Ok([vec![listener.into()], vec![second.into()]])
    }

    /// The side of `role`.
    pub fn new(fd: OwnedFd, role: Role) -> Result<Self> {
        let listener = TcpListener::from(fd);
        Ok(match role {
            Role::Server => Self::Server(listener),
            Role::Client => Self::Client(listener.local_addr()?),
        })
    }
}

impl Visits for Tcp {
    fn visit(&mut self) -> Result<()> {
        match self {
            Self::Server(listener) => listener.accept().map(drop).context("accept"),
            Self::Client(address) => {
                let mut stream = TcpStream::connect(*address).context("connect")?;
                ensure!(stream.read(&mut [0])? == 0, "the end was awaited, and something else came");
                Ok(())
            }
        }
    }
}
