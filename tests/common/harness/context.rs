// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a role gets, and the calls that nearly every role makes.

use super::{Board, Random, Role};
use core::time::Duration;
use margay::{Config, Errno, LibOs, Qd, Qt, Sga};
use std::path::PathBuf;

/// The limit of every single wait; far beyond what any takes.
pub const LIMIT: Option<Duration> = Some(Duration::from_secs(20));

/// The name of the directory that is every role's, whatever its user.
pub(super) const SHARED: &str = "shared";

/// What a role gets.
pub struct Context {
    /// Which side this is.
    pub role: Role,
    /// The seed of the run: the same for all roles.
    pub seed: u64,
    /// What the test passed for this run.
    pub argument: u64,
    /// Where the pipes of this run are; private to it.
    pub pipes: PathBuf,
    /// The shared words.
    pub board: Board,
}

impl Context {
    /// The default configuration with the run's own directory, and the back end that the whole run was started with.
    pub fn config(&self) -> Config {
        let mut config = Config { libos: std::env::var(super::processes::LIBOS).ok(), ..Config::default() };
        config.catmem.directory = Some(self.pipes.clone());
        config
    }

    /// A directory in which each role may make files, whatever its user.
    pub fn shared(&self) -> PathBuf {
        self.pipes.with_file_name(SHARED)
    }

    /// A LibOs with the default configuration.
    pub fn libos(&self) -> LibOs {
        self.libos_with(|_| ())
    }

    /// A LibOs whose configuration is changed first.
    pub fn libos_with(&self, change: impl FnOnce(&mut Config)) -> LibOs {
        let mut config = self.config();
        change(&mut config);
        LibOs::new(&config).expect("the LibOs starts")
    }

    /// Random numbers that differ from the other role's.
    pub fn random(&self) -> Random {
        Random::new(self.seed ^ (self.role as u64 + 1) << 56)
    }

    /// Opens a pipe as soon as it is there.
    #[expect(clippy::unused_self, reason = "it belongs with the other things that a role does")]
    pub fn open(&self, libos: &mut LibOs, name: &str) -> Qd {
        // Each try is also a look at the pipes that are there.
        for _ in 0..200_000 {
            libos.poll();
            match libos.open_pipe(name) {
                Ok(qd) => return qd,
                Err(error) if matches!(error.errno(), Errno::NOENT | Errno::CONNREFUSED) => {
                    super::system::sleep(100_000);
                }
                Err(error) => panic!("opening {name}: {error}"),
            }
        }
        panic!("nobody made the pipe {name}");
    }
}

/// Waits for an operation that must succeed.
#[track_caller]
pub fn done(libos: &mut LibOs, qt: Qt) {
    libos.wait(qt, LIMIT).expect("it ends in time").ok().expect("it succeeds");
}

/// Pushes a message and waits for it.
#[track_caller]
pub fn push_message(libos: &mut LibOs, qd: Qd, message: &[u8]) {
    let qt = libos.push(qd, message).expect("the queue takes it");
    done(libos, qt);
}

/// Pops a message; an empty one is the end.
#[track_caller]
pub fn pop_message(libos: &mut LibOs, qd: Qd) -> Sga {
    let qt = libos.pop(qd, None).expect("the queue is open");
    libos.wait(qt, LIMIT).expect("it ends in time").into_message().expect("it succeeds")
}
