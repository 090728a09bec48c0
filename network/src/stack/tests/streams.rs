// SPDX-License-Identifier: MIT OR Apache-2.0
//! Streams between two hosts: from the handshake to the end.

use super::*;
use crate::limits::EPHEMERAL_FIRST;
use crate::stack::{Readiness, Setting, StreamCounts, StreamId};

impl Wire {
    pub fn listen(&mut self, host: usize, address: &str, backlog: usize) -> StreamId {
        let address = at(address);
        let id = self.stacks[host].stream_socket(Domain::of(&address)).unwrap();
        self.stacks[host].stream_bind(id, address).unwrap();
        self.stacks[host].stream_listen(id, backlog).unwrap();
        id
    }

    pub fn call(&mut self, host: usize, to: &str) -> StreamId {
        let to = at(to);
        let id = self.stacks[host].stream_socket(Domain::of(&to)).unwrap();
        self.stacks[host].stream_connect(id, to, self.now).unwrap();
        id
    }

    pub fn accept(&mut self, host: usize, listener: StreamId) -> StreamId {
        done(self.stacks[host].stream_accept(listener, self.now))
    }

    /// A connection from host 0 to a listener of host 1: both ends, and the listener.
    pub fn connect(&mut self, to: &str) -> (StreamId, StreamId, StreamId) {
        let listener = self.listen(1, to, 8);
        let near = self.call(0, to);
        self.settle();
        done(self.stacks[0].stream_connected(near));
        (near, self.accept(1, listener), listener)
    }

    pub fn push(&mut self, host: usize, id: StreamId, bytes: &[u8]) {
        let mut message = self.pools[host].alloc_copy(bytes).unwrap().into();
        done(self.stacks[host].stream_push(id, &mut message, self.now));
    }

    pub fn pop(&mut self, host: usize, id: StreamId) -> Vec<u8> {
        done(self.stacks[host].stream_pop(id, None, self.now)).to_vec()
    }

    /// Pops until nothing is there.
    pub fn pop_all(&mut self, host: usize, id: StreamId) -> Vec<u8> {
        let mut all = Vec::new();
        while let Poll::Ready(popped) = self.stacks[host].stream_pop(id, None, self.now) {
            let popped = popped.unwrap();
            if popped.is_empty() {
                break;
            }
            all.extend(popped.to_vec());
        }
        all
    }

    pub fn shut(&mut self, host: usize, id: StreamId) {
        self.stacks[host].stream_shutdown(id, self.now).unwrap();
    }

    pub fn close(&mut self, host: usize, id: StreamId) {
        done(self.stacks[host].stream_close(id, self.now));
    }
}

#[test]
fn a_stream_from_its_handshake_to_its_end() {
    for (to, from) in [("10.0.0.2:80", "10.0.0.1"), ("[fd00::2]:80", "fd00::1")] {
        let mut wire = Wire::pair();
        let (near, far, listener) = wire.connect(to);
        assert_eq!(wire.stacks[0].stream_peer(near).unwrap(), at(to));
        assert_eq!(wire.stacks[1].stream_local(far).unwrap(), at(to));
        let local = wire.stacks[0].stream_local(near).unwrap();
        assert_eq!(wire.stacks[1].stream_peer(far).unwrap(), local);
        assert_eq!(local.ip(), ip(from));
        assert!(wire.stacks[1].stream_pop(far, None, wire.now).is_pending());
        wire.push(0, near, b"a question");
        wire.settle();
        assert_eq!(wire.pop(1, far), b"a question");
        wire.push(1, far, b"an answer");
        wire.settle();
        assert_eq!(wire.pop(0, near), b"an answer");
        wire.shut(0, near);
        wire.settle();
        assert_eq!(wire.pop(1, far), b"");
        assert_eq!(errno(wire.stacks[1].stream_pop(far, None, wire.now)), Errno::PIPE);
        // The other way is open still.
        wire.push(1, far, b"late");
        wire.settle();
        assert_eq!(wire.pop(0, near), b"late");
        wire.close(1, far);
        wire.settle();
        assert_eq!(wire.pop(0, near), b"");
        wire.close(0, near);
        wire.close(1, listener);
        wire.settle();
        assert_eq!((wire.stacks[0].streams(), wire.stacks[1].streams()), (0, 0));
        assert_eq!(wire.stacks[0].stream_counts().time_waits, 1, "who ends first waits");
        wire.run(Duration::from_mins(2));
        assert!(wire.stacks.iter().all(|stack| stack.stream_counts() == StreamCounts::default()));
        wire.assert_all_back();
    }
}

