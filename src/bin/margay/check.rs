// SPDX-License-Identifier: MIT OR Apache-2.0
//! `margay config check`: is a file right, and what is in force with it?

use margay::Config;
use margay::config::catnip::{CatnipConfig, show_faults, show_route};
use margay::config::dpdk::DpdkConfig;
use margay::config::tcp::{Settings, show_algorithm, show_completion};
use margay::config::xdp::{XdpConfig, show_mode};
use margay::config::{BacklogFull, Spin};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Prints the effective settings, or fails with what is wrong.
pub fn run(file: &Path) -> anyhow::Result<()> {
    let config = Config::from_file(file)?;
    println!("{}: OK\n\nIn force with it:\n{}", file.display(), effective(&config));
    Ok(())
}

/// The whole configuration, in the form of a file.
fn effective(config: &Config) -> String {
    // In full, so that a new key does not compile before it is shown.
    let Config { libos: _, wait, buffers: b, catmem: c, catloop: s, catnap, catcollar, catnip, limits } = config;
    let spin = match wait.spin {
        Spin::For(time) => duration(time),
        Spin::Forever => "forever".to_owned(),
    };
    let directory = c.directory.as_ref().map_or_else(
        || "# not set: $XDG_RUNTIME_DIR/margay, or /tmp/margay-<uid>".to_owned(),
        |path| format!("{:?}", path.display().to_string()),
    );
    let addresses: Vec<String> = s.addresses.iter().map(|address| format!("\"{address}\"")).collect();
    let backlog_full = match s.backlog_full {
        BacklogFull::Wait => "wait",
        BacklogFull::Refuse => "refuse",
    };
    let catnip = network(catnip);
    format!(
        "libos: {}\n\
         wait:\n  spin: {spin}\n\
         buffers:\n  small_size: {}\n  small_count: {}\n  large_size: {}\n  large_count: {}\n  headroom: {}\n  \
         oversize_limit: {}\n\
         catmem:\n  directory: {directory}\n  ring: {}\n  slot: {}\n  slots: {}\n  max_message: {}\n  \
         handshake_timeout: {}\n\
         catloop:\n  addresses: [{}]\n  ring: {}\n  slot: {}\n  slots: {}\n  connect_timeout: {}\n  \
         backlog_full: {backlog_full}\n  handshake_timeout: {}\n  datagram_ring: {}\n\
         catnap:\n  receive: {}\n  zero_copy: {}\n\
         catcollar:\n  entries: {}\n  completions: {}\n  buffers: {}\n  buffer_size: {}\n  sqpoll: {}\n  \
         busy_poll: {}\n  registered_sockets: {}\n  zero_copy: {}\n\
         catnip:\n{catnip}\n\
         limits:\n  queues: {}\n  operations: {}",
        config.libos_name(),
        size(b.small_size),
        b.small_count,
        size(b.large_size),
        b.large_count,
        size(b.headroom),
        size(b.oversize_limit),
        size(c.ring),
        size(c.slot),
        c.slots,
        size(c.max_message),
        duration(c.handshake_timeout),
        addresses.join(", "),
        size(s.ring),
        size(s.slot),
        s.slots,
        duration(s.connect_timeout),
        duration(s.handshake_timeout),
        size(s.datagram_ring),
        size(catnap.receive),
        or_off(catnap.zero_copy, size),
        catcollar.entries,
        catcollar.completions,
        catcollar.buffers,
        size(catcollar.buffer_size),
        or_off(catcollar.sqpoll, duration),
        duration(catcollar.busy_poll),
        or_off(catcollar.registered_sockets, |sockets| sockets.to_string()),
        or_off(catcollar.zero_copy, size),
        limits.queues,
        limits.operations,
    )
}

