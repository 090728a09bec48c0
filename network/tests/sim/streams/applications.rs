// SPDX-License-Identifier: MIT OR Apache-2.0
//! Applications that push streams of bytes and pop them. They try a socket again only when its stack says that it is worth it, so
//! that one that is not woken stands still, and the test fails.

use crate::support::Run;
use core::net::SocketAddr;
use core::task::Poll;
use core::time::Duration;
use network::sim::{Host, NodeId, Wake};
use network::stack::StreamId;
use runtime::Errno;
use runtime::buf::Sga;
use runtime::socket::Domain;
use runtime::time::Time;
use std::cell::RefCell;
use std::collections::hash_map::DefaultHasher;
use std::hash::Hasher;
use std::rc::Rc;

/// The port that servers listen at.
pub const PORT: u16 = 7;

/// What one end of each connection does.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Bytes to push; then comes the end.
    pub bytes: u64,
    /// Makes the bytes, and the lengths of pushes and pops.
    pub seed: u64,
    /// The longest push.
    pub push: usize,
    /// The longest pop; 0: whatever is there.
    pub pop: usize,
}

/// One end of a connection.
pub struct End {
    pub id: StreamId,
    plan: Plan,
    state: u64,
    waiting: Option<Sga>,
    /// Bytes that were pushed, and popped.
    pub pushed: u64,
    pub popped: u64,
    pushed_hash: DefaultHasher,
    popped_hash: DefaultHasher,
    connected: bool,
    /// The stream has ended here, and there.
    pub shut: bool,
    pub ended: bool,
    pub failed: Option<Errno>,
}

