// SPDX-License-Identifier: MIT OR Apache-2.0
//! What `libos: auto` takes. Where io_uring is forbidden, `libos: catcollar` says so once and clearly, and `auto` serves by
//! catnap.
//!
//! Each case runs in a process of its own, this test's program once more, which a seccomp filter keeps from one of the
//! system calls. Text: `seccomp(2)`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where what it stands on is missing")]

#[path = "common/forbid.rs"]
mod forbid;

use margay::{Config, Domain, Errno, Kind, LibOs, StartError, stats};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Says to this program that it is the process of a case.
const CASE: &str = "MARGAY_TEST_FALLBACK";
const LIMIT: Option<Duration> = Some(Duration::from_secs(20));

/// Runs `case` in a process that `change` is called in first.
///
/// # Safety
/// `change` runs between fork and exec: it may make system calls, and touch nothing but what it owns.
unsafe fn within(test: &str, case: fn(), change: impl FnMut() -> std::io::Result<()> + Send + Sync + 'static) {
    if std::env::var_os(CASE).is_some() {
        return case();
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env(CASE, "1").env_remove("LIBOS").env_remove("CONFIG_PATH");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // SAFETY: the caller promises it.
    unsafe { command.pre_exec(change) };
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("1 passed"), "the case has run: {text}");
}

/// Runs `case` in a process that may not make this call.
fn without(call: libc::c_long, errno: Errno, test: &str, case: fn()) {
    let mut filter = forbid::filter(call, errno.raw());
    // SAFETY: it makes two system calls, and touches nothing but its own copy of the filter.
    unsafe { within(test, case, move || forbid::install(&mut filter)) };
}

fn config(libos: &str, directory: &tempfile::TempDir) -> Config {
    let mut config = Config { libos: Some(libos.to_owned()), ..Config::default() };
    config.catmem.directory = Some(directory.path().into());
    config
}

/// Echoes over TCP with a client of the kernel, and says which back end did it.
fn served_by(libos: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let config = config(libos, &directory);
    let mut libos = LibOs::new(&config).unwrap();
    let listening = libos.socket(Domain::V4, Kind::Stream).unwrap();
    libos.bind(listening, "127.0.0.1:0".parse().unwrap()).unwrap();
    libos.listen(listening, 4).unwrap();
    let address: SocketAddr = libos.local_address(listening).unwrap();
    let client = std::thread::spawn(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(LIMIT).unwrap();
        stream.write_all(b"who serves?").unwrap();
        let mut answer = [0; 11];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"who serves?");
    });
    let accepting = libos.accept(listening).unwrap();
    let served = libos.wait(accepting, LIMIT).unwrap().accepted().unwrap();
    let popped = libos.pop(served, None).unwrap();
    let message = libos.wait(popped, LIMIT).unwrap().into_message().unwrap();
    let pushed = libos.push(served, message).unwrap();
    libos.wait(pushed, LIMIT).unwrap().ok().unwrap();
    client.join().unwrap();
    let published = stats::published(&stats::directory(&config)).unwrap();
    let (_, page) = &published.pages[0];
    page.backends().collect::<Vec<_>>().join(" ")
}

fn refusal() -> StartError {
    let directory = tempfile::tempdir().unwrap();
    LibOs::new(&config("catcollar", &directory)).map(drop).expect_err("io_uring is forbidden")
}

/// One line that says what is wrong and what to do.
fn is_clear(error: &StartError, errno: Errno) {
    let StartError::System(system) = error else { panic!("{error}") };
    assert_eq!(system.errno(), errno);
    let told = error.to_string();
    for word in ["io_uring", "catnap", "auto"] {
        assert!(told.contains(word), "{word}: {told}");
    }
    assert_eq!(told.lines().count(), 1, "{told}");
}

#[test]
fn with_io_uring_auto_is_catcollar() {
    assert_eq!(served_by("auto"), "catcollar");
    assert_eq!(served_by("catcollar"), "catcollar");
    assert_eq!(served_by("catnap"), "catnap");
}

#[test]
fn rings_need_no_right_and_little_locked_memory() {
    let case = || {
        let bits = std::fs::read_to_string("/proc/self/status").unwrap();
        assert!(bits.contains("CapEff:\t0000000000000000\n"), "{bits}");
        assert_eq!(served_by("auto"), "catcollar");
        assert_eq!(served_by("catnap"), "catnap");
    };
    // SAFETY: it makes system calls, and touches nothing.
    unsafe { within("rings_need_no_right_and_little_locked_memory", case, || forbid::give_up_rights(1 << 20)) };
}

/// Bytes that the processes of the next test may lock, and of the message that they push: far more.
const LOCKED: u64 = 1 << 20;
const LONG: usize = 12 << 20;

