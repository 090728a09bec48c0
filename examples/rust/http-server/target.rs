// SPDX-License-Identifier: MIT OR Apache-2.0
//! From the target of a request to a path below the root: RFC 3986, sections 2.1 (percent-encoding) and 3.3 (paths).
//!
//! What must always hold: the path is relative, and none of its segments is empty, `.` or `..`, however they were written.

use super::status::{BAD_REQUEST, Status};

/// Writes the path, segments with slashes between them, in place of what is in `path`. True: a folder was asked for.
///
/// # Errors
/// `400` for an escape that is none, a NUL, and a way upwards.
pub fn resolve(target: &[u8], path: &mut Vec<u8>) -> Result<bool, Status> {
    path.clear();
    let encoded = target.split(|&byte| byte == b'?').next().unwrap_or_default();
    // Decoded first: an escaped slash is a slash, and an escaped point a point.
    let mut decoded = Decoded(encoded.iter());
    let mut start = 0;
    while let Some(byte) = decoded.next()? {
        match byte {
            b'/' => start = end_segment(path, start, true)?,
            0 => return Err(BAD_REQUEST),
            byte => path.push(byte),
        }
    }
    let folder = matches!(&path[start..], b"" | b".");
    end_segment(path, start, false)?;
    if path.last() == Some(&b'/') {
        path.pop();
    }
    Ok(folder)
}

/// Judges the segment that begins at `start`, and says where the next one does.
fn end_segment(path: &mut Vec<u8>, start: usize, more: bool) -> Result<usize, Status> {
    match &path[start..] {
        b".." => return Err(BAD_REQUEST),
        b"" | b"." => path.truncate(start),
        _ if more => path.push(b'/'),
        _ => return Ok(start),
    }
    Ok(path.len())
}

struct Decoded<'a>(std::slice::Iter<'a, u8>);

impl Decoded<'_> {
    fn next(&mut self) -> Result<Option<u8>, Status> {
        match self.0.next() {
            Some(b'%') => Ok(Some(self.digit()? << 4 | self.digit()?)),
            other => Ok(other.copied()),
        }
    }

    fn digit(&mut self) -> Result<u8, Status> {
        let digit = self.0.next().and_then(|&byte| char::from(byte).to_digit(16)).ok_or(BAD_REQUEST)?;
        Ok(digit as u8)
    }
}

/// Writes a path so that it can stand in a target again.
pub fn encode(path: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in path {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(byte);
        } else {
            out.extend_from_slice(&[b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
    }
}
