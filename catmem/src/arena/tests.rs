// SPDX-License-Identifier: MIT OR Apache-2.0
//! Descriptors that are checked against an arena, and ids on their way out and back.

use super::*;
use proptest::prelude::*;

const SLOT: usize = 4096;
const SLOTS: u16 = 4;
/// Where the ids come back in the test's segment; the arena is behind it.
const RETURNS_AT: usize = 1024;
const ARENA_AT: usize = 4096;

fn segment() -> Rc<Mapping> {
    Rc::new(Mapping::create(ARENA_AT + SLOT * usize::from(SLOTS)).unwrap().0)
}

fn arena(mapping: &Rc<Mapping>) -> (Outgoing, Incoming) {
    let outgoing = Outgoing::new(mapping, ARENA_AT, SLOT, SLOTS, RETURNS_AT);
    (outgoing, Incoming::new(mapping, RETURNS_AT))
}

#[test]
fn descriptors_at_every_edge() {
    let of = |id, offset, len| Descriptor { id, len, offset };
    let last = RETURNS as u32 - 1;
    let cases = [
        (of(0, 0, 1), 1, true),
        (of(0, 0, 4096), 4096, true),
        (of(last, 4095, 1), 4096, true),
        (of(0, 0, 4097), 4096, false),
        (of(0, 4096, 1), 4096, false),
        (of(0, 4095, 2), 4096, false),
        (of(0, 0, 0), 4096, false),
        (of(0, 4096, 0), 4096, false),
        (of(0, 0, 1), 0, false),
        (of(last + 1, 0, 1), 4096, false),
        (of(u32::MAX, 0, 1), 4096, false),
        (of(0, 0, u32::MAX), 4096, false),
        (of(0, u64::MAX, 1), 4096, false),
        (of(0, u64::MAX, u32::MAX), 4096, false),
        (of(0, u64::MAX - 4095, 4096), 4096, false),
        (of(0, 1 << 63, 1), 4096, false),
        (of(0, 0, u32::MAX), 1 << 36, true),
        (of(0, (1 << 36) - 1, 1), 1 << 36, true),
        (of(0, (1 << 36) - 1, 2), 1 << 36, false),
    ];
    for (descriptor, arena, ok) in cases {
        match Descriptor::from_bytes(&descriptor.to_bytes(), arena) {
            Ok(read) => assert!(ok && read == descriptor, "{descriptor:?} in {arena}"),
            Err(error) => assert!(!ok && error.errno() == Errno::PROTO, "{descriptor:?} in {arena}"),
        }
    }
}

#[test]
fn what_is_lent_lies_where_its_descriptor_says() {
    let mapping = segment();
    let (mut outgoing, incoming) = arena(&mapping);
    let mut buf = outgoing.alloc(1000).unwrap();
    buf.get_mut().unwrap().fill(7);
    assert!(outgoing.owns(&buf));
    buf.trim_front(10).unwrap();
    let at = buf.as_ptr();
    let descriptor = outgoing.lend(buf).unwrap();
    assert_eq!(descriptor.len, 990);
    assert!(Descriptor::from_bytes(&descriptor.to_bytes(), SLOT * usize::from(SLOTS)).is_ok());
    // SAFETY: only the address is taken.
    let expected = unsafe { mapping.base().add(ARENA_AT + descriptor.offset as usize) };
    assert_eq!(at, expected.as_ptr().cast_const());
    incoming.give_back(descriptor.id);
    outgoing.reap().unwrap();
    assert_eq!(outgoing.available().unwrap(), RETURNS);
}

#[test]
fn memory_is_not_used_again_before_it_came_back() {
    let mapping = segment();
    let (mut outgoing, incoming) = arena(&mapping);
    let lent: Vec<Descriptor> = (0..SLOTS)
        .map(|_| {
            let buf = outgoing.alloc(SLOT).unwrap();
            outgoing.lend(buf).unwrap()
        })
        .collect();
    assert_eq!(outgoing.alloc(1).unwrap_err().errno(), Errno::NOBUFS);
    assert_eq!(outgoing.alloc(SLOT + 1).unwrap_err().errno(), Errno::MSGSIZE);
    // In another order than they went out.
    for index in [2, 0, 3, 1] {
        incoming.give_back(lent[index].id);
        let buf = outgoing.alloc(SLOT).unwrap();
        assert_eq!(outgoing.alloc(1).unwrap_err().errno(), Errno::NOBUFS);
        let again = outgoing.lend(buf).unwrap();
        assert_eq!(again.offset, lent[index].offset);
    }
}

