// SPDX-License-Identifier: MIT OR Apache-2.0
//! A ring that a user could take instead, between two threads: `rtrb`, the usual single-producer single-consumer ring for
//! Rust. It has no processes, descriptors, tokens or sleep; what it shows is what a message through a good ring costs here.

use super::Channel;
use crate::measure;
use crate::pin;
use crate::process::job::{Job, Report, Role};
use crate::process::worker::Teller;
use anyhow::{Result, anyhow};
use std::hint::{black_box, spin_loop};

/// Messages that fit.
const CAPACITY: usize = 1024;

type Message = [u8; 64];

/// One end.
struct Rtrb {
    sends: ::rtrb::Producer<Message>,
    receives: ::rtrb::Consumer<Message>,
    message: Message,
}

/// Whether the other thread has ended.
fn alone(gone: bool) -> Result<()> {
    if gone { Err(anyhow!("the other thread has ended")) } else { Ok(()) }
}

impl Channel for Rtrb {
    #[inline]
    fn send(&mut self) -> Result<()> {
        while self.sends.push(self.message).is_err() {
            alone(self.sends.is_abandoned())?;
            spin_loop();
        }
        Ok(())
    }

    #[inline]
    fn receive(&mut self) -> Result<()> {
        // No pause in the loop, as in the others.
        loop {
            if let Ok(message) = self.receives.pop() {
                self.message = black_box(message);
                return Ok(());
            }
            if self.receives.is_abandoned() && self.receives.is_empty() {
                return alone(true);
            }
        }
    }
}

/// Both ends: this thread is the client, and another on the server's core the server.
pub fn both_ends(job: &Job, teller: &mut Teller<'_>) -> Result<Report> {
    let (to_server, at_server) = ::rtrb::RingBuffer::new(CAPACITY);
    let (to_client, at_client) = ::rtrb::RingBuffer::new(CAPACITY);
    let (core, pattern) = (job.server_core, job.pattern);
    std::thread::scope(|scope| {
        let server = scope.spawn(move || {
            pin::to_core(core)?;
            let mut server = Rtrb { sends: to_client, receives: at_server, message: [7; 64] };
            measure::serve(&mut server, pattern)
        });
        let mut client = Rtrb { sends: to_server, receives: at_client, message: [7; 64] };
        let report = measure::run(&mut client, Role::Client, pattern, teller);
        // What the server waits for will not come: it ends.
        drop(client);
        server.join().map_err(|_| anyhow!("the server's thread has panicked"))??;
        report
    })
}
