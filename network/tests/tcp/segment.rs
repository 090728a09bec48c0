// SPDX-License-Identifier: MIT OR Apache-2.0
//! Segments as scripts write them: read, made into packets, read from packets, shown and compared. See the grammar in `main.rs`.
//!
//! Options are read and written here by hand, so that the stack's own code is not its judge.

use core::fmt;
use core::net::IpAddr;
use network::sim::frames::{v4_header, v4_packet};
use network::wire::checksum::{pseudo_header, sum};
use network::wire::{Ecn, Protocol, ipv4, ipv6, tcp};

/// The sender's port and the receiver's.
type Ports = (u16, u16);

/// One TCP option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opt {
    Mss(u16),
    SackOk,
    Scale(u8),
    /// Its value and its echo; `None`: any.
    Clock(Option<Value>, Option<Value>),
    Sack(Vec<(u32, u32)>),
    /// A cookie of Fast Open, empty to ask for one; `None`: the last that came from the stack, or any that comes from it.
    FastOpen(Option<Vec<u8>>),
    Nop,
    End,
    /// Others by their bytes, kind and length included.
    Raw(Vec<u8>),
}

/// A number in a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    Is(u32),
    /// The last that came from the stack.
    Last,
}

/// A segment: in scripts its numbers count from both ends' first, in packets they are those of the wire.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    pub flags: u8,
    pub seq: u32,
    pub len: u32,
    pub ack: Option<u32>,
    /// From and to, in bytes.
    pub window: Option<(u32, u32)>,
    pub urgent: u16,
    pub ecn: Option<u8>,
    pub options: Option<Vec<Opt>>,
    /// Whether other options may be there.
    pub others: bool,
    /// Into how many it is cut.
    pub times: u32,
    pub bad_checksum: bool,
    pub payload: Vec<u8>,
}

pub const FIN: u8 = 1;
pub const SYN: u8 = 2;
pub const RST: u8 = 4;
pub const PSH: u8 = 8;
pub const ACK: u8 = 16;
const LETTERS: [(char, u8); 8] =
    [('S', SYN), ('F', FIN), ('R', RST), ('P', PSH), ('E', 64), ('W', 128), ('U', 32), ('.', ACK)];
const ECN: [&str; 4] = ["[noecn]", "[ect1]", "[ect0]", "[ce]"];

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("`{text}` is no number that can stand here"))
}

