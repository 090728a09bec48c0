// SPDX-License-Identifier: MIT OR Apache-2.0
//! Multicast groups: who is a member hears what is sent to them, and who has left does not.

use crate::datagrams::{pop, push_to};
use crate::subject::{Subject, errno, poll_for, with_ip};
use core::net::IpAddr;
use core::num::NonZeroU32;
use core::time::Duration;
use margay::{Domain, Errno, MulticastInterface, OptionName, SocketOption};

const HEARD: usize = 0;
const LEFT: usize = 1;
const BY_ROUTE: MulticastInterface = MulticastInterface::ByRoute;

/// A group of each family, both with the scope of an organisation's network (RFC 2365, 6.2; RFC 4291, 2.7).
fn group(domain: Domain) -> IpAddr {
    if domain == Domain::V6 { "ff18::4d:1" } else { "239.192.77.1" }.parse().unwrap()
}

/// A member hears; one that has left hears what is sent to it alone.
pub fn members(subject: &Subject) {
    subject
        .pair()
        .server(|side| {
            let mut libos = side.libos();
            let group = group(side.backend.domain);
            let qd = side.datagram(&mut libos);
            libos.bind(qd, side.backend.domain.unspecified()).unwrap();
            libos.join_group(qd, group, BY_ROUTE).unwrap();
            assert_eq!(errno(libos.join_group(qd, group, BY_ROUTE)), Errno::ADDRINUSE);
            side.announce(libos.local_address(qd).unwrap());
            let datagram = pop(&mut libos, qd);
            assert!(!datagram.sender().ip().is_multicast() && datagram.sender().port() != 0);
            assert_eq!(datagram.into_message().to_vec(), b"to the members");
            libos.leave_group(qd, group, BY_ROUTE).unwrap();
            assert_eq!(errno(libos.leave_group(qd, group, BY_ROUTE)), Errno::ADDRNOTAVAIL);
            side.board.set(HEARD, 1);
            loop {
                let bytes = pop(&mut libos, qd).into_message().to_vec();
                if bytes == b"to the server" {
                    break;
                }
                // It may have come before the socket left.
                assert_eq!(bytes, b"to the members");
            }
            side.board.set(LEFT, 1);
        })
        .client(|side| {
            let mut libos = side.libos();
            let qd = side.datagram(&mut libos);
            let to = side.announced();
            let group = with_ip(to, group(side.backend.domain));
            for (text, word, to) in [
                (&b"to the members"[..], HEARD, group),
                (b"to those who have left", HEARD, group),
                (b"to the server", LEFT, to),
            ] {
                // The first ones may get lost on a way that has to be found.
                for tries in 0.. {
                    assert!(tries < 500, "{text:?} is not heard");
                    push_to(&mut libos, qd, text, to);
                    poll_for(&mut libos, Duration::from_millis(20));
                    if side.board.get(word) == 1 {
                        break;
                    }
                }
            }
        })
        .run();
}

/// What is no group, or not for this socket, or on no interface.
pub fn refusals(subject: &Subject) {
    subject.alone(|side| {
        let mut libos = side.libos();
        let domain = side.backend.domain;
        let (v4, v6) = (group(Domain::V4), group(Domain::V6));
        let (ours, other) = if domain == Domain::V6 { (v6, v4) } else { (v4, v6) };
        let qd = side.datagram(&mut libos);
        let nowhere = MulticastInterface::Index(NonZeroU32::MAX);
        for (group, interface, expected) in [
            (side.backend.host, BY_ROUTE, Errno::INVAL),
            (domain.unspecified().ip(), BY_ROUTE, Errno::INVAL),
            (other, BY_ROUTE, Errno::AFNOSUPPORT),
            (ours, nowhere, Errno::NODEV),
        ] {
            assert_eq!(errno(libos.join_group(qd, group, interface)), expected, "{group} by {interface:?}");
        }
        assert_eq!(errno(libos.leave_group(qd, ours, BY_ROUTE)), Errno::ADDRNOTAVAIL);
        let stream = side.stream(&mut libos);
        assert_eq!(errno(libos.join_group(stream, ours, BY_ROUTE)), Errno::NOPROTOOPT);
        let pipe = libos.create_pipe("no-socket").unwrap();
        assert_eq!(errno(libos.join_group(pipe, ours, BY_ROUTE)), Errno::OPNOTSUPP);
    });
}

/// How far what is sent goes, and whether it comes back.
pub fn options(subject: &Subject) {
    subject.alone(|side| {
        let mut libos = side.libos();
        let qd = side.datagram(&mut libos);
        for (name, first, others) in [
            (
                OptionName::MulticastHops,
                SocketOption::MulticastHops(1),
                [0, 255, 2].map(SocketOption::MulticastHops).to_vec(),
            ),
            (
                OptionName::MulticastLoop,
                SocketOption::MulticastLoop(true),
                [false, true].map(SocketOption::MulticastLoop).to_vec(),
            ),
        ] {
            assert_eq!(libos.option(qd, name).unwrap(), first);
            for option in others {
                libos.set_option(qd, option).unwrap();
                assert_eq!(libos.option(qd, name).unwrap(), option);
            }
        }
    });
}
