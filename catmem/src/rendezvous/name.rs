// SPDX-License-Identifier: MIT OR Apache-2.0
//! The name of a pipe: one path component, short enough for every socket address.

use std::ffi::OsString;

use runtime::{Errno, Error, Result};

/// What a pipe's file is called after its name.
const SUFFIX: &str = ".pipe";

/// A pipe's name: 1 to 64 bytes, without `/` and NUL, and neither `.` nor `..`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PipeName(Box<str>);

impl PipeName {
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
    pub(super) fn file_name(&self) -> OsString {
        let mut file_name = OsString::with_capacity(self.0.len() + SUFFIX.len());
        file_name.push(&*self.0);
        file_name.push(SUFFIX);
        file_name
    }
}
