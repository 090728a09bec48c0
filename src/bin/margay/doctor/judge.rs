// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the answers mean for a program that uses Margay, and what to do about each that is not as it should be.

use super::directory::Condition;
use super::facts::{BPF, Facts, IPC_LOCK, NET_ADMIN, NET_BIND_SERVICE, NET_RAW};
use super::{Finding, uring};
use crate::units;
use std::path::Path;

/// What every back end needs: `EPOLL_EVENTS`, sealed memfds, `io_uring` with `EXT_ARG`.
const KERNEL_MIN: (u32, u32) = (5, 11);
/// What Linux gives by itself since 5.16.
const MEMLOCK: u64 = 8 << 20;
/// As many descriptors as `limits.queues` is by default: a connection takes one.
const DESCRIPTORS: u64 = 16_384;
/// The pipes' and the sockets' smallest need: a few segments of the default size.
const MEMORY_MIN: u64 = 64 << 20;
/// What the names in the runtime directory and the pages of statistics take at most, generously.
const DIRECTORY_MIN: u64 = 1 << 20;

/// All findings, in the order in which they are shown.
pub fn all(facts: &Facts) -> Vec<Finding> {
    let mut findings = vec![kernel(facts), cores(facts)];
    findings.extend(uring::judge(facts));
    findings.extend([memlock(facts), descriptors(facts), directory(facts), shared(facts), membarrier(facts)]);
    findings.extend(capabilities(facts));
    findings
}

/// The two numbers in front of a release such as `6.1.0-28-amd64`.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

fn kernel(facts: &Facts) -> Finding {
    const WHAT: &str = "kernel";
    let found = &facts.kernel;
    match version(found) {
        Some(version) if version >= KERNEL_MIN => Finding::ok(WHAT, found, "new enough for every back end"),
        Some(_) => Finding::missing(
            WHAT,
            found,
            "older than what Margay is written for and tested on",
            "run Linux 5.11 or newer; 6.1 or newer is faster with catcollar",
        ),
        None => Finding::limited(
            WHAT,
            found,
            "its version cannot be read",
            "compare it with Linux 5.11, the oldest that will do",
        ),
    }
}

fn cores(facts: &Facts) -> Finding {
    const WHAT: &str = "cores";
    let found = facts.cores.to_string();
    if facts.cores >= 2 {
        return Finding::ok(WHAT, found, "a wait can poll without keeping its peer from running");
    }
    Finding::limited(
        WHAT,
        found,
        "who polls keeps everybody else from running, its peer too",
        "set wait.spin to 0, or give the process a second core",
    )
}

fn memlock(facts: &Facts) -> Finding {
    const WHAT: &str = "locked memory";
    const MEANS: &str = "enough for the rings of some forty LibOses with catcollar, all of the user's together";
    const FREE: &str = "catcollar's rings, and messages that are sent without a copy, may lock what they need";
    let Some(limit) = facts.memlock.current else { return Finding::ok(WHAT, "unlimited", FREE) };
    let found = units::size(usize::try_from(limit).unwrap_or(usize::MAX));
    if facts.can(IPC_LOCK) {
        return Finding::ok(WHAT, format!("{found}, not in force with CAP_IPC_LOCK"), FREE);
    }
    if limit >= MEMLOCK {
        return Finding::ok(WHAT, found, MEANS);
    }
    Finding::limited(
        WHAT,
        found,
        "each LibOs with catcollar may lock some 200 KiB, and messages that are sent without a copy are locked, too",
        format!("ulimit -l {}, or LimitMEMLOCK= of the systemd unit", MEMLOCK >> 10),
    )
}

fn descriptors(facts: &Facts) -> Finding {
    const WHAT: &str = "descriptors";
    let shown = |limit: Option<u64>| limit.map_or_else(|| "unlimited".to_owned(), |limit| limit.to_string());
    let limit = facts.descriptors;
    let found = format!("{} (at most {})", shown(limit.current), shown(limit.maximum));
    if limit.current.is_none_or(|limit| limit >= DESCRIPTORS) {
        return Finding::ok(WHAT, found, "enough for as many connections as limits.queues allows by default");
    }
    let todo = if limit.maximum.is_none_or(|limit| limit >= DESCRIPTORS) {
        format!("ulimit -n {DESCRIPTORS}, or LimitNOFILE= of the systemd unit")
    } else {
        format!("as root: nofile in /etc/security/limits.conf, or LimitNOFILE= of the systemd unit, to {DESCRIPTORS}")
    };
    let means = "each connection takes one: beyond the limit, socket and accept give EMFILE";
    Finding::limited(WHAT, found, means, todo)
}

