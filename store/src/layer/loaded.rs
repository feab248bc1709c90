//! The entries of a layer with the bytes of their files: a window of them is loaded by all threads
//! while the one before it is used.

use std::mem;

use rayon::iter::{IntoParallelIterator, ParallelIterator};

use crate::bytes::FileBytes;
use crate::layer::bodies::Bodies;
use crate::layer::canonical::{self, CanonicalEntry};
use crate::layer::start_order::First;
use crate::layer::tar_write::WriteTarError;
use crate::tree::entry::Tree;

/// A window ends with the entry that makes it this long, or with this many: enough work for every
/// thread, and little enough to hold two of them.
const WINDOW_BYTES: u64 = 4 << 20;
const WINDOW_ENTRIES: usize = 1024;

/// An entry, and the bytes of its file.
pub(super) struct Loaded {
    pub(super) entry: CanonicalEntry,
    pub(super) body: Option<FileBytes>,
}

/// Gives the entries of a layer in canonical order. Works on the current rayon pool.
///
/// # Errors
///
/// If a body is missing or cannot be read; or the first error of `sink`, which is called no more then.
pub(super) fn each<E: From<WriteTarError> + Send>(
    tree: &Tree,
    bodies: &dyn Bodies,
    sink: &mut (dyn FnMut(Loaded) -> Result<(), E> + Send),
) -> Result<(), E> {
    each_after(tree, bodies, 0, sink)
}

/// As [`each`], without so many entries at the beginning.
pub(super) fn each_after<E: From<WriteTarError> + Send>(
    tree: &Tree,
    bodies: &dyn Bodies,
    n_skipped: usize,
    sink: &mut (dyn FnMut(Loaded) -> Result<(), E> + Send),
) -> Result<(), E> {
    let (next, ready) = (Vec::new(), Vec::new());
    let mut windows = Windows { bodies, sink, next, next_bytes: 0, ready };
    let mut n_entries = 0;
    canonical::each(tree, None, &mut |entry| {
        n_entries += 1;
        if n_skipped < n_entries { windows.push(entry) } else { Ok(()) }
    })?;
    windows.advance()?;
    windows.advance()
}

/// As [`each`], of entries that come first.
pub(super) fn each_first<E: From<WriteTarError> + Send>(
    first: &First,
    bodies: &dyn Bodies,
    sink: &mut (dyn FnMut(Loaded) -> Result<(), E> + Send),
) -> Result<(), E> {
    let (next, ready) = (Vec::new(), Vec::new());
    let mut windows = Windows { bodies, sink, next, next_bytes: 0, ready };
    first.entries.iter().try_for_each(|entry| windows.push(entry.clone()))?;
    windows.advance()?;
    windows.advance()
}

/// As [`each`], without those that came first.
pub(super) fn each_other<E: From<WriteTarError> + Send>(
    (tree, first): (&Tree, &First),
    bodies: &dyn Bodies,
    sink: &mut (dyn FnMut(Loaded) -> Result<(), E> + Send),
) -> Result<(), E> {
    let (next, ready) = (Vec::new(), Vec::new());
    let mut windows = Windows { bodies, sink, next, next_bytes: 0, ready };
    canonical::each(tree, None, &mut |entry| {
        if first.paths.contains(&entry.path) { Ok(()) } else { windows.push(entry) }
    })?;
    windows.advance()?;
    windows.advance()
}

struct Windows<'a, E> {
    bodies: &'a dyn Bodies,
    sink: &'a mut (dyn FnMut(Loaded) -> Result<(), E> + Send),
    next: Vec<CanonicalEntry>,
    next_bytes: u64,
    ready: Vec<Loaded>,
}

impl<E: From<WriteTarError> + Send> Windows<'_, E> {
    fn push(&mut self, entry: CanonicalEntry) -> Result<(), E> {
        self.next_bytes += entry.body.map_or(0, |file| file.size);
        self.next.push(entry);
        if WINDOW_BYTES <= self.next_bytes || WINDOW_ENTRIES <= self.next.len() {
            self.advance()?;
        }
        Ok(())
    }

    /// Hands out the window that is loaded, and loads the next one meanwhile.
    fn advance(&mut self) -> Result<(), E> {
        let (ready, next) = (mem::take(&mut self.ready), mem::take(&mut self.next));
        let (bodies, sink) = (self.bodies, &mut *self.sink);
        let (used, loaded) = rayon::join(
            || ready.into_iter().try_for_each(sink),
            || next.into_par_iter().map(|entry| load(entry, bodies)).collect::<Result<_, _>>(),
        );
        used?;
        (self.ready, self.next_bytes) = (loaded?, 0);
        Ok(())
    }
}

fn load(entry: CanonicalEntry, bodies: &dyn Bodies) -> Result<Loaded, WriteTarError> {
    let Some(file) = entry.body else { return Ok(Loaded { entry, body: None }) };
    match bodies.body(&file.body)?.filter(|body| body.len() == file.size) {
        Some(body) => Ok(Loaded { entry, body: Some(body) }),
        None => Err(WriteTarError::Missing { path: entry.path, body: file.body }),
    }
}
