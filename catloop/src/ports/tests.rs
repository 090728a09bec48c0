// SPDX-License-Identifier: MIT OR Apache-2.0
//! Claims within one LibOs, between several of one process (whose open files exclude each other as processes do), and
//! against second processes that are killed or hostile. A second process is this test binary again.

use super::locks::{FILE, Hold, LockFile, PRESENCE};
use super::*;
use core::net::IpAddr;
use proptest::collection::vec;
use proptest::prelude::*;
use runtime::limits::PORT_RUNS_MAX;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;
use tempfile::TempDir;

const DEADLINE: Duration = Duration::from_mins(1);
const ROLE: &str = "MARGAY_TEST_PORTS";
const TCP: Protocol = Protocol::Stream;
const UDP: Protocol = Protocol::Datagram;

fn directory() -> (TempDir, Directory) {
    let scratch = tempfile::tempdir().unwrap();
    let directory = Directory::open(scratch.path()).unwrap();
    (scratch, directory)
}

/// Two LibOses.
fn pair() -> (TempDir, [Rc<Ports>; 2]) {
    let (scratch, directory) = directory();
    let pair = [(); 2].map(|()| Ports::open(&directory).unwrap());
    (scratch, pair)
}

fn claim(ports: &Rc<Ports>, address: &str) -> core::result::Result<Claim, Errno> {
    ports.claim(TCP, address.parse().unwrap()).map_err(Error::errno)
}

fn is_taken(ports: &Rc<Ports>, address: &str) -> bool {
    match claim(ports, address) {
        Ok(claim) => {
            assert_eq!(claim.address(), address.parse().unwrap());
            false
        }
        Err(errno) => {
            assert_eq!(errno, Errno::ADDRINUSE);
            true
        }
    }
}

fn files(path: &Path) -> usize {
    std::fs::read_dir(path).unwrap().count()
}

#[test]
fn an_address_is_taken_once_here_and_elsewhere() {
    let (_scratch, [here, there]) = pair();
    let first = claim(&here, "127.0.0.1:80").unwrap();
    for ports in [&here, &there] {
        assert!(is_taken(ports, "127.0.0.1:80"));
        assert!(!is_taken(ports, "127.0.0.1:81"));
        assert!(!is_taken(ports, "127.0.0.2:80"));
        assert!(!is_taken(ports, "[::1]:80"));
        assert!(ports.claim(UDP, first.address()).is_ok());
    }
    drop(first);
    for ports in [&here, &there] {
        assert!(!is_taken(ports, "127.0.0.1:80"));
    }
}

#[test]
fn wildcards_exclude_and_are_excluded() {
    let (_scratch, [here, there]) = pair();
    for (first, taken, free) in [
        ("0.0.0.0:80", &["127.0.0.1:80", "0.0.0.0:80", "[::]:80", "[::ffff:1.2.3.4]:80"][..], &["[::1]:80"][..]),
        ("127.0.0.1:80", &["0.0.0.0:80", "[::]:80", "[::ffff:127.0.0.1]:80"], &["127.0.0.2:80", "[::1]:80"]),
        ("[::]:80", &["0.0.0.0:80", "127.0.0.1:80", "[::1]:80", "[::]:80"], &["0.0.0.0:81", "[::]:79"]),
        ("[::1]:80", &["[::]:80", "[::1]:80"], &["[::2]:80", "0.0.0.0:80", "127.0.0.1:80"]),
        ("[::ffff:127.0.0.1]:80", &["127.0.0.1:80", "0.0.0.0:80"], &["[::1]:80"]),
    ] {
        let claim = claim(&here, first).unwrap();
        for ports in [&here, &there] {
            for address in taken {
                assert!(is_taken(ports, address), "{address} beside {first}");
            }
            for address in free {
                assert!(!is_taken(ports, address), "{address} beside {first}");
            }
        }
        drop(claim);
        for address in taken {
            assert!(!is_taken(&there, address), "{address} after {first}");
        }
    }
    assert!(here.state.borrow().table.is_empty() && there.state.borrow().table.is_empty());
}

#[test]
fn a_port_is_shared_until_the_last_specific_address_has_gone() {
    let (_scratch, [here, there]) = pair();
    let [one, two] = ["127.0.0.1:80", "127.0.0.2:80"].map(|address| claim(&here, address).unwrap());
    let three = claim(&there, "127.0.0.3:80").unwrap();
    drop(one);
    assert!(is_taken(&there, "0.0.0.0:80"));
    drop(two);
    assert!(is_taken(&here, "0.0.0.0:80"));
    drop(three);
    assert!(!is_taken(&here, "0.0.0.0:80"));
}

