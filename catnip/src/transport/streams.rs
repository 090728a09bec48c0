// SPDX-License-Identifier: MIT OR Apache-2.0
//! Streams: connections that come and go, and bytes in order. The protocol is the stack's; here is what the LibOs sees of it.
//!
//! - A push is done when the stack has all of it, which may take it in parts; what goes on the wire, and when, is TCP's to say.
//! - A pop tells the stack that there is room again; what that has to send goes with the next look.

use super::{Catnip, DATAGRAMS};
use crate::entry::{Doing, Socket};
use core::net::SocketAddr;
use core::task::Poll;
use network::stack::{Readiness, StreamId};
use network::tcp::connection::State;
use runtime::buf::Sga;
use runtime::op::Direction;
use runtime::tcp_info::{TcpInfo, TcpState};
use runtime::transport::{Handle, PopMode, QueueId};
use runtime::{Errno, Error, Result};

const NOT_LISTENING: Error = Error::new(Errno::INVAL, "the socket does not listen");

impl Catnip {
    /// The stream socket that a handle means; of a datagram socket, the error that all calls for connections have.
    #[inline]
    pub(super) fn stream(&mut self, handle: Handle) -> Result<StreamId> {
        match self.table.get(handle)?.socket {
            Socket::Stream(id) => Ok(id),
            Socket::Datagram(_) => Err(DATAGRAMS),
        }
    }

    /// What can be called off about a socket, from now on.
    fn does(&mut self, handle: Handle, doing: Doing) {
        if let Ok(entry) = self.table.get(handle) {
            entry.doing = doing;
        }
    }

    pub(super) fn begin_listen(&mut self, handle: Handle, backlog: usize) -> Result<()> {
        let id = self.stream(handle)?;
        self.stack().stream_listen(id, backlog)?;
        self.does(handle, Doing::Listening);
        Ok(())
    }

    pub(super) fn listens(&mut self, handle: Handle) -> Result<()> {
        self.stream(handle)?;
        if self.table.get(handle)?.doing == Doing::Listening { Ok(()) } else { Err(NOT_LISTENING) }
    }

