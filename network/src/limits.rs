// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every bound of the stack that is not configuration, in one place.

use core::time::Duration;

// The Internet layer.

/// Addresses of one stack (`EMFILE`).
pub const ADDRESSES_MAX: usize = 64;
/// Routes of one stack, both families together (`EMFILE`).
pub const ROUTES_MAX: usize = 256;
/// Datagrams that are being reassembled at once; the oldest goes for the next.
pub const REASSEMBLY_DATAGRAMS_MAX: usize = 256;
/// Of those, from one source; the oldest of that source goes for the next.
pub const REASSEMBLY_PER_SOURCE_MAX: usize = 64;
/// Fragments of one datagram, as many as a message has segments; where each has room behind it for the next, more.
pub const FRAGMENTS_PER_DATAGRAM_MAX: usize = runtime::buf::SGA_SEGMENTS_MAX;
/// How long the fragments of an IPv4 datagram are waited for. RFC 1122 §3.3.2 would have 60 s to 120 s, in which the
/// identification of 16 bits comes round many times today (RFC 4963); this is what Linux has.
pub const REASSEMBLY_TIME_V4: Duration = Duration::from_secs(30);
/// The same of an IPv6 datagram (RFC 8200 §4.5).
pub const REASSEMBLY_TIME_V6: Duration = Duration::from_mins(1);
/// Counters from which identifications of fragments come; a power of two.
pub const IDENTIFICATION_COUNTERS: usize = 1024;
/// Destinations whose path MTU is known to be smaller than the link's; the oldest goes for the next.
pub const PATH_MTUS_MAX: usize = 1024;
/// How long a smaller path MTU is believed (RFC 1191 §6.3, RFC 8201 §5.3: 10 minutes are recommended).
pub const PATH_MTU_AGE: Duration = Duration::from_mins(10);
/// The smallest path MTU of IPv4 that is believed, as on Linux; below it, routers may fragment.
pub const PATH_MTU_MIN_V4: u16 = 552;
/// The smallest MTU that an IPv6 link may have (RFC 8200 §5).
pub const MTU_MIN_V6: u16 = 1280;
/// ICMP errors that may be sent at once.
pub const ICMP_ERRORS_BURST: u32 = 50;
/// ICMP errors per second in the long run.
pub const ICMP_ERRORS_PER_SECOND: u32 = 1000;
/// The smallest hop limit that a router of IPv6 may set: with less, what this host sends would end before it is there, and one
/// forged advertisement would cut it off.
pub const ADVERTISED_HOPS_MIN: u8 = 32;
/// Destinations for which a router has named another next hop; the oldest goes for the next.
pub const REDIRECTS_MAX: usize = 256;
/// Default routers that are known at once; further ones are not taken in.
pub const ROUTERS_MAX: usize = 8;
/// Addresses of one prefix that this host makes and finds to be taken, before it gives up (RFC 7217 §6: the first, and three
/// more, which is IDGEN_RETRIES).
pub const STABLE_ADDRESS_TRIES: u8 = 4;
/// Prefixes of the link, and as many to make addresses from, that routers may announce; further ones are not taken in.
pub const ANNOUNCED_PREFIXES_MAX: usize = 16;

// The neighbour cache (`link::neighbours`).

/// How many neighbours are known at once, static ones included.
pub const NEIGHBOURS_MAX: u32 = 1024;
/// How many of them have been asked for without an answer.
pub const NEIGHBOURS_UNRESOLVED_MAX: u32 = 256;
/// How many packets wait for one neighbour: a datagram of the longest kind in the smallest fragments, or what one push makes.
pub const NEIGHBOUR_PACKETS_MAX: u32 = 128;
/// How many packets wait for all neighbours together.
pub const NEIGHBOURS_PACKETS_MAX: u32 = 512;
/// How many neighbours are looked at to find one that makes place for what a peer says.
pub const NEIGHBOURS_LOOK_MAX: u32 = 32;

/// How long the owner of a stack that ends waits for hardware addresses, for packets that were sent and have not left: as long as it takes
/// to ask a second time, since on a link that has just come up the first question is often lost.
pub const LAST_PACKETS_WAIT: Duration = Duration::from_millis(1200);

/// The same for what was pushed on streams and has not arrived: long enough to make good some losses, and for a peer that was busy.
pub const LAST_STREAMS_WAIT: Duration = Duration::from_secs(3);

/// The same for the ends of peers that have everything: long enough for one that closes as soon as it has read the end, and longer than
/// most take to send again what was lost.
pub const LAST_ENDS_WAIT: Duration = Duration::from_millis(250);

/// How long it stays behind the resets of its last connections, to tell those once more who are still sending: as long as what is under
/// way takes, or a probe that asks for what was lost.
pub const LAST_RESETS_WAIT: Duration = Duration::from_millis(50);

