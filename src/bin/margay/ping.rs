// SPDX-License-Identifier: MIT OR Apache-2.0
//! `margay ping`: asks a host whether it is there, through a network stack of our own on any of its devices.
//!
//! Echo requests of RFC 792 and RFC 4443. No kernel answers for us, and none asks: what is measured is the way through the stack, the device,
//! and whoever is at the other end.

use crate::cli::PingOptions;
use crate::{table, units};
use anyhow::{Context, Result, bail};
use catnip::Nic;
use core::net::IpAddr;
use margay::Config;
use runtime::buf::{Classes, Pools, Sga};
use runtime::reactor::{Events, Interest, Reactor};
use runtime::socket::Domain;
use runtime::time::Time;
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

/// Asks, tells each answer, and the times at the end. Fails if there was none.
pub fn run(options: &PingOptions) -> Result<ExitCode> {
    let config = configured(options)?;
    let buffers = config.buffers;
    let classes = Classes {
        small_size: buffers.small_size as u32,
        small_count: buffers.small_count as u32,
        large_size: buffers.large_size as u32,
        large_count: buffers.large_count as u32,
        headroom: buffers.headroom as u32,
        oversize_limit: buffers.oversize_limit,
        views: 4 * buffers.small_count as u32,
    };
    let pools = Pools::new(&classes)?;
    let reactor = Reactor::new()?;
    reactor.refresh_clock();
    let nic = Nic::open(&config.network(), &pools, reactor.now())
        .with_context(|| format!("the device {} cannot be opened", config.network_device().name()))?;
    if let Some(descriptor) = nic.descriptor() {
        reactor.watch(descriptor, Interest::READABLE, 0)?;
    }
    let mut pinger = Pinger { nic, reactor, pools, options, waiting: BTreeMap::new(), times: Vec::new(), sent: 0 };
    println!("{} bytes to {} over {}", options.size, options.to, pinger.nic.name());
    pinger.ask()?;
    println!("\n{}", pinger.told());
    Ok(if pinger.times.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The configuration of the file, or of the environment, with what the command line says in its place.
fn configured(options: &PingOptions) -> Result<Config> {
    let mut config = match &options.config {
        Some(file) => Config::from_file(file)?,
        None => Config::from_env()?,
    };
    let catnip = &mut config.catnip;
    let wire = options
        .device
        .map(Into::into)
        .or((config.libos.as_deref() == Some("catpowder")).then_some(margay::config::catnip::Wire::Packet));
    catnip.device = wire.unwrap_or(catnip.device);
    catnip.interface = options.interface.clone().or(catnip.interface.take());
    catnip.path = options.path.clone().or(catnip.path.take());
    catnip.peer = options.peer.clone().or(catnip.peer.take());
    catnip.pcap = options.pcap.clone().or(catnip.pcap.take());
    if !options.address.is_empty() {
        catnip.addresses.clone_from(&options.address);
    }
    if let Some(gateway) = options.gateway {
        let route = format!("default via {gateway}");
        let given = Config::from_yaml("--gateway", &format!("catnip: {{ routes: [\"{route}\"] }}"))?;
        catnip.routes.extend(given.catnip.routes);
    }
    config.libos = Some("catnip".to_owned());
    config.check()?;
    let one = |address: IpAddr| address.is_ipv4() == options.to.is_ipv4();
    let catnip = &config.catnip;
    if !catnip.addresses.iter().any(|prefix| one(prefix.address())) && !catnip.dhcp && !catnip.slaac {
        bail!("there is no address of the family of {}: name one, such as --address 10.0.0.1/24", options.to);
    }
    Ok(config)
}

struct Pinger<'a> {
    nic: Nic,
    reactor: Rc<Reactor>,
    pools: Pools,
    options: &'a PingOptions,
    /// When requests were sent that are not answered.
    waiting: BTreeMap<u16, Time>,
    /// What the others took.
    times: Vec<Duration>,
    sent: u16,
}

impl Pinger<'_> {
    fn ask(&mut self) -> Result<()> {
        let domain = if self.options.to.is_ipv4() { Domain::V4 } else { Domain::V6 };
        let socket = self.nic.stack.echo_socket(domain)?;
        let mut events = Events::new();
        let mut next = self.reactor.now();
        let mut end = next + self.options.timeout;
        loop {
            self.reactor.refresh_clock();
            let now = self.reactor.now();
            let more = self.nic.turn(now);
            if let Some(error) = self.nic.failed() {
                bail!("the device does not work any more: {error}");
            }
            if self.sent < self.options.count && now >= next {
                self.send(socket, now)?;
                next = now + self.options.interval;
                end = now + self.options.timeout;
            }
            self.hear(socket, now);
            let done = self.sent == self.options.count && (self.waiting.is_empty() || now >= end);
            if done {
                return Ok(());
            }
            let at = if self.sent < self.options.count { next } else { end };
            let at = self.nic.next_deadline().map_or(at, |deadline| deadline.min(at));
            let timeout = if more || self.nic.has_news() { Duration::ZERO } else { at.saturating_since(now) };
            self.reactor.collect(Some(timeout), &mut events)?;
            if events.iter().any(|event| event.hangup) {
                self.nic.woken();
            }
        }
    }

    fn send(&mut self, socket: catnip::SocketId, now: Time) -> Result<()> {
        let fill = |bytes: &mut [u8]| bytes.iter_mut().enumerate().for_each(|(at, byte)| *byte = at as u8);
        let mut payload = match self.options.size {
            0 => Sga::new(),
            size => Sga::from(self.pools.alloc_filled(size.into(), fill)?),
        };
        let sequence = self.sent;
        match self.nic.stack.echo_send(socket, self.options.to, sequence, &mut payload, now) {
            Poll::Ready(Ok(())) => {
                self.waiting.insert(sequence, now);
            }
            Poll::Ready(Err(error)) => println!("request {sequence}: {error}"),
            Poll::Pending => println!("request {sequence}: the device has no room"),
        }
        self.sent += 1;
        self.nic.flush(now);
        Ok(())
    }

    fn hear(&mut self, socket: catnip::SocketId, now: Time) {
        while let Poll::Ready(heard) = self.nic.stack.echo_receive(socket) {
            match heard {
                Ok(reply) => {
                    let Some(sent) = self.waiting.remove(&reply.sequence) else {
                        println!("request {}: a second answer", reply.sequence);
                        continue;
                    };
                    let time = now - sent;
                    self.times.push(time);
                    println!(
                        "{} bytes from {}: request {}, {} hops left, {}",
                        reply.payload.len(),
                        reply.from,
                        reply.sequence,
                        reply.hops,
                        units::time(time.as_secs_f64() * 1e9)
                    );
                }
                Err(error) => println!("{}: {error}", self.options.to),
            }
        }
    }

    /// The table at the end.
    fn told(&mut self) -> String {
        self.times.sort_unstable();
        let answered = self.times.len();
        let lost = usize::from(self.sent) - answered;
        let head = format!("{} sent, {answered} answered, {lost} lost", self.sent);
        let last = answered.saturating_sub(1);
        let at = |percent: usize| self.times.get(last * percent / 100).map(|time| time.as_secs_f64() * 1e9);
        let (Some(min), Some(median), Some(p99), Some(max)) = (at(0), at(50), at(99), at(100)) else { return head };
        let mean = self.times.iter().sum::<Duration>().as_secs_f64() * 1e9 / answered as f64;
        let mut table = table::new(&["", "min", "p50", "mean", "p99", "max"], 1);
        let figures = [min, median, mean, p99, max].map(units::time);
        table.add_row(core::iter::once("round trip".to_owned()).chain(figures));
        format!("{head}\n{}", table.trim_fmt())
    }
}
