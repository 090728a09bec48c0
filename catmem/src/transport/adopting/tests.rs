// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pipes without names, over a pair of connected sockets.

use super::*;
use crate::handshake::Sizes as Orders;
use crate::testing::{isolated, open_fds};
use crate::transport::Settings;
use core::num::NonZeroUsize;
use core::time::Duration;
use runtime::buf::{Classes, Pools, Sga};
use runtime::reactor::{Events, Reactor};
use runtime::transport::{PopMode, Transport};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

const QUEUE: QueueId = 0;
const IDLE: Error = Error::new(Errno::NOTCONN, "joined to nobody");
const LIMIT: Duration = Duration::from_secs(10);

struct Side {
    reactor: Rc<Reactor>,
    pipes: Catmem,
    pools: Pools,
    wakes: Wakes,
}

impl Side {
    fn new() -> Self {
        Self::with(&Classes { small_count: 64, large_count: 8, ..Classes::default() })
    }

    fn with(classes: &Classes) -> Self {
        let reactor = Reactor::new().unwrap();
        let pools = Pools::new(classes).unwrap();
        let sizes = Orders { ring_order: 12, slot_order: 12, slots: 2 };
        let settings = Settings { directory: None, sizes, max_message: 1 << 20, handshake_timeout: LIMIT };
        let pipes = Catmem::new(settings, Rc::clone(&reactor), pools.clone(), 0);
        let mut wakes = Wakes::default();
        wakes.grow(8);
        Self { reactor, pipes, pools, wakes }
    }

    /// Sleeps until the connection has something.
    fn wait(&mut self) {
        let mut events = Events::new();
        self.reactor.collect(Some(LIMIT), &mut events).unwrap();
        assert!(!events.as_slice().is_empty(), "nothing happened");
        events.iter().for_each(|&event| self.pipes.event(event, &mut self.wakes));
    }

    fn push(&mut self, pipe: Handle, bytes: &[u8]) -> Poll<core::result::Result<(), Errno>> {
        let mut message = Sga::from(self.pools.alloc_copy(bytes).unwrap());
        self.pipes.push(pipe, &mut message).map_err(Error::errno)
    }

    fn pop(&mut self, pipe: Handle) -> Poll<core::result::Result<Vec<u8>, Errno>> {
        self.pipes.pop(pipe, PopMode::Whole).map_ok(|message| message.to_vec()).map_err(Error::errno)
    }
}

fn connection() -> [Rc<OwnedFd>; 2] {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let (a, b) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
    [Rc::new(a), Rc::new(b)]
}

fn sizes() -> [Sizes; 2] {
    [Sizes::new(12, 12, 2).unwrap(), Sizes::new(13, 12, 0).unwrap()]
}

fn pair(carries: Carries) -> ([Side; 2], [Handle; 2]) {
    join([Side::new(), Side::new()], sizes(), carries)
}

fn join([mut host, mut guest]: [Side; 2], sizes: [Sizes; 2], carries: Carries) -> ([Side; 2], [Handle; 2]) {
    let [here, there] = connection();
    let (a, b) = (host.pipes.reserve(QUEUE, Some(IDLE)), guest.pipes.reserve(QUEUE, None));
    let (hello, memory) = host.pipes.host(a, &here, sizes, true, carries).unwrap();
    guest.reactor.watch(&*there, Interest::READABLE, guest.pipes.connection_token(b)).unwrap();
    guest.pipes.join(b, &there, &hello, memory, carries).unwrap();
    ([host, guest], [a, b])
}

#[test]
fn a_reserved_pipe_says_what_it_is_told_to() {
    let mut side = Side::new();
    let pipe = side.pipes.reserve(QUEUE, Some(IDLE));
    assert_eq!(side.push(pipe, b"x"), Poll::Ready(Err(Errno::NOTCONN)));
    assert_eq!(side.pop(pipe), Poll::Ready(Err(Errno::NOTCONN)));
    assert!(side.pipes.shutdown(pipe).is_ready());
    side.pipes.set_idle(pipe, None);
    assert!(
        side.push(pipe, b"x").is_pending() && side.pop(pipe).is_pending() && side.pipes.shutdown(pipe).is_pending()
    );
    assert_eq!(side.pipes.close(pipe), Poll::Ready(Ok(())));
    assert_eq!(side.pop(pipe), Poll::Ready(Err(Errno::BADF)));
    assert_eq!(side.pipes.reserve(QUEUE, None), pipe, "its number is used again");
}

