// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sends a datagram back and forth. The client's socket is connected, so that it hears from the server alone; the server's
//! is not, and answers whoever asks.

mod common;

use common::datagrams::{self, Caller, END, numbered};
use common::figures::{each, now};
use common::options::Flag;
use common::{About, Options, Place, Result, sockets};
use margay::{Kind, LibOs};
use std::net::SocketAddr;
use std::process::ExitCode;

const ABOUT: About = About {
    name: "udp-ping-pong",
    shows: "Sends a datagram back and forth, and prints how long a round trip takes. What is lost is sent again.",
    roles: SocketAddr::PAIR,
    flags: &[Flag::count("round trips", "100000"), Flag::size("64")],
    tries: &["--server 127.0.0.1:7000", "--client 127.0.0.1:7000"],
};

fn main() -> ExitCode {
    common::run(&ABOUT, |libos, options| if options.server { serve(libos, options) } else { call(libos, options) })
}

fn serve(libos: &mut LibOs, options: &Options<SocketAddr>) -> Result<()> {
    let qd = sockets::bound(libos, options.place, Kind::Datagram)?;
    sockets::say_where(libos, qd)?;
    let mut returned = 0_u64;
    loop {
        let datagram = datagrams::pop(libos, qd)?;
        let sender = datagram.sender();
        let message = datagram.into_message();
        let end = datagrams::is(&message, END);
        // The memory that was popped is pushed: nothing is copied here.
        datagrams::push_to(libos, qd, message, sender)?;
        if end {
            break;
        }
        returned += 1;
    }
    println!("{returned} datagrams returned");
    Ok(())
}

fn call(libos: &mut LibOs, options: &Options<SocketAddr>) -> Result<()> {
    let mut caller = Caller::new(libos, options.place)?;
    let mut ping = vec![0; options.size];
    let mut again = 0;
    // The first answer says that the server is there.
    caller.ask(libos, datagrams::HELLO)?;
    let start = now();
    for number in 0..options.count {
        numbered(&mut ping, number)?;
        let (pong, times) = caller.ask(libos, &ping)?;
        if pong.to_vec() != ping {
            return Err(format!("datagram {number} did not come back as it was sent").into());
        }
        again += times;
    }
    let took = start.elapsed();
    caller.ask(libos, END)?;
    println!(
        "{} round trips of {} bytes in {took:.3?}: {} ns each, {again} sent again",
        options.count,
        options.size,
        each(took, options.count)
    );
    Ok(())
}
