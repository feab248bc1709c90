//! Giving new files their bytes and metadata on threads of their own, while their directories and
//! names are made.
//!
//! ```text
//! the thread that unpacks ── names, in the order of the layer ──► descriptors
//!                                   └─ Filler ── a few threads ──► bytes, owner, mode, times
//! ```
//!
//! Only one thread makes, replaces and links names, and so what a layer becomes is decided by its
//! order, however many threads there are. The others work on descriptors of files that were made for
//! them. They are none of rayon's: whoever unpacks a layer holds its lock, and must not take up
//! another's work while it waits.

use std::borrow::Cow;
use std::fs;
use std::num::NonZeroUsize;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Scope, ScopedJoinHandle};

use crate::layer::bodies::Bodies;
use crate::layer::files_error::{MaterialiseCause, MaterialiseError};
use crate::live::files;
use crate::live::place::finish;
use crate::path::LayerPath;
use crate::sparse::HoleWriter;
use crate::tree::entry::{File, Metadata};

/// So many files are filled by the thread that makes them: for fewer, another thread costs more than
/// it takes over.
const ALONE: u64 = 32;

/// How many files wait at most. Each is an open descriptor, and holds no more than [`HELD`] bytes.
const WAITING: usize = 32;

/// The most bytes of a file that may wait in memory: with [`WAITING`] files, 8 MiB for a layer.
pub(super) const HELD: usize = 256 << 10;

/// More threads than that wait for the one that makes names.
const THREADS_MAX: usize = 3;

/// A file that has a name, and what it is to become.
#[derive(Debug)]
pub(super) struct Unfilled<'t> {
    pub(super) made: fs::File,
    pub(super) path: LayerPath,
    pub(super) metadata: Cow<'t, Metadata>,
    pub(super) content: Content<'t>,
}

/// The bytes of a file, and where they are.
#[derive(Debug)]
pub(super) enum Content<'t> {
    /// In the store.
    Stored(&'t File),
    /// Here; no more than [`HELD`].
    Held(Vec<u8>),
}

/// Fills files in the background.
pub(super) struct Filler<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    work: Arc<Work<'env>>,
    n_files: u64,
    n_threads: usize,
    waiting: Option<SyncSender<Numbered<'env>>>,
    threads: Vec<ScopedJoinHandle<'scope, ()>>,
}

/// A file and how many came before it.
type Numbered<'t> = (u64, Unfilled<'t>);

/// What the threads have in common.
struct Work<'env> {
    bodies: &'env dyn Bodies,
    has_failed: AtomicBool,
    /// Of all failures the one of the first file.
    failure: Mutex<Option<(u64, MaterialiseError)>>,
}

impl<'scope, 'env> Filler<'scope, 'env> {
    /// One whose threads end in `scope`, for files whose bytes are in `bodies` unless they are held. It
    /// has one thread less than there may be: the other one makes names.
    pub(super) fn new(
        scope: &'scope Scope<'scope, 'env>,
        bodies: &'env dyn Bodies,
        threads: NonZeroUsize,
    ) -> Self {
        let n_threads = (threads.get() - 1).min(THREADS_MAX);
        let (has_failed, failure) = (AtomicBool::new(false), Mutex::default());
        let work = Arc::new(Work { bodies, has_failed, failure });
        Self { scope, work, n_files: 0, n_threads, waiting: None, threads: Vec::new() }
    }

    /// Takes a file over. It is filled here and now where all threads have enough to do.
    ///
    /// # Errors
    ///
    /// If one that was taken over could not be filled: of several, the first.
    pub(super) fn fill(&mut self, file: Unfilled<'env>) -> Result<(), MaterialiseError> {
        if self.work.has_failed.load(Ordering::Relaxed) {
            return self.finish();
        }
        if self.n_files == ALONE {
            self.hire();
        }
        let numbered = (self.n_files, file);
        self.n_files += 1;
        let left = match &self.waiting {
            None => numbered,
            Some(waiting) => match waiting.try_send(numbered) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Full(left) | TrySendError::Disconnected(left)) => left,
            },
        };
        self.work.fill(left);
        Ok(())
    }

    /// Waits until all that was taken over is filled.
    ///
    /// # Errors
    ///
    /// As [`fill`](Self::fill).
    pub(super) fn finish(&mut self) -> Result<(), MaterialiseError> {
        self.waiting = None;
        for thread in self.threads.drain(..) {
            thread.join().unwrap_or_else(|panic| resume_unwind(panic));
        }
        self.work.failure().take().map_or(Ok(()), |(_, error)| Err(error))
    }

    fn hire(&mut self) {
        if self.n_threads == 0 {
            return;
        }
        let (sender, receiver) = sync_channel(WAITING);
        let receiver = Arc::new(Mutex::new(receiver));
        for _ in 0..self.n_threads {
            let (work, receiver) = (Arc::clone(&self.work), Arc::clone(&receiver));
            self.threads.push(self.scope.spawn(move || work.until_the_end(&receiver)));
        }
        self.waiting = Some(sender);
    }
}

