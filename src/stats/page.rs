// SPDX-License-Identifier: MIT OR Apache-2.0
//! One page: what a LibOs has done up to now.
//!
//! ```text
//! offset  bytes   all numbers little-endian
//!      0      8   "MARGAYST"
//!      8      4   version, 1
//!     12      4   process id, as its own namespace has it
//!     16      8   when it was written: CLOCK_MONOTONIC, nanoseconds
//!     24      4   open queues
//!     28      4   zero
//!     32     64   eight counters, in the order of `Counters`
//!     96     32   name of the process, then zeros
//!    128     64   names of the back ends whose queues are open, with one space between them, then zeros
//!    192      8   FNV-1a of all that stands above
//! ```
//! A page that is read while it is being written is seen by its sum. Everything else is checked too, so that what is
//! given out is what some LibOs could have written.

use core::fmt;
use core::time::Duration;
use runtime::socket::Counters;

const MAGIC: [u8; 8] = *b"MARGAYST";
const VERSION: u32 = 1;
const COUNTERS: usize = 32;
const PROCESS: usize = 96;
const BACKENDS: usize = 128;
const SUM: usize = 192;
const PROCESS_LEN: usize = BACKENDS - PROCESS;
const BACKENDS_LEN: usize = SUM - BACKENDS;

/// What one LibOs has published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Its process, as that one's own PID namespace numbers it.
    pub pid: u32,
    /// When this was written, on the monotonic clock. What has changed since has not been told yet, or nothing has.
    pub written: Duration,
    /// Queues that were open.
    pub queues: u32,
    /// What it had done.
    pub counters: Counters,
    process: Text<PROCESS_LEN>,
    backends: Text<BACKENDS_LEN>,
}

/// Why bytes are no page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Refused {
    /// Not as long as a page, or without its mark.
    NoPage,
    /// Of a Margay that lays pages out differently.
    Version(u32),
    /// The sum is wrong: damaged, or read while it was written.
    Torn,
    /// Whole, but no LibOs writes such a thing.
    Nonsense,
}

impl Page {
    /// Bytes of a page.
    pub const LEN: usize = SUM + 8;

    pub(super) fn new(pid: u32, process: &str) -> Self {
        Self {
            pid,
            written: Duration::ZERO,
            queues: 0,
            counters: Counters::default(),
            process: Text::new(process),
            backends: Text::default(),
        }
    }

    /// Names the back ends whose queues are open. A name that does not fit any more is left out.
    pub(super) fn set_backends(&mut self, names: impl Iterator<Item = &'static str>) {
        self.backends = Text::default();
        names.for_each(|name| self.backends.add(name));
    }

    /// The name of its process.
    #[must_use]
    pub fn process(&self) -> &str {
        self.process.as_str()
    }

    /// The names of the back ends whose queues are open.
    pub fn backends(&self) -> impl Iterator<Item = &str> {
        self.backends.as_str().split_ascii_whitespace()
    }

    pub(super) fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        let mut put = |at: usize, part: &[u8]| bytes[at..at + part.len()].copy_from_slice(part);
        put(0, &MAGIC);
        put(8, &VERSION.to_le_bytes());
        put(12, &self.pid.to_le_bytes());
        put(16, &u64::try_from(self.written.as_nanos()).unwrap_or(u64::MAX).to_le_bytes());
        put(24, &self.queues.to_le_bytes());
        for (index, counter) in numbers(self.counters).into_iter().enumerate() {
            put(COUNTERS + 8 * index, &counter.to_le_bytes());
        }
        put(PROCESS, &self.process.0);
        put(BACKENDS, &self.backends.0);
        let sum = sum(&bytes[..SUM]);
        bytes[SUM..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// The page that these bytes are.
    ///
    /// # Errors
    /// [`Refused`], for all that [`Page`] could not have written.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Refused> {
        let bytes: &[u8; Self::LEN] = bytes.try_into().map_err(|_| Refused::NoPage)?;
        if part::<8>(bytes, 0) != MAGIC {
            return Err(Refused::NoPage);
        }
        // Before the sum, whose place may be another one in another version.
        let version = u32::from_le_bytes(part(bytes, 8));
        if version != VERSION {
            return Err(Refused::Version(version));
        }
        if sum(&bytes[..SUM]) != word(bytes, SUM) {
            return Err(Refused::Torn);
        }
        let counter = |index: usize| word(bytes, COUNTERS + 8 * index);
        let page = Self {
            pid: u32::from_le_bytes(part(bytes, 12)),
            written: Duration::from_nanos(word(bytes, 16)),
            queues: u32::from_le_bytes(part(bytes, 24)),
            counters: Counters {
                messages_pushed: counter(0),
                bytes_pushed: counter(1),
                messages_popped: counter(2),
                bytes_popped: counter(3),
                accepted: counter(4),
                connected: counter(5),
                refused: counter(6),
                drops: counter(7),
                system_calls: 0,
            },
            process: Text::checked(part(bytes, PROCESS)).ok_or(Refused::Nonsense)?,
            backends: Text::checked(part(bytes, BACKENDS)).ok_or(Refused::Nonsense)?,
        };
        // What is left, such as the zeros between, must be what would be written.
        if page.to_bytes() == *bytes { Ok(page) } else { Err(Refused::Nonsense) }
    }
}

