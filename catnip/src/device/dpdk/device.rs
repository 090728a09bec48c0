// SPDX-License-Identifier: MIT OR Apache-2.0
//! A port as a [`Device`].

use super::Settings;
use super::eal;
use super::extended::Extended;
use super::interrupts::Interrupts;
use super::limits::{QUEUE_PAUSE, QUEUE_TRIES};
use super::pause::Pause;
use super::port::{Port, link_up};
use super::receive::Receiver;
use super::transmit::Transmitter;
use dpdk_sys::rte_eth_stats;
use runtime::buf::Pools;
use runtime::device::{Burst, Caps, Device, DeviceCounters};
use runtime::{Errno, Error, Result};
use std::os::fd::BorrowedFd;

/// The driver says no more than this.
const NO_SOCKET: Error = Error::new(
    Errno::INVAL,
    "net_af_xdp has no XDP socket for a queue: another one has it, the interface cannot, or there are too few packet buffers",
);

/// A port.
pub struct Dpdk {
    /// Without it, the pause alone ends a sleep. It goes before the port does.
    interrupts: Option<Interrupts>,
    // It is closed first, and gives back what the driver has; then the pools can go.
    port: Port,
    receiver: Receiver,
    transmitter: Transmitter,
    caps: Caps,
    pause: Pause,
    /// Armed, and not looked at since.
    asleep: bool,
    counters: DeviceCounters,
    /// What the port had counted before.
    before: rte_eth_stats,
    extended: Extended,
}

impl Dpdk {
    /// Starts the environment, if this is the first port of the process, and the port.
    ///
    /// # Errors
    /// `ENODEV` no such port; `EBUSY` a LibOs of this process has it; `EINVAL`, `ENOTSUP` it cannot be set so; `ENOMEM` too little memory;
    /// others of the driver. DPDK writes what it knows about it to the standard error output.
    pub fn open(settings: &Settings, pools: &Pools) -> Result<Self> {
        eal::start(settings)?;
        eal::join();
        let mut pause = QUEUE_PAUSE;
        for _ in 1..QUEUE_TRIES {
            if let Some(opened) = Self::attempt(settings, pools)? {
                return Ok(opened);
            }
            runtime::pause(pause);
            pause *= 2;
        }
        Self::attempt(settings, pools)?.ok_or(NO_SOCKET)
    }

    /// `None`: the port has no XDP socket for a queue, or none yet after the end of the last one there.
    fn attempt(settings: &Settings, pools: &Pools) -> Result<Option<Self>> {
        // Before there is a port that would have to be closed.
        let pause = Pause::new()?;
        let mut port = Port::find(&settings.port)?;
        let mut plan = port.configure(settings)?;
        let small = pools.slotted()[0].capacity();
        let receiver = Receiver::new(&port, &plan, settings, small, pools.clone())?;
        let mut transmitter = Transmitter::new(&port, &plan)?;
        if let Err(error) = port.start(&mut plan, settings, receiver.packets(), pools) {
            let again = port.shares_its_pool() && error.errno() == Errno::INVAL;
            close(port, &receiver);
            return if again { Ok(None) } else { Err(error) };
        }
        let caps = Caps {
            mtu: plan.mtu,
            headroom: 0,
            checksum: plan.checksum,
            segments_tcp: plan.segmentation,
            segments_udp: false,
        };
        transmitter.set_reach(port.reach(receiver.lent()));
        let (before, extended) = (port.stats(), Extended::new(port.id()));
        let interrupts = match Interrupts::new(&port, &plan, pause.descriptor()) {
            Ok(interrupts) => interrupts,
            Err(error) => {
                close(port, &receiver);
                return Err(error);
            }
        };
        if port.gives_its_pool_back() {
            // Not before: what fails above would end the pool before the port.
            receiver.packets().end_with_the_port();
        }
        Ok(Some(Self {
            interrupts,
            port,
            receiver,
            transmitter,
            caps,
            pause,
            asleep: false,
            counters: DeviceCounters::default(),
            before,
            extended,
        }))
    }

