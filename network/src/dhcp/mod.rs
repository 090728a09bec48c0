// SPDX-License-Identifier: MIT OR Apache-2.0
//! A DHCP client for IPv4: RFC 2131, with the options of RFC 2132 and the classless routes of RFC 3442.
//!
//! ```text
//!   Waiting ─▶ Selecting ─ offer ─▶ Requesting ─ ack ─▶ Bound ─ T1 ─▶ Renewing ─ T2 ─▶ Rebinding
//!      ▲                                │ nak            ▲               │ ack            │ ack
//!      │                                ▼                └───────────────┴────────────────┤
//!      └──────────────────────────────────────────────── the lease ends, or a nak ────────┘
//! ```
//!
//! A [`Client`] knows no packets and adds no address: whoever has it sends what [`Client::poll`] says, between ports 68 and
//! 67, and gives it the messages that come back. It should look whether another host has the address before it uses it
//! (RFC 2131 section 4.4.1; [`claim`](crate::link::claim)), and says so by [`Client::declined`].
//!
//! What must always hold: a lease counts from the moment at which it was asked for, so that it never lasts longer here than
//! at the server; what does not answer the question that is open changes nothing.

mod lease;
#[cfg(test)]
mod tests;

use core::net::Ipv4Addr;
use core::time::Duration;

use arrayvec::ArrayVec;
use runtime::time::Time;

use crate::keyed::Random;
use crate::wire::MacAddress;
use crate::wire::dhcpv4::options::{
    CLASSLESS_ROUTES, LEASE, MTU, NAME_SERVERS, REBINDING, RENEWAL, ROUTERS, SUBNET_MASK,
};
use crate::wire::dhcpv4::{Header, Kind, Parameters};

pub use lease::Lease;

/// Clients that start together should not ask together. Section 4.4.1 would have 1 s to 10 s, which is long for one process.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The first wait for an answer; each further one is twice as long, up to the longest, give or take a second (section 4.1).
const ANSWER_WAIT: Duration = Duration::from_secs(4);
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(64);
const ANSWER_JITTER: Duration = Duration::from_secs(1);
/// How often an offer is asked for before all begins anew: about a minute, as in section 3.1.5.
const REQUESTS_MAX: u8 = 4;
/// The shortest wait between two requests to renew or to rebind (section 4.4.5).
const RENEWAL_WAIT_MIN: Duration = Duration::from_mins(1);
/// After a declined offer, and after a refusal, which could come in a circle (section 3.1.5).
const REFUSED_WAIT: Duration = Duration::from_secs(10);
/// The longest message that the client takes, with its IP and UDP headers.
const MESSAGE_SIZE: u16 = 1500;
/// What the client asks for. The routes stand before the routers, as RFC 3442 has it.
const WANTED: [u8; 8] = [SUBNET_MASK, CLASSLESS_ROUTES, ROUTERS, NAME_SERVERS, MTU, LEASE, RENEWAL, REBINDING];

/// What there is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send a message to port 67 of a server, or of all servers, from port 68.
    Send {
        /// The server's address, or the broadcast address.
        to: Ipv4Addr,
        /// Our address while we have one; unspecified otherwise.
        from: Ipv4Addr,
        /// What to send.
        message: Header,
    },
    /// An address was leased.
    Bound(Lease),
    /// The lease goes on, perhaps with other routes than before.
    Renewed(Lease),
    /// The lease is over: its address must not be used any more.
    Lost(Lease),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// For a moment, before it begins.
    Waiting,
    /// Looks for servers.
    Selecting {
        sent: u8,
    },
    /// Takes an offer.
    Requesting {
        sent: u8,
        address: Ipv4Addr,
        server: Ipv4Addr,
    },
    Bound,
    Renewing,
    Rebinding,
    /// Has released its lease.
    Off,
}

/// The client of one interface. See the module's first lines.
#[derive(Debug)]
pub struct Client {
    mac: MacAddress,
    random: Random,
    state: State,
    deadline: Option<Time>,
    /// When the client began to look for an address.
    began: Time,
    /// When the question was first asked that an acknowledgement would answer.
    asked: Time,
    transaction: u32,
    lease: Option<Lease>,
    /// What was decided between two polls: at most a message and the end of a lease.
    pending: ArrayVec<Action, 2>,
}

