// SPDX-License-Identifier: MIT OR Apache-2.0
//! Figures as people read them: three digits and a unit.

/// Nanoseconds as `246 ns`, `1.88 µs`, `26.0 µs`, `1.20 ms`.
pub fn time(nanoseconds: f64) -> String {
    scaled(nanoseconds, &[(1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1.0, "ns")])
}

/// Messages per second as `4.06 M/s`.
pub fn rate(per_second: f64) -> String {
    scaled(per_second, &[(1e9, "G/s"), (1e6, "M/s"), (1e3, "k/s"), (1.0, "/s")])
}

/// Bytes per second as `9.83 GB/s`; decimal, as memory and networks are rated.
pub fn bandwidth(bytes_per_second: f64) -> String {
    scaled(bytes_per_second, &[(1e9, "GB/s"), (1e6, "MB/s"), (1e3, "kB/s"), (1.0, "B/s")])
}

/// Any number of bytes as `9.83 GB`; decimal, as their rate is.
pub fn bytes(bytes: f64) -> String {
    if bytes < 1000.0 {
        return format!("{bytes:.0} B");
    }
    scaled(bytes, &[(1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")])
}

/// Bytes as `64 B`, `16 KiB`.
pub fn size(bytes: usize) -> String {
    if bytes >= 1024 && bytes.is_multiple_of(1024) { format!("{} KiB", bytes / 1024) } else { format!("{bytes} B") }
}

fn scaled(value: f64, units: &[(f64, &str)]) -> String {
    let last = units[units.len() - 1];
    // From 999.5 on, three digits round up to the next unit.
    let (scale, unit) = units.iter().copied().find(|&(scale, _)| value >= scale * 0.9995).unwrap_or(last);
    let scaled = value / scale;
    let decimals = match scaled {
        s if s >= 99.95 => 0,
        s if s >= 9.995 => 1,
        _ => 2,
    };
    format!("{scaled:.decimals$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_and_a_unit() {
        assert_eq!(time(246.3), "246 ns");
        assert_eq!(time(999.7), "1.00 µs");
        assert_eq!(time(26_040.0), "26.0 µs");
        assert_eq!(time(0.0), "0.00 ns");
        assert_eq!(rate(20_480_000.0), "20.5 M/s");
        assert_eq!(bandwidth(9.83e9), "9.83 GB/s");
        assert_eq!((bytes(0.0), bytes(999.0), bytes(1234.0)), ("0 B".into(), "999 B".into(), "1.23 kB".into()));
        assert_eq!(size(64), "64 B");
        assert_eq!(size(65_536), "64 KiB");
    }
}
