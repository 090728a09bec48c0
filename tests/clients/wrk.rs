// SPDX-License-Identifier: MIT OR Apache-2.0
//! wrk(1) and `http-server`: many requests at once, for a short time.

use crate::tools::succeed;
use crate::web::Web;

/// Loads one file; every request must be answered, and with 200.
fn load(libos: &'static str, path: &str, connections: &str) {
    let web = Web::new(libos);
    let said = succeed("wrk", &["-t", "2", "-c", connections, "-d", "2s", "--timeout", "10s", &web.url(path)]);
    for trouble in ["Socket errors", "Non-2xx"] {
        assert!(!said.contains(trouble), "{said}");
    }
    let counted = said.lines().find_map(|line| line.trim().split_once(" requests in "));
    let requests: u64 = counted.and_then(|(number, _)| number.parse().ok()).expect("wrk counts");
    assert!(requests > 0, "{said}");
    let [served, _, late] = web.stop(());
    assert!(served >= requests && late == 0, "{served} served, {late} late: {said}");
}

pub fn small_files(libos: &'static str) {
    load(libos, "/hello.txt", "64");
}

pub fn larger_files(libos: &'static str) {
    load(libos, "/middle.bin", "64");
}
