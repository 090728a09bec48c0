// SPDX-License-Identifier: MIT OR Apache-2.0
//! Socket calls of a script, and what must become of them. See the grammar in `main.rs`.

use crate::script::duration;
use crate::segment::{ACK, FIN, Opt, SYN, Segment, range};
use crate::world::{PORT, World, bytes};
use core::fmt::Debug;
use core::net::SocketAddr;
use core::task::Poll;
use core::time::Duration;
use network::sim::{frames, mac};
use network::stack::StreamId;
use network::tcp::connection::Info;
use network::wire::icmpv4::{self, Unreachable};
use network::wire::{icmpv6, tcp};
use runtime::buf::Sga;
use runtime::socket::{Domain, SocketOption};
use runtime::{Error, Result as Outcome};

/// What a call gave, in the script's words.
fn shown<T: Debug>(outcome: &Poll<Outcome<T>>) -> String {
    match outcome {
        Poll::Pending => "pending".into(),
        Poll::Ready(Err(error)) => error.errno().name().into(),
        Poll::Ready(Ok(_)) => "ok".into(),
    }
}

fn expect<T: Debug>(what: &str, outcome: Poll<Outcome<T>>, wanted: Option<&str>) -> Result<Option<T>, String> {
    let (is, wanted) = (shown(&outcome), wanted.unwrap_or("ok"));
    if is != wanted {
        return Err(format!("{what}\nexpected  {wanted}\nactual    {is}"));
    }
    Ok(match outcome {
        Poll::Ready(Ok(value)) => Some(value),
        _ => None,
    })
}

fn number<T: std::str::FromStr>(word: Option<&str>) -> Result<T, String> {
    let word = word.unwrap_or_default();
    word.parse().map_err(|_| format!("`{word}` is no number"))
}

fn on(word: Option<&str>) -> Result<bool, String> {
    match word {
        Some("on") => Ok(true),
        Some("off") => Ok(false),
        other => Err(format!("{other:?} is neither on nor off")),
    }
}

impl World {
    /// Does what a line says.
    pub fn call(&mut self, words: &[String]) -> Result<(), String> {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let arg = |index: usize| words.get(index).copied();
        let now = self.now;
        match words[0] {
            "quiet" => {}
            "skip" => self.output.clear(),
            "count" => {
                let (from, to) = range(arg(1).unwrap_or_default())?;
                let is = self.output.len() as u32;
                self.output.clear();
                if !(from..=to).contains(&is) {
                    return Err(format!("count\nexpected  {}\nactual    {is}", words[1]));
                }
            }
            "flow" => {
                self.flow = number(arg(1))?;
                self.flow();
                if arg(2) == Some("to") {
                    self.flow().local_port = number(arg(3))?;
                }
            }
            "listen" => self.listen(arg(1).map_or(Ok(16), |_| number(arg(1)))?)?,
            "accept" => self.accept(arg(1))?,
            "connect" if arg(1) == Some("push") => {
                self.connect(None)?;
                self.push(&words[1..])?;
            }
            "connect" => self.connect(arg(1))?,
            "connected" => {
                let id = self.socket()?;
                expect("connected", self.stack.stream_connected(id), arg(1))?;
            }
            "push" => self.push(&words)?,
            "pop" => self.pop(arg(1).unwrap_or_default(), arg(2))?,
            "shutdown" => {
                let id = self.socket()?;
                expect("shutdown", Poll::Ready(self.stack.stream_shutdown(id, now)), arg(1))?;
            }
            "close" => {
                let id = self.socket()?;
                expect("close", self.stack.stream_close(id, now), arg(1))?;
            }
            "unlisten" => {
                let id = self.listener.take().ok_or("nobody listens")?;
                expect("close", self.stack.stream_close(id, now), None)?;
            }
            "option" => self.option(arg(1).unwrap_or_default(), arg(2))?,
            "state" => {
                let state = format!("{:?}", self.info()?.state);
                if !state.eq_ignore_ascii_case(arg(1).unwrap_or_default()) {
                    return Err(format!("state\nexpected  {}\nactual    {state}", words[1]));
                }
            }
            "info" => self.look(arg(1).unwrap_or_default(), arg(2).unwrap_or_default())?,
            "icmp" => self.icmp(&words)?,
            "established" => self.establish(&words[1..])?,
            other => return Err(format!("no call is `{other}`")),
        }
        self.settle()
    }

