// SPDX-License-Identifier: MIT OR Apache-2.0
//! What ports of DPDK need on this host, and how to mend what is missing.
//!
//! [`Host`] is what the host says, by files under `/proc` and `/sys` (`sysfs(5)`, the kernel's `vfio.rst` and `hugetlbpage.rst`);
//! [`judge`] what that means. Nothing is started: DPDK itself is asked for its version only.

use super::Finding;
use super::facts::{Facts, IPC_LOCK, Limit, NET_ADMIN};
use crate::units;
use std::fs::{read_dir, read_link, read_to_string};
use std::path::Path;

/// Bit of `capabilities(7)`.
const NET_RAW: u32 = 13;
/// What DPDK, its queues and the packet buffers of one LibOs take in huge pages, and so what must be lockable without them.
const MEMORY_MIN: u64 = 64 << 20;
/// The class of network controllers, and of Ethernet among them, as `/sys` writes it.
const ETHERNET: &str = "0x0200";
/// Drivers by which DPDK reaches a device.
const FOR_DPDK: [&str; 4] = ["vfio-pci", "igb_uio", "uio_pci_generic", "mlx5_core"];

/// Huge pages of one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pages {
    /// Bytes of one.
    pub size: u64,
    /// How many are free.
    pub free: u64,
}

/// A network card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    /// Its PCI address.
    pub address: String,
    /// What it is bound to.
    pub driver: Option<String>,
}

/// What the host says.
#[derive(Clone, Debug, Default)]
pub struct Host {
    /// The library that is linked.
    pub version: Option<&'static str>,
    /// By size.
    pub pages: Vec<Pages>,
    /// All that there are.
    pub cards: Vec<Card>,
    /// There is an IOMMU that is in use.
    pub iommu: bool,
    /// `vfio` may be used without one.
    pub unsafe_vfio: bool,
}

impl Host {
    /// Looks at the files below this root.
    pub fn look(root: &Path) -> Self {
        let number = |path: &Path| read_to_string(path).ok().and_then(|text| text.trim().parse::<u64>().ok());
        let entries = |path: &str| read_dir(root.join(path)).into_iter().flatten().flatten().map(|entry| entry.path());
        let pages = entries("sys/kernel/mm/hugepages").filter_map(|size| {
            let name = size.file_name()?.to_str()?.strip_prefix("hugepages-")?.strip_suffix("kB")?;
            Some(Pages { size: name.parse::<u64>().ok()? << 10, free: number(&size.join("free_hugepages"))? })
        });
        let cards = entries("sys/bus/pci/devices").filter_map(|card| {
            let class = read_to_string(card.join("class")).ok()?;
            let driver = read_link(card.join("driver")).ok();
            class.starts_with(ETHERNET).then(|| Card {
                address: card.file_name().unwrap_or_default().to_string_lossy().into_owned(),
                driver: driver.and_then(|path| Some(path.file_name()?.to_str()?.to_owned())),
            })
        });
        let (mut pages, mut cards): (Vec<_>, Vec<_>) = (pages.collect(), cards.collect());
        pages.sort_by_key(|pages| pages.size);
        cards.sort_by(|a, b| a.address.cmp(&b.address));
        let unsafe_vfio = read_to_string(root.join("sys/module/vfio/parameters/enable_unsafe_noiommu_mode"));
        Self {
            version: version(),
            pages,
            cards,
            iommu: entries("sys/kernel/iommu_groups").next().is_some(),
            unsafe_vfio: unsafe_vfio.is_ok_and(|mode| mode.trim() == "Y" || mode.trim() == "1"),
        }
    }

    /// Whether a card is bound to `vfio-pci`.
    fn uses_vfio(&self) -> bool {
        self.cards.iter().any(|card| card.driver.as_deref() == Some("vfio-pci"))
    }
}

#[cfg(feature = "catnip-dpdk")]
#[expect(clippy::unnecessary_wraps, reason = "a build without DPDK has none")]
fn version() -> Option<&'static str> {
    Some(catnip::device::dpdk::version())
}

#[cfg(not(feature = "catnip-dpdk"))]
const fn version() -> Option<&'static str> {
    None
}

/// All findings.
pub fn judge(facts: &Facts, host: &Host) -> Vec<Finding> {
    vec![library(host), pages(host), cards(host), iommu(host), memory(facts, host), rights(facts)]
}

