// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can be set, and how a device is made of it.

use crate::device::clock::Clock;
use crate::device::dpdk;
use crate::device::faults::{self, Faults};
use crate::device::packet::{self, Packet};
use crate::device::pcap::Pcap;
use crate::device::socket::Socket;
use crate::device::tap::{Offloads, Tap};
use crate::device::xdp::{self, Xdp};
use core::net::IpAddr;
use network::ip::{Prefix, Route};
use network::keyed::Secret;
use network::tcp::settings as tcp;
use network::wire::MacAddress;
use runtime::buf::Pools;
use runtime::device::Device;
use runtime::{Errno, Error, Result};
use rustix::rand::{GetRandomFlags, getrandom};
use std::path::PathBuf;

/// The longest packet of a wire that has no bound of its own, as of Ethernet.
const ETHERNET_MTU: u16 = 1500;

/// The bit of a hardware address that says that nobody has assigned it, and the one of groups (IEEE 802, 8.2).
const LOCAL: u8 = 2;
const GROUP: u8 = 1;

/// What carries the frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wire {
    /// Unix datagram sockets.
    Socket {
        /// Where our end is.
        path: PathBuf,
        /// Where the other end is.
        peer: PathBuf,
    },
    /// A TAP device.
    Tap {
        /// Its name.
        interface: String,
        /// Checksums are left to each other.
        checksum: bool,
        /// Segmentation is left to each other.
        segmentation: bool,
    },
    /// An interface of the kernel.
    Packet {
        /// Its name.
        interface: String,
        /// Frames that may wait to be received.
        receive: usize,
        /// Frames that may wait to be sent.
        transmit: usize,
        /// Everything is let in, and sorted out here.
        promiscuous: bool,
    },
    /// An interface of the kernel, past the kernel's stack.
    Xdp {
        /// Its name.
        interface: String,
        /// How it is used.
        settings: xdp::Settings,
    },
    /// A port of DPDK, which has the hardware address and the MTU of the settings if those say so.
    Dpdk(dpdk::Settings),
}

/// What a stack and its device are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What carries the frames.
    pub wire: Wire,
    /// The hardware address; if there is none, one is made of the first of the addresses, or by chance.
    pub mac: Option<MacAddress>,
    /// The longest packet; what the device has if there is none. A wire over Unix sockets has 1,500.
    pub mtu: Option<u16>,
    /// Addresses with their networks.
    pub addresses: Vec<Prefix>,
    /// Ways to other networks.
    pub routes: Vec<Route>,
    /// Hardware addresses that need not be asked for.
    pub neighbours: Vec<(IpAddr, MacAddress)>,
    /// The VLAN.
    pub vlan: Option<u16>,
    /// Whether DHCP is asked for an address.
    pub dhcp: bool,
    /// Whether routers are asked for prefixes.
    pub slaac: bool,
    /// Whether an address is tried before it is used.
    pub detect_duplicates: bool,
    /// How many hops a packet may make.
    pub hops: u8,
    /// What TCP is set to.
    pub tcp: tcp::Settings,
    /// Where frames are written down.
    pub pcap: Option<PathBuf>,
    /// How the device is disturbed.
    pub faults: Option<faults::Settings>,
}

impl Settings {
    /// A stack on this wire without an address.
    #[must_use]
    pub const fn new(wire: Wire) -> Self {
        Self {
            wire,
            mac: None,
            mtu: None,
            addresses: Vec::new(),
            routes: Vec::new(),
            neighbours: Vec::new(),
            vlan: None,
            dhcp: false,
            slaac: false,
            detect_duplicates: false,
            hops: 64,
            tcp: tcp::Settings::DEFAULT,
            pcap: None,
            faults: None,
        }
    }

