// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a person reads when the configuration is wrong.
//!
//! Every message says where (file, line, column, and the line itself), what was found, what is allowed, and what to
//! do. Text that came from outside is shown cropped and with control characters escaped, so that a hostile file cannot
//! drive the terminal.

use std::fmt;

use runtime::{Errno, Error};

use super::check::Violation;

/// Longest piece of foreign text that is shown, in characters.
const SHOWN_MAX: usize = 80;

/// Where in a file something stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, as it was named by the caller.
    pub file: String,
    /// Line, from 1; 0 where the whole file is meant.
    pub line: usize,
    /// Column in characters, from 1; 0 where the whole file is meant.
    pub column: usize,
    snippet: String,
    caret: usize,
}

impl Place {
    /// The whole file, such as one that cannot be read.
    pub(super) fn file(name: &str) -> Self {
        Self { file: shown(name, usize::MAX), line: 0, column: 0, snippet: String::new(), caret: 0 }
    }

    /// A line and column, both from 1, in the text of the file.
    pub(super) fn in_text(name: &str, text: &str, line: usize, column: usize) -> Self {
        let (line, column) = (line.max(1), column.max(1));
        let source = text.lines().nth(line - 1).unwrap_or("");
        // A window around the column, so that one endless line does not fill the screen.
        let start = column.saturating_sub(SHOWN_MAX / 2);
        let before: String = source.chars().skip(start).take(column - 1 - start).collect();
        let window: String = source.chars().skip(start).take(SHOWN_MAX).collect();
        let caret = escaped(&before).chars().count();
        Self { file: shown(name, usize::MAX), line, column, snippet: escaped(window.trim_end()), caret }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 { f.write_str(&self.file) } else { write!(f, "{}:{}:{}", self.file, self.line, self.column) }
    }
}

/// A configuration that cannot be used, told to a person.
///
/// [`Display`](fmt::Display) gives the whole message, of several lines, without a newline at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError(Box<Parts>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Parts {
    errno: Errno,
    place: Option<Place>,
    key: Option<String>,
    variable: Option<&'static str>,
    what: String,
    found: String,
    allowed: String,
    advice: String,
}

impl ConfigError {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            errno: Errno::INVAL,
            place: None,
            key: None,
            variable: None,
            what: what.into(),
            found: String::new(),
            allowed: String::new(),
            advice: String::new(),
        }))
    }

    pub(super) fn at(mut self, place: Place) -> Self {
        self.0.place = Some(place);
        self
    }

    pub(super) fn found(mut self, text: &str) -> Self {
        self.0.found = shown(text, SHOWN_MAX);
        self
    }

    pub(super) fn has_found(&self) -> bool {
        !self.0.found.is_empty()
    }

    pub(super) fn allowed(mut self, text: impl Into<String>) -> Self {
        self.0.allowed = text.into();
        self
    }

    pub(super) fn advice(mut self, text: impl Into<String>) -> Self {
        self.0.advice = text.into();
        self
    }

    pub(super) fn key_is(mut self, key: &str) -> Self {
        self.0.key = Some(shown(key, SHOWN_MAX));
        self
    }

    pub(super) fn errno_is(mut self, errno: Errno) -> Self {
        self.0.errno = errno;
        self
    }

    /// Says which environment variable asked for it.
    pub(super) fn asked_by(mut self, variable: &'static str) -> Self {
        self.0.variable = Some(variable);
        self
    }

    /// Where it stands, if it came from a file.
    #[must_use]
    pub fn place(&self) -> Option<&Place> {
        self.0.place.as_ref()
    }

    /// The dotted key that it is about, such as `catmem.ring`, if it is about one.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.0.key.as_deref()
    }

    /// The same for programs: `EINVAL` for what a file says, the system's own number for a file that cannot be read.
    #[must_use]
    pub fn errno(&self) -> Errno {
        self.0.errno
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let e = &*self.0;
        if let Some(place) = &e.place {
            write!(f, "{place}: ")?;
        }
        f.write_str(&e.what)?;
        if let Some(place) = e.place.as_ref().filter(|p| !p.snippet.is_empty()) {
            let gutter = place.line.to_string().len();
            write!(f, "\n {:gutter$} |", "")?;
            write!(f, "\n {} | {}", place.line, place.snippet)?;
            write!(f, "\n {:gutter$} | {:caret$}^", "", "", caret = place.caret)?;
        }
        for (label, text) in [("found:  ", &e.found), ("allowed:", &e.allowed), ("do:     ", &e.advice)] {
            if !text.is_empty() {
                write!(f, "\n  {label} {text}")?;
            }
        }
        match e.variable {
            Some(variable) => write!(f, "\n  (named by the environment variable {variable})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ConfigError {}

impl From<Violation> for ConfigError {
    fn from(v: Violation) -> Self {
        // Foreign text stands in `found` alone.
        Self::new(v.what).key_is(v.key).found(&v.found).allowed(v.allowed).advice(v.advice)
    }
}

impl From<ConfigError> for Error {
    /// The short form for calls that give an errno; the text for people is lost, so show it first.
    fn from(e: ConfigError) -> Self {
        Self::new(e.errno(), "the configuration cannot be used")
    }
}

/// A variable that is set to nothing.
pub(super) fn empty_variable(variable: &'static str, wanted: &'static str) -> ConfigError {
    ConfigError::new(format!("the environment variable {variable} is set, but empty"))
        .found("nothing")
        .allowed(wanted)
        .advice(format!("unset {variable}, or set it"))
}

/// Foreign text, fit to be shown: cropped, and with control characters escaped.
pub(super) fn shown(text: &str, max: usize) -> String {
    let mut chars = text.chars();
    let mut out = escaped(chars.by_ref().take(max).collect::<String>().as_str());
    if chars.next().is_some() {
        out.push('…');
    }
    out
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        // Besides control characters, those that turn the direction of text or have no width hide what follows.
        let hidden =
            matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
        if c == '\t' {
            out.push(' ');
        } else if c.is_control() || hidden {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}
