// SPDX-License-Identifier: MIT OR Apache-2.0
//! Opening (RFC 9293 sections 3.5 and 3.10.7.3), and a plain connection to its end.

use super::super::*;
use super::pair::*;
use crate::wire::tcp::Flags;
use core::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// RFC 9293 figures 6 and 12: three segments to open, data both ways, four to close, and TIME-WAIT at who closed first.
#[test]
fn opens_carries_and_closes() {
    let mut pair = Pair::new(Settings::default());
    pair.connect(CLIENT);
    pair.run_for(SECOND);
    assert_eq!(pair.states(), (State::Established, State::Established), "{}", pair.text());
    let flags: Vec<Flags> = pair.trace.iter().map(|seen| seen.flags).collect();
    let ecn = Flags::ECE | Flags::CWR;
    assert_eq!(flags, [Flags::SYN | ecn, Flags::SYN | Flags::ACK | Flags::ECE, Flags::ACK], "{}", pair.text());
    assert!(pair.push(CLIENT, b"hello").is_ready());
    assert!(pair.push(SERVER, b"world").is_ready());
    pair.run_for(SECOND);
    assert_eq!((&*pair.received[SERVER], &*pair.received[CLIENT]), (&b"hello"[..], &b"world"[..]), "{}", pair.text());
    pair.close(CLIENT);
    assert_eq!(pair.state(CLIENT), State::FinWait1);
    pair.run_for(SECOND);
    assert_eq!(pair.states(), (State::FinWait2, State::CloseWait), "{}", pair.text());
    assert_eq!(pair.ended[SERVER], Some(Ok(())));
    pair.close(SERVER);
    assert_eq!(pair.state(SERVER), State::LastAck);
    pair.run_for(SECOND);
    assert_eq!(pair.states(), (State::TimeWait, State::Closed), "{}", pair.text());
    pair.run_for(Duration::from_mins(1));
    assert_eq!(pair.states(), (State::Closed, State::Closed), "{}", pair.text());
}

/// RFC 9293 section 3.5, figure 7: both open at once, and there is one connection.
#[test]
fn both_open_at_once() {
    let mut pair = Pair::new(Settings::default());
    pair.connect(CLIENT);
    pair.connect(SERVER);
    pair.run_for(Duration::from_millis(15));
    assert_eq!(pair.states(), (State::SynReceived, State::SynReceived), "{}", pair.text());
    pair.run_for(SECOND);
    assert_eq!(pair.states(), (State::Established, State::Established), "{}", pair.text());
    assert!(pair.push(CLIENT, b"from here").is_ready() && pair.push(SERVER, b"from there").is_ready());
    pair.run_for(SECOND);
    assert_eq!((&*pair.received[SERVER], &*pair.received[CLIENT]), (&b"from here"[..], &b"from there"[..]));
    let info = pair.end(CLIENT).info(Time::ZERO);
    assert!(info.sack && info.timestamps && info.scales.is_some(), "{info:?}");
}

/// RFC 9293 section 3.10.7.1: nobody is there.
#[test]
fn is_refused() {
    let mut pair = Pair::new(Settings::default());
    pair.refuse_all();
    pair.connect(CLIENT);
    pair.run_for(SECOND);
    let outcome = pair.end(CLIENT).connected();
    assert!(matches!(outcome, Poll::Ready(Err(error)) if error.errno() == Errno::CONNREFUSED), "{outcome:?}");
    assert!(matches!(pair.push(CLIENT, b"x"), Poll::Ready(Err(error)) if error.errno() == Errno::NOTCONN));
    assert!(pair.end(CLIENT).is_over() && pair.end(CLIENT).news().writable);
}

/// RFC 9293 section 3.8.1 and RFC 6298 section 5.5: the SYN is sent again at doubled times, without ECN (RFC 3168 section
/// 6.1.1.1), and given up.
#[test]
fn nobody_answers() {
    let mut pair = Pair::new(Settings { syn_retries: 3, ..Settings::default() });
    pair.wire = Box::new(|_| Fate::Drop);
    let begun = pair.now;
    pair.connect(CLIENT);
    pair.run_for(Duration::from_secs(100));
    let times: Vec<u64> = pair.trace.iter().map(|seen| (seen.at - begun).as_secs()).collect();
    assert_eq!(times, [0, 1, 3, 7], "{}", pair.text());
    assert!(pair.trace[0].has(Flags::ECE) && !pair.trace[1].has(Flags::ECE));
    assert!(matches!(pair.end(CLIENT).connected(), Poll::Ready(Err(error)) if error.errno() == Errno::TIMEDOUT));
}

