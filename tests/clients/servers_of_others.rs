// SPDX-License-Identifier: MIT OR Apache-2.0
//! nginx(8) and redis-server(1) with clients on Margay's own API: what everybody has installed is served to us as to anybody.

use crate::hosts;
use crate::margay_client::{Client, Link};
use crate::programs::free_port;
use crate::programs::stage::Stage;
use crate::tools::{Tool, noise};
use margay::TcpState;
use std::fs;
use tempfile::TempDir;

/// Bytes of the files that are fetched and stored.
const BIG: usize = 8 << 20;
/// Connections at once.
const MANY: usize = 200;

/// A server of others, which ends with this, and a client.
struct Served {
    client: Client,
    _server: Tool,
    _stage: Stage,
    folder: TempDir,
}

/// One process that stays in front and writes nowhere else. `stored` is what it is given.
fn nginx(libos: &'static str) -> Served {
    let stage = hosts::stage(libos);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_str().expect("a path is text");
    for name in ["root", "stored", "other"] {
        fs::create_dir(folder.path().join(name)).expect("a folder");
    }
    fs::write(folder.path().join("root/big.bin"), noise(BIG)).expect("a file");
    fs::write(folder.path().join("root/hello.txt"), "hello, world\n").expect("a file");
    let place = format!("{}:{}", stage.kernel(), free_port());
    let others: String =
        ["fastcgi", "uwsgi", "scgi", "proxy"].map(|kind| format!("  {kind}_temp_path {path}/other;\n")).concat();
    let configuration = format!(
        "daemon off;\nmaster_process off;\npid {path}/pid;\nerror_log {path}/errors;\n\
         events {{ worker_connections 1024; }}\n\
         http {{\n  access_log off;\n  keepalive_requests 100000;\n  client_max_body_size 64m;\n\
           client_body_temp_path {path}/other;\n{others}\
           server {{\n    listen {place};\n    root {path}/root;\n\
             location /stored/ {{ root {path}; dav_methods PUT; }}\n  }}\n}}\n"
    );
    let file = folder.path().join("nginx.conf");
    fs::write(&file, configuration).expect("a file");
    let file = file.to_str().expect("a path is text");
    let server = Tool::start("nginx", &["-p", path, "-e", &format!("{path}/errors"), "-c", file]);
    let client = Client::on_stage(&stage, &place);
    Served { client, _server: server, _stage: stage, folder }
}

fn redis_server(libos: &'static str) -> Served {
    let stage = hosts::stage(libos);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_str().expect("a path is text");
    let (host, port) = (stage.kernel().to_string(), free_port());
    let arguments = ["--save", "", "--appendonly", "no", "--dir", path, "--protected-mode", "no"];
    let server =
        Tool::start("redis-server", &[&["--bind", &host, "--port", &port.to_string()], &arguments[..]].concat());
    let client = Client::on_stage(&stage, &format!("{host}:{port}"));
    Served { client, _server: server, _stage: stage, folder }
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n").into_bytes()
}

pub fn nginx_gives_files(libos: &'static str) {
    let mut served = nginx(libos);
    let (client, big) = (&mut served.client, noise(BIG));
    let mut link = client.reach();
    // One after another, and many asked for at once, over one connection.
    for _ in 0..3 {
        client.send(&link, &get("/big.bin"));
        let (code, body) = client.reply(&mut link);
        assert!(code == 200 && body == big, "{code}, {} bytes", body.len());
        client.send(&link, &get("/none"));
        assert_eq!(client.reply(&mut link).0, 404);
    }
    // Whoever does TCP for it knows how it fares.
    let info = client.info(&link);
    assert!(info.state == TcpState::Established && info.sack && info.timestamps && info.scales.is_some(), "{info:?}");
    assert!(info.bytes_received > 3 * BIG as u64 && info.bytes_acknowledged > 0, "{info:?}");
    assert!(info.segments_received > 0 && info.segments_sent > 0, "{info:?}");
    assert!(!info.rtt.is_zero() && info.rtt_min <= info.rto && info.rto >= info.rtt, "{info:?}");
    assert!(info.mss >= 1428 && info.congestion_window >= info.mss.into(), "{info:?}");
    client.send(&link, &get("/hello.txt").repeat(500));
    for _ in 0..500 {
        assert_eq!(client.reply(&mut link), (200, b"hello, world\n".to_vec()));
    }
    client.send(&link, b"GET /hello.txt HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    assert_eq!(client.reply(&mut link).0, 200);
    assert_eq!(client.rest(&mut link), b"");
    assert_eq!(client.info(&link).state, TcpState::CloseWait);
    client.close(link);
}

pub fn nginx_takes_files(libos: &'static str) {
    let mut served = nginx(libos);
    let (client, big) = (&mut served.client, noise(BIG));
    let mut link = client.reach();
    for number in 0..3 {
        client.send(
            &link,
            format!("PUT /stored/{number} HTTP/1.1\r\nHost: h\r\nContent-Length: {BIG}\r\n\r\n").as_bytes(),
        );
        for piece in big.chunks(100_000) {
            client.send(&link, piece);
        }
        assert_eq!(client.reply(&mut link).0, 201);
        let stored = fs::read(served.folder.path().join(format!("stored/{number}"))).expect("nginx wrote it");
        assert!(stored == big, "{} bytes were stored", stored.len());
    }
    client.close(link);
}

pub fn nginx_serves_many_at_once(libos: &'static str) {
    let mut served = nginx(libos);
    let client = &mut served.client;
    let mut links: Vec<Link> = (0..MANY).map(|_| client.reach()).collect();
    for _ in 0..5 {
        for link in &links {
            client.send(link, &get("/hello.txt"));
        }
        for link in &mut links {
            assert_eq!(client.reply(link), (200, b"hello, world\n".to_vec()));
        }
    }
    for link in links {
        client.close(link);
    }
}

pub fn redis_server_keeps_values(libos: &'static str) {
    let mut served = redis_server(libos);
    let client = &mut served.client;
    let mut link = client.reach();
    client.keep_values(&mut link);
    client.send(&link, b"QUIT\r\n");
    assert_eq!(client.rest(&mut link), b"+OK\r\n");
    client.close(link);
}

pub fn redis_server_tells_its_subscribers(libos: &'static str) {
    let mut served = redis_server(libos);
    let client = &mut served.client;
    let mut publisher = client.reach();
    let mut subscribers: Vec<Link> = (0..20).map(|_| client.reach()).collect();
    for link in &mut subscribers {
        client.send(link, b"SUBSCRIBE news\r\n");
        for line in ["*3", "$9", "subscribe", "$4", "news", ":1"] {
            assert_eq!(client.line(link), line);
        }
    }
    for number in 0..50 {
        client.send(&publisher, format!("PUBLISH news {number:04}\r\n").as_bytes());
        assert_eq!(client.line(&mut publisher), ":20");
    }
    for mut link in subscribers {
        for number in 0..50 {
            for line in ["*3", "$7", "message", "$4", "news", "$4", &format!("{number:04}")] {
                assert_eq!(client.line(&mut link), line);
            }
        }
        client.close(link);
    }
    client.close(publisher);
}
