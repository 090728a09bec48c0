// SPDX-License-Identifier: MIT OR Apache-2.0
//! A private folder for the pipes of one pair of processes, removed with all that a killed process has left in it.

use anyhow::{Context, Result};
use std::fs::DirBuilder;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Folders of former processes with the same id that may be in the way.
const TRIES: u32 = 100;

/// The folder; gone when this is dropped.
#[derive(Debug)]
pub struct Directory(PathBuf);

impl Directory {
    /// Makes one that nobody else can read or write.
    pub fn new() -> Result<Self> {
        let base = std::env::temp_dir();
        let name = |index| base.join(format!("margay-bench-{}-{index}", std::process::id()));
        let mut index = 0;
        loop {
            match DirBuilder::new().mode(0o700).create(name(index)) {
                Ok(()) => return Ok(Self(name(index))),
                Err(error) if error.kind() == ErrorKind::AlreadyExists && index < TRIES => index += 1,
                Err(error) => {
                    return Err(error).with_context(|| {
                        format!("cannot make a folder in {}; set TMPDIR to one that can be written", base.display())
                    });
                }
            }
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What cannot be removed stays where everything temporary is.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_folders_are_two_and_nothing_stays() {
        let (a, b) = (Directory::new().expect("one"), Directory::new().expect("another"));
        assert_ne!(a.path(), b.path());
        std::fs::write(a.path().join("left behind"), "").expect("written");
        let paths = [a.path().to_owned(), b.path().to_owned()];
        drop((a, b));
        assert!(paths.iter().all(|path| !path.exists()));
    }
}
