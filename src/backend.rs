// SPDX-License-Identifier: MIT OR Apache-2.0
//! The only file that names every back end: one line here adds one.

use crate::config::{BacklogFull, Config};
use catcollar::Catcollar;
use catloop::Catloop;
use catmem::{Catmem, Settings, Sizes};
use catnap::Catnap;
use catnip::Catnip;
use core::time::Duration;
use runtime::Result;
use runtime::buf::Pools;
use runtime::op::Wakes;
use runtime::reactor::{Event, Reactor};
use runtime::socket::Counters;
use runtime::transport::{Armed, Transport};
use std::os::fd::BorrowedFd;
use std::rc::Rc;

/// Where in a reactor token the back end's index stands.
const TOKEN_SHIFT: u32 = 48;

/// The back ends of one LibOs, all at once.
pub struct Backends {
    all: Vec<Box<dyn Transport>>,
    sockets: Option<u8>,
}

impl Backends {
    /// Pipes, and the back end for sockets that the configuration names, set up as it says (it was checked).
    ///
    /// # Errors
    /// What the back end could not get from the kernel.
    pub fn new(config: &Config, reactor: &Rc<Reactor>, pools: &Pools) -> Result<Self> {
        let token = |index: u64| index << TOKEN_SHIFT;
        let mut all: Vec<Box<dyn Transport>> =
            vec![Box::new(Catmem::new(catmem_settings(config), Rc::clone(reactor), pools.clone(), token(0)))];
        all.extend(sockets(config, reactor, pools, token(1))?);
        let sockets = (all.len() > 1).then_some(1);
        Ok(Self { all, sockets })
    }

    /// The back end that has pipes.
    #[inline]
    pub const fn pipes() -> u8 {
        0
    }

    /// The back end that has sockets, if the configuration names one.
    pub fn sockets(&self) -> Option<u8> {
        self.sockets
    }

    /// What all back ends have counted together.
    pub fn counters(&self) -> Counters {
        let mut counters = Counters::default();
        self.all.iter().for_each(|transport| counters += transport.counters());
        counters
    }

    /// Their names, in the order of their indices.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.all.iter().map(|transport| transport.name())
    }

    /// Whether a back end does TCP itself, so that how its connections fare is asked without a system call.
    pub fn does_tcp(&self, index: u8) -> bool {
        self.all.get(usize::from(index)).is_some_and(|transport| transport.name() == "catnip")
    }

    /// Hands over what the devices of the back ends have counted.
    pub fn device_counters(&mut self, tell: &mut dyn FnMut(&str, u64)) {
        for transport in &mut self.all {
            transport.device_counters(tell);
        }
    }

    /// A back end by its index, which came from here.
    #[inline]
    pub fn get(&mut self, index: u8) -> &mut dyn Transport {
        &mut *self.all[usize::from(index)]
    }

    /// Each looks once.
    #[inline]
    pub fn poll(&mut self, wakes: &mut Wakes) {
        for transport in &mut self.all {
            transport.poll(wakes);
        }
    }

    /// Hands an event to the back end whose token it carries.
    pub fn event(&mut self, event: Event, wakes: &mut Wakes) {
        if let Some(transport) = self.all.get_mut((event.token >> TOKEN_SHIFT) as usize) {
            transport.event(event, wakes);
        }
    }

    /// The LibOs is about to sleep. If one back end is ready, none is left armed.
    pub fn arm(&mut self) -> Armed {
        self.arm_each(|transport| transport.arm())
    }

    fn arm_each(&mut self, arm: impl Fn(&mut dyn Transport) -> Armed) -> Armed {
        for index in 0..self.all.len() {
            if arm(&mut *self.all[index]) == Armed::Ready {
                self.all[..index].iter_mut().for_each(|transport| transport.disarm());
                return Armed::Ready;
            }
        }
        Armed::Quiet
    }

    /// Somebody else is about to sleep on the reactor's descriptor. If one back end is ready, none is left armed.
    pub fn arm_for_owner(&mut self) -> Armed {
        self.arm_each(|transport| transport.arm_for_owner())
    }

    /// Sleeps where one of the back ends can, until an event of it or of `reactor`; false at once if none can.
    pub fn sleep(&mut self, reactor: BorrowedFd<'_>, timeout: Option<Duration>) -> bool {
        self.all.iter_mut().any(|transport| transport.sleep(reactor, timeout))
    }

    /// Whether this event, the only one, has ended a sleep that was to end by itself, and its back end has found nothing.
    pub fn slept_in_vain(&self, event: Event) -> bool {
        self.all.get((event.token >> TOKEN_SHIFT) as usize).is_some_and(|transport| transport.slept_in_vain())
    }

    /// The LibOs is awake again.
    pub fn disarm(&mut self) {
        self.all.iter_mut().for_each(|transport| transport.disarm());
    }
}

