// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every errno, every drop order and the edges of every operation. No test needs anything but the heap, so that all of
//! them run under Miri too.

use core::cell::{Cell, RefCell};
use core::ptr::NonNull;
use std::rc::Rc;

use super::header::narrow;
use super::*;
use crate::{Errno, Error, Result};

fn errno<T>(result: Result<T>) -> Option<Errno> {
    result.err().map(Error::errno)
}

/// A heap block that stands for foreign memory, and counts its own drop.
pub(super) struct Foreign {
    memory: NonNull<[u8]>,
    drops: Rc<Cell<u32>>,
}

impl Foreign {
    pub(super) fn new(len: usize) -> (Box<Self>, Rc<Cell<u32>>) {
        let drops = Rc::new(Cell::new(0));
        let memory = NonNull::from(Box::leak(vec![0; len].into_boxed_slice()));
        (Box::new(Self { memory, drops: drops.clone() }), drops)
    }
}

// SAFETY: the leaked box stays until the drop below, and nobody else has its address.
unsafe impl Region for Foreign {
    fn base(&self) -> NonNull<u8> {
        self.memory.cast()
    }

    fn len(&self) -> usize {
        self.memory.len()
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        self.drops.set(self.drops.get() + 1);
        // SAFETY: leaked in `new`, freed once.
        drop(unsafe { Box::from_raw(self.memory.as_ptr()) });
    }
}

/// A leaked block, until it is back.
type Lent = Option<NonNull<[u8]>>;

/// Lends blocks and remembers which tokens came back.
#[derive(Clone, Default)]
pub(super) struct Lender {
    pub(super) returned: Rc<RefCell<Vec<u64>>>,
    blocks: Rc<RefCell<Vec<Lent>>>,
}

impl Lender {
    pub(super) fn lend(&self, pool: &Pool, bytes: &[u8]) -> Result<Buf> {
        let memory = NonNull::from(Box::leak(bytes.to_vec().into_boxed_slice()));
        let token = self.blocks.borrow().len() as u64;
        self.blocks.borrow_mut().push(Some(memory));
        // SAFETY: leaked memory that stays until the hook runs.
        let loan = unsafe { pool.loan(memory.cast(), narrow(bytes.len()), token) };
        if loan.is_err() {
            self.free(token);
        }
        loan
    }

    /// Whether nothing is lent.
    pub(super) fn all_back(&self) -> bool {
        self.blocks.borrow().iter().all(Option::is_none)
    }

    fn free(&self, token: u64) {
        let memory = self.blocks.borrow_mut()[usize::try_from(token).expect("an index of the table")]
            .take()
            .expect("released once");
        // SAFETY: leaked in `lend`, and taken out of the table now.
        drop(unsafe { Box::from_raw(memory.as_ptr()) });
    }
}

impl Release for Lender {
    fn release(&self, token: u64) {
        self.free(token);
        self.returned.borrow_mut().push(token);
    }
}

fn region(slot_size: u32, slots: u32, headroom: u32, views: u32) -> (Pool, Rc<Cell<u32>>) {
    let (memory, drops) = Foreign::new((slots * (slot_size + headroom)) as usize);
    (Pool::over(memory, Layout { slot_size, slots, headroom, views }).unwrap(), drops)
}

#[test]
fn handles_are_one_pointer_wide() {
    assert_eq!(size_of::<Buf>(), size_of::<usize>());
    assert_eq!(size_of::<Option<Buf>>(), size_of::<usize>());
    assert_eq!(size_of::<Sga>(), size_of::<usize>());
    assert_eq!(size_of::<Option<Sga>>(), 2 * size_of::<usize>());
}

