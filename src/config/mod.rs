// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can be set, with its unit, its range and its default.
//!
//! [`Config`] is a plain value: write it in code, or load it from YAML. Always true: `Config::default()` passes
//! [`Config::check`], an empty file gives `Config::default()`, and every rule holds for both ways of making one.
//! The keys are described for users in `docs/config.md`; `examples/margay.yaml` holds all of them with their defaults.

pub mod catnip;
mod check;
pub mod dpdk;
mod error;
mod load;
mod parse;
pub mod tcp;
#[cfg(test)]
mod tests;
pub mod xdp;

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use catnip::CatnipConfig;
pub use error::{ConfigError, Place};

/// Everything that can be set for one LibOs.
///
/// ```
/// use margay::config::{CatmemConfig, Config};
///
/// let config = Config { catmem: CatmemConfig { ring: 1 << 20, ..Default::default() }, ..Default::default() };
/// config.check()?;
/// assert_eq!(config, Config::from_yaml("inline", "catmem: { ring: 1 MiB }")?);
/// # Ok::<(), margay::config::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Name of the back end that serves sockets; `None` is the same as the default, `catloop`. `catmem` serves none, `catpowder` is `catnip` over packet sockets, `auto` is `catcollar` where the kernel allows it and `catnap` elsewhere. The environment variable `LIBOS` overrides it in [`Config::from_env`].
    pub libos: Option<String>,
    /// How `wait` waits.
    pub wait: WaitConfig,
    /// The private buffer pools.
    pub buffers: BuffersConfig,
    /// Shared-memory pipes.
    pub catmem: CatmemConfig,
    /// Sockets over shared memory.
    pub catloop: CatloopConfig,
    /// Kernel sockets by epoll.
    pub catnap: CatnapConfig,
    /// Kernel sockets by `io_uring`.
    pub catcollar: CatcollarConfig,
    /// Sockets over a network stack of our own.
    pub catnip: CatnipConfig,
    /// Sizes of the tables.
    pub limits: LimitsConfig,
}

/// How `wait` waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitConfig {
    /// How long `wait` polls before it sleeps. Default: 50 µs.
    pub spin: Spin,
}

/// How long `wait` polls before it sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spin {
    /// Poll for this long, 0 to 10 s, then sleep until something happens. Zero sleeps at once.
    For(Duration),
    /// Never sleep: lowest latency, one core always busy.
    Forever,
}

/// The private buffer pools, one set for each LibOs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuffersConfig {
    /// Bytes in a small buffer: a multiple of 64 from 256 to 16 KiB. Default: 2 KiB.
    pub small_size: usize,
    /// Number of small buffers: 16 to 1,048,576. Default: 4,096.
    pub small_count: usize,
    /// Bytes in a large buffer: a multiple of 64 from 4 KiB to 1 MiB, not below `small_size`. Default: 64 KiB.
    pub large_size: usize,
    /// Number of large buffers: 1 to 65,536. Default: 256.
    pub large_count: usize,
    /// Bytes kept free in front of every buffer for headers, beside its size: a multiple of 64 from 0 to 1 KiB.
    /// Default: 128.
    pub headroom: usize,
    /// Bytes that all buffers larger than `large_size` may take together: 0 to 64 GiB. Default: 256 MiB.
    pub oversize_limit: usize,
}

/// Shared-memory pipes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatmemConfig {
    /// Absolute path of the folder where pipes are found by name. `None`: `$XDG_RUNTIME_DIR/margay`, or
    /// `/tmp/margay-<uid>` where that is not set. It must be private to the user. Default: `None`.
    pub directory: Option<PathBuf>,
    /// Bytes in each of the two rings of a pipe: a power of two from 4 KiB to 64 MiB. Default: 512 KiB.
    pub ring: usize,
    /// Bytes in one slot of shared memory for messages that are handed over without a copy: a power of two from 4 KiB
    /// to 16 MiB. Default: 64 KiB.
    pub slot: usize,
    /// Number of slots in each direction of a pipe: 0 to 1,024; 0 turns handing over without a copy off. Default: 16.
    pub slots: usize,
    /// Bytes in the largest message that is taken or given: 4 KiB to 1 GiB. Default: 64 MiB.
    pub max_message: usize,
    /// How long an opener that has connected may take to say what it wants: 1 ms to 60 s. Default: 1 s.
    pub handshake_timeout: Duration,
}

