//! The one module that maps files into memory, and so the one place with `unsafe` in this crate.
//!
//! A mapped page that cannot be had, because the medium fails or somebody has cut the file off,
//! is a signal (`SIGBUS`) where it would be an error of a read. So nothing is mapped before
//! [`survive_lost_pages`] has said what then happens, and nobody is lent mapped bytes: they are
//! copied out, and from a mapping that has lost a page everything comes by reads from then on,
//! which fail as reads do.

use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::os::fd::AsRawFd as _;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use memmap2::{Mmap, UncheckedAdvice};

/// How many files are mapped at once. Each is one of the mappings that the kernel grants a
/// process (65,530 where nobody has changed it), and one line that the handler looks at.
const MAX_MAPPINGS: usize = 1024;

/// Longer reads go to the kernel: what a call costs is little beside what is copied, and pages
/// that are only passed through do not become ours.
const MAX_COPY: usize = 64 * 1024;

/// How much is read of all mappings before they give their pages back. What is given back stays in
/// the kernel's cache; this bounds what counts as this process's memory.
const RESIDENT_BYTES: usize = 16 * 1024 * 1024;

/// What a read costs beyond its length: the kernel maps the neighbours of a page with it, so many
/// bytes around where nobody has told it otherwise.
const NEIGHBOURS: usize = 64 * 1024;

/// Where one mapping lies. The handler reads it at any moment, so it is never locked.
#[derive(Debug)]
struct Slot {
    taken: AtomicBool,
    start: AtomicUsize,
    /// 0 while nothing is mapped here.
    end: AtomicUsize,
    lost: AtomicBool,
}

static SLOTS: [Slot; MAX_MAPPINGS] = [const { Slot::free() }; MAX_MAPPINGS];

/// What to do with a signal that is not about a mapping of ours: the handler there was before.
static BEFORE: AtomicPtr<libc::sigaction> = AtomicPtr::new(ptr::null_mut());

/// Bytes of a page; 0 before [`survive_lost_pages`].
static PAGE: AtomicUsize = AtomicUsize::new(0);

/// What was read of mappings since they last gave their pages back.
static RESIDENCE: Residence =
    Residence { bytes: AtomicUsize::new(0), read: Mutex::new(Vec::new()) };

/// The mappings of this process, as far as their pages are in memory on our behalf.
#[derive(Debug)]
struct Residence {
    bytes: AtomicUsize,
    read: Mutex<Vec<Weak<Mapped>>>,
}

#[derive(Debug)]
struct Mapped {
    map: Mmap,
    slot: &'static Slot,
    /// Whether it was read since all were last let go.
    is_read: AtomicBool,
}

/// Lets files of stores be mapped from now on, and this process survive a page of them that cannot
/// be had: takes over `SIGBUS`, which is the whole process's, and hands on what is not about a
/// store. To be called by a program, once, before it opens a store; where it is not, or a handler
/// is refused, files are read.
pub fn survive_lost_pages() {
    static CALLED: AtomicBool = AtomicBool::new(false);
    if CALLED.swap(true, Ordering::Relaxed) {
        return;
    }
    match install() {
        Ok(()) => PAGE.store(rustix::param::page_size(), Ordering::Release),
        Err(error) => tracing::debug!(%error, "files of stores are not mapped"),
    }
}

/// A sealed file in memory, out of which short reads are copied.
#[derive(Debug)]
pub(crate) struct Mapping(Arc<Mapped>);

impl Mapping {
    /// Maps a sealed file whole; `None` where it is to be read instead.
    pub(crate) fn of_sealed(file: &File) -> Option<Self> {
        if PAGE.load(Ordering::Acquire) == 0 || !file.metadata().is_ok_and(|stat| stat.len() > 0) {
            return None;
        }
        let slot = Slot::take()?;
        let Ok(map) = map(file) else {
            slot.give_back();
            return None;
        };
        slot.cover(map.as_ptr().addr(), map.len());
        Some(Self(Arc::new(Mapped { map, slot, is_read: AtomicBool::new(false) })))
    }

    /// Fills `bytes` with what lies at an offset, and says whether it has: what is long, or reaches
    /// beyond the end, or lies in a file that has lost a page, is to be read.
    pub(crate) fn copy_at(&self, bytes: &mut [u8], offset: u64) -> bool {
        let length = bytes.len();
        let fits = |start: &usize| {
            let rest = self.0.map.len().checked_sub(*start);
            length <= MAX_COPY && rest.is_some_and(|rest| length <= rest)
        };
        let start = usize::try_from(offset).ok().filter(fits);
        start.is_some_and(|start| self.0.copy(bytes, start))
    }
}

