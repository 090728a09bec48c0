// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a stack counts: what came and went, and each drop by its reason.
//!
//! What must always hold: a packet that is dropped is counted once, under one reason; nothing is dropped without one, and a
//! count costs one addition, no text and no memory.

/// Makes the enum, its list and its names from one table, so that none can be forgotten.
macro_rules! reasons {
    ($($name:ident = $text:literal, $doc:literal;)+) => {
        /// Why a packet was dropped.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Reason {
            $(#[doc = $doc] $name,)+
        }

        impl Reason {
            /// Every reason.
            pub const ALL: &[Reason] = &[$(Reason::$name),+];

            /// A short name, for tables.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Reason::$name => $text,)+
                }
            }
        }
    };
}

reasons! {
    Ethernet = "ethernet: malformed", "A frame shorter than its header, or scattered inside a header.";
    OtherStation = "ethernet: for another station", "Neither for our hardware address nor for a group that was joined.";
    OtherVlan = "ethernet: another VLAN", "A tag that is not ours, or none where one is expected.";
    EtherType = "ethernet: unknown type", "Neither IPv4, IPv6 nor ARP.";
    Arp = "arp: malformed", "No ARP of IPv4 over Ethernet, or one that lies about itself.";
    Ipv4 = "ipv4: malformed", "A header that RFC 791 does not allow, its checksum included.";
    Ipv6 = "ipv6: malformed", "A header that RFC 8200 does not allow, those of extensions included.";
    OtherHost = "ip: for another host", "A destination that is not ours: this host does not forward (RFC 1122, 3.3.1).";
    Source = "ip: impossible source", "A source that no packet can have: a group, broadcast, loopback, our own (RFC 1122, 3.2.1.3).";
    Protocol = "ip: unknown protocol", "A protocol that is not served.";
    FragmentBad = "ip: fragment refused", "A fragment that overlaps, exceeds or contradicts another (RFC 5722).";
    FragmentFull = "ip: no room for fragments", "The bound of what waits to be put together.";
    FragmentLate = "ip: fragments given up", "The rest of a datagram did not come in time.";
    Icmp = "icmp: malformed", "An ICMP message that is too short or has a wrong checksum.";
    IcmpType = "icmp: unknown type", "An ICMP message of no concern to a host.";
    IcmpQuote = "icmp: about nobody", "An ICMP error about a packet that no socket here has sent, or a redirect that is not believed.";
    IcmpLimit = "icmp: rate limit", "An answer that was not sent, since too many were (RFC 1812, 4.3.2.8).";
    Ndp = "ndp: malformed", "A neighbour discovery message that RFC 4861 tells to ignore.";
    GroupReport = "groups: malformed", "An IGMP or MLD message that is malformed or from too far away.";
    Udp = "udp: malformed", "A header that contradicts the length of its packet.";
    UdpChecksum = "udp: checksum", "A wrong checksum, or none in IPv6.";
    NoSocket = "udp: nobody there", "No socket has that port.";
    ReceiveFull = "udp: receive queue full", "The socket's receive buffer has no room.";
    Tcp = "tcp: malformed", "A header that RFC 9293 does not allow, or for a group.";
    TcpChecksum = "tcp: checksum", "A wrong checksum.";
    TcpNobody = "tcp: nobody there", "A segment of no connection, to a port at which nobody listens.";
    TcpBacklog = "tcp: backlog full", "A connection for which the listener has no room.";
    TcpUnacceptable = "tcp: not acceptable", "Out of the window, of an old clock, or an acknowledgment of what was not sent (RFC 9293, 3.10.7.4; RFC 5961).";
    TcpLate = "tcp: late", "For a connection that has ended (RFC 9293, 3.6.1).";
    NoEcho = "echo: nobody there", "An echo reply that nobody waits for.";
    NoRoute = "send: no route", "No way to the destination.";
    NeighbourFull = "send: neighbour queue full", "Too many packets wait for a hardware address.";
    NeighbourFailed = "send: no such neighbour", "Nobody has answered for the next hop.";
    NoBuffer = "no buffer", "The pool had no buffer for a header, a copy or an answer.";
    OutputFull = "send: output full", "An answer of the stack that found the output full.";
    LoopbackFull = "send: loopback full", "A packet to this host itself that found the queue full.";
    Duplicate = "address: conflict", "A packet from an address that is in doubt, or claimed by another station.";
}

