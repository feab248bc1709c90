//! Naming the bytes of files that stay where they are.

use std::fs::File;
use std::io::Read as _;

use super::chunker::Chunker;
use super::{CHUNKS_FROM, add_file, source};
use crate::chunk_list::ChunkList;
use crate::error::WriteError;
use crate::id::BodyId;

/// Names the bytes of a file of about this size without storing them: what they are as a whole, how
/// many there are, and what they consist of where they are many.
///
/// # Errors
///
/// If the file cannot be read.
pub(crate) fn name_file(
    file: &mut File,
    size: u64,
) -> Result<(BodyId, u64, Option<ChunkList>), WriteError> {
    if size < CHUNKS_FROM as u64 {
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(CHUNKS_FROM));
        source(file.read_to_end(&mut bytes))?;
        return Ok((BodyId::of(&bytes), bytes.len() as u64, None));
    }
    let mut chunker = Chunker::new(&|bytes| Ok(BodyId::of(bytes)));
    add_file(&mut chunker, file, size)?;
    let (id, list) = chunker.finish()?;
    Ok((id, list.length(), Some(list)))
}
