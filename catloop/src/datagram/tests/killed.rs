// SPDX-License-Identifier: MIT OR Apache-2.0
//! A second process that is killed while it pushes. It is this test binary again.

use super::*;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;

const DEADLINE: Duration = Duration::from_mins(1);
const ROLE: &str = "MARGAY_TEST_DATAGRAMS";
const HERE: &str = "127.0.0.1:53";
const THERE: &str = "127.0.0.1:54";

/// The number of a datagram, and what has to follow it.
fn payload(number: u32) -> Vec<u8> {
    let mut payload = number.to_le_bytes().to_vec();
    payload.resize(4 + (number as usize * 37) % 3000, number as u8);
    payload
}

/// What a second process does; in the first one it does nothing.
#[test]
fn second_process() {
    let Some(path) = std::env::var_os(ROLE) else { return };
    let mut node = Node::with(&settings(Path::new(&path)));
    let socket = node.bound(THERE);
    println!("\n@");
    for number in 0.. {
        // Until the first process kills this one; if that is dead itself, the pushes are dropped, and one tells.
        node.push_to(socket, &payload(number), at(HERE)).unwrap();
        node.round(Duration::ZERO);
        assert_eq!(node.dropped(Reason::Nobody), 0, "the first process is gone");
    }
}

/// The second process; killed on drop.
struct Pusher(Child);

impl Drop for Pusher {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn pusher(path: &Path) -> Pusher {
    let test = concat!(module_path!(), "::second_process").split_once("::").unwrap().1;
    let child = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(ROLE, path)
        .stdout(Stdio::piped())
        .spawn();
    let mut pusher = Pusher(child.unwrap());
    let (sender, said) = channel();
    let stdout = BufReader::new(pusher.0.stdout.take().unwrap());
    std::thread::spawn(move || {
        for line in stdout.lines().map_while(core::result::Result::ok).filter(|line| line == "@") {
            let _ = sender.send(line);
        }
    });
    said.recv_timeout(DEADLINE).expect("the second process said nothing");
    pusher
}

#[test]
fn what_a_killed_process_pushed_is_whole_and_its_address_is_free() {
    let directory = tempfile::tempdir().unwrap();
    let mut a = Node::new(&directory);
    let server = a.bound(HERE);
    for round in 0..3 {
        let child = pusher(directory.path());
        let mut last = None;
        for popped in 0.. {
            // Somewhere in the middle of a push, most likely.
            if popped == 2000 + 100 * round {
                drop(child);
                break;
            }
            let (datagram, sender) = a.pop(server);
            let number = u32::from_le_bytes(datagram[..4].try_into().unwrap());
            assert!(sender == at(THERE) && datagram == payload(number) && last < Some(number));
            last = Some(number);
        }
        a.until(|a| {
            while let Some(popped) = a.try_pop(server) {
                let (datagram, _) = popped.unwrap();
                let number = u32::from_le_bytes(datagram[..4].try_into().unwrap());
                assert!(datagram == payload(number) && last < Some(number));
                last = Some(number);
            }
            a.peers(server) == 0
        });
        assert_eq!(a.sockets.drops.total(), 0);
        // Its name is still there, and is taken over.
        assert!(files(directory.path()).contains(&"udp-127.0.0.1-54.sock".to_owned()));
        let heir = a.bound(THERE);
        a.push_to(server, b"to the heir", at(THERE)).unwrap();
        assert_eq!(a.pop(heir).0, b"to the heir");
        a.sockets.close(heir).unwrap();
        a.until(|a| a.peers(server) == 0);
    }
}
