// SPDX-License-Identifier: MIT OR Apache-2.0
//! Names of any kind: dialled, and cleared away if their owners are dead.

use std::os::unix::net::UnixDatagram;

use runtime::Errno;

use super::accepted;
use crate::rendezvous::{Dial, Directory, FileName};
use crate::testing::Scratch;

fn name(text: &str) -> FileName {
    FileName::new(text).unwrap()
}

#[test]
fn dialling_says_whether_somebody_is_there() {
    let scratch = Scratch::new();
    let directory = Directory::open(scratch.path()).unwrap();
    let socket = directory.socket().unwrap();
    assert_eq!(directory.dial(&socket, &name("a.sock")), Ok(Dial::Nobody));
    let listener = directory.listen_on(name("a.sock"), 0).unwrap();
    assert_eq!(directory.listen_on(name("a.sock"), 0).unwrap_err().errno(), Errno::EXIST);
    assert_eq!(directory.dial(&socket, &name("a.sock")), Ok(Dial::Waiting));
    // The kernel takes one more than its backlog.
    let second = directory.socket().unwrap();
    assert_eq!(directory.dial(&second, &name("a.sock")), Ok(Dial::Full));
    assert!(accepted(&listener).is_some());
    assert_eq!(directory.dial(&second, &name("a.sock")), Ok(Dial::Waiting), "the same socket can try again");
    drop(listener);
    assert_eq!(directory.dial(&directory.socket().unwrap(), &name("a.sock")), Ok(Dial::Nobody));
}

#[test]
fn only_sockets_of_the_dead_are_swept() {
    let scratch = Scratch::new();
    let directory = Directory::open(scratch.path()).unwrap();
    let live = directory.listen_on(name("live.sock"), 8).unwrap();
    // A full one must not be taken for dead either.
    let full = directory.listen_on(name("full.sock"), 0).unwrap();
    let waiting = directory.socket().unwrap();
    assert_eq!(directory.dial(&waiting, &name("full.sock")), Ok(Dial::Waiting));
    for dead in ["dead.sock", "other.pipe"] {
        drop(UnixDatagram::bind(scratch.path().join(dead)).unwrap());
    }
    std::fs::write(scratch.path().join("file.sock"), b"").unwrap();
    std::os::unix::fs::symlink("dead.sock", scratch.path().join("link.sock")).unwrap();

    assert_eq!(directory.sweep(".sock", 64), Ok(1));
    let mut left: Vec<_> = std::fs::read_dir(scratch.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["file.sock", "full.sock", "link.sock", "live.sock", "other.pipe"]);
    assert!(accepted(&live).is_none(), "it has heard nothing of this");
    assert!(accepted(&full).is_some());
}

#[test]
fn a_sweep_has_a_bound() {
    let scratch = Scratch::new();
    let directory = Directory::open(scratch.path()).unwrap();
    for number in 0..10 {
        drop(UnixDatagram::bind(scratch.path().join(format!("{number}.sock"))).unwrap());
    }
    assert_eq!(directory.sweep(".sock", 0), Ok(0));
    assert_eq!(directory.sweep(".sock", 4), Ok(4));
    assert_eq!(directory.sweep(".sock", 64), Ok(6));
    assert_eq!(directory.sweep(".sock", 64), Ok(0));
}
