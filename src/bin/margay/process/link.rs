// SPDX-License-Identifier: MIT OR Apache-2.0
//! The socket between this command and its two processes: one JSON message per packet, with descriptors.
//!
//! Text: `unix(7)`, `SOCK_SEQPACKET` and `SCM_RIGHTS`.

use anyhow::{Context, Result, bail};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use serde::{Serialize, de::DeserializeOwned};
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Descriptors that come with one message at most.
const DESCRIPTORS_MAX: usize = 4;
/// Bytes in one message at most: what a report with every percentile takes, several times over.
const MESSAGE_MAX: usize = 1 << 20;

/// One end.
#[derive(Debug)]
pub struct Link(OwnedFd);

impl Link {
    /// Both ends.
    pub fn pair() -> Result<(Self, Self)> {
        let (a, b) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .context("cannot make a socket pair")?;
        Ok((Self(a), Self(b)))
    }

    /// The end that a process was started with.
    pub fn inherited() -> Result<Self> {
        let fd = std::io::stdin().as_fd().try_clone_to_owned().context("cannot take over standard input")?;
        Ok(Self(fd))
    }

    /// Hands the end to a process that is about to start.
    pub fn into_fd(self) -> OwnedFd {
        self.0
    }

    /// Sends one message.
    pub fn send<T: Serialize>(&self, message: &T, descriptors: &[BorrowedFd<'_>]) -> Result<()> {
        let bytes = serde_json::to_vec(message)?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
            bail!("too many descriptors for one message");
        }
        sendmsg(&self.0, &[IoSlice::new(&bytes)], &mut control, SendFlags::NOSIGNAL)
            .context("the other process is gone")?;
        Ok(())
    }

    /// Waits for one message; `None` if the other end is closed.
    pub fn receive<T: DeserializeOwned>(&self) -> Result<Option<(T, Vec<OwnedFd>)>> {
        let mut bytes = vec![0; MESSAGE_MAX];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = recvmsg(&self.0, &mut [IoSliceMut::new(&mut bytes)], &mut control, RecvFlags::CMSG_CLOEXEC);
        let descriptors = control.drain().flat_map(|message| match message {
            RecvAncillaryMessage::ScmRights(fds) => fds.collect::<Vec<_>>(),
            _ => Vec::new(),
        });
        let descriptors: Vec<OwnedFd> = descriptors.collect();
        let received = match received {
            Err(rustix::io::Errno::CONNRESET) => return Ok(None),
            other => other.context("cannot receive from the other process")?,
        };
        if received.bytes == 0 {
            return Ok(None);
        }
        if received.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
            bail!("a message from the other process was cut off");
        }
        let message = serde_json::from_slice(&bytes[..received.bytes]).context("a message that is none came")?;
        Ok(Some((message, descriptors)))
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_and_descriptors_arrive_and_the_end_is_seen() {
        let (a, b) = Link::pair().expect("a pair");
        a.send(&"hello", &[a.as_fd(), b.as_fd()]).expect("sent");
        let (text, descriptors): (String, _) = b.receive().expect("received").expect("open");
        assert_eq!((text.as_str(), descriptors.len()), ("hello", 2));
        drop((descriptors, a));
        assert!(b.receive::<String>().expect("an end is no failure").is_none());
    }
}
