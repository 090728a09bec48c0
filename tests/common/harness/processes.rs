// SPDX-License-Identifier: MIT OR Apache-2.0
//! Starting the processes, watching them, and cleaning up behind them.

use super::board::{Board, ENDED, KILLED_AT};
use super::system::{now, sleep};
use super::{Context, Random};
use core::time::Duration;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};

const ROLE: &str = "MARGAY_TEST_ROLE";
const NAME: &str = "MARGAY_TEST_NAME";
const DIRECTORY: &str = "MARGAY_TEST_DIRECTORY";
const ARGUMENT: &str = "MARGAY_TEST_ARGUMENT";
const PARENT: &str = "MARGAY_TEST_PARENT";
const SEED: &str = "MARGAY_TEST_SEED";
/// The back end of the roles, for tests that do not choose one: what `LIBOS` says in the first process.
pub(super) const LIBOS: &str = "MARGAY_TEST_LIBOS";
/// Of each log, so much of its end is shown.
const SHOWN: usize = 16 * 1024;

/// A process of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Usually the side that creates.
    Server,
    /// Usually the side that opens.
    Client,
    /// A third one, which means no good.
    Intruder,
}

/// Whether this process is one of those that play a role, and not the first one.
pub fn is_role() -> bool {
    std::env::var_os(ROLE).is_some()
}

/// Whether roles can run as another user. The roles themselves are not asked: they are there because it can be.
pub fn can_change_user() -> bool {
    is_role() || rustix::process::geteuid().is_root()
}

struct Part<'a> {
    role: Role,
    uid: Option<u32>,
    act: Box<dyn FnOnce(&Context) + 'a>,
}

struct Kill {
    role: Role,
    word: usize,
    delay: Duration,
}

/// A test with several processes; see the module.
pub struct Pair<'a> {
    name: String,
    parts: Vec<Part<'a>>,
    argument: u64,
    deadline: Duration,
    kill: Option<Kill>,
    meanwhile: Option<Meanwhile<'a>>,
}

/// What the first process makes in the directory of a run, before the others start, and drops behind them.
type Meanwhile<'a> = Box<dyn FnOnce(&Path) -> Box<dyn core::any::Any> + 'a>;

/// What is left of a run that went well.
pub struct Report {
    /// The shared words as the processes left them.
    pub board: Board,
    /// Names that were there when all processes had ended.
    left: Vec<String>,
}

impl Report {
    /// No name of a pipe was left behind.
    ///
    /// # Panics
    /// If there was one.
    pub fn assert_no_pipes(&self) {
        let pipes = self.left.iter().filter(|name| super::system::is_pipe(name));
        assert_eq!(pipes.count(), 0, "names of pipes were left behind");
    }

    /// No file at all was left behind.
    ///
    /// # Panics
    /// If there was one.
    pub fn assert_no_files(&self) {
        assert!(self.left.is_empty(), "files were left behind: {:?}", self.left);
    }
}

impl<'a> Pair<'a> {
    /// For a function inside the test function; the macro `pair!` gives its path.
    pub fn new(path: &str) -> Self {
        let path = path.split_once("::").map_or(path, |(_crate, path)| path);
        let name = path.strip_suffix("::here").unwrap_or(path).to_owned();
        Self { name, parts: Vec::new(), argument: 0, deadline: Duration::from_mins(1), kill: None, meanwhile: None }
    }

    fn part(mut self, role: Role, act: impl FnOnce(&Context) + 'a) -> Self {
        self.parts.push(Part { role, uid: None, act: Box::new(act) });
        self
    }

    /// What the server does.
    pub fn server(self, act: impl FnOnce(&Context) + 'a) -> Self {
        self.part(Role::Server, act)
    }

    /// What the client does.
    pub fn client(self, act: impl FnOnce(&Context) + 'a) -> Self {
        self.part(Role::Client, act)
    }

    /// What a third process does.
    pub fn intruder(self, act: impl FnOnce(&Context) + 'a) -> Self {
        self.part(Role::Intruder, act)
    }

