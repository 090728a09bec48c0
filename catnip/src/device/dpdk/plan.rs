// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a port is set to before it has queues: out of what it can do, and what is wanted of it (`rte_eth_dev_configure`).

use super::Settings;
use super::limits::SEGMENT;
use super::port::{Port, check, control};
use super::reach::can_be_told;
use dpdk_sys::{
    MARGAY_HEADROOM, MARGAY_RSS_IP, MARGAY_RSS_TCP, MARGAY_RSS_UDP, MARGAY_RX_IPV4_CKSUM, MARGAY_RX_SCATTER,
    MARGAY_RX_TCP_CKSUM, MARGAY_RX_UDP_CKSUM, MARGAY_SPREAD_BY_HASH, MARGAY_TX_IPV4_CKSUM, MARGAY_TX_MULTI_SEGS,
    MARGAY_TX_TCP_CKSUM, MARGAY_TX_TCP_TSO, MARGAY_TX_UDP_CKSUM, margay_iova_is_va, rte_eth_conf,
    rte_eth_dev_adjust_nb_rx_tx_desc, rte_eth_dev_configure, rte_eth_dev_get_mtu, rte_eth_dev_set_mtu,
};
use runtime::{Errno, Error, Result};
use rustix::io::Errno as Os;

/// Bytes in front of a packet and behind it that its length on the wire does not count: Ethernet's header and a VLAN tag.
const OVERHEAD: u32 = super::super::frame_max(0) as u32;

/// Bytes of the longest frame that is cut: a packet of IP can have no more.
const CUT_MAX: u32 = u16::MAX as u32 + OVERHEAD;

/// Descriptors that drivers want for a packet beside those of its packet buffers (a header of their own, what is to be done to it), or keep free.
const BESIDE: usize = 4;

const MTU: Error = Error::new(Errno::INVAL, "the MTU is more than the port can have");

/// Drivers that cannot send memory that is not their own: the peer of `net_virtio_user` reads DPDK's memory alone, and `net_af_xdp`
/// its UMEM.
const OWN_MEMORY: [&str; 2] = ["net_virtio_user", "net_af_xdp"];

/// Drivers to which checksums and segmentation are not left, though they offer both: `net_tap` does them by software of its own. Its sum
/// is wrong where a packet has a piece of odd length in its middle, and a packet whose segments are as long as the MTU lets them be it
/// never takes, because it counts their Ethernet headers, too.
const WRONG_SUMS: [&str; 1] = ["net_tap"];

/// Drivers that sum by software, for peers that take no open checksums, and are right (22.11) under two conditions: no piece in the middle of a
/// packet has an odd length (`rte_raw_cksum_mbuf`), and a datagram is called one, for else a sum of zero stays as it is (`vhost_dev_tx_sw_csum`),
/// which says that there is none.
const OWN_SUMS: [&str; 1] = ["net_vhost"];

/// What a port is set to.
#[expect(clippy::struct_excessive_bools, reason = "each is another thing that the port does")]
pub struct Plan {
    pub mtu: u16,
    pub queues: u16,
    pub receive: u16,
    pub transmit: u16,
    /// Data bytes of a packet buffer, to receive into and to copy into.
    pub segment: u32,
    /// Several packet buffers may be one frame to be sent; and how many, at most.
    pub chains: Option<usize>,
    /// How many may be one packet on the wire, be it such a frame or a segment that is cut out of one; `None`: as many as there are.
    pub per_mtu: Option<usize>,
    pub checksum: bool,
    pub segmentation: bool,
    /// Payloads may be attached.
    pub attach: bool,
    /// The driver is one of [`OWN_SUMS`].
    pub sums: bool,
    /// What the driver is told.
    pub(super) conf: Box<rte_eth_conf>,
}

/// A bound of a driver on segments, if it has one.
fn bound(told: u16) -> Option<usize> {
    (told != 0 && told != u16::MAX).then_some(told.into())
}

