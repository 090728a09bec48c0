// SPDX-License-Identifier: MIT OR Apache-2.0
//! The examples as a person runs them: a server and a client, each in its own process, in Rust, in C, and a server in Rust
//! with a client in C.
//!
//! - `stage`: processes in a directory of their own. - `build`: where the programs come from.

#![allow(clippy::expect_used, reason = "a test ends where it cannot go on")]

mod build;
mod stage;

use build::Language::{self, C, Rust};
use stage::Stage;

/// All examples.
const ALL: [&str; 16] = [
    "pipe-open",
    "pipe-ping-pong",
    "pipe-push-pop",
    "tcp-close",
    "tcp-dump",
    "tcp-echo",
    "tcp-ping-pong",
    "tcp-pktgen",
    "tcp-push-pop",
    "tcp-wait",
    "udp-dump",
    "udp-echo",
    "udp-ping-pong",
    "udp-pktgen",
    "udp-push-pop",
    "udp-relay",
];

const ANY_PORT: &str = "127.0.0.1:0";

/// A test for each pair of languages of server and client.
macro_rules! pairs {
    ($($scene:ident),+ $(,)?) => {$(
        mod $scene {
            use super::*;

            #[test]
            fn rust() {
                super::$scene(Rust, Rust);
            }

            #[test]
            fn c() {
                if build::has_compiler(concat!(stringify!($scene), "::c")) {
                    super::$scene(C, C);
                }
            }

            #[test]
            fn rust_with_c() {
                if build::has_compiler(concat!(stringify!($scene), "::rust_with_c")) {
                    super::$scene(Rust, C);
                }
            }
        }
    )+};
}

pairs![
    pipe_open,
    pipe_ping_pong,
    pipe_push_pop,
    tcp_close,
    tcp_dump_and_pktgen,
    tcp_echo_concurrent,
    tcp_echo_sequential,
    tcp_echo_waiting_in_the_backlog,
    tcp_ping_pong,
    tcp_ping_pong_of_more_than_both_rings,
    tcp_push_pop,
    tcp_wait,
    udp_dump_and_pktgen,
    udp_echo,
    udp_ping_pong,
    udp_push_pop,
    udp_relay,
];

/// Runs a server and a client with the same options, and gives what they said.
fn sockets(name: &'static str, server: Language, client: Language, options: &[&str]) -> (String, String) {
    meet(name, server, name, client, options, options)
}

fn meet(
    server_name: &'static str,
    server: Language,
    client_name: &'static str,
    client: Language,
    server_options: &[&str],
    client_options: &[&str],
) -> (String, String) {
    let stage = Stage::new();
    let mut serving = stage.start(server, server_name, &[&["--server", ANY_PORT], server_options].concat());
    let place = serving.place();
    let calling = stage.start(client, client_name, &[&["--client", &place], client_options].concat());
    let said = (serving.finish(), calling.finish());
    stage.assert_empty();
    said
}

fn pipes(name: &'static str, server: Language, client: Language, options: &[&str]) -> (String, String) {
    let stage = Stage::new();
    let serving = stage.start(server, name, &[&["--server", "a-pipe"], options].concat());
    let calling = stage.start(client, name, &[&["--client", "a-pipe"], options].concat());
    let said = (serving.finish(), calling.finish());
    stage.assert_empty();
    said
}

/// That a program said all of this.
#[track_caller]
fn assert_said(said: &str, texts: &[&str]) {
    for text in texts {
        assert!(said.contains(text), "'{text}' is not in: {said}");
    }
}

fn pipe_open(server: Language, client: Language) {
    let (served, called) = pipes("pipe-open", server, client, &["--count", "50", "--size", "100"]);
    assert_said(&served, &["50 pipes created and closed"]);
    assert_said(&called, &["50 pipes opened and closed"]);
}

fn pipe_ping_pong(server: Language, client: Language) {
    let (served, called) = pipes("pipe-ping-pong", server, client, &["--count", "2000"]);
    assert_said(&served, &["2000 messages returned"]);
    assert_said(&called, &["2000 round trips of 64 bytes", "ns each"]);
}

fn pipe_push_pop(server: Language, client: Language) {
    let (served, called) = pipes("pipe-push-pop", server, client, &["--count", "2000", "--size", "5000"]);
    assert_said(&served, &["2000 messages, 10000000 bytes one way", "GB/s"]);
    assert_said(&called, &["2000 messages of 5000 bytes pushed"]);
}

fn tcp_close(server: Language, client: Language) {
    let (served, called) = sockets("tcp-close", server, client, &["--count", "300", "--clients", "8"]);
    assert_said(&served, &["300 connections accepted and closed, "]);
    assert_said(&called, &["seed ", "300 connections opened and closed, "]);
    // Those that the client closed are those whose end the server saw.
    let number = |said: &str, before: &str| -> Option<u64> {
        said.split(before).next()?.rsplit(' ').find(|word| !word.is_empty())?.parse().ok()
    };
    let ends = number(&served, " after their end");
    assert!(ends.is_some() && ends == number(&called, " here, "), "{served}{called}");
}

