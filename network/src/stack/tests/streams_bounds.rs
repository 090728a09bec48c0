// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tables that are full, and buffers that are few: what is remembered, promised and held is bounded, and what is new still works.

use super::streams_raw::{ELSEWHERE, Hand, THERE, clocks, header};
use super::*;
use crate::limits::{
    FAST_OPEN_PENDING_MAX, HALF_OPEN_MAX, ORPHAN_KEEPS_FOR, ORPHANS_LOOKED_AT, STREAM_BUFFERS_MIN,
    STREAMS_TAKE_EIGHTHS, SYN_QUEUE_MAX, TIME_WAITS_MAX,
};
use crate::stack::StreamId;
use crate::wire::tcp::{Cookie, Flags, Options};
use runtime::socket::SocketOption;

impl Hand {
    /// What a SYN without data is given.
    fn ask_for_cookie(&mut self, port: u16) -> Cookie {
        let mut syn = header(port, 80, Flags::SYN, 100, 0);
        syn.options.fast_open = Some(Cookie::default());
        let given = self.send(&syn, b"")[0].options.fast_open.expect("a cookie");
        self.send(&header(port, 80, Flags::RST, 101, 0), b"");
        given
    }

    /// A SYN with data: whether they were taken.
    fn call_early(&mut self, port: u16, cookie: Cookie) -> bool {
        let mut syn = header(port, 80, Flags::SYN, 100, 0);
        syn.options.fast_open = Some(cookie);
        let answer = self.send(&syn, b"early")[0].clone();
        assert_eq!(answer.flags, Flags::SYN | Flags::ACK);
        self.last_iss = answer.sequence;
        answer.acknowledgment == 106
    }
}

/// RFC 9293 section 3.6.1: of more connections that have ended than are remembered the oldest goes, out of everything.
#[test]
fn a_full_table_of_connections_that_have_ended() {
    const BEYOND: u32 = 1000;
    let mut hand = Hand::new();
    let listener = hand.listen(4);
    let mut ends = Vec::new();
    for number in 0..TIME_WAITS_MAX + BEYOND {
        let from = if number % 2 == 0 { THERE } else { ELSEWHERE };
        let port = 1 + (number / 2) as u16;
        let iss = hand.open_from(from, port, 100);
        let id = done(hand.stack.stream_accept(listener, hand.now));
        done(hand.stack.stream_close(id, hand.now));
        hand.sent();
        let fin = header(port, 80, Flags::FIN | Flags::ACK, 101, iss.wrapping_add(2));
        assert_eq!(hand.send_from(from, &fin, b"").first().map(|answer| answer.acknowledgment), Some(102));
        ends.push((from, fin));
    }
    let counts = hand.stack.stream_counts();
    assert_eq!((counts.time_waits, counts.flows, counts.sockets), (TIME_WAITS_MAX, TIME_WAITS_MAX, 1));
    let mut answers = |from: u32, to: u32, flags| {
        for (from, fin) in &ends[from as usize..to as usize] {
            assert_eq!(hand.send_from(*from, fin, b"").first().map(|answer| answer.flags), Some(flags));
        }
    };
    answers(0, 10, Flags::RST);
    answers(BEYOND - 10, BEYOND, Flags::RST);
    answers(BEYOND, BEYOND + 10, Flags::ACK);
    answers(TIME_WAITS_MAX + BEYOND - 10, TIME_WAITS_MAX + BEYOND, Flags::ACK);
    hand.run(Duration::from_mins(3));
    assert_eq!(hand.stack.stream_counts().flows, 0);
    // Nobody holds the port any more.
    done(hand.stack.stream_close(listener, hand.now));
    hand.listen(1);
}

