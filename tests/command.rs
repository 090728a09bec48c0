// SPDX-License-Identifier: MIT OR Apache-2.0
//! The `margay` command as a person meets it: help, exit codes, messages, and two real processes that measure.

#![allow(clippy::expect_used, reason = "a test ends where what it stands on is missing")]

#[path = "common/forbid.rs"]
mod forbid;

use margay::config::catnip::Wire;
use margay::{Completion, Config, Domain, Errno, Kind, LibOs, Qt};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::Duration;

fn margay(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_margay"));
    command.args(arguments).env_remove("CONFIG_PATH").env_remove("LIBOS").env_remove("RUST_LOG");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs it to its end; kills it after `seconds`.
fn finish(mut child: Child, seconds: u32) -> Output {
    let mut out = child.stdout.take().expect("standard output is piped");
    let mut err = child.stderr.take().expect("standard error is piped");
    let readers = [std::thread::spawn(move || read_all(&mut out)), std::thread::spawn(move || read_all(&mut err))];
    let mut status = None;
    for _ in 0..seconds * 20 {
        status = child.try_wait().expect("a child can be waited for");
        if status.is_some() {
            break;
        }
        sleep(Duration::from_millis(50));
    }
    if status.is_none() {
        child.kill().expect("a child can be killed");
        child.wait().expect("a child can be waited for");
    }
    let [stdout, stderr] = readers.map(|reader| reader.join().expect("a reader ends"));
    let status = status.unwrap_or_else(|| panic!("not done within {seconds} s: {}", String::from_utf8_lossy(&stderr)));
    Output { status, stdout, stderr }
}

fn read_all(from: &mut dyn Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).expect("a pipe can be read");
    bytes
}

/// Exit code, standard output, standard error.
fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = finish(margay(arguments).spawn().expect("margay starts"), 30);
    let text = |bytes| String::from_utf8(bytes).expect("text is UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// The two cores of a measurement: one test has them at a time, because those who poll only hold each other up.
fn two_cores() -> Option<MutexGuard<'static, ()>> {
    static CORES: Mutex<()> = Mutex::new(());
    if std::thread::available_parallelism().is_ok_and(|cores| cores.get() >= 2) {
        return Some(CORES.lock().unwrap_or_else(PoisonError::into_inner));
    }
    eprintln!("skipped: two processes that poll need two cores");
    None
}

