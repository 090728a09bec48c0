// SPDX-License-Identifier: MIT OR Apache-2.0
//! netcat and socat: bytes as they are, over TCP and UDP, in both directions.

use crate::hosts;
use crate::programs::build::Language::Rust;
use crate::programs::free_port;
use crate::programs::stage::{Running, Stage};
use crate::tools::{Input, Tool, noise, run};
use crate::web::Web;

/// Host and port of a place.
fn split(place: &str) -> (&str, &str) {
    let (host, port) = place.rsplit_once(':').expect("a port");
    (host.trim_matches(['[', ']']), port)
}

/// What comes back through nc(1), which shuts its sending direction behind the input.
#[track_caller]
fn nc(place: &str, input: Input<'_>) -> Vec<u8> {
    let (host, port) = split(place);
    let output = run("nc", &["-N", "-w", "20", host, port], input);
    assert_eq!(output.code, Some(0), "{}", output.errors);
    output.bytes
}

/// The same through socat(1).
#[track_caller]
fn socat(address: &str, input: Input<'_>) -> Vec<u8> {
    let output = run("socat", &["-t", "20", "-", address], input);
    assert_eq!(output.code, Some(0), "{}", output.errors);
    output.bytes
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("text")
}

fn echo(stage: &Stage, at: &str) -> Running {
    stage.start(Rust, "tcp-echo", &["--server", at, "--clients", "1"])
}

pub fn requests_in_single_bytes(libos: &'static str) {
    let web = Web::new(libos);
    let request =
        b"GET /hello.txt HTTP/1.1\r\nHost: h\r\n\r\nHEAD /none HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    let said = text(nc(&web.place, Input::Bytes(request)));
    let (first, second) = said.split_once("hello, world\n").expect("the first reply");
    assert!(first.starts_with("HTTP/1.1 200 OK\r\n") && second.starts_with("HTTP/1.1 404 "), "{said}");
    assert!(second.ends_with("\r\n\r\n"), "{said}");
    assert_eq!(web.stop(()), [2, 1, 0]);
}

pub fn half_closed_requests(libos: &'static str) {
    let web = Web::new(libos);
    // All of a big reply comes after the requester has said that it sends no more.
    let request = b"GET /big.bin HTTP/1.1\r\nHost: h\r\n\r\n";
    for said in [nc(&web.place, Input::Whole(request)), socat(&format!("TCP:{}", web.place), Input::Whole(request))] {
        assert!(said.ends_with(&web.big), "{} bytes", said.len());
    }
    // The server ends the connection where the requester does not.
    let address = format!("TCP:{}", web.place);
    let said = run("socat", &["-t", "0.5", "-", &address], Input::Open(b"GET / HTTP/1.0\n\n")).text();
    assert!(said.ends_with("<p>index"), "{said}");
    // A part of a request and nothing more: no reply. No request at all: one that says so.
    assert_eq!(nc(&web.place, Input::Whole(b"GET / HT")), b"");
    assert_eq!(nc(&web.place, Input::Whole(b"")), b"");
    let said = text(nc(&web.place, Input::Whole(b"good morning\n")));
    assert!(said.starts_with("HTTP/1.1 400 "), "{said}");
    let said = text(nc(&web.place, Input::Open(b"\x16\x03\x01\x02\x00\x01\x00\n")));
    assert!(said.starts_with("HTTP/1.1 400 "), "{said}");
    web.stop(());
}

pub fn tcp_echo_through_both(libos: &'static str) {
    let stage = hosts::stage(libos);
    let bytes = noise(1 << 20);
    for number in 0..4 {
        let mut server = echo(&stage, &stage.any_port());
        let place = server.place();
        let (input, sent) = match number {
            0 | 1 => (Input::Whole(&bytes), &bytes[..]),
            _ => (Input::Bytes(&bytes[..200]), &bytes[..200]),
        };
        let back = if number % 2 == 0 { nc(&place, input) } else { socat(&format!("TCP:{place}"), input) };
        assert!(back == sent, "{} of {} bytes came back", back.len(), sent.len());
        let said = server.finish();
        assert!(said.contains(&format!("1 connections served, {} bytes returned", sent.len())), "{said}");
    }
}

