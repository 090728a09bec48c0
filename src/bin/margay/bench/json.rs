// SPDX-License-Identifier: MIT OR Apache-2.0
//! A run as JSON, for programs.
//!
//! ```text
//! { "schema": "margay-bench-catmem/1",      or -catloop, -kernel-sockets; changes when a key changes its meaning or goes
//!   "version": "0.1.0", "quick": false, "rounds": 25,
//!   "machine": { "processor", "kernel", "cores": [server, client] },
//!   "goals": [ { "title", "series", "limit_series", "of", "unit", "figure", "limit", "ratio", "asked", "bound", "holds" } ],
//!   "series": [ { "key", "size", "unit", "median", "blocks": [..], "percentiles": { "50": 301, .. },
//!                 "facts": { "shared bytes": 8192.0, .. } } ] }
//! ```
//! `unit` of a series is `ns` (per message or round trip) or `share` (of a core), that of a goal also `messages/s`,
//! `bytes/s` or `per message`. `of` says what of its series is the goal's figure: `blocks`, `p99` and the like, or a fact. `ratio` is that of figure to limit within each round, and the median of these; with `faster>=` it is that of
//! limit to figure. `asked` is `ratio<=`, `ratio>=`, `faster>=`, `figure<=`, `figure>=` or null, and `bound` what follows
//! it. Percentiles are in nanoseconds, of what was timed one by one; those that too little was timed for
//! are left out. Facts are medians over the rounds: what a crowd of connections takes, for each of them.

use super::Run;
use super::plan::{Asked, Of, Told};
use super::report::judge;
use super::stats::PERCENTILES;
use anyhow::Result;
use serde_json::{Map, Value, json};

/// The whole run.
pub fn text(run: &Run) -> Result<String> {
    let mut goals = Vec::new();
    for goal in run.suite.goals {
        let verdict = judge(run, goal)?;
        let (asked, bound) = match goal.asked {
            Asked::TimesLimit(bound) => (Some("ratio<="), Some(bound)),
            Asked::TimesFaster(bound) => (Some("faster>="), Some(bound)),
            Asked::OfLimit(bound) => (Some("ratio>="), Some(bound)),
            Asked::AtMost(bound) => (Some("figure<="), Some(bound)),
            Asked::AtLeast(bound) => (Some("figure>="), Some(bound)),
            Asked::Nothing => (None, None),
        };
        goals.push(json!({
            "title": goal.title, "series": goal.key, "limit_series": goal.limit, "of": of(goal.of), "unit": unit(goal.told),
            "figure": verdict.figure, "limit": verdict.limit, "ratio": verdict.ratio,
            "asked": asked, "bound": bound, "holds": verdict.holds,
        }));
    }
    let series = run.series.iter().map(|series| {
        let percentiles: Map<String, Value> = PERCENTILES
            .iter()
            .filter_map(|&percentile| Some((percentile.to_string(), series.percentile(percentile)?.into())))
            .collect();
        let facts: Map<String, Value> =
            series.facts.keys().filter_map(|name| Some((name.clone(), series.fact(name)?.into()))).collect();
        let unit = if series.key.contains("/idle/") { "share" } else { "ns" };
        json!({
            "key": series.key, "size": series.size, "unit": unit, "median": series.median(),
            "blocks": series.blocks, "percentiles": percentiles, "facts": facts,
        })
    });
    let all = json!({
        "schema": format!("margay-bench-{}/1", run.suite.name), "version": env!("CARGO_PKG_VERSION"), "quick": run.quick,
        "rounds": run.rounds, "machine": run.machine, "goals": goals, "series": series.collect::<Vec<_>>(),
    });
    Ok(format!("{all:#}\n"))
}

fn of(of: Of) -> String {
    match of {
        Of::Blocks => "blocks".to_owned(),
        Of::Percentile(percentile) => format!("p{percentile}"),
        Of::Fact(name) => name.to_owned(),
    }
}

fn unit(told: Told) -> &'static str {
    match told {
        Told::Time => "ns",
        Told::Rate => "messages/s",
        Told::Bandwidth => "bytes/s",
        Told::Share => "share",
        Told::Count => "per message",
    }
}
