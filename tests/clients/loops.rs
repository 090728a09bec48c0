// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the loop of the servers must hold to, on every back end: bytes in any pieces, bounds, and peers that are slow,
//! silent, rude or gone.

use crate::hosts;
use crate::margay_client::Client;
use crate::programs::build::Language::Rust;
use crate::tools::noise;
use crate::web::{BIG, MIDDLE, Web};
use margay::SocketOption;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::hash::{BuildHasher, RandomState};
use std::net::Shutdown;
use std::time::Duration;

const GET: &[u8] = b"GET /hello.txt HTTP/1.1\r\nHost: h\r\n\r\n";

pub fn requests_in_single_bytes_and_in_one_piece(libos: &'static str) {
    let web = Web::new(libos);
    let mut client = Client::new(&web.stage, &web.place);
    let requests = [GET, b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc", GET, b"nonsense\r\n"].concat();
    for piece in [1, 7, requests.len()] {
        let mut link = client.connect();
        for piece in requests.chunks(piece) {
            client.send(&link, piece);
        }
        for code in [200, 405, 200, 400] {
            let (status, body) = client.reply(&mut link);
            assert_eq!(status, code);
            assert_eq!(body == b"hello, world\n", code == 200);
        }
        assert_eq!(client.rest(&mut link), b"");
        client.close(link);
    }
    assert_eq!(web.stop(client), [12, 3, 0]);
}

pub fn values_of_all_sizes(libos: &'static str) {
    let stage = hosts::stage(libos);
    let mut server = stage.start(Rust, "kv-server", &["--server", &stage.any_port(), "--connections", "1"]);
    let place = server.place();
    let mut client = Client::new(&stage, &place);
    let mut link = client.connect();
    client.keep_values(&mut link);
    // More replies than may be on their way at once: 100 of 1 MiB.
    client.send(&link, "GET k\r\n".repeat(100).as_bytes());
    client.rest_for(Duration::from_millis(100));
    let value = noise(1 << 20);
    for _ in 0..100 {
        assert_eq!(client.line(&mut link), "$1048576");
        assert!(client.take(&mut link, 1 << 20) == value && client.line(&mut link).is_empty());
    }
    client.send(&link, b"QUIT\r\n");
    assert_eq!(client.rest(&mut link), b"+OK\r\n");
    client.close(link);
    let said = server.finish();
    assert!(said.contains("5111 commands over 1 connections, 0 too slow"), "{said}");
    drop(client);
    stage.assert_empty();
}

pub fn replies_that_nobody_reads_are_not_made(libos: &'static str) {
    let web = Web::new(libos);
    let mut client = Client::new(&web.stage, &web.place);
    // Together they ask for more than twenty gigabytes.
    let mut deaf: Vec<_> = (0..16).map(|_| client.connect()).collect();
    let ask = "GET /big.bin HTTP/1.1\r\nHost: h\r\n\r\n".repeat(50);
    for link in &deaf {
        client.send(link, ask.as_bytes());
    }
    // And these for more buffers than there are.
    let mut slow: Vec<_> = (0..100).map(|_| client.connect()).collect();
    let ask = "GET /middle.bin HTTP/1.1\r\nHost: h\r\n\r\n".repeat(3);
    for link in &slow {
        client.send(link, ask.as_bytes());
    }
    client.rest_for(Duration::from_millis(500));
    // Rings of shared memory are counted as the server's.
    let peak = web.peak();
    assert!(peak < 512 * 1024, "the server took {peak} KiB");
    for link in &mut slow {
        for _ in 0..3 {
            let (code, body) = client.reply(link);
            assert!(code == 200 && body == web.big[..MIDDLE]);
        }
    }
    let (code, body) = client.reply(&mut deaf[7]);
    assert!(code == 200 && body.len() == BIG && body == web.big);
    web.stop(client);
}

/// As many descriptors as the system allows.
fn allow_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).expect("up to the maximum it is allowed");
}

pub fn many_connections(libos: &'static str) {
    const MANY: usize = 1000;
    allow_descriptors();
    let web = Web::new(libos);
    let mut client = Client::new(&web.stage, &web.place);
    let mut links: Vec<_> = (0..MANY).map(|_| client.connect()).collect();
    for _ in 0..3 {
        for link in &links {
            client.send(link, GET);
        }
        for link in &mut links {
            assert_eq!(client.reply(link), (200, b"hello, world\n".to_vec()));
        }
    }
    for link in links {
        client.close(link);
    }
    assert_eq!(web.stop(client), [3 * MANY as u64, MANY as u64, 0]);
}

pub fn no_more_connections_than_allowed(libos: &'static str) {
    let web = Web::with(libos, &["--clients", "2"]);
    let mut client = Client::new(&web.stage, &web.place);
    let mut links: Vec<_> = (0..3).map(|_| client.connect()).collect();
    for link in &mut links[..2] {
        client.send(link, GET);
        assert_eq!(client.reply(link).0, 200);
    }
    // The third waits in the backlog.
    client.send(&links[2], GET);
    assert!(!client.receive(&mut links[2], Some(Duration::from_millis(200))));
    client.close(links.swap_remove(0));
    assert_eq!(client.reply(&mut links[0]).0, 200);
    for link in links {
        client.close(link);
    }
    assert_eq!(web.stop(client), [3, 3, 0]);
}

