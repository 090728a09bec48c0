// SPDX-License-Identifier: MIT OR Apache-2.0
//! Two transports in one process, driven step by step, so that what happens between a look and a sleep is chosen here.

use super::*;
use crate::testing::Scratch;
use core::num::NonZeroUsize;
use runtime::buf::Classes;
use runtime::reactor::Events;

/// Any single wait; none of them is reached unless a wake-up is lost.
const LIMIT: Duration = Duration::from_secs(10);
const QUEUE: QueueId = 0;
const RING: usize = 4096;

/// One LibOs, reduced to what its transport needs.
struct Side {
    reactor: Rc<Reactor>,
    catmem: Catmem,
    pools: Pools,
    wakes: Wakes,
    events: Events,
}

impl Side {
    fn new(directory: &Scratch) -> Self {
        Self::with(directory, &Classes::default(), 1 << 20)
    }

    fn with(directory: &Scratch, classes: &Classes, max_message: usize) -> Self {
        let reactor = Reactor::new().unwrap();
        let pools = Pools::new(classes).unwrap();
        let settings = Settings {
            directory: Some(directory.path().into()),
            sizes: Sizes { ring_order: 12, slot_order: 12, slots: 8 },
            max_message,
            handshake_timeout: LIMIT,
        };
        let catmem = Catmem::new(settings, Rc::clone(&reactor), pools.clone(), 0);
        let mut wakes = Wakes::default();
        wakes.grow(64);
        Self { reactor, catmem, pools, wakes, events: Events::new() }
    }

    /// What the LibOs does in one round, waiting for events for so long.
    fn round(&mut self, timeout: Duration) {
        let timeout = if self.reactor.has_ready_tasks() { Duration::ZERO } else { timeout };
        self.reactor.collect(Some(timeout), &mut self.events).unwrap();
        for &event in &self.events.clone() {
            self.catmem.event(event, &mut self.wakes);
        }
        self.reactor.refresh_clock();
        self.reactor.run_tasks(64);
        self.catmem.poll(&mut self.wakes);
    }

    fn woken(&mut self) -> Vec<(QueueId, Direction)> {
        std::iter::from_fn(|| self.wakes.take()).collect()
    }

    fn message(&self, bytes: &[u8]) -> Sga {
        self.pools.alloc_copy(bytes).unwrap().into()
    }

    fn pop(&mut self, pipe: Handle) -> Poll<Result<Vec<u8>>> {
        self.catmem.pop(pipe, PopMode::Whole).map_ok(|message| message.to_vec())
    }
}

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i % 251) as u8).collect()
}

/// A creator and an opener that have met, with their pipes.
fn pair(directory: &Scratch) -> ([Side; 2], [Handle; 2]) {
    meet(Side::new(directory), Side::new(directory))
}

fn meet(mut creator: Side, mut opener: Side) -> ([Side; 2], [Handle; 2]) {
    let made = creator.catmem.create_pipe(QUEUE, "p").unwrap();
    let opened = opener.catmem.open_pipe(QUEUE, "p").unwrap();
    while creator.catmem.pipe(made).unwrap().connection.is_none() {
        creator.round(LIMIT);
    }
    while opener.catmem.pipe(opened).unwrap().connection.is_none() {
        opener.round(LIMIT);
    }
    creator.woken();
    opener.woken();
    ([creator, opener], [made, opened])
}

/// Pushes until the ring is full; gives the message that did not fit, and how many did.
fn fill(side: &mut Side, pipe: Handle, len: usize) -> (Sga, usize) {
    for count in 0.. {
        let mut message = side.message(&bytes(len));
        match side.catmem.push(pipe, &mut message) {
            Poll::Ready(pushed) => pushed.unwrap(),
            Poll::Pending => return (message, count),
        }
    }
    unreachable!()
}

