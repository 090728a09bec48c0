// SPDX-License-Identifier: MIT OR Apache-2.0
//! A port: which one it is, what it can do, how it is started, and its end (`rte_ethdev.h`).

use super::Settings;
use super::interrupts::Farewell;
use super::knock::{Answer, Knock};
use super::leftovers::Leftovers;
use super::limits::{
    AF_XDP_FILLED, LAST_FRAMES, LINK_LOOKS, LINK_PAUSE, LOOK_LONGEST, LOOK_SHORTEST, START_PAUSE, START_TRIES,
};
use super::packets::{Node, Packets};
use super::plan::Plan;
use super::reach::{Mapped, Reach, uses_dma};
use super::turns::Turn;
use core::ffi::{CStr, c_int};
use core::ptr::null;
use core::time::Duration;
use dpdk_sys::{
    MARGAY_PORTS_MAX, margay_device, rte_dev_probe, rte_dev_remove, rte_eth_allmulticast_enable, rte_eth_dev_close,
    rte_eth_dev_default_mac_addr_set, rte_eth_dev_get_port_by_name, rte_eth_dev_info, rte_eth_dev_info_get,
    rte_eth_dev_socket_id, rte_eth_dev_start, rte_eth_dev_stop, rte_eth_find_next, rte_eth_link,
    rte_eth_link_get_nowait, rte_eth_macaddr_get, rte_eth_promiscuous_enable, rte_eth_rx_queue_setup, rte_eth_stats,
    rte_eth_stats_get, rte_eth_tx_queue_setup, rte_ether_addr,
};
use network::wire::MacAddress;
use runtime::buf::{Pool, Pools};
use runtime::{Errno, Error, Result};
use rustix::io::Errno as Os;
use rustix::time::{ClockId, clock_gettime};
use std::ffi::CString;
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

const NAME: Error = Error::new(Errno::INVAL, "catnip.dpdk.port: no name of a port");
const NONE: Error = Error::os(Os::NODEV, "catnip.dpdk.port: there is no such port after its driver has looked for it");
const KEEPS_ADDRESS: &str =
    "rte_eth_dev_default_mac_addr_set: the port keeps its own hardware address; leave out catnip.mac";
const TAKEN: Error = Error::new(Errno::BUSY, "another LibOs of this process has this port");

/// Which ports LibOses of this process have.
static USED: Mutex<Vec<u16>> = Mutex::new(Vec::new());

/// Ports are made and ended by one thread at a time: drivers share lists that nothing else guards.
static CONTROL: Mutex<()> = Mutex::new(());

/// Keeps other threads from making and ending ports.
pub fn control() -> MutexGuard<'static, ()> {
    CONTROL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What says that a port of `net_memif` is the client, by its new name and its old one; without a word it is the server.
const CLIENT: [&str; 2] = ["role=client", "role=slave"];

/// The error for what DPDK says, which is a negative errno.
pub fn error(said: c_int, reason: &'static str) -> Error {
    Error::os(Os::from_raw_os_error(said.saturating_neg()), reason)
}

/// Nothing, or the error for what DPDK says.
pub fn check(said: c_int, reason: &'static str) -> Result<()> {
    if said < 0 { Err(error(said, reason)) } else { Ok(()) }
}

/// A hardware address that stands for a port.
pub fn hardware(port: &str) -> Option<[u8; 6]> {
    port.trim().parse::<MacAddress>().ok().map(|mac| mac.0)
}

/// A port that is this LibOs' own.
pub struct Port {
    id: u16,
    /// It was added for this, and goes with it.
    added: bool,
    driver: &'static str,
    /// Taken for a burst, and for what starts and ends it.
    turn: Turn,
    /// It was named as one of DPDK's own devices, without hardware.
    is_virtual: bool,
    arguments: String,
    /// The hardware address that it was given.
    address: Option<[u8; 6]>,
    /// When the server is looked for again at the earliest, and how long after that.
    next_look: Duration,
    look_pause: Duration,
    knock: Option<Knock>,
    /// Memory of the LibOs that it was told of.
    mapped: Mapped,
    /// What it is set to before it is closed.
    farewell: Option<Farewell>,
    leftovers: Option<Leftovers>,
}

