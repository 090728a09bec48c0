// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is accepted, and what a person reads when it is not.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

const EXAMPLE: &str = include_str!("../../examples/margay.yaml");
const REFERENCE: &str = include_str!("../../docs/config.md");

/// Every key with a value that is not its default.
const ALL_KEYS: &str = "\
libos: catmem
wait: { spin: 2 s }
buffers: { small_size: 1 KiB, small_count: 17, large_size: 8KiB, large_count: 2, headroom: 0, oversize_limit: 1 GiB }
catmem:
  directory: /run/user/1/margay
  ring: 1 MiB
  slot: 4096
  slots: 0
  max_message: 1 GiB
  handshake_timeout: 20ms
catloop:
  addresses: [10.0.0.1, 'fd00::1']
  ring: 64 KiB
  slot: 8 KiB
  slots: 3
  connect_timeout: 1ms
  backlog_full: refuse
  handshake_timeout: 3 s
  datagram_ring: 1 MiB
catnap: { receive: 16 KiB, zero_copy: 32 KiB }
catcollar:
  entries: 64
  completions: 256
  buffers: 32
  buffer_size: 4 KiB
  sqpoll: 1 s
  busy_poll: 50us
  registered_sockets: 100
  zero_copy: 1 MiB
catnip:
  device: tap
  interface: tap7
  path: /run/user/1/a
  peer: /run/user/1/b
  mac: 02:00:00:00:00:07
  mtu: 9000
  addresses: [10.0.0.1/24, 'fd00::1/64']
  routes: [default via 10.0.0.254, 'fd01::/48 via fd00::2 metric 5']
  neighbours: ['10.0.0.2 02:00:00:00:00:08']
  vlan: 7
  dhcp: on
  slaac: on
  detect_duplicates: on
  hops: 3
  checksum_offload: off
  segmentation_offload: off
  receive_frames: 16
  transmit_frames: 17
  promiscuous: on
  xdp: { mode: generic, zero_copy: off, queues: 3, busy_poll: 20us }
  dpdk: { port: 'net_null0,size=64', eal: ['-v'], memory: 64 MiB, queues: 2, burst: 8, prefetch: 0, buffers: 4096, attach: off, interrupts: off }
  tcp:
    retries: 9
    profile: datacenter
    algorithm: bbr
    rto_min: 3 ms
    rto_max: 60 s
    rto_initial: 300 ms
    ack_delay: 5 ms
    receive_buffer: 64 KiB
    receive_buffer_max: 1 MiB
    send_buffer: 1 MiB
    sack: off
    timestamps: off
    window_scaling: off
    ecn: off
    rack: off
    no_delay: on
    time_wait: 2 s
    syn_retries: 2
    syn_ack_retries: 3
    user_timeout: 30 s
    fin_wait: 3 s
    completion: acked
    cookies: off
    fast_open: on
  pcap: /run/user/1/frames.pcapng
  faults: [drop 1%, duplicate 0.5%, reorder 2%, corrupt 0.01%, delay 3ms, seed 9]
limits:
  queues: 1
  operations: 2
";

fn load(text: &str) -> Result<Config, ConfigError> {
    Config::from_yaml("m.yaml", text)
}

/// The message for a text that must be refused, which must point at this line and column.
fn refused(text: &str, line: usize, column: usize) -> String {
    let error = load(text).expect_err(text);
    let message = error.to_string();
    let place = error.place().unwrap_or_else(|| panic!("no place: {message}"));
    assert_eq!((place.line, place.column), (line, column), "{message}");
    assert!(message.starts_with(&format!("m.yaml:{line}:{column}: ")), "{message}");
    assert!(message.contains("do:"), "{message}");
    message
}

#[track_caller]
fn has(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "{part:?} is missing in:\n{message}");
    }
}

#[test]
fn the_default_passes_its_own_check() {
    Config::default().check().unwrap();
    assert_eq!(Config::default().libos_name(), "catloop");
}

#[test]
fn nothing_given_means_the_default() {
    for text in
        ["", "\n\n", "# only a comment\n", "---\n", "{}", "wait:\n", "wait: {}\ncatmem:\n  ring:\n", "null", "\u{feff}"]
    {
        assert_eq!(load(text).unwrap_or_else(|e| panic!("{text:?}: {e}")), Config::default(), "{text:?}");
    }
}

