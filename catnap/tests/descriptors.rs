// SPDX-License-Identifier: MIT OR Apache-2.0
//! A listener whose process has no descriptors left: accepts fail with `EMFILE`, without a busy loop, and nobody who waits
//! is lost. Alone in its process, whose limit it lowers.

use catnap::{Catnap, Settings};
use core::task::Poll;
use core::time::Duration;
use runtime::Errno;
use runtime::buf::{Classes, Pools};
use runtime::limits::ACCEPT_PAUSE;
use runtime::op::{Direction, Wakes};
use runtime::reactor::Reactor;
use runtime::socket::{Domain, Kind};
use runtime::transport::{PopMode, Transport};
use std::fs::File;
use std::io::Write;
use std::net::TcpStream;
use std::os::fd::AsRawFd;

#[test]
fn no_descriptors() {
    let reactor = Reactor::new().unwrap();
    let pools = Pools::new(&Classes { small_count: 64, large_count: 4, ..Classes::default() }).unwrap();
    let mut catnap = Catnap::new(Settings { receive: 4096, zero_copy: None }, &reactor, pools, 1 << 48).unwrap();
    let mut wakes = Wakes::default();
    wakes.grow(64);
    reactor.refresh_clock();
    let listener = catnap.socket(1, Domain::V4, Kind::Stream).unwrap();
    catnap.bind(listener, "127.0.0.1:0".parse().unwrap()).unwrap();
    catnap.listen(listener, 8).unwrap();
    let address = catnap.local_address(listener).unwrap();
    let mut peers: Vec<TcpStream> = (0..3).map(|_| TcpStream::connect(address).unwrap()).collect();

    // That they have come is known, and no news later.
    assert!(catnap.sleep(reactor.fd(), Some(Duration::ZERO)));
    catnap.poll(&mut wakes);

    // Every descriptor below the limit is taken.
    let highest = File::open("/dev/null").unwrap().as_raw_fd();
    let limit = libc::rlimit { rlim_cur: 64.max(u64::from(highest.unsigned_abs()) + 8), rlim_max: 4096 };
    // SAFETY: reads the structure, nothing else.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }, 0);
    let mut taken: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();

    let errno = |accepted: Poll<runtime::Result<u32>>| accepted.map_err(runtime::Error::errno);
    for round in 0..3 {
        assert_eq!(errno(catnap.accept(listener, 2)), Poll::Ready(Err(Errno::MFILE)), "round {round}");
        // A server that accepts again and again waits, and asks the kernel nothing.
        let calls = catnap.counters().system_calls;
        for _ in 0..1000 {
            assert_eq!(errno(catnap.accept(listener, 2)), Poll::Pending);
        }
        assert_eq!(catnap.counters().system_calls, calls);
        let begun = reactor.now();
        loop {
            assert!(catnap.sleep(reactor.fd(), Some(Duration::from_millis(1))));
            reactor.refresh_clock();
            reactor.run_tasks(8);
            catnap.poll(&mut wakes);
            if wakes.take() == Some((1, Direction::Pop)) {
                break;
            }
            assert!(reactor.now().saturating_since(begun) < Duration::from_secs(20), "it is not tried again");
        }
        assert!(reactor.now().saturating_since(begun) >= ACCEPT_PAUSE, "it spins");
    }
    assert_eq!(catnap.socket(3, Domain::V4, Kind::Stream).map_err(runtime::Error::errno), Err(Errno::MFILE));

    // There is room for those who waited.
    taken.truncate(taken.len() - 3);
    for (index, peer) in peers.iter_mut().enumerate() {
        peer.write_all(&[index as u8]).unwrap();
        let Poll::Ready(Ok(accepted)) = catnap.accept(listener, 10 + index as u32) else {
            panic!("peer {index} is lost")
        };
        assert_eq!(catnap.peer_address(accepted).unwrap(), peer.local_addr().unwrap());
        let Poll::Ready(Ok(message)) = catnap.pop(accepted, PopMode::Whole) else {
            panic!("nothing from peer {index}")
        };
        assert_eq!(message.to_vec(), [index as u8]);
    }
    assert_eq!(catnap.counters().accepted, 3);
}
