//! Records of the journal that this program cannot use: one that makes no sense costs what it was
//! about, and nothing else; one that a newer version wrote is left for that version.

use crate::error::{ReadCause, ReadError};

/// Why a record cannot be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unread {
    /// It makes no sense, to whatever version.
    Damaged,
    /// A newer version wrote it.
    Newer,
}

impl Unread {
    /// What a value is that could not be read as one of `version`.
    pub(crate) fn of(value: &[u8], version: u8) -> Self {
        match value.first() {
            Some(found) if version < *found => Self::Newer,
            Some(_) | None => Self::Damaged,
        }
    }
}

/// What came of reading one record: where it is damaged, it is as if it were not there.
///
/// # Errors
///
/// [`ReadCause::Newer`] for what a newer version wrote: nobody may take it for absent, and put
/// another in its place.
pub(crate) fn one<T>(
    what: &'static str,
    read: Option<T>,
    (value, version): (&[u8], u8),
) -> Result<Option<T>, ReadError> {
    if read.is_some() {
        return Ok(read);
    }
    match Unread::of(value, version) {
        Unread::Newer => Err(ReadError::new("journal", ReadCause::Newer(what))),
        Unread::Damaged => {
            tracing::warn!(what, "passing over a record that is damaged");
            Ok(None)
        }
    }
}

/// As [`one`], for a list: what cannot be used is left out.
pub(crate) fn among_others<T>(what: &'static str, read: Option<T>) -> Option<T> {
    if read.is_none() {
        tracing::warn!(what, "passing over a record that cannot be read");
    }
    read
}
