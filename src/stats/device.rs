// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the device of a LibOs has counted: a section behind its page, where a back end has a device of its own.
//!
//! Each is 72 bytes: 64 of a name, with zeros behind it, and the value, little-endian. The first are those that every device has; then
//! come those of its driver or of the kernel, by the names that these give them, as far as they are not zero.

use super::page::Text;
use super::section::Section;

/// Counters that one LibOs tells about; what a NIC has above that is left out.
pub const DEVICE_COUNTERS_MAX: usize = 128;

const NAME_LEN: usize = 64;
pub(super) const SECTION: Section =
    Section { magic: *b"MARGAYDV", record: NAME_LEN + 8, most: DEVICE_COUNTERS_MAX, at: 8192 };
/// The longest.
pub(super) const LEN_MAX: usize = SECTION.len_max();

/// One counter of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceCounter {
    /// What it counts.
    pub name: String,
    /// How many there were since the device was opened, or since the driver counts.
    pub value: u64,
}

/// Adds a counter, with as much of its name as fits. False: there is no room for more.
pub(super) fn add(bytes: &mut Vec<u8>, name: &str, value: u64) -> bool {
    if !SECTION.has_room(bytes) {
        return false;
    }
    bytes.extend(Text::<NAME_LEN>::new(name).bytes());
    bytes.extend(value.to_le_bytes());
    true
}

/// The counters that these bytes tell about; none if a LibOs could not have written them.
pub(super) fn read(bytes: &[u8]) -> Vec<DeviceCounter> {
    SECTION.records(bytes).and_then(|records| records.map(counter).collect()).unwrap_or_default()
}

fn counter(record: &[u8]) -> Option<DeviceCounter> {
    let (name, value) = record.split_first_chunk()?;
    let name = Text::<NAME_LEN>::checked(*name)?.as_str().to_owned();
    Some(DeviceCounter { name, value: u64::from_le_bytes(*value.first_chunk()?) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(count: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(LEN_MAX);
        SECTION.begin(&mut bytes);
        for number in 0..count {
            let has_room = add(&mut bytes, &format!("rx_q{number}_errors"), number as u64);
            assert_eq!(has_room, number < DEVICE_COUNTERS_MAX);
        }
        SECTION.end(&mut bytes);
        assert!(bytes.len() <= LEN_MAX && bytes.capacity() == LEN_MAX, "it does not allocate");
        bytes
    }

    #[test]
    fn what_is_told_is_read_as_far_as_there_is_room() {
        for count in [0, 1, DEVICE_COUNTERS_MAX, DEVICE_COUNTERS_MAX + 5] {
            let read = read(&written(count));
            assert_eq!(read.len(), count.min(DEVICE_COUNTERS_MAX));
            for (number, counter) in read.iter().enumerate() {
                assert_eq!(*counter, DeviceCounter { name: format!("rx_q{number}_errors"), value: number as u64 });
            }
        }
    }

    /// A driver's name is shown on a terminal: nothing else comes through than what may be.
    #[test]
    fn names_are_short_and_can_be_shown() {
        let mut bytes = Vec::new();
        SECTION.begin(&mut bytes);
        assert!(add(&mut bytes, &"n".repeat(100), 1) && add(&mut bytes, "a\x1b[2Jb", 2));
        SECTION.end(&mut bytes);
        let names: Vec<String> = read(&bytes).into_iter().map(|counter| counter.name).collect();
        assert_eq!(names, ["n".repeat(NAME_LEN), "a?[2Jb".to_owned()]);
        // Written by somebody else, with a sum that is right.
        let at = bytes.len() - 8 - SECTION.record;
        bytes[at + 1] = 0x1b;
        let len = bytes.len() - 8;
        let sum = super::super::page::sum(&bytes[..len]);
        bytes[len..].copy_from_slice(&sum.to_le_bytes());
        assert_eq!(read(&bytes), []);
    }

    #[test]
    fn what_is_damaged_or_cut_tells_nothing() {
        let bytes = written(3);
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << (at % 8);
            assert_eq!(read(&changed), [], "byte {at}");
            assert_eq!(read(&bytes[..at]), [], "{at} bytes");
        }
    }
}
