// SPDX-License-Identifier: MIT OR Apache-2.0
//! A stream over a router whose far link becomes narrow and wide again, which the router tells, or does not (RFC 1191, RFC 8201, RFC 4821).

use super::applications::{Application, Plan, Shared, close, connect, listen};
use crate::support::{Run, at, seeds};
use core::time::Duration;
use network::sim::{Conditions, LinkId, NodeId};
use network::tcp::connection::Info;

const MINUTE: Duration = Duration::from_mins(1);

/// Host 1 on the first link, host 2 on the second, a router between, and a stream from the one to the other.
struct Path {
    links: [LinkId; 2],
    hosts: [NodeId; 2],
    router: NodeId,
    applications: [Shared; 2],
}

fn path(run: &mut Run) -> Path {
    let (links, hosts, router) = run.routed(1500);
    let applications = hosts.map(|host| Application::on(run, host));
    run.run(Duration::from_secs(10));
    Path { links, hosts, router, applications }
}

impl Path {
    fn begin(&self, run: &mut Run, to: &str, bytes: u64) {
        let nothing = Plan { bytes: 0, seed: 1, push: 1, pop: 0 };
        listen(run, self.hosts[1], &self.applications[1], at(to), nothing);
        let much = Plan { bytes, seed: run.seed + 2, push: 20_000, pop: 0 };
        connect(run, self.hosts[0], &self.applications[0], at(to), much);
    }

    fn info(&self, run: &mut Run) -> Info {
        let (id, now) = (self.applications[0].borrow().ends[0].id, run.now());
        run.host_mut(self.hosts[0]).stack.stream_info(id, now).unwrap()
    }

    /// All has come.
    fn finish(&self, run: &mut Run) {
        let done = run.run_while_not(Duration::from_hours(1), |_| {
            self.applications
                .iter()
                .all(|application| application.borrow().ends.iter().all(|end| end.is_done() || end.failed.is_some()))
        });
        assert!(done, "{:?}", self.info(run));
        assert_eq!(self.applications[1].borrow().ends[0].got(), self.applications[0].borrow().ends[0].gave());
        for (&host, application) in self.hosts.iter().zip(&self.applications) {
            close(run, host, application);
        }
        run.run(10 * MINUTE);
        run.finish(&[]);
    }
}

/// Segments follow the path: what a router tells at once, what nobody tells after some timeouts, and what is wider than before within
/// ten minutes. Nothing of the stream is lost.
#[test]
fn segments_follow_the_path() {
    for seed in seeds(0..1) {
        for (to, headers) in [("10.0.1.2:7", 52), ("[fd01::2]:7", 72)] {
            let mut run = Run::new(seed);
            let path = path(&mut run);
            // 50 kB/s, and a queue of half a second.
            let slow = Conditions {
                rate: Some(400_000),
                queue: 24_000,
                delay: Duration::from_millis(20),
                ..Conditions::default()
            };
            run.set_conditions_of(path.links[0], path.hosts[0], slow);
            path.begin(&mut run, to, 90_000_000);
            run.run(MINUTE);
            assert_eq!(path.info(&mut run).mss, 1500 - headers);
            // A router says so, at once.
            run.router_mut(path.router).set_mtu(1, 1300);
            run.run(MINUTE);
            assert_eq!(path.info(&mut run).mss, 1300 - headers);
            run.router_mut(path.router).set_mtu(1, 1500);
            run.run(8 * MINUTE);
            assert_eq!(path.info(&mut run).mss, 1300 - headers, "what was told is believed");
            run.run(2 * MINUTE);
            assert_eq!(path.info(&mut run).mss, 1500 - headers);
            // Nobody says so: it takes some timeouts, and some probes.
            run.router_mut(path.router).silent = true;
            run.router_mut(path.router).set_mtu(1, 1380);
            run.run(5 * MINUTE);
            let found = path.info(&mut run).mss;
            assert!((1380 - headers - 7..=1380 - headers).contains(&found), "{found}");
            run.router_mut(path.router).set_mtu(1, 1500);
            run.run(10 * MINUTE);
            assert_eq!(path.info(&mut run).mss, 1500 - headers);
            path.finish(&mut run);
        }
    }
}

/// RFC 1191 section 3: below what is believed of any path routers may cut, and are let.
#[test]
fn a_very_narrow_link_is_the_routers_business() {
    let mut run = Run::new(1);
    let path = path(&mut run);
    run.router_mut(path.router).set_mtu(1, 300);
    path.begin(&mut run, "10.0.1.2:7", 2_000_000);
    path.finish(&mut run);
    let counters = run.router_mut(path.router).counters();
    assert!(counters.too_big <= 10 && counters.cut > 3000, "{counters:?}");
}
