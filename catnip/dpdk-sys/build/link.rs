// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the feature `link` has to do. An error is a sentence for whoever builds, with what to do.

use std::env;
use std::path::PathBuf;
use std::process::Command;

/// The oldest release whose names the bindings use.
const OLDEST: &str = "21.11";

/// What the bindings call; all else of libdpdk is not linked.
const LIBRARIES: [&str; 5] = ["rte_ethdev", "rte_mbuf", "rte_mempool", "rte_ring", "rte_eal"];

/// Drivers of a static program, where the environment does not name others: those without hardware.
const DRIVERS: &str =
    "bus_vdev,bus_pci,mempool_ring,net_af_packet,net_memif,net_null,net_ring,net_tap,net_vhost,net_virtio";

const FUNCTIONS: &str = "margay_.*|rte_eal_(init|cleanup)|rte_dev_(probe|remove|dma_map|dma_unmap)|rte_extmem_(un)?register|\
    rte_thread_(un)?register|rte_log_set_global_level|rte_strerror|rte_version|rte_mempool_(free|avail_count|in_use_count)|\
    rte_pktmbuf_(pool_create|free_bulk)|rte_ring_(create|free)|\
    rte_eth_dev_(info_get|configure|start|stop|close|set_mtu|get_mtu|adjust_nb_rx_tx_desc|get_port_by_name|get_name_by_port|\
    set_mc_addr_list|default_mac_addr_set|socket_id|rx_intr_enable|rx_intr_disable|rx_intr_ctl_q|rx_intr_ctl_q_get_fd)|\
    rte_eth_(rx|tx)_queue_setup|rte_eth_macaddr_get|rte_eth_promiscuous_enable|rte_eth_allmulticast_enable|\
    rte_eth_tx_done_cleanup|rte_eth_link_get_nowait|rte_eth_stats_get|rte_eth_xstats_(get|get_names)|rte_eth_find_next";

fn pkg_config(arguments: &[&str]) -> Result<Vec<String>, String> {
    let program = env::var("PKG_CONFIG").unwrap_or_else(|_| "pkg-config".to_owned());
    let out = Command::new(&program).args(arguments).output().map_err(|error| {
        format!("{program} could not be run ({error}): install it, and libdpdk (Debian: apt-get install pkg-config libdpdk-dev)")
    })?;
    if !out.status.success() {
        return Err(format!(
            "libdpdk {OLDEST} or later was not found by {program}: install it (Debian: apt-get install libdpdk-dev libclang-dev), \
             or build without the feature `catnip-dpdk`"
        ));
    }
    Ok(String::from_utf8_lossy(&out.stdout).split_whitespace().map(str::to_owned).collect())
}

pub fn build() -> Result<(), String> {
    println!("cargo:rerun-if-changed=shim");
    println!("cargo:rerun-if-env-changed=PKG_CONFIG");
    println!("cargo:rerun-if-env-changed=PKG_CONFIG_PATH");
    println!("cargo:rerun-if-env-changed=MARGAY_DPDK_DRIVERS");
    let found = format!("libdpdk >= {OLDEST}");
    pkg_config(&["--exists", &found])?;
    // All of them: without `-include rte_config.h` and the processor that DPDK was built for, structures would differ.
    let flags = pkg_config(&["--cflags", "libdpdk"])?;
    link()?;

    let mut shim = cc::Build::new();
    shim.file("shim/shim.c").warnings(true).extra_warnings(false);
    for flag in &flags {
        shim.flag(flag);
    }
    shim.try_compile("margay_dpdk_shim").map_err(|error| format!("the shim over libdpdk does not compile: {error}"))?;

    let out = PathBuf::from(env::var("OUT_DIR").map_err(|_| "cargo sets OUT_DIR".to_owned())?);
    bindgen::Builder::default()
        .header("shim/shim.h")
        .clang_args(&flags)
        .use_core()
        .allowlist_function(FUNCTIONS)
        .allowlist_var("MARGAY_.*")
        .opaque_type("rte_mbuf|rte_mempool|rte_ring|rte_device|rte_arp_ipv4|rte_arp_hdr")
        .derive_default(true)
        .layout_tests(true)
        .generate_comments(false)
        .generate()
        .map_err(|error| {
            format!("no bindings to libdpdk (they take libclang; Debian: apt-get install libclang-dev): {error}")
        })?
        .write_to_file(out.join("bindings.rs"))
        .map_err(|error| format!("the bindings to libdpdk cannot be written: {error}"))
}

/// Says what is linked: shared objects, whose drivers EAL finds by itself, or archives, whose drivers are named.
fn link() -> Result<(), String> {
    for path in pkg_config(&["--libs-only-L", "libdpdk"])? {
        println!("cargo:rustc-link-search=native={}", path.trim_start_matches("-L"));
    }
    if env::var_os("CARGO_FEATURE_STATIC").is_none() {
        for library in LIBRARIES {
            println!("cargo:rustc-link-lib=dylib={library}");
        }
        return Ok(());
    }
    let folder = pkg_config(&["--variable=libdir", "libdpdk"])?;
    for path in &folder {
        println!("cargo:rustc-link-search=native={path}");
    }
    let drivers = env::var("MARGAY_DPDK_DRIVERS").unwrap_or_else(|_| DRIVERS.to_owned());
    for driver in drivers.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        // Nobody calls a driver: it registers itself when the program starts, and so must be there whole.
        println!("cargo:rustc-link-lib=static:+whole-archive,-bundle=rte_{driver}");
    }
    let mut seen = Vec::new();
    for word in pkg_config(&["--static", "--libs", "libdpdk"])? {
        // Drivers stand there by the names of their archives (`-l:librte_net_ice.a`), all of them: those above are enough.
        let Some(library) = word.strip_prefix("-l").filter(|name| !name.starts_with(':')) else { continue };
        let is_dpdk = library.starts_with("rte_");
        // Some stand there for drivers that are left out, and need not be installed.
        if !seen.iter().any(|known| known == library) && (is_dpdk || is_installed(library)) {
            println!("cargo:rustc-link-lib={}={library}", if is_dpdk { "static" } else { "dylib" });
            seen.push(library.to_owned());
        }
    }
    Ok(())
}

/// Whether the compiler's linker finds a library; where that cannot be asked, it is for the linker to say.
fn is_installed(library: &str) -> bool {
    ["so", "a"].into_iter().any(|kind| {
        let file = format!("lib{library}.{kind}");
        let compiler = cc::Build::new().get_compiler();
        let asked = compiler.to_command().arg(format!("-print-file-name={file}")).output();
        // It gives back what it does not find.
        asked.map_or(true, |out| String::from_utf8_lossy(&out.stdout).trim() != file)
    })
}