/// The back end for sockets that the configuration names, if it names one.
fn sockets(config: &Config, reactor: &Rc<Reactor>, pools: &Pools, token: u64) -> Result<Option<Box<dyn Transport>>> {
    let catnap = || -> Result<Box<dyn Transport>> {
        Ok(Box::new(Catnap::new(catnap_settings(config), reactor, pools.clone(), token)?))
    };
    let catcollar = || -> Result<Box<dyn Transport>> {
        Ok(Box::new(Catcollar::new(catcollar_settings(config), reactor, pools.clone(), token)?))
    };
    Ok(Some(match config.libos_name() {
        "catnap" => catnap()?,
        "catcollar" => catcollar()?,
        "auto" => catcollar().or_else(|error| {
            log::info!("no io_uring ({error}): kernel sockets by epoll");
            catnap()
        })?,
        "catloop" => Box::new(Catloop::new(catloop_settings(config), Rc::clone(reactor), pools.clone(), token)),
        "catnip" | "catpowder" => Box::new(Catnip::new(&config.network(), reactor, pools.clone(), token)?),
        _ => return Ok(None),
    }))
}

fn catmem_settings(config: &Config) -> Settings {
    let catmem = &config.catmem;
    Settings {
        directory: catmem.directory.clone(),
        sizes: Sizes {
            // Powers of two, and few slots: the check has seen to it.
            ring_order: catmem.ring.trailing_zeros() as u8,
            slot_order: catmem.slot.trailing_zeros() as u8,
            slots: catmem.slots as u16,
        },
        max_message: catmem.max_message,
        handshake_timeout: catmem.handshake_timeout,
    }
}

fn catloop_settings(config: &Config) -> catloop::Settings {
    let catloop = &config.catloop;
    catloop::Settings {
        // One directory for all names: where pipes are found, sockets are found.
        directory: config.catmem.directory.clone(),
        addresses: catloop.addresses.clone(),
        ring: catloop.ring,
        slot: catloop.slot,
        // Few: the check has seen to it.
        slots: catloop.slots as u16,
        connect_timeout: catloop.connect_timeout,
        backlog_full: match catloop.backlog_full {
            BacklogFull::Wait => catloop::BacklogFull::Wait,
            BacklogFull::Refuse => catloop::BacklogFull::Refuse,
        },
        handshake_timeout: catloop.handshake_timeout,
        datagram_ring: catloop.datagram_ring,
    }
}

fn catnap_settings(config: &Config) -> catnap::Settings {
    catnap::Settings { receive: config.catnap.receive, zero_copy: config.catnap.zero_copy }
}

fn catcollar_settings(config: &Config) -> catcollar::Settings {
    let catcollar = &config.catcollar;
    catcollar::Settings {
        // All within their types: the check has seen to it.
        entries: catcollar.entries as u32,
        completions: catcollar.completions as u32,
        buffers: catcollar.buffers as u16,
        buffer_size: catcollar.buffer_size,
        sqpoll: catcollar.sqpoll,
        busy_poll: catcollar.busy_poll,
        // Far below u32::MAX.
        registered_sockets: catcollar.registered_sockets.map(|sockets| sockets as u32),
        zero_copy: catcollar.zero_copy,
    }
}