#[test]
fn pool_refuses_impossible_layouts() {
    assert_eq!(errno(Pool::heap(0, 1, 0, 0)), Some(Errno::INVAL));
    assert_eq!(errno(Pool::heap(u32::MAX, 1, 1, 0)), Some(Errno::INVAL));
    assert_eq!(errno(Pool::heap(1, u32::MAX, 0, 0)), Some(Errno::INVAL));
    assert_eq!(errno(Pool::heap(u32::MAX, u32::MAX - 1, 0, 0)), Some(Errno::INVAL));
    assert_eq!(errno(Pool::heap(1, 1, 0, u32::MAX - 1)), Some(Errno::INVAL));
    assert_eq!(errno(Pool::oversize(1, u32::MAX)), Some(Errno::INVAL));
    assert_eq!(errno(Pool::loans(Box::new(Lender::default()), u32::MAX)), Some(Errno::INVAL));
    let layout = Layout { slot_size: 10, slots: 2, headroom: 6, views: 0 };
    assert_eq!(errno(Pool::over(Foreign::new(31).0, layout)), Some(Errno::INVAL));
    assert_eq!(errno(Pool::over(Foreign::new(32).0, Layout { slot_size: 0, ..layout })), Some(Errno::INVAL));
    assert_eq!(errno(Pool::over(Foreign::new(32).0, layout)), None);
    assert!(Foreign::new(0).0.is_empty());
}

#[test]
fn refused_region_is_dropped() {
    let (memory, drops) = Foreign::new(8);
    let layout = Layout { slot_size: 16, slots: 1, headroom: 0, views: 0 };
    assert_eq!(errno(Pool::over(memory, layout)), Some(Errno::INVAL));
    assert_eq!(drops.get(), 1);
}

#[test]
fn empty_and_too_small_pools_say_so() {
    let pool = Pool::heap(16, 2, 0, 0).unwrap();
    assert_eq!(errno(pool.alloc(17)), Some(Errno::MSGSIZE));
    assert_eq!(errno(pool.alloc(usize::MAX)), Some(Errno::MSGSIZE));
    let (_a, b) = (pool.alloc(16).unwrap(), pool.alloc(0).unwrap());
    assert_eq!(errno(pool.alloc(1)), Some(Errno::NOBUFS));
    assert_eq!(errno(pool.alloc_copy(b"x")), Some(Errno::NOBUFS));
    assert_eq!(pool.stats(), Stats { capacity: 2, in_use: 2, exhausted: 2, ..Stats::default() });
    drop(b);
    assert_eq!((pool.available(), pool.capacity()), (1, 2));
    assert!(pool.alloc(1).is_ok());

    let none = Pool::heap(16, 0, 0, 4).unwrap();
    assert_eq!(errno(none.alloc(1)), Some(Errno::NOBUFS));
    assert_eq!(none.slot_at(0), None);
}

#[test]
fn freed_block_is_the_next_one() {
    let pool = Pool::heap(16, 3, 0, 0).unwrap();
    let _first = pool.alloc(1).unwrap();
    let second = pool.alloc(1).unwrap();
    let place = second.as_ptr();
    drop(second);
    assert_eq!(pool.alloc(16).unwrap().as_ptr(), place);
}

#[test]
fn heap_blocks_start_on_cache_lines_and_zeroed() {
    let pool = Pool::heap(100, 3, 0, 0).unwrap();
    let blocks = [0; 3].map(|_| pool.alloc(100).unwrap());
    for block in &blocks {
        assert_eq!(block.as_ptr().addr() % 64, 0);
        assert!(block.iter().all(|&byte| byte == 0));
    }
}

#[test]
fn block_comes_back_untrimmed() {
    let pool = Pool::heap(16, 1, 8, 0).unwrap();
    let mut buf = pool.alloc(16).unwrap();
    buf.trim_front(10).unwrap();
    drop(buf);
    let buf = pool.alloc(5).unwrap();
    assert_eq!((buf.offset(), buf.headroom(), buf.len(), buf.tailroom()), (8, 8, 5, 11));
}

