// SPDX-License-Identifier: MIT OR Apache-2.0
//! Finds libdpdk by pkg-config, compiles the shim and makes the bindings. Without the feature `link` it does nothing.

#[cfg(feature = "link")]
mod link;

fn main() {
    println!("cargo:rerun-if-changed=build");
    #[cfg(feature = "link")]
    if let Err(message) = link::build() {
        println!("cargo:warning={message}");
        std::process::exit(1);
    }
}
