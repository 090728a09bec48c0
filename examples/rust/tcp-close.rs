// SPDX-License-Identifier: MIT OR Apache-2.0
//! Opens connections and closes them from the client's side, from the server's, and from both at once, in random order,
//! and checks what each side sees of it.

mod common;

use common::figures::{Random, each, now};
use common::options::Flag;
use common::{About, Options, Place, Result, sockets};
use margay::{Errno, LibOs, Outcome, Qd};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::process::ExitCode;

const ABOUT: About = About {
    name: "tcp-close",
    shows: "Opens connections and closes them in random order: from the client's side, from the server's, and from both. \
            Checks that each side sees the end exactly once, and that what is pending is cancelled.",
    roles: SocketAddr::PAIR,
    flags: &[Flag::count("connections", "1000"), Flag::clients("connections open at once", "16"), Flag::seed()],
    tries: &["--server 127.0.0.1:7000", "--client 127.0.0.1:7000"],
};

/// Who closes: the first and only byte of a connection.
const KINDS: [u8; 3] = [CLIENT, SERVER, BOTH];
const CLIENT: u8 = b'c';
const SERVER: u8 = b's';
const BOTH: u8 = b'b';

/// Completions taken at once.
const BATCH: usize = 64;

fn main() -> ExitCode {
    common::run(&ABOUT, |libos, options| if options.server { serve(libos, options) } else { call(libos, options) })
}

fn call(libos: &mut LibOs, options: &Options<SocketAddr>) -> Result<()> {
    let mut random = Random::new(options.seed);
    let mut closed = HashMap::from(KINDS.map(|kind| (kind, 0)));
    let start = now();
    let mut left = options.count as usize;
    while left > 0 {
        let mut open = Vec::new();
        for _ in 0..left.min(options.clients) {
            open.push(sockets::connect(libos, options.place)?);
        }
        left -= open.len();
        while !open.is_empty() {
            let qd = open.swap_remove(random.below(open.len()));
            let kind = KINDS[random.below(KINDS.len())];
            sockets::push(libos, qd, &[kind])?;
            if kind == SERVER {
                wait_for_end(libos, qd)?;
            } else {
                close_with_a_pop(libos, qd, kind)?;
            }
            expect(libos.pop(qd, None).map(|_| ()), Errno::BADF, "a pop from what is closed")?;
            closed.entry(kind).and_modify(|number| *number += 1);
        }
    }
    let took = start.elapsed();
    println!(
        "{} connections opened and closed, {} here, {} by the server, {} by both: {} ns each",
        options.count,
        closed[&CLIENT],
        closed[&SERVER],
        closed[&BOTH],
        each(took, options.count)
    );
    Ok(())
}

/// The other side closes: one pop gives the end, and the next has nothing more to give.
fn wait_for_end(libos: &mut LibOs, qd: Qd) -> Result<()> {
    let message = sockets::pop(libos, qd)?;
    if !message.is_empty() {
        return Err(format!("{} bytes came in place of the end", message.len()).into());
    }
    expect(sockets::pop(libos, qd).map(|_| ()), Errno::PIPE, "a pop after the end")?;
    Ok(sockets::close(libos, qd)?)
}

/// This side closes: the pop that is pending is cancelled.
fn close_with_a_pop(libos: &mut LibOs, qd: Qd, kind: u8) -> Result<()> {
    let popping = libos.pop(qd, None)?;
    let closing = libos.close(qd)?;
    libos.wait(closing, None)?.ok()?;
    let ended = libos.wait(popping, None)?;
    match ended.outcome {
        // Where both close, the server may have been faster.
        Outcome::Pop(message) if message.is_empty() && kind == BOTH => Ok(()),
        _ => expect(ended.ok(), Errno::CANCELED, "a pop that was pending at the close"),
    }
}

fn expect(result: margay::Result<()>, errno: Errno, what: &str) -> Result<()> {
    match result {
        Err(error) if error.errno() == errno => Ok(()),
        Err(error) => Err(format!("{what} failed with {error} in place of {errno:?}").into()),
        Ok(()) => Err(format!("{what} succeeded in place of {errno:?}").into()),
    }
}

/// What the server expects next of a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Kind,
    End,
    Nothing,
}

fn serve(libos: &mut LibOs, options: &Options<SocketAddr>) -> Result<()> {
    let listening = sockets::listen(libos, options.place, options.clients)?;
    let (mut accepted, mut closed, mut ends) = (0, 0, 0);
    let mut connections = HashMap::new();
    let mut done = Vec::with_capacity(BATCH);
    libos.accept(listening)?;
    while closed < options.count {
        libos.wait_next_n(&mut done, BATCH, None)?;
        for completion in done.drain(..) {
            let qd = completion.qd;
            let next = connections.get(&qd).copied();
            match (completion.outcome, next) {
                (Outcome::Accept(connection), _) => {
                    accepted += 1;
                    connections.insert(connection, Next::Kind);
                    libos.pop(connection, None)?;
                    if accepted < options.count {
                        libos.accept(listening)?;
                    }
                }
                (Outcome::Pop(message), Some(Next::Kind)) if message.len() == 1 => {
                    if sockets::is_filled(&message, CLIENT) {
                        connections.insert(qd, Next::End);
                        libos.pop(qd, None)?;
                    } else {
                        libos.close(qd)?;
                    }
                }
                (Outcome::Pop(message), Some(Next::End)) if message.is_empty() => {
                    ends += 1;
                    connections.insert(qd, Next::Nothing);
                    libos.pop(qd, None)?;
                }
                (Outcome::Failed(error), Some(Next::Nothing)) if error.errno() == Errno::PIPE => {
                    libos.close(qd)?;
                }
                (Outcome::Close, _) => {
                    closed += 1;
                    connections.remove(&qd);
                }
                (Outcome::Failed(error), _) => return Err(error.into()),
                (other, _) => return Err(format!("{qd:?}: {other:?} came in place of the end").into()),
            }
        }
    }
    println!("{closed} connections accepted and closed, {ends} after their end had been seen");
    Ok(())
}
