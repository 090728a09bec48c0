// SPDX-License-Identifier: MIT OR Apache-2.0
//! Margay: a library operating system for kernel-bypass I/O.
//!
//! An application does all its I/O through one small queue API, [`LibOs`], and a line of YAML ([`Config`]) decides what
//! carries the bytes. This version has pipes (`catmem`) and sockets (`catloop`) in shared memory, and sockets of the kernel
//! by io_uring (`catcollar`) and by epoll (`catnap`).
//!
//! - [`libos`]: the API. - [`config`]: what can be set. - [`ffi`]: the same API for C (`include/demi/`,
//!   `include/margay.h`). - [`stats`]: what each LibOs publishes about itself. - `backend`: the one place that names the transports.

#![deny(unsafe_code)]

mod backend;
pub mod config;
#[expect(unsafe_code, reason = "pointers come from C")]
pub mod ffi;
pub mod libos;
pub mod stats;

pub use config::{Config, ConfigError};
pub use libos::{IntoMessage, LibOs, StartError, Submitter, WaitSet, WakeHandle};
pub use runtime::buf::{Buf, Sga};
pub use runtime::op::{Completion, Datagram, Outcome};
pub use runtime::socket::{Counters, Domain, Kind, MulticastInterface, OptionName, SocketOption};
pub use runtime::tcp_info::{TcpInfo, TcpState};
pub use runtime::{Errno, Error, Qd, Qt, Result};
