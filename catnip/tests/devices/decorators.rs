// SPDX-License-Identifier: MIT OR Apache-2.0
//! What wraps a device, around a wire that ends in itself.

use crate::{frame, pools};
use catnip::device::clock::Clock;
use catnip::device::counted::Counted;
use catnip::device::faults::{Faults, Settings};
use catnip::device::pcap::Pcap;
use core::time::Duration;
use runtime::Result;
use runtime::device::{Burst, Caps, Device, DeviceCounters, Frame};
use runtime::time::Time;
use std::collections::VecDeque;
use std::process::Command;

/// What is sent is received; at most so many frames are on the wire.
struct Loop {
    frames: VecDeque<Frame>,
    room: usize,
}

#[expect(clippy::unnecessary_box_returns, reason = "decorators take boxes")]
fn wire(room: usize) -> Box<Loop> {
    Box::new(Loop { frames: VecDeque::new(), room })
}

impl Device for Loop {
    fn name(&self) -> &'static str {
        "loop"
    }

    fn address(&self) -> Option<[u8; 6]> {
        Some([2; 6])
    }

    fn caps(&self) -> Caps {
        Caps { mtu: 1500, headroom: 0, checksum: false, segments_tcp: false, segments_udp: false }
    }

    fn rx(&mut self, burst: &mut Burst) -> Result<()> {
        while !burst.is_full()
            && let Some(frame) = self.frames.pop_front()
        {
            burst.push(frame).unwrap();
        }
        Ok(())
    }

    fn tx(&mut self, burst: &mut Burst) -> Result<()> {
        while self.frames.len() < self.room
            && let Some(frame) = burst.pop()
        {
            self.frames.push_back(frame);
        }
        Ok(())
    }

    fn counters(&self) -> DeviceCounters {
        DeviceCounters::default()
    }

    fn arm(&mut self) -> bool {
        !self.frames.is_empty()
    }

    fn slept_in_vain(&self) -> bool {
        self.frames.is_empty()
    }
}

fn milliseconds(milliseconds: u64) -> Time {
    Time::ZERO + Duration::from_millis(milliseconds)
}

/// The numbers of the frames that come out of `count` that go in, and when.
fn through(settings: Settings, count: u32) -> Vec<(u64, u32, bool)> {
    let (pools, clock) = (pools(), Clock::default());
    let mut device = Faults::new(wire(usize::MAX), settings, clock.clone(), pools.clone());
    let (mut out, mut back) = (Burst::new(), Burst::new());
    let mut came = Vec::new();
    let mut number = 0;
    for now in 0..u64::from(count) + 100 {
        clock.set(milliseconds(now));
        if number < count {
            out.push(frame(&pools, &[&number.to_be_bytes()[..], &[0; 60]].concat())).unwrap();
            number += 1;
        }
        device.tx(&mut out).unwrap();
        device.rx(&mut back).unwrap();
        while let Some(frame) = back.pop() {
            let bytes = frame.data.to_vec();
            let whole = bytes[4..].iter().all(|&byte| byte == 0) && bytes.len() == 64;
            came.push((now, u32::from_be_bytes(bytes[..4].try_into().unwrap()), whole));
        }
    }
    assert!(out.is_empty() && !device.arm(), "something is on its way for ever");
    came
}

#[test]
fn without_faults_everything_passes_in_order() {
    let came = through(Settings::default(), 1000);
    assert!(
        came.iter().enumerate().all(|(at, &(now, number, whole))| (at as u64, at as u32) == (now, number) && whole)
    );
    assert_eq!(came.len(), 1000);
}

#[test]
fn a_seed_gives_the_same_again() {
    let settings = Settings {
        seed: 1,
        drop: 100_000,
        duplicate: 100_000,
        reorder: 100_000,
        corrupt: 100_000,
        delay: Duration::from_millis(3),
    };
    let first = through(settings, 1000);
    assert_eq!(first, through(settings, 1000));
    assert_ne!(first, through(Settings { seed: 2, ..settings }, 1000));
}

#[test]
fn each_fault_by_itself() {
    let none = Settings { seed: 7, ..Settings::default() };
    // Frames pass twice: out and back. A tenth, each way, of 2,000.
    let near = |count: usize, expected: usize| (expected * 9 / 10..expected * 11 / 10).contains(&count);
    let dropped = through(Settings { drop: 100_000, ..none }, 2000);
    assert!(near(2000 - dropped.len(), 380), "{}", dropped.len());
    assert!(dropped.is_sorted_by_key(|&(_, number, _)| number));
    let doubled = through(Settings { duplicate: 100_000, ..none }, 2000);
    assert!(near(doubled.len() - 2000, 420), "{}", doubled.len());
    let damaged = through(Settings { corrupt: 100_000, ..none }, 2000);
    // A bit of the number may be turned as well; it does not show here.
    assert!(near(damaged.iter().filter(|(_, _, whole)| !whole).count(), 356));
    let late = through(Settings { delay: Duration::from_millis(5), ..none }, 100);
    assert!(late.iter().all(|&(now, number, _)| now == u64::from(number) + 10), "{late:?}");
    let mixed = through(Settings { reorder: 100_000, delay: Duration::from_millis(1), ..none }, 2000);
    assert_eq!(mixed.len(), 2000);
    assert!(!mixed.is_sorted_by_key(|&(_, number, _)| number));
    let mut numbers: Vec<u32> = mixed.iter().map(|&(_, number, _)| number).collect();
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..2000), "none is lost");
}

