// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the stack does with messages beyond what they do themselves: headers off the front, padding off the end, headers in
//! front again. Most packets are one buffer, and each call then touches that alone.

use runtime::Result;
use runtime::buf::{Buf, Pools, SGA_SEGMENTS_MAX, Sga};

use crate::wire::checksum::Sum;

/// The bytes of the first segment.
#[inline]
pub fn front(message: &Sga) -> &[u8] {
    message.iter().next().map_or(&[], |first| first)
}

/// Shortens to `len` bytes; nothing if there are no more.
#[inline]
pub fn truncate(message: &mut Sga, len: usize) {
    match message.as_single() {
        Some(single) if single.len() <= len => {}
        Some(_) => {
            if let Some(mut single) = message.pop_front() {
                // It is longer.
                let _ = single.truncate(len);
                *message = single.into();
            }
        }
        None => truncate_chain(message, len),
    }
}

#[cold]
fn truncate_chain(message: &mut Sga, len: usize) {
    let (mut left, mut kept) = (len, Sga::new());
    for mut segment in core::mem::take(message) {
        // No more than it has, and no more segments than before.
        let _ = segment.truncate(left.min(segment.len()));
        left -= segment.len();
        let _ = kept.push_back(segment);
        if left == 0 {
            break;
        }
    }
    *message = kept;
}

/// Adds up the bytes from `start` to `end`, of which there are at least so many.
#[inline]
pub fn sum(message: &Sga, start: usize, end: usize, sum: &mut Sum) {
    let mut at = 0;
    for segment in message {
        let (from, to) = (start.saturating_sub(at), end.saturating_sub(at).min(segment.len()));
        if let Some(bytes) = segment.get(from..to) {
            sum.add(bytes);
        }
        at += segment.len();
    }
}

/// A copy of the bytes from `start` on, as far as `out` has room; says how many that were.
pub fn copy_from(message: &Sga, start: usize, out: &mut [u8]) -> usize {
    let (mut skip, mut copied) = (start, 0);
    for segment in message {
        let bytes = segment.get(skip..).unwrap_or_default();
        skip = skip.saturating_sub(segment.len());
        let room = out.get_mut(copied..).unwrap_or_default();
        let n = bytes.len().min(room.len());
        if let (Some(room), Some(bytes)) = (room.get_mut(..n), bytes.get(..n)) {
            room.copy_from_slice(bytes);
        }
        copied += n;
    }
    copied
}

/// Sees to it that the first segment has `n` bytes, as far as there are so many: what an IP header and those behind it are
/// read from.
///
/// # Errors
/// `ENOBUFS`; the message is as it was.
#[cold]
pub fn gather(message: &mut Sga, n: usize, pools: &Pools) -> Result<()> {
    let n = n.min(message.len());
    if front(message).len() < n {
        let mut head = pools.alloc(n)?;
        if let Some(bytes) = head.get_mut() {
            message.copy_to_slice(bytes);
        }
        message.trim_front(n);
        message.push_front(head)?;
    }
    Ok(())
}

/// A copy in one buffer that nobody else has.
///
/// # Errors
/// `ENOBUFS`, `ENOMEM`.
#[cold]
pub fn copy(message: &Sga, pools: &Pools) -> Result<Buf> {
    let mut whole = pools.alloc(message.len())?;
    if let Some(bytes) = whole.get_mut() {
        message.copy_to_slice(bytes);
    }
    Ok(whole)
}

/// Puts headers in front: into the headroom of the first segment if nobody else sees its block, and `spare` bytes stay free
/// for the device; else in a buffer of their own.
///
/// # Errors
/// `ENOBUFS`; the message is as it was.
#[inline]
pub fn prepend(message: &mut Sga, headers: &[u8], spare: usize, pools: &Pools) -> Result<()> {
    if let Some(mut first) = message.pop_front() {
        let fits = first.headroom() >= headers.len() + spare;
        if fits && let Ok(room) = first.prepend(headers.len()) {
            room.copy_from_slice(headers);
            return message.push_front(first);
        }
        message.push_front(first)?;
    }
    prepend_apart(message, headers, pools)
}

