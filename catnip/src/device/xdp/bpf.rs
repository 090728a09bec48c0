// SPDX-License-Identifier: MIT OR Apache-2.0
//! The kernel's side of the program: maps, loading, attaching, by `bpf(2)` (`linux/bpf.h`).
//!
//! All of it hangs on descriptors: when they are closed, and so when the process dies, the kernel takes the program off the interface and
//! forgets it.

use super::program::{Instruction, KEY};
use core::mem::{size_of, zeroed};
use core::net::IpAddr;
use runtime::limits::XDP_LOAD_TRIES;
use runtime::{Errno, Error, Result};
use rustix::io::Errno as Os;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

// Commands of `enum bpf_cmd`.
const MAP_CREATE: libc::c_int = 0;
const MAP_UPDATE: libc::c_int = 2;
const PROGRAM_LOAD: libc::c_int = 5;
const LINK_CREATE: libc::c_int = 28;
// Kinds of maps, programs and places to attach them.
const HASH: u32 = 1;
const XSKMAP: u32 = 17;
const XDP_PROGRAM: u32 = 6;
const XDP: u32 = 37;
/// `BPF_F_XDP_HAS_FRAGS`: the program takes frames of several pieces.
const FRAGMENTS: u32 = 1 << 5;
/// `XDP_FLAGS_SKB_MODE` and `XDP_FLAGS_DRV_MODE` of `linux/if_link.h`.
const GENERIC: u32 = 1 << 1;
const NATIVE: u32 = 1 << 2;

const LICENCE: &core::ffi::CStr = c"MIT OR Apache-2.0";
const NAME: &[u8; 16] = b"margay\0\0\0\0\0\0\0\0\0\0";

const TAKEN: Error = Error::new(
    Errno::BUSY,
    "another XDP program is attached to this interface: `ip link show` names it, and `ip link set .. xdp off` takes one off that nobody holds",
);
const NO_NATIVE: Error =
    Error::new(Errno::NOTSUP, "the driver of this interface cannot run XDP programs, or not with its MTU");

#[repr(C)]
struct Map {
    kind: u32,
    key: u32,
    value: u32,
    entries: u32,
    flags: u32,
    inner: u32,
    node: u32,
    name: [u8; 16],
}

#[repr(C)]
struct Update {
    map: u32,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

#[repr(C)]
struct Load {
    kind: u32,
    count: u32,
    instructions: u64,
    licence: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    version: u32,
    flags: u32,
    name: [u8; 16],
    interface: u32,
    attach: u32,
}

#[repr(C)]
struct Link {
    program: u32,
    interface: u32,
    attach: u32,
    flags: u32,
}

/// Asks the kernel.
///
/// # Safety
/// What the attribute's addresses point to is there during the call, as long as the command has it, and written to by nobody.
unsafe fn bpf<T>(command: libc::c_int, attribute: &mut T) -> core::result::Result<libc::c_int, Os> {
    // SAFETY: the attribute is as long as said; for the rest the caller vouches.
    let given = unsafe { libc::syscall(libc::SYS_bpf, command, core::ptr::from_mut(attribute), size_of::<T>()) };
    if given < 0 { Err(super::super::raw::last_errno()) } else { Ok(given as libc::c_int) }
}

/// As [`bpf`], of a command that gives a new descriptor.
///
/// # Safety
/// As there.
unsafe fn open<T>(command: libc::c_int, attribute: &mut T) -> core::result::Result<OwnedFd, Os> {
    // SAFETY: the caller vouches for the attribute; what the command gives is a descriptor that nobody else has.
    unsafe { bpf(command, attribute).map(|fd| OwnedFd::from_raw_fd(fd)) }
}

fn create(kind: u32, key: usize, entries: u32) -> Result<OwnedFd> {
    let mut map = Map { kind, key: key as u32, value: 4, entries, flags: 0, inner: 0, node: 0, name: *NAME };
    // SAFETY: no addresses in it.
    unsafe { open(MAP_CREATE, &mut map) }.map_err(|errno| {
        Error::os(errno, "bpf: to make a map takes root, or CAP_BPF, CAP_NET_ADMIN and CAP_NET_RAW together")
    })
}

fn update<K>(map: &OwnedFd, key: &K, value: u32) -> core::result::Result<(), Os> {
    let mut update = Update {
        map: map.as_raw_fd().cast_unsigned(),
        padding: 0,
        key: core::ptr::from_ref(key).addr() as u64,
        value: (&raw const value).addr() as u64,
        flags: 0,
    };
    // SAFETY: key and value are there, and as long as the map that `create` has made for this type says.
    unsafe { bpf(MAP_UPDATE, &mut update) }.map(drop)
}

/// The sockets by queue.
pub struct Sockets(OwnedFd);

impl Sockets {
    /// For so many queues.
    ///
    /// # Errors
    /// `EPERM`; `EINVAL` the kernel has no XDP sockets.
    pub fn new(queues: u32) -> Result<Self> {
        create(XSKMAP, size_of::<u32>(), queues).map(Self)
    }

