// SPDX-License-Identifier: MIT OR Apache-2.0
//! Both sides of the handshake without sockets: every event at every time, and the bounds that hold through all of it.

use super::acceptor::{Acceptor, BacklogFull, Verdict};
use super::connector::{Action, Connector, Event, RETRY};
use super::message::Request;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use proptest::collection::vec;
use proptest::prelude::*;
use runtime::limits::GREETINGS_MAX;
use runtime::socket::Kind;
use runtime::time::Time;
use runtime::{Errno, Error};
use std::collections::{BTreeSet, VecDeque};

const LIMIT: Duration = Duration::from_secs(5);
const START: Time = Time::from_nanos(1_000_000);

fn request(port: u16) -> Request {
    let ip = IpAddr::from([127, 0, 0, 1]);
    let (source, destination) = (SocketAddr::new(ip, port), SocketAddr::new(ip, 80));
    Request { kind: Kind::Stream, membarrier: true, source, destination, send_order: 12, receive_order: 26 }
}

fn errno(action: Action) -> Option<Errno> {
    match action {
        Action::Fail(error) => Some(error.errno()),
        _ => None,
    }
}

#[test]
fn names_are_dialled_in_turn_until_one_answers() {
    let mut connector = Connector::new(3, START, LIMIT);
    assert_eq!(connector.on(Event::Tick, START), Action::Dial(0));
    assert_eq!(connector.on(Event::Nobody, START), Action::Dial(1));
    assert_eq!(connector.on(Event::Nobody, START), Action::Dial(2));
    assert_eq!(connector.on(Event::Asked, START), Action::Wait(START + LIMIT));
    assert_eq!(connector.on(Event::Tick, START + LIMIT / 2), Action::Wait(START + LIMIT));
    assert_eq!(connector.on(Event::Joined, START + LIMIT / 2), Action::Done);
}

#[test]
fn nobody_anywhere_is_refused_at_once() {
    let mut connector = Connector::new(2, START, LIMIT);
    connector.on(Event::Tick, START);
    assert_eq!(connector.on(Event::Nobody, START), Action::Dial(1));
    assert_eq!(errno(connector.on(Event::Nobody, START)), Some(Errno::CONNREFUSED));
}

#[test]
fn a_full_listener_is_dialled_again_until_the_time_is_over() {
    let mut connector = Connector::new(2, START, LIMIT);
    connector.on(Event::Tick, START);
    let mut now = START;
    loop {
        assert_eq!(connector.on(Event::Full, now), Action::Dial(1));
        match connector.on(Event::Nobody, now) {
            Action::Wait(at) => {
                assert!(at > now && at <= now + RETRY && at <= START + LIMIT);
                assert_eq!(connector.on(Event::Tick, now), Action::Wait(at), "too early");
                now = at;
                match connector.on(Event::Tick, now) {
                    Action::Dial(0) => {}
                    ended => break assert_eq!(errno(ended), Some(Errno::TIMEDOUT)),
                }
            }
            ended => break assert_eq!(errno(ended), Some(Errno::TIMEDOUT)),
        }
    }
    assert_eq!(now, START + LIMIT);
    // One that has gone meanwhile is nobody.
    let mut connector = Connector::new(1, START, LIMIT);
    connector.on(Event::Full, START);
    assert_eq!(connector.on(Event::Tick, START + RETRY), Action::Dial(0));
    assert_eq!(errno(connector.on(Event::Nobody, START + RETRY)), Some(Errno::CONNREFUSED));
}

#[test]
fn an_answer_that_does_not_come_and_one_that_cannot() {
    let asked = || {
        let mut connector = Connector::new(1, START, LIMIT);
        connector.on(Event::Asked, START);
        connector
    };
    assert_eq!(errno(asked().on(Event::Tick, START + LIMIT)), Some(Errno::TIMEDOUT));
    assert_eq!(errno(asked().on(Event::HungUp, START)), Some(Errno::CONNREFUSED));
    let mut dialing = Connector::new(2, START, LIMIT);
    dialing.on(Event::Tick, START);
    assert_eq!(errno(dialing.on(Event::HungUp, START)), Some(Errno::CONNREFUSED), "gone before it could be asked");
    let broken = Error::new(Errno::PROTO, "broken");
    assert_eq!(asked().on(Event::Failed(broken), START), Action::Fail(broken));
    // It came in time, however late it is looked at.
    assert_eq!(asked().on(Event::Joined, START + 2 * LIMIT), Action::Done);
}

#[test]
fn requests_for_something_else_are_dropped() {
    let at = |text: &str| text.parse().unwrap();
    let mut acceptor = Acceptor::new(Kind::Stream, at("127.0.0.1:80"), 1, BacklogFull::Wait);
    let other = |change: fn(&mut Request)| {
        let mut request = request(1);
        change(&mut request);
        request
    };
    for wrong in [
        other(|request| request.kind = Kind::Datagram),
        other(|request| request.destination.set_port(81)),
        other(|request| request.destination.set_ip([127, 0, 0, 2].into())),
    ] {
        assert_eq!(acceptor.asked(1, wrong), Verdict::Drop);
    }
    assert_eq!(acceptor.asked(1, request(1)), Verdict::Answer);
}