impl Segment {
    /// Reads what stands behind `<` or `>`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (text, options) = match text.split_once('<') {
            Some((front, rest)) => {
                let (options, behind) = rest.split_once('>').ok_or("the options do not end")?;
                (format!("{front} {behind}"), Some(options.to_string()))
            }
            None => (text.to_string(), None),
        };
        let mut words = text.split_whitespace();
        let mut segment = Self { times: 1, ..Self::default() };
        for letter in words.next().ok_or("no flags")?.chars().filter(|letter| *letter != '-') {
            let (_, bit) =
                LETTERS.iter().find(|(known, _)| *known == letter).ok_or(format!("no flag is `{letter}`"))?;
            segment.flags |= bit;
        }
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} of what"));
            if let Some((from, to)) = word.split_once(':') {
                (segment.seq, segment.len) = (number(from)?, 0);
                segment.len = number::<u32>(to)?.wrapping_sub(segment.seq);
            } else if let Some(code) = ECN.iter().position(|name| *name == word) {
                segment.ecn = Some(code as u8);
            } else if let Some(times) = word.strip_prefix('x') {
                segment.times = number(times)?;
            } else {
                match word {
                    "ack" => segment.ack = Some(number(value()?)?),
                    "urg" => segment.urgent = number(value()?)?,
                    "win" => segment.window = Some(range(value()?)?),
                    "badsum" => segment.bad_checksum = true,
                    _ => return Err(format!("`{word}` is nothing that a segment has")),
                }
            }
        }
        if let Some(options) = options {
            let mut list = vec![];
            for option in options.split(',').map(str::trim).filter(|option| !option.is_empty()) {
                if option == "..." {
                    segment.others = true;
                } else {
                    list.push(Opt::parse(option)?);
                }
            }
            segment.options = Some(list);
        }
        Ok(segment)
    }

    /// The pieces that it stands for.
    pub fn pieces(&self) -> Vec<Self> {
        let each = self.len / self.times.max(1);
        let piece = |index: u32| {
            let seq = self.seq.wrapping_add(index * each);
            Self {
                seq,
                len: if index + 1 == self.times { self.len - index * each } else { each },
                times: 1,
                ..self.clone()
            }
        };
        (0..self.times).map(piece).collect()
    }

    /// The packet that carries it, its numbers those of the wire.
    pub fn packet(&self, (source, destination): (IpAddr, IpAddr), ports: (u16, u16), window: u16) -> Vec<u8> {
        let mut bytes = vec![0; 20];
        bytes[..2].copy_from_slice(&ports.0.to_be_bytes());
        bytes[2..4].copy_from_slice(&ports.1.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.seq.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.ack.unwrap_or(0).to_be_bytes());
        bytes[13] = self.flags;
        bytes[14..16].copy_from_slice(&window.to_be_bytes());
        bytes[18..20].copy_from_slice(&self.urgent.to_be_bytes());
        self.options.iter().flatten().for_each(|option| option.emit(&mut bytes));
        while !bytes.len().is_multiple_of(4) {
            bytes.push(0);
        }
        bytes[12] = (bytes.len() / 4 * 16) as u8;
        bytes.extend_from_slice(&self.payload);
        let mut check = pseudo_header(source, destination, Protocol::TCP.0, bytes.len() as u32);
        check.add_sum(sum(&bytes));
        let check = check.finish() ^ u16::from(self.bad_checksum);
        bytes[16..18].copy_from_slice(&check.to_be_bytes());
        let ecn = match self.ecn {
            Some(1) => Ecn::Capable1,
            Some(2) => Ecn::Capable0,
            Some(3) => Ecn::Congestion,
            _ => Ecn::NotCapable,
        };
        match (source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let header =
                    ipv4::Header { ecn, dont_fragment: true, ..v4_header(source, destination, 64, Protocol::TCP) };
                v4_packet(&header, &bytes)
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let payload_len = bytes.len() as u16;
                let header = ipv6::Header {
                    dscp: 0,
                    ecn,
                    flow_label: 0,
                    payload_len,
                    next_header: Protocol::TCP,
                    hop_limit: 64,
                    source,
                    destination,
                };
                let mut packet = vec![0; header.len()];
                header.emit(&mut packet);
                packet.extend_from_slice(&bytes);
                packet
            }
            _ => panic!("addresses of two families"),
        }
    }

    /// Reads a packet of the wire: the segment, and its ports. `None`: it is not TCP.
    pub fn of_packet(packet: &[u8]) -> Result<Option<(Self, Ports)>, String> {
        let wrong = |what| format!("the stack sent {what}");
        let (bytes, ecn, mut check) = if packet.first().is_some_and(|byte| byte >> 4 == 4) {
            let view = ipv4::View::new(packet).map_err(|_| wrong("a malformed packet"))?;
            if view.protocol() != Protocol::TCP {
                return Ok(None);
            }
            // The path MTU is found out by this bit (RFC 1191 section 3).
            if !view.dont_fragment() || !view.checksum_is_right() {
                return Err(wrong("a packet that may be fragmented, or of a wrong sum"));
            }
            (view.payload(), view.ecn(), view.pseudo_header(view.payload().len() as u32))
        } else {
            let view = ipv6::View::new(packet).map_err(|_| wrong("a malformed packet"))?;
            if view.next_header() != Protocol::TCP {
                return Ok(None);
            }
            (view.payload(), view.ecn(), view.pseudo_header(Protocol::TCP, view.payload().len() as u32))
        };
        check.add_sum(sum(bytes));
        if !check.is_right() {
            return Err(wrong("a wrong checksum"));
        }
        let view = tcp::View::new(bytes).map_err(|_| wrong("a malformed segment"))?;
        let payload = view.payload().to_vec();
        let segment = Self {
            flags: view.flags().0,
            seq: view.sequence(),
            len: payload.len() as u32,
            ack: view.flags().contains(tcp::Flags::ACK).then(|| view.acknowledgment()),
            window: Some((view.window().into(), view.window().into())),
            urgent: view.urgent(),
            ecn: Some(ecn as u8),
            options: Some(Opt::read(view.options()).ok_or_else(|| wrong("malformed options"))?),
            others: false,
            times: 1,
            bad_checksum: false,
            payload,
        };
        Ok(Some((segment, (view.source(), view.destination()))))
    }

    pub const fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Whether an actual segment is what this one, of a script, asks for.
    pub fn matches(&self, actual: &Self) -> bool {
        // PSH is looked at where it is asked for.
        let seen = if self.has(PSH) { 0xff } else { !PSH };
        let options = self.options.as_ref().is_none_or(|wanted| {
            let there = actual.options.as_deref().unwrap_or_default();
            wanted.iter().all(|option| there.iter().any(|actual| option.matches(actual)))
                && (self.others || there.iter().all(|actual| wanted.iter().any(|option| option.matches(actual))))
        });
        let sack =
            self.options.is_some() || !actual.options.iter().flatten().any(|option| matches!(option, Opt::Sack(_)));
        self.flags & seen == actual.flags & seen
            && (self.seq, self.len) == (actual.seq, actual.len)
            && self.ack.is_none_or(|ack| actual.ack == Some(ack))
            && self.window.is_none_or(|(from, to)| actual.window.is_some_and(|(is, _)| (from..=to).contains(&is)))
            && self.ecn.is_none_or(|ecn| actual.ecn == Some(ecn))
            && options
            && sack
    }
}

