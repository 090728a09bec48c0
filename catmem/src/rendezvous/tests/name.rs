// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which names a pipe can have.

use runtime::Errno;

use crate::rendezvous::{FileName, PipeName};

#[test]
fn good_names_are_kept_as_they_are() {
    let longest = "x".repeat(64);
    let longest_of_two_byte_letters = "ä".repeat(32);
    for name in ["a", "echo", "a.b", "...", ".hidden", "..x", "-rf", "with space", "new\nline", "ä", "*", "\u{7f}"]
        .into_iter()
        .chain([longest.as_str(), longest_of_two_byte_letters.as_str()])
    {
        let name_and_suffix = format!("{name}.pipe");
        let checked = PipeName::new(name).unwrap();
        assert_eq!(checked.as_str(), name);
        assert_eq!(checked.file_name().as_str(), name_and_suffix);
    }
}

#[test]
fn bad_names_are_refused() {
    let too_long = "x".repeat(65);
    let far_too_long = "x".repeat(1 << 20);
    let too_long_in_bytes = "ä".repeat(33);
    for name in [
        "",
        ".",
        "..",
        "/",
        "/a",
        "a/",
        "a/b",
        "../a",
        "../../etc/passwd",
        "\0",
        "a\0",
        "\0a",
        &too_long,
        &far_too_long,
        &too_long_in_bytes,
    ] {
        let error = PipeName::new(name).expect_err(name);
        assert_eq!(error.errno(), Errno::INVAL, "{name:?}");
    }
}

#[test]
fn file_names_are_one_component() {
    let longest = "x".repeat(FileName::LEN_MAX);
    for name in ["tcp-127.0.0.1-80.sock", "udp-[::1]-53.sock", "..x", longest.as_str()] {
        assert_eq!(FileName::new(name).unwrap().as_str(), name);
    }
    for name in ["", ".", "..", "a/b", "/a", "a\0", &"x".repeat(FileName::LEN_MAX + 1)] {
        assert_eq!(FileName::new(name).expect_err(name).errno(), Errno::INVAL, "{name:?}");
    }
}