#[test]
fn the_oldest_silent_one_goes_when_there_are_too_many() {
    let mut acceptor = Acceptor::new(Kind::Stream, request(1).destination, 1, BacklogFull::Wait);
    for id in 0..GREETINGS_MAX as u64 {
        assert_eq!(acceptor.silent(id, START + LIMIT), None);
    }
    assert_eq!(acceptor.silent(1000, START + LIMIT), Some(0));
    acceptor.left(1);
    assert_eq!(acceptor.silent(1001, START + LIMIT), None);
    assert_eq!(acceptor.expired(START), None);
    let expired = std::iter::from_fn(|| acceptor.expired(START + LIMIT)).count();
    assert_eq!((expired, acceptor.deadline()), (GREETINGS_MAX, None));
}

/// What the acceptor promises, by plain lists.
#[derive(Default)]
struct Model {
    knocking: u64,
    silent: Vec<u64>,
    asked: VecDeque<u64>,
    answered: usize,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// So many come to the name, who speak at once or not.
    Knock(u8, bool),
    /// A silent one speaks.
    Speak(u8),
    /// One that was taken leaves.
    Leave(u8),
    /// The application accepts.
    Accept,
    /// Everybody's time is over.
    Late,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1..6_u8, any::<bool>()).prop_map(|(count, speaks)| Step::Knock(count, speaks)),
        2 => any::<u8>().prop_map(Step::Speak),
        1 => any::<u8>().prop_map(Step::Leave),
        3 => Just(Step::Accept),
        1 => Just(Step::Late),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        Just(Event::Nobody),
        Just(Event::Full),
        Just(Event::Asked),
        Just(Event::Joined),
        Just(Event::HungUp),
        Just(Event::Failed(Error::new(Errno::PROTO, "broken"))),
        Just(Event::Tick),
    ]
}

proptest! {
    #[test]
    fn a_connector_ends_once_and_in_time(
        names in 1..4_usize,
        events in vec((event(), 0..4_000_000_000_u64), 0..40),
    ) {
        let mut connector = Connector::new(names, START, LIMIT);
        let mut now = START;
        let mut ended = None;
        for (event, later) in events {
            now += Duration::from_nanos(later);
            let action = connector.on(event, now);
            match action {
                Action::Dial(name) => prop_assert!(name < names && ended.is_none()),
                Action::Wait(at) => {
                    prop_assert!(ended.is_none());
                    // At once, if its time was over when it came to ask.
                    prop_assert!(at == START + LIMIT || (now..START + LIMIT).contains(&at));
                }
                Action::Done | Action::Fail(_) => prop_assert_eq!(*ended.get_or_insert(action), action),
            }
        }
        // Whatever came before: nothing more, and it ends at the latest when its time is over.
        for _ in 0..=names {
            match connector.on(Event::Tick, START + 2 * LIMIT) {
                Action::Dial(_) => drop(connector.on(Event::Nobody, START + 2 * LIMIT)),
                Action::Wait(at) => prop_assert!(false, "it waits until {at:?}"),
                Action::Done | Action::Fail(_) => return Ok(()),
            }
        }
        prop_assert!(matches!(connector.on(Event::Tick, START + 2 * LIMIT), Action::Done | Action::Fail(_)));
    }

    #[test]
    fn an_acceptor_keeps_its_bounds_and_its_order(
        backlog in 0..4_usize,
        refuse in any::<bool>(),
        steps in vec(step(), 0..60),
    ) {
        let full = if refuse { BacklogFull::Refuse } else { BacklogFull::Wait };
        let mut acceptor = Acceptor::new(Kind::Stream, request(1).destination, backlog, full);
        let (backlog, mut model, mut last, mut speaks) = (backlog.max(1), Model::default(), 0, VecDeque::new());
        let mut seen = BTreeSet::new();
        for step in steps {
            match step {
                Step::Knock(count, speak) => {
                    model.knocking += u64::from(count);
                    speaks.extend(std::iter::repeat_n(speak, count.into()));
                    acceptor.knocked();
                }
                Step::Speak(which) if !model.silent.is_empty() => {
                    let id = model.silent.remove(usize::from(which) % model.silent.len());
                    judge(acceptor.asked(id, request(1)), id, &mut acceptor, &mut model, backlog, refuse)?;
                }
                Step::Leave(which) if !model.silent.is_empty() => {
                    let id = model.silent.remove(usize::from(which) % model.silent.len());
                    acceptor.left(id);
                }
                Step::Accept if model.answered > 0 => {
                    model.answered -= 1;
                    acceptor.accepted();
                }
                Step::Late => {
                    while let Some(id) = acceptor.expired(START + 3 * LIMIT) {
                        prop_assert_eq!(model.silent.remove(0), id);
                    }
                    prop_assert!(model.silent.is_empty());
                }
                Step::Speak(_) | Step::Leave(_) | Step::Accept => {}
            }
            // The shell's loop.
            loop {
                if let Some((id, _)) = acceptor.next() {
                    prop_assert_eq!(model.asked.pop_front(), Some(id));
                    acceptor.answered();
                    model.answered += 1;
                } else if !acceptor.takes() {
                    break;
                } else if model.knocking == 0 {
                    acceptor.deserted();
                } else {
                    model.knocking -= 1;
                    last += 1;
                    prop_assert!(seen.insert(last));
                    if speaks.pop_front() == Some(true) {
                        judge(acceptor.asked(last, request(1)), last, &mut acceptor, &mut model, backlog, refuse)?;
                    } else {
                        model.silent.push(last);
                        prop_assert_eq!(acceptor.silent(last, START + LIMIT), None);
                    }
                }
            }
            prop_assert!(model.answered <= backlog);
            prop_assert!(model.asked.is_empty() || model.answered == backlog, "room, and somebody waits");
            prop_assert!(model.knocking == 0 || model.answered == backlog, "room, and somebody is at the name");
            prop_assert!(!refuse || (model.asked.is_empty() && model.knocking == 0), "refused at once");
            let guests: BTreeSet<_> = acceptor.guests().collect();
            prop_assert_eq!(guests, model.silent.iter().chain(&model.asked).copied().collect());
        }
    }

    #[test]
    fn requests_have_one_encoding(
        stream in any::<bool>(), membarrier in any::<bool>(),
        ips in prop_oneof![
            any::<[[u8; 4]; 2]>().prop_map(|ips| ips.map(IpAddr::from)),
            any::<[[u8; 16]; 2]>().prop_map(|ips| ips.map(IpAddr::from)),
        ],
        ports in [1..=u16::MAX, 1..=u16::MAX], orders in [12..=26_u8, 12..=26],
    ) {
        prop_assume!(ips.iter().all(|ip| !ip.is_unspecified() && ip.to_canonical() == *ip));
        let request = Request {
            kind: if stream { Kind::Stream } else { Kind::Datagram },
            membarrier,
            source: SocketAddr::new(ips[0], ports[0]),
            destination: SocketAddr::new(ips[1], ports[1]),
            send_order: orders[0],
            receive_order: orders[1],
        };
        prop_assert_eq!(Request::from_bytes(&request.to_bytes()), Ok(request));
    }

    #[test]
    fn what_is_accepted_is_what_would_be_sent(
        place in 0..Request::LEN, value in any::<u8>(), garbage in any::<[u8; 32]>(),
    ) {
        let mut bytes = request(7).to_bytes();
        bytes[place] = value;
        if let Ok(read) = Request::from_bytes(&bytes) {
            prop_assert_eq!(read.to_bytes(), bytes);
        }
        bytes[16..].copy_from_slice(&garbage);
        if let Ok(read) = Request::from_bytes(&bytes) {
            prop_assert_eq!(read.to_bytes(), bytes);
        }
    }
}

