// SPDX-License-Identifier: MIT OR Apache-2.0
//! The name of a pipe: one path component, short enough for every socket address.

use std::ffi::OsStr;

use runtime::{Errno, Error, Result};

/// A pipe's name: 1 to 64 bytes, without `/` and NUL, and neither `.` nor `..`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PipeName(Box<str>);

impl PipeName {
    /// What a pipe's file is called after its name.
    pub const SUFFIX: &str = ".pipe";
    /// The longest name, in bytes.
    pub const LEN_MAX: usize = 64;

    /// Checks a name.
    ///
    /// # Errors
    ///
    /// `EINVAL` for a name that cannot be a pipe's.
    pub fn new(name: &str) -> Result<Self> {
        if name.is_empty() {
            return Err(Error::new(Errno::INVAL, "a pipe's name must not be empty"));
        }
        if name.len() > Self::LEN_MAX {
            return Err(Error::new(Errno::INVAL, "a pipe's name has at most 64 bytes"));
        }
        if name.bytes().any(|byte| byte == b'/' || byte == 0) {
            return Err(Error::new(Errno::INVAL, "a pipe's name must not contain '/' or NUL"));
        }
        if name == "." || name == ".." {
            return Err(Error::new(Errno::INVAL, "a pipe's name must not be '.' or '..'"));
        }
        Ok(Self(name.into()))
    }

    /// The name as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of the pipe's socket inside the directory.
    #[must_use]
    pub fn file_name(&self) -> FileName {
        // Whatever is behind it, a pipe's name with the suffix is one short path component.
        FileName([&*self.0, Self::SUFFIX].concat().into())
    }
}

/// The name of a socket's file in the directory: one path component, short enough for every socket address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FileName(Box<str>);

impl FileName {
    /// The longest file name, in bytes.
    pub const LEN_MAX: usize = PipeName::LEN_MAX + PipeName::SUFFIX.len();

    /// Checks a file name.
    ///
    /// # Errors
    ///
    /// `EINVAL` for one that is empty, too long, `.` or `..`, or not a single component.
    pub fn new(name: &str) -> Result<Self> {
        let component = !name.bytes().any(|byte| byte == b'/' || byte == 0) && name != "." && name != "..";
        if name.is_empty() || name.len() > Self::LEN_MAX || !component {
            return Err(Error::new(Errno::INVAL, "this cannot be the name of a socket's file"));
        }
        Ok(Self(name.into()))
    }

    /// The name as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AsRef<OsStr> for FileName {
    fn as_ref(&self) -> &OsStr {
        OsStr::new(&*self.0)
    }
}
