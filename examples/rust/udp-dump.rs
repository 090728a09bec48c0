// SPDX-License-Identifier: MIT OR Apache-2.0
//! Prints the datagrams that arrive: the counterpart of `udp-pktgen`.

mod common;

use common::datagrams::QUIET;
use common::figures::head;
use common::options::Flag;
use common::{About, Options, Place, sockets};
use margay::{Errno, Kind};
use std::net::SocketAddr;
use std::process::ExitCode;

const ABOUT: About = About {
    name: "udp-dump",
    shows: "Prints the datagrams that arrive: sender, length, first bytes. Ends when it has enough, or when none has come \
            for two seconds.",
    roles: &[&[SocketAddr::SERVER]],
    flags: &[Flag::count("datagrams", "16")],
    tries: &["--server 127.0.0.1:7000", "udp-pktgen --client 127.0.0.1:7000 --count 16 --rate 50"],
};

fn main() -> ExitCode {
    common::run(&ABOUT, |libos, options: &Options<SocketAddr>| {
        let qd = sockets::bound(libos, options.place, Kind::Datagram)?;
        sockets::say_where(libos, qd)?;
        let (mut came, mut bytes) = (0, 0);
        while came < options.count {
            let popping = libos.pop(qd, None)?;
            // Nobody says which datagram is the last.
            let limit = (came > 0).then_some(QUIET);
            let datagram = match libos.wait(popping, limit) {
                Err(error) if error.errno() == Errno::TIMEDOUT => break,
                other => other?.into_datagram()?,
            };
            let sender = datagram.sender();
            let message = datagram.into_message();
            println!("{came:>6}: {:>6} bytes from {sender}: {}", message.len(), head(&message));
            came += 1;
            bytes += message.len();
        }
        println!("{bytes} bytes in {came} datagrams");
        Ok(())
    })
}
