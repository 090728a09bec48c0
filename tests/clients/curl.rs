// SPDX-License-Identifier: MIT OR Apache-2.0
//! curl(1) and `http-server`.

use crate::tools::{Input, run, succeed};
use crate::web::{BIG, MIDDLE, Web};
use std::fmt::Write;

/// Status and body.
#[track_caller]
fn get(arguments: &[&str]) -> (u16, String) {
    let said = succeed("curl", &[&["-sS", "--max-time", "30", "-w", "\n%{http_code}"], arguments].concat());
    let (body, code) = said.rsplit_once('\n').expect("curl writes the status");
    (code.parse().expect("a number"), body.to_owned())
}

pub fn files_and_heads(libos: &'static str) {
    let web = Web::new(libos);
    assert_eq!(get(&[&web.url("/hello.txt")]), (200, "hello, world\n".into()));
    assert_eq!(get(&[&web.url("/")]), (200, "<p>index".into()));
    assert_eq!(get(&[&web.url("/empty")]), (200, String::new()));
    assert_eq!(get(&[&web.url("/hello.txt?query#fragment")]), (200, "hello, world\n".into()));
    assert_eq!(get(&["-L", &web.url("/sub")]), (200, "<p>sub".into()));
    assert_eq!(get(&[&web.url("/sub")]).0, 301);
    assert_eq!(get(&[&web.url("/none")]), (404, "404 Not Found\n".into()));
    for (path, media_type, length) in [
        ("/hello.txt", "text/plain; charset=utf-8", 13),
        ("/data.json", "application/json", 2),
        ("/sub/", "text/html; charset=utf-8", 6),
        ("/big.bin", "application/octet-stream", BIG),
    ] {
        let head = succeed("curl", &["-sS", "-I", &web.url(path)]);
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(head.contains(&format!("\r\nContent-Type: {media_type}\r\n")), "{head}");
        assert!(head.contains(&format!("\r\nContent-Length: {length}\r\n")), "{head}");
        assert!(head.contains("\r\nDate: ") && head.contains("\r\nLast-Modified: "), "{head}");
    }
    web.stop(());
}

