// SPDX-License-Identifier: MIT OR Apache-2.0
//! Half-close, close in its three ways, and peers that go without a word.

use super::*;

fn popped(side: &mut Side, end: Handle) -> std::result::Result<Vec<u8>, Errno> {
    finish(&mut [side], |sides| sides[0].pop(end))
}

#[test]
fn the_end_is_read_once_behind_everything() {
    let directory = directory();
    let ([mut server, mut client], [accepted, connected]) = pair(&directory);
    assert!(client.push(connected, b"last").is_ready());
    assert_eq!(client.catloop.shutdown(connected), Poll::Ready(Ok(())));
    assert_eq!(client.push(connected, b"more"), Poll::Ready(Err(Errno::PIPE)));
    assert_eq!(popped(&mut server, accepted), Ok(b"last".to_vec()));
    assert_eq!(popped(&mut server, accepted), Ok(Vec::new()));
    assert_eq!(popped(&mut server, accepted), Err(Errno::PIPE));
    // The other way is open.
    assert!(server.push(accepted, b"answer").is_ready());
    assert_eq!(popped(&mut client, connected), Ok(b"answer".to_vec()));
    server.close(accepted);
    assert_eq!(popped(&mut client, connected), Ok(Vec::new()));
    client.close(connected);
}

#[test]
fn a_close_returns_at_once_and_everything_is_delivered() {
    let directory = directory();
    let ([mut server, mut client], [accepted, connected]) = pair(&directory);
    assert!(client.push(connected, b"one").is_ready() && client.push(connected, b"two").is_ready());
    client.close(connected);
    drop(client);
    for expected in [&b"one"[..], b"two", b""] {
        assert_eq!(popped(&mut server, accepted), Ok(expected.to_vec()));
    }
    let mut message = server.message(b"too late");
    let pushed = finish(&mut [&mut server], |sides| match sides[0].catloop.push(accepted, &mut message) {
        Poll::Ready(Err(error)) => Poll::Ready(error.errno()),
        // Until the goodbye has been read, it goes into memory that nobody reads.
        Poll::Ready(Ok(())) => {
            message = sides[0].message(b"too late");
            Poll::Pending
        }
        Poll::Pending => Poll::Pending,
    });
    assert_eq!(pushed, Errno::PIPE);
}

#[test]
fn an_abortive_close_is_a_reset_behind_what_was_published() {
    let directory = directory();
    let ([mut server, mut client], [accepted, connected]) = pair(&directory);
    client.catloop.set_option(connected, SocketOption::Linger(Some(Duration::ZERO))).unwrap();
    assert!(client.push(connected, b"published").is_ready());
    client.close(connected);
    assert_eq!(popped(&mut server, accepted), Ok(b"published".to_vec()));
    assert_eq!(popped(&mut server, accepted), Err(Errno::CONNRESET));
    server.close(accepted);
}

#[test]
fn a_lingering_close_waits_until_everything_was_read() {
    let directory = directory();
    let ([mut server, mut client], [accepted, connected]) = pair(&directory);
    client.catloop.set_option(connected, SocketOption::Linger(Some(Duration::from_mins(1)))).unwrap();
    assert!(client.push(connected, b"read me").is_ready());
    assert!(client.catloop.close(connected).is_pending());
    for _ in 0..20 {
        client.round(NAP);
        assert!(client.catloop.close(connected).is_pending(), "nobody has read it");
    }
    assert_eq!(client.catloop.arm(), Armed::Quiet);
    client.woken();
    assert_eq!(popped(&mut server, accepted), Ok(b"read me".to_vec()));
    assert_eq!(popped(&mut server, accepted), Ok(Vec::new()));
    until(&mut [&mut client], |sides| sides[0].woken().iter().any(|&(_, way)| way == Direction::Push).then_some(()));
    client.close(connected);
}

#[test]
fn a_lingering_close_ends_with_the_peer() {
    for dies in [false, true] {
        let directory = directory();
        let ([mut server, mut client], [accepted, connected]) = pair(&directory);
        client.catloop.set_option(connected, SocketOption::Linger(Some(Duration::from_mins(1)))).unwrap();
        assert!(client.push(connected, b"never read").is_ready());
        assert!(client.catloop.close(connected).is_pending());
        if dies {
            drop(server);
        } else {
            server.close(accepted);
        }
        assert_eq!(finish(&mut [&mut client], |sides| sides[0].catloop.close(connected)), Ok(()));
    }
}