#[test]
fn much_goes_both_ways() {
    let mut wire = Wire::pair();
    let (near, far, _) = wire.connect("10.0.0.2:80");
    let bytes = pattern(500_000);
    let mut sent = [0, 0];
    let mut got = [Vec::new(), Vec::new()];
    let ids = [near, far];
    let mut round = 0;
    while got.iter().any(|got| got.len() < bytes.len()) {
        for host in 0..2 {
            while sent[host] < bytes.len() {
                let end = (sent[host] + 2000).min(bytes.len());
                let mut message: Sga = wire.pools[host].alloc_copy(&bytes[sent[host]..end]).unwrap().into();
                match wire.stacks[host].stream_push(ids[host], &mut message, wire.now) {
                    Poll::Ready(pushed) => {
                        pushed.unwrap();
                        sent[host] = end;
                    }
                    Poll::Pending => {
                        sent[host] = end - message.len();
                        break;
                    }
                }
            }
            let more = wire.pop_all(host, ids[host]);
            got[host].extend(more);
        }
        wire.run(Duration::from_millis(1));
        round += 1;
        assert!(round < 5000, "{} and {} bytes", got[0].len(), got[1].len());
    }
    assert!(got[0] == bytes && got[1] == bytes);
    for (host, id) in ids.into_iter().enumerate() {
        wire.close(host, id);
    }
    wire.run(Duration::from_mins(3));
    wire.assert_all_back();
}

#[test]
fn nobody_there_refuses() {
    let mut wire = Wire::pair();
    let near = wire.call(0, "10.0.0.2:81");
    assert!(wire.stacks[0].stream_connected(near).is_pending());
    wire.settle();
    assert_eq!(wire.stacks[0].stream_woken().map(|(id, news)| (id, news.writable)), Some((near, true)));
    assert_eq!(errno(wire.stacks[0].stream_connected(near)), Errno::CONNREFUSED);
    assert_eq!(errno(wire.stacks[0].stream_pop(near, None, wire.now)), Errno::NOTCONN);
    assert_eq!(wire.stacks[0].stream_local(near).unwrap(), at("0.0.0.0:0"));
    // It can be connected again.
    let listener = wire.listen(1, "10.0.0.2:81", 1);
    wire.stacks[0].stream_connect(near, at("10.0.0.2:81"), wire.now).unwrap();
    wire.settle();
    done(wire.stacks[0].stream_connected(near));
    wire.accept(1, listener);
}

#[test]
fn who_waits_is_woken_once() {
    let mut wire = Wire::pair();
    let listener = wire.listen(1, "10.0.0.2:80", 8);
    assert!(wire.stacks[1].stream_accept(listener, wire.now).is_pending());
    let near = wire.call(0, "10.0.0.2:80");
    wire.settle();
    let readable = Readiness { readable: true, writable: false };
    assert_eq!(wire.stacks[1].stream_woken(), Some((listener, readable)));
    assert_eq!(wire.stacks[1].stream_woken(), None);
    let far = wire.accept(1, listener);
    assert!(wire.stacks[0].stream_woken().is_some_and(|(id, news)| id == near && news.writable));
    done(wire.stacks[0].stream_connected(near));
    while wire.stacks[1].stream_woken().is_some() {}
    wire.push(0, near, b"one");
    wire.push(0, near, b"two");
    // The second waits until the first is acknowledged (RFC 9293 section 3.7.4).
    wire.run(Duration::from_millis(100));
    let woken = wire.stacks[1].stream_woken();
    assert!(woken.is_some_and(|(id, news)| id == far && news.readable), "{woken:?}");
    assert_eq!(wire.stacks[1].stream_woken(), None);
    assert_eq!(wire.pop_all(1, far), b"onetwo");
}

