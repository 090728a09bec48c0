// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the kernel has dropped because nobody popped it: a count of each datagram socket (`SO_MEMINFO`), which it has to be asked for.
//!
//! A reading must not cost what there might be: it asks for some of them, in turn, and for nothing of streams.

use core::cell::Cell;
use kernel::{Socket, dropped};
use runtime::limits::DROPS_PER_READING;
use runtime::transport::Handle;
use std::collections::BTreeMap;

/// The datagram sockets, and what each of them has told.
#[derive(Default)]
pub struct Drops {
    told: BTreeMap<Handle, Cell<u32>>,
    total: Cell<u64>,
    /// Who is asked first by the next reading.
    next: Cell<Handle>,
}

impl Drops {
    /// A datagram socket was made.
    pub fn add(&mut self, handle: Handle) {
        self.told.insert(handle, Cell::new(0));
    }

    /// A socket is closed: asks it for the last time, if it is one for datagrams.
    pub fn remove(&mut self, handle: Handle, socket: &Socket) {
        if let Some(told) = self.told.remove(&handle) {
            self.ask(&told, socket);
        }
    }

    fn ask(&self, told: &Cell<u32>, socket: &Socket) {
        if let Ok(now) = dropped(socket) {
            // The kernel's counts go round.
            self.total.set(self.total.get() + u64::from(now.wrapping_sub(told.replace(now))));
        }
    }

    /// All that is known of, after some were asked.
    pub fn read<'a>(&self, socket: impl Fn(Handle) -> Option<&'a Socket>) -> u64 {
        let first = self.next.get();
        for (&handle, told) in self.told.range(first..).chain(self.told.range(..first)).take(DROPS_PER_READING) {
            if let Some(socket) = socket(handle) {
                self.ask(told, socket);
            }
            self.next.set(handle.wrapping_add(1));
        }
        self.total.get()
    }
}