#[test]
fn second_views_are_bounded() {
    let pool = Pool::heap(16, 1, 0, 2).unwrap();
    let mut buf = pool.alloc_copy(b"0123456789").unwrap();
    let (a, b) = (buf.view().unwrap(), buf.split_front(2).unwrap());
    assert_eq!(errno(buf.view()), Some(Errno::NOBUFS));
    assert_eq!(errno(buf.split_front(3)), Some(Errno::NOBUFS));
    assert_eq!(errno(a.view()), Some(Errno::NOBUFS));
    assert_eq!(errno(buf.split_back(3)), Some(Errno::NOBUFS));
    assert_eq!(&*buf, b"23456789");
    assert_eq!((pool.stats().views_in_use, pool.stats().exhausted, buf.ref_count()), (2, 4, 3));
    drop(b);
    assert_eq!(&*buf.split_back(3).unwrap(), b"56789");
    assert_eq!(&*buf, b"234");
}

#[test]
fn ranges_beyond_the_end_are_invalid() {
    let pool = Pool::heap(16, 1, 4, 4).unwrap();
    let mut buf = pool.alloc_copy(b"abcd").unwrap();
    for n in [5, u32::MAX as usize + 1, usize::MAX] {
        assert_eq!(errno(buf.split_front(n)), Some(Errno::INVAL));
        assert_eq!(errno(buf.split_back(n)), Some(Errno::INVAL));
        assert_eq!(errno(buf.trim_front(n)), Some(Errno::INVAL));
        assert_eq!(errno(buf.trim_back(n)), Some(Errno::INVAL));
        assert_eq!(errno(buf.truncate(n)), Some(Errno::INVAL));
        assert_eq!(errno(buf.narrow(n, 0)), Some(Errno::INVAL));
        assert_eq!(errno(buf.narrow(1, n - 1)), Some(Errno::INVAL));
    }
    assert_eq!(&*buf, b"abcd");
    assert_eq!(pool.stats().views_in_use, 0);
    assert!(buf.split_front(4).is_ok_and(|front| &*front == b"abcd"));
    assert!(buf.is_empty());
    assert!(buf.split_back(0).is_ok_and(|back| back.is_empty()));
    buf.trim_front(0).unwrap();
    buf.trim_back(0).unwrap();
    buf.narrow(0, 0).unwrap();
}

#[test]
fn narrow_keeps_the_range() {
    let pool = Pool::heap(16, 1, 4, 0).unwrap();
    for (start, len) in [(0, 6), (0, 2), (1, 4), (4, 2), (6, 0)] {
        let mut buf = pool.alloc_copy(b"abcdef").unwrap();
        buf.narrow(start, len).unwrap();
        assert_eq!(&*buf, &b"abcdef"[start..start + len]);
        assert_eq!(buf.headroom(), 4 + start);
    }
}

#[test]
fn growing_needs_room_and_no_other_view() {
    let pool = Pool::heap(16, 1, 4, 1).unwrap();
    let mut buf = pool.alloc_copy(b"body").unwrap();
    assert_eq!(errno(buf.prepend(5)), Some(Errno::NOBUFS));
    assert_eq!(errno(buf.append(13)), Some(Errno::NOBUFS));
    assert_eq!(errno(buf.append(usize::MAX)), Some(Errno::NOBUFS));
    let view = buf.view().unwrap();
    assert_eq!(errno(buf.prepend(1)), Some(Errno::BUSY));
    assert_eq!(errno(buf.append(1)), Some(Errno::BUSY));
    assert!(buf.get_mut().is_none());
    drop(view);
    buf.prepend(4).unwrap().copy_from_slice(b"head");
    buf.append(12).unwrap().copy_from_slice(b"tail-of-twel");
    assert_eq!(&*buf, b"headbodytail-of-twel");
    assert_eq!((buf.headroom(), buf.tailroom()), (0, 0));
    assert_eq!(errno(buf.prepend(1)), Some(Errno::NOBUFS));
    assert!(buf.prepend(0).unwrap().is_empty());
}

