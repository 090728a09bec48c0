// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can be set of the back end that has its own network stack, and how people write it.

use super::check::Violation;
use super::dpdk::DpdkConfig;
use super::parse::{Refused, duration, show_duration};
use super::tcp;
use super::xdp::XdpConfig;
use core::net::IpAddr;
use core::time::Duration;
use std::path::PathBuf;

pub use catnip::device::faults::{MILLION, Settings as Faults};
pub use catnip::{Hop, MacAddress, Prefix, Route};

/// What carries the frames of a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// Unix datagram sockets: [`CatnipConfig::path`] and [`CatnipConfig::peer`].
    Socket,
    /// A TAP device: [`CatnipConfig::interface`].
    Tap,
    /// An interface of the kernel, by packet sockets: [`CatnipConfig::interface`].
    Packet,
    /// An interface of the kernel, past the kernel's stack, by XDP sockets: [`CatnipConfig::interface`].
    Xdp,
    /// A port of DPDK: [`CatnipConfig::dpdk`].
    Dpdk,
}

impl Wire {
    /// Its name in a file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Socket => "socket",
            Self::Tap => "tap",
            Self::Packet => "packet",
            Self::Xdp => "xdp",
            Self::Dpdk => "dpdk",
        }
    }
}

/// Sockets over a network stack of our own.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a key of its own")]
pub struct CatnipConfig {
    /// What carries the frames; `libos: catpowder` means [`Wire::Packet`]. Default: [`Wire::Socket`].
    pub device: Wire,
    /// Name of the TAP device, or of the kernel's interface. Default: none.
    pub interface: Option<String>,
    /// Where our end of a wire over Unix sockets is. Default: none.
    pub path: Option<PathBuf>,
    /// Where its other end is. Default: none.
    pub peer: Option<PathBuf>,
    /// Our hardware address; `None`: made of the first of the addresses, or by chance where there is none. Default: `None`.
    pub mac: Option<MacAddress>,
    /// The longest packet in bytes: 576 (1,280 with IPv6) to 65,535; `None`: what the device has. Default: `None`.
    pub mtu: Option<usize>,
    /// Addresses with the length of their prefix: at most 64. Default: none.
    pub addresses: Vec<Prefix>,
    /// Ways to networks that none of the addresses is in: at most 256. Default: none.
    pub routes: Vec<Route>,
    /// Hardware addresses of neighbours that need not be asked for: at most 256. Default: none.
    pub neighbours: Vec<(IpAddr, MacAddress)>,
    /// The VLAN: 1 to 4,094; `None`: frames bear no tag. Default: `None`.
    pub vlan: Option<usize>,
    /// Whether DHCP is asked for an IPv4 address. Default: false.
    pub dhcp: bool,
    /// Whether IPv6 addresses are made of what routers advertise. Default: false.
    pub slaac: bool,
    /// Whether an address is used only after nobody else has claimed it. Default: false.
    pub detect_duplicates: bool,
    /// How many hops a packet may make: 1 to 255. Default: 64.
    pub hops: usize,
    /// Whether a TAP device and we leave checksums to each other. Default: true.
    pub checksum_offload: bool,
    /// Whether a TAP device and we leave segmentation to each other. Default: true.
    pub segmentation_offload: bool,
    /// Frames that may wait in a packet socket to be received: 16 to 65,536. Default: 1,024.
    pub receive_frames: usize,
    /// Frames that may wait in a packet socket to be sent: 16 to 65,536. Default: 256.
    pub transmit_frames: usize,
    /// Whether the kernel's interface lets everything in; for one that knows a single address. Default: false.
    pub promiscuous: bool,
    /// The port of DPDK.
    pub dpdk: DpdkConfig,
    /// The interface by XDP sockets.
    pub xdp: XdpConfig,
    /// What TCP is set to; `profile` in a file stands for the values that the others change. Default: [`tcp::Settings::DEFAULT`].
    pub tcp: tcp::Settings,
    /// The file into which frames are written (pcapng). Default: none.
    pub pcap: Option<PathBuf>,
    /// How the network is disturbed, to test an application. Default: not at all.
    pub faults: Option<Faults>,
}

impl Default for CatnipConfig {
    fn default() -> Self {
        Self {
            device: Wire::Socket,
            interface: None,
            path: None,
            peer: None,
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
            checksum_offload: true,
            segmentation_offload: true,
            receive_frames: 1024,
            transmit_frames: 256,
            promiscuous: false,
            dpdk: DpdkConfig::default(),
            xdp: XdpConfig::default(),
            tcp: tcp::Settings::DEFAULT,
            pcap: None,
            faults: None,
        }
    }
}