/// Sockets over shared memory, between processes of one user on one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatloopConfig {
    /// Addresses of this host beside 127.0.0.0/8 and `::1`: at most 64. Default: none.
    pub addresses: Vec<IpAddr>,
    /// Bytes in each of the two rings of a connection: a power of two from 4 KiB to 64 MiB. `SO_SNDBUF` and `SO_RCVBUF`
    /// can lower it for one socket. Default: 512 KiB.
    pub ring: usize,
    /// Bytes in one slot of shared memory for messages that are handed over without a copy: a power of two from 4 KiB
    /// to 16 MiB. Default: 64 KiB.
    pub slot: usize,
    /// Number of slots in each direction of a connection: 0 to 1,024. Default: 4.
    pub slots: usize,
    /// How long a connect waits for a listener whose backlog is full: 1 ms to 60 s. Default: 5 s.
    pub connect_timeout: Duration,
    /// What happens to a connect that finds the backlog full. Default: it waits.
    pub backlog_full: BacklogFull,
    /// How long a connector may take to say what it wants: 1 ms to 60 s. Default: 1 s.
    pub handshake_timeout: Duration,
    /// Bytes in each of the two rings between two datagram sockets: a power of two from 256 KiB to 64 MiB.
    /// Default: 256 KiB.
    pub datagram_ring: usize,
}

/// What happens to a connect that finds the listener's backlog full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BacklogFull {
    /// It waits for room, up to [`CatloopConfig::connect_timeout`]: then `ETIMEDOUT`.
    Wait,
    /// `ECONNREFUSED` at once.
    Refuse,
}

/// Kernel sockets by epoll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CatnapConfig {
    /// Bytes that one pop of a stream takes at most: 2 KiB to 1 MiB. Default: 64 KiB.
    pub receive: usize,
    /// Messages of at least so many bytes, 4 KiB to 1 GiB, are sent with `MSG_ZEROCOPY`. `None`: never. Default: `None`.
    pub zero_copy: Option<usize>,
}

/// Kernel sockets by `io_uring`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CatcollarConfig {
    /// Entries of the submission queue: a power of two from 8 to 4,096. Default: 512.
    pub entries: usize,
    /// Entries of the completion queue: a power of two from 16 to 65,536, at least twice `entries`. Default: 8,192.
    pub completions: usize,
    /// Buffers that the kernel fills with what arrives: a power of two from 16 to 32,768. Default: 1,024.
    pub buffers: usize,
    /// Bytes in one of them: a multiple of 64 from 256 to 64 KiB. Default: 16 KiB.
    pub buffer_size: usize,
    /// How long a kernel thread looks for submissions before it sleeps: 1 ms to 10 s. `None`: there is no such thread.
    /// Default: `None`.
    pub sqpoll: Option<Duration>,
    /// How long a wait busy-polls the network device (NAPI): 0 to 10 ms. Zero: not at all. Default: zero.
    pub busy_poll: Duration,
    /// Sockets that are registered with the ring: 8 to 1,048,576, and no more than the process may have descriptors; further ones
    /// go by their descriptor. `None`: none is. Default: `None`.
    pub registered_sockets: Option<usize>,
    /// Messages of at least so many bytes, 4 KiB to 1 GiB, are sent without a copy. `None`: never. Default: `None`.
    pub zero_copy: Option<usize>,
}

/// Sizes of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitsConfig {
    /// Queues open at the same time: 1 to 1,048,576. Default: 16,384.
    pub queues: usize,
    /// Operations pending or not yet claimed at the same time: 1 to 16,777,216. Default: 65,536.
    pub operations: usize,
}

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const GIB: usize = 1 << 30;

impl Default for Config {
    fn default() -> Self {
        Self {
            libos: Some(check::DEFAULT_LIBOS.to_owned()),
            wait: WaitConfig::default(),
            buffers: BuffersConfig::default(),
            catmem: CatmemConfig::default(),
            catloop: CatloopConfig::default(),
            catnap: CatnapConfig::default(),
            catcollar: CatcollarConfig::default(),
            catnip: CatnipConfig::default(),
            limits: LimitsConfig::default(),
        }
    }
}

impl Default for WaitConfig {
    fn default() -> Self {
        Self { spin: Spin::For(Duration::from_micros(50)) }
    }
}

