// SPDX-License-Identifier: MIT OR Apache-2.0
//! The runtime directory of a LibOs and the claims of ports in it: opened with the first address, shared by all sockets.

use crate::names::SUFFIX;
use crate::ports::Ports;
use catmem::rendezvous::Directory;
use core::cell::OnceCell;
use runtime::Result;
use runtime::limits::NAMES_SWEPT_MAX;
use std::path::PathBuf;
use std::rc::Rc;

/// Where sockets find each other.
pub struct Places {
    path: Option<PathBuf>,
    opened: OnceCell<Opened>,
}

/// The same, opened.
pub struct Opened {
    /// Where names are.
    pub directory: Directory,
    /// Who has which port.
    pub ports: Rc<Ports>,
}

impl Places {
    /// In this directory, or the default one. Nothing is opened yet.
    pub fn new(path: Option<PathBuf>) -> Rc<Self> {
        Rc::new(Self { path, opened: OnceCell::new() })
    }

    /// Opens them at the first call, and clears away some names of dead processes then.
    ///
    /// # Errors
    /// What the system says when it is opened.
    pub fn open(&self) -> Result<&Opened> {
        if let Some(opened) = self.opened.get() {
            return Ok(opened);
        }
        let directory = Directory::open(&self.path.clone().unwrap_or_else(Directory::default_path))?;
        let ports = Ports::open(&directory)?;
        match directory.sweep(SUFFIX, NAMES_SWEPT_MAX) {
            Ok(0) => {}
            Ok(count) => log::info!("removed {count} names of sockets whose processes are dead"),
            // They can be replaced one by one all the same.
            Err(error) => log::debug!("could not look for names of dead processes: {error}"),
        }
        Ok(self.opened.get_or_init(|| Opened { directory, ports }))
    }
}