/// Pushes a long message without a copy, as far as that is allowed, to a client that reads it late; the rest of it is copied.
fn pushes_a_long_message(libos: &str) {
    let directory = tempfile::tempdir().unwrap();
    let mut config = config(libos, &directory);
    config.catnap.zero_copy = Some(4096);
    config.catcollar.zero_copy = Some(4096);
    let mut libos = LibOs::new(&config).unwrap();
    let listening = libos.socket(Domain::V4, Kind::Stream).unwrap();
    libos.bind(listening, "127.0.0.1:0".parse().unwrap()).unwrap();
    libos.listen(listening, 4).unwrap();
    let address: SocketAddr = libos.local_address(listening).unwrap();
    let client = std::thread::spawn(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(LIMIT).unwrap();
        std::thread::sleep(Duration::from_millis(20));
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        all
    });
    let accepting = libos.accept(listening).unwrap();
    let served = libos.wait(accepting, LIMIT).unwrap().accepted().unwrap();
    let message: Vec<u8> = (0..LONG).map(|index| (index % 251) as u8).collect();
    // In one piece and in several.
    let mut parts = margay::Sga::new();
    for part in message.chunks(LONG / 5) {
        let mut buf = libos.alloc(part.len()).unwrap();
        buf.get_mut().unwrap().copy_from_slice(part);
        parts.push_back(buf).unwrap();
    }
    let pushes = [libos.push(served, &message[..]).unwrap(), libos.push(served, parts).unwrap()];
    for pushed in pushes {
        libos.wait(pushed, LIMIT).unwrap().ok().unwrap();
    }
    let closed = libos.close(served).unwrap();
    libos.wait(closed, LIMIT).unwrap().ok().unwrap();
    while !client.is_finished() {
        // What it has not read yet is sent meanwhile.
        libos.poll();
    }
    let all = client.join().unwrap();
    assert!(all == [&message[..], &message[..]].concat(), "{} bytes have come", all.len());
}

#[test]
fn more_than_may_be_locked_is_copied() {
    let case = || {
        let bits = std::fs::read_to_string("/proc/self/status").unwrap();
        assert!(bits.contains("CapEff:\t0000000000000000\n"), "{bits}");
        assert_eq!(rustix::process::getrlimit(rustix::process::Resource::Memlock).current, Some(LOCKED));
        pushes_a_long_message("catcollar");
        pushes_a_long_message("catnap");
    };
    // SAFETY: it makes system calls, and touches nothing.
    unsafe { within("more_than_may_be_locked_is_copied", case, || forbid::give_up_rights(LOCKED)) };
}

/// A socket that cannot be watched does not listen: nobody connects to where nobody would ever hear of it.
#[test]
fn what_cannot_be_watched_does_not_listen() {
    let case = || {
        let directory = tempfile::tempdir().unwrap();
        let mut libos = LibOs::new(&config("catnap", &directory)).unwrap();
        let socket = libos.socket(Domain::V4, Kind::Stream).unwrap();
        libos.bind(socket, "127.0.0.1:0".parse().unwrap()).unwrap();
        let address = libos.local_address(socket).unwrap();
        // As with `fs.epoll.max_user_watches` used up; this thread alone.
        forbid::install(&mut forbid::filter(libc::SYS_epoll_ctl, libc::ENOSPC)).unwrap();
        for _ in 0..2 {
            assert_eq!(libos.listen(socket, 4).unwrap_err().errno(), Errno::NOSPC);
        }
        let refused = TcpStream::connect_timeout(&address, Duration::from_secs(20)).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    };
    // SAFETY: nothing is done there.
    unsafe { within("what_cannot_be_watched_does_not_listen", case, || Ok(())) };
}

#[test]
fn a_ring_that_is_forbidden_falls_back() {
    without(libc::SYS_io_uring_setup, Errno::PERM, "a_ring_that_is_forbidden_falls_back", || {
        is_clear(&refusal(), Errno::PERM);
        assert_eq!(served_by("auto"), "catnap");
    });
}

#[test]
fn a_kernel_without_rings_falls_back() {
    without(libc::SYS_io_uring_setup, Errno::NOSYS, "a_kernel_without_rings_falls_back", || {
        is_clear(&refusal(), Errno::NOSYS);
        assert_eq!(served_by("auto"), "catnap");
    });
}

#[test]
fn memory_that_may_not_be_locked_falls_back() {
    without(libc::SYS_io_uring_setup, Errno::NOMEM, "memory_that_may_not_be_locked_falls_back", || {
        is_clear(&refusal(), Errno::NOMEM);
        assert_eq!(served_by("auto"), "catnap");
    });
}

/// Profiles that forget one of the three calls are found at the start, too, and not by the first operation.
#[test]
fn a_ring_that_cannot_be_registered_with_falls_back() {
    without(libc::SYS_io_uring_register, Errno::PERM, "a_ring_that_cannot_be_registered_with_falls_back", || {
        is_clear(&refusal(), Errno::PERM);
        assert_eq!(served_by("auto"), "catnap");
    });
}

#[test]
fn a_ring_that_cannot_be_entered_falls_back() {
    without(libc::SYS_io_uring_enter, Errno::PERM, "a_ring_that_cannot_be_entered_falls_back", || {
        is_clear(&refusal(), Errno::PERM);
        assert_eq!(served_by("auto"), "catnap");
    });
}
