// SPDX-License-Identifier: MIT OR Apache-2.0
//! The other side: plain blocking sockets, as any program has them. Each call has a deadline.

use crate::harness::bytes::Stream;
use crate::harness::system::sleep;
use crate::subject::Side;
use core::net::SocketAddr;
use core::time::Duration;
use rustix::net::sockopt;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

const LIMIT: Option<Duration> = Some(Duration::from_secs(20));

/// A connection to this address. A backlog that is full is no reason to give up.
pub fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).expect("the server is there");
    with_deadlines(stream)
}

/// A connection that takes as little as it can before it reads.
pub fn connect_narrow(to: SocketAddr) -> TcpStream {
    let family = if to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = rustix::net::socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
    // The kernel makes the least that it allows of it.
    sockopt::set_socket_recv_buffer_size(&socket, 1).unwrap();
    rustix::net::connect(&socket, &to).expect("the server is there");
    with_deadlines(socket.into())
}

fn with_deadlines(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(LIMIT).unwrap();
    stream.set_write_timeout(LIMIT).unwrap();
    stream
}

/// A connection to the server.
pub fn call(side: &Side<'_>) -> TcpStream {
    connect(side.announced())
}

/// Closes a connection with a reset.
pub fn reset(stream: TcpStream) {
    sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
    drop(stream);
}

/// Writes the next bytes of a stream.
pub fn write(mut to: &TcpStream, stream: &mut Stream, len: usize) {
    to.write_all(&stream.take(len)).expect("the other side reads");
}

/// Reads the next bytes of a stream.
#[track_caller]
pub fn read(mut from: &TcpStream, stream: &mut Stream, len: usize) {
    let mut bytes = vec![0; len];
    from.read_exact(&mut bytes).expect("the other side writes");
    let at = stream.at();
    assert!(bytes == stream.take(len), "{len} bytes from byte {at} are others");
}

/// Reads what is left of a stream up to its end. Gives how it ended.
#[track_caller]
pub fn read_to_the_end(mut from: &TcpStream, stream: &mut Stream) -> Result<(), ErrorKind> {
    let mut bytes = vec![0; 1 << 20];
    loop {
        match from.read(&mut bytes) {
            Ok(0) => return Ok(()),
            Ok(len) => {
                let at = stream.at();
                assert!(bytes[..len] == stream.take(len), "{len} bytes from byte {at} are others");
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.kind()),
        }
    }
}

/// A second host: a process that holds a network of its own, with a wire to this one.
pub struct Host {
    holder: Child,
}

impl Host {
    /// This side of the wire is `wire0`, the other one `wire1`.
    pub fn new() -> Self {
        let mut holder = Command::new("unshare");
        // It ends by itself, should this process be killed.
        let holder = holder.args(["--net", "sh", "-c", "echo; exec sleep 120"]).stdout(Stdio::piped()).spawn();
        let mut holder = holder.expect("util-linux is there");
        // It speaks from inside.
        holder.stdout.take().expect("it has one").read_exact(&mut [0]).expect("it gets a network");
        let host = Self { holder };
        crate::harness::network::ip(&format!(
            "link add wire0 type veth peer name wire1 netns {}\nlink set wire0 address 02:00:00:00:00:a0 up\n",
            host.holder.id()
        ));
        host.run("ip link set lo up; ip link set wire1 address 02:00:00:00:00:b0 up");
        host
    }

    /// Has a shell run this there.
    pub fn run(&self, script: &str) {
        let target = self.holder.id().to_string();
        let status = Command::new("nsenter").args(["--net", "--target", &target, "sh", "-ec", script]).status();
        assert!(status.expect("util-linux is there").success(), "{script}");
    }

    /// Puts this thread there.
    pub fn enter(&self) {
        let network = std::fs::File::open(format!("/proc/{}/ns/net", self.holder.id())).unwrap();
        let kind = Some(rustix::thread::LinkNameSpaceType::Network);
        rustix::thread::move_into_link_name_space(std::os::fd::AsFd::as_fd(&network), kind).unwrap();
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// Waits until the condition of another thread or of the kernel holds.
#[track_caller]
pub fn until(mut holds: impl FnMut() -> bool) {
    for _ in 0..20_000 {
        if holds() {
            return;
        }
        sleep(1_000_000);
    }
    panic!("it did not come true in time");
}
