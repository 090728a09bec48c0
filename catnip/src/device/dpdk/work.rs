// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a port is to do to a frame that it sends: the checksums that it lacks, and the cutting of long ones.

use dpdk_sys::{
    MARGAY_FLAG_TX_IP_CKSUM, MARGAY_FLAG_TX_IPV4, MARGAY_FLAG_TX_IPV6, MARGAY_FLAG_TX_TCP_CKSUM,
    MARGAY_FLAG_TX_TCP_SEG, MARGAY_FLAG_TX_UDP_CKSUM, margay_work,
};
use runtime::device::{Checksum, ETHERNET_HEADER, Frame, SegmentKind};

/// Where the type of what an Ethernet header carries stands, and the type of a VLAN tag, behind which it stands again.
const TYPE_AT: usize = 12;
const TAGGED: [u8; 2] = [0x81, 0x00];
const IPV6: [u8; 2] = [0x86, 0xdd];
/// Where the checksum stands in the header of TCP (RFC 9293 section 3.1).
const TCP_CHECKSUM: u16 = 16;

/// What the port is to do to a frame. `None`: nothing, or what it cannot.
#[inline]
pub fn work(frame: &Frame) -> Option<margay_work> {
    let Checksum::Partial { start, offset } = frame.checksum else { return None };
    let head = frame.data.iter().next()?;
    let kind_at = |at: usize| head.get(at..at + 2);
    let (kind, link_len) = match kind_at(TYPE_AT) {
        Some(kind) if kind == TAGGED => {
            (kind_at(TYPE_AT + super::super::VLAN_TAG), ETHERNET_HEADER + super::super::VLAN_TAG)
        }
        kind => (kind, ETHERNET_HEADER),
    };
    let six = kind == Some(&IPV6[..]);
    let tcp = offset == TCP_CHECKSUM;
    let mut work = margay_work {
        flags: if six { MARGAY_FLAG_TX_IPV6 } else { MARGAY_FLAG_TX_IPV4 },
        packet_type: 0,
        link_len: link_len as u16,
        network_len: start.checked_sub(link_len as u16)?,
        transport_len: 0,
        segment_size: 0,
    };
    work.flags |= if tcp { MARGAY_FLAG_TX_TCP_CKSUM } else { MARGAY_FLAG_TX_UDP_CKSUM };
    if let Some(cut) = frame.segmentation.filter(|cut| cut.kind != SegmentKind::Udp) {
        // Each segment has a header of IP of its own, so that the port does its checksum, too.
        work.flags |= MARGAY_FLAG_TX_TCP_SEG | if six { 0 } else { MARGAY_FLAG_TX_IP_CKSUM };
        work.transport_len = cut.header.checked_sub(start)?;
        work.segment_size = cut.size;
    }
    Some(work)
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime::buf::{Classes, Pools, Sga};
    use runtime::device::Segmentation;

    fn frame(head: &[u8], checksum: Checksum, segmentation: Option<Segmentation>) -> Frame {
        let pools = Pools::new(&Classes { small_count: 1, large_count: 1, ..Classes::default() }).unwrap();
        Frame { data: Sga::from(pools.alloc_copy(head).unwrap()), checksum, segmentation }
    }

    fn words(frame: &Frame) -> Option<(u64, u16, u16, u16, u16)> {
        work(frame).map(|work| (work.flags, work.link_len, work.network_len, work.transport_len, work.segment_size))
    }

    #[test]
    fn what_the_port_is_to_do() {
        let head = |kind: &[u8]| [&[0; 12][..], kind, &[0; 60]].concat();
        let udp = Checksum::Partial { start: 34, offset: 6 };
        let flags = MARGAY_FLAG_TX_IPV4 | MARGAY_FLAG_TX_UDP_CKSUM;
        assert_eq!(words(&frame(&head(&[8, 0]), udp, None)), Some((flags, 14, 20, 0, 0)));
        assert_eq!(words(&frame(&head(&[8, 0]), Checksum::Complete, None)), None);
        // Behind a tag, and IPv6.
        let tcp = Checksum::Partial { start: 58, offset: 16 };
        let flags = MARGAY_FLAG_TX_IPV6 | MARGAY_FLAG_TX_TCP_CKSUM;
        assert_eq!(words(&frame(&head(&[0x81, 0, 0, 7, 0x86, 0xdd]), tcp, None)), Some((flags, 18, 40, 0, 0)));
        let cut = Segmentation { kind: SegmentKind::TcpV4, size: 1448, header: 66 };
        let tcp = Checksum::Partial { start: 34, offset: 16 };
        let flags = MARGAY_FLAG_TX_IPV4 | MARGAY_FLAG_TX_TCP_CKSUM | MARGAY_FLAG_TX_TCP_SEG | MARGAY_FLAG_TX_IP_CKSUM;
        assert_eq!(words(&frame(&head(&[8, 0]), tcp, Some(cut))), Some((flags, 14, 20, 32, 1448)));
        // What cannot be is left alone.
        let before = Checksum::Partial { start: 10, offset: 6 };
        assert_eq!(words(&frame(&head(&[8, 0]), before, None)), None);
        assert_eq!(words(&frame(&[0; 4], udp, None)).map(|one| one.1), Some(14));
    }
}
