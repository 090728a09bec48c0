// SPDX-License-Identifier: MIT OR Apache-2.0
//! Margay's TCP/IP stack: pure and deterministic. Frames and the time go in; frames and the next deadline come out.
//!
//! A [`Stack`](stack::Stack) is one interface with its addresses and sockets. It has no clock, no thread, no socket of the
//! kernel's and no randomness but a secret that it is given, so that the same input gives the same output, and a test can
//! run a day of it in a moment. Whoever owns it moves the frames:
//!
//! ```
//! use network::keyed::Secret;
//! use network::stack::{Config, Stack};
//! use network::wire::MacAddress;
//! use runtime::buf::{Classes, Pools};
//! use runtime::device::Caps;
//! use runtime::socket::Domain;
//! use runtime::time::Time;
//! use core::task::Poll;
//!
//! let caps = Caps { mtu: 1500, headroom: 0, checksum: false, segments_tcp: false, segments_udp: false };
//! let mut stacks = Vec::new();
//! for host in [1, 2] {
//!     let mut config = Config::new(MacAddress([2, 0, 0, 0, 0, host]), caps, Secret([host; 16]));
//!     config.addresses = vec![format!("10.0.0.{host}/24").parse()?];
//!     stacks.push(Stack::new(config, Pools::new(&Classes::default())?, Time::ZERO)?);
//! }
//! let [mut one, mut two] = <[Stack; 2]>::try_from(stacks).unwrap();
//! let (sender, receiver) = (one.udp_socket(Domain::V4)?, two.udp_socket(Domain::V4)?);
//! two.bind(receiver, "10.0.0.2:7".parse().unwrap())?;
//!
//! let pools = Pools::new(&Classes::default())?;
//! let mut message = pools.alloc_copy(b"hello")?.into();
//! assert!(one.send(sender, &mut message, Some("10.0.0.2:7".parse().unwrap()), Time::ZERO).is_ready());
//! // The wire between them: first ARP finds the neighbour, then the datagram goes.
//! for _ in 0..4 {
//!     while let Some(frame) = one.transmit() {
//!         two.receive(frame, Time::ZERO);
//!     }
//!     while let Some(frame) = two.transmit() {
//!         one.receive(frame, Time::ZERO);
//!     }
//!     one.poll(Time::ZERO);
//!     two.poll(Time::ZERO);
//! }
//! assert_eq!(two.woken().map(|(id, readiness)| (id, readiness.readable)), Some((receiver, true)));
//! let Poll::Ready(Ok((from, message))) = two.receive_from(receiver) else { panic!("it came") };
//! assert_eq!((from.ip().to_string(), message.to_vec()), ("10.0.0.1".into(), b"hello".to_vec()));
//! # Ok::<(), runtime::Error>(())
//! ```
//!
//! Layers are modules, and each calls the ones below it only: [`wire`] (what stands in packets), [`link`] (neighbours),
//! [`multicast`] and [`ip`], the sockets of `udp`, and [`stack`], which joins them. Below it all is [`runtime`]'s
//! vocabulary: [`Buf`](runtime::buf::Buf), [`Frame`](runtime::device::Frame), [`Time`](runtime::time::Time).
//!
//! What must always hold:
//!
//! - Nothing that comes from outside makes it panic, allocate without bound or work without bound.
//! - In steady state a packet costs no allocation and no copy of its payload, in or out.
//! - A packet that is dropped is counted by its [reason](counters::Reason).
//! - What a peer must not foresee (ports, identifications, times) comes from the secret.
#![cfg_attr(not(feature = "std"), no_std)]
#![forbid(unsafe_code)]
extern crate alloc;

pub mod counters;
pub mod dhcp;
pub mod ip;
pub mod keyed;
pub mod limits;
pub mod link;
pub mod multicast;
mod ring;
#[cfg(feature = "sim")]
pub mod sim;
pub mod stack;
pub mod tcp;
mod udp;
pub mod wire;