#[test]
fn last_view_owns_the_block_whichever_it_is() {
    let pool = Pool::heap(16, 1, 0, 2).unwrap();
    let mut head = pool.alloc_copy(b"0123456789").unwrap();
    let mut tail = head.split_back(4).unwrap();
    drop(head);
    assert_eq!((tail.ref_count(), tail.offset(), pool.available()), (1, 4, 0));
    tail.get_mut().unwrap()[0] = b'x';
    tail.prepend(4).unwrap().copy_from_slice(b"....");
    assert_eq!(&*tail, b"....x56789");
    assert_eq!(&*tail.view().unwrap(), b"....x56789");
    drop(tail);
    assert_eq!(pool.stats(), Stats { capacity: 1, view_capacity: 2, ..Stats::default() });
}

#[test]
fn slots_are_numbered() {
    let (pool, _) = region(8, 3, 4, 1);
    let (other, _) = region(8, 3, 4, 1);
    let bufs = [0; 3].map(|_| pool.alloc(8).unwrap());
    for (index, buf) in (0..).zip(&bufs) {
        assert_eq!((pool.slot_index(buf), buf.offset()), (Some(index), 4));
        let slot = pool.slot_at(index).unwrap();
        assert_eq!(slot.addr().get() - pool.slot_at(0).unwrap().addr().get(), index as usize * 12);
        assert_eq!(buf.as_ptr().addr() - slot.addr().get(), 4);
        assert_eq!(other.slot_index(buf), None);
        assert!(buf.belongs_to(&pool) && buf.belongs_to(&pool.clone()) && !buf.belongs_to(&other));
        assert_eq!(buf.loan_token(), None);
    }
    assert_eq!(pool.slot_at(3), None);
    let view = bufs[2].view().unwrap();
    drop(bufs);
    assert_eq!(pool.slot_index(&view), Some(2));
}

#[test]
fn raw_form_holds_the_block() {
    let (pool, drops) = region(8, 1, 0, 1);
    let raw = pool.alloc_copy(b"held").unwrap().into_raw();
    assert_eq!(errno(pool.alloc(1)), Some(Errno::NOBUFS));
    drop(pool);
    assert_eq!(drops.get(), 0);
    // SAFETY: from `into_raw` above, taken back once.
    let buf = unsafe { Buf::from_raw(raw) };
    assert_eq!(&*buf, b"held");
    drop(buf);
    assert_eq!(drops.get(), 1);
}

#[test]
fn memory_outlives_handles_and_buffers_in_any_order() {
    // Pool first.
    let (pool, drops) = region(8, 2, 0, 2);
    let (buf, other) = (pool.alloc_copy(b"a").unwrap(), pool.alloc_copy(b"b").unwrap());
    let view = buf.view().unwrap();
    drop((pool, buf, other));
    assert_eq!((drops.get(), &*view), (0, &b"a"[..]));
    assert_eq!(&*view.view().unwrap(), b"a");
    drop(view);
    assert_eq!(drops.get(), 1);

    // Buffers first, then one handle after the other.
    let (pool, drops) = region(8, 2, 0, 2);
    drop(pool.alloc(1).unwrap());
    let clone = pool.clone();
    drop(pool);
    assert!(clone.alloc(1).is_ok());
    assert_eq!(drops.get(), 0);
    drop(clone);
    assert_eq!(drops.get(), 1);

    // Second view before the first one.
    let (pool, drops) = region(8, 2, 0, 2);
    let buf = pool.alloc(1).unwrap();
    let view = buf.view().unwrap();
    drop(pool);
    drop(view);
    assert_eq!(drops.get(), 0);
    drop(buf);
    assert_eq!(drops.get(), 1);
}

