// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pipes as a [`Transport`].
//!
//! Pipes with parked operations are looked at in every poll while they are few (`hot`). Those that have been idle
//! longest are armed instead once there are too many, or nothing has come for long (`cooling`), and an event from its doorbell brings it back, so that a poll costs the same with ten thousand
//! idle pipes as with ten.

mod adopting;
mod cooling;
mod joining;

pub use adopting::Carries;

use crate::doorbell::{Doorbell, can_membarrier, heavy};
use crate::eventfd::Eventfd;
use crate::handshake::{self, Mailbox, Offer, Sizes};
use crate::layout::{Layout, Side};
use crate::mapping::Mapping;
use crate::pipe::{Ends, Pipe};
use crate::rendezvous::{Directory, Hello, PipeName};
use core::cell::Cell;
use core::task::Poll;
use core::time::Duration;
use runtime::buf::{Buf, Pools, Sga};
use runtime::limits::{HOT_PIPES_MAX, NAMES_SWEPT_MAX};
use runtime::op::{Direction, Wakes};
use runtime::reactor::{Event, Interest, Reactor};
use runtime::transport::{Armed, Handle, PopMode, QueueId, Transport};
use runtime::{Errno, Error, Result};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::rc::Rc;

/// What catmem can be set to.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where pipe names live; `None` for the default.
    pub directory: Option<PathBuf>,
    /// The sizes of pipes that are made here.
    pub sizes: Sizes,
    /// The longest message that is pushed or popped, in bytes.
    pub max_message: usize,
    /// How long an opener that has connected may take to say what it wants.
    pub handshake_timeout: Duration,
}

const DOORBELL: u64 = 0;
const CONNECTION: u64 = 1;
const CLOSED: Error = Error::new(Errno::BADF, "the pipe is closed");

/// The pipes of one LibOs.
pub struct Catmem {
    settings: Settings,
    reactor: Rc<Reactor>,
    pools: Pools,
    /// Or-ed into every token that the reactor gets from here.
    token: u64,
    /// Opened with the first pipe.
    directory: Option<Directory>,
    /// What dead processes have left there was cleared away, with the first pipe that was made.
    swept: bool,
    pipes: Vec<Option<Pipe>>,
    free: Vec<Handle>,
    serial: u64,
    mailbox: Rc<Mailbox>,
    /// Pipes with parked operations that are looked at, oldest first.
    hot: VecDeque<Handle>,
    cooling: cooling::Cooling,
    /// Pipes that failed since the last poll: their parked operations have to be told.
    failed: Vec<QueueId>,
}

impl Catmem {
    /// No pipes yet. `token` has its low 48 bits clear.
    #[must_use]
    pub fn new(settings: Settings, reactor: Rc<Reactor>, pools: Pools, token: u64) -> Self {
        // Before the first handshake says so.
        can_membarrier();
        Self {
            settings,
            reactor,
            pools,
            token,
            directory: None,
            swept: false,
            pipes: Vec::new(),
            free: Vec::new(),
            serial: 0,
            mailbox: Rc::default(),
            hot: VecDeque::with_capacity(HOT_PIPES_MAX + 1),
            cooling: cooling::Cooling::default(),
            failed: Vec::new(),
        }
    }

    fn directory(&mut self) -> Result<&Directory> {
        if self.directory.is_none() {
            let path = self.settings.directory.clone().unwrap_or_else(Directory::default_path);
            self.directory = Some(Directory::open(&path)?);
        }
        self.directory.as_ref().ok_or(CLOSED)
    }

    fn insert(&mut self, pipe: Pipe) -> Handle {
        if let Some(handle) = self.free.pop() {
            self.pipes[handle as usize] = Some(pipe);
            return handle;
        }
        self.pipes.push(Some(pipe));
        self.pipes.len() as Handle - 1
    }

    /// The serial number of the pipe that is inserted next: never used twice, and its lower half is the pipe's handle.
    fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        let handle = self.free.last().copied().unwrap_or(self.pipes.len() as Handle);
        self.serial << 32 | u64::from(handle)
    }

    #[inline]
    fn pipe(&mut self, handle: Handle) -> Result<&mut Pipe> {
        match self.pipes.get_mut(handle as usize) {
            Some(Some(pipe)) => Ok(pipe),
            _ => Err(CLOSED),
        }
    }

    fn token(&self, handle: Handle, kind: u64) -> u64 {
        self.token | u64::from(handle) << 1 | kind
    }

    fn watch_doorbell(&self, handle: Handle, bell: &Eventfd) -> Result<()> {
        self.reactor.watch(bell, Interest::READABLE.edge(), self.token(handle, DOORBELL))
    }

    /// What an operation that could not finish leaves behind: the pipe is looked at from now on.
    fn parked(&mut self, handle: Handle, direction: Direction) {
        let Some(Some(pipe)) = self.pipes.get_mut(handle as usize) else { return };
        pipe.wants[direction as usize] = true;
        if !pipe.hot && pipe.ends.is_some() {
            pipe.hot = true;
            pipe.hot_since = self.cooling.epoch();
            self.hot.push_back(handle);
            if self.hot.len() > HOT_PIPES_MAX {
                self.cool_oldest();
            }
        }
    }

    /// An error that an operation is about to give: a broken protocol ends the pipe.
    #[cold]
    fn checked(&mut self, handle: Handle, error: Error) -> Error {
        if error.errno() == Errno::PROTO {
            self.fail(handle, error);
        }
        error
    }

    fn arm_all(&mut self) -> Armed {
        if self.mailbox.is_filled() || !self.failed.is_empty() {
            return Armed::Ready;
        }
        let mut any = false;
        for &handle in &self.hot {
            if let Some(Some(pipe)) = self.pipes.get(handle as usize)
                && let Some(ends) = &pipe.ends
            {
                ends.bell.arm(pipe.wanted());
                any |= pipe.wanted() != 0;
            }
        }
        if any {
            heavy();
        }
        for &handle in &self.hot {
            if let Some(Some(pipe)) = self.pipes.get_mut(handle as usize)
                && pipe.news() != [false; 2]
            {
                return Armed::Ready;
            }
        }
        Armed::Quiet
    }
}

