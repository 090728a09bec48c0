// SPDX-License-Identifier: MIT OR Apache-2.0
//! IP-addressed sockets between processes of one user on one host, carried by catmem's rings.
//!
//! [`Catloop`] is the transport. A connection is a pipe without a name: its handle here is its handle there, and what the
//! application pushes and pops goes straight to it. What is here is how sockets find each other and what they are called:
//!
//! - `address`, `names`: which addresses are of this host, and the files under which sockets are found.
//! - `ports`: who has which address and port. `places`: the directory of both.
//! - `handshake`: how two sockets come to be connected; pure. `greeting` takes and answers those who come.
//! - `stream`, `socket`: stream sockets, and what they share. `datagram`: the other kind, with pipes of its own.

mod address;
mod datagram;
mod greeting;
mod handshake;
mod names;
mod options;
mod places;
mod ports;
mod settings;
mod socket;
mod stream;
mod transport;

pub use handshake::BacklogFull;
pub use settings::Settings;
pub use transport::Catloop;
