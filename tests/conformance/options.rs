// SPDX-License-Identifier: MIT OR Apache-2.0
//! Socket options: set and read, out of range, inherited, and those that have an effect.

use crate::harness::bytes::Stream;
use crate::subject::{Subject, accept, close, errno, pop_stream, wait};
use core::time::Duration;
use margay::{Errno, OptionName, Outcome, SocketOption};

const SECOND: Duration = Duration::from_secs(1);

/// Every option with a value that is not its default.
const SET: [(OptionName, SocketOption); 7] = [
    (OptionName::Linger, SocketOption::Linger(Some(Duration::from_secs(3)))),
    (OptionName::NoDelay, SocketOption::NoDelay(true)),
    (OptionName::KeepAlive, SocketOption::KeepAlive(true)),
    (OptionName::KeepIdle, SocketOption::KeepIdle(Duration::from_mins(1))),
    (OptionName::KeepInterval, SocketOption::KeepInterval(Duration::from_secs(5))),
    (OptionName::KeepCount, SocketOption::KeepCount(3)),
    (OptionName::ReuseAddress, SocketOption::ReuseAddress(true)),
];

pub fn set_and_read(subject: &Subject) {
    subject.alone(|side| {
        let mut libos = side.libos();
        let qd = side.stream(&mut libos);
        assert_eq!(libos.option(qd, OptionName::Linger).unwrap(), SocketOption::Linger(None));
        assert_eq!(libos.option(qd, OptionName::KeepAlive).unwrap(), SocketOption::KeepAlive(false));
        for (name, option) in SET {
            assert_ne!(libos.option(qd, name).unwrap(), option, "{name:?}");
            libos.set_option(qd, option).unwrap();
            assert_eq!(libos.option(qd, name).unwrap(), option);
        }
        // Each is its own.
        for (name, option) in SET {
            assert_eq!(libos.option(qd, name).unwrap(), option);
        }
        libos.set_option(qd, SocketOption::Linger(None)).unwrap();
        assert_eq!(libos.option(qd, OptionName::Linger).unwrap(), SocketOption::Linger(None));
        // Another socket has none of them.
        let other = side.stream(&mut libos);
        for (name, option) in SET {
            assert_ne!(libos.option(other, name).unwrap(), option, "{name:?}");
        }
    });
}

pub fn ranges(subject: &Subject) {
    subject.alone(|side| {
        let mut libos = side.libos();
        let qd = side.stream(&mut libos);
        let largest = Duration::from_secs(32_767);
        for good in [
            SocketOption::Linger(Some(Duration::ZERO)),
            SocketOption::Linger(Some(Duration::from_secs(65_535))),
            SocketOption::KeepIdle(SECOND),
            SocketOption::KeepIdle(largest),
            SocketOption::KeepInterval(SECOND),
            SocketOption::KeepInterval(largest),
            SocketOption::KeepCount(1),
            SocketOption::KeepCount(127),
        ] {
            libos.set_option(qd, good).unwrap();
        }
        for bad in [
            SocketOption::Linger(Some(Duration::from_secs(65_536))),
            SocketOption::KeepIdle(Duration::ZERO),
            SocketOption::KeepIdle(largest + SECOND),
            SocketOption::KeepIdle(Duration::from_millis(1500)),
            SocketOption::KeepInterval(Duration::ZERO),
            SocketOption::KeepInterval(largest + SECOND),
            SocketOption::KeepCount(0),
            SocketOption::KeepCount(128),
        ] {
            assert_eq!(errno(libos.set_option(qd, bad)), Errno::INVAL, "{bad:?}");
        }
        // What was refused changed nothing.
        assert_eq!(libos.option(qd, OptionName::KeepIdle).unwrap(), SocketOption::KeepIdle(largest));
        assert_eq!(libos.option(qd, OptionName::KeepCount).unwrap(), SocketOption::KeepCount(127));
    });
}

type Make = fn(usize) -> SocketOption;

