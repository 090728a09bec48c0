// SPDX-License-Identifier: MIT OR Apache-2.0
//! [`Nic`]: the stack over its device, turn by turn.

use crate::device::clock::Clock;
use crate::settings::{Settings, random};
use network::keyed::Secret;
use network::stack::{Config, Stack};
use runtime::buf::Pools;
use runtime::device::{BURST_FRAMES_MAX, Burst, Device, DeviceCounters};
use runtime::limits::TURNS_PER_LOOK;
use runtime::time::Time;
use runtime::{Error, Result};
use std::os::fd::BorrowedFd;

/// A stack and its device. Who owns it calls [`turn`](Self::turn) again and again, and sleeps between on its descriptor and until its next
/// deadline.
pub struct Nic {
    /// The stack. After each call that may send, [`flush`](Self::flush).
    pub stack: Stack,
    device: Box<dyn Device>,
    clock: Clock,
    incoming: Burst,
    /// What the device has had no room for is in front.
    outgoing: Burst,
    peeks: bool,
    /// What broke the device.
    failed: Option<Error>,
}

impl Nic {
    /// Opens the device and makes the stack.
    ///
    /// # Errors
    /// Those of the device; `EINVAL` settings that do not go together.
    pub fn open(settings: &Settings, pools: &Pools, now: Time) -> Result<Self> {
        let clock = Clock::default();
        clock.set(now);
        let (device, mac) = settings.open(&clock, pools)?;
        let Settings { addresses, routes, neighbours, vlan, dhcp, slaac, detect_duplicates, hops, tcp, .. } = settings;
        let config = Config {
            mtu: settings.mtu.unwrap_or(0),
            addresses: addresses.clone(),
            routes: routes.clone(),
            neighbours: neighbours.clone(),
            vlan: *vlan,
            dhcp: *dhcp,
            slaac: *slaac,
            detect_duplicates: *detect_duplicates,
            hops: *hops,
            tcp: *tcp,
            ..Config::new(mac, device.caps(), Secret(random()?))
        };
        Ok(Self {
            stack: Stack::new(config, pools.clone(), now)?,
            device,
            clock,
            incoming: Burst::new(),
            outgoing: Burst::new(),
            peeks: settings.peeks(),
            failed: None,
        })
    }