/// Lent whole: the buffer is written to and grows within the block, and the hook hears of the last view alone.
#[test]
fn a_block_that_is_lent_whole_is_the_borrowers() {
    let lender = Lender::default();
    let pool = Pool::lent_whole(Box::new(lender.clone()), 3).unwrap();
    let memory = NonNull::from(Box::leak(vec![0_u8; 64].into_boxed_slice()));
    lender.blocks.borrow_mut().push(Some(memory));
    for (offset, len) in [(0, 65), (65, 0), (60, 5), (u32::MAX, 2)] {
        // SAFETY: it fails, and nothing is lent.
        let lent = unsafe { pool.lend(memory.cast(), 64, offset, len, 0) };
        assert_eq!(errno(lent), Some(Errno::INVAL));
    }
    // SAFETY: leaked memory that stays until the hook runs.
    let mut buf = unsafe { pool.lend(memory.cast(), 64, 16, 40, 0) }.unwrap();
    assert_eq!((buf.len(), buf.headroom(), buf.tailroom(), buf.loan_token()), (40, 16, 8, None));
    buf.prepend(16).unwrap().fill(1);
    buf.append(8).unwrap().fill(2);
    assert_eq!(errno(buf.prepend(1)), Some(Errno::NOBUFS));
    buf.get_mut().unwrap()[16..56].fill(3);
    assert_eq!((buf[0], buf[16], buf[63]), (1, 3, 2));
    let other = buf.view().unwrap();
    assert!(buf.get_mut().is_none() && pool.stats().in_use == 2);
    drop(buf);
    assert!(!lender.all_back());
    drop(other);
    assert!(lender.all_back());
    assert_eq!((lender.returned.borrow().as_slice(), pool.available()), (&[0][..], 3));
    // SAFETY: refused, so that nothing is lent.
    assert_eq!(errno(unsafe { pool.loan(NonNull::dangling(), 0, 1) }), Some(Errno::NOTSUP));
    let plain = Pool::loans(Box::new(lender), 1).unwrap();
    // SAFETY: likewise.
    assert_eq!(errno(unsafe { plain.lend(NonNull::dangling(), 0, 0, 0, 1) }), Some(Errno::NOTSUP));
}

#[test]
fn loan_returns_once_with_its_token() {
    let lender = Lender::default();
    let pool = Pool::loans(Box::new(lender.clone()), 3).unwrap();
    let mut first = lender.lend(&pool, b"first").unwrap();
    let second = lender.lend(&pool, b"second").unwrap();
    assert_eq!((first.loan_token(), second.loan_token()), (Some(0), Some(1)));
    assert_eq!((first.headroom(), first.tailroom(), pool.slot_index(&first)), (0, 0, None));
    let part = first.split_back(2).unwrap();
    assert_eq!((part.loan_token(), pool.available()), (Some(0), 0));
    assert_eq!(errno(lender.lend(&pool, b"third")), Some(Errno::NOBUFS));
    assert_eq!(errno(second.view()), Some(Errno::NOBUFS));
    drop(first);
    assert!(lender.returned.borrow().is_empty());
    drop(part);
    drop(second);
    assert_eq!(*lender.returned.borrow(), [0, 1]);
    assert_eq!((pool.available(), pool.capacity()), (3, 3));

    // The pool first, and a loan of no bytes.
    let last = lender.lend(&pool, b"").unwrap();
    drop(pool);
    assert_eq!(lender.returned.borrow().len(), 2);
    drop(last);
    assert_eq!(*lender.returned.borrow(), [0, 1, 3]);
}

