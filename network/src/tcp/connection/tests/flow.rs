// SPDX-License-Identifier: MIT OR Apache-2.0
//! The peer's window (RFC 9293 section 3.8.6), Nagle's algorithm (section 3.7.4), completions, and segment lengths.

use super::super::*;
use super::pair::*;
use crate::tcp::settings::Completion;
use crate::wire::tcp::Flags;
use core::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn small() -> Settings {
    Settings { receive_buffer: 8000, receive_buffer_max: 8000, ..Settings::default() }
}

/// A peer that does not pop.
fn closed_window() -> Pair {
    let mut pair = Pair::connected(small());
    pair.pops[SERVER] = false;
    assert!(pair.push(CLIENT, &pattern(30_000)).is_ready());
    pair.run_for(SECOND);
    pair
}

/// RFC 9293 section 3.8.6.1: a closed window is asked again and again, at times that grow, with the byte that is next, and as
/// long as the peer answers, the connection stays.
#[test]
fn a_closed_window_is_probed() {
    let mut pair = closed_window();
    assert!(pair.sent_by(SERVER).last().unwrap().window == 0, "{}", pair.text());
    let next = pair.sent_by(SERVER).last().unwrap().ack;
    pair.trace.clear();
    pair.run_for(Duration::from_hours(2));
    let probes: Vec<Seen> = pair.sent_by(CLIENT).cloned().collect();
    assert!(probes.len() > 100, "{}", pair.text());
    assert!(probes.iter().all(|probe| probe.seq == next && probe.len <= 1), "{}", pair.text());
    let gaps: Vec<Duration> = probes.windows(2).map(|two| two[1].at - two[0].at).collect();
    assert!(gaps[0] < gaps[1] && gaps[1] < gaps[2], "{gaps:?}");
    assert!(gaps.iter().all(|gap| *gap <= Duration::from_mins(1)));
    assert_eq!(pair.states(), (State::Established, State::Established));
    pair.pops[SERVER] = true;
    assert!(pair.pop(SERVER, Some(1)).is_ready());
    pair.run_for(SECOND);
    assert_eq!(pair.received[SERVER], pattern(30_000)[1..], "{}", pair.text());
}

/// The segment that opens the window is lost: a probe finds out.
#[test]
fn a_lost_window_update() {
    let mut pair = closed_window();
    pair.wire = Box::new(|seen| if seen.from == SERVER { Fate::Drop } else { Fate::Deliver });
    pair.pops[SERVER] = true;
    assert!(pair.pop(SERVER, Some(1)).is_ready());
    pair.wire = Box::new(|_| Fate::Deliver);
    pair.run_for(Duration::from_mins(1));
    assert_eq!(pair.received[SERVER], pattern(30_000)[1..], "{}", pair.text());
}

/// A peer that takes the byte of a probe although its window was closed, and acknowledges it.
#[test]
fn a_probe_is_taken() {
    let mut pair = closed_window();
    pair.wire = Box::new(|_| Fate::Drop);
    pair.trace.clear();
    pair.run_for(SECOND);
    let probe = pair.sent_by(CLIENT).last().unwrap().clone();
    assert_eq!(probe.len, 1, "{}", pair.text());
    assert_eq!(pair.end(CLIENT).info(Time::ZERO).in_flight, 0);
    let mut options = probe.options.clone();
    options.timestamps = probe
        .options
        .timestamps
        .map(|stamps| crate::wire::tcp::Timestamps { value: stamps.echo + 1, echo: stamps.value });
    let mut answer = Incoming {
        seq: probe.ack,
        ack: probe.seq + 1,
        flags: Flags::ACK,
        window: 8000,
        options,
        ecn: crate::wire::Ecn::NotCapable,
        payload: Sga::new(),
    };
    assert_eq!(pair.give(CLIENT, &mut answer), Verdict::Fine);
    assert_eq!(
        pair.sent_by(CLIENT).find(|seen| seen.len > 1).map(|seen| seen.seq),
        Some(probe.seq + 1),
        "{}",
        pair.text()
    );
}

/// RFC 9293 section 3.8.6.1: nobody answers the probes either.
#[test]
fn a_peer_that_is_gone_behind_a_closed_window() {
    let mut pair = closed_window();
    pair.wire = Box::new(|_| Fate::Drop);
    pair.run_for(Duration::from_hours(1));
    assert!(
        matches!(pair.push(CLIENT, b"x"), Poll::Ready(Err(error)) if error.errno() == Errno::TIMEDOUT),
        "{}",
        pair.text()
    );
}

