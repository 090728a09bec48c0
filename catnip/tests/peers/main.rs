// SPDX-License-Identifier: MIT OR Apache-2.0
//! The stack among hosts of the Linux kernel and their programs: over packet sockets and XDP sockets on a `veth(4)`, and over TAP, each host in
//! a network namespace of its own. It takes root, and the programs that `scripts/setup` installs.
//!
//! - `space`: hosts of the kernel. `host`: ours. `routed`: a router of the kernel between them.
//! - `ping`, `resolve`, `trace`, `path_mtu`, `testpmd`: ICMP, ARP, neighbour discovery. `dhcp`, `slaac`: addresses from others.
//! - `tcp`, `tcp_loss`, `tcp_crowds`, `tcp_offload`, `tcp_tools`: streams. `streams`: what both sides do in those.
//! - `groups`: multicast. `vlan`, `checksums`: what is in frames. `loss`, `hostile`: networks that lose, and peers that lie.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where what it stands on is missing")]

/// Makes a test of each of these functions for each link; in front of them stand the programs that they need.
macro_rules! on_all_links {
    ($tools:expr; $($test:ident)+) => {
        $(mod $test {
            #[test]
            fn packet() {
                crate::alone(concat!(module_path!(), "::packet"), &$tools, |peer| super::$test($crate::host::Link::Packet, peer));
            }

            #[test]
            fn tap() {
                crate::alone(concat!(module_path!(), "::tap"), &$tools, |peer| super::$test($crate::host::Link::Tap, peer));
            }

            #[test]
            fn xdp() {
                let name = concat!(module_path!(), "::xdp");
                if $crate::tools::has(name, &["ethtool"]) {
                    crate::alone(name, &$tools, |peer| super::$test($crate::host::Link::Xdp, peer));
                }
            }
        })+
    };
}

mod checksums;
mod dhcp;
mod groups;
mod host;
mod hostile;
mod loss;
mod path_mtu;
mod ping;
mod resolve;
mod routed;
mod slaac;
mod space;
mod streams;
mod tcp;
mod tcp_crowds;
mod tcp_fast_open;
mod tcp_loss;
mod tcp_offload;
mod tcp_tools;
mod testpmd;
#[path = "../../../tests/common/tools.rs"]
mod tools;
mod trace;
mod vlan;

use space::Space;

/// Runs a test in a network of its own, with one host of the kernel, where these programs are installed.
fn alone(test: &str, tools: &[&str], act: impl FnOnce(&Space)) {
    if tools::has(test, &["ip", "setpriv"]) && tools::has(test, tools) && space::own(test) {
        act(&Space::new());
    }
}
