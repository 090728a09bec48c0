// SPDX-License-Identifier: MIT OR Apache-2.0
//! A device whose calls are counted: how well its bursts are filled, and how often it had no room.

use core::cell::Cell;
use runtime::Result;
use runtime::device::{Burst, Caps, Device, DeviceCounters};
use std::os::fd::BorrowedFd;
use std::rc::Rc;

/// What has been called, and what came of it. All of them only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    /// Looks for frames.
    pub receives: u64,
    /// Of those, so many found one or more.
    pub received: u64,
    /// Calls with frames to be sent.
    pub sends: u64,
    /// Of those, so many left frames behind.
    pub left: u64,
    /// Frames of the largest burst in either direction.
    pub largest: u64,
}

/// The decorator.
pub struct Counted {
    device: Box<dyn Device>,
    calls: Rc<Cell<Calls>>,
}

impl Counted {
    /// Wraps a device; the calls are told through what comes with it.
    #[must_use]
    pub fn new(device: Box<dyn Device>) -> (Self, Rc<Cell<Calls>>) {
        let calls = Rc::default();
        (Self { device, calls: Rc::clone(&calls) }, calls)
    }

    fn count(&self, count: impl FnOnce(&mut Calls)) {
        let mut calls = self.calls.get();
        count(&mut calls);
        self.calls.set(calls);
    }
}

impl Device for Counted {
    fn name(&self) -> &'static str {
        self.device.name()
    }

    fn address(&self) -> Option<[u8; 6]> {
        self.device.address()
    }

    fn caps(&self) -> Caps {
        self.device.caps()
    }

    fn rx(&mut self, burst: &mut Burst) -> Result<()> {
        let before = burst.len();
        let done = self.device.rx(burst);
        let came = (burst.len() - before) as u64;
        self.count(|calls| {
            calls.receives += 1;
            calls.received += u64::from(came != 0);
            calls.largest = calls.largest.max(came);
        });
        done
    }

    fn tx(&mut self, burst: &mut Burst) -> Result<()> {
        let before = burst.len();
        let done = self.device.tx(burst);
        let left = burst.len();
        self.count(|calls| {
            calls.sends += u64::from(before != 0);
            calls.left += u64::from(left != 0);
            calls.largest = calls.largest.max((before - left) as u64);
        });
        done
    }

    fn counters(&self) -> DeviceCounters {
        self.device.counters()
    }

    fn extended_counters(&mut self, tell: &mut dyn FnMut(&str, u64)) {
        self.device.extended_counters(tell);
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.device.descriptor()
    }

    fn is_sending(&self) -> bool {
        self.device.is_sending()
    }

    fn arm(&mut self) -> bool {
        self.device.arm()
    }

    fn disarm(&mut self) {
        self.device.disarm();
    }

    fn slept_in_vain(&self) -> bool {
        self.device.slept_in_vain()
    }
}