impl Work<'_> {
    fn until_the_end(&self, waiting: &Mutex<Receiver<Numbered<'_>>>) {
        loop {
            let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(numbered) = next else { return };
            self.fill(numbered);
        }
    }

    /// Those that wait are filled after a failure, too: it is for the first to be told.
    fn fill(&self, (number, file): Numbered<'_>) {
        let Err(cause) = file.fill(self.bodies) else { return };
        let mut failure = self.failure();
        if failure.as_ref().is_none_or(|(first, _)| number < *first) {
            *failure = Some((number, MaterialiseError { path: file.path, cause }));
        }
        self.has_failed.store(true, Ordering::Relaxed);
    }

    fn failure(&self) -> MutexGuard<'_, Option<(u64, MaterialiseError)>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Unfilled<'_> {
    fn fill(&self, bodies: &dyn Bodies) -> Result<(), MaterialiseCause> {
        match &self.content {
            Content::Stored(file) => files::write(&self.made, file, bodies)?,
            Content::Held(bytes) => {
                let mut writer = HoleWriter::new(&self.made);
                writer.write(bytes)?;
                writer.finish()?;
            }
        }
        finish(&self.made, &self.metadata)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::os::unix::fs::MetadataExt as _;
    use std::path::Path;

    use crate::bytes::FileBytes;
    use crate::id::BodyId;

    const N_FILES: usize = 500;

    fn metadata(number: usize) -> Metadata {
        let mode = if number.is_multiple_of(2) { 0o644 } else { 0o4555 };
        Metadata { mode, ..Metadata::default() }
    }

    /// Fills files of which some are held and some stored, and of the stored ones `missing` has none.
    fn fill_all(
        into: &Path,
        n_threads: usize,
        missing: impl Fn(usize) -> bool,
    ) -> Result<(), MaterialiseError> {
        let bytes = |number: usize| number.to_string().repeat(1 + number * 7).into_bytes();
        let node = |number| {
            let bytes = bytes(number);
            File { body: BodyId::of(&bytes), size: bytes.len() as u64, link: None }
        };
        let stored: Vec<File> = (0..N_FILES).map(node).collect();
        let there = (0..N_FILES).filter(|number| !missing(*number));
        let bodies: BTreeMap<BodyId, FileBytes> =
            there.map(|number| (stored[number].body, bytes(number).into())).collect();
        std::thread::scope(|scope| {
            let threads = NonZeroUsize::MIN.saturating_add(n_threads);
            let mut filler = Filler::new(scope, &bodies, threads);
            let root = rustix::fs::open(into, super::super::place::DIRECTORY, 0.into()).unwrap();
            let filled = (0..N_FILES).try_for_each(|number| {
                let name = number.to_string();
                let made = files::create(&root, name.as_bytes(), metadata(number).mode.into());
                let content = match number % 3 {
                    0 => Content::Held(bytes(number)),
                    _ => Content::Stored(&stored[number]),
                };
                let path = LayerPath::parse(name.as_bytes()).unwrap();
                let metadata = Cow::Owned(metadata(number));
                filler.fill(Unfilled { made: made.unwrap(), path, metadata, content })
            });
            filled.and_then(|()| filler.finish())
        })
    }

    #[test]
    fn files_are_the_same_however_many_threads_fill_them() {
        for n_threads in [0, 1, 3] {
            let folder = tempfile::tempdir().unwrap();
            fill_all(folder.path(), n_threads, |_| false).unwrap();
            for number in 0..N_FILES {
                let path = folder.path().join(number.to_string());
                let found = fs::metadata(&path).unwrap();
                assert_eq!((found.mode() & 0o7777, found.mtime()), (metadata(number).mode, 0));
                let text = fs::read_to_string(&path).unwrap();
                assert_eq!(text, number.to_string().repeat(1 + number * 7));
            }
        }
    }

    #[test]
    fn of_several_failures_the_first_is_told_however_many_threads_there_are() {
        for n_threads in [0, 1, 3] {
            for first in [1, 100, N_FILES - 3] {
                let folder = tempfile::tempdir().unwrap();
                let missing = |number| first <= number;
                let refused = fill_all(folder.path(), n_threads, missing).unwrap_err();
                assert!(matches!(refused.cause, MaterialiseCause::Missing(_)), "{refused:?}");
                let expected = (first..N_FILES).find(|number| number % 3 != 0).unwrap();
                assert_eq!(refused.path.to_string(), format!("/{expected}"), "{n_threads}");
            }
        }
    }
}