fn judge(
    verdict: Verdict,
    id: u64,
    acceptor: &mut Acceptor,
    model: &mut Model,
    backlog: usize,
    refuse: bool,
) -> Result<(), TestCaseError> {
    match verdict {
        Verdict::Answer => {
            prop_assert!(model.asked.is_empty(), "another one asked before");
            acceptor.answered();
            model.answered += 1;
        }
        Verdict::Keep => {
            prop_assert!(!refuse && (model.answered == backlog || !model.asked.is_empty()));
            model.asked.push_back(id);
        }
        Verdict::Refuse => prop_assert!(refuse && model.answered == backlog),
        Verdict::Drop => prop_assert!(false, "nothing is wrong with it"),
    }
    Ok(())
}

#[test]
fn broken_requests_are_not_read() {
    let good = request(7).to_bytes();
    let change = |at: usize, to: &[u8]| {
        let mut bytes = good;
        bytes[at..at + to.len()].copy_from_slice(to);
        Request::from_bytes(&bytes).map_err(Error::errno)
    };
    assert_eq!(change(0, b"M"), Ok(request(7)));
    for (at, to) in [
        (0, &b"X"[..]),      // magic
        (4, &[9, 0]),        // version
        (6, &[2, 0]),        // unknown flag
        (8, &[0]),           // kind
        (9, &[5]),           // family
        (10, &[11]),         // ring too small
        (11, &[27]),         // ring too large
        (12, &[0, 0]),       // source port 0
        (14, &[0, 0]),       // destination port 0
        (16, &[0, 0, 0, 0]), // from the wildcard
        (20, &[1]),          // more than an IPv4 address
        (32, &[0, 0, 0, 0]), // to the wildcard
    ] {
        assert_eq!(change(at, to), Err(Errno::PROTO), "{at} {to:?}");
    }
    // An IPv4 address in the form of the other family.
    let mut mapped = good;
    mapped[9] = 6;
    for at in [16, 32] {
        mapped[at..at + 16].copy_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1]);
    }
    assert_eq!(Request::from_bytes(&mapped).map_err(Error::errno), Err(Errno::PROTO));
}