#[test]
fn chosen_ports_are_free_everywhere() {
    let (_scratch, [here, there]) = pair();
    let fixed = claim(&here, "127.0.0.1:40000").unwrap();
    let mut chosen = vec![fixed.address().port()];
    let mut claims = vec![fixed];
    for address in ["127.0.0.1:0", "0.0.0.0:0", "[::]:0"].repeat(500) {
        for ports in [&here, &there] {
            let claim = claim(ports, address).unwrap();
            assert!(ephemeral::RANGE.contains(&claim.address().port()));
            assert_eq!(claim.address().ip(), address.parse::<SocketAddr>().unwrap().ip());
            chosen.push(claim.address().port());
            claims.push(claim);
        }
    }
    chosen.sort_unstable();
    let count = chosen.len();
    chosen.dedup();
    assert_eq!(chosen.len(), count, "a port was chosen twice");
}

#[test]
fn a_full_range_is_an_error_and_the_last_free_port_is_found() {
    let (_scratch, [here, there]) = pair();
    let mut claims: Vec<Claim> = ephemeral::RANGE.map(|_| claim(&here, "127.0.0.1:0").unwrap()).collect();
    for ports in [&here, &there] {
        assert_eq!(claim(ports, "127.0.0.1:0").unwrap_err(), Errno::ADDRINUSE);
        assert_eq!(claim(ports, "0.0.0.0:0").unwrap_err(), Errno::ADDRINUSE);
        assert!(claim(ports, "127.0.0.2:0").is_ok());
        assert!(ports.claim(UDP, "127.0.0.1:0".parse().unwrap()).is_ok());
    }
    // Here its own count finds it, there the kernel's ranges do.
    for ports in [&here, &there] {
        let free = claims.swap_remove(claims.len() / 2).address();
        let found = claim(ports, "127.0.0.1:0").unwrap();
        assert_eq!(found.address(), free);
        claims.push(found);
    }
}

#[test]
fn the_last_one_to_leave_removes_the_file() {
    let (scratch, [here, there]) = pair();
    let kept = claim(&here, "127.0.0.1:80").unwrap();
    drop(here);
    assert_eq!(files(scratch.path()), 1);
    assert!(is_taken(&there, "127.0.0.1:80"), "a claim outlives the LibOs that it came from");
    drop(kept);
    assert!(!is_taken(&there, "127.0.0.1:80"));
    drop(there);
    assert_eq!(files(scratch.path()), 0);
    let (scratch, [here, there]) = pair();
    drop(there);
    drop(here);
    assert_eq!(files(scratch.path()), 0);
}

/// Four threads open the file, claim and leave, so that it comes and goes all the time. Two files with one name at once
/// would let two claims through.
#[test]
fn claims_exclude_each_other_while_the_file_comes_and_goes() {
    let (scratch, _directory) = directory();
    let held = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let directory = Directory::open(scratch.path()).unwrap();
                for _ in 0..2000 {
                    let ports = Ports::open(&directory).unwrap();
                    match claim(&ports, "0.0.0.0:80") {
                        Ok(claim) => {
                            assert!(!held.swap(true, Ordering::SeqCst), "two have the claim");
                            std::thread::yield_now();
                            held.store(false, Ordering::SeqCst);
                            drop(claim);
                        }
                        Err(errno) => assert_eq!(errno, Errno::ADDRINUSE),
                    }
                }
            });
        }
    });
    assert_eq!(files(scratch.path()), 0);
}

#[test]
fn a_name_that_is_no_file_is_refused() {
    for make in [
        (|path| std::os::unix::fs::symlink("/etc/passwd", path).unwrap()) as fn(&Path),
        |path| std::fs::create_dir(path).unwrap(),
        |path| drop(std::os::unix::net::UnixListener::bind(path).unwrap()),
    ] {
        let (scratch, directory) = directory();
        make(&scratch.path().join(FILE));
        let error = Ports::open(&directory).unwrap_err();
        assert_eq!(error.errno(), Errno::ACCESS, "{error}");
    }
}

#[test]
fn who_locks_everything_stops_nobody_for_long() {
    let (_scratch, directory) = directory();
    let ports = Ports::open(&directory).unwrap();
    // In two halves around the presence byte of `ports`, as another process could.
    let hostile = LockFile::open(&directory).unwrap();
    hostile.lock_range(0, PRESENCE - 1).unwrap();
    for address in ["127.0.0.1:80", "0.0.0.0:0", "127.0.0.1:0", "[::]:0", "[::1]:1"] {
        assert_eq!(claim(&ports, address).unwrap_err(), Errno::ADDRINUSE);
    }
    assert!(ports.state.borrow().table.is_empty());
    drop(ports);
    assert_eq!(hostile.lock(PRESENCE, Hold::Exclusive), Ok(true));
    assert_eq!(Ports::open(&directory).unwrap_err().errno(), Errno::BUSY);
    drop(hostile);
    assert!(!is_taken(&Ports::open(&directory).unwrap(), "127.0.0.1:80"));
}

