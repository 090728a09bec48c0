// SPDX-License-Identifier: MIT OR Apache-2.0
//! Strangers at the rendezvous: openers that talk nonsense, creators that answer it, and processes of other users.

use crate::harness::system::sleep;
use crate::harness::{Context, LIMIT, can_change_user, done, pair, pop_message, push_message};
use margay::Errno;
use rustix::net::{
    AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType, accept, bind, connect, listen, send, socket_with,
};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;

const READY: usize = 0;
const NEXT: usize = 1;
const STRANGER: u32 = 65_534;

fn socket() -> OwnedFd {
    socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap()
}

fn address(context: &Context, name: &str) -> SocketAddrUnix {
    SocketAddrUnix::new(context.pipes.join(format!("{name}.pipe"))).unwrap()
}

/// Strangers come all the time, and do not keep the honest opener out.
#[test]
fn hostile_openers_are_turned_away() {
    const ROUNDS: u64 = 30;
    pair!()
        .server(|context| {
            let mut libos =
                context.libos_with(|config| config.catmem.handshake_timeout = core::time::Duration::from_millis(20));
            for round in 0..ROUNDS {
                let qd = libos.create_pipe("door").unwrap();
                context.board.set(READY, round + 1);
                assert_eq!(pop_message(&mut libos, qd).to_vec(), b"honest");
                push_message(&mut libos, qd, b"welcome");
                assert!(pop_message(&mut libos, qd).is_empty());
                let closed = libos.close(qd).unwrap();
                done(&mut libos, closed);
            }
        })
        .client(|context| {
            let mut libos = context.libos();
            for round in 0..ROUNDS {
                context.board.wait(READY, round + 1);
                sleep(context.random().below(3_000_000));
                let qd = context.open(&mut libos, "door");
                push_message(&mut libos, qd, b"honest");
                assert_eq!(pop_message(&mut libos, qd).to_vec(), b"welcome");
                let closed = libos.close(qd).unwrap();
                done(&mut libos, closed);
            }
            context.board.set(NEXT, 1);
        })
        .intruder(|context| {
            let mut random = context.random();
            let address = address(context, "door");
            let mut silent = std::collections::VecDeque::new();
            while context.board.get(NEXT) == 0 {
                let stranger = socket();
                if connect(&stranger, &address).is_err() {
                    sleep(100_000);
                    continue;
                }
                let mut bytes = vec![0; random.length(100)];
                crate::harness::bytes::fill(&mut bytes, context.seed, random.next());
                match random.below(4) {
                    // Says nothing for a while, at most three at a time.
                    0 => silent.push_back(stranger),
                    1 => drop(stranger),
                    2 => {
                        let mut request = *b"MGYO\x01\x00\x01\x00";
                        request[random.below(6) as usize] ^= 1 << random.below(8);
                        // Turned away at once, perhaps.
                        let _ = send(&stranger, &request, SendFlags::NOSIGNAL);
                    }
                    _ => {
                        let _ = send(&stranger, &bytes, SendFlags::NOSIGNAL);
                    }
                }
                if silent.len() > 3 {
                    silent.pop_front();
                }
                sleep(random.below(2_000_000));
            }
        })
        .run();
}

/// Whoever opens at a creator that answers nonsense, or nothing and dies, gets an error.
#[test]
fn hostile_creators_are_found_out() {
    const ROUNDS: u64 = 40;
    pair!()
        .server(|context| {
            let mut random = context.random();
            for round in 0..ROUNDS {
                let listener = socket();
                let name = format!("trap{round}");
                bind(&listener, &address(context, &name)).unwrap();
                listen(&listener, 4).unwrap();
                context.board.set(READY, round + 1);
                let opener = accept(&listener).unwrap();
                let mut answer = vec![0; if round % 2 == 0 { 32 } else { random.length(64) }];
                crate::harness::bytes::fill(&mut answer, context.seed, round);
                if round % 4 == 0 {
                    answer[..8].copy_from_slice(b"MGYH\x01\x00\x00\x00");
                }
                if round % 5 != 0 {
                    send(&opener, &answer, SendFlags::NOSIGNAL).unwrap();
                }
                // A creator that answers nonsense may stay.
                if round % 5 != 0 && round % 3 == 0 {
                    context.board.wait(NEXT, round + 1);
                }
            }
        })
        .client(|context| {
            let mut libos = context.libos();
            for round in 0..ROUNDS {
                context.board.wait(READY, round + 1);
                let opened = libos.open_pipe(&format!("trap{round}"));
                let qd = match opened {
                    Ok(qd) => qd,
                    // It hung up before it was asked, or answered first.
                    Err(error) => {
                        assert!([Errno::PROTO, Errno::CONNRESET].contains(&error.errno()), "round {round}: {error}");
                        context.board.set(NEXT, round + 1);
                        continue;
                    }
                };
                let (pushed, popped) = (libos.push(qd, b"anybody?").unwrap(), libos.pop(qd, None).unwrap());
                for qt in [pushed, popped] {
                    let error = libos.wait(qt, LIMIT).unwrap().ok().unwrap_err();
                    assert!([Errno::PROTO, Errno::CONNRESET].contains(&error.errno()), "round {round}: {error}");
                }
                let closed = libos.close(qd).unwrap();
                done(&mut libos, closed);
                context.board.set(NEXT, round + 1);
            }
            assert_eq!(libos.queues(), 0);
        })
        .run();
}

