// SPDX-License-Identifier: MIT OR Apache-2.0
//! Making a ring as good as this kernel has it: `io_uring_setup(2)`.
//!
//! The flags are tried from the best set to none at all; each set is what one kernel version had. What a ring can do beyond
//! its flags is read from its parameters and from the probe of opcodes, once.

use crate::Settings;
use core::time::Duration;
use io_uring::types::Napi;
use io_uring::{IoUring, Probe, opcode};
use runtime::{Errno, Error, Result};

/// Flags of a ring.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of io_uring_setup")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Setup {
    /// `IORING_SETUP_SUBMIT_ALL`, Linux 5.18: a bad entry does not hold up those behind it.
    pub submit_all: bool,
    /// `IORING_SETUP_COOP_TASKRUN` and `IORING_SETUP_TASKRUN_FLAG`, 5.19: the kernel does not interrupt the thread, and says
    /// in the ring that it has work for it.
    pub coop_taskrun: bool,
    /// `IORING_SETUP_SINGLE_ISSUER`, 6.0.
    pub single_issuer: bool,
    /// `IORING_SETUP_DEFER_TASKRUN`, 6.1: the kernel does that work in `io_uring_enter` only.
    pub defer_taskrun: bool,
    /// `IORING_SETUP_NO_SQARRAY`, 6.6: entries are taken in the order of the ring.
    pub no_sqarray: bool,
}

/// Best first.
pub const STEPS: [Setup; 6] = {
    let none =
        Setup { submit_all: false, coop_taskrun: false, single_issuer: false, defer_taskrun: false, no_sqarray: false };
    let linux_5_18 = Setup { submit_all: true, ..none };
    let linux_5_19 = Setup { coop_taskrun: true, ..linux_5_18 };
    let linux_6_0 = Setup { single_issuer: true, ..linux_5_19 };
    let linux_6_1 = Setup { defer_taskrun: true, ..linux_6_0 };
    let linux_6_6 = Setup { no_sqarray: true, ..linux_6_1 };
    [linux_6_6, linux_6_1, linux_6_0, linux_5_19, linux_5_18, none]
};

/// What a ring can do, apart from its flags.
#[expect(clippy::struct_excessive_bools, reason = "each is there or not, by itself")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features {
    /// One request accepts connection after connection, 5.19.
    pub multishot_accept: bool,
    /// One request receives message after message, into buffers of a ring, 6.0.
    pub multishot_receive: bool,
    /// One completion for several buffers, 6.10.
    pub bundles: bool,
    /// `IORING_OP_SEND_ZC` and `IORING_OP_SENDMSG_ZC`, 6.1.
    pub zero_copy: bool,
    /// A ring that the thread has registered is entered by its index, 5.18.
    pub registered_ring: bool,
    /// A table of registered descriptors that lets go of a socket at once, 6.13; it shows from 6.15 on.
    pub registered_files: bool,
    /// A wait is not shown as one for a disk, 6.15.
    pub no_iowait: bool,
}

impl Features {
    /// As Linux 5.11 has it.
    #[cfg(test)]
    pub const NONE: Self = Self {
        multishot_accept: false,
        multishot_receive: false,
        bundles: false,
        zero_copy: false,
        registered_ring: false,
        registered_files: false,
        no_iowait: false,
    };

    /// As this version of catcollar can use it.
    pub const ALL: Self = Self {
        multishot_accept: true,
        multishot_receive: true,
        bundles: true,
        zero_copy: true,
        registered_ring: true,
        registered_files: true,
        no_iowait: true,
    };

    /// What both have.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            multishot_accept: self.multishot_accept && other.multishot_accept,
            multishot_receive: self.multishot_receive && other.multishot_receive,
            bundles: self.bundles && other.bundles,
            zero_copy: self.zero_copy && other.zero_copy,
            registered_ring: self.registered_ring && other.registered_ring,
            registered_files: self.registered_files && other.registered_files,
            no_iowait: self.no_iowait && other.no_iowait,
        }
    }
}

/// The requests that every ring must know.
pub const NEEDED: [(&str, u8); 8] = [
    ("POLL_ADD", opcode::PollAdd::CODE),
    ("SENDMSG", opcode::SendMsg::CODE),
    ("RECVMSG", opcode::RecvMsg::CODE),
    ("TIMEOUT", opcode::Timeout::CODE),
    ("ACCEPT", opcode::Accept::CODE),
    ("ASYNC_CANCEL", opcode::AsyncCancel::CODE),
    ("SEND", opcode::Send::CODE),
    ("RECV", opcode::Recv::CODE),
];

/// The requests that are used where they are there. The first tells a kernel that accepts by multishot, which came with it
/// and cannot be asked for; the second one that receives so.
pub const USED: [(&str, u8); 3] =
    [("SOCKET", opcode::Socket::CODE), ("SEND_ZC", opcode::SendZc::CODE), ("SENDMSG_ZC", opcode::SendMsgZc::CODE)];

const OLD: Error = Error::new(
    Errno::NOSYS,
    "this kernel's io_uring is too old (Linux 5.11 has what is needed): set libos to catnap or auto",
);

const SETUP: &str = "io_uring_setup";

