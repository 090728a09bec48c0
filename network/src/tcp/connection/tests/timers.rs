// SPDX-License-Identifier: MIT OR Apache-2.0
//! Peers that do not answer: retransmission (RFC 9293 section 3.8.3), the user timeout (RFC 5482), keep-alive (section 3.8.4).

use super::super::*;
use super::pair::*;
use crate::wire::tcp::Flags;
use core::time::Duration;

/// RFC 9293 section 3.8.3, RFC 1122 section 4.2.3.5 (R2): so many retransmissions in a row, at doubled times, and it is over.
#[test]
fn retries_are_exhausted() {
    let mut pair = Pair::connected(Settings { retries: 4, ..Settings::default() });
    pair.wire = Box::new(|_| Fate::Drop);
    assert!(pair.push(CLIENT, b"x").is_ready());
    pair.run_for(Duration::from_mins(5));
    assert_eq!(pair.state(CLIENT), State::Closed);
    assert!(matches!(pair.push(CLIENT, b"x"), Poll::Ready(Err(error)) if error.errno() == Errno::TIMEDOUT));
    assert!(matches!(pair.pop(CLIENT, None), Poll::Ready(Err(error)) if error.errno() == Errno::TIMEDOUT));
    // The first, the probe of its tail, and the retries.
    let times = pair.trace.len();
    assert!((5..=6).contains(&times), "{}", pair.text());
    assert!(pair.end(CLIENT).deadline().is_none());
}

/// RFC 9293 section 3.8.6.1 (MUST-37): a peer that has taken its window back and thrown away what was under way is there as long as it
/// answers; nor does its path take shorter segments only.
#[test]
fn a_window_taken_back_is_no_silence() {
    let mut pair = Pair::connected(Settings::default());
    pair.wire = Box::new(|seen| if seen.from == CLIENT { Fate::Drop } else { Fate::Deliver });
    assert!(pair.push(CLIENT, &pattern(2000)).is_ready());
    let first = pair.sent_by(CLIENT).find(|seen| seen.len > 0).unwrap().clone();
    let mut answered = 0;
    for _ in 0..3 * 3600 {
        let before = pair.trace.len();
        pair.run_for(Duration::from_secs(1));
        for sent in
            pair.trace[before..].iter().filter(|seen| seen.from == CLIENT && seen.len > 0).cloned().collect::<Vec<_>>()
        {
            let timestamps = sent.options.timestamps.map(|stamps| crate::wire::tcp::Timestamps {
                value: stamps.echo.wrapping_add(sent.at.as_nanos() as u32 / 1_000_000),
                echo: stamps.value,
            });
            let mut answer = Incoming {
                seq: sent.ack,
                ack: first.seq,
                flags: Flags::ACK,
                window: 0,
                options: crate::wire::tcp::Options { timestamps, ..crate::wire::tcp::Options::default() },
                ecn: crate::wire::Ecn::NotCapable,
                payload: Sga::new(),
            };
            assert_eq!(pair.give(CLIENT, &mut answer), Verdict::Fine);
            answered += 1;
        }
    }
    assert!(answered > 50, "{answered}");
    assert_eq!(pair.state(CLIENT), State::Established, "{}", pair.text());
    assert_eq!(pair.sent_by(CLIENT).last().unwrap().len, first.len, "{}", pair.text());
    pair.wire = Box::new(|_| Fate::Deliver);
    pair.run_for(Duration::from_mins(5));
    assert_eq!(pair.received[SERVER], pattern(2000), "{}", pair.text());
    // Who says nothing at all is given up.
    pair.wire = Box::new(|_| Fate::Drop);
    assert!(pair.push(CLIENT, b"x").is_ready());
    pair.run_for(Duration::from_hours(1));
    assert_eq!(pair.state(CLIENT), State::Closed, "{}", pair.text());
}

/// RFC 5682 section 2.1, step 2b: where Nagle's algorithm lets nothing new leave, there is no test, and what is lost leaves at once.
#[test]
fn what_is_lost_does_not_wait_for_what_may_not_leave() {
    let mut pair = Pair::connected(Settings { rack: false, ..Settings::default() });
    let full = pair.end(CLIENT).info(Time::ZERO).mss as usize;
    let mut sent = 0;
    // Three full segments and a short one, which holds back what follows.
    pair.wire = Box::new(move |seen| {
        sent += u32::from(seen.from == CLIENT && seen.len > 0);
        if seen.from == CLIENT && sent <= 4 { Fate::Drop } else { Fate::Deliver }
    });
    assert!(pair.push(CLIENT, &pattern(3 * full + 10)).is_ready());
    assert!(pair.push(CLIENT, b"y").is_ready());
    pair.run_for(Duration::from_secs(5));
    let sent: Vec<Seen> = pair.sent_by(CLIENT).filter(|seen| seen.len > 0).cloned().collect();
    assert!(sent.len() > 6, "{}", pair.text());
    assert_eq!((sent[4].seq, sent[5].seq), (sent[0].seq, sent[1].seq), "{}", pair.text());
    assert!(sent[5].at - sent[4].at < Duration::from_millis(100), "{}", pair.text());
    assert_eq!(pair.received[SERVER].len(), 3 * full + 11);
}