// Packets (`wire`).

/// How many extension headers an IPv6 packet may have; senders use three at most.
pub const EXTENSION_HEADERS_MAX: usize = 8;
/// How many prefixes of a router advertisement are looked at.
pub const ADVERTISED_PREFIXES_MAX: usize = 8;
/// How many groups one multicast report names: as many IPv6 ones as the shortest MTU has room for, and some to spare.
pub const REPORT_RECORDS_MAX: usize = 48;
/// How many routers and name servers of a DHCP message are looked at, of each kind.
pub const DHCP_SERVERS_MAX: usize = 4;
/// How many classless routes of a DHCP message are looked at.
pub const DHCP_ROUTES_MAX: usize = 16;
/// How many options a DHCP client asks for.
pub const DHCP_PARAMETERS_MAX: usize = 16;
/// Bytes of a DHCP client identifier, beyond which it is cut.
pub const DHCP_IDENTIFIER_MAX: usize = 32;

// Sockets and the stack itself.

/// Sockets of one stack (`EMFILE`).
pub const SOCKETS_MAX: u32 = 16_384;
/// Flows whose sockets are found without a search.
pub const RECENT_FLOWS: usize = 64;
/// Groups that one socket has joined (`ENOBUFS`).
pub const SOCKET_GROUPS_MAX: usize = 20;
/// Datagrams that wait in one socket, however short they are; more are dropped and counted.
pub const SOCKET_DATAGRAMS_MAX: usize = 4096;
/// What a datagram counts in a receive buffer beside its bytes, so that empty ones are bounded too.
pub const DATAGRAM_OVERHEAD: usize = 256;
/// Datagrams that one push is cut into, or that one frame of a device stands for (`UDP_MAX_SEGMENTS` of Linux).
pub const UDP_SEGMENTS_MAX: usize = 128;
/// The part of all small buffers that datagrams in sockets may hold, as a divisor; beyond it, a socket in which something
/// waits takes no more. Else whoever floods a few idle sockets would leave the device none to receive into.
pub const SOCKETS_SHARE: usize = 2;
/// The same for fragments that wait for others.
pub const REASSEMBLY_SHARE: usize = 4;
/// Receive buffer of a socket in bytes, if it is not set.
pub const RECEIVE_BUFFER: usize = 212_992;
/// The smallest and the largest that it can be set to.
pub const RECEIVE_BUFFER_RANGE: (usize, usize) = (2304, 16 << 20);
/// Ports that are given out to sockets that did not name one (RFC 6056, 3.2): from here to the last.
pub const EPHEMERAL_FIRST: u16 = 32_768;
/// Frames that wait for the device, beyond which a send waits for room.
pub const OUTPUT_FRAMES_MAX: usize = 256;
/// Frames that are kept free behind those for answers of the stack itself, and for what one push makes.
pub const OUTPUT_SPARE: usize = 256;
/// Packets to this host itself that wait for the next poll, beyond which a send waits for room.
pub const LOOPBACK_MAX: usize = 256;
/// Packets to this host itself, and actions of timers, that one poll works off.
pub const ACTIONS_PER_POLL: usize = 64;
/// Bytes of a frame that a device gives in pieces which are put together for its headers to be read.
pub const HEADERS_GATHERED: usize = 256;
/// Buffers that hold fragments of datagrams that are not whole yet, at most; see [`REASSEMBLY_SHARE`].
pub const REASSEMBLY_BUFFERS: usize = 1024;

// TCP: congestion control.

/// Bytes that paced segments may run ahead by after a pause, at most.
pub const PACING_BURST: u32 = 64 << 10;
/// How long a pause counts for that, at most.
pub const PACING_CREDIT: Duration = Duration::from_millis(1);
/// The largest congestion window, in bytes: as much as the largest window that TCP can offer (RFC 7323 section 2.3).
pub const CONGESTION_WINDOW_MAX: u32 = 1 << 30;
/// Segments by which one ACK opens the window in slow start, unless they are paced (RFC 9406 section 4.2, L).
pub const SLOW_START_SEGMENTS: u32 = 8;

// Multicast (`multicast`).

/// Groups that a stack is a member of at once, those of its own IPv6 addresses included (`EMFILE`).
pub const GROUPS_MAX: usize = 512;
/// How long a querier of an older version counts as present after it was heard, beside a response time, however long it is said to be
/// silent between its questions: else two packets of anybody on the link could keep a host at the oldest version for days.
pub const OLDER_QUERIER_MAX: Duration = Duration::from_hours(1);

// Loss recovery of TCP (`tcp::recovery`).

