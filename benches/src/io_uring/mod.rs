// SPDX-License-Identifier: MIT OR Apache-2.0
//! The echo server on io_uring, as it is fast today. Text: `io_uring(7)`.
//!
//! - One ring with `SINGLE_ISSUER`, `DEFER_TASKRUN`, `TASKRUN_FLAG` and `SUBMIT_ALL`, registered with the process; accepted
//!   connections are direct descriptors, which no other part of the process ever sees.
//! - One multishot accept. One multishot receive per connection, into buffers of exactly one request that the kernel picks
//!   from a ring; the answer is sent from the buffer that the request came in, so nothing is copied in user space.
//! - All answers of a pass are submitted with one `io_uring_enter(2)`, which also runs the kernel's deferred work and so
//!   brings in what came meanwhile. Without answers to submit it is called only if the kernel has set `TASKRUN`: polling
//!   makes no system call.
#![expect(unsafe_code, reason = "what a submission names must stay where it is until its completion")]

mod buffers;

use crate::{Meter, Service};
use buffers::{Buffers, GROUP};
use io_uring::cqueue::{buffer_select, more};
use io_uring::squeue::Entry;
use io_uring::types::{CancelBuilder, Fd, Fixed};
use io_uring::{CompletionQueue, EnterFlags, IoUring, SubmissionQueue, Submitter, opcode};
use std::io::{Error, ErrorKind, Result};
use std::os::fd::{AsRawFd, OwnedFd};

/// Entries of the submission queue: answers that one pass submits.
const ENTRIES: u32 = 1024;
/// Entries of the completion queue at most, as the kernel has it.
const COMPLETIONS_MAX: usize = 1 << 15;
/// Buffers at most: so much memory, or so many. What all clients send at once need not fit: a receive that finds none goes
/// on as soon as an answer gives one back.
const BUFFERS_BYTES: usize = 16 << 20;
/// See [`BUFFERS_BYTES`].
const BUFFERS_MAX: usize = 4096;

/// What a completion is of: the upper half of its user data. The lower half is the connection's slot.
const ACCEPT: u64 = 0;
const RECEIVE: u64 = 1;
/// An answer from a buffer; bits 48 and up are its id.
const SEND: u64 = 2;
/// An answer from the connection's own memory.
const SEND_HELD: u64 = 3;
const CLOSE: u64 = 4;

/// A connection, by the slot of its direct descriptor.
#[derive(Default)]
struct Connection {
    /// A request that comes in parts, and then the answer.
    held: Vec<u8>,
    /// `held` is being sent, and must not move.
    answering: bool,
}

/// The server, but for its completion queue.
struct Echo<'a> {
    submitter: Submitter<'a>,
    submissions: SubmissionQueue<'a>,
    buffers: Buffers,
    listener: OwnedFd,
    connections: Vec<Connection>,
    /// Connections whose receive has found no buffer.
    starved: Vec<u32>,
    service: Service,
    accepted: usize,
    closed: usize,
    system_calls: u64,
}

/// Serves until all clients have gone.
///
/// # Errors
/// What the kernel says, unless it says that a client has gone; [`ErrorKind::InvalidData`] if a client sends a second
/// request before it has its answer.
pub fn serve(listener: OwnedFd, service: Service, meter: &mut Meter) -> Result<()> {
    let completions = (4 * service.connections).next_power_of_two().clamp(ENTRIES as usize, COMPLETIONS_MAX);
    let mut ring = IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_taskrun_flag()
        .setup_submit_all()
        .setup_cqsize(completions as u32)
        .build(ENTRIES)?;
    let (mut submitter, submissions, mut completions) = ring.split();
    submitter.register_ring_fd()?;
    submitter.register_files_sparse(service.connections as u32)?;
    let count =
        (BUFFERS_BYTES / service.size).clamp(16, BUFFERS_MAX).min(service.connections.max(16).next_power_of_two());
    let buffers = Buffers::new(count.next_power_of_two() as u16, service.size);
    buffers.register(&submitter)?;
    let mut echo = Echo {
        submitter,
        submissions,
        buffers,
        listener,
        connections: (0..service.connections).map(|_| Connection::default()).collect(),
        starved: Vec::with_capacity(service.connections),
        service,
        accepted: 0,
        closed: 0,
        system_calls: 0,
    };
    echo.accept()?;
    let served = echo.run(&mut completions, meter);
    // Nothing may be under way when the buffers go. With all connections closed, that is the accept at most.
    drop(completions);
    echo.cancel();
    served
}