/// The longest of each list.
const LISTS: [(&str, usize); 3] = [("catnip.addresses", 64), ("catnip.routes", 256), ("catnip.neighbours", 256)];

impl CatnipConfig {
    /// What the stack and its device are told, on this wire. [`Config::check`](super::Config::check) has found it right.
    #[must_use]
    pub fn settings(&self, wire: Wire) -> catnip::Settings {
        let interface = || self.interface.clone().unwrap_or_default();
        let wire = match wire {
            Wire::Socket => catnip::Wire::Socket {
                path: self.path.clone().unwrap_or_default(),
                peer: self.peer.clone().unwrap_or_default(),
            },
            Wire::Tap => catnip::Wire::Tap {
                interface: interface(),
                checksum: self.checksum_offload,
                segmentation: self.segmentation_offload,
            },
            Wire::Packet => catnip::Wire::Packet {
                interface: interface(),
                receive: self.receive_frames,
                transmit: self.transmit_frames,
                promiscuous: self.promiscuous,
            },
            Wire::Xdp => catnip::Wire::Xdp { interface: interface(), settings: self.xdp.settings(self) },
            Wire::Dpdk => catnip::Wire::Dpdk(self.dpdk.settings(self)),
        };
        catnip::Settings {
            mac: self.mac,
            // All within their types: the check has seen to it.
            mtu: self.mtu.map(|mtu| mtu as u16),
            addresses: self.addresses.clone(),
            routes: self.routes.clone(),
            neighbours: self.neighbours.clone(),
            vlan: self.vlan.map(|vlan| vlan as u16),
            dhcp: self.dhcp,
            slaac: self.slaac,
            detect_duplicates: self.detect_duplicates,
            hops: self.hops as u8,
            tcp: self.tcp,
            pcap: self.pcap.clone(),
            faults: self.faults,
            ..catnip::Settings::new(wire)
        }
    }

    /// What the table of rules cannot say, whatever back end is named.
    pub(super) fn check(&self) -> Result<(), Violation> {
        self.dpdk.check()?;
        self.xdp.check()?;
        let lengths = [self.addresses.len(), self.routes.len(), self.neighbours.len()];
        for ((key, max), len) in LISTS.into_iter().zip(lengths) {
            if len > max {
                return Err(Violation {
                    key,
                    what: format!("`{key}` is too long"),
                    found: len.to_string(),
                    allowed: format!("at most {max}"),
                    advice: "name only what this host needs".to_owned(),
                });
            }
        }
        let six = self.slaac || self.addresses.iter().any(|prefix| prefix.address().is_ipv6());
        if six && self.mtu.is_some_and(|mtu| mtu < 1280) {
            return Err(Violation {
                key: "catnip.mtu",
                what: "`catnip.mtu` is below what IPv6 needs".to_owned(),
                found: format!("{} B", self.mtu.unwrap_or_default()),
                allowed: "at least 1280 B, with IPv6 addresses".to_owned(),
                advice: "raise it, or take the IPv6 addresses out".to_owned(),
            });
        }
        if let Some(mac) = self.mac
            && !mac.is_unicast()
        {
            return Err(Violation {
                key: "catnip.mac",
                what: "`catnip.mac` can be the address of no host".to_owned(),
                found: mac.to_string(),
                allowed: "an address whose first byte is even, and that is not zero".to_owned(),
                advice: "write one that begins with 02, or leave it out".to_owned(),
            });
        }
        Ok(())
    }

    /// What it needs if it is the back end that is named.
    pub(super) fn check_use(&self, wire: Wire) -> Result<(), Violation> {
        let missing = |key, what: &str, advice: &str| {
            Err(Violation {
                key,
                what: format!("`{key}` is missing: {what}"),
                found: "nothing".to_owned(),
                allowed: String::new(),
                advice: advice.to_owned(),
            })
        };
        let socket = "the wire over Unix sockets has two ends";
        match wire {
            Wire::Socket if self.path.is_none() => missing(
                "catnip.path",
                socket,
                "name the socket of this end, or another `catnip.device`: tap, packet, xdp",
            ),
            Wire::Socket if self.peer.is_none() => missing("catnip.peer", socket, "name the socket of the other end"),
            Wire::Tap | Wire::Packet | Wire::Xdp if self.interface.is_none() => missing(
                "catnip.interface",
                "which interface?",
                "name one; `ip link` shows what there is, and a TAP device is made if it is not there",
            ),
            Wire::Dpdk => self.dpdk.check_use(),
            _ => Ok(()),
        }
    }
}