/// Packet buffers of `segment` bytes over which a packet may lie that is cut out of a longer one, its headers among them.
fn cut_spans(mtu: u16, segment: u32) -> usize {
    // Its payload begins anywhere, and the headers are in the first of all.
    usize::from(mtu) / segment as usize + 3
}

impl Plan {
    /// Whether the port is to interrupt.
    pub fn interrupts(&self) -> bool {
        self.conf.intr_conf.rxq() != 0
    }
}

impl Port {
    /// Sets what is set before a port has queues.
    ///
    /// # Errors
    /// `EINVAL` the MTU is too large; `ENOTSUP` and others of the driver.
    pub fn configure(&mut self, settings: &Settings) -> Result<Plan> {
        let info = self.info()?;
        let before = self.mtu()?;
        let mtu = settings.mtu.unwrap_or(before);
        if mtu != before && info.max_mtu != 0 && mtu > info.max_mtu {
            return Err(MTU);
        }
        let (receives, transmits) = (info.rx_offload_capa, info.tx_offload_capa);
        let all = |offered: u64, wanted: u64| offered & wanted == wanted;
        let both = MARGAY_TX_UDP_CKSUM | MARGAY_TX_TCP_CKSUM;
        let checksum = settings.checksum && all(transmits, both) && !WRONG_SUMS.contains(&self.driver());
        let (mut receive, mut transmit) = (settings.receive, settings.transmit);
        // SAFETY: two numbers that it changes.
        let said = unsafe { rte_eth_dev_adjust_nb_rx_tx_desc(self.id(), &raw mut receive, &raw mut transmit) };
        check(said, "rte_eth_dev_adjust_nb_rx_tx_desc")?;
        // A packet for which the whole ring is too short would never go, and nothing behind it.
        let most = match info.tx_desc_lim.nb_seg_max {
            0 => usize::from(u8::MAX),
            most => usize::from(most),
        };
        let most = most.min(self.ring().min(transmit.into()).saturating_sub(BESIDE)).max(1);
        let chains = all(transmits, MARGAY_TX_MULTI_SEGS).then_some(most);
        let per_mtu = bound(info.tx_desc_lim.nb_mtu_seg_max);
        // What does not fit a packet buffer comes in several, where the port can do that.
        let frame = u32::from(mtu) + OVERHEAD;
        let scatter = frame > SEGMENT && receives & MARGAY_RX_SCATTER != 0;
        let longest = (u32::from(u16::MAX) - MARGAY_HEADROOM) & !63;
        let segment = if scatter || frame <= SEGMENT { SEGMENT } else { frame.next_multiple_of(64).min(longest) };
        let segmentation = settings.segmentation
            && checksum
            && all(transmits, MARGAY_TX_TCP_TSO)
            && chains.is_some_and(|most| CUT_MAX.div_ceil(segment) as usize <= most)
            && per_mtu.is_none_or(|most| cut_spans(mtu, segment) <= most);

        let mut conf = Box::<rte_eth_conf>::default();
        conf.rxmode.mtu = mtu.into();
        if settings.checksum {
            conf.rxmode.offloads |= receives & (MARGAY_RX_IPV4_CKSUM | MARGAY_RX_UDP_CKSUM | MARGAY_RX_TCP_CKSUM);
        }
        if scatter {
            conf.rxmode.offloads |= MARGAY_RX_SCATTER;
        }
        if checksum {
            conf.txmode.offloads |= both | transmits & MARGAY_TX_IPV4_CKSUM;
        }
        if chains.is_some() {
            conf.txmode.offloads |= MARGAY_TX_MULTI_SEGS;
        }
        if segmentation {
            conf.txmode.offloads |= MARGAY_TX_TCP_TSO;
        }
        let queues = settings.queues.clamp(1, info.max_rx_queues.min(info.max_tx_queues).max(1));
        // What a NIC spreads by is what it can of this: others refuse a word too many.
        let hashes = info.flow_type_rss_offloads & (MARGAY_RSS_IP | MARGAY_RSS_TCP | MARGAY_RSS_UDP);
        if queues > 1 && hashes != 0 {
            conf.rxmode.mq_mode = MARGAY_SPREAD_BY_HASH;
            conf.rx_adv_conf.rss_conf.rss_hf = hashes;
        }
        conf.intr_conf.set_rxq((settings.interrupts && self.may_interrupt()).into());
        let shares = self.arguments().contains("zero-copy=yes");
        let attach = settings.attach
            && chains.is_some()
            && !shares
            && !OWN_MEMORY.contains(&self.driver())
            // SAFETY: the environment is up.
            && (!self.uses_dma() || can_be_told(self.driver(), self.is_virtual()) && unsafe { margay_iova_is_va() });
        let sums = OWN_SUMS.contains(&self.driver());
        let mut plan = Plan {
            mtu,
            queues,
            receive,
            transmit,
            segment,
            chains,
            per_mtu,
            checksum,
            segmentation,
            attach,
            sums,
            conf,
        };
        let _control = control();
        if let Err(error) = self.apply(&plan) {
            if !plan.interrupts() {
                return Err(error);
            }
            self.apply_without_interrupts(&mut plan)?;
        }
        self.take_leave_as(&plan);
        if mtu != before {
            self.set_mtu(mtu)?;
        }
        Ok(plan)
    }

