// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the back ends over kernel sockets share: making sockets, naming them, their options and their errors.