#[test]
fn messages_stay_whole_and_streams_come_in_pieces() {
    for (carries, pieces) in [(Carries::Messages, 1), (Carries::Stream, 8)] {
        let ([mut host, mut guest], [a, b]) = pair(carries);
        let sent: Vec<u8> = (0..4000_usize).map(|i| (i % 251) as u8).collect();
        let mut message = Sga::from(host.pools.alloc_copy(&sent).unwrap());
        let mut got = Vec::new();
        let mut popped = 0;
        while got.len() < sent.len() {
            let _ = host.pipes.push(a, &mut message);
            while let Poll::Ready(piece) = guest.pop(b) {
                got.extend(piece.unwrap());
                popped += 1;
            }
        }
        assert!(got == sent && popped >= pieces && (popped == 1) == (pieces == 1), "{popped} pieces");
    }
}

#[test]
fn a_ring_is_a_byte_on_the_connection() {
    let ([mut host, mut guest], [a, b]) = pair(Carries::Messages);
    assert!(guest.pop(b).is_pending());
    assert_eq!(guest.pipes.arm(), runtime::transport::Armed::Quiet);
    assert!(host.push(a, b"ring").is_ready());
    guest.wait();
    assert!(guest.wakes.take().is_some());
    assert_eq!(guest.pop(b), Poll::Ready(Ok(b"ring".to_vec())));
    host.pipes.assign(a, 5);
    assert!(host.pop(a).is_pending());
    assert_eq!(host.pipes.arm(), runtime::transport::Armed::Quiet);
    assert!(guest.push(b, b"back").is_ready());
    host.wait();
    assert_eq!(host.wakes.take(), Some((5, Direction::Push)), "the queue that it was assigned to");
}

#[test]
fn leaving_waits_for_the_reader() {
    let ([mut host, mut guest], [a, b]) = pair(Carries::Stream);
    assert!(host.push(a, b"last").is_ready());
    host.pipes.take_leave(a).unwrap();
    assert!(host.pipes.drained(a).is_pending());
    assert_eq!(host.push(a, b"x"), Poll::Ready(Err(Errno::PIPE)));
    guest.wait();
    assert_eq!(guest.push(b, b"x"), Poll::Ready(Err(Errno::PIPE)), "it has said that it leaves");
    assert_eq!(guest.pop(b), Poll::Ready(Ok(b"last".to_vec())));
    assert!(host.pipes.drained(a).is_pending(), "the end is not read");
    assert_eq!(guest.pop(b), Poll::Ready(Ok(Vec::new())));
    assert_eq!(host.pipes.drained(a), Poll::Ready(()));
    assert_eq!(host.pipes.close(a), Poll::Ready(Ok(())));
}

#[test]
fn what_is_held_beyond_the_end_is_told_when_it_is_dropped() {
    let ([mut host, mut guest], [a, b]) = pair(Carries::Stream);
    assert!(host.push(a, b"held").is_ready());
    host.pipes.take_leave(a).unwrap();
    let Poll::Ready(Ok(held)) = guest.pipes.pop(b, PopMode::InPlace) else { panic!("nothing to pop") };
    assert_eq!(guest.pop(b), Poll::Ready(Ok(Vec::new())));
    assert!(host.pipes.drained(a).is_pending(), "it is still read");
    drop(held);
    assert_eq!(host.pipes.drained(a), Poll::Ready(()));
}

#[test]
fn a_stream_goes_through_buffers_that_are_shorter_than_its_records() {
    for mode in [PopMode::Whole, PopMode::InPlace, PopMode::AtMost(NonZeroUsize::MIN.saturating_add(999))] {
        let small = Side::with(&Classes { small_count: 64, large_count: 2, oversize_limit: 0, ..Classes::default() });
        let longest = small.pools.longest();
        let sizes = [Sizes::new(19, 12, 0).unwrap(); 2];
        let ([mut host, mut guest], [a, b]) = join([Side::new(), small], sizes, Carries::Stream);
        // As one record, and in pieces of a quarter of the ring: all longer than any buffer of the guest.
        for len in [100_000, 600_000] {
            assert!(longest < 100_000);
            let sent: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
            let mut message = Sga::from(host.pools.alloc_copy(&sent).unwrap());
            let (mut pushed, mut got) = (false, Vec::new());
            while got.len() < len {
                pushed = pushed || host.pipes.push(a, &mut message).is_ready();
                let Poll::Ready(popped) = guest.pipes.pop(b, mode) else { continue };
                got.extend(popped.unwrap().to_vec());
            }
            assert!(pushed && got == sent, "{len} bytes");
        }
        assert_eq!(host.pipes.close(a), Poll::Ready(Ok(())));
        assert_eq!(guest.pop(b), Poll::Ready(Ok(Vec::new())));
    }
}

