// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reading the pages of others, and clearing away those of the dead.

use super::{Connection, DeviceCounter, Page, Refused, connections, device, is_page};
use runtime::limits::{NAMES_SWEPT_MAX, STATISTICS_PAGES_MAX};
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Readings of a page that is caught while it is written.
const TRIES: u32 = 8;

/// What the LibOses of one directory have published.
#[derive(Clone, Debug, Default)]
pub struct Published {
    /// Each with its file's name, in the order of these: a process's LibOses stand together.
    pub pages: Vec<(String, Page)>,
    /// Of some of these, by the same names: how their first TCP connections fare, as far as Margay does TCP itself.
    pub connections: Vec<(String, Vec<Connection>)>,
    /// Of some of these, by the same names: what their devices have counted, where a back end has one of its own.
    pub devices: Vec<(String, Vec<DeviceCounter>)>,
    /// Files of living LibOses that could not be understood, and why.
    pub refused: Vec<(PathBuf, Refused)>,
}

/// Reads the pages of all LibOses that live, and removes those of dead ones. A directory that is not there has none.
///
/// ```
/// use margay::{Config, LibOs, stats};
/// # let directory = tempfile::tempdir()?;
/// # let mut config = Config::default();
/// # config.catmem.directory = Some(directory.path().into());
/// let mut libos = LibOs::new(&config)?;
/// libos.create_pipe("shown")?;
/// let published = stats::published(&stats::directory(&config))?;
/// let (_, page) = &published.pages[0];
/// assert_eq!((page.pid, page.queues), (std::process::id(), 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// What the system says if the directory is there and cannot be read.
pub fn published(directory: &Path) -> io::Result<Published> {
    let mut published = Published::default();
    for path in candidates(directory, STATISTICS_PAGES_MAX)? {
        // One that goes away meanwhile is not there.
        let Some(Found::Alive(file)) = look(&path) else { continue };
        match read(&file) {
            Some(Ok(page)) => {
                published.pages.push((name(&path), page));
                let mut bytes = [0; connections::LEN_MAX];
                let connections = read_behind(&file, connections::SECTION.at, &mut bytes, connections::read);
                if !connections.is_empty() {
                    published.connections.push((name(&path), connections));
                }
                let mut bytes = [0; device::LEN_MAX];
                let counters = read_behind(&file, device::SECTION.at, &mut bytes, device::read);
                if !counters.is_empty() {
                    published.devices.push((name(&path), counters));
                }
            }
            Some(Err(refused)) => published.refused.push((path, refused)),
            // Its owner has not written yet.
            None => {}
        }
    }
    // Names that are numbered alike: the shorter one has the smaller number.
    published.pages.sort_by(|(a, of_a), (b, of_b)| (of_a.pid, a.len(), a).cmp(&(of_b.pid, b.len(), b)));
    Ok(published)
}

/// Removes what dead LibOses left behind, looking at no more than `limit` pages.
pub fn sweep(directory: &Path, limit: usize) {
    for path in candidates(directory, limit.min(NAMES_SWEPT_MAX)).unwrap_or_default() {
        look(&path);
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Files that are called like pages.
fn candidates(directory: &Path, limit: usize) -> io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        if found.len() == limit {
            break;
        }
        let entry = entry?;
        // To open something else, such as a FIFO, might block.
        if entry.file_name().to_str().is_some_and(is_page) && entry.file_type().is_ok_and(|kind| kind.is_file()) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

enum Found {
    Alive(File),
    /// Removed now, or by somebody else before.
    Dead,
}

/// Opens a page, and removes it if its owner is dead. `None`: it cannot be opened.
fn look(path: &Path) -> Option<Found> {
    let file = File::open(path).ok()?;
    if file.try_lock().is_err() {
        return Some(Found::Alive(file));
    }
    // Who removes a page holds its lock. So as long as ours is in the directory, it is what the name stands for.
    if file.metadata().ok()?.nlink() > 0 {
        std::fs::remove_file(path).ok()?;
    }
    Some(Found::Dead)
}

fn read(file: &File) -> Option<Result<Page, Refused>> {
    let mut last = None;
    for _ in 0..TRIES {
        // One byte more, to see a file that is too long: connections stand further behind, and nothing between.
        let mut bytes = [0; Page::LEN + 1];
        let mut len = file.read_at(&mut bytes, 0).ok()?;
        if len == 0 {
            return None;
        }
        if bytes.last() == Some(&0) {
            len = len.min(Page::LEN);
        }
        let page = Page::from_bytes(&bytes[..len]);
        last = Some(page);
        if page != Err(Refused::Torn) && page != Err(Refused::NoPage) {
            break;
        }
    }
    last
}

/// What stands behind a page. Nothing is also what is being written all the time.
fn read_behind<T>(file: &File, at: u64, bytes: &mut [u8], read: impl Fn(&[u8]) -> Vec<T>) -> Vec<T> {
    for _ in 0..TRIES {
        let len = file.read_at(bytes, at).unwrap_or(0);
        let found = read(bytes.get(..len).unwrap_or_default());
        if len == 0 || !found.is_empty() {
            return found;
        }
    }
    Vec::new()
}
