// SPDX-License-Identifier: MIT OR Apache-2.0
//! Crates depend one way only: the application's crate on the transports, they on `runtime`, and it on none of ours.
//!
//! The table of allowed edges is the design; what `cargo metadata` says must lie within it. The crates below stay
//! small in what they take from outside, too.

#![allow(clippy::expect_used, reason = "a test ends where what it stands on is missing")]

use std::collections::BTreeMap;
use std::path::Path;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

/// Each crate of the workspace, and which others of it that crate may use.
const ALLOWED: [(&str, &[&str]); 12] = [
    ("margay", &["runtime", "catmem", "catloop", "catnap", "catcollar", "catnip", "catmint", "baselines"]),
    // What the command measures against, and the stack beside it; no library code uses it.
    ("baselines", &["network", "runtime"]),
    ("catloop", &["runtime", "catmem"]),
    ("catmem", &["runtime"]),
    ("catnap", &["runtime", "kernel"]),
    ("catcollar", &["runtime", "kernel"]),
    ("kernel", &["runtime"]),
    ("catmint", &["runtime"]),
    ("catnip", &["runtime", "network", "dpdk-sys"]),
    ("dpdk-sys", &[]),
    ("network", &["runtime"]),
    ("runtime", &[]),
];

/// Crates that may have no more than this many direct dependencies from outside.
const SMALL: [&str; 2] = ["runtime", "network"];
const SMALL_MAX: usize = 5;

/// Which of `dependencies` (crate, what it uses) break the table.
fn broken_edges(dependencies: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED.into_iter().collect();
    let mut broken = Vec::new();
    for (name, uses) in dependencies {
        match allowed.get(name.as_str()) {
            None => broken.push(format!("{name} is not in the table: say what it may depend on")),
            Some(may) => broken.extend(
                uses.iter()
                    .filter(|used| dependencies.contains_key(*used) && !may.contains(&used.as_str()))
                    .map(|used| format!("{name} must not depend on {used}")),
            ),
        }
    }
    broken
}

fn metadata() -> Metadata {
    // Names and edges are all in the manifests: nothing has to be resolved, so this works without a network.
    MetadataCommand::new()
        .manifest_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"))
        .no_deps()
        .exec()
        .expect("cargo metadata")
}

fn uses(package: &Package) -> Vec<String> {
    package.dependencies.iter().map(|d| d.name.clone()).collect()
}

#[test]
fn crates_depend_one_way_only() {
    let metadata = metadata();
    let dependencies: BTreeMap<String, Vec<String>> =
        metadata.workspace_packages().iter().map(|p| (p.name.to_string(), uses(p))).collect();
    assert!(dependencies.contains_key("margay") && dependencies.contains_key("runtime"), "{dependencies:?}");
    assert_eq!(broken_edges(&dependencies), Vec::<String>::new());
}

#[test]
fn an_upward_edge_and_an_unknown_crate_are_found() {
    let edges = |list: &[(&str, &[&str])]| -> BTreeMap<String, Vec<String>> {
        list.iter().map(|(name, uses)| ((*name).to_owned(), uses.iter().map(|u| (*u).to_owned()).collect())).collect()
    };
    assert_eq!(
        broken_edges(&edges(&[("runtime", &["rustix", "catmem"]), ("catmem", &["runtime"])])),
        ["runtime must not depend on catmem"]
    );
    assert_eq!(broken_edges(&edges(&[("dogmem", &[])])).len(), 1);
    assert_eq!(broken_edges(&edges(&[("margay", &["serde", "runtime"]), ("runtime", &[])])), Vec::<String>::new());
}

#[test]
fn the_table_itself_has_no_circle() {
    // Each crate only uses crates that stand below it in this order.
    let order = [
        "margay",
        "baselines",
        "catloop",
        "catnip",
        "catmem",
        "catnap",
        "catcollar",
        "catmint",
        "kernel",
        "network",
        "runtime",
        "dpdk-sys",
    ];
    let rank = |name: &str| order.iter().position(|n| *n == name).expect("every crate of the table has a rank");
    for (name, may) in ALLOWED {
        for used in may {
            assert!(rank(name) < rank(used), "{name} -> {used}");
        }
    }
}

#[test]
fn the_lowest_crates_take_little_from_outside() {
    let metadata = metadata();
    for package in metadata.workspace_packages().iter().filter(|p| SMALL.contains(&p.name.as_str())) {
        let outside: Vec<&str> = package
            .dependencies
            .iter()
            // What only a platform or a model checker needs does not reach applications.
            .filter(|d| {
                d.kind == DependencyKind::Normal && d.target.as_ref().is_none_or(|t| t.to_string() != "cfg(loom)")
            })
            .map(|d| d.name.as_str())
            .collect();
        assert!(outside.len() <= SMALL_MAX, "{} has {} direct dependencies: {outside:?}", package.name, outside.len());
    }
}
