// SPDX-License-Identifier: MIT OR Apache-2.0
//! The system calls that rustix does not have: several messages at once (`recvmmsg(2)`, `sendmmsg(2)`), interfaces
//! (`netdevice(7)`), TAP (`linux/if_tun.h`) and options of packet sockets (`packet(7)`).

use core::mem::{MaybeUninit, offset_of, size_of, zeroed};
use core::ptr;
use runtime::buf::Buf;
use runtime::device::{BURST_FRAMES_MAX, Burst};
use runtime::{Errno, Error, Result};
use rustix::io::Errno as Os;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Segments of all frames of one `sendmmsg`.
const VECTORS: usize = 4 * BURST_FRAMES_MAX;

const LONG_PATH: Error = Error::new(Errno::NAMETOOLONG, "the path of a Unix socket has at most 107 bytes");
const BAD_NAME: Error = Error::new(Errno::INVAL, "the name of an interface has 1 to 15 bytes, and no slash");

pub fn last_errno() -> Os {
    // SAFETY: the place of this thread's errno is valid for as long as the thread is.
    Os::from_raw_os_error(unsafe { *libc::__errno_location() })
}

/// What a call that gives -1 for an error gave.
fn checked(given: libc::c_int) -> core::result::Result<libc::c_int, Os> {
    if given < 0 { Err(last_errno()) } else { Ok(given) }
}

/// A path of a Unix socket as the kernel wants it.
pub struct UnixPath {
    address: libc::sockaddr_un,
    len: libc::socklen_t,
}

impl UnixPath {
    /// # Errors
    /// `ENAMETOOLONG`; `EINVAL` empty, or with a NUL byte.
    pub fn new(path: &Path) -> Result<Self> {
        // SAFETY: plain numbers, for which zeros are right.
        let mut address: libc::sockaddr_un = unsafe { zeroed() };
        address.sun_family = libc::AF_UNIX as libc::sa_family_t;
        let bytes = path.as_os_str().as_bytes();
        if bytes.is_empty() || bytes.contains(&0) {
            return Err(Error::new(Errno::INVAL, "the path of a Unix socket is empty, or has a NUL byte in it"));
        }
        // One byte stays for the NUL behind it.
        if bytes.len() >= address.sun_path.len() {
            return Err(LONG_PATH);
        }
        for (to, from) in address.sun_path.iter_mut().zip(bytes) {
            *to = from.cast_signed();
        }
        let len = offset_of!(libc::sockaddr_un, sun_path) + bytes.len() + 1;
        Ok(Self { address, len: len as libc::socklen_t })
    }
}

/// How long a frame was, and whether its buffer was too short for it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Received {
    pub len: usize,
    pub cut: bool,
}

/// Receives datagrams, one into each of these buffers, without waiting; says how many came, and fills in as many of `out`.
///
/// # Errors
/// `EAGAIN` there is none; others of `recvmmsg(2)`.
pub fn receive_many(
    fd: BorrowedFd<'_>,
    buffers: &mut [Buf],
    out: &mut [Received; BURST_FRAMES_MAX],
) -> core::result::Result<usize, Os> {
    let mut vectors = [libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 }; BURST_FRAMES_MAX];
    // SAFETY: numbers and pointers, for which zeros are right.
    let mut headers: [libc::mmsghdr; BURST_FRAMES_MAX] = unsafe { zeroed() };
    let mut count = 0;
    for ((buffer, vector), header) in buffers.iter_mut().zip(&mut vectors).zip(&mut headers) {
        // Those of `buffers` are new, so that each has one view.
        let Some(bytes) = buffer.get_mut() else { break };
        *vector = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
        header.msg_hdr.msg_iov = vector;
        header.msg_hdr.msg_iovlen = 1;
        count += 1;
    }
    // SAFETY: the first `count` headers each point to one vector, and that to writable memory of its length, which `buffers`
    // lends for the time of the call. No header has an address or control data. No timeout is given.
    let came =
        unsafe { libc::recvmmsg(fd.as_raw_fd(), headers.as_mut_ptr(), count, libc::MSG_DONTWAIT, ptr::null_mut()) };
    let came = checked(came)?.unsigned_abs() as usize;
    for (header, out) in headers.iter().zip(out).take(came) {
        *out = Received { len: header.msg_len as usize, cut: header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0 };
    }
    Ok(came)
}