    /// Frames of the queue go to this socket, which has its rings.
    ///
    /// # Errors
    /// Those of `bpf(2)`.
    pub fn insert(&self, queue: u32, socket: BorrowedFd<'_>) -> Result<()> {
        update(&self.0, &queue, socket.as_raw_fd().cast_unsigned())
            .map_err(|errno| Error::os(errno, "bpf: an XDP socket into its map"))
    }
}

/// Our addresses.
pub struct Addresses(OwnedFd);

impl Addresses {
    /// These.
    ///
    /// # Errors
    /// As [`Sockets::new`].
    pub fn new(addresses: &[IpAddr]) -> Result<Self> {
        let map = create(HASH, KEY, addresses.len().max(1) as u32)?;
        for address in addresses {
            let key: [u8; KEY] = match address {
                IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
                IpAddr::V6(v6) => v6.octets(),
            };
            update(&map, &key, 1).map_err(|errno| Error::os(errno, "bpf: an address into its map"))?;
        }
        Ok(Self(map))
    }
}

/// No signals for this thread until it is dropped: each that comes while the verifier looks has it break off (`EAGAIN`, `bpf(2)`), and a timer
/// that is fast enough would never let it finish. They come afterwards.
struct Quiet(libc::sigset_t);

impl Quiet {
    fn new() -> Self {
        // SAFETY: two sets that are filled in, the first before it is looked at.
        unsafe {
            let (mut all, mut before) = (zeroed(), zeroed());
            libc::sigfillset(&raw mut all);
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
            Self(before)
        }
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // SAFETY: the set of this thread from before: a `Quiet` stays where it was made.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, core::ptr::null_mut()) };
    }
}

/// A loaded program.
pub struct Program(OwnedFd);

impl Program {
    /// Loads what `make` gives for the maps' descriptors.
    ///
    /// # Errors
    /// `EPERM`; `EACCES`, `EINVAL` the kernel's verifier refuses it; `EAGAIN` it is interrupted time and again.
    pub fn load(
        sockets: &Sockets,
        addresses: &Addresses,
        make: impl FnOnce(i32, i32) -> Vec<Instruction>,
    ) -> Result<Self> {
        let code = make(sockets.0.as_raw_fd(), addresses.0.as_raw_fd());
        let mut load = Load {
            kind: XDP_PROGRAM,
            count: code.len() as u32,
            instructions: code.as_ptr().addr() as u64,
            licence: LICENCE.as_ptr().addr() as u64,
            flags: FRAGMENTS,
            name: *NAME,
            attach: XDP,
            // SAFETY: plain numbers, for which zeros are right.
            ..unsafe { zeroed() }
        };
        let undisturbed = |load: &mut Load| {
            let _quiet = Quiet::new();
            let mut tries = XDP_LOAD_TRIES;
            loop {
                tries -= 1;
                // SAFETY: instructions and licence are there, as many as said, and with a NUL behind them.
                match unsafe { open(PROGRAM_LOAD, load) } {
                    // What is no signal interrupts as well: the work of an io_uring that this thread has.
                    Err(Os::AGAIN) if tries > 0 => {}
                    said => return said,
                }
            }
        };
        let mut loaded = undisturbed(&mut load);
        if loaded.as_ref().is_err_and(|&errno| errno == Os::INVAL) {
            // Linux before 5.18 does not know the flag.
            load.flags = 0;
            loaded = undisturbed(&mut load);
        }
        loaded.map(Self).map_err(|errno| Error::os(errno, "bpf: the kernel does not take the XDP program"))
    }

    /// Attaches it to an interface, for as long as the descriptor that comes back is open.
    ///
    /// # Errors
    /// `EBUSY` there is another one; `EOPNOTSUPP` the driver has none of that.
    pub fn attach(&self, interface: u32, native: bool) -> Result<OwnedFd> {
        let mut link = Link {
            program: self.0.as_raw_fd().cast_unsigned(),
            interface,
            attach: XDP,
            flags: if native { NATIVE } else { GENERIC },
        };
        // SAFETY: no addresses in it.
        let attached = unsafe { open(LINK_CREATE, &mut link) };
        attached.map_err(|errno| match errno {
            Os::BUSY | Os::EXIST => TAKEN,
            Os::OPNOTSUPP | Os::RANGE if native => NO_NATIVE,
            _ => Error::os(errno, "bpf: an XDP program to its interface (Linux 5.9 or later)"),
        })
    }
}