#[test]
fn a_host_speaks_to_itself() {
    for address in ["127.0.0.1:80", "10.0.0.1:80", "[::1]:80", "[fd00::1]:80"] {
        let mut wire = Wire::of(vec![config(1)]);
        let listener = wire.listen(0, address, 8);
        let near = wire.call(0, address);
        wire.settle();
        done(wire.stacks[0].stream_connected(near));
        let far = wire.accept(0, listener);
        wire.push(0, near, &pattern(10_000));
        wire.run(Duration::from_secs(1));
        assert_eq!(wire.pop_all(0, far), pattern(10_000), "{address}");
        wire.close(0, far);
        wire.close(0, near);
        wire.close(0, listener);
        wire.run(Duration::from_mins(2));
        assert_eq!(wire.stacks[0].streams(), 0);
        wire.assert_all_back();
    }
}

#[test]
fn an_abort_is_heard() {
    use runtime::socket::SocketOption;
    let mut wire = Wire::pair();
    let (near, far, _) = wire.connect("10.0.0.2:80");
    wire.push(0, near, b"last words");
    wire.settle();
    wire.stacks[0].stream_set_option(near, SocketOption::Linger(Some(Duration::ZERO))).unwrap();
    wire.close(0, near);
    wire.settle();
    assert_eq!(wire.stacks[0].streams(), 0);
    assert_eq!(wire.pop(1, far), b"last words");
    for _ in 0..2 {
        assert_eq!(errno(wire.stacks[1].stream_pop(far, None, wire.now)), Errno::CONNRESET);
    }
    wire.close(1, far);
    wire.settle();
    assert_eq!(wire.stacks[1].stream_counts().flows, 0);
    wire.assert_all_back();
}

#[test]
fn a_close_that_lingers_waits_for_the_peer() {
    use runtime::socket::SocketOption;
    let mut wire = Wire::pair();
    let (near, far, _) = wire.connect("10.0.0.2:80");
    let linger = SocketOption::Linger(Some(Duration::from_secs(5)));
    wire.stacks[0].stream_set_option(near, linger).unwrap();
    wire.push(0, near, b"last words");
    assert!(wire.stacks[0].stream_close(near, wire.now).is_pending());
    while wire.stacks[0].stream_woken().is_some() {}
    wire.run(Duration::from_secs(1));
    assert!(wire.stacks[0].stream_woken().is_some_and(|(id, news)| id == near && news.writable));
    wire.close(0, near);
    assert_eq!(errno(wire.stacks[0].stream_close(near, wire.now)), Errno::BADF);
    assert_eq!((wire.pop(1, far), wire.pop(1, far)), (b"last words".to_vec(), Vec::new()));
    // Nobody answers: it ends when the time is over, and not before.
    let (near, _, _) = {
        let listener = wire.listen(1, "10.0.0.2:81", 8);
        let near = wire.call(0, "10.0.0.2:81");
        wire.settle();
        done(wire.stacks[0].stream_connected(near));
        (near, wire.accept(1, listener), listener)
    };
    wire.stacks[0].stream_set_option(near, linger).unwrap();
    wire.push(0, near, b"nobody hears");
    wire.fate = Box::new(|_, _| None);
    assert!(wire.stacks[0].stream_close(near, wire.now).is_pending());
    wire.run(Duration::from_secs(4));
    assert!(wire.stacks[0].stream_close(near, wire.now).is_pending());
    wire.run(Duration::from_secs(2));
    wire.close(0, near);
}

#[test]
fn a_connect_that_is_given_up_can_be_made_again() {
    let mut wire = Wire::pair();
    wire.fate = Box::new(|_, _| None);
    let near = wire.call(0, "10.0.0.2:80");
    wire.run(Duration::from_millis(100));
    assert_eq!(wire.stacks[0].stream_connect(near, at("10.0.0.2:80"), wire.now).unwrap_err().errno(), Errno::ALREADY);
    let now = wire.now;
    wire.stacks[0].stream_give_up(near, now);
    assert_eq!(errno(wire.stacks[0].stream_connected(near)), Errno::NOTCONN);
    assert_eq!(wire.stacks[0].stream_counts().flows, 0);
    wire.fate = Box::new(|_, frame| Some(frame.to_vec()));
    let listener = wire.listen(1, "10.0.0.2:80", 1);
    wire.stacks[0].stream_connect(near, at("10.0.0.2:80"), wire.now).unwrap();
    wire.run(Duration::from_secs(5));
    done(wire.stacks[0].stream_connected(near));
    wire.accept(1, listener);
}