/// Sends the first frames of a burst, each as one datagram to `to`, without waiting; says how many went.
///
/// # Errors
/// What the first one met, if that did not go: `EAGAIN` no room; others of `sendmmsg(2)`.
pub fn send_many(fd: BorrowedFd<'_>, to: &UnixPath, burst: &Burst) -> core::result::Result<usize, Os> {
    let mut vectors = [libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 }; VECTORS];
    // SAFETY: numbers and pointers, for which zeros are right.
    let mut headers: [libc::mmsghdr; BURST_FRAMES_MAX] = unsafe { zeroed() };
    let (mut free, mut count) = (&mut vectors[..], 0);
    for (frame, header) in burst.iter().zip(&mut headers) {
        let segments = frame.data.segments();
        // A frame has no more segments than a message, and those of one always fit.
        let Some((room, rest)) = core::mem::take(&mut free).split_at_mut_checked(segments) else { break };
        free = rest;
        for (segment, vector) in frame.data.iter().zip(&mut *room) {
            *vector = libc::iovec { iov_base: segment.as_ptr().cast_mut().cast(), iov_len: segment.len() };
        }
        header.msg_hdr.msg_iov = room.as_mut_ptr();
        header.msg_hdr.msg_iovlen = segments;
        header.msg_hdr.msg_name = (&raw const to.address).cast_mut().cast();
        header.msg_hdr.msg_namelen = to.len;
        count += 1;
    }
    // SAFETY: the first `count` headers point to as many vectors as they say, and those to the segments of frames that `burst`
    // lends for the time of the call; the kernel only reads them, and the address, whose length is right.
    let went =
        unsafe { libc::sendmmsg(fd.as_raw_fd(), headers.as_mut_ptr(), count, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) };
    checked(went).map(|went| went.unsigned_abs() as usize)
}

/// A request about an interface with this name.
///
/// # Errors
/// `EINVAL` no name of an interface.
fn request(name: &str) -> Result<libc::ifreq> {
    // SAFETY: plain numbers, for which zeros are right.
    let mut request: libc::ifreq = unsafe { zeroed() };
    if name.is_empty() || name.len() >= request.ifr_name.len() || name.bytes().any(|byte| byte == 0 || byte == b'/') {
        return Err(BAD_NAME);
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from.cast_signed();
    }
    Ok(request)
}

/// The MTU of an interface, which any socket can be asked.
///
/// # Errors
/// `ENODEV` there is no such interface.
pub fn mtu(socket: impl AsFd, name: &str) -> Result<u16> {
    let mut request = request(name)?;
    // SAFETY: the request is an `ifreq`, which the kernel writes to.
    let done = unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), libc::SIOCGIFMTU as libc::Ioctl, &raw mut request) };
    checked(done).map_err(|errno| Error::os(errno, "SIOCGIFMTU: is there an interface with this name?"))?;
    // SAFETY: a request for the MTU is answered with it.
    let mtu = unsafe { request.ifr_ifru.ifru_mtu };
    Ok(u16::try_from(mtu).unwrap_or(u16::MAX))
}

/// The hardware address of an interface, which any socket can be asked.
///
/// # Errors
/// As [`mtu`].
pub fn hardware_address(socket: impl AsFd, name: &str) -> Result<[u8; 6]> {
    let mut request = request(name)?;
    // SAFETY: the request is an `ifreq`, which the kernel writes to.
    let done = unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), libc::SIOCGIFHWADDR as libc::Ioctl, &raw mut request) };
    checked(done).map_err(|errno| Error::os(errno, "SIOCGIFHWADDR: is there an interface with this name?"))?;
    // SAFETY: a request for the address is answered with it.
    let bytes = unsafe { request.ifr_ifru.ifru_hwaddr }.sa_data;
    let mut address = [0; 6];
    for (to, from) in address.iter_mut().zip(bytes) {
        *to = from.cast_unsigned();
    }
    Ok(address)
}

/// `struct ethtool_channels` of `linux/ethtool.h`.
#[repr(C)]
#[derive(Default)]
struct Channels {
    command: u32,
    /// The most that there can be: to receive, to send, others, and for both.
    max: [u32; 4],
    /// How many there are, likewise.
    count: [u32; 4],
}

/// How many queues an interface receives by; 1 where its driver does not say.
pub fn queues(socket: impl AsFd, name: &str) -> usize {
    const SIOCETHTOOL: libc::c_ulong = 0x8946;
    const ETHTOOL_GCHANNELS: u32 = 0x3c;
    let Ok(mut request) = request(name) else { return 1 };
    let mut channels = Channels { command: ETHTOOL_GCHANNELS, ..Channels::default() };
    request.ifr_ifru.ifru_data = (&raw mut channels).cast();
    // SAFETY: the request points to what the command in it has the kernel write to.
    let done = unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), SIOCETHTOOL as libc::Ioctl, &raw mut request) };
    let [receive, _, _, both] = channels.count;
    if done < 0 { 1 } else { receive.saturating_add(both).max(1) as usize }
}

