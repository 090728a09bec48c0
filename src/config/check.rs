// SPDX-License-Identifier: MIT OR Apache-2.0
//! The range of every value, in one table.
//!
//! A violation names the dotted key, so that the loader can add the place in the file. Nothing here knows YAML.

use std::path::Path;
use std::time::Duration;

use super::parse::{show_duration, show_size};
use super::{CatcollarConfig, Config, GIB, KIB, MIB, Spin, tcp};

/// The back end that is taken where none is named.
pub(super) const DEFAULT_LIBOS: &str = "catloop";
/// Back ends that can be named.
const BUILT: [&str; 7] = ["auto", "catloop", "catmem", "catcollar", "catnap", "catnip", "catpowder"];
/// Back ends whose names are kept, but which do not exist yet.
const PLANNED: [&str; 1] = ["catmint"];

const BUSY_POLL_MAX: Duration = Duration::from_millis(10);
const SPIN_MAX: Duration = Duration::from_secs(10);
const HANDSHAKE: (Duration, Duration) = (Duration::from_millis(1), Duration::from_mins(1));

/// Further addresses of this host.
const ADDRESSES_MAX: usize = 64;

/// A value that breaks its rule.
#[derive(Debug)]
pub(super) struct Violation {
    pub(super) key: &'static str,
    pub(super) what: String,
    pub(super) found: String,
    pub(super) allowed: String,
    pub(super) advice: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Count,
    Bytes,
    Lines,
    PowerOfTwo,
    PowerOfTwoCount,
}

struct Rule {
    key: &'static str,
    shape: Shape,
    min: usize,
    max: usize,
    get: fn(&Config) -> usize,
}

const fn rule(key: &'static str, shape: Shape, min: usize, max: usize, get: fn(&Config) -> usize) -> Rule {
    Rule { key, shape, min, max, get }
}

/// Pools and segments are laid out in cache lines.
const LINE: usize = 64;

const RULES: [Rule; 35] = [
    rule("buffers.small_size", Shape::Lines, 256, 16 * KIB, |c| c.buffers.small_size),
    rule("buffers.small_count", Shape::Count, 16, 1 << 20, |c| c.buffers.small_count),
    rule("buffers.large_size", Shape::Lines, 4 * KIB, MIB, |c| c.buffers.large_size),
    rule("buffers.large_count", Shape::Count, 1, 1 << 16, |c| c.buffers.large_count),
    rule("buffers.headroom", Shape::Lines, 0, KIB, |c| c.buffers.headroom),
    rule("buffers.oversize_limit", Shape::Bytes, 0, 64 * GIB, |c| c.buffers.oversize_limit),
    rule("catmem.ring", Shape::PowerOfTwo, 4 * KIB, 64 * MIB, |c| c.catmem.ring),
    rule("catmem.slot", Shape::PowerOfTwo, 4 * KIB, 16 * MIB, |c| c.catmem.slot),
    rule("catmem.slots", Shape::Count, 0, 1024, |c| c.catmem.slots),
    rule("catmem.max_message", Shape::Bytes, 4 * KIB, GIB, |c| c.catmem.max_message),
    rule("catloop.ring", Shape::PowerOfTwo, 4 * KIB, 64 * MIB, |c| c.catloop.ring),
    rule("catloop.slot", Shape::PowerOfTwo, 4 * KIB, 16 * MIB, |c| c.catloop.slot),
    rule("catloop.slots", Shape::Count, 0, 1024, |c| c.catloop.slots),
    rule("catloop.datagram_ring", Shape::PowerOfTwo, 256 * KIB, 64 * MIB, |c| c.catloop.datagram_ring),
    rule("catnap.receive", Shape::Bytes, 2 * KIB, MIB, |c| c.catnap.receive),
    // A value that is off breaks no rule.
    rule("catnap.zero_copy", Shape::Bytes, 4 * KIB, GIB, |c| c.catnap.zero_copy.unwrap_or(GIB)),
    rule("catcollar.entries", Shape::PowerOfTwoCount, 8, 4096, |c| c.catcollar.entries),
    rule("catcollar.completions", Shape::PowerOfTwoCount, 16, 1 << 16, |c| c.catcollar.completions),
    rule("catcollar.buffers", Shape::PowerOfTwoCount, 16, 1 << 15, |c| c.catcollar.buffers),
    rule("catcollar.buffer_size", Shape::Lines, 256, 64 * KIB, |c| c.catcollar.buffer_size),
    rule("catcollar.registered_sockets", Shape::Count, 8, 1 << 20, |c| c.catcollar.registered_sockets.unwrap_or(8)),
    rule("catcollar.zero_copy", Shape::Bytes, 4 * KIB, GIB, |c| c.catcollar.zero_copy.unwrap_or(GIB)),
    // Values that are off or automatic break no rule.
    rule("catnip.mtu", Shape::Bytes, 576, 65_535, |c| c.catnip.mtu.unwrap_or(1500)),
    rule("catnip.vlan", Shape::Count, 1, 4094, |c| c.catnip.vlan.unwrap_or(1)),
    rule("catnip.hops", Shape::Count, 1, 255, |c| c.catnip.hops),
    rule("catnip.receive_frames", Shape::Count, 16, 1 << 16, |c| c.catnip.receive_frames),
    rule("catnip.transmit_frames", Shape::Count, 16, 1 << 16, |c| c.catnip.transmit_frames),
    rule("catnip.xdp.queues", Shape::Count, 1, 64, |c| c.catnip.xdp.queues.unwrap_or(1)),
    rule("catnip.dpdk.memory", Shape::Bytes, 64 * MIB, 64 * GIB, |c| c.catnip.dpdk.memory),
    rule("catnip.dpdk.queues", Shape::Count, 1, 64, |c| c.catnip.dpdk.queues),
    rule("catnip.dpdk.burst", Shape::Count, 4, 32, |c| c.catnip.dpdk.burst),
    rule("catnip.dpdk.prefetch", Shape::Count, 0, 8, |c| c.catnip.dpdk.prefetch),
    rule("catnip.dpdk.buffers", Shape::Count, 512, 1 << 22, |c| c.catnip.dpdk.buffers.unwrap_or(512)),
    rule("limits.queues", Shape::Count, 1, 1 << 20, |c| c.limits.queues),
    rule("limits.operations", Shape::Count, 1, 1 << 24, |c| c.limits.operations),
];

