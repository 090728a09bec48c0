// SPDX-License-Identifier: MIT OR Apache-2.0
//! Frames without a stack: the server sends back what comes, in the memory in which it has come.

use crate::channel::Channel;
use crate::clock;
use crate::process::job::Role;
use anyhow::{Context, Result, ensure};
use catnip::device::dpdk::{Dpdk, Settings};
use runtime::buf::{Buf, Classes, Pools, Sga};
use runtime::device::{Burst, Device, Frame};
use std::thread::sleep;
use std::time::Duration;

/// What stands in front of a datagram: the headers of Ethernet, of IPv4 and of UDP.
const HEADERS: usize = 14 + 20 + 8;
/// A type that is nobody's: for experiments on the own network (IEEE 802, local experimental Ethertype 1).
const TYPE: [u8; 2] = [0x88, 0xb5];
/// How long the link may take to come.
const LINK_DEADLINE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(1);

/// One end.
pub struct Frames {
    port: Dpdk,
    burst: Burst,
    /// What is sent: the client's own frame, or what came last.
    frame: Option<Sga>,
    mine: Option<Buf>,
    len: usize,
    _pools: Pools,
}

impl Frames {
    /// The end of `role`.
    pub fn new(port: &str, role: Role, size: usize) -> Result<Self> {
        let pools = Pools::new(&Classes::default()).context("no memory")?;
        let len = HEADERS + size;
        let mut bytes = [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]].concat();
        bytes.extend(TYPE);
        bytes.resize(len, 7);
        let mine = (role == Role::Client).then(|| pools.alloc_copy(&bytes)).transpose()?;
        let port = Dpdk::open(&Settings::new(port), &pools)?;
        Ok(Self { port, burst: Burst::new(), frame: None, mine, len, _pools: pools })
    }
}

impl Channel for Frames {
    fn meet(&mut self) -> Result<()> {
        let since = clock::now();
        while !self.port.link_up() {
            ensure!(clock::now().duration_since(since) < LINK_DEADLINE, "net_memif has no link");
            sleep(PAUSE);
        }
        Ok(())
    }

    #[inline]
    fn send(&mut self) -> Result<()> {
        let data = match (&self.mine, self.frame.take()) {
            (Some(mine), _) => Sga::from(mine.view()?),
            (None, came) => came.context("nothing to send back")?,
        };
        let mut burst = Burst::new();
        let _ = burst.push(Frame::from(data));
        // Until the driver has it: it may be at work on the link just now, and nobody else looks after what waits.
        while !burst.is_empty() || self.port.is_sending() {
            self.port.tx(&mut burst)?;
        }
        Ok(())
    }

    #[inline]
    fn receive(&mut self) -> Result<()> {
        while self.burst.is_empty() {
            self.port.rx(&mut self.burst)?;
        }
        let frame = self.burst.pop().context("a burst that is not empty")?;
        ensure!(frame.data.len() == self.len, "a frame of another length came");
        self.frame = Some(frame.data);
        Ok(())
    }
}
