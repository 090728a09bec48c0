// SPDX-License-Identifier: MIT OR Apache-2.0
//! Views whose memory is attached to packet buffers, until the driver is done with those.
//!
//! A driver frees on whatever thread it works on (on `net_ring` that of another LibOs), and views belong to this one. So what is freed goes
//! into a ring, from which this thread takes it.

use super::packets::{last_error, name};
use core::ptr::NonNull;
use dpdk_sys::{margay_loan, margay_returned, rte_ring, rte_ring_create, rte_ring_free};
use runtime::Result;
use runtime::buf::Buf;

/// The ring's readers are one (`RING_F_SC_DEQ`), its writers many.
const ONE_READER: u32 = 2;
/// Memory of whatever socket there is.
const ANY_SOCKET: i32 = -1;

/// The loans of one port.
pub struct Loans {
    /// Where they come back to.
    home: NonNull<rte_ring>,
    /// All of them, in memory that stays where it is.
    all: NonNull<[margay_loan]>,
    free: Vec<NonNull<margay_loan>>,
}

impl Loans {
    /// So many, which must be a power of two.
    ///
    /// # Errors
    /// `ENOMEM` DPDK has too little memory.
    pub fn new(count: u32) -> Result<Self> {
        let name = name("loans");
        // One more than a power of two is what a ring has no room for.
        let size = (count + 1).next_power_of_two();
        // SAFETY: a string that it copies, and numbers.
        let home = unsafe { rte_ring_create(name.as_ptr(), size, ANY_SOCKET, ONE_READER) };
        let home = NonNull::new(home).ok_or_else(|| last_error("rte_ring_create: DPDK has too little memory"))?;
        let fresh = || margay_loan { home: home.as_ptr(), ..margay_loan::default() };
        let all: Box<[margay_loan]> = (0..count).map(|_| fresh()).collect();
        let all = NonNull::from(Box::leak(all));
        // SAFETY: that many, in one piece.
        let free = (0..all.len()).map(|at| unsafe { all.cast::<margay_loan>().add(at) }).collect();
        Ok(Self { home, all, free })
    }

    /// How many are to be had.
    #[inline]
    pub fn available(&self) -> usize {
        self.free.len()
    }

    /// How many are out.
    pub fn out(&self) -> usize {
        self.all.len() - self.free.len()
    }

    /// Takes one for a view, which it keeps.
    #[inline]
    pub fn take(&mut self, view: Buf) -> core::result::Result<NonNull<margay_loan>, Buf> {
        let Some(loan) = self.free.pop() else { return Err(view) };
        // SAFETY: it is this thread's while it is not attached.
        unsafe { (*loan.as_ptr()).what = view.into_raw().as_ptr().cast() };
        Ok(loan)
    }

    /// Takes back what drivers are done with, and drops the views.
    #[inline]
    pub fn take_back(&mut self) {
        while self.free.len() < self.all.len() {
            // SAFETY: the ring is there, and this its one reader.
            let Some(loan) = NonNull::new(unsafe { margay_returned(self.home.as_ptr()) }) else { break };
            // SAFETY: freed by the last that had it, with the view that `take` put in.
            let view = unsafe { core::mem::replace(&mut (*loan.as_ptr()).what, core::ptr::null_mut()) };
            if let Some(view) = NonNull::new(view.cast()) {
                // SAFETY: made by `into_raw` on this thread, and taken back once.
                drop(unsafe { Buf::from_raw(view) });
            }
            self.free.push(loan);
        }
    }
}

impl Drop for Loans {
    fn drop(&mut self) {
        self.take_back();
        if self.out() > 0 {
            // Somebody may look at the memory still, so neither that nor the table may go.
            log::warn!("{} views of payloads are still with drivers of DPDK: their memory stays", self.out());
            return;
        }
        // SAFETY: nothing is out, so that nobody knows the ring or the table any more; the table was a box.
        unsafe {
            rte_ring_free(self.home.as_ptr());
            drop(Box::from_raw(self.all.as_ptr()));
        }
    }
}
