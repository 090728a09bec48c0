// SPDX-License-Identifier: MIT OR Apache-2.0
//! Fragmentation of what is sent (RFC 791 §2.3, RFC 8200 §4.5).
//!
//! What must always hold: no byte is copied, each fragment being views of the payload; all but the last have a multiple
//! of eight bytes; read one behind the other they are the payload.

mod identification;

pub use identification::Identifications;

use runtime::buf::Sga;
use runtime::{Errno, Error, Result};

const TOO_LONG: Error = Error::new(Errno::MSGSIZE, "longer than a datagram can be");
const TOO_SMALL: Error = Error::new(Errno::MSGSIZE, "the MTU leaves no room for a fragment");

/// One fragment to send.
#[derive(Debug)]
pub struct Fragment {
    /// Where it lies in the payload, in bytes: a multiple of eight.
    pub offset: u16,
    /// Whether more come behind it.
    pub more: bool,
    /// Its part of the payload.
    pub payload: Sga,
}

/// Cuts what stands behind the headers of a datagram into fragments of at most `per_fragment` bytes: the MTU without
/// the headers that each of them has. A payload that fits is one fragment, the first and the last.
///
/// # Errors
/// `EMSGSIZE` if the payload is beyond 65,535 bytes or does not fit and `per_fragment` is below eight.
///
/// ```
/// # use network::ip::fragment::fragments;
/// # use runtime::buf::Pool;
/// let pool = Pool::heap(64, 1, 0, 4)?;
/// let mut found = vec![];
/// for fragment in fragments(pool.alloc_copy(&[7; 20])?.into(), 10)? {
///     let fragment = fragment?;
///     found.push((fragment.offset, fragment.more, fragment.payload.len()));
/// }
/// assert_eq!(found, [(0, true, 8), (8, true, 8), (16, false, 4)]);
/// # Ok::<(), runtime::Error>(())
/// ```
pub fn fragments(payload: Sga, per_fragment: usize) -> Result<Fragments> {
    let left = u16::try_from(payload.len()).map_err(|_| TOO_LONG)?;
    let whole = u16::try_from(per_fragment).unwrap_or(u16::MAX);
    let each = if left <= whole { left } else { whole & !7 };
    if each == 0 && left > 0 {
        return Err(TOO_SMALL);
    }
    Ok(Fragments { payload: Some(payload), offset: 0, left, each })
}

/// The fragments of a payload, in order; see [`fragments`].
///
/// An item is `ENOBUFS` if the pool's second views are used up; it is the last then, and the datagram is lost.
#[derive(Debug)]
pub struct Fragments {
    payload: Option<Sga>,
    offset: u16,
    left: u16,
    each: u16,
}

impl Iterator for Fragments {
    type Item = Result<Fragment>;

    fn next(&mut self) -> Option<Result<Fragment>> {
        let mut rest = self.payload.take()?;
        let offset = self.offset;
        if self.left <= self.each {
            return Some(Ok(Fragment { offset, more: false, payload: rest }));
        }
        let piece = match rest.split_front(usize::from(self.each)) {
            Ok(piece) => piece,
            Err(error) => return Some(Err(error)),
        };
        self.payload = Some(rest);
        self.offset += self.each; // no more than the payload's length
        self.left -= self.each;
        Some(Ok(Fragment { offset, more: true, payload: piece }))
    }
}

#[cfg(test)]
mod tests;