/// What carries the frames.
pub(super) fn wire(text: &str) -> Result<Wire, Refused> {
    [Wire::Socket, Wire::Tap, Wire::Packet, Wire::Xdp, Wire::Dpdk]
        .into_iter()
        .find(|wire| wire.name() == text.trim())
        .ok_or_else(|| Refused { allowed: "socket, tap, packet, xdp or dpdk", advice: "name one of those".to_owned() })
}

/// A hardware address, or `auto`.
pub(super) fn mac(text: &str) -> Result<Option<MacAddress>, Refused> {
    if text.trim() == "auto" { Ok(None) } else { hardware(text.trim()).map(Some) }
}

fn hardware(text: &str) -> Result<MacAddress, Refused> {
    text.parse().map_err(|_| Refused {
        allowed: "a hardware address, such as 02:00:00:00:00:01, or auto",
        advice: "write six pairs of hexadecimal digits with colons between".to_owned(),
    })
}

/// An address with the length of its prefix.
pub(super) fn prefix(text: &str) -> Result<Prefix, Refused> {
    text.trim().parse().map_err(|error: runtime::Error| Refused {
        allowed: "an address with the length of its network's prefix, such as 10.0.0.1/24 or fd00::1/64",
        advice: format!("write it in that form: {}", error.reason()),
    })
}

/// A route: `10.1.0.0/16 via 10.0.0.1 metric 5`; `default` stands for all networks.
pub(super) fn route(text: &str) -> Result<Route, Refused> {
    const ROUTE: &str =
        "a network, and who leads there, such as `10.1.0.0/16 via 10.0.0.1` or `default via fd00::1 metric 5`";
    let refused = |advice: &str| Refused { allowed: ROUTE, advice: advice.to_owned() };
    let mut words = text.split_whitespace();
    let network = words.next().ok_or_else(|| refused("name a network"))?;
    let (mut hop, mut metric) = (Hop::OnLink, 0);
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| refused("something is missing at the end"))?;
        match word {
            "via" => hop = Hop::Gateway(value.parse().map_err(|_| refused("`via` takes an IP address"))?),
            "metric" => metric = value.parse().map_err(|_| refused("`metric` takes a whole number"))?,
            _ => return Err(refused("behind the network only `via` and `metric` can stand")),
        }
    }
    let prefix = match (network, hop) {
        ("default", Hop::Gateway(IpAddr::V4(_))) => Prefix::DEFAULT_V4,
        ("default", Hop::Gateway(IpAddr::V6(_))) => Prefix::DEFAULT_V6,
        ("default", Hop::OnLink) => return Err(refused("say through whom: default via ADDRESS")),
        _ => prefix(network)?.network(),
    };
    if let Hop::Gateway(gateway) = hop
        && gateway.is_ipv4() != prefix.address().is_ipv4()
    {
        return Err(refused("name a gateway of the network's own family"));
    }
    Ok(Route { prefix, hop, metric })
}

/// A route as it is written.
#[must_use]
pub fn show_route(route: &Route) -> String {
    let via = match route.hop {
        Hop::OnLink => String::new(),
        Hop::Gateway(gateway) => format!(" via {gateway}"),
    };
    let metric = if route.metric == 0 { String::new() } else { format!(" metric {}", route.metric) };
    format!("{}{via}{metric}", route.prefix)
}

/// A neighbour: `10.0.0.2 02:00:00:00:00:02`.
pub(super) fn neighbour(text: &str) -> Result<(IpAddr, MacAddress), Refused> {
    const NEIGHBOUR: &str = "an IP address and a hardware address, such as `10.0.0.2 02:00:00:00:00:02`";
    let refused = |advice: &str| Refused { allowed: NEIGHBOUR, advice: advice.to_owned() };
    let (ip, mac) =
        text.trim().split_once(char::is_whitespace).ok_or_else(|| refused("write both, with a space between"))?;
    let ip = ip.parse().map_err(|_| refused("write the IP address in digits"))?;
    Ok((ip, hardware(mac.trim()).map_err(|Refused { advice, .. }| refused(&advice))?))
}