impl Default for BuffersConfig {
    fn default() -> Self {
        Self {
            small_size: 2 * KIB,
            small_count: 4096,
            large_size: 64 * KIB,
            large_count: 256,
            headroom: 128,
            oversize_limit: 256 * MIB,
        }
    }
}

impl Default for CatmemConfig {
    fn default() -> Self {
        Self {
            directory: None,
            ring: 512 * KIB,
            slot: 64 * KIB,
            slots: 16,
            max_message: 64 * MIB,
            handshake_timeout: Duration::from_secs(1),
        }
    }
}

impl Default for CatloopConfig {
    fn default() -> Self {
        Self {
            addresses: Vec::new(),
            ring: 512 * KIB,
            slot: 64 * KIB,
            slots: 4,
            connect_timeout: Duration::from_secs(5),
            backlog_full: BacklogFull::Wait,
            handshake_timeout: Duration::from_secs(1),
            datagram_ring: 256 * KIB,
        }
    }
}

impl Default for CatnapConfig {
    fn default() -> Self {
        Self { receive: 64 * KIB, zero_copy: None }
    }
}

impl Default for CatcollarConfig {
    fn default() -> Self {
        Self {
            entries: 512,
            completions: 8192,
            buffers: 1024,
            buffer_size: 16 * KIB,
            sqpoll: None,
            busy_poll: Duration::ZERO,
            registered_sockets: None,
            zero_copy: None,
        }
    }
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self { queues: 16_384, operations: 65_536 }
    }
}

impl Config {
    /// Reads YAML text. `name` stands for the file in messages.
    ///
    /// # Errors
    /// Anything that is not a valid configuration, with its line and column; the first one found.
    pub fn from_yaml(name: &str, text: &str) -> Result<Self, ConfigError> {
        load::from_yaml(name, text)
    }

    /// Reads a YAML file of at most 1 MiB.
    ///
    /// # Errors
    /// A file that cannot be read, and all that [`Config::from_yaml`] refuses.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        load::from_file(path.as_ref())
    }

    /// Reads the file that the environment variable `CONFIG_PATH` names, or takes the defaults where it is not set;
    /// then `LIBOS`, where set, replaces [`Config::libos`].
    ///
    /// # Errors
    /// A variable that is set but names no readable file or no known back end, and all that [`Config::from_yaml`]
    /// refuses.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_variables(std::env::var_os("CONFIG_PATH"), std::env::var_os("LIBOS"))
    }

    fn from_variables(config_path: Option<OsString>, libos: Option<OsString>) -> Result<Self, ConfigError> {
        let mut config = match config_path {
            None => Self::default(),
            Some(path) if path.is_empty() => return Err(error::empty_variable("CONFIG_PATH", "the path of a file")),
            Some(path) => Self::from_file(&path).map_err(|e| e.asked_by("CONFIG_PATH"))?,
        };
        if let Some(name) = libos {
            let name = name.to_string_lossy();
            check::libos(&name).map_err(|e| ConfigError::from(e).asked_by("LIBOS"))?;
            config.libos = Some(name.into_owned());
        }
        Ok(config)
    }

    /// Checks every value against its range. Loading does this by itself; a `Config` written in code needs it once.
    ///
    /// # Errors
    /// The first value that is out of its range, with what is allowed.
    pub fn check(&self) -> Result<(), ConfigError> {
        check::all(self).map_err(ConfigError::from)
    }

    /// What carries the frames, if the back end that is named has a network stack of its own.
    #[must_use]
    pub fn catnip_wire(&self) -> Option<catnip::Wire> {
        match self.libos_name() {
            "catnip" => Some(self.catnip.device),
            "catpowder" => Some(catnip::Wire::Packet),
            _ => None,
        }
    }

    /// What a network stack of our own is told with this configuration, whatever back end it names.
    #[must_use]
    pub fn network(&self) -> ::catnip::Settings {
        self.catnip.settings(self.network_device())
    }

    /// What carries the frames of such a stack.
    #[must_use]
    pub fn network_device(&self) -> catnip::Wire {
        self.catnip_wire().unwrap_or(self.catnip.device)
    }

    /// The name of the back end that serves sockets.
    #[must_use]
    pub fn libos_name(&self) -> &str {
        self.libos.as_deref().unwrap_or(check::DEFAULT_LIBOS)
    }
}
