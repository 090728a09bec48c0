// SPDX-License-Identifier: MIT OR Apache-2.0
//! What each LibOs of this user tells about itself: a small page in the runtime directory, read by `margay top`.
//!
//! A LibOs makes the file `stats-<pid>-<n>` with its first queue, and keeps it locked (`flock(2)`) as long as it lives. It
//! writes at most ten times a second, and before it sleeps if anything has changed; nothing of this is on the way of a
//! message, and a LibOs that sleeps stays asleep. Without a directory it could write to, it does without.
//!
//! What always holds: a page is given out only whole and well formed; a file whose lock is free belongs to nobody, and
//! is removed by who comes across it (readers, and owners that come or go), while holding that lock. Only our own user can put files there.
//!
//! - `page`: what stands where. - `section`: what may stand behind it: `connections`, of TCP; `device`, of the device. - `publish`: the
//!   owner's side. - `read`: everybody else's.

mod connections;
mod device;
mod page;
mod publish;
mod read;
mod section;
#[cfg(test)]
mod tests;

pub use connections::{CONNECTIONS_MAX, Connection};
pub use device::{DEVICE_COUNTERS_MAX, DeviceCounter};
pub use page::{Page, Refused};
pub(crate) use publish::Publisher;
pub use read::{Published, published};

use crate::config::Config;
use catmem::rendezvous::Directory;
use std::path::PathBuf;

/// What the names of the files begin with.
const PREFIX: &str = "stats-";

/// The runtime directory that a configuration means: where its pipes, sockets and pages are.
#[must_use]
pub fn directory(config: &Config) -> PathBuf {
    config.catmem.directory.clone().unwrap_or_else(Directory::default_path)
}

fn file_name(pid: u32, number: u32) -> String {
    format!("{PREFIX}{pid}-{number}")
}

/// Whether a file is called like a page.
fn is_page(name: &str) -> bool {
    let numbers = name.strip_prefix(PREFIX).and_then(|rest| rest.split_once('-'));
    numbers.is_some_and(|(pid, number)| {
        // As they are written: digits only, no sign.
        [pid, number].iter().all(|part| part.parse::<u32>().is_ok_and(|parsed| parsed.to_string() == **part))
    })
}
