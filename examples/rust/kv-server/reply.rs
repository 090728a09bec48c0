// SPDX-License-Identifier: MIT OR Apache-2.0
//! Replies of RESP2, written behind those that are there. Writing to memory does not fail.

use std::fmt::Display;
use std::io::Write;

pub fn simple(out: &mut Vec<u8>, text: &str) {
    let _ = write!(out, "+{text}\r\n");
}

/// The text, whose first word is the kind of the error. What stands in it of a request must not end the line.
pub fn error(out: &mut Vec<u8>, text: impl Display) {
    out.push(b'-');
    let start = out.len();
    let _ = write!(out, "{text}");
    for byte in &mut out[start..] {
        if matches!(byte, b'\r' | b'\n') {
            *byte = b' ';
        }
    }
    out.extend_from_slice(b"\r\n");
}

pub fn integer(out: &mut Vec<u8>, number: impl Display) {
    let _ = write!(out, ":{number}\r\n");
}

pub fn bulk(out: &mut Vec<u8>, bytes: &[u8]) {
    let _ = write!(out, "${}\r\n", bytes.len());
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

pub fn null(out: &mut Vec<u8>) {
    out.extend_from_slice(b"$-1\r\n");
}

/// The head of an array; so many replies follow.
pub fn array(out: &mut Vec<u8>, length: usize) {
    let _ = write!(out, "*{length}\r\n");
}
