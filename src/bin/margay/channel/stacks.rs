// SPDX-License-Identifier: MIT OR Apache-2.0
//! The words for what is measured of network stacks: whose, which way, and what is done to bytes and connections.

use serde::{Deserialize, Serialize};

/// What takes datagrams between an application and a device that is memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stack {
    /// Margay's own.
    Margay,
    /// smoltcp.
    Smoltcp,
    /// A loop that copies the bytes and looks at nothing: the limit.
    Copy,
}

impl Stack {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Margay => "margay",
            Self::Smoltcp => "smoltcp",
            Self::Copy => "bare copy",
        }
    }
}

/// What connections of Margay's own stack do, between two of them whose devices are memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Connections {
    /// They come and go.
    Visit,
    /// One works, beside so many on which nothing happens.
    Crowd(u32),
}

/// What is done to many bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Bulk {
    /// They go over a TCP connection from one stack of Margay's to another.
    Stream,
    /// They are copied once and summed at both ends: the limit.
    BothEnds,
    /// They are summed and copied once.
    Once,
}

impl Bulk {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stream => "margay",
            Self::BothEnds => "copied, summed at both ends",
            Self::Once => "copied, summed once",
        }
    }
}

/// Which way datagrams go through a stack, or what else goes through it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Way {
    /// From the device to the application.
    In,
    /// From the application to the device.
    Out,
    /// Over a TCP connection from one stack to another of its kind, in and out of both, with its acknowledgments.
    Stream,
}

/// What is done with bytes that lie in the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Work {
    /// Their Internet checksum is computed.
    Checksum,
    /// They are read.
    Read,
    /// They are copied.
    Copy,
}

impl Work {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Checksum => "checksum",
            Self::Read => "bare read",
            Self::Copy => "bare copy",
        }
    }
}

/// What goes over a veth pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Carries {
    /// UDP.
    Datagrams,
    /// TCP.
    Stream,
}

/// Whose sockets are at both ends of a veth pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ends {
    /// Margay's, on its own stack over packet sockets.
    Catnip,
    /// The kernel's.
    Kernel,
}