/// Makes a descriptor of `/dev/net/tun` the other end of a TAP device, with virtio's header of [`super::vnet::HEADER`] bytes.
///
/// # Errors
/// `EPERM` no right to it, `EBUSY` somebody has it, `EINVAL` there is another kind of device with this name.
pub fn attach_tap(tun: BorrowedFd<'_>, name: &str) -> Result<()> {
    let mut request = request(name)?;
    request.ifr_ifru.ifru_flags = (libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR) as libc::c_short;
    // SAFETY: the request is an `ifreq`.
    let done = unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETIFF, &raw mut request) };
    checked(done).map_err(|errno| {
        Error::os(
            errno,
            "TUNSETIFF: it takes root, or a tap that `ip tuntap add mode tap user ..` has made for this user",
        )
    })?;
    let little: libc::c_int = 1;
    // SAFETY: the argument is an int.
    let done = unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETVNETLE, &raw const little) };
    checked(done).map_err(|errno| Error::os(errno, "TUNSETVNETLE"))?;
    let size = libc::c_int::from(super::vnet::HEADER as u8);
    // SAFETY: the argument is an int.
    let done = unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETVNETHDRSZ, &raw const size) };
    checked(done).map(drop).map_err(|errno| Error::os(errno, "TUNSETVNETHDRSZ"))
}

/// Tells the kernel what it may leave to us in the frames that it sends; false if it does not know one of these.
pub fn offload(tun: BorrowedFd<'_>, features: libc::c_uint) -> bool {
    // SAFETY: the argument is a number.
    let done = unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETOFFLOAD, libc::c_ulong::from(features)) };
    done == 0
}

/// Sets an option of a packet socket, or of the socket level.
///
/// # Errors
/// Those of `setsockopt(2)`, under the name of the option.
pub fn set<T: Copy>(
    fd: BorrowedFd<'_>,
    level: libc::c_int,
    option: libc::c_int,
    value: &T,
    name: &'static str,
) -> Result<()> {
    // SAFETY: the kernel reads `size_of::<T>()` bytes of a value that is there during the call. What it does with them
    // does not concern memory of this process, except for a filter, whose pointer is valid as `filter` has it.
    let done = unsafe {
        libc::setsockopt(fd.as_raw_fd(), level, option, ptr::from_ref(value).cast(), size_of::<T>() as libc::socklen_t)
    };
    checked(done).map(drop).map_err(|errno| Error::os(errno, name))
}

/// Attaches a filter of classic BPF.
///
/// # Errors
/// `EINVAL` the kernel refuses it.
pub fn filter(fd: BorrowedFd<'_>, program: &[libc::sock_filter]) -> Result<()> {
    let program = libc::sock_fprog {
        len: u16::try_from(program.len()).map_err(|_| Error::new(Errno::INVAL, "the filter is too long"))?,
        filter: program.as_ptr().cast_mut(),
    };
    set(fd, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program, "SO_ATTACH_FILTER")
}

/// What a packet socket has received and dropped since it was asked last.
pub fn packet_statistics(fd: BorrowedFd<'_>) -> libc::tpacket_stats {
    let mut stats = MaybeUninit::<libc::tpacket_stats>::zeroed();
    let mut len = size_of::<libc::tpacket_stats>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes to a place that has them. Where it fails, nothing was counted.
    let _ = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            stats.as_mut_ptr().cast(),
            &raw mut len,
        )
    };
    // SAFETY: two numbers, which were zero before the call.
    unsafe { stats.assume_init() }
}

/// Binds a packet socket to an interface: from now on it receives.
///
/// # Errors
/// `ENODEV`, `ENETDOWN`.
pub fn bind_packet(fd: BorrowedFd<'_>, interface: u32) -> Result<()> {
    // SAFETY: plain numbers, for which zeros are right.
    let mut address: libc::sockaddr_ll = unsafe { zeroed() };
    address.sll_family = libc::AF_PACKET as libc::sa_family_t;
    address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
    address.sll_ifindex = interface.cast_signed();
    // SAFETY: an address of the length that is given.
    let done = unsafe {
        libc::bind(fd.as_raw_fd(), (&raw const address).cast(), size_of::<libc::sockaddr_ll>() as libc::socklen_t)
    };
    checked(done).map(drop).map_err(|errno| Error::os(errno, "bind: the interface of a packet socket"))
}

/// Makes the kernel send what is marked in the transmit ring, without waiting.
///
/// # Errors
/// `EAGAIN`, `ENOBUFS` later; `ENETDOWN` the interface is down; `ENXIO` it is gone.
pub fn kick(fd: BorrowedFd<'_>) -> core::result::Result<(), Os> {
    // SAFETY: no bytes are given.
    let done = unsafe { libc::send(fd.as_raw_fd(), ptr::null(), 0, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) };
    if done < 0 { Err(last_errno()) } else { Ok(()) }
}
