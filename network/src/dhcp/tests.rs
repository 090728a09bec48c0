// SPDX-License-Identifier: MIT OR Apache-2.0
//! The client against a server that answers by hand, with the times of RFC 2131 section 4.4.5.

use super::*;
use crate::ip::{Hop, Prefix};
use crate::keyed::Secret;
use crate::wire::dhcpv4::options::Route;
use crate::wire::dhcpv4::{Options, View};
use proptest::prelude::*;

const START: Time = Time::from_nanos(7_000_000_000);
const SECOND: Duration = Duration::from_secs(1);
const MAC: MacAddress = MacAddress([2, 0, 0, 0, 0, 9]);
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const OTHER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 77);

fn client() -> Client {
    Client::new(MAC, Random::new(Secret([1; 16])), START)
}

/// The next thing that the client does, and when.
fn next(client: &mut Client) -> (Action, Time) {
    let mut now = START;
    for _ in 0..10 {
        now = now.max(client.next_deadline().expect("there is something to do"));
        if let Some(action) = client.poll(now) {
            return (action, now);
        }
    }
    panic!("nothing to do at its deadline");
}

/// The next message, where it goes, and when.
fn sent(client: &mut Client) -> (Header, Ipv4Addr, Time) {
    match next(client) {
        (Action::Send { to, from, message }, now) => {
            assert_eq!(from, message.client, "it is sent from the address that it says the client has");
            // What stands in it survives the wire.
            let mut bytes = vec![0; message.len()];
            message.emit(&mut bytes);
            assert_eq!(Header::parse(&View::new(&bytes).unwrap()).unwrap(), message);
            (message, to, now)
        }
        (other, _) => panic!("{other:?}"),
    }
}

fn reply(to: &Header, kind: Kind, server: Ipv4Addr, lease: u32) -> Header {
    let mut message = Header::new(kind, to.transaction, MAC);
    message.yours = ADDRESS;
    message.options = Options { server: Some(server), ..Options::default() };
    if kind != Kind::Nak {
        message.options.lease = Some(lease);
        message.options.subnet_mask = Some(Ipv4Addr::new(255, 255, 255, 0));
        message.options.routers.push(SERVER);
    }
    message
}

/// A client with a lease of so many seconds, and when it asked for it.
fn bound(lease: u32) -> (Client, Lease, Time) {
    let mut client = client();
    let (discover, _, now) = sent(&mut client);
    client.heard(&reply(&discover, Kind::Offer, SERVER, lease), now);
    let (request, _, now) = sent(&mut client);
    client.heard(&reply(&request, Kind::Ack, SERVER, lease), now + SECOND);
    let Some(Action::Bound(lease)) = client.poll(now + SECOND) else { panic!("not bound") };
    assert_eq!(client.lease(), Some(&lease));
    (client, lease, now)
}

/// RFC 2131 §4.4.1, §4.1; RFC 2132 §9.14; RFC 1542 §2.1.
#[test]
fn four_messages_lead_to_a_lease() {
    let mut client = client();
    let (discover, to, now) = sent(&mut client);
    assert!(now - START <= SECOND);
    assert_eq!((discover.kind, to, discover.broadcast), (Kind::Discover, Ipv4Addr::BROADCAST, true));
    assert!(discover.len() >= 300, "relays pass on no shorter one");
    assert_eq!(discover.options.identifier[..], [1, 2, 0, 0, 0, 0, 9]);
    assert!(discover.options.parameters.contains(&ROUTERS) && discover.options.server.is_none());
    client.heard(&reply(&discover, Kind::Offer, SERVER, 3600), now);
    client.heard(&reply(&discover, Kind::Offer, OTHER, 3600), now);
    let (request, to, _) = sent(&mut client);
    assert_eq!((request.kind, to, request.client), (Kind::Request, Ipv4Addr::BROADCAST, Ipv4Addr::UNSPECIFIED));
    assert_eq!((request.options.server, request.options.requested_address), (Some(SERVER), Some(ADDRESS)));
    assert_eq!(request.transaction, discover.transaction);
    client.heard(&reply(&request, Kind::Ack, OTHER, 3600), now);
    assert_eq!(client.lease(), None, "it was not asked");
    client.heard(&reply(&request, Kind::Ack, SERVER, 3600), now);
    let Some(Action::Bound(lease)) = client.poll(now) else { panic!("not bound") };
    assert_eq!((lease.prefix, lease.address()), (Prefix::new(ADDRESS.into(), 24).unwrap(), ADDRESS));
    assert_eq!((lease.routes[0].prefix, lease.routes[0].hop), (Prefix::DEFAULT_V4, Hop::Gateway(SERVER.into())));
    assert_eq!((lease.until, client.next_deadline()), (Some(now + 3600 * SECOND), Some(now + 1800 * SECOND)));
}

