// SPDX-License-Identifier: MIT OR Apache-2.0
//! The receiving half alone: scripted cases by concern, and properties against an array of bytes.

mod acknowledgments;
mod memory;
mod model;
mod order;
mod sack;
mod windows;

use runtime::buf::{Classes, Pools, Sga};
use runtime::time::Time;

use super::*;

const MSS: u32 = 1460;
/// Where streams begin: close to the end of the circle.
const FIRST: Seq = Seq(u32::MAX - 5000);

fn pools() -> Pools {
    Pools::new(&Classes { small_count: 4096, large_count: 4, ..Classes::default() }).unwrap()
}

fn receiver(settings: &Settings) -> Receiver {
    Receiver::new(settings, FIRST, window_scale(settings), MSS, Time::ZERO)
}

/// A byte of the stream that every test sends.
fn byte(at: usize) -> u8 {
    (at.wrapping_mul(0x9e37_79b1) >> 11) as u8
}

fn bytes(start: usize, len: usize) -> Vec<u8> {
    (start..start + len).map(byte).collect()
}

/// Feeds a receiver with pieces of that stream.
struct Feed {
    pools: Pools,
    receiver: Receiver,
    popped: usize,
    /// Zero: it was not measured.
    rtt: Duration,
    now: Time,
}

impl Feed {
    fn new() -> Self {
        Self::with(&Settings::default())
    }

    fn with(settings: &Settings) -> Self {
        Self { pools: pools(), receiver: receiver(settings), popped: 0, rtt: Duration::ZERO, now: Time::ZERO }
    }

    /// The bytes `start..start + len` in one segment.
    fn take(&mut self, start: usize, len: usize) -> Taken {
        self.take_with(start, len, false)
    }

    fn take_with(&mut self, start: usize, len: usize, fin: bool) -> Taken {
        let payload = match len {
            0 => Sga::new(),
            _ => self.pools.alloc_copy(&bytes(start, len)).unwrap().into(),
        };
        self.receiver.take(FIRST + start as u32, payload, fin, false, self.now)
    }

    /// How far the stream has come, its FIN included.
    fn next(&self) -> usize {
        self.receiver.next().since(FIRST) as usize
    }

    /// Pops and compares; says how many bytes that were.
    fn pop(&mut self, at_most: Option<usize>) -> usize {
        let rtt = self.rtt;
        let Some(popped) = self.receiver.pop(at_most, || rtt, self.now).unwrap() else { return 0 };
        assert!(at_most.is_none_or(|most| popped.len() <= most));
        assert_eq!(popped.to_vec(), bytes(self.popped, popped.len()));
        self.popped += popped.len();
        popped.len()
    }

    /// SACK blocks as places in the stream.
    fn sack(&mut self, room: usize) -> Vec<(u32, u32)> {
        let place = |seq: u32| Seq(seq).0.wrapping_sub(FIRST.0);
        self.receiver.sack(room).iter().map(|block| (place(block.start), place(block.end))).collect()
    }

    /// An acknowledgment leaves; says what it offers.
    fn acknowledge(&mut self) -> u32 {
        let window = self.receiver.window();
        self.receiver.acknowledged(self.now);
        window
    }

    fn need(&self) -> Need {
        self.receiver.acknowledge(self.now)
    }
}
