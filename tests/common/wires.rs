// SPDX-License-Identifier: MIT OR Apache-2.0
//! Wires between the hosts of a test, each of which has a network stack of its own: role n, or program n, is the host at port n.
//!
//! Over Unix sockets a [`Hub`] in the first process connects them; what is the kernel's own is connected by a bridge of the kernel, in
//! the test's own network; memif, and vhost with its guest, are shared memory between the server and the client, and nobody else.

#![allow(dead_code, reason = "each test binary takes a part of it")]

use crate::harness::network::{ip, sysctl};
use crate::harness::system::now;
use crate::harness::{Role, is_role};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use margay::Config;
use margay::config::catnip::{MacAddress, Prefix, Wire};
use margay::config::dpdk::DpdkConfig;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::thread::JoinHandle;

/// Hosts on a wire, at most.
const PORTS: usize = 5;
/// The kernel's place in the networks of programs.
const KERNEL: usize = 199;
/// How long a frame waits for room at its host before it is lost: longer than a host that works may have no processor.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long the bridge takes to see its ports, at most.
const PORTS_WAIT: Duration = Duration::from_secs(20);
/// How often a port looks whether the test is over.
const LOOK: Duration = Duration::from_millis(20);
/// Bytes of the longest frame, and more.
const FRAME: usize = 2048;

/// What ports of DPDK are here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ports {
    /// `net_af_packet`: the hosts' interfaces by packet sockets.
    AfPacket,
    /// `net_af_xdp`: the same interfaces by XDP sockets.
    AfXdp,
    /// `net_tap`: interfaces that the driver makes when its port is opened, so that each role brings its own to the wire.
    Tap,
    /// `net_memif`: shared memory between two processes.
    Memif,
    /// `net_vhost` with the server, and `net_virtio_user` with its client: the same, as between a host and a virtual machine on it. The
    /// host makes the socket at which they meet, and must be there first.
    Vhost,
    /// The same with segmentation left to the host, whose peers then see frames of up to 64 KiB.
    VhostTso,
    /// The same as `Vhost` with a socket that the virtual machine makes: each waits for the other.
    VhostClient,
}

impl Ports {
    /// Whether they are nothing but memory that two processes share.
    pub fn are_memory(self) -> bool {
        matches!(self, Self::Memif | Self::Vhost | Self::VhostTso | Self::VhostClient)
    }
}

/// Connects the hosts' interfaces, once for all of them, in a network that is the test's own.
pub fn set_up(wire: Wire, ports: Ports) {
    // In the roles it has been done already.
    if wire == Wire::Socket || is_role() || wire == Wire::Dpdk && ports.are_memory() {
        return;
    }
    // The kernel is only the wire, and has nothing to say on it.
    sysctl("ipv6.conf.default.disable_ipv6", "1");
    let host = |port: usize| match wire {
        Wire::Dpdk if ports == Ports::Tap => String::new(),
        Wire::Tap => {
            format!("tuntap add host{port} mode tap\nlink set host{port} master wire\nlink set host{port} up\n")
        }
        // DPDK's driver makes a number for each of what its process and its interface are called by the kernel, which must differ.
        Wire::Dpdk => format!(
            "link add host{port} index {} type veth peer name port{port}\nlink set port{port} master wire\n\
             link set port{port} up\nlink set host{port} up\n",
            DPDK_INDEX[port]
        ),
        _ => format!(
            "link add host{port} type veth peer name port{port}\nlink set port{port} master wire\n\
             link set port{port} up\nlink set host{port} up\n"
        ),
    };
    let hosts: Vec<String> = (0..PORTS).map(host).collect();
    let batch = format!("link add wire address 02:00:00:00:03:00 type bridge\nlink set wire up\n{}", hosts.concat());
    ip(&batch);
    if batch.contains("type veth") {
        wait_for_ports();
    }
}

