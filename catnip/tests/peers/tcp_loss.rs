// SPDX-License-Identifier: MIT OR Apache-2.0
//! Streams through a network that loses: by nftables, at random, on the kernel's side of the link, in either direction. Every byte comes
//! once and in order, and what was lost is known to have been. And through one in which frames overtake each other, come twice and are
//! damaged, by the decorator of devices that does that.
//!
//! With `MARGAY_BULK_SECONDS=10` each goes on for ten seconds in each family, and says how fast it was (`--nocapture`).

use crate::alone;
use crate::host::{BOTH, Host, Link};
use crate::space::Space;
use crate::streams::{check, fill, read_all, write_from};
use catnip::device::faults::Settings as Faults;
use core::task::Poll;
use core::time::Duration;
use network::counters::Reason;
use runtime::buf::Sga;
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Bytes of a push, and of a write of the kernel's side.
const PIECE: u64 = 16 << 10;
/// How long it takes at most beyond the time that it is to take.
const PATIENCE: Duration = Duration::from_mins(1);
/// The variable of the environment that lets each test go on for longer.
const SECONDS: &str = "MARGAY_BULK_SECONDS";

/// Loses so many of 10,000 packets of TCP that pass this hook of an interface.
fn lose(peer: &Space, hook: &str, of_ten_thousand: u32) {
    peer.nft(&format!(
        "table netdev lossy {{\n\
           counter lost {{ }}\n\
           chain path {{\n\
             type filter hook {hook} device \"theirs\" priority 0;\n\
             meta l4proto tcp numgen random mod 10000 < {of_ten_thousand} counter name lost drop\n\
           }}\n\
         }}\n"
    ));
}

/// So much both ways at once at least, and for so long, over a connection that was made while packets were lost already.
fn both_ways(peer: &Space, host: &mut Host, ours: &str, theirs: &str, len: u64, time: Duration) {
    let (listener, to) = peer.tcp(theirs);
    let over = Arc::new(AtomicBool::new(false));
    let enough = Arc::clone(&over);
    let done = peer.serves(listener, move |mut socket| {
        let mut writing = socket.try_clone().expect("a descriptor can be copied");
        let writer = std::thread::spawn(move || {
            let mut written = 0;
            while written < len || !enough.load(Ordering::Acquire) {
                write_from(&mut writing, written, PIECE);
                written += PIECE;
            }
            writing.shutdown(Shutdown::Write).expect("it is connected");
            written
        });
        let read = read_all(&mut socket);
        (read, writer.join().expect("all was written"))
    });
    let id = host.connects(ours, to);
    let end = host.now() + time;
    let (mut pushed, mut popped, mut ended) = (0, 0, false);
    let mut piece = vec![0; PIECE as usize];
    let mut message = Sga::new();
    host.until_within(time + PATIENCE, "all of it both ways", |host| {
        let now = host.now();
        while pushed < len || now < end || !message.is_empty() {
            if message.is_empty() {
                fill(&mut piece, pushed);
                message = host.pools.alloc_copy(&piece).unwrap().into();
                pushed += PIECE;
            }
            match host.nic.stack.stream_push(id, &mut message, now) {
                Poll::Ready(result) => result.unwrap(),
                Poll::Pending => break,
            }
            message = Sga::new();
        }
        host.nic.flush(now);
        while let Some(came) = host.takes(id, None).filter(|_| !ended) {
            let came = came.unwrap();
            ended = came.is_empty();
            for segment in &came {
                check(segment, popped);
                popped += segment.len() as u64;
            }
        }
        if now >= end && pushed >= len && message.is_empty() && !over.swap(true, Ordering::AcqRel) {
            host.shuts(id).unwrap();
        }
        (ended && over.load(Ordering::Acquire)).then_some(())
    });
    let (read, written) = host.until_joined(done);
    assert_eq!((read, written), (pushed, popped), "pushed and read, written and popped");
    assert!(pushed >= len && popped >= len);
    host.closes(id);
    if !time.is_zero() {
        println!("{ours}: {pushed} bytes to the kernel and {popped} from it in {time:?}");
    }
}

/// How long each test goes on at least in each family: not at all, or what the environment says.
fn time() -> Duration {
    let seconds = std::env::var(SECONDS).map_or(0, |text| text.parse().expect("a number of seconds"));
    Duration::from_secs(seconds)
}

fn with_loss(test: &str, hook: &'static str, of_ten_thousand: u32, len: u64) {
    alone(test, &["nft"], |peer| {
        let mut host = Host::with(Link::Packet, peer, |_| ());
        // What is lost is one segment, not a packet of many that are cut behind the rules.
        peer.ip("link set theirs gso_max_segs 1\n");
        lose(peer, hook, of_ten_thousand);
        for (ours, theirs) in BOTH {
            both_ways(peer, &mut host, ours, theirs, len, time());
        }
        let lost = peer.counted("netdev", "lossy", "lost");
        println!("{lost} packets were lost");
        assert_eq!(lost != 0, of_ten_thousand != 0, "{lost} were lost");
        assert_eq!(host.dropped(Reason::TcpChecksum), 0, "{:?}", host.drops());
    });
}

/// Frames that overtake each other on both ways, that come twice, and that are damaged.
#[test]
fn disorder() {
    const LEN: u64 = 2 << 20;
    alone("tcp_loss::disorder", &[], |peer| {
        let faults = [
            Faults { seed: 1, reorder: 20_000, delay: Duration::from_micros(500), ..Faults::default() },
            Faults { seed: 2, duplicate: 20_000, ..Faults::default() },
            Faults { seed: 3, reorder: 5_000, duplicate: 5_000, drop: 5_000, corrupt: 5_000, ..Faults::default() },
        ];
        for faults in faults {
            println!("{faults:?}");
            let mut host = Host::with(Link::Packet, peer, |settings| settings.faults = Some(faults));
            for (ours, theirs) in BOTH {
                both_ways(peer, &mut host, ours, theirs, LEN, time());
            }
            // What is damaged is seen to be, and nothing else is.
            let damaged = host.dropped(Reason::TcpChecksum) != 0;
            assert!(!damaged || faults.corrupt != 0, "{:?}", host.drops());
            drop(host);
            peer.ip("link del theirs\n");
        }
    });
}

/// A test of each loss, of what goes to the kernel and of what comes from it.
macro_rules! losses {
    ($($name:ident: $hook:literal, $loss:expr, $len:expr;)+) => {
        $(#[test]
        fn $name() {
            with_loss(concat!("tcp_loss::", stringify!($name)), $hook, $loss, $len);
        })+
    };
}

losses! {
    none_to_or_from_the_kernel: "ingress", 0, 16 << 20;
    one_of_a_thousand_to_the_kernel: "ingress", 10, 8 << 20;
    one_of_a_thousand_from_the_kernel: "egress", 10, 8 << 20;
    one_of_a_hundred_to_the_kernel: "ingress", 100, 4 << 20;
    one_of_a_hundred_from_the_kernel: "egress", 100, 4 << 20;
    five_of_a_hundred_to_the_kernel: "ingress", 500, 1 << 20;
    five_of_a_hundred_from_the_kernel: "egress", 500, 1 << 20;
}
