// SPDX-License-Identifier: MIT OR Apache-2.0
//! The section `catnip.tcp`. Its `profile` is what the other keys change, wherever it stands among them.

use super::{Reader, Value};
use crate::config::error::ConfigError;
use crate::config::parse;
use crate::config::tcp::{self, Settings};
use serde::Deserialize;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tcp {
    profile: Value,
    algorithm: Value,
    rto_min: Value,
    rto_max: Value,
    rto_initial: Value,
    ack_delay: Value,
    receive_buffer: Value,
    receive_buffer_max: Value,
    send_buffer: Value,
    sack: Value,
    timestamps: Value,
    window_scaling: Value,
    ecn: Value,
    rack: Value,
    no_delay: Value,
    time_wait: Value,
    syn_retries: Value,
    syn_ack_retries: Value,
    retries: Value,
    user_timeout: Value,
    fin_wait: Value,
    completion: Value,
    cookies: Value,
    fast_open: Value,
}

/// The keys, in the order of the fields.
pub const KEYS: &[&str] = &[
    "profile",
    "algorithm",
    "rto_min",
    "rto_max",
    "rto_initial",
    "ack_delay",
    "receive_buffer",
    "receive_buffer_max",
    "send_buffer",
    "sack",
    "timestamps",
    "window_scaling",
    "ecn",
    "rack",
    "no_delay",
    "time_wait",
    "syn_retries",
    "syn_ack_retries",
    "retries",
    "user_timeout",
    "fin_wait",
    "completion",
    "cookies",
    "fast_open",
];

impl Reader<'_> {
    pub(super) fn tcp(&mut self, given: Tcp, t: &mut Settings) -> Result<(), ConfigError> {
        use crate::config::catnip::flag;
        // In full, so that a new key does not compile before it is read.
        let Tcp {
            profile,
            algorithm,
            rto_min,
            rto_max,
            rto_initial,
            ack_delay,
            receive_buffer,
            receive_buffer_max,
            send_buffer,
            sack,
            timestamps,
            window_scaling,
            ecn,
            rack,
            no_delay,
            time_wait,
            syn_retries,
            syn_ack_retries,
            retries,
            user_timeout,
            fin_wait,
            completion,
            cookies,
            fast_open,
        } = given;
        self.set(t, "catnip.tcp.profile", profile, tcp::profile)?;
        self.set(&mut t.algorithm, "catnip.tcp.algorithm", algorithm, tcp::algorithm)?;
        self.set(&mut t.rto_min, "catnip.tcp.rto_min", rto_min, parse::duration)?;
        self.set(&mut t.rto_max, "catnip.tcp.rto_max", rto_max, parse::duration)?;
        self.set(&mut t.rto_initial, "catnip.tcp.rto_initial", rto_initial, parse::duration)?;
        self.set(&mut t.ack_delay, "catnip.tcp.ack_delay", ack_delay, parse::duration)?;
        self.set(&mut t.receive_buffer, "catnip.tcp.receive_buffer", receive_buffer, parse::size)?;
        self.set(&mut t.receive_buffer_max, "catnip.tcp.receive_buffer_max", receive_buffer_max, parse::size)?;
        self.set(&mut t.send_buffer, "catnip.tcp.send_buffer", send_buffer, parse::size)?;
        self.set(&mut t.sack, "catnip.tcp.sack", sack, flag)?;
        self.set(&mut t.timestamps, "catnip.tcp.timestamps", timestamps, flag)?;
        self.set(&mut t.window_scaling, "catnip.tcp.window_scaling", window_scaling, flag)?;
        self.set(&mut t.ecn, "catnip.tcp.ecn", ecn, flag)?;
        self.set(&mut t.rack, "catnip.tcp.rack", rack, flag)?;
        self.set(&mut t.no_delay, "catnip.tcp.no_delay", no_delay, flag)?;
        self.set(&mut t.time_wait, "catnip.tcp.time_wait", time_wait, parse::duration)?;
        self.set(&mut t.syn_retries, "catnip.tcp.syn_retries", syn_retries, tcp::retries)?;
        self.set(&mut t.syn_ack_retries, "catnip.tcp.syn_ack_retries", syn_ack_retries, tcp::retries)?;
        self.set(&mut t.retries, "catnip.tcp.retries", retries, tcp::retries)?;
        let timeout = |text: &str| parse::or_off(text, parse::duration);
        self.set(&mut t.user_timeout, "catnip.tcp.user_timeout", user_timeout, timeout)?;
        self.set(&mut t.fin_wait, "catnip.tcp.fin_wait", fin_wait, parse::duration)?;
        self.set(&mut t.completion, "catnip.tcp.completion", completion, tcp::completion)?;
        self.set(&mut t.cookies, "catnip.tcp.cookies", cookies, flag)?;
        self.set(&mut t.fast_open, "catnip.tcp.fast_open", fast_open, flag)?;
        Ok(())
    }
}