/// Asks `ip(8)` until what it says is as it must be.
fn wait_for(what: &str, arguments: &[&str], is_so: impl Fn(&str) -> bool) {
    let deadline = now() + PORTS_WAIT.as_nanos() as u64;
    loop {
        let output = Command::new("ip").args(arguments).output().expect("iproute2");
        let said = String::from_utf8_lossy(&output.stdout);
        if is_so(&said) {
            return;
        }
        assert!(now() < deadline, "{what}: not after {PORTS_WAIT:?}: {said}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Returns when the bridge passes on what comes from all hosts: the kernel hears of a link some time after it is up, and what is sent
/// before that is lost.
fn wait_for_ports() {
    wait_for("all ports forward", &["-d", "-o", "link", "show", "master", "wire"], |said| {
        said.matches("state forwarding").count() == PORTS
    });
}

/// A role has its port, and brings to the wire what has come with it.
pub fn opened((wire, ports): (Wire, Ports), role: Role) {
    if (wire, ports) == (Wire::Dpdk, Ports::Tap) {
        // The driver gives the kernel's end the port's own address, and a bridge keeps frames for its ends' addresses to itself.
        let (host, other) = (role as usize, MacAddress([2, 0, 0, 0, 2, role as u8]));
        ip(&format!("link set host{host} address {other} master wire up\n"));
    }
}

/// The kernel is a host as well, on the wire that it is: with an address in the programs' networks.
pub fn join_the_kernel() {
    join_with(&[kernel(true), kernel(false)]);
}

/// The same with these addresses. Once for all roles, before they are started.
pub fn join_with(addresses: &[IpAddr]) {
    if is_role() {
        return;
    }
    // Of its interfaces only the wire itself answers for them.
    sysctl("ipv4.conf.all.arp_ignore", "1");
    sysctl("ipv6.conf.wire.disable_ipv6", "0");
    let add = |address: &IpAddr| match address {
        IpAddr::V4(v4) => format!("addr add {v4}/24 dev wire\n"),
        IpAddr::V6(v6) => format!("addr add {v6}/64 dev wire nodad\n"),
    };
    ip(&addresses.iter().map(add).collect::<String>());
    addresses.iter().filter(|address| address.is_ipv6()).for_each(wait_for_own);
}

/// Returns when the kernel takes an IPv6 address for its own: its route comes some time after the address, and until then the kernel asks its
/// neighbours for who has it, for seconds, and in vain.
fn wait_for_own(address: &IpAddr) {
    let address = address.to_string();
    let listed = ["-6", "route", "show", "table", "local", &address];
    wait_for("the kernel has a route to its own address", &listed, |said| !said.is_empty());
}

/// Has the kernel fill in the checksums of what it sends over the wire, and cut it: who reads frames without a word of the kernel beside
/// them cannot know what is left to do. False where there is no `ethtool(8)`.
pub fn complete_frames() -> bool {
    let off = ["tx", "off", "tso", "off", "gso", "off"];
    is_role() || Command::new("ethtool").args(["-K", "wire"]).args(off).output().is_ok_and(|done| done.status.success())
}

/// The address that a role has where the server has this one.
pub fn address(server: IpAddr, role: Role) -> IpAddr {
    at(server, role as usize)
}

fn mac(port: usize) -> [u8; 6] {
    [2, 0, 0, 0, 1, port as u8]
}

fn end(directory: &Path, side: &str, port: usize) -> PathBuf {
    directory.join(format!("{side}-{port}.wire"))
}

/// The same as a file, for programs: the configuration of the host at this port, with one address of each family.
pub fn file(wire: Wire, port: usize, directory: &Path) -> String {
    let path = |side| end(directory, side, port).display().to_string();
    format!(
        "libos: catnip\ncatnip:\n  device: {}\n  interface: host{port}\n  path: {}\n  peer: {}\n  mac: {}\n  addresses: [{}]\n",
        wire.name(),
        path("host"),
        path("hub"),
        MacAddress(mac(port)),
        PROGRAMS.map(|(first, length)| format!("\"{}/{length}\"", at(first, port))).join(", ")
    )
}

/// The addresses of programs at port 0, and the lengths of their networks' prefixes.
const PROGRAMS: [(IpAddr, u8); 2] =
    [(IpAddr::V4(Ipv4Addr::new(10, 12, 0, 1)), 24), (IpAddr::V6(Ipv6Addr::new(0xfd12, 0, 0, 0, 0, 0, 0, 1)), 64)];

/// The address of the program at this port.
pub fn program(port: usize, is_v4: bool) -> IpAddr {
    at(PROGRAMS[usize::from(!is_v4)].0, port)
}

/// The address of the kernel among them.
pub fn kernel(is_v4: bool) -> IpAddr {
    program(KERNEL, is_v4)
}

fn at(first: IpAddr, port: usize) -> IpAddr {
    match first {
        IpAddr::V4(v4) => Ipv4Addr::from_bits(v4.to_bits() + port as u32).into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() + port as u128).into(),
    }
}

/// A role's own end of the wire, and its addresses.
pub fn configure(
    config: &mut Config,
    (wire, ports): (Wire, Ports),
    role: Role,
    directory: &Path,
    addresses: [IpAddr; 2],
) {
    let port = role as usize;
    let length = if addresses[0].is_ipv4() { 24 } else { 64 };
    config.catnip.device = wire;
    assert_eq!(config.catnip_wire(), Some(wire), "the name of the back end says another wire");
    config.catnip.interface = Some(format!("host{port}"));
    config.catnip.path = Some(end(directory, "host", port));
    config.catnip.peer = Some(end(directory, "hub", port));
    config.catnip.mac = Some(MacAddress(mac(port)));
    if wire == Wire::Dpdk {
        port_of_dpdk(&mut config.catnip.dpdk, ports, role, directory);
    }
    config.catnip.addresses = addresses.iter().map(|&ip| Prefix::new(ip, length).expect("a length")).collect();
}

/// The kernel's numbers of interfaces for ports of DPDK.
const DPDK_INDEX: [usize; PORTS] = [0x1100, 0x2300, 0x4500, 0x8900, 0xa700];

/// The port of a role.
fn port_of_dpdk(dpdk: &mut DpdkConfig, ports: Ports, role: Role, directory: &Path) {
    let host = role as usize;
    dpdk.memory = 64 << 20;
    dpdk.port = Some(match ports {
        Ports::AfPacket => format!("net_af_packet0,iface=host{host}"),
        Ports::AfXdp => format!("net_af_xdp0,iface=host{host}"),
        Ports::Tap => format!("net_tap0,iface=host{host}"),
        Ports::Memif => {
            let (end, socket) = (if role == Role::Server { "server" } else { "client" }, directory.join("memif.sock"));
            format!("net_memif0,role={end},id=0,socket={},socket-abstract=no", socket.display())
        }
        Ports::Vhost | Ports::VhostTso | Ports::VhostClient => {
            let socket = directory.join("vhost.sock");
            let (host, guest) = match ports {
                Ports::VhostClient => ("client=1", "server=1"),
                Ports::VhostTso => ("client=0,tso=1", "server=0"),
                _ => ("client=0", "server=0"),
            };
            match role {
                Role::Server => format!("net_vhost0,iface={},queues=1,{host}", socket.display()),
                _ => format!("net_virtio_user0,path={},queues=1,queue_size=256,{guest}", socket.display()),
            }
        }
    });
}

/// Passes frames on: to the host that they are for, or to all others.
pub struct Hub {
    ended: Arc<AtomicBool>,
    ports: Vec<JoinHandle<()>>,
}

impl Hub {
    /// With sockets in this directory.
    pub fn start(directory: &Path) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let bind = |port| {
            let socket = UnixDatagram::bind(end(directory, "hub", port)).expect("a path is free");
            socket.set_read_timeout(Some(LOOK)).expect("a time limit");
            socket.set_write_timeout(Some(PATIENCE)).expect("a time limit");
            socket
        };
        let sockets: Vec<UnixDatagram> = (0..PORTS).map(bind).collect();
        let ports = sockets.into_iter().enumerate().map(|(port, socket)| {
            let (ended, directory) = (Arc::clone(&ended), directory.to_owned());
            std::thread::spawn(move || {
                let mut frame = [0; FRAME];
                while !ended.load(Ordering::Relaxed) {
                    let Ok(len) = socket.recv(&mut frame) else { continue };
                    let to: [u8; 6] = frame[..6].try_into().expect("six bytes");
                    for other in (0..PORTS).filter(|&other| other != port && (to[0] & 1 == 1 || to == mac(other))) {
                        // Who is not there, or does not keep up, does not get it.
                        let _ = socket.send_to(&frame[..len], end(&directory, "host", other));
                    }
                }
                let _ = std::fs::remove_file(end(&directory, "hub", port));
            })
        });
        let ports = ports.collect();
        Self { ended, ports }
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        for port in self.ports.drain(..) {
            port.join().expect("a port ends");
        }
    }
}
