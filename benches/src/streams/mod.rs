// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bytes over an established TCP connection between two stacks of one kind, with memory for a wire, so that only the stacks are
//! measured.
//!
//! All have the same work: Ethernet, IPv4, TCP with timestamps where the stack has them, Nagle's algorithm off, checksums of IP
//! and TCP computed and verified, acknowledgments as each stack sends them by itself. A message is pushed, and what the stack
//! then sends is taken from it; it is carried to the other end's device, whose stack delivers it, and the application takes it
//! out and lets it go. Either wire copies each frame once into memory of the device that it comes to. The clock goes on by [`STEP`] with each push, so that timers are looked after as they would be.
//!
//! What a row of instructions counts are the functions called `counted_`, which are never inlined for that reason.

mod margay;
mod smoltcp;
#[cfg(test)]
mod tests;

pub use margay::Margay;
pub use smoltcp::Smoltcp;

use std::time::Duration;

/// How far the clock goes on with each push.
pub const STEP: Duration = Duration::from_micros(10);
/// The end that has connected, and the one that was connected to.
pub const ENDS: [usize; 2] = [0, 1];

/// Two ends of an established connection.
pub trait Streams {
    /// An end pushes a message; what its stack sends goes onto the wire. Whether it was taken.
    fn push(&mut self, end: usize) -> bool;

    /// What an end has put onto the wire comes to the other's device. Gives the bytes of those frames.
    fn carry(&mut self, from: usize) -> usize;

    /// The end's stack takes in what its device has; the application takes out what has come; and what the stack sends then goes
    /// onto the wire. Gives the bytes that were taken out.
    fn take(&mut self, end: usize) -> usize;

    /// One message from one end to the other, with what the latter acknowledges. Gives its bytes.
    fn message(&mut self, from: usize) -> usize {
        if !self.push(from) {
            return 0;
        }
        self.carry(from);
        let bytes = self.take(1 - from);
        if self.carry(1 - from) > 0 {
            self.take(from);
        }
        bytes
    }

    /// A message there, and one back. Gives the bytes of both.
    fn round_trip(&mut self) -> usize {
        let mut bytes = 0;
        for from in ENDS {
            if self.push(from) {
                self.carry(from);
                bytes += self.take(1 - from);
            }
        }
        bytes
    }

    /// So many messages one behind the other, taken out together, and what acknowledges them. Gives their bytes.
    fn burst(&mut self, messages: usize) -> usize {
        for _ in 0..messages {
            if !self.push(0) {
                break;
            }
        }
        self.carry(0);
        let bytes = self.take(1);
        if self.carry(1) > 0 {
            self.take(0);
        }
        bytes
    }
}