/// RFC 4987 section 3.6: with no room left for any listener's SYNs, cookies let those in who mean it.
#[test]
fn a_full_table_of_syns() {
    let mut hand = Hand::new();
    let listeners = HALF_OPEN_MAX / SYN_QUEUE_MAX as u32 + 1;
    let ids: Vec<StreamId> = (0..listeners).map(|number| hand.listen_at(80 + number as u16, SYN_QUEUE_MAX)).collect();
    for listener in 0..listeners as u16 {
        for number in 0..SYN_QUEUE_MAX as u16 {
            hand.send(&header(1000 + number, 80 + listener, Flags::SYN, 7, 0), b"");
        }
    }
    assert_eq!(hand.stack.stream_counts().half_open, HALF_OPEN_MAX);
    let port = 80 + listeners as u16 - 1;
    let mut syn = header(60_000, port, Flags::SYN, 100, 0);
    syn.options = Options { mss: Some(1460), ..clocks(50, 0) };
    let sent = hand.stack.counters().cookies_sent;
    let answer = hand.send(&syn, b"");
    assert_eq!(hand.stack.counters().cookies_sent, sent + 1);
    let (iss, shown) = (answer[0].sequence, answer[0].options.timestamps.unwrap().value);
    let mut back = header(60_000, port, Flags::ACK | Flags::PSH, 101, iss.wrapping_add(1));
    back.options = clocks(51, shown);
    hand.send(&back, b"hello");
    let id = done(hand.stack.stream_accept(*ids.last().unwrap(), hand.now));
    assert_eq!(done(hand.stack.stream_pop(id, None, hand.now)).to_vec(), b"hello");
    assert_eq!(hand.stack.stream_counts().half_open, HALF_OPEN_MAX);
    // Nobody answers: all are forgotten, and the tables have room.
    hand.run(Duration::from_mins(4));
    let counts = hand.stack.stream_counts();
    assert_eq!((counts.half_open, counts.flows), (0, 1));
}

/// RFC 7413 section 5.1: those whose data came with their SYN and who have not answered have a bound, and one who hangs up at once
/// makes no room.
#[test]
fn syns_with_data_that_nobody_answers_for() {
    let mut hand = Hand::with(|tcp| tcp.fast_open = true);
    let listener = hand.listen(4000);
    let cookie = hand.ask_for_cookie(1);
    for number in 0..FAST_OPEN_PENDING_MAX as u16 {
        let taken = hand.call_early(2000 + number, cookie);
        assert!(taken, "{number}");
        hand.send(&header(2000 + number, 80, Flags::RST, 106, 0), b"");
    }
    assert!(!hand.call_early(10_000, cookie), "only its place is held");
    for _ in 0..FAST_OPEN_PENDING_MAX {
        let id = done(hand.stack.stream_accept(listener, hand.now));
        assert_eq!(done(hand.stack.stream_pop(id, None, hand.now)).to_vec(), b"early");
        assert!(
            matches!(hand.stack.stream_pop(id, None, hand.now), Poll::Ready(Err(error)) if error.errno() == Errno::CONNRESET)
        );
        done(hand.stack.stream_close(id, hand.now));
    }
    hand.run(Duration::from_secs(2));
    assert!(hand.call_early(10_001, cookie), "not for ever");
    hand.run(Duration::from_mins(3));
    let counts = hand.stack.stream_counts();
    assert_eq!((counts.half_open, counts.flows), (0, 0));
    done(hand.stack.stream_close(listener, hand.now));
    assert_eq!(hand.pools.stats()[0].in_use, 0);
}

/// Data on SYNs hold no more of the buffers than what comes on connections.
#[test]
fn syns_with_data_that_nobody_accepts() {
    let mut hand = Hand::with(|tcp| tcp.fast_open = true);
    let listener = hand.listen(40_000);
    let cookie = hand.ask_for_cookie(1);
    let most = hand.pools.stats()[0].capacity as usize / 8 * STREAMS_TAKE_EIGHTHS;
    let mut taken = 0;
    for number in 0..10_000 {
        let (port, before) = (2000 + number, hand.pools.stats()[0].in_use);
        let early = hand.call_early(port, cookie);
        taken += usize::from(early);
        assert_eq!(hand.pools.stats()[0].in_use - before, u32::from(early) as _);
        hand.send(&header(port, 80, Flags::ACK, if early { 106 } else { 101 }, hand.last_iss.wrapping_add(1)), b"");
    }
    assert_eq!(taken, most);
    // The others' data come again.
    for _ in 0..taken {
        let id = done(hand.stack.stream_accept(listener, hand.now));
        assert_eq!(done(hand.stack.stream_pop(id, None, hand.now)).to_vec(), b"early");
    }
    let id = done(hand.stack.stream_accept(listener, hand.now));
    assert!(hand.stack.stream_pop(id, None, hand.now).is_pending());
    assert_eq!(hand.pools.stats()[0].in_use, 0);
}