#[test]
fn a_listener_of_ipv6_serves_both_families() {
    let mut wire = Wire::pair();
    let listener = wire.listen(1, "[::]:80", 8);
    for (to, seen) in [("10.0.0.2:80", "::ffff:10.0.0.1"), ("[fd00::2]:80", "fd00::1")] {
        let near = wire.call(0, to);
        wire.settle();
        done(wire.stacks[0].stream_connected(near));
        let far = wire.accept(1, listener);
        assert_eq!(wire.stacks[1].stream_peer(far).unwrap().ip(), ip(seen));
    }
    let other = wire.stacks[1].stream_socket(Domain::V4).unwrap();
    assert_eq!(wire.stacks[1].stream_bind(other, at("10.0.0.2:80")).unwrap_err().errno(), Errno::ADDRINUSE);
}

/// Short messages that nobody acknowledges leave the device buffers to receive into.
#[test]
fn what_waits_leaves_buffers_for_others() {
    let mut wire = Wire::pair();
    let listener = wire.listen(1, "10.0.0.2:80", 100);
    let ends: Vec<_> = (0..40)
        .map(|_| {
            let near = wire.call(0, "10.0.0.2:80");
            wire.settle();
            done(wire.stacks[0].stream_connected(near));
            (near, wire.accept(1, listener))
        })
        .collect();
    let mut pushed = vec![0; ends.len()];
    for round in 0..200 {
        for (at, (near, _)) in ends.iter().enumerate() {
            let mut message = wire.pools[0].alloc_copy(&[at as u8; 100]).unwrap().into();
            if wire.stacks[0].stream_push(*near, &mut message, wire.now).is_ready() {
                pushed[at] += 100;
            }
        }
        if round % 20 == 0 {
            wire.run(Duration::from_millis(50));
        }
    }
    wire.run(Duration::from_secs(5));
    for (pool, what) in wire.pools.iter().zip(["pushing", "receiving"]) {
        let stats = pool.stats()[0];
        assert!(stats.in_use < stats.capacity / 4 * 3, "{what}: {} of {}", stats.in_use, stats.capacity);
    }
    // All of it arrives once it is taken.
    let mut got = vec![0; ends.len()];
    for _ in 0..200 {
        for (at, (_, far)) in ends.iter().enumerate() {
            let bytes = wire.pop_all(1, *far);
            assert!(bytes.iter().all(|byte| usize::from(*byte) == at));
            got[at] += bytes.len();
        }
        wire.run(Duration::from_millis(500));
    }
    assert_eq!(got, pushed);
    for (near, far) in ends {
        wire.close(0, near);
        wire.close(1, far);
    }
    wire.run(Duration::from_mins(3));
    wire.assert_all_back();
}

/// Who calls a port of its own host is never given that very port to call from: it would meet itself, where nobody listens.
#[test]
fn nobody_meets_himself_by_chance() {
    let mut wire = Wire::of(vec![config(1)]);
    // All ports but that one.
    for _ in EPHEMERAL_FIRST..u16::MAX {
        let id = wire.call(0, "10.0.0.1:40000");
        assert_ne!(wire.stacks[0].stream_local(id).unwrap().port(), 40_000);
    }
    let last = wire.stacks[0].stream_socket(Domain::V4).unwrap();
    let refused = wire.stacks[0].stream_connect(last, at("10.0.0.1:40000"), wire.now);
    assert_eq!(refused.map_err(runtime::Error::errno), Err(Errno::ADDRNOTAVAIL));
    // To others it may be.
    wire.stacks[0].stream_connect(last, at("10.0.0.2:40000"), wire.now).unwrap();
}

