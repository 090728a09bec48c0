// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pools of packet buffers (`rte_mbuf.h`), which are DPDK's.

use super::limits::CACHE;
use super::port::error;
use core::cell::Cell;
use core::ffi::{CStr, c_int};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, Ordering};
use dpdk_sys::{
    MARGAY_HEADROOM, margay_alloc, margay_dense_pool, margay_errno, margay_free_pool, rte_mbuf, rte_mempool,
    rte_mempool_in_use_count, rte_pktmbuf_pool_create,
};
use runtime::{Error, Result};
use std::ffi::CString;

/// A number for each name that DPDK must know apart.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// Pools that there are.
static POOLS: AtomicU32 = AtomicU32::new(0);

/// Pools of packet buffers that there are in this process: those of open ports, and those that stay because a buffer is still out.
#[must_use]
pub fn pools() -> u32 {
    POOLS.load(Ordering::Relaxed)
}

/// A NUMA node, as DPDK counts them (it calls them sockets).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node(pub c_int);

impl Node {
    /// Whichever has memory: `SOCKET_ID_ANY`.
    pub const ANY: Self = Self(-1);
}

/// A name that nothing else has.
pub fn name(kind: &str) -> CString {
    // Digits and letters, without a zero byte.
    CString::new(format!("margay-{kind}-{}", NEXT.fetch_add(1, Ordering::Relaxed))).unwrap_or_default()
}

/// What DPDK has said last on this thread.
pub fn last_error(reason: &'static str) -> Error {
    // SAFETY: a number of this thread.
    error(unsafe { margay_errno() }.saturating_neg(), reason)
}

/// Bytes of a buffer for so many of data, 0 for none.
fn room(segment: u32) -> u16 {
    let room = if segment == 0 { 0 } else { segment + MARGAY_HEADROOM };
    u16::try_from(room).unwrap_or(u16::MAX)
}

/// A pool, which goes when all its buffers are back. If some are not, it stays: their memory may be looked at still.
pub struct Packets {
    pool: NonNull<rte_mempool>,
    /// Those that are not back are nobody's then: see [`Packets::end_with_the_port`].
    ends: Cell<bool>,
}

impl Packets {
    /// A pool of `count` buffers with `segment` bytes of data each, 0 for none, in the memory of a node, or of another one if that has too little.
    ///
    /// # Errors
    /// `ENOMEM` DPDK has too little memory.
    pub fn new(kind: &str, count: u32, segment: u32, node: Node) -> Result<Self> {
        Self::made(node, |Node(node)| {
            let name: &CStr = &name(kind);
            // SAFETY: a string that it copies, and numbers.
            unsafe { rte_pktmbuf_pool_create(name.as_ptr(), count, CACHE, 0, room(segment), node) }
        })
    }

    /// The same, whose buffers lie side by side in memory. Without huge pages DPDK keeps each from crossing into another page, and
    /// `net_af_xdp` does not count what lies between: the buffers at the end would not be in the memory that it shares with the kernel,
    /// which then sends nothing from them.
    ///
    /// # Errors
    /// `ENOMEM` DPDK has too little memory.
    pub fn dense(kind: &str, count: u32, segment: u32, node: Node) -> Result<Self> {
        Self::made(node, |Node(node)| {
            let name: &CStr = &name(kind);
            // SAFETY: a string that it copies, and numbers.
            unsafe { margay_dense_pool(name.as_ptr(), count, CACHE, room(segment), node) }
        })
    }

    fn made(node: Node, make: impl Fn(Node) -> *mut rte_mempool) -> Result<Self> {
        let mut pool = NonNull::new(make(node));
        if pool.is_none() && node != Node::ANY {
            // Without huge pages, and with those of another node alone, DPDK has none there: farther memory is better than none.
            pool = NonNull::new(make(Node::ANY));
            if pool.is_some() {
                log::warn!(
                    "DPDK has too little memory on NUMA node {}, where the port is: its packet buffers are elsewhere",
                    node.0
                );
            }
        }
        let pool = pool.ok_or_else(|| {
            last_error("rte_pktmbuf_pool_create: DPDK has too little memory: more huge pages, more catnip.dpdk.memory, or fewer buffers")
        })?;
        POOLS.fetch_add(1, Ordering::Relaxed);
        Ok(Self { pool, ends: Cell::new(false) })
    }

    /// DPDK's pointer to it.
    pub const fn raw(&self) -> *mut rte_mempool {
        self.pool.as_ptr()
    }

    /// The pool goes when it is dropped, whatever its port's driver has not put back: the port is closed by then, and the driver looks at none of
    /// that any more. Views hold the pool, so that none of theirs are out.
    pub fn end_with_the_port(&self) {
        self.ends.set(true);
    }

    /// A buffer without data; `None`: all are out.
    #[inline]
    pub fn take(&self) -> Option<NonNull<rte_mbuf>> {
        // SAFETY: the pool is there.
        NonNull::new(unsafe { margay_alloc(self.raw()) })
    }

    /// How many are out.
    pub fn in_use(&self) -> u32 {
        // SAFETY: the pool is there.
        unsafe { rte_mempool_in_use_count(self.raw()) }
    }
}

impl Drop for Packets {
    fn drop(&mut self) {
        // SAFETY: nobody takes buffers out any more; one that is out somewhere keeps the pool, unless it is known that it is nobody's.
        if unsafe { margay_free_pool(self.raw(), self.ends.get()) } {
            POOLS.fetch_sub(1, Ordering::Relaxed);
        } else {
            log::warn!("{} packet buffers of DPDK are still out: their pool stays", self.in_use());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Settings, eal};
    use super::*;
    use dpdk_sys::margay_free;

    #[test]
    fn a_node_without_memory_is_made_up_for() {
        eal::start(&Settings::new("")).unwrap();
        for pool in [Packets::new("far", 512, 2048, Node(1000)), Packets::dense("far", 512, 2048, Node(1000))] {
            let pool = pool.unwrap();
            let packet = pool.take().unwrap();
            assert_eq!(pool.in_use(), 1);
            // SAFETY: taken above, and not used.
            unsafe { margay_free(packet.as_ptr()) };
            assert_eq!(pool.in_use(), 0);
        }
    }
}
