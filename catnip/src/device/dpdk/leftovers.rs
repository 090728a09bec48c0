// SPDX-License-Identifier: MIT OR Apache-2.0
//! What `net_af_xdp` leaves behind when its port is closed (22.11): the XDP socket of each queue, whose number nobody knows any more. As long as
//! it is open the kernel keeps the queue, so that no port can be opened on that interface again, and the packet buffers of the fill ring.
//!
//! So the sockets are remembered when they appear, and closed behind the driver, those that it has left open. No later version that closes
//! them itself is harmed: a number that has become another socket's is let be.

use rustix::fs::fstat;
use rustix::net::AddressFamily;
use rustix::net::sockopt::{socket_domain, xdp_options};
use rustix::net::xdp::XdpOptionsFlags;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// A descriptor, and the number of what it stands for, which no other has while it is open (`proc_pid_fd(5)`).
type Socket = (RawFd, u64);

/// XDP sockets of a port.
pub struct Leftovers(Vec<Socket>);

impl Leftovers {
    /// Calls what makes one socket for each queue, and says for how many it did. `None`: it is not known which those are, for another library has made
    /// some as well.
    pub fn of(make: impl FnOnce() -> u16) -> Option<Self> {
        let _making = super::super::making_xdp_sockets();
        let before = sockets();
        let queues = make();
        let mut made = sockets();
        made.retain(|socket| !before.contains(socket));
        (made.len() == usize::from(queues)).then_some(Self(made))
    }

    /// Whether nobody writes to the packet buffers any more once they are closed. With zero copy the kernel stops the NIC some time later, on a thread of
    /// its own (`xp_release_deferred`).
    pub fn end_at_once(&self) -> bool {
        self.0.iter().all(|&(number, _)| {
            // SAFETY: as in `inode_of`.
            let asked = unsafe { BorrowedFd::borrow_raw(number) };
            xdp_options(asked).is_ok_and(|options| !options.contains(XdpOptionsFlags::XDP_OPTIONS_ZEROCOPY))
        })
    }

    /// Closes what is still there, once the port is closed.
    pub fn close(&mut self) {
        for (number, inode) in self.0.drain(..) {
            if inode_of(number) == Some(inode) {
                // SAFETY: the port's own socket, which its driver has forgotten: nobody else closes it or uses it.
                drop(unsafe { OwnedFd::from_raw_fd(number) });
            }
        }
    }
}

/// The XDP sockets of this process.
fn sockets() -> Vec<Socket> {
    let Ok(all) = std::fs::read_dir("/proc/self/fd") else { return Vec::new() };
    let numbers = all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    numbers.filter_map(|number| Some((number, inode_of(number)?))).collect()
}

/// What a descriptor is known by, if it is an XDP socket.
fn inode_of(number: RawFd) -> Option<u64> {
    // SAFETY: the kernel is only asked what this number stands for; it may be nothing by now, or something else.
    let asked = unsafe { BorrowedFd::borrow_raw(number) };
    (socket_domain(asked) == Ok(AddressFamily::XDP)).then(|| fstat(asked).ok().map(|is| is.st_ino))?
}