    /// Opens the device, with the decorators that are asked for. Says which hardware address the stack has on it.
    ///
    /// # Errors
    /// Those of the device and of the file for frames; `EINVAL` the MTU is more than the device's.
    pub fn open(&self, clock: &Clock, pools: &Pools) -> Result<(Box<dyn Device>, MacAddress)> {
        const MTU: Error = Error::new(Errno::INVAL, "the MTU is more than the device has");
        let mut mac = match self.mac {
            Some(mac) => mac,
            None => self.own_mac()?,
        };
        let mut device: Box<dyn Device> = match &self.wire {
            Wire::Socket { path, peer } => {
                Box::new(Socket::open(path, peer, self.mtu.unwrap_or(ETHERNET_MTU), pools.clone())?)
            }
            Wire::Tap { interface, checksum, segmentation } => {
                let offloads = Offloads { checksum: *checksum, segmentation: *segmentation };
                Box::new(Tap::open(interface, offloads, pools.clone())?)
            }
            Wire::Packet { interface, receive, transmit, promiscuous } => {
                let settings = packet::Settings {
                    address: mac.0,
                    receive: *receive,
                    transmit: *transmit,
                    promiscuous: *promiscuous,
                };
                Box::new(Packet::open(interface, &settings, pools.clone())?)
            }
            Wire::Xdp { interface, settings } => {
                let addresses = self.addresses.iter().map(Prefix::address).collect();
                let ours = xdp::Ours { mac: mac.0, addresses, vlan: self.vlan };
                Box::new(Xdp::open(interface, settings, &ours, pools.clone())?)
            }
            Wire::Dpdk(settings) => {
                let settings = dpdk::Settings { address: self.mac.map(|mac| mac.0), mtu: self.mtu, ..settings.clone() };
                open_dpdk(&settings, pools)?
            }
        };
        // A NIC has one of its own.
        if let Some(address) = device.address() {
            mac = MacAddress(address);
        }
        if self.mtu.is_some_and(|mtu| mtu > device.caps().mtu) {
            return Err(MTU);
        }
        // What is written down is what was on the wire, so the faults are behind it.
        if let Some(path) = &self.pcap {
            device = Box::new(Pcap::create(device, path, clock.clone())?);
        }
        if let Some(faults) = self.faults {
            device = Box::new(Faults::new(device, faults, clock.clone(), pools.clone()));
        }
        Ok((device, mac))
    }

    /// A hardware address that nobody was given: made of the first IP address, so that neighbours who remember this host find it after
    /// it was started again; by chance where there is none.
    fn own_mac(&self) -> Result<MacAddress> {
        // No secret: that somebody can tell the one from the other does no harm.
        let known = self.addresses.first().map(|prefix| Secret([0; 16]).hash(&prefix.address()).to_ne_bytes());
        let [first, second, third, fourth, fifth, sixth, ..] = match known {
            Some(bytes) => bytes,
            None => random()?,
        };
        Ok(MacAddress([first & !GROUP | LOCAL, second, third, fourth, fifth, sixth]))
    }

    /// Whether a look at the device costs no system call.
    pub(crate) const fn peeks(&self) -> bool {
        let quiet = match &self.wire {
            Wire::Packet { .. } => true,
            Wire::Xdp { settings, .. } => settings.busy_poll.is_zero(),
            Wire::Socket { .. } | Wire::Tap { .. } | Wire::Dpdk(_) => false,
        };
        quiet && self.faults.is_none()
    }
}

#[cfg(feature = "dpdk")]
fn open_dpdk(settings: &dpdk::Settings, pools: &Pools) -> Result<Box<dyn Device>> {
    Ok(Box::new(dpdk::Dpdk::open(settings, pools)?))
}

#[cfg(not(feature = "dpdk"))]
const fn open_dpdk(_: &dpdk::Settings, _: &Pools) -> Result<Box<dyn Device>> {
    Err(Error::new(Errno::NOTSUP, "this build has no DPDK: build it with the feature catnip-dpdk"))
}

/// So many random bytes.
///
/// # Errors
/// The kernel has none: `ENOSYS` in a sandbox that forbids it.
pub(crate) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match getrandom(rest, GetRandomFlags::empty()) {
            Ok(more) => filled += more,
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(Error::os(errno, "getrandom")),
        }
    }
    Ok(bytes)
}