/// Sizes come into range, as on Linux; they are never refused.
pub fn sizes(subject: &Subject) {
    subject.alone(|side| {
        let mut libos = side.libos();
        let qd = side.stream(&mut libos);
        for (name, make) in [
            (OptionName::SendBuffer, SocketOption::SendBuffer as Make),
            (OptionName::ReceiveBuffer, SocketOption::ReceiveBuffer),
        ] {
            let size = |option| match option {
                SocketOption::SendBuffer(size) | SocketOption::ReceiveBuffer(size) => size,
                other => panic!("{other:?}"),
            };
            let mut last = 0;
            for asked in [0, 1, 10_000, 50_000, usize::MAX] {
                libos.set_option(qd, make(asked)).unwrap();
                let got = size(libos.option(qd, name).unwrap());
                assert!(got >= last && got > 0, "{got} for {asked}, after {last}");
                assert!(asked == usize::MAX || got >= asked, "{got} for {asked}");
                last = got;
            }
        }
    });
}

/// What a listening socket has, its connections have, and changing one changes no other.
pub fn inherited_on_accept(subject: &Subject) {
    subject.alone(|side| {
        let mut libos = side.libos();
        let (listening, address) = side.listen(&mut libos, 4);
        for (_, option) in SET {
            libos.set_option(listening, option).unwrap();
        }
        libos.set_option(listening, SocketOption::SendBuffer(8192)).unwrap();
        let near = side.connect(&mut libos, address);
        let far = accept(&mut libos, listening);
        for (name, option) in SET {
            assert_eq!(libos.option(far, name).unwrap(), option);
            assert_ne!(libos.option(near, name).unwrap(), option, "{name:?} of the caller");
        }
        assert_eq!(
            libos.option(far, OptionName::SendBuffer).unwrap(),
            libos.option(listening, OptionName::SendBuffer).unwrap()
        );
        libos.set_option(far, SocketOption::NoDelay(false)).unwrap();
        assert_eq!(libos.option(listening, OptionName::NoDelay).unwrap(), SocketOption::NoDelay(true));
        libos.set_option(far, SocketOption::Linger(None)).unwrap();
        close(&mut libos, far);
    });
}

/// A small buffer bounds what is under way: a push waits for the peer, and everything arrives.
pub fn small_buffers(subject: &Subject) {
    subject.alone(|side| {
        let mut libos = side.libos();
        let (listening, address) = side.listen(&mut libos, 1);
        let near = side.stream(&mut libos);
        libos.set_option(near, SocketOption::SendBuffer(4096)).unwrap();
        libos.set_option(listening, SocketOption::ReceiveBuffer(4096)).unwrap();
        let begun = side.begin(&mut libos, near, address).unwrap();
        assert!(matches!(wait(&mut libos, begun).outcome, Outcome::Connect));
        let far = accept(&mut libos, listening);
        let mut sent = Stream::new(side.seed);
        let pushed = libos.push(near, &sent.take(100_000)[..]).unwrap();
        assert_eq!(errno(libos.wait(pushed, Some(Duration::from_millis(10)))), Errno::TIMEDOUT);
        pop_stream(&mut libos, far, &mut Stream::new(side.seed), 100_000);
        assert!(matches!(wait(&mut libos, pushed).outcome, Outcome::Push));
    });
}

/// Datagram sockets have those that make sense for them.
pub fn of_datagram_sockets(subject: &Subject) {
    subject.alone(|side| {
        let mut libos = side.libos();
        let qd = side.datagram(&mut libos);
        libos.set_option(qd, SocketOption::ReuseAddress(true)).unwrap();
        assert_eq!(libos.option(qd, OptionName::ReuseAddress).unwrap(), SocketOption::ReuseAddress(true));
        for option in [SocketOption::SendBuffer(10_000), SocketOption::ReceiveBuffer(10_000)] {
            libos.set_option(qd, option).unwrap();
        }
        assert_eq!(errno(libos.set_option(qd, SocketOption::KeepCount(0))), Errno::INVAL);
        // Those of TCP it keeps, or does not know.
        for (name, option) in [SET[1], SET[3], SET[4], SET[5]] {
            match libos.set_option(qd, option) {
                Ok(()) => assert_eq!(libos.option(qd, name).unwrap(), option),
                Err(error) => {
                    assert_eq!(error.errno(), Errno::NOPROTOOPT);
                    assert_eq!(errno(libos.option(qd, name)), Errno::NOPROTOOPT);
                }
            }
        }
    });
}
