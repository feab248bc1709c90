//! A layer as a tar stream.

use std::io::{self, Write};

use crate::error::ReadError;
use crate::id::BodyId;
use crate::layer::bodies::Bodies;
use crate::layer::canonical::{self, BLOCK, CanonicalEntry, END, padding};
use crate::tree::entry::Tree;

/// A layer could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteTarError {
    /// A file's bytes are not in the store.
    #[error("the bytes of {path} ({body}) are not in the store")]
    Missing {
        /// The file.
        path: crate::path::LayerPath,
        /// Its body.
        body: BodyId,
    },
    /// The store could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The destination failed.
    #[error("cannot write the tar stream")]
    Write(#[from] io::Error),
}

/// Writes the canonical tar stream of a layer. Equal trees give equal bytes.
///
/// # Errors
///
/// If a body is missing or cannot be read, or `out` cannot be written.
pub fn tar_write(
    tree: &Tree,
    bodies: &dyn Bodies,
    epoch: Option<i64>,
    out: &mut dyn Write,
) -> Result<(), WriteTarError> {
    canonical::each(tree, epoch, &mut |entry| write_entry(&entry, bodies, out))?;
    out.write_all(&END)?;
    Ok(())
}

fn write_entry(
    entry: &CanonicalEntry,
    bodies: &dyn Bodies,
    out: &mut dyn Write,
) -> Result<(), WriteTarError> {
    out.write_all(&entry.header)?;
    if let Some(file) = &entry.body {
        let body = bodies.body(&file.body)?;
        let missing = || WriteTarError::Missing { path: entry.path.clone(), body: file.body };
        let body = body.filter(|body| body.len() == file.size).ok_or_else(missing)?;
        body.each::<WriteTarError>(&mut |bytes| Ok(out.write_all(bytes)?))?;
        out.write_all(&[0; BLOCK][..padding(file.size)])?;
    }
    Ok(())
}