#[test]
fn hook_may_drop_the_last_handle_and_use_the_pool() {
    #[derive(Default)]
    struct Owner {
        pool: RefCell<Option<Pool>>,
        seen: Cell<u32>,
    }
    struct Hook(Rc<Owner>);
    impl Release for Hook {
        fn release(&self, token: u64) {
            self.0.seen.set(self.0.seen.get() + 1);
            let pool = self.0.pool.take();
            if let (Some(pool), 0) = (&pool, token) {
                // SAFETY: no bytes are lent.
                drop(unsafe { pool.loan(NonNull::dangling(), 0, 1) }.expect("the header is free already"));
            }
        }
    }
    let owner = Rc::new(Owner::default());
    let pool = Pool::loans(Box::new(Hook(owner.clone())), 1).unwrap();
    // SAFETY: no bytes are lent.
    let loan = unsafe { pool.loan(NonNull::dangling(), 0, 0) }.unwrap();
    owner.pool.replace(Some(pool));
    drop(loan);
    assert_eq!(owner.seen.get(), 2);
    assert_eq!(Rc::strong_count(&owner), 1, "the hook is gone with the pool");
}

#[test]
fn oversize_blocks_keep_to_their_budget() {
    let pool = Pool::oversize(100, 3).unwrap();
    let mut big = pool.alloc_oversize(60).unwrap();
    assert!(big.iter().all(|&byte| byte == 0));
    big.get_mut().unwrap().fill(7);
    assert_eq!(errno(pool.alloc_oversize(41)), Some(Errno::NOBUFS));
    assert_eq!(errno(pool.alloc_oversize(u32::MAX as usize + 1)), Some(Errno::MSGSIZE));
    let view = big.split_front(10).unwrap();
    let rest = pool.alloc_oversize(40).unwrap();
    assert_eq!((pool.stats().oversize_bytes, pool.available()), (100, 0));
    assert_eq!(errno(rest.view()), Some(Errno::NOBUFS));
    drop(big);
    assert_eq!(pool.stats().oversize_bytes, 100);
    drop(pool);
    drop(rest);
    assert_eq!(&*view, [7; 10]);
    drop(view);

    let pool = Pool::oversize(10, 1).unwrap();
    let empty = pool.alloc_oversize(0).unwrap();
    assert_eq!((empty.len(), pool.stats().oversize_bytes), (0, 1));
    assert_eq!(errno(pool.alloc_oversize(1)), Some(Errno::NOBUFS));
    drop(empty);
    assert_eq!(pool.stats(), Stats { capacity: 1, view_capacity: 1, exhausted: 1, ..Stats::default() });
}

#[test]
fn each_kind_refuses_the_calls_of_the_others() {
    let heap = Pool::heap(16, 1, 0, 1).unwrap();
    let loans = Pool::loans(Box::new(Lender::default()), 1).unwrap();
    let oversize = Pool::oversize(1, 1).unwrap();
    assert_eq!(errno(heap.alloc_oversize(1)), Some(Errno::NOTSUP));
    assert_eq!(errno(loans.alloc_oversize(1)), Some(Errno::NOTSUP));
    for pool in [&heap, &oversize] {
        // SAFETY: no bytes are lent.
        assert_eq!(errno(unsafe { pool.loan(NonNull::dangling(), 0, 0) }), Some(Errno::NOTSUP));
    }
    for pool in [&loans, &oversize] {
        assert_eq!(errno(pool.alloc(1)), Some(Errno::MSGSIZE));
        assert_eq!(errno(pool.alloc(0)), Some(Errno::NOBUFS));
    }
}

#[test]
fn classes_are_chosen_by_length() {
    let classes = Classes {
        small_size: 16,
        small_count: 1,
        large_size: 64,
        large_count: 1,
        headroom: 8,
        oversize_limit: 100,
        views: 2,
    };
    let pools = Pools::new(&classes).unwrap();
    let held = [0, 64, 65].map(|len| pools.alloc(len).unwrap());
    assert_eq!(pools.stats().map(|class| class.in_use), [1, 1, 1]);
    assert_eq!([16, 17, 65].map(|len| errno(pools.alloc(len))), [Some(Errno::NOBUFS); 3]);
    assert_eq!(errno(pools.alloc(usize::MAX)), Some(Errno::MSGSIZE));
    assert_eq!(held.each_ref().map(Buf::headroom), [8, 8, 0]);
    drop(pools.clone());
    drop(held);
    assert_eq!(&*pools.alloc_copy(&[9; 70]).unwrap(), [9; 70]);
    assert_eq!(pools.stats().map(|class| class.in_use), [0; 3]);
    assert_eq!(errno(Pools::new(&Classes { large_size: 8, ..classes })), Some(Errno::INVAL));
}

