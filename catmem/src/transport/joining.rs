// SPDX-License-Identifier: MIT OR Apache-2.0
//! What comes of handshakes: pipes that are joined, and pipes that never will be.

use super::{CONNECTION, Catmem, unwatch};
use crate::doorbell::Doorbell;
use crate::handshake::{self, Outcome};
use crate::layout::{Layout, Side};
use crate::pipe::Ends;
use crate::rendezvous::Hello;
use runtime::op::{Direction, Wakes};
use runtime::reactor::Interest;
use runtime::transport::Handle;
use runtime::{Error, Result};
use std::rc::Rc;

impl Catmem {
    /// A pipe that is beyond repair: the peer sees the connection hang up, parked operations are told at the next poll.
    #[cold]
    pub(super) fn fail(&mut self, handle: Handle, error: Error) {
        let reactor = Rc::clone(&self.reactor);
        let Ok(pipe) = self.pipe(handle) else { return };
        if pipe.has_failed() {
            return;
        }
        unwatch(&reactor, pipe);
        if pipe.is_adopted() {
            pipe.hang_up();
        }
        pipe.fail(error);
        pipe.connection = None;
        // Nobody else is greeted, and the name is free: a close has nothing to wait for.
        pipe.offer = None;
        if let Some(task) = pipe.task.take() {
            reactor.abort(task);
        }
        let queue = pipe.queue;
        self.failed.push(queue);
    }

    /// Handles one letter of a handshake.
    pub(super) fn letter(&mut self, serial: u64, outcome: Outcome, wakes: &mut Wakes) {
        let handle = serial as Handle;
        // A letter of a pipe that was closed meanwhile is dropped, with the descriptors in it.
        if !matches!(self.pipes.get(handle as usize), Some(Some(pipe)) if pipe.serial == serial) {
            return;
        }
        let joined = match outcome {
            Outcome::Joined(connection) => Ok(connection),
            Outcome::Opened(connection, hello, memory, bells) => {
                self.opened(handle, &hello, memory, bells).map(|()| connection)
            }
            Outcome::Refused => {
                if let Ok(pipe) = self.pipe(handle) {
                    wakes.wake(pipe.queue, Direction::Push);
                }
                return;
            }
            Outcome::Failed(error) => Err(error),
        };
        let joined = joined.and_then(|connection| {
            self.reactor.watch(&connection, Interest::READABLE, self.token(handle, CONNECTION))?;
            Ok(connection)
        });
        match joined {
            Ok(connection) => {
                let Ok(pipe) = self.pipe(handle) else { return };
                pipe.joined(connection);
                // The name goes with it: a pipe has two ends.
                pipe.offer = None;
                pipe.task = None;
                let queue = pipe.queue;
                wakes.wake(queue, Direction::Push);
                wakes.wake(queue, Direction::Pop);
            }
            Err(error) => self.fail(handle, error),
        }
    }

    fn opened(
        &mut self,
        handle: Handle,
        hello: &Hello,
        memory: std::os::fd::OwnedFd,
        bells: [std::os::fd::OwnedFd; 2],
    ) -> Result<()> {
        let (mapping, [creator, opener]) = handshake::attach(hello, memory, bells)?;
        let mapping = Rc::new(mapping);
        let bell = Doorbell::new(
            Rc::clone(&mapping),
            Layout::wake(Side::Opener),
            Layout::wake(Side::Creator),
            Rc::new(creator),
        );
        bell.use_membarrier(hello.membarrier());
        let mine = Rc::new(opener);
        self.watch_doorbell(handle, &mine)?;
        let ends = Ends::new(
            &mapping,
            hello,
            Side::Opener,
            Rc::new(bell),
            Some(mine),
            (&self.pools, self.settings.max_message),
        );
        self.pipe(handle)?.ends = Some(ends);
        Ok(())
    }
}
