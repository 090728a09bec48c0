// SPDX-License-Identifier: MIT OR Apache-2.0
//! TCP Fast Open (RFC 7413) with the kernel as the other end: who gives cookies, who shows them, and that what goes with a SYN comes once
//! and at once, or again where it was not taken.

use crate::host::{BOTH, Host, Link};
use crate::space::Space;
use crate::streams::read_end;
use core::net::SocketAddr;
use core::time::Duration;
use network::counters::Reason;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::mpsc::channel;

on_all_links! { []; ours_calls theirs_calls a_key_that_changed }

const QUESTION: &[u8] = b"what time is it, and why do you ask?";
const ANSWER: &[u8] = b"late";
const PATIENCE: Duration = Duration::from_secs(20);

fn set(socket: &impl AsRawFd, option: libc::c_int, value: libc::c_int) {
    let len = size_of_val(&value) as libc::socklen_t;
    // SAFETY: the kernel reads an int of that length, which lives here.
    let set =
        unsafe { libc::setsockopt(socket.as_raw_fd(), libc::IPPROTO_TCP, option, (&raw const value).cast(), len) };
    assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
}

/// Both ends may, and the kernel says so.
fn host(link: Link, peer: &Space) -> Host {
    peer.sysctl("ipv4.tcp_fastopen", "3");
    Host::with(link, peer, |settings| settings.tcp.fast_open = true)
}

/// What the kernel has counted under a name.
fn counted(peer: &Space, name: &'static str) -> u64 {
    let text = peer.run(|| std::fs::read_to_string("/proc/thread-self/net/netstat").expect("counters"));
    let mut lines = text.lines().filter(|line| line.starts_with("TcpExt:")).map(str::split_whitespace);
    let (names, numbers) = (lines.next().expect("names"), lines.next().expect("numbers"));
    let number = names.zip(numbers).find(|(found, _)| *found == name).map(|(_, number)| number);
    number.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("the kernel does not count {name}"))
}

/// Nothing was wrong with any segment.
#[track_caller]
fn assert_all_understood(host: &Host) {
    for reason in [Reason::Tcp, Reason::TcpChecksum, Reason::TcpUnacceptable, Reason::TcpNobody] {
        assert_eq!(host.dropped(reason), 0, "{reason:?}: {:?}", host.drops());
    }
}

/// Answers so many, one after another.
fn answer(listener: &TcpListener, calls: usize) {
    for _ in 0..calls {
        let (mut socket, _) = listener.accept().expect("a call");
        socket.set_read_timeout(Some(PATIENCE)).expect("a time limit");
        let mut heard = vec![0; QUESTION.len()];
        socket.read_exact(&mut heard).expect("a question");
        assert_eq!(heard, QUESTION);
        socket.write_all(ANSWER).expect("room");
        read_end(&mut socket);
    }
}

/// We connect, and ask before anything was heard.
#[track_caller]
fn ask(host: &mut Host, own: &str, to: SocketAddr) {
    let id = host.calls(own, to);
    host.says(id, QUESTION).unwrap();
    host.connected(id).unwrap();
    assert_eq!(host.hears(id).unwrap(), ANSWER);
    host.shuts(id).unwrap();
    host.pops_the_end(id);
    host.closes(id);
    host.finishes();
}

/// The first call asks for a cookie, the next ones bring their question with them.
fn ours_calls(link: Link, peer: &Space) {
    let mut host = host(link, peer);
    for (number, (ours, theirs)) in (0..).zip(BOTH) {
        let (listener, to) = peer.tcp(theirs);
        set(&listener, libc::TCP_FASTOPEN, 16);
        let answered = peer.beside(move || answer(&listener, 4));
        ask(&mut host, ours, to);
        assert_eq!((host.counters().fast_opens_sent, counted(peer, "TCPFastOpenPassive")), (number * 3, number * 3));
        for _ in 0..3 {
            ask(&mut host, ours, to);
        }
        host.until_joined(answered);
        let passive = counted(peer, "TCPFastOpenPassive");
        assert_eq!((host.counters().fast_opens_sent, passive), (number * 3 + 3, number * 3 + 3));
    }
    assert_all_understood(&host);
}

/// The kernel has forgotten which cookies it gave: the questions come behind the handshake, and another cookie with it.
fn a_key_that_changed(link: Link, peer: &Space) {
    let mut host = host(link, peer);
    let (ours, theirs) = BOTH[0];
    let (listener, to) = peer.tcp(theirs);
    set(&listener, libc::TCP_FASTOPEN, 16);
    let answered = peer.beside(move || answer(&listener, 4));
    ask(&mut host, ours, to);
    ask(&mut host, ours, to);
    assert_eq!(host.counters().fast_opens_sent, 1);
    peer.sysctl("ipv4.tcp_fastopen_key", "01234567-89abcdef-01234567-89abcdef");
    ask(&mut host, ours, to);
    assert_eq!(host.counters().fast_opens_sent, 1);
    assert_eq!(counted(peer, "TCPFastOpenPassiveFail"), 1);
    ask(&mut host, ours, to);
    assert_eq!((host.counters().fast_opens_sent, counted(peer, "TCPFastOpenPassive")), (2, 2));
    host.until_joined(answered);
}

/// The kernel connects, and asks at once: with its SYN, once it has our cookie. We answer before it has answered ours.
fn theirs_calls(link: Link, peer: &Space) {
    let mut host = host(link, peer);
    for (number, (ours, _)) in (0..).zip(BOTH) {
        let (listening, to) = host.listens(ours, 16);
        let (next, todo) = channel::<()>();
        let asked = peer.beside(move || {
            for () in todo {
                let family =
                    if to.is_ipv4() { rustix::net::AddressFamily::INET } else { rustix::net::AddressFamily::INET6 };
                let socket = rustix::net::socket(family, rustix::net::SocketType::STREAM, None).expect("a socket");
                set(&socket, libc::TCP_FASTOPEN_CONNECT, 1);
                rustix::net::connect(&socket, &to).expect("it connects, now or with what is written");
                let mut socket = TcpStream::from(socket);
                socket.set_read_timeout(Some(PATIENCE)).expect("a time limit");
                socket.write_all(QUESTION).expect("room");
                let mut heard = vec![0; ANSWER.len()];
                socket.read_exact(&mut heard).expect("an answer");
                assert_eq!(heard, ANSWER);
            }
        });
        for call in 0..4 {
            next.send(()).expect("they listen");
            let id = host.accepts(listening);
            assert_eq!(host.hears(id).unwrap(), QUESTION);
            assert_eq!(host.counters().fast_opens_received, number * 3 + call);
            host.says(id, ANSWER).unwrap();
            host.pops_the_end(id);
            host.closes(id);
        }
        drop(next);
        host.until_joined(asked);
        host.finishes();
        assert_eq!(counted(peer, "TCPFastOpenActive"), number * 3 + 3, "SYNs with data that were acknowledged");
        host.closes(listening);
    }
    assert_all_understood(&host);
}
