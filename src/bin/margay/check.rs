// SPDX-License-Identifier: MIT OR Apache-2.0
//! `margay config check`: is a file right, and what is in force with it?

use margay::Config;
use margay::config::{BacklogFull, Spin};
use std::path::Path;
use std::time::Duration;

/// Prints the effective settings, or fails with what is wrong.
pub fn run(file: &Path) -> anyhow::Result<()> {
    let config = Config::from_file(file)?;
    println!("{}: OK\n\nIn force with it:\n{}", file.display(), effective(&config));
    Ok(())
}

/// The whole configuration, in the form of a file.
fn effective(config: &Config) -> String {
    // In full, so that a new key does not compile before it is shown.
    let Config { libos: _, wait, buffers: b, catmem: c, catloop: s, catnap, catcollar, limits } = config;
    let spin = match wait.spin {
        Spin::For(time) => duration(time),
        Spin::Forever => "forever".to_owned(),
    };
    let directory = c.directory.as_ref().map_or_else(
        || "# not set: $XDG_RUNTIME_DIR/margay, or /tmp/margay-<uid>".to_owned(),
        |path| format!("{:?}", path.display().to_string()),
    );
    let addresses: Vec<String> = s.addresses.iter().map(|address| format!("\"{address}\"")).collect();
    let backlog_full = match s.backlog_full {
        BacklogFull::Wait => "wait",
        BacklogFull::Refuse => "refuse",
    };
    format!(
        "libos: {}\n\
         wait:\n  spin: {spin}\n\
         buffers:\n  small_size: {}\n  small_count: {}\n  large_size: {}\n  large_count: {}\n  headroom: {}\n  \
         oversize_limit: {}\n\
         catmem:\n  directory: {directory}\n  ring: {}\n  slot: {}\n  slots: {}\n  max_message: {}\n  \
         handshake_timeout: {}\n\
         catloop:\n  addresses: [{}]\n  ring: {}\n  slot: {}\n  slots: {}\n  connect_timeout: {}\n  \
         backlog_full: {backlog_full}\n  handshake_timeout: {}\n  datagram_ring: {}\n\
         catnap:\n  receive: {}\n  zero_copy: {}\n\
         catcollar:\n  entries: {}\n  completions: {}\n  buffers: {}\n  buffer_size: {}\n  sqpoll: {}\n  \
         busy_poll: {}\n  zero_copy: {}\n\
         limits:\n  queues: {}\n  operations: {}",
        config.libos_name(),
        size(b.small_size),
        b.small_count,
        size(b.large_size),
        b.large_count,
        size(b.headroom),
        size(b.oversize_limit),
        size(c.ring),
        size(c.slot),
        c.slots,
        size(c.max_message),
        duration(c.handshake_timeout),
        addresses.join(", "),
        size(s.ring),
        size(s.slot),
        s.slots,
        duration(s.connect_timeout),
        duration(s.handshake_timeout),
        size(s.datagram_ring),
        size(catnap.receive),
        or_off(catnap.zero_copy, size),
        catcollar.entries,
        catcollar.completions,
        catcollar.buffers,
        size(catcollar.buffer_size),
        or_off(catcollar.sqpoll, duration),
        duration(catcollar.busy_poll),
        or_off(catcollar.zero_copy, size),
        limits.queues,
        limits.operations,
    )
}

fn or_off<T>(value: Option<T>, show: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| "off".to_owned(), show)
}

/// Bytes with the largest unit that takes a whole number of them.
fn size(bytes: usize) -> String {
    for (shift, unit) in [(30, "GiB"), (20, "MiB"), (10, "KiB")] {
        if bytes != 0 && bytes.trailing_zeros() >= shift {
            return format!("{} {unit}", bytes >> shift);
        }
    }
    format!("{bytes} B")
}

/// A duration with the largest unit that takes a whole number of them.
fn duration(time: Duration) -> String {
    let nanoseconds = time.as_nanos();
    for (length, unit) in [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us")] {
        if nanoseconds != 0 && nanoseconds.is_multiple_of(length) {
            return format!("{} {unit}", nanoseconds / length);
        }
    }
    format!("{nanoseconds} ns")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_can_be_loaded_again() {
        let mut config = Config::default();
        assert_eq!(Config::from_yaml("shown", &effective(&config)).expect("the defaults"), config);
        config.catmem.directory = Some("/run/user/1000/a \"b\"".into());
        config.catmem.slots = 0;
        config.catloop.addresses =
            vec!["192.0.2.1".parse().expect("an address"), "fd00::1".parse().expect("an address")];
        config.catloop.backlog_full = BacklogFull::Refuse;
        config.buffers.oversize_limit = 0;
        config.catnap.zero_copy = Some(1 << 20);
        config.catcollar.sqpoll = Some(Duration::from_millis(7));
        config.wait.spin = Spin::For(Duration::from_nanos(1_500));
        assert_eq!(Config::from_yaml("shown", &effective(&config)).expect("changed"), config);
        config.wait.spin = Spin::Forever;
        assert_eq!(Config::from_yaml("shown", &effective(&config)).expect("forever"), config);
    }
}