impl Mapped {
    /// Copies out of the mapping; says whether the bytes are the file's.
    fn copy(self: &Arc<Self>, bytes: &mut [u8], start: usize) -> bool {
        if self.slot.lost.load(Ordering::Acquire) {
            return false;
        }
        copy(&self.map, start, bytes);
        RESIDENCE.note_read(self, bytes.len());
        !self.slot.lost.load(Ordering::Acquire)
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // Before the mapping goes: the kernel may give its place to anybody's.
        self.slot.give_back();
    }
}

impl Residence {
    fn note_read(&self, mapped: &Arc<Mapped>, length: usize) {
        if !mapped.is_read.swap(true, Ordering::Relaxed) {
            self.read().push(Arc::downgrade(mapped));
        }
        let more = length + NEIGHBOURS;
        if self.bytes.fetch_add(more, Ordering::Relaxed) + more >= RESIDENT_BYTES {
            self.let_go();
        }
    }

    fn let_go(&self) {
        self.bytes.store(0, Ordering::Relaxed);
        let read = std::mem::take(&mut *self.read());
        for mapped in read.iter().filter_map(Weak::upgrade) {
            mapped.is_read.store(false, Ordering::Relaxed);
            // After a loss, what stands in for the lost pages is no matter to anybody.
            if let Err(error) = drop_pages(&mapped.map) {
                tracing::debug!(%error, "cannot give pages back");
            }
        }
    }

    fn read(&self) -> std::sync::MutexGuard<'_, Vec<Weak<Mapped>>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    const fn free() -> Self {
        Self {
            taken: AtomicBool::new(false),
            start: AtomicUsize::new(0),
            end: AtomicUsize::new(0),
            lost: AtomicBool::new(false),
        }
    }

    fn take() -> Option<&'static Self> {
        SLOTS.iter().find(|slot| !slot.taken.swap(true, Ordering::AcqRel))
    }

    fn cover(&self, start: usize, length: usize) {
        self.lost.store(false, Ordering::Relaxed);
        self.start.store(start, Ordering::Relaxed);
        self.end.store(start + length, Ordering::Release);
    }

    fn give_back(&self) {
        self.end.store(0, Ordering::Release);
        self.taken.store(false, Ordering::Release);
    }

    fn holds(&self, address: usize) -> bool {
        address < self.end.load(Ordering::Acquire) && address >= self.start.load(Ordering::Relaxed)
    }
}

/// Runs in the middle of whatever touched the page: atomics and system calls, nothing else.
extern "C" fn on_lost_page(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    let address = fault_address(info);
    let page = PAGE.load(Ordering::Acquire);
    match SLOTS.iter().find(|slot| slot.holds(address)) {
        Some(slot) if page != 0 && put_zeros(address & !(page - 1), page) => {
            slot.lost.store(true, Ordering::Release);
        }
        _ => hand_on(signal, info, context),
    }
}

#[expect(unsafe_code, reason = "a mapping has no safe form")]
fn map(file: &File) -> io::Result<Mmap> {
    // SAFETY: the callers pass sealed files, which this crate never changes; should anybody else,
    // no reference into the mapping is ever made, so that nothing relies on its bytes staying.
    unsafe { Mmap::map(file) }
}

/// Has the system begin to write a part of a file to the disk, without waiting until it is there. What fails
/// shows in a later sync.
#[expect(unsafe_code, reason = "the call has no safe form")]
pub(crate) fn begin_writeback(file: &File, range: Range<u64>) {
    let length = range.end.saturating_sub(range.start);
    let (Ok(start), Ok(length)) = (range.start.try_into(), length.try_into()) else { return };
    let flags = libc::SYNC_FILE_RANGE_WRITE;
    // SAFETY: the call takes numbers alone, and the descriptor is open as long as `file` is borrowed.
    if unsafe { libc::sync_file_range(file.as_raw_fd(), start, length, flags) } != 0 {
        let error = io::Error::last_os_error();
        tracing::debug!(%error, "cannot begin to write early");
    }
}

#[expect(unsafe_code, reason = "a slice of the mapping would promise that its bytes stay")]
fn copy(map: &Mmap, start: usize, bytes: &mut [u8]) {
    assert!(start <= map.len() && bytes.len() <= map.len() - start, "beyond the mapping");
    let from = map.as_ptr().wrapping_add(start);
    // SAFETY: the assertion holds the source within the mapping, which is alive and readable; a
    // page that is lost is replaced by zeros before the copy goes on. The target is a slice of
    // its own, so the two do not overlap.
    unsafe { ptr::copy_nonoverlapping(from, bytes.as_mut_ptr(), bytes.len()) }
}

#[expect(unsafe_code, reason = "what other mappings would lose is no matter for this one")]
fn drop_pages(map: &Mmap) -> io::Result<()> {
    // SAFETY: the mapping is of a file, read-only, and nothing borrows its bytes: a page that is
    // dropped comes back from the file, or as zeros where it was lost.
    unsafe { map.unchecked_advise(UncheckedAdvice::DontNeed) }
}

