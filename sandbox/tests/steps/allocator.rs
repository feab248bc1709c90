//! An allocator that notices who allocates: the child of a step must not.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

struct Watchful;

#[global_allocator]
static ALLOCATOR: Watchful = Watchful;

/// The process that may allocate; 0 for any.
static OWNER: AtomicU32 = AtomicU32::new(0);

/// How often another process did, in memory it shares with us.
static TRESPASSES: AtomicUsize = AtomicUsize::new(0);

pub(crate) fn watch_this_process() {
    OWNER.store(std::process::id(), Ordering::Relaxed);
}

pub(crate) fn n_trespasses() -> usize {
    TRESPASSES.load(Ordering::Relaxed)
}

fn notice() {
    let owner = OWNER.load(Ordering::Relaxed);
    if owner != 0 && std::process::id() != owner {
        TRESPASSES.fetch_add(1, Ordering::Relaxed);
    }
}

#[expect(unsafe_code, reason = "the trait is unsafe; all work is the system allocator's")]
// SAFETY: every call goes to the system allocator unchanged.
unsafe impl GlobalAlloc for Watchful {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        notice();
        // SAFETY: the caller's promises are the ones the system allocator wants.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        notice();
        // SAFETY: the caller's promises are the ones the system allocator wants.
        unsafe { System.dealloc(pointer, layout) }
    }
}