pub fn one_connection_for_many_files(libos: &'static str) {
    let web = Web::new(libos);
    // Without its body, a HEAD and an error must leave the next reply where it belongs.
    let paths = ["/hello.txt", "/none", "/middle.bin", "/empty", "/data.json", "/big.bin", "/"];
    let mut arguments = Vec::new();
    for path in paths {
        arguments.extend(["-o".to_owned(), "/dev/null".to_owned(), web.url(path)]);
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let format = "%{num_connects} %{http_code} %{size_download}\n";
    let said = succeed("curl", &[&["-sS", "-w", format], &arguments[..]].concat());
    let mut expected = String::new();
    for (number, size) in [13, 14, MIDDLE, 0, 2, BIG, 8].into_iter().enumerate() {
        let (connects, code) = (u32::from(number == 0), if number == 1 { 404 } else { 200 });
        writeln!(expected, "{connects} {code} {size}").expect("text");
    }
    assert_eq!(said, expected);
    assert_eq!(web.stop(()), [7, 1, 0]);
}

pub fn big_files(libos: &'static str) {
    let web = Web::new(libos);
    let target = web.folder().join("fetched-#1").to_str().expect("a path is text").to_owned();
    // Several at once: curl takes them as they come.
    let url = format!("{}?{{a,b,c,d}}", web.url("/big.bin"));
    succeed("curl", &["-sS", "--max-time", "60", "-Z", "-o", &target, &url]);
    for name in ["a", "b", "c", "d"] {
        let fetched = std::fs::read(target.replace("#1", name)).expect("curl wrote it");
        assert!(fetched == web.big, "the big file is not what it was");
    }
    assert_eq!(web.stop(())[0], 4);
}

pub fn what_is_refused(libos: &'static str) {
    let web = Web::new(libos);
    let page = web.url("/hello.txt");
    assert_eq!(get(&["-d", "a=b", &page]).0, 405);
    assert_eq!(get(&["-X", "DELETE", &page]).0, 405);
    assert_eq!(get(&["-X", "BREW", &page]).0, 501);
    // Bodies: too long (curl asks first, and does not), without a length, and both said.
    let upload = web.folder().join("secret");
    let upload = upload.to_str().expect("a path is text");
    let big = web.folder().join("root/big.bin");
    let big = big.to_str().expect("a path is text");
    assert_eq!(get(&["-T", upload, &page]).0, 405);
    assert_eq!(get(&["-T", big, &page]).0, 413);
    assert_eq!(get(&["-H", "Expect:", "-T", big, &page]).0, 413);
    assert_eq!(get(&["-H", "Transfer-Encoding: chunked", "-d", "x", &page]).0, 411);
    assert_eq!(get(&["-H", "Transfer-Encoding: chunked", "-H", "Content-Length: 1", "-d", "x", &page]).0, 400);
    // What is outside, and what is too much.
    for path in ["/../secret", "/%2e%2e/secret", "/sub/..%2f../secret", "/%00"] {
        assert_eq!(get(&["--path-as-is", &web.url(path)]), (400, "400 Bad Request\n".into()), "{path}");
    }
    assert_eq!(get(&[&web.url(&format!("/{}", "x".repeat(5000)))]).0, 414);
    assert_eq!(get(&["-H", &format!("X: {}", "x".repeat(9000)), &page]).0, 431);
    assert_eq!(get(&["-H", "Host:", &page]).0, 400);
    // The server is as it was.
    assert_eq!(get(&[&page]), (200, "hello, world\n".into()));
    web.stop(());
}

pub fn parts_of_files(libos: &'static str) {
    let web = Web::new(libos);
    assert_eq!(get(&["-r", "7-11", &web.url("/hello.txt")]), (206, "world".into()));
    assert_eq!(get(&["-r", "-6", &web.url("/hello.txt")]), (206, "world\n".into()));
    assert_eq!(get(&["-r", "13-", &web.url("/hello.txt")]).0, 416);
    assert_eq!(get(&["-r", "0-1,3-4", &web.url("/hello.txt")]), (200, "hello, world\n".into()));
    // An interrupted download goes on.
    let target = web.folder().join("resumed");
    std::fs::write(&target, &web.big[..1_000_001]).expect("a file");
    let path = target.to_str().expect("a path is text");
    succeed("curl", &["-sS", "--max-time", "60", "-C", "-", "-o", path, &web.url("/big.bin")]);
    assert!(std::fs::read(&target).expect("curl wrote it") == web.big, "the rest of the file does not fit");
    web.stop(());
}

pub fn conditions(libos: &'static str) {
    let web = Web::new(libos);
    let tag = web.folder().join("tag");
    let tag = tag.to_str().expect("a path is text");
    let page = web.url("/hello.txt");
    assert_eq!(get(&["--etag-save", tag, &page]).0, 200);
    assert_eq!(get(&["--etag-compare", tag, &page]), (304, String::new()));
    std::fs::write(web.folder().join("root/hello.txt"), "changed").expect("a file");
    let changed = (0..100).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        get(&["--etag-compare", tag, &page]) == (200, "changed".into())
    });
    assert!(changed, "the old file is served on");
    web.stop(());
}

pub fn versions_and_families(libos: &'static str) {
    let web = Web::v6(libos);
    let page = web.url("/hello.txt");
    assert!(page.starts_with("http://["), "{page}");
    assert_eq!(get(&["-g", &page]), (200, "hello, world\n".into()));
    let said = succeed("curl", &["-sS", "-0", "-i", "-g", &page]);
    assert!(said.contains("\r\nConnection: close\r\n") && said.ends_with("hello, world\n"), "{said}");
    let said = succeed("curl", &["-sS", "-0", "-i", "-g", "-H", "Connection: keep-alive", &page]);
    assert!(said.contains("\r\nConnection: keep-alive\r\n"), "{said}");
    // Nothing of HTTP/2, which curl finds out.
    let failed = run("curl", &["-sS", "-g", "--max-time", "20", "--http2-prior-knowledge", &page], Input::Nothing);
    assert_ne!(failed.code, Some(0));
    assert_eq!(get(&["-g", &page]).0, 200);
    web.stop(());
}