/// RFC 5482: data that are not acknowledged for so long end it.
#[test]
fn user_timeout() {
    let limit = Duration::from_secs(7);
    let mut pair = Pair::connected(Settings { user_timeout: Some(limit), ..Settings::default() });
    pair.run_for(Duration::from_mins(1));
    assert!(pair.push(CLIENT, b"x").is_ready());
    pair.run_for(Duration::from_mins(1));
    assert_eq!(pair.state(CLIENT), State::Established);
    pair.wire = Box::new(|_| Fate::Drop);
    assert!(pair.push(CLIENT, b"y").is_ready());
    pair.run_for(Duration::from_millis(6900));
    assert_eq!(pair.state(CLIENT), State::Established);
    pair.run_for(Duration::from_millis(300));
    assert_eq!(pair.state(CLIENT), State::Closed, "{}", pair.text());
    assert!(matches!(pair.pop(CLIENT, None), Poll::Ready(Err(error)) if error.errno() == Errno::TIMEDOUT));
}

/// RFC 5482 section 1: the time of data begins when they are pushed, though a timer of others may still be armed.
#[test]
fn user_timeout_behind_a_closed_window() {
    let settings = Settings {
        user_timeout: Some(Duration::from_secs(10)),
        receive_buffer: 8000,
        receive_buffer_max: 8000,
        ..Settings::default()
    };
    let mut pair = Pair::connected(settings);
    pair.pops[SERVER] = false;
    // All that the peer has room for arrives, and the timer of the first of it is still armed.
    for _ in 0..5 {
        let window = pair.end(CLIENT).info(Time::ZERO).send_window as usize;
        if window > 0 {
            assert!(pair.push(CLIENT, &pattern(window)).is_ready());
        }
        pair.run_for(Duration::from_millis(100));
    }
    assert_eq!(pair.end(CLIENT).info(Time::ZERO).send_window, 0, "{}", pair.text());
    pair.run_for(Duration::from_millis(9400));
    assert!(pair.push(CLIENT, b"x").is_ready());
    pair.run_for(Duration::from_secs(5));
    assert_eq!(pair.state(CLIENT), State::Established, "{}", pair.text());
    pair.run_for(Duration::from_secs(6));
    assert_eq!(pair.state(CLIENT), State::Closed, "{}", pair.text());
}

fn kept_alive() -> Pair {
    let mut pair = Pair::connected(Settings::default());
    for option in [
        SocketOption::KeepAlive(true),
        SocketOption::KeepIdle(Duration::from_secs(10)),
        SocketOption::KeepInterval(Duration::from_secs(3)),
        SocketOption::KeepCount(4),
    ] {
        pair.call(CLIENT, |connection, now| connection.set_option(option, now));
    }
    pair
}

/// RFC 9293 section 3.8.4: a silent peer is asked with an old number and no data, and answers.
#[test]
fn keep_alive_is_answered() {
    let mut pair = kept_alive();
    assert!(pair.push(CLIENT, b"x").is_ready());
    pair.run_for(Duration::from_secs(1));
    let next = pair.sent_by(SERVER).last().unwrap().ack;
    pair.trace.clear();
    pair.run_for(Duration::from_secs(35));
    let probes: Vec<_> = pair.sent_by(CLIENT).cloned().collect();
    assert_eq!(probes.len(), 3, "{}", pair.text());
    assert!(probes.iter().all(|seen| seen.seq == next - 1 && seen.len == 0 && seen.flags == Flags::ACK));
    assert_eq!(pair.sent_by(SERVER).count(), 3, "{}", pair.text());
    assert_eq!(pair.state(CLIENT), State::Established);
}

/// The same: a peer that is gone is given up.
#[test]
fn keep_alive_gives_up() {
    let mut pair = kept_alive();
    pair.wire = Box::new(|_| Fate::Drop);
    pair.run_for(Duration::from_secs(10 + 3 * 4 - 1));
    assert_eq!(pair.state(CLIENT), State::Established);
    pair.run_for(Duration::from_secs(2));
    assert_eq!(pair.state(CLIENT), State::Closed);
    assert!(pair.trace.last().unwrap().has(Flags::RST), "{}", pair.text());
    assert!(matches!(pair.pop(CLIENT, None), Poll::Ready(Err(error)) if error.errno() == Errno::TIMEDOUT));
}

/// Without keep-alive an idle connection sends nothing, and has no timer.
#[test]
fn idle() {
    let mut pair = Pair::connected(Settings::default());
    assert!(pair.push(CLIENT, b"x").is_ready() && pair.push(SERVER, b"y").is_ready());
    pair.run_for(Duration::from_secs(10));
    pair.trace.clear();
    pair.run_for(Duration::from_hours(100));
    assert!(pair.trace.is_empty());
    assert!(pair.end(CLIENT).deadline().is_none() && pair.end(SERVER).deadline().is_none());
}
