// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which memory a port can send from.
//!
//! Where this processor copies what is sent, that is all of it. A NIC reads by itself (DMA) what it was told of, and nothing else: DPDK's own
//! memory, and that of the LibOs' buffers that lie in one piece. A payload in a block of the heap is copied for it.

use super::limits::PAGE;
use core::ffi::c_int;
use core::ptr::{null_mut, with_exposed_provenance_mut};
use dpdk_sys::{rte_dev_dma_map, rte_dev_dma_unmap, rte_device, rte_extmem_register, rte_extmem_unregister};
use runtime::Result;
use runtime::buf::{Buf, Pool, Pools};

/// Drivers whose frames this processor copies, or hands to somebody else in this process. Any other may have a NIC read them.
const COPIED_BY_PROCESSOR: [&str; 9] = [
    "net_memif",
    "net_vhost",
    "net_virtio_user",
    "net_tap",
    "net_af_packet",
    "net_af_xdp",
    "net_ring",
    "net_null",
    "net_pcap",
];

/// Drivers over ports of others, to which they hand frames on. They do not tell those of memory, though they say that they have.
const OVER_OTHERS: [&str; 2] = ["net_bonding", "net_failsafe"];

/// Whether a port of this driver reads memory without this processor, as far as is known.
pub fn uses_dma(driver: &str) -> bool {
    !COPIED_BY_PROCESSOR.contains(&driver)
}

/// Whether whoever reads for such a port can be told of memory. A virtual device that is not known to copy may have anybody behind it.
pub fn can_be_told(driver: &str, is_virtual: bool) -> bool {
    !is_virtual && !OVER_OTHERS.contains(&driver)
}

/// The memory that a port can send from.
pub enum Reach {
    /// All of it.
    Everything,
    /// What it was told of: places, each with its length, and buffers of what it has received.
    Told { places: Vec<(usize, usize)>, received: Pool },
    /// None of what is not DPDK's.
    Nothing,
}

impl Reach {
    /// Whether a piece of a frame can be sent from where it is.
    #[inline]
    pub fn has(&self, piece: &Buf) -> bool {
        match self {
            Self::Everything => true,
            Self::Told { places, received } => {
                lies_in(places, piece.as_ptr().addr(), piece.len()) || piece.belongs_to(received)
            }
            Self::Nothing => false,
        }
    }
}

/// Whether so many bytes from an address on lie in one of the places.
fn lies_in(places: &[(usize, usize)], at: usize, len: usize) -> bool {
    places
        .iter()
        .any(|&(start, room)| at.checked_sub(start).is_some_and(|before| before <= room && len <= room - before))
}

/// Memory of the LibOs that a port's device was told of.
#[derive(Default)]
pub struct Mapped(Vec<(usize, usize)>);

impl Mapped {
    /// Tells the device of the buffers that lie in one piece.
    ///
    /// # Errors
    /// Of DPDK or the driver. What the device was told of until then, it knows.
    pub fn tell(&mut self, device: *mut rte_device, pools: &Pools) -> Result<()> {
        for (base, len) in pools.slotted().into_iter().filter_map(Pool::memory) {
            let (start, len) = (base.as_ptr().cast(), len.next_multiple_of(PAGE));
            let said = both(
                // SAFETY: memory of this process, which stays as long as the views that are attached; of pages, as the pools are. The rest of
                // the last page is only ever named, not used.
                || unsafe { rte_extmem_register(start, len, null_mut(), 0, PAGE) },
                // SAFETY: the same, of a port that is there.
                || unsafe { rte_dev_dma_map(device, start, start.addr() as u64, len) },
                // SAFETY: registered above, and nobody uses it yet.
                || unsafe { rte_extmem_unregister(start, len) },
            );
            super::port::check(
                said,
                "the NIC cannot be told of the LibOs' memory: set catnip.dpdk.attach to off, and payloads are copied",
            )?;
            self.0.push((start.expose_provenance(), len));
        }
        Ok(())
    }

