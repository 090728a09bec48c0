// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a script runs in: one stack, virtual time, and the flows between it and peers that are only in the script.

use crate::segment::{Opt, RST, SYN, Segment, Value};
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use network::keyed::Secret;
use network::sim::{frames, mac};
use network::stack::{Config, Stack, StreamId};
use runtime::buf::{Classes, Pools, Sga};
use runtime::device::Caps;
use runtime::time::Time;
use std::collections::{BTreeMap, VecDeque};

/// Polls at one moment, beyond which the stack finds no end.
const POLLS_MAX: u32 = 10_000;
/// The port that the script listens at.
pub const PORT: u16 = 80;

/// One connection, or what may become one: between a port of the peer's and one of ours.
#[derive(Default)]
pub struct Flow {
    /// Whether the stack has opened it.
    pub active: bool,
    pub local_port: u16,
    pub socket: Option<StreamId>,
    /// The stack's first sequence number, and its first timestamp.
    pub first: Option<u32>,
    first_clock: Option<u32>,
    last_clock: u32,
    /// What both have said in their SYNs.
    scales: (Option<u8>, Option<u8>),
    /// Bytes that were pushed, popped.
    pub pushed: u32,
    pub popped: u32,
    pub rest: Option<Sga>,
}

pub struct World {
    pub stack: Stack,
    pub pools: Pools,
    pub now: Time,
    pub start: Time,
    pub ours: IpAddr,
    pub theirs: IpAddr,
    pub peer_first: u32,
    pub listener: Option<StreamId>,
    pub flows: BTreeMap<u16, Flow>,
    pub flow: u16,
    /// What the stack has sent and the script has not seen: when, from whose flow.
    pub output: VecDeque<(Time, u16, Segment)>,
    /// The last cookie of Fast Open that the stack has sent.
    cookie: Vec<u8>,
    /// What has happened so far.
    pub transcript: Vec<String>,
}

/// Byte `at` of the stream to the stack, or from it.
pub const fn byte(from_us: bool, at: u32) -> u8 {
    (at.wrapping_mul(31) ^ (at >> 8).wrapping_mul(7)) as u8 ^ if from_us { 0x80 } else { 0 }
}

pub fn bytes(from_us: bool, at: u32, len: u32) -> Vec<u8> {
    (0..len).map(|index| byte(from_us, at.wrapping_add(index))).collect()
}

impl World {
    pub fn new(tcp: network::tcp::settings::Settings, v6: bool, mtu: u16, peer_first: u32) -> Self {
        let caps = Caps { mtu, headroom: 0, checksum: false, segments_tcp: false, segments_udp: false };
        let mut config = Config::new(mac(1), caps, Secret([7; 16]));
        let address = |host: u8| -> IpAddr {
            let text = if v6 { format!("fd00::{host}") } else { format!("10.0.0.{host}") };
            text.parse().unwrap()
        };
        let (ours, theirs) = (address(1), address(2));
        let prefix = if v6 { "fd00::1/64" } else { "10.0.0.1/24" };
        config.addresses = vec![prefix.parse().unwrap()];
        config.neighbours = vec![(theirs, mac(2))];
        config.tcp = tcp;
        let start = Time::from_nanos(1_000_000_000_000);
        let pools = Pools::new(&Classes { small_count: 8192, large_count: 64, ..Classes::default() }).unwrap();
        let stack = Stack::new(config, pools.clone(), start).unwrap();
        let mut world = Self {
            stack,
            pools,
            now: start,
            start,
            ours,
            theirs,
            peer_first,
            listener: None,
            flows: BTreeMap::new(),
            flow: 1,
            output: VecDeque::new(),
            cookie: vec![],
            transcript: vec![],
        };
        // What a link needs when it comes up is over.
        world.run_until(start + Duration::from_secs(10)).unwrap();
        world.start = world.now;
        world
    }

    pub fn flow(&mut self) -> &mut Flow {
        self.flows.entry(self.flow).or_insert_with(|| Flow { local_port: PORT, ..Flow::default() })
    }

    /// The peer's port of a flow: one for those that it opens, one for those that are opened to it.
    pub fn peer_port(&mut self) -> u16 {
        let flow = self.flow;
        flow + if self.flow().active { 8000 } else { 40_000 }
    }

    pub fn peer(&self, flow: u16) -> SocketAddr {
        SocketAddr::new(self.theirs, 8000 + flow)
    }

    /// Milliseconds since the script began.
    pub fn shown(&self, at: Time) -> String {
        let nanos = at.saturating_since(self.start).as_nanos();
        format!("{:>4}.{:06}", nanos / 1_000_000_000, nanos / 1000 % 1_000_000)
    }

    /// Takes what the stack has to send.
    pub fn drain(&mut self) -> Result<(), String> {
        while let Some(frame) = self.stack.transmit() {
            let bytes = frame.data.to_vec();
            let packet = bytes.get(14..).unwrap_or_default();
            if !matches!(bytes.get(12..14), Some([8, 0] | [0x86, 0xdd])) {
                continue;
            }
            let Some((segment, (source, destination))) = Segment::of_packet(packet)? else { continue };
            let flow = destination.checked_sub(40_000).unwrap_or(destination.wrapping_sub(8000));
            let (at, segment) = (self.now, self.read_segment(flow, source, segment)?);
            let line = format!("{} > {segment}", self.shown(at));
            self.transcript.push(if self.flows.len() > 1 { format!("{line}   (flow {flow})") } else { line });
            self.output.push_back((at, flow, segment));
        }
        Ok(())
    }