fn message(pool: &Pool, parts: &[&str]) -> Sga {
    let mut message = Sga::new();
    for part in parts {
        message.push_back(pool.alloc_copy(part.as_bytes()).unwrap()).unwrap();
    }
    message
}

#[test]
fn message_reads_as_its_segments_in_order() {
    let pool = Pool::heap(16, 4, 0, 4).unwrap();
    let mut sga = message(&pool, &["one ", "", "two ", "three"]);
    assert_eq!((sga.segments(), sga.len(), sga.is_empty()), (4, 13, false));
    assert_eq!(sga.iter().map(Buf::len).collect::<Vec<_>>(), [4, 0, 4, 5]);
    let mut short = [0; 6];
    assert_eq!((sga.copy_to_slice(&mut short), &short), (6, b"one tw"));
    let mut long = [0; 20];
    assert_eq!((sga.copy_to_slice(&mut long), &long[..13]), (13, &b"one two three"[..]));
    assert!(sga.as_single().is_none());
    assert_eq!(&*sga.pop_front().unwrap(), b"one ");
    let copy = sga.view().unwrap();
    drop(sga);
    assert_eq!(copy.to_vec(), b"two three");
    let parts: Vec<Buf> = copy.into_iter().collect();
    assert_eq!(&*parts[2], b"three");
    drop(parts);
    assert_eq!((pool.available(), pool.stats().views_in_use), (4, 0));

    let mut single = message(&pool, &["x"]);
    assert!(single.as_single().is_some_and(|buf| &**buf == b"x"));
    assert_eq!(single.pop_front().as_deref(), Some(&b"x"[..]));
    assert!(single.pop_front().is_none() && single.as_single().is_none());
    assert!(single.is_empty() && Sga::new().view().unwrap().to_vec().is_empty());
    assert!(message(&pool, &["", ""]).is_empty());
}

#[test]
fn popped_segment_joins_another_message() {
    let pool = Pool::heap(16, 3, 0, 0).unwrap();
    let mut from = message(&pool, &["a", "b", "c"]);
    let mut to = Sga::from(from.pop_front().unwrap());
    to.push_back(from.pop_front().unwrap()).unwrap();
    assert_eq!((to.to_vec(), from.to_vec()), (b"ab".to_vec(), b"c".to_vec()));
}

#[test]
fn only_a_single_segment_comes_out_alone() {
    let pool = Pool::heap(16, 2, 0, 0).unwrap();
    let mut one = message(&pool, &["a"]);
    assert_eq!(one.take_single().as_deref(), Some(&b"a"[..]));
    assert!(one.has_no_segment() && one.take_single().is_none());
    assert_eq!(message(&pool, &["a"]).into_single().ok().as_deref(), Some(&b"a"[..]));
    let mut two = message(&pool, &["a", "b"]);
    assert!(two.take_single().is_none());
    let two = two.into_single().err().map(|two| two.to_vec());
    assert_eq!(two.as_deref(), Some(&b"ab"[..]));
    assert!(Sga::new().into_single().is_err_and(|none| none.has_no_segment()));
    assert_eq!(pool.available(), 2);
}

#[test]
fn segments_are_bounded() {
    let pool = Pool::heap(1, 65, 0, 0).unwrap();
    let mut sga = message(&pool, &["x"; SGA_SEGMENTS_MAX]);
    assert_eq!(errno(sga.push_back(pool.alloc(1).unwrap())), Some(Errno::INVAL));
    assert_eq!((sga.segments(), pool.available()), (SGA_SEGMENTS_MAX, 1));
    drop(sga);
    assert_eq!(pool.available(), 65);
}

