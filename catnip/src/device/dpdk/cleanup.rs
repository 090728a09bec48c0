// SPDX-License-Identifier: MIT OR Apache-2.0
//! When a driver is asked to free what it has sent (`rte_eth_tx_done_cleanup`).
//!
//! Drivers free the packet buffers of frames that have gone only when further frames are sent, and with them the payloads that are attached.
//! Who falls silent would leave them there. So a driver is asked before a sleep, and now and then by who does not sleep, as long as it has
//! some. What it had not sent yet by then is asked for again after a moment, for a few sleeps; after that the port sleeps on, whatever is
//! out: the rest may be fewer than the driver frees at once, and would never come.

use super::limits::{LATE_SLEEPS, LOOKS_PER_CLEANUP};
use super::loans::Loans;
use core::ffi::c_int;

/// What is known of the driver, and when it is asked.
#[derive(Default)]
pub struct Cleanup {
    /// It cannot, or not any more.
    refused: bool,
    /// Looks since the last one at which it was asked.
    looks: u32,
    /// Sleeps that are still to end by themselves, because of what was attached last.
    sleeps: u32,
}

impl Cleanup {
    /// Something was attached.
    #[inline]
    pub fn attached(&mut self) {
        self.sleeps = LATE_SLEEPS;
    }

    /// The port is looked at: takes back what has come, and asks for more every so many looks while something is out. `ask` has the driver
    /// free what it can, and gives what that says, which is `None` if it could not be asked.
    #[inline]
    pub fn look(&mut self, loans: &mut Loans, ask: impl FnOnce() -> Option<c_int>) {
        loans.take_back();
        if loans.out() > 0 {
            self.looks += 1;
            if self.looks >= LOOKS_PER_CLEANUP {
                self.looks = 0;
                self.ask(loans, ask);
            }
        }
    }

    /// The port is about to sleep. Whether that sleep should end by itself, for what is still out then.
    pub fn before_a_sleep(&mut self, loans: &mut Loans, ask: impl FnOnce() -> Option<c_int>) -> bool {
        loans.take_back();
        if loans.out() > 0 {
            self.ask(loans, ask);
        }
        !self.refused && self.sleeps > 0 && loans.out() > 0
    }

    /// A sleep begins that does.
    pub fn sleeps(&mut self) {
        self.sleeps = self.sleeps.saturating_sub(1);
    }

    #[cold]
    fn ask(&mut self, loans: &mut Loans, ask: impl FnOnce() -> Option<c_int>) {
        if self.refused {
            return;
        }
        // What else it says counts its packets, if it counts at all: whether something is out still is seen by the loans.
        self.refused = ask().is_some_and(|said| said < 0);
        loans.take_back();
    }
}

#[cfg(test)]
mod tests {
    use super::super::packets::{Node, Packets};
    use super::super::{Settings, eal};
    use super::*;
    use core::cell::Cell;
    use core::ptr::NonNull;
    use dpdk_sys::{margay_attach, margay_free, rte_mbuf};
    use runtime::buf::{Classes, Pools};
    use rustix::io::Errno as Os;

    /// Payloads that a driver has.
    struct Driver {
        pools: Pools,
        packets: Packets,
        loans: Loans,
        has: Vec<NonNull<rte_mbuf>>,
    }

    impl Driver {
        fn with(payloads: usize) -> Self {
            eal::start(&Settings::new("")).unwrap();
            let pools = Pools::new(&Classes { small_count: 16, large_count: 1, ..Classes::default() }).unwrap();
            let packets = Packets::new("bare", 512, 0, Node::ANY).unwrap();
            let mut driver = Self { pools, packets, loans: Loans::new(8).unwrap(), has: Vec::new() };
            for _ in 0..payloads {
                driver.attach();
            }
            driver
        }

