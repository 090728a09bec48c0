// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sends datagrams of one length at an even rate: the counterpart of `udp-dump`. It does not hear whether they arrive.

mod common;

use common::datagrams::{self, numbered};
use common::figures::{Pace, per_second};
use common::options::Flag;
use common::{About, Options, Place};
use margay::{Domain, Kind};
use std::net::SocketAddr;
use std::process::ExitCode;

const ABOUT: About = About {
    name: "udp-pktgen",
    shows: "Sends numbered datagrams of one length, at an even rate or as fast as they are taken. Those that nobody takes \
            are lost, and counted.",
    roles: &[&[SocketAddr::CLIENT]],
    flags: &[Flag::count("datagrams", "1000"), Flag::size("64"), Flag::rate("1000")],
    tries: &["udp-dump --server 127.0.0.1:7000", "--client 127.0.0.1:7000 --count 16 --rate 50"],
};

fn main() -> ExitCode {
    common::run(&ABOUT, |libos, options: &Options<SocketAddr>| {
        let qd = libos.socket(Domain::of(&options.place), Kind::Datagram)?;
        let pace = Pace::new(options.rate);
        for number in 0..options.count {
            pace.wait(libos, number);
            let mut message = libos.alloc(options.size)?;
            // New memory has no second view.
            if let Some(bytes) = message.get_mut() {
                numbered(bytes, number)?;
            }
            datagrams::push_to(libos, qd, message.into(), options.place)?;
        }
        let took = pace.took();
        println!(
            "{} datagrams of {} bytes sent in {took:.3?}: {:.0} datagrams/s, {:.3} MB/s; {} dropped here",
            options.count,
            options.size,
            per_second(options.count, took),
            per_second(options.count * options.size as u64, took) * 1e-6,
            libos.counters().drops
        );
        Ok(())
    })
}