#[test]
fn a_part_of_a_message_wakes_a_sleeping_reader() {
    let directory = Scratch::new();
    let ([mut writer, mut reader], [made, opened]) = pair(&directory);
    assert!(reader.pop(opened).is_pending());
    assert_eq!(reader.catmem.arm(), Armed::Quiet);

    // Longer than the ring: it can go on only once the reader has taken the first pieces.
    let mut message = writer.message(&bytes(3 * RING));
    assert!(writer.catmem.push(made, &mut message).is_pending());
    reader.round(LIMIT);
    assert_eq!(reader.woken(), [(QUEUE, Direction::Push), (QUEUE, Direction::Pop)], "the bell did not ring");

    let mut pushed = false;
    for _ in 0..100 {
        pushed = pushed || writer.catmem.push(made, &mut message).is_ready();
        if let Poll::Ready(popped) = reader.pop(opened) {
            assert!(pushed && popped.unwrap() == bytes(3 * RING));
            return;
        }
    }
    panic!("the message did not arrive");
}

#[test]
fn credit_that_is_seen_while_arming_is_not_forgotten() {
    let directory = Scratch::new();
    let ([mut writer, mut reader], [made, opened]) = pair(&directory);
    let (mut message, count) = fill(&mut writer, made, 900);
    writer.catmem.poll(&mut writer.wakes);
    assert_eq!(writer.woken(), []);
    for _ in 0..count {
        assert!(reader.pop(opened).is_ready());
    }
    // It comes between the look and the sleep, and no more ever comes.
    assert_eq!(writer.catmem.arm(), Armed::Ready);
    writer.catmem.poll(&mut writer.wakes);
    assert_eq!(writer.woken(), [(QUEUE, Direction::Push)]);
    assert!(writer.catmem.push(made, &mut message).is_ready());
}

#[test]
fn credit_wakes_a_sleeping_writer() {
    let directory = Scratch::new();
    let ([mut writer, mut reader], [made, opened]) = pair(&directory);
    let (mut message, count) = fill(&mut writer, made, 900);
    assert_eq!(writer.catmem.arm(), Armed::Quiet);
    for _ in 0..count {
        assert!(reader.pop(opened).is_ready());
    }
    writer.round(LIMIT);
    assert!(writer.woken().contains(&(QUEUE, Direction::Push)));
    assert!(writer.catmem.push(made, &mut message).is_ready());
}

#[test]
fn ids_that_come_back_during_an_allocation_are_not_forgotten() {
    let directory = Scratch::new();
    let ([mut writer, mut reader], [made, opened]) = pair(&directory);
    let slot = writer.catmem.alloc(made, RING).unwrap();
    let segments = |count| {
        let mut message = Sga::new();
        (0..count).for_each(|_| message.push_back(slot.view().unwrap()).unwrap());
        message
    };
    let mut lent = Vec::new();
    for _ in 0..4 {
        assert!(writer.catmem.push(made, &mut segments(64)).is_ready());
        let Poll::Ready(Ok(message)) = reader.catmem.pop(opened, PopMode::Whole) else { panic!("nothing to pop") };
        assert_eq!((message.segments(), message.len()), (64, 64 * RING));
        lent.push(message);
    }
    let mut blocked = segments(64);
    assert!(writer.catmem.push(made, &mut blocked).is_pending());
    writer.catmem.poll(&mut writer.wakes);
    assert_eq!(writer.woken(), []);
    lent.clear();
    writer.catmem.alloc(made, 1).unwrap();
    writer.catmem.poll(&mut writer.wakes);
    assert_eq!(writer.woken(), [(QUEUE, Direction::Push)]);
    assert!(writer.catmem.push(made, &mut blocked).is_ready());
}

#[test]
fn an_empty_segment_does_not_break_the_pipe() {
    let directory = Scratch::new();
    let ([mut writer, mut reader], [made, opened]) = pair(&directory);
    let mut message = Sga::new();
    for len in [1000, 0, 2000] {
        let mut buf = writer.catmem.alloc(made, len).unwrap();
        buf.get_mut().unwrap().copy_from_slice(&bytes(len));
        message.push_back(buf).unwrap();
    }
    assert!(writer.catmem.push(made, &mut message).is_ready());
    let Poll::Ready(popped) = reader.pop(opened) else { panic!("nothing to pop") };
    assert_eq!(popped.unwrap(), [bytes(1000), bytes(2000)].concat());
}

