// SPDX-License-Identifier: MIT OR Apache-2.0
//! Connections that others begin (RFC 9293 section 3.10.7.2): what is remembered of a SYN until it is answered, what a cookie
//! remembers in its place, and how many wait to be accepted.

mod backlog;
mod cookies;
mod half_open;
mod handshake;

pub use backlog::{Admission, Backlog};
pub use cookies::Cookies;
pub use half_open::{Answer, HalfOpen};
pub use handshake::{Handshake, Local};

#[cfg(test)]
mod tests;