    fn socket(&mut self) -> Result<StreamId, String> {
        self.flow().socket.ok_or_else(|| "this flow has no socket".into())
    }

    fn info(&mut self) -> Result<Info, String> {
        let (id, now) = (self.socket()?, self.now);
        self.stack.stream_info(id, now).map_err(|error| format!("info: {}", error.errno().name()))
    }

    fn listen(&mut self, backlog: usize) -> Result<(), String> {
        let say = |error: Error| format!("listen: {error:?}");
        let domain = if self.ours.is_ipv4() { Domain::V4 } else { Domain::V6 };
        let id = self.stack.stream_socket(domain).map_err(say)?;
        self.stack.stream_bind(id, SocketAddr::new(self.ours, PORT)).map_err(say)?;
        self.stack.stream_listen(id, backlog).map_err(say)?;
        self.listener = Some(id);
        Ok(())
    }

    fn accept(&mut self, wanted: Option<&str>) -> Result<(), String> {
        let (id, now) = (self.listener.ok_or("nobody listens")?, self.now);
        let Some(socket) = expect("accept", self.stack.stream_accept(id, now), wanted)? else { return Ok(()) };
        let peer = self.stack.stream_peer(socket).map_err(|error| format!("peer: {error:?}"))?;
        let flow = self.flow;
        if peer.port() != 40_000 + flow {
            return Err(format!("accept gives flow {}, not {flow}", peer.port().wrapping_sub(40_000)));
        }
        self.flow().socket = Some(socket);
        Ok(())
    }

    fn connect(&mut self, wanted: Option<&str>) -> Result<(), String> {
        let (peer, now) = (self.peer(self.flow), self.now);
        let domain = Domain::of(&peer);
        let id = match self.flow().socket {
            Some(id) => id,
            None => self.stack.stream_socket(domain).map_err(|error| format!("socket: {error:?}"))?,
        };
        self.flow().socket = Some(id);
        let outcome = self.stack.stream_connect(id, peer, now);
        if outcome.is_ok() {
            let local = self.stack.stream_local(id).map_err(|error| format!("local: {error:?}"))?.port();
            let flow = self.flow();
            (flow.active, flow.local_port, flow.first) = (true, local, None);
        }
        expect("connect", Poll::Ready(outcome), wanted).map(|_| ())
    }

    fn push(&mut self, words: &[&str]) -> Result<(), String> {
        let (id, now) = (self.socket()?, self.now);
        let mut message = if words.get(1) == Some(&"again") {
            self.flow().rest.take().ok_or("no push is under way")?
        } else {
            let len = number(words.get(1).copied())?;
            let at = self.flow().pushed;
            self.flow().pushed += len;
            // In pieces that a buffer has room for.
            let mut message = Sga::new();
            for piece in bytes(true, at, len).chunks(65_536) {
                let data = self.pools.alloc_copy(piece).map_err(|error| format!("no buffer: {error:?}"))?;
                message.push_back(data).map_err(|error| format!("a long push: {error:?}"))?;
            }
            message
        };
        let outcome = self.stack.stream_push(id, &mut message, now);
        if outcome.is_pending() {
            self.flow().rest = Some(message);
        }
        expect("push", outcome, words.get(2).copied()).map(|_| ())
    }

    /// `pop N`, `pop end`, `pop pending`, `pop ERRNO`; `pop N at-most M`.
    fn pop(&mut self, what: &str, most: Option<&str>) -> Result<(), String> {
        let (id, now) = (self.socket()?, self.now);
        let Ok(len) = what.parse::<u32>() else {
            let wanted = if what == "end" { "ok" } else { what };
            let popped = expect("pop", self.stack.stream_pop(id, None, now), Some(wanted))?;
            return match popped {
                Some(data) if !data.is_empty() => Err(format!("pop\nexpected  {what}\nactual    {} bytes", data.len())),
                _ => Ok(()),
            };
        };
        let mut left = len;
        while left > 0 {
            let at_most = if most == Some("freely") { None } else { Some(left as usize) };
            let data = match self.stack.stream_pop(id, at_most, now) {
                Poll::Ready(Ok(data)) if !data.is_empty() => data.to_vec(),
                other => {
                    let what = if let Poll::Ready(Ok(_)) = other { "end".into() } else { shown(&other) };
                    return Err(format!("pop\nexpected  {len} bytes\nactual    {} bytes, then {what}", len - left));
                }
            };
            let at = self.flow().popped;
            if data != bytes(false, at, data.len() as u32) {
                return Err("pop: other bytes than were sent".into());
            }
            self.flow().popped += data.len() as u32;
            left = left.checked_sub(data.len() as u32).ok_or("pop: more than was asked for")?;
        }
        Ok(())
    }

