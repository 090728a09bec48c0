// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the commands do: those of Redis, with its replies, as far as keys with values and its own clients need them.

use super::common::server::{Service, Step};
use super::reply;
use super::request::{Arguments, Parsed, Parser, integer};
use super::store::{Full, Store};
use std::fmt::Write;

/// Bytes of an argument, and of all of them, that an error repeats.
const REPEATED_MAX: usize = 128;

const SYNTAX: &str = "ERR syntax error";
const NO_INTEGER: &str = "ERR value is not an integer or out of range";
const OVERFLOW: &str = "ERR increment or decrement would overflow";
const FULL: &str = "OOM command not allowed when used memory > 'maxmemory'.";

/// A store with the protocol in front.
pub struct Commands {
    parser: Parser,
    store: Store,
}

/// What follows a command.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    Next,
    Quit,
}

type Run = fn(&mut Store, Arguments<'_>, &mut Vec<u8>);

/// A command: its name, how many arguments it has with its name (negative: at least so many), and what it does.
struct Command {
    name: &'static str,
    arity: i32,
    run: Run,
}

const fn command(name: &'static str, arity: i32, run: Run) -> Command {
    Command { name, arity, run }
}

/// Those that are needed most come first. QUIT is not among them: it ends the connection, too.
const COMMANDS: [Command; 22] = [
    command("get", 2, get),
    command("set", -3, set),
    command("incr", 2, |store, arguments, out| add(store, arguments.get(1), Some(1), out)),
    command("ping", -1, ping),
    command("del", -2, |store, arguments, out| count(arguments, out, |key| store.remove(key))),
    command("exists", -2, |store, arguments, out| count(arguments, out, |key| store.get(key).is_some())),
    command("decr", 2, |store, arguments, out| add(store, arguments.get(1), Some(-1), out)),
    command("incrby", 3, |store, arguments, out| add(store, arguments.get(1), integer(arguments.get(2)), out)),
    command("decrby", 3, decrby),
    command("append", 3, append),
    command("strlen", 2, strlen),
    command("echo", 2, |_, arguments, out| reply::bulk(out, arguments.get(1))),
    command("mset", -3, mset),
    command("type", 2, kind),
    command("dbsize", 1, |store, _, out| reply::integer(out, store.len())),
    command("flushdb", -1, flush),
    command("flushall", -1, flush),
    command("select", 2, select),
    command("config", -2, config),
    command("command", -1, describe),
    command("client", -2, client),
    command("info", -1, info),
];
const QUIT: &[u8] = b"quit";

impl Commands {
    /// For so many bytes of keys and values.
    pub fn new(memory: usize) -> Self {
        Self { parser: Parser::default(), store: Store::new(memory) }
    }
}

impl Service for Commands {
    type Session = ();

    fn serve(&mut self, (): &mut (), input: &[u8], replies: &mut Vec<u8>) -> Step {
        match self.parser.parse(input) {
            Parsed::Incomplete => Step::Incomplete,
            Parsed::Nothing(length) => Step::Next(length),
            Parsed::Command(length) => match obey(&mut self.store, self.parser.arguments(input), replies) {
                Then::Next => Step::Next(length),
                Then::Quit => Step::Last(length),
            },
            Parsed::Refused(refusal) => {
                reply::error(replies, format_args!("ERR Protocol error: {refusal}"));
                Step::Last(input.len())
            }
        }
    }
}

fn obey(store: &mut Store, arguments: Arguments<'_>, out: &mut Vec<u8>) -> Then {
    let name = arguments.get(0);
    if name.eq_ignore_ascii_case(QUIT) {
        reply::simple(out, "OK");
        return Then::Quit;
    }
    match COMMANDS.iter().find(|command| name.eq_ignore_ascii_case(command.name.as_bytes())) {
        Some(Command { name, arity, run }) => {
            let least = arity.unsigned_abs() as usize;
            if arguments.len() == least || (*arity < 0 && arguments.len() > least) {
                run(store, arguments, out);
            } else {
                reply::error(out, format_args!("ERR wrong number of arguments for '{name}' command"));
            }
        }
        None if name.eq_ignore_ascii_case(b"hello") => hello(arguments, out),
        None => {
            let mut with = String::new();
            for argument in arguments.from(1) {
                if with.len() >= REPEATED_MAX {
                    break;
                }
                // Writing to a string does not fail.
                let _ = write!(with, "'{}' ", text(argument));
            }
            let name = text(name);
            reply::error(out, format_args!("ERR unknown command '{name}', with args beginning with: {with}"));
        }
    }
    Then::Next
}

/// The beginning of an argument, for people.
fn text(argument: &[u8]) -> String {
    String::from_utf8_lossy(&argument[..argument.len().min(REPEATED_MAX)]).into_owned()
}

fn get(store: &mut Store, arguments: Arguments<'_>, out: &mut Vec<u8>) {
    match store.get(arguments.get(1)) {
        Some(value) => reply::bulk(out, value),
        None => reply::null(out),
    }
}

/// `SET key value [NX | XX]`. Values do not expire here.
fn set(store: &mut Store, arguments: Arguments<'_>, out: &mut Vec<u8>) {
    let (key, value) = (arguments.get(1), arguments.get(2));
    let (mut absent, mut present) = (false, false);
    for option in arguments.from(3) {
        absent |= option.eq_ignore_ascii_case(b"nx");
        present |= option.eq_ignore_ascii_case(b"xx");
        if !option.eq_ignore_ascii_case(b"nx") && !option.eq_ignore_ascii_case(b"xx") {
            return reply::error(out, SYNTAX);
        }
    }
    if absent && present {
        return reply::error(out, SYNTAX);
    }
    let there = (absent || present) && store.get(key).is_some();
    if (absent && there) || (present && !there) {
        return reply::null(out);
    }
    done(&store.set(key, value), out);
}

fn done(result: &Result<(), Full>, out: &mut Vec<u8>) {
    match result {
        Ok(()) => reply::simple(out, "OK"),
        Err(Full) => reply::error(out, FULL),
    }
}

/// All keys or, if there is no room, some of them.
fn mset(store: &mut Store, arguments: Arguments<'_>, out: &mut Vec<u8>) {
    if arguments.len().is_multiple_of(2) {
        return reply::error(out, "ERR wrong number of arguments for 'mset' command");
    }
    let mut keys = (1..arguments.len()).step_by(2);
    done(&keys.try_for_each(|index| store.set(arguments.get(index), arguments.get(index + 1))), out);
}

fn append(store: &mut Store, arguments: Arguments<'_>, out: &mut Vec<u8>) {
    let (key, more) = (arguments.get(1), arguments.get(2));
    let old = store.get(key).unwrap_or_default();
    if old.len() + more.len() > super::request::BULK_MAX {
        return reply::error(out, "ERR string exceeds maximum allowed size");
    }
    let value = [old, more].concat();
    match store.set(key, &value) {
        Ok(()) => reply::integer(out, value.len()),
        Err(Full) => reply::error(out, FULL),
    }
}

fn decrby(store: &mut Store, arguments: Arguments<'_>, out: &mut Vec<u8>) {
    match integer(arguments.get(2)) {
        // It has no counterpart.
        Some(i64::MIN) => reply::error(out, "ERR decrement would overflow"),
        by => add(store, arguments.get(1), by.map(|by| -by), out),
    }
}

/// Adds to a number; `by` is none if it was written wrongly.
fn add(store: &mut Store, key: &[u8], by: Option<i64>, out: &mut Vec<u8>) {
    let old = store.get(key).map_or(Some(0), integer);
    let (Some(old), Some(by)) = (old, by) else { return reply::error(out, NO_INTEGER) };
    let Some(sum) = old.checked_add(by) else { return reply::error(out, OVERFLOW) };
    match store.set(key, sum.to_string().as_bytes()) {
        Ok(()) => reply::integer(out, sum),
        Err(Full) => reply::error(out, FULL),
    }
}

fn strlen(store: &mut Store, arguments: Arguments<'_>, out: &mut Vec<u8>) {
    reply::integer(out, store.get(arguments.get(1)).map_or(0, <[u8]>::len));
}

fn kind(store: &mut Store, arguments: Arguments<'_>, out: &mut Vec<u8>) {
    reply::simple(out, if store.get(arguments.get(1)).is_some() { "string" } else { "none" });
}

fn count(arguments: Arguments<'_>, out: &mut Vec<u8>, mut holds: impl FnMut(&[u8]) -> bool) {
    reply::integer(out, arguments.from(1).filter(|key| holds(key)).count());
}

fn flush(store: &mut Store, _: Arguments<'_>, out: &mut Vec<u8>) {
    store.clear();
    reply::simple(out, "OK");
}

fn ping(_: &mut Store, arguments: Arguments<'_>, out: &mut Vec<u8>) {
    match arguments.len() {
        1 => reply::simple(out, "PONG"),
        2 => reply::bulk(out, arguments.get(1)),
        _ => reply::error(out, "ERR wrong number of arguments for 'ping' command"),
    }
}

fn select(_: &mut Store, arguments: Arguments<'_>, out: &mut Vec<u8>) {
    match integer(arguments.get(1)) {
        Some(0) => reply::simple(out, "OK"),
        Some(_) => reply::error(out, "ERR DB index is out of range"),
        None => reply::error(out, NO_INTEGER),
    }
}

/// `CONFIG GET parameter...`: those that clients ask for.
fn config(store: &mut Store, arguments: Arguments<'_>, out: &mut Vec<u8>) {
    if !arguments.get(1).eq_ignore_ascii_case(b"get") || arguments.len() < 3 {
        return unknown(arguments, out);
    }
    let memory = store.memory().1.to_string();
    let parameters = [("save", ""), ("appendonly", "no"), ("databases", "1"), ("maxmemory", memory.as_str())];
    let wanted =
        |name: &str| arguments.from(2).any(|pattern| pattern == b"*" || pattern.eq_ignore_ascii_case(name.as_bytes()));
    let given: Vec<_> = parameters.into_iter().filter(|(name, _)| wanted(name)).collect();
    reply::array(out, given.len() * 2);
    for (name, value) in given {
        reply::bulk(out, name.as_bytes());
        reply::bulk(out, value.as_bytes());
    }
}

/// `COMMAND [COUNT | DOCS | INFO ...]`: how many there are; there are no texts about them.
fn describe(_: &mut Store, arguments: Arguments<'_>, out: &mut Vec<u8>) {
    if arguments.get(1).eq_ignore_ascii_case(b"count") {
        // QUIT and HELLO, too.
        reply::integer(out, COMMANDS.len() + 2);
    } else {
        reply::array(out, 0);
    }
}

/// `CLIENT SETNAME` and `SETINFO`, with which libraries begin.
fn client(_: &mut Store, arguments: Arguments<'_>, out: &mut Vec<u8>) {
    if [&b"setname"[..], b"setinfo"].iter().any(|known| arguments.get(1).eq_ignore_ascii_case(known)) {
        reply::simple(out, "OK");
    } else {
        unknown(arguments, out);
    }
}

fn unknown(arguments: Arguments<'_>, out: &mut Vec<u8>) {
    let (name, sub) = (text(arguments.get(0)), text(arguments.get(1)));
    reply::error(out, format_args!("ERR unknown subcommand or wrong number of arguments for '{sub}' of {name}"));
}

fn info(store: &mut Store, _: Arguments<'_>, out: &mut Vec<u8>) {
    let (used, most) = store.memory();
    let text = format!(
        "# Server\r\nmargay_version:{}\r\n\r\n# Memory\r\nused_memory:{used}\r\nmaxmemory:{most}\r\n\r\n# Keyspace\r\n\
         db0:keys={},expires=0\r\n",
        env!("CARGO_PKG_VERSION"),
        store.len()
    );
    reply::bulk(out, text.as_bytes());
}

/// `HELLO [version]`: there is version 2.
fn hello(arguments: Arguments<'_>, out: &mut Vec<u8>) {
    if arguments.len() > 1 && arguments.get(1) != b"2" {
        return reply::error(out, "NOPROTO unsupported protocol version");
    }
    reply::array(out, 6);
    reply::bulk(out, b"server");
    reply::bulk(out, b"margay");
    reply::bulk(out, b"version");
    reply::bulk(out, env!("CARGO_PKG_VERSION").as_bytes());
    reply::bulk(out, b"proto");
    reply::integer(out, 2);
}