/// A device that is full keeps what it cannot take, and faults lose none of it.
#[test]
fn back_pressure_passes_through() {
    let (pools, clock) = (pools(), Clock::default());
    let mut device = Faults::new(wire(3), Settings::default(), clock, pools.clone());
    let (mut out, mut back) = (Burst::new(), Burst::new());
    for number in 0..50_u8 {
        out.push(frame(&pools, &[number; 60])).unwrap();
    }
    let mut came = Vec::new();
    for _ in 0..100 {
        device.tx(&mut out).unwrap();
        device.rx(&mut back).unwrap();
        while let Some(frame) = back.pop() {
            came.push(frame.data.to_vec()[0]);
        }
    }
    assert!(came.into_iter().eq(0..50));
}

#[test]
fn calls_are_counted() {
    let pools = pools();
    let (mut device, calls) = Counted::new(wire(3));
    let mut burst = Burst::new();
    for _ in 0..5 {
        burst.push(frame(&pools, &[0; 60])).unwrap();
    }
    device.tx(&mut burst).unwrap();
    let mut back = Burst::new();
    device.rx(&mut back).unwrap();
    device.rx(&mut back).unwrap();
    let calls = calls.get();
    assert_eq!((calls.receives, calls.received, calls.sends, calls.left, calls.largest), (2, 1, 1, 1, 3));
    assert_eq!((burst.len(), back.len(), device.address()), (2, 3, Some([2; 6])));
}

/// Whoever sleeps over a device that is wrapped learns what its device says.
#[test]
fn sleeps_pass_through() {
    let folder = tempfile::tempdir().unwrap();
    let (pools, clock) = (pools(), Clock::default());
    let pcap = Pcap::create(wire(3), &folder.path().join("frames.pcapng"), clock.clone()).unwrap();
    let faults = Faults::new(Box::new(pcap), Settings::default(), clock, pools.clone());
    let (mut device, _) = Counted::new(Box::new(faults));
    assert!(!device.arm() && device.slept_in_vain());
    let mut burst = Burst::new();
    burst.push(frame(&pools, &[0; 60])).unwrap();
    device.tx(&mut burst).unwrap();
    assert!(device.arm() && !device.slept_in_vain());
}

/// What has passed stands in the file, in both directions, and nothing that is still here; tcpdump reads it.
#[test]
fn frames_are_written_down() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("frames.pcapng");
    let (pools, clock) = (pools(), Clock::default());
    clock.set(milliseconds(1234));
    let mut device = Pcap::create(wire(3), &path, clock).unwrap();
    let mut burst = Burst::new();
    for number in 0..5_u8 {
        burst.push(frame(&pools, &crate::frames::udp([number; 6], [1, 2], &[number; 33], true))).unwrap();
    }
    device.tx(&mut burst).unwrap();
    let mut back = Burst::new();
    device.rx(&mut back).unwrap();
    drop(device);
    let bytes = std::fs::read(&path).unwrap();
    let word = |at: usize| u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap());
    let (mut at, mut blocks, mut ways) = (0, Vec::new(), Vec::new());
    while at < bytes.len() {
        let len = word(at + 4) as usize;
        assert_eq!(word(at + len - 4) as usize, len);
        blocks.push(word(at));
        if word(at) == 6 {
            let (captured, number) = (word(at + 20) as usize, bytes[at + 28]);
            assert_eq!(
                bytes[at + 28..at + 28 + captured],
                crate::frames::udp([number; 6], [1, 2], &[number; 33], true)
            );
            ways.push((number, word(at + 28 + captured.next_multiple_of(4) + 4)));
        }
        at += len;
    }
    assert_eq!(blocks, [0x0a0d_0d0a, 1, 6, 6, 6, 6, 6, 6]);
    assert_eq!(ways, [(0, 2), (1, 2), (2, 2), (0, 1), (1, 1), (2, 1)]);
    let Ok(read) = Command::new("tcpdump").args(["-nner"]).arg(&path).output() else {
        eprintln!("skipped - decorators::frames_are_written_down: there is no tcpdump");
        return;
    };
    let said = String::from_utf8_lossy(&read.stdout);
    assert_eq!(
        said.lines().filter(|line| line.contains("10.9.0.2.1 > 10.9.0.1.2: UDP, length 33")).count(),
        6,
        "{said}"
    );
}
