// SPDX-License-Identifier: MIT OR Apache-2.0
//! Claims of ports: who has which address and port, among all LibOses of a runtime directory.
//!
//! What always holds: of two claims that exclude each other, in whatever processes, at most one exists; a claim ends with
//! its value or with its process, however that ends; nothing here waits for another process for long. The rules are those
//! of `bind(2)` on Linux: a wildcard address excludes every other claim of its port, `[::]` those of IPv4 too.
//!
//! - `locks`: byte-range locks in one file, which is there as long as somebody uses it.
//! - `table`: which bytes stand for what, and what this LibOs holds.
//! - `ephemeral`: ports that the system chooses.
//!
//! A process of the same user can lock the whole file: then every claim fails at once, and nothing else happens.

mod ephemeral;
mod locks;
mod table;
#[cfg(test)]
mod tests;

pub use runtime::socket::Kind as Protocol;

use catmem::rendezvous::Directory;
use core::cell::RefCell;
use core::net::SocketAddr;
use ephemeral::Ephemeral;
use locks::LockFile;
use runtime::{Errno, Error, Result};
use std::rc::Rc;
use table::{Plan, Table, Taken};

const TAKEN: Error = Error::new(Errno::ADDRINUSE, "another socket has this address and port");
const FULL: Error = Error::new(Errno::ADDRINUSE, "no port of the ephemeral range is free");

/// The claims of one LibOs.
#[derive(Debug)]
pub struct Ports {
    state: RefCell<State>,
    file: LockFile,
}

#[derive(Debug)]
struct State {
    table: Table,
    ephemeral: Ephemeral,
}

impl Ports {
    /// No claims yet.
    ///
    /// # Errors
    /// `EBUSY` if another process keeps the lock file to itself, `EACCES` if its name is not a file's; else what the system
    /// says, such as `EMFILE`.
    pub fn open(directory: &Directory) -> Result<Rc<Self>> {
        let file = LockFile::open(directory)?;
        let state = RefCell::new(State { table: Table::default(), ephemeral: Ephemeral::new()? });
        Ok(Rc::new(Self { state, file }))
    }

    /// Claims an address and port; for port 0 one that is free.
    ///
    /// # Errors
    /// `EADDRINUSE` if another claim excludes it, or if no port is free (`connect` says `EADDRNOTAVAIL` then); else what
    /// the system says, such as `ENOLCK`.
    pub fn claim(self: &Rc<Self>, protocol: Protocol, mut address: SocketAddr) -> Result<Claim> {
        let plan = Plan::new(protocol, address.ip());
        let State { table, ephemeral } = &mut *self.state.borrow_mut();
        if address.port() == 0 {
            address.set_port(ephemeral.take(table, &self.file, plan)?.ok_or(FULL)?);
        } else if table.take(&self.file, plan, address.port())? != Taken::Yes {
            return Err(TAKEN);
        }
        Ok(Claim { ports: Rc::clone(self), plan, address })
    }
}

/// An address and port that nobody else can claim; given back on drop.
#[derive(Debug)]
pub struct Claim {
    ports: Rc<Ports>,
    plan: Plan,
    address: SocketAddr,
}

impl Claim {
    /// The address with its port, which is never 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.ports.state.borrow_mut().table.give(&self.ports.file, self.plan, self.address.port());
    }
}