impl Client {
    /// A client that is about to look for a server.
    #[must_use]
    pub fn new(mac: MacAddress, random: Random, now: Time) -> Self {
        let mut client = Self {
            mac,
            random,
            state: State::Off,
            deadline: None,
            began: now,
            asked: now,
            transaction: 0,
            lease: None,
            pending: ArrayVec::new(),
        };
        client.begin(Duration::ZERO, now);
        client
    }

    /// What is leased now.
    #[must_use]
    pub const fn lease(&self) -> Option<&Lease> {
        self.lease.as_ref()
    }

    /// When to poll next: not after now if there is something already.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        if self.pending.is_empty() { self.deadline } else { Some(Time::ZERO) }
    }

    /// What is to be done now; called until it gives nothing.
    pub fn poll(&mut self, now: Time) -> Option<Action> {
        if let Some(action) = self.pending.pop_at(0) {
            return Some(action);
        }
        if self.deadline? > now {
            return None;
        }
        match self.state {
            State::Waiting => {
                self.transaction = self.random.u32();
                self.began = now;
                Some(self.discover(0, now))
            }
            State::Selecting { sent } => Some(self.discover(sent, now)),
            State::Requesting { sent, address, server } if sent < REQUESTS_MAX => {
                Some(self.request(sent, address, server, now))
            }
            State::Requesting { .. } => {
                self.begin(Duration::ZERO, now);
                None
            }
            State::Bound | State::Renewing | State::Rebinding => self.extend(now),
            State::Off => {
                self.deadline = None;
                None
            }
        }
    }

    /// Takes a message that came to port 68.
    pub fn heard(&mut self, message: &Header, now: Time) {
        if message.transaction != self.transaction || message.mac != self.mac {
            return;
        }
        let server = message.options.server;
        match (self.state, message.kind) {
            (State::Selecting { .. }, Kind::Offer) => {
                // The first offer is taken: nothing is known by which one would be better.
                if let Some(server) = server.filter(|_| lease::is_host(message.yours)) {
                    self.asked = now;
                    self.state = State::Requesting { sent: 0, address: message.yours, server };
                    self.deadline = Some(now);
                }
            }
            (State::Requesting { address, server: asked, .. }, Kind::Ack)
                if server == Some(asked) && message.yours == address =>
            {
                self.acknowledged(message, asked, now);
            }
            (State::Requesting { server: asked, .. }, Kind::Nak) if server == Some(asked) => {
                self.begin(REFUSED_WAIT, now);
            }
            (State::Renewing | State::Rebinding, Kind::Ack | Kind::Nak) => {
                let Some(lease) = &self.lease else { return };
                let (ours, address) = (lease.server, lease.address());
                // Any server may answer a broadcast; it may leave out who it is only where it was asked alone.
                let server = if self.state == State::Renewing { server.or(Some(ours)) } else { server };
                let Some(server) = server.filter(|server| self.state == State::Rebinding || *server == ours) else {
                    return;
                };
                if message.kind == Kind::Nak {
                    self.lose();
                    self.begin(REFUSED_WAIT, now);
                } else if message.yours == address {
                    self.acknowledged(message, server, now);
                }
            }
            _ => {}
        }
    }

    /// Another host has the address that was leased: the server is told, and after a while asked for another one
    /// (RFC 2131 section 3.1.5).
    pub fn declined(&mut self, now: Time) {
        if let Some(lease) = &self.lease {
            let mut message = Header::new(Kind::Decline, self.random.u32(), self.mac);
            message.options.requested_address = Some(lease.address());
            message.options.server = Some(lease.server);
            self.identify(&mut message);
            self.pending.clear();
            self.pending.push(Action::Send { to: Ipv4Addr::BROADCAST, from: Ipv4Addr::UNSPECIFIED, message });
            self.lose();
            self.begin(REFUSED_WAIT, now);
        }
    }

    /// Gives the lease back to the server (RFC 2131 section 4.4.6) and stops.
    pub fn release(&mut self) {
        if let Some(lease) = &self.lease {
            let mut message = Header::new(Kind::Release, self.random.u32(), self.mac);
            message.client = lease.address();
            message.options.server = Some(lease.server);
            self.identify(&mut message);
            self.pending.clear();
            self.pending.push(Action::Send { to: lease.server, from: lease.address(), message });
            self.lose();
        }
        self.state = State::Off;
        self.deadline = None;
    }

    /// Starts anew after `wait` and a moment.
    fn begin(&mut self, wait: Duration, now: Time) {
        self.state = State::Waiting;
        self.deadline = Some(now + self.random.between(wait, wait + FIRST_WAIT));
    }

    fn lose(&mut self) {
        if let Some(lease) = self.lease.take() {
            // There is room: only a message can be in front.
            let _ = self.pending.try_push(Action::Lost(lease));
        }
    }

    /// What every message of a client says of it.
    fn identify(&self, message: &mut Header) {
        // The type of the identifier is that of the hardware address (RFC 2132 section 9.14).
        message.options.identifier.push(1);
        message.options.identifier.extend(self.mac.0);
    }

    /// A question, with what it has to say in each state.
    fn question(&self, kind: Kind, now: Time) -> Header {
        let mut message = Header::new(kind, self.transaction, self.mac);
        let seconds = now.saturating_since(self.began).as_secs();
        message.seconds = u16::try_from(seconds).unwrap_or(u16::MAX);
        message.options.message_size = Some(MESSAGE_SIZE);
        message.options.parameters = WANTED.into_iter().collect::<Parameters>();
        self.identify(&mut message);
        message
    }

    /// How long to wait for an answer to the message before which `sent` were sent already.
    fn answer_wait(&mut self, sent: u8) -> Duration {
        let wait = ANSWER_WAIT.saturating_mul(1 << sent.min(8)).min(ANSWER_WAIT_MAX);
        self.random.between(wait.saturating_sub(ANSWER_JITTER), wait + ANSWER_JITTER)
    }

    fn discover(&mut self, sent: u8, now: Time) -> Action {
        let mut message = self.question(Kind::Discover, now);
        message.broadcast = true;
        self.state = State::Selecting { sent: sent.saturating_add(1) };
        self.deadline = Some(now + self.answer_wait(sent));
        Action::Send { to: Ipv4Addr::BROADCAST, from: Ipv4Addr::UNSPECIFIED, message }
    }

    fn request(&mut self, sent: u8, address: Ipv4Addr, server: Ipv4Addr, now: Time) -> Action {
        let mut message = self.question(Kind::Request, now);
        message.broadcast = true;
        message.options.requested_address = Some(address);
        message.options.server = Some(server);
        self.state = State::Requesting { sent: sent + 1, address, server };
        self.deadline = Some(now + self.answer_wait(sent));
        Action::Send { to: Ipv4Addr::BROADCAST, from: Ipv4Addr::UNSPECIFIED, message }
    }

    /// The lease was granted.
    fn acknowledged(&mut self, message: &Header, server: Ipv4Addr, now: Time) {
        let Some(lease) = Lease::granted(message, server, self.asked) else { return };
        if lease.until.is_some_and(|until| until <= now) {
            return;
        }
        self.deadline = lease.renew_at;
        self.state = State::Bound;
        self.pending.clear();
        self.pending.push(match self.lease.replace(lease.clone()) {
            Some(_) => Action::Renewed(lease),
            None => Action::Bound(lease),
        });
    }

    /// The lease is to go on (RFC 2131 section 4.4.5): its server is asked, later any server, until it ends.
    fn extend(&mut self, now: Time) -> Option<Action> {
        let lease = self.lease.as_ref()?;
        let (address, server) = (lease.address(), lease.server);
        let (rebind_at, until) = (lease.rebind_at?, lease.until?);
        if now >= until {
            self.lose();
            self.begin(Duration::ZERO, now);
            return self.pending.pop_at(0);
        }
        let end = if now < rebind_at { rebind_at } else { until };
        if self.state == State::Bound {
            self.began = now;
        }
        self.state = if now < rebind_at { State::Renewing } else { State::Rebinding };
        // Half of what is left, but not too often, and not beyond the end.
        self.deadline = Some(end.min(now + ((end - now) / 2).max(RENEWAL_WAIT_MIN)));
        // A number of its own for each question, so that the answer tells when it was asked.
        self.transaction = self.random.u32();
        self.asked = now;
        let mut message = self.question(Kind::Request, now);
        message.client = address;
        let to = if self.state == State::Renewing { server } else { Ipv4Addr::BROADCAST };
        Some(Action::Send { to, from: address, message })
    }
}
