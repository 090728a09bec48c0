// SPDX-License-Identifier: MIT OR Apache-2.0
//! A client on Margay's own API: many connections of one LibOs, and bytes that are sent exactly as they are given.

use crate::programs::stage::Stage;
use crate::tools::noise;
use margay::{Config, Domain, Errno, Error, Kind, LibOs, Outcome, Qd, Qt, TcpInfo};
use std::net::SocketAddr;
use std::time::Duration;

/// The limit of each wait; far beyond what any takes.
const LIMIT: Option<Duration> = Some(Duration::from_secs(30));

/// How often, and after what pauses, one that is being started is tried.
const TRIES: u32 = 400;
const PAUSE: Duration = Duration::from_millis(50);

pub struct Client {
    pub libos: LibOs,
    to: SocketAddr,
}

/// A connection, and what has come over it and was not asked for yet.
pub struct Link {
    pub qd: Qd,
    come: Vec<u8>,
    popping: Option<Qt>,
}

impl Client {
    /// A client of a server of this stage: on the same back end, or of the kernel if the server is a host of its own.
    pub fn new(stage: &Stage, place: &str) -> Self {
        Self::with(&stage.client_config(), place)
    }

    /// A client on the stage's own back end, of whoever is at this place.
    pub fn on_stage(stage: &Stage, place: &str) -> Self {
        Self::with(&stage.own_config(), place)
    }

    fn with(config: &Config, place: &str) -> Self {
        Self { libos: LibOs::new(config).unwrap(), to: place.parse().unwrap() }
    }

    #[track_caller]
    pub fn connect(&mut self) -> Link {
        self.try_to_connect().unwrap()
    }

    /// A connection to a server that may have only just been started.
    #[track_caller]
    pub fn reach(&mut self) -> Link {
        for _ in 0..TRIES {
            match self.try_to_connect() {
                Ok(link) => return link,
                Err(error) => assert_eq!(error.errno(), Errno::CONNREFUSED),
            }
            self.rest_for(PAUSE);
        }
        panic!("nobody is at {}", self.to);
    }

    fn try_to_connect(&mut self) -> Result<Link, Error> {
        let qd = self.libos.socket(Domain::of(&self.to), Kind::Stream).unwrap();
        let connecting = self.libos.connect(qd, self.to).unwrap();
        let link = Link { qd, come: Vec::new(), popping: None };
        match self.libos.wait(connecting, LIMIT).unwrap().outcome {
            Outcome::Failed(error) => {
                self.close(link);
                Err(error)
            }
            _ => Ok(link),
        }
    }

    /// Pushes bytes and waits until they are taken.
    #[track_caller]
    pub fn send(&mut self, link: &Link, bytes: &[u8]) {
        let pushed = self.libos.push(link.qd, bytes).unwrap();
        self.libos.wait(pushed, LIMIT).unwrap().ok().unwrap();
    }

    /// Pops what comes within the limit. False: nothing did, or the connection has ended.
    #[track_caller]
    pub fn receive(&mut self, link: &mut Link, limit: Option<Duration>) -> bool {
        let popping = link.popping.take().unwrap_or_else(|| self.libos.pop(link.qd, None).unwrap());
        match self.libos.wait(popping, limit) {
            Ok(completion) => match completion.outcome {
                Outcome::Pop(message) => {
                    link.come.extend_from_slice(&message.to_vec());
                    !message.is_empty()
                }
                // A server that gives a connection up may do so with a reset.
                Outcome::Failed(error) if matches!(error.errno(), Errno::CONNRESET | Errno::PIPE) => false,
                other => panic!("{other:?}"),
            },
            Err(error) if error.errno() == Errno::TIMEDOUT => {
                link.popping = Some(popping);
                false
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// How a connection fares.
    #[track_caller]
    pub fn info(&mut self, link: &Link) -> TcpInfo {
        self.libos.tcp_info(link.qd).unwrap()
    }

    /// Everything up to the end of the connection.
    #[track_caller]
    pub fn rest(&mut self, link: &mut Link) -> Vec<u8> {
        while self.receive(link, LIMIT) {}
        assert!(link.popping.is_none(), "the connection does not end; {} bytes came", link.come.len());
        std::mem::take(&mut link.come)
    }

    /// The next bytes.
    #[track_caller]
    pub fn take(&mut self, link: &mut Link, len: usize) -> Vec<u8> {
        while link.come.len() < len {
            assert!(self.receive(link, LIMIT), "{} of {len} bytes came", link.come.len());
        }
        link.come.drain(..len).collect()
    }

    /// The next line, without its end.
    #[track_caller]
    pub fn line(&mut self, link: &mut Link) -> String {
        loop {
            if let Some(end) = link.come.windows(2).position(|pair| pair == b"\r\n") {
                let line = self.take(link, end + 2);
                return String::from_utf8(line[..end].to_vec()).unwrap();
            }
            assert!(self.receive(link, LIMIT), "no line came: {:?}", String::from_utf8_lossy(&link.come));
        }
    }

    /// Values of all sizes and a pipeline, with a server that speaks as Redis does. Leaves 1 MiB under `k`.
    #[track_caller]
    pub fn keep_values(&mut self, link: &mut Link) {
        for len in [0, 1, 1000, 65_536, 1 << 20] {
            let value = noise(len);
            let head = format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${len}\r\n");
            self.send(link, &[head.as_bytes(), &value, b"\r\nGET k\r\n"].concat());
            assert_eq!(self.line(link), "+OK");
            assert_eq!(self.line(link), format!("${len}"));
            assert!(self.take(link, len) == value && self.line(link).is_empty(), "{len} bytes");
        }
        // A pipeline is answered in its order.
        self.send(link, "INCR n\r\n".repeat(5000).as_bytes());
        for number in 1..=5000 {
            assert_eq!(self.line(link), format!(":{number}"));
        }
    }

    /// The next reply of HTTP: its status and its body.
    #[track_caller]
    pub fn reply(&mut self, link: &mut Link) -> (u16, Vec<u8>) {
        let status = self.line(link);
        let code = status.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok()).expect("a status");
        let mut length = 0;
        loop {
            let line = self.line(link);
            if line.is_empty() {
                return (code, self.take(link, length));
            }
            if let Some(value) = line.strip_prefix("Content-Length: ") {
                length = value.parse().unwrap();
            }
        }
    }

    #[track_caller]
    pub fn close(&mut self, mut link: Link) {
        let closing = self.libos.close(link.qd).unwrap();
        self.libos.wait(closing, LIMIT).unwrap().ok().unwrap();
        if let Some(popping) = link.popping.take() {
            // The close has ended it.
            self.libos.wait(popping, LIMIT).unwrap();
        }
    }

    /// Lets the LibOs work for a while.
    pub fn rest_for(&mut self, time: Duration) {
        let step = Duration::from_millis(5);
        for _ in 0..time.as_millis() / step.as_millis() {
            self.libos.poll();
            std::thread::sleep(step);
        }
    }
}