fn tcp_dump_and_pktgen(server: Language, client: Language) {
    let options = ["--count", "100", "--size", "40", "--rate", "2000"];
    let (dumped, sent) = meet("tcp-dump", server, "tcp-pktgen", client, &["--count", "3"], &options);
    assert_said(
        &dumped,
        &["connection from 127.0.0.1:", "     0: ", "at          0: 00 00 00 00 00 00 00 00", "4000 bytes in "],
    );
    assert_said(&sent, &["100 messages of 40 bytes sent", "MB/s"]);
}

fn tcp_echo_concurrent(server: Language, client: Language) {
    let options = ["--count", "300", "--size", "1000", "--clients", "5"];
    let (served, called) = sockets("tcp-echo", server, client, &options);
    assert_said(&served, &["5 connections served, 1500000 bytes returned"]);
    assert_said(&called, &["5 connections, 1500 messages of 1000 bytes", "messages/s", "p50 ", "p99 "]);
}

fn tcp_echo_sequential(server: Language, client: Language) {
    let options = ["--count", "200", "--size", "64", "--clients", "5", "--run-mode", "sequential"];
    let (served, called) = sockets("tcp-echo", server, client, &options);
    assert_said(&served, &["5 connections served, 64000 bytes returned"]);
    assert_said(&called, &["5 connections, 1000 messages of 64 bytes"]);
}

fn tcp_echo_waiting_in_the_backlog(server: Language, client: Language) {
    let options = ["--count", "50", "--size", "3000", "--clients", "5"];
    let sequential = [&options[..], &["--run-mode", "sequential"]].concat();
    let (served, called) = meet("tcp-echo", server, "tcp-echo", client, &sequential, &options);
    assert_said(&served, &["5 connections served, 750000 bytes returned"]);
    assert_said(&called, &["5 connections, 250 messages of 3000 bytes"]);
}

fn tcp_ping_pong(server: Language, client: Language) {
    let (served, called) = sockets("tcp-ping-pong", server, client, &["--count", "2000"]);
    assert_said(&served, &["connected", "128000 bytes returned"]);
    assert_said(&called, &["2000 round trips of 64 bytes", "ns each"]);
}

fn tcp_ping_pong_of_more_than_both_rings(server: Language, client: Language) {
    let (served, called) = sockets("tcp-ping-pong", server, client, &["--count", "3", "--size", "2000000"]);
    assert_said(&served, &["6000000 bytes returned"]);
    assert_said(&called, &["3 round trips of 2000000 bytes"]);
}

fn tcp_push_pop(server: Language, client: Language) {
    let (served, called) = sockets("tcp-push-pop", server, client, &["--count", "3000", "--size", "16384"]);
    assert_said(&served, &["3000 messages, 49152000 bytes one way", "GB/s"]);
    assert_said(&called, &["3000 messages of 16384 bytes pushed"]);
}

fn tcp_wait(server: Language, client: Language) {
    let (served, called) = sockets("tcp-wait", server, client, &["--count", "2000", "--clients", "20"]);
    assert_said(&served, &["2000 messages over 20 connections, the limit passed "]);
    assert_said(&called, &["seed ", "2000 messages sent over 20 connections"]);
}

fn udp_dump_and_pktgen(server: Language, client: Language) {
    let options = ["--count", "20", "--size", "40", "--rate", "1000"];
    let (dumped, sent) = meet("udp-dump", server, "udp-pktgen", client, &["--count", "20"], &options);
    assert_said(
        &dumped,
        &["     0:     40 bytes from 127.0.0.1:", ": 00 00 00 00 00 00 00 00", "800 bytes in 20 datagrams"],
    );
    assert_said(&sent, &["20 datagrams of 40 bytes sent"]);
}

fn udp_echo(server: Language, client: Language) {
    let options = ["--count", "300", "--size", "1000", "--clients", "5"];
    let (served, called) = sockets("udp-echo", server, client, &options);
    assert_said(&served, &["datagrams of 5 clients returned"]);
    assert_said(&called, &["5 sockets, 1500 datagrams of 1000 bytes", "datagrams/s", "p50 ", "p99 ", "sent again"]);
}

fn udp_ping_pong(server: Language, client: Language) {
    let (served, called) = sockets("udp-ping-pong", server, client, &["--count", "2000"]);
    assert_said(&served, &["datagrams returned"]);
    assert_said(&called, &["2000 round trips of 64 bytes", "ns each", "sent again"]);
}