/// The section of the network stack.
fn network(config: &CatnipConfig) -> String {
    let CatnipConfig {
        device,
        interface,
        path,
        peer,
        mac,
        mtu,
        addresses,
        routes,
        neighbours,
        vlan,
        dhcp,
        slaac,
        detect_duplicates,
        hops,
        checksum_offload,
        segmentation_offload,
        receive_frames,
        transmit_frames,
        promiscuous,
        dpdk,
        xdp,
        tcp,
        pcap,
        faults,
    } = config;
    let file = |path: &Option<PathBuf>| {
        path.as_ref().map_or_else(String::new, |path| format!("{:?}", path.display().to_string()))
    };
    let list = |values: Vec<String>| {
        format!("[{}]", values.iter().map(|value| format!("{value:?}")).collect::<Vec<_>>().join(", "))
    };
    let flag = |on: &bool| if *on { "on" } else { "off" }.to_owned();
    let auto = |value: Option<String>| value.unwrap_or_else(|| "auto".to_owned());
    let lines = [
        ("device", device.name().to_owned()),
        ("interface", interface.as_ref().map_or_else(String::new, |name| format!("{name:?}"))),
        ("path", file(path)),
        ("peer", file(peer)),
        ("mac", auto(mac.map(|mac| format!("\"{mac}\"")))),
        ("mtu", auto(mtu.map(size))),
        ("addresses", list(addresses.iter().map(ToString::to_string).collect())),
        ("routes", list(routes.iter().map(show_route).collect())),
        ("neighbours", list(neighbours.iter().map(|(ip, mac)| format!("{ip} {mac}")).collect())),
        ("vlan", or_off(*vlan, |vlan| vlan.to_string())),
        ("dhcp", flag(dhcp)),
        ("slaac", flag(slaac)),
        ("detect_duplicates", flag(detect_duplicates)),
        ("hops", hops.to_string()),
        ("checksum_offload", flag(checksum_offload)),
        ("segmentation_offload", flag(segmentation_offload)),
        ("receive_frames", receive_frames.to_string()),
        ("transmit_frames", transmit_frames.to_string()),
        ("promiscuous", flag(promiscuous)),
        ("dpdk", ports(dpdk)),
        ("xdp", past_the_kernel(xdp)),
        ("tcp", streams(tcp)),
        ("pcap", file(pcap)),
        ("faults", list(faults.as_ref().map(show_faults).unwrap_or_default())),
    ];
    let lines: Vec<String> = lines.iter().map(|(key, value)| format!("  {key}: {value}")).collect();
    lines.join("\n")
}

/// The section of ports of DPDK, below that of the network stack.
fn ports(dpdk: &DpdkConfig) -> String {
    let DpdkConfig { port, eal, memory, queues, burst, prefetch, buffers, attach, interrupts } = dpdk;
    let lines = [
        ("port", port.as_ref().map_or_else(String::new, |port| format!("{port:?}"))),
        ("eal", format!("[{}]", eal.iter().map(|one| format!("{one:?}")).collect::<Vec<_>>().join(", "))),
        ("memory", size(*memory)),
        ("queues", queues.to_string()),
        ("burst", burst.to_string()),
        ("prefetch", prefetch.to_string()),
        ("buffers", buffers.map_or_else(|| "auto".to_owned(), |count| count.to_string())),
        ("attach", if *attach { "on" } else { "off" }.to_owned()),
        ("interrupts", if *interrupts { "on" } else { "off" }.to_owned()),
    ];
    let lines: Vec<String> = lines.iter().map(|(key, value)| format!("    {key}: {value}")).collect();
    format!("\n{}", lines.join("\n"))
}

/// The section of XDP sockets, below that of the network stack.
fn past_the_kernel(xdp: &XdpConfig) -> String {
    let XdpConfig { mode, zero_copy, queues, busy_poll } = xdp;
    let zero_copy = if *zero_copy { "on" } else { "off" };
    let queues = queues.map_or_else(|| "all".to_owned(), |count| count.to_string());
    let (mode, busy_poll) = (show_mode(*mode), duration(*busy_poll));
    format!("\n    mode: {mode}\n    zero_copy: {zero_copy}\n    queues: {queues}\n    busy_poll: {busy_poll}")
}

