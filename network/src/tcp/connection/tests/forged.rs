// SPDX-License-Identifier: MIT OR Apache-2.0
//! Segments that nobody has sent, that are too old, or that lie elsewhere (RFC 5961, RFC 7323 section 5, RFC 9293 section
//! 3.10.7.4).

use super::super::*;
use super::pair::*;
use crate::wire::tcp::{Flags, Options, Timestamps};
use core::time::Duration;

const REFUSED: Verdict = Verdict::Dropped(Reason::TcpUnacceptable);

/// Without timestamps, and what the client expects next and has sent.
fn connected() -> (Pair, Seq, Seq) {
    let mut pair = Pair::connected(Settings { timestamps: false, ..Settings::default() });
    assert!(pair.push(CLIENT, b"x").is_ready() && pair.push(SERVER, b"y").is_ready());
    pair.run_for(Duration::from_secs(1));
    let last = pair.sent_by(CLIENT).last().unwrap();
    let (expected, next) = (last.ack, last.seq + last.len);
    pair.trace.clear();
    (pair, expected, next)
}

/// RFC 5961 section 3.2: only the RST with the number that is expected ends the connection; one in the window is challenged;
/// one outside is ignored.
#[test]
fn resets() {
    let (mut pair, expected, next) = connected();
    assert_eq!(pair.forge(CLIENT, expected + 1, next, Flags::RST, b""), REFUSED);
    let last = pair.trace.last().unwrap();
    assert_eq!((last.flags, last.seq, last.ack), (Flags::ACK, next, expected), "{}", pair.text());
    pair.trace.clear();
    for seq in [expected - 1, expected + (1 << 30)] {
        assert_eq!(pair.forge(CLIENT, seq, next, Flags::RST | Flags::ACK, b""), REFUSED);
        assert!(pair.trace.is_empty(), "{}", pair.text());
    }
    assert_eq!(pair.state(CLIENT), State::Established);
    assert_eq!(pair.forge(CLIENT, expected, next, Flags::RST, b""), Verdict::Fine);
    assert_eq!(pair.state(CLIENT), State::Closed);
    assert!(pair.trace.is_empty());
}

/// RFC 5961 section 4.2: a SYN is challenged wherever it lies.
#[test]
fn syns() {
    let (mut pair, expected, next) = connected();
    for (seq, flags) in
        [(expected, Flags::SYN), (expected + 99, Flags::SYN | Flags::ACK), (expected - 9999, Flags::SYN)]
    {
        pair.trace.clear();
        assert_eq!(pair.forge(CLIENT, seq, next, flags, b""), REFUSED);
        let last = pair.trace.last().unwrap();
        assert_eq!((last.flags, last.seq, last.ack), (Flags::ACK, next, expected), "{}", pair.text());
    }
    assert_eq!(pair.state(CLIENT), State::Established);
}

/// RFC 5961 section 5.2: an acknowledgment of what was not sent, or of what nobody can still be asked for, is challenged, and
/// what comes with it is not taken.
#[test]
fn acknowledgments() {
    let (mut pair, expected, next) = connected();
    for ack in [next + 1, next + (1 << 30), next - (1 << 30)] {
        pair.trace.clear();
        assert_eq!(pair.forge(CLIENT, expected, ack, Flags::ACK, b"evil"), REFUSED, "{}", ack.0);
        let last = pair.trace.last().unwrap();
        assert_eq!((last.flags, last.ack), (Flags::ACK, expected), "{}", pair.text());
    }
    assert_eq!(pair.received[CLIENT], b"y");
    // An old one is none of these.
    assert_eq!(pair.forge(CLIENT, expected, next - 1, Flags::ACK, b"fine"), Verdict::Fine);
    assert_eq!(pair.received[CLIENT], b"yfine");
}

/// RFC 5961 section 7: challenges are bounded.
#[test]
fn challenges_are_bounded() {
    let (mut pair, expected, next) = connected();
    for _ in 0..5000 {
        pair.forge(CLIENT, expected, next, Flags::SYN, b"");
    }
    assert!((1..=1000).contains(&pair.trace.len()), "{}", pair.trace.len());
}

