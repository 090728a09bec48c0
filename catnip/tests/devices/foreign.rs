// SPDX-License-Identifier: MIT OR Apache-2.0
//! An XDP program of somebody else, attached as `ip link set .. xdp` does it: by a message of `rtnetlink(7)`, so that it stays until it is
//! taken off, whatever becomes of its owner.

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netdevice, recv, send, socket_with};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// Passes every frame on: `r0 = XDP_PASS; exit` (RFC 9669, section 4).
const PASS: [u64; 2] = [0x0000_0002_0000_00b7, 0x95];

/// `BPF_PROG_LOAD` with the first words of its attribute: kind, count, instructions, licence, and no log.
fn load() -> OwnedFd {
    #[repr(C)]
    struct Load {
        kind: u32,
        count: u32,
        instructions: u64,
        licence: u64,
        log: [u64; 3],
    }
    const LOAD: libc::c_int = 5;
    const XDP: u32 = 6;
    let licence = c"MIT OR Apache-2.0";
    let load = Load {
        kind: XDP,
        count: PASS.len() as u32,
        instructions: PASS.as_ptr().addr() as u64,
        licence: licence.as_ptr().addr() as u64,
        log: [0; 3],
    };
    // SAFETY: the attribute is as long as said, and what it points to is there.
    let loaded = unsafe { libc::syscall(libc::SYS_bpf, LOAD, &raw const load, size_of::<Load>()) };
    assert!(loaded >= 0, "bpf: {}", std::io::Error::last_os_error());
    // SAFETY: a descriptor that nobody else has.
    unsafe { OwnedFd::from_raw_fd(loaded as i32) }
}

/// Attaches it to an interface of this network, in the driver or in front of the kernel's stack.
pub fn attach(interface: &str, native: bool) {
    // `linux/rtnetlink.h`, `linux/if_link.h`, `linux/netlink.h`.
    const SET_LINK: u16 = 19;
    const REQUEST_AND_ACKNOWLEDGE: u16 = 1 | 4;
    const XDP_NESTED: u16 = 0x802b;
    const DESCRIPTOR: u16 = 1;
    const FLAGS: u16 = 3;
    const GENERIC: u32 = 1 << 1;
    const NATIVE: u32 = 1 << 2;

    let netlink = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None).unwrap();
    let any = socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None).unwrap();
    let index = netdevice::name_to_index(&any, interface).unwrap();
    let program = load();

    let attribute =
        |kind: u16, value: &[u8]| [&(value.len() as u16 + 4).to_ne_bytes()[..], &kind.to_ne_bytes(), value].concat();
    let inner = [
        attribute(DESCRIPTOR, &program.as_raw_fd().to_ne_bytes()),
        attribute(FLAGS, &(if native { NATIVE } else { GENERIC }).to_ne_bytes()),
    ]
    .concat();
    let body = [&[0; 4][..], &index.to_ne_bytes(), &[0; 8], &attribute(XDP_NESTED, &inner)].concat();
    let len = (body.len() as u32 + 16).to_ne_bytes();
    let header =
        [&len[..], &SET_LINK.to_ne_bytes(), &REQUEST_AND_ACKNOWLEDGE.to_ne_bytes(), &[1, 0, 0, 0], &[0; 4]].concat();
    send(&netlink, &[header, body].concat(), SendFlags::empty()).unwrap();
    let mut answer = [0; 1024];
    let (_, len) = recv(&netlink, &mut answer[..], RecvFlags::empty()).unwrap();
    assert_eq!(answer[..len].get(16..20), Some(&[0; 4][..]), "an error of netlink");
}
