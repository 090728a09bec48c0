// SPDX-License-Identifier: MIT OR Apache-2.0
//! Each device against whom it is for: the other end of its wire, or the kernel, with frames made by hand. Those that need an interface
//! have a network namespace of their own, and so need root and `ip` (iproute2).
//!
//! - `network`: namespaces. `frames`, `random`: what is sent and looked for.
//! - `foreign`: an XDP program of somebody else.
//! - `wires`: what every device must do. `socket`, `tap`, `packet`, `xdp`, `dpdk`, `decorators`: what each does besides.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where what it stands on is missing")]

mod decorators;
#[cfg(feature = "dpdk")]
mod dpdk;
mod foreign;
mod frames;
mod network;
#[cfg(feature = "dpdk")]
mod offloads;
mod packet;
mod random;
mod socket;
mod tap;
mod wires;
mod xdp;

use frames::{arp_reply, arp_request};
use runtime::buf::{Classes, Pools, Sga};
use runtime::device::{Burst, Device, Frame};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Looks, a millisecond apart, before a test gives up.
const LOOKS: usize = 10_000;

/// Looks until it is so; false: it did not become so in time.
fn until(mut is_so: impl FnMut() -> bool) -> bool {
    (0..LOOKS).any(|look| {
        if look > 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        is_so()
    })
}

/// Tells other threads, whatever becomes of this one.
struct SetAtEnd<'a>(&'a AtomicBool);

impl Drop for SetAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn pools() -> Pools {
    Pools::new(&Classes { small_count: 512, large_count: 64, ..Classes::default() }).unwrap()
}

fn frame(pools: &Pools, bytes: &[u8]) -> Frame {
    Frame::from(Sga::from(pools.alloc_copy(bytes).unwrap()))
}

/// Sends frames, all of which the device must take in time.
#[track_caller]
fn send(device: &mut (impl Device + ?Sized), frames: impl IntoIterator<Item = Frame>) {
    let mut burst = Burst::new();
    for frame in frames {
        burst.push(frame).unwrap();
    }
    for _ in 0..LOOKS {
        device.tx(&mut burst).unwrap();
        // What a port of DPDK has ready is with the driver only once that could be called: an interrupt may have the port's turn.
        if burst.is_empty() && !device.is_sending() {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("{} frames could not be sent, or have not left", burst.len());
}

/// The first frame that `wanted` says yes to; all before it are dropped.
#[track_caller]
fn receive(device: &mut (impl Device + ?Sized), mut wanted: impl FnMut(&Frame, &[u8]) -> bool) -> (Frame, Vec<u8>) {
    let mut burst = Burst::new();
    for _ in 0..LOOKS {
        device.rx(&mut burst).unwrap();
        while let Some(frame) = burst.pop() {
            let bytes = frame.data.to_vec();
            if wanted(&frame, &bytes) {
                return (frame, bytes);
            }
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("it did not come: {:?}", device.counters());
}

/// The hardware address of the kernel's end, asked for by ARP: again after a while, for an interface that has just come up may lose the
/// first question.
#[track_caller]
fn ask(device: &mut (impl Device + ?Sized)) -> [u8; 6] {
    const EACH: usize = 500;
    let mut burst = Burst::new();
    for look in 0..LOOKS {
        if look % EACH == 0 {
            send(device, [frame(&pools(), &arp_request())]);
        }
        device.rx(&mut burst).unwrap();
        while let Some(frame) = burst.pop() {
            if let Some(mac) = arp_reply(&frame.data.to_vec()) {
                return mac;
            }
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("nobody answers: {:?}", device.counters());
}

/// All that comes within some milliseconds.
fn all(device: &mut (impl Device + ?Sized), milliseconds: usize) -> Vec<Vec<u8>> {
    let (mut burst, mut came) = (Burst::new(), Vec::new());
    for _ in 0..milliseconds {
        device.rx(&mut burst).unwrap();
        while let Some(frame) = burst.pop() {
            came.push(frame.data.to_vec());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    came
}
