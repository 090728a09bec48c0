// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether what was sent again had to be (RFC 3522, Eifel: the timestamp that is echoed is older than the first
//! retransmission; RFC 3708: each retransmission came twice, as D-SACKs say). If not, the window is what it was before.

use alloc::boxed::Box;

use runtime::time::Time;

use crate::tcp::seq::Seq;

/// What is remembered of an episode, for a round trip longer than it lasts.
#[derive(Debug, Default)]
pub struct Undo(Option<Box<Episode>>);

#[derive(Debug)]
struct Episode {
    /// SND.UNA when it began.
    marker: Seq,
    /// SND.NXT when it ended.
    until: Option<Seq>,
    /// Bytes that were sent again and of which it is not known that they came twice.
    resent: u32,
    /// When the first left again.
    first: Option<Time>,
}

impl Undo {
    /// An episode begins, with that many bytes under way a second time already (a probe).
    pub fn begin(una: Seq, resent: u32) -> Self {
        Self(Some(Box::new(Episode { marker: una, until: None, resent, first: None })))
    }

    /// Whether there is nothing that could be undone.
    #[inline]
    pub const fn is_off(&self) -> bool {
        self.0.is_none()
    }

    /// It cannot be undone, or was.
    pub fn cancel(&mut self) {
        self.0 = None;
    }

    /// The episode is over; D-SACKs of it come for a round trip more.
    pub fn end(&mut self, next: Seq) {
        if let Some(episode) = &mut self.0 {
            episode.until = Some(next);
        }
    }

    /// SND.UNA has moved.
    pub fn moved(&mut self, una: Seq) {
        if self.0.as_ref().and_then(|episode| episode.until).is_some_and(|until| una.is_behind(until)) {
            self.cancel();
        }
    }

    /// Bytes have left again.
    pub fn resent(&mut self, bytes: u32, now: Time) {
        if let Some(episode) = &mut self.0 {
            episode.resent = episode.resent.saturating_add(bytes);
            episode.first = episode.first.or(Some(now));
        }
    }

    /// Those bytes came twice.
    pub fn duplicated(&mut self, start: Seq, end: Seq) {
        if let Some(episode) = &mut self.0
            && !start.is_before(episode.marker)
        {
            episode.resent = episode.resent.saturating_sub(end.since(start));
        }
    }

    /// Whether all that was sent again came twice.
    pub fn is_all_duplicated(&self) -> bool {
        self.0.as_ref().is_some_and(|episode| episode.first.is_some() && episode.resent == 0)
    }

    /// Whether an ACK of something new answers what was sent before the first retransmission; `echo` is the last moment at which that
    /// can have left.
    pub fn is_answer_to_original(&self, echo: Option<Time>) -> bool {
        let first = self.0.as_ref().and_then(|episode| episode.first);
        first.zip(echo).is_some_and(|(first, echo)| echo < first)
    }
}
