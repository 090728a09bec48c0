// SPDX-License-Identifier: MIT OR Apache-2.0
//! The rendezvous between processes: killed ones, those of another user, and races for one name.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use runtime::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use super::{accepted, pipe_name};
use crate::rendezvous::{Directory, OpenRequest, recv_hello, recv_request, send_refusal, send_request};
use crate::testing::{Scratch, TestProcess, say, skipped, wait_to_go_on};

const ROLE: &str = "MARGAY_TEST_ROLE";
const DIRECTORY: &str = "MARGAY_TEST_DIRECTORY";
const NOBODY: u32 = 65534;
const RACES: u32 = 100;

fn start(role: &str, directory: &Path) -> TestProcess {
    let test = concat!(module_path!(), "::second_process");
    TestProcess::start(test, &[(ROLE, OsStr::new(role)), (DIRECTORY, directory.as_os_str())])
}

/// What a second process does; in the first one it does nothing.
#[test]
fn second_process() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let path = PathBuf::from(std::env::var_os(DIRECTORY).unwrap());
    match role.as_str() {
        "listener" => listener(&path),
        "opener" => opener(&path),
        "racer" => racer(&path),
        "foreign listener" => {
            become_nobody();
            listener(&path);
        }
        "foreign opener" => {
            become_nobody();
            foreign_opener(&path);
        }
        role => panic!("no such role: {role}"),
    }
}

fn listener(path: &Path) {
    let _listener = Directory::open(path).unwrap().listen(&pipe_name("p")).unwrap();
    say("listening");
    wait_to_go_on();
}

fn opener(path: &Path) {
    let socket = Directory::open(path).unwrap().connect(&pipe_name("p")).unwrap();
    send_request(&socket, OpenRequest { membarrier: true }).unwrap();
    say("open");
    wait_to_go_on();
    assert_eq!(recv_hello(&socket).unwrap_err().errno(), Errno::BUSY);
}

/// Connects without any of the checks that `Directory` makes on this side.
fn foreign_opener(path: &Path) {
    assert_eq!(Directory::open(path).unwrap_err().errno(), Errno::ACCESS);
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
    rustix::net::connect(&socket, &SocketAddrUnix::new(path.join("p.pipe")).unwrap()).unwrap();
    send_request(&socket, OpenRequest { membarrier: false }).unwrap();
    say("open");
    wait_to_go_on();
    assert_eq!(recv_hello(&socket).unwrap_err().errno(), Errno::ACCESS);
}

fn racer(path: &Path) {
    let directory = Directory::open(path).unwrap();
    for race in 0..RACES {
        let name = pipe_name(&format!("race-{race}"));
        let start = start_of(path, race);
        say("ready");
        // Both see it within a microsecond or two; a line on standard input would take far longer than the race does.
        assert!((0..50_000_000).any(|_| start.exists()), "the first process is gone");
        let result = directory.listen(&name);
        match &result {
            Ok(_) => say("won"),
            Err(error) if error.errno() == Errno::EXIST => say("lost"),
            Err(error) => panic!("{error}"),
        }
        wait_to_go_on();
    }
}

/// The file that starts a race, beside the directory of the pipes.
fn start_of(directory: &Path, race: u32) -> PathBuf {
    directory.with_file_name(format!("start-{race}"))
}

fn become_nobody() {
    // SAFETY: the call takes two integers, and has no memory of ours to do with.
    assert_eq!((unsafe { libc::setgid(NOBODY) }, unsafe { libc::setuid(NOBODY) }), (0, 0));
}

#[test]
fn two_processes_meet() {
    let scratch = Scratch::new();
    let listener = Directory::open(scratch.path()).unwrap().listen(&pipe_name("p")).unwrap();
    let mut process = start("opener", scratch.path());
    assert_eq!(process.hear(), "open");
    let socket = accepted(&listener).unwrap();
    assert_eq!(recv_request(&socket), Ok(Some(OpenRequest { membarrier: true })));
    send_refusal(&socket, Errno::BUSY).unwrap();
    process.go_on();
    process.finish();
    assert_eq!(listener.refused(), 0);
    assert_eq!(recv_request(&socket).unwrap_err().errno(), Errno::CONNRESET, "its end is seen at once");
}