const REASONS: usize = Reason::ALL.len();

/// What a stack has counted. All of it only grows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counters {
    /// Frames that were given to the stack.
    pub frames_received: u64,
    /// Their bytes.
    pub bytes_received: u64,
    /// Frames that the stack has given out.
    pub frames_sent: u64,
    /// Their bytes.
    pub bytes_sent: u64,
    /// Packets from this host to itself.
    pub looped: u64,
    /// Datagrams that sockets have been given.
    pub datagrams_received: u64,
    /// Datagrams that sockets have sent.
    pub datagrams_sent: u64,
    /// TCP segments that connections and listeners have been given.
    pub segments_received: u64,
    /// TCP segments that have left; one that a device cuts counts once.
    pub segments_sent: u64,
    /// Connections that others have begun, and that stand.
    pub accepted: u64,
    /// Connections that were begun here, and that stand.
    pub connected: u64,
    /// SYNs that were answered by a cookie.
    pub cookies_sent: u64,
    /// Cookies that came back and were right.
    pub cookies_received: u64,
    /// SYNs of ours whose data were acknowledged with them (RFC 7413).
    pub fast_opens_sent: u64,
    /// SYNs whose data were taken with them.
    pub fast_opens_received: u64,
    /// RSTs: for segments of no connection, and those that ended one.
    pub resets_sent: u64,
    /// Packets that were cut on their way out.
    pub fragmented: u64,
    /// Packets that were put together.
    pub reassembled: u64,
    /// Echo requests that were answered.
    pub echoed: u64,
    /// ICMP errors that were sent.
    pub errors_sent: u64,
    /// ICMP errors that were heard and concerned a socket.
    pub errors_received: u64,
    drops: [u64; REASONS],
}

impl Counters {
    /// Counts a drop.
    #[inline]
    pub fn drop(&mut self, reason: Reason) {
        self.add(reason, 1);
    }

    /// Counts a drop, unless the packet was taken after all.
    pub fn drop_unless(&mut self, taken: bool, reason: Reason) {
        self.add(reason, u64::from(!taken));
    }

    /// Counts so many drops.
    #[inline]
    pub fn add(&mut self, reason: Reason, drops: u64) {
        if let Some(count) = self.drops.get_mut(reason as usize) {
            *count = count.wrapping_add(drops);
        }
    }

    /// Packets that were dropped for this reason.
    #[must_use]
    pub fn dropped(&self, reason: Reason) -> u64 {
        self.drops.get(reason as usize).copied().unwrap_or(0)
    }

    /// Packets that were dropped, whatever the reason.
    #[must_use]
    pub fn drops(&self) -> u64 {
        self.drops.iter().sum()
    }

    /// Each reason for which something was dropped, and how often.
    pub fn iter(&self) -> impl Iterator<Item = (Reason, u64)> {
        Reason::ALL.iter().copied().zip(self.drops).filter(|(_, count)| *count > 0)
    }
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            frames_received: 0,
            bytes_received: 0,
            frames_sent: 0,
            bytes_sent: 0,
            looped: 0,
            datagrams_received: 0,
            datagrams_sent: 0,
            segments_received: 0,
            segments_sent: 0,
            accepted: 0,
            connected: 0,
            cookies_sent: 0,
            cookies_received: 0,
            fast_opens_sent: 0,
            fast_opens_received: 0,
            resets_sent: 0,
            fragmented: 0,
            reassembled: 0,
            echoed: 0,
            errors_sent: 0,
            errors_received: 0,
            drops: [0; REASONS],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_drop_counts_once_under_its_reason() {
        let mut counters = Counters::default();
        for (times, reason) in Reason::ALL.iter().enumerate() {
            counters.add(*reason, times as u64);
            counters.drop(*reason);
        }
        for (times, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(counters.dropped(*reason), times as u64 + 1, "{}", reason.name());
        }
        let all = Reason::ALL.len() as u64;
        assert_eq!(counters.drops(), all * (all + 1) / 2);
        assert_eq!(counters.iter().count(), Reason::ALL.len());
        assert_eq!(Counters::default().iter().count(), 0);
    }

    #[test]
    fn names_differ() {
        for (index, one) in Reason::ALL.iter().enumerate() {
            assert!(Reason::ALL[index + 1..].iter().all(|other| other.name() != one.name()), "{}", one.name());
        }
    }
}