impl Port {
    /// Finds the port, or has it made.
    ///
    /// # Errors
    /// `ENODEV` there is none; `EBUSY` it is in use; others of its driver.
    pub fn find(name: &str) -> Result<Self> {
        let name = name.trim();
        let (id, added) = {
            let _control = control();
            let (id, added) = match hardware(name) {
                Some(address) => (all().find(|&id| address_of(id) == address).ok_or(NONE)?, false),
                None => probe(name)?,
            };
            let mut used = USED.lock().unwrap_or_else(PoisonError::into_inner);
            if used.contains(&id) {
                return Err(TAKEN);
            }
            used.push(id);
            (id, added)
        };
        let mut port = Self {
            id,
            added,
            driver: "",
            turn: Turn::default(),
            is_virtual: name.starts_with("net_"),
            arguments: name.to_owned(),
            address: None,
            next_look: Duration::ZERO,
            look_pause: Duration::ZERO,
            knock: None,
            mapped: Mapped::default(),
            farewell: None,
            leftovers: None,
        };
        let info = port.info()?;
        if !info.driver_name.is_null() {
            // SAFETY: the driver's name is a string that stays as long as the driver, which is never unloaded.
            port.driver = unsafe { CStr::from_ptr(info.driver_name) }.to_str().unwrap_or_default();
        }
        port.turn = Turn::new(port.driver)?;
        Ok(port)
    }

    /// DPDK's number for it.
    pub const fn id(&self) -> u16 {
        self.id
    }

    /// Its turn.
    pub const fn turn(&self) -> &Turn {
        &self.turn
    }

