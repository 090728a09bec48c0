// SPDX-License-Identifier: MIT OR Apache-2.0
//! The shared memory of a pipe: a sealed memfd, mapped.
//!
//! What always holds: every byte of a mapping lies inside its file for as long as the mapping lives, whatever the other
//! process does. It cannot make the file shorter (`F_SEAL_SHRINK`), nor could it ever (`F_SEAL_SEAL` keeps the seals), so no
//! peer can have an access end in `SIGBUS`. Huge-page files are refused, because a hole punched into one can do just that.
//!
//! What does not hold: pages come with the first touch. Where the kernel promises no more memory than it has
//! (`vm.overcommit_memory` 2), that touch ends in `SIGBUS` once all is promised. To have the pages from the start would take
//! the memory of whole rings and slots for every pipe, used or not.
//!
//! Texts: `memfd_create(2)`, `F_GET_SEALS` in `fcntl(2)`, `mmap(2)`.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::{self, NonNull};

use runtime::{Errno, Error, Result};
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::Errno as OsErrno;
use rustix::mm::{MapFlags, ProtFlags};

#[cfg(test)]
mod tests;

/// Set by the creator, and asked of it by the opener.
const SEALS: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::SEAL);

/// `statfs(2)`: what an ordinary memfd lives on.
const TMPFS_MAGIC: rustix::fs::FsWord = 0x0102_1994;

/// A shared memory segment in this process's address space, unmapped on drop.
#[derive(Debug)]
pub struct Mapping {
    base: NonNull<u8>,
    len: usize,
}

impl Mapping {
    /// Makes a zeroed segment of `len` bytes and maps it; the descriptor is what the other process needs.
    ///
    /// # Errors
    ///
    /// `EINVAL` for no bytes or more than an address space has, else what the system says, such as `ENOMEM`.
    pub fn create(len: usize) -> Result<(Self, OwnedFd)> {
        let size = check_len(len)?;
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let fd = match rustix::fs::memfd_create("margay-pipe", flags | MemfdFlags::NOEXEC_SEAL) {
            // Kernels before 6.3 do not know the flag; some later ones are set up to demand it.
            Err(OsErrno::INVAL) => rustix::fs::memfd_create("margay-pipe", flags),
            other => other,
        }
        .map_err(|errno| Error::os(errno, "memfd_create"))?;
        rustix::fs::ftruncate(&fd, size).map_err(|errno| Error::os(errno, "ftruncate of the pipe's memory"))?;
        rustix::fs::fcntl_add_seals(&fd, SEALS).map_err(|errno| Error::os(errno, "fcntl(F_ADD_SEALS)"))?;
        let mapping = Self::map(fd.as_fd(), len).map_err(|errno| Error::os(errno, "mmap of the pipe's memory"))?;
        Ok((mapping, fd))
    }

    /// Maps a segment that came from a peer. The descriptor is not needed afterwards.
    ///
    /// # Errors
    ///
    /// `EPROTO` if it is not a memfd of exactly `expected_len` bytes, sealed against any change of that, and writable;
    /// `ENOMEM` and the like if the system cannot map it.
    pub fn attach(fd: impl AsFd, expected_len: usize) -> Result<Self> {
        let fd = fd.as_fd();
        let size = check_len(expected_len)?;
        // The seals come first: the size means nothing until it cannot change. Only a memfd can have them.
        match rustix::fs::fcntl_get_seals(fd) {
            Ok(seals) if seals.contains(SEALS) => {}
            Ok(_) | Err(OsErrno::INVAL | OsErrno::BADF) => {
                return Err(Error::new(Errno::PROTO, "the peer's memory is no sealed memfd"));
            }
            Err(errno) => return Err(Error::os(errno, "fcntl(F_GET_SEALS)")),
        }
        let file_system = rustix::fs::fstatfs(fd).map_err(|errno| Error::os(errno, "fstatfs"))?;
        if file_system.f_type != TMPFS_MAGIC {
            return Err(Error::new(Errno::PROTO, "the peer's memory is of huge pages"));
        }
        let stat = rustix::fs::fstat(fd).map_err(|errno| Error::os(errno, "fstat"))?;
        if u64::try_from(stat.st_size) != Ok(size) {
            return Err(Error::new(Errno::PROTO, "the peer's memory has another length than it said"));
        }
        Self::map(fd, expected_len).map_err(|errno| match errno {
            // Sealed by F_SEAL_WRITE or F_SEAL_FUTURE_WRITE, or not opened for reading and writing.
            OsErrno::PERM | OsErrno::ACCESS => Error::new(Errno::PROTO, "the peer's memory cannot be written"),
            errno => Error::os(errno, "mmap of the pipe's memory"),
        })
    }

    fn map(fd: BorrowedFd<'_>, len: usize) -> rustix::io::Result<Self> {
        // SAFETY: the kernel chooses an address range that nothing uses yet, so no memory of ours is replaced.
        let address = unsafe {
            rustix::mm::mmap(ptr::null_mut(), len, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, fd, 0)
        }?;
        let base = NonNull::new(address.cast()).ok_or(OsErrno::NOMEM)?;
        Ok(Self { base, len })
    }

    /// The first byte, aligned to a page.
    ///
    /// All `len` bytes can be read and written until the mapping drops, as far as there is memory. The other process may
    /// write them at any time, so they must only be touched by atomics, or by raw copies whose outcome is checked; never
    /// through a reference.
    #[must_use]
    pub const fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// The length in bytes, never 0.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a mapping is never empty")]
    pub const fn len(&self) -> usize {
        self.len
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: `map` made exactly this range, and only this drop unmaps it. Whoever keeps pointers into it has to
        // keep the mapping alive, as `base` says.
        let unmapped = unsafe { rustix::mm::munmap(self.base.as_ptr().cast(), self.len) };
        debug_assert_eq!(unmapped, Ok(()), "a range that mmap gave can be unmapped");
    }
}

/// The length as the kernel counts files, if a slice could have it.
fn check_len(len: usize) -> Result<u64> {
    if len == 0 || isize::try_from(len).is_err() {
        return Err(Error::new(Errno::INVAL, "the length of a pipe's memory is out of range"));
    }
    u64::try_from(len).map_err(|_| Error::new(Errno::INVAL, "the length of a pipe's memory is out of range"))
}
