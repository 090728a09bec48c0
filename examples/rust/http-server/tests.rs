// SPDX-License-Identifier: MIT OR Apache-2.0
//! Requests of all kinds, and bytes that are none; each also cut into pieces, which must not change a thing.

use super::common::server::{Service, Step};
use super::range::Asked;
use super::request::{BODY_MAX, FIELDS_MAX, HEAD_MAX, Method, Parsed, Request, TARGET_MAX, parse};
use super::site::{Body, Site};
use super::status::Status;
use super::{date, range, target};
use proptest::prelude::*;
use std::os::unix::fs::symlink;
use tempfile::TempDir;

fn whole(input: &str) -> (Request<'_>, usize) {
    match parse(input.as_bytes()) {
        Parsed::Whole(request, length) => (request, length),
        other => panic!("{input:?}: {other:?}"),
    }
}

fn refused(input: &[u8]) -> u16 {
    match parse(input) {
        Parsed::Refused(Status { code, .. }) => code,
        other => panic!("{:?}: {other:?}", String::from_utf8_lossy(input)),
    }
}

#[test]
fn requests_are_read() {
    let (request, length) = whole("GET /a?b HTTP/1.1\r\nHost: h\r\nRange:bytes=0-1 \r\n\r\nnext");
    assert_eq!((request.method, request.target, request.range), (Method::Get, &b"/a?b"[..], Some(&b"bytes=0-1"[..])));
    assert_eq!((request.persists, request.says_so, request.expects, length), (true, false, false, 48));
    // Empty lines in front, lines that end in LF, a target with its authority.
    assert_eq!(whole("\r\n\nHEAD http://h:1/x HTTP/1.1\nhost:h\n\n").0.target, b"/x");
    assert_eq!(whole("GET HTTPS://h HTTP/1.1\r\nHost: h\r\n\r\n").0.target, b"");
    assert_eq!(whole("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n").0.method, Method::Other);
    assert_eq!(whole("BREW /pot HTTP/1.1\r\nHost: h\r\n\r\n").0.method, Method::Unknown);
    // A body belongs to its request.
    assert_eq!(whole("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabcGET").1, 50);
    assert_eq!(parse(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nab"), Parsed::Incomplete);
    // Who waits for an answer is not waited for.
    let (request, _) = whole("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-Continue\r\n\r\n");
    assert!(request.expects && !request.persists);
}

#[test]
fn connections_persist_as_the_version_and_the_options_say() {
    let persists = |version: &str, options: &str| {
        let text = format!("GET / {version}\r\nHost: h\r\n{options}\r\n");
        let (request, _) = whole(&text);
        (request.persists, request.says_so)
    };
    assert_eq!(persists("HTTP/1.1", ""), (true, false));
    assert_eq!(persists("HTTP/1.2", "Connection: x, Close\r\n"), (false, false));
    assert_eq!(persists("HTTP/1.1", "Connection: keep-alive\r\nConnection: close\r\n"), (false, false));
    assert_eq!(persists("HTTP/1.0", ""), (false, false));
    assert_eq!(persists("HTTP/1.0", "Connection: Keep-Alive\r\n"), (true, true));
}

#[test]
fn what_is_no_request_is_refused() {
    let with = |fields: &str| refused(format!("GET / HTTP/1.1\r\nHost: h\r\n{fields}\r\n").as_bytes());
    for line in [
        "GET /",
        "GET  / HTTP/1.1",
        "GET / HTTP/1.1 ",
        "GET / HTTP/11",
        "GET / http/1.1",
        "G@T / HTTP/1.1",
        " GET / HTTP/1.1",
    ] {
        assert_eq!(refused(format!("{line}\r\n").as_bytes()), 400, "{line}");
    }
    assert_eq!(refused(b"GET /\x80 HTTP/1.1\r\n"), 400);
    assert_eq!(refused(b"GET index.html HTTP/1.1\r\n"), 400);
    assert_eq!(refused(b"GET http:///x HTTP/1.1\r\n"), 400);
    assert_eq!(refused(b"GET * HTTP/1.1\r\n"), 400);
    assert_eq!(refused(b"GET / HTTP/2.0\r\n"), 505);
    assert_eq!(refused(b"GET / HTTP/1.1\r\n\r\n"), 400, "no host");
    assert_eq!(with("Host: h\r\n"), 400, "two hosts");
    for field in ["X : y", " X: y", "X", ": y", "X: a\rb", "X: a\0b", "X: a\x7fb", "X\t: y"] {
        assert_eq!(with(&format!("{field}\r\n")), 400, "{field:?}");
    }
    // Framing.
    for lengths in ["", "+1", "-1", "1x", "0x10", "1, 1", "1\r\nContent-Length: 2"] {
        assert_eq!(with(&format!("Content-Length: {lengths}\r\n")), 400, "{lengths}");
    }
    assert_eq!(with(&format!("Content-Length: {}\r\n", BODY_MAX + 1)), 413);
    assert_eq!(with("Content-Length: 99999999999999999999999999\r\n"), 413);
    assert_eq!(with("Transfer-Encoding: gzip, Chunked\r\n"), 411);
    assert_eq!(with("Transfer-Encoding: chunked, gzip\r\n"), 501);
    assert_eq!(with("Transfer-Encoding: chunked\r\nContent-Length: 1\r\n"), 400);
    assert_eq!(refused(b"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
    assert_eq!(with("Expect: magic\r\n"), 417);
}

#[test]
fn bounds_hold() {
    let line = |length: usize| format!("GET /{} HTTP/1.1\r\n", "a".repeat(length - 1));
    assert_eq!(refused(line(TARGET_MAX + 1).as_bytes()), 414);
    assert_eq!(parse(line(TARGET_MAX).as_bytes()), Parsed::Incomplete);
    assert_eq!(refused(&[b'a'; HEAD_MAX]), 414);
    assert_eq!(parse(&[b'a'; HEAD_MAX - 1]), Parsed::Incomplete);
    assert_eq!(refused(&[b'\n'; HEAD_MAX]), 414);
    let fields = |count: usize| format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "a: b\r\n".repeat(count - 1));
    assert_eq!(refused(fields(FIELDS_MAX + 1).as_bytes()), 431);
    assert!(matches!(parse(fields(FIELDS_MAX).as_bytes()), Parsed::Whole(..)));
    let long = format!("GET / HTTP/1.1\r\nHost: h\r\na: {}\r\n\r\n", "b".repeat(HEAD_MAX));
    assert_eq!(refused(long.as_bytes()), 431);
    assert_eq!(refused(&long.as_bytes()[..HEAD_MAX]), 431);
    assert_eq!(parse(&long.as_bytes()[..HEAD_MAX - 1]), Parsed::Incomplete);
}

#[test]
fn paths_stay_below_the_root() {
    let resolve = |target: &str| {
        let mut path = b"left over".to_vec();
        target::resolve(target.as_bytes(), &mut path).map(|folder| (String::from_utf8(path).unwrap(), folder))
    };
    let file = |path: &str| Ok((path.to_owned(), false));
    let folder = |path: &str| Ok((path.to_owned(), true));
    assert_eq!(resolve("/"), folder(""));
    assert_eq!(resolve(""), folder(""));
    assert_eq!(resolve("/a/b.html?c=/../d"), file("a/b.html"));
    assert_eq!(resolve("//a///b/"), folder("a/b"));
    assert_eq!(resolve("/./a/./."), folder("a"));
    assert_eq!(resolve("/a%2fb%20c%C3%BC"), file("a/b cü"));
    assert_eq!(resolve("/..."), file("..."));
    for target in ["/..", "/a/../b", "/%2e%2E/x", "/a%2f..%2fb", "/.%2e", "/%", "/%4", "/%zz", "/a%00"] {
        assert_eq!(resolve(target).map_err(|status| status.code), Err(400), "{target}");
    }
    let mut encoded = Vec::new();
    target::encode("a b/ü?".as_bytes(), &mut encoded);
    assert_eq!(encoded, b"a%20b/%C3%BC%3F");
}

#[test]
fn ranges() {
    for (value, asked) in [
        ("bytes=0-0", Asked::Part(0, 1)),
        ("bytes=2-", Asked::Part(2, 8)),
        ("Bytes= 9-99", Asked::Part(9, 1)),
        ("bytes=-3", Asked::Part(7, 3)),
        ("bytes=-99", Asked::Part(0, 10)),
        ("bytes=10-", Asked::Unsatisfiable),
        ("bytes=-0", Asked::Unsatisfiable),
        ("bytes=99999999999999999999999-", Asked::Unsatisfiable),
        ("bytes=3-2", Asked::Whole),
        ("bytes=-", Asked::Whole),
        ("bytes=1-2,4-5", Asked::Whole),
        ("lines=1-2", Asked::Whole),
        ("bytes", Asked::Whole),
        ("", Asked::Whole),
    ] {
        assert_eq!(range::parse(value.as_bytes(), 10), asked, "{value}");
    }
    assert_eq!(range::parse(b"bytes=0-", 0), Asked::Unsatisfiable);
    assert_eq!(range::parse(b"bytes=-1", 0), Asked::Unsatisfiable);
}

#[test]
fn dates() {
    // The example of RFC 9110, the epoch, leap days, and the last date.
    assert_eq!(date::format(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
    assert_eq!(date::format(0), "Thu, 01 Jan 1970 00:00:00 GMT");
    assert_eq!(date::format(951_782_399), "Mon, 28 Feb 2000 23:59:59 GMT");
    assert_eq!(date::format(951_782_400), "Tue, 29 Feb 2000 00:00:00 GMT");
    assert_eq!(date::format(4_107_542_400), "Mon, 01 Mar 2100 00:00:00 GMT");
    assert_eq!(date::format(u64::MAX), "Fri, 31 Dec 9999 23:59:59 GMT");
}

/// A site with a few files, and a secret beside it.
fn site() -> (TempDir, Site) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    std::fs::create_dir_all(root.join("sub folder")).unwrap();
    std::fs::write(root.join("index.html"), "<p>index").unwrap();
    std::fs::write(root.join("ten.txt"), "0123456789").unwrap();
    std::fs::write(root.join("big.bin"), vec![7; 200_000]).unwrap();
    std::fs::write(root.join("sub folder/index.html"), "sub").unwrap();
    std::fs::write(folder.path().join("secret"), "secret").unwrap();
    symlink("../secret", root.join("out")).unwrap();
    symlink("ten.txt", root.join("in.json")).unwrap();
    symlink(folder.path().join("secret"), root.join("absolute")).unwrap();
    symlink("loop", root.join("loop")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, root.join("fifo"), rustix::fs::Mode::RUSR).unwrap();
    (folder, Site::new(&root).unwrap())
}

/// What comes of a stream of requests, its bodies included, when it arrives in pieces that end at `cuts`. True: it ended.
fn play(site: &mut Site, stream: &[u8], cuts: &[usize]) -> (Vec<u8>, bool) {
    let (mut session, mut input, mut replies) = (Body::default(), Vec::new(), Vec::new());
    let mut start = 0;
    for &end in cuts.iter().chain([&stream.len()]) {
        let end = end.clamp(start, stream.len());
        input.extend_from_slice(&stream[start..end]);
        start = end;
        while !input.is_empty() {
            let step = site.serve(&mut session, &input, &mut replies);
            while site.left(&session) > 0 {
                let mut buffer = vec![0; site.left(&session).min(10_000) as usize];
                site.fill(&mut session, &mut buffer).unwrap();
                replies.extend_from_slice(&buffer);
            }
            match step {
                Step::Incomplete => {
                    assert!(input.len() < HEAD_MAX + BODY_MAX, "it waits for more than it may");
                    break;
                }
                Step::Next(length) => {
                    assert!((1..=input.len()).contains(&length));
                    drop(input.drain(..length));
                }
                Step::Last(length) => {
                    assert!((1..=input.len()).contains(&length));
                    return (replies, true);
                }
            }
        }
    }
    (replies, false)
}

/// The reply to one request line with fields.
fn ask(site: &mut Site, line: &str, fields: &str) -> String {
    let (replies, _) = play(site, format!("{line} HTTP/1.1\r\nHost: h\r\n{fields}\r\n").as_bytes(), &[]);
    String::from_utf8_lossy(&replies).into_owned()
}

/// The value of a field of a reply.
fn field<'a>(reply: &'a str, name: &str) -> Option<&'a str> {
    let (head, _) = reply.split_once("\r\n\r\n")?;
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

fn body(reply: &str) -> &str {
    reply.split_once("\r\n\r\n").expect("a head").1
}

#[test]
fn files_are_served() {
    let (_folder, mut site) = site();
    let index = ask(&mut site, "GET /", "");
    assert!(index.starts_with("HTTP/1.1 200 OK\r\n"), "{index}");
    assert_eq!((field(&index, "Content-Type"), body(&index)), (Some("text/html; charset=utf-8"), "<p>index"));
    assert!(field(&index, "Date").is_some() && field(&index, "Connection").is_none());
    let head = ask(&mut site, "HEAD /ten.txt", "");
    assert_eq!((field(&head, "Content-Length"), body(&head)), (Some("10"), ""));
    let big = ask(&mut site, "GET /big.bin", "");
    assert_eq!((field(&big, "Content-Type"), body(&big).len()), (Some("application/octet-stream"), 200_000));
    // By the name that is asked for, not by that of the link's target.
    assert_eq!(field(&ask(&mut site, "GET /in.json", ""), "Content-Type"), Some("application/json"));
    assert_eq!(body(&ask(&mut site, "GET /sub%20folder/", "")), "sub");
    let moved = ask(&mut site, "GET //sub%20folder", "");
    assert!(moved.starts_with("HTTP/1.1 301 "), "{moved}");
    assert_eq!(field(&moved, "Location"), Some("/sub%20folder/"));
}

#[test]
fn nothing_else_is_served() {
    let (folder, mut site) = site();
    for (target, code) in [
        ("/none", 404),
        ("/out", 404),
        ("/absolute", 404),
        ("/loop", 404),
        ("/fifo", 404),
        ("/ten.txt/", 404),
        ("/ten.txt/x", 404),
        ("/../secret", 400),
        ("/%2e%2e/secret", 400),
        ("/sub%20folder/..%2f..%2fsecret", 400),
    ] {
        let reply = ask(&mut site, &format!("GET {target}"), "");
        assert!(reply.starts_with(&format!("HTTP/1.1 {code} ")), "{target}: {reply}");
        assert!(!reply.contains("secret\r\n") && field(&reply, "Content-Length").is_some());
        assert_eq!(body(&ask(&mut site, &format!("HEAD {target}"), "")), "");
    }
    let long = format!("GET /{}", "x".repeat(300));
    assert!(ask(&mut site, &long, "").starts_with("HTTP/1.1 404 "));
    let post = ask(&mut site, "POST /", "Content-Length: 0\r\n");
    assert!(post.starts_with("HTTP/1.1 405 "), "{post}");
    assert_eq!(field(&post, "Allow"), Some("GET, HEAD"));
    assert!(ask(&mut site, "BREW /", "").starts_with("HTTP/1.1 501 "));
    // A root that has gone is no reason to serve anything else.
    std::fs::rename(folder.path().join("root"), folder.path().join("moved")).unwrap();
    assert!(ask(&mut site, "GET /", "").starts_with("HTTP/1.1 200 "));
    std::fs::remove_dir_all(folder.path().join("moved")).unwrap();
    assert!(ask(&mut site, "GET /big.bin", "").starts_with("HTTP/1.1 404 "));
}

#[test]
fn parts_and_conditions() {
    let (_folder, mut site) = site();
    let whole = ask(&mut site, "GET /ten.txt", "");
    let tag = field(&whole, "ETag").unwrap().to_owned();
    let modified = field(&whole, "Last-Modified").unwrap().to_owned();
    let part = ask(&mut site, "GET /ten.txt", "Range: bytes=2-4\r\n");
    assert!(part.starts_with("HTTP/1.1 206 "), "{part}");
    assert_eq!((field(&part, "Content-Range"), body(&part)), (Some("bytes 2-4/10"), "234"));
    let part = ask(&mut site, "GET /big.bin", "Range: bytes=-70000\r\n");
    assert_eq!((field(&part, "Content-Range"), body(&part).len()), (Some("bytes 130000-199999/200000"), 70_000));
    let beyond = ask(&mut site, "GET /ten.txt", "Range: bytes=10-\r\n");
    assert!(beyond.starts_with("HTTP/1.1 416 "), "{beyond}");
    assert_eq!(field(&beyond, "Content-Range"), Some("bytes */10"));
    let part =
        |site: &mut Site, tag: &str| ask(site, "GET /ten.txt", &format!("Range: bytes=0-0\r\nIf-Range: {tag}\r\n"));
    assert_eq!(body(&part(&mut site, &tag)), "0");
    assert_eq!(body(&part(&mut site, "\"other\"")), "0123456789");
    assert!(ask(&mut site, "HEAD /ten.txt", "Range: bytes=2-4\r\n").starts_with("HTTP/1.1 200 "));
    for (condition, code) in [
        (format!("If-None-Match: \"x\", W/{tag}"), 304),
        ("If-None-Match: *".to_owned(), 304),
        ("If-None-Match: \"x\"".to_owned(), 200),
        (format!("If-None-Match: \"x\"\r\nIf-Modified-Since: {modified}"), 200),
        (format!("If-Modified-Since: {modified}"), 304),
        ("If-Modified-Since: yesterday".to_owned(), 200),
    ] {
        let reply = ask(&mut site, "GET /ten.txt", &format!("{condition}\r\n"));
        assert!(reply.starts_with(&format!("HTTP/1.1 {code} ")), "{condition}: {reply}");
        assert_eq!(body(&reply).is_empty(), code == 304);
    }
}

#[test]
fn what_changes_is_noticed() {
    let (folder, mut site) = site();
    let path = folder.path().join("root/ten.txt");
    assert_eq!(body(&ask(&mut site, "GET /ten.txt", "")), "0123456789");
    std::fs::write(&path, "changed").unwrap();
    // The memory is as old as a second, and the next one begins by itself.
    let limit = std::time::Duration::from_secs(10);
    let mut waited = std::time::Duration::ZERO;
    while body(&ask(&mut site, "GET /ten.txt", "")) != "changed" {
        assert!(waited < limit, "the change is not noticed");
        let pause = std::time::Duration::from_millis(50);
        std::thread::sleep(pause);
        waited += pause;
        site.tick();
    }
}

#[test]
fn pipelines_are_answered_in_order() {
    let (_folder, mut site) = site();
    let get = |path: &str, fields: &str| format!("GET {path} HTTP/1.1\r\nHost: h\r\n{fields}\r\n");
    let stream =
        [get("/ten.txt", ""), get("/big.bin", ""), get("/none", ""), get("/", "Connection: close\r\n"), get("/", "")]
            .concat();
    let (replies, ended) = play(&mut site, stream.as_bytes(), &[]);
    let text = String::from_utf8_lossy(&replies);
    let codes: Vec<&str> = text.split("HTTP/1.1 ").skip(1).map(|reply| &reply[..3]).collect();
    assert_eq!(codes, ["200", "200", "404", "200"]);
    assert!(ended && text.ends_with("<p>index"));
    let bytes: Vec<usize> = (1..stream.len()).collect();
    assert_eq!(play(&mut site, stream.as_bytes(), &bytes), (replies, true));
}

/// Lines of requests, right ones and others, and bytes.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        Just("GET / HTTP/1.1\r\n"),
        Just("HEAD /ten.txt HTTP/1.1\r\n"),
        Just("GET /big.bin HTTP/1.0\r\n"),
        Just("POST /sub HTTP/1.1\n"),
        Just("Host: h\r\n"),
        Just("Content-Length: 5\r\n"),
        Just("Transfer-Encoding: chunked\r\n"),
        Just("Expect: 100-continue\r\n"),
        Just("Connection: keep-alive\r\n"),
        Just("Range: bytes=1-3\r\n"),
        Just("\r\n"),
        Just("GET / HTTP/1.1\r\nHost: h\r\n\r\n"),
        Just("GET /%2e%2e/secret HTTP/1.1\r\nHost: h\r\n\r\n"),
    ];
    prop_oneof![
        8 => line.prop_map(|line| line.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..40),
        1 => any::<u8>().prop_map(|byte| vec![byte]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_in_any_pieces(
        pieces in prop::collection::vec(piece(), 0..30),
        cuts in prop::collection::vec(0_usize..600, 0..20),
    ) {
        let (_folder, mut site) = site();
        let stream = pieces.concat();
        let mut cuts = cuts;
        cuts.sort_unstable();
        let (replies, ended) = play(&mut site, &stream, &[]);
        let bytes: Vec<usize> = (1..stream.len()).collect();
        for cuts in [&cuts, &bytes] {
            prop_assert_eq!(play(&mut site, &stream, cuts), (replies.clone(), ended));
        }
        prop_assert!(!String::from_utf8_lossy(&replies).contains("\r\n\r\nsecret"));
    }

    #[test]
    fn no_path_leads_out(target in prop::collection::vec(
        prop_oneof![4 => prop::sample::select(&b"/.%2eEfF\\"[..]), 1 => any::<u8>()], 0..60,
    )) {
        let mut path = Vec::new();
        if target::resolve(&target, &mut path).is_ok() && !path.is_empty() {
            for segment in path.split(|&byte| byte == b'/') {
                prop_assert!(!matches!(segment, b"" | b"." | b".."), "{:?}", String::from_utf8_lossy(&path));
                prop_assert!(!segment.contains(&0));
            }
        }
    }

    #[test]
    fn ranges_lie_within_the_file(value in "bytes=[0-9]{0,21}-?[0-9]{0,21}", length in any::<u64>()) {
        if let Asked::Part(first, bytes) = range::parse(value.as_bytes(), length) {
            prop_assert!(bytes > 0 && first < length && bytes <= length - first);
        }
    }
}