/// `on` or `off`.
pub(super) fn flag(text: &str) -> Result<bool, Refused> {
    match text.trim() {
        "on" | "true" => Ok(true),
        "off" | "false" => Ok(false),
        _ => Err(Refused { allowed: "on or off", advice: "write on or off".to_owned() }),
    }
}

/// One fault: `drop 1%`, `delay 2 ms`, `seed 7`.
pub(super) fn fault(faults: &mut Faults, text: &str) -> Result<(), Refused> {
    const FAULT: &str =
        "drop, duplicate, reorder or corrupt with a percentage, such as `drop 0.5%`; `delay 2 ms`; `seed 7`";
    let refused = |advice: &str| Refused { allowed: FAULT, advice: advice.to_owned() };
    let (name, value) = text.trim().split_once(char::is_whitespace).ok_or_else(|| refused("say how much"))?;
    let value = value.trim();
    let often = match name {
        "delay" => {
            let delay = duration(value)?;
            if delay > Duration::from_secs(10) {
                return Err(refused("delay frames by 10 s at most"));
            }
            faults.delay = delay;
            return Ok(());
        }
        "seed" => {
            faults.seed = value.parse().map_err(|_| refused("a seed is a whole number"))?;
            return Ok(());
        }
        "drop" => &mut faults.drop,
        "duplicate" => &mut faults.duplicate,
        "reorder" => &mut faults.reorder,
        "corrupt" => &mut faults.corrupt,
        _ => return Err(refused("name one of those")),
    };
    *often =
        percentage(value).ok_or_else(|| refused("write a percentage from 0% to 100%, with four decimals at most"))?;
    Ok(())
}

/// A percentage, of a million.
fn percentage(text: &str) -> Option<u32> {
    const DECIMALS: usize = 4;
    let number = text.strip_suffix('%')?.trim_end();
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > 3 || part.len() > DECIMALS || !digits(whole) || !digits(part) {
        return None;
    }
    let value: u32 = format!("{whole}{part:0<DECIMALS$}").parse().ok()?;
    (value <= MILLION).then_some(value)
}

/// Faults as they are written.
#[must_use]
pub fn show_faults(faults: &Faults) -> Vec<String> {
    let Faults { seed, drop, duplicate, reorder, corrupt, delay } = faults;
    let often = [("drop", drop), ("duplicate", duplicate), ("reorder", reorder), ("corrupt", corrupt)];
    let mut shown: Vec<String> = often
        .into_iter()
        .filter(|(_, often)| **often != 0)
        .map(|(name, often)| format!("{name} {}.{:04}%", often / 10_000, often % 10_000))
        .collect();
    if !delay.is_zero() {
        shown.push(format!("delay {}", show_duration(*delay)));
    }
    shown.push(format!("seed {seed}"));
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages() {
        for (text, value) in [("0%", 0), ("1%", 10_000), ("0.5%", 5_000), ("100 %", 1_000_000), ("12.3456%", 123_456)] {
            assert_eq!(percentage(text), Some(value), "{text}");
        }
        for text in ["1", "%", ".5%", "101%", "1e1%", "-1%", "0.00001%", "1.2.3%", "1000000000%"] {
            assert_eq!(percentage(text), None, "{text}");
        }
    }

    #[test]
    fn faults_and_routes_are_shown_as_they_are_written() {
        let mut faults = Faults::default();
        for text in ["drop 1.5%", "duplicate 0.0001%", "reorder 100%", "corrupt 2 %", "delay 3 ms", "seed 42"] {
            fault(&mut faults, text).unwrap();
        }
        let mut again = Faults::default();
        for text in show_faults(&faults) {
            fault(&mut again, &text).unwrap();
        }
        assert_eq!(faults, again);
        for text in ["drop", "drop x", "drop 1", "lose 1%", "delay 1", "delay 1 s s", "delay 11 s", "seed -1"] {
            assert!(fault(&mut faults, text).is_err(), "{text}");
        }
        for text in ["10.1.0.0/16 via 10.0.0.1 metric 5", "fd01::/64", "10.1.0.0/16 metric 3"] {
            assert_eq!(show_route(&route(text).unwrap()), text);
        }
        assert_eq!(show_route(&route("default via 10.0.0.1").unwrap()), "0.0.0.0/0 via 10.0.0.1");
        for text in
            ["", "default", "10.1.0.0/16 via", "10.1.0.0/16 through 10.0.0.1", "10.1.0.0/16 via fd00::1", "x via y"]
        {
            assert!(route(text).is_err(), "{text}");
        }
    }
}
