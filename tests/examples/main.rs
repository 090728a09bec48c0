// SPDX-License-Identifier: MIT OR Apache-2.0
//! The examples as a person runs them: a server and a client, each in its own process, in Rust, in C, and a server in Rust
//! with a client in C; on each back end for sockets.
//!
//! - `scenes`: what they do together. `hosts`: whether each program is a host of its own. `programs`: where the programs come from, and their
//!   processes. `wires`, `harness`: networks of a test's own.

#![allow(clippy::expect_used, reason = "a test ends where it cannot go on")]

#[path = "../common/harness/mod.rs"]
mod harness;
#[path = "../common/hosts.rs"]
mod hosts;
#[path = "../common/programs/mod.rs"]
mod programs;
mod scenes;
#[path = "../common/wires.rs"]
mod wires;

use programs::build::Language::{self, C, Rust};
use programs::build::has_compiler;
use programs::stage::Stage;
use programs::{PAIRS, SERVERS, free_port};
use scenes::assert_said;

const ANY_PORT: &str = "127.0.0.1:0";

/// Tests on one back end: one for each scene and pair of languages, and one for each of the functions below.
macro_rules! on {
    ($libos:ident, scenes: [$($scene:ident),+ $(,)?], alone: [$($alone:ident),+ $(,)?]) => {
        mod $libos {
            use super::*;

            $(mod $scene {
                use super::*;
                use scenes::Cast;

                fn play(server: Language, client: Language) {
                    let libos = stringify!($libos);
                    let can_build = matches!((server, client), (Rust, Rust)) || has_compiler(module_path!());
                    if can_build && hosts::ready(libos, module_path!()) {
                        scenes::$scene(Cast { libos, server, client });
                    }
                }

                #[test]
                fn rust() {
                    play(Rust, Rust);
                }

                #[test]
                fn c() {
                    play(C, C);
                }

                #[test]
                fn rust_with_c() {
                    play(Rust, C);
                }
            })+

            $(#[test]
            fn $alone() {
                let (libos, test) = (stringify!($libos), concat!(stringify!($libos), "::", stringify!($alone)));
                if hosts::ready(libos, test) {
                    each_language(test, |language| super::$alone(libos, language));
                }
            })+
        }
    };
}

macro_rules! on_each_back_end {
    ($($tests:tt)+) => {
        on!(catloop, $($tests)+);
        on!(catnap, $($tests)+);
        on!(catcollar, $($tests)+);
    };
}

on_each_back_end! {
    scenes: [
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
    ],
    alone: [failures_say_what_to_do, a_client_may_be_there_before_the_server, ipv6]
}

// A network stack of our own, on each of its wires; each program is a host of its own.
macro_rules! on_each_wire {
    ($($tests:tt)+) => {
        on!(catnip_socket, $($tests)+);
        on!(catnip_tap, $($tests)+);
        on!(catnip_packet, $($tests)+);
    };
}

on_each_wire! {
    scenes: [
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
    ],
    alone: [a_client_may_be_there_before_the_server, ipv6]
}

/// Every test of a single program, in each language that can be built.
fn each_language(test: &str, mut check: impl FnMut(Language)) {
    check(Rust);
    if has_compiler(test) {
        check(C);
    }
}

#[test]
fn help_says_what_is_shown_and_what_to_try() {
    each_language("help_says_what_is_shown_and_what_to_try", |language| {
        let stage = Stage::new("catloop");
        for name in PAIRS {
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
fn help_of_servers_says_what_to_try() {
    let stage = Stage::new("catloop");
    for name in SERVERS {
        let said = stage.start(Rust, name, &["--help"]).finish();
        assert_said(&said, &["--seconds N", "To try it", &format!("cargo run --release --example {name} -- --server")]);
        assert!(!said.contains("--timeout"), "{said}");
        let failed = stage.start(Rust, name, &["--server", ANY_PORT, "--clients", "0"]).fail(2);
        assert_said(&failed, &[name, "--clients"]);
    }
    let failed = stage.start(Rust, "http-server", &["--server", ANY_PORT, "--root", "/nowhere"]).fail(1);
    assert_said(&failed, &["http-server: --root /nowhere: ", "name a folder"]);
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
        let stage = Stage::new("catloop");
        for (options, text) in WRONG {
            let failed = stage.start(language, "tcp-push-pop", options).fail(2);
            assert_said(&failed, &["tcp-push-pop", text]);
        }
    });
}

fn failures_say_what_to_do(libos: &'static str, language: Language) {
    let stage = Stage::new(libos);
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
    let failed = Stage::new("catmem").start(language, "tcp-ping-pong", &["--server", ANY_PORT]).fail(1);
    assert_said(&failed, &["LIBOS"]);
}

fn a_client_may_be_there_before_the_server(libos: &'static str, language: Language) {
    for name in ["tcp-ping-pong", "udp-ping-pong"] {
        let stage = hosts::stage(libos);
        // On a host of its own it has every port.
        let place = &format!("{}:{}", stage.address(1), free_port());
        let calling = stage.start(language, name, &["--client", place, "--count", "100"]);
        std::thread::sleep(std::time::Duration::from_millis(100));
        let serving = stage.start(language, name, &["--server", place, "--count", "100"]);
        assert_said(&calling.finish(), &["100 round trips"]);
        serving.finish();
        stage.assert_empty();
    }
}

fn ipv6(libos: &'static str, language: Language) {
    // An array of C has no room for the IPv6 sender of a datagram.
    let names: &[&'static str] = match language {
        Rust => &["tcp-ping-pong", "udp-ping-pong"],
        C => &["tcp-ping-pong"],
    };
    for name in names {
        // On a stack of our own, programs that come later have other addresses.
        let stage = hosts::stage(libos);
        let at = format!("[{}]:", stage.address_v6(0));
        let mut serving = stage.start(language, name, &["--server", &format!("{at}0"), "--count", "100"]);
        let place = serving.place();
        assert!(place.starts_with(&at), "{place}");
        let called = stage.start(language, name, &["--client", &place, "--count", "100"]).finish();
        assert_said(&called, &["100 round trips"]);
        serving.finish();
        stage.assert_empty();
    }
}