/// Children of a process, from `/proc`.
fn children(pid: u32) -> Vec<u32> {
    let listed = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    listed.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

#[test]
fn help_tells_the_exit_codes_and_a_wrong_command_line_is_2() {
    let (code, out, _) = run(&["--help"]);
    assert_eq!(code, Some(0));
    for word in ["demo", "bench", "ping", "top", "doctor", "config", "Exit codes:", "CONFIG_PATH"] {
        assert!(out.contains(word), "{word}: {out}");
    }
    assert!(!out.contains("worker"), "{out}");
    let (code, _, err) = run(&["demonstrate"]);
    assert_eq!(code, Some(2), "{err}");
}

#[test]
fn config_check_shows_what_is_in_force_or_what_is_wrong() {
    let directory = tempfile::tempdir().expect("a folder");
    let file = directory.path().join("margay.yaml");
    let name = file.to_str().expect("a plain path");
    std::fs::write(&file, "catmem: { ring: 1 MiB }\n").expect("written");
    let (code, out, err) = run(&["config", "check", name]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert!(out.contains("OK") && out.contains("ring: 1 MiB") && out.contains("spin: 50 us"), "{out}");

    std::fs::write(&file, "catmem: { rnig: 1 MiB }\n").expect("written");
    let (code, out, err) = run(&["config", "check", name]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.contains("margay.yaml:1:") && err.contains("rnig"), "{err}");

    let (code, _, err) = run(&["config", "check", "no-such-file.yaml"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("no-such-file.yaml"), "{err}");
}

#[test]
fn what_cannot_work_is_said_before_anything_is_measured() {
    let (code, _, err) = run(&["bench", "catmem", "--cores", "0,1000"]);
    assert!(code == Some(1) && err.contains("core 1000"), "{err}");
    if let Some(_cores) = two_cores() {
        let (code, _, err) = run(&["bench", "catmem", "--json", "/no-such-folder/x.json"]);
        assert!(code == Some(1) && err.contains("/no-such-folder/x.json"), "{err}");
    }
    let (code, _, err) = run(&["worker", "--core", "0"]);
    assert!(code == Some(1) && err.contains("not by hand"), "{err}");
}

/// A quick run, which shows these words; what it wrote as JSON.
fn quick_run(what: &[&str], schema: &str, words: &[&str]) -> serde_json::Value {
    let directory = tempfile::tempdir().expect("a folder");
    let (json, svg) = (directory.path().join("run.json"), directory.path().join("run.svg"));
    let mut command = margay(&["bench", "--quick"]);
    command.args(what).arg("--json").arg(&json).arg("--svg").arg(&svg);
    let output = finish(command.spawn().expect("margay starts"), 240);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let out = String::from_utf8_lossy(&output.stdout);
    // What takes root is left out without it, and named.
    let skipped = out.lines().find(|line| line.starts_with("skipped:"));
    if let Some(line) = skipped {
        writeln!(std::io::stderr(), "{line}").expect("stderr");
    }
    for word in words.iter().chain(&["64 B"]).chain(skipped.is_none().then_some(&"p99.9")) {
        assert!(out.contains(word), "{word}: {out}");
    }

    let run: serde_json::Value = serde_json::from_slice(&read(&json)).expect("JSON");
    assert_eq!(run["schema"], format!("margay-bench-{schema}/1"));
    for goal in run["goals"].as_array().expect("a list") {
        let figure = goal["figure"].as_f64().expect("a number");
        assert!(figure.is_finite() && figure >= 0.0, "{goal}");
    }
    let drawn = String::from_utf8(read(&svg)).expect("text");
    assert!(drawn.starts_with("<svg") && drawn.contains("Margay") && (drawn.contains("99.99") || skipped.is_some()));
    run
}

#[test]
fn a_quick_run_of_catmem_measures_everything() {
    if let Some(_cores) = two_cores() {
        quick_run(&["catmem"], "catmem", &["64 B round trip", "idle wait"]);
    }
}

#[test]
fn a_quick_run_of_catloop_measures_everything() {
    let Some(_cores) = two_cores() else { return };
    let words = ["64 B round trip", "TCP over loopback", "connect, accept, close", "wait_next_n", "descriptors"];
    let run = quick_run(&["catloop"], "catloop", &words);
    let series = run["series"].as_array().expect("a list");
    let crowd = series.iter().find(|series| series["key"] == "margay/wait set/many").expect("it was measured");
    let fact = |name: &str| crowd["facts"][name].as_f64().unwrap_or_else(|| panic!("{name}: {crowd}"));
    assert!(fact("idle connections") >= 100.0, "{crowd}");
    // One descriptor for each end of a connection, and a few for all of them together.
    for side in ["server descriptors", "client descriptors"] {
        assert!((0.9..1.1).contains(&fact(side)), "{crowd}");
    }
}

#[test]
fn a_quick_run_of_kernel_sockets_measures_everything() {
    let Some(_cores) = two_cores() else { return };
    let words = ["1000 × 16 KiB", "/ io_uring", "catcollar allocates", "two polled sockets", "crowd", "goals hold"];
    let run = quick_run(&["catcollar", "catnap"], "kernel-sockets", &words);
    let series = run["series"].as_array().expect("a list");
    let fact = |key: &str, name: &str| {
        let one = series.iter().find(|series| series["key"] == key).unwrap_or_else(|| panic!("{key} was not measured"));
        assert!(one["median"].as_f64().is_some_and(|median| median > 0.0), "{one}");
        one["facts"][name].as_f64().unwrap_or_else(|| panic!("{name}: {one}"))
    };
    for server in ["epoll", "io_uring", "catnap", "catcollar"] {
        for load in ["1 connections/64", "64 connections/1024", "1000 connections/16384"] {
            let key = format!("{server}/{load}");
            // What has many connections has many answers with one call, but never one with none at all.
            assert!(fact(&key, "system calls per request") > 0.0, "{key}");
            // Whatever the machine does meanwhile, no request takes memory of its own.
            assert!(fact(&key, "allocations per request") < 0.05, "{key}");
        }
        // A receive, a send, and a share of what says that there is something.
        if matches!(server, "epoll" | "catnap") {
            assert!(fact(&format!("{server}/1000 connections/64"), "system calls per request") >= 2.0, "{server}");
        }
    }
}

#[test]
fn a_quick_run_of_network_measures_everything() {
    let Some(_cores) = two_cores() else { return };
    let words =
        ["64 B in / smoltcp", "1460 B out", "bare copy (limit)", "Margay's checksum", "allocations per datagram"];
    let run = quick_run(&["network"], "network", &words);
    let series = run["series"].as_array().expect("a list");
    for way in ["in/64", "in/1460", "out/64", "out/1460", "stream/64", "stream/1448"] {
        for stack in ["margay", "smoltcp", "bare copy"] {
            let key = format!("{stack}/{way}");
            let one = series.iter().find(|series| series["key"] == key).unwrap_or_else(|| panic!("no {key}"));
            assert!(one["median"].as_f64().is_some_and(|median| median > 0.0), "{one}");
            // Not one, whatever the machine does meanwhile.
            assert_eq!(one["facts"]["allocations per datagram"].as_f64(), Some(0.0), "{one}");
        }
    }
    for key in ["margay/bulk/65536", "margay/visit/0", "crowd of few/64", "crowd of many/64"] {
        let one = series.iter().find(|series| series["key"] == key).unwrap_or_else(|| panic!("no {key}"));
        assert!(one["median"].as_f64().is_some_and(|median| median > 0.0), "{one}");
    }
}

#[cfg(feature = "catnip-dpdk")]
#[test]
fn a_quick_run_of_dpdk_measures_everything() {
    let Some(_cores) = two_cores() else { return };
    let words = ["64 B UDP round trip / bare frames", "TCP requests of 64 sockets", "bare frames over memif (limit)"];
    let run = quick_run(&["dpdk"], "dpdk", &words);
    let series = run["series"].as_array().expect("a list");
    let figure = |key: &str| {
        let one = series.iter().find(|series| series["key"] == key).unwrap_or_else(|| panic!("no {key}"));
        assert!(one["median"].as_f64().is_some_and(|median| median > 0.0), "{one}");
        one["facts"]["allocations per request"].as_f64()
    };
    for key in ["frames/round trip/64", "udp/round trip/64", "tcp/round trip/64"] {
        figure(key);
    }
    for key in ["UDP, 64 sockets/64", "UDP, 1000 sockets/64", "TCP, 64 sockets/64", "TCP, 1000 sockets/64"] {
        // Not none at all: now and then a LibOs tells about itself.
        assert!(figure(key).is_some_and(|allocations| allocations < 0.01), "{key}: {:?}", figure(key));
    }
}

#[cfg(not(feature = "catnip-dpdk"))]
#[test]
fn a_build_without_dpdk_says_so() {
    let (code, _, err) = run(&["bench", "dpdk"]);
    assert!(code == Some(2) && err.contains("catnip-dpdk"), "{err}");
}

#[test]
fn benches_that_do_not_go_into_one_run_are_refused() {
    let (code, _, err) = run(&["bench", "catmem", "catnap"]);
    assert!(code == Some(2) && err.contains("catcollar and catnap"), "{err}");
    let (code, _, err) = run(&["bench"]);
    assert!(code == Some(2) && err.contains("BACK END"), "{err}");
}

/// `margay top` once, for a folder.
fn top(directory: &Path, more: &[&str]) -> String {
    let directory = directory.to_str().expect("a plain path");
    let mut arguments = vec!["top", "--once", "--interval", "0.5", "--directory", directory];
    arguments.extend(more);
    let (code, out, err) = run(&arguments);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    out
}

#[test]
fn top_shows_a_process_that_works() {
    let directory = tempfile::tempdir().expect("a folder");
    let mut config = Config::default();
    config.catmem.directory = Some(directory.path().into());
    let done = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stop = std::sync::Arc::clone(&done);
    // Another process than the one that shows: this one.
    let worker = std::thread::spawn(move || {
        let mut libos = LibOs::new(&config).expect("a LibOs");
        let (made, opened) = (libos.create_pipe("busy").expect("made"), libos.open_pipe("busy").expect("opened"));
        while !stop.load(std::sync::atomic::Ordering::Acquire) {
            let tokens = [libos.push(made, &[7; 100]).expect("pushed"), libos.pop(opened, None).expect("popped")];
            for qt in tokens {
                libos.wait(qt, Some(Duration::from_secs(10))).expect("in time").ok().expect("it works");
            }
        }
        libos.counters()
    });
    // The page is there soon; until then there is nothing to show.
    let mut shown = serde_json::Value::Null;
    for _ in 0..20 {
        shown = serde_json::from_str(&top(directory.path(), &["--json"])).expect("JSON");
        if shown["per_second"]["messages_pushed"].as_f64().is_some_and(|rate| rate > 0.0) {
            break;
        }
    }
    let table = top(directory.path(), &[]);
    done.store(true, std::sync::atomic::Ordering::Release);
    let counters = worker.join().expect("the worker ends");

    assert_eq!((shown["schema"].as_str(), shown["unreadable"].as_u64()), (Some("margay-top/1"), Some(0)));
    let liboses = shown["liboses"].as_array().expect("a list");
    assert_eq!(liboses.len(), 1, "{shown}");
    let libos = &liboses[0];
    assert_eq!(libos["pid"], std::process::id());
    assert_eq!((libos["queues"].as_u64(), &libos["backends"]), (Some(2), &serde_json::json!(["catmem"])));
    let rate = |name: &str| libos["per_second"][name].as_f64().unwrap_or_else(|| panic!("{name}: {shown}"));
    for way in ["pushed", "popped"] {
        let [messages, bytes] = ["messages", "bytes"].map(|what| format!("{what}_{way}"));
        let rates = [&messages, &bytes].map(|name| rate(name));
        assert!(rates[0] > 0.0 && (rates[1] / rates[0] - 100.0).abs() < 0.01, "{shown}");
        let count = libos["counters"][&messages].as_u64().expect("a number");
        assert!((1..=counters.messages_pushed).contains(&count), "{shown}");
    }
    for word in ["process", "back end", "pushed in all", "catmem", &std::process::id().to_string()] {
        assert!(table.contains(word), "{word}: {table}");
    }
}

/// Waits for a token of one of two LibOses of one thread: the other works meanwhile.
fn wait(libos: &mut LibOs, other: &mut LibOs, qt: Qt) -> Completion {
    for _ in 0..20_000 {
        other.poll();
        match libos.wait(qt, Some(Duration::from_millis(1))) {
            Ok(completion) => return completion,
            Err(error) => assert_eq!(error.errno(), Errno::TIMEDOUT),
        }
    }
    panic!("it does not end");
}

/// Two hosts of a stack of their own, joined by Unix sockets, and a connection between them: both are shown with how it fares.
#[test]
fn top_shows_how_tcp_fares() {
    let directory = tempfile::tempdir().expect("a folder");
    let host = |own: &str, other: &str, address: &str| {
        let place = |end: &str| directory.path().join(end).with_extension("wire");
        let mut config = Config { libos: Some("catnip".to_owned()), ..Config::default() };
        config.catmem.directory = Some(directory.path().into());
        config.catnip.device = Wire::Socket;
        (config.catnip.path, config.catnip.peer) = (Some(place(own)), Some(place(other)));
        config.catnip.addresses = vec![format!("{address}/24").parse().expect("an address")];
        LibOs::new(&config).expect("a LibOs")
    };
    let (mut server, mut client) = (host("near", "far", "10.13.0.1"), host("far", "near", "10.13.0.2"));
    let address = "10.13.0.1:77".parse().expect("an address");
    let [listening, socket] =
        [&mut server, &mut client].map(|libos| libos.socket(Domain::V4, Kind::Stream).expect("a socket"));
    server.bind(listening, address).expect("bound");
    server.listen(listening, 1).expect("it listens");
    let accepted = server.accept(listening).expect("accepts");
    let connected = client.connect(socket, address).expect("connects");
    wait(&mut client, &mut server, connected).ok().expect("they meet");
    let near = wait(&mut server, &mut client, accepted).accepted().expect("they meet");
    let pushed = client.push(socket, &[7; 100]).expect("pushed");
    let popped = server.pop(near, None).expect("popped");
    wait(&mut client, &mut server, pushed).ok().expect("it is taken");
    assert_eq!(wait(&mut server, &mut client, popped).into_message().expect("it came").len(), 100);
    // Once more, when it is time to tell again, of the devices, too.
    sleep(Duration::from_millis(1050));
    [&mut server, &mut client].into_iter().for_each(LibOs::poll);

    let shown: serde_json::Value = serde_json::from_str(&top(directory.path(), &["--json"])).expect("JSON");
    let liboses = shown["liboses"].as_array().expect("a list");
    let all: Vec<&serde_json::Value> =
        liboses.iter().flat_map(|libos| libos["connections"].as_array().expect("a list")).collect();
    assert_eq!((liboses.len(), all.len()), (2, 2), "who listens is no connection: {shown}");
    for one in &all {
        assert_eq!(one["state"], "Established", "{one}");
        assert!(one["rtt_ns"].as_u64().is_some_and(|rtt| rtt > 0), "{one}");
        // Ten segments (RFC 6928).
        assert!(one["window"].as_u64().is_some_and(|window| window >= 10 * 1400), "{one}");
        assert_eq!(one["retransmits"], 0, "{one}");
    }
    assert!(
        all.iter().any(|one| one["peer"] == "10.13.0.1:77") && all.iter().any(|one| one["local"] == "10.13.0.1:77")
    );
    for libos in liboses {
        let device = &libos["device"];
        assert!(device["received_bytes"].as_u64().is_some_and(|bytes| bytes >= 100), "{libos}");
        assert_eq!((device["receive_drops"].as_u64(), device["send_drops"].as_u64()), (Some(0), Some(0)), "{libos}");
    }
    let table = top(directory.path(), &[]);
    for word in ["state", "delivered", "Established", "10.13.0.1:77", "device", "received_bytes ", "send_drops 0"] {
        assert!(table.contains(word), "{word}: {table}");
    }
}

#[test]
fn top_says_what_to_do_where_there_is_nothing() {
    let directory = tempfile::tempdir().expect("a folder");
    let nowhere = directory.path().join("not there");
    let told = top(&nowhere, &[]);
    assert!(told.contains("No LibOs") && told.contains("--directory") && told.contains("not there"), "{told}");
    assert!(!nowhere.exists(), "looking makes no folder");
    let shown: serde_json::Value = serde_json::from_str(&top(&nowhere, &["--json"])).expect("JSON");
    assert_eq!(shown["liboses"], serde_json::json!([]));
    let (code, _, err) = run(&["top", "--once", "--interval", "0"]);
    assert!(code == Some(2) && err.contains("0.2 to 3600"), "{err}");
    let file = directory.path().join("file");
    std::fs::write(&file, "").expect("written");
    let (code, _, err) = run(&["top", "--once", "--directory", file.to_str().expect("a plain path")]);
    assert!(code == Some(1) && err.contains("cannot look into"), "{err}");
}

/// What `margay doctor` finds as JSON, in a process that was changed first; and its exit code.
fn doctor(change: impl FnOnce(&mut Command)) -> (Option<i32>, serde_json::Value) {
    let directory = tempfile::tempdir().expect("a folder");
    let mut command = margay(&["doctor", "--json"]);
    command.env("XDG_RUNTIME_DIR", directory.path());
    change(&mut command);
    let output = finish(command.spawn().expect("margay starts"), 30);
    let told = String::from_utf8_lossy(&output.stdout);
    let shown = serde_json::from_str(&told).unwrap_or_else(|error| panic!("{error}: {told}"));
    assert_eq!(std::fs::read_dir(directory.path()).expect("listed").count(), 0, "looking leaves nothing");
    (output.status.code(), shown)
}

/// State, and what to do, of one finding.
fn finding<'a>(shown: &'a serde_json::Value, what: &str) -> (&'a str, &'a str) {
    let findings = shown["findings"].as_array().expect("a list");
    let finding = findings.iter().find(|finding| finding["what"] == what).unwrap_or_else(|| panic!("{what}: {shown}"));
    (finding["state"].as_str().expect("a state"), finding["do"].as_str().unwrap_or_default())
}

#[test]
fn doctor_tells_each_thing_with_its_state_and_what_to_do() {
    let (code, shown) = doctor(|_| ());
    assert_eq!(shown["schema"], "margay-doctor/1");
    assert!(shown["kernel"].as_str().is_some_and(|kernel| kernel.contains('.')), "{shown}");
    let findings = shown["findings"].as_array().expect("a list");
    for finding in findings {
        let state = finding["state"].as_str().expect("a state");
        assert!(["ok", "limited", "missing"].contains(&state), "{finding}");
        assert_eq!(finding["do"].is_null(), state == "ok", "{finding}");
    }
    let missing = findings.iter().any(|finding| finding["state"] == "missing");
    assert_eq!(code, Some(i32::from(missing)), "{shown}");
    for what in
        ["kernel", "cores", "io_uring", "locked memory", "descriptors", "shared memory", "membarrier", "low ports"]
    {
        finding(&shown, what);
    }
    assert_eq!(finding(&shown, "runtime directory"), ("ok", ""));

    // The same as a table, whose columns stand below each other.
    let (_, table, err) = run(&["doctor"]);
    assert_eq!(err, "");
    let column = table.lines().next().and_then(|header| header.find("state")).expect("a header");
    for (number, finding) in findings.iter().enumerate() {
        let what = finding["what"].as_str().expect("a name");
        let line = table.lines().find(|line| line.trim_start().starts_with(&format!("{what} "))).expect(what);
        let state = line.get(column..).unwrap_or_default();
        assert!(["ok", "limited", "missing"].iter().any(|word| state.starts_with(word)), "{number}: {table}");
    }
}

#[test]
fn doctor_finds_what_is_wrong_with_the_runtime_directory() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    std::fs::write(&file, "").expect("written");
    let (code, shown) = doctor(|command| {
        command.arg("--directory").arg(&file);
    });
    assert_eq!(code, Some(1), "{shown}");
    let (state, todo) = finding(&shown, "runtime directory");
    assert!(state == "missing" && todo.contains("catmem.directory"), "{shown}");
    let (code, out, err) = run(&["doctor", "--colour"]);
    assert!(code == Some(2) && out.is_empty(), "{err}");
}

#[test]
fn doctor_finds_limits_that_are_low() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    use std::os::unix::process::CommandExt;
    let (_, shown) = doctor(|command| {
        // SAFETY: between fork and exec it makes one system call.
        unsafe {
            command.pre_exec(|| {
                setrlimit(Resource::Nofile, Rlimit { current: Some(64), maximum: Some(64) })?;
                Ok(())
            })
        };
    });
    let (state, todo) = finding(&shown, "descriptors");
    assert!(state == "limited" && todo.contains("16384"), "{shown}");
}

