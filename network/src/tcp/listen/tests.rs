// SPDX-License-Identifier: MIT OR Apache-2.0
//! Handshakes that others begin: what is agreed on, what comes back, and how many wait.

use core::time::Duration;

use proptest::prelude::*;
use runtime::buf::Sga;
use runtime::slab::Key;
use runtime::time::Time;

use super::*;
use crate::keyed::Secret;
use crate::limits::{FAST_OPEN_PENDING_MAX, SYN_QUEUE_MIN};
use crate::tcp::clock;
use crate::tcp::segment::Incoming;
use crate::tcp::seq::Seq;
use crate::tcp::settings::Settings;
use crate::tcp::table::Flow;
use crate::wire::Ecn;
use crate::wire::tcp::{Flags, Options, Timestamps};

const NOW: Time = Time::from_nanos(1 << 45);
const LOCAL: Local = Local { iss: Seq(7000), clock: 99, path: 1460, link: 1440, usual: 536 };
const LISTENER: Key = Key { index: 3, generation: 1 };

fn flow() -> Flow {
    Flow::new("10.0.0.1:80".parse().unwrap(), "10.0.0.2:4000".parse().unwrap())
}

fn segment(flags: Flags, seq: u32, ack: u32, options: Options) -> Incoming {
    Incoming { seq: Seq(seq), ack: Seq(ack), flags, window: 5000, options, ecn: Ecn::NotCapable, payload: Sga::new() }
}

fn all_options() -> Options {
    Options {
        mss: Some(1400),
        window_scale: Some(9),
        sack_permitted: true,
        timestamps: Some(Timestamps { value: 500, echo: 0 }),
        ..Options::default()
    }
}

fn half_open(syn: &Incoming) -> HalfOpen {
    let handshake = Handshake::new(syn, &LOCAL, &Settings::default(), NOW);
    HalfOpen { flow: flow(), hash: 1, listener: LISTENER, handshake, tries: 0, early: None, ended: false }
}

/// RFC 9293 section 3.7.1, RFC 7323 sections 2.2 and 3.2, RFC 2018 section 2: an option is answered if it was asked for, and then
/// only.
#[test]
fn what_was_asked_for_is_answered() {
    let settings = Settings::default();
    let full = Handshake::new(&segment(Flags::SYN, 100, 0, all_options()), &LOCAL, &settings, NOW);
    assert_eq!(
        (full.mss, full.scales.map(|scales| scales.0), full.sack, full.clocks),
        (1400, Some(9), true, Some((99, 500)))
    );
    let answer = full.answer(LOCAL.link, 123);
    assert_eq!((answer.seq, answer.ack, answer.flags), (Seq(7000), Seq(101), Flags::SYN | Flags::ACK));
    assert_eq!(answer.options.timestamps, Some(Timestamps { value: 123, echo: 500 }));
    assert_eq!((answer.options.mss, answer.options.sack_permitted), (Some(1440), true));
    assert_eq!(answer.options.window_scale, full.scales.map(|scales| scales.1));
    let bare = Handshake::new(&segment(Flags::SYN, 100, 0, Options::default()), &LOCAL, &settings, NOW);
    // MUST-15: 536 bytes without the option.
    assert_eq!((bare.mss, bare.scales, bare.sack, bare.clocks, bare.ecn), (536, None, false, None, false));
    let answer = bare.answer(LOCAL.link, 123);
    assert_eq!(answer.options, Options { mss: Some(1440), ..Options::default() });
    let off = Settings { sack: false, timestamps: false, window_scaling: false, ..settings };
    let none = Handshake::new(&segment(Flags::SYN, 100, 0, all_options()), &LOCAL, &off, NOW);
    assert_eq!((none.scales, none.sack, none.clocks), (None, false, None));
    let tiny = Options { mss: Some(0), ..Options::default() };
    assert_eq!(Handshake::new(&segment(Flags::SYN, 100, 0, tiny), &LOCAL, &settings, NOW).mss, 48);
}

/// RFC 3168 section 6.1.1: ECE and CWR ask, ECE alone grants; and one of them alone asks for nothing.
#[test]
fn ecn_is_granted_to_who_asks() {
    for (flags, asked) in [(Flags::ECE | Flags::CWR, true), (Flags::ECE, false), (Flags::CWR, false), (Flags(0), false)]
    {
        let syn = segment(Flags::SYN | flags, 100, 0, Options::default());
        let handshake = Handshake::new(&syn, &LOCAL, &Settings::default(), NOW);
        assert_eq!(handshake.ecn, asked);
        let answer = handshake.answer(1440, 0).flags;
        assert_eq!((answer.contains(Flags::ECE), answer.contains(Flags::CWR)), (asked, false));
    }
}