fn unwatch(reactor: &Reactor, pipe: &Pipe) {
    // A descriptor that is not watched (yet) is not an error here.
    if let Some(mine) = pipe.ends.as_ref().and_then(|ends| ends.mine.as_ref()) {
        let _ = reactor.unwatch(&**mine);
    }
    if let Some(connection) = &pipe.connection {
        let _ = reactor.unwatch(&**connection);
    }
}

impl Transport for Catmem {
    fn name(&self) -> &'static str {
        "catmem"
    }

    fn create_pipe(&mut self, queue: QueueId, name: &str) -> Result<Handle> {
        let name = PipeName::new(name)?;
        let directions = self.settings.sizes.directions()?;
        let total = Layout::new(directions).total;
        let hello = Hello::new(directions, total as u64, can_membarrier())?;
        let sweeps = !core::mem::replace(&mut self.swept, true);
        let directory = self.directory()?;
        if sweeps {
            // What stays can be replaced name by name all the same.
            let _ = directory.sweep(PipeName::SUFFIX, NAMES_SWEPT_MAX);
        }
        let listener = directory.listen(&name)?;
        let (mapping, memory) = Mapping::create(total)?;
        let mapping = Rc::new(mapping);
        let (mine, theirs) = (Rc::new(Eventfd::new()?), Rc::new(Eventfd::new()?));
        let bell = Rc::new(Doorbell::new(
            Rc::clone(&mapping),
            Layout::wake(Side::Creator),
            Layout::wake(Side::Opener),
            theirs,
        ));
        let ends = Ends::new(
            &mapping,
            &hello,
            Side::Creator,
            Rc::clone(&bell),
            Some(Rc::clone(&mine)),
            (&self.pools, self.settings.max_message),
        );
        let offer = Rc::new(Offer {
            listener,
            hello,
            memory,
            mine: Rc::clone(&mine),
            bell,
            greeting: Cell::new(false),
            closing: Cell::new(false),
        });

        let mut pipe = Pipe::new(queue, self.next_serial());
        pipe.ends = Some(ends);
        pipe.task = Some(self.reactor.spawn(handshake::create(
            Rc::clone(&self.reactor),
            Rc::clone(&offer),
            self.settings.handshake_timeout,
            Rc::clone(&self.mailbox),
            pipe.serial,
        ))?);
        pipe.offer = Some(offer);
        let handle = self.insert(pipe);
        if let Err(error) = self.watch_doorbell(handle, &mine) {
            // Its only way to wake a sleeper is missing: undo.
            let _ = self.close(handle);
            return Err(error);
        }
        Ok(handle)
    }

    fn open_pipe(&mut self, queue: QueueId, name: &str) -> Result<Handle> {
        let name = PipeName::new(name)?;
        let socket = self.directory()?.connect(&name)?;
        handshake::request(&socket)?;
        let mut pipe = Pipe::new(queue, self.next_serial());
        pipe.task = Some(self.reactor.spawn(handshake::open(
            Rc::clone(&self.reactor),
            socket,
            Rc::clone(&self.mailbox),
            pipe.serial,
        ))?);
        Ok(self.insert(pipe))
    }

    #[inline]
    fn push(&mut self, handle: Handle, message: &mut Sga) -> Poll<Result<()>> {
        let Some(Some(pipe)) = self.pipes.get_mut(handle as usize) else { return Poll::Ready(Err(CLOSED)) };
        match pipe.push(message) {
            Poll::Ready(Ok(())) => Poll::Ready(Ok(())),
            Poll::Ready(Err(error)) => Poll::Ready(Err(self.checked(handle, error))),
            Poll::Pending => {
                self.parked(handle, Direction::Push);
                Poll::Pending
            }
        }
    }

    #[inline]
    fn push_now(&mut self, handle: Handle, bytes: &[u8]) -> bool {
        match self.pipes.get_mut(handle as usize) {
            Some(Some(pipe)) => pipe.push_now(bytes),
            _ => false,
        }
    }

    #[inline]
    fn pop_now(&mut self, handle: Handle, mode: PopMode) -> Sga {
        match self.pipes.get_mut(handle as usize) {
            Some(Some(pipe)) => pipe.pop_now(mode),
            _ => Sga::new(),
        }
    }

    #[inline]
    fn push_bytes(&mut self, handle: Handle, bytes: &[u8]) -> Result<bool> {
        let Some(Some(pipe)) = self.pipes.get_mut(handle as usize) else { return Err(CLOSED) };
        pipe.push_bytes(bytes).map_err(|error| self.checked(handle, error))
    }

    #[inline]
    fn pop(&mut self, handle: Handle, mode: PopMode) -> Poll<Result<Sga>> {
        let Some(Some(pipe)) = self.pipes.get_mut(handle as usize) else { return Poll::Ready(Err(CLOSED)) };
        match pipe.pop(mode) {
            Poll::Ready(Ok(message)) => Poll::Ready(Ok(message)),
            Poll::Ready(Err(error)) => Poll::Ready(Err(self.checked(handle, error))),
            Poll::Pending => {
                self.parked(handle, Direction::Pop);
                Poll::Pending
            }
        }
    }

    #[inline]
    fn spin(&mut self, handle: Handle, direction: Direction, looks: u32) -> bool {
        match self.pipes.get_mut(handle as usize) {
            Some(Some(pipe)) => match direction {
                Direction::Push => pipe.spin_for_room(looks),
                Direction::Pop => pipe.spin(looks),
            },
            _ => true,
        }
    }

    fn spin_for_message(&mut self, handle: Handle, mode: PopMode, looks: u32) -> Sga {
        match self.pipes.get_mut(handle as usize) {
            Some(Some(pipe)) => pipe.spin_for_message(mode, looks),
            _ => Sga::new(),
        }
    }

    fn shutdown(&mut self, handle: Handle) -> Poll<Result<()>> {
        let shut = self.pipe(handle).map_or_else(|error| Poll::Ready(Err(error)), Pipe::shutdown);
        if shut.is_pending() {
            self.parked(handle, Direction::Push);
        }
        shut
    }

    fn close(&mut self, handle: Handle) -> Poll<Result<()>> {
        let reactor = Rc::clone(&self.reactor);
        let Ok(pipe) = self.pipe(handle) else { return Poll::Ready(Err(CLOSED)) };
        let closed = pipe.close();
        if closed.is_ready() {
            unwatch(&reactor, pipe);
            if let Some(task) = pipe.task.take() {
                reactor.abort(task);
            }
            self.pipes[handle as usize] = None;
            self.hot.retain(|&other| other != handle);
            self.free.push(handle);
        }
        closed
    }

    fn canceled(&mut self, handle: Handle, direction: Direction) {
        if let Ok(pipe) = self.pipe(handle) {
            pipe.wants[direction as usize] = false;
            if direction == Direction::Push {
                pipe.canceled();
            }
        }
    }

    fn alloc(&mut self, handle: Handle, len: usize) -> Result<Buf> {
        let buf = self.pipe(handle)?.alloc(len);
        if let Err(error) = &buf
            && error.errno() == Errno::PROTO
        {
            self.fail(handle, *error);
        }
        buf
    }

    fn poll(&mut self, wakes: &mut Wakes) {
        if self.mailbox.is_filled() {
            while let Some((serial, outcome)) = self.mailbox.take() {
                self.letter(serial, outcome, wakes);
            }
        }
        for queue in self.failed.drain(..) {
            wakes.wake(queue, Direction::Push);
            wakes.wake(queue, Direction::Pop);
        }
        let Self { hot, pipes, .. } = self;
        // The others keep their order: the first is the one that has been idle longest.
        hot.retain(|&handle| match pipes.get_mut(handle as usize) {
            Some(Some(pipe)) => pipe.stays_hot(wakes),
            _ => false,
        });
        if self.cooling.is_due() {
            self.cool_idle();
        }
    }

    fn event(&mut self, event: Event, wakes: &mut Wakes) {
        let handle = ((event.token & !self.token) >> 1) as Handle;
        let Ok(pipe) = self.pipe(handle) else { return };
        let queue = pipe.queue;
        if event.token & 1 == CONNECTION {
            if pipe.is_adopted() {
                self.bell_rang(handle, event, wakes);
            } else if pipe.look_at_connection() {
                // Level-triggered, and hung up for good: it has said all that it will.
                if let Some(connection) = pipe.connection.take() {
                    let _ = self.reactor.unwatch(&*connection);
                }
                wakes.wake(queue, Direction::Push);
                wakes.wake(queue, Direction::Pop);
            }
        } else {
            // A cold pipe's bell: look at it again. A spurious ring costs a look.
            wakes.wake(queue, Direction::Push);
            wakes.wake(queue, Direction::Pop);
        }
    }

    fn arm(&mut self) -> Armed {
        let armed = self.arm_all();
        if armed == Armed::Ready {
            self.disarm();
        }
        armed
    }

    fn disarm(&mut self) {
        for &handle in &self.hot {
            if let Some(Some(pipe)) = self.pipes.get(handle as usize)
                && let Some(ends) = &pipe.ends
            {
                ends.bell.disarm();
            }
        }
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