/// How long the shortest round trip is believed before a longer one takes its place, as on Linux.
pub const MIN_RTT_AGE: Duration = Duration::from_mins(5);
/// The shortest round trip that is counted with, as Linux has it: a shorter one is as long (RFC 6298, section 2: the clock's granularity).
pub const RTT_GRANULARITY: Duration = Duration::from_micros(1);
/// Records of what one connection has sent and the peer has not acknowledged; nothing new is sent before one is gone. A record is
/// what left at once: a segment, or several of a device that segments.
pub const TCP_RECORDS_MAX: usize = 16_384;
/// Places for records that an idle connection keeps.
pub const TCP_RECORDS_KEPT: usize = 4;
/// How long an idle connection keeps more.
pub const TCP_RECORDS_IDLE: Duration = Duration::from_secs(1);

// The simulation (`sim`).

/// Stations whose ports a switch knows; further ones are found by asking all.
pub const SIM_STATIONS_MAX: usize = 4096;
/// Frames whose memory is kept for the next.
pub const SIM_SPARE_FRAMES: usize = 1024;
/// What may happen at one moment; more is a run without an end.
pub const SIM_EVENTS_AT_ONCE: u32 = 1_000_000;
/// Frames that a host may send at one moment in a row; more is a host without an end.
pub const SIM_FRAMES_AT_ONCE: u32 = 100_000;

// TCP's received data (`tcp::receive`).

/// Segments of one connection, come in one burst, that are acknowledged and told of together: as many as a sender's slow start
/// counts of one ACK (RFC 9406 section 4.2, L), so that none is slower for it.
pub const TCP_ROW_MAX: u32 = 8;

/// Ranges of one connection's stream that wait for what is missing in front of them; what would begin one more is dropped and
/// comes again.
pub const TCP_RANGES_MAX: usize = 1024;
/// The largest receive buffer in bytes: the largest window that TCP can offer (RFC 7323 section 2.3).
pub const TCP_RECEIVE_BUFFER_MAX: usize = 1 << 30;
/// Bytes of memory that a receive buffer may keep for each of its bytes: blocks are longer than what lies in them.
pub const TCP_MEMORY_FACTOR: usize = 2;
/// Beyond those, so many bytes; from there on, short segments are copied together, and where that cannot be done, dropped.
pub const TCP_SPARSE_MEMORY: usize = 16 << 10;
/// Full segments that are acknowledged one by one at the start and after disorder.
pub const TCP_QUICK_ACKS: u8 = 16;
/// The longest that an acknowledgment may wait, whatever is configured (RFC 9293 section 3.8.6.3: less than half a second).
pub const TCP_ACK_DELAY_MAX: Duration = Duration::from_millis(499);

// TCP's connections (`tcp::connection`, `tcp::send`).

/// The smallest MSS that is believed, whatever a peer or a path says: with less, headers would be most of what is sent.
pub const TCP_MSS_MIN: u16 = 48;
/// Buffers that the send queue of one connection holds, however short they are; a push waits for room then.
pub const TCP_SEND_PIECES_MAX: usize = 16_384;
/// The first of those, which count as the bytes that lie in them, and not as the blocks that they hold: in a small send buffer there is
/// room for some short messages in long blocks.
pub const TCP_SEND_PIECES_BY_BYTES: usize = STREAM_BUFFERS_MIN;
/// How many places of an empty send queue are kept, once nothing was sent for a while.
pub const TCP_SEND_PIECES_KEPT: usize = 8;
/// How often segments without data that are not acceptable are answered, so that two ends that do not understand each other do not
/// talk for ever; as on Linux.
pub const TCP_ANSWER_INTERVAL: Duration = Duration::from_millis(500);
/// How often what a closed connection has left to say is sent again, at most, once it has got nowhere for [`TCP_ORPHAN_PATIENCE`].
pub const TCP_ORPHAN_RETRIES: u8 = 8;
/// RFC 9293 section 3.8.3 (R2): for so long at least, who has no application any more is as patient as who has one.
pub const TCP_ORPHAN_PATIENCE: Duration = Duration::from_secs(100);
/// How often in a row the retransmission timer runs out before segments are made shorter, since perhaps the path drops long ones
/// in silence (RFC 4821 section 7.7).
pub const TCP_BLACK_HOLE_TIMEOUTS: u8 = 3;
/// The MSS below which that is not tried: any path has room for it (RFC 9293 section 3.7.1).
pub const TCP_BLACK_HOLE_MSS: u16 = 536;
/// How long the size of a path that was found is left alone, before the path may have become wider (RFC 1191 section 6.3: ten minutes
/// are recommended).
pub const TCP_PROBE_AGAIN: Duration = Duration::from_mins(10);
/// By how many bytes longer segments may become at least that it is worth the loss of a probe, as on Linux.
pub const TCP_PROBE_RANGE: u16 = 8;
/// Full segments that must wait behind a probe, so that duplicate acknowledgments show its loss (RFC 4821 section 7.4): as many as
/// those are (RFC 5681 section 3.2), and one that may be lost.
pub const TCP_PROBE_BEHIND: u32 = 4;
/// Segments that the congestion window has room for at least when a probe leaves: a smaller one would be used up by it.
pub const TCP_PROBE_WINDOW: u32 = 10;
/// Probes of one size that are lost in a row for reasons that nobody knows, before that size counts as too long (RFC 8899 section
/// 5.1.2, MAX_PROBES).
pub const TCP_PROBES_UNCLEAR: u8 = 3;
/// How many times as long no probe leaves after the timer has found one lost (RFC 4821 section 7.6.3).
pub const TCP_PROBE_TIMEOUT_FACTOR: u32 = 5;

