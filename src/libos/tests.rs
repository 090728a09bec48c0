// SPDX-License-Identifier: MIT OR Apache-2.0
//! Messages, errors of arguments, and both ends of a pipe against a model.

mod model;

use crate::{Config, Errno, LibOs, Outcome, Qd};
use std::time::Duration;

const LIMIT: Option<Duration> = Some(Duration::from_secs(10));

fn config(directory: &tempfile::TempDir) -> Config {
    let mut config = Config::default();
    config.catmem.directory = Some(directory.path().into());
    config
}

fn pair() -> (tempfile::TempDir, LibOs, Qd, Qd) {
    let directory = tempfile::tempdir().unwrap();
    let mut libos = LibOs::new(&config(&directory)).unwrap();
    let (made, opened) = (libos.create_pipe("p").unwrap(), libos.open_pipe("p").unwrap());
    (directory, libos, made, opened)
}

#[test]
fn message_goes_both_ways() {
    let (_directory, mut libos, made, opened) = pair();
    for (from, to) in [(made, opened), (opened, made)] {
        let pushed = libos.push(from, b"hello").unwrap();
        let popped = libos.pop(to, None).unwrap();
        assert!(matches!(libos.wait(pushed, LIMIT).unwrap().outcome, Outcome::Push));
        assert_eq!(libos.wait(popped, LIMIT).unwrap().into_message().unwrap().to_vec(), b"hello");
    }
}

#[test]
fn messages_of_every_size_arrive_whole_and_in_order() {
    let (_directory, mut libos, made, opened) = pair();
    for len in [1, 7, 8, 9, 64, 1000, 2048, 2049, 65_000, 65_536, 70_000, 300_000, 5_000_000] {
        let bytes: Vec<u8> = (0..len).map(|i: usize| (i * 31 + len) as u8).collect();
        let popped = libos.pop(opened, None).unwrap();
        let pushed = libos.push(made, &bytes[..]).unwrap();
        let message = libos.wait(popped, LIMIT).unwrap().into_message().unwrap();
        libos.wait(pushed, LIMIT).unwrap().ok().unwrap();
        assert_eq!(message.to_vec(), bytes, "{len} bytes");
    }
}

#[test]
fn errors_of_arguments() {
    let (_directory, mut libos, made, _) = pair();
    assert_eq!(libos.push(made, b"").unwrap_err().errno(), Errno::INVAL);
    assert_eq!(libos.pop(made, Some(0)).unwrap_err().errno(), Errno::INVAL);
    let closed = libos.close(made).unwrap();
    libos.wait(closed, LIMIT).unwrap().ok().unwrap();
    assert_eq!(libos.pop(made, None).unwrap_err().errno(), Errno::BADF);
    assert_eq!(libos.wait(closed, LIMIT).unwrap_err().errno(), Errno::INVAL);
}

/// What another LibOs has given out, or one that has ended, is nothing here: no operation, no queue and no set.
#[test]
fn what_is_of_another_libos_is_stale() {
    let (_before, mut ended, qd, _) = pair();
    let qt = ended.pop(qd, None).unwrap();
    drop(ended);
    let (_directory, mut libos, made, opened) = pair();
    let (_other, mut other, others_qd, _) = pair();
    let others_qt = other.pop(others_qd, None).unwrap();
    let pending = libos.pop(made, None).unwrap();
    for stale in [qt, others_qt] {
        assert_ne!(stale, pending);
        assert_eq!(libos.cancel(stale).unwrap_err().errno(), Errno::INVAL);
        assert_eq!(libos.wait(stale, LIMIT).unwrap_err().errno(), Errno::INVAL);
    }
    for stale in [qd, others_qd] {
        assert_eq!(libos.close(stale).unwrap_err().errno(), Errno::BADF);
    }
    let (set, others_set) = (libos.wait_set(), other.wait_set());
    libos.add_to_wait_set(&set, pending).unwrap();
    assert_eq!(libos.wait_in_set(&others_set, LIMIT).unwrap_err().errno(), Errno::INVAL);
    assert_eq!(libos.close_wait_set(others_set).unwrap_err().errno(), Errno::INVAL);
    libos.push(opened, b"still there").unwrap();
    assert_eq!(libos.wait_in_set(&set, LIMIT).unwrap().qt, pending);
}

/// A descriptor that was closed stays closed, however many come and go.
#[test]
fn a_closed_descriptor_names_nobody_elses_queue() {
    let mut queues = super::queues::Queues::new(3);
    let mut made = || {
        let index = queues.reserve().unwrap();
        let qd = queues.insert(index, 0, 0);
        queues.remove(qd);
        qd
    };
    let mut seen = std::collections::HashSet::new();
    let first = made();
    assert!(seen.insert(first));
    for _ in 1..3 * 2048 {
        assert!(seen.insert(made()), "a descriptor was given out twice");
    }
    // Each was there once: now it begins anew.
    assert_eq!(made(), first);
}

/// The classes may be of one length, as the configuration says.
#[test]
fn large_buffers_may_be_as_small_as_small_ones() {
    let directory = tempfile::tempdir().unwrap();
    let yaml = "buffers: { small_size: 8 KiB, large_size: 8 KiB, small_count: 16, large_count: 16 }";
    let mut config = Config::from_yaml("buffers.yaml", yaml).unwrap();
    config.catmem.directory = Some(directory.path().into());
    let mut libos = LibOs::new(&config).unwrap();
    assert_eq!([8192, 8193].map(|len| libos.alloc(len).unwrap().len()), [8192, 8193]);
}

#[test]
fn a_datagram_without_room_for_its_address_leaves_nothing_behind() {
    let receiver = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    receiver.set_read_timeout(LIMIT).unwrap();
    let to = receiver.local_addr().unwrap();
    for libos in ["catnap", "auto"] {
        let directory = tempfile::tempdir().unwrap();
        let mut config = Config { libos: Some(libos.to_owned()), ..config(&directory) };
        config.buffers.small_count = 16;
        let mut libos = LibOs::new(&config).unwrap();
        let socket = libos.socket(crate::Domain::V4, crate::Kind::Datagram).unwrap();
        let mut held: Vec<_> = (0..16).map(|_| libos.alloc(5).unwrap()).collect();
        let mut message = held.pop().unwrap();
        message.get_mut().unwrap().copy_from_slice(b"first");
        // With a buffer of its own, but none is left for where it goes, should it have to wait.
        match libos.push_to(socket, message, to) {
            Ok(pushed) => libos.wait(pushed, LIMIT).unwrap().ok().unwrap(),
            Err(error) => assert_eq!(error.errno(), Errno::NOBUFS),
        }
        drop(held);
        let pushed = libos.push_to(socket, b"later", to).unwrap();
        libos.wait(pushed, LIMIT).unwrap().ok().unwrap();
        // The first may have gone, too.
        let mut bytes = [0; 8];
        loop {
            let len = receiver.recv(&mut bytes).unwrap();
            if bytes[..len] == *b"later" {
                break;
            }
        }
    }
}
