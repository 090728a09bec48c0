// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is answered to a request: RFC 9110 for methods (section 9), conditions (13), ranges (14) and statuses (15).

use super::common::server::{Service, Step};
use super::files::{Content, Files, Found, Lookup};
use super::range::Asked;
use super::request::{self, Method, Parsed, Request, list};
use super::status::{self, Status};
use super::{date, range, target};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::rc::Rc;

/// The files of one root.
pub struct Site {
    files: Files,
    /// Of the current second.
    now: u64,
    date: String,
    path: Vec<u8>,
}

/// The part of a file that still has to be sent.
#[derive(Default)]
pub struct Body(Option<Rest>);

struct Rest {
    file: Rc<File>,
    at: u64,
    left: u64,
}

/// How the reply to one request is to be made.
#[derive(Clone, Copy)]
struct Manner {
    persists: bool,
    says_so: bool,
    /// Whether a body follows.
    body: bool,
}

impl Site {
    /// # Errors
    /// If the root is no folder that can be opened.
    pub fn new(root: &Path) -> io::Result<Self> {
        let mut site = Self { files: Files::new(root)?, now: 0, date: String::new(), path: Vec::new() };
        site.tick();
        Ok(site)
    }

    fn answer(&mut self, request: &Request<'_>, body: &mut Body, out: &mut Vec<u8>) {
        let manner =
            Manner { persists: request.persists, says_so: request.says_so, body: request.method != Method::Head };
        match request.method {
            Method::Get | Method::Head => {}
            Method::Other => return self.say(status::METHOD_NOT_ALLOWED, "Allow: GET, HEAD\r\n", manner, out),
            Method::Unknown => return self.say(status::NOT_IMPLEMENTED, "", manner, out),
        }
        let found = match target::resolve(request.target, &mut self.path) {
            Ok(folder) => self.files.find(&mut self.path, folder, self.now),
            Err(status) => Lookup::Nothing(status),
        };
        match found {
            Lookup::File(found) => self.send(&found, request, manner, body, out),
            Lookup::Nothing(status) => self.say(status, "", manner, out),
            Lookup::Folder => {
                // From the resolved path: what the request wrote could name another host.
                let mut place = b"Location: /".to_vec();
                target::encode(&self.path, &mut place);
                place.extend_from_slice(b"/\r\n");
                // Escaped, it is ASCII.
                self.say(status::MOVED_PERMANENTLY, &String::from_utf8_lossy(&place), manner, out);
            }
        }
    }

    fn send(&self, found: &Found, request: &Request<'_>, manner: Manner, body: &mut Body, out: &mut Vec<u8>) {
        if is_known(found, request) {
            self.begin(status::NOT_MODIFIED, manner, out);
            // Without a length: it would be that of the file.
            let _ = write!(out, "{}\r\n", found.fields);
            return;
        }
        let (mut status, mut first, mut length) = (status::OK, 0, found.length);
        match asked(found, request) {
            Asked::Whole => {}
            Asked::Part(from, bytes) => (status, first, length) = (status::PARTIAL_CONTENT, from, bytes),
            Asked::Unsatisfiable => {
                let field = format!("Content-Range: bytes */{}\r\n", found.length);
                return self.say(status::RANGE_NOT_SATISFIABLE, &field, manner, out);
            }
        }
        self.begin(status, manner, out);
        out.extend_from_slice(found.fields.as_bytes());
        if status == status::PARTIAL_CONTENT {
            let _ = write!(out, "Content-Range: bytes {first}-{}/{}\r\n", first + length - 1, found.length);
        }
        let _ = write!(out, "Content-Length: {length}\r\n\r\n");
        if !manner.body {
            return;
        }
        match &found.content {
            // A part lies within the file, whose length is that of its bytes.
            Content::Bytes(bytes) => out.extend_from_slice(&bytes[first as usize..(first + length) as usize]),
            Content::File(file) => body.0 = Some(Rest { file: Rc::clone(file), at: first, left: length }),
        }
    }

    /// A reply that is its status alone.
    fn say(&self, status: Status, fields: &str, manner: Manner, out: &mut Vec<u8>) {
        self.begin(status, manner, out);
        // The code, a blank, the phrase, and the end of the line.
        let length = status.phrase.len() + 5;
        let _ = write!(out, "{fields}Content-Type: text/plain; charset=utf-8\r\nContent-Length: {length}\r\n\r\n");
        if manner.body {
            let _ = writeln!(out, "{} {}", status.code, status.phrase);
        }
    }

    /// The status line and the fields that every reply has. Writing to memory does not fail.
    fn begin(&self, status: Status, manner: Manner, out: &mut Vec<u8>) {
        let connection = match manner {
            Manner { persists: false, .. } => "Connection: close\r\n",
            Manner { says_so: true, .. } => "Connection: keep-alive\r\n",
            _ => "",
        };
        let Status { code, phrase } = status;
        let _ = write!(out, "HTTP/1.1 {code} {phrase}\r\nServer: margay\r\nDate: {}\r\n{connection}", self.date);
    }
}

/// Whether the sender has this very file already. The tag decides where there is one; dates must be the same, not only later.
fn is_known(found: &Found, request: &Request<'_>) -> bool {
    if let Some(tags) = request.if_none_match {
        let bare = |tag: &[u8]| tag == found.tag.as_bytes() || tag == b"*";
        return list(tags).any(|tag| bare(tag.strip_prefix(b"W/").unwrap_or(tag)));
    }
    request.if_modified_since == Some(found.modified.as_bytes())
}

/// The part of the file that is asked for. A range of another version is a range of nothing.
fn asked(found: &Found, request: &Request<'_>) -> Asked {
    let same = request.if_range.is_none_or(|tag| tag == found.tag.as_bytes());
    match request.range {
        Some(value) if same && request.method == Method::Get => range::parse(value, found.length),
        _ => Asked::Whole,
    }
}

impl Service for Site {
    type Session = Body;

    fn serve(&mut self, session: &mut Body, input: &[u8], replies: &mut Vec<u8>) -> Step {
        match request::parse(input) {
            Parsed::Incomplete => Step::Incomplete,
            Parsed::Refused(status) => {
                self.say(status, "", Manner { persists: false, says_so: true, body: true }, replies);
                Step::Last(input.len())
            }
            Parsed::Whole(request, length) => {
                self.answer(&request, session, replies);
                if request.persists { Step::Next(length) } else { Step::Last(length) }
            }
        }
    }

    fn left(&self, session: &Body) -> u64 {
        session.0.as_ref().map_or(0, |rest| rest.left)
    }

    fn fill(&mut self, session: &mut Body, buffer: &mut [u8]) -> io::Result<()> {
        let Some(rest) = &mut session.0 else { return Ok(()) };
        rest.file.read_exact_at(buffer, rest.at)?;
        rest.at += buffer.len() as u64;
        rest.left = rest.left.saturating_sub(buffer.len() as u64);
        if rest.left == 0 {
            session.0 = None;
        }
        Ok(())
    }

    fn late(&mut self, replies: &mut Vec<u8>) {
        self.say(status::REQUEST_TIMEOUT, "", Manner { persists: false, says_so: true, body: true }, replies);
    }

    fn tick(&mut self) {
        let now = date::today();
        if now != self.now || self.date.is_empty() {
            self.now = now;
            self.date = date::format(now);
        }
    }
}
