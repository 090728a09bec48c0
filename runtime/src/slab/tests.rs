// SPDX-License-Identifier: MIT OR Apache-2.0
//! The slab against a map of live keys.

use super::*;
use proptest::prelude::*;
use std::collections::HashMap;

#[test]
fn full_table_gives_the_value_back() {
    let mut slab = Slab::new(2);
    let first = slab.insert("a").unwrap();
    slab.insert("b").unwrap();
    assert_eq!(slab.insert("c"), Err("c"));
    assert_eq!(slab.remove(first), Some("a"));
    let third = slab.insert("c").unwrap();
    assert_eq!(third.index, first.index);
    assert_ne!(third, first);
    assert_eq!(slab.get_mut(first), None);
    assert_eq!(slab.remove(first), None);
    assert_eq!(slab.at(third.index), Some(&"c"));
    assert_eq!(slab.key_at(third.index), Some(third));
    assert_eq!(slab.len(), 2);
    assert_eq!(slab.slots(), 2);
}

proptest! {
    #[test]
    fn keys_find_their_value_or_nothing(steps in prop::collection::vec((any::<bool>(), 0usize..64), 1..200)) {
        let mut slab = Slab::new(16);
        let mut live: HashMap<Key, usize> = HashMap::new();
        let mut given: Vec<Key> = Vec::new();
        for (serial, (insert, pick)) in steps.into_iter().enumerate() {
            if insert {
                if let Ok(key) = slab.insert(serial) {
                    prop_assert!(live.insert(key, serial).is_none());
                    given.push(key);
                } else {
                    prop_assert_eq!(live.len(), 16);
                }
            } else if !given.is_empty() {
                let key = given[pick % given.len()];
                prop_assert_eq!(slab.remove(key), live.remove(&key));
            }
            prop_assert_eq!(slab.len() as usize, live.len());
            for key in &given {
                prop_assert_eq!(slab.get_mut(*key).copied(), live.get(key).copied());
            }
        }
    }
}