/// RFC 2131 §3.1.5, §4.1.
#[test]
fn who_gets_no_answer_asks_less_and_less_often() {
    let mut client = client();
    let mut before = sent(&mut client).2;
    for wait in [4, 8, 16, 32, 64, 64, 64] {
        let (message, _, now) = sent(&mut client);
        assert_eq!(message.kind, Kind::Discover);
        assert!((SECOND * (wait - 1)..=SECOND * (wait + 1)).contains(&(now - before)));
        before = now;
    }
    // A request that is not answered leads back to the beginning after about a minute.
    let (discover, _, now) = sent(&mut client);
    assert!(discover.seconds > 250);
    client.heard(&reply(&discover, Kind::Offer, SERVER, 60), now);
    for _ in 0..4 {
        assert_eq!(sent(&mut client).0.kind, Kind::Request);
    }
    let (again, _, later) = sent(&mut client);
    assert_eq!(again.kind, Kind::Discover);
    assert_ne!(again.transaction, discover.transaction);
    assert!((50 * SECOND..70 * SECOND).contains(&(later - now)));
}

#[test]
fn what_answers_no_question_changes_nothing() {
    let mut client = client();
    let (discover, _, now) = sent(&mut client);
    let good = reply(&discover, Kind::Offer, SERVER, 60);
    let mut wrong = vec![reply(&discover, Kind::Ack, SERVER, 60), reply(&discover, Kind::Nak, SERVER, 60)];
    wrong.push(Header { transaction: good.transaction ^ 1, ..good.clone() });
    wrong.push(Header { mac: MacAddress::BROADCAST, ..good.clone() });
    wrong.push(Header { options: Options::default(), ..good.clone() });
    for address in [Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST, Ipv4Addr::LOCALHOST, Ipv4Addr::new(224, 0, 0, 1)] {
        wrong.push(Header { yours: address, ..good.clone() });
    }
    for message in wrong {
        client.heard(&message, now);
        assert_eq!(client.state, State::Selecting { sent: 1 }, "{message:?}");
    }
    client.heard(&good, now);
    let (request, _, now) = sent(&mut client);
    // An acknowledgement that says too little, or another address.
    let mut short = reply(&request, Kind::Ack, SERVER, 60);
    short.options.lease = None;
    client.heard(&short, now);
    client.heard(&Header { yours: OTHER, ..reply(&request, Kind::Ack, SERVER, 60) }, now);
    client.heard(&reply(&request, Kind::Ack, SERVER, 0), now);
    assert_eq!(client.poll(now), None);
    assert_eq!(client.lease(), None);
}

#[test]
fn a_refused_request_begins_anew_after_a_while() {
    let mut client = client();
    let (discover, _, now) = sent(&mut client);
    client.heard(&reply(&discover, Kind::Offer, SERVER, 60), now);
    let (request, _, now) = sent(&mut client);
    client.heard(&reply(&request, Kind::Nak, OTHER, 0), now);
    client.heard(&reply(&request, Kind::Nak, SERVER, 0), now);
    let (again, _, later) = sent(&mut client);
    assert_eq!(again.kind, Kind::Discover);
    assert!(later - now >= 10 * SECOND);
}

/// RFC 2131 §4.4.5.
#[test]
fn a_lease_is_renewed_at_its_server() {
    let (mut client, lease, asked) = bound(1000);
    let (request, to, now) = sent(&mut client);
    assert_eq!((request.kind, to, request.client), (Kind::Request, SERVER, ADDRESS));
    assert!(request.options.server.is_none() && request.options.requested_address.is_none() && !request.broadcast);
    assert_eq!(now, asked + 500 * SECOND);
    // Somebody else's answer does not count, and the server's may leave out who it is.
    client.heard(&reply(&request, Kind::Nak, OTHER, 0), now);
    client.heard(&reply(&request, Kind::Ack, OTHER, 1000), now);
    assert_eq!(client.poll(now), None);
    let mut ack = reply(&request, Kind::Ack, SERVER, 2000);
    ack.options.server = None;
    ack.options.mtu = Some(1400);
    client.heard(&ack, now + 2 * SECOND);
    let Some(Action::Renewed(renewed)) = client.poll(now + 2 * SECOND) else { panic!("not renewed") };
    assert_eq!((renewed.prefix, renewed.mtu), (lease.prefix, Some(1400)));
    assert_eq!(renewed.until, Some(now + 2000 * SECOND), "it counts from the question");
    assert_eq!(client.next_deadline(), Some(now + 1000 * SECOND));
}

