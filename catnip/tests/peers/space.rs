// SPDX-License-Identifier: MIT OR Apache-2.0
//! Hosts of the kernel: network namespaces (`network_namespaces(7)`) that no name is needed for. Each belongs to a thread, and is gone
//! with it, and with the programs and sockets that were made there, whatever becomes of the test.

use std::fs::File;
use std::io::Write;
use std::net::UdpSocket;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

type Job = Box<dyn FnOnce() + Send>;

/// Puts this thread into a network of its own. False, and a line that says so, if this user may not do that.
pub fn own(test: &str) -> bool {
    if let Err(error) = unshare() {
        // Not through the test runner's hands, which hides what a test prints that goes well.
        writeln!(std::io::stderr(), "skipped - {test}: a network of its own needs root: {error}").expect("stderr");
        return false;
    }
    // Only our stack is to be heard from here.
    sysctl("ipv6.conf.default.disable_ipv6", "1");
    ip("link set lo up\n");
    true
}

fn unshare() -> rustix::io::Result<()> {
    // SAFETY: another network is of no concern to memory; descriptors stay as they are.
    unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNET) }
}

/// Has `ip(8)` do these things in this thread's network, one on each line.
pub fn ip(batch: &str) {
    let mut child = Command::new("ip").args(["-batch", "-"]).stdin(Stdio::piped()).spawn().expect("iproute2 is there");
    child.stdin.take().expect("it has one").write_all(batch.as_bytes()).expect("it reads");
    let status = child.wait().expect("it is ours");
    assert!(status.success(), "ip could not do all of\n{batch}");
}

/// Sets a limit of this thread's network: a name as `sysctl(8)` has it, below `net`.
pub fn sysctl(name: &str, value: &str) {
    let path = format!("/proc/sys/net/{}", name.replace('.', "/"));
    std::fs::write(&path, value).unwrap_or_else(|error| panic!("{path}: {error}"));
}

/// A host of the kernel: a network, and a thread in it that does what it is told.
pub struct Space {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    path: String,
}

impl Space {
    /// Without interfaces but its loopback; its addresses are used without being tried first.
    pub fn new() -> Self {
        let (jobs, todo) = channel::<Job>();
        let (tell, told) = channel();
        let thread = std::thread::spawn(move || {
            unshare().expect("the test has done the same");
            sysctl("ipv6.conf.default.disable_ipv6", "0");
            sysctl("ipv6.conf.default.accept_dad", "0");
            ip("link set lo up\n");
            let (process, thread) = (std::process::id(), rustix::thread::gettid().as_raw_nonzero());
            tell.send(format!("/proc/{process}/task/{thread}/ns/net")).expect("somebody made it");
            for job in todo {
                job();
            }
        });
        let path = told.recv().expect("the thread has begun");
        Self { jobs: Some(jobs), thread: Some(thread), path }
    }

    /// Its name for `ip link set .. netns`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Does something there.
    pub fn run<T: Send + 'static>(&self, act: impl FnOnce() -> T + Send + 'static) -> T {
        let (done, result) = channel();
        let job = Box::new(move || drop(done.send(act())));
        self.jobs.as_ref().expect("until it is dropped").send(job).expect("the thread is there");
        result.recv().expect("it was done")
    }

    /// [`ip`] there.
    pub fn ip(&self, batch: &str) {
        let batch = batch.to_owned();
        self.run(move || ip(&batch));
    }

    /// [`sysctl`] there.
    pub fn sysctl(&self, name: &str, value: &str) {
        let (name, value) = (name.to_owned(), value.to_owned());
        self.run(move || sysctl(&name, &value));
    }

    /// A socket there, which does not wait.
    pub fn udp(&self, address: &str) -> UdpSocket {
        let address = address.to_owned();
        self.run(move || {
            let socket = UdpSocket::bind(address).expect("the address is there");
            socket.set_nonblocking(true).expect("a flag");
            socket
        })
    }

    /// Starts a program there, whose output is kept.
    pub fn start(&self, program: &str, arguments: &[&str]) -> Program {
        let said = tempfile::NamedTempFile::new().expect("room for a file");
        let output = said.reopen().expect("it is there");
        let errors = output.try_clone().expect("a descriptor can be copied");
        let name = program.to_owned();
        // Who is left over would go on in a network without a way out, and so it ends with its host.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", program]).args(arguments).env("LC_ALL", "C");
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        let child = self.run(move || command.spawn()).unwrap_or_else(|error| panic!("{name}: {error}"));
        Program { child, said }
    }

    /// Runs a program there that needs nobody else, and gives its output.
    pub fn output(&self, program: &str, arguments: &[&str]) -> String {
        let mut program = self.start(program, arguments);
        let status = program.child.wait().expect("it is ours");
        let said = program.said();
        assert!(status.success(), "{arguments:?}: {status}: {said}");
        said
    }

    /// Rules for `nft(8)` there.
    pub fn nft(&self, rules: &str) {
        let mut file = tempfile::NamedTempFile::new().expect("room for a file");
        file.write_all(rules.as_bytes()).expect("room for rules");
        let path = file.path().to_str().expect("a plain name").to_owned();
        self.output("nft", &["-f", &path]);
    }

    /// Packets that one of the named counters of these rules has seen.
    pub fn counted(&self, family: &str, table: &str, counter: &str) -> u64 {
        let said = self.output("nft", &["list", "counter", family, table, counter]);
        let number = said.split("packets ").nth(1).and_then(|rest| rest.split_whitespace().next()?.parse().ok());
        number.unwrap_or_else(|| panic!("no number of packets: {said}"))
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // It has panicked if a job has, and then the test knows.
            let _ = thread.join();
        }
    }
}

/// A program on a host; it ends with this.
pub struct Program {
    child: Child,
    said: tempfile::NamedTempFile,
}

impl Program {
    /// How it ended, once it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("it is ours")
    }

    /// What it has said until now.
    pub fn said(&self) -> String {
        let mut file: File = self.said.reopen().expect("it is there");
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut file, &mut bytes).expect("it can be read");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Ends it without a word.
    pub fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) -> ExitStatus {
        // It may have ended by itself.
        let _ = self.child.kill();
        self.child.wait().unwrap_or_else(|_| ExitStatus::from_raw(0))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.end();
    }
}
