// SPDX-License-Identifier: MIT OR Apache-2.0
//! How the two sides of a pipe find each other.

use super::sockets::PAUSE;
use margay::{Errno, LibOs, Qd, Result};

/// Creates the pipe, or opens it as soon as the server has created it.
///
/// # Errors
/// As `create_pipe` and `open_pipe`.
pub fn connect(libos: &mut LibOs, server: bool, name: &str) -> Result<Qd> {
    if server {
        return libos.create_pipe(name);
    }
    loop {
        match libos.open_pipe(name) {
            Err(error) if matches!(error.errno(), Errno::NOENT | Errno::CONNREFUSED) => std::thread::sleep(PAUSE),
            opened => return opened,
        }
    }
}