impl Rule {
    fn show(&self, value: usize) -> String {
        if matches!(self.shape, Shape::Count | Shape::PowerOfTwoCount) { value.to_string() } else { show_size(value) }
    }

    fn holds(&self, value: usize) -> bool {
        (self.min..=self.max).contains(&value)
            && match self.shape {
                Shape::Count | Shape::Bytes => true,
                Shape::Lines => value.is_multiple_of(LINE),
                Shape::PowerOfTwo | Shape::PowerOfTwoCount => value.is_power_of_two(),
            }
    }

    /// The allowed value nearest to `value`: what a message proposes.
    fn nearest(&self, value: usize) -> usize {
        let value = value.clamp(self.min, self.max);
        match self.shape {
            Shape::Count | Shape::Bytes => value,
            Shape::Lines => value.next_multiple_of(LINE).min(self.max),
            Shape::PowerOfTwo | Shape::PowerOfTwoCount => value.next_power_of_two().min(self.max),
        }
    }

    fn allowed(&self) -> String {
        let range = format!("{} to {}", self.show(self.min), self.show(self.max));
        match self.shape {
            Shape::Count => format!("a number from {range}"),
            Shape::Bytes => format!("a size from {range}"),
            Shape::Lines => format!("a multiple of {LINE} B from {range}"),
            Shape::PowerOfTwo | Shape::PowerOfTwoCount => format!("a power of two from {range}"),
        }
    }

    fn check(&self, config: &Config) -> Result<(), Violation> {
        let value = (self.get)(config);
        if self.holds(value) {
            return Ok(());
        }
        Err(Violation {
            key: self.key,
            what: format!("`{}` is out of its range", self.key),
            found: self.show(value),
            allowed: self.allowed(),
            advice: format!("write {}, the nearest value that is allowed", self.show(self.nearest(value))),
        })
    }
}