#[test]
fn the_example_is_the_default_and_has_every_key() {
    assert_eq!(Config::from_yaml("examples/margay.yaml", EXAMPLE).unwrap(), Config::default());
    for line in ALL_KEYS.lines() {
        for key in line.split([' ', '{', ',']).filter_map(|word| word.strip_suffix(':')) {
            assert!(EXAMPLE.contains(&format!("{key}:")), "{key} is not in the example");
            assert!(REFERENCE.contains(&format!("`{key}`")), "{key} is not in docs/config.md");
        }
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a field for each key")]
fn every_key_arrives_in_its_field() {
    let expected = Config {
        libos: Some("catmem".into()),
        wait: WaitConfig { spin: Spin::For(Duration::from_secs(2)) },
        buffers: BuffersConfig {
            small_size: 1024,
            small_count: 17,
            large_size: 8192,
            large_count: 2,
            headroom: 0,
            oversize_limit: 1 << 30,
        },
        catmem: CatmemConfig {
            directory: Some("/run/user/1/margay".into()),
            ring: 1 << 20,
            slot: 4096,
            slots: 0,
            max_message: 1 << 30,
            handshake_timeout: Duration::from_millis(20),
        },
        catloop: CatloopConfig {
            addresses: vec![[10, 0, 0, 1].into(), "fd00::1".parse().unwrap()],
            ring: 64 << 10,
            slot: 8 << 10,
            slots: 3,
            connect_timeout: Duration::from_millis(1),
            backlog_full: BacklogFull::Refuse,
            handshake_timeout: Duration::from_secs(3),
            datagram_ring: 1 << 20,
        },
        catnap: CatnapConfig { receive: 16 << 10, zero_copy: Some(32 << 10) },
        catcollar: CatcollarConfig {
            entries: 64,
            completions: 256,
            buffers: 32,
            buffer_size: 4096,
            sqpoll: Some(Duration::from_secs(1)),
            busy_poll: Duration::from_micros(50),
            registered_sockets: Some(100),
            zero_copy: Some(1 << 20),
        },
        catnip: CatnipConfig {
            device: catnip::Wire::Tap,
            interface: Some("tap7".into()),
            path: Some("/run/user/1/a".into()),
            peer: Some("/run/user/1/b".into()),
            mac: Some(catnip::MacAddress([2, 0, 0, 0, 0, 7])),
            mtu: Some(9000),
            addresses: vec!["10.0.0.1/24".parse().unwrap(), "fd00::1/64".parse().unwrap()],
            routes: vec![
                catnip::Route {
                    prefix: catnip::Prefix::DEFAULT_V4,
                    hop: catnip::Hop::Gateway([10, 0, 0, 254].into()),
                    metric: 0,
                },
                catnip::Route {
                    prefix: "fd01::/48".parse().unwrap(),
                    hop: catnip::Hop::Gateway("fd00::2".parse().unwrap()),
                    metric: 5,
                },
            ],
            neighbours: vec![([10, 0, 0, 2].into(), catnip::MacAddress([2, 0, 0, 0, 0, 8]))],
            vlan: Some(7),
            dhcp: true,
            slaac: true,
            detect_duplicates: true,
            hops: 3,
            checksum_offload: false,
            segmentation_offload: false,
            receive_frames: 16,
            transmit_frames: 17,
            promiscuous: true,
            xdp: xdp::XdpConfig {
                mode: xdp::Mode::Generic,
                zero_copy: false,
                queues: Some(3),
                busy_poll: Duration::from_micros(20),
            },
            dpdk: dpdk::DpdkConfig {
                port: Some("net_null0,size=64".to_owned()),
                eal: vec!["-v".to_owned()],
                memory: 64 << 20,
                queues: 2,
                burst: 8,
                prefetch: 0,
                buffers: Some(4096),
                attach: false,
                interrupts: false,
            },
            tcp: tcp::Settings {
                algorithm: tcp::Algorithm::Bbr,
                rto_min: Duration::from_millis(3),
                rto_max: Duration::from_mins(1),
                rto_initial: Duration::from_millis(300),
                ack_delay: Duration::from_millis(5),
                receive_buffer: 65_536,
                receive_buffer_max: 1 << 20,
                send_buffer: 1 << 20,
                sack: false,
                timestamps: false,
                window_scaling: false,
                ecn: false,
                rack: false,
                no_delay: true,
                time_wait: Duration::from_secs(2),
                syn_retries: 2,
                syn_ack_retries: 3,
                retries: 9,
                user_timeout: Some(Duration::from_secs(30)),
                fin_wait: Duration::from_secs(3),
                completion: tcp::Completion::Acked,
                cookies: false,
                fast_open: true,
            },
            pcap: Some("/run/user/1/frames.pcapng".into()),
            faults: Some(catnip::Faults {
                seed: 9,
                drop: 10_000,
                duplicate: 5_000,
                reorder: 20_000,
                corrupt: 100,
                delay: Duration::from_millis(3),
            }),
        },
        limits: LimitsConfig { queues: 1, operations: 2 },
    };
    assert_eq!(load(ALL_KEYS).unwrap(), expected);
}

#[test]
fn addresses_are_a_list_and_none_can_be_what_no_host_has() {
    has(
        &refused("catloop:\n  addresses: [10.0.0.1, 10.0.0]\n", 2, 25),
        &["`catloop.addresses`", "IPv4 or IPv6", "10.0.0"],
    );
    has(&refused("catloop:\n  addresses: [0.0.0.0]\n", 2, 15), &["no host has", "unicast"]);
    has(&refused("catnap:\n  zero_copy: 1 KiB\n", 2, 14), &["`catnap.zero_copy`", "4 KiB to 1 GiB"]);
    has(&refused("catnap:\n  zero_copy: no\n", 2, 14), &["write off"]);
    has(&refused("catcollar:\n  entries: 100\n", 2, 12), &["power of two", "128"]);
    has(&refused("catcollar:\n  completions: 512\n", 2, 16), &["below twice", "at least 1024"]);
    has(&refused("catcollar:\n  registered_sockets: 7\n", 2, 23), &["8 to 1048576"]);
    has(&refused("catcollar:\n  sqpoll: 1us\n", 2, 11), &["1 ms to 10 s, or off"]);
    has(&refused("catloop:\n  backlog_full: drop\n", 2, 17), &["wait or refuse", "drop"]);
    let many = vec!["10.0.0.1"; 65].join(", ");
    has(&refused(&format!("catloop:\n  addresses: [{many}]\n"), 2, 15), &["at most 64", "65 addresses"]);
}

#[test]
fn a_port_of_dpdk_needs_a_name_and_a_build_that_has_it() {
    let message = Config::from_yaml("given", "libos: catnip\ncatnip:\n  device: dpdk\n").unwrap_err().to_string();
    let wanted = if cfg!(feature = "catnip-dpdk") { "`catnip.dpdk.port` is missing" } else { "has no DPDK" };
    assert!(message.contains(wanted), "{message}");
    // What is written there is checked in any case.
    for wrong in [
        "memory: 1 MiB",
        "queues: 0",
        "burst: 3",
        "burst: 33",
        "prefetch: 9",
        "buffers: 100",
        "attach: maybe",
        "interrupts: 3",
    ] {
        let text = format!("catnip:\n  dpdk:\n    {wrong}\n");
        assert!(Config::from_yaml("given", &text).is_err(), "{wrong}");
    }
}

#[test]
fn sizes_are_read_with_and_without_units() {
    for (text, bytes) in [
        ("256 KiB", 256 << 10),
        ("64KiB", 64 << 10),
        ("8192", 8192),
        ("8192 B", 8192),
        ("1 mib", 1 << 20),
        ("\"4 KiB\"", 4096),
    ] {
        assert_eq!(load(&format!("catmem:\n  ring: {text}\n")).unwrap().catmem.ring, bytes, "{text}");
    }
    for (text, says) in [
        ("256 KB", "write KiB"),
        ("1.5 MiB", "whole number"),
        ("64_000", "digits only"),
        ("0x1000", "replace the unit"),
        ("-4096", "minus"),
        ("~x", "begin with a digit"),
        ("99999999999999999999", "smaller"),
        ("17179869184 GiB", "smaller"),
    ] {
        has(&refused(&format!("catmem:\n  ring: {text}\n"), 2, 9), &["`catmem.ring`", says, "256 KiB", text]);
    }
}

#[test]
fn durations_need_a_unit() {
    for (text, spin) in [
        ("50us", Spin::For(Duration::from_micros(50))),
        ("7 µs", Spin::For(Duration::from_micros(7))),
        ("1ms", Spin::For(Duration::from_millis(1))),
        ("2 s", Spin::For(Duration::from_secs(2))),
        ("900 ns", Spin::For(Duration::from_nanos(900))),
        ("0", Spin::For(Duration::ZERO)),
        ("forever", Spin::Forever),
    ] {
        assert_eq!(load(&format!("wait: {{ spin: {text} }}")).unwrap().wait.spin, spin, "{text}");
    }
    has(&refused("wait:\n  spin: 50\n", 2, 9), &["50us", "add a unit", "forever"]);
    has(&refused("wait:\n  spin: always\n", 2, 9), &["always", "forever"]);
    has(&refused("wait:\n  spin: 11 s\n", 2, 9), &["out of its range", "11 s", "0 ns to 10 s, or forever"]);
    has(&refused("catmem:\n  handshake_timeout: forever\n", 2, 22), &["ns, us, ms or s"]);
    has(&refused("catmem:\n  handshake_timeout: 1 us\n", 2, 22), &["1 ms to 60 s"]);
}

#[test]
fn unknown_keys_are_refused_with_the_known_ones() {
    has(
        &refused("catmem:\n  rimg: 4 KiB\n", 2, 3),
        &["unknown key `rimg` in `catmem`", "directory, ring, slot, slots, max_message", "did you mean `ring`?"],
    );
    has(&refused("catmen:\n  ring: 4 KiB\n", 1, 1), &["`catmen`", "libos, wait, buffers", "did you mean `catmem`?"]);
    has(&refused("ring: 4 KiB\n", 1, 1), &["move `ring` under `catmem:`"]);
    has(&refused("wait:\n  libos: catmem\n", 2, 3), &["move `libos` to the left margin"]);
    has(&refused("wait:\n  qqqqqqqqqqqq: 1\n", 2, 3), &["take the line out"]);
    assert_eq!(load("catmem: { rimg: 1 }").unwrap_err().key(), Some("catmem.rimg"));
}

#[test]
fn duplicate_keys_are_refused() {
    has(&refused("wait:\n  spin: 1us\n  spin: 2us\n", 3, 3), &["stands twice", "spin"]);
    has(&refused("libos: catmem\nlibos: catmem\n", 2, 1), &["stands twice", "libos"]);
}

#[test]
fn ranges_point_at_the_value() {
    has(
        &refused("libos: catmem\ncatmem:\n  ring: 100 KiB  # odd\n", 3, 9),
        &[
            "`catmem.ring` is out of its range",
            "found:   100 KiB",
            "a power of two from 4 KiB to 64 MiB",
            "write 128 KiB",
            " 3 |   ring: 100 KiB",
        ],
    );
    has(&refused("limits: { queues: 0 }\n", 1, 19), &["a number from 1 to 1048576", "write 1,"]);
    has(&refused("buffers: { small_size: 300 }\n", 1, 24), &["multiple of 64 B", "write 320 B"]);
    has(
        &refused("buffers:\n  small_size: 8 KiB\n  large_size: 4 KiB\n", 3, 15),
        &["below `buffers.small_size`", "8 KiB"],
    );
    has(&refused("catmem:\n  directory: run\n", 2, 14), &["no absolute path", "begins with /"]);
    has(&refused("catmem:\n  directory: \"/a\\0b\"\n", 2, 14), &["NUL"]);
}

#[test]
fn code_is_held_to_the_same_ranges() {
    let config = Config { catmem: CatmemConfig { slot: 3000, ..Default::default() }, ..Default::default() };
    let error = config.check().unwrap_err();
    assert_eq!((error.key(), error.place(), error.errno()), (Some("catmem.slot"), None, runtime::Errno::INVAL));
    has(&error.to_string(), &["`catmem.slot`", "3000 B", "power of two"]);
    assert_eq!(runtime::Error::from(error).errno(), runtime::Errno::INVAL);
    // A rule that was broken by a default beside a given value has no line of its own.
    let error = load("buffers: { small_size: 16 KiB, large_size: 4 KiB }").unwrap_err();
    assert_eq!(error.place().map(|p| p.line), Some(1));
}

#[test]
fn wrong_shapes_are_told() {
    has(&refused("catmem: 5\n", 1, 9), &["wrong shape", "key: value", "found:   5\n"]);
    has(&refused("- a\n- b\n", 1, 1), &["wrong shape"]);
    has(&refused("catmem:\n  ring: [1, 2]\n", 2, 9), &["wrong shape"]);
    has(&refused("catmem:\n  ring: { a: 1 }\n", 2, 9), &["wrong shape"]);
    has(&refused("wait:\n  spin: !rust 5us\n", 2, 15), &["tag"]);
    for text in ["wait:\n\tspin: 1us\n", "wait: {", "a: 'b\n", "wait: { spin: 1us\nlimits: 3", "x", "{}\n---\n{}\n"] {
        let error = load(text).expect_err(text);
        assert!(error.place().is_some_and(|p| p.line > 0), "{error}");
    }
}

#[test]
fn back_ends_are_known_by_name() {
    let with = |name: &str| Config::from_variables(None, Some(name.into())).map(|c| c.libos);
    assert_eq!(with("catmem").unwrap(), Some("catmem".into()));
    has(
        &with("catmint").unwrap_err().to_string(),
        &[
            "catmint is not part of this build",
            "allowed: auto, catloop, catmem, catcollar, catnap, catnip, catpowder",
            "LIBOS",
        ],
    );
    has(
        &with("dogmem").unwrap_err().to_string(),
        &[
            "no back end has this name",
            "dogmem",
            "allowed: auto, catloop, catmem, catcollar, catnap, catnip, catpowder",
            "LIBOS",
        ],
    );
    has(&with("").unwrap_err().to_string(), &["no back end is named", "catloop"]);
    has(&refused("libos: catmint\n", 1, 8), &["not part of this build"]);
}

/// What a device needs is asked for if it is the one that is used, and not before.
#[test]
fn a_network_stack_needs_a_wire() {
    let lacks = |text: &str, key: &str| {
        has(&load(text).expect_err(text).to_string(), &[&format!("`{key}` is missing")]);
    };
    lacks("libos: catnip", "catnip.path");
    lacks("libos: catnip\ncatnip: { path: /a }", "catnip.peer");
    lacks("libos: catnip\ncatnip: { device: tap }", "catnip.interface");
    lacks("libos: catpowder\ncatnip: { path: /a, peer: /b }", "catnip.interface");
    for text in [
        "libos: catnap\ncatnip: { device: tap }",
        "libos: catnip\ncatnip: { path: /a, peer: /b }",
        "libos: catnip\ncatnip: { device: packet, interface: eth0 }",
        "libos: catpowder\ncatnip: { interface: eth0 }",
    ] {
        load(text).expect(text);
    }
    has(&refused("catnip:\n  mtu: 500\n", 2, 8), &["576 B to"]);
    has(&refused("catnip: { mtu: 1000, slaac: on }\n", 1, 16), &["IPv6", "1280"]);
    has(&refused("catnip:\n  mac: 01:00:5e:00:00:01\n", 2, 8), &["no host", "begins with 02"]);
    has(&refused("catnip:\n  addresses: [10.0.0.1/24, 10.0.0.2]\n", 2, 28), &["10.0.0.1/24 or"]);
    has(&refused("catnip:\n  routes: [default]\n", 2, 12), &["default via ADDRESS"]);
    has(&refused("catnip:\n  neighbours: [10.0.0.2]\n", 2, 16), &["with a space between"]);
    has(&refused("catnip:\n  dhcp: yes please\n", 2, 9), &["on or off"]);
    has(&refused("catnip:\n  vlan: 4095\n", 2, 9), &["1 to 4094"]);
    has(&refused("catnip:\n  faults: [drop 1]\n", 2, 12), &["percentage"]);
}

#[test]
fn tcp_has_a_section_of_its_own() {
    assert_eq!(load("catnip: { tcp: { profile: datacenter } }").unwrap().catnip.tcp, tcp::Settings::datacenter());
    let config = load("catnip: { tcp: { rto_min: 7 ms, profile: datacenter } }").unwrap();
    let expected = tcp::Settings { rto_min: Duration::from_millis(7), ..tcp::Settings::datacenter() };
    assert_eq!(config.network().tcp, expected);
    let bad = |line: &str, parts: &[&str]| {
        has(&refused(&format!("catnip:\n  tcp:\n    {line}\n"), 3, 7 + line.find(':').unwrap()), parts);
    };
    bad("profile: wan", &["`catnip.tcp.profile`", "internet or datacenter"]);
    bad("algorithm: reno", &["cubic, newreno, dctcp or bbr"]);
    bad("completion: done", &["queued, sent or acked"]);
    bad("rto_min: 1 us", &["100 us to 60 s", "write 100 us"]);
    bad("rto_max: 1 ms", &["1 s to 600 s"]);
    bad("rto_initial: 5", &["add a unit"]);
    bad("ack_delay: 500 ms", &["0 ns to 499 ms"]);
    bad("time_wait: 601 s", &["600 s"]);
    bad("fin_wait: 0", &["1 s to"]);
    bad("user_timeout: 2 s s", &["or write off"]);
    bad("user_timeout: 90000 s", &["or off"]);
    bad("receive_buffer: 4095", &["4 KiB to 1 GiB", "4095 B"]);
    bad("receive_buffer_max: 64 KiB", &["at least 128 KiB", "raise `receive_buffer_max`"]);
    bad("send_buffer: 2 GiB", &["write 1 GiB"]);
    bad("syn_retries: 256", &["0 to 255"]);
    bad("cookies: yes please", &["on or off"]);
    bad("fast_open: client", &["on or off"]);
    has(&refused("catnip:\n  tcp: { algorithm: dctcp, ecn: off }\n", 2, 21), &["ecn", "turn `ecn` on"]);
    has(&refused("catnip:\n  tcp: { rto_mim: 1 s }\n", 2, 10), &["in `catnip.tcp`", "did you mean `rto_min`?"]);
    has(&refused("catnip:\n  rto_min: 1 s\n", 2, 3), &["move `rto_min` under `catnip.tcp:`"]);
    has(&refused("catnip:\n  tcp: 5\n", 2, 8), &["wrong shape", "tcp in catnip"]);
}

#[test]
fn config_path_is_read_or_told() {
    assert_eq!(Config::from_variables(None, None).unwrap(), Config::default());
    let missing = Config::from_variables(Some("/nonexistent/m.yaml".into()), None).unwrap_err();
    has(&missing.to_string(), &["/nonexistent/m.yaml: ", "cannot be read", "create the file", "CONFIG_PATH"]);
    assert_eq!(missing.errno(), runtime::Errno::NOENT);
    has(&Config::from_variables(Some("".into()), None).unwrap_err().to_string(), &["CONFIG_PATH is set, but empty"]);
    has(&Config::from_file("/").unwrap_err().to_string(), &["cannot be read", "name a file"]);
    has(&Config::from_file("/dev/zero").unwrap_err().to_string(), &["at most 1 MiB"]);
}

#[test]
fn files_are_read() {
    let path = std::env::temp_dir().join(format!("margay-config-{}.yaml", std::process::id()));
    let write = |bytes: &[u8]| std::fs::File::create(&path).unwrap().write_all(bytes).unwrap();
    write(b"wait: { spin: forever }\n");
    let loaded = Config::from_variables(Some(path.clone().into()), Some("catmem".into()));
    write(b"# text\nwait: \xff\xfe\n");
    let not_text = Config::from_file(&path);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(loaded.unwrap().wait.spin, Spin::Forever);
    let error = not_text.unwrap_err();
    assert_eq!(error.place().map(|p| (p.line, p.column)), Some((2, 7)));
    has(&error.to_string(), &["no UTF-8 text", "0xff"]);
}

#[test]
fn hostile_files_are_refused_in_bounded_work() {
    let mut bomb = String::from("a: &a [x,x,x,x,x,x,x,x,x]\n");
    for (previous, this) in ('a'..='y').zip('b'..='z') {
        let aliases = vec![format!("*{previous}"); 9].join(",");
        writeln!(bomb, "{this}: &{this} [{aliases}]").unwrap();
    }
    let deep_block = (0..700).map(|depth| " ".repeat(depth) + "a:\n").collect::<String>();
    for text in [
        bomb.clone(),
        format!("wait: {{ spin: 1us }}\nlimits:\n  queues: &a [*a]\n{bomb}"),
        "[".repeat(500_000),
        "{a: ".repeat(200_000),
        "- ".repeat(500_000),
        "? ".repeat(500_000),
        deep_block,
        format!("wait: {{ spin: {} }}", "9".repeat(900_000)),
        format!("{}: 1", "k".repeat(900_000)),
        format!("? {}\n: 1", "k".repeat(900_000)),
        "&a ".repeat(300_000),
        "--- {}\n".repeat(100_000),
        "x".repeat(1 << 20) + "y",
        "libos: \"\u{1b}[2J\u{202e}\"\n".into(),
        "%YAML 9.9\n--- {}\n--- {}".into(),
    ] {
        let message = load(&text).expect_err("a hostile file was accepted").to_string();
        assert!(message.len() < 2000, "{} bytes of message", message.len());
        assert!(!message.contains(['\u{1b}', '\u{202e}']), "{message:?}");
    }
    // A long file of comments is no attack.
    assert_eq!(load(&"# comment\n".repeat(100_000)).unwrap(), Config::default());
}

#[test]
fn snippets_of_long_lines_are_cropped_around_the_place() {
    let text = format!("limits: {{ {}queues: 0 }}", " ".repeat(500));
    let message = load(&text).unwrap_err().to_string();
    let lines: Vec<&str> = message.lines().collect();
    assert_eq!(lines[2].chars().position(|c| c == '0'), lines[3].chars().position(|c| c == '^'), "{message}");
}

#[test]
fn what_is_shown_can_be_read_back() {
    for bytes in [0, 1, 1023, 1024, 1536, 1 << 20, 3 << 30] {
        assert_eq!(parse::size(&parse::show_size(bytes)), Ok(bytes));
    }
    for nanos in [0, 1, 1_000, 1_500, 2_000_000, 3_000_000_000] {
        let duration = Duration::from_nanos(nanos);
        assert_eq!(parse::duration(&parse::show_duration(duration)), Ok(duration));
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in any::<String>()) {
        if let Err(error) = load(&text) {
            prop_assert!(error.place().is_some());
            prop_assert!(error.to_string().len() < 4000);
        }
    }

    #[test]
    fn no_yaml_like_text_panics(
        words in prop::collection::vec(
            prop::sample::select(vec![
                "libos", "catmem", "ring", "wait", "spin", ":", ": ", "\n", "\n  ", "\r", "- ", "{", "}", "[", "]", ",",
                "&a", "*a", "!t ", "<<", "|", ">", "'", "\"", "#", "---", "...", "? ", "~", "50us", "4 KiB", "\t", "é", "\u{0}", "%",
            ]),
            0..40,
        )
    ) {
        if let Err(error) = load(&words.concat()) {
            prop_assert!(error.place().is_some());
        }
    }

    #[test]
    fn no_value_panics(key in prop::sample::select(vec!["spin", "ring", "queues", "directory"]), value in any::<String>()) {
        let section = match key { "spin" => "wait", "queues" => "limits", _ => "catmem" };
        let _ = load(&format!("{section}:\n  {key}: {value}\n"));
        let _ = (parse::size(&value), parse::count(&value), parse::spin(&value));
    }

    #[test]
    fn a_config_that_passes_loads_back(ring in 12u32..=26, slots in 0usize..=1024, micros in 0u64..=10_000_000) {
        let text = format!("catmem: {{ ring: {}, slots: {slots} }}\nwait: {{ spin: {micros}us }}", 1u64 << ring);
        let config = load(&text).unwrap();
        prop_assert_eq!(config.check(), Ok(()));
        prop_assert_eq!(config.catmem.ring, 1usize << ring);
        prop_assert_eq!(config.wait.spin, Spin::For(Duration::from_micros(micros)));
    }
}