/// Bytes, each as two hexadecimal digits.
fn octets<'a>(words: impl Iterator<Item = &'a str>) -> Result<Vec<u8>, String> {
    words.map(|byte| u8::from_str_radix(byte, 16).map_err(|_| format!("`{byte}` is no byte"))).collect()
}

/// `5`, `5..`, `..7`, `5..7`.
pub fn range(text: &str) -> Result<(u32, u32), String> {
    let end = |text: &str, or| if text.is_empty() { Ok(or) } else { number(text) };
    match text.split_once("..") {
        Some((from, to)) => Ok((end(from, 0)?, end(to, u32::MAX)?)),
        None => number(text).map(|value| (value, value)),
    }
}

impl Opt {
    fn parse(text: &str) -> Result<Self, String> {
        let mut words = text.split_whitespace();
        let name = words.next().unwrap_or_default();
        let mut rest = words.clone();
        let value = |word: Option<&str>| match word {
            None | Some("*") => Ok(None),
            Some("last") => Ok(Some(Value::Last)),
            Some(word) => number(word).map(|is| Some(Value::Is(is))),
        };
        Ok(match name {
            "mss" => Self::Mss(number(rest.next().unwrap_or_default())?),
            "sackOK" => Self::SackOk,
            "wscale" => Self::Scale(number(rest.next().unwrap_or_default())?),
            "nop" => Self::Nop,
            "eol" => Self::End,
            "ts" => match rest.collect::<Vec<_>>()[..] {
                [] => Self::Clock(None, None),
                [is, "ecr", echo] => Self::Clock(value(Some(is))?, value(Some(echo))?),
                _ => return Err(format!("`{text}` is not `ts N ecr N`")),
            },
            "sack" => {
                let mut blocks = vec![];
                for word in rest {
                    let (from, to) = word.split_once(':').ok_or("a block is FROM:TO")?;
                    blocks.push((number(from)?, number(to)?));
                }
                Self::Sack(blocks)
            }
            "tfo" if matches!(words.next(), Some("*" | "last")) => Self::FastOpen(None),
            "tfo" => Self::FastOpen(Some(octets(rest)?)),
            "raw" => Self::Raw(octets(rest)?),
            _ => return Err(format!("no option is `{name}`")),
        })
    }

    fn emit(&self, out: &mut Vec<u8>) {
        match self {
            Self::Mss(mss) => out.extend([&[2, 4][..], &mss.to_be_bytes()].concat()),
            Self::SackOk => out.extend([4, 2]),
            Self::Scale(shift) => out.extend([3, 3, *shift]),
            Self::Clock(value, echo) => {
                let number = |value: &Option<Value>| match value {
                    Some(Value::Is(value)) => value.to_be_bytes(),
                    _ => [0; 4],
                };
                out.extend([&[8, 10][..], &number(value), &number(echo)].concat());
            }
            Self::Sack(blocks) => {
                out.extend([5, 2 + 8 * blocks.len() as u8]);
                for (from, to) in blocks {
                    out.extend([from.to_be_bytes(), to.to_be_bytes()].concat());
                }
            }
            Self::FastOpen(cookie) => {
                let cookie = cookie.as_deref().unwrap_or_default();
                out.extend([&[34, 2 + cookie.len() as u8], cookie].concat());
            }
            Self::Nop => out.push(1),
            Self::End => out.push(0),
            Self::Raw(bytes) => out.extend_from_slice(bytes),
        }
    }

