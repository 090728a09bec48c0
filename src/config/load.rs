// SPDX-License-Identifier: MIT OR Apache-2.0
//! YAML to [`Config`]: the only file that knows the YAML library.
//!
//! Every value is read as text together with its place, and is understood by our own parsers, so that a message can
//! point at it whatever is wrong with it. A file is not trusted: its size, its depth and what its aliases expand to
//! are bounded.

mod catnip;
mod dpdk;
mod tcp;
mod xdp;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use runtime::Errno;
use serde::Deserialize;
use serde_saphyr::options::{DuplicateKeyPolicy, MergeKeyPolicy};
use serde_saphyr::{Error as YamlError, Location, Options, Spanned};

use super::error::{ConfigError, Place, shown};
use super::parse::{self, Refused};
use super::{Config, check};

/// Largest file, in bytes.
const FILE_MAX: usize = 1 << 20;

type Value = Option<Spanned<String>>;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Document {
    libos: Value,
    wait: Option<Wait>,
    buffers: Option<Buffers>,
    catmem: Option<Catmem>,
    catloop: Option<Catloop>,
    catnap: Option<Catnap>,
    catcollar: Option<Catcollar>,
    catnip: Option<catnip::Catnip>,
    limits: Option<Limits>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Wait {
    spin: Value,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Buffers {
    small_size: Value,
    small_count: Value,
    large_size: Value,
    large_count: Value,
    headroom: Value,
    oversize_limit: Value,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Catmem {
    directory: Value,
    ring: Value,
    slot: Value,
    slots: Value,
    max_message: Value,
    handshake_timeout: Value,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Catloop {
    addresses: Option<Vec<Spanned<String>>>,
    ring: Value,
    slot: Value,
    slots: Value,
    connect_timeout: Value,
    backlog_full: Value,
    handshake_timeout: Value,
    datagram_ring: Value,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Catnap {
    receive: Value,
    zero_copy: Value,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Catcollar {
    entries: Value,
    completions: Value,
    buffers: Value,
    buffer_size: Value,
    sqpoll: Value,
    busy_poll: Value,
    registered_sockets: Value,
    zero_copy: Value,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Limits {
    queues: Value,
    operations: Value,
}

/// Which keys stand in which section; the empty name is the top. Only for messages: serde refuses the others.
const SECTIONS: [(&str, &[&str]); 12] = [
    ("", &["libos", "wait", "buffers", "catmem", "catloop", "catnap", "catcollar", "catnip", "limits"]),
    ("wait", &["spin"]),
    ("buffers", &["small_size", "small_count", "large_size", "large_count", "headroom", "oversize_limit"]),
    ("catmem", &["directory", "ring", "slot", "slots", "max_message", "handshake_timeout"]),
    (
        "catloop",
        &[
            "addresses",
            "ring",
            "slot",
            "slots",
            "connect_timeout",
            "backlog_full",
            "handshake_timeout",
            "datagram_ring",
        ],
    ),
    ("catnap", &["receive", "zero_copy"]),
    (
        "catcollar",
        &["entries", "completions", "buffers", "buffer_size", "sqpoll", "busy_poll", "registered_sockets", "zero_copy"],
    ),
    ("catnip", catnip::KEYS),
    ("catnip.dpdk", dpdk::KEYS),
    ("catnip.xdp", xdp::KEYS),
    ("catnip.tcp", tcp::KEYS),
    ("limits", &["queues", "operations"]),
];

/// Reads a file, at most [`FILE_MAX`] bytes of it.
pub(super) fn from_file(path: &Path) -> Result<Config, ConfigError> {
    let name = path.display().to_string();
    let unreadable = |e: std::io::Error| {
        let advice = match e.kind() {
            std::io::ErrorKind::NotFound => "create the file, or correct the path",
            std::io::ErrorKind::PermissionDenied => "give this user the right to read it",
            _ => "name a file that can be read",
        };
        ConfigError::new("the configuration file cannot be read")
            .at(Place::file(&name))
            .errno_is(e.raw_os_error().map_or(Errno::IO, Errno::from_raw))
            .found(&e.to_string())
            .advice(advice)
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(FILE_MAX as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    // Before the check of the encoding, so that the cut does not fall into a character.
    if bytes.len() > FILE_MAX {
        return Err(too_large(&name));
    }
    match std::str::from_utf8(&bytes) {
        Ok(text) => from_yaml(&name, text),
        Err(e) => Err(not_utf8(&name, &bytes, e.valid_up_to())),
    }
}

/// Reads text.
pub(super) fn from_yaml(name: &str, text: &str) -> Result<Config, ConfigError> {
    if text.len() > FILE_MAX {
        return Err(too_large(name));
    }
    let document: Option<Document> =
        serde_saphyr::from_str_with_options(text, options()).map_err(|e| explain(name, text, &e))?;
    let mut reader = Reader { name, text, places: Vec::new() };
    let config = reader.config(document.unwrap_or_default())?;
    check::all(&config).map_err(|violation| {
        let place = reader.places.iter().find(|(key, _)| *key == violation.key).map(|&(_, at)| reader.place(at));
        let error = ConfigError::from(violation);
        match place {
            Some(place) => error.at(place),
            None => error.at(Place::file(name)),
        }
    })?;
    Ok(config)
}

/// A configuration is small: what is beyond these bounds is a mistake or an attack.
fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: 20_000,
            max_nodes: 10_000,
            max_depth: 16,
            flow_nesting_limit: 16,
            max_aliases: 64,
            max_anchors: 64,
            max_recorded_anchor_events: 10_000,
            max_recorded_anchor_bytes: FILE_MAX,
            max_total_scalar_bytes: 2 * FILE_MAX,
            max_documents: 1,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 1_000,
            max_replay_stack_depth: 8,
            max_alias_expansions_per_anchor: 64,
        },
        duplicate_keys: DuplicateKeyPolicy::Error,
        merge_keys: MergeKeyPolicy::Error,
        reject_unsupported_tags: true,
        with_snippet: false,
    }
}

/// Fills a [`Config`], and remembers where each value stood.
struct Reader<'a> {
    name: &'a str,
    text: &'a str,
    places: Vec<(&'static str, Location)>,
}

impl Reader<'_> {
    fn config(&mut self, document: Document) -> Result<Config, ConfigError> {
        let mut config = Config::default();
        let Document { libos, wait, buffers, catmem, catloop, catnap, catcollar, catnip, limits } = document;
        self.set(&mut config.libos, "libos", libos, |s| Ok(Some(s.to_owned())))?;

        let Wait { spin } = wait.unwrap_or_default();
        self.set(&mut config.wait.spin, "wait.spin", spin, parse::spin)?;

        let Buffers { small_size, small_count, large_size, large_count, headroom, oversize_limit } =
            buffers.unwrap_or_default();
        let b = &mut config.buffers;
        self.set(&mut b.small_size, "buffers.small_size", small_size, parse::size)?;
        self.set(&mut b.small_count, "buffers.small_count", small_count, parse::count)?;
        self.set(&mut b.large_size, "buffers.large_size", large_size, parse::size)?;
        self.set(&mut b.large_count, "buffers.large_count", large_count, parse::count)?;
        self.set(&mut b.headroom, "buffers.headroom", headroom, parse::size)?;
        self.set(&mut b.oversize_limit, "buffers.oversize_limit", oversize_limit, parse::size)?;

        let Catmem { directory, ring, slot, slots, max_message, handshake_timeout } = catmem.unwrap_or_default();
        let c = &mut config.catmem;
        self.set(&mut c.directory, "catmem.directory", directory, |s| Ok(Some(PathBuf::from(s))))?;
        self.set(&mut c.ring, "catmem.ring", ring, parse::size)?;
        self.set(&mut c.slot, "catmem.slot", slot, parse::size)?;
        self.set(&mut c.slots, "catmem.slots", slots, parse::count)?;
        self.set(&mut c.max_message, "catmem.max_message", max_message, parse::size)?;
        self.set(&mut c.handshake_timeout, "catmem.handshake_timeout", handshake_timeout, parse::duration)?;

        let Catloop { addresses, ring, slot, slots, connect_timeout, backlog_full, handshake_timeout, datagram_ring } =
            catloop.unwrap_or_default();
        let c = &mut config.catloop;
        self.list(&mut c.addresses, "catloop.addresses", addresses, parse::address)?;
        self.set(&mut c.ring, "catloop.ring", ring, parse::size)?;
        self.set(&mut c.slot, "catloop.slot", slot, parse::size)?;
        self.set(&mut c.slots, "catloop.slots", slots, parse::count)?;
        self.set(&mut c.connect_timeout, "catloop.connect_timeout", connect_timeout, parse::duration)?;
        self.set(&mut c.backlog_full, "catloop.backlog_full", backlog_full, parse::backlog_full)?;
        self.set(&mut c.handshake_timeout, "catloop.handshake_timeout", handshake_timeout, parse::duration)?;
        self.set(&mut c.datagram_ring, "catloop.datagram_ring", datagram_ring, parse::size)?;

        let Catnap { receive, zero_copy } = catnap.unwrap_or_default();
        let c = &mut config.catnap;
        self.set(&mut c.receive, "catnap.receive", receive, parse::size)?;
        self.set(&mut c.zero_copy, "catnap.zero_copy", zero_copy, |s| parse::or_off(s, parse::size))?;

        let Catcollar { entries, completions, buffers, buffer_size, sqpoll, busy_poll, registered_sockets, zero_copy } =
            catcollar.unwrap_or_default();
        let c = &mut config.catcollar;
        self.set(&mut c.entries, "catcollar.entries", entries, parse::count)?;
        self.set(&mut c.completions, "catcollar.completions", completions, parse::count)?;
        self.set(&mut c.buffers, "catcollar.buffers", buffers, parse::count)?;
        self.set(&mut c.buffer_size, "catcollar.buffer_size", buffer_size, parse::size)?;
        self.set(&mut c.sqpoll, "catcollar.sqpoll", sqpoll, |s| parse::or_off(s, parse::duration))?;
        self.set(&mut c.busy_poll, "catcollar.busy_poll", busy_poll, parse::duration)?;
        let registered = |s: &str| parse::or_off(s, parse::count);
        self.set(&mut c.registered_sockets, "catcollar.registered_sockets", registered_sockets, registered)?;
        self.set(&mut c.zero_copy, "catcollar.zero_copy", zero_copy, |s| parse::or_off(s, parse::size))?;

        self.catnip(catnip.unwrap_or_default(), &mut config.catnip)?;

        let Limits { queues, operations } = limits.unwrap_or_default();
        self.set(&mut config.limits.queues, "limits.queues", queues, parse::count)?;
        self.set(&mut config.limits.operations, "limits.operations", operations, parse::count)?;
        Ok(config)
    }

    /// A key without a value keeps its default.
    fn set<T>(
        &mut self,
        field: &mut T,
        key: &'static str,
        value: Value,
        parse: impl FnOnce(&str) -> Result<T, Refused>,
    ) -> Result<(), ConfigError> {
        let Some(Spanned { value, referenced, .. }) = value else { return Ok(()) };
        self.places.push((key, referenced));
        *field = parse(&value).map_err(|Refused { allowed, advice }| {
            ConfigError::new(format!("`{key}` cannot be understood"))
                .at(self.place(referenced))
                .key_is(key)
                .found(if value.is_empty() { "nothing" } else { &value })
                .allowed(allowed)
                .advice(advice)
        })?;
        Ok(())
    }

    /// As [`set`](Self::set), for each value of a list.
    fn list<T>(
        &mut self,
        field: &mut Vec<T>,
        key: &'static str,
        values: Option<Vec<Spanned<String>>>,
        mut parse: impl FnMut(&str) -> Result<T, Refused>,
    ) -> Result<(), ConfigError> {
        for value in values.unwrap_or_default() {
            let mut parsed = None;
            self.set(&mut parsed, key, Some(value), |text| parse(text).map(Some))?;
            field.extend(parsed);
        }
        Ok(())
    }

    fn place(&self, at: Location) -> Place {
        place(self.name, self.text, at)
    }
}

fn place(name: &str, text: &str, at: Location) -> Place {
    // Beyond the range only on a platform where `usize` is narrower than the file that it holds: never.
    let index = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    Place::in_text(name, text, index(at.line()), index(at.column()))
}

/// Tells an error of the YAML library to a person.
fn explain(name: &str, text: &str, error: &YamlError) -> ConfigError {
    let error = error.without_snippet();
    let (what, found, allowed, advice) = match error {
        YamlError::SerdeUnknownField { field, expected, .. } => {
            return located(name, text, error, unknown_key(field, expected));
        }
        YamlError::DuplicateMappingKey { key, .. } => {
            ("this key stands twice", key.clone().unwrap_or_default(), "each key once", "take one of the two out")
        }
        YamlError::MultipleDocuments { .. } => {
            ("a second document begins here", String::new(), "one document", "take the `---` out")
        }
        YamlError::MergeKeyNotAllowed { .. } => {
            ("merge keys are not supported", "<<".to_owned(), "", "write the keys out")
        }
        YamlError::UnsupportedTag { .. } => ("tags are not supported", String::new(), "", "take the tag out"),
        YamlError::Unexpected { .. } | YamlError::SerdeInvalidType { .. } => (
            "this has the wrong shape",
            String::new(),
            "sections (wait, buffers, catmem, catloop, catnap, catcollar, catnip, limits; tcp in catnip) that hold `key: value` lines, one value each",
            "compare it with the description of the keys",
        ),
        YamlError::Budget { .. }
        | YamlError::AliasReplayCounterOverflow { .. }
        | YamlError::AliasReplayLimitExceeded { .. }
        | YamlError::AliasExpansionLimitExceeded { .. }
        | YamlError::AliasReplayStackDepthExceeded { .. } => (
            "the file is nested, repeated or long beyond all that a configuration needs",
            said(error),
            "sections, and their keys",
            "write plain sections, without anchors and aliases",
        ),
        _ => {
            ("this is no valid YAML", said(error), "", "look at the indentation, colons and quotes here and just above")
        }
    };
    located(name, text, error, ConfigError::new(what).found(&found).allowed(allowed).advice(advice))
}

fn located(name: &str, text: &str, error: &YamlError, told: ConfigError) -> ConfigError {
    let place = match error.location() {
        Some(at) if at.line() > 0 => place(name, text, at),
        _ => Place::in_text(name, text, 1, 1),
    };
    let told = if told.has_found() { told } else { told.found(rest_of_line(text, &place)) };
    told.at(place)
}

/// What stands at a place: all that can be said of what was found where the library does not say it.
fn rest_of_line<'a>(text: &'a str, place: &Place) -> &'a str {
    let line = text.lines().nth(place.line - 1).unwrap_or("");
    let start = line.char_indices().nth(place.column - 1).map_or(line.len(), |(at, _)| at);
    if line[start..].is_empty() { "the end of the line" } else { &line[start..] }
}

/// What the library says, without the place that stands in front already.
fn said(error: &YamlError) -> String {
    let text = error.to_string();
    let end = text.rfind(" at line ").unwrap_or(text.len());
    text[..end].to_owned()
}

fn unknown_key(field: &str, expected: &[&'static str]) -> ConfigError {
    let section = SECTIONS.iter().find(|(_, keys)| *keys == expected).map_or("", |(section, _)| section);
    let elsewhere = SECTIONS.iter().find(|(other, keys)| *other != section && keys.contains(&field));
    let nearest = expected.iter().map(|key| (distance(field, key), *key)).min();
    let advice = match (elsewhere, nearest) {
        (Some(("", _)), _) => format!("move `{field}` to the left margin: it belongs to no section"),
        (Some((other, _)), _) => format!("move `{field}` under `{other}:`"),
        (None, Some((distance, key))) if distance <= 1 + key.len() / 3 => format!("did you mean `{key}`?"),
        _ => "take the line out, or name one of those".to_owned(),
    };
    let within = if section.is_empty() { String::new() } else { format!(" in `{section}`") };
    let path = if section.is_empty() { field.to_owned() } else { format!("{section}.{field}") };
    ConfigError::new(format!("unknown key `{}`{within}", shown(field, 64)))
        .key_is(&path)
        .found(field)
        .allowed(expected.join(", "))
        .advice(advice)
}

/// How many characters must be changed to turn one word into the other (Levenshtein), for words as long as keys are.
fn distance(found: &str, key: &str) -> usize {
    const LONG: usize = 64;
    if found.len() > LONG {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=key.chars().count()).collect();
    for (i, a) in found.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in key.chars().enumerate() {
            let substituted = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().unwrap_or(0)
}

fn too_large(name: &str) -> ConfigError {
    ConfigError::new("the configuration file is too large")
        .at(Place::file(name))
        .found("more than 1 MiB")
        .allowed("at most 1 MiB")
        .advice("name a configuration file; one with every key is under 10 KiB")
}

fn not_utf8(name: &str, bytes: &[u8], valid: usize) -> ConfigError {
    let text = String::from_utf8_lossy(bytes);
    let before = String::from_utf8_lossy(&bytes[..valid]);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    ConfigError::new("this is no UTF-8 text")
        .at(Place::in_text(name, &text, line, column))
        .found(&format!("the byte 0x{:02x}", bytes.get(valid).copied().unwrap_or_default()))
        .allowed("UTF-8")
        .advice("save the file as UTF-8")
}
