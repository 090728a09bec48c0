// SPDX-License-Identifier: MIT OR Apache-2.0
//! Socket calls, and what their results must be.

use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::task::Poll;
use core::time::Duration;

use runtime::Errno;
use runtime::buf::Sga;
use runtime::socket::{Domain, SocketOption};

use super::hostile::{V4, V6};
use super::{Input, SOCKETS_MAX, Socket, World, message};
use crate::stack::Setting;

/// An address of either family, by a byte.
fn address(byte: u8) -> IpAddr {
    let which = usize::from(byte >> 1);
    if byte & 1 == 0 { V4[which % V4.len()].into() } else { V6[which % V6.len()].into() }
}

/// An address with a port, and v4-mapped where the socket's family asks for that.
fn end(input: &mut Input<'_>, domain: Domain) -> SocketAddr {
    let (ip, port) = (address(input.byte()), u16::from(input.byte() % 5));
    let ip = match (ip, domain) {
        (IpAddr::V4(ip), Domain::V6) => IpAddr::V6(ip.to_ipv6_mapped()),
        (ip, _) => ip,
    };
    SocketAddr::new(ip, if port == 4 { 50_000 } else { port })
}

impl World {
    pub(super) fn call(&mut self, side: usize, what: u8, input: &mut Input<'_>) {
        let domain = if input.byte() & 1 == 0 { Domain::V4 } else { Domain::V6 };
        if what < 2 || self.sides[side].sockets.is_empty() {
            return self.open(side, domain, what == 1);
        }
        let index = usize::from(input.byte()) % self.sides[side].sockets.len();
        match what {
            2 => self.bind(side, index, input, domain),
            3 => {
                let (id, to, now) = (self.sides[side].sockets[index].id, end(input, domain), self.now);
                let side = &mut self.sides[side];
                if side.stack.connect(id, to, now).is_ok() {
                    assert!(side.stack.peer(id).is_ok());
                    // What others had sent is gone, perhaps all that there was.
                    side.sockets[index].quiet = false;
                }
            }
            4..7 => self.send(side, index, input, domain),
            7 | 8 => self.receive(side, index),
            9 => self.set(side, index, input),
            10 => self.group(side, index, input),
            _ => {
                let (now, side) = (self.now, &mut self.sides[side]);
                let socket = side.sockets.swap_remove(index);
                side.stack.close(socket.id, now).unwrap();
                let closed = side.stack.local(socket.id).unwrap_err();
                assert_eq!(closed.errno(), Errno::BADF);
            }
        }
    }

    fn open(&mut self, side: usize, domain: Domain, echo: bool) {
        let side = &mut self.sides[side];
        if side.sockets.len() < SOCKETS_MAX {
            let id = if echo { side.stack.echo_socket(domain) } else { side.stack.udp_socket(domain) }.unwrap();
            side.sockets.push(Socket { id, echo, quiet: false, waits: false });
        }
    }

    fn bind(&mut self, side: usize, index: usize, input: &mut Input<'_>, domain: Domain) {
        let to = end(input, domain);
        let side = &mut self.sides[side];
        let id = side.sockets[index].id;
        if side.stack.bind(id, to).is_ok() {
            let local = side.stack.local(id).unwrap();
            // The wildcard of IPv4 is shown as that of IPv6 where the socket is one of IPv6.
            assert!(local.ip().to_canonical() == to.ip().to_canonical() || local.ip().is_unspecified());
            assert!(local.port() == to.port() || to.port() == 0);
        }
    }

