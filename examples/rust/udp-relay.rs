// SPDX-License-Identifier: MIT OR Apache-2.0
//! Passes datagrams on to another address, and the answers back: each sender has a socket of its own towards there, as in
//! a network address translator.

mod common;

use common::datagrams::QUIET;
use common::options::{Flag, Role};
use common::{About, Options, Result, sockets};
use margay::{Domain, Errno, Kind, LibOs, Outcome, Qd, Qt};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::process::ExitCode;

const ABOUT: About = About {
    name: "udp-relay",
    shows: "Passes datagrams on to another address, and the answers back to whoever asked. Ends when it has passed on \
            enough, or when nothing has come for two seconds.",
    roles: &[&[
        Role { name: "--listen", means: "pop datagrams there" },
        Role { name: "--to", means: "push them there, and the answers back" },
    ]],
    flags: &[
        Flag::count("datagrams to pass on, both ways together", "1000000"),
        Flag::clients("senders remembered; the oldest goes", "16"),
    ],
    tries: &[
        "udp-ping-pong --server 127.0.0.1:7001",
        "--listen 127.0.0.1:7000 --to 127.0.0.1:7001",
        "udp-ping-pong --client 127.0.0.1:7000",
    ],
};

/// Completions taken at once.
const BATCH: usize = 64;

/// Somebody who has sent something, and the socket on which the answers come.
struct Guest {
    address: SocketAddr,
    qd: Qd,
    popping: Qt,
}

fn main() -> ExitCode {
    common::run(&ABOUT, |libos, options: &Options<SocketAddr>| {
        let to = options.to.ok_or("there is no --to")?;
        let listening = sockets::bound(libos, options.place, Kind::Datagram)?;
        sockets::say_where(libos, listening)?;
        libos.pop(listening, None)?;
        let mut guests = VecDeque::new();
        let (mut passed, mut refused, mut met) = (0, 0, 0);
        let mut done = Vec::with_capacity(BATCH);
        while passed < options.count {
            // Nobody says which datagram is the last.
            let limit = (passed > 0).then_some(QUIET);
            match libos.wait_next_n(&mut done, BATCH, limit) {
                Err(error) if error.errno() == Errno::TIMEDOUT => break,
                other => other?,
            };
            for completion in done.drain(..) {
                let qd = completion.qd;
                match completion.outcome {
                    Outcome::Datagram(datagram) if qd == listening => {
                        let address = datagram.sender();
                        let known = guests.iter().find(|guest: &&Guest| guest.address == address).map(|guest| guest.qd);
                        let qd = match known {
                            Some(qd) => qd,
                            None => {
                                met += 1;
                                meet(libos, &mut guests, address, to, options.clients)?
                            }
                        };
                        libos.push(qd, datagram.into_message())?;
                        libos.pop(listening, None)?;
                        passed += 1;
                    }
                    Outcome::Datagram(datagram) => {
                        // Unless he was forgotten.
                        if let Some(guest) = guests.iter_mut().find(|guest| guest.qd == qd) {
                            libos.push_to(listening, datagram.into_message(), guest.address)?;
                            guest.popping = libos.pop(qd, None)?;
                            passed += 1;
                        }
                    }
                    // Nobody is there yet, or any more: what was for them is lost, as datagrams are.
                    Outcome::Failed(error) if error.errno() == Errno::CONNREFUSED => {
                        refused += 1;
                        if let Some(guest) = guests.iter_mut().find(|guest| guest.popping == completion.qt) {
                            guest.popping = libos.pop(qd, None)?;
                        }
                    }
                    Outcome::Push | Outcome::Close => {}
                    // The pop of a guest who was forgotten.
                    Outcome::Failed(error) if error.errno() == Errno::CANCELED => {}
                    Outcome::Failed(error) => return Err(error.into()),
                    other => return Err(format!("{qd:?}: {other:?} was not asked for").into()),
                }
            }
        }
        println!("{passed} datagrams passed on for {met} senders, {refused} times nobody was there");
        Ok(())
    })
}

/// Makes a socket for somebody new, and forgets the one who came first if there are too many.
fn meet(
    libos: &mut LibOs,
    guests: &mut VecDeque<Guest>,
    address: SocketAddr,
    to: SocketAddr,
    most: usize,
) -> Result<Qd> {
    if guests.len() >= most
        && let Some(oldest) = guests.pop_front()
    {
        libos.close(oldest.qd)?;
    }
    let qd = libos.socket(Domain::of(&to), Kind::Datagram)?;
    let connecting = libos.connect(qd, to)?;
    libos.wait(connecting, None)?.ok()?;
    let popping = libos.pop(qd, None)?;
    guests.push_back(Guest { address, qd, popping });
    Ok(qd)
}