// TCP's sockets and listeners (`tcp::listen`, `tcp::time_wait`, `stack::streams`).

/// Stream sockets of one stack, connections that end by themselves after their close included (`EMFILE`).
pub const STREAMS_MAX: u32 = 1 << 20;
/// Connections of one listener that wait to be accepted, whatever backlog is asked for.
pub const ACCEPT_QUEUE_MAX: usize = 65_535;
/// SYNs of one listener that are remembered until they are answered, whatever the backlog: no fewer than the first, no more than
/// the second. Those that come beyond that are answered by cookies.
pub const SYN_QUEUE_MIN: usize = 64;
/// See [`SYN_QUEUE_MIN`].
pub const SYN_QUEUE_MAX: usize = 4096;
/// The same of all listeners together.
pub const HALF_OPEN_MAX: u32 = 65_536;
/// Connections that have ended and are remembered (TIME-WAIT); the oldest goes for the next.
pub const TIME_WAITS_MAX: u32 = 65_536;
/// RSTs at once, and per second in the long run, for segments of no connection.
pub const RESETS_BURST: u32 = 1000;
/// See [`RESETS_BURST`].
pub const RESETS_PER_SECOND: u32 = 10_000;
/// Challenge ACKs at once (RFC 5961 section 7); the number varies, so that it tells nothing (CVE-2016-5696).
pub const CHALLENGES_BURST: u32 = 1000;
/// The same per second in the long run.
pub const CHALLENGES_PER_SECOND: u32 = 1000;
/// Connections of one listener whose data were taken with their SYN, and whose peer has not answered since (RFC 7413 section 5.1);
/// the others' data come again behind the handshake.
pub const FAST_OPEN_PENDING_MAX: usize = 256;
/// Hosts of which is known whether they take data with a SYN; the oldest goes for the next.
pub const FAST_OPEN_PEERS_MAX: usize = 1024;
/// How long a host is called plainly to which such a SYN was lost (RFC 7413 section 4.1.3.1).
pub const FAST_OPEN_AGAIN: Duration = Duration::from_hours(1);
/// Timers of connections that one poll looks at.
pub const STREAM_TIMERS_PER_POLL: usize = 1024;
/// The part of all small buffers that may hold what was pushed on all streams and was not acknowledged, and what has come and was
/// not popped, together, as a divisor; beyond it a push waits, once its connection holds [`STREAM_BUFFERS_MIN`].
pub const STREAMS_PUSH_SHARE: usize = 4;
/// The same beyond which what comes is not taken in, but acknowledgments are: as parts of eight.
pub const STREAMS_TAKE_EIGHTHS: usize = 3;
/// The same beyond which nothing is taken in but what fills a gap: acknowledgments, which let go what is held, need buffers to come in.
pub const STREAMS_HOLD_EIGHTHS: usize = 6;
/// Buffers that a connection may hold in each direction, however many others hold: of what has come, up to [`STREAMS_HOLD_EIGHTHS`]; of
/// what was pushed, as long as that of all is less than [`STREAMS_TAKE_EIGHTHS`], and an eighth is free.
pub const STREAM_BUFFERS_MIN: usize = 16;
/// Bytes of a payload that is copied behind its headers, which costs less than a second view of it and a frame of two pieces.
pub const STREAM_BYTES_COPIED: u32 = 192;
/// How far away a timer may be that has nothing left to wait for and is not taken back: to leave it costs a look when it fires,
/// to take it back costs something for each message and its acknowledgment.
pub const STREAM_TIMER_STAYS: Duration = Duration::from_millis(300);
/// How long a connection that was closed keeps what was pushed in any case; after that it may be reset while others may not push at all.
pub const ORPHAN_KEEPS_FOR: Duration = Duration::from_secs(3);
/// Sockets that one search for such a connection looks at.
pub const ORPHANS_LOOKED_AT: u32 = 1024;
/// How long there is no other search after one that was in vain, and after a whole round of them.
pub const ORPHANS_LOOK_ON: Duration = Duration::from_millis(1);
/// See [`ORPHANS_LOOK_ON`].
pub const ORPHANS_LOOK_AGAIN: Duration = Duration::from_millis(100);
