// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can be set of ports of DPDK, and how people write it.

use super::MIB;
use super::check::Violation;
use super::parse::Refused;
use catnip::device::dpdk::{BUILT, Settings};

/// A port of DPDK as the device of our own network stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DpdkConfig {
    /// Which: a PCI address, a virtual device with its arguments, or a hardware address. Default: none.
    pub port: Option<String>,
    /// More arguments for DPDK's environment, which counts for the first port of a process: at most 64. Default: none.
    pub eal: Vec<String>,
    /// Memory of DPDK in bytes where there are no huge pages: 64 MiB to 64 GiB. Default: 256 MiB.
    pub memory: usize,
    /// Queues in each direction: 1 to 64; no more than the port has. Default: 1.
    pub queues: usize,
    /// Packets that the port is asked for at once: 4 to 32. Default: 32.
    pub burst: usize,
    /// How many packets ahead a received one is fetched into the cache: 0, which is not at all, to 8. Default: 1.
    pub prefetch: usize,
    /// Packet buffers to receive into: 512 to 4,194,304; `None`: enough for the descriptors and the LibOs' buffers. Default: `None`.
    pub buffers: Option<usize>,
    /// Whether payloads are attached to packets instead of copied, where the driver allows it. Default: true.
    pub attach: bool,
    /// Whether the port interrupts a sleep when a frame comes, where the driver can do that; else a timer ends each sleep. Default: true.
    pub interrupts: bool,
}

impl Default for DpdkConfig {
    fn default() -> Self {
        Self {
            port: None,
            eal: Vec::new(),
            memory: 256 * MIB,
            queues: 1,
            burst: 32,
            prefetch: 1,
            buffers: None,
            attach: true,
            interrupts: true,
        }
    }
}

/// The longest list of arguments.
const EAL_MAX: usize = 64;

impl DpdkConfig {
    /// What the port is told, with what all devices have in common. [`Config::check`](super::Config::check) has found it right.
    pub(super) fn settings(&self, common: &super::CatnipConfig) -> Settings {
        Settings {
            eal: self.eal.clone(),
            memory: self.memory / MIB,
            queues: self.queues as u16,
            receive: u16::try_from(common.receive_frames).unwrap_or(u16::MAX),
            transmit: u16::try_from(common.transmit_frames).unwrap_or(u16::MAX),
            burst: self.burst as u16,
            prefetch: self.prefetch as u16,
            buffers: self.buffers.map(|count| count as u32),
            attach: self.attach,
            interrupts: self.interrupts,
            checksum: common.checksum_offload,
            segmentation: common.segmentation_offload,
            promiscuous: common.promiscuous,
            ..Settings::new(self.port.as_deref().unwrap_or_default())
        }
    }

    /// What the table of rules cannot say.
    pub(super) fn check(&self) -> Result<(), Violation> {
        if self.eal.len() > EAL_MAX {
            return Err(Violation {
                key: "catnip.dpdk.eal",
                what: "`catnip.dpdk.eal` is too long".to_owned(),
                found: self.eal.len().to_string(),
                allowed: format!("at most {EAL_MAX}"),
                advice: "leave out what Margay finds by itself: processor, memory, file prefix".to_owned(),
            });
        }
        Ok(())
    }

    /// What it needs if it is the device that is named.
    pub(super) fn check_use(&self) -> Result<(), Violation> {
        if !BUILT {
            return Err(Violation {
                key: "catnip.device",
                what: "this build of Margay has no DPDK".to_owned(),
                found: "dpdk".to_owned(),
                allowed: "socket, tap, packet or xdp".to_owned(),
                advice: "build it with the feature `catnip-dpdk`, or name another device".to_owned(),
            });
        }
        if self.port.is_none() {
            return Err(Violation {
                key: "catnip.dpdk.port",
                what: "`catnip.dpdk.port` is missing: which port?".to_owned(),
                found: "nothing".to_owned(),
                allowed: String::new(),
                advice: "write a PCI address (`dpdk-devbind.py --status` shows them), or a virtual device such as \
                         net_af_packet0,iface=eth1"
                    .to_owned(),
            });
        }
        Ok(())
    }
}

/// One port.
pub(super) fn port(text: &str) -> Result<Option<String>, Refused> {
    let text = text.trim();
    if text.is_empty() || text.contains('\0') {
        return Err(Refused {
            allowed: "a PCI address such as 0000:03:00.0, a virtual device with its arguments, or a hardware address",
            advice: "write one of those".to_owned(),
        });
    }
    Ok(Some(text.to_owned()))
}