    /// The device's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.device.name()
    }

    /// What the device has counted.
    #[must_use]
    pub fn device_counters(&self) -> DeviceCounters {
        self.device.counters()
    }

    /// Hands over all that the device has counted, a name and a value at a time: first what every device counts, zeros among it, then what
    /// its driver does.
    pub fn tell_counters(&mut self, tell: &mut dyn FnMut(&str, u64)) {
        // In full, so that a new counter does not compile before it has its name.
        let DeviceCounters { received, received_bytes, sent, sent_bytes, receive_drops, send_drops } =
            self.device.counters();
        for (name, value) in [
            ("received", received),
            ("received_bytes", received_bytes),
            ("sent", sent),
            ("sent_bytes", sent_bytes),
            ("receive_drops", receive_drops),
            ("send_drops", send_drops),
        ] {
            tell(name, value);
        }
        self.device.extended_counters(tell);
    }

    /// What broke the device, if something did.
    #[must_use]
    pub const fn failed(&self) -> Option<Error> {
        self.failed
    }

    /// What to sleep on.
    #[must_use]
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.device.descriptor()
    }

    /// Whether [`has_news`](Self::has_news) costs no system call.
    #[must_use]
    pub const fn peeks(&self) -> bool {
        self.peeks
    }

    /// Whether frames have come, as far as memory tells. If not, the descriptor becomes readable once some have.
    #[inline]
    pub fn has_news(&mut self) -> bool {
        // A device that is broken is looked at no more: what is left in its rings would keep this awake for good.
        self.failed.is_none() && self.device.arm()
    }

    /// The descriptor was readable: what has no frame is taken from it, so that it does not stay so.
    pub fn woken(&mut self) {
        self.device.disarm();
    }

    /// Whether the sleep that is over was to end by itself, and nothing has come.
    #[must_use]
    pub fn slept_in_vain(&self) -> bool {
        self.device.slept_in_vain()
    }

    /// Whether frames wait for room in the device.
    #[must_use]
    pub fn is_stuck(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Whether frames are still to leave: those that wait for room, and those that the device has taken.
    #[must_use]
    pub fn is_sending(&self) -> bool {
        self.is_stuck() || (self.failed.is_none() && self.device.is_sending())
    }

    /// When a turn is due though nothing has come.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        self.stack.next_deadline()
    }

    /// Takes in what has come, does what is due, and sends what there is to send. One bounded batch; true: there may be more.
    pub fn turn(&mut self, now: Time) -> bool {
        self.clock.set(now);
        let mut more = false;
        if self.failed.is_none() {
            let looked = self.device.rx(&mut self.incoming);
            more = self.incoming.len() == BURST_FRAMES_MAX;
            self.stack.receive_burst(self.incoming.drain(), now);
            self.note(looked);
        }
        self.flush(now) || more
    }

    /// Does what is due in the stack, and sends what it has to send. As [`turn`](Self::turn), without a look at what has come.
    pub fn flush(&mut self, now: Time) -> bool {
        self.clock.set(now);
        for _ in 0..TURNS_PER_LOOK {
            let due = self.stack.next_deadline().is_some_and(|at| at <= now);
            if due {
                self.stack.poll(now);
            }
            if !self.send() && !due {
                return false;
            }
        }
        true
    }

    /// Sends a burst. True: it was full, and went, so that there may be more.
    fn send(&mut self) -> bool {
        while !self.outgoing.is_full()
            && let Some(frame) = self.stack.transmit()
        {
            // There is room.
            let _ = self.outgoing.push(frame);
        }
        let full = self.outgoing.is_full();
        if self.failed.is_some() {
            // Nobody takes them any more.
            while self.outgoing.pop().is_some() {}
        } else {
            let sent = self.device.tx(&mut self.outgoing);
            self.note(sent);
        }
        full && self.outgoing.is_empty()
    }

    #[inline]
    fn note(&mut self, done: Result<()>) {
        if let Err(error) = done {
            self.fail(error);
        }
    }

    #[cold]
    fn fail(&mut self, error: Error) {
        if self.failed.is_none() {
            log::warn!("the device {} does not work any more: {error}", self.device.name());
            self.failed = Some(error);
        }
    }
}

impl Drop for Nic {
    /// Gives the lease of DHCP back, so that its server need not keep it for nobody (RFC 2131 section 4.4.6).
    fn drop(&mut self) {
        if self.failed.is_none() && self.stack.lease().is_some() {
            let now = self.clock.now();
            self.stack.release_lease(now);
            self.flush(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use network::wire::MacAddress;
    use runtime::Errno;
    use runtime::buf::Classes;
    use runtime::device::Caps;

    /// A device with a frame in its ring, which breaks before that is taken.
    struct Breaks;

    impl Device for Breaks {
        fn name(&self) -> &'static str {
            "breaks"
        }

        fn address(&self) -> Option<[u8; 6]> {
            None
        }

        fn caps(&self) -> Caps {
            Caps { mtu: 1500, headroom: 0, checksum: false, segments_tcp: false, segments_udp: false }
        }

        fn rx(&mut self, _: &mut Burst) -> Result<()> {
            Err(Error::new(Errno::NETDOWN, "the interface is gone"))
        }

        fn tx(&mut self, _: &mut Burst) -> Result<()> {
            Ok(())
        }

        fn counters(&self) -> DeviceCounters {
            DeviceCounters::default()
        }

        fn arm(&mut self) -> bool {
            true
        }
    }

    #[test]
    fn what_is_left_in_a_broken_device_keeps_nobody_awake() {
        let pools = Pools::new(&Classes { small_count: 16, large_count: 1, ..Classes::default() }).unwrap();
        let config = Config::new(MacAddress([2, 0, 0, 0, 0, 1]), Breaks.caps(), Secret([7; 16]));
        let mut nic = Nic {
            stack: Stack::new(config, pools, Time::ZERO).unwrap(),
            device: Box::new(Breaks),
            clock: Clock::default(),
            incoming: Burst::new(),
            outgoing: Burst::new(),
            peeks: true,
            failed: None,
        };
        assert!(nic.has_news());
        nic.turn(Time::ZERO);
        assert_eq!(nic.failed().map(Error::errno), Some(Errno::NETDOWN));
        assert!(!nic.has_news() && !nic.is_sending());
    }
}
