// SPDX-License-Identifier: MIT OR Apache-2.0
//! A datagram as the kernel puts it into a buffer of a ring: `io_uring_recvmsg_out(3)`.
//!
//! ```text
//!  0   length of the name, of control data, of the payload: u32 each; flags: u32
//!  16  the sender's name, 112 bytes
//! 128  the payload
//! ```
//!
//! Both lengths are what was there; less may be here. Everything is checked against the buffer.

use super::name::{NAME_MAX, Peer, read};

/// Where the name is.
pub const NAME_AT: usize = 16;
/// Where the payload is.
pub const PAYLOAD_AT: usize = NAME_AT + NAME_MAX;

/// What is in front of a payload.
#[derive(Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// The sender.
    pub peer: Peer<'a>,
    /// The payload was longer than the buffer.
    pub truncated: bool,
}

impl<'a> Record<'a> {
    /// Reads what is in front; `None` if it is no such record.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let front = bytes.get(..PAYLOAD_AT)?;
        let number = |at: usize| u32::from_ne_bytes([front[at], front[at + 1], front[at + 2], front[at + 3]]);
        let name = front.get(NAME_AT..NAME_AT + (number(0) as usize).min(NAME_MAX))?;
        let truncated = number(12) & libc::MSG_TRUNC.cast_unsigned() != 0;
        Some(Self { peer: read(name)?, truncated })
    }
}

#[cfg(test)]
mod tests {
    use super::super::name::Name;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_record_is_read() {
        let name = Name::path(b"/run/sender").unwrap();
        let mut bytes = vec![0; PAYLOAD_AT + 3];
        bytes[..4].copy_from_slice(&name.len().to_ne_bytes());
        bytes[NAME_AT..][..name.bytes().len()].copy_from_slice(name.bytes());
        let record = Record::read(&bytes).unwrap();
        assert_eq!(record, Record { peer: Peer::Path(b"/run/sender"), truncated: false });
        bytes[12] = libc::MSG_TRUNC as u8;
        assert!(Record::read(&bytes).unwrap().truncated);
        assert_eq!(Record::read(&bytes[..PAYLOAD_AT - 1]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..PAYLOAD_AT + 9)) {
            let _ = Record::read(&bytes);
        }
    }
}