/// RFC 9293 section 3.10.7.4, fifth: without ACK, nothing.
#[test]
fn no_acknowledgment() {
    let (mut pair, expected, next) = connected();
    assert_eq!(pair.forge(CLIENT, expected, next, Flags::PSH, b"evil"), REFUSED);
    assert!(pair.trace.is_empty() && pair.received[CLIENT] == b"y");
}

/// RFC 9293 section 3.10.7.4, first: what lies outside of the window is answered; without data not more than now and then,
/// else two ends that refuse each other would talk for ever.
#[test]
fn outside_of_the_window() {
    let (mut pair, expected, next) = connected();
    assert_eq!(pair.forge(CLIENT, expected - 5, next, Flags::ACK, b"old"), REFUSED);
    assert_eq!(pair.trace.len(), 1);
    assert_eq!(pair.trace[0].ack, expected);
    for _ in 0..100 {
        assert_eq!(pair.forge(CLIENT, expected - 1, next, Flags::ACK, b""), REFUSED);
    }
    assert!(pair.trace.len() <= 2, "{}", pair.text());
    pair.now += Duration::from_secs(1);
    assert_eq!(pair.forge(CLIENT, expected - 1, next, Flags::ACK, b""), REFUSED);
    assert!(pair.trace.len() >= 2, "{}", pair.text());
}

/// A pure acknowledgment is not acknowledged.
#[test]
fn pure_acknowledgments_are_not_answered() {
    let (mut pair, expected, next) = connected();
    for _ in 0..10 {
        assert_eq!(pair.forge(CLIENT, expected, next, Flags::ACK, b""), Verdict::Fine);
    }
    assert!(pair.trace.is_empty(), "{}", pair.text());
    pair.run_for(Duration::from_secs(10));
    assert!(pair.trace.is_empty(), "{}", pair.text());
}

/// RFC 7323 section 5.3: an old timestamp is answered and dropped, unless the last one is older than 24 days; a segment without
/// one is dropped; an RST is taken without.
#[test]
fn timestamps() {
    let mut pair = Pair::connected(Settings::default());
    assert!(pair.push(SERVER, b"y").is_ready());
    pair.run_for(Duration::from_secs(1));
    let (last, theirs) = (pair.sent_by(CLIENT).last().unwrap().clone(), pair.sent_by(SERVER).last().unwrap().clone());
    let value = theirs.options.timestamps.unwrap().value;
    let (expected, next) = (last.ack, last.seq + last.len);
    pair.wire = Box::new(|_| Fate::Drop);
    let give = |pair: &mut Pair, value: Option<u32>, bytes: &[u8]| {
        // What came before is acknowledged: only then its timestamp counts.
        pair.run_for(Duration::from_millis(100));
        pair.trace.clear();
        let timestamps = value.map(|value| Timestamps { value, echo: last.options.timestamps.unwrap().value });
        let seq = expected + pair.received[CLIENT].len() as u32 - 1;
        let mut segment = Incoming {
            seq,
            ack: next,
            flags: Flags::ACK,
            window: 1000,
            options: Options { timestamps, ..Options::default() },
            ecn: crate::wire::Ecn::NotCapable,
            payload: pair.pools.alloc_copy(bytes).unwrap().into(),
        };
        pair.give(CLIENT, &mut segment)
    };
    assert_eq!(give(&mut pair, Some(value - 1), b"old"), REFUSED);
    assert_eq!(pair.trace.len(), 1, "{}", pair.text());
    assert_eq!(give(&mut pair, None, b"none"), REFUSED);
    assert!(pair.trace.is_empty(), "{}", pair.text());
    assert_eq!(pair.received[CLIENT], b"y");
    assert_eq!(give(&mut pair, Some(value), b"good"), Verdict::Fine);
    assert_eq!(give(&mut pair, Some(value + 5), b"good"), Verdict::Fine);
    assert_eq!(give(&mut pair, Some(value), b"old"), REFUSED);
    assert_eq!(pair.received[CLIENT], b"ygoodgood");
    pair.now += Duration::from_hours(25 * 24);
    assert_eq!(give(&mut pair, Some(value), b"after days"), Verdict::Fine);
    let seq = expected + pair.received[CLIENT].len() as u32 - 1;
    pair.forge(CLIENT, seq, next, Flags::RST, b"");
    assert_eq!(pair.state(CLIENT), State::Closed);
}

