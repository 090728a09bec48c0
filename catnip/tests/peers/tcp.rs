// SPDX-License-Identifier: MIT OR Apache-2.0
//! TCP with the kernel as the other end: who calls whom, in both families, over both links; bytes both ways, ends, resets, refusals, and
//! what the kernel says was agreed on.

use crate::host::{BOTH, Host, Link};
use crate::space::Space;
use crate::streams::{read_end, read_exact, write_all};
use core::time::Duration;
use network::counters::Reason;
use runtime::Errno;
use runtime::socket::{OptionName, SocketOption};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};

const BULK: u64 = 8 << 20;

on_all_links! { []; echo_of_theirs echo_of_ours bulk_of_each_way halves_of_ours_first halves_of_theirs_first resets refusals linger }

/// Nothing was wrong with any segment. Not acceptable are those by which the kernel asks for a window.
#[track_caller]
fn assert_all_understood(host: &Host) {
    for reason in [Reason::Tcp, Reason::TcpChecksum] {
        assert_eq!(host.dropped(reason), 0, "{reason:?}: {:?}", host.drops());
    }
}

/// Gives back what comes, until its end.
fn echo(mut socket: TcpStream) -> u64 {
    let (mut piece, mut echoed) = (vec![0; 20_000], 0);
    loop {
        let len = socket.read(&mut piece).expect("bytes or the end");
        if len == 0 {
            return echoed;
        }
        socket.write_all(&piece[..len]).expect("room");
        echoed += len as u64;
    }
}

/// We call: short messages, each after the answer to the one before it.
fn echo_of_theirs(link: Link, peer: &Space) {
    let mut host = Host::with(link, peer, |_| ());
    for (ours, theirs) in BOTH {
        let (listener, to) = peer.tcp(theirs);
        let echoed = peer.serves(listener, echo);
        let id = host.connects(ours, to);
        assert_eq!(host.nic.stack.stream_peer(id).unwrap(), to);
        let mut total = 0;
        for (number, len) in [1, 2, 1447, 1448, 1449, 1460, 3000, 65_000, 1, 200_000].into_iter().enumerate() {
            let sent = crate::host::bytes(len, number);
            host.says(id, &sent).unwrap();
            let mut came = Vec::new();
            while came.len() < len {
                came.extend(host.hears(id).unwrap());
            }
            assert!(came == sent, "{len} bytes");
            total += len as u64;
        }
        host.shuts(id).unwrap();
        assert_eq!(host.until_joined(echoed), total);
        host.pops_the_end(id);
        assert_eq!(host.says(id, b"late").map_err(runtime::Error::errno), Err(Errno::PIPE));
        host.closes(id);
        host.finishes();
    }
    assert_all_understood(&host);
}

/// The kernel calls.
fn echo_of_ours(link: Link, peer: &Space) {
    let mut host = Host::with(link, peer, |_| ());
    for (ours, theirs) in BOTH {
        let (listening, place) = host.listens(ours, 4);
        let called = peer.calls(place, |mut socket| {
            let from = socket.local_addr().expect("it is connected");
            for (number, len) in [1, 1448, 1449, 65_000, 1, 200_000].into_iter().enumerate() {
                let sent = crate::host::bytes(len, number);
                socket.write_all(&sent).expect("room");
                let mut came = vec![0; len];
                socket.read_exact(&mut came).expect("it comes back");
                assert!(came == sent, "{len} bytes");
            }
            socket.shutdown(Shutdown::Write).expect("it is connected");
            read_end(&mut socket);
            from
        });
        let id = host.accepts(listening);
        assert_eq!(host.nic.stack.stream_local(id).unwrap(), place);
        assert_eq!(host.nic.stack.stream_peer(id).unwrap().ip().to_string(), theirs);
        let from = host.nic.stack.stream_peer(id).unwrap();
        assert_eq!(host.echoes(id), 267_899);
        host.closes(id);
        assert_eq!(host.until_joined(called), from);
        host.closes(listening);
        host.finishes();
    }
    assert_all_understood(&host);
}

/// Some megabytes one way, then the other, by either's call.
fn bulk_of_each_way(link: Link, peer: &Space) {
    let mut host = Host::with(link, peer, |_| ());
    for (ours, theirs) in BOTH {
        for we_call in [true, false] {
            let theirs_do = |mut socket: TcpStream| {
                read_exact(&mut socket, BULK);
                write_all(&mut socket, BULK);
                read_end(&mut socket);
            };
            let (id, done) = if we_call {
                let (listener, to) = peer.tcp(theirs);
                let done = peer.serves(listener, theirs_do);
                (host.connects(ours, to), done)
            } else {
                let (listening, place) = host.listens(ours, 1);
                let done = peer.calls(place, theirs_do);
                (host.accepts(listening), done)
            };
            host.pushes(id, BULK);
            host.pops(id, BULK);
            host.shuts(id).unwrap();
            host.until_joined(done);
            host.pops_the_end(id);
            host.closes(id);
            host.finishes();
        }
    }
    assert_all_understood(&host);
}