/// RFC 9293 section 3.10.7.3, first: an acknowledgment of what was not sent is answered by an RST, and changes nothing; an RST
/// without an acknowledgment of our SYN is ignored.
#[test]
fn syn_sent_checks_the_acknowledgment() {
    let mut pair = Pair::new(Settings::default());
    pair.wire = Box::new(|_| Fate::Drop);
    pair.connect(CLIENT);
    let iss = pair.trace[0].seq;
    for (ack, flags, verdict) in [
        (iss, Flags::SYN | Flags::ACK, Verdict::Reset),
        (iss + 2, Flags::ACK, Verdict::Reset),
        (iss + 2, Flags::RST | Flags::ACK, Verdict::Dropped(Reason::TcpUnacceptable)),
        (iss + 1, Flags::RST, Verdict::Dropped(Reason::TcpUnacceptable)),
        (iss + 1, Flags::ACK, Verdict::Dropped(Reason::TcpUnacceptable)),
        (iss + 1, Flags::FIN, Verdict::Dropped(Reason::TcpUnacceptable)),
    ] {
        assert_eq!(pair.forge(CLIENT, Seq(9), ack, flags, b""), verdict, "{flags:?}");
        assert_eq!(pair.state(CLIENT), State::SynSent);
    }
    let last = pair.trace.last().unwrap();
    assert_eq!((last.seq, last.flags), (iss + 2, Flags::RST), "{}", pair.text());
    pair.forge(CLIENT, Seq(9), iss + 1, Flags::RST | Flags::ACK, b"");
    assert!(matches!(pair.end(CLIENT).connected(), Poll::Ready(Err(error)) if error.errno() == Errno::CONNREFUSED));
}

/// RFC 7323 sections 2.2 and 3.2, RFC 2018 section 2: an option counts only if both SYNs have it.
#[test]
fn options_are_agreed_on() {
    for bits in 0..16 {
        let [sack, timestamps, window_scaling, ecn] = [0, 1, 2, 3].map(|bit| bits >> bit & 1 != 0);
        let mut pair = Pair::new(Settings::default());
        pair.settings[SERVER] = Settings { sack, timestamps, window_scaling, ..Settings::default() };
        pair.settings[CLIENT] = Settings { ecn, ..Settings::default() };
        pair.connect(CLIENT);
        pair.run_for(SECOND);
        assert!(pair.push(CLIENT, &pattern(3000)).is_ready());
        pair.run_for(SECOND);
        for end in [CLIENT, SERVER] {
            let info = pair.end(end).info(Time::ZERO);
            assert_eq!(
                (info.sack, info.timestamps, info.scales.is_some(), info.ecn),
                (sack, timestamps, window_scaling, ecn),
                "{info:?}"
            );
            assert_eq!(info.mss, MSS - if timestamps { 12 } else { 0 });
        }
        assert_eq!(pair.received[SERVER], pattern(3000));
        assert_eq!(pair.sent_by(CLIENT).skip(1).all(|seen| seen.options.timestamps.is_some()), timestamps);
    }
}

/// RFC 9293 section 3.10.7.3, fourth: data on the SYN with an acknowledgment are taken.
#[test]
fn data_on_the_answer_to_a_syn() {
    let mut pair = Pair::new(Settings { timestamps: false, ..Settings::default() });
    pair.wire = Box::new(|_| Fate::Drop);
    pair.connect(CLIENT);
    let iss = pair.trace[0].seq;
    pair.forge(CLIENT, Seq(100), iss + 1, Flags::SYN | Flags::ACK | Flags::FIN, b"early");
    assert_eq!((pair.state(CLIENT), &*pair.received[CLIENT]), (State::CloseWait, &b"early"[..]), "{}", pair.text());
    assert_eq!(pair.trace.last().map(|seen| (seen.ack, seen.flags)), Some((Seq(107), Flags::ACK)), "{}", pair.text());
}

/// An answer that was sent twice is acknowledged, and nothing else happens.
#[test]
fn the_answer_comes_twice() {
    let mut pair = Pair::new(Settings::default());
    pair.wire = Box::new(|seen| if seen.has(Flags::SYN | Flags::ACK) { Fate::Twice } else { Fate::Deliver });
    pair.connect(CLIENT);
    pair.run_for(SECOND);
    assert_eq!(pair.states(), (State::Established, State::Established), "{}", pair.text());
    assert!(pair.trace.len() <= 5, "{}", pair.text());
}

/// A push before the handshake is done waits, and options that were set before are those of the connection.
#[test]
fn waits_for_the_handshake() {
    let mut pair = Pair::new(Settings::default());
    pair.connect(CLIENT);
    assert!(pair.push(CLIENT, b"x").is_pending() && pair.pop(CLIENT, None).is_pending());
    assert!(pair.end(CLIENT).connected().is_pending());
    let now = pair.now;
    for option in [SocketOption::NoDelay(true), SocketOption::KeepCount(3), SocketOption::SendBuffer(5000)] {
        pair.end(CLIENT).set_option(option, now);
    }
    pair.run_for(SECOND);
    assert!(pair.end(CLIENT).news().writable);
    assert_eq!(pair.end(CLIENT).connected(), Poll::Ready(Ok(())));
    assert_eq!(pair.end(CLIENT).option(OptionName::NoDelay), Some(SocketOption::NoDelay(true)));
    assert_eq!(pair.end(CLIENT).option(OptionName::KeepCount), Some(SocketOption::KeepCount(3)));
    assert_eq!(pair.end(CLIENT).option(OptionName::SendBuffer), Some(SocketOption::SendBuffer(5000)));
    assert_eq!(pair.end(CLIENT).option(OptionName::Linger), None);
}

/// Half of a connection must not cost more than a kilobyte with everything that is idle.
#[test]
fn is_small() {
    let size = size_of::<Connection>();
    assert!(size <= 1024, "{size}");
}
