//! The one module that maps files into memory, and so the one place with `unsafe` in this crate.
//!
//! Only sealed files are mapped: packs, their index and the journal's base. They lose write
//! permission before they get the name under which anybody opens them, and nothing in this crate
//! writes to or shortens a file under such a name.

use std::fs::File;
use std::io;
use std::ops::{Deref, Range};
use std::os::unix::fs::MetadataExt as _;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use memmap2::{Mmap, UncheckedAdvice};

use crate::sparse::{self, Run};

/// How much of a store's files is read before what was mapped so far is let go. What is read stays
/// in the kernel's cache; this bounds what counts as ours, however long the layers are.
const RESIDENT_BYTES: usize = 16 * 1024 * 1024;

/// Beyond so many holes of a file, zeros are looked at like other bytes: a list of them is no
/// longer small.
const HOLES_MAX: usize = 1 << 16;

/// What a read costs beyond its length: the kernel maps the neighbours of a page with it.
const NEIGHBOURS: usize = 16 * 1024;

/// The bytes of a sealed file.
#[derive(Clone, Debug)]
pub struct Mapping(Inner);

#[derive(Clone, Debug)]
enum Inner {
    Mapped(Arc<Mapped>),
    Owned(Arc<[u8]>),
}

#[derive(Debug)]
struct Mapped {
    map: Mmap,
    /// Where the file has no blocks, in order: what is there is zero, and need not be looked at.
    holes: Vec<Range<usize>>,
    residence: Arc<Residence>,
    /// Whether it was read since all were last let go.
    is_read: AtomicBool,
}

/// The mappings of one store, as far as their pages are in memory on our behalf.
#[derive(Debug, Default)]
pub struct Residence {
    bytes: AtomicUsize,
    read: Mutex<Vec<Weak<Mapped>>>,
}

impl Mapping {
    /// Maps a sealed file whole. An empty file gives an empty mapping.
    ///
    /// # Errors
    ///
    /// If the file cannot be mapped.
    pub fn of_sealed(file: &File, residence: &Arc<Residence>) -> io::Result<Self> {
        if file.metadata()?.len() == 0 {
            return Ok(Self::owned(Vec::new()));
        }
        let (map, residence) = (map(file)?, Arc::clone(residence));
        let holes = holes(file)?;
        Ok(Self(Inner::Mapped(Arc::new(Mapped {
            map,
            holes,
            residence,
            is_read: AtomicBool::new(false),
        }))))
    }

    /// Bytes in memory that pose as a mapped file.
    pub fn owned(bytes: Vec<u8>) -> Self {
        Self(Inner::Owned(bytes.into()))
    }

    /// Whether there is anything that need not be looked at.
    pub(crate) fn has_holes(&self) -> bool {
        matches!(&self.0, Inner::Mapped(mapped) if !mapped.holes.is_empty())
    }

    /// What lies in a range, in order: the bytes, or that they are zeros.
    pub(crate) fn runs(&self, range: Range<usize>) -> impl Iterator<Item = Run<'_>> {
        let holes = match &self.0 {
            Inner::Mapped(mapped) => &mapped.holes[..],
            Inner::Owned(_) => &[],
        };
        let first = holes.partition_point(|hole| hole.end <= range.start);
        let (mut holes, mut at) = (holes[first..].iter().peekable(), range.start);
        std::iter::from_fn(move || {
            let start = at;
            if range.end <= start {
                return None;
            }
            let hole = holes.next_if(|hole| hole.start <= start);
            let end = hole.map(|hole| hole.end).or_else(|| holes.peek().map(|hole| hole.start));
            at = end.map_or(range.end, |end| end.min(range.end));
            Some(match hole {
                Some(_) => Run::Zeros((at - start) as u64),
                None => Run::Data(&self[start..at]),
            })
        })
    }

    /// Says that so many bytes of it were read, or are about to be. Where that makes too many, all
    /// mappings of the store give their pages back; bytes that are still borrowed come again from
    /// the kernel's cache when they are looked at.
    pub fn note_read(&self, length: usize) {
        let Inner::Mapped(mapped) = &self.0 else { return };
        let residence = &mapped.residence;
        if !mapped.is_read.swap(true, Ordering::Relaxed) {
            residence.read().push(Arc::downgrade(mapped));
        }
        let more = length.saturating_add(NEIGHBOURS);
        if residence.bytes.fetch_add(more, Ordering::Relaxed).saturating_add(more) >= RESIDENT_BYTES
        {
            residence.let_go();
        }
    }
}

