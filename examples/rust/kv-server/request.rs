// SPDX-License-Identifier: MIT OR Apache-2.0
//! Commands, from bytes: the request side of RESP2 (Redis serialization protocol specification, "RESP protocol
//! description" and "Inline commands").
//!
//! A command is an array of bulk strings, or a line of words. Lines end in CRLF; that of an inline command may end in LF
//! alone, for people with netcat. No input waits for more than [`REQUEST_MAX`] bytes, and the memory that a parser keeps is
//! bounded by the same numbers.

use core::fmt;
use core::ops::Range;

/// Bytes of one key or value, of all arguments of a command together, and arguments of a command.
pub const BULK_MAX: usize = 1 << 20;
pub const REQUEST_MAX: usize = 2 << 20;
pub const ARGUMENTS_MAX: usize = 1024;
/// Bytes of an inline command.
pub const INLINE_MAX: usize = 16 * 1024;
/// Bytes of the line that has the number or the length of arguments.
const NUMBER_MAX: usize = 32;

/// What the front of the input is.
#[derive(Debug, PartialEq, Eq)]
pub enum Parsed {
    /// Not a whole command yet.
    Incomplete,
    /// So many bytes that command nothing, and are not answered: an empty line or array.
    Nothing(usize),
    /// A command of so many bytes; the parser has its arguments.
    Command(usize),
    /// No RESP. Where the next command would begin is not known.
    Refused(Refusal),
}

/// Why bytes are no RESP, in Redis' words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    Arguments,
    Bulk,
    NumberTooLong,
    InlineTooLong,
    TooLong,
    Quotes,
    /// This byte stands where an argument should begin.
    NoBulk(u8),
    /// A line or an argument ends otherwise.
    NoEnd,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Arguments => "invalid multibulk length",
            Self::Bulk => "invalid bulk length",
            Self::NumberTooLong => "too big count string",
            Self::InlineTooLong => "too big inline request",
            Self::TooLong => "too big request",
            Self::Quotes => "unbalanced quotes in request",
            Self::NoEnd => "expected CRLF",
            Self::NoBulk(byte) => {
                return write!(
                    f,
                    "expected '$', got '{}'",
                    if byte.is_ascii_graphic() { char::from(*byte) } else { '?' }
                );
            }
        })
    }
}

/// Reads commands one by one, and keeps the places of the arguments of the last.
#[derive(Default)]
pub struct Parser {
    places: Vec<Range<usize>>,
    /// The words of an inline command without their quotes.
    words: Vec<u8>,
    inline: bool,
}

/// The arguments of a command, of which the first is its name.
#[derive(Clone, Copy)]
pub struct Arguments<'a> {
    bytes: &'a [u8],
    places: &'a [Range<usize>],
}

impl<'a> Arguments<'a> {
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Empty beyond the last.
    pub fn get(&self, index: usize) -> &'a [u8] {
        self.places.get(index).and_then(|place| self.bytes.get(place.clone())).unwrap_or_default()
    }

    /// Those from this one on.
    pub fn from(self, first: usize) -> impl Iterator<Item = &'a [u8]> {
        (first..self.len()).map(move |index| self.get(index))
    }
}

impl Parser {
    /// Reads one command from the front of the input.
    pub fn parse(&mut self, input: &[u8]) -> Parsed {
        self.places.clear();
        self.words.clear();
        self.inline = input.first() != Some(&b'*');
        let parsed = if self.inline { self.line(input) } else { self.array(input) };
        match parsed {
            Ok(None) => Parsed::Incomplete,
            Ok(Some(length)) if self.places.is_empty() => Parsed::Nothing(length),
            Ok(Some(length)) => Parsed::Command(length),
            Err(refusal) => Parsed::Refused(refusal),
        }
    }

    /// The arguments of the command that was read last, from this input.
    pub fn arguments<'a>(&'a self, input: &'a [u8]) -> Arguments<'a> {
        Arguments { bytes: if self.inline { &self.words } else { input }, places: &self.places }
    }

