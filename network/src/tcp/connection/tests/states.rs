// SPDX-License-Identifier: MIT OR Apache-2.0
//! The ways of RFC 9293 figure 5 from ESTABLISHED on, and what RSTs do.

use super::super::*;
use super::pair::*;
use crate::wire::tcp::Flags;
use core::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn connected() -> Pair {
    Pair::connected(Settings::default())
}

/// Figure 13: both close at once, and both wait.
/// RFC 9293 section 3.3.2.
#[test]
fn both_close_at_once() {
    let mut pair = connected();
    pair.shutdown(CLIENT);
    pair.shutdown(SERVER);
    pair.run_for(Duration::from_millis(11));
    assert_eq!(pair.states(), (State::Closing, State::Closing), "{}", pair.text());
    pair.run_for(Duration::from_millis(11));
    assert_eq!(pair.states(), (State::TimeWait, State::TimeWait), "{}", pair.text());
    assert_eq!(pair.ended, [Some(Ok(())), Some(Ok(()))]);
    pair.run_for(Duration::from_secs(61));
    assert_eq!(pair.states(), (State::Closed, State::Closed), "{}", pair.text());
}

/// FIN-WAIT-1 to TIME-WAIT at once: the peer's FIN comes with the acknowledgment of ours.
#[test]
fn fin_with_acknowledgment() {
    let mut pair = connected();
    pair.shutdown(CLIENT);
    let fin = pair.trace.last().unwrap().clone();
    assert!(fin.has(Flags::FIN | Flags::ACK) && fin.len == 0, "{}", pair.text());
    pair.wire = Box::new(|_| Fate::Drop);
    pair.settings[SERVER].ecn = false;
    let stamps = fin.options.timestamps.unwrap();
    let mut segment = Incoming {
        seq: fin.ack,
        ack: fin.seq + 1,
        flags: Flags::FIN | Flags::ACK,
        window: 500,
        options: crate::wire::tcp::Options {
            timestamps: Some(crate::wire::tcp::Timestamps { value: stamps.echo + 1, echo: stamps.value }),
            ..Default::default()
        },
        ecn: crate::wire::Ecn::NotCapable,
        payload: Sga::new(),
    };
    assert_eq!(pair.give(CLIENT, &mut segment), Verdict::Fine);
    assert_eq!(pair.state(CLIENT), State::TimeWait, "{}", pair.text());
    assert_eq!(
        pair.trace.last().map(|seen| (seen.ack, seen.flags)),
        Some((fin.ack + 1, Flags::ACK)),
        "{}",
        pair.text()
    );
    // RFC 9293 section 3.10.7.4, eighth: the same FIN again is acknowledged, and the time begins anew.
    let (first, until) = pair.end(CLIENT).time_wait().unwrap();
    pair.now += SECOND;
    let mut again = Incoming { payload: Sga::new(), options: segment.options.clone(), ..segment };
    pair.give(CLIENT, &mut again);
    assert_eq!(
        pair.trace.last().map(|seen| (seen.ack, seen.flags)),
        Some((fin.ack + 1, Flags::ACK)),
        "{}",
        pair.text()
    );
    assert_eq!(pair.end(CLIENT).time_wait().unwrap(), (first, until + SECOND));
    assert_eq!((first.next, first.expected), (fin.seq + 1, fin.ack + 1));
}

/// RFC 9293 section 3.6: who has ended still receives (FIN-WAIT-1 and FIN-WAIT-2), and who has read the end still sends
/// (CLOSE-WAIT).
#[test]
fn data_flow_in_a_half_closed_connection() {
    let mut pair = connected();
    let data = pattern(200_000);
    pair.shutdown(CLIENT);
    assert!(matches!(pair.push(CLIENT, b"x"), Poll::Ready(Err(error)) if error.errno() == Errno::PIPE));
    pair.push_all(SERVER, &data, 1000);
    pair.run_for(SECOND);
    assert_eq!(pair.states(), (State::FinWait2, State::CloseWait), "{}", pair.text());
    pair.push_all(SERVER, &data, 1000);
    pair.run_for(SECOND);
    assert_eq!(pair.received[CLIENT], [&*data, &*data].concat());
    pair.shutdown(SERVER);
    pair.run_for(SECOND);
    assert_eq!(pair.states(), (State::TimeWait, State::Closed));
    assert_eq!(pair.ended, [Some(Ok(())), Some(Ok(()))]);
    // The end is told once.
    assert!(matches!(pair.pop(CLIENT, None), Poll::Ready(Err(error)) if error.errno() == Errno::PIPE));
}

/// RFC 9293 section 3.10.4: what was pushed before goes in front of the FIN, however long that takes.
#[test]
fn the_end_comes_behind_the_data() {
    let mut pair = connected();
    let data = pattern(1_000_000);
    pair.pops[SERVER] = false;
    pair.push_all(CLIENT, &data, 60_000);
    pair.close(CLIENT);
    pair.run_for(SECOND);
    assert_eq!(pair.states(), (State::FinWait1, State::Established), "{}", pair.text());
    assert!(!pair.end(CLIENT).is_drained());
    pair.pops[SERVER] = true;
    assert!(pair.pop(SERVER, Some(1)).is_ready());
    pair.run_for(Duration::from_secs(20));
    assert_eq!(pair.state(SERVER), State::CloseWait, "{}", pair.text());
    assert!(pair.end(CLIENT).is_drained());
    assert_eq!(pair.received[SERVER], data[1..]);
    assert_eq!(pair.ended[SERVER], Some(Ok(())));
}