    /// Has it forget them.
    ///
    /// # Safety
    /// The port has stopped for good, and reads nothing of that any more.
    pub unsafe fn forget(&mut self, device: *mut rte_device) {
        for (start, len) in self.0.drain(..) {
            let start = with_exposed_provenance_mut(start);
            // SAFETY: told in `tell`.
            unsafe {
                rte_dev_dma_unmap(device, start, start.addr() as u64, len);
                rte_extmem_unregister(start, len);
            }
        }
    }

    /// Which those are: each with its length.
    pub fn places(&self) -> Vec<(usize, usize)> {
        self.0.clone()
    }
}

/// Memory that could not be mapped is not registered either: the next port of this LibOs would be refused it.
fn both(register: impl FnOnce() -> c_int, map: impl FnOnce() -> c_int, unregister: impl FnOnce() -> c_int) -> c_int {
    let said = register();
    if said < 0 {
        return said;
    }
    let said = map();
    if said < 0 {
        unregister();
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::cell::RefCell;
    use runtime::buf::Classes;

    #[test]
    fn who_reads_memory_by_itself() {
        for driver in COPIED_BY_PROCESSOR {
            assert!(!uses_dma(driver), "{driver}");
        }
        for driver in ["net_bonding", "net_failsafe", "net_virtio", "net_i40e", "mlx5_pci", "net_softnic", ""] {
            assert!(uses_dma(driver), "{driver}");
        }
        assert!(can_be_told("net_i40e", false) && can_be_told("net_virtio", false));
        // However it was named.
        assert!(!can_be_told("net_bonding", true) && !can_be_told("net_bonding", false));
        assert!(!can_be_told("net_softnic", true));
    }

    #[test]
    fn what_lies_in_a_place() {
        let places = [(0x1000, 0x1000), (0x8000, 0x100)];
        for (at, len, lies) in [
            (0x1000, 0x1000, true),
            (0x1fff, 1, true),
            (0x2000, 0, true),
            (0x80ff, 1, true),
            (0xfff, 1, false),
            (0xfff, 2, false),
            (0x1fff, 2, false),
            (0x2000, 1, false),
            (0x2001, 0, false),
            (0x8000, 0x101, false),
            (0x1000, usize::MAX, false),
            (usize::MAX, 1, false),
        ] {
            assert_eq!(lies_in(&places, at, len), lies, "{len:#x} at {at:#x}");
        }
        assert!(!lies_in(&[], 0, 0));
    }

    /// A block of the heap is none that a NIC was told of; one that was received on the port is DPDK's own.
    #[test]
    fn only_what_the_port_was_told_of() {
        let classes = Classes { small_count: 4, large_count: 4, ..Classes::default() };
        let (ours, others) = (Pools::new(&classes).unwrap(), Pools::new(&classes).unwrap());
        let memory = |pool: &Pool| pool.memory().map(|(base, len)| (base.addr().get(), len.next_multiple_of(PAGE)));
        let places = ours.slotted().into_iter().filter_map(memory).collect();
        let received = Pool::heap(2048, 4, 0, 0).unwrap();
        let told = Reach::Told { places, received: received.clone() };
        let [small, large] = ours.slotted().map(|pool| ours.alloc(pool.slot_size()).unwrap());
        let oversize = ours.alloc(ours.slotted()[1].slot_size() + 1).unwrap();
        let came = received.alloc(1500).unwrap();
        let other = others.alloc(1500).unwrap();
        let of = |reach: &Reach| [&small, &large, &oversize, &came, &other].map(|piece| reach.has(piece));
        assert_eq!(of(&told), [true, true, false, true, false]);
        assert_eq!(of(&Reach::Everything), [true; 5]);
        assert_eq!(of(&Reach::Nothing), [false; 5]);
    }

    #[test]
    fn what_cannot_be_mapped_is_not_registered() {
        for (registered, mapped, said, calls) in [
            (0, 0, 0, &["register", "map"][..]),
            (-1, 0, -1, &["register"]),
            (0, -5, -5, &["register", "map", "unregister"]),
        ] {
            let called = RefCell::new(Vec::new());
            let note = |what, says| {
                called.borrow_mut().push(what);
                says
            };
            let got = both(|| note("register", registered), || note("map", mapped), || note("unregister", 0));
            assert_eq!((got, &called.borrow()[..]), (said, calls));
        }
    }
}
