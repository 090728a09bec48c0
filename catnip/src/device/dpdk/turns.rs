// SPDX-License-Identifier: MIT OR Apache-2.0
//! Turns between the data path and DPDK's interrupt thread, for drivers that take memory away on the latter.
//!
//! `net_memif` maps its peer's memory when that connects, and unmaps it when it goes, on the thread that reads its control socket: a
//! burst at that moment would end in `SIGSEGV`. So does `net_virtio_user` when another host comes to a card that waits for it. So that thread waits here, in a callback of ours, until one of its descriptors has something to
//! say; then it takes every port's turn, goes through its descriptors, and comes back to give the turns back. A burst tries to take its port's
//! turn, and finds nothing where it cannot: one exchange of a word, and no wait.
//!
//! - The turns are free only while the interrupt thread is in [`interrupted`]: what else it calls has them all.
//! - A port that is made meanwhile begins with its turn taken.

use super::limits::{TURN_LOOKS, TURN_PAUSE, TURN_ROUNDS};
use core::cell::Cell;
use core::ffi::{c_int, c_void};
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};
use dpdk_sys::margay_watch;
use runtime::{Error, Result};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::{fs, io};

/// Drivers that need turns.
const DRIVERS: [&str; 2] = ["net_memif", "net_virtio_user"];

/// No descriptor.
const NOT_FOUND: c_int = -1;

const EVENT: &str = "eventfd: for DPDK's interrupt thread";

/// What the interrupt thread comes to.
struct Gate {
    /// Readable when it is to come here.
    event: OwnedFd,
    turns: Mutex<Turns>,
    /// How often the interrupt thread was here since the turns were free.
    rounds: AtomicU32,
    /// Its `epoll(7)` instance, as it was last found.
    round: AtomicI32,
}

struct Turns {
    /// The interrupt thread has all turns.
    interrupting: bool,
    of_ports: Vec<Arc<AtomicBool>>,
}

/// One for the process, as the interrupt thread is.
static GATE: OnceLock<Gate> = OnceLock::new();
/// Taken while it is made.
static MAKING: Mutex<()> = Mutex::new(());

impl Gate {
    fn turns(&self) -> MutexGuard<'_, Turns> {
        // Nothing panics that holds it.
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes every port's turn.
    fn take(&self) {
        let ports = {
            let mut turns = self.turns();
            if core::mem::replace(&mut turns.interrupting, true) {
                return;
            }
            turns.of_ports.clone()
        };
        for turn in &ports {
            take(turn);
        }
    }

    /// Gives them back.
    fn give_back(&self) {
        let mut turns = self.turns();
        turns.interrupting = false;
        turns.of_ports.iter().for_each(|turn| turn.store(false, Ordering::Release));
    }

    /// Has the interrupt thread come here with its next round.
    fn call(&self) {
        // Its count is a few, so it takes one more.
        let _ = rustix::io::write(&self.event, &1_u64.to_ne_bytes());
    }

    fn answer(&self) {
        let _ = rustix::io::read(&self.event, &mut [0; 8]);
    }
}

/// Waits for a turn. Whoever has it does one burst, or what a few descriptors say, and does not wait for us.
fn take(turn: &AtomicBool) {
    let mut looks = 0;
    while turn.swap(true, Ordering::Acquire) {
        if looks < TURN_LOOKS {
            looks += 1;
            thread::yield_now();
        } else {
            runtime::pause(TURN_PAUSE);
        }
    }
}