/// One clear error for each reason why there is no ring: what one of its calls has said.
pub fn refused(error: &std::io::Error, call: &'static str) -> Error {
    let errno = Errno::from_raw(error.raw_os_error().unwrap_or(Errno::IO.raw()));
    let reason = match errno {
        Errno::PERM | Errno::ACCESS => {
            "io_uring is forbidden here (seccomp, or sysctl kernel.io_uring_disabled): set libos to catnap or auto"
        }
        Errno::NOSYS => "this kernel has no io_uring: set libos to catnap or auto",
        Errno::NOMEM if call == SETUP => "no memory for io_uring (raise RLIMIT_MEMLOCK): set libos to catnap or auto",
        _ => call,
    };
    Error::new(errno, reason)
}

/// Makes a ring with the best flags that the kernel takes, beginning at `first` of [`STEPS`].
///
/// # Errors
/// Those of `io_uring_setup(2)`; `ENOSYS` if it lacks something that is needed.
pub fn open(settings: &Settings, first: usize) -> Result<(IoUring, Setup, Features)> {
    let mut refusal = None;
    for &step in &STEPS[first.min(STEPS.len() - 1)..] {
        let Some(setup) = suited(step, settings.sqpoll) else { continue };
        match build(settings, setup) {
            Ok(io) => {
                let features = features(&io)?;
                // A filter may allow the ring and forbid to enter it: better now than with the first request.
                io.submitter().submit().map_err(|error| refused(&error, "io_uring_enter"))?;
                busy_poll(&io, settings.busy_poll);
                return Ok((io, setup, features));
            }
            // A flag that it does not know.
            Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw()) => refusal = Some(error),
            Err(error) => return Err(refused(&error, SETUP)),
        }
    }
    Err(refusal.map_or(OLD, |error| refused(&error, SETUP)))
}

/// The kernel's submission thread does the work itself, and takes no flag that says when this thread shall.
fn suited(step: Setup, sqpoll: Option<Duration>) -> Option<Setup> {
    match sqpoll {
        None => Some(step),
        Some(_) if step.coop_taskrun && !step.no_sqarray => None,
        Some(_) => Some(Setup { coop_taskrun: false, single_issuer: false, defer_taskrun: false, ..step }),
    }
}

fn build(settings: &Settings, setup: Setup) -> std::io::Result<IoUring> {
    let mut builder = IoUring::builder();
    builder.setup_cqsize(settings.completions).dontfork();
    if setup.submit_all {
        builder.setup_submit_all();
    }
    if setup.coop_taskrun {
        builder.setup_coop_taskrun().setup_taskrun_flag();
    }
    if setup.single_issuer {
        builder.setup_single_issuer();
    }
    if setup.defer_taskrun {
        builder.setup_defer_taskrun();
    }
    if setup.no_sqarray {
        builder.setup_no_sqarray();
    }
    if let Some(idle) = settings.sqpoll {
        builder.setup_sqpoll(u32::try_from(idle.as_millis()).unwrap_or(u32::MAX));
    }
    builder.build(settings.entries)
}

/// What the ring can do.
fn features(io: &IoUring) -> Result<Features> {
    let params = io.params();
    let mut probe = Probe::new();
    io.submitter()
        .register_probe(&mut probe)
        .map_err(|error| refused(&error, "io_uring_register: IORING_REGISTER_PROBE"))?;
    let needed = params.is_feature_nodrop() && params.is_feature_fast_poll() && params.is_feature_ext_arg();
    if !needed || NEEDED.iter().any(|&(_, code)| !probe.is_supported(code)) {
        return Err(OLD);
    }
    Ok(Features {
        multishot_accept: probe.is_supported(opcode::Socket::CODE),
        multishot_receive: probe.is_supported(opcode::SendZc::CODE),
        bundles: params.is_feature_recvsend_bundle(),
        zero_copy: probe.is_supported(opcode::SendMsgZc::CODE),
        // What a kernel of the same version has.
        registered_ring: params.is_feature_linked_file(),
        registered_files: params.is_feature_no_iowait(),
        no_iowait: params.is_feature_no_iowait(),
    })
}

/// A wait polls the network device first. A kernel that cannot do so just sleeps.
fn busy_poll(io: &IoUring, time: Duration) {
    if time.is_zero() {
        return;
    }
    let micros = u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
    let mut napi = Napi::new().set_busy_poll_timeout(micros).set_prefer_busy_poll(true);
    if let Err(error) = io.submitter().register_napi(&mut napi) {
        log::warn!("catcollar.busy_poll has no effect: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_call_that_failed_is_named() {
        let told = |errno: Errno, call| refused(&std::io::Error::from_raw_os_error(errno.raw()), call);
        assert_eq!(told(Errno::INVAL, SETUP).reason(), SETUP);
        assert_eq!(told(Errno::INVAL, "another").reason(), "another");
        assert_eq!(told(Errno::NOMEM, "another").reason(), "another");
        assert!(told(Errno::NOMEM, SETUP).reason().contains("RLIMIT_MEMLOCK"));
        assert!(told(Errno::PERM, "another").reason().contains("catnap"));
    }
}