/// The holes of a file.
fn holes(file: &File) -> io::Result<Vec<Range<usize>>> {
    let (metadata, mut found, mut at) = (file.metadata()?, Vec::new(), 0);
    let size = metadata.len();
    if metadata.blocks().saturating_mul(512) >= size {
        return Ok(found);
    }
    while at < size && found.len() < HOLES_MAX {
        let data = sparse::next_data(file, at)?.unwrap_or(size).min(size);
        if at < data {
            let place = |at| usize::try_from(at).map_err(io::Error::other);
            found.push(place(at)?..place(data)?);
        }
        at = sparse::next_hole(file, data, size)?.max(data);
    }
    Ok(found)
}

impl Residence {
    fn let_go(&self) {
        self.bytes.store(0, Ordering::Relaxed);
        let read = std::mem::take(&mut *self.read());
        for mapped in read.iter().filter_map(Weak::upgrade) {
            mapped.is_read.store(false, Ordering::Relaxed);
            if let Err(error) = drop_pages(&mapped.map) {
                tracing::debug!(%error, "cannot give pages back");
            }
        }
    }

    fn read(&self) -> std::sync::MutexGuard<'_, Vec<Weak<Mapped>>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[expect(unsafe_code, reason = "a mapping has no safe form")]
fn map(file: &File) -> io::Result<Mmap> {
    // SAFETY: the callers pass sealed files only (see the head of this module): they are opened
    // read-only, belong to us in a directory closed to other users, and are never written to or
    // truncated again, so the bytes cannot change while they are borrowed.
    unsafe { Mmap::map(file) }
}

#[expect(unsafe_code, reason = "what other mappings would lose is no matter for this one")]
fn drop_pages(map: &Mmap) -> io::Result<()> {
    // SAFETY: the mapping is of a file, read-only and shared, so that there is nothing in it but
    // the file's bytes: a page that is dropped comes back with the same ones when it is touched,
    // and every borrow of them stays valid.
    unsafe { map.unchecked_advise(UncheckedAdvice::DontNeed) }
}

impl Deref for Mapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Inner::Mapped(mapped) => &mapped.map,
            Inner::Owned(bytes) => bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_maps_to_nothing() {
        let file = tempfile::tempfile().unwrap();
        assert!(Mapping::of_sealed(&file, &Arc::default()).unwrap().is_empty());
    }

    #[test]
    fn holes_are_known_without_a_look() {
        use std::os::unix::fs::FileExt as _;

        let file = tempfile::tempfile().unwrap();
        let mib = 1 << 20;
        file.set_len(4 * mib as u64).unwrap();
        file.write_all_at(&[7; 8192], mib as u64).unwrap();
        let map = Mapping::of_sealed(&file, &Arc::default()).unwrap();
        let seen = |range: Range<usize>| -> (u64, Vec<u8>) {
            let (mut zeros, mut all) = (0, Vec::new());
            for run in map.runs(range) {
                if let Run::Zeros(count) = run {
                    zeros += count;
                }
                run.each::<()>(&mut |bytes| {
                    all.extend_from_slice(bytes);
                    Ok(())
                })
                .unwrap();
            }
            (zeros, all)
        };
        for range in [0..4 * mib, 5..mib + 1, mib + 1..mib + 2, mib..mib + 8192, 2 * mib..3 * mib] {
            let (zeros, all) = seen(range.clone());
            assert!(all == map[range.clone()], "{range:?}");
            assert!(zeros <= range.len() as u64);
        }
        let known = seen(0..4 * mib).0;
        // A file system without holes has none to know of.
        assert!(known == 0 || known > 3 * mib as u64, "{known}");
        assert_eq!(map.runs(3..3).count(), 0);
    }

    #[test]
    fn what_was_read_is_let_go_in_time_and_stays_what_it_was() {
        use std::io::Write as _;

        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![7; RESIDENT_BYTES]).unwrap();
        let residence = Arc::default();
        let [one, two] = [0; 2].map(|_| Mapping::of_sealed(&file, &residence).unwrap());
        let half = RESIDENT_BYTES / 2 - NEIGHBOURS;
        one.note_read(half);
        assert_eq!((residence.read().len(), one[5]), (1, 7));
        two.note_read(half);
        assert_eq!(residence.read().len(), 0);
        assert_eq!(residence.bytes.load(Ordering::Relaxed), 0);
        assert!(one.iter().chain(two.iter()).all(|byte| *byte == 7));
        one.note_read(1);
        assert_eq!(residence.read().len(), 1);
    }
}