/// DPDK's interrupt thread is here: it stays until another of its descriptors is readable.
extern "C" fn interrupted(_: *mut c_void) {
    // It was made before this was called.
    let Some(gate) = GATE.get() else { return };
    gate.answer();
    let round = round_of(gate.event.as_raw_fd(), gate.round.load(Ordering::Relaxed));
    gate.round.store(round.unwrap_or(NOT_FOUND), Ordering::Relaxed);
    let is_ready = |wait: Option<Timespec>| match round {
        Some(round) => {
            // SAFETY: this thread's own, which it closes when it makes a new one, and not while it is here.
            let round = unsafe { BorrowedFd::borrow_raw(round) };
            poll(&mut [PollFd::new(&round, PollFlags::IN)], wait.as_ref()) == Ok(1)
        }
        None => false,
    };
    // What is ready may have been seen to in this round, or not: one more does no harm. But a descriptor that is always ready must not keep
    // the turns for good.
    let rounds = gate.rounds.fetch_add(1, Ordering::Relaxed);
    if rounds >= TURN_ROUNDS || !is_ready(Some(Timespec { tv_sec: 0, tv_nsec: 0 })) {
        gate.rounds.store(0, Ordering::Relaxed);
        gate.give_back();
        if rounds >= TURN_ROUNDS || round.is_none() {
            runtime::pause(TURN_PAUSE);
        } else {
            // An interrupted wait is a round for nothing.
            is_ready(None);
        }
        gate.take();
    }
    gate.call();
}

/// Whether a descriptor is an `epoll(7)` instance that has the other one; `None`: that cannot be read.
fn watches(instance: c_int, event: c_int) -> Option<bool> {
    let is_gone = |error: io::Error| (error.kind() == io::ErrorKind::NotFound).then_some(false);
    match fs::read_link(format!("/proc/thread-self/fd/{instance}")) {
        Ok(to) if to.as_os_str() != "anon_inode:[eventpoll]" => return Some(false),
        Ok(_) => {}
        Err(error) => return is_gone(error),
    }
    match fs::read_to_string(format!("/proc/thread-self/fdinfo/{instance}")) {
        Ok(text) => {
            let watched = |line: &str| line.strip_prefix("tfd:")?.split_whitespace().next()?.parse().ok();
            Some(text.lines().filter_map(watched).any(|number: c_int| number == event))
        }
        Err(error) => is_gone(error),
    }
}

/// The instance that has this descriptor: DPDK makes a new one whenever its descriptors change. `None`: not to be found out.
fn round_of(event: c_int, last: c_int) -> Option<c_int> {
    if last != NOT_FOUND && watches(last, event)? {
        return Some(last);
    }
    let mut found = None;
    for entry in fs::read_dir("/proc/thread-self/fd").ok()?.flatten() {
        let Some(number) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if watches(number, event)? && found.replace(number).is_some() {
            return None;
        }
    }
    found
}

/// Makes the gate, if nobody has.
fn gate() -> Result<&'static Gate> {
    let _making = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(gate) = GATE.get() {
        return Ok(gate);
    }
    let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(|errno| Error::os(errno, EVENT))?;
    // Until the interrupt thread has come here, it may be anywhere.
    let turns = Mutex::new(Turns { interrupting: true, of_ports: Vec::new() });
    let gate = GATE.get_or_init(|| Gate { event, turns, rounds: AtomicU32::new(0), round: AtomicI32::new(NOT_FOUND) });
    gate.call();
    // SAFETY: the descriptor stays for good, and so does the function, which takes no argument.
    let said = unsafe { margay_watch(gate.event.as_raw_fd(), Some(interrupted), null_mut()) };
    if said < 0 {
        // Such a port works, as it would without this, but for the moment at which its peer goes.
        log::warn!("net_memif: rte_intr_callback_register: {said}: a peer that goes may end this process");
        gate.give_back();
    }
    Ok(gate)
}

/// A port's turn.
#[derive(Clone, Default)]
pub struct Turn {
    word: Option<Arc<AtomicBool>>,
    /// The port does not run, and is not to be asked for bursts; whoever stops it is on the thread of the bursts.
    stopped: Rc<Cell<bool>>,
}

/// A turn that is taken; it is given back with this.
pub struct Taken<'a>(Option<&'a AtomicBool>);

impl Drop for Taken<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(turn) = self.0 {
            turn.store(false, Ordering::Release);
        }
    }
}

impl Turn {
    /// For a port of this driver. It is forgotten when the last of its copies is dropped.
    ///
    /// # Errors
    /// `EMFILE`, `ENFILE`, `ENOMEM`.
    pub fn new(driver: &str) -> Result<Self> {
        if !DRIVERS.contains(&driver) {
            return Ok(Self::default());
        }
        let mut turns = gate()?.turns();
        turns.of_ports.retain(|turn| Arc::strong_count(turn) > 1);
        let turn = Arc::new(AtomicBool::new(turns.interrupting));
        turns.of_ports.push(Arc::clone(&turn));
        Ok(Self { word: Some(turn), stopped: Rc::default() })
    }

