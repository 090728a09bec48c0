// SPDX-License-Identifier: MIT OR Apache-2.0
//! What each pair of examples does together, and what both must say then.

use crate::hosts::{address, stage};
use crate::programs::build::Language;

/// Who plays: the back end, and the languages of server and client.
#[derive(Clone, Copy)]
pub struct Cast {
    pub libos: &'static str,
    pub server: Language,
    pub client: Language,
}

/// Runs a server and a client with the same options, and gives what they said.
fn sockets(cast: Cast, name: &'static str, options: &[&str]) -> (String, String) {
    meet(cast, name, options, name, options)
}

fn meet(
    cast: Cast,
    server_name: &'static str,
    server_options: &[&str],
    client_name: &'static str,
    client_options: &[&str],
) -> (String, String) {
    let stage = stage(cast.libos);
    let place = stage.any_port();
    let mut serving = stage.start(cast.server, server_name, &[&["--server", &place], server_options].concat());
    let place = serving.place();
    let calling = stage.start(cast.client, client_name, &[&["--client", &place], client_options].concat());
    let said = (serving.finish(), calling.finish());
    stage.assert_empty();
    said
}

fn pipes(cast: Cast, name: &'static str, options: &[&str]) -> (String, String) {
    let stage = stage(cast.libos);
    let serving = stage.start(cast.server, name, &[&["--server", "a-pipe"], options].concat());
    let calling = stage.start(cast.client, name, &[&["--client", "a-pipe"], options].concat());
    let said = (serving.finish(), calling.finish());
    stage.assert_empty();
    said
}

/// That a program said all of this.
#[track_caller]
pub fn assert_said(said: &str, texts: &[&str]) {
    for text in texts {
        assert!(said.contains(text), "'{text}' is not in: {said}");
    }
}

pub fn pipe_open(cast: Cast) {
    let (served, called) = pipes(cast, "pipe-open", &["--count", "50", "--size", "100"]);
    assert_said(&served, &["50 pipes created and closed"]);
    assert_said(&called, &["50 pipes opened and closed"]);
}

pub fn pipe_ping_pong(cast: Cast) {
    let (served, called) = pipes(cast, "pipe-ping-pong", &["--count", "2000"]);
    assert_said(&served, &["2000 messages returned"]);
    assert_said(&called, &["2000 round trips of 64 bytes", "ns each"]);
}

pub fn pipe_push_pop(cast: Cast) {
    let (served, called) = pipes(cast, "pipe-push-pop", &["--count", "2000", "--size", "5000"]);
    assert_said(&served, &["2000 messages, 10000000 bytes one way", "GB/s"]);
    assert_said(&called, &["2000 messages of 5000 bytes pushed"]);
}

pub fn tcp_close(cast: Cast) {
    let (served, called) = sockets(cast, "tcp-close", &["--count", "300", "--clients", "8"]);
    assert_said(&served, &["300 connections accepted and closed, "]);
    assert_said(&called, &["seed ", "300 connections opened and closed, "]);
    // Those that the client closed are those whose end the server saw.
    let number = |said: &str, before: &str| -> Option<u64> {
        said.split(before).next()?.rsplit(' ').find(|word| !word.is_empty())?.parse().ok()
    };
    let ends = number(&served, " after their end");
    assert!(ends.is_some() && ends == number(&called, " here, "), "{served}{called}");
}

pub fn tcp_dump_and_pktgen(cast: Cast) {
    let options = ["--count", "100", "--size", "40", "--rate", "2000"];
    let from = format!("connection from {}:", address(cast.libos, 1));
    let (dumped, sent) = meet(cast, "tcp-dump", &["--count", "3"], "tcp-pktgen", &options);
    assert_said(&dumped, &[&from, "     0: ", "at          0: 00 00 00 00 00 00 00 00", "4000 bytes in "]);
    assert_said(&sent, &["100 messages of 40 bytes sent", "MB/s"]);
}

pub fn tcp_echo_concurrent(cast: Cast) {
    let options = ["--count", "300", "--size", "1000", "--clients", "5"];
    let (served, called) = sockets(cast, "tcp-echo", &options);
    assert_said(&served, &["5 connections served, 1500000 bytes returned"]);
    assert_said(&called, &["5 connections, 1500 messages of 1000 bytes", "messages/s", "p50 ", "p99 "]);
}

pub fn tcp_echo_sequential(cast: Cast) {
    let options = ["--count", "200", "--size", "64", "--clients", "5", "--run-mode", "sequential"];
    let (served, called) = sockets(cast, "tcp-echo", &options);
    assert_said(&served, &["5 connections served, 64000 bytes returned"]);
    assert_said(&called, &["5 connections, 1000 messages of 64 bytes"]);
}