#[test]
fn a_close_that_waits_for_a_silent_opener_goes_on_without_it() {
    let directory = Scratch::new();
    let mut creator = Side::new(&directory);
    let made = creator.catmem.create_pipe(QUEUE, "p").unwrap();
    let silent = connect(&directory);
    creator.round(LIMIT);
    assert!(creator.catmem.close(made).is_pending());
    creator.woken();
    drop(silent);
    for _ in 0..3 {
        creator.round(LIMIT / 10);
        if creator.woken().contains(&(QUEUE, Direction::Push)) {
            assert!(creator.catmem.close(made).is_ready());
            return;
        }
    }
    panic!("nobody said that the opener is gone");
}

/// An opener's connection to the pipe `p`, and nothing said.
fn connect(directory: &Scratch) -> std::os::fd::OwnedFd {
    Directory::open(directory.path()).unwrap().connect(&PipeName::new("p").unwrap()).unwrap()
}

/// The opener gets what was pushed, and then the end.
fn gets(opener: &mut Side, opened: Handle, message: &[u8]) {
    while opener.catmem.pipe(opened).unwrap().connection.is_none() {
        opener.round(LIMIT);
        assert!(!opener.catmem.pipe(opened).unwrap().has_failed(), "nobody answered");
    }
    assert!(matches!(opener.pop(opened), Poll::Ready(Ok(popped)) if popped == message));
    assert!(matches!(opener.pop(opened), Poll::Ready(Ok(popped)) if popped.is_empty()), "the end");
}

#[test]
fn a_close_finds_the_opener_behind_those_that_are_dead_or_silent() {
    let directory = Scratch::new();
    let (mut creator, mut opener) = (Side::new(&directory), Side::new(&directory));
    let made = creator.catmem.create_pipe(QUEUE, "p").unwrap();
    handshake::request(&connect(&directory)).unwrap();
    drop(connect(&directory));
    let _silent = connect(&directory);
    let opened = opener.catmem.open_pipe(QUEUE, "p").unwrap();
    let mut message = creator.message(b"pushed");
    assert!(creator.catmem.push(made, &mut message).is_ready());
    assert_eq!(creator.catmem.close(made), Poll::Ready(Ok(())));
    gets(&mut opener, opened, b"pushed");
}

#[test]
fn a_greeting_that_is_cut_short_does_not_keep_a_close_from_the_next_opener() {
    let directory = Scratch::new();
    let (mut creator, mut opener) = (Side::new(&directory), Side::new(&directory));
    let made = creator.catmem.create_pipe(QUEUE, "p").unwrap();
    let _silent = connect(&directory);
    creator.round(LIMIT);
    assert!(creator.catmem.pipe(made).unwrap().offer.as_ref().unwrap().greeting.get());
    let opened = opener.catmem.open_pipe(QUEUE, "p").unwrap();
    let mut message = creator.message(b"pushed");
    assert!(creator.catmem.push(made, &mut message).is_ready());
    // As a LibOs that is dropped does.
    creator.reactor.shutdown();
    assert_eq!(creator.catmem.close(made), Poll::Ready(Ok(())));
    gets(&mut opener, opened, b"pushed");
}

#[test]
fn a_failed_handshake_leaves_nothing_to_wait_for() {
    let directory = Scratch::new();
    let mut creator = Side::new(&directory);
    let made = creator.catmem.create_pipe(QUEUE, "p").unwrap();
    creator.round(Duration::ZERO);
    let pipe = creator.catmem.pipe(made).unwrap();
    pipe.offer.as_ref().unwrap().greeting.set(true);
    let serial = pipe.serial;
    // No regular file can be watched: what the kernel says of a connection when it lacks memory.
    let file = std::fs::File::create(directory.path().join("file")).unwrap();
    creator.catmem.letter(serial, handshake::Outcome::Joined(file.into()), &mut creator.wakes);
    assert!(matches!(creator.pop(made), Poll::Ready(Err(_))));
    assert_eq!(creator.reactor.coroutines(), 0);
    let again = creator.catmem.create_pipe(QUEUE, "p").expect("the name is free");
    for pipe in [made, again] {
        assert_eq!(creator.catmem.close(pipe), Poll::Ready(Ok(())));
    }
}