/// The section of TCP, below that of the network stack. Of a profile, its values are in it.
fn streams(tcp: &Settings) -> String {
    let Settings {
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
    } = *tcp;
    let flag = |on: bool| if on { "on" } else { "off" }.to_owned();
    let lines = [
        ("algorithm", show_algorithm(algorithm).to_owned()),
        ("rto_min", duration(rto_min)),
        ("rto_max", duration(rto_max)),
        ("rto_initial", duration(rto_initial)),
        ("ack_delay", duration(ack_delay)),
        ("receive_buffer", size(receive_buffer)),
        ("receive_buffer_max", size(receive_buffer_max)),
        ("send_buffer", size(send_buffer)),
        ("sack", flag(sack)),
        ("timestamps", flag(timestamps)),
        ("window_scaling", flag(window_scaling)),
        ("ecn", flag(ecn)),
        ("rack", flag(rack)),
        ("no_delay", flag(no_delay)),
        ("time_wait", duration(time_wait)),
        ("syn_retries", syn_retries.to_string()),
        ("syn_ack_retries", syn_ack_retries.to_string()),
        ("retries", retries.to_string()),
        ("user_timeout", or_off(user_timeout, duration)),
        ("fin_wait", duration(fin_wait)),
        ("completion", show_completion(completion).to_owned()),
        ("cookies", flag(cookies)),
        ("fast_open", flag(fast_open)),
    ];
    let lines: Vec<String> = lines.iter().map(|(key, value)| format!("    {key}: {value}")).collect();
    format!("\n{}", lines.join("\n"))
}

fn or_off<T>(value: Option<T>, show: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| "off".to_owned(), show)
}

/// Bytes with the largest unit that takes a whole number of them.
fn size(bytes: usize) -> String {
    for (shift, unit) in [(30, "GiB"), (20, "MiB"), (10, "KiB")] {
        if bytes != 0 && bytes.trailing_zeros() >= shift {
            return format!("{} {unit}", bytes >> shift);
        }
    }
    format!("{bytes} B")
}

/// A duration with the largest unit that takes a whole number of them.
fn duration(time: Duration) -> String {
    let nanoseconds = time.as_nanos();
    for (length, unit) in [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us")] {
        if nanoseconds != 0 && nanoseconds.is_multiple_of(length) {
            return format!("{} {unit}", nanoseconds / length);
        }
    }
    format!("{nanoseconds} ns")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_can_be_loaded_again() {
        let mut config = Config::default();
        assert_eq!(Config::from_yaml("shown", &effective(&config)).expect("the defaults"), config);
        config.catmem.directory = Some("/run/user/1000/a \"b\"".into());
        config.catmem.slots = 0;
        config.catloop.addresses =
            vec!["192.0.2.1".parse().expect("an address"), "fd00::1".parse().expect("an address")];
        config.catloop.backlog_full = BacklogFull::Refuse;
        config.buffers.oversize_limit = 0;
        config.catnap.zero_copy = Some(1 << 20);
        config.catcollar.sqpoll = Some(Duration::from_millis(7));
        let text = "catnip: { device: tap, interface: t0, path: /a, peer: /b, mac: '02:00:00:00:00:01', mtu: 9000, \
                    dpdk: { port: 'net_null0,size=64', eal: ['-v', 'a b'], memory: 64 MiB, queues: 2, burst: 8, prefetch: 0, buffers: 4096, attach: off, interrupts: off }, \
                    xdp: { mode: native, zero_copy: off, queues: 5, busy_poll: 9us }, \
                    addresses: [10.0.0.1/24, 'fd00::1/64'], routes: [default via 10.0.0.2 metric 3], \
                    neighbours: ['10.0.0.2 02:00:00:00:00:02'], vlan: 7, dhcp: on, slaac: on, detect_duplicates: on, \
                    hops: 3, checksum_offload: off, segmentation_offload: off, receive_frames: 16, \
                    transmit_frames: 17, promiscuous: on, tcp: { profile: datacenter, retries: 3, user_timeout: 9 s, completion: acked }, pcap: '/c d', faults: [drop 1.5%, seed 3]}";
        config.catnip = Config::from_yaml("given", text).expect("a network").catnip;
        config.wait.spin = Spin::For(Duration::from_nanos(1_500));
        assert_eq!(Config::from_yaml("shown", &effective(&config)).expect("changed"), config);
        config.wait.spin = Spin::Forever;
        assert_eq!(Config::from_yaml("shown", &effective(&config)).expect("forever"), config);
    }
}