/// RFC 9293 section 3.10.7.4 in SYN-RECEIVED, RFC 5961 sections 3 and 4, RFC 7323 section 5.
#[test]
fn nothing_but_the_right_answer_makes_a_connection() {
    let half = half_open(&segment(Flags::SYN, 100, 0, Options::default()));
    for (flags, seq, ack, expected) in [
        (Flags::ACK, 101, 7001, Answer::Accept),
        (Flags::ACK | Flags::FIN, 101, 7001, Answer::Accept),
        (Flags::ACK, 5000, 7001, Answer::Accept),
        (Flags::ACK, 101, 7000, Answer::Reset),
        (Flags::ACK, 101, 7002, Answer::Reset),
        (Flags::ACK, 100, 7001, Answer::Challenge),
        (Flags::ACK, 90_000, 7001, Answer::Challenge),
        (Flags(0), 101, 0, Answer::Drop),
        (Flags::SYN, 100, 0, Answer::Again),
        (Flags::SYN, 101, 0, Answer::Challenge),
        (Flags::SYN, 1 << 31, 0, Answer::Challenge),
        (Flags::SYN | Flags::ACK, 101, 7001, Answer::Challenge),
        (Flags::RST, 101, 0, Answer::Forget),
        (Flags::RST, 102, 0, Answer::Challenge),
        (Flags::RST, 100, 0, Answer::Drop),
        (Flags::RST | Flags::ACK, 101, 7001, Answer::Forget),
    ] {
        assert_eq!(
            half.judge(&segment(flags, seq, ack, Options::default()), Seq(7001)),
            expected,
            "{flags:?} {seq} {ack}"
        );
    }
    let clocked = half_open(&segment(Flags::SYN, 100, 0, all_options()));
    let with = |value| Options { timestamps: Some(Timestamps { value, echo: 0 }), ..Options::default() };
    for (options, expected) in
        [(with(500), Answer::Accept), (with(499), Answer::Challenge), (Options::default(), Answer::Drop)]
    {
        assert_eq!(clocked.judge(&segment(Flags::ACK, 101, 7001, options), Seq(7001)), expected);
    }
    assert_eq!(
        clocked.judge(&segment(Flags::RST, 101, 0, Options::default()), Seq(7001)),
        Answer::Forget,
        "an RST needs no clock"
    );
}

/// RFC 6298 section 5.5; RFC 9293 section 3.8.3 (R1, R2 of a SYN).
#[test]
fn a_syn_is_sent_again_with_patience() {
    let settings = Settings { syn_ack_retries: 3, ..Settings::default() };
    let mut half = half_open(&segment(Flags::SYN, 100, 0, Options::default()));
    assert_eq!(half.patience(&settings), Duration::from_secs(1));
    let mut now = NOW + half.patience(&settings);
    for seconds in [2, 4, 8] {
        let due = half.expired(&settings, now).unwrap();
        assert_eq!(due - now, Duration::from_secs(seconds));
        assert_eq!(half.handshake.sent, None);
        now = due;
    }
    assert_eq!(half.expired(&settings, now), None);
}

fn answer_to(cookies: &Cookies, options: Options, ecn: bool, now: Time) -> Option<Handshake> {
    let settings = Settings::default();
    let flags = if ecn { Flags::SYN | Flags::ECE | Flags::CWR } else { Flags::SYN };
    let answer = cookies.answer(&flow(), &segment(flags, 100, 0, options), &LOCAL, &settings, NOW);
    assert_eq!(answer.ack, Seq(101));
    let timestamps = answer.options.timestamps.map(|ours| {
        let shown = clock::ticks(NOW, LOCAL.clock);
        assert!(!Seq(ours.value).is_behind(Seq(shown)) && shown.wrapping_sub(ours.value) < 128, "{}", ours.value);
        Timestamps { value: 777, echo: ours.value }
    });
    let back = segment(Flags::ACK, 101, answer.seq.0.wrapping_add(1), Options { timestamps, ..Options::default() });
    cookies.read(&flow(), &back, &LOCAL, &settings, now)
}

/// RFC 4987 section 3.6: what was agreed on comes back with the cookie, whole if there is a clock to keep it in.
#[test]
fn a_cookie_remembers() {
    let cookies = Cookies::new(&Secret([1; 16]));
    let full = answer_to(&cookies, all_options(), true, NOW).unwrap();
    assert_eq!((full.irs, full.mss), (Seq(100), 1380));
    assert_eq!((full.scales.map(|scales| scales.0), full.sack, full.ecn), (Some(9), true, true));
    assert_eq!(full.clocks, Some((LOCAL.clock, 777)));
    let some = Options { window_scale: None, sack_permitted: false, ..all_options() };
    let some = answer_to(&cookies, some, false, NOW).unwrap();
    assert_eq!((some.scales, some.sack, some.ecn, some.clocks), (None, false, false, Some((LOCAL.clock, 777))));
    let none = answer_to(&cookies, Options { timestamps: None, ..all_options() }, true, NOW).unwrap();
    assert_eq!((none.scales, none.sack, none.ecn, none.clocks, none.mss), (None, false, false, None, 1380));
}

