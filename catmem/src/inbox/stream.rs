// SPDX-License-Identifier: MIT OR Apache-2.0
//! A pipe that carries a stream of bytes: no message has to be whole before it is popped, however long it is.

use super::Inbox;
use crate::doorbell::CREDIT;
use crate::ring::record::TOTAL;
use crate::ring::{Kind, Record};
use runtime::Result;
use runtime::buf::Sga;

impl Inbox {
    /// From now on pieces are delivered as they come. Where a message begins and ends is not looked at.
    pub fn as_stream(&mut self) {
        self.pieces = true;
    }

    /// One piece of a long message.
    pub(super) fn piece(&mut self, record: Record) -> Result<Sga> {
        self.check_held()?;
        // A first piece has its message's length in front, and at least one byte behind that: `decode` has seen to it.
        let lead = if record.kind == Kind::First { TOTAL } else { 0 };
        let mut buf = self.pools.alloc(record.len - lead)?;
        if let Some(bytes) = buf.get_mut() {
            self.ring.read(lead, bytes);
        }
        self.consume(record);
        Ok(buf.into())
    }

    /// The end was read: tells the writer all that was, however little, and what is still held as it is dropped. It may wait
    /// for that before it goes.
    pub(super) fn tell_all(&mut self) {
        if self.ring.release().finish() {
            self.bell.notify(CREDIT);
        }
    }
}