pub fn tcp_echo_waiting_in_the_backlog(cast: Cast) {
    let options = ["--count", "50", "--size", "3000", "--clients", "5"];
    let sequential = [&options[..], &["--run-mode", "sequential"]].concat();
    let (served, called) = meet(cast, "tcp-echo", &sequential, "tcp-echo", &options);
    assert_said(&served, &["5 connections served, 750000 bytes returned"]);
    assert_said(&called, &["5 connections, 250 messages of 3000 bytes"]);
}

pub fn tcp_ping_pong(cast: Cast) {
    let (served, called) = sockets(cast, "tcp-ping-pong", &["--count", "2000"]);
    assert_said(&served, &["connected", "128000 bytes returned"]);
    assert_said(&called, &["2000 round trips of 64 bytes", "ns each"]);
}

pub fn tcp_ping_pong_of_more_than_both_rings(cast: Cast) {
    let (served, called) = sockets(cast, "tcp-ping-pong", &["--count", "3", "--size", "2000000"]);
    assert_said(&served, &["6000000 bytes returned"]);
    assert_said(&called, &["3 round trips of 2000000 bytes"]);
}

pub fn tcp_push_pop(cast: Cast) {
    let (served, called) = sockets(cast, "tcp-push-pop", &["--count", "3000", "--size", "16384"]);
    assert_said(&served, &["3000 messages, 49152000 bytes one way", "GB/s"]);
    assert_said(&called, &["3000 messages of 16384 bytes pushed"]);
}

pub fn tcp_wait(cast: Cast) {
    let (served, called) = sockets(cast, "tcp-wait", &["--count", "2000", "--clients", "20"]);
    assert_said(&served, &["2000 messages over 20 connections, the limit passed "]);
    assert_said(&called, &["seed ", "2000 messages sent over 20 connections"]);
}

pub fn udp_dump_and_pktgen(cast: Cast) {
    let options = ["--count", "20", "--size", "40", "--rate", "1000"];
    let (dumped, sent) = meet(cast, "udp-dump", &["--count", "20"], "udp-pktgen", &options);
    let from = format!("     0:     40 bytes from {}:", address(cast.libos, 1));
    assert_said(&dumped, &[&from, ": 00 00 00 00 00 00 00 00", "800 bytes in 20 datagrams"]);
    assert_said(&sent, &["20 datagrams of 40 bytes sent"]);
}

pub fn udp_echo(cast: Cast) {
    let options = ["--count", "300", "--size", "1000", "--clients", "5"];
    let (served, called) = sockets(cast, "udp-echo", &options);
    assert_said(&served, &["datagrams of 5 clients returned"]);
    assert_said(&called, &["5 sockets, 1500 datagrams of 1000 bytes", "datagrams/s", "p50 ", "p99 ", "sent again"]);
}

pub fn udp_ping_pong(cast: Cast) {
    let (served, called) = sockets(cast, "udp-ping-pong", &["--count", "2000"]);
    assert_said(&served, &["datagrams returned"]);
    assert_said(&called, &["2000 round trips of 64 bytes", "ns each", "sent again"]);
}

pub fn udp_push_pop(cast: Cast) {
    // As fast as it goes most may be lost; slowly, and fewer than there is room for, none.
    let (served, called) = sockets(cast, "udp-push-pop", &["--count", "3000"]);
    assert_said(&served, &[" of 3000 datagrams came", " were lost, 0 came late", "GB/s"]);
    assert_said(&called, &["3000 datagrams of 1024 bytes pushed"]);
    let (served, _) = sockets(cast, "udp-push-pop", &["--count", "100", "--rate", "1000"]);
    assert_said(&served, &["100 of 100 datagrams came", ", 0 were lost, 0 came late"]);
}

pub fn udp_relay(cast: Cast) {
    // The client's language is that of both ends.
    let (relay, both) = (cast.server, cast.client);
    let stage = stage(cast.libos);
    let mut serving = stage.start(both, "udp-ping-pong", &["--server", &stage.any_port()]);
    let to = serving.place();
    let mut relaying = stage.start(relay, "udp-relay", &["--listen", &stage.any_port(), "--to", &to]);
    let place = relaying.place();
    let calling = stage.start(both, "udp-ping-pong", &["--client", &place, "--count", "500"]);
    assert_said(&calling.finish(), &["500 round trips of 64 bytes"]);
    assert_said(&serving.finish(), &["datagrams returned"]);
    // The greeting, the messages and the end, there and back.
    let said = relaying.finish();
    assert_said(&said, &["for 1 senders"]);
    let passed: u64 = said
        .split(" datagrams passed on")
        .next()
        .and_then(|before| before.split_whitespace().next_back()?.parse().ok())
        .expect("a number");
    assert!(passed >= 1004, "{said}");
    stage.assert_empty();
}