    /// The driver's name.
    pub const fn driver(&self) -> &'static str {
        self.driver
    }

    /// Remembers what it must be set to before it is closed.
    pub fn take_leave_as(&mut self, plan: &Plan) {
        self.farewell = Farewell::of(self, plan);
    }

    /// The device with its arguments, as it was named.
    pub fn arguments(&self) -> &str {
        &self.arguments
    }

    /// Whether it was named as one of DPDK's own devices, without hardware.
    pub const fn is_virtual(&self) -> bool {
        self.is_virtual
    }

    /// Whether it reads memory without this processor.
    pub fn uses_dma(&self) -> bool {
        uses_dma(self.driver)
    }

    /// From where it can send: from all memory, or what it was told of when it started, and from `received`, the buffers that it has received into.
    pub fn reach(&self, received: &Pool) -> Reach {
        if self.uses_dma() {
            Reach::Told { places: self.mapped.places(), received: received.clone() }
        } else {
            Reach::Everything
        }
    }

    /// What it can do.
    ///
    /// # Errors
    /// `ENODEV` it is gone.
    pub fn info(&self) -> Result<rte_eth_dev_info> {
        let mut info = rte_eth_dev_info::default();
        // SAFETY: a structure that it fills in.
        let said = unsafe { rte_eth_dev_info_get(self.id, &raw mut info) };
        check(said, "rte_eth_dev_info_get").map(|()| info)
    }

    /// Makes the queues and starts. The plan loses its interrupts if the driver does not start with them.
    ///
    /// # Errors
    /// `ENOMEM`, `EINVAL` and others of the driver.
    pub fn start(&mut self, plan: &mut Plan, settings: &Settings, packets: &Packets, pools: &Pools) -> Result<()> {
        let setting = control();
        if self.shares_its_pool() {
            let (mut made, mut said) = (0, Ok(()));
            self.leftovers = Leftovers::of(|| {
                said = self.make_queues(plan, packets, &mut made);
                made
            });
            said?;
        } else {
            self.make_queues(plan, packets, &mut 0)?;
        }
        if let Some(address) = settings.address.filter(|&address| address != self.address()) {
            let mut address = rte_ether_addr { addr_bytes: address };
            // SAFETY: an address that it copies.
            let said = unsafe { rte_eth_dev_default_mac_addr_set(self.id, &raw mut address) };
            // A virtual port that has no call for it lets everything in, and so ours, too.
            if !self.is_virtual || said != -Os::OPNOTSUPP.raw_os_error() {
                check(said, KEEPS_ADDRESS)?;
            }
            self.address = Some(address.addr_bytes);
        }
        if plan.attach && self.uses_dma() {
            // SAFETY: the port is there.
            self.mapped.tell(unsafe { margay_device(self.id) }, pools)?;
        }
        drop(setting);
        if let Err(error) = self.run() {
            if !plan.interrupts() {
                return Err(error);
            }
            let setting = control();
            self.apply_without_interrupts(plan)?;
            self.make_queues(plan, packets, &mut 0)?;
            drop(setting);
            self.run()?;
        }
        // What a driver does not know it lets in anyhow, as all without a filter do.
        // SAFETY: a number.
        unsafe { rte_eth_allmulticast_enable(self.id) };
        if settings.promiscuous {
            // SAFETY: a number.
            let said = unsafe { rte_eth_promiscuous_enable(self.id) };
            check(said, "rte_eth_promiscuous_enable: the port cannot let everything in")?;
        }
        Ok(())
    }

    /// The NUMA node to which it is attached.
    pub fn node(&self) -> Node {
        // SAFETY: a number.
        Node(unsafe { rte_eth_dev_socket_id(self.id) }.max(Node::ANY.0))
    }

    /// Does something in the memory of the port's node, or of another one if that has too little.
    fn near(&self, set: impl Fn(Node) -> c_int) -> c_int {
        let said = set(self.node());
        if said == -Os::NOMEM.raw_os_error() { set(Node::ANY) } else { said }
    }

    /// Makes the queues, and says how many can receive.
    fn make_queues(&self, plan: &Plan, packets: &Packets, receiving: &mut u16) -> Result<()> {
        for queue in 0..plan.queues {
            let said = self.near(|Node(node)| {
                let node = node.cast_unsigned();
                // SAFETY: the pool outlives the port's queues: it is freed when all its buffers are back, and stays for good if not.
                unsafe { rte_eth_rx_queue_setup(self.id, queue, plan.receive, node, null(), packets.raw()) }
            });
            check(said, "rte_eth_rx_queue_setup: a receive queue of this many descriptors")?;
            *receiving = queue + 1;
            let said = self.near(|Node(node)| {
                // SAFETY: numbers; the port's own defaults.
                unsafe { rte_eth_tx_queue_setup(self.id, queue, plan.transmit, node.cast_unsigned(), null()) }
            });
            check(said, "rte_eth_tx_queue_setup: a transmit queue of this many descriptors")?;
        }
        Ok(())
    }

    /// Starts; again, as long as the peer of a client is not there. A server that is there but not started yet turns its client away for
    /// good: then there is no link.
    fn run(&self) -> Result<()> {
        let client = self.is_client();
        let mut tries = if client { START_TRIES } else { 1 };
        loop {
            let starting = control();
            // SAFETY: a number.
            let said = unsafe { rte_eth_dev_start(self.id) };
            // The peer may be another port of this process.
            drop(starting);
            tries -= 1;
            if tries == 0 || said >= 0 && (!client || self.comes_up()) {
                return check(said, "rte_eth_dev_start: the port does not start");
            }
            if said >= 0 {
                let _stopping = (control(), self.turn.wait());
                // SAFETY: a number. What it says shows when it is started again.
                unsafe { rte_eth_dev_stop(self.id) };
            }
            runtime::pause(START_PAUSE);
        }
    }

    /// Whether it is the end of a wire that goes to the other one, and so can go there again.
    fn is_client(&self) -> bool {
        self.driver == "net_memif" && CLIENT.iter().any(|role| self.arguments.contains(role))
    }

    /// There is no link: a client whose server may have been started anew goes there again, which its driver does not do by itself. Step by
    /// step, some time apart: the port is stopped; its server is knocked at, and when that has answered, the port is started.
    #[cold]
    pub fn look_for_the_server(&mut self) {
        let now = clock_gettime(ClockId::MonotonicCoarse);
        let now = Duration::new(now.tv_sec.cast_unsigned(), u32::try_from(now.tv_nsec).unwrap_or_default());
        if !self.is_client() || now < self.next_look {
            return;
        }
        self.look_pause = (self.look_pause * 2).clamp(LOOK_SHORTEST, LOOK_LONGEST);
        self.next_look = now + self.look_pause;
        // Who makes another port meanwhile is not waited for.
        let _control = match CONTROL.try_lock() {
            Ok(control) => control,
            Err(TryLockError::Poisoned(control)) => control.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        if !self.turn.is_stopped() {
            let Some(_turn) = self.turn.take_now() else { return };
            // SAFETY: a number; nobody does a burst meanwhile. What it says shows when it is started again.
            unsafe { rte_eth_dev_stop(self.id) };
            self.turn.set_stopped(true);
        }
        match self.knock.take() {
            None => self.knock = Knock::at(&self.arguments),
            Some(knock) => match knock.answer() {
                Answer::None => self.knock = Some(knock),
                Answer::Gone => {}
                Answer::Hello => {
                    // SAFETY: a number. Its connect waits, but for a server that has taken ours a moment ago.
                    let said = unsafe { rte_eth_dev_start(self.id) };
                    self.turn.set_stopped(said < 0);
                }
            },
        }
    }

    /// There is a link.
    #[inline]
    pub fn has_found_the_server(&mut self) {
        self.look_pause = Duration::ZERO;
    }

    /// Whether there is a link after some moments.
    fn comes_up(&self) -> bool {
        (0..LINK_LOOKS).any(|_| {
            let up = link_up(self.id);
            if !up {
                runtime::pause(LINK_PAUSE);
            }
            up
        })
    }

    /// Whether the driver shares the memory of the pool that it receives into with the kernel.
    pub fn shares_its_pool(&self) -> bool {
        self.driver == "net_af_xdp"
    }

    /// Whether nobody looks at the memory of that pool once the port is closed, though not all packet buffers are back in it.
    pub fn gives_its_pool_back(&self) -> bool {
        self.leftovers.as_ref().is_some_and(Leftovers::end_at_once)
    }

    /// Packet buffers that the driver puts aside for itself.
    pub fn kept(&self, queues: u16) -> u32 {
        if self.shares_its_pool() { AF_XDP_FILLED * u32::from(queues) } else { 0 }
    }

    /// Its hardware address.
    pub fn address(&self) -> [u8; 6] {
        self.address.unwrap_or_else(|| address_of(self.id))
    }

    /// What it has counted.
    pub fn stats(&self) -> rte_eth_stats {
        let mut stats = rte_eth_stats::default();
        // SAFETY: a structure that it fills in; zeros where it fails.
        let _ = unsafe { rte_eth_stats_get(self.id, &raw mut stats) };
        stats
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        if self.uses_dma() || self.driver == "net_memif" {
            // What was sent last may be on its way still, and would go with the port.
            runtime::pause(LAST_FRAMES);
        }
        let _control = control();
        // SAFETY: nobody else uses this port, and what it holds is freed into pools that are still there. What fails here leaves the
        // port as it is, to the process' end.
        unsafe {
            let device = margay_device(self.id);
            let turn = self.turn.wait();
            rte_eth_dev_stop(self.id);
            self.mapped.forget(device);
            let ready = self.farewell.as_ref().is_none_or(|farewell| farewell.say(self.id));
            if ready {
                rte_eth_dev_close(self.id);
            }
            drop(turn);
            if let Some(leftovers) = &mut self.leftovers {
                leftovers.close();
            }
            if ready && self.added && !device.is_null() {
                rte_dev_remove(device);
            }
        }
        USED.lock().unwrap_or_else(PoisonError::into_inner).retain(|&id| id != self.id);
    }
}