fn library(host: &Host) -> Finding {
    const WHAT: &str = "libdpdk";
    match host.version {
        Some(version) => Finding::ok(WHAT, version, "this build has ports of DPDK"),
        None => Finding::missing(
            WHAT,
            "not in this build",
            "catnip has no device `dpdk`",
            "install libdpdk-dev and libclang-dev (21.11 or later), and build with --features catnip-dpdk",
        ),
    }
}

fn pages(host: &Host) -> Finding {
    const WHAT: &str = "huge pages";
    const MEND: &str = "echo 256 > /proc/sys/vm/nr_hugepages, or hugepages=256 on the kernel's command line";
    let free: u64 = host.pages.iter().map(|pages| pages.size * pages.free).sum();
    let shown: Vec<String> =
        host.pages.iter().map(|pages| format!("{} × {}", pages.free, units::bytes(pages.size as f64))).collect();
    let found = if shown.is_empty() { "the kernel has none".to_owned() } else { format!("free: {}", shown.join(", ")) };
    if free >= MEMORY_MIN {
        return Finding::ok(WHAT, found, "DPDK's memory lies in them");
    }
    let means = if host.uses_vfio() {
        "DPDK uses pages of 4 KiB: many entries for the IOMMU and the TLB"
    } else {
        "DPDK uses pages of 4 KiB: enough for virtual devices"
    };
    Finding::limited(WHAT, found, means, MEND)
}

fn cards(host: &Host) -> Finding {
    const WHAT: &str = "network cards";
    if host.cards.is_empty() {
        return Finding::limited(
            WHAT,
            "none on PCI",
            "virtual devices only: net_af_packet, net_tap, net_memif, net_vhost and others",
            "give the machine a card, or take a file of scripts/config for one of these",
        );
    }
    let shown: Vec<String> = host
        .cards
        .iter()
        .map(|card| format!("{} ({})", card.address, card.driver.as_deref().unwrap_or("no driver")))
        .collect();
    let bound = |card: &Card| card.driver.as_deref().is_some_and(|driver| FOR_DPDK.contains(&driver));
    if host.cards.iter().any(bound) {
        return Finding::ok(
            WHAT,
            shown.join(", "),
            "DPDK can have those at vfio-pci, uio or mlx5: catnip.dpdk.port names one",
        );
    }
    Finding::limited(
        WHAT,
        shown.join(", "),
        "all belong to the kernel",
        "modprobe vfio-pci; dpdk-devbind.py --bind=vfio-pci ADDRESS; never the one that you are logged in by",
    )
}

fn iommu(host: &Host) -> Finding {
    const WHAT: &str = "IOMMU";
    match (host.iommu, host.uses_vfio()) {
        (true, _) => Finding::ok(
            WHAT,
            "in use",
            "a card reaches only the memory that it is told of, and may be used without root",
        ),
        (false, true) if host.unsafe_vfio => Finding::limited(
            WHAT,
            "not in use; vfio may do without",
            "the card can reach all memory of this host, takes root, and payloads cannot be attached",
            "intel_iommu=on or amd_iommu=on on the kernel's command line; until then catnip.dpdk.attach: off",
        ),
        (false, true) => Finding::missing(
            WHAT,
            "not in use",
            "a card at vfio-pci cannot be started",
            "intel_iommu=on or amd_iommu=on on the kernel's command line; in a virtual machine without one: \
             echo 1 > /sys/module/vfio/parameters/enable_unsafe_noiommu_mode",
        ),
        (false, false) => Finding::ok(WHAT, "not in use", "virtual devices and mlx5 do not need one; vfio-pci does"),
    }
}

fn memory(facts: &Facts, host: &Host) -> Finding {
    const WHAT: &str = "locked memory";
    let Limit { current, .. } = facts.memlock;
    let found = current.map_or_else(|| "unlimited".to_owned(), |limit| units::bytes(limit as f64));
    if !host.uses_vfio() || facts.can(IPC_LOCK) || current.is_none_or(|limit| limit >= MEMORY_MIN) {
        return Finding::ok(WHAT, found, "enough: only cards at vfio-pci have memory locked");
    }
    Finding::missing(
        WHAT,
        found,
        "vfio locks all memory that a card may reach",
        "ulimit -l unlimited, or LimitMEMLOCK=infinity of the systemd unit",
    )
}

