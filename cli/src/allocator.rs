//! The allocator of the program that is linked with musl, whose own has one lock for all threads.

#![expect(unsafe_code, reason = "mimalloc's options are set by a call of C")]

use std::ffi::{c_int, c_long};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` of `mimalloc.h`, version 3: the bindings give it no name.
const PURGE_DELAY: c_int = 15;

/// What [`PURGE_DELAY`] is when nobody set it, in milliseconds: a mimalloc whose options are numbered otherwise
/// answers something else, and is left as it is. So is one for which `MIMALLOC_PURGE_DELAY` says how long.
const KEPT_BY_DEFAULT: c_long = 1000;

/// How long memory that was freed is kept, in milliseconds. A build takes and frees a few large buffers over and
/// over; kept for a second they are a third of its memory (`benches/README.md`), and to ask the kernel for them anew
/// is not to be measured.
const KEPT: c_long = 1;

unsafe extern "C" {
    fn mi_option_get(option: c_int) -> c_long;
    fn mi_option_set(option: c_int, value: c_long);
}

/// Memory that was freed is given back soon. The first call of the program: no other thread is there yet.
pub(crate) fn give_back_soon() {
    // SAFETY: both calls take numbers and use an entry of a table of mimalloc's, in which they look for the option no
    // further than it is long. They are not for several threads at once, and there is one.
    unsafe {
        if mi_option_get(PURGE_DELAY) == KEPT_BY_DEFAULT {
            mi_option_set(PURGE_DELAY, KEPT);
        }
    }
}