    /// The role that was named last runs under this user; only root can do that.
    pub fn uid(mut self, uid: u32) -> Self {
        self.parts.last_mut().expect("a role was named").uid = Some(uid);
        self
    }

    /// What the roles find in [`Context::argument`].
    pub fn argument(mut self, argument: u64) -> Self {
        self.argument = argument;
        self
    }

    /// All processes must have ended by then.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// What the first process has while the others run, made in the directory of the pipes.
    pub fn meanwhile<T: 'static>(mut self, make: impl FnOnce(&Path) -> T + 'a) -> Self {
        self.meanwhile = Some(Box::new(|directory| Box::new(make(directory))));
        self
    }

    /// Kills this role with SIGKILL, `delay` after a word of the board was set.
    pub fn kill(mut self, role: Role, word: usize, delay: Duration) -> Self {
        self.kill = Some(Kill { role, word, delay });
        self
    }

    /// Runs the processes. Returns in the first process only, when all others have ended well.
    ///
    /// # Panics
    /// If one of them fails or is not done in time, with the logs of all.
    pub fn run(self) -> Report {
        match std::env::var(ROLE) {
            Ok(role) => self.act(&role),
            Err(_) => self.start(),
        }
    }

    /// In one of the processes: plays the role.
    fn act(self, role: &str) -> ! {
        let variable = |name: &str| std::env::var(name).expect("the harness has set it");
        let number = |name: &str| variable(name).parse::<u64>().expect("it is a number");
        // Nobody is left behind if the first process is killed.
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL)).expect("prctl works");
        let parent = std::os::unix::process::parent_id();
        assert_eq!(u64::from(parent), number(PARENT), "the first process is there");
        assert_eq!(self.name, variable(NAME), "the name found its test");
        let directory = PathBuf::from(variable(DIRECTORY));
        let part = self.parts.into_iter().find(|part| format!("{:?}", part.role) == role).expect("the role is known");
        let context = Context {
            role: part.role,
            seed: number(SEED),
            argument: number(ARGUMENT),
            pipes: directory.join("pipes"),
            board: Board::open(&directory),
        };
        (part.act)(&context);
        context.board.set(ENDED + part.role as usize, 1);
        std::process::exit(0);
    }

    /// In the first process.
    fn start(self) -> Report {
        let seed = std::env::var(SEED).ok().and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or_else(|| Random::new(now() ^ u64::from(std::process::id()) << 40).next());
        let directory =
            tempfile::Builder::new().prefix("margay-test-").tempdir().expect("there is room for temporary files");
        let pipes = directory.path().join("pipes");
        std::fs::create_dir(&pipes).expect("a directory can be made");
        std::fs::set_permissions(&pipes, PermissionsExt::from_mode(0o700)).expect("it is ours");
        std::fs::create_dir(directory.path().join(super::context::SHARED)).expect("a directory can be made");
        let board = Board::open(directory.path());
        if self.parts.iter().any(|part| part.uid.is_some()) {
            let open = |path: &Path, mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode));
            open(directory.path(), 0o711).expect("it is ours");
            open(&directory.path().join("board"), 0o666).expect("it is ours");
            open(&directory.path().join(super::context::SHARED), 0o777).expect("it is ours");
        }
        let held = self.meanwhile.map(|make| make(&pipes));
        let mut processes = Processes { all: Vec::new(), name: self.name.clone(), seed };
        for part in &self.parts {
            processes.spawn(part, directory.path(), self.argument);
        }
        processes.watch(&board, self.deadline, self.kill);
        drop(held);
        let left = super::system::files(&pipes);
        Report { board, left }
    }
}

struct Process {
    role: Role,
    child: Child,
    log: PathBuf,
    ended: Option<ExitStatus>,
}

struct Processes {
    all: Vec<Process>,
    name: String,
    seed: u64,
}

