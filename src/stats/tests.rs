// SPDX-License-Identifier: MIT OR Apache-2.0
use super::publish::PERIOD;
use super::*;
use crate::{Config, LibOs};
use core::time::Duration;
use proptest::prelude::*;
use runtime::socket::Counters;
use std::fs::File;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;

const LIMIT: Option<Duration> = Some(Duration::from_secs(10));

fn config(directory: &Path) -> Config {
    let mut config = Config::default();
    config.catmem.directory = Some(directory.into());
    config
}

fn example() -> Page {
    let mut page = Page::new(4711, "worker");
    page.queues = 3;
    page.written = Duration::from_nanos(5_000_000_001);
    page.counters = Counters {
        messages_pushed: 1,
        bytes_pushed: 2,
        messages_popped: 3,
        bytes_popped: 4,
        accepted: 5,
        connected: 6,
        refused: 7,
        drops: u64::MAX,
        system_calls: 0,
    };
    page.set_backends(["catmem", "catloop"].into_iter());
    page
}

fn files(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with(PREFIX)).collect()
}

#[test]
fn a_page_is_read_as_it_was_written() {
    let page = example();
    let read = Page::from_bytes(&page.to_bytes()).unwrap();
    assert_eq!(read, page);
    assert_eq!((read.process(), read.backends().collect::<Vec<_>>()), ("worker", vec!["catmem", "catloop"]));
}

/// What stands where is a format: a test of its own, so that it does not change by chance.
#[test]
fn numbers_stand_where_the_picture_says() {
    let bytes = example().to_bytes();
    assert_eq!(bytes.len(), 200);
    assert_eq!(&bytes[..16], b"MARGAYST\x01\0\0\0\x67\x12\0\0");
    assert_eq!(bytes[16..24], 5_000_000_001_u64.to_le_bytes());
    assert_eq!(&bytes[24..33], b"\x03\0\0\0\0\0\0\0\x01");
    assert_eq!((bytes[80], bytes[88]), (7, 0xff));
    assert_eq!(&bytes[96..103], b"worker\0");
    assert_eq!(&bytes[128..143], b"catmem catloop\0");
}

#[test]
fn no_changed_byte_goes_unseen() {
    let bytes = example().to_bytes();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut changed = bytes;
            changed[at] ^= 1 << bit;
            assert!(Page::from_bytes(&changed).is_err(), "bit {bit} of byte {at}");
        }
    }
    for len in 0..bytes.len() {
        assert_eq!(Page::from_bytes(&bytes[..len]), Err(Refused::NoPage));
    }
}

#[test]
fn a_right_sum_does_not_help_nonsense() {
    let resum = |mut bytes: [u8; Page::LEN]| {
        let sum = bytes[..192]
            .iter()
            .fold(0xcbf2_9ce4_8422_2325, |sum: u64, &byte| (sum ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
        bytes[192..].copy_from_slice(&sum.to_le_bytes());
        Page::from_bytes(&bytes)
    };
    let right = example().to_bytes();
    assert!(resum(right).is_ok());
    for (at, byte) in [(28, 1), (96, 0x1b), (97, 0xff), (120, b'x'), (128, b'\n'), (191, b'x')] {
        let mut bytes = right;
        bytes[at] = byte;
        assert_eq!(resum(bytes), Err(Refused::Nonsense), "byte {at}");
    }
    let mut bytes = right;
    bytes[8] = 2;
    assert_eq!(resum(bytes), Err(Refused::Version(2)));
}

#[test]
fn names_are_cut_to_what_fits_and_can_be_shown() {
    assert_eq!(Page::new(1, "a\x1b[2Jb\n").process(), "a?[2Jb?");
    let long = "ä".repeat(40);
    let page = Page::new(1, &long);
    assert_eq!(page.process(), "ä".repeat(16));
    assert_eq!(Page::from_bytes(&page.to_bytes()), Ok(page));
    let mut page = Page::new(1, "");
    page.set_backends(["0123456789abcdef"; 8].into_iter());
    assert_eq!(page.backends().count(), 3);
    assert_eq!(Page::from_bytes(&page.to_bytes()), Ok(page));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Page::from_bytes(&bytes).is_err());
    }

    #[test]
    fn what_is_accepted_is_what_was_written(
        pid: u32, queues: u32, nanoseconds: u64, process in ".{0,40}", counters: [u64; 8],
    ) {
        let mut page = Page::new(pid, &process);
        page.queues = queues;
        page.written = Duration::from_nanos(nanoseconds);
        page.counters.messages_pushed = counters[0];
        page.counters.drops = counters[7];
        prop_assert_eq!(Page::from_bytes(&page.to_bytes()), Ok(page));
    }
}