/// A closed connection does not wait for ever for a window.
#[test]
fn nobody_waits_behind_a_closed_window() {
    let mut pair = closed_window();
    pair.close(CLIENT);
    pair.run_for(Duration::from_hours(1));
    assert_eq!(pair.state(CLIENT), State::Closed, "{}", pair.text());
    assert_eq!(pair.state(SERVER), State::Closed);
}

/// A reader that takes its time gets everything all the same: what was asked before the close, or before it took a window, counts for nothing.
#[test]
fn slow_readers_of_closed_connections_get_everything() {
    let mut pair = closed_window();
    pair.run_for(Duration::from_mins(5));
    pair.close(CLIENT);
    for _ in 0..3 {
        pair.run_for(Duration::from_secs(80));
        assert!(pair.pop(SERVER, Some(8000)).is_ready(), "{}", pair.text());
        pair.run_for(SECOND);
    }
    pair.run_for(Duration::from_secs(80));
    pair.pops[SERVER] = true;
    assert!(pair.pop(SERVER, Some(1)).is_ready(), "{}", pair.text());
    pair.run_for(Duration::from_mins(2));
    assert_eq!(pair.received[SERVER], pattern(30_000)[3 * 8000 + 1..], "{}", pair.text());
}

/// RFC 9293 section 3.8.3: however short the timeouts are, who has closed waits for a hundred seconds.
#[test]
fn closed_connections_are_patient() {
    let settings = Settings { receive_buffer: 8000, receive_buffer_max: 8000, ..Settings::datacenter() };
    for (is_silent, close_first) in [(true, true), (false, true), (false, false)] {
        let mut pair = Pair::connected(settings);
        pair.pops[SERVER] = false;
        if is_silent {
            pair.wire = Box::new(|_| Fate::Drop);
        }
        assert!(pair.push(CLIENT, &pattern(30_000)).is_ready());
        if !close_first {
            pair.run_for(Duration::from_secs(5));
        }
        pair.close(CLIENT);
        pair.run_for(Duration::from_secs(90));
        assert_ne!(pair.state(CLIENT), State::Closed, "{is_silent} {}", pair.text());
        pair.run_for(Duration::from_hours(1));
        assert_eq!(pair.state(CLIENT), State::Closed, "{is_silent} {}", pair.text());
    }
}

/// Nor for a window that opens by a byte each time it is asked.
#[test]
fn nobody_waits_for_a_byte_at_a_time() {
    let mut pair = closed_window();
    pair.close(CLIENT);
    pair.wire = Box::new(|seen| if seen.from == CLIENT { Fate::Drop } else { Fate::Deliver });
    for _ in 0..3600 {
        let before = pair.trace.len();
        pair.run_for(SECOND);
        let Some(probe) = pair.trace[before..].iter().rfind(|seen| seen.from == CLIENT && seen.len == 1).cloned()
        else {
            continue;
        };
        let stamps = probe.options.timestamps.map(|stamps| crate::wire::tcp::Timestamps {
            value: stamps.echo.wrapping_add(probe.at.as_nanos() as u32 / 1_000_000),
            echo: stamps.value,
        });
        let mut answer = Incoming {
            seq: probe.ack,
            ack: probe.seq + 1,
            flags: Flags::ACK,
            window: 1,
            options: crate::wire::tcp::Options { timestamps: stamps, ..crate::wire::tcp::Options::default() },
            ecn: crate::wire::Ecn::NotCapable,
            payload: Sga::new(),
        };
        pair.give(CLIENT, &mut answer);
    }
    assert_eq!(pair.state(CLIENT), State::Closed, "{}", pair.text());
}

/// RFC 9293 section 3.8.6.2: a reader that takes a byte at a time does not make segments of a byte each.
#[test]
fn no_silly_windows() {
    let mut pair = closed_window();
    pair.trace.clear();
    let mut popped = 0;
    while popped < 20_000 {
        if let Poll::Ready(Ok(bytes)) = pair.pop(SERVER, Some(10)) {
            popped += bytes.len();
        }
        pair.run_for(Duration::from_millis(1));
    }
    let short = pair.sent_by(CLIENT).filter(|seen| (2..500).contains(&seen.len)).count();
    // What a full segment leaves of a window is taken when nothing else moves (section 3.8.6.2.1, the override timeout).
    assert!(short <= 10, "{short}\n{}", pair.text());
    assert!(pair.sent_by(SERVER).count() < 100, "{}", pair.text());
}

