// SPDX-License-Identifier: MIT OR Apache-2.0
//! Completions as C has them: `demi_qresult_t`.

use runtime::op::{Completion, Outcome};
use runtime::{Errno, Error};

use super::memory::Table;
use super::types::{QResult, ResultValue, SgArray, opcode};

const LATER: Error = Error::new(Errno::NOTSUP, "the operation has no opcode in C");

/// The result of one operation. A message goes into `memory`, where the caller has reserved room.
pub(super) fn result(completion: Completion, memory: &mut Table) -> QResult {
    let Completion { qd, qt, outcome } = completion;
    let outcome = match outcome {
        Outcome::Push => Ok((opcode::PUSH, SgArray::NULL)),
        Outcome::Pop(message) => memory.give_message(message).map(|sga| (opcode::POP, sga)),
        Outcome::Close => Ok((opcode::CLOSE, SgArray::NULL)),
        Outcome::Failed(error) => Err(error),
        _ => Err(LATER),
    };
    let (opcode, ret, sga) = match outcome {
        Ok((opcode, sga)) => (opcode, 0, sga),
        Err(error) => (opcode::FAILED, i64::from(error.errno().raw()), SgArray::NULL),
    };
    QResult { opcode, qd: qd.to_raw(), qt: qt.to_raw(), ret, value: ResultValue { sga } }
}
