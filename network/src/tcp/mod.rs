// SPDX-License-Identifier: MIT OR Apache-2.0
//! TCP (RFC 9293), pure: segments, calls and the time go in; segments, news and the next deadline come out.
//!
//! ```text
//!   push ─▶ send ──────────▶ connection ──▶ segments out
//!            ▲ acknowledged    │   ▲  when: recovery (RTO, RACK-TLP, PRR) within congestion's window
//!   pop ◀─ receive ◀───────────┘   │
//!                                  └────── segments in, timers
//!   accept ◀─ listen: queues, cookies
//! ```
//!
//! Each folder knows the ones left of it in this list only: [`seq`], [`segment`], [`settings`] · [`rate`], [`pacing`], [`congestion`] ·
//! [`fast_open`], [`recovery`] · [`receive`], [`send`] · [`connection`] · [`listen`].

pub mod clock;
pub mod congestion;
pub mod connection;
pub mod fast_open;
pub mod isn;
pub mod listen;
pub mod pacing;
pub mod rate;
pub mod receive;
pub mod recovery;
pub mod segment;
pub mod send;
pub mod seq;
pub mod settings;
pub mod table;
pub mod time_wait;
