// SPDX-License-Identifier: MIT OR Apache-2.0
//! Clearing away what dead processes left in the directory.
//!
//! What always holds: only sockets are removed, only those that nobody listens on, and only under the directory's lock,
//! so that a name which is just being made is not taken away; live listeners hear nothing of it.

use super::FileName;
use super::directory::{Directory, connect, probe};
use runtime::{Error, Result};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir};
use rustix::io::Errno as OsErrno;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;

impl Directory {
    /// Looks at no more than `limit` sockets whose names end in `suffix`, and removes those of dead processes. Says how
    /// many it removed.
    ///
    /// # Errors
    ///
    /// `EBUSY` if another process keeps the directory locked, else what the system says.
    pub fn sweep(&self, suffix: &str, limit: usize) -> Result<usize> {
        let names = self.sockets(suffix, limit)?;
        let mut removed = 0;
        if !names.is_empty() {
            let _lock = self.lock()?;
            for name in names {
                removed += usize::from(self.is_stale(&name)? && self.remove(&name));
            }
        }
        Ok(removed)
    }

    fn sockets(&self, suffix: &str, limit: usize) -> Result<Vec<FileName>> {
        // A descriptor of its own: the place of the next entry belongs to the open file.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(self.as_fd(), ".", flags, Mode::empty())
            .map_err(|errno| Error::os(errno, "cannot open the directory of the pipes again"))?;
        let mut names = Vec::new();
        let mut space = [MaybeUninit::uninit(); 4096];
        let mut entries = RawDir::new(&file, &mut space);
        while names.len() < limit
            && let Some(entry) = entries.next()
        {
            let entry = entry.map_err(|errno| Error::os(errno, "getdents"))?;
            let socket = matches!(entry.file_type(), FileType::Socket | FileType::Unknown);
            if let Ok(name) = entry.file_name().to_str()
                && socket
                && name.ends_with(suffix)
                && let Ok(name) = FileName::new(name)
            {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn is_stale(&self, name: &FileName) -> Result<bool> {
        let Ok(stat) = rustix::fs::statat(self.as_fd(), name.as_ref(), AtFlags::SYMLINK_NOFOLLOW) else {
            return Ok(false);
        };
        if FileType::from_raw_mode(stat.st_mode) != FileType::Socket {
            return Ok(false);
        }
        Ok(connect(&probe()?, &self.address(name)?) == Err(OsErrno::CONNREFUSED))
    }

    fn remove(&self, name: &FileName) -> bool {
        rustix::fs::unlinkat(self.as_fd(), name.as_ref(), AtFlags::empty()).is_ok()
    }
}