    /// Descriptors of a queue at most, where the device is told how many: `net_virtio_user` makes do with those, and says nothing.
    fn ring(&self) -> usize {
        let told = self.arguments().split(',').find_map(|argument| argument.strip_prefix("queue_size="));
        told.and_then(|told| told.parse().ok()).unwrap_or(usize::MAX)
    }

    /// Tells the driver. The caller has [`control`].
    fn apply(&self, plan: &Plan) -> Result<()> {
        // SAFETY: a structure that it copies.
        let said = unsafe { rte_eth_dev_configure(self.id(), plan.queues, plan.queues, &raw const *plan.conf) };
        check(said, "rte_eth_dev_configure: the port does not take these queues and offloads")
    }

    /// Tells the driver anew, one that has refused the plan with interrupts: that may be why. The caller has [`control`].
    ///
    /// # Errors
    /// Of the driver: that was not why.
    pub(super) fn apply_without_interrupts(&self, plan: &mut Plan) -> Result<()> {
        plan.conf.intr_conf.set_rxq(0);
        self.apply(plan)
    }

    /// The longest packet that it has.
    fn mtu(&self) -> Result<u16> {
        let mut mtu = 0;
        // SAFETY: a number that it fills in.
        let said = unsafe { rte_eth_dev_get_mtu(self.id(), &raw mut mtu) };
        check(said, "rte_eth_dev_get_mtu").map(|()| mtu)
    }

    /// Tells the driver the longest packet once more: those over the kernel's interfaces give it to these only now, and DPDK wants the port configured
    /// before. The caller has [`control`].
    fn set_mtu(&self, mtu: u16) -> Result<()> {
        // SAFETY: numbers.
        let said = unsafe { rte_eth_dev_set_mtu(self.id(), mtu) };
        // A driver that cannot be told has no bound of its own below its longest packet, which was looked at when it was configured.
        if said == -Os::OPNOTSUPP.raw_os_error() {
            return Ok(());
        }
        check(said, "rte_eth_dev_set_mtu: the port cannot have this MTU")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_that_are_none() {
        assert_eq!([0, 1, 8, 255, u16::MAX].map(bound), [None, Some(1), Some(8), Some(255), None]);
    }

    #[test]
    fn what_is_cut_lies_in_few_packet_buffers() {
        // i40e and ice have eight.
        assert_eq!((cut_spans(1500, SEGMENT), cut_spans(9000, SEGMENT)), (3, 7));
    }
}