/// Checks every value; the first violation ends it.
pub(super) fn all(config: &Config) -> Result<(), Violation> {
    if let Some(name) = &config.libos {
        libos(name)?;
    }
    if let Spin::For(spin) = config.wait.spin {
        duration("wait.spin", spin, Duration::ZERO, SPIN_MAX, ", or forever")?;
    }
    for rule in &RULES {
        rule.check(config)?;
    }
    if config.buffers.large_size < config.buffers.small_size {
        return Err(Violation {
            key: "buffers.large_size",
            what: "`buffers.large_size` is below `buffers.small_size`".to_owned(),
            found: show_size(config.buffers.large_size),
            allowed: format!("at least {}, as `buffers.small_size` is", show_size(config.buffers.small_size)),
            advice: "raise `large_size` or lower `small_size`".to_owned(),
        });
    }
    if let Some(path) = &config.catmem.directory {
        directory(path)?;
    }
    let catloop = &config.catloop;
    if catloop.addresses.len() > ADDRESSES_MAX {
        return Err(Violation {
            key: "catloop.addresses",
            what: "`catloop.addresses` is too long".to_owned(),
            found: format!("{} addresses", catloop.addresses.len()),
            allowed: format!("at most {ADDRESSES_MAX}"),
            advice: "name only the addresses that programs of this host use to reach each other".to_owned(),
        });
    }
    if let Some(address) = catloop.addresses.iter().find(|address| address.is_unspecified() || address.is_multicast()) {
        return Err(Violation {
            key: "catloop.addresses",
            what: "`catloop.addresses` holds an address that no host has".to_owned(),
            found: address.to_string(),
            allowed: "unicast addresses".to_owned(),
            advice: "take it out".to_owned(),
        });
    }
    let span = |key, value| duration(key, value, HANDSHAKE.0, HANDSHAKE.1, "");
    span("catmem.handshake_timeout", config.catmem.handshake_timeout)?;
    span("catloop.connect_timeout", catloop.connect_timeout)?;
    span("catloop.handshake_timeout", catloop.handshake_timeout)?;
    catcollar(&config.catcollar)?;
    config.catnip.check()?;
    tcp::check(&config.catnip.tcp)?;
    config.catnip_wire().map_or(Ok(()), |wire| config.catnip.check_use(wire))
}

/// What the table of rules cannot say.
fn catcollar(catcollar: &CatcollarConfig) -> Result<(), Violation> {
    if catcollar.completions < 2 * catcollar.entries {
        return Err(Violation {
            key: "catcollar.completions",
            what: "`catcollar.completions` is below twice `catcollar.entries`".to_owned(),
            found: catcollar.completions.to_string(),
            allowed: format!("at least {}", 2 * catcollar.entries),
            advice: "raise `completions` or lower `entries`".to_owned(),
        });
    }
    if let Some(idle) = catcollar.sqpoll {
        duration("catcollar.sqpoll", idle, Duration::from_millis(1), SPIN_MAX, ", or off")?;
    }
    duration("catcollar.busy_poll", catcollar.busy_poll, Duration::ZERO, BUSY_POLL_MAX, "")
}

/// Checks the name of a back end.
pub(super) fn libos(name: &str) -> Result<(), Violation> {
    if BUILT.contains(&name) {
        return Ok(());
    }
    let (what, advice) = if PLANNED.contains(&name) {
        (format!("the back end {name} is not part of this build"), format!("name {DEFAULT_LIBOS}"))
    } else if name.is_empty() {
        ("no back end is named".to_owned(), format!("name {DEFAULT_LIBOS}, or leave it out"))
    } else {
        ("no back end has this name".to_owned(), format!("name {DEFAULT_LIBOS}"))
    };
    Err(Violation {
        key: "libos",
        what,
        found: if name.is_empty() { "nothing".to_owned() } else { name.to_owned() },
        allowed: BUILT.join(", "),
        advice,
    })
}

fn directory(path: &Path) -> Result<(), Violation> {
    if path.is_absolute() && !path.as_os_str().as_encoded_bytes().contains(&0) {
        return Ok(());
    }
    Err(Violation {
        key: "catmem.directory",
        what: "`catmem.directory` is no absolute path".to_owned(),
        found: path.display().to_string(),
        allowed: "a path that begins with / and holds no NUL".to_owned(),
        advice: "write the path in full, or leave it out for the default".to_owned(),
    })
}

pub(super) fn duration(
    key: &'static str,
    value: Duration,
    min: Duration,
    max: Duration,
    also: &'static str,
) -> Result<(), Violation> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(Violation {
        key,
        what: format!("`{key}` is out of its range"),
        found: show_duration(value),
        allowed: format!("a duration from {} to {}{also}", show_duration(min), show_duration(max)),
        advice: format!("write {}, the nearest value that is allowed", show_duration(value.clamp(min, max))),
    })
}
