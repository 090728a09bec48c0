// SPDX-License-Identifier: MIT OR Apache-2.0
//! Requests of HTTP/1.1, from bytes: RFC 9112 (syntax and framing) and RFC 9110 (fields).
//!
//! Lines are taken one by one and judged as soon as they are whole, so the answer does not depend on how the bytes were
//! cut on their way. Where the RFCs leave a choice it is the strict one, except that a line may end in LF alone (RFC 9112,
//! section 2.2). No input makes this allocate, and none waits for more than [`HEAD_MAX`] and [`BODY_MAX`] bytes.

use super::status::{self, Status};

/// Bytes of a request line with its fields, and of the target in it.
pub const HEAD_MAX: usize = 8 * 1024;
pub const TARGET_MAX: usize = 4 * 1024;
pub const FIELDS_MAX: usize = 64;
/// Bytes of a body, which is read and forgotten: nothing here takes one.
pub const BODY_MAX: usize = 64 * 1024;

/// What the front of the input is.
#[derive(Debug, PartialEq, Eq)]
pub enum Parsed<'a> {
    /// Not a whole request yet.
    Incomplete,
    /// A request, and how many bytes it takes with its body.
    Whole(Request<'a>, usize),
    /// Nothing that can be served. Where the next request would begin is not known.
    Refused(Status),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Get,
    Head,
    /// One that RFC 9110 or RFC 5789 defines, and no file has.
    Other,
    Unknown,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Request<'a> {
    pub method: Method,
    /// Path and query, from the first slash on; `*` or empty where the method has another form of target.
    pub target: &'a [u8],
    /// Whether the sender waits for an answer before it sends the body, which then may never come.
    pub expects: bool,
    /// Whether another request may follow.
    pub persists: bool,
    /// Whether that must be said: it is not what the version means by itself.
    pub says_so: bool,
    pub range: Option<&'a [u8]>,
    pub if_range: Option<&'a [u8]>,
    pub if_none_match: Option<&'a [u8]>,
    pub if_modified_since: Option<&'a [u8]>,
}

/// Reads one request from the front of the input.
pub fn parse(input: &[u8]) -> Parsed<'_> {
    match head(input) {
        Ok(Some((request, length, body))) => {
            if request.expects && body > 0 {
                return Parsed::Whole(request, length);
            }
            let whole = length + body;
            if input.len() < whole { Parsed::Incomplete } else { Parsed::Whole(request, whole) }
        }
        Ok(None) => Parsed::Incomplete,
        Err(status) => Parsed::Refused(status),
    }
}

/// The lines of a head, one behind the other.
struct Lines<'a> {
    input: &'a [u8],
    at: usize,
}

impl<'a> Lines<'a> {
    /// The next line without its end; `None` if it is not whole. `too_long` if it does not end within the bounds of a head.
    fn next(&mut self, too_long: Status) -> Result<Option<&'a [u8]>, Status> {
        let rest = self.input.get(self.at..).unwrap_or_default();
        let allowed = rest.get(..HEAD_MAX.saturating_sub(self.at)).unwrap_or(rest);
        let Some(length) = allowed.iter().position(|&byte| byte == b'\n') else {
            return if self.input.len() < HEAD_MAX { Ok(None) } else { Err(too_long) };
        };
        self.at += length + 1;
        let line = &rest[..length];
        Ok(Some(line.strip_suffix(b"\r").unwrap_or(line)))
    }
}

/// The request, the length of its head, and that of its body.
fn head(input: &[u8]) -> Result<Option<(Request<'_>, usize, usize)>, Status> {
    let mut lines = Lines { input, at: 0 };
    // Empty lines in front of a request are left over from sloppy senders of bodies.
    let line = loop {
        match lines.next(status::URI_TOO_LONG)? {
            None => return Ok(None),
            Some([]) => {}
            Some(line) => break line,
        }
    };
    let (method, target, minor) = request_line(line)?;
    let mut fields = Fields::default();
    loop {
        match lines.next(status::FIELDS_TOO_LARGE)? {
            None => return Ok(None),
            Some([]) => break,
            Some(line) => fields.take(line)?,
        }
    }
    let body = fields.body(minor)?;
    // RFC 9112, section 3.2.
    if fields.hosts > 1 || (fields.hosts == 0 && minor > 0) {
        return Err(status::BAD_REQUEST);
    }
    let by_default = minor > 0;
    let persists = !fields.close && (by_default || fields.keep_alive);
    let request = Request {
        method,
        target,
        expects: fields.expects,
        persists: persists && !(fields.expects && body > 0),
        says_so: !by_default && persists,
        range: fields.range,
        if_range: fields.if_range,
        if_none_match: fields.if_none_match,
        if_modified_since: fields.if_modified_since,
    };
    Ok(Some((request, lines.at, body)))
}