/// RFC 9293 section 3.7.4 and appendix A.3: a small segment waits as long as another is under way.
#[test]
fn small_segments_wait_for_each_other() {
    let mut pair = Pair::connected(Settings::default());
    for _ in 0..5 {
        assert!(pair.push(CLIENT, b"0123456789").is_ready());
    }
    assert_eq!(pair.sent_by(CLIENT).map(|seen| seen.len).collect::<Vec<_>>(), [10], "{}", pair.text());
    pair.run_for(SECOND);
    assert_eq!(pair.sent_by(CLIENT).filter(|seen| seen.len > 0).map(|seen| seen.len).collect::<Vec<_>>(), [10, 40]);
    // What fills a segment does not wait, nor does the rest behind it: no small one is under way.
    pair.trace.clear();
    assert!(pair.push(CLIENT, &pattern(2000)).is_ready());
    assert_eq!(pair.sent_by(CLIENT).map(|seen| seen.len).sum::<u32>(), 2000, "{}", pair.text());
}

/// `TCP_NODELAY`: each push leaves at once, and what waits leaves when it is set.
#[test]
fn no_delay() {
    let mut pair = Pair::connected(Settings::default());
    assert!(pair.push(CLIENT, b"one").is_ready() && pair.push(CLIENT, b"two").is_ready());
    assert_eq!(pair.trace.len(), 1);
    pair.call(CLIENT, |connection, now| connection.set_option(SocketOption::NoDelay(true), now));
    assert_eq!(pair.trace.len(), 2);
    assert!(pair.push(CLIENT, b"three").is_ready());
    assert_eq!(pair.trace.len(), 3, "{}", pair.text());
    assert!(pair.trace.iter().all(|seen| seen.has(Flags::PSH)));
}

/// RFC 9293 section 3.7.4: only what is under way holds small data back, however long ago the last small segment was sent.
#[test]
fn a_small_segment_of_long_ago_holds_nothing_back() {
    for timestamps in [true, false] {
        for ago in [1, 1 << 31, (1 << 31) + 5000, 3 << 30] {
            let mut pair = Pair::connected(Settings { timestamps, ..Settings::default() });
            let Phase::Open(open) = &mut pair.end(CLIENT).phase else { panic!("it is open") };
            open.small = open.recovery.una() - ago;
            assert!(pair.push(CLIENT, b"x").is_ready());
            pair.run_for(SECOND);
            assert_eq!(pair.received[SERVER], b"x", "{ago} bytes ago");
        }
    }
}

/// A push is done when it is queued, has left, or is acknowledged.
#[test]
fn completions() {
    for (completion, at_once, sent) in
        [(Completion::Queued, true, true), (Completion::Sent, false, true), (Completion::Acked, false, false)]
    {
        let mut pair = Pair::connected(Settings { completion, ..Settings::default() });
        let mut message: Sga = pair.pools.alloc_copy(b"x").unwrap().into();
        let pushed = pair.call(CLIENT, |connection, now| connection.push(&mut message, now));
        assert_eq!(pushed.is_ready(), at_once);
        pair.end(CLIENT).news();
        pair.run_for(Duration::from_millis(1));
        let pushed = pair.call(CLIENT, |connection, now| connection.push(&mut message, now));
        assert_eq!(pushed.is_ready(), sent, "{completion:?}");
        pair.run_for(SECOND);
        assert_eq!(pair.end(CLIENT).news().writable, completion == Completion::Acked);
        assert!(pair.call(CLIENT, |connection, now| connection.push(&mut message, now)).is_ready());
    }
}

