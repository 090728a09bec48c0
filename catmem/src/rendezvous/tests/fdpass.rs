// SPDX-License-Identifier: MIT OR Apache-2.0
//! Messages and descriptors over a socket: whole, wrong, too many, and from a peer that is gone.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use runtime::Errno;
use rustix::cmsg_space;
use rustix::io::{FdFlags, fcntl_getfd};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{connection, hello};
use crate::eventfd::Eventfd;
use crate::mapping::Mapping;
use crate::rendezvous::message::{REFUSALS, Reply};
use crate::rendezvous::{OpenRequest, recv_hello, recv_request, send_hello, send_refusal, send_request};
use crate::testing::{isolated, open_fds};

/// `SCM_MAX_FD` of the kernel.
const FDS_MAX: usize = 253;

fn send_raw(socket: &OwnedFd, bytes: &[u8], fds: &[BorrowedFd<'_>]) {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(FDS_MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() {
        assert!(control.push(SendAncillaryMessage::ScmRights(fds)));
    }
    sendmsg(socket, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL).unwrap();
}

#[test]
fn the_handshake_hands_over_working_memory_and_doorbells() {
    let (creator, opener) = connection();
    assert_eq!(recv_request(&creator), Ok(None));
    assert!(recv_hello(&opener).unwrap().is_none());

    send_request(&opener, OpenRequest { membarrier: true }).unwrap();
    assert_eq!(recv_request(&creator), Ok(Some(OpenRequest { membarrier: true })));
    assert_eq!(recv_request(&creator), Ok(None));

    let len = usize::try_from(hello().total_len()).unwrap();
    let (ours, memory) = Mapping::create(len).unwrap();
    let bells = [Eventfd::new().unwrap(), Eventfd::new().unwrap()];
    send_hello(&creator, &hello(), &memory, [bells[0].as_fd(), bells[1].as_fd()]).unwrap();

    let (answer, memory, fds) = recv_hello(&opener).unwrap().unwrap();
    assert_eq!(answer, hello());
    for fd in [&memory, &fds[0], &fds[1]] {
        assert!(fcntl_getfd(fd).unwrap().contains(FdFlags::CLOEXEC));
    }
    let theirs = Mapping::attach(&memory, len).unwrap();
    // SAFETY: both mappings are as long as `len`, and only this thread touches them.
    unsafe {
        ours.base().add(len - 1).write_volatile(9);
        assert_eq!(theirs.base().add(len - 1).read_volatile(), 9);
    }
    let [first, second] = fds.map(|fd| Eventfd::from_peer(fd).unwrap());
    bells[1].ring().unwrap();
    assert_eq!((first.drain(), second.drain()), (Ok(false), Ok(true)), "the doorbells keep their order");
}

#[test]
fn wrong_messages_are_refused_and_their_descriptors_closed() {
    isolated(concat!(module_path!(), "::wrong_messages_are_refused_and_their_descriptors_closed"), || {
        let memory = Mapping::create(4096).unwrap().1;
        let some = vec![memory.as_fd(); FDS_MAX];
        let good = Reply::Hello(hello()).to_bytes();
        let refusal = Reply::Refused(Errno::ACCESS).to_bytes();
        let request = OpenRequest { membarrier: false }.to_bytes();
        let mut long = good.to_vec();
        long.push(0);
        let huge = vec![0x5a; 64 * 1024];
        let garbage = [0xff; 32];
        let counts = [0, 1, 2, 3, 4, 5, FDS_MAX];

        let before = open_fds();
        for bytes in [&good[..], &good[..31], &good[..1], &long, &huge, &garbage, &[0; 32], &refusal, &request] {
            for count in counts {
                let is_right = match count {
                    0 => bytes == refusal,
                    3 => bytes == good,
                    _ => false,
                };
                if is_right {
                    continue;
                }
                let (creator, opener) = connection();
                send_raw(&creator, bytes, &some[..count]);
                let error = recv_hello(&opener).unwrap_err();
                assert_eq!(error.errno(), Errno::PROTO, "{} bytes, {count} descriptors", bytes.len());
                drop((creator, opener));
                assert_eq!(open_fds(), before, "{} bytes, {count} descriptors", bytes.len());
            }
        }
        for bytes in [&request[..], &request[..7], &[0; 8], &[0; 9], &good, &huge] {
            for count in counts {
                if bytes == request && count == 0 {
                    continue;
                }
                let (creator, opener) = connection();
                send_raw(&opener, bytes, &some[..count]);
                let error = recv_request(&creator).unwrap_err();
                assert_eq!(error.errno(), Errno::PROTO, "{} bytes, {count} descriptors", bytes.len());
                drop((creator, opener));
                assert_eq!(open_fds(), before, "{} bytes, {count} descriptors", bytes.len());
            }
        }
        // An empty message can carry descriptors too.
        for count in counts.into_iter().skip(1) {
            let (creator, opener) = connection();
            send_raw(&creator, &[], &some[..count]);
            assert_eq!(recv_hello(&opener).unwrap_err().errno(), Errno::PROTO);
        }
        // What was never received goes with the connection.
        let (creator, opener) = connection();
        for _ in 0..8 {
            send_raw(&creator, &good, &some[..3]);
        }
        drop((creator, opener));
        assert_eq!(open_fds(), before);
    });
}

