// SPDX-License-Identifier: MIT OR Apache-2.0
//! When a server ends: at SIGINT or SIGTERM, or after the time that it was given. It is told so between two batches of
//! completions, so that it ends whole.

use margay::WakeHandle;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Whether the end has come.
#[derive(Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Watches for signals, and for the end of `seconds` if they are not 0.
    ///
    /// # Errors
    /// If the signals cannot be watched.
    pub fn watch(handle: &WakeHandle, seconds: u64) -> std::io::Result<Self> {
        let stop = Self::default();
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        let (told, wakes) = (stop.clone(), handle.clone());
        std::thread::spawn(move || {
            for _ in signals.forever() {
                told.tell(&wakes);
            }
        });
        if seconds > 0 {
            let (told, wakes) = (stop.clone(), handle.clone());
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_secs(seconds));
                told.tell(&wakes);
            });
        }
        Ok(stop)
    }

    /// A wait that finds something to do does not see that it was woken: so it is written down, too.
    fn tell(&self, handle: &WakeHandle) {
        self.0.store(true, Ordering::Relaxed);
        handle.wake();
    }

    pub fn is_told(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
