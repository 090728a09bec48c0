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