/// Method, target and minor version: `method SP request-target SP HTTP-version`.
fn request_line(line: &[u8]) -> Result<(Method, &[u8], u8), Status> {
    let mut parts = line.split(|&byte| byte == b' ');
    let (Some(name), Some(target), Some(version), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(status::BAD_REQUEST);
    };
    if !is_token(name) || target.is_empty() || !target.iter().all(u8::is_ascii_graphic) {
        return Err(status::BAD_REQUEST);
    }
    let &[b'H', b'T', b'T', b'P', b'/', major @ b'0'..=b'9', b'.', minor @ b'0'..=b'9'] = version else {
        return Err(status::BAD_REQUEST);
    };
    if major != b'1' {
        return Err(status::VERSION_NOT_SUPPORTED);
    }
    if target.len() > TARGET_MAX {
        return Err(status::URI_TOO_LONG);
    }
    let method = match name {
        b"GET" => Method::Get,
        b"HEAD" => Method::Head,
        b"POST" | b"PUT" | b"DELETE" | b"CONNECT" | b"OPTIONS" | b"TRACE" | b"PATCH" => Method::Other,
        _ => Method::Unknown,
    };
    Ok((method, path_and_query(target, method)?, minor - b'0'))
}

/// The origin form of a target; RFC 9112, section 3.2.
fn path_and_query(target: &[u8], method: Method) -> Result<&[u8], Status> {
    if target[0] == b'/' {
        return Ok(target);
    }
    let scheme = [&b"http://"[..], b"https://"]
        .into_iter()
        .find(|scheme| target.get(..scheme.len()).is_some_and(|front| front.eq_ignore_ascii_case(scheme)));
    if let Some(scheme) = scheme {
        let rest = &target[scheme.len()..];
        let authority = rest.iter().position(|&byte| byte == b'/' || byte == b'?').unwrap_or(rest.len());
        if authority == 0 {
            return Err(status::BAD_REQUEST);
        }
        return Ok(&rest[authority..]);
    }
    // `*` and `host:port` belong to OPTIONS and CONNECT, which nothing here has.
    if matches!(method, Method::Other | Method::Unknown) { Ok(&[]) } else { Err(status::BAD_REQUEST) }
}

/// The fields that matter here.
#[derive(Default)]
struct Fields<'a> {
    count: usize,
    hosts: usize,
    close: bool,
    keep_alive: bool,
    expects: bool,
    length: Option<usize>,
    /// Whether the last coding that was named is `chunked`; `None` if there is none.
    chunked: Option<bool>,
    range: Option<&'a [u8]>,
    if_range: Option<&'a [u8]>,
    if_none_match: Option<&'a [u8]>,
    if_modified_since: Option<&'a [u8]>,
}

impl<'a> Fields<'a> {
    /// One line: `field-name ":" OWS field-value OWS`; RFC 9112, section 5.
    fn take(&mut self, line: &'a [u8]) -> Result<(), Status> {
        self.count += 1;
        if self.count > FIELDS_MAX {
            return Err(status::FIELDS_TOO_LARGE);
        }
        let colon = line.iter().position(|&byte| byte == b':').ok_or(status::BAD_REQUEST)?;
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        // Neither blanks in front of the colon, nor lines that go on: both have been used to smuggle requests.
        if !is_token(name) || !value.iter().all(|&byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f)) {
            return Err(status::BAD_REQUEST);
        }
        let value = value.trim_ascii();
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        if is("host") {
            self.hosts += 1;
        } else if is("connection") {
            for option in list(value) {
                self.close |= option.eq_ignore_ascii_case(b"close");
                self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
            }
        } else if is("content-length") {
            let length = length(value)?;
            if self.length.replace(length).is_some_and(|other| other != length) {
                return Err(status::BAD_REQUEST);
            }
        } else if is("transfer-encoding") {
            self.chunked = Some(list(value).last().is_some_and(|coding| coding.eq_ignore_ascii_case(b"chunked")));
        } else if is("expect") {
            if !value.eq_ignore_ascii_case(b"100-continue") {
                return Err(status::EXPECTATION_FAILED);
            }
            self.expects = true;
        } else if is("range") {
            self.range = Some(value);
        } else if is("if-range") {
            self.if_range = Some(value);
        } else if is("if-none-match") {
            self.if_none_match = Some(value);
        } else if is("if-modified-since") {
            self.if_modified_since = Some(value);
        }
        Ok(())
    }

    /// How long the body is; RFC 9112, section 6.
    fn body(&self, minor: u8) -> Result<usize, Status> {
        match (self.chunked, self.length) {
            // Both at once, or codings in a version that has none: what smuggling is made of.
            (Some(_), Some(_)) => Err(status::BAD_REQUEST),
            (Some(_), None) if minor == 0 => Err(status::BAD_REQUEST),
            (Some(true), None) => Err(status::LENGTH_REQUIRED),
            (Some(false), None) => Err(status::NOT_IMPLEMENTED),
            (None, Some(length)) if length > BODY_MAX => Err(status::CONTENT_TOO_LARGE),
            (None, length) => Ok(length.unwrap_or(0)),
        }
    }
}

/// A length, as digits only. One that is too long to be counted is surely too long to be read.
fn length(value: &[u8]) -> Result<usize, Status> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(status::BAD_REQUEST);
    }
    Ok(value.iter().fold(0_usize, |length, digit| length.saturating_mul(10).saturating_add(usize::from(digit - b'0'))))
}

/// The elements of a list; RFC 9110, section 5.6.1.
pub fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|element| !element.is_empty())
}

fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}
