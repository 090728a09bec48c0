// SPDX-License-Identifier: MIT OR Apache-2.0
//! The only file that names every back end: one line here adds one.

use crate::config::{BacklogFull, Config};
use catloop::Catloop;
use catmem::{Catmem, Settings, Sizes};
use runtime::buf::Pools;
use runtime::op::Wakes;
use runtime::reactor::{Event, Reactor};
use runtime::socket::Counters;
use runtime::transport::{Armed, Transport};
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
    pub fn new(config: &Config, reactor: &Rc<Reactor>, pools: &Pools) -> Self {
        let token = |index: u64| index << TOKEN_SHIFT;
        let mut all: Vec<Box<dyn Transport>> =
            vec![Box::new(Catmem::new(catmem_settings(config), Rc::clone(reactor), pools.clone(), token(0)))];
        let sockets = (config.libos_name() == "catloop").then(|| {
            all.push(Box::new(Catloop::new(catloop_settings(config), Rc::clone(reactor), pools.clone(), token(1))));
            1
        });
        Self { all, sockets }
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
        for index in 0..self.all.len() {
            if self.all[index].arm() == Armed::Ready {
                self.all[..index].iter_mut().for_each(|transport| transport.disarm());
                return Armed::Ready;
            }
        }
        Armed::Quiet
    }

    /// The LibOs is awake again.
    pub fn disarm(&mut self) {
        self.all.iter_mut().for_each(|transport| transport.disarm());
    }
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