    /// The name that DPDK has for the driver.
    #[must_use]
    pub fn driver(&self) -> &str {
        self.port.driver()
    }

    /// Whether payloads are attached instead of copied.
    #[must_use]
    pub const fn attaches(&self) -> bool {
        self.transmitter.attaches()
    }

    /// Whether the port interrupts a sleep; if not, a timer ends it.
    #[must_use]
    pub const fn interrupts(&self) -> bool {
        self.interrupts.is_some()
    }

    /// Packet buffers of the port's pools that are not in them: with the driver, in views, waiting to be sent.
    #[must_use]
    pub fn in_use(&self) -> u32 {
        self.receiver.packets().in_use() + self.transmitter.in_use()
    }

    /// Whether the link is up.
    #[must_use]
    pub fn link_up(&self) -> bool {
        link_up(self.port.id())
    }

    #[cold]
    fn wake(&mut self) {
        self.asleep = false;
        self.pause.end();
        if let Some(interrupts) = &self.interrupts {
            // Before the queues are looked at: what interrupts from here on is told with the next sleep.
            interrupts.disable();
        }
    }
}

/// Closes a port that does not become a device: first it, and the pool behind it.
fn close(port: Port, receiver: &Receiver) {
    let ends = port.gives_its_pool_back();
    drop(port);
    if ends {
        receiver.packets().end_with_the_port();
    }
}

impl Device for Dpdk {
    fn name(&self) -> &'static str {
        "dpdk"
    }

    fn address(&self) -> Option<[u8; 6]> {
        Some(self.port.address())
    }

    fn caps(&self) -> Caps {
        self.caps
    }

    #[inline]
    fn rx(&mut self, burst: &mut Burst) -> Result<()> {
        if self.asleep {
            self.wake();
        }
        self.transmitter.look();
        if self.receiver.receive(burst, &mut self.counters) {
            self.pause.busy();
            self.port.has_found_the_server();
        }
        Ok(())
    }

    #[inline]
    fn tx(&mut self, burst: &mut Burst) -> Result<()> {
        self.transmitter.send(burst, &mut self.counters);
        if self.transmitter.take_unlinked() {
            self.port.look_for_the_server();
        }
        Ok(())
    }

    fn is_sending(&self) -> bool {
        self.transmitter.waits()
    }

    fn counters(&self) -> DeviceCounters {
        let now = self.port.stats();
        let missed = |stats: &rte_eth_stats| stats.imissed + stats.ierrors + stats.rx_nombuf;
        DeviceCounters {
            receive_drops: self.counters.receive_drops + missed(&now).saturating_sub(missed(&self.before)),
            send_drops: self.counters.send_drops + now.oerrors.saturating_sub(self.before.oerrors),
            ..self.counters
        }
    }

    fn extended_counters(&mut self, tell: &mut dyn FnMut(&str, u64)) {
        self.extended.tell(tell);
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.interrupts.as_ref().map_or_else(|| self.pause.descriptor(), Interrupts::descriptor))
    }

    fn arm(&mut self) -> bool {
        self.asleep = true;
        self.pause.forget();
        let late = self.transmitter.look_before_a_sleep();
        let interrupts = self.interrupts.as_ref().filter(|interrupts| interrupts.enable());
        // After that, since what came before does not interrupt.
        if self.receiver.look() {
            return true;
        }
        // What waits to be sent is tried again at each end of a sleep, and no interrupt says that there is room for it, nor that the driver is
        // done with what it has. What the look may have left in the queues has interrupted already, or never will.
        let (stuck, unseen) = (self.transmitter.take_stuck(), self.receiver.take_unseen());
        if !stuck && !unseen && !late && interrupts.is_some_and(Interrupts::tell_all) {
            return false;
        }
        if late {
            self.transmitter.sleeps();
        }
        !self.pause.begin()
    }

    fn disarm(&mut self) {
        self.wake();
    }

    fn slept_in_vain(&self) -> bool {
        self.pause.was_in_vain()
    }
}