#[test]
fn a_datagram_that_fits_no_buffer_is_no_longer_in_the_way() {
    let small = Classes { small_count: 64, large_size: 8192, large_count: 2, oversize_limit: 0, ..Classes::default() };
    let sizes = [Sizes::new(19, 12, 0).unwrap(); 2];
    let ([mut host, mut guest], [a, b]) = join([Side::new(), Side::with(&small)], sizes, Carries::Datagrams);
    assert!(host.push(a, &[7; 8193]).is_ready() && host.push(a, b"next").is_ready());
    assert_eq!(guest.pop(b), Poll::Ready(Err(Errno::MSGSIZE)));
    assert_eq!(guest.pop(b), Poll::Ready(Ok(b"next".to_vec())));
    // Where it lies it needs none.
    assert!(host.push(a, &[7; 8193]).is_ready());
    let Poll::Ready(Ok(lent)) = guest.pipes.pop(b, PopMode::InPlace) else { panic!("nothing to pop") };
    assert_eq!(lent.to_vec(), [7; 8193]);
}

#[test]
fn an_end_that_keeps_a_buffer_closes_behind_a_goodbye() {
    for aborts in [false, true] {
        let ([mut host, mut guest], [a, b]) = pair(Carries::Stream);
        assert!(host.push(a, b"kept").is_ready() && host.push(a, b"never read").is_ready());
        host.pipes.take_leave(a).unwrap();
        // The doorbell is in it, and with that the connection.
        let Poll::Ready(Ok(kept)) = guest.pipes.pop(b, PopMode::InPlace) else { panic!("nothing to pop") };
        guest.wait();
        assert!(host.pipes.drained(a).is_pending());
        if aborts {
            guest.pipes.abort(b);
        } else {
            assert_eq!(guest.pipes.close(b), Poll::Ready(Ok(())));
        }
        host.wait();
        assert_eq!(host.pipes.drained(a), Poll::Ready(()));
        assert_eq!(host.pipes.close(a), Poll::Ready(Ok(())));
        assert_eq!(kept.to_vec(), b"kept");
    }
}

#[test]
fn an_abort_is_a_death() {
    let ([mut host, mut guest], [a, b]) = pair(Carries::Stream);
    assert!(host.push(a, b"before").is_ready());
    // Kept beyond the end, with the doorbell in it.
    assert!(guest.push(b, b"kept").is_ready());
    let Poll::Ready(Ok(kept)) = host.pipes.pop(a, PopMode::InPlace) else { panic!("nothing to pop") };
    host.pipes.abort(a);
    guest.wait();
    assert_eq!(guest.pop(b), Poll::Ready(Ok(b"before".to_vec())));
    assert_eq!(guest.pop(b), Poll::Ready(Err(Errno::CONNRESET)));
    assert_eq!(kept.to_vec(), b"kept");
}

#[test]
fn what_no_honest_host_sends_leaves_the_pipe_as_it_was() {
    isolated(concat!(module_path!(), "::what_no_honest_host_sends_leaves_the_pipe_as_it_was"), || {
        let mut guest = Side::new();
        let pipe = guest.pipes.reserve(QUEUE, Some(IDLE));
        let [_here, there] = connection();
        let total = Layout::new(sizes()).total;
        let before = open_fds();
        let hello = |total: usize| Hello::new(sizes(), total as u64, true).unwrap();
        let memory = |len| Mapping::create(len).unwrap().1;
        for (hello, memory) in [
            (hello(total + 4096), memory(total + 4096)),
            (hello(total), memory(total - 4096)),
            (hello(total), rustix::io::dup(&there).unwrap()),
        ] {
            let joined = guest.pipes.join(pipe, &there, &hello, memory, Carries::Stream);
            assert_eq!(joined.map_err(Error::errno), Err(Errno::PROTO));
            assert_eq!(guest.pop(pipe), Poll::Ready(Err(Errno::NOTCONN)));
        }
        assert_eq!((open_fds(), Rc::strong_count(&there)), (before, 1));
    });
}

#[test]
fn one_descriptor_at_each_end_and_none_in_the_end() {
    isolated(concat!(module_path!(), "::one_descriptor_at_each_end_and_none_in_the_end"), || {
        let sides = (Side::new(), Side::new());
        let before = open_fds();
        drop(sides);
        let ([mut host, mut guest], [a, b]) = pair(Carries::Stream);
        assert_eq!(open_fds(), before + 2);
        assert_eq!(host.pipes.close(a), Poll::Ready(Ok(())));
        guest.wait();
        assert_eq!(guest.pipes.close(b), Poll::Ready(Ok(())));
        assert_eq!(open_fds(), before);
    });
}