#[test]
fn only_names_of_pages_are_taken_for_pages() {
    assert!(is_page("stats-1-0") && is_page(&file_name(u32::MAX, 17)));
    for name in ["stats-", "stats-1", "stats-1-", "stats-+1-0", "stats-01-0", "stats-1-0-0", "stats-1-x", "x.pipe"] {
        assert!(!is_page(name), "{name}");
    }
}

#[test]
fn a_page_is_there_from_the_first_queue_to_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("made when it is needed");
    let mut libos = LibOs::new(&config(&place)).unwrap();
    libos.poll();
    assert!(!place.exists(), "a LibOs without queues leaves no trace");
    let (made, opened) = (libos.create_pipe("p").unwrap(), libos.open_pipe("p").unwrap());
    let names = files(&place);
    assert_eq!(names.len(), 1);
    let mode = std::fs::metadata(place.join(&names[0])).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let (pushed, popped) = (libos.push(made, b"hello").unwrap(), libos.pop(opened, None).unwrap());
    for qt in [pushed, popped] {
        libos.wait(qt, LIMIT).unwrap().ok().unwrap();
    }
    // The next queue of it makes no second page. What was done meanwhile is told before a sleep.
    let other = libos.create_pipe("q").unwrap();
    let quiet = libos.pop(other, None).unwrap();
    libos.wait(quiet, Some(Duration::from_millis(20))).unwrap_err();
    let published = published(&place).unwrap();
    let [(name, page)] = &published.pages[..] else { panic!("{published:?}") };
    assert_eq!((name, page.pid, page.queues), (&names[0], std::process::id(), 3));
    assert_eq!((page.counters.messages_pushed, page.counters.bytes_popped), (1, 5));
    // All but the system calls, for which the page has no place.
    assert_eq!(page.counters, Counters { system_calls: 0, ..libos.counters() });
    assert_eq!(page.backends().collect::<Vec<_>>(), ["catmem"]);
    assert!(!page.process().is_empty() && page.written > Duration::ZERO);
    drop(libos);
    assert_eq!(files(&place), Vec::<String>::new());
}

#[test]
fn a_busy_libos_writes_now_and_then_and_an_idle_one_never() {
    let directory = tempfile::tempdir().unwrap();
    let mut publisher = Publisher::new(&config(directory.path()));
    let at = |milliseconds| runtime::time::Time::ZERO + Duration::from_millis(milliseconds);
    assert!(!publisher.is_due(at(1_000_000)));
    assert!(publisher.begin() && publisher.is_due(at(1000)));
    let publish = |publisher: &mut Publisher, milliseconds, drops| {
        publisher.publish(at(milliseconds), 1, Counters { drops, ..Counters::default() }, std::iter::once("catmem"));
        let published = published(directory.path()).unwrap();
        (published.pages[0].1.written, published.pages[0].1.counters.drops)
    };
    let written = publish(&mut publisher, 1000, 1);
    assert_eq!(written, (Duration::from_secs(1), 1));
    let period = u64::try_from(PERIOD.as_millis()).unwrap();
    assert!(!publisher.is_due(at(999 + period)) && publisher.is_due(at(1000 + period)));
    assert_eq!(publish(&mut publisher, 2000, 1), written, "nothing is new");
    assert_eq!(publish(&mut publisher, 3000, 2), (Duration::from_secs(3), 2));
}