/// We have said everything, and hear on.
fn halves_of_ours_first(link: Link, peer: &Space) {
    const LEN: u64 = 300_000;
    let mut host = Host::with(link, peer, |_| ());
    for (ours, theirs) in BOTH {
        let (listener, to) = peer.tcp(theirs);
        let done = peer.serves(listener, |mut socket| {
            read_exact(&mut socket, LEN);
            read_end(&mut socket);
            write_all(&mut socket, LEN);
        });
        let id = host.connects(ours, to);
        host.pushes(id, LEN);
        host.shuts(id).unwrap();
        host.pops(id, LEN);
        host.pops_the_end(id);
        host.until_joined(done);
        host.closes(id);
        host.finishes();
    }
    assert_all_understood(&host);
}

/// The kernel has said everything, and hears on.
fn halves_of_theirs_first(link: Link, peer: &Space) {
    const LEN: u64 = 300_000;
    let mut host = Host::with(link, peer, |_| ());
    for (ours, _) in BOTH {
        let (listening, place) = host.listens(ours, 1);
        let done = peer.calls(place, |mut socket| {
            write_all(&mut socket, LEN);
            socket.shutdown(Shutdown::Write).expect("it is connected");
            read_exact(&mut socket, LEN);
            read_end(&mut socket);
        });
        let id = host.accepts(listening);
        host.pops(id, LEN);
        host.pops_the_end(id);
        host.pushes(id, LEN);
        host.closes(id);
        host.until_joined(done);
        host.finishes();
    }
    assert_all_understood(&host);
}

/// Each resets: the other hears of it behind what came before.
fn resets(link: Link, peer: &Space) {
    let mut host = Host::with(link, peer, |_| ());
    for (ours, theirs) in BOTH {
        let (listener, to) = peer.tcp(theirs);
        let (tell, told) = std::sync::mpsc::channel();
        let done = peer.serves(listener, move |mut socket| {
            socket.write_all(b"last words").expect("room");
            told.recv().expect("somebody tells");
            reset(socket);
        });
        let id = host.connects(ours, to);
        let heard = host.hears(id);
        assert_eq!(heard, Ok(b"last words".to_vec()));
        tell.send(()).unwrap();
        host.until_joined(done);
        assert_eq!(host.hears(id), Err(Errno::CONNRESET));
        assert_eq!(host.hears(id), Err(Errno::CONNRESET));
        assert_eq!(host.says(id, b"late").map_err(runtime::Error::errno), Err(Errno::CONNRESET));
        host.closes(id);

        let (listener, to) = peer.tcp(theirs);
        let done = peer.serves(listener, |mut socket| {
            let mut heard = [0; 10];
            socket.read_exact(&mut heard).expect("it came before");
            (heard, socket.read(&mut [0; 1]).map_err(|error| error.kind()))
        });
        let id = host.connects(ours, to);
        host.says(id, b"last words").unwrap();
        host.work(Duration::from_millis(20));
        host.nic.stack.stream_set_option(id, SocketOption::Linger(Some(Duration::ZERO))).unwrap();
        host.closes(id);
        assert_eq!(host.until_joined(done), (*b"last words", Err(ErrorKind::ConnectionReset)));
        host.finishes();
    }
    assert_all_understood(&host);
}

/// Closes a socket of the kernel with a reset.
fn reset(socket: TcpStream) {
    use std::os::fd::AsRawFd;
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    let len = size_of_val(&linger) as u32;
    // SAFETY: an option whose value is this structure.
    let set = unsafe {
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_LINGER, (&raw const linger).cast(), len)
    };
    assert_eq!(set, 0);
    drop(socket);
}

