// SPDX-License-Identifier: MIT OR Apache-2.0
//! Fields at fixed places of headers of fixed length, in network byte order: places are checked when this is compiled.

use core::net::{Ipv4Addr, Ipv6Addr};

use super::{MacAddress, Malformed};

/// Divides bytes into a header of `N` bytes and the rest.
#[inline(always)]
pub(super) const fn front<const N: usize>(bytes: &[u8]) -> Result<(&[u8; N], &[u8]), Malformed> {
    match bytes.split_first_chunk() {
        Some(parts) => Ok(parts),
        None => Err(Malformed::Truncated),
    }
}

/// The first `N` bytes of an output, which the caller has made long enough.
#[inline(always)]
pub(super) fn space<const N: usize>(out: &mut [u8]) -> Option<&mut [u8; N]> {
    debug_assert!(out.len() >= N, "the output is shorter than the header");
    out.first_chunk_mut()
}

/// The `LEN` bytes at `AT`.
#[inline(always)]
pub(super) fn get<const AT: usize, const LEN: usize, const N: usize>(header: &[u8; N]) -> [u8; LEN] {
    const { assert!(AT + LEN <= N) };
    let mut field = [0; LEN];
    field.copy_from_slice(&header[AT..AT + LEN]);
    field
}

/// Writes the `LEN` bytes at `AT`.
#[inline(always)]
pub(super) fn set<const AT: usize, const LEN: usize, const N: usize>(header: &mut [u8; N], field: [u8; LEN]) {
    const { assert!(AT + LEN <= N) };
    header[AT..AT + LEN].copy_from_slice(&field);
}

#[inline(always)]
pub(super) fn get_u16<const AT: usize, const N: usize>(header: &[u8; N]) -> u16 {
    u16::from_be_bytes(get::<AT, 2, N>(header))
}

#[inline(always)]
pub(super) fn get_u32<const AT: usize, const N: usize>(header: &[u8; N]) -> u32 {
    u32::from_be_bytes(get::<AT, 4, N>(header))
}

#[inline(always)]
pub(super) fn get_v4<const AT: usize, const N: usize>(header: &[u8; N]) -> Ipv4Addr {
    Ipv4Addr::from_octets(get::<AT, 4, N>(header))
}

#[inline(always)]
pub(super) fn get_v6<const AT: usize, const N: usize>(header: &[u8; N]) -> Ipv6Addr {
    Ipv6Addr::from_octets(get::<AT, 16, N>(header))
}

#[inline(always)]
pub(super) fn get_mac<const AT: usize, const N: usize>(header: &[u8; N]) -> MacAddress {
    MacAddress(get::<AT, 6, N>(header))
}

/// Puts one field behind the other, up to the end of the output.
pub(super) struct Writer<'a> {
    out: &'a mut [u8],
    at: usize,
}

impl<'a> Writer<'a> {
    pub fn new(out: &'a mut [u8]) -> Self {
        Self { out, at: 0 }
    }

    pub fn put(&mut self, bytes: &[u8]) {
        let room = self.out.get_mut(self.at..).and_then(|rest| rest.get_mut(..bytes.len()));
        debug_assert!(room.is_some(), "the output is shorter than the message");
        if let Some(room) = room {
            room.copy_from_slice(bytes);
            self.at += bytes.len();
        }
    }

    pub fn u8(&mut self, value: u8) {
        self.put(&[value]);
    }

    pub fn u16(&mut self, value: u16) {
        self.put(&value.to_be_bytes());
    }

    pub fn u32(&mut self, value: u32) {
        self.put(&value.to_be_bytes());
    }

    /// Puts zero bytes up to the place `end`.
    pub fn pad_to(&mut self, end: usize) {
        while self.at < end.min(self.out.len()) {
            self.u8(0);
        }
    }
}