#[test]
fn what_a_dead_peer_published_is_popped_before_the_error() {
    let directory = Scratch::new();
    let ([mut writer, mut reader], [made, opened]) = pair(&directory);
    assert!(writer.catmem.push(made, &mut writer.pools.alloc_copy(b"whole").unwrap().into()).is_ready());
    // Half of this one is published when it dies.
    let mut message = writer.message(&bytes(2 * RING));
    assert!(writer.catmem.push(made, &mut message).is_pending());
    drop(writer);

    reader.round(LIMIT);
    let Poll::Ready(Ok(part)) = reader.catmem.pop(opened, PopMode::AtMost(NonZeroUsize::MIN)) else { panic!() };
    assert_eq!(part.to_vec(), b"w");
    let Poll::Ready(rest) = reader.pop(opened) else { panic!() };
    assert_eq!(rest.unwrap(), b"hole");
    let died = (0..10).find_map(|_| match reader.pop(opened) {
        Poll::Ready(popped) => Some(popped.unwrap_err().errno()),
        Poll::Pending => None,
    });
    assert_eq!(died, Some(Errno::CONNRESET));
    let Poll::Ready(pushed) = reader.catmem.push(opened, &mut message) else { panic!() };
    assert_eq!(pushed.unwrap_err().errno(), Errno::CONNRESET);
}

/// Pushes the message while the reader pops, until the reader has got something.
fn through(writer: &mut Side, made: Handle, message: &mut Sga, reader: &mut Side, opened: Handle) -> Result<Vec<u8>> {
    let mut pushed = false;
    for _ in 0..1000 {
        pushed = pushed || writer.catmem.push(made, message).map(Result::unwrap).is_ready();
        if let Poll::Ready(popped) = reader.pop(opened) {
            assert!(pushed, "before it was there");
            return popped;
        }
    }
    panic!("nothing came");
}

#[test]
fn what_is_longer_than_any_buffer_is_said_once_and_stands_in_nobodys_way() {
    let no_oversize = Classes { oversize_limit: 0, ..Classes::default() };
    // The reader's buffers, or its own bound.
    for (classes, max_message) in [(no_oversize, 1 << 20), (Classes::default(), 64 << 10)] {
        let directory = Scratch::new();
        let reader = Side::with(&directory, &classes, max_message);
        let ([mut writer, mut reader], [made, opened]) = meet(Side::new(&directory), reader);
        for _ in 0..3 {
            let mut message = writer.message(&bytes(100 << 10));
            let popped = through(&mut writer, made, &mut message, &mut reader, opened);
            assert_eq!(popped.map_err(Error::errno), Err(Errno::MSGSIZE));
            let mut message = writer.message(&bytes(60_000));
            assert_eq!(through(&mut writer, made, &mut message, &mut reader, opened), Ok(bytes(60_000)));
        }
        // One that is given up on the way is not worth a word.
        let mut message = writer.message(&bytes(100 << 10));
        assert!(writer.catmem.push(made, &mut message).is_pending() && reader.pop(opened).is_pending());
        writer.catmem.canceled(made, Direction::Push);
        let mut message = writer.message(b"next");
        assert_eq!(through(&mut writer, made, &mut message, &mut reader, opened), Ok(b"next".to_vec()));
        // And one whose writer dies is a death like any other.
        let mut message = writer.message(&bytes(100 << 10));
        assert!(writer.catmem.push(made, &mut message).is_pending() && reader.pop(opened).is_pending());
        drop(writer);
        reader.round(LIMIT);
        let died = (0..10).find_map(|_| match reader.pop(opened) {
            Poll::Ready(popped) => Some(popped.unwrap_err().errno()),
            Poll::Pending => None,
        });
        assert_eq!(died, Some(Errno::CONNRESET));
    }
}

