// SPDX-License-Identifier: MIT OR Apache-2.0
//! What TCP of our own network stack can be set to, and how people write it.

use super::check::{Violation, duration};
use super::parse::{Refused, show_size};
use super::{GIB, KIB};
use core::time::Duration;

pub use ::catnip::tcp::{Algorithm, Completion, Settings};

/// The smallest buffer: room for two segments of Ethernet.
const BUFFER_MIN: usize = 4 * KIB;
/// The largest: what a window can say (RFC 7323 section 2.3).
const BUFFER_MAX: usize = GIB;
const DAY: Duration = Duration::from_hours(24);

/// What all other values begin with.
pub(super) fn profile(text: &str) -> Result<Settings, Refused> {
    match text.trim() {
        "internet" => Ok(Settings::DEFAULT),
        "datacenter" => Ok(Settings::datacenter()),
        _ => Err(Refused { allowed: "internet or datacenter", advice: "name one of those".to_owned() }),
    }
}

/// What governs how much may be under way.
pub(super) fn algorithm(text: &str) -> Result<Algorithm, Refused> {
    named(text, &ALGORITHMS, "cubic, newreno, dctcp or bbr")
}

/// When a push counts as done.
pub(super) fn completion(text: &str) -> Result<Completion, Refused> {
    named(text, &COMPLETIONS, "queued, sent or acked")
}

/// How often something is tried again.
pub(super) fn retries(text: &str) -> Result<u8, Refused> {
    let refused = |advice: &str| Refused { allowed: "a number from 0 to 255", advice: advice.to_owned() };
    let number: u64 = text.trim().parse().map_err(|_| refused("write a whole number"))?;
    u8::try_from(number).map_err(|_| refused("write 255, the nearest value that is allowed"))
}

const ALGORITHMS: [(&str, Algorithm); 4] = [
    ("cubic", Algorithm::Cubic),
    ("newreno", Algorithm::NewReno),
    ("dctcp", Algorithm::Dctcp),
    ("bbr", Algorithm::Bbr),
];

const COMPLETIONS: [(&str, Completion); 3] =
    [("queued", Completion::Queued), ("sent", Completion::Sent), ("acked", Completion::Acked)];

fn named<T: Copy>(text: &str, names: &[(&str, T)], allowed: &'static str) -> Result<T, Refused> {
    let found = names.iter().find(|(name, _)| *name == text.trim());
    found.map(|&(_, value)| value).ok_or_else(|| Refused { allowed, advice: "name one of those".to_owned() })
}

/// An algorithm as it is written.
#[must_use]
pub fn show_algorithm(algorithm: Algorithm) -> &'static str {
    ALGORITHMS.iter().find(|(_, value)| *value == algorithm).map_or("", |(name, _)| name)
}

/// The same of when a push is done.
#[must_use]
pub fn show_completion(completion: Completion) -> &'static str {
    COMPLETIONS.iter().find(|(_, value)| *value == completion).map_or("", |(name, _)| name)
}

/// Whether all is in its range, and goes together.
pub(super) fn check(tcp: &Settings) -> Result<(), Violation> {
    let (micro, milli, second) = (Duration::from_micros(1), Duration::from_millis(1), Duration::from_secs(1));
    duration("catnip.tcp.rto_min", tcp.rto_min, 100 * micro, 60 * second, "")?;
    duration("catnip.tcp.rto_max", tcp.rto_max, second, 600 * second, "")?;
    duration("catnip.tcp.rto_initial", tcp.rto_initial, milli, 60 * second, "")?;
    // Below half a second (RFC 9293 section 3.8.6.3).
    duration("catnip.tcp.ack_delay", tcp.ack_delay, Duration::ZERO, 499 * milli, "")?;
    duration("catnip.tcp.time_wait", tcp.time_wait, Duration::ZERO, 600 * second, "")?;
    duration("catnip.tcp.fin_wait", tcp.fin_wait, second, 600 * second, "")?;
    if let Some(timeout) = tcp.user_timeout {
        duration("catnip.tcp.user_timeout", timeout, milli, DAY, ", or off")?;
    }
    buffer("catnip.tcp.receive_buffer", tcp.receive_buffer)?;
    buffer("catnip.tcp.receive_buffer_max", tcp.receive_buffer_max)?;
    buffer("catnip.tcp.send_buffer", tcp.send_buffer)?;
    together(tcp)
}

fn buffer(key: &'static str, bytes: usize) -> Result<(), Violation> {
    if (BUFFER_MIN..=BUFFER_MAX).contains(&bytes) {
        return Ok(());
    }
    Err(Violation {
        key,
        what: format!("`{key}` is out of its range"),
        found: show_size(bytes),
        allowed: format!("a size from {} to {}", show_size(BUFFER_MIN), show_size(BUFFER_MAX)),
        advice: format!("write {}, the nearest value that is allowed", show_size(bytes.clamp(BUFFER_MIN, BUFFER_MAX))),
    })
}

/// What holds between values.
fn together(tcp: &Settings) -> Result<(), Violation> {
    if tcp.receive_buffer_max < tcp.receive_buffer {
        return Err(Violation {
            key: "catnip.tcp.receive_buffer_max",
            what: "`catnip.tcp.receive_buffer_max` is below `catnip.tcp.receive_buffer`".to_owned(),
            found: show_size(tcp.receive_buffer_max),
            allowed: format!("at least {}, as `receive_buffer` is", show_size(tcp.receive_buffer)),
            advice: "raise `receive_buffer_max` or lower `receive_buffer`".to_owned(),
        });
    }
    if tcp.algorithm == Algorithm::Dctcp && !tcp.ecn {
        return Err(Violation {
            key: "catnip.tcp.algorithm",
            what: "`catnip.tcp.algorithm` goes by marks, and `catnip.tcp.ecn` is off".to_owned(),
            found: "dctcp".to_owned(),
            allowed: "cubic, newreno or bbr; dctcp with `ecn: on`".to_owned(),
            advice: "turn `ecn` on, or name another algorithm".to_owned(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shown_as_they_are_written() {
        for (name, value) in ALGORITHMS {
            assert_eq!((algorithm(name), show_algorithm(value)), (Ok(value), name));
        }
        for (name, value) in COMPLETIONS {
            assert_eq!((completion(name), show_completion(value)), (Ok(value), name));
        }
        assert!(algorithm("reno").is_err() && completion("done").is_err() && profile("lan").is_err());
    }

    #[test]
    fn both_profiles_pass_the_check() {
        for name in ["internet", "datacenter"] {
            assert!(check(&profile(name).unwrap()).is_ok(), "{name}");
        }
    }

    #[test]
    fn retries_are_small_numbers() {
        assert_eq!((retries("0"), retries(" 255 ")), (Ok(0), Ok(255)));
        for text in ["256", "-1", "", "3s", "99999999999999999999"] {
            assert!(retries(text).is_err(), "{text}");
        }
    }
}