impl Echo<'_> {
    fn run(&mut self, completions: &mut CompletionQueue<'_>, meter: &mut Meter) -> Result<()> {
        while self.closed < self.service.connections {
            self.enter()?;
            completions.sync();
            for completion in &mut *completions {
                let (data, result, flags) = (completion.user_data(), completion.result(), completion.flags());
                let slot = (data & 0xffff_ffff) as u32;
                match data >> 32 & 0xffff {
                    ACCEPT => self.accepted(result, flags)?,
                    RECEIVE => self.received(slot, result, flags)?,
                    SEND => {
                        self.buffers.give((data >> 48) as u16);
                        self.sent(result, meter)?;
                    }
                    SEND_HELD => {
                        let connection = &mut self.connections[slot as usize];
                        connection.held.clear();
                        connection.answering = false;
                        self.sent(result, meter)?;
                    }
                    _ => self.closed += 1,
                }
            }
            self.buffers.publish();
            while let Some(slot) = self.starved.pop() {
                self.receive(slot)?;
            }
        }
        Ok(())
    }

    /// Submits what there is, and lets the kernel do what it has put off, if there is either.
    #[inline]
    fn enter(&mut self) -> Result<()> {
        self.submissions.sync();
        let count = self.submissions.len();
        if count == 0 && !self.submissions.taskrun() && !self.submissions.cq_overflow() {
            return Ok(());
        }
        self.system_calls += 1;
        // SAFETY: the flags ask for no argument, so there is none to be wrong.
        let entered =
            unsafe { self.submitter.enter::<libc::sigset_t>(count as u32, 0, EnterFlags::GETEVENTS.bits(), None) };
        match entered {
            Err(error) if !matches!(error.raw_os_error(), Some(libc::EINTR | libc::EBUSY | libc::EAGAIN)) => Err(error),
            _ => Ok(()),
        }
    }

    /// # Safety
    /// What the entry names stays where it is until its completion.
    #[inline]
    unsafe fn submit(&mut self, entry: &Entry, data: u64) -> Result<()> {
        let entry = entry.clone().user_data(data);
        // SAFETY: the caller's promise.
        while unsafe { self.submissions.push(&entry) }.is_err() {
            // Full: a pass with more answers than entries.
            self.enter()?;
            self.submissions.sync();
        }
        Ok(())
    }

    fn accept(&mut self) -> Result<()> {
        let entry = opcode::AcceptMulti::new(Fd(self.listener.as_raw_fd())).allocate_file_index(true).build();
        // SAFETY: it names nothing but the listening socket, which is open as long as this server.
        unsafe { self.submit(&entry, ACCEPT << 32) }
    }

    fn receive(&mut self, slot: u32) -> Result<()> {
        let entry = opcode::RecvMulti::new(Fixed(slot), GROUP).build();
        // SAFETY: it names the group of buffers, which stay until all requests are done.
        unsafe { self.submit(&entry, RECEIVE << 32 | u64::from(slot)) }
    }

    fn send(&mut self, slot: u32, bytes: *const u8, data: u64) -> Result<()> {
        let send = opcode::Send::new(Fixed(slot), bytes, self.service.size as u32);
        // The kernel sends the rest itself if the socket has no room for all.
        let entry = send.flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL).build();
        // SAFETY: a buffer is given back, and held memory let go, when this has completed; each has `size` bytes.
        unsafe { self.submit(&entry, data | u64::from(slot)) }
    }

    fn accepted(&mut self, result: i32, flags: u32) -> Result<()> {
        match result {
            0.. => {
                self.accepted += 1;
                self.receive(result.cast_unsigned())?;
            }
            _ if result == -libc::ECONNABORTED || result == -libc::EINTR => {}
            _ => return Err(Error::from_raw_os_error(-result)),
        }
        if !more(flags) && self.accepted < self.service.connections {
            self.accept()?;
        }
        Ok(())
    }

    fn received(&mut self, slot: u32, result: i32, flags: u32) -> Result<()> {
        let size = self.service.size;
        let (Ok(len), Some(id)) = (usize::try_from(result), buffer_select(flags)) else {
            return match -result {
                libc::ENOBUFS => {
                    self.starved.push(slot);
                    Ok(())
                }
                0 | libc::ECONNRESET | libc::EPIPE => self.close(slot),
                errno => Err(Error::from_raw_os_error(errno)),
            };
        };
        if len == 0 {
            self.buffers.give(id);
            return self.close(slot);
        }
        let connection = &mut self.connections[slot as usize];
        if connection.held.is_empty() && len == size {
            self.send(slot, self.buffers.at(id), SEND << 32 | u64::from(id) << 48)?;
        } else {
            if connection.answering || connection.held.len() + len > size {
                return Err(Error::new(
                    ErrorKind::InvalidData,
                    "a request came before the answer to the one before it",
                ));
            }
            connection.held.extend_from_slice(self.buffers.filled(id, len));
            self.buffers.give(id);
            if connection.held.len() == size {
                connection.answering = true;
                let held = connection.held.as_ptr();
                self.send(slot, held, SEND_HELD << 32)?;
            }
        }
        if more(flags) { Ok(()) } else { self.receive(slot) }
    }

    fn sent(&mut self, result: i32, meter: &mut Meter) -> Result<()> {
        match -result {
            // The receive of this connection says so, too.
            libc::EPIPE | libc::ECONNRESET => {}
            errno @ 1.. => return Err(Error::from_raw_os_error(errno)),
            sent if sent.unsigned_abs() as usize == self.service.size => meter.answered(|| self.system_calls),
            _ => return Err(Error::new(ErrorKind::WriteZero, "only a part of an answer was sent")),
        }
        Ok(())
    }

    fn close(&mut self, slot: u32) -> Result<()> {
        // SAFETY: it names nothing but the slot.
        unsafe { self.submit(&opcode::Close::new(Fixed(slot)).build(), CLOSE << 32 | u64::from(slot)) }
    }

    /// Ends whatever is under way.
    fn cancel(mut self) {
        // The registration holds the ring open. Without it there is nothing to take back.
        let _ = self.submitter.unregister_ring_fd();
        let any = CancelBuilder::any();
        match self.submitter.register_sync_cancel(None, any) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            // Better lost than written to after it is somebody else's.
            Err(_) => std::mem::forget(self),
        }
    }
}