#[test]
fn doctor_says_what_forbids_io_uring_and_what_to_take_instead() {
    use std::os::unix::process::CommandExt;
    let mut filter = forbid::filter(libc::SYS_io_uring_setup, libc::EPERM);
    let (code, shown) = doctor(|command| {
        // SAFETY: between fork and exec it makes two system calls, and touches nothing but its own copy of the filter.
        unsafe { command.pre_exec(move || forbid::install(&mut filter)) };
    });
    assert_eq!(code, Some(1), "{shown}");
    let (state, todo) = finding(&shown, "io_uring");
    assert!(state == "missing" && todo.contains("catnap") && todo.contains("io_uring_setup"), "{shown}");
}

#[test]
fn when_one_process_dies_the_other_goes_too() {
    let Some(_cores) = two_cores() else { return };
    let temporary = tempfile::tempdir().expect("a folder");
    let mut command = margay(&["bench", "catmem", "--quick"]);
    let child = command.env("TMPDIR", temporary.path()).spawn().expect("margay starts");
    let mut workers = Vec::new();
    for _ in 0..200 {
        workers = children(child.id());
        if workers.len() == 2 {
            break;
        }
        sleep(Duration::from_millis(10));
    }
    assert_eq!(workers.len(), 2, "both processes start");
    sleep(Duration::from_millis(300));
    let killed = Command::new("kill").args(["-9", &workers[1].to_string()]).status().expect("kill runs");
    assert!(killed.success());
    let output = finish(child, 30);
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && err.contains("client"), "{err}");
    assert!(!Path::new(&format!("/proc/{}", workers[0])).exists(), "the server is still there");
    assert_eq!(std::fs::read_dir(temporary.path()).expect("listed").count(), 0, "something is left behind");
}