/// Nobody listens: each is told at once.
fn refusals(link: Link, peer: &Space) {
    let mut host = Host::with(link, peer, |_| ());
    for (ours, theirs) in BOTH {
        let (listener, nobody) = peer.tcp(theirs);
        // Not by a close alone: another test may start a process just now, whose copy of the descriptor would listen until it is executed.
        peer.run(move || rustix::net::shutdown(&listener, rustix::net::Shutdown::Both)).unwrap();
        let id = host.calls(ours, nobody);
        assert_eq!(host.connected(id).map_err(runtime::Error::errno), Err(Errno::CONNREFUSED));
        host.closes(id);
        let (listening, place) = host.listens(ours, 1);
        host.closes(listening);
        let refused = peer.beside(move || TcpStream::connect(place).map(drop).map_err(|error| error.kind()));
        assert_eq!(host.until_joined(refused), Err(ErrorKind::ConnectionRefused));
    }
    assert_all_understood(&host);
}

/// A close that lingers is done when the kernel has everything.
fn linger(link: Link, peer: &Space) {
    const LEN: u64 = 2 << 20;
    let mut host = Host::with(link, peer, |_| ());
    for (ours, theirs) in BOTH {
        let (listener, to) = peer.tcp(theirs);
        let done = peer.serves(listener, |mut socket| {
            read_exact(&mut socket, LEN);
            read_end(&mut socket);
        });
        let id = host.connects(ours, to);
        let minute = SocketOption::Linger(Some(Duration::from_mins(1)));
        host.nic.stack.stream_set_option(id, minute).unwrap();
        assert_eq!(host.nic.stack.stream_option(id, OptionName::Linger).unwrap(), minute);
        host.pushes(id, LEN);
        host.until("all has arrived", |host| {
            let now = host.now();
            let closed = host.nic.stack.stream_close(id, now);
            host.nic.flush(now);
            closed.is_ready().then_some(())
        });
        assert_eq!(host.nic.stack.streams_unfinished(), 0);
        host.until_joined(done);
    }
    assert_all_understood(&host);
}

/// What the kernel says of its end of a connection.
fn seen_by_the_kernel(peer: &Space) -> String {
    peer.output("ss", &["-Htine", "state", "established"])
}

mod options {
    #[test]
    fn on() {
        crate::alone("tcp::options::on", &["ss"], super::agreed);
    }

    #[test]
    fn off() {
        crate::alone("tcp::options::off", &["ss"], super::not_agreed);
    }
}

/// Both directions: every option that both know is in use.
fn agreed(peer: &Space) {
    // The kernel asks for ECN by itself then.
    peer.sysctl("ipv4.tcp_ecn", "1");
    let mut host = Host::with(Link::Packet, peer, |_| ());
    for (ours, theirs) in BOTH {
        for we_call in [true, false] {
            let (near, far) = both_ends(&mut host, peer, ours, theirs, we_call);
            let said = seen_by_the_kernel(peer);
            for option in ["wscale:7,", " sack", " ts", " ecn", "rtt:"] {
                assert!(said.contains(option), "{option} is not in, {we_call}: {said}");
            }
            // What the link has room for, without the headers and the timestamps.
            let mss = if ours.contains(':') { "mss:1428 " } else { "mss:1448 " };
            assert!(said.contains(mss), "{mss} is not in: {said}");
            drop(far);
            host.pops_the_end(near);
            host.closes(near);
            host.finishes();
        }
    }
}

/// What is switched off here is not in use there.
fn not_agreed(peer: &Space) {
    peer.sysctl("ipv4.tcp_ecn", "1");
    let mut host = Host::with(Link::Packet, peer, |settings| {
        let tcp = &mut settings.tcp;
        (tcp.sack, tcp.timestamps, tcp.window_scaling, tcp.ecn) = (false, false, false, false);
    });
    for (ours, theirs) in BOTH {
        let (near, far) = both_ends(&mut host, peer, ours, theirs, true);
        let said = seen_by_the_kernel(peer);
        for option in ["wscale:", " sack", " ts", " ecn"] {
            assert!(!said.contains(option), "{option} is in: {said}");
        }
        drop(far);
        host.pops_the_end(near);
        host.closes(near);
        host.finishes();
    }
}

/// A connection over which something has been said both ways.
fn both_ends(host: &mut Host, peer: &Space, ours: &str, theirs: &str, we_call: bool) -> (catnip::StreamId, TcpStream) {
    let talk = |mut socket: TcpStream| {
        read_exact(&mut socket, 100_000);
        write_all(&mut socket, 100_000);
        socket
    };
    let (near, done) = if we_call {
        let (listener, to) = peer.tcp(theirs);
        let done = peer.serves(listener, talk);
        (host.connects(ours, to), done)
    } else {
        let (listening, place) = host.listens(ours, 1);
        let done = peer.calls(place, talk);
        let near = host.accepts(listening);
        host.closes(listening);
        (near, done)
    };
    host.pushes(near, 100_000);
    host.pops(near, 100_000);
    (near, host.until_joined(done))
}
