// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is said about machines that are made up, and that this one can be asked.

use super::directory::{Condition, Directory};
use super::facts::{Facts, IPC_LOCK, Limit, NET_BIND_SERVICE};
use super::{Finding, State, json, judge, summary, table};
use catcollar::Probe;
use margay::{Config, Errno, Error};
use std::path::PathBuf;

/// A machine where everything is as it should be.
pub(super) fn healthy() -> Facts {
    let limit = Limit { current: Some(1 << 20), maximum: Some(1 << 20) };
    Facts {
        kernel: "6.18.3-amd64".into(),
        cores: 4,
        seccomp: false,
        uring_disabled: Some(0),
        uring: Probe {
            error: None,
            flags: vec![("SUBMIT_ALL", true)],
            features: vec![("multishot accept", true)],
            requests: vec![("SEND", true), ("RECV", true)],
        },
        catcollar: None,
        memlock: Limit { current: Some(8 << 20), maximum: None },
        descriptors: limit,
        directory: Directory {
            path: PathBuf::from("/run/user/1/margay"),
            condition: Condition::Private,
            free: Some(1 << 30),
        },
        shared: Ok(()),
        available: Some(1 << 33),
        capabilities: 1 << NET_BIND_SERVICE,
        first_port: 1024,
        membarrier: true,
        xdp: true,
    }
}

/// The finding about something, and everything else is as it should be.
fn only(facts: &Facts, what: &str) -> Finding {
    let mut findings = judge::all(facts);
    let index = findings.iter().position(|finding| finding.what == what).unwrap_or_else(|| panic!("{what} is missing"));
    let finding = findings.swap_remove(index);
    assert!(findings.iter().all(|finding| finding.state == State::Ok), "{findings:?}");
    assert_eq!(finding.state != State::Ok, !finding.todo.is_empty(), "{finding:?}");
    finding
}

#[test]
fn a_healthy_machine_has_nothing_to_do() {
    let findings = judge::all(&healthy());
    assert!(findings.iter().all(|finding| finding.state == State::Ok && finding.todo.is_empty()), "{findings:?}");
    assert_eq!(findings.len(), 14);
}

#[test]
fn kernels_are_told_by_their_version() {
    for (release, state) in [
        ("5.11.0", State::Ok),
        ("5.11-rc1", State::Ok),
        ("7.0", State::Ok),
        ("10.2.1", State::Ok),
        ("5.10.230-1", State::Missing),
        ("4.19", State::Missing),
        ("strange", State::Limited),
        ("", State::Limited),
    ] {
        let finding = only(&Facts { kernel: release.into(), ..healthy() }, "kernel");
        assert_eq!(finding.state, state, "{release}");
    }
}

#[test]
fn a_refusal_of_io_uring_names_its_reason_and_the_alternative() {
    let cases = [
        (Errno::PERM, Some(2), false, "kernel.io_uring_disabled is 2"),
        (Errno::PERM, Some(1), false, "kernel.io_uring_disabled is 1"),
        (Errno::PERM, Some(0), true, "seccomp"),
        (Errno::PERM, None, true, "seccomp"),
        (Errno::NOSYS, None, true, "seccomp"),
        (Errno::NOSYS, None, false, "this kernel does not have it"),
        (Errno::NOMEM, Some(0), false, "too little memory"),
        (Errno::MFILE, Some(0), false, "EMFILE"),
        (Errno::PERM, Some(0), false, "EPERM"),
    ];
    for (errno, uring_disabled, seccomp, word) in cases {
        let uring = Probe { error: Some(Error::new(errno, "refused")), ..healthy().uring };
        let finding = only(&Facts { seccomp, uring_disabled, uring, ..healthy() }, "io_uring");
        assert_eq!(finding.state, State::Missing);
        assert!(finding.found.contains(word), "{finding:?}");
        assert!(finding.todo.contains("catnap") && finding.means.contains("auto"), "{finding:?}");
    }
    // The small ring of the probe was made, that of the configuration was not.
    let catcollar = Some(Error::new(Errno::NOMEM, "refused"));
    let finding = only(&Facts { catcollar, ..healthy() }, "io_uring");
    assert!(finding.state == State::Missing && finding.todo.contains("catcollar.completions"), "{finding:?}");
}

#[test]
fn what_a_kernel_lacks_is_named() {
    let uring = Probe { flags: vec![("OLD", true), ("NEW", false)], ..healthy().uring };
    let finding = only(&Facts { uring, ..healthy() }, "io_uring flags");
    assert_eq!((finding.state, finding.found.as_str()), (State::Limited, "1 of 2, without NEW"));
    let uring = Probe { features: vec![("receive bundles", false)], ..healthy().uring };
    let finding = only(&Facts { uring, ..healthy() }, "io_uring features");
    assert_eq!((finding.state, finding.found.as_str()), (State::Limited, "0 of 1, without receive bundles"));
    let uring = Probe { requests: vec![("SEND", true), ("A", false), ("B", false)], ..healthy().uring };
    let finding = only(&Facts { uring, ..healthy() }, "io_uring opcodes");
    assert_eq!((finding.state, finding.found.as_str()), (State::Limited, "1 of 3, without A, B"));
}