    fn option(&mut self, name: &str, value: Option<&str>) -> Result<(), String> {
        let time = || duration(value.unwrap_or_default());
        let option = match name {
            "nodelay" => SocketOption::NoDelay(on(value)?),
            "keepalive" => SocketOption::KeepAlive(on(value)?),
            "keepidle" => SocketOption::KeepIdle(time()?),
            "keepinterval" => SocketOption::KeepInterval(time()?),
            "keepcount" => SocketOption::KeepCount(number(value)?),
            "sndbuf" => SocketOption::SendBuffer(number(value)?),
            "rcvbuf" => SocketOption::ReceiveBuffer(number(value)?),
            "linger" => SocketOption::Linger(if value == Some("off") { None } else { Some(time()?) }),
            _ => return Err(format!("no option is `{name}`")),
        };
        let id = match self.flow().socket {
            Some(id) => id,
            None => self.listener.ok_or("no socket")?,
        };
        self.stack.stream_set_option(id, option).map_err(|error| format!("option {name}: {}", error.errno().name()))
    }

    /// `info FIELD N`, `info FIELD N..M`.
    fn look(&mut self, field: &str, wanted: &str) -> Result<(), String> {
        let info = self.info()?;
        let nanos = |duration: Duration| duration.as_nanos() as u64;
        let is = match field {
            "rtt" => nanos(info.rtt),
            "rttvar" => nanos(info.rtt_variance),
            "rto" => nanos(info.rto),
            "mss" => info.mss.into(),
            "cwnd" => info.congestion_window.into(),
            "ssthresh" => info.threshold.into(),
            "send_window" => info.send_window.into(),
            "receive_window" => info.receive_window.into(),
            "in_flight" => info.in_flight.into(),
            "unsent" => u64::from(info.unsent),
            "readable" => info.readable as u64,
            "retransmits" => info.retransmits,
            "sack" => info.sack.into(),
            "ecn" => info.ecn.into(),
            "timestamps" => info.timestamps.into(),
            _ => return Err(format!("no field is `{field}`")),
        };
        let value = |text: &str, or: u64| -> Result<u64, String> {
            match text.parse() {
                Ok(value) => Ok(value),
                Err(_) if text.is_empty() => Ok(or),
                Err(_) => duration(text).map(nanos),
            }
        };
        let (from, to) = match wanted.split_once("..") {
            Some((from, to)) => (value(from, 0)?, value(to, u64::MAX)?),
            None => (value(wanted, 0)?, value(wanted, 0)?),
        };
        if (from..=to).contains(&is) {
            return Ok(());
        }
        Err(format!("info {field}\nexpected  {wanted}\nactual    {is}"))
    }

    /// `icmp WHAT SEQ`: an error about the segment of that number.
    fn icmp(&mut self, words: &[&str]) -> Result<(), String> {
        let what = *words.get(1).ok_or("icmp of what")?;
        let mut words = words[2..].iter().copied();
        let mtu: u16 = if what == "too-big" { number(words.next())? } else { 0 };
        let seq: u32 = number(words.next())?;
        let (peer_port, flow) = (self.peer_port(), self.flow());
        let seq_of_wire = seq.wrapping_add(flow.first.unwrap_or(0));
        let segment = Segment { flags: ACK, seq: seq_of_wire, payload: vec![0; 1400], ..Segment::default() };
        let local_port = flow.local_port;
        // As routers quote: the front of the packet.
        let mut quoted = segment.packet((self.ours, self.theirs), (local_port, peer_port), 1000);
        quoted.truncate(548);
        let packet = match (self.theirs, self.ours) {
            (core::net::IpAddr::V4(theirs), core::net::IpAddr::V4(ours)) => {
                let code = |code| icmpv4::Header::Unreachable { code: Unreachable(code), mtu };
                let header = match what {
                    "net" => code(0),
                    "host" => code(1),
                    "protocol" => code(2),
                    "port" => code(3),
                    "too-big" => code(4),
                    "prohibited" => code(13),
                    "hops" => icmpv4::Header::TimeExceeded { code: 0 },
                    _ => return Err(format!("no ICMP error is `{what}`")),
                };
                frames::icmpv4_packet(theirs, ours, &header, &quoted)
            }
            (core::net::IpAddr::V6(theirs), core::net::IpAddr::V6(ours)) => {
                let code = |code| icmpv6::Header::Unreachable { code: icmpv6::Unreachable(code) };
                let header = match what {
                    "net" => code(0),
                    "host" => code(3),
                    "port" => code(4),
                    "prohibited" => code(1),
                    "too-big" => icmpv6::Header::PacketTooBig { mtu: mtu.into() },
                    "hops" => icmpv6::Header::TimeExceeded { code: 0 },
                    _ => return Err(format!("no ICMP error is `{what}`")),
                };
                frames::icmpv6_packet(theirs, ours, &header, &quoted)
            }
            _ => return Err("two families".into()),
        };
        self.transcript.push(format!("{} < icmp {what} about {seq}", self.shown(self.now)));
        let frame = frames::ip_frame(mac(1), mac(2), &packet);
        self.give(&frame)
    }

