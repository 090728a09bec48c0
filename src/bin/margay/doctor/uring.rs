// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is said about `io_uring`: whether it may be used, and what this kernel's has. Texts: `io_uring_setup(2)`,
//! `io_uring_enter(2)`, `proc_sys_kernel(5)`.

use super::Finding;
use super::facts::Facts;
use catcollar::Probe;
use margay::Errno;

const RING: &str = "io_uring";
const FLAGS: &str = "io_uring flags";
const FEATURES: &str = "io_uring features";
const OPCODES: &str = "io_uring opcodes";
const INSTEAD: &str = "or name catnap or auto as libos";

/// The lines about it.
pub fn judge(facts: &Facts) -> Vec<Finding> {
    let Probe { error, flags, features, requests } = &facts.uring;
    // A ring of the configured size may fail where the small one of the probe does not.
    if let Some(error) = error.or(facts.catcollar) {
        return vec![refused(facts, error.errno())];
    }
    let mut findings = vec![Finding::ok(RING, "may be used", "catcollar runs, and is what libos: auto takes")];
    for (what, list, lost) in [
        (FLAGS, flags, "catcollar runs with more interrupts and more work in the kernel"),
        (FEATURES, features, "catcollar takes older, slower ways"),
        (OPCODES, requests, "catcollar does without what these requests are for"),
    ] {
        let without: Vec<&str> = list.iter().filter(|(_, has)| !has).map(|(name, _)| *name).collect();
        findings.push(if without.is_empty() {
            let names: Vec<&str> = list.iter().map(|(name, _)| *name).collect();
            Finding::ok(what, format!("all {}: {}", list.len(), names.join(", ")), "catcollar has all that it can use")
        } else {
            let found = format!("{} of {}, without {}", list.len() - without.len(), list.len(), without.join(", "));
            Finding::limited(what, found, lost, "run a newer kernel: Linux 6.1 has the most of it, 6.15 all")
        });
    }
    findings
}

fn refused(facts: &Facts, errno: Errno) -> Finding {
    let means = "catcollar cannot run; libos: auto takes catnap";
    let (found, todo) = match (errno, facts.uring_disabled) {
        (Errno::PERM | Errno::ACCESS, Some(2)) => (
            "forbidden to everybody: kernel.io_uring_disabled is 2".to_owned(),
            format!("as root: sysctl kernel.io_uring_disabled=0; {INSTEAD}"),
        ),
        (Errno::PERM | Errno::ACCESS, Some(1)) => (
            "forbidden to this user: kernel.io_uring_disabled is 1".to_owned(),
            format!(
                "as root: put the user into the group that kernel.io_uring_group names, or sysctl \
                 kernel.io_uring_disabled=0; {INSTEAD}"
            ),
        ),
        (Errno::PERM | Errno::ACCESS | Errno::NOSYS, _) if facts.seccomp => (
            format!("forbidden by a seccomp filter ({})", errno.name()),
            format!(
                "let the container's seccomp profile allow io_uring_setup, io_uring_enter and io_uring_register; {INSTEAD}"
            ),
        ),
        (Errno::NOSYS, _) => (
            "this kernel does not have it, or not all that is needed".to_owned(),
            format!("run Linux 5.11 or newer; {INSTEAD}"),
        ),
        (Errno::NOMEM, _) => (
            "too little memory may be locked for its rings".to_owned(),
            format!(
                "raise the memlock limit, which holds for all processes of the user together (ulimit -l, LimitMEMLOCK=), \
                 or make catcollar.completions smaller; {INSTEAD}"
            ),
        ),
        (errno, _) => (
            format!("io_uring_setup gives {}", errno.name()),
            format!("ask who set up this machine's security policy; {INSTEAD}"),
        ),
    };
    Finding::missing(RING, found, means, todo)
}