    /// Those of a header; no-operations and the end are left out.
    fn read(mut bytes: &[u8]) -> Option<Vec<Self>> {
        let mut options = vec![];
        while let Some((&kind, rest)) = bytes.split_first() {
            if kind < 2 {
                bytes = if kind == 0 { &[] } else { rest };
                continue;
            }
            let len = usize::from(*rest.first()?);
            let (option, behind) = bytes.split_at_checked(len).filter(|_| len >= 2)?;
            let word = |at: usize| Some(u32::from_be_bytes(option.get(at..at + 4)?.try_into().ok()?));
            options.push(match (kind, len) {
                (2, 4) => Self::Mss(u16::from_be_bytes([option[2], option[3]])),
                (3, 3) => Self::Scale(option[2]),
                (4, 2) => Self::SackOk,
                (5, _) => Self::Sack(
                    (2..len).step_by(8).map(|at| Some((word(at)?, word(at + 4)?))).collect::<Option<Vec<_>>>()?,
                ),
                (8, 10) => Self::Clock(Some(Value::Is(word(2)?)), Some(Value::Is(word(6)?))),
                (34, _) => Self::FastOpen(Some(option[2..].to_vec())),
                _ => Self::Raw(option.to_vec()),
            });
            bytes = behind;
        }
        Some(options)
    }

    fn matches(&self, actual: &Self) -> bool {
        match (self, actual) {
            (Self::Clock(value, echo), Self::Clock(is, is_echo)) => {
                (value.is_none() || value == is) && (echo.is_none() || echo == is_echo)
            }
            (Self::FastOpen(None), Self::FastOpen(Some(cookie))) => !cookie.is_empty(),
            (wanted, actual) => wanted == actual,
        }
    }
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags: String = LETTERS.iter().filter(|(_, bit)| self.has(*bit)).map(|(letter, _)| *letter).collect();
        f.write_str(if flags.is_empty() { "-" } else { &flags })?;
        if let Some(ecn) = self.ecn.filter(|ecn| *ecn != 0) {
            write!(f, " {}", ECN[usize::from(ecn)])?;
        }
        write!(f, " {}:{}", self.seq, self.seq.wrapping_add(self.len))?;
        if let Some(ack) = self.ack {
            write!(f, " ack {ack}")?;
        }
        match self.window {
            Some((from, to)) if from == to => write!(f, " win {from}")?,
            Some((from, u32::MAX)) => write!(f, " win {from}..")?,
            Some((from, to)) => write!(f, " win {from}..{to}")?,
            None => {}
        }
        if let Some(options) = &self.options
            && (!options.is_empty() || self.others)
        {
            let mut shown: Vec<_> = options.iter().map(Opt::to_string).collect();
            if self.others {
                shown.push("...".into());
            }
            write!(f, " <{}>", shown.join(", "))?;
        }
        if self.times > 1 {
            write!(f, " x{}", self.times)?;
        }
        Ok(())
    }
}

impl fmt::Display for Opt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: &Option<Value>| match value {
            None => "*".to_string(),
            Some(Value::Last) => "last".to_string(),
            Some(Value::Is(value)) => value.to_string(),
        };
        match self {
            Self::Mss(mss) => write!(f, "mss {mss}"),
            Self::SackOk => f.write_str("sackOK"),
            Self::Scale(shift) => write!(f, "wscale {shift}"),
            Self::Clock(value, echo) => write!(f, "ts {} ecr {}", shown(value), shown(echo)),
            Self::Sack(blocks) => {
                f.write_str("sack")?;
                blocks.iter().try_for_each(|(from, to)| write!(f, " {from}:{to}"))
            }
            Self::FastOpen(None) => f.write_str("tfo *"),
            Self::FastOpen(Some(cookie)) => {
                f.write_str("tfo")?;
                cookie.iter().try_for_each(|byte| write!(f, " {byte:02x}"))
            }
            Self::Nop => f.write_str("nop"),
            Self::End => f.write_str("eol"),
            Self::Raw(bytes) => write!(f, "raw {bytes:02x?}"),
        }
    }
}
