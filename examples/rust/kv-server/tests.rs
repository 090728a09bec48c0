// SPDX-License-Identifier: MIT OR Apache-2.0
//! Commands of all kinds, and bytes that are none; each also cut into pieces, and against a map.

use super::commands::Commands;
use super::common::server::{Service, Step};
use super::reply;
use super::request::{ARGUMENTS_MAX, BULK_MAX, INLINE_MAX, Parsed, Parser, REQUEST_MAX, Refusal, integer};
use super::store::{Full, Store};
use proptest::prelude::*;
use std::collections::HashMap;

/// A command as clients write it.
fn command(arguments: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    reply::array(&mut bytes, arguments.len());
    for argument in arguments {
        reply::bulk(&mut bytes, argument.as_ref());
    }
    bytes
}

/// The arguments of one command, and its length.
fn parse(input: &[u8]) -> (Vec<Vec<u8>>, Parsed) {
    let mut parser = Parser::default();
    let parsed = parser.parse(input);
    let arguments = parser.arguments(input).from(0).map(<[u8]>::to_vec).collect();
    (arguments, parsed)
}

/// What is answered to a stream that arrives in pieces that end at `cuts`. True: the connection ended.
fn play(commands: &mut Commands, stream: &[u8], cuts: &[usize]) -> (Vec<u8>, bool) {
    let (mut input, mut replies, mut start) = (Vec::new(), Vec::new(), 0);
    for &end in cuts.iter().chain([&stream.len()]) {
        let end = end.clamp(start, stream.len());
        input.extend_from_slice(&stream[start..end]);
        start = end;
        while !input.is_empty() {
            match commands.serve(&mut (), &input, &mut replies) {
                Step::Incomplete => {
                    assert!(input.len() < REQUEST_MAX + 64 * ARGUMENTS_MAX, "it waits for more than it may");
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

/// What is answered to inline commands, one a line.
fn ask(lines: &str) -> String {
    let (replies, _) = play(&mut Commands::new(1 << 20), format!("{lines}\n").as_bytes(), &[]);
    String::from_utf8(replies).unwrap()
}

#[test]
fn arrays_are_read() {
    let set = command(&["SET", "key", ""]);
    assert_eq!(set, b"*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$0\r\n\r\n");
    assert_eq!(parse(&set), (vec![b"SET".to_vec(), b"key".to_vec(), vec![]], Parsed::Command(set.len())));
    for end in 0..set.len() {
        assert_eq!(parse(&set[..end]).1, Parsed::Incomplete, "{end}");
    }
    for nothing in [&b"*0\r\n"[..], b"*-1\r\n", b"\r\n", b"\n", b"  \r\n"] {
        assert_eq!(parse(nothing).1, Parsed::Nothing(nothing.len()));
    }
}

#[test]
fn lines_are_read() {
    let words = |line: &str| {
        let (arguments, parsed) = parse(format!("{line}\n").as_bytes());
        assert_eq!(parsed, Parsed::Command(line.len() + 1), "{line}");
        arguments.into_iter().map(|word| String::from_utf8_lossy(&word).into_owned()).collect::<Vec<_>>()
    };
    assert_eq!(words("PING\r"), ["PING"]);
    assert_eq!(words(" set  a\tb "), ["set", "a", "b"]);
    assert_eq!(words(r#"set "a b" 'c"d\'e' """#), ["set", "a b", "c\"d'e", ""]);
    assert_eq!(words(r#"echo "\x41\n\"\\\q\x4""#), ["echo", "A\n\"\\qx4"]);
    assert_eq!(words("a\"b\""), ["a\"b\""]);
    for line in ["\"a", "'a", "\"a\"b", "\"a\\"] {
        assert_eq!(parse(format!("{line}\n").as_bytes()).1, Parsed::Refused(Refusal::Quotes), "{line}");
    }
}

#[test]
fn what_is_no_command_is_refused() {
    for (input, refusal) in [
        ("*x\r\n", Refusal::Arguments),
        ("*1025\r\n", Refusal::Arguments),
        ("*01\r\n", Refusal::Arguments),
        ("*99999999999999999999\r\n", Refusal::Arguments),
        ("*1\n", Refusal::NoEnd),
        ("*1\r\n:", Refusal::NoBulk(b':')),
        ("*1\r\n$x\r\n", Refusal::Bulk),
        ("*1\r\n$-1\r\n", Refusal::Bulk),
        ("*1\r\n$1048577\r\n", Refusal::Bulk),
        ("*1\r\n$1\r\nab\r\n", Refusal::NoEnd),
        ("*1\r\n$1\r\na\rx", Refusal::NoEnd),
        ("*00000000000000000000000000000000", Refusal::NumberTooLong),
    ] {
        assert_eq!(parse(input.as_bytes()).1, Parsed::Refused(refusal), "{input:?}");
    }
    assert_eq!(parse(&[b'a'; INLINE_MAX]).1, Parsed::Refused(Refusal::InlineTooLong));
    assert_eq!(parse(&[b'a'; INLINE_MAX - 1]).1, Parsed::Incomplete);
    let big = vec![0; BULK_MAX];
    assert!(matches!(parse(&command(&[&big, &big])).1, Parsed::Command(_)));
    assert_eq!(parse(&command(&[&big, &big, &vec![1]])).1, Parsed::Refused(Refusal::TooLong));
    let words = "a ".repeat(ARGUMENTS_MAX + 1);
    assert_eq!(parse(format!("{words}\n").as_bytes()).1, Parsed::Refused(Refusal::Arguments));
}

#[test]
fn protocol_errors_end_the_connection() {
    let (replies, ended) = play(&mut Commands::new(1 << 20), b"PING\r\n*1\r\n?\r\nPING\r\n", &[]);
    assert!(ended);
    assert_eq!(replies, b"+PONG\r\n-ERR Protocol error: expected '$', got '?'\r\n");
    let (replies, ended) = play(&mut Commands::new(1 << 20), b"QUIT\r\nPING\r\n", &[]);
    assert!(ended);
    assert_eq!(replies, b"+OK\r\n");
}

#[test]
fn replies_are_those_of_redis() {
    for (lines, replies) in [
        ("PING\nping hello\nPING a b", "+PONG\r\n$5\r\nhello\r\n-ERR wrong number of arguments for 'ping' command\r\n"),
        ("ECHO x", "$1\r\nx\r\n"),
        ("GET k\nSET k v\nGET k\nSTRLEN k\nTYPE k", "$-1\r\n+OK\r\n$1\r\nv\r\n:1\r\n+string\r\n"),
        ("SET k v NX\nSET k w nx\nSET k w XX\nGET k\nSET l v XX", "+OK\r\n$-1\r\n+OK\r\n$1\r\nw\r\n$-1\r\n"),
        ("SET k v EX 5\nSET k v NX XX", "-ERR syntax error\r\n-ERR syntax error\r\n"),
        ("MSET a 1 b 2\nDEL a b c\nEXISTS a b\nDBSIZE", "+OK\r\n:2\r\n:0\r\n:0\r\n"),
        ("MSET a 1 b", "-ERR wrong number of arguments for 'mset' command\r\n"),
        ("EXISTS k k\nSET k 1\nEXISTS k k", ":0\r\n+OK\r\n:2\r\n"),
        ("INCR n\nINCRBY n 41\nDECR n\nDECRBY n -9\nGET n", ":1\r\n:42\r\n:41\r\n:50\r\n$2\r\n50\r\n"),
        (
            "SET n x\nINCR n\nINCRBY m x",
            "+OK\r\n-ERR value is not an integer or out of range\r\n-ERR value is not an integer or out of range\r\n",
        ),
        (
            "SET n 9223372036854775807\nINCR n\nGET n",
            "+OK\r\n-ERR increment or decrement would overflow\r\n$19\r\n9223372036854775807\r\n",
        ),
        ("DECRBY n -9223372036854775808", "-ERR decrement would overflow\r\n"),
        ("APPEND a b\nAPPEND a cd\nGET a", ":1\r\n:3\r\n$3\r\nbcd\r\n"),
        ("SET a b\nFLUSHALL\nDBSIZE", "+OK\r\n+OK\r\n:0\r\n"),
        (
            "SELECT 0\nSELECT 1\nSELECT x",
            "+OK\r\n-ERR DB index is out of range\r\n-ERR value is not an integer or out of range\r\n",
        ),
        (
            "CONFIG GET save\nCONFIG GET Appendonly\nCONFIG GET other",
            "*2\r\n$4\r\nsave\r\n$0\r\n\r\n*2\r\n$10\r\nappendonly\r\n$2\r\nno\r\n*0\r\n",
        ),
        ("COMMAND DOCS\nCOMMAND COUNT", "*0\r\n:24\r\n"),
        ("CLIENT SETNAME x", "+OK\r\n"),
        (
            "GET\nget a b",
            "-ERR wrong number of arguments for 'get' command\r\n-ERR wrong number of arguments for 'get' command\r\n",
        ),
        ("FOO bar \"x\\r\\ny\"", "-ERR unknown command 'FOO', with args beginning with: 'bar' 'x  y' \r\n"),
        ("HELLO 3", "-NOPROTO unsupported protocol version\r\n"),
    ] {
        assert_eq!(ask(lines), replies, "{lines}");
    }
    assert!(ask("HELLO 2").starts_with("*6\r\n$6\r\nserver\r\n$6\r\nmargay\r\n"));
    assert!(ask("INFO").contains("db0:keys=0"));
    assert!(ask("CLIENT KILL x").starts_with("-ERR unknown subcommand"));
    assert!(ask(&format!("{} {}", "f".repeat(5000), "x ".repeat(500))).len() < 600);
}

#[test]
fn the_store_is_bounded() {
    let mut store = Store::new(1000);
    assert_eq!(store.set(b"a", &[0; 800]), Ok(()));
    assert_eq!(store.set(b"b", &[0; 800]), Err(Full));
    assert_eq!(store.set(b"a", &[1; 900]), Ok(()));
    assert_eq!(store.set(b"a", &[2; 950]), Err(Full));
    assert_eq!(store.get(b"a"), Some(&[1; 900][..]));
    assert!(store.remove(b"a") && !store.remove(b"a"));
    assert_eq!(store.memory(), (0, 1000));
    let mut commands = Commands::new(1000);
    let (replies, _) = play(&mut commands, &command(&[&b"SET"[..], b"k", &[7; 1000]]), &[]);
    assert_eq!(replies, b"-OOM command not allowed when used memory > 'maxmemory'.\r\n");
}

#[test]
fn integers() {
    for text in ["0", "7", "-1", "9223372036854775807", "-9223372036854775808"] {
        assert_eq!(integer(text.as_bytes()), text.parse().ok(), "{text}");
    }
    for text in ["", "-", "-0", "00", "01", "+1", " 1", "1 ", "1.0", "9223372036854775808", "x", "\u{663}"] {
        assert_eq!(integer(text.as_bytes()), None, "{text}");
    }
}

/// Pieces of commands, and bytes.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let text = prop_oneof![
        Just("*1\r\n$4\r\nPING\r\n"),
        Just("*2\r\n$3\r\nGET\r\n$1\r\na\r\n"),
        Just("*3\r\n$3\r\nSET\r\n$1\r\na\r\n$2\r\n12\r\n"),
        Just("INCR a\r\n"),
        Just("SET a \"x y\"\n"),
        Just("*3\r\n"),
        Just("$3\r\n"),
        Just("abc\r\n"),
        Just("\r\n"),
        Just("$-1\r\n"),
        Just("*-1\r\n"),
    ];
    prop_oneof![
        8 => text.prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..40),
        1 => any::<u8>().prop_map(|byte| vec![byte]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_in_any_pieces(
        pieces in prop::collection::vec(piece(), 0..30),
        cuts in prop::collection::vec(0_usize..400, 0..20),
    ) {
        let stream = pieces.concat();
        let mut cuts = cuts;
        cuts.sort_unstable();
        let bytes: Vec<usize> = (1..stream.len()).collect();
        let whole = play(&mut Commands::new(1 << 20), &stream, &[]);
        for cuts in [&cuts, &bytes] {
            prop_assert_eq!(&play(&mut Commands::new(1 << 20), &stream, cuts), &whole);
        }
    }

    #[test]
    fn what_is_written_is_read(arguments in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 1..20)) {
        let mut bytes = command(&arguments);
        let length = bytes.len();
        bytes.extend_from_slice(b"*1");
        prop_assert_eq!(parse(&bytes), (arguments, Parsed::Command(length)));
    }

    #[test]
    fn errors_are_one_line(text in ".*") {
        let mut out = Vec::new();
        reply::error(&mut out, text);
        prop_assert_eq!(out.iter().filter(|&&byte| byte == b'\n' || byte == b'\r').count(), 2);
        prop_assert!(out.ends_with(b"\r\n"));
    }

    #[test]
    fn the_store_is_a_map(steps in prop::collection::vec((0_u8..4, 0_u8..6, 0_usize..200), 0..200)) {
        let mut store = Store::new(700);
        let mut map: HashMap<Vec<u8>, Vec<u8>> = HashMap::new();
        for (what, key, length) in steps {
            let key = vec![key; 3];
            let size = |map: &HashMap<Vec<u8>, Vec<u8>>| map.iter().map(|(key, value)| key.len() + value.len() + 96).sum::<usize>();
            match what {
                0 | 1 => {
                    let mut with = map.clone();
                    with.insert(key.clone(), vec![what; length]);
                    let fits = size(&with) <= 700;
                    prop_assert_eq!(store.set(&key, &vec![what; length]).is_ok(), fits);
                    if fits {
                        map = with;
                    }
                }
                2 => prop_assert_eq!(store.remove(&key), map.remove(&key).is_some()),
                _ => prop_assert_eq!(store.get(&key), map.get(&key).map(Vec::as_slice)),
            }
            prop_assert_eq!((store.len(), store.memory().0), (map.len(), size(&map)));
        }
    }
}
