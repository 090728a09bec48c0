// SPDX-License-Identifier: MIT OR Apache-2.0
//! The structures of `<demi/types.h>`: packed, with Demikernel's sizes and offsets, which `tests/c/layout.c` holds on
//! the C side and the assertions below on this one.

use core::ffi::{c_char, c_int, c_long, c_void};
use core::mem::{offset_of, size_of};
use core::ptr;

/// `struct sockaddr_in`, as bytes; `address` makes it.
#[derive(Clone, Copy, Debug)]
#[repr(C, packed)]
pub struct SockAddrIn(pub [u8; 16]);

/// `demi_sgaseg_t`.
#[derive(Clone, Copy, Debug)]
#[repr(C, packed)]
pub struct SgSegment {
    /// First byte.
    pub buf: *mut c_void,
    /// Length in bytes.
    pub len: u32,
}

/// `demi_sgarray_t`.
#[derive(Clone, Copy, Debug)]
#[repr(C, packed)]
pub struct SgArray {
    /// Handle of the memory; null for memory of the application's own.
    pub handle: *mut c_void,
    /// Segments in use.
    pub segments: u32,
    /// The one segment.
    pub segment: SgSegment,
    /// Sender of a datagram.
    pub addr: SockAddrIn,
}

/// `demi_accept_result_t`.
#[derive(Clone, Copy, Debug)]
#[repr(C, packed)]
pub struct AcceptResult {
    /// Descriptor of the connection.
    pub qd: i32,
    /// Address of the peer.
    pub addr: SockAddrIn,
}

/// The union in `demi_qresult_t`.
#[derive(Clone, Copy)]
#[repr(C, packed)]
pub union ResultValue {
    /// What a pop gave.
    pub sga: SgArray,
    /// What an accept gave.
    pub accept: AcceptResult,
}

/// `demi_qresult_t`.
#[derive(Clone, Copy)]
#[repr(C, packed)]
pub struct QResult {
    /// One of `opcode`'s constants.
    pub opcode: u32,
    /// Descriptor that the operation was begun on.
    pub qd: i32,
    /// Token of the operation.
    pub qt: u64,
    /// 0 or a positive errno.
    pub ret: i64,
    /// What the operation gave.
    pub value: ResultValue,
}

/// `struct demi_args`.
#[derive(Clone, Copy, Debug)]
#[repr(C, packed)]
pub struct Args {
    /// Entries in `argv`.
    pub argc: c_int,
    /// The program's arguments.
    pub argv: *const *mut c_char,
    /// Accepted and not called.
    pub callback: Option<extern "C" fn(*const c_char, u32, u64)>,
}

/// `struct timespec`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Timespec {
    /// Whole seconds.
    pub seconds: i64,
    /// Nanoseconds, 0 to 999,999,999.
    pub nanoseconds: c_long,
}

/// `enum demi_opcode`.
pub(super) mod opcode {
    pub const PUSH: u32 = 1;
    pub const POP: u32 = 2;
    pub const ACCEPT: u32 = 3;
    pub const CONNECT: u32 = 4;
    pub const CLOSE: u32 = 5;
    pub const FAILED: u32 = 6;
}

impl SgArray {
    /// The array that says "none": no segment.
    pub const NULL: Self = Self {
        handle: ptr::null_mut(),
        segments: 0,
        segment: SgSegment { buf: ptr::null_mut(), len: 0 },
        addr: SockAddrIn::NONE,
    };
}

const _: () = {
    assert!(size_of::<*const c_void>() == 8, "the layouts are those of 64-bit Linux");
    assert!(size_of::<SgSegment>() == 12 && offset_of!(SgSegment, buf) == 0 && offset_of!(SgSegment, len) == 8);
    assert!(offset_of!(SgArray, handle) == 0 && offset_of!(AcceptResult, qd) == 0 && offset_of!(QResult, opcode) == 0);
    assert!(offset_of!(ResultValue, sga) == 0 && offset_of!(ResultValue, accept) == 0);
    assert!(align_of::<SgArray>() == 1 && align_of::<QResult>() == 1 && align_of::<Args>() == 1, "packed");
    assert!(offset_of!(Args, argc) == 0);
    assert!(offset_of!(Timespec, seconds) == 0 && offset_of!(Timespec, nanoseconds) == 8);
    assert!(size_of::<SgArray>() == 40 && offset_of!(SgArray, segments) == 8);
    assert!(offset_of!(SgArray, segment) == 12 && offset_of!(SgArray, addr) == 24);
    assert!(size_of::<AcceptResult>() == 20 && offset_of!(AcceptResult, addr) == 4);
    assert!(size_of::<QResult>() == 64 && offset_of!(QResult, qd) == 4 && offset_of!(QResult, qt) == 8);
    assert!(offset_of!(QResult, ret) == 16 && offset_of!(QResult, value) == 24);
    assert!(size_of::<Args>() == 20 && offset_of!(Args, argv) == 4 && offset_of!(Args, callback) == 12);
    assert!(size_of::<Timespec>() == 16);
};
