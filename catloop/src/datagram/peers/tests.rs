// SPDX-License-Identifier: MIT OR Apache-2.0
//! A socket's peers against plain vectors that are searched from end to end.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Insert(u16),
    Remove(prop::sample::Index),
    Lose(prop::sample::Index),
    Touch(prop::sample::Index),
    Ready(prop::sample::Index),
    Idle(prop::sample::Index),
    Turn,
}

fn step() -> impl Strategy<Value = Step> {
    let which = any::<prop::sample::Index>;
    prop_oneof![
        3 => (1_u16..5).prop_map(Step::Insert),
        1 => which().prop_map(Step::Remove),
        1 => which().prop_map(Step::Lose),
        1 => which().prop_map(Step::Touch),
        2 => which().prop_map(Step::Ready),
        1 => which().prop_map(Step::Idle),
        1 => Just(Step::Turn),
    ]
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// Each in its order; a peer is its number and its port.
#[derive(Default)]
struct Oracle {
    used: Vec<(u32, u16)>,
    ready: Vec<u32>,
    gone: Vec<u32>,
}

proptest! {
    #[test]
    fn peers_are_as_vectors_say(steps in vec(step(), 1..100)) {
        let (mut peers, mut group, mut oracle) = (Peers::default(), Group::new(), Oracle::default());
        for step in steps {
            let pick = |which: prop::sample::Index, oracle: &Oracle| {
                (!oracle.used.is_empty()).then(|| oracle.used[which.index(oracle.used.len())].0)
            };
            match step {
                Step::Insert(port) => {
                    let expected = peers.next_id();
                    let id = group.insert(&mut peers, 7, address(port), 9);
                    prop_assert_eq!(id, expected);
                    oracle.used.push((id, port));
                }
                Step::Remove(which) => {
                    let Some(id) = pick(which, &oracle) else { continue };
                    let removed = group.remove(&mut peers, id).unwrap();
                    prop_assert_eq!((removed.socket, removed.pipe), (7, 9));
                    oracle.used.retain(|&(other, _)| other != id);
                    oracle.ready.retain(|&other| other != id);
                    oracle.gone.retain(|&other| other != id);
                }
                Step::Lose(which) => {
                    let Some(id) = pick(which, &oracle) else { continue };
                    group.lost(&mut peers, id);
                    oracle.gone.push(id);
                }
                Step::Touch(which) => {
                    let Some(id) = pick(which, &oracle) else { continue };
                    group.touch(&mut peers, id);
                    let at = oracle.used.iter().position(|&(other, _)| other == id).unwrap();
                    let peer = oracle.used.remove(at);
                    oracle.used.push(peer);
                }
                Step::Ready(which) => {
                    let Some(id) = pick(which, &oracle) else { continue };
                    group.make_ready(&mut peers, id);
                    if !oracle.ready.contains(&id) {
                        oracle.ready.push(id);
                    }
                }
                Step::Idle(which) => {
                    let Some(id) = pick(which, &oracle) else { continue };
                    group.make_idle(&mut peers, id);
                    oracle.ready.retain(|&other| other != id);
                }
                Step::Turn => {
                    let Some(&id) = oracle.ready.first() else { continue };
                    group.had_turn(&mut peers, id);
                    oracle.ready.rotate_left(1);
                }
            }
            prop_assert_eq!(group.len(), oracle.used.len());
            prop_assert_eq!(group.least_used(), oracle.used.first().map(|&(id, _)| id));
            prop_assert_eq!(group.first_ready(), oracle.ready.first().copied());
            for port in 1..5 {
                let alive: Vec<u32> = oracle.used.iter().copied()
                    .filter(|&(id, of)| of == port && !oracle.gone.contains(&id))
                    .map(|(id, _)| id)
                    .collect();
                let found = group.find(address(port));
                prop_assert_eq!(found.is_some(), !alive.is_empty());
                prop_assert!(found.is_none_or(|found| alive.contains(&found)));
            }
        }
        prop_assert!(peers.numbers() >= oracle.used.len());
    }
}

#[test]
fn a_number_is_used_again_by_another_socket() {
    let mut peers = Peers::default();
    let (mut one, mut two) = (Group::new(), Group::new());
    let first = one.insert(&mut peers, 1, address(1), 1);
    assert!(one.make_ready(&mut peers, first));
    assert!(!one.make_ready(&mut peers, first), "it stands there already");
    one.remove(&mut peers, first);
    assert!(peers.get(first).is_none() && one.first_ready().is_none());
    assert_eq!(two.insert(&mut peers, 2, address(1), 2), first);
    assert_eq!((one.find(address(1)), two.find(address(1))), (None, Some(first)));
    assert!(!peers.get(first).unwrap().gone && two.first_ready().is_none());
}