    pub(super) fn take_connection(&mut self, handle: Handle, queue: QueueId) -> Poll<Result<Handle>> {
        let id = match self.listens(handle).and_then(|()| self.stream(handle)) {
            Ok(id) => id,
            Err(error) => return Poll::Ready(Err(error)),
        };
        let now = self.reactor.now();
        match self.stack().stream_accept(id, now) {
            Poll::Ready(Ok(accepted)) => {
                self.counters.accepted += 1;
                // Who waited for room in the backlog may come in.
                self.more = true;
                Poll::Ready(Ok(self.table.insert(Socket::Stream(accepted), queue)))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => self.nic.failed().map_or(Poll::Pending, |error| Poll::Ready(Err(error))),
        }
    }

    pub(super) fn begin_connect(&mut self, handle: Handle, id: StreamId, to: SocketAddr) -> Result<()> {
        let now = self.reactor.now();
        self.stack().stream_connect(id, to, now)?;
        self.does(handle, Doing::Connecting);
        self.flush();
        Ok(())
    }

    pub(super) fn try_connected(&mut self, handle: Handle, id: StreamId) -> Poll<Result<()>> {
        let mut connected = self.stack().stream_connected(id);
        if connected.is_pending()
            && let Some(error) = self.nic.failed()
        {
            let now = self.reactor.now();
            self.stack().stream_give_up(id, now);
            connected = Poll::Ready(Err(error));
        }
        if let Poll::Ready(result) = connected
            && let Ok(entry) = self.table.get(handle)
            && entry.doing == Doing::Connecting
        {
            entry.doing = Doing::Nothing;
            match result {
                Ok(()) => self.counters.connected += 1,
                Err(_) => self.counters.refused += 1,
            }
            self.told_of_connection(handle);
        }
        connected
    }

    /// Operations that were begun behind a connect go on, or have nobody to go to.
    fn told_of_connection(&mut self, handle: Handle) {
        if let Ok(entry) = self.table.get(handle) {
            let socket = entry.socket;
            self.table.note(socket, Readiness { readable: true, writable: true });
        }
    }

    /// Pushes a message, or what is left of it.
    #[inline]
    pub(super) fn push_stream(&mut self, handle: Handle, id: StreamId, message: &mut Sga) -> Poll<Result<()>> {
        let now = self.reactor.now();
        let pushed = self.stack().stream_push(id, message, now);
        // What is heard from here on may be the very news that it waits for.
        self.table.tried(handle, Direction::Push, pushed.is_pending());
        self.flush();
        if self.nic.stack.stream_holds_back(id) {
            // Who only pushes would never take in the acknowledgments that let it go.
            self.look();
        }
        pushed
    }

    /// The beginning of a message may go with the SYN, if that has not left.
    pub(super) fn push_with_syn(&mut self, id: StreamId, message: &mut Sga) {
        let now = self.reactor.now();
        // What it says of the connection is heard by the connect, and then by the push of what is left.
        let _ = self.stack().stream_push(id, message, now);
        self.flush();
    }

    /// Pops what has come. What that lets the stack say to the peer goes with the next look, which comes before any sleep.
    #[inline]
    pub(super) fn pop_stream(&mut self, id: StreamId, mode: PopMode) -> Poll<Result<Sga>> {
        let at_most = match mode {
            PopMode::AtMost(size) => Some(size.get()),
            PopMode::Whole | PopMode::InPlace => None,
        };
        let now = self.reactor.now();
        let popped = self.stack().stream_pop(id, at_most, now);
        self.more |= popped.is_ready();
        popped
    }

    pub(super) fn shut_stream(&mut self, id: StreamId) -> Result<()> {
        let now = self.reactor.now();
        let shut = self.stack().stream_shutdown(id, now);
        self.flush();
        shut
    }

    /// Ends a stream. `Pending`: it lingers, and is woken when everything has arrived, or when its time is over.
    pub(super) fn close_stream(&mut self, handle: Handle, id: StreamId) -> Poll<Result<()>> {
        let now = self.reactor.now();
        let closed = self.stack().stream_close(id, now);
        let closed = if closed.is_pending() && self.nic.failed().is_some() {
            // Nobody will ever say that he has it.
            self.stack().stream_abort(id, now);
            Poll::Ready(Ok(()))
        } else {
            closed
        };
        if closed.is_pending() {
            self.does(handle, Doing::Lingering);
            self.table.tried(handle, Direction::Push, true);
        }
        self.flush();
        closed
    }

    /// How a connection fares; of a socket without one, that it has none.
    pub(super) fn info_of_stream(&mut self, handle: Handle, id: StreamId) -> Result<TcpInfo> {
        let now = self.reactor.now();
        if self.table.get(handle)?.doing == Doing::Listening {
            return Ok(TcpInfo::in_state(TcpState::Listen));
        }
        let info = match self.nic.stack.stream_info(id, now) {
            Err(error) if error.errno() == Errno::NOTCONN => return Ok(TcpInfo::default()),
            info => info?,
        };
        let mut told = TcpInfo::in_state(state(info.state));
        (told.timestamps, told.sack, told.ecn, told.scales) = (info.timestamps, info.sack, info.ecn, info.scales);
        told.mss = info.mss.into();
        (told.rtt, told.rtt_variance, told.rtt_min, told.rto) = (info.rtt, info.rtt_variance, info.rtt_min, info.rto);
        told.congestion_window = info.congestion_window.into();
        told.threshold = (info.threshold != u32::MAX).then_some(info.threshold.into());
        (told.send_window, told.receive_window) = (info.send_window, info.receive_window);
        (told.in_flight, told.unsent) = (info.in_flight.into(), info.unsent);
        (told.retransmits, told.timeouts) = (info.retransmits, info.timeouts);
        (told.pacing_rate, told.delivery_rate) = (info.pacing_rate, info.delivery_rate);
        (told.bytes_acknowledged, told.bytes_received) = (info.bytes_acknowledged, info.bytes_received);
        (told.segments_sent, told.segments_received) = (info.segments_sent, info.segments_received);
        Ok(told)
    }

    /// What was begun on a stream in the direction of its pushes is not waited for any more.
    pub(super) fn called_off(&mut self, handle: Handle, id: StreamId) {
        let now = self.reactor.now();
        let Ok(entry) = self.table.get(handle) else { return };
        match entry.doing {
            Doing::Connecting => {
                entry.doing = Doing::Nothing;
                self.stack().stream_give_up(id, now);
                self.told_of_connection(handle);
            }
            Doing::Lingering => {
                entry.doing = Doing::Nothing;
                self.stack().stream_keep(id);
            }
            // Of a push, what has gone is the beginning.
            Doing::Nothing | Doing::Listening => self.stack().stream_forget_push(id),
        }
        self.flush();
    }
}

const fn state(state: State) -> TcpState {
    match state {
        State::SynSent => TcpState::SynSent,
        State::SynReceived => TcpState::SynReceived,
        State::Established => TcpState::Established,
        State::FinWait1 => TcpState::FinWait1,
        State::FinWait2 => TcpState::FinWait2,
        State::CloseWait => TcpState::CloseWait,
        State::Closing => TcpState::Closing,
        State::LastAck => TcpState::LastAck,
        State::TimeWait => TcpState::TimeWait,
        State::Closed => TcpState::Closed,
    }
}
