// SPDX-License-Identifier: MIT OR Apache-2.0
mod flow;
mod forged;
mod handshake;
mod pair;
mod probing;
mod states;
mod timers;
mod transfer;
