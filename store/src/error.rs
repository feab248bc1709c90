//! Errors of reading from and writing to the store: which file, and why.

use std::io;

use crate::format::FormatError;
use crate::tree::limits::LimitError;

/// A file of the store could not be read, or is not what it was when it was written.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {path} of the store")]
pub struct ReadError {
    /// The file, relative to the store.
    pub path: String,
    /// What was wrong.
    #[source]
    pub cause: ReadCause,
}

/// Why a file of the store could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadCause {
    /// The file is shorter than it says.
    #[error("the file is cut off")]
    Truncated,
    /// A header makes no sense.
    #[error("{0} is malformed")]
    Malformed(&'static str),
    /// A newer version of this program wrote it.
    #[error("{0} was written by a newer version")]
    Newer(&'static str),
    /// The bytes are not those that were written.
    #[error("checksum mismatch at byte {offset}")]
    Checksum {
        /// Where the record begins.
        offset: u64,
    },
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Something could not be written to the store. The store is as it was before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The file system refused.
    #[error("cannot write {path} of the store")]
    Io {
        /// The file, relative to the store.
        path: String,
        /// What it said.
        #[source]
        source: io::Error,
    },
    /// Something had to be read first.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The bytes came from a reader that failed.
    #[error("cannot read what is to be stored")]
    Source(#[source] io::Error),
    /// An earlier write or sync of the same file failed, so what it holds is in doubt.
    #[error("an earlier write to {path} of the store failed")]
    Poisoned {
        /// The file.
        path: String,
        /// What the file system said then.
        #[source]
        source: io::Error,
    },
    /// Another process changed the journal since it was looked at.
    #[error("the store changed meanwhile")]
    Moved,
    /// A key or value is longer than a record can hold.
    #[error("a record of {length} bytes is too long for the journal")]
    TooLong {
        /// Its length.
        length: usize,
    },
    /// The store has a feature that whoever writes must know.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// A tree has an entry that no layer can have.
    #[error(transparent)]
    Tree(#[from] LimitError),
}

impl WriteError {
    /// Whether the file system had no room for it.
    pub(crate) fn is_full(&self) -> bool {
        let full = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
        matches!(self, Self::Io { source, .. } if full.contains(&source.kind()))
    }
}

/// Why a file is not written to any more, for all who want to from now on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Poison {
    kind: io::ErrorKind,
    number: Option<i32>,
}

impl Poison {
    pub(crate) fn of(error: &io::Error) -> Self {
        Self { kind: error.kind(), number: error.raw_os_error() }
    }

    /// What whoever comes later is told.
    pub(crate) fn error(self, path: &str) -> WriteError {
        let source = self.number.map_or_else(|| self.kind.into(), io::Error::from_raw_os_error);
        WriteError::Poisoned { path: path.to_owned(), source }
    }
}

impl ReadError {
    pub(crate) fn new(path: impl Into<String>, cause: impl Into<ReadCause>) -> Self {
        Self { path: path.into(), cause: cause.into() }
    }

    /// Whether the file system answered that there is no such file.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(&self.cause, ReadCause::Io(error) if error.kind() == io::ErrorKind::NotFound)
    }
}

/// The error of a journal record this version cannot read.
pub(crate) fn malformed(what: &'static str) -> ReadError {
    ReadError::new("journal", ReadCause::Malformed(what))
}

/// Says which file an I/O error was about.
pub(crate) trait At<T> {
    fn reading(self, path: &str) -> Result<T, ReadError>;
    fn writing(self, path: &str) -> Result<T, WriteError>;
}

impl<T> At<T> for io::Result<T> {
    fn reading(self, path: &str) -> Result<T, ReadError> {
        self.map_err(|error| ReadError::new(path, error))
    }

    fn writing(self, path: &str) -> Result<T, WriteError> {
        self.map_err(|source| WriteError::Io { path: path.to_owned(), source })
    }
}
