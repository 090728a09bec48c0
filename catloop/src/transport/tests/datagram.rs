// SPDX-License-Identifier: MIT OR Apache-2.0
//! Datagram sockets beside stream sockets in one transport: each call finds the right one.

use super::*;
use runtime::op::Datagram;

fn datagrams(side: &mut Side, address: &str) -> (Handle, QueueId) {
    let queue = side.queue();
    let socket = side.catloop.socket(queue, Domain::of(&at(address)), Kind::Datagram).unwrap();
    side.catloop.bind(socket, at(address)).unwrap();
    (socket, queue)
}

fn popped(side: &mut Side, socket: Handle) -> Poll<(Vec<u8>, SocketAddr)> {
    side.catloop.pop(socket, PopMode::Whole).map(|chain| {
        let datagram = Datagram::from_chain(chain.unwrap());
        let sender = datagram.sender();
        (datagram.into_message().to_vec(), sender)
    })
}

#[test]
fn both_kinds_live_in_one_transport() {
    let directory = directory();
    let ([mut server, mut client], [accepted, connected]) = pair(&directory);
    let (listener, address) = server.listen("127.0.0.1:0", 1);
    // The same port for the other protocol.
    let (questions, queue) = datagrams(&mut server, &address.to_string());
    let (own, _) = datagrams(&mut client, "127.0.0.1:0");
    assert_eq!(server.pop(accepted), Poll::Pending);
    assert_eq!(popped(&mut server, questions), Poll::Pending);
    for round in 0..20_u8 {
        assert_eq!(client.push(connected, &[round]), Poll::Ready(Ok(())));
        let mut question = client.message(&[round, round]);
        assert_eq!(client.catloop.push_to(own, &mut question, address), Poll::Ready(Ok(())));
        let stream = finish(&mut [&mut server], |sides| sides[0].pop(accepted));
        assert_eq!(stream, Ok(vec![round]));
        let (question, sender) = finish(&mut [&mut server], |sides| popped(sides[0], questions));
        assert_eq!((question, sender), (vec![round; 2], client.catloop.local_address(own).unwrap()));
    }
    // A sleeper is woken by either.
    for _ in 0..3 {
        assert_eq!(server.pop(accepted), Poll::Pending);
        assert_eq!(popped(&mut server, questions), Poll::Pending);
        server.woken();
        assert_eq!(server.catloop.arm(), Armed::Quiet);
        let mut question = client.message(b"wake");
        assert_eq!(client.catloop.push_to(own, &mut question, address), Poll::Ready(Ok(())));
        server.round(Duration::from_secs(10));
        server.catloop.disarm();
        assert!(server.woken().contains(&(queue, Direction::Pop)));
        assert_eq!(popped(&mut server, questions).map(|(question, _)| question), Poll::Ready(b"wake".to_vec()));
        // With something there, no sleep.
        assert_eq!(popped(&mut server, questions), Poll::Pending);
        assert_eq!(client.push(connected, b"stream"), Poll::Ready(Ok(())));
        assert_eq!(server.catloop.arm(), Armed::Ready);
        assert_eq!(finish(&mut [&mut server], |sides| sides[0].pop(accepted)), Ok(b"stream".to_vec()));
    }
    server.close(questions);
    server.close(listener);
    client.close(own);
    assert_eq!(names(&directory), [""; 0]);
}

#[test]
fn a_connected_one_is_pushed_to_without_an_address() {
    let directory = directory();
    let (mut server, mut client) = (Side::new(&directory), Side::new(&directory));
    let (questions, _) = datagrams(&mut server, "127.0.0.1:53");
    let (own, _) = datagrams(&mut client, "127.0.0.1:0");
    let errno = |polled: Poll<Result<()>>| polled.map_err(Error::errno);
    assert_eq!(client.catloop.push_bytes(own, b"x").map_err(Error::errno), Err(Errno::DESTADDRREQ));
    assert_eq!(errno(client.catloop.shutdown(own)), Poll::Ready(Err(Errno::NOTCONN)));
    client.catloop.connect(own, at("127.0.0.1:53")).unwrap();
    assert_eq!(client.catloop.connected(own), Poll::Ready(Ok(())));
    assert_eq!(client.catloop.peer_address(own), Ok(at("127.0.0.1:53")));
    assert_eq!(client.catloop.push_bytes(own, b"bytes"), Ok(true));
    assert_eq!(client.push(own, b"message"), Poll::Ready(Ok(())));
    assert_eq!(client.catloop.shutdown(own), Poll::Ready(Ok(())));
    for expected in [&b"bytes"[..], b"message"] {
        let (question, _) = finish(&mut [&mut server], |sides| popped(sides[0], questions));
        assert_eq!(question, expected);
    }
}

#[test]
fn what_it_does_not_have_is_an_error() {
    let directory = directory();
    let mut side = Side::new(&directory);
    let (socket, queue) = datagrams(&mut side, "127.0.0.1:0");
    assert_eq!(side.catloop.listen(socket, 1).map_err(Error::errno), Err(Errno::OPNOTSUPP));
    assert_eq!(side.catloop.can_accept(socket).map_err(Error::errno), Err(Errno::OPNOTSUPP));
    assert_eq!(side.catloop.accept(socket, queue).map_err(Error::errno), Poll::Ready(Err(Errno::OPNOTSUPP)));
    assert!(side.catloop.alloc(socket, 100).is_err_and(|error| error.errno() == Errno::NOTSUP));
    side.catloop.canceled(socket, Direction::Pop);
    side.catloop.set_option(socket, SocketOption::ReceiveBuffer(1)).unwrap();
    assert_eq!(side.catloop.option(socket, OptionName::ReceiveBuffer), Ok(SocketOption::ReceiveBuffer(4096)));
    for _ in 0..3 {
        let mut message = side.message(b"to nobody");
        assert_eq!(side.catloop.push_to(socket, &mut message, at("127.0.0.1:1")), Poll::Ready(Ok(())));
    }
    assert_eq!(side.catloop.counters(), Counters { drops: 3, ..Counters::default() });
    side.close(socket);
    assert_eq!(side.catloop.close(socket).map_err(Error::errno), Poll::Ready(Err(Errno::BADF)));
}
