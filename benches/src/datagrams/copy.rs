// SPDX-License-Identifier: MIT OR Apache-2.0
//! The least that has to be done: the bytes are copied, and nothing is looked at.

use super::frame::{HEADERS, datagram, payload};
use super::{BURST, Datagrams};
use std::hint::black_box;

/// Slots as a ring of a device has them, and a message of the application's.
pub struct Copy {
    frame: Vec<u8>,
    payload: Vec<u8>,
    slots: Vec<Vec<u8>>,
}

impl Copy {
    /// Of payloads of so many bytes.
    #[must_use]
    pub fn new(size: usize) -> Self {
        let frame = datagram(size);
        Self { payload: payload(size), slots: vec![frame.clone(); BURST], frame }
    }
}

impl Datagrams for Copy {
    /// From a slot to the application.
    fn receive(&mut self) -> usize {
        let mut bytes = 0;
        for slot in &self.slots {
            if let Some(payload) = black_box(&**slot).get(HEADERS..) {
                self.payload.copy_from_slice(payload);
                bytes += black_box(&self.payload).len();
            }
        }
        bytes
    }

    /// Headers and payload into a slot.
    fn send(&mut self) -> usize {
        let mut bytes = 0;
        for slot in &mut self.slots {
            let (frame, payload) = (black_box(&*self.frame), black_box(&*self.payload));
            if let (Some((headers, rest)), Some(ours)) = (slot.split_at_mut_checked(HEADERS), frame.get(..HEADERS)) {
                headers.copy_from_slice(ours);
                rest.copy_from_slice(payload);
                bytes += black_box(&*slot).len();
            }
        }
        bytes
    }
}
