// SPDX-License-Identifier: MIT OR Apache-2.0
//! Memory honesty: a segment of one byte keeps a whole block from others. Once that is more than a little, short segments are
//! copied together into the blocks that are there, and their own go back to the pool.

use runtime::buf::Chain;

use crate::limits::{TCP_MEMORY_FACTOR, TCP_SPARSE_MEMORY};

/// Whether blocks keep much more memory than there are bytes in them.
#[inline]
pub(super) const fn is_sparse(chain: &Chain) -> bool {
    chain.memory() > chain.len() * TCP_MEMORY_FACTOR + TCP_SPARSE_MEMORY
}

/// Puts `data` behind `chain`: as it is, or if that has become sparse, as a copy where one fits.
pub(super) fn attach(chain: &mut Chain, mut data: Chain) {
    if !is_sparse(chain) {
        return chain.append(data);
    }
    while let Some(buf) = data.pop_front() {
        if !chain.extend_last(&buf) {
            chain.push_back(buf);
        }
    }
}

/// Copies `data` behind what is in `chain` if that takes no further block; else nothing changes, and it says false.
pub(super) fn copy_behind(chain: &mut Chain, data: &Chain) -> bool {
    let mut parts = data.iter();
    // Of several the first might fit alone.
    parts.next().is_some_and(|only| parts.next().is_none() && chain.extend_last(only))
}
