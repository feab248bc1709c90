//! Sealed files, read by offset.
//!
//! A page that cannot be read, because the medium fails or somebody has cut the file off, is an
//! error of the read that met it, in whatever way the bytes come: see
//! `docs/adr/0012-short-reads-come-from-mappings.md`.

use std::ops::Range;
use std::sync::Arc;

use crate::error::{ReadCause, ReadError};
use crate::spare;
use crate::sparse::Run;
use crate::vfs::{Vfs, VfsFile, read_exact_at};

/// How much of a file is in memory at once while it is passed on.
const PIECE: u64 = 256 * 1024;

/// A file that does not change any more, and where it has no blocks.
#[derive(Debug)]
pub(crate) struct Sealed {
    path: String,
    file: Access,
    size: u64,
    /// In order: what is there is zero, and need not be looked at.
    holes: Vec<Range<u64>>,
}

/// How the file is had.
#[derive(Debug)]
enum Access {
    /// It stays open, and readable when it has been unlinked.
    Open(Box<dyn VfsFile>),
    /// Opened for each read: a process may have only so many open files.
    Reopened(Arc<dyn Vfs>),
}

impl Sealed {
    /// A file that stays open.
    pub(crate) fn open(vfs: &dyn Vfs, path: &str) -> Result<Self, ReadError> {
        let at = |cause: std::io::Error| ReadError::new(path, cause);
        let file = vfs.open_sealed(path).map_err(at)?;
        let (size, holes) = (file.size().map_err(at)?, file.holes().map_err(at)?);
        Ok(Self { path: path.to_owned(), file: Access::Open(file), size, holes })
    }

    /// A file that is opened again for each read.
    pub(crate) fn at(vfs: &Arc<dyn Vfs>, path: &str) -> Result<Self, ReadError> {
        let file = Access::Reopened(Arc::clone(vfs));
        Ok(Self { file, ..Self::open(&**vfs, path)? })
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// The length it had when it was opened.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Whether all of a range is one hole.
    pub(crate) fn is_hole(&self, range: &Range<u64>) -> bool {
        let at = self.holes.partition_point(|hole| hole.end < range.end);
        self.holes.get(at).is_some_and(|hole| hole.start <= range.start)
    }

    /// The bytes of a range.
    pub(crate) fn read(&self, range: Range<u64>) -> Result<Vec<u8>, ReadError> {
        let length = usize::try_from(range.end.saturating_sub(range.start));
        let length = length.map_err(|_| self.error(ReadCause::Truncated))?;
        let mut bytes = spare::take(length);
        self.read_into(&mut bytes, range.start)?;
        Ok(bytes)
    }

    /// Reads as many bytes as there is room for.
    pub(crate) fn read_into(&self, bytes: &mut [u8], offset: u64) -> Result<(), ReadError> {
        let read = match &self.file {
            Access::Open(file) => read_exact_at(&**file, bytes, offset),
            Access::Reopened(vfs) => {
                vfs.open(&self.path).and_then(|file| read_exact_at(&*file, bytes, offset))
            }
        };
        read.map_err(|error| {
            let is_short = error.kind() == std::io::ErrorKind::UnexpectedEof;
            self.error(if is_short { ReadCause::Truncated } else { error.into() })
        })
    }

    /// Gives what lies in a range, in order and in pieces that memory can hold.
    pub(crate) fn each_run<E: From<ReadError>>(
        &self,
        range: Range<u64>,
        sink: &mut dyn FnMut(Run<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let first = self.holes.partition_point(|hole| hole.end <= range.start);
        let (mut holes, mut at, mut piece) = (self.holes[first..].iter(), range.start, Vec::new());
        while at < range.end {
            let hole = holes.next().map_or(range.end..range.end, Clone::clone);
            while at < hole.start.min(range.end) {
                let count = PIECE.min(hole.start.min(range.end) - at);
                piece.resize(usize::try_from(count).unwrap_or(0), 0);
                self.read_into(&mut piece, at)?;
                sink(Run::Data(&piece))?;
                at += count;
            }
            let end = hole.end.min(range.end);
            if at < end {
                sink(Run::Zeros(end - at))?;
                at = end;
            }
        }
        Ok(())
    }

    fn error(&self, cause: ReadCause) -> ReadError {
        ReadError::new(&*self.path, cause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::Disk;

    const MIB: u64 = 1 << 20;

    /// Four MiB of which two blocks are written.
    fn sparse() -> (tempfile::TempDir, Sealed) {
        use std::os::unix::fs::FileExt as _;

        let directory = tempfile::tempdir().unwrap();
        let file = std::fs::File::create(directory.path().join("f")).unwrap();
        file.set_len(4 * MIB).unwrap();
        file.write_all_at(&[7; 8192], MIB).unwrap();
        let sealed = Sealed::open(&Disk::open(directory.path()).unwrap(), "f").unwrap();
        (directory, sealed)
    }

    #[test]
    fn holes_are_known_without_a_look() {
        let (_directory, sealed) = sparse();
        let whole = sealed.read(0..4 * MIB).unwrap();
        let seen = |range: Range<u64>| {
            let (mut zeros, mut all) = (0, Vec::new());
            let done = sealed.each_run::<ReadError>(range, &mut |run| {
                if let Run::Zeros(count) = run {
                    zeros += count;
                }
                run.each(&mut |bytes| {
                    all.extend_from_slice(bytes);
                    Ok(())
                })
            });
            done.unwrap();
            (zeros, all)
        };
        for range in [0..4 * MIB, 5..MIB + 1, MIB + 1..MIB + 2, MIB..MIB + 8192, 2 * MIB..3 * MIB] {
            let (zeros, all) = seen(range.clone());
            let [start, end] = [range.start, range.end].map(|at| usize::try_from(at).unwrap());
            assert!(all == whole[start..end], "{range:?}");
            assert!(!sealed.is_hole(&range) || zeros == range.end - range.start, "{range:?}");
        }
        let known = seen(0..4 * MIB).0;
        // A file system without holes has none to know of.
        assert!(known == 0 || known > 3 * MIB, "{known}");
        assert_eq!(seen(3..3).1, b"");
    }

    #[test]
    fn a_file_cut_off_while_it_is_open_is_an_error() {
        let (directory, sealed) = sparse();
        let file = std::fs::File::options().write(true).open(directory.path().join("f")).unwrap();
        file.set_len(MIB + 5).unwrap();
        assert!(matches!(sealed.read(0..4 * MIB).unwrap_err().cause, ReadCause::Truncated));
        let mut seen = 0;
        let read = sealed.each_run::<ReadError>(MIB..MIB + 8192, &mut |run| {
            run.each(&mut |bytes| {
                seen += bytes.len();
                Ok(())
            })
        });
        assert!(matches!(read.unwrap_err().cause, ReadCause::Truncated));
    }
}
