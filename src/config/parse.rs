// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sizes, counts and durations as people write them, and back.
//!
//! A size is a whole number and a binary unit (`256 KiB`, `64KiB`, `4096`); a duration always has its unit (`50us`,
//! `1 ms`), except zero. Decimal units and fractions are refused rather than guessed at.

use std::net::IpAddr;
use std::time::Duration;

use super::{BacklogFull, GIB, KIB, MIB, Spin};

/// Why a text is no such value: what is allowed, and what to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) allowed: &'static str,
    pub(super) advice: String,
}

const SIZE: &str = "a whole number with B, KiB, MiB or GiB, such as 256 KiB; bytes where no unit stands";
const COUNT: &str = "a whole number, such as 1024";
const DURATION: &str = "a whole number with ns, us, ms or s, such as 50us";
const SPIN: &str = "a whole number with ns, us, ms or s, such as 50us, or forever";

/// Number of bytes.
pub(super) fn size(text: &str) -> Result<usize, Refused> {
    let refused = |advice: String| Refused { allowed: SIZE, advice };
    let (number, unit) = split(text).map_err(refused)?;
    let scale = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kib" => KIB,
        "mib" => MIB,
        "gib" => GIB,
        "k" | "kb" | "m" | "mb" | "g" | "gb" => {
            let binary = format!("{}iB", unit[..1].to_ascii_uppercase());
            return Err(refused(format!("write {binary} (in units of 1024) instead of {unit}")));
        }
        _ => return Err(refused(format!("replace the unit {unit} by one of those"))),
    };
    usize::try_from(number).ok().and_then(|n| n.checked_mul(scale)).ok_or_else(|| refused("make it smaller".to_owned()))
}

/// A number of things.
pub(super) fn count(text: &str) -> Result<usize, Refused> {
    let refused = |advice: String| Refused { allowed: COUNT, advice };
    let (number, unit) = split(text).map_err(refused)?;
    if !unit.is_empty() {
        return Err(refused(format!("leave {unit} out: this is a number of things, not a size")));
    }
    usize::try_from(number).map_err(|_| refused("make it smaller".to_owned()))
}

/// A length of time.
pub(super) fn duration(text: &str) -> Result<Duration, Refused> {
    let refused = |advice: String| Refused { allowed: DURATION, advice };
    let (number, unit) = split(text).map_err(refused)?;
    match unit {
        "ns" => Ok(Duration::from_nanos(number)),
        "us" | "µs" | "μs" => Ok(Duration::from_micros(number)),
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        "" if number == 0 => Ok(Duration::ZERO),
        "" => Err(refused(format!("add a unit, such as {number}us"))),
        _ => Err(refused(format!("replace the unit {unit} by one of those"))),
    }
}

/// A length of time, or `forever`.
pub(super) fn spin(text: &str) -> Result<Spin, Refused> {
    if text.trim() == "forever" {
        return Ok(Spin::Forever);
    }
    duration(text).map(Spin::For).map_err(|r| Refused { allowed: SPIN, ..r })
}

/// A value, or `off`.
pub(super) fn or_off<T>(text: &str, parse: impl FnOnce(&str) -> Result<T, Refused>) -> Result<Option<T>, Refused> {
    if text.trim() == "off" {
        return Ok(None);
    }
    parse(text).map(Some).map_err(|r| Refused { advice: format!("{}, or write off", r.advice), ..r })
}

/// A value, or `auto`.
pub(super) fn or_auto<T>(text: &str, parse: impl FnOnce(&str) -> Result<T, Refused>) -> Result<Option<T>, Refused> {
    if text.trim() == "auto" {
        return Ok(None);
    }
    parse(text).map(Some).map_err(|r| Refused { advice: format!("{}, or write auto", r.advice), ..r })
}

/// An IP address.
pub(super) fn address(text: &str) -> Result<IpAddr, Refused> {
    const ADDRESS: &str = "an IPv4 or IPv6 address, such as 10.0.0.1 or fd00::1";
    text.trim().parse().map_err(|_| Refused {
        allowed: ADDRESS,
        advice: "write the address in digits, without port or prefix length".to_owned(),
    })
}

/// What a connect does that finds the backlog full.
pub(super) fn backlog_full(text: &str) -> Result<BacklogFull, Refused> {
    match text.trim() {
        "wait" => Ok(BacklogFull::Wait),
        "refuse" => Ok(BacklogFull::Refuse),
        _ => Err(Refused { allowed: "wait or refuse", advice: "write wait, or leave it out".to_owned() }),
    }
}

/// The whole number in front, and the unit behind it.
fn split(text: &str) -> Result<(u64, &str), String> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    if number.is_empty() {
        return Err(if text.starts_with('-') { "take the minus away" } else { "begin with a digit" }.to_owned());
    }
    if unit.starts_with(['.', ',', '_']) {
        return Err("write a whole number, in digits only, with a smaller unit if need be".to_owned());
    }
    // All characters are digits: only overflow can fail.
    let number = number.parse().map_err(|_| "make it smaller".to_owned())?;
    Ok((number, unit.trim_start()))
}

/// A size in the largest unit that divides it.
pub(super) fn show_size(bytes: usize) -> String {
    for (scale, unit) in [(GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")] {
        if bytes >= scale && bytes.is_multiple_of(scale) {
            return format!("{} {unit}", bytes / scale);
        }
    }
    format!("{bytes} B")
}

/// A duration in the largest unit that divides it.
pub(super) fn show_duration(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    for (scale, unit) in [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us")] {
        if nanos >= scale && nanos.is_multiple_of(scale) {
            return format!("{} {unit}", nanos / scale);
        }
    }
    format!("{nanos} ns")
}
