// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rings that arrive, counters that are full, and all that a peer could send in place of an eventfd.

use std::fs::File;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::MemfdFlags;
use std::io::pipe;

use super::*;
use crate::testing::{Scratch, isolated, open_fds};

fn is_readable(eventfd: &Eventfd) -> bool {
    poll(&mut [PollFd::new(eventfd, PollFlags::IN)], Some(&Timespec::default())).unwrap() == 1
}

#[test]
fn a_ring_is_heard_once() {
    let ours = Eventfd::new().unwrap();
    let theirs = Eventfd::from_peer(ours.as_fd().try_clone_to_owned().unwrap()).unwrap();
    assert!(!is_readable(&theirs));
    assert_eq!(theirs.drain(), Ok(false));
    ours.ring().unwrap();
    ours.ring().unwrap();
    assert!(is_readable(&theirs));
    assert_eq!(theirs.drain(), Ok(true));
    assert_eq!(theirs.drain(), Ok(false));
}

#[test]
fn a_full_counter_counts_as_rung() {
    let eventfd = Eventfd::new().unwrap();
    rustix::io::write(&eventfd, &(u64::MAX - 1).to_ne_bytes()).unwrap();
    assert_eq!(eventfd.ring(), Ok(()));
    assert_eq!(eventfd.drain(), Ok(true));
}

#[test]
fn a_blocking_eventfd_becomes_non_blocking() {
    let blocking = rustix::event::eventfd(0, EventfdFlags::empty()).unwrap();
    assert_eq!(Eventfd::from_peer(blocking).unwrap().drain(), Ok(false));
}

#[test]
fn only_an_eventfd_is_taken() {
    isolated(concat!(module_path!(), "::only_an_eventfd_is_taken"), || {
        let scratch = Scratch::new();
        let named_alike = scratch.path().join("anon_inode:[eventfd]");
        let before = open_fds();
        let (pipe_read, pipe_write) = pipe().unwrap();
        let bad: [(&str, OwnedFd); 7] = [
            ("a file", File::create_new(scratch.path().join("file")).unwrap().into()),
            ("a file of that name", File::create_new(named_alike).unwrap().into()),
            ("a device", File::open("/dev/null").unwrap().into()),
            ("a pipe", pipe_read.into()),
            ("a pipe's other end", pipe_write.into()),
            ("an epoll", rustix::event::epoll::create(rustix::event::epoll::CreateFlags::CLOEXEC).unwrap()),
            ("a memfd", rustix::fs::memfd_create("anon_inode:[eventfd]", MemfdFlags::CLOEXEC).unwrap()),
        ];
        for (what, fd) in bad {
            assert_eq!(Eventfd::from_peer(fd).unwrap_err().errno(), Errno::PROTO, "{what}");
        }
        assert_eq!(open_fds(), before);
    });
}
