// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs a script, and says where the stack does something else.

use crate::script::{Event, Line, Script, When, duration};
use crate::segment::Segment;
use crate::world::World;
use core::time::Duration;
use network::tcp::settings::{Algorithm, Completion, Settings};
use runtime::time::Time;
use std::fmt::Write as _;

/// How far a segment may be from its time, if that is not now: timers are coarse.
const TOLERANCE: Duration = Duration::from_millis(2);

/// What `set` lines say.
struct Setup {
    tcp: Settings,
    v6: bool,
    mtu: u16,
    peer_first: u32,
}

fn setup(settings: &[Vec<String>]) -> Result<Setup, String> {
    let mut setup = Setup { tcp: Settings::default(), v6: false, mtu: 1500, peer_first: 0x1234_5678 };
    // The device's own ECN would stand in each SYN; scripts ask for it.
    setup.tcp.ecn = false;
    for words in settings {
        let [name, value] = &words[..] else { return Err(format!("set {}: a name and a value", words.join(" "))) };
        let wrong = || format!("set {name}: {value} cannot be");
        let flag = || match value.as_str() {
            "on" => Ok(true),
            "off" => Ok(false),
            _ => Err(wrong()),
        };
        let tcp = &mut setup.tcp;
        match name.as_str() {
            "family" => setup.v6 = value == "v6",
            "mtu" => setup.mtu = value.parse().map_err(|_| wrong())?,
            "peer-first" => setup.peer_first = value.parse().map_err(|_| wrong())?,
            "profile" if value == "datacenter" => *tcp = Settings::datacenter(),
            "algorithm" => {
                tcp.algorithm = match value.as_str() {
                    "cubic" => Algorithm::Cubic,
                    "newreno" => Algorithm::NewReno,
                    "dctcp" => Algorithm::Dctcp,
                    "bbr" => Algorithm::Bbr,
                    _ => return Err(wrong()),
                }
            }
            "completion" => {
                tcp.completion = match value.as_str() {
                    "queued" => Completion::Queued,
                    "sent" => Completion::Sent,
                    "acked" => Completion::Acked,
                    _ => return Err(wrong()),
                }
            }
            "sack" => tcp.sack = flag()?,
            "timestamps" => tcp.timestamps = flag()?,
            "window_scaling" => tcp.window_scaling = flag()?,
            "ecn" => tcp.ecn = flag()?,
            "rack" => tcp.rack = flag()?,
            "no_delay" => tcp.no_delay = flag()?,
            "cookies" => tcp.cookies = flag()?,
            "fast_open" => tcp.fast_open = flag()?,
            "rto_min" => tcp.rto_min = duration(value)?,
            "rto_max" => tcp.rto_max = duration(value)?,
            "rto_initial" => tcp.rto_initial = duration(value)?,
            "ack_delay" => tcp.ack_delay = duration(value)?,
            "time_wait" => tcp.time_wait = duration(value)?,
            "fin_wait" => tcp.fin_wait = duration(value)?,
            "user_timeout" => tcp.user_timeout = Some(duration(value)?),
            "syn_retries" => tcp.syn_retries = value.parse().map_err(|_| wrong())?,
            "syn_ack_retries" => tcp.syn_ack_retries = value.parse().map_err(|_| wrong())?,
            "retries" => tcp.retries = value.parse().map_err(|_| wrong())?,
            "receive_buffer" => {
                tcp.receive_buffer = value.parse().map_err(|_| wrong())?;
                tcp.receive_buffer_max = tcp.receive_buffer_max.max(tcp.receive_buffer);
            }
            "receive_buffer_max" => {
                tcp.receive_buffer_max = value.parse().map_err(|_| wrong())?;
                tcp.receive_buffer = tcp.receive_buffer.min(tcp.receive_buffer_max);
            }
            "send_buffer" => tcp.send_buffer = value.parse().map_err(|_| wrong())?,
            _ => return Err(format!("nothing that can be set is called {name}")),
        }
    }
    Ok(setup)
}