/// Numbers that are not like each other.
pub const fn mix(seed: u64) -> u64 {
    let mut x = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Bytes from `at` on of the stream that a seed makes.
pub fn bytes(seed: u64, at: u64, len: usize) -> Vec<u8> {
    let from = (at % 8) as usize;
    let words = (from + len).div_ceil(8) as u64;
    let all: Vec<u8> = (at / 8..at / 8 + words).flat_map(|word| mix(seed ^ mix(word)).to_le_bytes()).collect();
    all[from..from + len].to_vec()
}

impl End {
    fn new(id: StreamId, plan: Plan, connected: bool) -> Self {
        Self {
            id,
            plan,
            state: plan.seed,
            waiting: None,
            pushed: 0,
            popped: 0,
            pushed_hash: DefaultHasher::new(),
            popped_hash: DefaultHasher::new(),
            connected,
            shut: false,
            ended: false,
            failed: None,
        }
    }

    fn below(&mut self, n: usize) -> usize {
        self.state = mix(self.state);
        (self.state % n.max(1) as u64) as usize
    }

    /// Does what can be done.
    fn work(&mut self, host: &mut Host, now: Time) {
        if !self.connected {
            match host.stack.stream_connected(self.id) {
                Poll::Ready(Ok(())) => self.connected = true,
                Poll::Ready(Err(error)) => self.failed = Some(error.errno()),
                Poll::Pending => return,
            }
        }
        self.push(host, now);
        self.pop(host, now);
    }

    fn push(&mut self, host: &mut Host, now: Time) {
        while !self.shut && self.failed.is_none() {
            if self.waiting.is_none() {
                if self.pushed == self.plan.bytes {
                    self.shut = true;
                    if let Err(error) = host.stack.stream_shutdown(self.id, now) {
                        self.failed = Some(error.errno());
                    }
                    return;
                }
                let most = (self.plan.bytes - self.pushed).min(self.plan.push as u64) as usize;
                let len = 1 + self.below(most);
                let data = bytes(self.plan.seed, self.pushed, len);
                // Without a buffer it tries again a little later.
                let Ok(message) = host.message(&data) else { return host.alarm(now + Duration::from_millis(5)) };
                self.pushed_hash.write(&data);
                self.pushed += len as u64;
                self.waiting = Some(message);
            }
            let Some(message) = &mut self.waiting else { return };
            match host.stack.stream_push(self.id, message, now) {
                Poll::Ready(Ok(())) => self.waiting = None,
                Poll::Ready(Err(error)) => self.failed = Some(error.errno()),
                Poll::Pending => return,
            }
        }
    }

    fn pop(&mut self, host: &mut Host, now: Time) {
        while !self.ended && self.failed.is_none() {
            let most = if self.plan.pop == 0 { None } else { Some(1 + self.below(self.plan.pop)) };
            match host.stack.stream_pop(self.id, most, now) {
                Poll::Ready(Ok(data)) if data.is_empty() => self.ended = true,
                Poll::Ready(Ok(data)) => {
                    let data = data.to_vec();
                    assert!(most.is_none_or(|most| data.len() <= most), "more than was asked for");
                    self.popped_hash.write(&data);
                    self.popped += data.len() as u64;
                }
                Poll::Ready(Err(error)) => self.failed = Some(error.errno()),
                Poll::Pending => return,
            }
        }
    }

    /// What it waits for, in words.
    pub fn shown(&self) -> String {
        let Self { plan, waiting, pushed, popped, shut, ended, failed, .. } = self;
        let rest = waiting.as_ref().map(Sga::len);
        format!(
            "pushed {pushed} of {}, {rest:?} waits, popped {popped}, shut {shut}, ended {ended}, {failed:?}",
            plan.bytes
        )
    }

    /// Whether all has gone both ways.
    pub const fn is_done(&self) -> bool {
        self.shut && self.ended
    }

    /// How many bytes it has popped, and their hash.
    pub fn got(&self) -> (u64, u64) {
        (self.popped, self.popped_hash.finish())
    }

    /// The same of what it has pushed.
    pub fn gave(&self) -> (u64, u64) {
        (self.pushed, self.pushed_hash.finish())
    }
}

/// The application of one host: its ends, in the order in which they came to be.
pub struct Application {
    listener: Option<(StreamId, Plan)>,
    pub ends: Vec<End>,
}

/// What the test and the host have in common.
pub type Shared = Rc<RefCell<Application>>;

impl Application {
    fn wake(&mut self, host: &mut Host, wake: Wake, now: Time) {
        let Wake::Stream(id, _) = wake else {
            return self.ends.iter_mut().for_each(|end| end.work(host, now));
        };
        if let Some((listener, plan)) = self.listener
            && listener == id
        {
            while let Poll::Ready(Ok(id)) = host.stack.stream_accept(id, now) {
                let seed = mix(plan.seed ^ self.ends.len() as u64);
                self.ends.push(End::new(id, Plan { seed, ..plan }, true));
                if let Some(end) = self.ends.last_mut() {
                    end.work(host, now);
                }
            }
        } else if let Some(end) = self.ends.iter_mut().find(|end| end.id == id) {
            end.work(host, now);
        }
    }

    /// Gives a host an application.
    pub fn on(run: &mut Run, node: NodeId) -> Shared {
        let shared: Shared = Rc::new(RefCell::new(Self { listener: None, ends: vec![] }));
        let its = Rc::clone(&shared);
        run.run_on(node, Box::new(move |host, wake, now| its.borrow_mut().wake(host, wake, now)));
        shared
    }
}

/// Lets a host's application listen; each connection follows the plan.
pub fn listen(run: &mut Run, node: NodeId, application: &Shared, address: SocketAddr, plan: Plan) {
    let id = run.call(node, |host, _| {
        let id = host.stack.stream_socket(Domain::of(&address)).unwrap();
        host.stack.stream_bind(id, address).unwrap();
        host.stack.stream_listen(id, 64).unwrap();
        id
    });
    application.borrow_mut().listener = Some((id, plan));
}

/// Lets a host's application connect.
pub fn connect(run: &mut Run, node: NodeId, application: &Shared, to: SocketAddr, plan: Plan) {
    let its = Rc::clone(application);
    run.call(node, |host, now| {
        let id = host.stack.stream_socket(Domain::of(&to)).unwrap();
        host.stack.stream_connect(id, to, now).unwrap();
        its.borrow_mut().ends.push(End::new(id, plan, false));
    });
}

/// Closes everything of a host's application.
pub fn close(run: &mut Run, node: NodeId, application: &Shared) {
    let mut application = application.borrow_mut();
    let ids: Vec<StreamId> =
        application.ends.iter().map(|end| end.id).chain(application.listener.map(|(id, _)| id)).collect();
    application.listener = None;
    application.ends.clear();
    drop(application);
    for id in ids {
        run.call(node, |host, now| assert_eq!(host.stack.stream_close(id, now), Poll::Ready(Ok(()))));
    }
}
