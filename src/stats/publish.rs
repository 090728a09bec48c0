// SPDX-License-Identifier: MIT OR Apache-2.0
//! The owner's side of a page: one locked file, written by `pwrite(2)`.
//!
//! What always holds: no error here reaches the application, no call blocks, and writing does not allocate.

use super::section::Section;
use super::{Connection, Page, connections, device, directory, file_name, read};
use crate::config::Config;
use catmem::rendezvous::Directory;
use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use runtime::limits::NAMES_SWEPT_MAX;
use runtime::socket::Counters;
use runtime::time::Time;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The least time between two writings while the LibOs is busy.
pub const PERIOD: Duration = Duration::from_millis(100);
/// The same for the device, whose driver may take its time to tell.
const DEVICE_PERIOD: Duration = Duration::from_secs(1);
/// Names that are tried: former processes of the same number may have left some.
const NAME_TRIES: u32 = 64;

/// Tells the LibOses of one process apart.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// Where a LibOs publishes.
pub struct Publisher {
    state: State,
    /// When the next look at the counters is due: never as long as nothing is open.
    due: Time,
}

enum State {
    /// No queue was made yet.
    Waiting(PathBuf),
    On {
        file: File,
        path: PathBuf,
        /// What was written last.
        page: Box<Page>,
        connections: Behind,
        /// Queues that were open when those were gathered.
        queues: usize,
        device: Behind,
        /// When the device is asked again.
        device_due: Time,
    },
    Off,
}

/// A section behind the page.
struct Behind {
    section: Section,
    /// What was written last, and what is being gathered.
    told: Vec<u8>,
    fresh: Vec<u8>,
}

impl Behind {
    fn new(section: Section) -> Self {
        let empty = || Vec::with_capacity(section.len_max());
        Self { told: empty(), fresh: empty(), section }
    }

    /// Gathers what `add` adds, and writes it if it differs.
    fn write(&mut self, file: &File, add: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        let Self { section, told, fresh } = self;
        section.begin(fresh);
        let empty = fresh.len();
        add(fresh);
        // Who never had any has nothing behind its page.
        if told.is_empty() && fresh.len() == empty {
            return Ok(());
        }
        section.end(fresh);
        if fresh == told {
            return Ok(());
        }
        core::mem::swap(told, fresh);
        file.write_all_at(told, section.at)
    }
}

impl Publisher {
    /// For a LibOs of this configuration. Nothing is opened yet.
    pub fn new(config: &Config) -> Self {
        Self { state: State::Waiting(directory(config)), due: Time::MAX }
    }

    /// Makes the file, if it was not tried before. A queue is there now, so there is something to tell.
    /// Says whether the file is there just now.
    pub fn begin(&mut self) -> bool {
        let State::Waiting(directory) = &self.state else { return false };
        self.state = match create(directory) {
            Ok((file, path)) => {
                self.due = Time::ZERO;
                let page = Box::new(Page::new(std::process::id(), &process_name()));
                let [connections, device] = [connections::SECTION, device::SECTION].map(Behind::new);
                State::On { file, path, page, connections, queues: 0, device, device_due: Time::ZERO }
            }
            Err(error) => {
                log::debug!("no statistics are published in {}: {error}", directory.display());
                State::Off
            }
        };
        self.is_on()
    }

    /// Whether it is time to look whether there is something new.
    #[inline]
    pub fn is_due(&self, now: Time) -> bool {
        now >= self.due
    }

    /// Whether there is a page at all.
    #[inline]
    pub fn is_on(&self) -> bool {
        matches!(self.state, State::On { .. })
    }

    /// Writes these figures, if they differ from those that were written last.
    pub fn publish(
        &mut self,
        now: Time,
        queues: usize,
        counters: Counters,
        backends: impl Iterator<Item = &'static str>,
    ) {
        let State::On { file, page, .. } = &mut self.state else { return };
        self.due = now + PERIOD;
        let mut fresh = **page;
        fresh.queues = u32::try_from(queues).unwrap_or(u32::MAX);
        fresh.counters = counters;
        fresh.set_backends(backends);
        if fresh == **page {
            return;
        }
        fresh.written = now.saturating_since(Time::ZERO);
        **page = fresh;
        let written = file.write_all_at(&page.to_bytes(), 0);
        self.end_if(written);
    }

    /// Whether it is time to tell about connections, of a LibOs that has so many queues: when figures are due, and when a queue came or
    /// went. To be asked before [`publish`](Self::publish).
    pub fn wants_connections(&self, now: Time, queues: usize) -> bool {
        matches!(&self.state, State::On { queues: before, .. } if queues != *before || self.is_due(now))
    }

    /// Tells about connections of a LibOs with so many queues, as many as there is room for: `next` gives one after the other.
    pub fn publish_connections(&mut self, queues: usize, mut next: impl FnMut() -> Option<Connection>) {
        let State::On { file, connections, queues: before, .. } = &mut self.state else { return };
        *before = queues;
        let written = connections.write(file, |bytes| {
            while let Some(connection) = next() {
                if !connections::add(bytes, &connection) {
                    break;
                }
            }
        });
        self.end_if(written);
    }

    /// Whether it is time to ask the device.
    pub fn wants_device(&self, now: Time) -> bool {
        matches!(&self.state, State::On { device_due, .. } if now >= *device_due)
    }

    /// Tells what the device has counted, as much as there is room for: `ask` hands over a name and a value at a time.
    pub fn publish_device(&mut self, now: Time, ask: impl FnOnce(&mut dyn FnMut(&str, u64))) {
        let State::On { file, device, device_due, .. } = &mut self.state else { return };
        *device_due = now + DEVICE_PERIOD;
        let written = device.write(file, |bytes| {
            ask(&mut |name, value| {
                device::add(bytes, name, value);
            });
        });
        self.end_if(written);
    }

    /// Nothing more is published where it cannot be written.
    fn end_if(&mut self, written: io::Result<()>) {
        if let Err(error) = written {
            log::debug!("statistics are not published any more: {error}");
            self.due = Time::MAX;
            self.close();
        }
    }

    fn close(&mut self) {
        if let State::On { path, .. } = &self.state {
            // While the lock is held. What cannot be removed is swept by the next who looks.
            let _ = std::fs::remove_file(path);
            if let Some(directory) = path.parent() {
                read::sweep(directory, NAMES_SWEPT_MAX);
            }
        }
        self.state = State::Off;
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.close();
    }
}

/// Makes a file under a name of its own, and locks it.
fn create(path: &Path) -> io::Result<(File, PathBuf)> {
    let refused = |error: runtime::Error| io::Error::new(io::ErrorKind::PermissionDenied, error.to_string());
    // For its checks, and to make it.
    drop(Directory::open(path).map_err(refused)?);
    read::sweep(path, NAMES_SWEPT_MAX);
    for _ in 0..NAME_TRIES {
        let path = path.join(file_name(std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
        let file = match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            Err(error) => return Err(error),
        };
        // Between making and locking it, somebody else may have taken it for an abandoned one, which that one locks
        // and removes it.
        if file.try_lock().is_ok() && file.metadata()?.nlink() > 0 {
            return Ok((file, path));
        }
    }
    Err(io::Error::other("every name is taken"))
}

/// What the kernel calls this process.
fn process_name() -> String {
    let name = std::fs::read("/proc/self/comm").unwrap_or_default();
    String::from_utf8_lossy(&name).trim_end_matches('\n').to_owned()
}
