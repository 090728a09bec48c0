// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files below a root, and a memory of the small ones.
//!
//! What must always hold: nothing outside the root is opened, whatever a path says and whatever links there are: the
//! kernel resolves it with `RESOLVE_BENEATH` (openat2(2)). A file that changes is served changed within a second.

use super::date;
use super::status::{self, Status};
use rustix::fs::{Mode, OFlags, ResolveFlags, fstat, openat2};
use rustix::io::Errno;
use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::rc::Rc;

/// Files up to this length stay in memory, and so many bytes of them.
const SMALL_MAX: u64 = 64 * 1024;
const REMEMBERED_MAX: usize = 64 << 20;
/// What is counted for an entry beside its content.
const OVERHEAD: usize = 512;
/// Index of a folder.
const INDEX: &[u8] = b"index.html";

/// A file, as it is served.
pub struct Found {
    pub length: u64,
    pub content: Content,
    /// The fields that describe it, with their ends.
    pub fields: String,
    pub tag: String,
    pub modified: String,
    /// By which a change is noticed.
    version: Version,
}

pub enum Content {
    Bytes(Vec<u8>),
    File(Rc<File>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Version {
    inode: u64,
    length: u64,
    seconds: i64,
    nanoseconds: u64,
}

/// What is there for a path.
pub enum Lookup {
    File(Rc<Found>),
    /// A folder whose path lacks the slash.
    Folder,
    Nothing(Status),
}

struct Remembered {
    found: Rc<Found>,
    /// The second in which it was last compared with the file.
    checked: u64,
}

pub struct Files {
    root: std::os::fd::OwnedFd,
    remembered: HashMap<Vec<u8>, Remembered>,
    /// Bytes of all that is remembered.
    bytes: usize,
}

impl Files {
    /// # Errors
    /// If the root is no folder that can be opened.
    pub fn new(root: &Path) -> std::io::Result<Self> {
        let root = rustix::fs::open(root, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self { root, remembered: HashMap::new(), bytes: 0 })
    }

    /// The file at a path that `target::resolve` gave; of a folder, its index. `now` is in seconds.
    pub fn find(&mut self, path: &mut Vec<u8>, folder: bool, now: u64) -> Lookup {
        if folder {
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(INDEX);
        }
        if let Some(remembered) = self.remembered.get(path.as_slice())
            && remembered.checked == now
        {
            return Lookup::File(Rc::clone(&remembered.found));
        }
        match self.open(path) {
            Err(errno) => {
                self.forget(path);
                Lookup::Nothing(refused(errno))
            }
            Ok(None) => {
                self.forget(path);
                if folder { Lookup::Nothing(status::NOT_FOUND) } else { Lookup::Folder }
            }
            Ok(Some((file, version))) => self.load(path, file, version, now),
        }
    }

    /// Opens a file; `None` if it is a folder.
    fn open(&self, path: &[u8]) -> Result<Option<(File, Version)>, Errno> {
        // A FIFO would make the open wait for a writer.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let within = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        let opened = loop {
            match openat2(&self.root, path, flags, Mode::empty(), within) {
                // Something was renamed while the path was walked; or a signal came.
                Err(Errno::AGAIN | Errno::INTR) => {}
                other => break other?,
            }
        };
        let stat = fstat(&opened)?;
        let version = Version {
            inode: stat.st_ino,
            length: u64::try_from(stat.st_size).unwrap_or(0),
            seconds: stat.st_mtime,
            nanoseconds: stat.st_mtime_nsec,
        };
        match rustix::fs::FileType::from_raw_mode(stat.st_mode) {
            rustix::fs::FileType::RegularFile => Ok(Some((File::from(opened), version))),
            rustix::fs::FileType::Directory => Ok(None),
            // Devices, sockets and the like are nobody's business.
            _ => Err(Errno::NOENT),
        }
    }

    fn load(&mut self, path: &[u8], file: File, version: Version, now: u64) -> Lookup {
        if let Some(remembered) = self.remembered.get_mut(path)
            && remembered.found.version == version
        {
            remembered.checked = now;
            return Lookup::File(Rc::clone(&remembered.found));
        }
        self.forget(path);
        let small = version.length <= SMALL_MAX;
        let content = if small {
            let mut bytes = vec![0; version.length as usize];
            if file.read_exact_at(&mut bytes, 0).is_err() {
                return Lookup::Nothing(status::INTERNAL_SERVER_ERROR);
            }
            Content::Bytes(bytes)
        } else {
            Content::File(Rc::new(file))
        };
        let found = Rc::new(Found::new(path, version, content));
        if small {
            let size = version.length as usize + path.len() + OVERHEAD;
            if self.bytes + size > REMEMBERED_MAX {
                self.remembered.clear();
                self.bytes = 0;
            }
            self.bytes += size;
            self.remembered.insert(path.to_vec(), Remembered { found: Rc::clone(&found), checked: now });
        }
        Lookup::File(found)
    }

    fn forget(&mut self, path: &[u8]) {
        if let Some(old) = self.remembered.remove(path) {
            self.bytes -= old.found.version.length as usize + path.len() + OVERHEAD;
        }
    }
}

impl Found {
    fn new(path: &[u8], version: Version, content: Content) -> Self {
        let tag = format!("\"{:x}.{:x}-{:x}\"", version.seconds, version.nanoseconds, version.length);
        let modified = date::format(u64::try_from(version.seconds).unwrap_or(0));
        let fields = format!(
            "Content-Type: {}\r\nLast-Modified: {modified}\r\nETag: {tag}\r\nAccept-Ranges: bytes\r\n",
            media_type(path)
        );
        Self { length: version.length, content, fields, tag, modified, version }
    }
}

/// What to say about an open that failed.
fn refused(errno: Errno) -> Status {
    match errno {
        Errno::ACCESS | Errno::PERM => status::FORBIDDEN,
        // The last two: a way out of the root, or too many links.
        Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG | Errno::XDEV | Errno::LOOP | Errno::NXIO => {
            status::NOT_FOUND
        }
        Errno::MFILE | Errno::NFILE | Errno::NOMEM => status::SERVICE_UNAVAILABLE,
        _ => status::INTERNAL_SERVER_ERROR,
    }
}

/// By the end of the name, as everybody does it.
fn media_type(path: &[u8]) -> &'static str {
    let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    let extension = name.rsplit(|&byte| byte == b'.').next().filter(|extension| extension.len() < name.len());
    let extension = extension.unwrap_or_default().to_ascii_lowercase();
    match extension.as_slice() {
        b"html" | b"htm" => "text/html; charset=utf-8",
        b"css" => "text/css; charset=utf-8",
        b"js" | b"mjs" => "text/javascript; charset=utf-8",
        b"txt" | b"md" | b"log" | b"rs" | b"c" | b"h" | b"toml" | b"yaml" => "text/plain; charset=utf-8",
        b"csv" => "text/csv; charset=utf-8",
        b"json" => "application/json",
        b"xml" => "application/xml",
        b"svg" => "image/svg+xml",
        b"png" => "image/png",
        b"jpg" | b"jpeg" => "image/jpeg",
        b"gif" => "image/gif",
        b"webp" => "image/webp",
        b"ico" => "image/x-icon",
        b"pdf" => "application/pdf",
        b"wasm" => "application/wasm",
        b"woff2" => "font/woff2",
        b"gz" => "application/gzip",
        b"zip" => "application/zip",
        b"mp4" => "video/mp4",
        b"mp3" => "audio/mpeg",
        _ => "application/octet-stream",
    }
}