impl Processes {
    fn spawn(&mut self, part: &Part<'_>, directory: &Path, argument: u64) {
        let log = directory.join(format!("{:?}.log", part.role));
        let output = File::create(&log).expect("a log can be made");
        let errors = output.try_clone().expect("a descriptor can be copied");
        let mut command = Command::new(std::env::current_exe().expect("the binary is there"));
        command.args([self.name.as_str(), "--exact", "--nocapture", "--test-threads=1", "--include-ignored"]);
        command.env(ROLE, format!("{:?}", part.role)).env(NAME, &self.name).env(DIRECTORY, directory);
        command.env(ARGUMENT, argument.to_string()).env(SEED, self.seed.to_string());
        command.env(PARENT, std::process::id().to_string()).env_remove("CONFIG_PATH").env_remove("LIBOS");
        command.stdin(std::process::Stdio::null()).stdout(output).stderr(errors);
        if let Some(libos) = std::env::var_os("LIBOS") {
            command.env(LIBOS, libos);
        }
        if let Some(uid) = part.uid {
            command.uid(uid).gid(uid);
        }
        let child = command.spawn().expect("a process can be started");
        self.all.push(Process { role: part.role, child, log, ended: None });
    }

    /// Returns when all have ended as they should.
    fn watch(&mut self, board: &Board, limit: Duration, mut kill: Option<Kill>) {
        let deadline = now() + limit.as_nanos() as u64;
        let killed = kill.as_ref().map(|kill| kill.role);
        loop {
            if let Some(Kill { role, word, delay }) = kill
                && board.get(word) != 0
            {
                let at = now() + delay.as_nanos() as u64;
                while now() < at {
                    core::hint::spin_loop();
                }
                board.set(KILLED_AT, now());
                let victim = self.all.iter_mut().find(|process| process.role == role).expect("the role has a process");
                victim.child.kill().expect("the process is ours");
                kill = None;
            }
            let mut running = false;
            for index in 0..self.all.len() {
                let process = &mut self.all[index];
                if process.ended.is_some() {
                    continue;
                }
                process.ended = process.child.try_wait().expect("the process is ours");
                let Some(status) = process.ended else {
                    running = true;
                    continue;
                };
                let role = process.role;
                // One that is to be killed may be faster.
                let as_it_should = (status.success() && board.get(ENDED + role as usize) == 1)
                    || (status.signal() == Some(9) && killed == Some(role) && kill.is_none());
                if !as_it_should {
                    self.fail(&format!("the {role:?} ended with {status}"));
                }
            }
            if !running {
                return;
            }
            if now() > deadline {
                let late: Vec<Role> =
                    self.all.iter().filter(|process| process.ended.is_none()).map(|process| process.role).collect();
                self.fail(&format!("{late:?} not done after {limit:?}"));
            }
            sleep(200_000);
        }
    }

    fn fail(&mut self, why: &str) -> ! {
        self.kill_all();
        let mut panics = String::new();
        for process in &self.all {
            let log = std::fs::read(&process.log).unwrap_or_default();
            let log = String::from_utf8_lossy(&log[log.len().saturating_sub(SHOWN)..]);
            println!("---- {:?} of {}: {:?}\n{log}", process.role, self.name, process.ended);
            if let Some((_, panic)) = log.split_once("panicked at ") {
                for line in panic.lines().take(2) {
                    panics.push_str("; ");
                    panics.push_str(line);
                }
            }
        }
        // Not through the test runner's hands, which shows it thousands of lines later: what ran beside it may tell something, too.
        let line = format!("failed - {}: {why}{panics}\n", self.name);
        std::io::stderr().write_all(line.as_bytes()).expect("stderr");
        panic!("{why}; again with MARGAY_TEST_SEED={} {}", self.seed, self.name);
    }

    fn kill_all(&mut self) {
        for process in &mut self.all {
            if process.ended.is_none() {
                // It may have ended in between.
                let _ = process.child.kill();
                process.ended = process.child.wait().ok();
            }
        }
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        self.kill_all();
    }
}
