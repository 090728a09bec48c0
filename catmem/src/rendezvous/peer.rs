// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who is at the other end of a Unix socket: `SO_PEERCRED` of `unix(7)`.
//!
//! The kernel fixes the answer when the two ends meet (for the opener the creator's at `listen`, for the creator the
//! opener's at `connect`), so a later `setuid` or a descriptor passed on does not change it.

use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsRawFd, BorrowedFd};

use runtime::{Error, Result};

#[expect(clippy::cast_possible_truncation, reason = "three integers are 12 bytes")]
const CREDENTIALS_LEN: libc::socklen_t = size_of::<libc::ucred>() as libc::socklen_t;

/// Whether the process at the other end has our effective uid.
pub(super) fn is_same_user(socket: BorrowedFd<'_>) -> Result<bool> {
    Ok(uid(socket)? == rustix::process::geteuid().as_raw())
}

/// The effective uid of the other end.
///
/// `rustix::net::socket_peercred` cannot be used: its process id is a non-zero type, and the kernel says 0 for a peer
/// in a pid namespace that we do not see.
fn uid(socket: BorrowedFd<'_>) -> Result<u32> {
    let mut credentials = MaybeUninit::<libc::ucred>::zeroed();
    let mut len = CREDENTIALS_LEN;
    // SAFETY: both pointers are to live, writable locals, and `len` is the size of the first one, which the kernel
    // does not exceed.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            credentials.as_mut_ptr().cast(),
            &raw mut len,
        )
    };
    if result != 0 {
        let raw = std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO);
        return Err(Error::os(rustix::io::Errno::from_raw_os_error(raw), "getsockopt(SO_PEERCRED)"));
    }
    // SAFETY: a struct of three integers, zeroed at first, is valid whatever part of it the kernel wrote.
    Ok(unsafe { credentials.assume_init() }.uid)
}
