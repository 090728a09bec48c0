// SPDX-License-Identifier: MIT OR Apache-2.0
//! Kernel sockets as a [`Transport`].

use crate::Settings;
use core::task::Poll;
use runtime::buf::{Pools, Sga};
use runtime::op::{Direction, Wakes};
use runtime::reactor::{Event, Reactor};
use runtime::transport::{Armed, Handle, PopMode, Transport};
use runtime::{Errno, Error, Result};
use std::rc::Rc;

/// The kernel sockets of one LibOs.
pub struct Catcollar;

const NOT_YET: Error = Error::new(Errno::NOTSUP, "not yet");

impl Catcollar {
    /// No sockets yet. `token` has its low 48 bits clear.
    ///
    /// # Errors
    /// From the kernel.
    pub fn new(_settings: Settings, _reactor: &Rc<Reactor>, _pools: Pools, _token: u64) -> Result<Self> {
        Err(NOT_YET)
    }
}

impl Transport for Catcollar {
    fn name(&self) -> &'static str {
        "catcollar"
    }

    fn push(&mut self, _handle: Handle, _message: &mut Sga) -> Poll<Result<()>> {
        Poll::Ready(Err(NOT_YET))
    }

    fn pop(&mut self, _handle: Handle, _mode: PopMode) -> Poll<Result<Sga>> {
        Poll::Ready(Err(NOT_YET))
    }

    fn shutdown(&mut self, _handle: Handle) -> Poll<Result<()>> {
        Poll::Ready(Err(NOT_YET))
    }

    fn close(&mut self, _handle: Handle) -> Poll<Result<()>> {
        Poll::Ready(Err(NOT_YET))
    }

    fn canceled(&mut self, _handle: Handle, _direction: Direction) {}

    fn poll(&mut self, _wakes: &mut Wakes) {}

    fn event(&mut self, _event: Event, _wakes: &mut Wakes) {}

    fn arm(&mut self) -> Armed {
        Armed::Quiet
    }
}
