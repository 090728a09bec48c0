// SPDX-License-Identifier: MIT OR Apache-2.0
//! Random frames, each of which says by itself whether it has come whole and in its turn.

use runtime::buf::{Pools, Sga};
use runtime::device::{BURST_FRAMES_MAX, Burst, Device, Frame};

use crate::LOOKS;
use std::collections::VecDeque;
use std::time::Duration;

/// A type that is nobody's: for experiments on the own network (IEEE 802, local experimental Ethertype 1).
const TYPE: [u8; 2] = [0x88, 0xb5];
/// Ethernet's header, the frame's number and its sum: the shortest of these frames.
const HEADER: usize = 14;
const SHORTEST: usize = HEADER + 16;
/// The shortest frame of Ethernet without its check sequence; a shorter one may come with zeros behind it.
const PADDED: usize = 60;

/// Numbers whose order nobody can guess, but that come again (SplitMix64).
pub struct Numbers(pub u64);

impl Numbers {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

/// A sum of bytes in their order, in which each counts otherwise at another place.
fn sum(bytes: &[u8]) -> u64 {
    let mut sum = bytes.len() as u64;
    for piece in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..piece.len()].copy_from_slice(piece);
        sum = (sum.rotate_left(5) ^ u64::from_le_bytes(word)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    sum
}

/// Frames from one station to another, numbered from 0 on.
pub struct Random {
    numbers: Numbers,
    to: [u8; 6],
    from: [u8; 6],
    pools: Pools,
    /// How many there were.
    pub made: u64,
}

impl Random {
    pub fn new(seed: u64, to: [u8; 6], from: [u8; 6], pools: Pools) -> Self {
        Self { numbers: Numbers(seed), to, from, pools, made: 0 }
    }

    /// The next, of up to so many bytes, in up to four pieces. `None`: there is no memory for it now.
    pub fn next(&mut self, longest: usize) -> Option<Frame> {
        let len = match self.numbers.below(16) {
            0 => longest,
            1 => PADDED,
            _ => PADDED + self.numbers.below(longest - PADDED + 1),
        };
        let mut bytes = [&self.to[..], &self.from, &TYPE, &self.made.to_be_bytes(), &[0; 8]].concat();
        while bytes.len() < len {
            bytes.extend(self.numbers.next().to_le_bytes());
        }
        bytes.truncate(len);
        let sum = sum(&bytes[SHORTEST..]) ^ self.made;
        bytes[HEADER + 8..SHORTEST].copy_from_slice(&sum.to_be_bytes());
        let (mut data, mut rest) = (Sga::new(), &bytes[..]);
        for left in (1..=self.numbers.below(4) + 1).rev() {
            let piece = if left == 1 { rest.len() } else { self.numbers.below(rest.len() + 1) };
            data.push_back(self.pools.alloc_copy(&rest[..piece]).ok()?).ok()?;
            rest = &rest[piece..];
        }
        self.made += 1;
        Some(Frame::from(data))
    }
}

/// The number of a frame, which is as it was made. `None`: it is somebody else's.
#[track_caller]
pub fn number(frame: &Frame) -> Option<u64> {
    let bytes = frame.data.to_vec();
    let header = bytes.get(..SHORTEST).filter(|header| header[12..14] == TYPE)?;
    let word = |at: usize| u64::from_be_bytes(header[at..at + 8].try_into().expect("eight bytes"));
    let number = word(HEADER);
    assert_eq!(
        word(HEADER + 8),
        sum(&bytes[SHORTEST..]) ^ number,
        "frame {number} of {} bytes is another",
        bytes.len()
    );
    Some(number)
}

/// Sends so many random frames from one device to another (`None`: back to itself), which all are to come, whole and in order.
#[track_caller]
pub fn carry(random: &mut Random, from: &mut dyn Device, mut to: Option<&mut dyn Device>, frames: u64) {
    let longest = usize::from(from.caps().mtu) + HEADER;
    let (mut outgoing, mut incoming) = (Burst::new(), Burst::new());
    let mut expected = VecDeque::new();
    let end = random.made + frames;
    let mut idle = 0;
    while random.made < end || !expected.is_empty() {
        // Never more under way than a queue of any device holds: those that copy drop what has no room, as wires do.
        while random.made < end && expected.len() < BURST_FRAMES_MAX && !outgoing.is_full() {
            let number = random.made;
            let Some(frame) = random.next(longest) else { break };
            outgoing.push(frame).unwrap();
            expected.push_back(number);
        }
        from.tx(&mut outgoing).unwrap();
        match &mut to {
            Some(to) => to.rx(&mut incoming),
            None => from.rx(&mut incoming),
        }
        .unwrap();
        idle = if incoming.is_empty() { idle + 1 } else { 0 };
        if idle > 1000 {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(idle < LOOKS, "{} of {} frames did not come: {:?}", expected.len(), random.made, from.counters());
        while let Some(frame) = incoming.pop() {
            if let Some(number) = number(&frame) {
                assert_eq!(Some(number), expected.pop_front(), "the next");
            }
        }
    }
}
