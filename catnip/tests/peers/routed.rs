// SPDX-License-Identifier: MIT OR Apache-2.0
//! A router of the kernel between our host and one of the kernel:
//!
//! ```text
//!   ours 10.9.0.2, fd09::2 ── near 10.9.0.1, fd09::1 (router) 10.8.0.254, fd08::fe away ── far 10.8.0.1, fd08::1
//! ```

use crate::host::{Host, Link, THEIR_V4, THEIR_V6, settings};
use crate::space::{Space, ip};
use catnip::{Hop, Prefix, Route, Settings};

pub const FAR_V4: &str = "10.8.0.1";
pub const FAR_V6: &str = "fd08::1";
pub const AWAY_V4: &str = "10.8.0.254";
pub const AWAY_V6: &str = "fd08::fe";

/// Our host, with the router as its way to all else. Packets beyond the router have at most `mtu` bytes.
pub fn routed(router: &Space, far: &Space, mtu: u16, change: impl FnOnce(&mut Settings)) -> Host {
    for family in ["ipv4.ip_forward", "ipv6.conf.all.forwarding"] {
        router.sysctl(family, "1");
    }
    // Each packet that is too long, or has come too far, is told of.
    router.sysctl("ipv4.icmp_ratemask", "0");
    router.sysctl("ipv6.icmp.ratelimit", "0");
    ip(&format!("link add ours type veth peer name near netns {}\nlink set ours up\n", router.path()));
    router.ip(&format!(
        "link add away type veth peer name far netns {}\n\
         link set away mtu {mtu}\nlink set away up\nlink set near up\n\
         addr add {THEIR_V4}/24 dev near\naddr add {THEIR_V6}/64 dev near nodad\n\
         addr add {AWAY_V4}/24 dev away\naddr add {AWAY_V6}/64 dev away nodad\n",
        far.path()
    ));
    far.ip(&format!(
        "link set far mtu {mtu}\nlink set far up\n\
         addr add {FAR_V4}/24 dev far\naddr add {FAR_V6}/64 dev far nodad\n\
         route add default via {AWAY_V4}\nroute add default via {AWAY_V6}\n"
    ));
    let mut settings = settings(Link::Packet, "ours");
    for (prefix, router) in [(Prefix::DEFAULT_V4, THEIR_V4), (Prefix::DEFAULT_V6, THEIR_V6)] {
        settings.routes.push(Route { prefix, hop: Hop::Gateway(router.parse().unwrap()), metric: 0 });
    }
    change(&mut settings);
    Host::new(&settings)
}
