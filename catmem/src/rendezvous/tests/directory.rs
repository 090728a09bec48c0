// SPDX-License-Identifier: MIT OR Apache-2.0
//! Names in a directory within one process: taken, free, stale, crowded, and things that are no pipes.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use runtime::{Errno, Error, Result};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};

use super::{accepted, hello, pipe_name};
use crate::mapping::Mapping;
use crate::rendezvous::{Directory, OpenRequest, recv_hello, recv_request, send_hello, send_request};
use crate::testing::{Scratch, isolated, open_fds, skipped};

fn errno_of<T>(result: Result<T>) -> Option<Errno> {
    result.err().map(Error::errno)
}

fn entries(path: &Path) -> usize {
    fs::read_dir(path).unwrap().count()
}

/// A socket's file that nobody listens on, as a killed process leaves it.
fn leave_stale_socket(path: &Path) {
    let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).unwrap();
    rustix::net::bind(&socket, &SocketAddrUnix::new(path).unwrap()).unwrap();
}

#[test]
fn the_default_follows_the_runtime_directory() {
    let of = |dir: &str| Directory::path_for(Some(dir.into()));
    let own = PathBuf::from(format!("/tmp/margay-{}", rustix::process::geteuid().as_raw()));
    assert_eq!(of("/run/user/7"), Path::new("/run/user/7/margay"));
    assert_eq!(of(""), own);
    assert_eq!(of("relative"), own);
    assert_eq!(Directory::path_for(None), own);
}

#[test]
fn a_missing_directory_is_made_for_its_owner_alone() {
    let scratch = Scratch::new();
    let path = scratch.path().join("a/b/c");
    Directory::open(&path).unwrap();
    for path in [path.as_path(), path.parent().unwrap()] {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o700);
    }
    Directory::open(&path).unwrap();
}

#[test]
fn unsafe_directories_are_refused() {
    let scratch = Scratch::new();
    let path = scratch.path().join("pipes");
    fs::create_dir(&path).unwrap();
    for (mode, expected) in [
        (0o700, None),
        (0o755, None),
        (0o720, Some(Errno::ACCESS)),
        (0o702, Some(Errno::ACCESS)),
        (0o1777, Some(Errno::ACCESS)),
    ] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(errno_of(Directory::open(&path)), expected, "{mode:o}");
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();

    let link = scratch.path().join("link");
    symlink(&path, &link).unwrap();
    assert_eq!(errno_of(Directory::open(&link)), Some(Errno::ACCESS));
    assert_eq!(errno_of(Directory::open(&link.join(""))), Some(Errno::ACCESS), "with a slash at the end");

    let file = scratch.path().join("file");
    fs::write(&file, b"").unwrap();
    assert_eq!(errno_of(Directory::open(&file)), Some(Errno::EXIST));
    assert_eq!(errno_of(Directory::open(&file.join("below"))), Some(Errno::NOTDIR));
    assert!(Directory::open(Path::new("")).is_err());

    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&path, Some(65534), None).unwrap();
        assert_eq!(errno_of(Directory::open(&path)), Some(Errno::ACCESS));
    } else {
        skipped("unsafe_directories_are_refused", "only root can give a directory away");
    }
}

#[test]
fn a_name_is_there_as_long_as_its_listener() {
    let scratch = Scratch::new();
    let directory = Directory::open(scratch.path()).unwrap();
    let name = pipe_name("echo");
    assert_eq!(errno_of(directory.connect(&name)), Some(Errno::NOENT));

    let listener = directory.listen(&name).unwrap();
    let file = fs::metadata(scratch.path().join("echo.pipe")).unwrap();
    assert!(file.file_type().is_socket());
    assert_eq!(file.permissions().mode() & 0o077, 0, "only the owner may connect");
    assert_eq!(errno_of(directory.listen(&name)), Some(Errno::EXIST));
    assert_eq!(errno_of(Directory::open(scratch.path()).unwrap().listen(&name)), Some(Errno::EXIST));
    // Those two looked whether somebody is there, and it has heard nothing of that.
    assert!(accepted(&listener).is_none());

    let opener = directory.connect(&name).unwrap();
    send_request(&opener, OpenRequest { membarrier: false }).unwrap();
    let creator = accepted(&listener).unwrap();
    assert_eq!(recv_request(&creator), Ok(Some(OpenRequest { membarrier: false })));
    drop(listener);
    assert_eq!(entries(scratch.path()), 0);
    assert_eq!(errno_of(directory.connect(&name)), Some(Errno::NOENT));

    // The connection does not need the name any more.
    let memory = Mapping::create(4096).unwrap().1;
    send_hello(&creator, &hello(), &memory, [memory.as_fd(), memory.as_fd()]).unwrap();
    assert_eq!(recv_hello(&opener).unwrap().unwrap().0, hello());
}

#[test]
fn paths_may_be_longer_than_a_socket_address() {
    let scratch = Scratch::new();
    let path = scratch.path().join("d".repeat(200)).join("e".repeat(200));
    let directory = Directory::open(&path).unwrap();
    let name = pipe_name(&"n".repeat(64));
    let listener = directory.listen(&name).unwrap();
    let _opener = directory.connect(&name).unwrap();
    assert!(accepted(&listener).is_some());
    drop(listener);
    assert_eq!(entries(&path), 0);
}

