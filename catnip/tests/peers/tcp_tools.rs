// SPDX-License-Identifier: MIT OR Apache-2.0
//! Streams with programs that everybody has: `nc` and `socat` as clients and as servers, in both families. What they read and write are
//! files, so that nothing of ours checks itself.

use crate::alone;
use crate::host::{BOTH, Host, Link};
use crate::streams::{check, fill};
use core::net::SocketAddr;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

const LEN: usize = 3_000_000;

fn files() -> (TempDir, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let name = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (sent, came) = (name("sent"), name("came"));
    let mut bytes = vec![0; LEN];
    fill(&mut bytes, 0);
    fs::write(&sent, bytes).unwrap();
    (folder, sent, came)
}

#[track_caller]
fn assert_whole(file: impl AsRef<Path>) {
    let bytes = fs::read(file).unwrap();
    assert_eq!(bytes.len(), LEN);
    check(&bytes, 0);
}

/// An address as `socat` has it.
fn socat(to: SocketAddr) -> String {
    let version = if to.is_ipv4() { 4 } else { 6 };
    format!("TCP{version}:{to}")
}

/// They call, send a file, and get it back.
#[test]
fn clients() {
    alone("tcp_tools::clients", &["nc", "socat"], |peer| {
        let mut host = Host::with(Link::Packet, peer, |_| ());
        for (ours, _) in BOTH {
            let (folder, sent, came) = files();
            let (listening, place) = host.listens(ours, 4);
            let nc = format!("exec nc -N {} {} < {sent} > {came}", place.ip(), place.port());
            let through_socat = format!("exec socat -t 20 - {} < {sent} > {came}", socat(place));
            for command in [nc, through_socat] {
                let program = peer.start("sh", &["-c", &command]);
                let id = host.accepts(listening);
                assert_eq!(host.echoes(id), LEN as u64);
                host.closes(id);
                assert_eq!(host.until_done(program), "");
                assert_whole(&came);
                fs::remove_file(&came).unwrap();
            }
            host.closes(listening);
            host.finishes();
            drop(folder);
        }
    });
}

/// They listen; one gives us a file, and the other takes one.
#[test]
fn servers() {
    const PORT: u16 = 5001;
    alone("tcp_tools::servers", &["nc", "socat"], |peer| {
        let mut host = Host::with(Link::Packet, peer, |_| ());
        for (ours, theirs) in BOTH {
            let (folder, sent, came) = files();
            let to = crate::host::at(theirs, PORT);
            let version = if to.is_ipv4() { 4 } else { 6 };
            let giving =
                peer.start("socat", &["-u", &format!("OPEN:{sent}"), &format!("TCP{version}-LISTEN:{PORT},reuseaddr")]);
            let id = reaches(&mut host, ours, to);
            host.pops(id, LEN as u64);
            host.pops_the_end(id);
            host.closes(id);
            assert_eq!(host.until_done(giving), "");

            let to = crate::host::at(theirs, PORT + 1);
            let taking = peer.start("sh", &["-c", &format!("exec nc -l {} {} > {came}", to.ip(), to.port())]);
            let id = reaches(&mut host, ours, to);
            host.pushes(id, LEN as u64);
            host.shuts(id).unwrap();
            host.pops_the_end(id);
            host.closes(id);
            assert_eq!(host.until_done(taking), "");
            assert_whole(&came);
            host.finishes();
            drop(folder);
        }
    });
}

/// A connection to a program that has only just been started.
fn reaches(host: &mut Host, ours: &str, to: SocketAddr) -> catnip::StreamId {
    loop {
        let id = host.calls(ours, to);
        match host.connected(id) {
            Ok(()) => return id,
            Err(error) => assert_eq!(error.errno(), runtime::Errno::CONNREFUSED),
        }
        host.closes(id);
        host.work(core::time::Duration::from_millis(20));
    }
}
