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

/// Those who are remembered, the oldest first.
struct Guests {
    to: SocketAddr,
    most: usize,
    met: u64,
    known: VecDeque<Guest>,
}

fn main() -> ExitCode {
    common::run(&ABOUT, relay)
}

fn relay(libos: &mut LibOs, options: &Options<SocketAddr>) -> Result<()> {
    let to = options.to.ok_or("there is no --to")?;
    let listening = sockets::bound(libos, options.place, Kind::Datagram)?;
    sockets::say_where(libos, listening)?;
    libos.pop(listening, None)?;
    let mut guests = Guests { to, most: options.clients, met: 0, known: VecDeque::new() };
    let (mut passed, mut refused) = (0, 0);
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
                    let guest = guests.find_or_meet(libos, datagram.sender())?;
                    libos.push(guest, datagram.into_message())?;
                    libos.pop(listening, None)?;
                    passed += 1;
                }
                Outcome::Datagram(datagram) => {
                    // Unless he was forgotten.
                    if let Some(guest) = guests.known.iter_mut().find(|guest| guest.qd == qd) {
                        libos.push_to(listening, datagram.into_message(), guest.address)?;
                        guest.popping = libos.pop(qd, None)?;
                        passed += 1;
                    }
                }
                Outcome::Push | Outcome::Close => {}
                Outcome::Failed(error) if error.errno() == Errno::CONNREFUSED => {
                    // Nobody is there yet, or any more: what was for them is lost, as datagrams are.
                    refused += 1;
                    if let Some(guest) = guests.known.iter_mut().find(|guest| guest.popping == completion.qt) {
                        guest.popping = libos.pop(qd, None)?;
                    }
                }
                // The pop of a guest who was forgotten.
                Outcome::Failed(error) if error.errno() == Errno::CANCELED => {}
                Outcome::Failed(error) => return Err(error.into()),
                other => return Err(format!("{qd:?}: {other:?} was not asked for").into()),
            }
        }
    }
    println!("{passed} datagrams passed on for {} senders, {refused} times nobody was there", guests.met);
    Ok(())
}

impl Guests {
    /// The socket of this sender. Makes one for somebody new, and forgets the one who came first if there are too many.
    fn find_or_meet(&mut self, libos: &mut LibOs, address: SocketAddr) -> Result<Qd> {
        if let Some(guest) = self.known.iter().find(|guest| guest.address == address) {
            return Ok(guest.qd);
        }
        if self.known.len() >= self.most
            && let Some(oldest) = self.known.pop_front()
        {
            libos.close(oldest.qd)?;
        }
        let qd = libos.socket(Domain::of(&self.to), Kind::Datagram)?;
        let connecting = libos.connect(qd, self.to)?;
        libos.wait(connecting, None)?.ok()?;
        let popping = libos.pop(qd, None)?;
        self.known.push_back(Guest { address, qd, popping });
        self.met += 1;
        Ok(qd)
    }
}
