// SPDX-License-Identifier: MIT OR Apache-2.0
//! Processes that may not make one of the system calls, as in a container with a narrow profile. Text: `seccomp(2)`.

/// The whole of a filter: one call fails with an errno, all others are allowed. Made before the fork.
pub fn filter(call: libc::c_long, errno: libc::c_int) -> [libc::sock_filter; 4] {
    let call = u32::try_from(call).expect("calls have small numbers");
    let statement = |code: u32, k: u32| libc::sock_filter { code: code as u16, jt: 0, jf: 0, k };
    [
        // The number of the call stands first in `struct seccomp_data`.
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0),
        libc::sock_filter { jf: 1, ..statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, call) },
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ERRNO | errno.cast_unsigned()),
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW),
    ]
}

/// Puts this process, and what it becomes, under the filter. It may be called between fork and exec.
pub fn install(filter: &mut [libc::sock_filter; 4]) -> std::io::Result<()> {
    let program = libc::sock_fprog { len: 4, filter: filter.as_mut_ptr() };
    // SAFETY: a plain system call with numbers only.
    let quiet = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    // SAFETY: the program and its four statements live until the call returns, and the kernel copies them.
    let installed =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, core::ptr::from_ref(&program)) };
    if quiet == 0 && installed == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

/// Leaves this process, and what it becomes, without a capability, and with so many bytes that it may lock. It may be called
/// between fork and exec. Whoever is not root has no capability to give up, and may not.
#[allow(dead_code, reason = "not every suite that forbids system calls needs it")]
pub fn give_up_rights(locked: u64) -> std::io::Result<()> {
    for capability in 0..64 {
        // SAFETY: a plain system call with numbers only; beyond the last capability it fails.
        let _ = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
    }
    let limit = libc::rlimit { rlim_cur: locked, rlim_max: locked };
    // SAFETY: `limit` lives until the call returns.
    if unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const limit) } == 0 {
        Ok(())
    } else {
        Err(std::io::Error::last_os_error())
    }
}
