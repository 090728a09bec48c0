// SPDX-License-Identifier: MIT OR Apache-2.0
//! Those who connect and mean no good: garbage, silence, hanging up at every step, floods. The honest are served.

use super::*;
use crate::handshake::Request;
use crate::names::file_name;
use catmem::rendezvous::{Directory, recv_offer, send_bytes};
use runtime::limits::GREETINGS_MAX;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with};
use rustix::process::Uid;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;

/// Connects to a listener's name, and says nothing.
fn knock(directory: &TempDir, address: SocketAddr) -> OwnedFd {
    let directory = Directory::open(directory.path()).unwrap();
    let socket = directory.socket().unwrap();
    directory.dial(&socket, &file_name(Kind::Stream, address).unwrap()).unwrap();
    socket
}

fn request(destination: SocketAddr) -> Request {
    let source = SocketAddr::new(destination.ip(), 9);
    Request { kind: Kind::Stream, membarrier: false, source, destination, send_order: 12, receive_order: 12 }
}

/// An honest connector is served.
fn serves(server: &mut Side, client: &mut Side, listener: Handle) {
    let address = server.catloop.local_address(listener).unwrap();
    let connecting = client.begin(address);
    assert_eq!(finish(&mut [server, client], |sides| sides[1].connected(connecting)), Ok(()));
    let local = client.catloop.local_address(connecting);
    // Connections of the others may be in front.
    let accepted = finish(&mut [server], |sides| {
        sides[0].accept(listener).map(|end| (sides[0].catloop.peer_address(end) == local).then_some(end))
    });
    let accepted = accepted.unwrap_or_else(|| {
        until(&mut [server], |sides| match sides[0].accept(listener) {
            Poll::Ready(end) => (sides[0].catloop.peer_address(end) == local).then_some(end),
            Poll::Pending => None,
        })
    });
    assert!(client.push(connecting, b"honest").is_ready());
    assert_eq!(finish(&mut [server], |sides| sides[0].pop(accepted)), Ok(b"honest".to_vec()));
    client.close(connecting);
    server.close(accepted);
}

#[test]
fn garbage_is_dropped() {
    let directory = directory();
    let (mut server, mut client) = (Side::new(&directory), Side::new(&directory));
    let (listener, address) = server.listen("127.0.0.1:0", 4);
    let mut wrong = request(address);
    wrong.destination.set_port(1);
    let mut other = request(address);
    other.kind = Kind::Datagram;
    let mut broken = request(address).to_bytes();
    broken[0] = b'X';
    let garbage: [&[u8]; 6] =
        [&broken, &wrong.to_bytes(), &other.to_bytes(), b"?", &[7; 4096], &request(address).to_bytes()[..47]];
    let guests: Vec<_> = garbage
        .iter()
        .map(|garbage| {
            let guest = knock(&directory, address);
            send_bytes(&guest, garbage).unwrap();
            guest
        })
        .collect();
    until(&mut [&mut server], |sides| (sides[0].catloop.counters().refused == 6).then_some(()));
    for guest in guests {
        assert!(recv_offer(&guest).is_err(), "refused or hung up");
    }
    assert!(server.accept(listener).is_pending());
    serves(&mut server, &mut client, listener);
}

#[test]
fn the_silent_are_dropped_after_a_while_and_hold_up_nobody() {
    let directory = directory();
    let mut server =
        Side::with(Settings { handshake_timeout: Duration::from_millis(20), ..settings(directory.path()) });
    let mut client = Side::new(&directory);
    let (listener, address) = server.listen("127.0.0.1:0", 1);
    let silent: Vec<_> = (0..20).map(|_| knock(&directory, address)).collect();
    serves(&mut server, &mut client, listener);
    until(&mut [&mut server], |sides| (sides[0].catloop.counters().refused == 20).then_some(()));
    for guest in silent {
        assert!(recv_offer(&guest).is_err(), "hung up");
    }
}

#[test]
fn a_flood_of_the_silent_holds_up_nobody() {
    let directory = directory();
    let mut server = Side::with(Settings { handshake_timeout: Duration::from_hours(1), ..settings(directory.path()) });
    let mut client = Side::new(&directory);
    let (listener, address) = server.listen("127.0.0.1:0", 1);
    let silent: Vec<_> = (0..GREETINGS_MAX + 50).map(|_| knock(&directory, address)).collect();
    serves(&mut server, &mut client, listener);
    assert_eq!(server.catloop.counters().refused, 50, "the oldest went");
    assert!(recv_offer(&silent[0]).is_err() && recv_offer(&silent[50]).is_ok());
    // One of them was only slow.
    send_bytes(&silent[60], &request(address).to_bytes()).unwrap();
    assert!(finish(&mut [&mut server], |sides| sides[0].accept(listener)) > 0);
    assert!(recv_offer(&silent[60]).unwrap().is_some());
}

