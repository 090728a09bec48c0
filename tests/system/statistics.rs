// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pages of statistics between processes: what one LibOs does is seen by others, and a dead one's page goes.

use crate::harness::system::{files, sleep};
use crate::harness::{Context, LIMIT, Role, pair, pop_message, push_message};
use core::time::Duration;
use margay::Errno;
use margay::stats::{Page, published};

const PID: usize = 0;
const COUNT: u64 = 1000;

/// The page of a process, as soon as `enough` holds for it or for its absence.
fn page(context: &Context, pid: u64, enough: impl Fn(Option<&Page>) -> bool) {
    for _ in 0..20_000 {
        let seen = published(&context.pipes).unwrap();
        assert!(seen.refused.is_empty(), "{:?}", seen.refused);
        let page = seen.pages.iter().map(|(_, page)| page).find(|page| u64::from(page.pid) == pid);
        if enough(page) {
            return;
        }
        sleep(1_000_000);
    }
    panic!("the page of process {pid} does not say what it should: {:?}", published(&context.pipes));
}

fn names(context: &Context) -> Vec<String> {
    files(&context.pipes).into_iter().filter(|name| name.starts_with("stats-")).collect()
}

#[test]
fn others_see_what_a_libos_does_and_clear_away_after_its_death() {
    let report = pair!()
        .server(|context| {
            let mut libos = context.libos();
            let qd = libos.create_pipe("watched").unwrap();
            let pid = context.board.wait(PID, 1);
            for number in 0..COUNT {
                assert_eq!(pop_message(&mut libos, qd).to_vec(), number.to_le_bytes());
            }
            // The other one sleeps, and has told everything before.
            page(context, pid, |page| {
                page.is_some_and(|page| {
                    let counters = page.counters;
                    (counters.messages_pushed, counters.bytes_pushed, page.queues) == (COUNT, 8 * COUNT, 1)
                        && page.backends().eq(["catmem"])
                })
            });
            page(context, u64::from(std::process::id()), |page| page.is_some());
            assert_eq!(names(context).len(), 2);
            push_message(&mut libos, qd, b"go");
            let qt = libos.pop(qd, None).unwrap();
            let error = libos.wait(qt, LIMIT).unwrap().into_message().unwrap_err();
            assert_eq!(error.errno(), Errno::CONNRESET);
            // Whoever reads removes what the dead have left.
            page(context, pid, |page| page.is_none());
            for name in names(context) {
                assert!(name.starts_with(&format!("stats-{}-", std::process::id())), "{name}");
            }
        })
        .client(|context| {
            let mut libos = context.libos();
            let qd = context.open(&mut libos, "watched");
            context.board.set(PID, u64::from(std::process::id()));
            for number in 0..COUNT {
                push_message(&mut libos, qd, &number.to_le_bytes());
            }
            assert_eq!(pop_message(&mut libos, qd).to_vec(), b"go");
            context.board.set(PID + 1, 1);
            sleep(30_000_000_000);
        })
        .kill(Role::Client, PID + 1, Duration::ZERO)
        .run();
    report.assert_no_files();
}