    /// `established [active] [rtt T] [OPTION..]`: a handshake that is not looked at, with the peer's options.
    fn establish(&mut self, words: &[&str]) -> Result<(), String> {
        let (mut active, mut rtt, mut ecn) = (false, Duration::from_millis(10), false);
        let (mut options, mut window) = (vec![Opt::Mss(1460)], None);
        let mut words = words.iter().copied();
        while let Some(word) = words.next() {
            match word {
                "active" => active = true,
                "rtt" => rtt = duration(words.next().unwrap_or_default())?,
                "ecn" => ecn = true,
                "mss" => options[0] = Opt::Mss(number(words.next())?),
                "sack" => options.push(Opt::SackOk),
                "wscale" => options.push(Opt::Scale(number(words.next())?)),
                "ts" => options.push(Opt::Clock(None, None)),
                "win" => {
                    let value: u32 = number(words.next())?;
                    window = Some((value, value));
                }
                _ => return Err(format!("established: what is `{word}`?")),
            }
        }
        let clocks = || options.iter().filter(|option| matches!(option, Opt::Clock(..))).cloned().collect();
        // A SYN's window is not scaled (RFC 7323 section 2.2).
        let unscaled = window.map(|(window, to)| (window.min(65_535), to.min(65_535)));
        let segment = |flags: u8, seq: u32, ack: Option<u32>, options: Vec<Opt>| Segment {
            flags,
            seq,
            ack,
            window: if flags & SYN == 0 { window } else { unscaled },
            options: Some(options),
            times: 1,
            ..Segment::default()
        };
        let ask = if ecn { tcp::Flags::ECE.0 | tcp::Flags::CWR.0 } else { 0 };
        if active {
            self.connect(None)?;
            self.settle()?;
            self.expect_syn(SYN)?;
            self.run_until(self.now + rtt)?;
            let answer = if ecn { tcp::Flags::ECE.0 } else { 0 };
            let frame = self.frame_of(&segment(SYN | ACK | answer, 0, Some(1), options.clone()));
            self.give(&frame)?;
            let ack = self.output.pop_front().ok_or("the handshake's ACK is missing")?.2;
            if ack.flags & !64 & !128 != ACK || (ack.seq, ack.len, ack.ack) != (1, 0, Some(1)) {
                return Err(format!("the handshake's ACK is {ack}"));
            }
            let id = self.socket()?;
            expect("connected", self.stack.stream_connected(id), None)?;
        } else {
            if self.listener.is_none() {
                self.listen(16)?;
            }
            let frame = self.frame_of(&segment(SYN | ask, 0, None, options.clone()));
            self.give(&frame)?;
            self.expect_syn(SYN | ACK)?;
            self.run_until(self.now + rtt)?;
            let frame = self.frame_of(&segment(ACK, 1, Some(1), clocks()));
            self.give(&frame)?;
            self.output.clear();
            self.accept(None)?;
        }
        Ok(())
    }

    fn expect_syn(&mut self, flags: u8) -> Result<(), String> {
        let (.., syn) = self.output.pop_front().ok_or("nothing was sent for the handshake")?;
        if syn.flags & (SYN | ACK | FIN | 4) != flags || syn.seq != 0 {
            return Err(format!("the handshake begins with {syn}"));
        }
        Ok(())
    }
}