#[expect(unsafe_code, reason = "the kernel hands a pointer")]
fn fault_address(info: *const libc::siginfo_t) -> usize {
    // SAFETY: the kernel passes a valid description to a handler installed with SA_SIGINFO.
    let info = unsafe { &*info };
    // SAFETY: for SIGBUS the address is the field that is set; for one that was sent by a process
    // it reads as some number, which lies in a mapping of ours at worst by chance.
    unsafe { info.si_addr() }.addr()
}

/// Puts a page of zeros where one was lost; says whether that was possible.
#[expect(unsafe_code, reason = "a mapping has no safe form")]
fn put_zeros(address: usize, length: usize) -> bool {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
    let place = ptr::with_exposed_provenance_mut(address);
    // SAFETY: the page lies in a mapping of ours that is alive, for somebody is reading it just
    // now, and nobody holds a reference into it.
    let mapped = unsafe { libc::mmap(place, length, libc::PROT_READ, flags, -1, 0) };
    mapped == place
}

type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);

/// A signal that is not about a store goes to the handler there was before, or does what it does
/// where there is none.
#[expect(unsafe_code, reason = "handlers are pointers")]
fn hand_on(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let before = BEFORE.load(Ordering::Acquire);
    // SAFETY: null, or what `install` leaked, which nobody changes.
    let Some(before) = (unsafe { before.as_ref() }) else { return };
    if before.sa_flags & libc::SA_SIGINFO == 0 || before.sa_sigaction < 2 {
        // The access that failed is tried again, and meets what was there before.
        // SAFETY: the description came from the kernel.
        unsafe { libc::sigaction(signal, before, ptr::null_mut()) };
        return;
    }
    // SAFETY: with SA_SIGINFO the field is such a function, or one of the two constants below 2.
    let handler =
        unsafe { std::mem::transmute::<libc::sighandler_t, Handler>(before.sa_sigaction) };
    handler(signal, info, context);
}

#[expect(unsafe_code, reason = "signals have no safe form")]
fn install() -> io::Result<()> {
    let mut before = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: of a plain structure of C, all zeros are a value: no handler, no flags, no mask.
    let mut action = unsafe { MaybeUninit::<libc::sigaction>::zeroed().assume_init() };
    action.sa_sigaction = on_lost_page as *const () as libc::sighandler_t;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    // SAFETY: both pointers are to structures of this frame; the handler is a function that lives
    // as long as the program and calls only what a handler may.
    if unsafe { libc::sigaction(libc::SIGBUS, &raw const action, before.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call above has filled it.
    let before = unsafe { before.assume_init() };
    BEFORE.store(Box::into_raw(Box::new(before)), Ordering::Release);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: usize = 3 * 64 * 1024;

    fn mapped() -> (tempfile::NamedTempFile, Mapping) {
        survive_lost_pages();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), vec![7; LENGTH]).unwrap();
        let map = Mapping::of_sealed(file.as_file()).unwrap();
        (file, map)
    }

    fn copied(map: &Mapping, length: usize, offset: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![1; length];
        map.copy_at(&mut bytes, offset as u64).then_some(bytes)
    }

    #[test]
    fn short_reads_within_the_file_are_copied_and_others_left_to_the_kernel() {
        let (_file, map) = mapped();
        for (length, offset) in [(5, 0), (MAX_COPY, 1), (0, LENGTH)] {
            assert_eq!(copied(&map, length, offset), Some(vec![7; length]));
        }
        for (length, offset) in [(MAX_COPY + 1, 0), (9, LENGTH - 4), (1, LENGTH), (9, usize::MAX)] {
            assert_eq!(copied(&map, length, offset), None);
        }
    }

    #[test]
    fn a_page_that_is_lost_ends_the_mapping_and_not_the_process() {
        let (file, map) = mapped();
        assert!(copied(&map, 5, LENGTH - 5).is_some());
        file.as_file().set_len(10).unwrap();
        assert_eq!(copied(&map, 5, LENGTH - 5), None);
        assert_eq!(copied(&map, 5, 0), None, "nothing of it is trusted any more");
    }

    #[test]
    fn what_was_read_is_let_go_in_time_and_stays_what_it_was() {
        let (_file, map) = mapped();
        for round in 0..2 * RESIDENT_BYTES / MAX_COPY {
            let offset = round % 3 * MAX_COPY;
            assert_eq!(copied(&map, MAX_COPY, offset), Some(vec![7; MAX_COPY]));
        }
        assert!(RESIDENCE.bytes.load(Ordering::Relaxed) < 2 * RESIDENT_BYTES);
    }

    #[test]
    fn a_place_is_free_again_when_its_file_is_closed() {
        let (_file, map) = mapped();
        let slot = map.0.slot;
        let address = slot.start.load(Ordering::Relaxed);
        assert!(slot.holds(address) && !slot.holds(address + LENGTH));
        drop(map);
        assert!(!slot.holds(address));
    }
}