/// Runs a script.
pub fn run(script: &Script) -> Result<(), String> {
    let Setup { tcp, v6, mtu, peer_first } = setup(&script.settings)?;
    let mut world = World::new(tcp, v6, mtu, peer_first);
    let mut last = world.now;
    for line in &script.lines {
        if let Err(what) = step(&mut world, line, &mut last) {
            return Err(failure(&world, line, &what));
        }
    }
    if let Some((at, _, segment)) = world.output.front() {
        let line = script.lines.last().ok_or("an empty script")?;
        let what = format!("expected  nothing more\nactual    {} > {segment}", world.shown(*at));
        return Err(failure(&world, line, &what));
    }
    Ok(())
}

/// What has happened, and where it ends.
fn failure(world: &World, line: &Line, what: &str) -> String {
    let mut text = String::new();
    for line in &world.transcript {
        let _ = writeln!(text, "          {line}");
    }
    let _ = write!(text, "line {}: {}\n{what}", line.number, line.text);
    text
}

fn step(world: &mut World, line: &Line, last: &mut Time) -> Result<(), String> {
    match &line.event {
        Event::Send(wanted) => {
            let mut when = line.when;
            for wanted in wanted.pieces() {
                send(world, &wanted, when, last)?;
                // What is cut leaves at one time, or as it was paced.
                when = if let When::Between(_, to) = when {
                    When::Between(Duration::ZERO, to)
                } else {
                    When::At(Duration::ZERO)
                };
            }
            Ok(())
        }
        Event::Receive(segment) => {
            arrive(world, line.when, last)?;
            for segment in segment.pieces() {
                let frame = world.frame_of(&segment);
                world.give(&frame)?;
            }
            Ok(())
        }
        Event::Call(words) => {
            let skips = matches!(words[0].as_str(), "skip" | "count");
            if !skips {
                arrive(world, line.when, last)?;
            } else if let When::At(after) = line.when {
                world.run_until(*last + after)?;
                *last = world.now;
            }
            let shown = world.shown(world.now);
            world.transcript.push(format!("{shown}   {}", line.text.trim_start_matches(['+', '.']).trim()));
            let result = world.call(words);
            *last = world.now;
            result
        }
    }
}

/// Runs to the time of what the script does; until then the stack must not do anything.
fn arrive(world: &mut World, when: When, last: &mut Time) -> Result<(), String> {
    let When::At(after) = when else { return Err("the script has no time of its own here".into()) };
    if world.output.is_empty() {
        world.run_until(*last + after)?;
    }
    if let Some((at, flow, segment)) = world.output.front() {
        return Err(format!("expected  nothing\nactual    {} > {segment} (flow {flow})", world.shown(*at)));
    }
    *last = world.now;
    Ok(())
}

/// Waits for what the stack must send.
fn send(world: &mut World, wanted: &Segment, when: When, last: &mut Time) -> Result<(), String> {
    let (from, to) = match when {
        When::At(Duration::ZERO) => (*last, *last),
        When::At(after) => (*last + after - TOLERANCE, *last + after + TOLERANCE),
        When::Between(from, to) => (*last + from, *last + to + TOLERANCE),
    };
    world.run_until_output(to)?;
    let expected = format!(
        "expected  {} > {wanted}",
        if from == to {
            world.shown(from)
        } else {
            format!("{}..{}", world.shown(from).trim(), world.shown(to).trim())
        }
    );
    let Some((at, flow, actual)) = world.output.pop_front() else {
        return Err(format!("{expected}\nactual    nothing"));
    };
    let here = world.flow;
    if flow != here || !wanted.matches(&actual) || at < from || at > to {
        let at = world.shown(at);
        return Err(format!(
            "{expected}\nactual    {at} > {actual}{}",
            if flow == here { String::new() } else { format!(" (flow {flow}, not {here})") }
        ));
    }
    *last = at;
    Ok(())
}