    fn send(&mut self, side: usize, index: usize, input: &mut Input<'_>, domain: Domain) {
        let (to, len, now) = (end(input, domain), usize::from(input.word()), self.now);
        // Mostly short.
        let len = if len < 0xc000 { len % 2000 } else { len };
        self.messages += 1;
        let bytes = message(self.messages, len);
        let side = &mut self.sides[side];
        let Socket { id, echo, waits, .. } = &mut side.sockets[index];
        let Ok(data) = side.pools.alloc_copy(&bytes) else { return };
        let mut data = Sga::from(data);
        // Held by its sender, as by an application that pushes it again.
        let kept = if len % 7 == 1 { data.view().ok() } else { None };
        let result = if *echo {
            side.stack.echo_send(*id, to.ip(), self.messages as u16, &mut data, now)
        } else {
            let to = if len % 5 == 1 { None } else { Some(to) };
            side.stack.send(*id, &mut data, to, now)
        };
        match result {
            Poll::Ready(Ok(())) => assert!(data.has_no_segment(), "it was taken"),
            Poll::Ready(Err(error)) => {
                assert!(error.errno() == Errno::NOBUFS || data.to_vec() == bytes, "{error:?} leaves it as it was");
            }
            Poll::Pending => {
                *waits = true;
                assert_eq!(data.to_vec(), bytes);
            }
        }
        if let Some(kept) = kept {
            assert_eq!(kept.to_vec(), bytes, "what was sent is not changed");
        }
    }

    fn receive(&mut self, side: usize, index: usize) {
        self.listen();
        let (hostile, messages) = (self.mode.is_hostile(), self.messages);
        let side = &mut self.sides[side];
        let Socket { id, echo, quiet, .. } = &mut side.sockets[index];
        let waiting = side.stack.waiting(*id).unwrap();
        let came = if *echo {
            side.stack.echo_receive(*id).map(|result| result.map(|reply| reply.payload))
        } else {
            side.stack.receive_from(*id).map(|result| result.map(|(_, data)| data))
        };
        match came {
            Poll::Ready(result) => {
                assert!(!*quiet, "something came and nobody said so");
                if let Ok(data) = result {
                    assert!(waiting > 0);
                    let bytes: Vec<u8> = data.to_vec();
                    if !hostile {
                        let number = u32::from_be_bytes(bytes[..4].try_into().unwrap());
                        assert!(number <= messages && bytes == message(number, bytes.len()), "nobody has sent that");
                    }
                }
            }
            Poll::Pending => {
                assert_eq!(waiting, 0);
                *quiet = true;
            }
        }
    }

    fn set(&mut self, side: usize, index: usize, input: &mut Input<'_>) {
        let (what, value) = (input.byte(), input.byte());
        let side = &mut self.sides[side];
        let id = side.sockets[index].id;
        let on = value & 1 == 1;
        // Some are refused once it is bound.
        let _ = match what % 8 {
            0 => side.stack.set(id, Setting::ReusePort(on)),
            1 => side.stack.set(id, Setting::V6Only(on)),
            2 => side.stack.set(id, Setting::Broadcast(on)),
            3 => side.stack.set(id, Setting::Hops(value)),
            4 => side.stack.set(id, Setting::MulticastHops(value)),
            5 => side.stack.set(id, Setting::MulticastLoop(on)),
            6 => side.stack.set_option(id, SocketOption::ReuseAddress(on)),
            // Pieces are no messages that the other side would know.
            7 if self.mode.is_hostile() => side.stack.set_option(id, SocketOption::SegmentSize(u16::from(value) << 3)),
            _ => side.stack.set_option(id, SocketOption::ReceiveBuffer(usize::from(value) << 8)),
        };
    }

    fn group(&mut self, side: usize, index: usize, input: &mut Input<'_>) {
        let (group, what) = (address(input.byte()), input.byte());
        let (now, side) = (self.now, &mut self.sides[side]);
        let id = side.sockets[index].id;
        if what & 1 == 0 {
            if side.stack.join(id, group, now).is_ok() {
                assert_eq!(side.stack.join(id, group, now).unwrap_err().errno(), Errno::ADDRINUSE);
            }
        } else if side.stack.leave(id, group, now).is_ok() {
            assert!(side.stack.leave(id, group, now + Duration::ZERO).is_err());
        }
    }
}
