// SPDX-License-Identifier: MIT OR Apache-2.0
//! DPDK's environment (EAL, `rte_eal_init`), which a process starts once and keeps.
//!
//! Its arguments are found by looking at the host, and what the configuration gives comes behind them. It is started on a thread of its own,
//! because it binds that thread to a processor for good.

use super::Settings;
use core::cell::OnceCell;
use core::ffi::{CStr, c_char, c_int};
use dpdk_sys::{
    margay_errno, margay_knows_thread, rte_eal_init, rte_thread_register, rte_thread_unregister, rte_version,
};
use runtime::{Errno, Error, Result};
use rustix::io::Errno as Os;
use std::ffi::CString;
use std::fs;
use std::path::Path;
use std::sync::Mutex;

const NUL: Error = Error::new(Errno::INVAL, "an argument for DPDK with a zero byte in it");
const NO_THREAD: Error = Error::new(Errno::AGAIN, "no thread to start DPDK on");

/// Where the kernel counts huge pages, by their size.
const HUGE_PAGES: &str = "/sys/kernel/mm/hugepages";

/// What came of the start.
static STARTED: Mutex<Option<Result<()>>> = Mutex::new(None);

/// The version of libdpdk that is linked.
#[must_use]
pub fn version() -> &'static str {
    // SAFETY: a string that is never freed.
    unsafe { CStr::from_ptr(rte_version()) }.to_str().unwrap_or_default()
}

/// Starts it, if nobody has.
///
/// # Errors
/// As `rte_eal_init` says; the same again at each further call.
pub fn start(settings: &Settings) -> Result<()> {
    // Whoever panicked while it was held has left a whole value.
    let mut started = STARTED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(result) = *started {
        return result;
    }
    let prefix = format!("margay-{}", std::process::id());
    let arguments = arguments(settings, &prefix, huge_pages_free(Path::new(HUGE_PAGES)));
    let result = std::thread::Builder::new()
        .name("dpdk-main".to_owned())
        .spawn(move || init(&arguments))
        .map_err(|_| NO_THREAD)
        .and_then(|thread| thread.join().unwrap_or(Err(NO_THREAD)));
    remove_directory(&prefix);
    *started = Some(result);
    result
}

/// The arguments: a single processor of those that this process may use, no files, no other processes, and memory as there is.
fn arguments(settings: &Settings, prefix: &str, huge: bool) -> Vec<String> {
    let given = |names: &[&str]| {
        settings.eal.iter().any(|one| names.iter().any(|name| one == name || one.starts_with(&format!("{name}="))))
    };
    let mut all: Vec<String> = ["margay", "--file-prefix", prefix, "--no-telemetry"].map(str::to_owned).to_vec();
    let mut add = |more: &[&str]| all.extend(more.iter().map(|&one| one.to_owned()));
    if !given(&["-l", "-c", "--lcores"]) {
        add(&["-l", &first_processor().to_string()]);
    }
    if !given(&["--log-level"]) {
        add(&["--log-level", "error"]);
    }
    if !given(&["--in-memory", "--no-huge", "--huge-dir", "--legacy-mem"]) {
        if huge {
            // Single files, because peers that share memory (vhost, memif) are given those.
            add(&["--in-memory", "--single-file-segments"]);
        } else {
            add(&["--no-huge", "--no-shconf"]);
            if !given(&["-m"]) {
                add(&["-m", &settings.memory.to_string()]);
            }
        }
    }
    // Which NICs are taken is what the ports say. One that is named by its hardware address is looked for among all.
    if !given(&["-a", "--allow", "-b", "--block", "--no-pci"]) && super::port::hardware(&settings.port).is_none() {
        add(&["-a", "0000:00:00.0"]);
    }
    all.extend(settings.eal.iter().cloned());
    all
}

/// Whether there are free huge pages of some size.
fn huge_pages_free(sizes: &Path) -> bool {
    let Ok(entries) = fs::read_dir(sizes) else { return false };
    entries.flatten().any(|size| {
        let free = fs::read_to_string(size.path().join("free_hugepages"));
        free.is_ok_and(|free| free.trim().parse::<u64>().is_ok_and(|free| free > 0))
    })
}

/// The first processor that this thread may use.
fn first_processor() -> usize {
    let set = rustix::thread::sched_getaffinity(None);
    set.ok().and_then(|set| (0..rustix::thread::CpuSet::MAX_CPU).find(|&at| set.is_set(at))).unwrap_or(0)
}

