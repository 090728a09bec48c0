// SPDX-License-Identifier: MIT OR Apache-2.0
//! A network of a test's own: a namespace of `network_namespaces(7)`, so that no other test, and nobody else on the
//! machine, takes a port, answers, or changes a limit under it. Nothing leaves the machine: there is loopback, and hosts
//! that the test makes itself.

use std::io::Write;
use std::process::{Command, Stdio};

/// A second address of IPv6 of this host, in a namespace made by [`own`].
pub const OTHER_V6: &str = "fd00::1";
/// A host that never answers, though there is a way to it: connects to it are under way until they time out.
pub const SILENT_V4: &str = "198.51.100.2";
/// The same in IPv6.
pub const SILENT_V6: &str = "2001:db8:1::2";

/// The silent host has an address of the link layer that nobody there listens to.
const SET_UP: &str = "\
link set lo up
addr add fd00::1/128 dev lo nodad
link add silent type veth peer name nobody
addr add 198.51.100.1/24 dev silent
addr add 2001:db8:1::1/64 dev silent nodad
link set nobody up
link set silent up
route add 224.0.0.0/4 dev silent
neigh add 198.51.100.2 lladdr 02:00:00:00:00:02 dev silent nud permanent
neigh add 2001:db8:1::2 lladdr 02:00:00:00:00:02 dev silent nud permanent
";

/// Puts this thread, and the processes and threads that it starts from now on, into a network of their own. False, and a
/// line that says so, if this user may not do that. In the roles of a test it has been done already.
pub fn own(test: &str) -> bool {
    if super::processes::is_role() {
        return true;
    }
    // SAFETY: another network is of no concern to memory; descriptors stay as they are.
    let made = unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNET) };
    if let Err(error) = made {
        // Not through the test runner's hands, which hides what a test prints that goes well.
        writeln!(std::io::stderr(), "skipped - {test}: a network of its own needs root: {error}").expect("stderr");
        return false;
    }
    ip(SET_UP);
    true
}

/// Has `ip(8)` do these things in this thread's network, one on each line.
pub fn ip(batch: &str) {
    let mut child = Command::new("ip").args(["-batch", "-"]).stdin(Stdio::piped()).spawn().expect("iproute2 is there");
    child.stdin.take().expect("it has one").write_all(batch.as_bytes()).expect("it reads");
    let status = child.wait().expect("it is ours");
    assert!(status.success(), "ip could not do all of\n{batch}");
}

/// Sets a limit of this thread's network: a name as `sysctl(8)` has it, below `net`.
pub fn sysctl(name: &str, value: &str) {
    let path = format!("/proc/sys/net/{}", name.replace('.', "/"));
    std::fs::write(&path, value).unwrap_or_else(|error| panic!("{path}: {error}"));
}
