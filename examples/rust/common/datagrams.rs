// SPDX-License-Identifier: MIT OR Apache-2.0
//! Datagrams get lost, and a server that is not there yet loses them all. So what must arrive is sent again until it is
//! answered. Numbered messages are at least [`NUMBERED`] bytes long; a [`HELLO`] and an [`END`] are shorter, and every
//! server sends them back.

use super::sockets::PAUSE;
use margay::{Datagram, Domain, Errno, Kind, LibOs, Qd, Qt, Result, Sga};
use std::net::SocketAddr;
use std::time::Duration;

/// Is there anybody?
pub const HELLO: &[u8] = b"?";
/// That was all.
pub const END: &[u8] = b".";
/// Bytes of a number in front of a message.
pub const NUMBERED: usize = 8;
/// After so long without an answer, a question is sent again.
pub const RESEND: Duration = Duration::from_millis(200);
/// After so long without any datagram, a program that cannot know the last one takes it that it has come.
pub const QUIET: Duration = Duration::from_secs(2);

/// Whether a datagram has exactly these bytes.
pub fn is(message: &Sga, bytes: &[u8]) -> bool {
    message.len() == bytes.len() && message.to_vec() == bytes
}

/// The number in front of a message; `None` if it is shorter than that.
pub fn number(message: &Sga) -> Option<u64> {
    let mut bytes = [0; NUMBERED];
    (message.copy_to_slice(&mut bytes) == NUMBERED).then(|| u64::from_le_bytes(bytes))
}

/// Numbers a message, and fills the rest of it with the last byte of the number. At least [`NUMBERED`] bytes.
///
/// # Errors
/// If it is shorter.
pub fn numbered(message: &mut [u8], number: u64) -> super::Result<()> {
    let Some((front, rest)) = message.split_first_chunk_mut() else {
        return Err(format!("a message needs {NUMBERED} bytes for its number: take a larger --size").into());
    };
    *front = number.to_le_bytes();
    rest.fill(number as u8);
    Ok(())
}

/// Pops one datagram.
///
/// # Errors
/// What the operation failed with.
pub fn pop(libos: &mut LibOs, qd: Qd) -> Result<Datagram> {
    let popped = libos.pop(qd, None)?;
    libos.wait(popped, None)?.into_datagram()
}

/// Pushes one datagram to an address.
///
/// # Errors
/// What the operation failed with.
pub fn push_to(libos: &mut LibOs, qd: Qd, message: Sga, to: SocketAddr) -> Result<()> {
    let pushed = libos.push_to(qd, message, to)?;
    libos.wait(pushed, None)?.ok()
}

/// A socket that is connected to a server, and asks it one thing at a time.
pub struct Caller {
    pub qd: Qd,
    /// A pop that has not ended yet.
    popping: Option<Qt>,
}

impl Caller {
    /// A socket that sends to this address, and hears from there alone.
    ///
    /// # Errors
    /// As `socket` and `connect`.
    pub fn new(libos: &mut LibOs, to: SocketAddr) -> Result<Self> {
        let qd = libos.socket(Domain::of(&to), Kind::Datagram)?;
        let connecting = libos.connect(qd, to)?;
        libos.wait(connecting, None)?.ok()?;
        Ok(Self { qd, popping: None })
    }

    /// Sends a question until its answer comes, which begins like the question; says how often it was sent again.
    ///
    /// # Errors
    /// What an operation failed with, but not that nobody is there yet.
    pub fn ask(&mut self, libos: &mut LibOs, question: &[u8]) -> Result<(Sga, u64)> {
        let head = &question[..question.len().min(NUMBERED)];
        let mut again = 0;
        loop {
            let pushed = libos.push(self.qd, question)?;
            match libos.wait(pushed, None)?.ok() {
                Ok(()) => {}
                // The last one found nobody.
                Err(error) if error.errno() == Errno::CONNREFUSED => std::thread::sleep(PAUSE),
                Err(error) => return Err(error),
            }
            while let Some(answer) = self.pop(libos)? {
                let mut front = [0; NUMBERED];
                let len = answer.copy_to_slice(&mut front);
                // Anything else is the second answer to an earlier question.
                if answer.len() == question.len() && front[..len] == *head {
                    return Ok((answer, again));
                }
            }
            again += 1;
        }
    }

    /// What has come within [`RESEND`].
    fn pop(&mut self, libos: &mut LibOs) -> Result<Option<Sga>> {
        let popping = match self.popping.take() {
            Some(popping) => popping,
            None => libos.pop(self.qd, None)?,
        };
        match libos.wait(popping, Some(RESEND)) {
            Err(error) if error.errno() == Errno::TIMEDOUT => {
                self.popping = Some(popping);
                Ok(None)
            }
            Err(error) => Err(error),
            Ok(completion) => match completion.into_datagram() {
                Ok(answer) => Ok(Some(answer.into_message())),
                Err(error) if error.errno() == Errno::CONNREFUSED => {
                    std::thread::sleep(PAUSE);
                    Ok(None)
                }
                Err(error) => Err(error),
            },
        }
    }
}