pub fn slow_senders_are_told_and_closed(libos: &'static str) {
    let web = Web::with(libos, &["--idle", "1"]);
    let mut client = Client::new(&web.stage, &web.place);
    let mut link = client.connect();
    // A byte now and then does not keep a request alive.
    let told = (0..200).any(|number| {
        let byte = *b"GET / HTTP/1.1\r\nX: ".get(number).unwrap_or(&b'x');
        let pushed = client.libos.push(link.qd, &[byte]);
        pushed.is_err() || client.receive(&mut link, Some(Duration::from_millis(100)))
    });
    assert!(told, "the server waits for ever");
    assert_eq!(client.reply(&mut link).0, 408);
    assert_eq!(client.rest(&mut link), b"");
    client.close(link);
    assert_eq!(web.stop(client), [0, 1, 1]);
}

pub fn silent_connections_are_closed(libos: &'static str) {
    let web = Web::with(libos, &["--idle", "1"]);
    let mut client = Client::new(&web.stage, &web.place);
    let mut silent = client.connect();
    let mut done = client.connect();
    client.send(&done, GET);
    assert_eq!(client.reply(&mut done).0, 200);
    // It asks, and does not read.
    let mut deaf = client.connect();
    client.send(&deaf, "GET /big.bin HTTP/1.1\r\nHost: h\r\n\r\n".repeat(20).as_bytes());
    assert_eq!(client.rest(&mut silent), b"");
    assert_eq!(client.rest(&mut done), b"");
    client.rest_for(Duration::from_secs(3));
    assert!(client.rest(&mut deaf).len() < 19 * BIG);
    let [_, connections, late] = web.stop(client);
    assert_eq!((connections, late), (3, 3));
}

pub fn noise_and_broken_connections_harm_nobody(libos: &'static str) {
    let seed = RandomState::new().hash_one(libos);
    println!("seed {seed}");
    let mut state = seed | 1;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 8) as usize % below
    };
    let noise = noise(10_000);
    let web = Web::new(libos);
    let stage = &web.stage;
    let mut server = stage.start(Rust, "kv-server", &["--server", &stage.any_port()]);
    let places = [web.place.clone(), server.place()];
    for (number, mut client) in places.iter().map(|place| Client::new(stage, place)).enumerate() {
        let web = number == 0;
        let right: &[u8] = if web { b"GET /middle.bin HTTP/1.1\r\nHost: h\r\n\r\n" } else { b"*1\r\n$4\r\nPING\r\n" };
        let mut good = client.connect();
        for _ in 0..100 {
            let mut link = client.connect();
            let start = random(noise.len() - 1);
            let bytes =
                [&right[..random(right.len() + 1)], &noise[start..start + random(noise.len() - start)]].concat();
            if !bytes.is_empty() {
                // It may be refused before it is there.
                let pushed = client.libos.push(link.qd, &bytes[..]).unwrap();
                let _ = client.libos.wait(pushed, Some(Duration::from_secs(20))).unwrap();
            }
            match random(4) {
                0 => {}
                1 => drop(client.libos.set_option(link.qd, SocketOption::Linger(Some(Duration::ZERO)))),
                2 => drop(client.receive(&mut link, Some(Duration::from_millis(1)))),
                _ => {
                    // The server may have ended the connection already.
                    let _ = client.libos.shutdown(link.qd, Shutdown::Write);
                    client.rest(&mut link);
                }
            }
            client.close(link);
            client.send(&good, right);
            if web {
                assert_eq!(client.reply(&mut good).0, 200);
            } else {
                assert_eq!(client.line(&mut good), "+PONG");
            }
        }
        client.close(good);
    }
    let said = server.stop();
    assert!(said.contains(" connections, 0 too slow"), "{said}");
    // Whoever has gone again before he was accepted may have been passed over.
    let [_, connections, late] = web.stop(());
    assert!((50..=101).contains(&connections) && late == 0, "{connections} connections, {late} late");
}

pub fn a_signal_ends_the_server(libos: &'static str) {
    let web = Web::new(libos);
    let mut client = Client::new(&web.stage, &web.place);
    let mut links: Vec<_> = (0..3).map(|_| client.connect()).collect();
    client.send(&links[0], GET);
    assert_eq!(client.reply(&mut links[0]).0, 200);
    client.send(&links[1], b"GET / HT");
    client.send(&links[2], "GET /big.bin HTTP/1.1\r\nHost: h\r\n\r\n".repeat(5).as_bytes());
    // It was accepted as the last one, so that all are.
    assert_eq!(client.reply(&mut links[2]).0, 200);
    // So many are served, whatever the others do; and then it ends with all of them open.
    let [requests, connections, _] = web.stop(client);
    assert!(requests >= 2 && connections == 3, "{requests} requests, {connections} connections");
}