/// Each FIN and each of its acknowledgments may be lost.
#[test]
fn lost_ends_are_sent_again() {
    for lost in 0..4 {
        let mut pair = connected();
        let mut count = 0;
        pair.wire = Box::new(move |_| {
            count += 1;
            if count == lost + 1 { Fate::Drop } else { Fate::Deliver }
        });
        pair.shutdown(CLIENT);
        pair.run_for(SECOND);
        pair.shutdown(SERVER);
        pair.run_for(Duration::from_secs(5));
        assert_eq!(pair.states(), (State::TimeWait, State::Closed), "{lost}\n{}", pair.text());
        assert_eq!(pair.ended, [Some(Ok(())), Some(Ok(()))]);
    }
}

/// RFC 9293 section 3.10.5, linger 0: the peer reads what had come in order, then that it was reset, each time.
#[test]
fn abort_resets_behind_what_came() {
    let mut pair = connected();
    pair.pops[SERVER] = false;
    assert!(pair.push(CLIENT, &pattern(5000)).is_ready());
    pair.run_for(SECOND);
    pair.abort(CLIENT);
    assert!(pair.end(CLIENT).is_over());
    let rst = pair.trace.last().unwrap();
    assert!(rst.has(Flags::RST | Flags::ACK), "{}", pair.text());
    pair.run_for(SECOND);
    assert_eq!(pair.state(SERVER), State::Closed);
    let mut popped = Vec::new();
    while popped.len() < 5000 {
        let Poll::Ready(Ok(bytes)) = pair.pop(SERVER, None) else { panic!("{} bytes are there", popped.len()) };
        popped.extend(bytes);
    }
    assert_eq!(popped, pattern(5000));
    for _ in 0..2 {
        assert!(matches!(pair.pop(SERVER, None), Poll::Ready(Err(error)) if error.errno() == Errno::CONNRESET));
        assert!(matches!(pair.push(SERVER, b"x"), Poll::Ready(Err(error)) if error.errno() == Errno::CONNRESET));
    }
}

/// An RST behind the peer's end: as on Linux, the end was read, and a push fails with `EPIPE`.
#[test]
fn reset_in_close_wait() {
    let mut pair = connected();
    pair.shutdown(CLIENT);
    pair.run_for(SECOND);
    pair.abort(CLIENT);
    pair.run_for(SECOND);
    assert_eq!(pair.state(SERVER), State::Closed);
    assert!(matches!(pair.push(SERVER, b"x"), Poll::Ready(Err(error)) if error.errno() == Errno::PIPE));
    assert!(matches!(pair.pop(SERVER, None), Poll::Ready(Err(error)) if error.errno() == Errno::PIPE));
}

/// RFC 9293 section 3.6.1: what comes for a closed connection is thrown away for a while, then answered by an RST.
#[test]
fn data_for_nobody() {
    let mut pair = connected();
    pair.pops[CLIENT] = false;
    assert!(pair.push(SERVER, &pattern(5000)).is_ready());
    pair.run_for(SECOND);
    pair.close(CLIENT);
    pair.run_for(Duration::from_millis(100));
    assert_eq!(pair.ended[SERVER], Some(Ok(())), "{}", pair.text());
    assert!(pair.push(SERVER, b"late").is_ready());
    pair.run_for(Duration::from_millis(100));
    assert_eq!(pair.states(), (State::FinWait2, State::CloseWait), "{}", pair.text());
    pair.run_for(SECOND);
    assert!(pair.push(SERVER, b"too late").is_ready());
    pair.run_for(SECOND);
    assert_eq!(pair.states(), (State::Closed, State::Closed), "{}", pair.text());
    assert!(pair.trace.last().unwrap().has(Flags::RST));
}

/// FIN-WAIT-2 of a connection that was closed ends by itself; of one that was only shut down it does not.
#[test]
fn a_peer_that_never_ends() {
    let mut pair = connected();
    pair.shutdown(CLIENT);
    pair.run_for(Duration::from_mins(10));
    assert_eq!(pair.state(CLIENT), State::FinWait2);
    pair.close(CLIENT);
    pair.run_for(Duration::from_secs(59));
    assert_eq!(pair.state(CLIENT), State::FinWait2);
    pair.run_for(Duration::from_secs(2));
    assert_eq!(pair.state(CLIENT), State::Closed);
}

/// The table of figure 5 itself.
#[test]
fn ways() {
    use State::*;
    let all = [SynSent, SynReceived, Established, FinWait1, FinWait2, CloseWait, Closing, LastAck, TimeWait, Closed];
    let ways = |way: fn(State) -> State| -> Vec<(State, State)> {
        all.iter().map(|&state| (state, way(state))).filter(|(from, to)| from != to).collect()
    };
    assert_eq!(ways(State::ended_here), [(Established, FinWait1), (CloseWait, LastAck)]);
    assert_eq!(ways(State::ended_there), [(Established, CloseWait), (FinWait1, Closing), (FinWait2, TimeWait)]);
    assert_eq!(ways(State::end_acknowledged), [(FinWait1, FinWait2), (Closing, TimeWait), (LastAck, Closed)]);
}