/// RFC 2131 §4.4.5.
#[test]
fn a_server_that_is_gone_is_replaced_or_the_lease_ends() {
    let (mut client, lease, asked) = bound(1000);
    let mut times = Vec::new();
    let (end, last) = loop {
        match next(&mut client) {
            (Action::Send { to, message, .. }, now) => {
                assert_eq!(to == SERVER, now < asked + 875 * SECOND);
                times.push((now - asked).as_secs());
                if to == Ipv4Addr::BROADCAST {
                    // The address of another, a refusal for another question: nothing.
                    client.heard(&reply(&message, Kind::Offer, OTHER, 1000), now);
                }
            }
            (other, now) => break (other, now),
        }
    };
    assert_eq!(times, [500, 687, 781, 841, 875, 937, 997]);
    assert_eq!((end, last), (Action::Lost(lease), asked + 1000 * SECOND));
    assert_eq!(client.lease(), None);
    assert_eq!(sent(&mut client).0.kind, Kind::Discover);

    let (mut client, _, asked) = bound(1000);
    let (request, now) = loop {
        let (message, to, now) = sent(&mut client);
        if to == Ipv4Addr::BROADCAST {
            break (message, now);
        }
    };
    client.heard(&reply(&request, Kind::Ack, OTHER, 1000), now);
    let Some(Action::Renewed(lease)) = client.poll(now) else { panic!("not renewed") };
    assert_eq!((lease.server, lease.until), (OTHER, Some(asked + 1875 * SECOND)));
}

#[test]
fn a_refusal_ends_the_lease_at_once() {
    let (mut client, lease, _) = bound(100);
    let (request, _, now) = sent(&mut client);
    client.heard(&reply(&request, Kind::Nak, SERVER, 0), now);
    assert_eq!(client.poll(now), Some(Action::Lost(lease)));
    let (discover, _, later) = sent(&mut client);
    assert!(discover.kind == Kind::Discover && later - now >= 10 * SECOND);
}

/// RFC 2131 §3.1.5, §4.4.6.
#[test]
fn a_lease_is_given_back_or_declined() {
    let (mut client, lease, now) = bound(100);
    client.release();
    let (release, to, _) = sent(&mut client);
    assert_eq!(
        (release.kind, to, release.client, release.options.server),
        (Kind::Release, SERVER, ADDRESS, Some(SERVER))
    );
    assert_eq!(client.poll(now), Some(Action::Lost(lease)));
    assert_eq!((client.poll(now), client.next_deadline()), (None, None));
    assert_eq!(client.lease(), None);

    let (mut client, lease, _) = bound(100);
    client.declined(now);
    let (decline, to, _) = sent(&mut client);
    assert_eq!((decline.kind, to, decline.client), (Kind::Decline, Ipv4Addr::BROADCAST, Ipv4Addr::UNSPECIFIED));
    assert_eq!((decline.options.requested_address, decline.options.server), (Some(ADDRESS), Some(SERVER)));
    assert_eq!(client.poll(now), Some(Action::Lost(lease)));
    let (discover, _, later) = sent(&mut client);
    assert!(discover.kind == Kind::Discover && later - now >= 10 * SECOND);
    // Without a lease there is nothing to give back.
    client.declined(now);
    client.release();
    assert_eq!((client.next_deadline(), client.poll(later)), (None, None));
}

