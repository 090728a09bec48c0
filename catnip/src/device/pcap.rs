// SPDX-License-Identifier: MIT OR Apache-2.0
//! A device whose frames are written down, in the form that Wireshark and tcpdump read: pcapng (draft-ietf-opsawg-pcapng), with
//! nanoseconds and the direction of each.
//!
//! A frame whose checksum or segmentation is left to others is written as it is. Writing that fails (a full disk) ends the record,
//! and is told once; the frames pass all the same.

use super::clock::Clock;
use core::time::Duration;
use runtime::buf::Sga;
use runtime::device::{Burst, Caps, Device, DeviceCounters};
use runtime::time::Time;
use runtime::{Error, Result};
use rustix::time::{ClockId, clock_gettime};
use std::fs::File;
use std::io::Write;
use std::os::fd::BorrowedFd;
use std::path::Path;

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const PACKET: u32 = 6;
const BYTE_ORDER: u32 = 0x1a2b_3c4d;
/// `LINKTYPE_ETHERNET`.
const ETHERNET: u16 = 1;
const OPTION_END: u16 = 0;
/// `if_tsresol`, and its value: nanoseconds.
const RESOLUTION: u16 = 9;
const NANOSECONDS: u8 = 9;
/// `epb_flags`.
const FLAGS: u16 = 2;

/// Which way a frame went, as `epb_flags` has it.
#[derive(Clone, Copy)]
enum Way {
    In = 1,
    Out = 2,
}

/// Blocks that are being put together.
#[derive(Default)]
struct Blocks(Vec<u8>);

impl Blocks {
    fn half(&mut self, value: u16) {
        self.0.extend_from_slice(&value.to_ne_bytes());
    }

    fn word(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_ne_bytes());
    }

    fn pad(&mut self) {
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    fn option(&mut self, code: u16, value: &[u8]) {
        self.half(code);
        self.half(value.len() as u16);
        self.0.extend_from_slice(value);
        self.pad();
    }

    /// A block with what `fill` puts into it: its length stands at both ends.
    fn block(&mut self, kind: u32, fill: impl FnOnce(&mut Self)) {
        let start = self.0.len();
        self.word(kind);
        self.word(0);
        fill(self);
        let total = (self.0.len() - start + 4) as u32;
        self.word(total);
        self.0[start + 4..start + 8].copy_from_slice(&total.to_ne_bytes());
    }

    fn head(&mut self) {
        self.block(SECTION, |block| {
            block.word(BYTE_ORDER);
            block.half(1);
            block.half(0);
            // The section's length is not known.
            block.0.extend_from_slice(&u64::MAX.to_ne_bytes());
        });
        self.block(INTERFACE, |block| {
            block.half(ETHERNET);
            block.half(0);
            // Frames of any length are written whole.
            block.word(0);
            block.option(RESOLUTION, &[NANOSECONDS]);
            block.option(OPTION_END, &[]);
        });
    }

    fn frame(&mut self, at: u64, data: &Sga, way: Way) {
        let len = data.len();
        self.block(PACKET, |block| {
            block.word(0);
            block.word((at >> 32) as u32);
            block.word(at as u32);
            block.word(len as u32);
            block.word(len as u32);
            data.iter().for_each(|segment| block.0.extend_from_slice(segment));
            block.pad();
            block.option(FLAGS, &(way as u32).to_ne_bytes());
            block.option(OPTION_END, &[]);
        });
    }
}

/// The decorator.
pub struct Pcap {
    device: Box<dyn Device>,
    /// `None` once it could not be written.
    file: Option<File>,
    clock: Clock,
    /// When the clock of the frames was zero, since 1970.
    origin: Duration,
    blocks: Blocks,
    /// Where in the blocks the frames of a burst end.
    ends: Vec<usize>,
}

impl Pcap {
    /// Writes what passes through a device to a new file; what was in a file of this name is gone.
    ///
    /// # Errors
    /// Those of `open(2)` and `write(2)`.
    pub fn create(device: Box<dyn Device>, path: &Path, clock: Clock) -> Result<Self> {
        let error = |error: std::io::Error| {
            let errno = error.raw_os_error().map_or(rustix::io::Errno::IO, rustix::io::Errno::from_raw_os_error);
            Error::os(errno, "the file for frames cannot be written")
        };
        let mut file = File::create(path).map_err(error)?;
        let mut blocks = Blocks::default();
        blocks.head();
        file.write_all(&blocks.0).map_err(error)?;
        let since = |clock| {
            let time = clock_gettime(clock);
            Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
        };
        // Frames have the reactor's time; readers want to know the hour.
        let origin = since(ClockId::Realtime).saturating_sub(since(ClockId::Monotonic));
        Ok(Self { device, file: Some(file), clock, origin, blocks, ends: Vec::new() })
    }

    fn at(&self) -> u64 {
        let since_boot = self.clock.now() - Time::ZERO;
        u64::try_from((self.origin + since_boot).as_nanos()).unwrap_or(u64::MAX)
    }

    fn write(&mut self, len: usize) {
        let Some(file) = &mut self.file else { return };
        if len != 0
            && let Err(error) = file.write_all(&self.blocks.0[..len])
        {
            log::warn!("frames are not written down any more: {error}");
            self.file = None;
        }
    }
}

impl Device for Pcap {
    fn name(&self) -> &'static str {
        self.device.name()
    }

    fn address(&self) -> Option<[u8; 6]> {
        self.device.address()
    }

    fn caps(&self) -> Caps {
        self.device.caps()
    }

    fn rx(&mut self, burst: &mut Burst) -> Result<()> {
        let before = burst.len();
        let done = self.device.rx(burst);
        if burst.len() > before && self.file.is_some() {
            let at = self.at();
            self.blocks.0.clear();
            burst.iter().skip(before).for_each(|frame| self.blocks.frame(at, &frame.data, Way::In));
            self.write(self.blocks.0.len());
        }
        done
    }

    fn tx(&mut self, burst: &mut Burst) -> Result<()> {
        self.blocks.0.clear();
        self.ends.clear();
        self.ends.push(0);
        if self.file.is_some() {
            let at = self.at();
            for frame in burst.iter() {
                self.blocks.frame(at, &frame.data, Way::Out);
                self.ends.push(self.blocks.0.len());
            }
        }
        let before = burst.len();
        let done = self.device.tx(burst);
        // Those that stay are written down when they go.
        let written = self.ends.get(before - burst.len()).copied().unwrap_or_default();
        self.write(written);
        done
    }

    fn counters(&self) -> DeviceCounters {
        self.device.counters()
    }

    fn extended_counters(&mut self, tell: &mut dyn FnMut(&str, u64)) {
        self.device.extended_counters(tell);
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.device.descriptor()
    }

    fn is_sending(&self) -> bool {
        self.device.is_sending()
    }

    fn arm(&mut self) -> bool {
        self.device.arm()
    }

    fn disarm(&mut self) {
        self.device.disarm();
    }

    fn slept_in_vain(&self) -> bool {
        self.device.slept_in_vain()
    }
}
