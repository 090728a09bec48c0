// SPDX-License-Identifier: MIT OR Apache-2.0
//! The stream sockets of a LibOs, and what they share.

use crate::address::Hosts;
use crate::places::Places;
use crate::settings::Settings;
use crate::stream::Stream;
use catmem::{Catmem, Sizes};
use runtime::buf::Pools;
use runtime::deadlines::Deadlines;
use runtime::reactor::Reactor;
use runtime::socket::Counters;
use runtime::transport::Handle;
use runtime::{Errno, Error, Result};
use std::rc::Rc;

/// The handle is not one of a socket.
pub const CLOSED: Error = Error::new(Errno::BADF, "the socket is closed");
/// What a pipe gives that is joined to nobody.
pub const NOT_CONNECTED: Error = Error::new(Errno::NOTCONN, "the socket is not connected");

/// The stream sockets by handle, which is that of their pipe.
#[derive(Default)]
pub struct Sockets(Vec<Option<Box<Stream>>>);

impl Sockets {
    /// The socket of this handle.
    ///
    /// # Errors
    /// `EBADF` if there is none.
    pub fn get(&mut self, handle: Handle) -> Result<&mut Stream> {
        match self.0.get_mut(handle as usize) {
            Some(Some(stream)) => Ok(stream),
            _ => Err(CLOSED),
        }
    }

    /// The socket of a handle that its pipe has just got.
    pub fn insert(&mut self, handle: Handle, stream: Stream) {
        let index = handle as usize;
        if index >= self.0.len() {
            self.0.resize_with(index + 1, || None);
        }
        self.0[index] = Some(Box::new(stream));
    }

    /// The socket is gone.
    pub fn remove(&mut self, handle: Handle) {
        if let Some(slot) = self.0.get_mut(handle as usize) {
            *slot = None;
        }
    }
}

/// What all stream sockets of a LibOs share.
pub struct Shared {
    /// What it was set to.
    pub settings: Settings,
    /// Addresses of this host.
    pub hosts: Rc<Hosts>,
    /// Names and ports.
    pub places: Rc<Places>,
    /// Timers and descriptors.
    pub reactor: Rc<Reactor>,
    /// The pipes that carry everything.
    pub pipes: Catmem,
    /// When to look at a socket though nothing has happened.
    pub deadlines: Deadlines,
    /// What has been done so far.
    pub counters: Counters,
    /// Or-ed into the tokens of what is no pipe.
    pub token: u64,
}

impl Shared {
    /// Nothing is opened yet.
    pub fn new(settings: Settings, reactor: Rc<Reactor>, pools: Pools, token: u64) -> Self {
        let pipes = catmem::Settings {
            directory: None,
            sizes: Sizes {
                ring_order: settings.ring.trailing_zeros() as u8,
                slot_order: settings.slot.trailing_zeros() as u8,
                slots: settings.slots,
            },
            max_message: usize::MAX,
            handshake_timeout: settings.handshake_timeout,
        };
        Self {
            hosts: Rc::new(Hosts::new(&settings.addresses)),
            places: Places::new(settings.directory.clone()),
            pipes: Catmem::new(pipes, Rc::clone(&reactor), pools, token),
            settings,
            deadlines: Deadlines::new(Rc::clone(&reactor)),
            reactor,
            counters: Counters::default(),
            token,
        }
    }
}