#[test]
fn a_cookie_grows_old() {
    let cookies = Cookies::new(&Secret([1; 16]));
    for (seconds, right) in [(0, true), (60, true), (140, false), (3600, false)] {
        let back = answer_to(&cookies, all_options(), false, NOW + Duration::from_secs(seconds));
        assert_eq!(back.is_some(), right, "{seconds} s");
    }
}

/// RFC 4987 section 3.6: who has not seen the cookie makes no connection.
#[test]
fn a_cookie_is_for_one_flow_and_number() {
    let (cookies, settings) = (Cookies::new(&Secret([1; 16])), Settings::default());
    let answer = cookies.answer(&flow(), &segment(Flags::SYN, 100, 0, all_options()), &LOCAL, &settings, NOW);
    let back = |seq, ack| segment(Flags::ACK, seq, ack, Options::default());
    let right = answer.seq.0.wrapping_add(1);
    let read = |flow: &Flow, segment: &Incoming| cookies.read(flow, segment, &LOCAL, &settings, NOW).is_some();
    assert!(read(&flow(), &back(101, right)));
    assert!(!read(&flow(), &back(102, right)));
    let other = Flow { remote: ("10.0.0.3".parse().unwrap(), 4000), ..flow() };
    assert!(!read(&other, &back(101, right)));
    let damaged = |bit: u32| (answer.seq.0 ^ 1 << bit).wrapping_add(1);
    assert!((0..32).all(|bit| !read(&flow(), &back(101, damaged(bit)))));
    let foreign = Cookies::new(&Secret([2; 16]));
    assert!(foreign.read(&flow(), &back(101, right), &LOCAL, &settings, NOW).is_none());
}

#[test]
fn a_backlog_has_two_bounds() {
    let mut backlog = Backlog::new(1);
    for _ in 0..SYN_QUEUE_MIN {
        assert_eq!(backlog.admit(false, true, NOW), Admission::Remember);
        backlog.remember(false);
    }
    assert!(!backlog.expects_cookies(NOW));
    assert_eq!(backlog.admit(false, false, NOW), Admission::Drop);
    assert_eq!(backlog.admit(false, true, NOW), Admission::Cookie);
    assert!(backlog.expects_cookies(NOW) && !backlog.expects_cookies(NOW + Duration::from_secs(141)));
    backlog.forget(false);
    assert_eq!(backlog.admit(false, true, NOW), Admission::Remember);
    assert_eq!(backlog.admit(true, true, NOW), Admission::Cookie);
    // A backlog of one has room for one more, as everywhere.
    for _ in 0..2 {
        assert!(!backlog.is_full());
        backlog.push(LISTENER);
    }
    assert!(backlog.is_full());
    assert_eq!(backlog.admit(false, true, NOW), Admission::Drop);
    assert_eq!(backlog.pop(), Some(LISTENER));
    assert_eq!(backlog.admit(false, true, NOW), Admission::Remember);
}

/// RFC 7413 section 5.1: of those whose data were taken with their SYN there are no more than so many.
#[test]
fn data_on_syns_have_a_bound_of_their_own() {
    let mut backlog = Backlog::new(FAST_OPEN_PENDING_MAX * 2);
    for _ in 0..FAST_OPEN_PENDING_MAX {
        assert!(backlog.takes_early());
        backlog.remember(true);
    }
    assert!(!backlog.takes_early());
    assert_eq!(backlog.admit(false, true, NOW), Admission::Remember, "as any other SYN");
    backlog.remember(false);
    backlog.forget(false);
    assert!(!backlog.takes_early());
    backlog.forget(true);
    assert!(backlog.takes_early());
    for _ in 0..=FAST_OPEN_PENDING_MAX * 2 {
        backlog.push(LISTENER);
    }
    assert!(!backlog.takes_early(), "nobody accepts");
}

proptest! {
    /// What comes from nowhere is no cookie, but for once in some millions.
    #[test]
    fn a_guess_is_wrong(seq: u32, ack: u32, echo: u32, seed: u8) {
        let cookies = Cookies::new(&Secret([seed; 16]));
        let timestamps = Some(Timestamps { value: 1, echo });
        let guess = segment(Flags::ACK, seq, ack, Options { timestamps, ..Options::default() });
        prop_assert!(cookies.read(&flow(), &guess, &LOCAL, &Settings::default(), NOW).is_none());
    }

    /// The segment size that a cookie remembers is one that the peer takes and the path has room for.
    #[test]
    fn a_cookie_never_says_too_much(mss: u16, scale in 0_u8..15, value: u32, ecn: bool, sack: bool) {
        let options = Options {
            mss: Some(mss),
            window_scale: Some(scale),
            sack_permitted: sack,
            timestamps: Some(Timestamps { value, echo: 0 }),
            ..Options::default()
        };
        let cookies = Cookies::new(&Secret([3; 16]));
        let back = answer_to(&cookies, options, ecn, NOW).unwrap();
        prop_assert!(back.mss <= mss.clamp(48, LOCAL.path));
        prop_assert_eq!((back.scales.map(|scales| scales.0), back.sack, back.ecn), (Some(scale), sack, ecn));
    }
}