fn rights(facts: &Facts) -> Finding {
    const WHAT: &str = "rights";
    match (facts.can(NET_RAW), facts.can(NET_ADMIN)) {
        (true, true) => Finding::ok(WHAT, "CAP_NET_RAW, CAP_NET_ADMIN", "net_af_packet, net_tap and mlx5 can be used"),
        (raw, _) => Finding::limited(
            WHAT,
            if raw { "no CAP_NET_ADMIN" } else { "no CAP_NET_RAW" },
            "net_memif, net_vhost, net_virtio_user and net_null take no right, a card at vfio-pci access to its /dev/vfio/GROUP; \
             net_af_packet and mlx5 take CAP_NET_RAW, net_tap CAP_NET_ADMIN",
            "setcap cap_net_raw,cap_net_admin+ep on the program, for those",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::super::tests::healthy;
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn with_vfio() -> Host {
        Host {
            version: Some("DPDK 22.11.11"),
            pages: vec![Pages { size: 2 << 20, free: 256 }],
            cards: vec![Card { address: "0000:03:00.0".into(), driver: Some("vfio-pci".into()) }],
            iommu: true,
            unsafe_vfio: false,
        }
    }

    fn state(facts: &Facts, host: &Host, what: &str) -> State {
        let findings = judge(facts, host);
        for finding in &findings {
            assert_eq!(finding.state != State::Ok, !finding.todo.is_empty(), "{finding:?}");
        }
        findings.iter().find(|finding| finding.what == what).unwrap_or_else(|| panic!("{what}")).state
    }

    #[test]
    fn what_is_missing_is_said() {
        let mut facts = healthy();
        facts.capabilities |= 1 << NET_RAW | 1 << NET_ADMIN;
        facts.memlock = Limit { current: None, maximum: None };
        let good = with_vfio();
        assert!(judge(&facts, &good).iter().all(|finding| finding.state == State::Ok));
        assert_eq!(state(&facts, &Host { version: None, ..good.clone() }, "libdpdk"), State::Missing);
        assert_eq!(state(&facts, &Host { pages: vec![], ..good.clone() }, "huge pages"), State::Limited);
        assert_eq!(state(&facts, &Host { cards: vec![], ..good.clone() }, "network cards"), State::Limited);
        let kernels = Card { address: "0000:03:00.0".into(), driver: Some("ice".into()) };
        assert_eq!(
            state(&facts, &Host { cards: vec![kernels.clone()], ..good.clone() }, "network cards"),
            State::Limited
        );
        assert_eq!(state(&facts, &Host { iommu: false, ..good.clone() }, "IOMMU"), State::Missing);
        assert_eq!(state(&facts, &Host { iommu: false, unsafe_vfio: true, ..good.clone() }, "IOMMU"), State::Limited);
        // Who has no card at vfio-pci needs none.
        assert_eq!(state(&facts, &Host { iommu: false, cards: vec![kernels], ..good.clone() }, "IOMMU"), State::Ok);
        facts.memlock.current = Some(8 << 20);
        assert_eq!(state(&facts, &good, "locked memory"), State::Missing);
        facts.capabilities = 0;
        assert_eq!(state(&facts, &good, "rights"), State::Limited);
    }

    #[test]
    fn a_host_is_read() {
        let root = tempfile::tempdir().expect("a folder");
        let at = |path: &str| root.path().join(path);
        let write = |path: &str, text: &str| {
            fs::create_dir_all(at(path).parent().expect("a folder")).expect("folders");
            fs::write(at(path), text).expect("a file");
        };
        let none = Host::look(root.path());
        assert!(none.pages.is_empty() && none.cards.is_empty() && !none.iommu);
        write("sys/kernel/mm/hugepages/hugepages-1048576kB/free_hugepages", "0\n");
        write("sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "12\n");
        write("sys/bus/pci/devices/0000:03:00.0/class", "0x020000\n");
        symlink("../../drivers/vfio-pci", at("sys/bus/pci/devices/0000:03:00.0/driver")).expect("a link");
        write("sys/bus/pci/devices/0000:00:01.0/class", "0x020000\n");
        write("sys/bus/pci/devices/0000:00:02.0/class", "0x030000\n");
        write("sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "Y\n");
        write("sys/kernel/iommu_groups/0/type", "DMA\n");
        let host = Host::look(root.path());
        assert_eq!(host.pages, [Pages { size: 2 << 20, free: 12 }, Pages { size: 1 << 30, free: 0 }]);
        assert_eq!(host.cards[0], Card { address: "0000:00:01.0".into(), driver: None });
        assert_eq!(host.cards[1], Card { address: "0000:03:00.0".into(), driver: Some("vfio-pci".into()) });
        assert_eq!(host.cards.len(), 2);
        assert!(host.iommu && host.unsafe_vfio && host.uses_vfio());
    }
}
