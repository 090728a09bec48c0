// SPDX-License-Identifier: MIT OR Apache-2.0
//! Completions as C has them: `demi_qresult_t`.

use runtime::op::{Completion, Datagram, Outcome};
use runtime::{Errno, Error, Result};

use super::memory::Table;
use super::types::{AcceptResult, QResult, ResultValue, SgArray, SockAddrIn, opcode};
use crate::LibOs;

const LATER: Error = Error::new(Errno::NOTSUP, "the operation has no opcode in C");
const NOTHING: ResultValue = ResultValue { sga: SgArray::NULL };

/// The result of one operation. A message goes into `memory`, where the caller has reserved room.
pub(super) fn result(completion: Completion, memory: &mut Table, libos: &mut LibOs) -> QResult {
    let Completion { qd, qt, outcome } = completion;
    let outcome = match outcome {
        Outcome::Push => Ok((opcode::PUSH, NOTHING)),
        Outcome::Pop(message) => memory.give_message(message).map(|sga| (opcode::POP, ResultValue { sga })),
        Outcome::Datagram(datagram) => give(datagram, memory).map(|sga| (opcode::POP, ResultValue { sga })),
        Outcome::Accept(connection) => {
            // The peer may have gone meanwhile, and its address with it: the connection then says so.
            let addr = match libos.is_unix(connection) {
                Ok(true) => SockAddrIn::unix(),
                _ => libos.peer_address(connection).map_or(SockAddrIn::NONE, SockAddrIn::from),
            };
            // The rest of the union stays zero.
            let mut value = NOTHING;
            value.accept = AcceptResult { qd: connection.to_raw(), addr };
            Ok((opcode::ACCEPT, value))
        }
        Outcome::Connect => Ok((opcode::CONNECT, NOTHING)),
        Outcome::Close => Ok((opcode::CLOSE, NOTHING)),
        Outcome::Failed(error) => Err(error),
        _ => Err(LATER),
    };
    let (opcode, ret, value) = match outcome {
        Ok((opcode, value)) => (opcode, 0, value),
        Err(error) => (opcode::FAILED, i64::from(error.errno().raw()), NOTHING),
    };
    QResult { opcode, qd: qd.to_raw(), qt: qt.to_raw(), ret, value }
}

fn give(mut datagram: Datagram, memory: &mut Table) -> Result<SgArray> {
    let array = memory.give_message(datagram.take_message())?;
    let addr = SockAddrIn::from(&datagram);
    memory.note_sender(array.handle, datagram)?;
    Ok(SgArray { addr, ..array })
}
