// SPDX-License-Identifier: MIT OR Apache-2.0
//! [`Early`]: data that go with the first SYN (RFC 7413 section 4.2.2).
//!
//! What must always hold: what was taken from a push is delivered, whatever the peer does with the SYN: what that does not acknowledge
//! is sent again behind the handshake.

use runtime::buf::Sga;
use runtime::time::Time;

use super::open::Open;
use crate::wire::tcp::Cookie;

/// What goes with the first SYN.
#[derive(Debug)]
pub(super) struct Early {
    /// Empty: one is asked for, and there are no data.
    pub cookie: Cookie,
    /// Bytes of payload and options that the peer takes in one segment.
    room: u16,
    pub data: Sga,
    /// Whether it is all of a message.
    is_whole: bool,
    /// Bytes that have left with the SYN.
    pub sent: u32,
}

impl Early {
    pub const fn new(cookie: Cookie, room: u16) -> Self {
        Self { cookie, room, data: Sga::new(), is_whole: false, sent: 0 }
    }

    /// Takes as much of a message as there is room for beside so many bytes of options; false if it takes nothing.
    pub fn take(&mut self, message: &mut Sga, options: usize) -> bool {
        let room = usize::from(self.room).saturating_sub(options);
        if message.is_empty() || room == 0 {
            return false;
        }
        self.is_whole = message.len() <= room;
        self.data = if self.is_whole {
            core::mem::take(message)
        } else {
            // Without a view to split it by, all of it waits.
            let Ok(front) = message.split_front(room) else { return false };
            front
        };
        true
    }

    /// The data, as the SYN carries them. None without a view of them: then they go behind the handshake.
    pub fn view(&mut self) -> Sga {
        let data = self.data.view().unwrap_or_default();
        self.sent = data.len() as u32;
        data
    }

    /// Both ends know each other, and so many bytes are acknowledged: the others are to be sent.
    pub fn move_to(&mut self, open: &mut Open, acknowledged: u32, now: Time) {
        let mut data = core::mem::take(&mut self.data);
        if data.has_no_segment() {
            return;
        }
        open.counts.bytes_acknowledged += u64::from(acknowledged);
        data.trim_front(acknowledged as usize);
        if !data.is_empty() {
            // There is room for one segment, and nothing is split.
            let _ = open.queue.push(&mut data);
            open.stirred = true;
        }
        if self.is_whole {
            open.pushed_whole(now);
        }
    }
}