fn numbers(counters: Counters) -> [u64; 8] {
    // In full, so that a new counter does not compile before it has its place in the page.
    let Counters {
        messages_pushed,
        bytes_pushed,
        messages_popped,
        bytes_popped,
        accepted,
        connected,
        refused,
        drops,
        // For measurements, not for operators.
        system_calls: _,
    } = counters;
    [messages_pushed, bytes_pushed, messages_popped, bytes_popped, accepted, connected, refused, drops]
}

/// The bytes at a constant offset of a page.
fn part<const N: usize>(bytes: &[u8; Page::LEN], at: usize) -> [u8; N] {
    core::array::from_fn(|index| bytes[at + index])
}

fn word(bytes: &[u8; Page::LEN], at: usize) -> u64 {
    u64::from_le_bytes(part(bytes, at))
}

/// FNV-1a, 64 bits: against chance, not against malice.
pub(super) fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, &byte| (sum ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

/// A short text that can be shown on a terminal, with zeros behind it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Text<const N: usize>([u8; N]);

impl<const N: usize> Default for Text<N> {
    fn default() -> Self {
        Self([0; N])
    }
}

impl<const N: usize> Text<N> {
    /// As much of a text as fits, with `?` for what no terminal should get.
    pub fn new(text: &str) -> Self {
        let mut this = Self::default();
        let mut len = 0;
        for character in text.chars().map(|character| if character.is_control() { '?' } else { character }) {
            let Some(room) = this.0.get_mut(len..len + character.len_utf8()) else { break };
            len += character.encode_utf8(room).len();
        }
        this
    }

    /// Adds a word if all of it fits.
    fn add(&mut self, word: &str) {
        let len = self.as_str().len();
        let start = len + usize::from(len > 0);
        if let Some(room) = self.0.get_mut(start..start + word.len()) {
            room.copy_from_slice(word.as_bytes());
            if len > 0 {
                self.0[len] = b' ';
            }
        }
    }

    /// The text that these bytes are, if it is one.
    pub fn checked(bytes: [u8; N]) -> Option<Self> {
        let this = Self(bytes);
        let len = this.len();
        let text = core::str::from_utf8(&bytes[..len]).ok()?;
        let shown = !text.chars().any(char::is_control) && bytes[len..].iter().all(|&byte| byte == 0);
        shown.then_some(this)
    }

    fn len(&self) -> usize {
        self.0.iter().position(|&byte| byte == 0).unwrap_or(N)
    }

    /// All of them.
    pub const fn bytes(self) -> [u8; N] {
        self.0
    }

    pub fn as_str(&self) -> &str {
        // Both ways of making one see to it that it is UTF-8.
        core::str::from_utf8(&self.0[..self.len()]).unwrap_or_default()
    }
}

impl<const N: usize> fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPage => f.write_str("not a page of statistics"),
            Self::Version(version) => write!(f, "written by another version of Margay (layout {version})"),
            Self::Torn => f.write_str("damaged, or caught while it was written"),
            Self::Nonsense => f.write_str("a page that no LibOs writes"),
        }
    }
}

impl core::error::Error for Refused {}
