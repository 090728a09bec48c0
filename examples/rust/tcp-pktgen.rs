// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sends messages of one length at an even rate over a connection: the counterpart of `tcp-dump`.

mod common;

use common::datagrams::numbered;
use common::figures::{Pace, per_second};
use common::options::Flag;
use common::{About, Options, Place, sockets};
use std::net::SocketAddr;
use std::process::ExitCode;

const ABOUT: About = About {
    name: "tcp-pktgen",
    shows: "Connects and sends numbered messages of one length, at an even rate or as fast as they are taken.",
    roles: &[&[SocketAddr::CLIENT]],
    flags: &[Flag::count("messages", "1000"), Flag::size("64"), Flag::rate("1000")],
    tries: &["tcp-dump --server 127.0.0.1:7000", "--client 127.0.0.1:7000 --count 100 --rate 50"],
};

fn main() -> ExitCode {
    common::run(&ABOUT, |libos, options: &Options<SocketAddr>| {
        let qd = sockets::connect(libos, options.place)?;
        let mut message = vec![0; options.size];
        let pace = Pace::new(options.rate);
        for number in 0..options.count {
            pace.wait(libos, number);
            numbered(&mut message, number)?;
            sockets::push(libos, qd, &message)?;
        }
        let took = pace.took();
        // What was pushed is delivered also after the close.
        sockets::close(libos, qd)?;
        println!(
            "{} messages of {} bytes sent in {took:.3?}: {:.0} messages/s, {:.3} MB/s",
            options.count,
            options.size,
            per_second(options.count, took),
            per_second(options.count * options.size as u64, took) * 1e-6
        );
        Ok(())
    })
}