fn udp_push_pop(server: Language, client: Language) {
    // As fast as it goes most may be lost; slowly, and fewer than there is room for, none.
    let (served, called) = sockets("udp-push-pop", server, client, &["--count", "3000"]);
    assert_said(&served, &[" of 3000 datagrams came", " were lost, 0 came late", "GB/s"]);
    assert_said(&called, &["3000 datagrams of 1024 bytes pushed"]);
    let (served, _) = sockets("udp-push-pop", server, client, &["--count", "100", "--rate", "1000"]);
    assert_said(&served, &["100 of 100 datagrams came", ", 0 were lost, 0 came late"]);
}

fn udp_relay(relay: Language, both: Language) {
    let stage = Stage::new();
    let mut serving = stage.start(both, "udp-ping-pong", &["--server", ANY_PORT]);
    let to = serving.place();
    let mut relaying = stage.start(relay, "udp-relay", &["--listen", ANY_PORT, "--to", &to]);
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

/// Every test of a single program, in each language that can be built.
fn each_language(test: &str, mut check: impl FnMut(Language)) {
    check(Rust);
    if build::has_compiler(test) {
        check(C);
    }
}

#[test]
fn help_says_what_is_shown_and_what_to_try() {
    each_language("help_says_what_is_shown_and_what_to_try", |language| {
        let stage = Stage::new();
        for name in ALL {
            let said = stage.start(language, name, &["--help"]).finish();
            assert_said(&said, &["--timeout SECONDS", "To try it", name]);
            // Two commands, one for each side.
            let commands =
                said.lines().filter(|line| line.starts_with("  cargo run") || line.starts_with("  ./")).count();
            assert!(commands >= 2, "{said}");
        }
    });
}

#[test]
fn a_wrong_command_line_is_2_and_says_what_is_wrong() {
    const WRONG: [(&[&str], &str); 6] = [
        (&["--server"], ""),
        (&["--speed", "9"], "speed"),
        (&["--server", "nowhere"], "nowhere"),
        (&["--client", ANY_PORT, "--count", "0"], "--count"),
        (&["--client", ANY_PORT, "--size", "big"], "big"),
        (&[], "--"),
    ];
    each_language("a_wrong_command_line_is_2_and_says_what_is_wrong", |language| {
        let stage = Stage::new();
        for (options, text) in WRONG {
            let failed = stage.start(language, "tcp-push-pop", options).fail(2);
            assert_said(&failed, &["tcp-push-pop", text]);
        }
    });
}

#[test]
fn failures_say_what_to_do() {
    each_language("failures_say_what_to_do", |language| {
        let stage = Stage::new();
        // Nobody is there. The deadline ends it.
        let failed = stage.start(language, "tcp-ping-pong", &["--client", "127.0.0.1:9", "--timeout", "1"]).fail(1);
        assert_said(&failed, &["tcp-ping-pong: not done", "--timeout"]);
        // The address is taken.
        let mut serving = stage.start(language, "tcp-ping-pong", &["--server", ANY_PORT]);
        let place = serving.place();
        let failed = stage.start(language, "tcp-ping-pong", &["--server", &place]).fail(1);
        assert_said(&failed, &["tcp-ping-pong: ", "end the program that has the port"]);
        stage.start(language, "tcp-ping-pong", &["--client", &place, "--count", "1"]).finish();
        serving.finish();
        // No address of this host.
        let failed = stage.start(language, "tcp-ping-pong", &["--server", "192.0.2.1:80"]).fail(1);
        assert_said(&failed, &["127.0.0.0/8"]);
        // Pipes only.
        let failed = stage.start_with(language, "tcp-ping-pong", &["--server", ANY_PORT], "catmem").fail(1);
        assert_said(&failed, &["LIBOS"]);
    });
}

#[test]
fn a_client_may_be_there_before_the_server() {
    each_language("a_client_may_be_there_before_the_server", |language| {
        for name in ["tcp-ping-pong", "udp-ping-pong"] {
            let stage = Stage::new();
            // A port that was free a moment ago; nobody else looks into this stage.
            let place = "127.0.0.1:7000";
            let calling = stage.start(language, name, &["--client", place, "--count", "100"]);
            std::thread::sleep(std::time::Duration::from_millis(100));
            let serving = stage.start(language, name, &["--server", place, "--count", "100"]);
            assert_said(&calling.finish(), &["100 round trips"]);
            serving.finish();
            stage.assert_empty();
        }
    });
}

#[test]
fn ipv6() {
    each_language("ipv6", |language| {
        let stage = Stage::new();
        // An array of C has no room for the IPv6 sender of a datagram.
        let names: &[&'static str] =
            if let Rust = language { &["tcp-ping-pong", "udp-ping-pong"] } else { &["tcp-ping-pong"] };
        for name in names {
            let mut serving = stage.start(language, name, &["--server", "[::1]:0", "--count", "100"]);
            let place = serving.place();
            assert!(place.starts_with("[::1]:"), "{place}");
            let called = stage.start(language, name, &["--client", &place, "--count", "100"]).finish();
            assert_said(&called, &["100 round trips"]);
            serving.finish();
        }
        stage.assert_empty();
    });
}
