// SPDX-License-Identifier: MIT OR Apache-2.0
//! A network namespace for one test, which is gone with its thread (`network_namespaces(7)`).

use std::io::Write;
use std::process::{Command, Stdio};

/// Puts this thread into a network of its own. False, and a line that says so, if this user may not do that.
pub fn own(test: &str) -> bool {
    // SAFETY: another network is of no concern to memory; descriptors stay as they are.
    let made = unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNET) };
    if let Err(error) = made {
        // Not through the test runner's hands, which hides what a test prints that goes well.
        writeln!(std::io::stderr(), "skipped - {test}: a network of its own needs root: {error}").expect("stderr");
        return false;
    }
    // Only what the test sends: no IPv6 of the kernel's own accord.
    std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1").expect("a limit of this network");
    ip("link set lo up\n");
    true
}

/// Has `ip(8)` do these things, one on each line.
pub fn ip(batch: &str) {
    let mut child = Command::new("ip").args(["-batch", "-"]).stdin(Stdio::piped()).spawn().expect("iproute2 is there");
    child.stdin.take().expect("it has one").write_all(batch.as_bytes()).expect("it reads");
    let status = child.wait().expect("it is ours");
    assert!(status.success(), "ip could not do all of\n{batch}");
}
