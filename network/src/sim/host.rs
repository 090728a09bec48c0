// SPDX-License-Identifier: MIT OR Apache-2.0
//! A host of the simulation: a stack, the memory that it and its device take buffers from, and perhaps an application.

use alloc::boxed::Box;
use alloc::vec::Vec;

use runtime::Result;
use runtime::buf::{Classes, Pools, Sga};
use runtime::device::{Checksum, Frame};
use runtime::time::Time;

use crate::stack::{Config, Readiness, SocketId, Stack, StreamId};
use crate::wire::checksum::Sum;

/// Why an application runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// A socket is worth trying again.
    Socket(SocketId, Readiness),
    /// A stream socket is worth trying again.
    Stream(StreamId, Readiness),
    /// The time has come that [`Host::alarm`] named.
    Alarm,
}

/// What works with a host's sockets.
pub type Application = Box<dyn FnMut(&mut Host, Wake, Time)>;

/// A host: its stack, and the memory of it.
pub struct Host {
    /// Its stack.
    pub stack: Stack,
    /// What its messages are made of; the stack's and the device's come from there too.
    pub pools: Pools,
    /// Frames that came while there was no buffer.
    pub no_buffer: u64,
    alarm: Option<Time>,
    pub(super) application: Option<Application>,
}

impl Host {
    pub(super) fn new(config: Config, now: Time) -> Result<Self> {
        let pools = Pools::new(&Classes { small_count: 2048, large_count: 32, ..Classes::default() })?;
        let stack = Stack::new(config, pools.clone(), now)?;
        Ok(Self { stack, pools, no_buffer: 0, alarm: None, application: None })
    }

    /// A message of these bytes.
    ///
    /// # Errors
    /// `ENOBUFS`.
    pub fn message(&self, bytes: &[u8]) -> Result<Sga> {
        self.pools.alloc_copy(bytes).map(Sga::from)
    }

    /// Wakes the application at this time, and at no other that was named before.
    pub const fn alarm(&mut self, at: Time) {
        self.alarm = Some(at);
    }

    /// Buffers and second views that are out: none where no message waits, no packet and no fragment.
    #[must_use]
    pub fn buffers_out(&self) -> u32 {
        self.pools.stats().iter().map(|stats| stats.in_use + stats.views_in_use).sum()
    }

    pub(super) fn receive(&mut self, bytes: &[u8], now: Time) {
        match self.pools.alloc_copy(bytes) {
            Ok(data) => self.stack.receive(Sga::from(data).into(), now),
            Err(_) => self.no_buffer += 1,
        }
    }

    /// The next frame, as it stands on the wire.
    pub(super) fn transmit(&mut self, out: &mut Vec<u8>) -> bool {
        let Some(frame) = self.stack.transmit() else { return false };
        frame.data.iter().for_each(|segment| out.extend_from_slice(segment));
        complete(out, &frame);
        true
    }

    /// Does what is due.
    pub(super) fn turn(&mut self, now: Time) {
        if self.stack.next_deadline().is_some_and(|due| due <= now) {
            self.stack.poll(now);
        }
        if self.alarm.is_some_and(|at| at <= now) {
            self.alarm = None;
            self.run(Wake::Alarm, now);
        }
    }

    fn run(&mut self, wake: Wake, now: Time) {
        if let Some(mut application) = self.application.take() {
            application(self, wake, now);
            self.application.get_or_insert(application);
        }
    }

    /// Lets the application see what has become of its sockets. Without one, that is left for who asks.
    pub(super) fn wake(&mut self, now: Time) {
        while self.application.is_some() {
            let wake = match self.stack.woken() {
                Some((id, readiness)) => Some(Wake::Socket(id, readiness)),
                None => self.stack.stream_woken().map(|(id, readiness)| Wake::Stream(id, readiness)),
            };
            let Some(wake) = wake else { break };
            self.run(wake, now);
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Time> {
        match (self.stack.next_deadline(), self.alarm) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        }
    }
}

/// Fills in a checksum that the stack has left to its device.
pub(super) fn complete(bytes: &mut [u8], frame: &Frame) {
    let Checksum::Partial { start, offset } = frame.checksum else { return };
    let Some(covered) = bytes.get_mut(usize::from(start)..) else { return };
    let mut sum = Sum::new();
    sum.add(covered);
    let at = usize::from(offset);
    if let Some(field) = covered.get_mut(at..at + 2) {
        // UDP has no zero for a sum (RFC 768); for TCP both are the same number.
        let sum = match sum.finish() {
            0 => 0xffff,
            sum => sum,
        };
        field.copy_from_slice(&sum.to_be_bytes());
    }
}

impl core::fmt::Debug for Host {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Host").field("stack", &self.stack).finish_non_exhaustive()
    }
}
