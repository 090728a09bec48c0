// SPDX-License-Identifier: MIT OR Apache-2.0
//! Prints what arrives over a connection: the counterpart of `tcp-pktgen`.

mod common;

use common::figures::head;
use common::options::Flag;
use common::{About, Options, Place, sockets};
use std::net::SocketAddr;
use std::process::ExitCode;

const ABOUT: About = About {
    name: "tcp-dump",
    shows: "Accepts one connection and prints what arrives, until it ends: the length of each piece, and its first bytes.",
    roles: &[&[SocketAddr::SERVER]],
    flags: &[Flag::count("pieces to print; the others are counted", "16")],
    tries: &["--server 127.0.0.1:7000", "tcp-pktgen --client 127.0.0.1:7000 --count 100 --rate 50"],
};

fn main() -> ExitCode {
    common::run(&ABOUT, |libos, options: &Options<SocketAddr>| {
        let listening = sockets::listen(libos, options.place, 1)?;
        let qd = sockets::accept(libos, listening)?;
        println!("connection from {}", libos.peer_address(qd)?);
        let (mut pieces, mut bytes) = (0, 0);
        loop {
            // A stream has no messages: what was pushed at once may arrive in pieces, and the other way round.
            let piece = sockets::pop(libos, qd)?;
            if piece.is_empty() {
                break;
            }
            if pieces < options.count {
                println!("{pieces:>6}: {:>6} bytes at {bytes:>10}: {}", piece.len(), head(&piece));
            }
            pieces += 1;
            bytes += piece.len();
        }
        sockets::close(libos, qd)?;
        println!("{bytes} bytes in {pieces} pieces");
        Ok(())
    })
}
