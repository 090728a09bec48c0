// SPDX-License-Identifier: MIT OR Apache-2.0
//! The runtime directory and the shared memory behind pipes, as they are found.
//!
//! The rules are those of `catmem::rendezvous`: the directory is our user's own, no symbolic link, and nobody else can write
//! to it. It is made at the first use, so one that is missing is judged by the folder it would be made in.

use rustix::fs::{
    Access, FileType, MemfdFlags, Mode, SealFlags, access, fcntl_add_seals, lstat, memfd_create, statvfs,
};
use std::path::{Path, PathBuf};

/// The runtime directory.
#[derive(Debug)]
pub struct Directory {
    /// Where it is.
    pub path: PathBuf,
    /// How it is.
    pub condition: Condition,
    /// Bytes that can be written to its file system, if that can be known.
    pub free: Option<u64>,
}

/// How the runtime directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Ours alone.
    Private,
    /// Not there yet, and it can be made.
    ToBeMade,
    /// Not there, and it cannot be made.
    CannotBeMade,
    /// Something else has the name.
    NoDirectory,
    /// A symbolic link.
    Link,
    /// Another user's.
    Foreign,
    /// Others can write to it.
    Open,
    /// Ours, and it cannot be written to: its mode, or a read-only file system.
    ReadOnly,
}

impl Directory {
    /// Looks at it, and changes nothing.
    pub fn look(path: &Path) -> Self {
        // Without trailing slashes, behind which a link would be followed.
        let path: PathBuf = path.components().collect();
        let condition = condition(&path);
        let there = path.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
        let free = statvfs(there).ok().map(|fs| fs.f_bavail.saturating_mul(fs.f_frsize));
        Self { path, condition, free }
    }
}

fn condition(path: &Path) -> Condition {
    let writable = Access::WRITE_OK | Access::EXEC_OK;
    let Ok(stat) = lstat(path) else {
        let folder = path.ancestors().skip(1).find(|folder| folder.exists());
        let can = folder.is_some_and(|folder| folder.is_dir() && access(folder, writable).is_ok());
        return if can { Condition::ToBeMade } else { Condition::CannotBeMade };
    };
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Symlink => return Condition::Link,
        FileType::Directory => {}
        _ => return Condition::NoDirectory,
    }
    if stat.st_uid != rustix::process::geteuid().as_raw() {
        Condition::Foreign
    } else if Mode::from_raw_mode(stat.st_mode).intersects(Mode::WGRP | Mode::WOTH) {
        Condition::Open
    } else if access(path, Access::READ_OK | writable).is_err() {
        Condition::ReadOnly
    } else {
        Condition::Private
    }
}

/// Makes a sealed piece of shared memory, as each pipe is one, and lets it go.
pub fn make_shared() -> Result<(), String> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let sealed = memfd_create("margay-doctor", flags).and_then(|fd| {
        rustix::fs::ftruncate(&fd, 1 << 20)?;
        fcntl_add_seals(&fd, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)
    });
    sealed.map_err(|errno| format!("memfd_create: {}", std::io::Error::from(errno)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{DirBuilder, set_permissions, write};
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};

    #[test]
    fn every_condition_is_recognised() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        let is = |name: &str| Directory::look(&at(name)).condition;
        DirBuilder::new().mode(0o700).create(at("private")).expect("made");
        assert_eq!(is("private"), Condition::Private);
        symlink(at("private"), at("link")).expect("made");
        assert_eq!((is("link"), is("link/")), (Condition::Link, Condition::Link));
        write(at("file"), "").expect("written");
        assert_eq!((is("file"), is("file/below")), (Condition::NoDirectory, Condition::CannotBeMade));
        assert_eq!((is("new"), is("new/and/deep")), (Condition::ToBeMade, Condition::ToBeMade));
        DirBuilder::new().create(at("open")).expect("made");
        set_permissions(at("open"), PermissionsExt::from_mode(0o770)).expect("changed");
        assert_eq!(is("open"), Condition::Open);
        if !rustix::process::geteuid().is_root() {
            set_permissions(at("open"), PermissionsExt::from_mode(0o500)).expect("changed");
            assert_eq!(is("open"), Condition::ReadOnly);
            assert_eq!(Directory::look(Path::new("/")).condition, Condition::Foreign);
        }
        assert!(Directory::look(&at("new")).free.is_some());
        assert!(!at("new").exists());
    }

    #[test]
    fn shared_memory_can_be_made() {
        make_shared().expect("Linux has it since 3.17");
    }
}
