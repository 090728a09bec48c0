// SPDX-License-Identifier: MIT OR Apache-2.0
//! Segments that two mappings share, and all that a peer could send in place of one.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::event::EventfdFlags;
use rustix::fs::{CWD, FallocateFlags, Mode, OFlags, fallocate, ftruncate};
use std::io::pipe;

use super::*;
use crate::testing::{Scratch, isolated, open_fds};

const LEN: usize = 64 * 1024;

fn memfd(flags: MemfdFlags, len: usize, seals: SealFlags) -> OwnedFd {
    let fd = rustix::fs::memfd_create("test", flags | MemfdFlags::ALLOW_SEALING).unwrap();
    ftruncate(&fd, len as u64).unwrap();
    rustix::fs::fcntl_add_seals(&fd, seals).unwrap();
    fd
}

fn write(mapping: &Mapping, at: usize, value: u8) {
    assert!(at < mapping.len());
    // SAFETY: the offset is inside, and no other thread touches the memory.
    unsafe { mapping.base().add(at).write_volatile(value) }
}

fn read(mapping: &Mapping, at: usize) -> u8 {
    assert!(at < mapping.len());
    // SAFETY: as for `write`.
    unsafe { mapping.base().add(at).read_volatile() }
}

#[test]
fn two_mappings_share_the_memory() {
    let (ours, fd) = Mapping::create(LEN + 1).unwrap();
    let theirs = Mapping::attach(&fd, LEN + 1).unwrap();
    assert_eq!((ours.len(), theirs.len()), (LEN + 1, LEN + 1));
    assert_ne!(ours.base(), theirs.base());
    assert_eq!(read(&theirs, LEN), 0);
    write(&ours, LEN, 7);
    assert_eq!(read(&theirs, LEN), 7);
    drop((ours, fd));
    assert_eq!(read(&theirs, LEN), 7, "a mapping lives on its own");
}

#[test]
fn the_memory_cannot_be_taken_away() {
    let (ours, fd) = Mapping::create(LEN).unwrap();
    let theirs = Mapping::attach(&fd, LEN).unwrap();
    for len in [0, LEN as u64 - 1, LEN as u64 + 1] {
        assert_eq!(ftruncate(&fd, len), Err(OsErrno::PERM));
    }
    assert_eq!(rustix::fs::fcntl_add_seals(&fd, SealFlags::FUTURE_WRITE), Err(OsErrno::PERM));
    write(&ours, 0, 1);
    fallocate(&fd, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, 0, LEN as u64).unwrap();
    for at in 0..LEN {
        assert_eq!(read(&theirs, at), 0);
        write(&theirs, at, 2);
    }
}

#[test]
fn bad_lengths_are_refused() {
    let (_, fd) = Mapping::create(LEN).unwrap();
    for len in [0, usize::MAX, isize::MAX as usize + 1] {
        assert_eq!(Mapping::create(len).unwrap_err().errno(), Errno::INVAL, "{len}");
        assert_eq!(Mapping::attach(&fd, len).unwrap_err().errno(), Errno::INVAL, "{len}");
    }
}

#[test]
fn only_a_sealed_memfd_of_the_right_length_is_mapped() {
    isolated(concat!(module_path!(), "::only_a_sealed_memfd_of_the_right_length_is_mapped"), || {
        let scratch = Scratch::new();
        let file = File::create_new(scratch.path().join("file")).unwrap();
        file.set_len(LEN as u64).unwrap();
        let path_only = rustix::fs::openat(CWD, scratch.path().join("file"), OFlags::PATH, Mode::empty()).unwrap();
        let good = memfd(MemfdFlags::CLOEXEC, LEN, SEALS);
        let read_only = File::open(format!("/proc/self/fd/{}", good.as_raw_fd())).unwrap();
        let (pipe_read, pipe_write) = pipe().unwrap();
        let mut bad: Vec<(&str, OwnedFd)> = vec![
            ("a file", file.into()),
            ("a path", path_only),
            ("a directory", File::open(scratch.path()).unwrap().into()),
            ("a device", File::open("/dev/zero").unwrap().into()),
            ("a pipe", pipe_read.into()),
            ("a pipe's other end", pipe_write.into()),
            ("an eventfd", rustix::event::eventfd(0, EventfdFlags::empty()).unwrap()),
            ("unsealed", memfd(MemfdFlags::CLOEXEC, LEN, SealFlags::empty())),
            ("not sealed against shrinking", memfd(MemfdFlags::CLOEXEC, LEN, SealFlags::GROW | SealFlags::SEAL)),
            ("not sealed against growing", memfd(MemfdFlags::CLOEXEC, LEN, SealFlags::SHRINK | SealFlags::SEAL)),
            ("seals not sealed", memfd(MemfdFlags::CLOEXEC, LEN, SealFlags::SHRINK | SealFlags::GROW)),
            ("sealed against writing", memfd(MemfdFlags::CLOEXEC, LEN, SEALS | SealFlags::WRITE)),
            ("sealed against later writing", memfd(MemfdFlags::CLOEXEC, LEN, SEALS | SealFlags::FUTURE_WRITE)),
            ("empty", memfd(MemfdFlags::CLOEXEC, 0, SEALS)),
            ("short", memfd(MemfdFlags::CLOEXEC, LEN - 1, SEALS)),
            ("long", memfd(MemfdFlags::CLOEXEC, LEN + 1, SEALS)),
            ("read-only", read_only.into()),
        ];
        // Not every kernel has a second file system that files could be sealed on.
        if let Ok(huge) = rustix::fs::memfd_create("test", MemfdFlags::ALLOW_SEALING | MemfdFlags::HUGETLB)
            && ftruncate(&huge, 2 << 20).is_ok()
            && rustix::fs::fcntl_add_seals(&huge, SEALS).is_ok()
        {
            assert_eq!(Mapping::attach(&huge, 2 << 20).unwrap_err().errno(), Errno::PROTO, "huge pages");
        }
        if let Ok(shm) = File::create_new(format!("/dev/shm/margay-test-{}", std::process::id())) {
            std::fs::remove_file(format!("/dev/shm/margay-test-{}", std::process::id())).unwrap();
            shm.set_len(LEN as u64).unwrap();
            bad.push(("a file in shared memory", shm.into()));
        }
        let before = open_fds();
        for (what, fd) in &bad {
            assert_eq!(Mapping::attach(fd, LEN).unwrap_err().errno(), Errno::PROTO, "{what}");
        }
        assert_eq!(Mapping::attach(good.as_fd(), LEN).unwrap().len(), LEN);
        assert_eq!(open_fds(), before);
    });
}
