// SPDX-License-Identifier: MIT OR Apache-2.0
//! The whole transition table: every change in every state, committed and aborted.

use super::*;

fn in_state(state: State) -> Machine {
    Machine { state, ..Machine::new() }
}

const ALL: [State; 4] = [State::Opening, State::Open, State::Closing, State::Closed];

#[test]
fn a_new_end_waits_for_its_peer_and_lets_bytes_flow() {
    let machine = Machine::new();
    assert_eq!((machine.state, machine.write(), machine.read()), (State::Opening, Half::Open, Half::Open));
}

#[test]
fn joining_opens_only_what_waited_for_it() {
    for (before, after) in ALL.into_iter().zip([State::Open, State::Open, State::Closing, State::Closed]) {
        let mut machine = in_state(before);
        machine.joined();
        assert_eq!(machine.state, after, "from {before:?}");
    }
}

#[test]
fn preparing_a_close_in_every_state() {
    let expected = [Ok(()), Ok(()), Err(Errno::ALREADY), Err(Errno::BADF)];
    for (before, expected) in ALL.into_iter().zip(expected) {
        let mut machine = in_state(before);
        let prepared = machine.prepare_close();
        assert_eq!(prepared.as_ref().map(drop).map_err(|error| error.errno()), expected, "from {before:?}");
        let after = if expected.is_ok() { State::Closing } else { before };
        assert_eq!(machine.state, after, "from {before:?}");
        assert_eq!((machine.write(), machine.read()), (Half::Open, Half::Open), "a preparation ends nothing");
    }
}

#[test]
fn an_aborted_close_leaves_the_state_as_it_was() {
    for before in [State::Opening, State::Open] {
        let mut machine = in_state(before);
        machine.end_write().unwrap();
        let prepared = machine.prepare_close().unwrap();
        // What arrives meanwhile changes nothing.
        machine.joined();
        assert_eq!(machine.prepare_close().unwrap_err().errno(), Errno::ALREADY);
        machine.abort_close(prepared);
        assert_eq!((machine.state, machine.write(), machine.read()), (before, Half::Ended, Half::Open));
        let again = machine.prepare_close().unwrap();
        machine.commit_close(again);
        assert_eq!(machine.state, State::Closed);
    }
}

#[test]
fn a_committed_close_ends_both_halves_for_good() {
    for before in [State::Opening, State::Open] {
        let mut machine = in_state(before);
        let prepared = machine.prepare_close().unwrap();
        machine.commit_close(prepared);
        machine.joined();
        assert_eq!((machine.state, machine.write(), machine.read()), (State::Closed, Half::Ended, Half::Ended));
        assert_eq!(machine.prepare_close().unwrap_err().errno(), Errno::BADF);
        assert_eq!(machine.end_write().unwrap_err().errno(), Errno::PIPE);
    }
}

#[test]
fn halves_end_once_and_apart_from_each_other() {
    for state in ALL {
        let mut machine = in_state(state);
        machine.end_write().unwrap();
        assert_eq!((machine.write(), machine.read()), (Half::Ended, Half::Open));
        assert_eq!(machine.end_write().unwrap_err().errno(), Errno::PIPE);
        machine.end_read();
        machine.end_read();
        assert_eq!((machine.state, machine.write(), machine.read()), (state, Half::Ended, Half::Ended));

        let mut machine = in_state(state);
        machine.end_read();
        assert_eq!((machine.write(), machine.read()), (Half::Open, Half::Ended));
    }
}
