// SPDX-License-Identifier: MIT OR Apache-2.0
//! Making and opening pipes.

use super::LibOs;
use crate::backend::Backends;
use runtime::{Qd, Result};

impl LibOs {
    /// Makes a pipe that one other LibOs, in this process or another of the same user, can open by name. Returns at once;
    /// what is pushed before anybody has opened waits in the pipe.
    ///
    /// # Errors
    /// `EINVAL` empty or over-long name, or one with a slash or NUL; `EEXIST` taken; `EACCES` the directory is not the
    /// user's own; `EMFILE` too many queues.
    ///
    /// ```
    /// # use margay::{Config, Errno, LibOs};
    /// # let directory = tempfile::tempdir()?;
    /// # let mut config = Config::default();
    /// # config.catmem.directory = Some(directory.path().into());
    /// let mut libos = LibOs::new(&config)?;
    /// let _qd = libos.create_pipe("orders")?;
    /// assert_eq!(libos.create_pipe("orders").unwrap_err().errno(), Errno::EXIST);
    /// assert_eq!(libos.create_pipe("a/b").unwrap_err().errno(), Errno::INVAL);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn create_pipe(&mut self, name: &str) -> Result<Qd> {
        self.new_queue(|backends, id| {
            let index = Backends::pipes();
            backends.get(index).create_pipe(id, name).map(|handle| (index, handle))
        })
    }

    /// Opens a pipe that another LibOs has made. The handshake goes on in the background: pushes and pops that are begun
    /// before it is done wait for it.
    ///
    /// # Errors
    /// `EINVAL` bad name; `ENOENT` nobody made it; `ECONNREFUSED` whoever made it is gone; `EACCES` it belongs to another
    /// user; `ECONNRESET` it hung up at once; `EPROTO` it answered nonsense; `EAGAIN` too many others are waiting to open it; `EMFILE` too many queues. What
    /// goes wrong later comes with the first push or pop.
    ///
    /// ```
    /// # use margay::{Config, Errno, LibOs};
    /// # let directory = tempfile::tempdir()?;
    /// # let mut config = Config::default();
    /// # config.catmem.directory = Some(directory.path().into());
    /// let mut libos = LibOs::new(&config)?;
    /// assert_eq!(libos.open_pipe("nobody").unwrap_err().errno(), Errno::NOENT);
    ///
    /// // A pipe to oneself works.
    /// let made = libos.create_pipe("me")?;
    /// let opened = libos.open_pipe("me")?;
    /// let (pushed, popped) = (libos.push(opened, b"note")?, libos.pop(made, None)?);
    /// assert_eq!(libos.wait(popped, None)?.into_message()?.to_vec(), b"note");
    /// libos.wait(pushed, None)?.ok()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_pipe(&mut self, name: &str) -> Result<Qd> {
        self.new_queue(|backends, id| {
            let index = Backends::pipes();
            backends.get(index).open_pipe(id, name).map(|handle| (index, handle))
        })
    }

    pub(super) fn new_queue(&mut self, make: impl FnOnce(&mut Backends, u32) -> Result<(u8, u32)>) -> Result<Qd> {
        let id = self.queues.reserve()?;
        let (backend, handle) = make(&mut self.backends, id)?;
        self.wakes.grow(id as usize + 1);
        let qd = self.queues.insert(id, backend, handle);
        self.begin_publishing();
        Ok(qd)
    }
}
