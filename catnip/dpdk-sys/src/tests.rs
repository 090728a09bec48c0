// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can be known of the bindings without a port.

use super::*;

#[test]
fn the_library_is_one_that_the_bindings_know() {
    // SAFETY: a string that is never freed.
    let version = unsafe { core::ffi::CStr::from_ptr(rte_version()) };
    let version = version.to_str().expect("ASCII");
    let number = version.strip_prefix("DPDK ").expect("its name");
    let mut parts = number.split('.').map_while(|part| part.parse::<u32>().ok());
    let found = (parts.next().expect("a year"), parts.next().expect("a month"));
    assert!(found >= (21, 11), "{version}");
}

/// Marks and offloads are bits that differ.
#[test]
fn constants_are_not_lost() {
    let work = [MARGAY_FLAG_TX_IPV6, MARGAY_FLAG_TX_TCP_SEG, MARGAY_FLAG_TX_IPV4, MARGAY_FLAG_TX_IP_CKSUM];
    for (at, flag) in work.iter().enumerate() {
        assert!(flag.is_power_of_two());
        assert!(work[at + 1..].iter().all(|other| other != flag));
    }
    assert!(MARGAY_TX_MULTI_SEGS.is_power_of_two() && MARGAY_RX_SCATTER.is_power_of_two());
    const { assert!(MARGAY_HEADROOM >= 64 && MARGAY_PORTS_MAX >= 2) };
}