/// RFC 2131 §3.3, §4.4.5; RFC 791 §2.3 for the mask that is missing.
#[test]
fn times_that_make_no_sense_are_replaced() {
    let granted = |renewal, rebinding, lease| {
        let mut ack = reply(&Header::new(Kind::Request, 1, MAC), Kind::Ack, SERVER, lease);
        (ack.options.renewal, ack.options.rebinding) = (renewal, rebinding);
        let lease = Lease::granted(&ack, SERVER, Time::ZERO).unwrap();
        [lease.renew_at, lease.rebind_at, lease.until].map(|at| at.map(|at| (at - Time::ZERO).as_secs()))
    };
    assert_eq!(granted(None, None, 800), [Some(400), Some(700), Some(800)]);
    assert_eq!(granted(Some(100), Some(200), 800), [Some(100), Some(200), Some(800)]);
    assert_eq!(granted(Some(300), Some(200), 800), [Some(200), Some(200), Some(800)]);
    assert_eq!(granted(Some(0), Some(900), 800), [Some(400), Some(700), Some(800)]);
    assert_eq!(granted(Some(1), Some(2), u32::MAX), [None; 3]);
    let mut ack = reply(&Header::new(Kind::Request, 1, MAC), Kind::Ack, SERVER, 60);
    ack.options.subnet_mask = None;
    assert_eq!(Lease::granted(&ack, SERVER, Time::ZERO).unwrap().prefix.length(), 8);
}

/// RFC 3442.
#[test]
fn classless_routes_stand_for_the_routers() {
    let mut ack = reply(&Header::new(Kind::Request, 1, MAC), Kind::Ack, SERVER, 60);
    let route = |destination: [u8; 4], length, router| Route { destination: destination.into(), length, router };
    ack.options.classless_routes.push(route([192, 168, 0, 0], 16, OTHER));
    ack.options.classless_routes.push(route([10, 1, 0, 0], 16, Ipv4Addr::UNSPECIFIED));
    ack.options.classless_routes.push(route([10, 2, 0, 0], 16, Ipv4Addr::BROADCAST));
    let routes = Lease::granted(&ack, SERVER, Time::ZERO).unwrap().routes;
    let routes: Vec<_> = routes.iter().map(|route| (route.prefix.to_string(), route.hop)).collect();
    assert_eq!(routes, [("192.168.0.0/16".into(), Hop::Gateway(OTHER.into())), ("10.1.0.0/16".into(), Hop::OnLink)]);
}

fn any_reply() -> impl Strategy<Value = (u8, bool, u8, u8, Option<u32>, Option<u32>)> {
    (
        0_u8..3,
        prop::bool::weighted(0.9),
        0_u8..3,
        0_u8..3,
        prop::option::weighted(0.9, 0_u32..500),
        prop::option::of(any::<u32>()),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever servers say and however long they take: a lease begins before it goes on or ends, it never outlives what was
    /// granted, and the client always has something to do or to wait for.
    #[test]
    fn a_lease_has_a_beginning_and_an_end(
        seed in any::<[u8; 16]>(),
        steps in prop::collection::vec((prop::option::weighted(0.8, any_reply()), 0_u64..100_000), 1..80),
    ) {
        let mut client = Client::new(MAC, Random::new(Secret(seed)), START);
        let mut now = START;
        let mut held: Option<Lease> = None;
        let mut question = None;
        for (answer, millis) in steps {
            now += Duration::from_millis(millis);
            if let (Some((kind, fits, server, address, lease, renewal)), Some(to)) = (answer, question.as_ref()) {
                let kind = [Kind::Offer, Kind::Ack, Kind::Nak][usize::from(kind)];
                let mut message = reply(to, kind, [SERVER, SERVER, OTHER][usize::from(server)], 0);
                message.options.lease = lease;
                message.options.renewal = renewal;
                message.transaction ^= u32::from(!fits);
                message.yours = [ADDRESS, ADDRESS, OTHER][usize::from(address)];
                client.heard(&message, now);
            }
            let mut count = 0;
            while let Some(action) = client.poll(now) {
                count += 1;
                prop_assert!(count < 10);
                match action {
                    Action::Send { message, .. } => question = Some(message),
                    Action::Bound(lease) => prop_assert!(held.replace(lease).is_none()),
                    Action::Renewed(lease) => {
                        let before = held.replace(lease.clone());
                        prop_assert_eq!(before.map(|before| before.address()), Some(lease.address()));
                    }
                    Action::Lost(lease) => prop_assert_eq!(held.take(), Some(lease)),
                }
            }
            prop_assert_eq!(client.lease(), held.as_ref());
            prop_assert!(held.as_ref().and_then(|lease| lease.until).is_none_or(|until| until > now));
            let due = client.next_deadline();
            prop_assert!(due.is_some_and(|due| due > now) || due.is_none() && held.as_ref().is_some_and(|lease| lease.until.is_none()));
        }
    }
}
