// SPDX-License-Identifier: MIT OR Apache-2.0
//! The backlog as a bound: those beyond it wait, or are refused.

use super::*;

fn count(client: &mut Side, ends: &[Handle]) -> [usize; 2] {
    let mut counted = [0; 2];
    for &end in ends {
        match client.connected(end) {
            Poll::Pending => counted[0] += 1,
            Poll::Ready(connected) => {
                connected.unwrap();
                counted[1] += 1;
            }
        }
    }
    counted
}

#[test]
fn those_beyond_it_wait_for_room_in_their_order() {
    let directory = directory();
    let (mut server, mut client) = (Side::new(&directory), Side::new(&directory));
    let (listener, address) = server.listen("127.0.0.1:0", 3);
    let ends: Vec<_> = (0..8).map(|_| client.begin(address)).collect();
    for taken in 0..=5 {
        for _ in 0..30 {
            server.round(Duration::ZERO);
            client.round(Duration::ZERO);
        }
        assert_eq!(count(&mut client, &ends), [5 - taken, 3 + taken], "three and no more wait to be accepted");
        let Poll::Ready(accepted) = server.accept(listener) else { panic!("nobody to accept") };
        assert_eq!(
            server.catloop.peer_address(accepted),
            client.catloop.local_address(ends[taken]),
            "in the order of coming"
        );
    }
    assert_eq!(client.catloop.counters().connected, 8);
    assert_eq!(server.catloop.counters().accepted, 6);
}

#[test]
fn waiting_has_an_end() {
    let directory = directory();
    let mut server = Side::new(&directory);
    let mut client = Side::with(Settings { connect_timeout: Duration::from_millis(30), ..settings(directory.path()) });
    let (listener, address) = server.listen("127.0.0.1:0", 1);
    let first = client.begin(address);
    finish(&mut [&mut server, &mut client], |sides| sides[1].connected(first)).unwrap();
    let second = client.begin(address);
    let ended = finish(&mut [&mut server, &mut client], |sides| sides[1].connected(second));
    assert_eq!(ended, Err(Errno::TIMEDOUT));
    // The one that gave up is no connection.
    assert!(server.accept(listener).is_ready());
    for _ in 0..30 {
        server.round(Duration::ZERO);
    }
    assert!(server.accept(listener).is_pending());
}

#[test]
fn those_beyond_it_are_refused_if_it_is_set_so() {
    let directory = directory();
    let mut server = Side::with(Settings { backlog_full: BacklogFull::Refuse, ..settings(directory.path()) });
    let mut client = Side::new(&directory);
    let (listener, address) = server.listen("127.0.0.1:0", 2);
    let ends: Vec<_> = (0..5).map(|_| client.begin(address)).collect();
    let outcomes: Vec<_> =
        ends.iter().map(|&end| finish(&mut [&mut server, &mut client], |sides| sides[1].connected(end))).collect();
    let refused = Err(Errno::CONNREFUSED);
    assert_eq!(outcomes, [Ok(()), Ok(()), refused, refused, refused]);
    assert_eq!(server.catloop.counters().refused, 3);
    // There is room again.
    assert!(server.accept(listener).is_ready());
    let next = client.begin(address);
    assert_eq!(finish(&mut [&mut server, &mut client], |sides| sides[1].connected(next)), Ok(()));
}

#[test]
fn a_backlog_of_none_is_one() {
    let directory = directory();
    let (mut server, mut client) = (Side::new(&directory), Side::new(&directory));
    let (_listener, address) = server.listen("127.0.0.1:0", 0);
    let ends = [client.begin(address), client.begin(address)];
    for _ in 0..30 {
        server.round(Duration::ZERO);
        client.round(Duration::ZERO);
    }
    assert_eq!(count(&mut client, &ends), [1, 1]);
}