#[test]
fn ids_go_round_the_returns_area_many_times() {
    let mapping = segment();
    let (mut outgoing, incoming) = arena(&mapping);
    let slot = outgoing.alloc(1).unwrap();
    for lap in 0..5 {
        let mut lent = Vec::new();
        while let Some(descriptor) = outgoing.lend(slot.view().unwrap()) {
            lent.push(descriptor.id);
        }
        assert_eq!(lent.len(), RETURNS, "lap {lap}");
        lent.rotate_left(lap * 37);
        for &id in &lent {
            incoming.give_back(id);
        }
        assert_eq!(outgoing.available().unwrap(), RETURNS);
    }
    assert_eq!(slot.ref_count(), 1);
}

#[test]
fn ids_that_are_not_out_are_refused() {
    let mapping = segment();
    let (mut outgoing, incoming) = arena(&mapping);
    incoming.give_back(3);
    assert_eq!(outgoing.reap().unwrap_err().errno(), Errno::PROTO, "never lent");

    let (mut outgoing, incoming) = arena(&segment());
    let id = outgoing.alloc(1).map(|buf| outgoing.lend(buf).unwrap().id).unwrap();
    incoming.give_back(id);
    incoming.give_back(id);
    assert_eq!(outgoing.alloc(1).unwrap_err().errno(), Errno::PROTO, "twice");

    for id in [RETURNS as u32, RETURNS as u32 + 1, u32::MAX - 1] {
        let (mut outgoing, incoming) = arena(&segment());
        incoming.give_back(id);
        assert_eq!(outgoing.available().unwrap_err().errno(), Errno::PROTO, "{id} cannot be");
    }
}

#[test]
fn a_peer_that_keeps_giving_back_does_not_keep_this_side_busy() {
    let mapping = segment();
    let (mut outgoing, incoming) = arena(&mapping);
    let slot = outgoing.alloc(1).unwrap();
    while outgoing.lend(slot.view().unwrap()).is_some() {}
    (0..RETURNS as u32).for_each(|id| incoming.give_back(id));
    outgoing.reap().unwrap();
    // One lap is all that one call takes in, and the area is clear behind it.
    assert_eq!(outgoing.available().unwrap(), RETURNS);
}

proptest! {
    #[test]
    fn descriptors_never_reach_outside(bytes in any::<[u8; DESCRIPTOR]>(), arena in 0_usize..1 << 40) {
        if let Ok(descriptor) = Descriptor::from_bytes(&bytes, arena) {
            prop_assert!(descriptor.len != 0 && (descriptor.id as usize) < RETURNS);
            prop_assert!(u128::from(descriptor.offset) + u128::from(descriptor.len) <= arena as u128);
            prop_assert_eq!(descriptor.to_bytes(), bytes);
        }
    }

    #[test]
    fn ids_come_back_in_any_order(steps in prop::collection::vec((any::<bool>(), any::<usize>()), 1..2000)) {
        let mapping = segment();
        let (mut outgoing, incoming) = arena(&mapping);
        let slot = outgoing.alloc(1).unwrap();
        let mut out = Vec::new();
        for (lend, which) in steps {
            if lend && outgoing.available().unwrap() > 0 {
                out.push(outgoing.lend(slot.view().unwrap()).unwrap().id);
            } else if !out.is_empty() {
                incoming.give_back(out.swap_remove(which % out.len()));
            }
            prop_assert_eq!(outgoing.available().unwrap() + out.len(), RETURNS);
            prop_assert_eq!(slot.ref_count() as usize, 1 + out.len());
        }
    }
}