#[test]
fn no_descriptors_left_is_an_error_and_leaks_none() {
    isolated(concat!(module_path!(), "::no_descriptors_left_is_an_error_and_leaks_none"), || {
        let request = OpenRequest { membarrier: false }.to_bytes();
        let memory = Mapping::create(4096).unwrap().1;
        let bells = [Eventfd::new().unwrap(), Eventfd::new().unwrap()];
        let (creator, opener) = connection();
        let before = open_fds();
        let limits = getrlimit(Resource::Nofile);
        // Three come, and the limit leaves room for fewer.
        for room in [0, 1, 2] {
            let probes: Vec<OwnedFd> = (0..=room).map(|_| memory.try_clone().unwrap()).collect();
            let limit = probes.iter().map(std::os::fd::AsRawFd::as_raw_fd).max().unwrap();
            drop(probes);
            send_hello(&creator, &hello(), &memory, [bells[0].as_fd(), bells[1].as_fd()]).unwrap();
            setrlimit(Resource::Nofile, Rlimit { current: u64::try_from(limit).ok(), ..limits }).unwrap();
            send_raw(&opener, &request, &[memory.as_fd(); 3]);
            let hello = recv_hello(&opener);
            let request = recv_request(&creator);
            setrlimit(Resource::Nofile, limits).unwrap();
            assert_eq!(hello.unwrap_err().errno(), Errno::PROTO, "room for {room}");
            assert_eq!(request.unwrap_err().errno(), Errno::PROTO, "room for {room}");
            assert_eq!(open_fds(), before, "room for {room}");
        }
    });
}

#[test]
fn a_peer_that_is_gone_is_an_error_on_every_call() {
    let memory = Mapping::create(4096).unwrap().1;
    let (creator, opener) = connection();
    drop(opener);
    assert_eq!(recv_request(&creator).unwrap_err().errno(), Errno::CONNRESET);
    let gone = send_hello(&creator, &hello(), &memory, [memory.as_fd(), memory.as_fd()]);
    assert_eq!(gone.unwrap_err().errno(), Errno::CONNRESET);
    assert_eq!(send_refusal(&creator, Errno::BUSY).unwrap_err().errno(), Errno::CONNRESET);

    let (creator, opener) = connection();
    drop(creator);
    assert_eq!(send_request(&opener, OpenRequest { membarrier: false }).unwrap_err().errno(), Errno::CONNRESET);
    assert_eq!(recv_hello(&opener).unwrap_err().errno(), Errno::CONNRESET);

    // An empty message means the same.
    let (creator, opener) = connection();
    send_raw(&opener, &[], &[]);
    assert_eq!(recv_request(&creator).unwrap_err().errno(), Errno::CONNRESET);
}

#[test]
fn a_request_outlives_its_sender() {
    let (creator, opener) = connection();
    send_request(&opener, OpenRequest { membarrier: false }).unwrap();
    drop(opener);
    assert_eq!(recv_request(&creator), Ok(Some(OpenRequest { membarrier: false })));
    assert_eq!(recv_request(&creator).unwrap_err().errno(), Errno::CONNRESET);
}

#[test]
fn a_refusal_arrives_even_if_the_request_was_never_read() {
    for errno in REFUSALS {
        let (creator, opener) = connection();
        send_request(&opener, OpenRequest { membarrier: false }).unwrap();
        send_refusal(&creator, errno).unwrap();
        drop(creator);
        assert_eq!(recv_hello(&opener).unwrap_err().errno(), errno);
    }
    let (creator, _opener) = connection();
    assert_eq!(send_refusal(&creator, Errno::AGAIN).unwrap_err().errno(), Errno::INVAL);

    let (creator, opener) = connection();
    send_request(&opener, OpenRequest { membarrier: false }).unwrap();
    drop(creator);
    assert_eq!(recv_hello(&opener).unwrap_err().errno(), Errno::CONNRESET);
}