#[test]
fn a_lingering_close_ends_with_a_peer_that_keeps_a_buffer() {
    let directory = directory();
    let ([mut server, mut client], [accepted, connected]) = pair(&directory);
    client.catloop.set_option(connected, SocketOption::Linger(Some(Duration::from_mins(1)))).unwrap();
    assert!(client.push(connected, b"kept").is_ready() && client.push(connected, b"never read").is_ready());
    assert!(client.catloop.close(connected).is_pending());
    let Poll::Ready(Ok(kept)) = server.catloop.pop(accepted, PopMode::InPlace) else { panic!("nothing to pop") };
    // It hears the goodbye, and has no use for the connection from then on.
    until(&mut [&mut server], |sides| {
        matches!(sides[0].push(accepted, b"x"), Poll::Ready(Err(Errno::PIPE))).then_some(())
    });
    server.close(accepted);
    assert_eq!(finish(&mut [&mut client], |sides| sides[0].catloop.close(connected)), Ok(()));
    assert_eq!(kept.to_vec(), b"kept");
}

#[test]
fn a_lingering_close_ends_with_its_time() {
    let directory = directory();
    let ([mut server, mut client], [accepted, connected]) = pair(&directory);
    client.catloop.set_option(connected, SocketOption::Linger(Some(Duration::from_millis(5)))).unwrap();
    assert!(client.push(connected, b"read late").is_ready());
    client.round(Duration::ZERO);
    assert!(client.catloop.close(connected).is_pending());
    assert_eq!(finish(&mut [&mut client], |sides| sides[0].catloop.close(connected)), Ok(()));
    // It was delivered all the same.
    assert_eq!(popped(&mut server, accepted), Ok(b"read late".to_vec()));
    assert_eq!(popped(&mut server, accepted), Ok(Vec::new()));
}

#[test]
fn a_lingering_close_with_nothing_to_wait_for_returns_at_once() {
    let directory = directory();
    let ([mut server, mut client], [accepted, connected]) = pair(&directory);
    server.close(accepted);
    popped(&mut client, connected).unwrap();
    client.catloop.set_option(connected, SocketOption::Linger(Some(Duration::from_mins(1)))).unwrap();
    let _ = client.push(connected, b"nobody reads this");
    assert_eq!(finish(&mut [&mut client], |sides| sides[0].catloop.close(connected)), Ok(()));
}

#[test]
fn a_peer_that_dies_is_a_reset_behind_what_it_published() {
    let directory = directory();
    let ([server, mut client], [accepted, connected]) = pair(&directory);
    let mut server = server;
    assert!(server.push(accepted, b"before").is_ready());
    // Without a close, as a killed process.
    drop(server);
    assert_eq!(popped(&mut client, connected), Ok(b"before".to_vec()));
    assert_eq!(popped(&mut client, connected), Err(Errno::CONNRESET));
    assert_eq!(client.push(connected, b"x"), Poll::Ready(Err(Errno::CONNRESET)));
    client.close(connected);
}

#[test]
fn rings_that_the_peer_has_not_read_do_not_hide_a_goodbye() {
    let directory = directory();
    let ([mut server, mut client], [accepted, connected]) = pair(&directory);
    // The server sleeps, is rung, and closes without having read the ring: the kernel makes a reset of that.
    assert!(server.pop(accepted).is_pending());
    assert_eq!(server.catloop.arm(), Armed::Quiet);
    assert!(client.push(connected, b"ring").is_ready());
    server.close(accepted);
    assert_eq!(popped(&mut client, connected), Ok(Vec::new()), "an end, not a reset");
    let pushed = until(&mut [&mut client], |sides| match sides[0].push(connected, b"x") {
        Poll::Ready(Err(errno)) => Some(errno),
        _ => None,
    });
    assert_eq!(pushed, Errno::PIPE);
}

#[test]
fn a_buffer_outlives_its_connection() {
    let directory = directory();
    let ([mut server, mut client], [accepted, connected]) = pair(&directory);
    assert!(client.push(connected, b"kept").is_ready());
    client.close(connected);
    let Poll::Ready(Ok(kept)) = server.catloop.pop(accepted, PopMode::InPlace) else { panic!("nothing to pop") };
    server.catloop.set_option(accepted, SocketOption::Linger(Some(Duration::ZERO))).unwrap();
    server.close(accepted);
    drop(server);
    assert_eq!(kept.to_vec(), b"kept");
}

#[test]
fn connections_that_nobody_accepted_are_reset_with_their_listener() {
    let directory = directory();
    let (mut server, mut client) = (Side::new(&directory), Side::new(&directory));
    let (listener, address) = server.listen("127.0.0.1:0", 8);
    let ends: Vec<_> = (0..3).map(|_| client.begin(address)).collect();
    for &end in &ends {
        finish(&mut [&mut server, &mut client], |sides| sides[1].connected(end)).unwrap();
    }
    server.close(listener);
    for end in ends {
        assert_eq!(popped(&mut client, end), Err(Errno::CONNRESET));
    }
    assert_eq!(names(&directory), [""; 0]);
}
