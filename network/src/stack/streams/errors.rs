// SPDX-License-Identifier: MIT OR Apache-2.0
//! What ICMP says of segments of ours (RFC 5927): believed if it quotes a segment that is on its way, by its ends and its number,
//! which nobody off the path can know (section 4.1).

use runtime::Error;
use runtime::time::Time;

use super::socket::Kind;
use crate::stack::Stack;
use crate::tcp::seq::Seq;
use crate::tcp::table::{Flow, Place};

/// A segment of ours that an error quotes.
#[derive(Clone, Copy, Debug)]
pub(in crate::stack) struct Quoted {
    pub flow: Flow,
    pub seq: Seq,
}

impl Stack {
    /// The connection that a quote is about, if it can be.
    fn quoted(&self, quoted: &Quoted) -> Option<u32> {
        match self.streams.find(&quoted.flow).1? {
            Place::Connection(index) => match &self.streams.slab.at(index)?.kind {
                Kind::Open(open) => open.connection.is_in_flight(quoted.seq).then_some(index),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether it is about a segment that is on its way.
    pub(in crate::stack) fn has_sent_segment(&self, quoted: &Quoted) -> bool {
        self.quoted(quoted).is_some()
    }

    /// Tells a connection that its segment did not arrive; false if it is about none. `hard`: that none will.
    pub(in crate::stack) fn stream_unreachable(
        &mut self,
        quoted: &Quoted,
        error: Error,
        hard: bool,
        now: Time,
    ) -> bool {
        let Some(index) = self.quoted(quoted) else { return false };
        if let Some(open) = self.streams.slab.at_mut(index).and_then(|stream| stream.open()) {
            let was_early = open.connection.calls_early();
            open.connection.unreachable(error, hard);
            if was_early {
                self.avoid_early(index, now);
            }
        }
        self.settle(index, now);
        true
    }

    /// The path of a connection has become narrower: what did not fit is cut anew, and sent again.
    pub(in crate::stack) fn stream_too_big(&mut self, quoted: &Quoted, now: Time) {
        let Some(index) = self.quoted(quoted) else { return };
        let (mss, mtus) = (self.path_mss(quoted.flow.remote.0, now), self.stream_mtus.version());
        if let Some(open) = self.streams.slab.at_mut(index).and_then(|stream| stream.open()) {
            // Routers may have to cut what leaves from now on, which the short way does not let them.
            (open.mtus, open.neighbour) = (mtus, None);
            open.connection.too_big(quoted.seq, mss, now);
        }
        self.settle(index, now);
    }
}
