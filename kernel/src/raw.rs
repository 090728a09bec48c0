// SPDX-License-Identifier: MIT OR Apache-2.0
//! The calls that rustix does not have: `MSG_ZEROCOPY` and its error queue (Documentation/networking/msg_zerocopy.rst),
//! `SIOCOUTQ` and reading away (`tcp(7)`), `UDP_SEGMENT` (`udp(7)`), `SO_MEMINFO`, `TCP_INFO`, a look at an epoll set, and the bytes of an address. The only unsafe code of
//! the crate.

use core::mem::{MaybeUninit, size_of};
use core::{ptr, slice};
use runtime::limits::SOCKETS_PER_LOOK;
use runtime::tcp_info::{LINUX_LEN, TcpInfo};
use runtime::{Error, Result};
use rustix::net::{SendFlags, SocketAddrAny};
use std::os::fd::{AsFd, AsRawFd};

/// `MSG_ZEROCOPY`: the kernel reads the memory until it says otherwise by [`taken`].
pub const ZERO_COPY: SendFlags = SendFlags::from_bits_retain(libc::MSG_ZEROCOPY.cast_unsigned());

/// `SO_EE_ORIGIN_ZEROCOPY` of `linux/errqueue.h`.
const ORIGIN_ZERO_COPY: u8 = 5;
/// The words of `SO_MEMINFO`, one of which counts drops.
const MEMINFO_WORDS: usize = 9;
const MEMINFO_DROPS: usize = 8;
/// [`SOCKETS_PER_LOOK`], as the kernel takes it.
const ROOM: u8 = SOCKETS_PER_LOOK as u8;
const _: () = assert!(ROOM as usize == SOCKETS_PER_LOOK);
/// Bytes that are read away with one call.
const DISCARDED_MAX: usize = 16 << 10;
/// Room for the control message of one notification: its header, `sock_extended_err`, and an address behind it.
const CONTROL_WORDS: usize = 16;

fn error(call: &'static str) -> Error {
    Error::os(last_errno(), call)
}

fn last_errno() -> rustix::io::Errno {
    // SAFETY: the place of this thread's errno is valid for as long as the thread is.
    rustix::io::Errno::from_raw_os_error(unsafe { *libc::__errno_location() })
}

/// The bytes of an address.
pub(crate) fn bytes(address: &SocketAddrAny) -> &[u8] {
    // SAFETY: `SocketAddrAny` promises that so many bytes of its storage are initialised, and the borrow keeps it where it
    // is.
    unsafe { slice::from_raw_parts(address.as_ptr().cast(), address.addr_len() as usize) }
}

