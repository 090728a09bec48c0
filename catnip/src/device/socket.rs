// SPDX-License-Identifier: MIT OR Apache-2.0
//! Frames over Unix datagram sockets (`unix(7)`), one in each datagram, as QEMU's `-netdev dgram` has them: a wire between two
//! processes that takes no right at all.
//!
//! Each end has a path of its own and names the other's. As with a wire, nobody notices whether there is another end: frames to nobody
//! are dropped, and counted. A peer that does not keep up fills the kernel's queue (`net.unix.max_dgram_qlen`); the rest then
//! stays in the burst.

use super::raw::{Received, UnixPath, receive_many, send_many};
use super::{frame_max, received, sent};
use runtime::buf::{Buf, Pools};
use runtime::device::{BURST_FRAMES_MAX, Burst, Caps, Device, DeviceCounters, Frame};
use runtime::{Errno, Error, Result};
use rustix::fs::{FileType, lstat, unlink};
use rustix::io::{Errno as Os, retry_on_intr};
use rustix::net::{
    AddressFamily, RecvFlags, SocketAddrUnix, SocketFlags, SocketType, bind, connect, recv, socket_with,
};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Buffers for the next frames at least: when nothing comes, so few are offered to the kernel.
const BATCH_MIN: usize = 4;
/// Bytes for which the kernel holds frames on the way to the peer.
const SEND_BUFFER: usize = 1 << 20;

const TAKEN: Error = Error::new(Errno::ADDRINUSE, "somebody has this path");
const NO_SOCKET: Error =
    Error::new(Errno::ADDRINUSE, "there is a file at this path that is no socket: remove it, or name another");

/// One end of the wire.
pub struct Socket {
    socket: OwnedFd,
    path: PathBuf,
    peer: UnixPath,
    pools: Pools,
    mtu: u16,
    /// Buffers for what comes next.
    buffers: Vec<Buf>,
    /// How many of them are offered at once: twice as many as came the last time.
    batch: usize,
    counters: DeviceCounters,
}

impl Socket {
    /// The end at `path` of a wire to the end at `peer`. A file that a dead process has left at `path` is replaced.
    ///
    /// # Errors
    /// `EADDRINUSE` somebody has the path, or it is that of another kind of file; `ENAMETOOLONG`, `EINVAL` it is none for a socket; `EACCES`, `ENOENT` and others of `bind(2)`.
    pub fn open(path: &Path, peer: &Path, mtu: u16, pools: Pools) -> Result<Self> {
        let peer = UnixPath::new(peer)?;
        let address = SocketAddrUnix::new(path).map_err(|errno| Error::os(errno, "the path of a Unix socket"))?;
        let socket = datagram()?;
        match bind(&socket, &address) {
            Err(Os::ADDRINUSE) => {
                make_room(path, &address)?;
                bind(&socket, &address).map_err(|errno| Error::os(errno, "bind: the path of a wire"))?;
            }
            bound => bound.map_err(|errno| Error::os(errno, "bind: the path of a wire"))?,
        }
        // What the kernel has by itself does, too.
        let _ = rustix::net::sockopt::set_socket_send_buffer_size(&socket, SEND_BUFFER);
        Ok(Self {
            socket,
            path: path.to_owned(),
            peer,
            pools,
            mtu,
            buffers: Vec::with_capacity(BURST_FRAMES_MAX),
            batch: BATCH_MIN,
            counters: DeviceCounters::default(),
        })
    }

    /// Takes a frame for which there is no buffer from the kernel. False: there is none.
    #[cold]
    fn discard(&mut self) -> bool {
        let gone = retry_on_intr(|| recv(&self.socket, &mut [0_u8; 1][..], RecvFlags::DONTWAIT));
        self.counters.receive_drops += u64::from(gone.is_ok());
        gone.is_ok()
    }

    /// Hands on the frames that came into the first buffers.
    fn hand_on(&mut self, came: &[Received], burst: &mut Burst) {
        for (mut buffer, received_) in self.buffers.drain(..came.len()).zip(came) {
            if received_.cut || buffer.truncate(received_.len).is_err() {
                self.counters.receive_drops += 1;
                continue;
            }
            received(&mut self.counters, received_.len);
            // No more are asked for than there is room for.
            let _ = burst.push(Frame::from(runtime::buf::Sga::from(buffer)));
        }
    }
}

/// Removes the socket that a dead process has left at a path.
fn make_room(path: &Path, address: &SocketAddrUnix) -> Result<()> {
    match lstat(path).map(|stat| FileType::from_raw_mode(stat.st_mode)) {
        Ok(FileType::Socket) if connect(&datagram()?, address) != Err(Os::CONNREFUSED) => return Err(TAKEN),
        // It refuses just as a dead socket does, and is not ours to remove.
        Ok(kind) if kind != FileType::Socket => return Err(NO_SOCKET),
        // What stands in the way still, the second bind says.
        Ok(_) | Err(_) => drop(unlink(path)),
    }
    Ok(())
}

fn datagram() -> Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)
        .map_err(|errno| Error::os(errno, "socket: a wire over Unix sockets"))
}

impl Device for Socket {
    fn name(&self) -> &'static str {
        "socket"
    }

    fn address(&self) -> Option<[u8; 6]> {
        None
    }

    fn caps(&self) -> Caps {
        Caps { mtu: self.mtu, headroom: 0, checksum: false, segments_tcp: false, segments_udp: false }
    }

    fn rx(&mut self, burst: &mut Burst) -> Result<()> {
        let mut came = [Received::default(); BURST_FRAMES_MAX];
        // What is dropped counts as well: who sends nothing else must not keep this going.
        let mut left = BURST_FRAMES_MAX - burst.len();
        loop {
            let wanted = self.batch.min(left);
            while self.buffers.len() < wanted
                && let Ok(buffer) = self.pools.alloc(frame_max(self.mtu))
            {
                self.buffers.push(buffer);
            }
            let offered = wanted.min(self.buffers.len());
            if offered == 0 {
                if wanted == 0 || !self.discard() {
                    return Ok(());
                }
                left -= 1;
                continue;
            }
            let count = match receive_many(self.socket.as_fd(), &mut self.buffers[..offered], &mut came) {
                Ok(count) => count,
                Err(Os::AGAIN) => 0,
                Err(Os::INTR) => continue,
                Err(errno) => return Err(Error::os(errno, "recvmmsg: a wire over Unix sockets")),
            };
            self.hand_on(came.get(..count).unwrap_or_default(), burst);
            left -= count;
            self.batch = (2 * count).clamp(BATCH_MIN, BURST_FRAMES_MAX);
            if count < offered {
                return Ok(());
            }
        }
    }

    fn tx(&mut self, burst: &mut Burst) -> Result<()> {
        while !burst.is_empty() {
            match send_many(self.socket.as_fd(), &self.peer, burst) {
                Ok(went) => {
                    for frame in core::iter::from_fn(|| burst.pop()).take(went) {
                        sent(&mut self.counters, frame.data.len());
                    }
                    if went == 0 {
                        return Ok(());
                    }
                }
                Err(Os::INTR) => {}
                Err(Os::AGAIN | Os::NOBUFS | Os::NOMEM) => return Ok(()),
                // Nobody is there, or not yet, or it is too long for the kernel: as on a wire, it is lost.
                Err(_) => {
                    burst.pop();
                    self.counters.send_drops += 1;
                }
            }
        }
        Ok(())
    }

    fn counters(&self) -> DeviceCounters {
        self.counters
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.socket.as_fd())
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Where it has gone already there is nothing to remove.
        let _ = unlink(&self.path);
    }
}