        fn attach(&mut self) {
            let view = self.pools.alloc(1000).unwrap();
            let (mbuf, data) = (self.packets.take().unwrap(), view.as_ptr().cast_mut());
            let loan = self.loans.take(view).unwrap();
            // SAFETY: a packet buffer without data, and memory that the loan keeps.
            unsafe { margay_attach(mbuf.as_ptr(), loan.as_ptr(), data, 1000) };
            self.has.push(mbuf);
        }

        fn out(&self) -> u32 {
            self.pools.stats()[0].in_use
        }
    }

    /// Frees so many, and says so.
    fn free(has: &mut Vec<NonNull<rte_mbuf>>, count: usize) -> c_int {
        for mbuf in has.drain(..count) {
            // SAFETY: the driver's own.
            unsafe { margay_free(mbuf.as_ptr()) };
        }
        c_int::try_from(count).unwrap()
    }

    #[test]
    fn what_has_gone_is_back_before_a_sleep() {
        let mut driver = Driver::with(3);
        let mut cleanup = Cleanup::default();
        cleanup.attached();
        let Driver { loans, has, .. } = &mut driver;
        assert!(cleanup.before_a_sleep(loans, || Some(free(has, 2))), "one has not gone yet");
        cleanup.sleeps();
        assert_eq!(driver.out(), 1);
        let Driver { loans, has, .. } = &mut driver;
        assert!(!cleanup.before_a_sleep(loans, || Some(free(has, 1))), "nothing is out any more");
        assert_eq!(driver.out(), 0);
        assert!(!cleanup.before_a_sleep(&mut driver.loans, || panic!("there is nothing to ask for")));
    }

    #[test]
    fn who_cannot_is_not_asked_again() {
        let mut driver = Driver::with(1);
        let mut cleanup = Cleanup::default();
        cleanup.attached();
        let said = -Os::OPNOTSUPP.raw_os_error();
        assert!(!cleanup.before_a_sleep(&mut driver.loans, || Some(said)), "what would a look be for?");
        cleanup.attached();
        assert!(!cleanup.before_a_sleep(&mut driver.loans, || panic!("it has said no")));
        for _ in 0..3 * LOOKS_PER_CLEANUP {
            cleanup.look(&mut driver.loans, || panic!("it has said no"));
        }
        free(&mut driver.has, 1);
    }

    /// What stays with the driver for good keeps nobody awake.
    #[test]
    fn a_few_sleeps_end_by_themselves() {
        let mut driver = Driver::with(1);
        let mut cleanup = Cleanup::default();
        for _ in 0..2 {
            driver.attach();
            cleanup.attached();
            let asked = Cell::new(0);
            let timed: Vec<bool> = (0..10)
                .map(|_| {
                    let timed = cleanup.before_a_sleep(&mut driver.loans, || {
                        asked.set(asked.get() + 1);
                        Some(0)
                    });
                    if timed {
                        cleanup.sleeps();
                    }
                    timed
                })
                .collect();
            assert_eq!(timed.iter().filter(|&&timed| timed).count(), LATE_SLEEPS as usize);
            assert!(timed.is_sorted_by(|one, next| one >= next) && asked.get() == 10, "{timed:?}");
        }
        // One that could not be asked, for another thread had the port's turn, is none that has refused.
        cleanup.attached();
        assert!(cleanup.before_a_sleep(&mut driver.loans, || None));
        let count = driver.has.len();
        let Driver { loans, has, .. } = &mut driver;
        assert!(!cleanup.before_a_sleep(loans, || Some(free(has, count))));
    }

    #[test]
    fn who_does_not_sleep_asks_now_and_then() {
        let mut driver = Driver::with(1);
        let (mut cleanup, asked) = (Cleanup::default(), Cell::new(0));
        for _ in 0..4 * LOOKS_PER_CLEANUP {
            cleanup.look(&mut driver.loans, || {
                asked.set(asked.get() + 1);
                Some(0)
            });
        }
        assert_eq!(asked.get(), 4);
        free(&mut driver.has, 1);
        cleanup.look(&mut driver.loans, || panic!("nothing is out"));
        assert_eq!(driver.out(), 0);
    }
}