/// Whether host 0 has sent a packet of IPv4 from this address.
fn has_sent_from(wire: &Wire, address: [u8; 4]) -> bool {
    wire.seen.iter().any(|(from, frame)| *from == 0 && frame[12..14] == [8, 0] && frame[26..30] == address)
}

/// RFC 1122 section 3.2.1.3, RFC 2131 section 4.4.5, RFC 5227 section 2.4: nobody sends from an address that is not his any more. If it comes back,
/// so does the connection.
#[test]
fn nothing_leaves_from_an_address_that_is_gone() {
    let (address, own) = ([10, 0, 0, 1], ip("10.0.0.1"));
    let mut wire = Wire::pair();
    let (near, far, _) = wire.connect("10.0.0.2:80");
    assert!(has_sent_from(&wire, address));
    let now = wire.now;
    wire.stacks[0].remove_address(own, now);
    wire.seen.clear();
    wire.push(0, near, b"late");
    wire.run(Duration::from_secs(10));
    assert!(!has_sent_from(&wire, address));
    let lost = wire.dropped(0, Reason::NoRoute);
    assert!(lost > 0 && lost < 20, "it is tried {lost} times");
    let now = wire.now;
    wire.stacks[0].add_network("10.0.0.1/24".parse().unwrap(), true, now).unwrap();
    wire.run(Duration::from_secs(30));
    assert_eq!(wire.pop(1, far), b"late");
    // Else time ends it, and says why.
    let now = wire.now;
    wire.stacks[0].remove_address(own, now);
    wire.seen.clear();
    wire.push(0, near, b"never");
    wire.run(Duration::from_hours(1));
    assert_eq!(errno(wire.stacks[0].stream_pop(near, None, wire.now)), Errno::NETUNREACH);
    assert!(!has_sent_from(&wire, address));
}

/// The same of one that is closed, or aborted, while its address is gone.
#[test]
fn no_end_leaves_from_an_address_that_is_gone() {
    for aborts in [false, true] {
        let mut wire = Wire::pair();
        let (near, ..) = wire.connect("10.0.0.2:80");
        let now = wire.now;
        wire.stacks[0].remove_address(ip("10.0.0.1"), now);
        wire.seen.clear();
        wire.push(0, near, b"never");
        if aborts {
            wire.stacks[0].stream_abort(near, now);
        } else {
            wire.close(0, near);
        }
        wire.run(Duration::from_hours(1));
        assert!(!has_sent_from(&wire, [10, 0, 0, 1]));
        assert_eq!(wire.stacks[0].stream_counts(), StreamCounts::default());
        wire.assert_all_back();
    }
}

/// `SO_REUSEPORT` of `socket(7)`: who shares a port shares it with what is left of the others' connections, too.
#[test]
fn what_has_ended_keeps_out_nobody_who_shares_the_port() {
    let mut wire = Wire::pair();
    let socket = |wire: &mut Wire, shares| {
        let id = wire.stacks[1].stream_socket(Domain::V4).unwrap();
        wire.stacks[1].stream_set(id, Setting::ReusePort(shares)).unwrap();
        (id, wire.stacks[1].stream_bind(id, at("10.0.0.2:80")).map_err(runtime::Error::errno))
    };
    let (listener, _) = socket(&mut wire, true);
    wire.stacks[1].stream_listen(listener, 1).unwrap();
    let near = wire.call(0, "10.0.0.2:80");
    wire.settle();
    done(wire.stacks[0].stream_connected(near));
    let far = wire.accept(1, listener);
    wire.close(1, far);
    wire.settle();
    wire.close(0, near);
    wire.settle();
    assert_eq!(wire.stacks[1].stream_counts().time_waits, 1);
    let (sharer, bound) = socket(&mut wire, true);
    assert_eq!(bound, Ok(()));
    wire.stacks[1].stream_listen(sharer, 1).unwrap();
    for id in [listener, sharer] {
        wire.close(1, id);
    }
    assert_eq!(socket(&mut wire, false).1, Err(Errno::ADDRINUSE), "it is held until it is forgotten");
    wire.run(Duration::from_mins(2));
    assert_eq!(socket(&mut wire, false).1, Ok(()));
}