/// From now on the socket may be sent to with [`ZERO_COPY`].
///
/// # Errors
/// `ENOTSUP` this kind of socket cannot, `ENOPROTOOPT` the kernel cannot.
pub fn enable_zero_copy(fd: impl AsFd) -> Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: an option whose value is an int, which is read only during the call.
    let done = unsafe {
        libc::setsockopt(
            fd.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ZEROCOPY,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if done == 0 { Ok(()) } else { Err(error("setsockopt: SO_ZEROCOPY")) }
}

/// `UDP_SEGMENT` of `udp(7)`: what is sent leaves as datagrams of so many bytes; 0: as one.
///
/// # Errors
/// `ENOPROTOOPT` no UDP socket, or the kernel cannot.
pub(crate) fn set_segment_size(fd: impl AsFd, size: u16) -> Result<()> {
    let size = libc::c_int::from(size);
    // SAFETY: an option whose value is an int, which is read only during the call.
    let done = unsafe {
        libc::setsockopt(
            fd.as_fd().as_raw_fd(),
            libc::SOL_UDP,
            libc::UDP_SEGMENT,
            (&raw const size).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if done == 0 { Ok(()) } else { Err(error("setsockopt: UDP_SEGMENT")) }
}

/// What [`set_segment_size`] has set.
///
/// # Errors
/// As there.
pub(crate) fn segment_size(fd: impl AsFd) -> Result<u16> {
    let mut size: libc::c_int = 0;
    let mut len = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: an option whose value is an int; both are written to during the call only, and are as long as they say.
    let done = unsafe {
        libc::getsockopt(fd.as_fd().as_raw_fd(), libc::SOL_UDP, libc::UDP_SEGMENT, (&raw mut size).cast(), &raw mut len)
    };
    // The kernel takes no larger one.
    if done == 0 { Ok(u16::try_from(size).unwrap_or(u16::MAX)) } else { Err(error("getsockopt: UDP_SEGMENT")) }
}

/// `TCP_INFO` of `tcp(7)`.
///
/// # Errors
/// From `getsockopt(2)`.
pub(crate) fn tcp_info(fd: impl AsFd) -> Result<TcpInfo> {
    let mut bytes = [0_u8; LINUX_LEN];
    let mut len = LINUX_LEN as libc::socklen_t;
    // SAFETY: the kernel writes no more than `len` bytes, which are there.
    let done = unsafe {
        libc::getsockopt(
            fd.as_fd().as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            bytes.as_mut_ptr().cast(),
            &raw mut len,
        )
    };
    // What an older kernel does not write is zero.
    if done == 0 { Ok(TcpInfo::from_linux(&bytes)) } else { Err(error("getsockopt: TCP_INFO")) }
}

/// Sends with [`ZERO_COPY`] that the kernel has done with, by their numbers: each send that succeeded has one, from 0 on,
/// going round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Done {
    /// The first of them.
    pub first: u32,
    /// The last of them.
    pub last: u32,
}

impl Done {
    /// How many they are.
    #[must_use]
    pub const fn count(self) -> u32 {
        self.last.wrapping_sub(self.first).wrapping_add(1)
    }

    /// Whether this send is among them.
    #[must_use]
    pub const fn contains(self, number: u32) -> bool {
        number.wrapping_sub(self.first) < self.count()
    }
}

/// One notification of a socket's error queue; `None` if there is no more.
///
/// # Errors
/// From `recvmsg(2)`.
pub fn taken(fd: impl AsFd) -> Result<Option<Done>> {
    loop {
        let mut control = [0_u64; CONTROL_WORDS];
        // SAFETY: zero is a valid value of all its fields.
        let mut header: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
        header.msg_control = control.as_mut_ptr().cast();
        header.msg_controllen = size_of_val(&control);
        // SAFETY: the header names `control`, which is writable and as long as it says, and nothing else.
        let done =
            unsafe { libc::recvmsg(fd.as_fd().as_raw_fd(), &raw mut header, libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT) };
        if done < 0 {
            match last_errno() {
                rustix::io::Errno::AGAIN => return Ok(None),
                rustix::io::Errno::INTR => continue,
                _ => return Err(error("recvmsg: the error queue")),
            }
        }
        // SAFETY: the kernel has filled the header and `control`.
        if let Some(range) = unsafe { notification(&header) } {
            return Ok(Some(range));
        }
        // Another kind of error: nobody has asked for such.
    }
}

/// The notification in a header.
///
/// # Safety
/// `recvmsg` has filled it, and the control buffer that it names is still there.
unsafe fn notification(header: &libc::msghdr) -> Option<Done> {
    // SAFETY: the caller's promise.
    let mut at = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !at.is_null() {
        // SAFETY: `CMSG_FIRSTHDR` and `CMSG_NXTHDR` give null or a header inside of the control buffer.
        let (level, kind, len) = unsafe { ((*at).cmsg_level, (*at).cmsg_type, (*at).cmsg_len) };
        let named = matches!((level, kind), (libc::SOL_IP, libc::IP_RECVERR) | (libc::SOL_IPV6, libc::IPV6_RECVERR));
        // SAFETY: only computes; the length is that of a `sock_extended_err` with its header.
        let need = unsafe { libc::CMSG_LEN(size_of::<libc::sock_extended_err>() as u32) } as usize;
        if named && len >= need {
            // SAFETY: so many bytes of data are there, as the length has shown; they need no alignment.
            let error: libc::sock_extended_err = unsafe { ptr::read_unaligned(libc::CMSG_DATA(at).cast()) };
            if error.ee_errno == 0 && error.ee_origin == ORIGIN_ZERO_COPY {
                return Some(Done { first: error.ee_info, last: error.ee_data });
            }
        }
        // SAFETY: as above.
        at = unsafe { libc::CMSG_NXTHDR(header, at) };
    }
    None
}

/// Bytes that were sent and that the peer has not acknowledged (of a Unix socket: not read), its end included. None are left
/// once the connection has broken.
///
/// # Errors
/// From `ioctl(2)`.
pub fn unsent(fd: impl AsFd) -> Result<usize> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: `SIOCOUTQ`, which has the number of `TIOCOUTQ`, writes one int.
    let done = unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    if done != 0 {
        return Err(error("ioctl: SIOCOUTQ"));
    }
    // After a reset the kernel still says what was on its way then.
    if bytes != 0 && rustix::net::getpeername(fd.as_fd()) == Err(rustix::io::Errno::NOTCONN) {
        return Ok(0);
    }
    Ok(usize::try_from(bytes).unwrap_or(0))
}

/// Gives `take` what an epoll set has now, a name and `EPOLL*` flags each, for [`SOCKETS_PER_LOOK`] descriptors at most. By
/// `epoll_wait(2)`: `epoll_pwait2(2)` also copies a time and sets signals, which a server that looks all the time pays for.
#[inline]
pub fn events_now(epoll: impl AsFd, mut take: impl FnMut(u64, u32)) {
    let mut space = [const { MaybeUninit::<libc::epoll_event>::uninit() }; SOCKETS_PER_LOOK];
    let (events, room) = (space.as_mut_ptr().cast(), libc::c_int::from(ROOM));
    // SAFETY: the kernel writes no more than there is room for.
    let found = unsafe { libc::epoll_wait(epoll.as_fd().as_raw_fd(), events, room, 0) };
    // An open set gives no error but EINTR.
    for event in space.iter().take(usize::try_from(found).unwrap_or(0)) {
        // SAFETY: the kernel has written so many of them.
        let event = unsafe { event.assume_init_read() };
        take(event.u64, event.events);
    }
}

/// Reads away up to `most` bytes of a stream; of TCP the kernel does not even copy them. `Some(0)` is its end, `None`: there is
/// nothing now.
///
/// # Errors
/// From `recv(2)`.
pub fn discard(fd: impl AsFd, most: usize) -> Result<Option<usize>> {
    let mut space = [MaybeUninit::<u8>::uninit(); DISCARDED_MAX];
    let most = most.min(DISCARDED_MAX);
    let flags = libc::MSG_TRUNC | libc::MSG_DONTWAIT;
    loop {
        // SAFETY: the kernel writes no more than `most` bytes, for which there is room, and nobody reads them.
        let read = unsafe { libc::recv(fd.as_fd().as_raw_fd(), space.as_mut_ptr().cast(), most, flags) };
        if let Ok(read) = usize::try_from(read) {
            return Ok(Some(read));
        }
        match last_errno() {
            rustix::io::Errno::AGAIN => return Ok(None),
            rustix::io::Errno::INTR => {}
            _ => return Err(error("recv")),
        }
    }
}

/// What a socket has dropped because its receive buffer was full; goes round at 2^32.
///
/// # Errors
/// From `getsockopt(2)`.
pub fn dropped(fd: impl AsFd) -> Result<u32> {
    let mut words = [0_u32; MEMINFO_WORDS];
    let mut len = size_of_val(&words) as libc::socklen_t;
    // SAFETY: the kernel writes no more than `len` bytes, which are there.
    let done = unsafe {
        libc::getsockopt(
            fd.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            words.as_mut_ptr().cast(),
            &raw mut len,
        )
    };
    if done == 0 { Ok(words[MEMINFO_DROPS]) } else { Err(error("getsockopt: SO_MEMINFO")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::time::Duration;

    const NAP: Duration = Duration::from_millis(1);
    const TRIES: u32 = 20_000;

    #[test]
    fn ranges_of_sends_go_round() {
        let range = Done { first: u32::MAX, last: 1 };
        assert_eq!(range.count(), 3);
        assert_eq!(
            [u32::MAX - 1, u32::MAX, 0, 1, 2].map(|number| range.contains(number)),
            [false, true, true, true, false]
        );
        assert_eq!(Done { first: 7, last: 7 }.count(), 1);
    }

    #[test]
    fn what_the_peer_has_not_taken_is_unsent() {
        let (mut near, mut far) = std::os::unix::net::UnixStream::pair().unwrap();
        assert_eq!(unsent(&near).unwrap(), 0);
        near.write_all(b"waiting").unwrap();
        assert_ne!(unsent(&near).unwrap(), 0);
        far.read_exact(&mut [0; 7]).unwrap();
        assert_eq!(unsent(&near).unwrap(), 0);
    }

    #[test]
    fn nothing_is_unsent_after_a_reset() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (far, _) = listener.accept().unwrap();
        near.set_nonblocking(true).unwrap();
        let bytes = vec![7; 65_536];
        while near.write(&bytes).is_ok() {}
        assert_ne!(unsent(&near).unwrap(), 0);
        // What it has not read makes the end a reset.
        drop(far);
        for tries in 0.. {
            if unsent(&near).unwrap() == 0 {
                break;
            }
            assert!(tries < TRIES, "it waits for nobody");
            std::thread::sleep(NAP);
        }
    }

    #[test]
    fn streams_are_read_away() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (tcp, _) = listener.accept().unwrap();
        let (unix, mut other) = std::os::unix::net::UnixStream::pair().unwrap();
        assert_eq!((discard(&tcp, 10).unwrap(), discard(&unix, 10).unwrap()), (None, None));
        for (near, far) in [(tcp.as_fd(), &mut peer as &mut dyn Write), (unix.as_fd(), &mut other)] {
            far.write_all(&vec![7; 100_000]).unwrap();
            let (mut left, mut tries) = (99_990, 0);
            while left > 0 {
                left -= discard(near, left).unwrap().unwrap_or(0);
                tries += 1;
                assert!(tries < TRIES, "{left} bytes do not come");
                std::thread::sleep(NAP);
            }
        }
        drop((peer, other));
        for mut near in
            [&tcp as &dyn AsFd, &unix].map(|fd| std::fs::File::from(fd.as_fd().try_clone_to_owned().unwrap()))
        {
            let mut rest = Vec::new();
            near.read_to_end(&mut rest).unwrap();
            assert_eq!(rest, [7; 10], "no more was taken than was asked for");
            assert_eq!(discard(&near, 10).unwrap(), Some(0));
        }
    }

    #[test]
    fn drops_of_a_full_socket_are_counted() {
        let (server, client) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        rustix::net::sockopt::set_socket_recv_buffer_size(&server, 4096).unwrap();
        assert_eq!(dropped(&server).unwrap(), 0);
        let to = server.local_addr().unwrap();
        for _ in 0..100 {
            client.send_to(&[0; 1000], to).unwrap();
        }
        server.set_nonblocking(true).unwrap();
        let mut popped = 0;
        while server.recv(&mut [0; 1000]).is_ok() {
            popped += 1;
        }
        assert_eq!(popped + dropped(&server).unwrap(), 100);
        assert_ne!(popped, 100);
    }

    #[test]
    fn sends_without_a_copy_are_notified() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut far, _) = listener.accept().unwrap();
        enable_zero_copy(&near).unwrap();
        assert_eq!(taken(&near).unwrap(), None);
        let bytes = vec![7; 30_000];
        for _ in 0..3 {
            assert_eq!(rustix::net::send(&near, &bytes, ZERO_COPY | SendFlags::NOSIGNAL).unwrap(), bytes.len());
        }
        let mut read = vec![0; 3 * bytes.len()];
        far.read_exact(&mut read).unwrap();
        let (mut next, mut tries) = (0, 0);
        while next < 3 {
            match taken(&near).unwrap() {
                Some(range) => {
                    assert_eq!(range.first, next);
                    next += range.count();
                }
                None => std::thread::sleep(NAP),
            }
            tries += 1;
            assert!(tries < TRIES, "only {next} sends were notified");
        }
        assert_eq!((next, taken(&near).unwrap()), (3, None));
        assert!(enable_zero_copy(std::os::unix::net::UnixStream::pair().unwrap().0).is_err());
    }
}