#[test]
fn limits_are_compared_with_what_is_needed() {
    let low = |current, maximum| Limit { current: Some(current), maximum };
    let finding = only(&Facts { descriptors: low(1024, Some(1 << 20)), ..healthy() }, "descriptors");
    assert!(finding.state == State::Limited && finding.todo.starts_with("ulimit -n 16384"), "{finding:?}");
    let finding = only(&Facts { descriptors: low(1024, Some(4096)), ..healthy() }, "descriptors");
    assert!(finding.todo.starts_with("as root"), "{finding:?}");
    let unlimited = Limit { current: None, maximum: None };
    assert_eq!(only(&Facts { descriptors: unlimited, ..healthy() }, "descriptors").state, State::Ok);
    assert_eq!(only(&Facts { memlock: unlimited, ..healthy() }, "locked memory").state, State::Ok);
    let memlock = low(64 << 10, Some(64 << 10));
    let finding = only(&Facts { memlock, ..healthy() }, "locked memory");
    assert!(finding.state == State::Limited && finding.todo.contains("ulimit -l 8192"), "{finding:?}");
    let capabilities = 1 << IPC_LOCK | 1 << NET_BIND_SERVICE;
    assert_eq!(only(&Facts { memlock, capabilities, ..healthy() }, "locked memory").state, State::Ok);
    assert_eq!(only(&Facts { cores: 1, ..healthy() }, "cores").state, State::Limited);
    assert_eq!(only(&Facts { membarrier: false, ..healthy() }, "membarrier").state, State::Limited);
    assert_eq!(only(&Facts { capabilities: 0, ..healthy() }, "low ports").state, State::Limited);
    assert_eq!(only(&Facts { capabilities: 0, first_port: 0, ..healthy() }, "low ports").state, State::Ok);
}

#[test]
fn memory_and_its_directory_are_judged() {
    let directory = |condition, free| Directory { condition, free, ..healthy().directory };
    for (condition, state) in [
        (Condition::Private, State::Ok),
        (Condition::ToBeMade, State::Ok),
        (Condition::CannotBeMade, State::Missing),
        (Condition::NoDirectory, State::Missing),
        (Condition::Link, State::Missing),
        (Condition::Foreign, State::Missing),
        (Condition::Open, State::Missing),
        (Condition::ReadOnly, State::Missing),
    ] {
        let finding = only(&Facts { directory: directory(condition, None), ..healthy() }, "runtime directory");
        assert_eq!(finding.state, state, "{finding:?}");
        assert!(finding.found.contains("/run/user/1/margay"), "{finding:?}");
    }
    let full = directory(Condition::Private, Some(4096));
    assert_eq!(only(&Facts { directory: full, ..healthy() }, "runtime directory").state, State::Missing);
    assert_eq!(only(&Facts { available: Some(1 << 20), ..healthy() }, "shared memory").state, State::Limited);
    assert_eq!(only(&Facts { available: None, ..healthy() }, "shared memory").state, State::Ok);
    let shared = Err("memfd_create: Operation not permitted".to_owned());
    assert_eq!(only(&Facts { shared, ..healthy() }, "shared memory").state, State::Missing);
}

#[test]
fn the_table_says_what_to_do_and_the_summary_how_it_stands() {
    let findings = [
        Finding::ok("kernel", "6.18", "new enough"),
        Finding::limited("descriptors", "64", "few connections", "ulimit -n 4096"),
    ];
    let told = table(&findings, None);
    for word in ["kernel", "6.18", "limited", "Do: ulimit -n 4096", "1 limited."] {
        assert!(told.contains(word), "{word}: {told}");
    }
    assert_eq!(summary(None, 0, 0), "Everything is as it should be.");
    assert!(summary(None, 2, 1).contains("1 missing"));
}

#[test]
fn this_machine_can_be_asked() {
    let directory = tempfile::tempdir().expect("a folder");
    let nowhere = directory.path().join("not there");
    let facts = Facts::gather(&Config::default(), &nowhere);
    let findings = judge::all(&facts);
    for finding in &findings {
        assert!(!finding.found.is_empty() && !finding.means.is_empty(), "{finding:?}");
        assert_eq!(finding.state != State::Ok, !finding.todo.is_empty(), "{finding:?}");
    }
    assert!(!nowhere.exists(), "looking makes no folder");
    let told: serde_json::Value =
        serde_json::from_str(&json(&facts, &findings).expect("it is told")).expect("it is JSON");
    assert_eq!(told["findings"].as_array().map(Vec::len), Some(findings.len()));
}

#[test]
fn what_xdp_sockets_take_is_named() {
    let all = 1 << NET_BIND_SERVICE | 1 << 39 | 1 << 12 | 1 << 13;
    for (capabilities, xdp, found) in [
        (all, true, "can be used"),
        (all & !(1 << 39), true, "not without CAP_BPF"),
        (all & !(3 << 12), true, "not without CAP_NET_ADMIN, CAP_NET_RAW"),
        (all, false, "not in this kernel"),
    ] {
        let finding = only(&Facts { capabilities, xdp, ..healthy() }, "XDP sockets");
        assert_eq!((finding.state, finding.found.as_str()), (State::Ok, found));
    }
}