/// All ports that there are.
fn all() -> impl Iterator<Item = u16> {
    // SAFETY: a number, and the environment is up.
    let next = |from| Some(unsafe { rte_eth_find_next(from) }).filter(|&id| id < MARGAY_PORTS_MAX);
    core::iter::successors(next(0), move |&id| next(id + 1))
}

/// Whether a port's link is up.
pub fn link_up(id: u16) -> bool {
    let mut link = rte_eth_link::default();
    // SAFETY: a structure that it fills in.
    let said = unsafe { rte_eth_link_get_nowait(id, &raw mut link) };
    said >= 0 && link.link_status() != 0
}

fn address_of(id: u16) -> [u8; 6] {
    let mut address = rte_ether_addr::default();
    // SAFETY: a structure that it fills in; zeros where it fails.
    let _ = unsafe { rte_eth_macaddr_get(id, &raw mut address) };
    address.addr_bytes
}

/// The port of a device, which is added if it is not there; and whether it was.
fn probe(arguments: &str) -> Result<(u16, bool)> {
    let text = CString::new(arguments).map_err(|_| NAME)?;
    let name = CString::new(arguments.split(',').next().unwrap_or_default()).map_err(|_| NAME)?;
    if name.is_empty() {
        return Err(NAME);
    }
    let known = || {
        let mut id = 0;
        // SAFETY: a string, and a number that it fills in.
        (unsafe { rte_eth_dev_get_port_by_name(name.as_ptr(), &raw mut id) } == 0).then_some(id)
    };
    if let Some(id) = known() {
        return Ok((id, false));
    }
    // SAFETY: a string that it copies.
    let said = unsafe { rte_dev_probe(text.as_ptr()) };
    check(said, "catnip.dpdk.port: no driver has taken the device; `margay doctor dpdk` looks at this host")?;
    known().map(|id| (id, true)).ok_or(NONE)
}