fn init(arguments: &[String]) -> Result<()> {
    let arguments: Vec<CString> = arguments
        .iter()
        .map(|one| CString::new(one.as_str()))
        .collect::<core::result::Result<_, _>>()
        .map_err(|_| NUL)?;
    let mut pointers: Vec<*mut c_char> = arguments.iter().map(|one| one.as_ptr().cast_mut()).collect();
    let count = c_int::try_from(pointers.len()).map_err(|_| NUL)?;
    pointers.push(core::ptr::null_mut());
    // SAFETY: `count` strings and a null pointer behind them, as for `main`; it copies what it keeps. It is called once.
    if unsafe { rte_eal_init(count, pointers.as_mut_ptr()) } >= 0 {
        return Ok(());
    }
    // SAFETY: a number of this thread.
    let errno = unsafe { margay_errno() };
    Err(Error::os(
        Os::from_raw_os_error(errno),
        "DPDK could not be started: it has written why to the standard error output; `margay doctor dpdk` looks at this host",
    ))
}

/// Nothing is shared with other processes, so the directory that it has made for that stays empty.
fn remove_directory(prefix: &str) {
    let run = match std::env::var_os("XDG_RUNTIME_DIR") {
        Some(run) if !rustix::process::getuid().is_root() => run.into(),
        _ => Path::new("/var/run").to_owned(),
    };
    // Where it is elsewhere, or not empty, it is left.
    let _ = fs::remove_dir(run.join("dpdk").join(prefix));
    let _ = fs::remove_dir(run.join("dpdk"));
}

/// That a thread is known to DPDK, as long as it lives: then it has caches of its own in the pools.
struct Known;

impl Drop for Known {
    fn drop(&mut self) {
        // SAFETY: this thread was registered.
        unsafe { rte_thread_unregister() };
    }
}

thread_local! {
    static KNOWN: OnceCell<Option<Known>> = const { OnceCell::new() };
}

/// Makes this thread known to DPDK. Where there are too many, it works all the same, only slower.
pub fn join() {
    KNOWN.with(|known| {
        known.get_or_init(|| {
            // SAFETY: the environment is up.
            let joined = unsafe { !margay_knows_thread() && rte_thread_register() == 0 };
            joined.then_some(Known)
        });
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(arguments: &[String], pair: &[&str]) -> bool {
        arguments.windows(pair.len()).any(|window| window == pair)
    }

    #[test]
    fn defaults_are_found_by_looking() {
        let mut settings = Settings::new("net_null0");
        let plain = arguments(&settings, "margay-1", false);
        assert!(has(&plain, &["--file-prefix", "margay-1"]) && has(&plain, &["--no-huge", "--no-shconf", "-m", "256"]));
        assert!(has(&plain, &["-a", "0000:00:00.0"]) && has(&plain, &["-l"]));
        let huge = arguments(&settings, "margay-1", true);
        assert!(has(&huge, &["--in-memory"]) && !has(&huge, &["--no-huge"]));
        // One that is found by its address must be looked for.
        settings.port = "02:00:00:00:00:01".to_owned();
        assert!(!has(&arguments(&settings, "margay-1", true), &["-a"]));
    }

    #[test]
    fn what_is_given_goes_before_what_is_found() {
        let mut settings = Settings::new("net_null0");
        settings.eal = ["-l", "1", "--log-level=debug", "--no-huge", "--no-pci"].map(str::to_owned).to_vec();
        let all = arguments(&settings, "margay-1", true);
        assert!(!has(&all, &["--in-memory"]) && !has(&all, &["-m"]) && !has(&all, &["-a"]));
        assert_eq!(all.iter().filter(|one| *one == "-l").count(), 1);
        assert_eq!(all.iter().filter(|one| one.starts_with("--log-level")).count(), 1);
        assert_eq!(all[all.len() - settings.eal.len()..], settings.eal);
    }

    #[test]
    fn huge_pages_are_counted() {
        let directory = tempfile::tempdir().unwrap();
        assert!(!huge_pages_free(directory.path()));
        let size = directory.path().join("hugepages-2048kB");
        fs::create_dir(&size).unwrap();
        for (free, is) in [("0\n", false), ("12\n", true), ("many\n", false)] {
            fs::write(size.join("free_hugepages"), free).unwrap();
            assert_eq!(huge_pages_free(directory.path()), is, "{free:?}");
        }
    }
}
