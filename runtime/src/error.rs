// SPDX-License-Identifier: MIT OR Apache-2.0
//! The one error type of every crate: a POSIX `errno` and a short static reason.
//!
//! It is `Copy` and never allocates, so that an error costs no more than a value on the data path. What a person
//! reads (configuration, command line) is built elsewhere, from richer types.

use core::fmt;
use core::ptr::NonNull;
use core::{slice, str};

/// A POSIX error number, as `errno(3)` has it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Errno(i32);

macro_rules! errnos {
    ($($name:ident = $text:literal),+ $(,)?) => {
        impl Errno {
            $(#[doc = $text] pub const $name: Errno = Errno(rustix::io::Errno::$name.raw_os_error());)+

            /// The symbolic name, such as `EINVAL`; `E?` for a number that Margay itself never gives.
            #[must_use]
            pub const fn name(self) -> &'static str {
                if self.0 == Errno::ACCESS.0 {
                    return "EACCES";
                }
                match self {
                    $(Errno::$name => concat!("E", stringify!($name)),)+
                    _ => "E?",
                }
            }
        }
    };
}

errnos! {
    PERM = "Operation not permitted.",
    NOENT = "No such name: nobody created it.",
    INTR = "A signal arrived first.",
    IO = "Input or output failed below Margay.",
    BADF = "The descriptor is closed, stale or was never given out.",
    AGAIN = "Not now: try again.",
    NOMEM = "The kernel has no memory left.",
    ACCESS = "Permission denied, such as a peer that runs under another uid.",
    FAULT = "A null or unusable pointer came through the C ABI.",
    BUSY = "The resource is in use.",
    EXIST = "The name is taken.",
    NOTDIR = "A path component is no directory.",
    INVAL = "An argument is out of its range.",
    MFILE = "A bounded table is full.",
    NOSPC = "No space left.",
    PIPE = "The stream was shut down for writing.",
    RANGE = "The result does not fit.",
    NAMETOOLONG = "The name is too long.",
    NOSYS = "The kernel does not have this call.",
    PROTO = "The peer broke the protocol.",
    MSGSIZE = "The message is larger than the limit.",
    NOTSUP = "This back end does not have this call.",
    DESTADDRREQ = "No destination, or not bound.",
    PROTONOSUPPORT = "The protocol is not served.",
    PROTOTYPE = "The protocol does not belong to this type of socket.",
    NOPROTOOPT = "No such option.",
    AFNOSUPPORT = "An address of another family.",
    ADDRINUSE = "The address is taken.",
    ADDRNOTAVAIL = "Not an address of this host, or no port is free.",
    NETDOWN = "The network is down.",
    NETUNREACH = "There is no way to this address.",
    CONNABORTED = "The connection was aborted.",
    CONNRESET = "The peer died or reset the connection.",
    NOBUFS = "The buffer pool is empty.",
    ISCONN = "Already connected.",
    NOTCONN = "Not connected.",
    HOSTUNREACH = "There is no way to this host.",
    INPROGRESS = "Under way.",
    TIMEDOUT = "The time limit passed.",
    CONNREFUSED = "Nobody listens there.",
    ALREADY = "Already under way.",
    CANCELED = "The operation was cancelled.",
}

impl Errno {
    /// This kind of queue does not have this call. Linux has one number for it and for [`Errno::NOTSUP`].
    pub const OPNOTSUPP: Self = Self::NOTSUP;

    /// An error number as the kernel or C has it.
    #[must_use]
    pub const fn from_raw(raw: i32) -> Self {
        Self(raw)
    }

    /// The number, positive, as C has it.
    #[must_use]
    pub const fn raw(self) -> i32 {
        self.0
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.name(), self.0)
    }
}

/// Why a call or an operation failed: an [`Errno`] and a short reason for people.
///
/// Two words, so that the results of most calls travel in registers: the reason's length takes half a word, and the number the
/// other half.
#[derive(Clone, Copy)]
pub struct Error {
    /// The first byte of the reason, a static text.
    reason: NonNull<u8>,
    len: u32,
    errno: Errno,
}

const _: () = assert!(size_of::<Result<()>>() == 16 && size_of::<Result<u64>>() == 16);

// SAFETY: what it points to is static and never changes.
unsafe impl Send for Error {}
// SAFETY: as above.
unsafe impl Sync for Error {}

/// What fallible calls of every Margay crate return.
pub type Result<T> = core::result::Result<T, Error>;

impl Error {
    /// An error with its reason, which is a static text so that building one costs nothing.
    #[must_use]
    pub const fn new(errno: Errno, reason: &'static str) -> Self {
        // SAFETY: a reference is never null.
        let start = unsafe { NonNull::new_unchecked(reason.as_ptr().cast_mut()) };
        Self { reason: start, len: reason.len() as u32, errno }
    }

    /// The POSIX error number.
    #[must_use]
    pub const fn errno(self) -> Errno {
        self.errno
    }

    /// The reason, in a few words.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        // SAFETY: `new`, the only one that makes an error, took start and length from one static text, which is far shorter than
        // a `u32` can say.
        unsafe { str::from_utf8_unchecked(slice::from_raw_parts(self.reason.as_ptr(), self.len as usize)) }
    }

    /// A failed system call: keeps the kernel's number, and says which call it was.
    #[must_use]
    pub const fn os(errno: rustix::io::Errno, call: &'static str) -> Self {
        Self::new(Errno(errno.raw_os_error()), call)
    }
}

impl PartialEq for Error {
    fn eq(&self, other: &Self) -> bool {
        (self.errno, self.reason()) == (other.errno, other.reason())
    }
}

impl Eq for Error {}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.errno, self.reason())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.reason(), self.errno.name())
    }
}

impl core::error::Error for Error {}
