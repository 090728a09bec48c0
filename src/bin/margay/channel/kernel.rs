// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the kernel has for two processes of one host: a Unix stream socket, pipes, TCP. Blocking calls, sizes of the
//! kernel's buffers as they are by default, one write and one read per message as far as the kernel allows. And TCP with
//! sockets that never sleep, which is what two processes can reach that have a core each.

use super::Channel;
use anyhow::{Context, Result, bail};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, recv, socketpair};
use rustix::pipe::{PipeFlags, pipe_with};
use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

/// One end.
pub struct Kernel<R, W> {
    reader: R,
    writer: W,
    message: Vec<u8>,
}

/// A connected pair of sockets.
pub fn socket_descriptors() -> Result<[Vec<OwnedFd>; 2]> {
    let (a, b) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
        .context("cannot make a socket pair")?;
    Ok([vec![a], vec![b]])
}

/// Two pipes; each side gets the end that it reads, then the one that it writes.
pub fn pipe_descriptors() -> Result<[Vec<OwnedFd>; 2]> {
    let pipe = || pipe_with(PipeFlags::CLOEXEC).context("cannot make a pipe");
    let ((read_a, write_a), (read_b, write_b)) = (pipe()?, pipe()?);
    Ok([vec![read_a, write_b], vec![read_b, write_a]])
}

/// A TCP socket that listens on a free port of the loopback interface.
pub fn loopback_listener() -> Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot listen on the loopback interface")
}

/// Both ends of a TCP connection over the loopback interface.
pub fn tcp_descriptors() -> Result<[Vec<OwnedFd>; 2]> {
    let listener = loopback_listener()?;
    let client = TcpStream::connect(listener.local_addr()?).context("cannot connect over the loopback interface")?;
    let (server, _) = listener.accept().context("cannot accept over the loopback interface")?;
    Ok([vec![server.into()], vec![client.into()]])
}

/// One end of a TCP connection.
pub fn tcp(fd: OwnedFd, size: usize) -> Result<Kernel<TcpStream, TcpStream>> {
    let reader = TcpStream::from(fd);
    reader.set_nodelay(true).context("cannot set TCP_NODELAY")?;
    let writer = reader.try_clone().context("cannot use a socket twice")?;
    Ok(Kernel { reader, writer, message: vec![7; size] })
}

/// One end of a TCP connection that is polled.
pub fn spinning_tcp(fd: OwnedFd, size: usize) -> Result<SpinningTcp> {
    let stream = TcpStream::from(fd);
    stream.set_nodelay(true).context("cannot set TCP_NODELAY")?;
    Ok(SpinningTcp { stream, message: vec![7; size] })
}

/// One end of a TCP connection that is asked for data until there are some.
pub struct SpinningTcp {
    stream: TcpStream,
    message: Vec<u8>,
}

impl Channel for SpinningTcp {
    fn send(&mut self) -> Result<()> {
        self.stream.write_all(&self.message).context("write")
    }

    fn receive(&mut self) -> Result<()> {
        let mut got = 0;
        while got < self.message.len() {
            match recv(&self.stream, &mut self.message[got..], RecvFlags::DONTWAIT) {
                Ok((0, _)) => bail!("the end came"),
                Ok((more, _)) => got += more,
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(error) => return Err(error).context("recv"),
            }
        }
        Ok(())
    }
}

/// One end of a pair of sockets.
pub fn socket(fd: OwnedFd, size: usize) -> Result<Kernel<UnixStream, UnixStream>> {
    let reader = UnixStream::from(fd);
    let writer = reader.try_clone().context("cannot use a socket twice")?;
    Ok(Kernel { reader, writer, message: vec![7; size] })
}

/// One end of two pipes.
pub fn pipe(fds: Vec<OwnedFd>, size: usize) -> Result<Kernel<File, File>> {
    let Ok([reader, writer]) = <[OwnedFd; 2]>::try_from(fds) else { bail!("two descriptors make an end of two pipes") };
    Ok(Kernel { reader: reader.into(), writer: writer.into(), message: vec![7; size] })
}

impl<R: Read, W: Write> Channel for Kernel<R, W> {
    fn send(&mut self) -> Result<()> {
        self.writer.write_all(&self.message).context("write")
    }

    fn receive(&mut self) -> Result<()> {
        self.reader.read_exact(&mut self.message).context("read")
    }
}