    /// `*<number>` and so many of `$<length>`, bytes; the input begins with the asterisk. Says how long it is.
    fn array(&mut self, input: &[u8]) -> Result<Option<usize>, Refusal> {
        let Some((number, mut at)) = number(input, 1)? else { return Ok(None) };
        // A negative number is the null array, which commands nothing.
        let number = number.ok_or(Refusal::Arguments)?.max(0);
        let number =
            usize::try_from(number).ok().filter(|&number| number <= ARGUMENTS_MAX).ok_or(Refusal::Arguments)?;
        let mut total = 0;
        for _ in 0..number {
            match input.get(at) {
                None => return Ok(None),
                Some(b'$') => {}
                Some(&other) => return Err(Refusal::NoBulk(other)),
            }
            let Some((length, start)) = self::number(input, at + 1)? else { return Ok(None) };
            let length = length.and_then(|length| usize::try_from(length).ok()).filter(|&length| length <= BULK_MAX);
            let length = length.ok_or(Refusal::Bulk)?;
            total += length;
            if total > REQUEST_MAX {
                return Err(Refusal::TooLong);
            }
            let end = start + length;
            match input.get(end..) {
                None | Some([] | [b'\r']) => return Ok(None),
                Some([b'\r', b'\n', ..]) => {}
                Some(_) => return Err(Refusal::NoEnd),
            }
            self.places.push(start..end);
            at = end + 2;
        }
        Ok(Some(at))
    }

    /// A line of words.
    fn line(&mut self, input: &[u8]) -> Result<Option<usize>, Refusal> {
        let within = &input[..input.len().min(INLINE_MAX)];
        let Some(length) = within.iter().position(|&byte| byte == b'\n') else {
            return if input.len() < INLINE_MAX { Ok(None) } else { Err(Refusal::InlineTooLong) };
        };
        let line = &input[..length];
        self.split(line.strip_suffix(b"\r").unwrap_or(line))?;
        if self.places.len() > ARGUMENTS_MAX {
            return Err(Refusal::Arguments);
        }
        Ok(Some(length + 1))
    }

    /// Words with blanks between them, some in quotes: as in C between double ones, literally between single ones.
    fn split(&mut self, mut line: &[u8]) -> Result<(), Refusal> {
        loop {
            line = line.trim_ascii_start();
            let Some(&first) = line.first() else { return Ok(()) };
            let start = self.words.len();
            if matches!(first, b'"' | b'\'') {
                line = self.unquote(first, &line[1..])?;
                if line.first().is_some_and(|byte| !byte.is_ascii_whitespace()) {
                    return Err(Refusal::Quotes);
                }
            } else {
                let length = line.iter().position(u8::is_ascii_whitespace).unwrap_or(line.len());
                self.words.extend_from_slice(&line[..length]);
                line = &line[length..];
            }
            self.places.push(start..self.words.len());
        }
    }

    /// A word up to its closing quote; gives what follows.
    fn unquote<'a>(&mut self, quote: u8, mut rest: &'a [u8]) -> Result<&'a [u8], Refusal> {
        loop {
            let (byte, taken) = match (quote, rest) {
                (_, []) => return Err(Refusal::Quotes),
                (_, [byte, rest @ ..]) if *byte == quote => return Ok(rest),
                (b'\'', [b'\\', b'\'', ..]) => (b'\'', 2),
                (b'"', [b'\\', b'x', high, low, ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                    (hexadecimal(*high) << 4 | hexadecimal(*low), 4)
                }
                (b'"', [b'\\', escaped, ..]) => (unescape(*escaped), 2),
                (_, [byte, ..]) => (*byte, 1),
            };
            self.words.push(byte);
            rest = &rest[taken..];
        }
    }
}

fn hexadecimal(digit: u8) -> u8 {
    char::from(digit).to_digit(16).unwrap_or(0) as u8
}

fn unescape(letter: u8) -> u8 {
    match letter {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'a' => 0x07,
        other => other,
    }
}

/// The number on the line that goes on at `from`, and where the next line begins; without a value if it is none.
fn number(input: &[u8], from: usize) -> Result<Option<(Option<i64>, usize)>, Refusal> {
    let rest = input.get(from..).unwrap_or_default();
    let within = &rest[..rest.len().min(NUMBER_MAX)];
    let Some(length) = within.iter().position(|&byte| byte == b'\n') else {
        return if rest.len() < NUMBER_MAX { Ok(None) } else { Err(Refusal::NumberTooLong) };
    };
    let digits = within[..length].strip_suffix(b"\r").ok_or(Refusal::NoEnd)?;
    Ok(Some((integer(digits), from + length + 1)))
}

/// A number as Redis writes it: neither plus nor leading zeros.
pub fn integer(bytes: &[u8]) -> Option<i64> {
    let digits = bytes.strip_prefix(b"-").unwrap_or(bytes);
    let plain = match digits {
        [b'0'] => bytes.len() == 1,
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    plain.then(|| std::str::from_utf8(bytes).ok()?.parse().ok()).flatten()
}