    /// For a burst; `None`: not now.
    #[inline]
    pub fn begin(&self) -> Option<Taken<'_>> {
        if self.stopped.get() { None } else { self.take_now() }
    }

    /// For what else does not wait; `None`: not now.
    #[inline]
    pub fn take_now(&self) -> Option<Taken<'_>> {
        let Some(turn) = &self.word else { return Some(Taken(None)) };
        // Not made before it is taken: to drop it gives a turn back.
        (!turn.swap(true, Ordering::Acquire)).then(|| Taken(Some(turn)))
    }

    /// For what ends bursts, which waits. Whoever has it must not wait for anything itself: the interrupt thread may wait for this one while it
    /// has all others.
    pub fn wait(&self) -> Taken<'_> {
        Taken(self.word.as_deref().inspect(|turn| take(turn)))
    }

    /// Whether the port does not run.
    pub fn is_stopped(&self) -> bool {
        self.stopped.get()
    }

    /// Says so.
    pub fn set_stopped(&self, stopped: bool) {
        self.stopped.set(stopped);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::epoll;

    fn a_turn() -> Turn {
        Turn { word: Some(Arc::default()), ..Turn::default() }
    }

    #[test]
    fn other_drivers_need_none() {
        let turn = Turn::new("net_ring").unwrap();
        let (one, two) = (turn.begin(), turn.begin());
        assert!(one.is_some() && two.is_some());
        drop(turn.wait());
    }

    #[test]
    fn the_instance_that_has_a_descriptor_is_found() {
        let event = eventfd(0, EventfdFlags::CLOEXEC).unwrap();
        assert_eq!(round_of(event.as_raw_fd(), NOT_FOUND), None);
        let make = || {
            let round = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
            epoll::add(&round, &event, epoll::EventData::new_u64(0), epoll::EventFlags::IN).unwrap();
            round
        };
        let round = make();
        assert_eq!(round_of(event.as_raw_fd(), NOT_FOUND), Some(round.as_raw_fd()));
        // Which of two would be a guess.
        let second = make();
        assert_eq!(round_of(event.as_raw_fd(), NOT_FOUND), None);
        assert_eq!(round_of(event.as_raw_fd(), round.as_raw_fd()), Some(round.as_raw_fd()), "as it was");
        let last = round.as_raw_fd();
        drop(round);
        for last in [NOT_FOUND, last, event.as_raw_fd()] {
            assert_eq!(round_of(event.as_raw_fd(), last), Some(second.as_raw_fd()), "{last}");
        }
    }

    #[test]
    fn a_turn_is_one_ones_own() {
        let turn = a_turn();
        let taken = turn.begin();
        // Who does not get it does not give it back.
        assert!(taken.is_some() && turn.begin().is_none() && turn.begin().is_none());
        drop(taken);
        drop(turn.wait());
        assert!(turn.begin().is_some());
        // Of a port that does not run nothing is asked, whoever looks.
        let other = turn.clone();
        turn.set_stopped(true);
        assert!(other.begin().is_none());
        turn.set_stopped(false);
        assert!(other.begin().is_some());
    }

    #[test]
    fn ports_wait_while_interrupts_are_seen_to() {
        let ports = [a_turn(), a_turn()];
        let of_ports = ports.iter().filter_map(|port| port.word.clone()).collect();
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).unwrap();
        let turns = Mutex::new(Turns { interrupting: false, of_ports });
        let gate = Gate { event, turns, rounds: AtomicU32::new(0), round: AtomicI32::new(NOT_FOUND) };
        gate.take();
        // Again, in a further round.
        gate.take();
        for _ in 0..2 {
            assert!(ports.iter().all(|port| port.begin().is_none()));
        }
        gate.give_back();
        assert!(ports.iter().all(|port| port.begin().is_some()));
    }
}