pub fn echo_of_others(libos: &'static str) {
    let stage = hosts::stage(libos);
    let (host, port) = (stage.kernel(), free_port());
    let listening = format!("TCP-LISTEN:{port},bind={host},reuseaddr,fork");
    let echo = Tool::start("socat", &[&listening, "PIPE"]);
    let place = format!("{host}:{port}");
    let ping = stage.start(Rust, "tcp-ping-pong", &["--client", &place, "--count", "500"]).finish();
    assert!(ping.contains("500 round trips of 64 bytes"), "{ping}");
    let options = ["--client", &place, "--count", "50", "--size", "1000", "--clients", "5"];
    let said = stage.start(Rust, "tcp-echo", &options).finish();
    assert!(said.contains("5 connections, 250 messages of 1000 bytes"), "{said}");
    drop(echo);
}

pub fn streams_to_and_from_others(libos: &'static str) {
    let stage = hosts::stage(libos);
    // From here to netcat.
    let (host, port) = (stage.kernel().to_string(), free_port().to_string());
    let listening = Tool::start("nc", &["-l", "-w", "20", &host, &port]);
    let place = format!("{host}:{port}");
    let options = ["--client", &place, "--count", "100", "--size", "50000", "--rate", "0"];
    let said = stage.start(Rust, "tcp-pktgen", &options).finish();
    assert!(said.contains("100 messages of 50000 bytes sent"), "{said}");
    assert_eq!(listening.finish(Input::Open(b"")).bytes.len(), 5_000_000);
    // From netcat to here.
    let mut dump = stage.start(Rust, "tcp-dump", &["--server", &stage.any_port(), "--count", "1"]);
    let place = dump.place();
    nc(&place, Input::Whole(&noise(3_000_000)));
    let said = dump.finish();
    assert!(said.contains("3000000 bytes in "), "{said}");
}

pub fn udp_through_both(libos: &'static str) {
    let stage = hosts::stage(libos);
    let mut server = stage.start(Rust, "udp-echo", &["--server", &stage.any_port(), "--clients", "1"]);
    let place = server.place();
    let (host, port) = split(&place);
    // It stays open for a while after its input has ended, for the answer to come.
    let output = run("nc", &["-u", "-w", "1", host, port], Input::Whole(b"a datagram"));
    assert_eq!(output.bytes, b"a datagram", "{}", output.errors);
    let longest = noise(8000);
    let output = run("socat", &["-b", "8192", "-t", "0.5", "-", &format!("UDP:{place}")], Input::Whole(&longest));
    assert!(output.bytes == longest, "{} bytes came back: {}", output.bytes.len(), output.errors);
    let output = run("socat", &["-t", "0.5", "-", &format!("UDP:{place}")], Input::Whole(b"."));
    assert_eq!(output.bytes, b".", "{}", output.errors);
    let said = server.finish();
    assert!(said.contains("datagrams of 1 clients returned"), "{said}");
}

pub fn udp_echo_of_others(libos: &'static str) {
    let stage = hosts::stage(libos);
    let (host, port) = (stage.kernel(), free_port());
    let echo = Tool::start("socat", &[&format!("UDP-LISTEN:{port},bind={host}"), "PIPE"]);
    let place = format!("{host}:{port}");
    let said = stage.start(Rust, "udp-ping-pong", &["--client", &place, "--count", "300"]).finish();
    assert!(said.contains("300 round trips of 64 bytes"), "{said}");
    drop(echo);
}

pub fn ipv6(libos: &'static str) {
    let stage = hosts::stage(libos);
    let bytes = noise(100_000);
    for number in 0..2 {
        let mut server = echo(&stage, &stage.any_port_v6());
        let place = server.place();
        let back = if number == 0 {
            nc(&place, Input::Whole(&bytes))
        } else {
            socat(&format!("TCP6:{place}"), Input::Whole(&bytes))
        };
        assert!(back == bytes, "{} bytes came back", back.len());
        server.finish();
    }
    let mut server = stage.start(Rust, "udp-echo", &["--server", &stage.any_port_v6(), "--clients", "1"]);
    let place = server.place();
    for message in [&b"a datagram"[..], b"."] {
        let output = run("socat", &["-t", "0.5", "-", &format!("UDP6:{place}")], Input::Whole(message));
        assert_eq!(output.bytes, message, "{}", output.errors);
    }
    server.finish();
    // The wildcard of IPv6 takes both families.
    let both = stage.next();
    let mut server = echo(&stage, "[::]:0");
    let place = server.place();
    let (_, port) = split(&place);
    assert_eq!(nc(&format!("{both}:{port}"), Input::Whole(b"both")), b"both");
    server.finish();
}