fn directory(facts: &Facts) -> Finding {
    const WHAT: &str = "runtime directory";
    const NONE: &str = "pipes, catloop and margay top cannot work: processes find each other there";
    let path = &facts.directory.path;
    let shown = path.display();
    let elsewhere = "or set catmem.directory to a folder of the user's own";
    let missing = |found: String, todo: String| Finding::missing(WHAT, found, NONE, todo);
    match facts.directory.condition {
        Condition::Private | Condition::ToBeMade if facts.directory.free.is_some_and(|free| free < DIRECTORY_MIN) => {
            missing(format!("{shown}: its file system is full"), format!("make room there, {elsewhere}"))
        }
        Condition::Private => {
            Finding::ok(WHAT, with_free(path, facts), "private to the user: processes find each other there")
        }
        Condition::ToBeMade => {
            Finding::ok(WHAT, format!("{}, not made yet", with_free(path, facts)), "it will be made at the first use")
        }
        Condition::CannotBeMade => {
            missing(format!("{shown} is not there, and cannot be made"), format!("set XDG_RUNTIME_DIR, {elsewhere}"))
        }
        Condition::NoDirectory => {
            missing(format!("{shown} is no directory"), format!("remove what has its name, {elsewhere}"))
        }
        Condition::Link => missing(
            format!("{shown} is a symbolic link"),
            "name its target in catmem.directory, or remove the link".to_owned(),
        ),
        Condition::Foreign => missing(format!("{shown} belongs to another user"), format!("remove it, {elsewhere}")),
        Condition::Open => {
            missing(format!("{shown} can be written by others"), format!("chmod 0700 {shown}, {elsewhere}"))
        }
        Condition::ReadOnly => {
            missing(format!("{shown} cannot be written to"), format!("chmod 0700 {shown}, {elsewhere}"))
        }
    }
}

fn with_free(path: &Path, facts: &Facts) -> String {
    let free = facts.directory.free.map(|free| format!(", {} free", units::bytes(free as f64)));
    format!("{}{}", path.display(), free.unwrap_or_default())
}

fn shared(facts: &Facts) -> Finding {
    const WHAT: &str = "shared memory";
    if let Err(reason) = &facts.shared {
        let means = "pipes and catloop cannot work: their rings are sealed memfds";
        return Finding::missing(
            WHAT,
            reason,
            means,
            "let the seccomp profile allow memfd_create, or name catnap as libos",
        );
    }
    let means = "rings of pipes and of catloop lie in memfds: only the processes that talk can see them";
    match facts.available {
        Some(free) if free < MEMORY_MIN => Finding::limited(
            WHAT,
            format!("{} can be had", units::bytes(free as f64)),
            "there may be too little for the rings of a few connections",
            "free memory, or make catmem.ring and catloop.ring smaller",
        ),
        Some(free) => Finding::ok(WHAT, format!("{} can be had", units::bytes(free as f64)), means),
        None => Finding::ok(WHAT, "can be made", means),
    }
}

fn membarrier(facts: &Facts) -> Finding {
    const WHAT: &str = "membarrier";
    if facts.membarrier {
        return Finding::ok(WHAT, "global expedited", "a push into shared memory needs no fence");
    }
    Finding::limited(
        WHAT,
        "not there",
        "each push into shared memory has a fence, some ten nanoseconds",
        "let the seccomp profile allow membarrier; nohz_full kernels may lack it",
    )
}

fn capabilities(facts: &Facts) -> Vec<Finding> {
    let ports = if facts.can(NET_BIND_SERVICE) || facts.first_port == 0 {
        Finding::ok("low ports", "may be bound", "a server can have any port")
    } else {
        Finding::limited(
            "low ports",
            format!("those below {} may not be bound", facts.first_port),
            "catcollar and catnap give EACCES there; catloop does not care",
            "use a higher port; or setcap cap_net_bind_service+ep on the program, or sysctl \
             net.ipv4.ip_unprivileged_port_start",
        )
    };
    let busy_poll = if facts.can(NET_ADMIN) {
        Finding::ok("CAP_NET_ADMIN", "there", "catcollar.busy_poll can prefer polling to interrupts")
    } else {
        Finding::ok("CAP_NET_ADMIN", "not there", "not needed: only catcollar.busy_poll, off by default, could use it")
    };
    vec![ports, busy_poll, xdp(facts)]
}

/// Nobody needs it but who asks for it, so that its lack is no fault of the machine.
fn xdp(facts: &Facts) -> Finding {
    const WHAT: &str = "XDP sockets";
    let missing: Vec<&str> = [(BPF, "CAP_BPF"), (NET_ADMIN, "CAP_NET_ADMIN"), (NET_RAW, "CAP_NET_RAW")]
        .into_iter()
        .filter(|&(capability, _)| !facts.can(capability))
        .map(|(_, name)| name)
        .collect();
    if !facts.xdp {
        Finding::ok(WHAT, "not in this kernel", "not needed: only catnip's device xdp takes them (CONFIG_XDP_SOCKETS)")
    } else if missing.is_empty() {
        Finding::ok(WHAT, "can be used", "catnip can share an interface past the kernel's stack, with its device xdp")
    } else {
        Finding::ok(
            WHAT,
            format!("not without {}", missing.join(", ")),
            "not needed: only catnip's device xdp takes them, as root, or with these on the program (setcap)",
        )
    }
}
