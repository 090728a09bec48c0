// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sleeping until a frame comes: interrupts of the receive queues (`rte_eth_dev_rx_intr_enable`), for drivers that have them.
//!
//! The queues' descriptors are in one `epoll(7)` instance, with the timer for what else must be looked at. DPDK adds them, and reads from
//! them what has to be read: 8 bytes, 4 or none, as the driver says. So they are edge-triggered, since some stay readable for good
//! (`net_virtio_user`), and each interrupt is told once.
//!
//! No frame is slept through:
//!
//! - One that came before its queue was enabled is seen by the look at the queues after that.
//! - Where that look did not get the port's turn (`turns`), the timer ends the sleep.
//! - One that comes later makes the instance readable. That is taken back before the queues are looked at, not after it.
//! - One that is there and cannot be seen yet, as with `net_tap`, has the timer end the sleep ([`Interrupts::tell_all`]).

use super::plan::Plan;
use super::port::Port;
use core::ffi::c_int;
use core::ptr::null_mut;
use core::sync::atomic::{Ordering, fence};
use dpdk_sys::{
    MARGAY_INTERRUPT_ADD, MARGAY_INTERRUPT_DELETE, margay_quiet, rte_eth_conf, rte_eth_dev_configure,
    rte_eth_dev_rx_intr_ctl_q, rte_eth_dev_rx_intr_ctl_q_get_fd, rte_eth_dev_rx_intr_disable,
    rte_eth_dev_rx_intr_enable,
};
use runtime::{Error, Result};
use rustix::event::{PollFd, PollFlags, Timespec, epoll, poll};
use rustix::io::Errno as Os;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// Drivers whose interrupts cannot be relied on. The descriptors of `net_vhost` are its guest's, which comes and goes without saying so, and nobody
/// would watch the new ones; the same would be so for `net_memif`, which does not have any so far. `net_failsafe` takes a processor of its own for them.
const UNSOUND: [&str; 3] = ["net_memif", "net_vhost", "net_failsafe"];

/// What a port of `net_virtio_user` is that others connect to: when one does, a packed ring is made anew on DPDK's interrupt thread, with its
/// interrupts off, whoever sleeps meanwhile.
const SERVER: &str = "server=1";

/// The driver with nothing to enable: its descriptors, those of the TAP queues, are always on. But it looks at a queue only after a signal
/// (`F_SETSIG`), which another thread may be about to take while the descriptor has told of the frame already.
const BY_SIGNAL: &str = "net_tap";

impl Port {
    /// Whether interrupts of this port can be relied on, if its driver has them. Of virtual devices those are asked that are known to.
    pub(super) fn may_interrupt(&self) -> bool {
        match self.driver() {
            BY_SIGNAL => true,
            // One that is named by its hardware address was made elsewhere, who knows how.
            "net_virtio_user" => self.is_virtual() && !self.arguments().contains(SERVER),
            driver => !self.is_virtual() && !UNSOUND.contains(&driver),
        }
    }
}

/// The driver that closes its queues' descriptors twice at its end if it was set to interrupt: once as DPDK does for every driver
/// (`rte_intr_efd_disable`), and once by itself (`virtio_user_dev_uninit_notify`, 22.11). What another thread has opened in between under the same
/// number is closed with that: a socket of the application, or a descriptor that DPDK's interrupt thread watches, which then ends the process.
const CLOSES_TWICE: &str = "net_virtio_user";

/// What a port is set to once it has stopped for the last time: the same as before, without interrupts.
pub struct Farewell {
    queues: u16,
    conf: Box<rte_eth_conf>,
}

impl Farewell {
    /// For a port that needs it.
    pub fn of(port: &Port, plan: &Plan) -> Option<Self> {
        let needed = plan.interrupts() && port.driver() == CLOSES_TWICE;
        needed.then(|| {
            let mut conf = plan.conf.clone();
            conf.intr_conf.set_rxq(0);
            Self { queues: plan.queues, conf }
        })
    }

    /// Sets a port that has stopped to it. False: it cannot be closed.
    pub fn say(&self, port: u16) -> bool {
        // SAFETY: a structure that it copies. The offloads are those that it has, so that the driver makes nothing anew.
        unsafe { rte_eth_dev_configure(port, self.queues, self.queues, &raw const *self.conf) >= 0 }
    }
}

/// The interrupts of all queues of a port.
pub struct Interrupts {
    epoll: OwnedFd,
    port: u16,
    queues: u16,
    by_signal: bool,
    /// Queues whose descriptors are in the instance, and those.
    watched: Vec<(u16, c_int)>,
}

