// SPDX-License-Identifier: MIT OR Apache-2.0
//! Parts of a file: RFC 9110, section 14. One range is served; of several, the whole file, as the RFC allows.

/// What a `Range` field asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    Whole,
    /// First byte and number of bytes, at least one, all within the file.
    Part(u64, u64),
    /// It begins behind the end.
    Unsatisfiable,
}

/// Reads the field for a file of this length. What is no range asks for the whole.
pub fn parse(value: &[u8], length: u64) -> Asked {
    let Some(range) = value.get(..6).filter(|unit| unit.eq_ignore_ascii_case(b"bytes=")).map(|_| &value[6..]) else {
        return Asked::Whole;
    };
    let range = range.trim_ascii();
    let Some(dash) = range.iter().position(|&byte| byte == b'-') else { return Asked::Whole };
    match (Position::parse(&range[..dash]), Position::parse(&range[dash + 1..])) {
        // The last bytes.
        (Position::Open, Position::At(last)) if last == 0 || length == 0 => Asked::Unsatisfiable,
        (Position::Open, Position::At(last)) => Asked::Part(length - last.min(length), last.min(length)),
        (Position::At(first), Position::Open) => part(first, u64::MAX, length),
        (Position::At(first), Position::At(last)) if first <= last => part(first, last, length),
        _ => Asked::Whole,
    }
}

/// From one byte to another, both within reason or beyond the end.
fn part(first: u64, last: u64, length: u64) -> Asked {
    if first >= length {
        return Asked::Unsatisfiable;
    }
    Asked::Part(first, last.min(length - 1) - first + 1)
}

/// One end of a range.
enum Position {
    At(u64),
    /// It is not given.
    Open,
    /// It is no number.
    Wrong,
}

impl Position {
    fn parse(digits: &[u8]) -> Self {
        if digits.is_empty() {
            return Self::Open;
        }
        if !digits.iter().all(u8::is_ascii_digit) {
            return Self::Wrong;
        }
        let add = |number: u64, digit: &u8| number.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
        Self::At(digits.iter().fold(0, add))
    }
}