fn read(file: &Path) -> Vec<u8> {
    std::fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// Echo requests go through a stack of our own to another one, and come back; nobody there is exit code 1.
#[test]
fn ping_asks_through_a_stack_of_our_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (near, far) = (path("near"), path("far"));
    let ask = |to: &str, more: &[&str]| {
        let wire = ["ping", to, "--device", "socket", "--path", &near, "--peer", &far, "--address", "10.0.0.1/24"];
        run(&[&wire[..], &["--count", "3", "--interval", "0.01"], more].concat())
    };
    let (code, out, err) = ask("10.0.0.2", &["--timeout", "0.1"]);
    assert_eq!(code, Some(1), "{out}{err}");
    assert!(out.contains("3 sent, 0 answered, 3 lost"), "{out}");
    let text = format!("libos: catnip\ncatnip: {{ path: {far}, peer: {near}, addresses: [10.0.0.2/24] }}");
    let config = Config::from_yaml("far", &text).expect("a configuration");
    let (ended, end) = std::sync::mpsc::channel::<()>();
    let host = std::thread::spawn(move || {
        let mut libos = LibOs::new(&config).expect("the other end starts");
        while end.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
            libos.poll();
            sleep(Duration::from_micros(200));
        }
    });
    let frames = path("frames.pcapng");
    let (code, out, err) = ask("10.0.0.2", &["--size", "4000", "--pcap", &frames]);
    drop(ended);
    host.join().expect("the other end ends");
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.contains("3 sent, 3 answered, 0 lost") && out.contains("4000 bytes from 10.0.0.2"), "{out}");
    assert!(out.contains("p99"), "{out}");
    // Three requests and answers, in three fragments each, and who is asked for.
    assert!(std::fs::metadata(&frames).expect("frames were written").len() > 6 * 4000);
    let (code, _, err) = run(&["ping", "10.0.0.2", "--device", "tap", "--address", "10.0.0.1/24"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("catnip.interface"), "{err}");
    let (code, _, err) = ask("fd00::2", &[]);
    assert_eq!(code, Some(1));
    assert!(err.contains("--address"), "{err}");
}
