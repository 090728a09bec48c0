// SPDX-License-Identifier: MIT OR Apache-2.0
//! A pipe that carries a stream of bytes: no message has to be whole before it is popped, however long it is.

use super::{Begun, Inbox};
use crate::doorbell::CREDIT;
use crate::ring::record::TOTAL;
use crate::ring::{Kind, Record};
use runtime::Result;
use runtime::buf::{Buf, Sga};

impl Inbox {
    /// From now on pieces are delivered as they come. Where a message begins and ends is not looked at.
    pub fn as_stream(&mut self) {
        self.pieces = true;
    }

    /// One piece of a long message.
    pub(super) fn piece(&mut self, record: Record) -> Result<Sga> {
        // A first piece has its message's length in front, and at least one byte behind that: `decode` has seen to it.
        let lead = if record.kind == Kind::First { TOTAL } else { 0 };
        self.part(record, lead).map(Sga::from)
    }

    /// What the record at the head has from `from` on, or as much of that as a buffer can have: the rest comes with the next
    /// pops. The header is not read again for these, as the peer may have changed it.
    pub(super) fn part(&mut self, record: Record, from: usize) -> Result<Buf> {
        self.check_held()?;
        let len = (record.len - from).min(self.pools.longest());
        let buf = self.pools.alloc_filled(len, |bytes| self.ring.read(from, bytes))?;
        if from + len < record.len {
            self.begun = Some(Begun::Record { record, from: from + len });
        } else {
            self.begun = None;
            self.consume(record);
        }
        Ok(buf)
    }

    /// The end was read: tells the writer all that was, however little, and what is still held as it is dropped. It may wait
    /// for that before it goes.
    pub(super) fn tell_all(&mut self) {
        if self.ring.release().finish() {
            self.bell.notify(CREDIT);
        }
    }
}