/// Another user's process, which the permissions of the folder would let through, is turned away by the creator.
#[test]
fn stranger_opens() {
    if !can_change_user() {
        println!("skipped: only root can run a process as another user");
        return;
    }
    pair!()
        .server(|context| {
            let mut libos = context.libos();
            let qd = libos.create_pipe("private").unwrap();
            let mode = |path: &std::path::Path, mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode));
            mode(&context.pipes, 0o711).unwrap();
            mode(&context.pipes.join("private.pipe"), 0o777).unwrap();
            context.board.set(READY, 1);
            while context.board.get(NEXT) == 0 {
                libos.poll();
                sleep(100_000);
            }
            // The pipe is there for its own user.
            assert_eq!(pop_message(&mut libos, qd).to_vec(), b"own");
        })
        .client(|context| {
            context.board.wait(READY, 1);
            context.board.wait(NEXT, 1);
            let mut libos = context.libos();
            let qd = libos.open_pipe("private").unwrap();
            push_message(&mut libos, qd, b"own");
        })
        .intruder(|context| {
            context.board.wait(READY, 1);
            // By the API: the folder is not this user's.
            assert_eq!(context.libos().open_pipe("private").unwrap_err().errno(), Errno::ACCESS);
            assert_eq!(context.libos().create_pipe("mine").unwrap_err().errno(), Errno::ACCESS);
            // Around it: the creator asks the kernel who this is.
            let stranger = socket();
            connect(&stranger, &address(context, "private")).unwrap();
            // It may have answered and hung up already.
            let sent = send(&stranger, b"MGYO\x01\x00\x01\x00", SendFlags::NOSIGNAL);
            assert!(matches!(sent, Ok(8) | Err(rustix::io::Errno::PIPE | rustix::io::Errno::CONNRESET)), "{sent:?}");
            let mut answer = [0; 64];
            // The creator hangs up without reading the request. The kernel says that first, and then gives the answer.
            let mut receive = || rustix::net::recv(&stranger, &mut answer, rustix::net::RecvFlags::empty());
            let (len, _) = receive().or_else(|_| receive()).unwrap();
            assert_eq!((len, &answer[..4], answer[8]), (32, &b"MGYH"[..], 13), "a refusal with EACCES");
            context.board.set(NEXT, 1);
        })
        .uid(STRANGER)
        .run();
}

/// Another user's process that has taken the name in the user's own folder is not talked to.
#[test]
fn stranger_creates() {
    if !can_change_user() {
        println!("skipped: only root can run a process as another user");
        return;
    }
    pair!()
        .server(|context| {
            let listener = socket();
            bind(&listener, &address(context, "taken")).unwrap();
            // The kernel notes who listens.
            let uid = rustix::process::Uid::from_raw(STRANGER);
            rustix::thread::set_thread_res_uid(uid, uid, uid).unwrap();
            listen(&listener, 4).unwrap();
            context.board.set(READY, 1);
            context.board.wait(NEXT, 1);
        })
        .client(|context| {
            context.board.wait(READY, 1);
            let mut libos = context.libos();
            assert_eq!(libos.open_pipe("taken").unwrap_err().errno(), Errno::ACCESS);
            assert_eq!(libos.queues(), 0);
            context.board.set(NEXT, 1);
        })
        .run();
}