/// RFC 7323 section 5.3: the timestamp of what lies outside of the window is not kept, else one blind packet would make all that the peer
/// sends too old.
#[test]
fn timestamps_of_nobody() {
    for (flags, ahead) in [(Flags::ACK, true), (Flags::ACK, false), (Flags::PSH, true)] {
        let mut pair = Pair::connected(Settings::default());
        assert!(pair.push(SERVER, b"y").is_ready());
        pair.run_for(Duration::from_secs(1));
        let (last, theirs) =
            (pair.sent_by(CLIENT).last().unwrap().clone(), pair.sent_by(SERVER).last().unwrap().clone());
        let stamps = theirs.options.timestamps.unwrap();
        for bytes in [&b""[..], b"evil"] {
            let mut segment = Incoming {
                seq: last.ack - (1 << 30),
                ack: if ahead { last.seq + last.len + (1 << 20) } else { last.seq + last.len },
                flags,
                window: 1000,
                options: Options {
                    timestamps: Some(Timestamps { value: stamps.value + (1 << 30), echo: stamps.echo }),
                    ..Options::default()
                },
                ecn: crate::wire::Ecn::NotCapable,
                payload: if bytes.is_empty() { Sga::new() } else { pair.pools.alloc_copy(bytes).unwrap().into() },
            };
            assert_eq!(pair.give(CLIENT, &mut segment), REFUSED);
        }
        assert!(pair.push(SERVER, b"z").is_ready());
        pair.run_for(Duration::from_secs(1));
        assert_eq!(pair.received[CLIENT], b"yz", "{}", pair.text());
    }
}

/// RFC 9293 section 3.10.7.4, seventh: what overlaps is trimmed on both sides.
#[test]
fn overlaps_are_trimmed() {
    let (mut pair, expected, next) = connected();
    assert_eq!(pair.forge(CLIENT, expected + 3, next, Flags::ACK, b"defg"), Verdict::Fine);
    assert_eq!(pair.forge(CLIENT, expected - 1, next, Flags::ACK, b"yabcde"), Verdict::Fine);
    assert_eq!(pair.received[CLIENT], b"yabcdefg");
    assert_eq!(pair.trace.last().unwrap().ack, expected + 7);
}

/// RFC 5927 section 5.2: ICMP does not end a connection whose ends know each other, but says why once it is given up.
#[test]
fn icmp_is_a_hint() {
    let mut pair = Pair::connected(Settings { retries: 2, ..Settings::default() });
    pair.wire = Box::new(|_| Fate::Drop);
    assert!(pair.push(CLIENT, b"x").is_ready());
    let seq = pair.trace.last().unwrap().seq;
    assert!(pair.end(CLIENT).is_in_flight(seq) && !pair.end(CLIENT).is_in_flight(seq + 1));
    assert!(!pair.end(CLIENT).is_in_flight(seq - 1));
    pair.end(CLIENT).unreachable(Error::new(Errno::HOSTUNREACH, "no way"), true);
    assert_eq!(pair.state(CLIENT), State::Established);
    pair.run_for(Duration::from_mins(5));
    assert!(matches!(pair.push(CLIENT, b"x"), Poll::Ready(Err(error)) if error.errno() == Errno::HOSTUNREACH));
}

/// An attempt to connect ends with what ICMP says.
#[test]
fn icmp_ends_an_attempt() {
    for hard in [false, true] {
        let mut pair = Pair::new(Settings::default());
        pair.wire = Box::new(|_| Fate::Drop);
        pair.connect(CLIENT);
        let seq = pair.trace[0].seq;
        assert!(pair.end(CLIENT).is_in_flight(seq) && !pair.end(CLIENT).is_in_flight(seq + 1));
        pair.end(CLIENT).unreachable(Error::new(Errno::HOSTUNREACH, "no way"), hard);
        let outcome = pair.end(CLIENT).connected();
        assert!(matches!(outcome, Poll::Ready(Err(error)) if error.errno() == Errno::HOSTUNREACH));
    }
}
