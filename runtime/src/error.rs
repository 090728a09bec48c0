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
    ($($name:ident = $number:literal, $text:literal;)+) => {
        impl Errno {
            $(#[doc = $text] pub const $name: Errno = Errno($number);)+

            /// The numbers are those of Linux, and this is what the kernel's own table is compared with.
            #[cfg(test)]
            const TABLE: &[(Errno, rustix::io::Errno)] = &[$((Errno::$name, rustix::io::Errno::$name)),+];

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
    PERM = 1, "Operation not permitted.";
    NOENT = 2, "No such name: nobody created it.";
    INTR = 4, "A signal arrived first.";
    IO = 5, "Input or output failed below Margay.";
    BADF = 9, "The descriptor is closed, stale or was never given out.";
    AGAIN = 11, "Not now: try again.";
    NOMEM = 12, "The kernel has no memory left.";
    ACCESS = 13, "Permission denied, such as a peer that runs under another uid.";
    FAULT = 14, "A null or unusable pointer came through the C ABI.";
    BUSY = 16, "The resource is in use.";
    EXIST = 17, "The name is taken.";
    NODEV = 19, "No such interface, or none by which that is to be reached.";
    NOTDIR = 20, "A path component is no directory.";
    INVAL = 22, "An argument is out of its range.";
    MFILE = 24, "A bounded table is full.";
    NOSPC = 28, "No space left.";
    PIPE = 32, "The stream was shut down for writing.";
    RANGE = 34, "The result does not fit.";
    NAMETOOLONG = 36, "The name is too long.";
    NOSYS = 38, "The kernel does not have this call.";
    PROTO = 71, "The peer broke the protocol.";
    MSGSIZE = 90, "The message is larger than the limit.";
    NOTSUP = 95, "This back end does not have this call.";
    DESTADDRREQ = 89, "No destination, or not bound.";
    PROTONOSUPPORT = 93, "The protocol is not served.";
    PROTOTYPE = 91, "The protocol does not belong to this type of socket.";
    NOPROTOOPT = 92, "No such option.";
    AFNOSUPPORT = 97, "An address of another family.";
    ADDRINUSE = 98, "The address is taken.";
    ADDRNOTAVAIL = 99, "Not an address of this host, or no port is free.";
    NETDOWN = 100, "The network is down.";
    NETUNREACH = 101, "There is no way to this address.";
    CONNABORTED = 103, "The connection was aborted.";
    CONNRESET = 104, "The peer died or reset the connection.";
    NOBUFS = 105, "The buffer pool is empty.";
    ISCONN = 106, "Already connected.";
    NOTCONN = 107, "Not connected.";
    HOSTUNREACH = 113, "There is no way to this host.";
    INPROGRESS = 115, "Under way.";
    TIMEDOUT = 110, "The time limit passed.";
    CONNREFUSED = 111, "Nobody listens there.";
    ALREADY = 114, "Already under way.";
    CANCELED = 125, "The operation was cancelled.";
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
    #[cfg(feature = "std")]
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

#[cfg(test)]
mod tests {
    use super::Errno;

    #[test]
    fn numbers_are_those_of_the_kernel() {
        for (ours, kernel) in Errno::TABLE {
            assert_eq!(ours.raw(), kernel.raw_os_error(), "{ours:?}");
        }
    }
}