#[test]
fn failed_view_of_a_message_gives_all_back() {
    let pool = Pool::heap(4, 3, 0, 2).unwrap();
    let sga = message(&pool, &["a", "b", "c"]);
    assert_eq!(errno(sga.view()), Some(Errno::NOBUFS));
    assert_eq!((sga.to_vec(), pool.stats().views_in_use), (b"abc".to_vec(), 0));
}

#[test]
fn message_splits_at_every_byte() {
    let pool = Pool::heap(8, 3, 0, 1).unwrap();
    for n in 0..=9 {
        let mut sga = message(&pool, &["abc", "def", "ghi"]);
        let front = sga.split_front(n).unwrap();
        assert_eq!(front.to_vec(), b"abcdefghi"[..n]);
        assert_eq!(sga.to_vec(), b"abcdefghi"[n..]);
    }
    let mut sga = message(&pool, &["abc", "def"]);
    assert_eq!(errno(sga.split_front(7)), Some(Errno::INVAL));
    assert_eq!(errno(Sga::new().split_front(1)), Some(Errno::INVAL));
    let _view = sga.iter().next().unwrap().view().unwrap();
    assert_eq!(errno(sga.split_front(4)), Some(Errno::NOBUFS));
    assert_eq!(sga.to_vec(), b"abcdef");
    assert_eq!(sga.split_front(3).unwrap().to_vec(), b"abc");
}

#[test]
fn segments_go_in_front_up_to_the_limit() {
    let pool = Pool::heap(4, 66, 0, 0).unwrap();
    let mut sga = Sga::new();
    for number in 0..SGA_SEGMENTS_MAX as u8 {
        sga.push_front(pool.alloc_copy(&[number]).unwrap()).unwrap();
    }
    assert_eq!(errno(sga.push_front(pool.alloc(1).unwrap())), Some(Errno::INVAL));
    assert_eq!(sga.to_vec(), (0..SGA_SEGMENTS_MAX as u8).rev().collect::<Vec<_>>());
    let first = sga.pop_front().unwrap();
    sga.push_front(first).unwrap();
    assert_eq!((sga.segments(), pool.available()), (SGA_SEGMENTS_MAX, 2));
    drop(sga);
    assert_eq!(pool.available(), 66);
}

#[test]
fn debug_forms_tell_sizes_only() {
    let pool = Pool::heap(8, 1, 2, 1).unwrap();
    let sga = Sga::from(pool.alloc_copy(b"secret").unwrap());
    assert_eq!(format!("{sga:?}"), "[Buf { len: 6, offset: 2, views: 1, .. }]");
    assert!(format!("{pool:?}").starts_with("Stats { capacity: 1, in_use: 1"));
}

/// Under AddressSanitizer a slot that is not out is as bad to touch as freed memory, and so is what lies between two slots.
#[cfg(asan)]
#[test]
fn the_sanitizer_knows_which_slots_are_out() {
    use super::poison::is_free;
    let pool = Pool::heap(100, 2, 8, 2).unwrap();
    let (memory, len) = pool.memory().unwrap();
    // SAFETY: every place is inside the pool's memory.
    let free = |from: usize, to: usize| (from..to).all(|at| is_free(unsafe { memory.add(at) }.as_ptr()));
    assert!(free(0, len));
    // The second round takes a slot that was used before.
    for _ in 0..2 {
        let mut buf = pool.alloc(3).unwrap();
        assert!((0..108).all(|at| !free(at, at + 1)) && free(108, len));
        let front = buf.split_front(1).unwrap();
        drop(buf);
        assert!((0..108).all(|at| !free(at, at + 1)));
        drop(front);
        assert!(free(0, len));
    }
}
