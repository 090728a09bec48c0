// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tagged frames (IEEE 802.1Q). The kernel is the peer by an interface of its own for the VLAN, where it has such; and in any case behind
//! the access port of a switch, which is made here: it takes the tag out, and puts it in.

use crate::alone;
use crate::host::{BOTH, Host, Link, OUR_V4, THEIR_V4, THEIR_V6, at, bytes, settings};
use crate::space::{Space, ip};
use catnip::device::packet::{Packet, Settings};
use core::time::Duration;
use network::counters::Reason;
use runtime::buf::Pools;
use runtime::device::{Burst, Device, Frame};

const TAG: [u8; 4] = [0x81, 0, 0, 100];
const ADDRESSES: usize = 12;

on_all_links! { ["ping", "ethtool"]; tagged }

fn speak(host: &mut Host, peer: &Space) {
    for (ours, theirs) in BOTH {
        for size in ["56", "1472", "5000"] {
            host.until_done(peer.start("ping", &["-n", "-c", "1", "-W", "5", "-s", size, ours]));
        }
        let socket = peer.udp(&at(theirs, 0).to_string());
        let (id, _) = host.bound(ours);
        for len in [0, 64, 1452, 1472, 20_000] {
            host.there_and_back(id, &bytes(len, 1), &socket, socket.local_addr().unwrap());
        }
    }
}

fn tagged(link: Link, peer: &Space) {
    behind_an_access_port(link, peer);
    if has_vlans() {
        alone("vlan::tagged", &[], |peer| with_an_interface_of_its_own(link, peer));
    }
}

fn with_an_interface_of_its_own(link: Link, peer: &Space) {
    let mut host = Host::beside(link, peer, |settings| settings.vlan = Some(100));
    peer.ip(&format!(
        "link add link theirs name theirs.100 type vlan id 100\nlink set theirs.100 up\n\
         addr add {THEIR_V4}/24 dev theirs.100\naddr add {THEIR_V6}/64 dev theirs.100 nodad\n"
    ));
    speak(&mut host, peer);
}

/// Whether this kernel can put tags in. Many of virtual machines cannot.
fn has_vlans() -> bool {
    std::process::Command::new("ip")
        .args(["link", "add", "link", "lo", "name", "lo.100", "type", "vlan", "id", "100"])
        .output()
        .is_ok_and(|output| output.status.success())
}

/// A port on each side of a switch: frames that come in at the one go out at the other.
struct Access {
    trunk: Packet,
    port: Packet,
    pools: Pools,
}

impl Access {
    fn pass(&mut self) {
        let (mut burst, mut out) = (Burst::new(), Burst::new());
        self.trunk.rx(&mut burst).unwrap();
        while let Some(frame) = burst.pop() {
            let bytes = frame.data.to_vec();
            if bytes.get(ADDRESSES..ADDRESSES + TAG.len()) == Some(&TAG) {
                let untagged = [&bytes[..ADDRESSES], &bytes[ADDRESSES + TAG.len()..]].concat();
                out.push(self.frame(&untagged)).unwrap();
            }
        }
        self.port.tx(&mut out).unwrap();
        self.port.rx(&mut burst).unwrap();
        while let Some(frame) = burst.pop() {
            let bytes = frame.data.to_vec();
            out.push(self.frame(&[&bytes[..ADDRESSES], &TAG, &bytes[ADDRESSES..]].concat())).unwrap();
        }
        self.trunk.tx(&mut out).unwrap();
    }

    fn frame(&self, bytes: &[u8]) -> Frame {
        Frame::from(runtime::buf::Sga::from(self.pools.alloc_copy(bytes).unwrap()))
    }
}

fn behind_an_access_port(link: Link, peer: &Space) {
    let mut settings = settings(link, if link == Link::Tap { "trunk" } else { "ours" });
    settings.vlan = Some(100);
    if let catnip::Wire::Tap { checksum, segmentation, .. } = &mut settings.wire {
        // The switch is no part of this host, which could be left something to do.
        (*checksum, *segmentation) = (false, false);
    }
    if link != Link::Tap {
        ip("link add ours type veth peer name trunk\nlink set ours up\n");
    }
    ip(&format!("link add port type veth peer name theirs netns {}\nlink set port up\n", peer.path()));
    let mut host = Host::new(&settings);
    ip("link set trunk up\n");
    peer.ip(&format!(
        "link set theirs up\naddr add {THEIR_V4}/24 dev theirs\naddr add {THEIR_V6}/64 dev theirs nodad\n"
    ));
    // Behind a switch checksums are whole.
    peer.output("ethtool", &["-K", "theirs", "tx", "off"]);
    let said = peer.output("ip", &["-o", "link", "show", "dev", "theirs"]);
    let theirs = said.split("link/ether ").nth(1).and_then(|rest| rest.split_whitespace().next()).unwrap();
    let theirs: catnip::MacAddress = theirs.parse().unwrap();
    let open = |name: &str, address| {
        let settings = Settings { address, receive: 512, transmit: 256, promiscuous: true };
        Packet::open(name, &settings, host.pools.clone()).unwrap()
    };
    let ours = host.nic.stack.mac();
    let mut access = Access { trunk: open("trunk", theirs.0), port: open("port", ours.0), pools: host.pools.clone() };
    host.meanwhile(move || access.pass());
    speak(&mut host, peer);
    host.assert_nothing_lost();
}

/// Frames without a tag, or with another one, are nobody's here.
#[test]
fn other_networks() {
    alone("vlan::other_networks", &["ping"], |peer| {
        let mut host = Host::with(Link::Packet, peer, |settings| settings.vlan = Some(100));
        peer.ip(&format!("neigh add {OUR_V4} lladdr {} dev theirs nud permanent\n", host.nic.stack.mac()));
        let (well, said) = host.until_ended(peer.start("ping", &["-n", "-c", "3", "-i", "0.01", "-W", "0.1", OUR_V4]));
        assert!(!well && said.contains("0 received"), "{said}");
        assert!(host.dropped(Reason::OtherVlan) >= 3, "{:?}", host.drops());
        assert_eq!(host.counters().echoed, 0);
        host.work(Duration::from_millis(1));
    });
}
