// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bytes over a connection: all sizes, both ways, in order, with and without sleeping.

use super::*;
use core::num::NonZeroUsize;

/// Pushes `sent` in one message and pops all of it; gives the pieces.
fn carry(sides: &mut [Side; 2], ends: [Handle; 2], sent: &[u8], mode: PopMode) -> Vec<usize> {
    let [from, to] = sides;
    let mut message = Some(from.message(sent));
    let (mut got, mut pieces) = (Vec::new(), Vec::new());
    until(&mut [from, to], |sides| {
        if let Some(pushing) = &mut message
            && let Poll::Ready(pushed) = sides[0].catloop.push(ends[0], pushing)
        {
            pushed.unwrap();
            message = None;
        }
        while let Poll::Ready(piece) = sides[1].catloop.pop(ends[1], mode) {
            let piece = piece.unwrap();
            assert!(!piece.is_empty(), "no end was published");
            pieces.push(piece.len());
            got.extend(piece.to_vec());
        }
        (got.len() >= sent.len()).then_some(())
    });
    assert!(message.is_none() && got == sent);
    pieces
}

#[test]
fn every_size_arrives_and_long_messages_come_in_pieces() {
    let directory = directory();
    let (mut sides, ends) = pair(&directory);
    for len in [1, 7, 8, 4000, 4096, 16 << 10, 100_000, 16 << 20] {
        let pieces = carry(&mut sides, ends, &bytes(len), PopMode::Whole);
        assert!(pieces.iter().all(|&piece| piece <= 4096), "no longer than a record of a ring of 16 KiB");
        assert_eq!(pieces.len() == 1, len <= 4000, "{len} bytes came in {} pieces", pieces.len());
    }
    sides.reverse();
    carry(&mut sides, [ends[1], ends[0]], &bytes(50_000), PopMode::InPlace);
    let pieces =
        carry(&mut sides, [ends[1], ends[0]], &bytes(10_000), PopMode::AtMost(NonZeroUsize::new(100).unwrap()));
    assert!(pieces.iter().all(|&piece| piece <= 100));
}

#[test]
fn a_push_that_is_canceled_half_way_ends_its_message_and_no_other() {
    let directory = directory();
    let ([mut server, mut client], [accepted, connected]) = pair(&directory);
    let mut message = client.message(&bytes(100_000));
    assert!(client.catloop.push(connected, &mut message).is_pending());
    client.catloop.canceled(connected, Direction::Push);
    let mut got = Vec::new();
    while let Poll::Ready(piece) = server.pop(accepted) {
        got.extend(piece.unwrap());
    }
    assert!(!got.is_empty() && got == bytes(100_000)[..got.len()], "a stream has what was sent already");
    assert!(finish(&mut [&mut client], |sides| sides[0].push(connected, b"next")).is_ok());
    assert_eq!(finish(&mut [&mut server], |sides| sides[0].pop(accepted)), Ok(b"next".to_vec()));
}

#[test]
fn sleepers_are_woken_over_the_connection() {
    let directory = directory();
    let (sides, ends) = pair(&directory);
    let mut sides: Vec<_> = sides.into_iter().zip(ends).collect();
    for _ in 0..20 {
        sides.reverse();
        let [(from, source), (to, sink)] = &mut sides[..] else { panic!("two sides") };
        assert!(to.pop(*sink).is_pending());
        assert_eq!(to.catloop.arm(), Armed::Quiet);
        to.woken();
        assert_eq!(from.push(*source, b"wake up"), Poll::Ready(Ok(())));
        // Sleeps until the byte on the connection comes; a lost one ends in the panic of `until`.
        until(&mut [&mut *to], |sides| sides[0].woken().iter().any(|&(_, way)| way == Direction::Pop).then_some(()));
        to.catloop.disarm();
        assert_eq!(to.pop(*sink), Poll::Ready(Ok(b"wake up".to_vec())));
    }
}

#[test]
fn a_sleeping_writer_is_woken_by_the_reader() {
    let directory = directory();
    let ([mut server, mut client], [accepted, connected]) = pair(&directory);
    let mut message = client.message(&bytes(100_000));
    assert!(client.catloop.push(connected, &mut message).is_pending());
    assert_eq!(client.catloop.arm(), Armed::Quiet);
    client.woken();
    while server.pop(accepted).is_ready() {}
    until(&mut [&mut client], |sides| sides[0].woken().iter().any(|&(_, way)| way == Direction::Push).then_some(()));
}

#[test]
fn memory_of_the_connection_goes_by_reference() {
    let directory = directory();
    let ([mut server, mut client], [accepted, connected]) = pair(&directory);
    let mut buf = client.catloop.alloc(connected, 4000).unwrap();
    buf.get_mut().unwrap().fill(9);
    let mut message = Sga::from(buf);
    assert!(client.catloop.push(connected, &mut message).is_ready());
    assert_eq!(server.pop(accepted), Poll::Ready(Ok(vec![9; 4000])));
}

#[test]
fn rings_are_as_small_as_either_side_asks() {
    let directory = directory();
    let (mut server, mut client) = (Side::new(&directory), Side::new(&directory));
    let listener = server.socket(Domain::V4);
    server.catloop.set_option(listener, SocketOption::ReceiveBuffer(4096)).unwrap();
    server.catloop.bind(listener, at("127.0.0.1:0")).unwrap();
    server.catloop.listen(listener, 1).unwrap();
    let connecting = client.begin(server.catloop.local_address(listener).unwrap());
    let accepted = finish(&mut [&mut server, &mut client], |sides| sides[0].accept(listener));
    finish(&mut [&mut client], |sides| sides[0].connected(connecting)).unwrap();
    let inherited = server.catloop.option(accepted, OptionName::ReceiveBuffer);
    assert_eq!(inherited, Ok(SocketOption::ReceiveBuffer(4096)));
    let fill = |side: &mut Side, end| (0..1000).take_while(|_| side.push(end, &[0; 92]).is_ready()).count();
    assert!((30..=41).contains(&fill(&mut client, connecting)), "4 KiB of records of 100 bytes");
    assert!((120..=164).contains(&fill(&mut server, accepted)), "16 KiB");
}
