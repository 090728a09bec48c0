# SPDX-License-Identifier: MIT OR Apache-2.0
# Thin names: the work is in cargo and scripts/.

PREFIX ?= /usr/local
DESTDIR ?=

.DEFAULT_GOAL := help
.PHONY: help setup run test lint bench sim fuzz miri asan loom install doc clean

help:  ## show these names
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' Makefile

setup: ## check for what is needed, and install it where that is allowed
	@scripts/setup

run: setup ## two processes talk through shared memory, and are measured
	cargo run --release --bin margay -- demo

test: setup ## every test: unit, property, model, paired processes, C
	@scripts/test

lint: setup ## format, clippy, documentation, and the house rules
	@scripts/lint

bench: setup ## measure pipes, sockets and the network stack against the limits of this machine
	cargo run --release --bin margay -- bench catmem
	cargo run --release --bin margay -- bench catloop
	cargo run --release --bin margay -- bench catcollar catnap
	cargo run --release --bin margay -- bench network
	[ -z "$$(scripts/features)" ] || cargo run --release $$(scripts/features) --bin margay -- bench dpdk

sim: setup ## TCP in 100,000 simulated networks (MARGAY_SIM_SEEDS), optimised
	@scripts/sim

fuzz: setup ## fuzz every target for FUZZ_SECONDS (60) each; needs nightly and cargo-fuzz
	@scripts/fuzz

miri: setup ## run the buffer and slab tests under Miri; needs nightly with miri
	@scripts/miri

asan: setup ## run tests, devices and soaks under AddressSanitizer
	@scripts/asan

loom: setup ## check every interleaving of wakers, doorbells and rings
	@scripts/loom

install: setup ## install library, headers, margay.pc, command and manual pages under PREFIX (/usr/local)
	@PREFIX="$(PREFIX)" DESTDIR="$(DESTDIR)" scripts/install

doc: setup ## build the documentation of every crate
	cargo doc --workspace --no-deps

clean: ## remove what was built
	cargo clean