/// Who leaves a gap in front of each byte holds no more of the buffers than all streams may, and takes nothing from others (RFC 9293
/// section 3.10.7.4: what is behind a gap may be kept, and need not).
#[test]
fn gaps_of_many_peers() {
    const PEERS: u16 = 200;
    let mut hand = Hand::new();
    let listener = hand.listen(1000);
    let mut peers = Vec::new();
    for port in 0..PEERS {
        let iss = hand.open(2000 + port, 100);
        peers.push((2000 + port, iss.wrapping_add(1), done(hand.stack.stream_accept(listener, hand.now))));
    }
    for gap in 0..60 {
        for &(port, ack, _) in &peers {
            hand.send(&header(port, 80, Flags::ACK, 102 + gap * 2, ack), b"x");
        }
    }
    let stats = hand.pools.stats()[0];
    assert!(stats.in_use < stats.capacity / 8 * 7, "{} of {} buffers", stats.in_use, stats.capacity);
    assert!(hand.stack.counters().dropped(Reason::ReceiveFull) > 0);
    // Somebody else is served.
    let iss = hand.open(50_000, 1);
    let id = done(hand.stack.stream_accept(listener, hand.now));
    hand.send(&header(50_000, 80, Flags::ACK | Flags::PSH, 2, iss.wrapping_add(1)), b"hello");
    assert_eq!(done(hand.stack.stream_pop(id, None, hand.now)).to_vec(), b"hello");
    // What is missing is taken from everybody, and with it all that was kept behind it.
    for &(port, ack, id) in &peers {
        for gap in 0..60 {
            hand.send(&header(port, 80, Flags::ACK, 101 + gap * 2, ack), b"oo");
            while hand.stack.stream_pop(id, None, hand.now).is_ready() {}
        }
        let info = hand.stack.stream_info(id, hand.now).unwrap();
        assert_eq!(info.bytes_received, 120, "port {port}");
    }
    assert_eq!(hand.pools.stats()[0].in_use, 0);
}

/// RFC 9293 section 3.8.6.1: while others hold what there is, what probes a connection whose window is closed is not taken, but answered; and so is
/// what comes into an open window. Whoever hears nothing gives up.
#[test]
fn probes_are_answered_however_much_is_held() {
    const PEERS: u16 = 40;
    let mut hand = Hand::new();
    let listener = hand.listen(1000);
    let mut peers = Vec::new();
    for port in 0..PEERS {
        let iss = hand.open(2000 + port, 100);
        done(hand.stack.stream_accept(listener, hand.now));
        peers.push((2000 + port, iss.wrapping_add(1), 101));
    }
    let full = [7; 1400];
    for _ in 0..200 {
        for (port, ack, seq) in &mut peers {
            hand.send(&header(*port, 80, Flags::ACK, *seq, *ack), &full);
            *seq += 1400;
        }
        if hand.stack.counters().dropped(Reason::ReceiveFull) > 0 {
            break;
        }
    }
    assert!(hand.stack.counters().dropped(Reason::ReceiveFull) > 0);
    hand.run(Duration::from_secs(1));
    for &(port, ack, seq) in &peers {
        let probed = hand.send(&header(port, 80, Flags::ACK, seq - 1400, ack), b"x");
        assert_eq!(probed.len(), 1, "port {port}: {probed:?}");
        assert!(probed[0].flags.contains(Flags::ACK) && !probed[0].flags.contains(Flags::RST));
        assert!(probed[0].acknowledgment.wrapping_sub(101) <= seq - 101, "port {port}");
    }
}

/// RFC 9293 section 3.8.6: no window promises more than there are buffers for, however large the receive buffer is said to be.
#[test]
fn a_window_promises_what_the_pools_hold() {
    for by_option in [false, true] {
        let mut second = config(2);
        if !by_option {
            second.tcp.receive_buffer = 4 << 20;
        }
        let mut wire = Wire::of(vec![config(1), second]);
        let listener = wire.listen(1, "10.0.0.2:80", 8);
        if by_option {
            wire.stacks[1].stream_set_option(listener, SocketOption::ReceiveBuffer(2 << 20)).unwrap();
        }
        let near = wire.call(0, "10.0.0.2:80");
        wire.settle();
        done(wire.stacks[0].stream_connected(near));
        let far = wire.accept(1, listener);
        if by_option {
            wire.stacks[1].stream_set_option(far, SocketOption::ReceiveBuffer(8 << 20)).unwrap();
        }
        let scale = wire.stacks[1].stream_info(far, wire.now).unwrap().scales.map(|(_, ours)| ours);
        assert_eq!(scale, Some(if by_option { 6 } else { 7 }), "what is asked for says how windows are scaled");
        let (mut pushed, mut idle) = (0, 0);
        while idle < 50 {
            let mut message = wire.pools[0].alloc_copy(&[7; 1400]).unwrap().into();
            if wire.stacks[0].stream_push(near, &mut message, wire.now).is_ready() {
                (pushed, idle) = (pushed + 1400, 0);
            } else {
                idle += 1;
                pushed += 1400 - message.len();
                wire.run(Duration::from_millis(100));
            }
        }
        assert_eq!(wire.dropped(1, Reason::ReceiveFull), 0);
        let stats = wire.pools[1].stats()[0];
        let most = stats.capacity as usize / 8 * STREAMS_TAKE_EIGHTHS;
        let held = stats.in_use as usize;
        assert!(held <= most + 1 && held > most / 4 * 3, "{held} of {most} buffers are held");
        let mut got = 0;
        for _ in 0..100 {
            got += wire.pop_all(1, far).len();
            wire.run(Duration::from_millis(500));
        }
        assert_eq!((got, wire.dropped(1, Reason::ReceiveFull)), (pushed, 0));
    }
}