impl Interrupts {
    /// Those of a port that runs, which are disabled, and the timer's descriptor. `None`: some queue has none; the port goes on as it is, since
    /// some drivers cannot start it a second time.
    ///
    /// # Errors
    /// `EMFILE`, `ENFILE`, `ENOMEM`.
    pub fn new(port: &Port, plan: &Plan, timer: BorrowedFd<'_>) -> Result<Option<Self>> {
        if !plan.interrupts() {
            return Ok(None);
        }
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(no_instance)?;
        let mut all = Self {
            epoll,
            port: port.id(),
            queues: plan.queues,
            by_signal: port.driver() == BY_SIGNAL,
            watched: Vec::with_capacity(plan.queues.into()),
        };
        // First, because it says without a word on the standard error output that the driver has none.
        let usable = all.enable() && all.watch();
        // A NIC has to be told, too, that nobody waits for its interrupts at first.
        all.disable();
        if !usable {
            return Ok(None);
        }
        // DPDK skips what has no data of its own; and the timer is off whenever DPDK looks.
        epoll::add(&all.epoll, timer, epoll::EventData::new_u64(0), epoll::EventFlags::IN).map_err(no_instance)?;
        Ok(Some(all))
    }

    /// Adds the queues' descriptors. False: there is a queue without.
    fn watch(&mut self) -> bool {
        (0..self.queues).all(|queue| {
            let said = self.control(queue, MARGAY_INTERRUPT_ADD);
            if said < 0 {
                // Another queue has the same descriptor.
                return said == -Os::EXIST.raw_os_error();
            }
            // SAFETY: numbers of a port that is there.
            let descriptor = unsafe { rte_eth_dev_rx_intr_ctl_q_get_fd(self.port, queue) };
            self.watched.push((queue, descriptor));
            descriptor >= 0
        })
    }

    fn control(&self, queue: u16, what: c_int) -> c_int {
        // SAFETY: numbers of a port that is there. DPDK keeps that of the instance, which is open until the queue is deleted from it.
        unsafe { rte_eth_dev_rx_intr_ctl_q(self.port, queue, self.epoll.as_raw_fd(), what, null_mut()) }
    }

    /// What becomes readable.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }

    /// From now on, what comes interrupts; what has come before may not, so look at the queues after this. False: some queue does not.
    #[cold]
    pub fn enable(&self) -> bool {
        let enabled = (0..self.queues).all(|queue| {
            // SAFETY: numbers of a port that runs; nobody does a burst meanwhile.
            let said = unsafe { rte_eth_dev_rx_intr_enable(self.port, queue) };
            said >= 0 || self.by_signal && said == -Os::OPNOTSUPP.raw_os_error()
        });
        // A peer over memory puts a frame there and then looks whether to interrupt. This side has said so, and then looks for the frame: one of
        // the two sees what the other has done.
        fence(Ordering::SeqCst);
        enabled
    }

    /// Whether each frame that a look at the queues has not seen is still to interrupt. False: one may have done so already.
    #[cold]
    pub fn tell_all(&self) -> bool {
        let is_empty = |&(_, descriptor): &(u16, c_int)| {
            // SAFETY: the driver's, which is open as long as the port is; with a negative number there would be no interrupts.
            let descriptor = unsafe { BorrowedFd::borrow_raw(descriptor) };
            let mut look = [PollFd::new(&descriptor, PollFlags::IN)];
            let ready = poll(&mut look, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
            // A queue whose interface is gone says so by an error, once and for all.
            ready == Ok(0) || ready == Ok(1) && !look[0].revents().contains(PollFlags::IN)
        };
        // Others have the frame in memory before they interrupt, and some leave their descriptors readable.
        !self.by_signal || self.watched.iter().all(is_empty)
    }

    /// No interrupts any more; those that there were are taken back.
    #[cold]
    pub fn disable(&self) {
        for queue in 0..self.queues {
            // SAFETY: as above. One that has interrupted already says so (mlx5), and one that cannot interrupt.
            let _ = unsafe { rte_eth_dev_rx_intr_disable(self.port, queue) };
        }
        // SAFETY: an instance that has nothing but what DPDK has added, and what DPDK skips.
        unsafe { margay_quiet(self.epoll.as_raw_fd()) };
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        self.disable();
        for &(queue, _) in &self.watched {
            // The port would go on using the instance's number, which may be somebody else's soon.
            self.control(queue, MARGAY_INTERRUPT_DELETE);
        }
    }
}

fn no_instance(errno: Os) -> Error {
    Error::os(errno, "epoll: for interrupts of a port of DPDK")
}
