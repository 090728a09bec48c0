// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether a server of `net_memif` is there and alive, asked without waiting: the driver's own connect waits for as long as the server's queue
//! is full, which of one that is stopped is for ever. A server that lives says hello to whoever connects (memif's protocol, `memif_msg_hello`).

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use std::os::fd::OwnedFd;

/// Where a port meets its server if its arguments do not say it (`rte_eth_memif.h`).
const SOCKET: &str = "/run/memif.sock";

/// A connection on which the server is to say hello.
pub struct Knock(OwnedFd);

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nothing yet.
    None,
    /// The server is there.
    Hello,
    /// It was, and is gone.
    Gone,
}

/// Where the arguments of a port say that it meets its server.
fn address(arguments: &str) -> rustix::io::Result<SocketAddrUnix> {
    let value = |key: &str| arguments.split(',').find_map(|one| one.trim().strip_prefix(key)?.strip_prefix('='));
    let socket = value("socket").unwrap_or(SOCKET);
    if value("socket-abstract") == Some("no") {
        SocketAddrUnix::new(socket)
    } else {
        SocketAddrUnix::new_abstract_name(socket.as_bytes())
    }
}

impl Knock {
    /// At the server of a port with these arguments. `None`: nobody is there, or its queue is full.
    pub fn at(arguments: &str) -> Option<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let fd = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).ok()?;
        connect(&fd, &address(arguments).ok()?).ok()?;
        Some(Self(fd))
    }

    /// Looks.
    pub fn answer(&self) -> Answer {
        let mut look = [PollFd::new(&self.0, PollFlags::IN)];
        if !matches!(poll(&mut look, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })), Ok(1)) {
            return Answer::None;
        }
        let came = look[0].revents();
        if came.contains(PollFlags::IN) && !came.intersects(PollFlags::HUP | PollFlags::ERR) {
            Answer::Hello
        } else {
            Answer::Gone
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{SendFlags, accept, bind, listen, send};

    fn listening(arguments: &str) -> OwnedFd {
        let fd = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        bind(&fd, &address(arguments).unwrap()).unwrap();
        listen(&fd, 1).unwrap();
        fd
    }

    #[test]
    fn a_server_is_asked_without_waiting() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("memif.sock");
        let unique = path.display();
        for arguments in [
            format!("net_memif0,role=client,socket={unique},socket-abstract=no"),
            format!("net_memif0,role=client,socket={unique}"),
        ] {
            assert!(Knock::at(&arguments).is_none(), "nobody is there");
            let server = listening(&arguments);
            let knock = Knock::at(&arguments).unwrap();
            assert_eq!(knock.answer(), Answer::None);
            let peer = accept(&server).unwrap();
            assert_eq!(knock.answer(), Answer::None);
            send(&peer, b"hello", SendFlags::empty()).unwrap();
            assert_eq!(knock.answer(), Answer::Hello);
            drop(peer);
            assert_eq!(knock.answer(), Answer::Gone);
            // Who does not accept is not waited for, however full its queue is.
            let knocks: Vec<_> = core::iter::from_fn(|| Knock::at(&arguments)).take(1000).collect();
            assert!(knocks.len() < 1000, "{}", knocks.len());
        }
    }

    #[test]
    fn arguments_say_where() {
        let path = |arguments| address(arguments).unwrap().path().map(|path| path.to_str().unwrap().to_owned());
        assert_eq!(path("net_memif0,socket=/a,socket-abstract=no").as_deref(), Some("/a"));
        assert_eq!(path("net_memif0,socket-abstract=no").as_deref(), Some(SOCKET));
        assert_eq!(address("net_memif0,socket=/a").unwrap().abstract_name(), Some(&b"/a"[..]));
        assert_eq!(address("net_memif0").unwrap().abstract_name(), Some(SOCKET.as_bytes()));
    }
}
