// SPDX-License-Identifier: MIT OR Apache-2.0
//! A listener in another process that is killed: what it published is read, then the reset; its name and port are free.

use super::*;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

const DIRECTORY: &str = "MARGAY_TEST_DIRECTORY";
const TEST: &str = "transport::tests::killed::a_killed_listener_leaves_nothing_that_matters";

/// Killed and reaped on drop.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The other process: serves one connection, and would do so for ten seconds.
fn serve(directory: &Path) {
    let mut server = Side::with(settings(directory));
    let (listener, address) = server.listen("127.0.0.1:0", 4);
    println!("\n@{address}");
    let accepted = finish(&mut [&mut server], |sides| sides[0].accept(listener));
    assert!(server.push(accepted, b"published").is_ready());
    // Until it is killed.
    let _ = finish(&mut [&mut server], |sides| sides[0].pop(accepted));
}

#[test]
fn a_killed_listener_leaves_nothing_that_matters() {
    if let Some(directory) = std::env::var_os(DIRECTORY) {
        return serve(Path::new(&directory));
    }
    let directory = directory();
    let mut process = Process(
        Command::new(std::env::current_exe().unwrap())
            .args([TEST, "--exact", "--nocapture", "--test-threads=1"])
            .env(DIRECTORY, directory.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let lines = BufReader::new(process.0.stdout.take().unwrap()).lines();
    let said = lines.map_while(std::io::Result::ok).find_map(|line| line.strip_prefix('@').map(str::to_owned));
    let address = at(&said.expect("the other process ended without a word"));

    let mut client = Side::new(&directory);
    let connecting = client.begin(address);
    finish(&mut [&mut client], |sides| sides[0].connected(connecting)).unwrap();
    let other = client.socket(Domain::V4);
    assert_eq!(client.catloop.bind(other, address).unwrap_err().errno(), Errno::ADDRINUSE);
    assert_eq!(finish(&mut [&mut client], |sides| sides[0].pop(connecting)), Ok(b"published".to_vec()));
    assert!(client.pop(connecting).is_pending());
    drop(process);

    assert_eq!(finish(&mut [&mut client], |sides| sides[0].pop(connecting)), Err(Errno::CONNRESET));
    assert_eq!(client.push(connecting, b"x"), Poll::Ready(Err(Errno::CONNRESET)));
    assert_eq!(names(&directory).len(), 1, "a killed process cleans nothing up");
    let late = client.begin(address);
    assert_eq!(client.connected(late), Poll::Ready(Err(Errno::CONNREFUSED)));
    client.catloop.bind(other, address).unwrap();
    client.catloop.listen(other, 1).unwrap();
    client.catloop.connect(late, address).unwrap();
    finish(&mut [&mut client], |sides| sides[0].accept(other));
}
