// SPDX-License-Identifier: MIT OR Apache-2.0
//! Closing stream sockets, with or without lingering.
//!
//! What was pushed lies in memory that the peer has, too: it survives this socket and this process. So a close has to
//! wait for nothing, unless the application wants to know that the peer has read it all, or that it never will.

use super::State;
use crate::greeting::Guests;
use crate::socket::{Shared, Sockets};
use core::task::Poll;
use core::time::Duration;
use runtime::Result;
use runtime::transport::{Handle, Transport};

/// Closes the stream socket of this handle. `Pending` while it lingers.
pub fn close(sockets: &mut Sockets, handle: Handle, guests: &mut Guests, shared: &mut Shared) -> Poll<Result<()>> {
    let stream = match sockets.get(handle) {
        Ok(stream) => stream,
        Err(error) => return Poll::Ready(Err(error)),
    };
    match &mut stream.state {
        State::Idle | State::Failed(_) => {}
        State::Connecting(_) => stream.give_up(handle, State::Idle, shared),
        State::Listening(_) => {
            if let State::Listening(listening) = core::mem::replace(&mut stream.state, State::Idle) {
                listening.door.shut(handle, guests, shared);
                for connection in listening.ready {
                    // As TCP does with what nobody has accepted: a reset.
                    shared.pipes.abort(connection);
                    sockets.remove(connection);
                }
            }
        }
        State::Connected { .. } => match stream.options.linger {
            Some(Duration::ZERO) => {
                shared.pipes.abort(handle);
                sockets.remove(handle);
                return Poll::Ready(Ok(()));
            }
            // If no leave can be taken there is nobody to wait for.
            Some(limit) if shared.pipes.take_leave(handle).is_ok() && shared.pipes.drained(handle).is_pending() => {
                let (mut place, at) = (None, shared.reactor.now() + limit);
                // Without a timer it cannot be waited for.
                if shared.deadlines.set(handle, &mut place, Some(at)).is_ok() {
                    stream.state = State::Lingering(place);
                    return Poll::Pending;
                }
            }
            Some(_) | None => {}
        },
        State::Lingering(until) => {
            // If the close was cancelled meanwhile, this one goes by the option as it is now.
            let waits = until.is_some() && stream.options.linger.is_some_and(|limit| !limit.is_zero());
            if waits && shared.pipes.drained(handle).is_pending() {
                return Poll::Pending;
            }
            let _ = shared.deadlines.set(handle, until, None);
        }
    }
    let closed = shared.pipes.close(handle);
    if closed.is_ready() {
        sockets.remove(handle);
    }
    closed
}