#[test]
fn hanging_up_at_every_step_holds_up_nobody() {
    let directory = directory();
    let (mut server, mut client) = (Side::new(&directory), Side::new(&directory));
    let (listener, address) = server.listen("127.0.0.1:0", 64);
    for rounds in 0..6 {
        for speaks in [false, true] {
            let guest = knock(&directory, address);
            if speaks {
                send_bytes(&guest, &request(address).to_bytes()).unwrap();
            }
            (0..rounds).for_each(|_| server.round(Duration::ZERO));
            drop(guest);
        }
    }
    serves(&mut server, &mut client, listener);
    // Those who had been answered are connections that were reset.
    while let Poll::Ready(accepted) = server.accept(listener) {
        assert_eq!(finish(&mut [&mut server], |sides| sides[0].pop(accepted)), Err(Errno::CONNRESET));
    }
}

#[test]
fn more_than_the_backlog_hang_up_while_they_wait_for_room() {
    let directory = directory();
    let (mut server, mut client) = (Side::new(&directory), Side::new(&directory));
    let (listener, address) = server.listen("127.0.0.1:0", 1);
    // Taken while there was room, silent until there is none.
    let late: Vec<_> = (0..3).map(|_| knock(&directory, address)).collect();
    (0..5).for_each(|_| server.round(Duration::ZERO));
    let first = client.begin(address);
    finish(&mut [&mut server, &mut client], |sides| sides[1].connected(first)).unwrap();
    for guest in &late {
        send_bytes(guest, &request(address).to_bytes()).unwrap();
    }
    (0..5).for_each(|_| server.round(Duration::ZERO));
    drop(late);
    assert!(server.accept(listener).is_ready());
    serves(&mut server, &mut client, listener);
}

#[test]
fn nonsense_on_an_established_connection_is_a_reset_or_a_ring() {
    let directory = directory();
    let mut server = Side::new(&directory);
    let (listener, address) = server.listen("127.0.0.1:0", 4);
    let guest = knock(&directory, address);
    send_bytes(&guest, &request(address).to_bytes()).unwrap();
    let accepted = finish(&mut [&mut server], |sides| sides[0].accept(listener));
    for _ in 0..100 {
        send_bytes(&guest, b"!").unwrap();
    }
    assert!(server.pop(accepted).is_pending());
    (0..150).for_each(|_| server.round(Duration::ZERO));
    assert!(server.pop(accepted).is_pending(), "rings are no data");
    send_bytes(&guest, b"what?").unwrap();
    assert_eq!(finish(&mut [&mut server], |sides| sides[0].pop(accepted)), Err(Errno::CONNRESET));
}

#[test]
fn a_crowd_of_strangers_does_not_hide_the_honest_behind_it() {
    if !rustix::process::geteuid().is_root() {
        // Continuous integration counts these lines.
        println!(
            "\nskipped: a_crowd_of_strangers_does_not_hide_the_honest_behind_it: only root can become another user"
        );
        return;
    }
    let directory = directory();
    let (mut server, mut client) = (Side::new(&directory), Side::new(&directory));
    let (listener, _) = server.listen("127.0.0.1:0", 4);
    // The file system would keep the strangers out: take that away, so that the peer check stands alone.
    let path = directory.path().to_owned();
    let file = path.join(&names(&directory)[0]);
    let set = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    set(&path, 0o755);
    set(&file, 0o666);
    // One thread alone becomes another user.
    let strangers = std::thread::spawn(move || {
        let nobody = Uid::from_raw(65_534);
        rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
        let address = SocketAddrUnix::new(file).unwrap();
        // More than a look sends away.
        let connect = || {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
            rustix::net::connect(&socket, &address).unwrap();
            socket
        };
        std::array::from_fn::<_, 300, _>(|_| connect())
    })
    .join()
    .unwrap();
    set(&path, 0o700);
    serves(&mut server, &mut client, listener);
    for stranger in strangers {
        assert_eq!(recv_offer(stranger).map_err(Error::errno).err(), Some(Errno::ACCESS));
    }
}