    /// Makes the numbers of a segment from the stack those of scripts.
    fn read_segment(&mut self, number: u16, port: u16, mut segment: Segment) -> Result<Segment, String> {
        let peer_first = self.peer_first;
        let flow = self.flows.entry(number).or_default();
        flow.local_port = port;
        let (is_syn, seq) = (segment.has(SYN), segment.seq);
        let options = segment.options.get_or_insert_default();
        if is_syn {
            flow.first = Some(seq);
            flow.scales.0 = options.iter().find_map(|option| match option {
                Opt::Scale(shift) => Some(*shift),
                _ => None,
            });
        }
        let first = flow.first.unwrap_or(0);
        for option in options.iter_mut() {
            match option {
                Opt::Clock(Some(Value::Is(value)), _) => {
                    let first = *flow.first_clock.get_or_insert(*value);
                    flow.last_clock = *value;
                    *value = value.wrapping_sub(first);
                }
                Opt::FastOpen(Some(cookie)) => self.cookie.clone_from(cookie),
                Opt::Sack(blocks) => blocks.iter_mut().for_each(|(from, to)| {
                    (*from, *to) = (from.wrapping_sub(peer_first), to.wrapping_sub(peer_first));
                }),
                _ => {}
            }
        }
        segment.seq = segment.seq.wrapping_sub(first);
        if let Some(ack) = &mut segment.ack {
            *ack = ack.wrapping_sub(peer_first);
        }
        if let (false, (Some(shift), Some(_)), Some((window, to))) =
            (segment.has(SYN), flow.scales, segment.window.as_mut())
        {
            *window <<= shift;
            *to = *window;
        }
        if segment.has(RST) {
            segment.window = None;
        }
        // The stream's first byte has the number behind the SYN.
        let wanted = bytes(true, segment.seq.wrapping_sub(u32::from(!is_syn)), segment.len);
        // A probe may have a byte that was acknowledged long ago, and so any.
        if segment.payload != wanted && segment.len > 1 {
            return Err(format!("the stack sent other bytes than were pushed: {segment}"));
        }
        Ok(segment)
    }

    /// The frame of a segment of the script's.
    pub fn frame_of(&mut self, segment: &Segment) -> Vec<u8> {
        let mut segment = segment.clone();
        let shown = segment.to_string();
        let (peer_first, now) = (self.peer_first, self.now.saturating_since(self.start).as_millis() as u32);
        // Behind a SYN in the same segment the stream begins.
        let at = segment.seq.wrapping_sub(u32::from(!segment.has(SYN)));
        segment.payload = bytes(false, at, segment.len);
        let (peer_port, given) = (self.peer_port(), self.cookie.clone());
        let flow = self.flow();
        let first = flow.first.unwrap_or(0);
        segment.seq = segment.seq.wrapping_add(peer_first);
        segment.ack = segment.ack.map(|ack| ack.wrapping_add(first));
        for option in segment.options.iter_mut().flatten() {
            match option {
                Opt::Clock(value, echo) => {
                    *value = value.or(Some(Value::Is(1000 + now)));
                    *echo = Some(Value::Is(match echo {
                        Some(Value::Is(echo)) => echo.wrapping_add(flow.first_clock.unwrap_or(0)),
                        _ => flow.last_clock,
                    }));
                }
                Opt::FastOpen(cookie) => *cookie = cookie.take().or(Some(given.clone())),
                Opt::Scale(shift) if segment.flags & SYN != 0 => flow.scales.1 = Some(*shift),
                Opt::Sack(blocks) => blocks.iter_mut().for_each(|(from, to)| {
                    (*from, *to) = (from.wrapping_add(first), to.wrapping_add(first));
                }),
                _ => {}
            }
        }
        let mut window = segment.window.map_or(65_535, |(window, _)| window);
        if let (0, (Some(_), Some(shift))) = (segment.flags & SYN, flow.scales) {
            window = if segment.window.is_none() { 65_535 } else { window >> shift.min(14) };
        }
        let ports = (peer_port, flow.local_port);
        let packet = segment.packet((self.theirs, self.ours), ports, window.min(65_535) as u16);
        self.transcript.push(format!("{} < {shown}", self.shown(self.now)));
        frames::ip_frame(mac(1), mac(2), &packet)
    }

    /// Gives the stack a frame.
    pub fn give(&mut self, frame: &[u8]) -> Result<(), String> {
        let data = self.pools.alloc_copy(frame).map_err(|error| format!("no buffer: {error:?}"))?;
        self.stack.receive(Sga::from(data).into(), self.now);
        self.settle()
    }

    /// Lets the stack do what is due at this moment, and takes what it sends.
    pub fn settle(&mut self) -> Result<(), String> {
        self.drain()?;
        let mut polls = 0;
        while self.stack.next_deadline().is_some_and(|due| due <= self.now) {
            self.stack.poll(self.now);
            self.drain()?;
            polls += 1;
            if polls > POLLS_MAX {
                return Err("the stack is never done".into());
            }
        }
        while self.stack.stream_woken().is_some() {}
        Ok(())
    }

    /// Runs to this time, or until the stack has sent something.
    pub fn run_until_output(&mut self, end: Time) -> Result<(), String> {
        while self.output.is_empty() {
            match self.stack.next_deadline() {
                Some(due) if due <= end => self.now = self.now.max(due),
                _ => break,
            }
            self.settle()?;
        }
        if self.output.is_empty() {
            self.now = self.now.max(end);
        }
        Ok(())
    }

    /// Runs to this time.
    pub fn run_until(&mut self, end: Time) -> Result<(), String> {
        while let Some(due) = self.stack.next_deadline().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.settle()?;
        }
        self.now = self.now.max(end);
        Ok(())
    }
}