#[test]
fn a_stale_name_is_taken_over() {
    let scratch = Scratch::new();
    let directory = Directory::open(scratch.path()).unwrap();
    let name = pipe_name("stale");
    leave_stale_socket(&scratch.path().join("stale.pipe"));
    assert_eq!(errno_of(directory.connect(&name)), Some(Errno::CONNREFUSED));
    let listener = directory.listen(&name).unwrap();
    directory.connect(&name).unwrap();
    drop(listener);
    assert_eq!(entries(scratch.path()), 0);
}

#[test]
fn what_is_no_pipe_stays_as_it_is() {
    let scratch = Scratch::new();
    let directory = Directory::open(scratch.path()).unwrap();
    let path = |name: &str| scratch.path().join(format!("{name}.pipe"));

    fs::write(path("file"), b"precious").unwrap();
    fs::create_dir(path("directory")).unwrap();
    symlink("file.pipe", path("link")).unwrap();
    symlink("nowhere", path("dangling")).unwrap();
    let stream = UnixListener::bind(path("stream")).unwrap();
    for name in ["file", "directory", "link", "dangling", "stream"] {
        assert_eq!(errno_of(directory.listen(&pipe_name(name))), Some(Errno::EXIST), "{name}");
        assert!(path(name).is_symlink() || path(name).exists(), "{name}");
        assert!(directory.connect(&pipe_name(name)).is_err(), "{name}");
    }
    assert_eq!(fs::read(path("file")).unwrap(), b"precious");
    assert_eq!(errno_of(directory.connect(&pipe_name("stream"))), Some(Errno::PROTO));
    drop(stream);
}

#[test]
fn a_listener_leaves_its_successors_file_alone() {
    let scratch = Scratch::new();
    let directory = Directory::open(scratch.path()).unwrap();
    let name = pipe_name("moved");
    let first = directory.listen(&name).unwrap();
    fs::remove_file(scratch.path().join("moved.pipe")).unwrap();
    let second = directory.listen(&name).unwrap();
    drop(first);
    let _opener = directory.connect(&name).unwrap();
    assert!(accepted(&second).is_some());

    // Nor does it mind if the file is gone, or the directory with it.
    fs::remove_file(scratch.path().join("moved.pipe")).unwrap();
    drop(second);
    let third = directory.listen(&name).unwrap();
    fs::remove_dir_all(scratch.path()).unwrap();
    drop(third);
    assert_eq!(errno_of(directory.listen(&name)), Some(Errno::NOENT));
    fs::create_dir(scratch.path()).unwrap();
}

#[test]
fn a_crowd_of_openers_is_told_to_try_again() {
    let scratch = Scratch::new();
    let directory = Directory::open(scratch.path()).unwrap();
    let name = pipe_name("crowd");
    let listener = directory.listen(&name).unwrap();
    let mut openers = Vec::new();
    let full = loop {
        match directory.connect(&name) {
            Ok(opener) => openers.push(opener),
            Err(error) => break error,
        }
        assert!(openers.len() < 1000, "the backlog has no end");
    };
    assert_eq!(full.errno(), Errno::AGAIN);
    assert_eq!(errno_of(directory.listen(&name)), Some(Errno::EXIST), "a full backlog is a live process");
    assert!(accepted(&listener).is_some());
    openers.push(directory.connect(&name).unwrap());
    let waiting = openers.len() - 1;
    drop(openers);
    for _ in 0..waiting {
        assert!(accepted(&listener).is_some(), "who hung up is accepted all the same");
    }
    assert!(accepted(&listener).is_none());
}

#[test]
fn a_lock_that_is_never_let_go_ends_in_an_error() {
    let scratch = Scratch::new();
    let directory = Directory::open(scratch.path()).unwrap();
    let lock = directory.lock().unwrap();
    assert_eq!(errno_of(directory.listen(&pipe_name("locked"))), Some(Errno::BUSY), "clones do not share the lock");
    drop(lock);
    directory.listen(&pipe_name("locked")).unwrap();
    assert_eq!(entries(scratch.path()), 0);
}

#[test]
fn nothing_is_left_of_a_thousand_pipes() {
    isolated(concat!(module_path!(), "::nothing_is_left_of_a_thousand_pipes"), || {
        let scratch = Scratch::new();
        let directory = Directory::open(scratch.path()).unwrap();
        let memory = Mapping::create(4096).unwrap().1;
        let before = open_fds();
        for round in 0..1000 {
            let name = pipe_name(&format!("pipe-{}", round % 7));
            let listener = directory.listen(&name).unwrap();
            let opener = directory.connect(&name).unwrap();
            if round % 3 == 0 {
                let creator = accepted(&listener).unwrap();
                send_hello(&creator, &hello(), &memory, [memory.as_fd(), memory.as_fd()]).unwrap();
                if round % 2 == 0 {
                    recv_hello(&opener).unwrap().unwrap();
                }
            }
        }
        assert_eq!(open_fds(), before);
        assert_eq!(entries(scratch.path()), 0);
    });
}