#[test]
fn one_record_or_reference_beyond_the_readers_bound_is_said_once() {
    let directory = Scratch::new();
    let reader = Side::with(&directory, &Classes::default(), 512);
    let ([mut writer, mut reader], [made, opened]) = meet(Side::new(&directory), reader);
    let mut next = || {
        let mut message = writer.message(&bytes(600));
        assert!(writer.catmem.push(made, &mut message).is_ready());
        let mut message = writer.catmem.alloc(made, 600).unwrap().into();
        assert!(writer.catmem.push(made, &mut message).is_ready());
        let mut message = writer.message(&bytes(512));
        assert!(writer.catmem.push(made, &mut message).is_ready());
    };
    for mode in [PopMode::Whole, PopMode::InPlace] {
        // More often than there are slots: all come back.
        for _ in 0..20 {
            next();
            assert!(reader.catmem.pop_now(opened, mode).is_empty());
            for _ in 0..2 {
                let Poll::Ready(Err(error)) = reader.catmem.pop(opened, mode) else { panic!("it was popped") };
                assert_eq!(error.errno(), Errno::MSGSIZE);
            }
            let Poll::Ready(Ok(popped)) = reader.catmem.pop(opened, mode) else { panic!("nothing to pop") };
            assert_eq!(popped.to_vec(), bytes(512));
        }
    }
}

/// What fits no buffer can be read in place, if not now, then once views are dropped: until then it stays.
#[test]
fn what_fits_no_buffer_waits_for_views_to_be_dropped() {
    let directory = Scratch::new();
    let short = Classes { small_size: 512, large_size: 512, large_count: 8, oversize_limit: 0, ..Classes::default() };
    let reader = Side::with(&directory, &short, 1 << 20);
    let ([mut writer, mut reader], [made, opened]) = meet(Side::new(&directory), reader);
    for len in [100, 600] {
        let mut message = writer.message(&bytes(len));
        assert!(writer.catmem.push(made, &mut message).is_ready());
    }
    let Poll::Ready(Ok(first)) = reader.catmem.pop(opened, PopMode::InPlace) else { panic!("nothing to pop") };
    let views: Vec<_> = core::iter::from_fn(|| first.view().ok()).collect();
    assert!(views.len() > 100, "{} views", views.len());
    for _ in 0..2 {
        let Poll::Ready(Err(error)) = reader.catmem.pop(opened, PopMode::InPlace) else { panic!("it was popped") };
        assert_eq!(error.errno(), Errno::NOBUFS);
    }
    drop(views);
    let Poll::Ready(Ok(popped)) = reader.catmem.pop(opened, PopMode::InPlace) else { panic!("nothing to pop") };
    assert_eq!(popped.to_vec(), bytes(600));
}

#[test]
fn cold_pipes_wake_by_their_bells() {
    const PIPES: usize = HOT_PIPES_MAX + 2 * runtime::limits::ARMED_AT_ONCE;
    let directory = Scratch::new();
    let (mut creator, mut opener) = (Side::new(&directory), Side::new(&directory));
    creator.wakes.grow(PIPES);
    opener.wakes.grow(PIPES);
    let mut pipes = Vec::new();
    for queue in 0..PIPES as QueueId {
        let made = creator.catmem.create_pipe(queue, &format!("p{queue}")).unwrap();
        pipes.push((made, opener.catmem.open_pipe(queue, &format!("p{queue}")).unwrap()));
        while creator.catmem.pipe(made).unwrap().connection.is_none() {
            creator.round(LIMIT);
            opener.round(Duration::ZERO);
        }
    }
    for &(_, opened) in &pipes {
        assert!(opener.pop(opened).is_pending());
    }
    opener.woken();
    assert!(opener.catmem.hot.len() <= HOT_PIPES_MAX);
    // One by one, hot or cold, after a sleep of the reader or in its stride.
    for (queue, &(made, opened)) in pipes.iter().enumerate() {
        if queue % 2 == 0 {
            assert_eq!(opener.catmem.arm(), Armed::Quiet);
        }
        assert!(creator.catmem.push(made, &mut creator.pools.alloc_copy(&[queue as u8]).unwrap().into()).is_ready());
        opener.round(if queue % 2 == 0 { LIMIT } else { Duration::ZERO });
        opener.catmem.disarm();
        assert!(opener.woken().contains(&(queue as QueueId, Direction::Pop)), "pipe {queue}");
        let Poll::Ready(popped) = opener.pop(opened) else { panic!("nothing in pipe {queue}") };
        assert_eq!(popped.unwrap(), [queue as u8]);
        assert!(opener.pop(opened).is_pending());
    }
}