#[test]
fn what_the_dead_left_is_removed_and_the_living_are_not() {
    let directory = tempfile::tempdir().unwrap();
    let mut libos = LibOs::new(&config(directory.path())).unwrap();
    libos.create_pipe("p").unwrap();
    let own = files(directory.path());
    let others = ["stats-1-1", "stats-2-0"];
    let left = || others.map(|name| std::fs::write(directory.path().join(name), example().to_bytes()).unwrap());
    left();
    std::fs::write(directory.path().join("stats-of-somebody-else"), "").unwrap();
    let seen = published(directory.path()).unwrap();
    assert_eq!((seen.pages.len(), seen.refused.len()), (1, 0));
    left();
    let mut second = LibOs::new(&config(directory.path())).unwrap();
    second.create_pipe("q").unwrap();
    let mut there = files(directory.path());
    there.sort();
    assert_eq!(there.len(), 3, "{there:?}");
    assert!(there.contains(&own[0]) && there.contains(&"stats-of-somebody-else".to_owned()));
}

#[test]
fn a_living_file_that_is_no_page_is_reported_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let place = |name: &str| directory.path().join(name);
    let mut held = Vec::new();
    let mut torn = example().to_bytes();
    torn[40] ^= 1;
    for (name, bytes) in
        [("stats-1-0", &torn[..]), ("stats-2-0", &[7; 5000]), ("stats-3-0", b"MARGAYST"), ("stats-4-0", b"")]
    {
        let file = File::create(place(name)).unwrap();
        file.write_all_at(bytes, 0).unwrap();
        file.try_lock().unwrap();
        held.push(file);
    }
    std::fs::create_dir(place("stats-5-0")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", place("stats-6-0")).unwrap();
    let mut seen = published(directory.path()).unwrap();
    seen.refused.sort();
    assert!(seen.pages.is_empty());
    let refused = [("stats-1-0", Refused::Torn), ("stats-2-0", Refused::NoPage), ("stats-3-0", Refused::NoPage)];
    assert_eq!(seen.refused, refused.map(|(name, why)| (place(name), why)));
    assert_eq!(files(directory.path()).len(), 6);
}

#[test]
fn without_a_directory_there_are_no_statistics_and_no_error() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("no directory");
    std::fs::write(&file, "").unwrap();
    let mut publisher = Publisher::new(&config(&file));
    assert!(!publisher.begin() && !publisher.begin() && !publisher.is_on());
    assert!(!publisher.is_due(runtime::time::Time::MAX - Duration::from_nanos(1)));
    assert!(published(&directory.path().join("not there")).unwrap().pages.is_empty());
    assert!(published(&file).is_err());
}

/// Writers that never stop: what a reader gets is always some state that was written, in order.
#[test]
fn a_reader_beside_a_writer_sees_whole_pages_only() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().to_owned();
    let done = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stop = std::sync::Arc::clone(&done);
    let writer = std::thread::spawn(move || {
        let mut publisher = Publisher::new(&config(&place));
        assert!(publisher.begin());
        let mut round = 0;
        while !stop.load(std::sync::atomic::Ordering::Acquire) {
            round += 1;
            let counters = Counters { messages_pushed: round, drops: !round, ..Counters::default() };
            publisher.publish(runtime::time::Time::from_nanos(round), 1, counters, std::iter::once("catmem"));
        }
    });
    let mut last = 0;
    let mut seen = 0;
    for _ in 0..3000 {
        let published = published(directory.path()).unwrap();
        for (_, page) in published.pages {
            let round = page.counters.messages_pushed;
            assert!(page.counters.drops == !round && page.written == Duration::from_nanos(round) && round >= last);
            last = round;
            seen += 1;
        }
    }
    done.store(true, std::sync::atomic::Ordering::Release);
    writer.join().unwrap();
    assert!(seen > 0, "nothing was ever seen");
}
