// SPDX-License-Identifier: MIT OR Apache-2.0
//! Error texts for C: what an errno means here, and why the thread's last failed call failed.
//!
//! Noting an error stores two words and formats nothing, since a full pool or a timeout is common on the data path; the
//! text that C can read is made when C asks for it.

use core::cell::{Cell, RefCell};
use core::ffi::{CStr, c_char, c_int};
use std::ffi::CString;

use runtime::{Errno, Error};

thread_local! {
    static LAST: Cell<Option<Error>> = const { Cell::new(None) };
    /// The long message about a configuration, where there is one; else what C was last shown.
    static TEXT: RefCell<Option<CString>> = const { RefCell::new(None) };
}

/// Notes why a call failed.
pub(super) fn note(error: Error) {
    let _ = LAST.try_with(|last| last.set(Some(error)));
    let _ = TEXT.try_with(|text| {
        if let Ok(mut text) = text.try_borrow_mut() {
            *text = None;
        }
    });
}

/// Notes why a call failed, with more to say than [`Error`] has room for.
pub(super) fn note_message(error: Error, message: &str) {
    note(error);
    let _ = TEXT.try_with(|text| {
        if let Ok(mut text) = text.try_borrow_mut() {
            *text = Some(c_string(message));
        }
    });
}

/// The message up to its first NUL, which no message of ours has.
fn c_string(message: &str) -> CString {
    let end = message.find('\0').unwrap_or(message.len());
    CString::new(&message[..end]).unwrap_or_default()
}

/// `margay_last_errno`.
#[unsafe(no_mangle)]
pub extern "C" fn margay_last_errno() -> c_int {
    LAST.try_with(Cell::get).ok().flatten().map_or(0, |error| error.errno().raw())
}

/// `margay_last_error`.
#[unsafe(no_mangle)]
pub extern "C" fn margay_last_error() -> *const c_char {
    const NOTHING: &CStr = c"";
    let Some(error) = LAST.try_with(Cell::get).ok().flatten() else { return NOTHING.as_ptr() };
    TEXT.try_with(|text| match text.try_borrow_mut() {
        // The bytes lie on the heap and stay where they are until `note` replaces them.
        Ok(mut text) => text.get_or_insert_with(|| c_string(error.reason())).as_ptr(),
        Err(_) => NOTHING.as_ptr(),
    })
    .unwrap_or(NOTHING.as_ptr())
}

/// `margay_strerror`.
#[unsafe(no_mangle)]
pub extern "C" fn margay_strerror(error: c_int) -> *const c_char {
    text(Errno::from_raw(error)).as_ptr()
}

fn text(errno: Errno) -> &'static CStr {
    match errno {
        Errno::PERM => c"EPERM: the operation is not permitted",
        Errno::NOENT => c"ENOENT: nobody has created that name, or there is no such file",
        Errno::INTR => c"EINTR: margay_wake() has ended the wait",
        Errno::IO => c"EIO: input or output failed below Margay, or an internal fault was caught",
        Errno::BADF => c"EBADF: the descriptor is closed or was never given out",
        Errno::AGAIN => c"EAGAIN: not now, try again",
        Errno::NOMEM => c"ENOMEM: the system has no memory left",
        Errno::ACCESS => c"EACCES: it belongs to another user",
        Errno::FAULT => c"EFAULT: a pointer cannot be used",
        Errno::BUSY => c"EBUSY: it is in use, or a call was made from inside another one",
        Errno::EXIST => c"EEXIST: the name is taken, or it exists already",
        Errno::NODEV => c"ENODEV: there is no such interface or device",
        Errno::NOTDIR => c"ENOTDIR: a part of the path is no directory",
        Errno::INVAL => c"EINVAL: an argument is null or out of its range, or the token is not pending",
        Errno::MFILE => c"EMFILE: a table of descriptors, operations or sets is full",
        Errno::NOSPC => c"ENOSPC: no space is left",
        Errno::PIPE => c"EPIPE: the stream was shut down for writing",
        Errno::RANGE => c"ERANGE: the result does not fit",
        Errno::NAMETOOLONG => c"ENAMETOOLONG: the name is too long",
        Errno::NOSYS => c"ENOSYS: this thread has not called demi_init()",
        Errno::PROTO => c"EPROTO: the peer broke the protocol",
        Errno::MSGSIZE => c"EMSGSIZE: the message is larger than the limit",
        Errno::NOTSUP => c"ENOTSUP: the queue or its back end does not have this call",
        Errno::ADDRINUSE => c"EADDRINUSE: the address is taken",
        Errno::NETDOWN => c"ENETDOWN: the network is down",
        Errno::CONNABORTED => c"ECONNABORTED: the connection was aborted",
        Errno::CONNRESET => c"ECONNRESET: the peer died or reset the connection",
        Errno::NOBUFS => c"ENOBUFS: the buffer pool is empty",
        Errno::ISCONN => c"EISCONN: already connected",
        Errno::NOTCONN => c"ENOTCONN: not connected",
        Errno::TIMEDOUT => c"ETIMEDOUT: the time limit passed",
        Errno::CONNREFUSED => c"ECONNREFUSED: nobody listens there",
        Errno::ALREADY => c"EALREADY: already under way, or finished already",
        Errno::ADDRNOTAVAIL => c"EADDRNOTAVAIL: not an address of this host, or no port is free",
        Errno::AFNOSUPPORT => c"EAFNOSUPPORT: an address of the other family",
        Errno::DESTADDRREQ => c"EDESTADDRREQ: not bound, or no destination",
        Errno::HOSTUNREACH => c"EHOSTUNREACH: there is no way to this host",
        Errno::INPROGRESS => c"EINPROGRESS: under way",
        Errno::NETUNREACH => c"ENETUNREACH: there is no way to this address",
        Errno::NOPROTOOPT => c"ENOPROTOOPT: no such socket option",
        Errno::PROTONOSUPPORT => c"EPROTONOSUPPORT: the protocol is not served",
        Errno::PROTOTYPE => c"EPROTOTYPE: the protocol does not belong to this type of socket",
        Errno::CANCELED => c"ECANCELED: the operation was cancelled",
        other if other.raw() == 0 => c"0: success",
        _ => c"an errno that Margay does not give",
    }
}

#[cfg(test)]
mod tests {
    use super::text;
    use runtime::Errno;

    /// Those that Margay gives have a name, and a text that begins with it.
    #[test]
    fn each_errno_has_its_text() {
        // ERRNO(3): Linux's numbers end below this.
        let mut texts = 0;
        for errno in (1..200).map(Errno::from_raw).filter(|errno| errno.name() != "E?") {
            let (name, text) = (errno.name(), text(errno).to_str().unwrap());
            let named = text.split_once(':').map(|(named, _)| named);
            assert!(named == Some(name), "{name}: {text}");
            texts += 1;
        }
        assert!(texts > 40, "{texts}");
    }
}