impl Hand {
    fn push(&mut self, id: StreamId, bytes: &[u8]) -> bool {
        let mut message = self.pools.alloc_copy(bytes).unwrap().into();
        self.stack.stream_push(id, &mut message, self.now).is_ready()
    }

    /// Peers that have not acknowledged anything of what they were sent, and whose connections are closed; there are so many sockets
    /// before them. Then one more connection, which is refused.
    fn keep_what_is_closed(&mut self, listener: StreamId, before: u32) -> StreamId {
        for _ in 0..before {
            self.stack.stream_socket(Domain::V4).unwrap();
        }
        for port in 0..100 {
            self.open(2000 + port, 100);
            let id = done(self.stack.stream_accept(listener, self.now));
            for _ in 0..STREAM_BUFFERS_MIN {
                self.push(id, &[7; 1400]);
            }
            done(self.stack.stream_close(id, self.now));
            self.sent();
        }
        self.open(50_000, 100);
        let fresh = done(self.stack.stream_accept(listener, self.now));
        while self.stack.stream_woken().is_some() {}
        assert!(!self.push(fresh, b"hello"), "all buffers are taken");
        fresh
    }
}

/// What closed connections keep for peers that take nothing keeps nobody else from pushing; and no more of them are reset than that needs.
#[test]
fn closed_connections_make_room() {
    for before in [0, 3 * ORPHANS_LOOKED_AT] {
        let mut hand = Hand::new();
        let listener = hand.listen(1000);
        let fresh = hand.keep_what_is_closed(listener, before);
        let sockets = hand.stack.streams();
        hand.run(ORPHAN_KEEPS_FOR + Duration::from_secs(1));
        let woken: Vec<StreamId> = core::iter::from_fn(|| hand.stack.stream_woken()).map(|(id, _)| id).collect();
        assert!(woken.contains(&fresh), "whoever waits is told");
        assert!(hand.push(fresh, b"hello"));
        let sent = hand.sent();
        assert!(
            sent.iter().any(|segment| segment.destination == 50_000 && segment.flags.contains(Flags::PSH)),
            "{sent:?}"
        );
        assert_eq!(sockets - hand.stack.streams(), 1);
        // The next one, at once.
        let mut pushed = 1;
        while hand.push(fresh, &[7; 1400]) {
            pushed += 1;
        }
        assert_eq!(pushed, STREAM_BUFFERS_MIN);
        hand.sent();
        hand.open(50_001, 100);
        let next = done(hand.stack.stream_accept(listener, hand.now));
        assert!(hand.push(next, b"hello"));
        assert_eq!(sockets - hand.stack.streams(), 1);
    }
}

/// While nobody waits for room, closed connections keep what they have; and whoever waits does not keep the stack busy.
#[test]
fn closed_connections_are_left_alone() {
    let mut hand = Hand::new();
    let listener = hand.listen(1000);
    let fresh = hand.keep_what_is_closed(listener, 0);
    done(hand.stack.stream_close(fresh, hand.now));
    let sockets = hand.stack.streams();
    hand.run(ORPHAN_KEEPS_FOR + Duration::from_secs(1));
    assert_eq!(hand.stack.streams(), sockets);
    // Nor does anybody wait whose push was called off.
    let mut hand = Hand::new();
    let listener = hand.listen(1000);
    let fresh = hand.keep_what_is_closed(listener, 0);
    hand.stack.stream_forget_push(fresh);
    let sockets = hand.stack.streams();
    hand.run(ORPHAN_KEEPS_FOR + Duration::from_secs(1));
    assert_eq!(hand.stack.streams(), sockets);
    // Nobody was closed long enough ago.
    let mut hand = Hand::new();
    let listener = hand.listen(1000);
    hand.keep_what_is_closed(listener, 0);
    let mut polls = 0;
    let end = hand.now + ORPHAN_KEEPS_FOR / 2;
    while let Some(due) = hand.stack.next_deadline().filter(|due| *due <= end) {
        hand.now = hand.now.max(due);
        hand.stack.poll(hand.now);
        hand.sent();
        polls += 1;
    }
    assert!(polls < 1000, "{polls} polls");
}