#[test]
fn a_search_through_scattered_ports_is_bounded() {
    let (_scratch, directory) = directory();
    let ports = Ports::open(&directory).unwrap();
    let hostile = LockFile::open(&directory).unwrap();
    ports.state.borrow_mut().ephemeral.start_at(0);
    // Alternately shared and exclusive, so that the kernel cannot merge them; a wildcard wants each alone.
    for (port, hold) in
        ephemeral::RANGE.zip([Hold::Shared, Hold::Exclusive].into_iter().cycle()).take(PORT_RUNS_MAX as usize)
    {
        assert_eq!(hostile.lock(i64::from(port), hold), Ok(true));
    }
    assert_eq!(claim(&ports, "0.0.0.0:0").unwrap_err(), Errno::ADDRINUSE);
    // The next one goes on from there.
    assert!(claim(&ports, "0.0.0.0:0").is_ok());
}

/// A second process that claims `127.0.0.1:80` and a free port, and says so.
fn holder(path: &Path) -> (Child, u16) {
    let test = concat!(module_path!(), "::second_process").split_once("::").unwrap().1;
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(ROLE, path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (sender, said) = channel();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    std::thread::spawn(move || {
        for line in stdout.lines().map_while(core::result::Result::ok) {
            if let Some(port) = line.strip_prefix('@') {
                let _ = sender.send(port.parse::<u16>().unwrap());
            }
        }
    });
    let port = said.recv_timeout(DEADLINE);
    if port.is_err() {
        let _ = child.kill();
    }
    (child, port.expect("the second process said nothing"))
}

/// What a second process does; in the first one it does nothing.
#[test]
fn second_process() {
    let Some(path) = std::env::var_os(ROLE) else { return };
    let ports = Ports::open(&Directory::open(Path::new(&path)).unwrap()).unwrap();
    let _fixed = claim(&ports, "127.0.0.1:80").unwrap();
    let chosen = claim(&ports, "127.0.0.1:0").unwrap();
    println!("\n@{}", chosen.address().port());
    // Until the first process kills this one, or closes the pipe, or dies.
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
}

#[test]
fn claims_of_another_process_end_with_it_however_it_ends() {
    let (scratch, directory) = directory();
    let ports = Ports::open(&directory).unwrap();
    for kill in [true, false] {
        let (mut child, port) = holder(scratch.path());
        let chosen = format!("127.0.0.1:{port}");
        for address in ["127.0.0.1:80", "0.0.0.0:80", "[::]:80", &chosen] {
            assert!(is_taken(&ports, address), "{address}");
        }
        assert!(!is_taken(&ports, "127.0.0.2:80"));
        if kill {
            child.kill().unwrap();
        } else {
            drop(child.stdin.take());
        }
        assert_eq!(child.wait().unwrap().success(), !kill);
        for address in ["127.0.0.1:80", "0.0.0.0:80", "[::]:80", &chosen] {
            assert!(!is_taken(&ports, address), "{address}");
        }
    }
    drop(ports);
    // A file whose last user was killed is used and removed by the next one.
    let (mut child, _) = holder(scratch.path());
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(files(scratch.path()), 1);
    assert!(!is_taken(&Ports::open(&directory).unwrap(), "127.0.0.1:80"));
    assert_eq!(files(scratch.path()), 0);
}

const ADDRESSES: [&str; 7] = ["0.0.0.0", "127.0.0.1", "127.0.0.2", "::", "::1", "::2", "::ffff:127.0.0.1"];

/// Whether two claims of one port and protocol exclude each other, as `bind(2)` has it.
fn exclude(one: IpAddr, two: IpAddr) -> bool {
    let [one, two] = [one, two].map(|ip| ip.to_canonical());
    let dual = |ip: IpAddr| ip.is_unspecified() && ip.is_ipv6();
    if one.is_ipv4() != two.is_ipv4() {
        return dual(one) || dual(two);
    }
    one == two || one.is_unspecified() || two.is_unspecified()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Claims and drops in three LibOses, against the rule itself.
    #[test]
    fn claims_are_as_the_rule_says(
        steps in vec((0_usize..3, any::<bool>(), 0_usize..7, 1_u16..3, any::<prop::sample::Index>(), any::<bool>()), 1..120),
    ) {
        let (_scratch, directory) = directory();
        let libos = [(); 3].map(|()| Ports::open(&directory).unwrap());
        let mut claims: Vec<(Protocol, Claim)> = Vec::new();
        for (who, stream, ip, port, which, drop) in steps {
            if drop && !claims.is_empty() {
                claims.swap_remove(which.index(claims.len()));
                continue;
            }
            let protocol = if stream { TCP } else { UDP };
            let address = SocketAddr::new(ADDRESSES[ip].parse().unwrap(), port);
            let free = claims.iter().all(|(other, claim)| {
                *other != protocol || claim.address().port() != port || !exclude(claim.address().ip(), address.ip())
            });
            match libos[who].claim(protocol, address) {
                Ok(claim) => {
                    prop_assert!(free, "{address} was given twice");
                    claims.push((protocol, claim));
                }
                Err(error) => {
                    prop_assert_eq!(error.errno(), Errno::ADDRINUSE);
                    prop_assert!(!free, "{} is free", address);
                }
            }
        }
        claims.clear();
        prop_assert!(libos.iter().all(|ports| ports.state.borrow().table.is_empty()));
    }
}
