// SPDX-License-Identifier: MIT OR Apache-2.0
//! The section of the back end with its own network stack.

use super::dpdk::Dpdk;
use super::tcp::Tcp;
use super::xdp::Xdp;
use super::{Reader, Value};
use crate::config::catnip::{self, CatnipConfig, Faults};
use crate::config::error::ConfigError;
use crate::config::parse;
use serde::Deserialize;
use serde_saphyr::Spanned;
use std::path::PathBuf;

type List = Option<Vec<Spanned<String>>>;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Catnip {
    device: Value,
    interface: Value,
    path: Value,
    peer: Value,
    mac: Value,
    mtu: Value,
    addresses: List,
    routes: List,
    neighbours: List,
    vlan: Value,
    dhcp: Value,
    slaac: Value,
    detect_duplicates: Value,
    hops: Value,
    checksum_offload: Value,
    segmentation_offload: Value,
    receive_frames: Value,
    transmit_frames: Value,
    promiscuous: Value,
    dpdk: Option<Dpdk>,
    xdp: Option<Xdp>,
    tcp: Option<Tcp>,
    pcap: Value,
    faults: List,
}

/// The keys, in the order of the fields.
pub const KEYS: &[&str] = &[
    "device",
    "interface",
    "path",
    "peer",
    "mac",
    "mtu",
    "addresses",
    "routes",
    "neighbours",
    "vlan",
    "dhcp",
    "slaac",
    "detect_duplicates",
    "hops",
    "checksum_offload",
    "segmentation_offload",
    "receive_frames",
    "transmit_frames",
    "promiscuous",
    "dpdk",
    "xdp",
    "tcp",
    "pcap",
    "faults",
];

impl Reader<'_> {
    pub(super) fn catnip(&mut self, given: Catnip, c: &mut CatnipConfig) -> Result<(), ConfigError> {
        // In full, so that a new key does not compile before it is read.
        let Catnip {
            device,
            interface,
            path,
            peer,
            mac,
            mtu,
            addresses,
            routes,
            neighbours,
            vlan,
            dhcp,
            slaac,
            detect_duplicates,
            hops,
            checksum_offload,
            segmentation_offload,
            receive_frames,
            transmit_frames,
            promiscuous,
            dpdk,
            xdp,
            tcp,
            pcap,
            faults,
        } = given;
        let file = |text: &str| Ok(Some(PathBuf::from(text)));
        self.set(&mut c.device, "catnip.device", device, catnip::wire)?;
        self.set(&mut c.interface, "catnip.interface", interface, |text| Ok(Some(text.to_owned())))?;
        self.set(&mut c.path, "catnip.path", path, file)?;
        self.set(&mut c.peer, "catnip.peer", peer, file)?;
        self.set(&mut c.mac, "catnip.mac", mac, catnip::mac)?;
        self.set(&mut c.mtu, "catnip.mtu", mtu, |text| parse::or_auto(text, parse::size))?;
        self.list(&mut c.addresses, "catnip.addresses", addresses, catnip::prefix)?;
        self.list(&mut c.routes, "catnip.routes", routes, catnip::route)?;
        self.list(&mut c.neighbours, "catnip.neighbours", neighbours, catnip::neighbour)?;
        self.set(&mut c.vlan, "catnip.vlan", vlan, |text| parse::or_off(text, parse::count))?;
        self.set(&mut c.dhcp, "catnip.dhcp", dhcp, catnip::flag)?;
        self.set(&mut c.slaac, "catnip.slaac", slaac, catnip::flag)?;
        self.set(&mut c.detect_duplicates, "catnip.detect_duplicates", detect_duplicates, catnip::flag)?;
        self.set(&mut c.hops, "catnip.hops", hops, parse::count)?;
        self.set(&mut c.checksum_offload, "catnip.checksum_offload", checksum_offload, catnip::flag)?;
        self.set(&mut c.segmentation_offload, "catnip.segmentation_offload", segmentation_offload, catnip::flag)?;
        self.set(&mut c.receive_frames, "catnip.receive_frames", receive_frames, parse::count)?;
        self.set(&mut c.transmit_frames, "catnip.transmit_frames", transmit_frames, parse::count)?;
        self.set(&mut c.promiscuous, "catnip.promiscuous", promiscuous, catnip::flag)?;
        self.dpdk(dpdk.unwrap_or_default(), &mut c.dpdk)?;
        self.xdp(xdp.unwrap_or_default(), &mut c.xdp)?;
        self.tcp(tcp.unwrap_or_default(), &mut c.tcp)?;
        self.set(&mut c.pcap, "catnip.pcap", pcap, file)?;
        let mut all = Faults::default();
        let mut each = Vec::new();
        self.list(&mut each, "catnip.faults", faults, |text| catnip::fault(&mut all, text))?;
        c.faults = (!each.is_empty()).then_some(all);
        Ok(())
    }
}
