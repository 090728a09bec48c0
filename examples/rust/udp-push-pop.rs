// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sends numbered datagrams one way and counts what arrives: they come whole or not at all, and a receiver does not slow
//! the sender down.

mod common;

use common::datagrams::{self, Caller, END, HELLO, number, numbered};
use common::figures::{Pace, now, per_second};
use common::options::Flag;
use common::{About, Options, Place, Result, sockets};
use margay::{Kind, LibOs};
use std::net::SocketAddr;
use std::process::ExitCode;

const ABOUT: About = About {
    name: "udp-push-pop",
    shows: "Sends numbered datagrams one way, and prints how many arrive, and how fast. Nothing slows the sender down but \
            --rate: what finds no room is lost.",
    roles: SocketAddr::PAIR,
    flags: &[Flag::count("datagrams", "100000"), Flag::size("1024"), Flag::rate("0")],
    tries: &["--server 127.0.0.1:7000", "--client 127.0.0.1:7000"],
};

fn main() -> ExitCode {
    common::run(&ABOUT, |libos, options| if options.server { serve(libos, options) } else { send(libos, options) })
}

fn serve(libos: &mut LibOs, options: &Options<SocketAddr>) -> Result<()> {
    let qd = sockets::bound(libos, options.place, Kind::Datagram)?;
    sockets::say_where(libos, qd)?;
    let (mut came, mut next, mut late) = (0, 0, 0);
    let mut start = now();
    loop {
        let datagram = datagrams::pop(libos, qd)?;
        let sender = datagram.sender();
        let message = datagram.into_message();
        let Some(number) = number(&message) else {
            let end = datagrams::is(&message, END);
            datagrams::push_to(libos, qd, message, sender)?;
            if end {
                break;
            }
            start = now();
            continue;
        };
        if message.len() != options.size {
            return Err(
                format!("{} bytes came as one datagram: start both sides with the same --size", message.len()).into()
            );
        }
        came += 1;
        late += u64::from(number < next);
        next = next.max(number + 1);
    }
    let took = start.elapsed();
    let Some(lost) = options.count.checked_sub(came) else {
        return Err(format!("{came} datagrams came: start both sides with the same numbers").into());
    };
    println!(
        "{came} of {} datagrams came in {took:.3?}, {lost} were lost, {late} came late: {:.3} M datagrams/s, {:.3} GB/s",
        options.count,
        per_second(came, took) * 1e-6,
        per_second(came * options.size as u64, took) * 1e-9
    );
    Ok(())
}

fn send(libos: &mut LibOs, options: &Options<SocketAddr>) -> Result<()> {
    let mut caller = Caller::new(libos, options.place)?;
    let mut message = vec![0; options.size];
    caller.ask(libos, HELLO)?;
    let pace = Pace::new(options.rate);
    for number in 0..options.count {
        pace.wait(libos, number);
        numbered(&mut message, number)?;
        sockets::push(libos, caller.qd, &message)?;
    }
    let took = pace.took();
    caller.ask(libos, END)?;
    println!(
        "{} datagrams of {} bytes pushed in {took:.3?}, {} dropped here for want of room",
        options.count,
        options.size,
        libos.counters().drops
    );
    Ok(())
}
