// SPDX-License-Identifier: MIT OR Apache-2.0
//! The usual sequences of calls on stream sockets. Where nothing else is said, pipes have them too.

use margay::{Domain, Errno, Kind, LibOs, Qd, Result, Sga};
use std::net::SocketAddr;
use std::time::Duration;

/// Between two tries to reach a server.
pub const PAUSE: Duration = Duration::from_millis(1);

/// Makes a socket that listens there, and says where; port 0 is any that is free.
///
/// # Errors
/// As `socket`, `bind` and `listen`.
pub fn listen(libos: &mut LibOs, address: SocketAddr, backlog: usize) -> Result<Qd> {
    let qd = bound(libos, address, Kind::Stream)?;
    libos.listen(qd, backlog)?;
    say_where(libos, qd)?;
    Ok(qd)
}

/// Makes a socket with this local address.
///
/// # Errors
/// As `socket` and `bind`.
pub fn bound(libos: &mut LibOs, address: SocketAddr, kind: Kind) -> Result<Qd> {
    let qd = libos.socket(Domain::of(&address), kind)?;
    libos.bind(qd, address)?;
    Ok(qd)
}

/// Tells people, and programs that start this one, where a client has to go.
///
/// # Errors
/// As `local_address`.
pub fn say_where(libos: &mut LibOs, qd: Qd) -> Result<()> {
    println!("serving at {}", libos.local_address(qd)?);
    Ok(())
}

/// Accepts one connection.
///
/// # Errors
/// What the operation failed with.
pub fn accept(libos: &mut LibOs, listening: Qd) -> Result<Qd> {
    let accepting = libos.accept(listening)?;
    libos.wait(accepting, None)?.accepted()
}

/// Connects, as soon as a server listens there.
///
/// # Errors
/// What the operation failed with.
pub fn connect(libos: &mut LibOs, to: SocketAddr) -> Result<Qd> {
    loop {
        let qd = libos.socket(Domain::of(&to), Kind::Stream)?;
        let connecting = libos.connect(qd, to)?;
        match libos.wait(connecting, None)?.ok() {
            Ok(()) => return Ok(qd),
            // What a socket is after a failed connect differs between systems: a new one for each try.
            Err(error) if error.errno() == Errno::CONNREFUSED => close(libos, qd)?,
            Err(error) => return Err(error),
        }
        std::thread::sleep(PAUSE);
    }
}

/// Pushes bytes and waits until they are taken.
///
/// # Errors
/// What the operation failed with.
pub fn push(libos: &mut LibOs, qd: Qd, bytes: &[u8]) -> Result<()> {
    let pushed = libos.push(qd, bytes)?;
    libos.wait(pushed, None)?.ok()
}

/// Pops what has come; an empty message is the end of the stream.
///
/// # Errors
/// What the operation failed with.
pub fn pop(libos: &mut LibOs, qd: Qd) -> Result<Sga> {
    let popped = libos.pop(qd, None)?;
    libos.wait(popped, None)?.into_message()
}

/// Closes a queue and waits until it is closed.
///
/// # Errors
/// What the operation failed with.
pub fn close(libos: &mut LibOs, qd: Qd) -> Result<()> {
    let closed = libos.close(qd)?;
    libos.wait(closed, None)?.ok()
}

/// Whether a message is made of this byte alone.
pub fn is_filled(message: &Sga, with: u8) -> bool {
    message.iter().all(|segment| segment.iter().all(|&byte| byte == with))
}

/// Pops until `len` bytes have come, and checks that each is `with`.
///
/// # Errors
/// What a pop failed with; and if the stream ends early, or has other bytes.
pub fn pop_filled(libos: &mut LibOs, qd: Qd, len: usize, with: u8) -> super::Result<()> {
    let mut missing = len;
    while missing > 0 {
        // A stream keeps the bytes in order, and not together.
        let message = pop(libos, qd)?;
        if message.is_empty() {
            return Err("the server has ended the connection early; it has said why".into());
        }
        if message.len() > missing || !is_filled(&message, with) {
            return Err("a message did not come back as it was sent: start both sides with the same numbers".into());
        }
        missing -= message.len();
    }
    Ok(())
}