/// A push that was called off is nobody's: the next is done when its own last byte is, not that one's.
#[test]
fn completions_behind_a_push_that_was_called_off() {
    let mut pair = Pair::connected(Settings { completion: Completion::Acked, ..Settings::default() });
    pair.wire = Box::new(|_| Fate::Drop);
    let mut first: Sga = pair.pools.alloc_copy(b"first").unwrap().into();
    assert!(pair.call(CLIENT, |connection, now| connection.push(&mut first, now)).is_pending());
    pair.call(CLIENT, |connection, _| connection.forget_push());
    pair.wire = Box::new(|_| Fate::Deliver);
    pair.run_for(SECOND);
    assert_eq!(pair.received[SERVER], b"first", "what stood in the queue is sent");
    pair.wire = Box::new(|_| Fate::Drop);
    let mut second: Sga = pair.pools.alloc_copy(b"second").unwrap().into();
    for _ in 0..2 {
        assert!(pair.call(CLIENT, |connection, now| connection.push(&mut second, now)).is_pending());
    }
    pair.wire = Box::new(|_| Fate::Deliver);
    pair.run_for(5 * SECOND);
    assert!(pair.call(CLIENT, |connection, now| connection.push(&mut second, now)).is_ready());
    assert_eq!(pair.received[SERVER], b"firstsecond");
}

/// A full buffer lets pushes wait, and wakes them when there is room.
#[test]
fn a_full_send_buffer() {
    let mut pair = Pair::connected(Settings { send_buffer: 20_000, ..small() });
    pair.pops[SERVER] = false;
    let mut message: Sga = pair.pools.alloc_copy(&pattern(60_000)).unwrap().into();
    assert!(pair.call(CLIENT, |connection, now| connection.push(&mut message, now)).is_pending());
    assert!(message.len() >= 40_000 && message.len() < 60_000, "{}", message.len());
    pair.end(CLIENT).news();
    pair.pops[SERVER] = true;
    pair.run_for(SECOND);
    assert!(pair.end(CLIENT).news().writable, "{}", pair.text());
    while pair.call(CLIENT, |connection, now| connection.push(&mut message, now)).is_pending() {
        pair.run_for(SECOND);
    }
    pair.run_for(SECOND);
    assert_eq!(pair.received[SERVER], pattern(60_000));
}

/// RFC 1191 section 6.3: what is lost because it is too long leaves again in shorter segments.
#[test]
fn the_path_gets_narrow() {
    let mut pair = Pair::connected(Settings::default());
    pair.wire = Box::new(|seen| if seen.len + 12 > 1000 { Fate::Drop } else { Fate::Deliver });
    assert!(pair.push(CLIENT, &pattern(20_000)).is_ready());
    pair.call(CLIENT, |connection, now| connection.set_path(1000, now));
    pair.run_for(Duration::from_secs(10));
    assert_eq!(pair.received[SERVER], pattern(20_000), "{}", pair.text());
    assert_eq!(pair.end(CLIENT).info(Time::ZERO).mss, 988);
    // That somebody knows nothing more of the path makes it no wider: for ten minutes this is not even tried.
    pair.call(CLIENT, |connection, now| connection.set_path(9000, now));
    pair.wire = Box::new(|_| Fate::Deliver);
    pair.push_all(CLIENT, &pattern(100_000), 50_000);
    pair.run_for(Duration::from_mins(9));
    assert_eq!(pair.end(CLIENT).info(Time::ZERO).mss, 988);
    pair.run_for(Duration::from_mins(1));
    pair.push_all(CLIENT, &pattern(100_000), 50_000);
    pair.run_for(SECOND);
    // It never gets wider than what the peer takes.
    assert_eq!(pair.end(CLIENT).info(Time::ZERO).mss, MSS - 12, "{}", pair.text());
}

/// RFC 4821 section 7.7: a path that drops long segments, and says nothing.
#[test]
fn a_black_hole() {
    let mut pair = Pair::connected(Settings::default());
    pair.wire = Box::new(|seen| if seen.len > 600 { Fate::Drop } else { Fate::Deliver });
    assert!(pair.push(CLIENT, &pattern(20_000)).is_ready());
    pair.run_for(Duration::from_mins(2));
    assert_eq!(pair.received[SERVER], pattern(20_000), "{}", pair.text());
}

/// With a device that cuts, several segments leave as one.
#[test]
fn segments_are_cut_by_the_device() {
    let mut pair = Pair::connected(Settings::default());
    pair.limit = Limit { most: 64_000 };
    let data = pattern(1_000_000);
    pair.push_all(CLIENT, &data, 60_000);
    pair.run_for(Duration::from_secs(5));
    assert_eq!(pair.received[SERVER], data, "{}", pair.text());
    let info = pair.end(CLIENT).info(Time::ZERO);
    assert!(info.segments_sent * 2 < pair.sent_by(CLIENT).count() as u64, "{info:?}");
}