/// A buffer, and behind it a message, if that is not too long.
#[inline]
pub fn behind(front: Buf, mut message: Sga) -> Option<Sga> {
    if message.has_no_segment() {
        return Some(front.into());
    }
    message.push_front(front).ok()?;
    Some(message)
}

#[inline(never)]
fn prepend_apart(message: &mut Sga, headers: &[u8], pools: &Pools) -> Result<()> {
    let head = pools.alloc_copy(headers)?;
    if message.segments() >= SGA_SEGMENTS_MAX {
        *message = copy(message, pools)?.into();
    }
    message.push_front(head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime::buf::{Classes, Pools};

    fn message(pools: &Pools, pieces: &[&[u8]]) -> Sga {
        let mut message = Sga::new();
        for piece in pieces {
            message.push_back(pools.alloc_copy(piece).unwrap()).unwrap();
        }
        message
    }

    fn pools() -> Pools {
        Pools::new(&Classes { small_count: 200, large_count: 2, ..Classes::default() }).unwrap()
    }

    #[test]
    fn front_and_end_come_off_at_every_byte() {
        let pools = pools();
        let pieces: [&[&[u8]]; 4] =
            [&[b"abcdefghi"], &[b"abc", b"def", b"ghi"], &[b"", b"abcdefgh", b"i"], &[b"a", b"", b"bcdefghi"]];
        for pieces in pieces {
            for n in 0..=10 {
                let all = b"abcdefghi";
                let mut trimmed = message(&pools, pieces);
                trimmed.trim_front(n);
                assert_eq!(trimmed.to_vec(), all[n.min(9)..]);
                let mut short = message(&pools, pieces);
                truncate(&mut short, n);
                assert_eq!(short.to_vec(), all[..n.min(9)]);
                let mut gathered = message(&pools, pieces);
                gather(&mut gathered, n, &pools).unwrap();
                assert_eq!(gathered.to_vec(), all);
                assert!(front(&gathered).len() >= n.min(9));
                for end in n..=9 {
                    let mut added = Sum::new();
                    sum(&message(&pools, pieces), n, end, &mut added);
                    assert_eq!(added.finish(), crate::wire::checksum::sum(&all[n..end]).finish(), "{n}..{end}");
                }
                let mut out = [0; 4];
                let copied = copy_from(&message(&pools, pieces), n, &mut out);
                assert_eq!(out[..copied], all[n.min(9)..9.min(n + 4)]);
            }
        }
        assert_eq!(pools.stats().map(|stats| stats.in_use), [0; 3]);
    }

    #[test]
    fn headers_go_in_front_wherever_there_is_room() {
        let pools = pools();
        let mut alone = message(&pools, &[b"payload"]);
        prepend(&mut alone, b"head", 0, &pools).unwrap();
        assert_eq!((alone.to_vec(), alone.segments()), (b"headpayload".to_vec(), 1));
        let mut kept = message(&pools, &[b"payload"]);
        let view = kept.view().unwrap();
        prepend(&mut kept, b"head", 0, &pools).unwrap();
        assert_eq!((kept.to_vec(), kept.segments(), view.to_vec()), (b"headpayload".to_vec(), 2, b"payload".to_vec()));
        let mut narrow = message(&pools, &[b"payload"]);
        prepend(&mut narrow, b"head", 125, &pools).unwrap();
        assert_eq!((narrow.to_vec(), narrow.segments()), (b"headpayload".to_vec(), 2));
        let mut empty = Sga::new();
        prepend(&mut empty, b"head", 0, &pools).unwrap();
        assert_eq!((empty.to_vec(), empty.segments()), (b"head".to_vec(), 1));
        let mut many = message(&pools, &[b"x" as &[u8]; SGA_SEGMENTS_MAX]);
        let view = many.view().unwrap();
        prepend(&mut many, b"head", 0, &pools).unwrap();
        assert_eq!((many.len(), many.segments()), (4 + SGA_SEGMENTS_MAX, 2));
        drop(view);
    }
}
