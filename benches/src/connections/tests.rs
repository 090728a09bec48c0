// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is measured is what it says: connections are whole, and those that are idle leave the stack nothing to do.

use super::{Crowd, Visits};

/// More than there are ports: the client comes back at those that it has had.
const VISITS: u32 = 40_000;

#[test]
fn connections_come_and_go() {
    let mut visits = Visits::new().expect("memory");
    for visit in 0..VISITS {
        assert!(visits.visit(), "visit {visit}");
    }
    let [client, server] = visits.counts();
    assert_eq!((client.sockets, client.flows), (0, 0), "{client:?}");
    assert_eq!((server.sockets, server.half_open), (1, 0), "{server:?}");
    assert!(server.time_waits > 30_000, "who closes first remembers it: {server:?}");
}

#[test]
fn idle_ones_are_there_and_silent() {
    // Two ports of the server.
    let mut asked = 0;
    let mut crowd = Crowd::new(20_000, || {
        asked += 1;
        asked * 40_000_000
    })
    .expect("they meet");
    assert_eq!(crowd.connections(), 20_001);
    assert_eq!(crowd.bytes(), 1000);
    for _ in 0..1000 {
        crowd.poll();
        assert_eq!(crowd.message(), 64);
    }
}
