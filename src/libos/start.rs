// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why a LibOs could not be made.

use crate::config::ConfigError;
use runtime::Error;

/// Why a LibOs could not be made.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration is not right; the message says where and what to do.
    Config(ConfigError),
    /// A system call failed.
    System(Error),
}

impl StartError {
    /// The same as an errno with a short reason: what C gets.
    #[must_use]
    pub fn error(&self) -> Error {
        match self {
            Self::Config(error) => Error::new(error.errno(), "the configuration is not right"),
            Self::System(error) => *error,
        }
    }
}

impl core::fmt::Display for StartError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::System(error) => write!(f, "the LibOs could not start: {error}"),
        }
    }
}

impl core::error::Error for StartError {}

impl From<ConfigError> for StartError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<Error> for StartError {
    fn from(error: Error) -> Self {
        Self::System(error)
    }
}