#[test]
fn the_name_of_a_killed_process_is_free_again() {
    let scratch = Scratch::new();
    let directory = Directory::open(scratch.path()).unwrap();
    let name = pipe_name("p");
    let mut process = start("listener", scratch.path());
    assert_eq!(process.hear(), "listening");
    let before = directory.connect(&name).unwrap();
    assert_eq!(directory.listen(&name).unwrap_err().errno(), Errno::EXIST);
    process.kill();

    assert_eq!(recv_hello(&before).unwrap_err().errno(), Errno::CONNRESET);
    assert_eq!(directory.connect(&name).unwrap_err().errno(), Errno::CONNREFUSED);
    let listener = directory.listen(&name).unwrap();
    let _opener = directory.connect(&name).unwrap();
    assert!(accepted(&listener).is_some());
    drop(listener);
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
}

#[test]
fn openers_of_another_user_are_sent_away() {
    if !rustix::process::geteuid().is_root() {
        skipped("openers_of_another_user_are_sent_away", "only root can become another user");
        return;
    }
    let scratch = Scratch::new();
    let directory = Directory::open(scratch.path()).unwrap();
    let listener = directory.listen(&pipe_name("p")).unwrap();
    // The file system would keep the stranger out: take that away, so that the peer check stands alone.
    fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(scratch.path().join("p.pipe"), fs::Permissions::from_mode(0o666)).unwrap();
    let mut process = start("foreign opener", scratch.path());
    assert_eq!(process.hear(), "open");
    let _friend = directory.connect(&pipe_name("p")).unwrap();
    assert!(accepted(&listener).is_some(), "the friend behind the stranger");
    assert!(accepted(&listener).is_none());
    assert_eq!(listener.refused(), 1);
    process.go_on();
    process.finish();
}

#[test]
fn creators_of_another_user_are_not_trusted() {
    if !rustix::process::geteuid().is_root() {
        skipped("creators_of_another_user_are_not_trusted", "only root can become another user");
        return;
    }
    let scratch = Scratch::new();
    let path = scratch.path().join("pipes");
    fs::create_dir(&path).unwrap();
    chown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
    let mut process = start("foreign listener", &path);
    assert_eq!(process.hear(), "listening");
    assert_eq!(Directory::open(&path).unwrap_err().errno(), Errno::ACCESS);
    // As above: with the directory's own check out of the way.
    chown(&path, Some(0), Some(0)).unwrap();
    let directory = Directory::open(&path).unwrap();
    assert_eq!(directory.connect(&pipe_name("p")).unwrap_err().errno(), Errno::ACCESS);
    chown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
    process.go_on();
    process.finish();
    assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
}

#[test]
fn of_two_that_race_for_a_name_exactly_one_wins() {
    let scratch = Scratch::new();
    let path = scratch.path().join("pipes");
    fs::create_dir(&path).unwrap();
    let mut racers = [start("racer", &path), start("racer", &path)];
    for race in 0..RACES {
        // Every other name has a dead process's socket, which both want to clear away.
        if race % 2 == 1 {
            let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).unwrap();
            let address = SocketAddrUnix::new(path.join(format!("race-{race}.pipe"))).unwrap();
            rustix::net::bind(&socket, &address).unwrap();
        }
        for racer in &mut racers {
            assert_eq!(racer.hear(), "ready");
        }
        fs::write(start_of(&path, race), b"").unwrap();
        let mut results = racers.each_mut().map(TestProcess::hear);
        results.sort();
        assert_eq!(results, ["lost", "won"], "race {race}");
        racers.iter_mut().for_each(TestProcess::go_on);
    }
    racers.into_iter().for_each(TestProcess::finish);
    assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
}
