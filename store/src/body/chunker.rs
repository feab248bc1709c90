//! Cutting a long body into chunks while it comes, so that memory does not grow with it.
//!
//! Where it is cut depends on its bytes alone: an edit moves the cuts beside it and no other, and
//! the same body gives the same list however it came, with holes or without, in whichever pieces.

use std::ops::Range;

use fastcdc::v2020::FastCDC;
use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};

use crate::chunk_list::{ChunkList, Piece};
use crate::error::WriteError;
use crate::id::BodyId;
use crate::spare;
use crate::sparse::{self, BLOCK, Run};

/// A shorter chunk costs more to find than it saves.
const CHUNK_MIN: usize = 64 << 10;
/// Smaller saves a third more of locally edited files, and costs it again in what compresses less.
const CHUNK_AVERAGE: usize = 256 << 10;
/// What memory holds of a body at least.
const CHUNK_MAX: usize = 1 << 20;

/// So much is hashed and stored at once: enough for every thread.
const WINDOW: usize = 4 << 20;

/// As many zeros are no part of any chunk: they cost nothing to store, to read and to write.
const ZEROS_FROM: u64 = CHUNK_MIN as u64;

/// Takes the bytes of a chunk, and names them. Called from several threads.
pub(super) type TakeChunk<'a> = &'a (dyn Fn(&[u8]) -> Result<BodyId, WriteError> + Sync);

/// Cuts what is added, and hands the chunks on.
pub(super) struct Chunker<'take> {
    take: TakeChunk<'take>,
    whole: blake3::Hasher,
    list: ChunkList,
    /// What is not cut yet.
    buffer: Vec<u8>,
    /// How much of the buffer is in the hash of the whole already.
    hashed: usize,
    /// The zeros after the buffer.
    zeros: u64,
    /// The begun block after those: zeros are told from other bytes by whole blocks.
    block: Vec<u8>,
}

/// How far the buffer is cut.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Until {
    /// As far as what may still come cannot matter.
    Certain,
    /// To its end.
    End,
}

impl<'take> Chunker<'take> {
    pub(super) fn new(take: TakeChunk<'take>) -> Self {
        let (whole, list) = (BodyId::hasher(), ChunkList::default());
        let buffer = spare::with_room(WINDOW + CHUNK_MAX);
        Self { take, whole, list, buffer, hashed: 0, zeros: 0, block: Vec::new() }
    }

    /// Adds bytes.
    pub(super) fn add(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        let mut bytes = bytes;
        if !self.block.is_empty() {
            let (first, rest) = bytes.split_at(bytes.len().min(BLOCK - self.block.len()));
            self.block.extend_from_slice(first);
            self.end_block()?;
            bytes = rest;
        }
        let (blocks, rest) = bytes.split_at(bytes.len() / BLOCK * BLOCK);
        self.blocks(blocks)?;
        self.block.extend_from_slice(rest);
        Ok(())
    }

    /// Adds zeros.
    pub(super) fn skip(&mut self, count: u64) -> Result<(), WriteError> {
        let in_block = BLOCK as u64;
        let first = match self.block.len() as u64 {
            0 => 0,
            begun => count.min(in_block - begun),
        };
        self.add(sparse::some_zeros(first))?;
        let rest = count - first;
        self.zeros += rest / in_block * in_block;
        self.add(sparse::some_zeros(rest % in_block))
    }

    /// Hands the rest on, and says what the whole consists of.
    pub(super) fn finish(mut self) -> Result<(BodyId, ChunkList), WriteError> {
        let block = std::mem::take(&mut self.block);
        self.blocks(&block)?;
        self.settle()?;
        self.cut(Until::End)?;
        spare::give(self.buffer);
        Ok((BodyId::from_hasher(&self.whole), self.list))
    }

    fn end_block(&mut self) -> Result<(), WriteError> {
        if self.block.len() < BLOCK {
            return Ok(());
        }
        let block = std::mem::take(&mut self.block);
        self.blocks(&block)
    }

    fn blocks(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        for run in sparse::runs(bytes, 0) {
            match run {
                Run::Zeros(count) => self.zeros += count,
                Run::Data(bytes) => {
                    self.settle()?;
                    for bytes in bytes.chunks(WINDOW) {
                        self.buffer.extend_from_slice(bytes);
                        if WINDOW <= self.buffer.len() {
                            self.cut(Until::Certain)?;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Decides what becomes of the zeros that have come, since what comes next is none or the end.
    fn settle(&mut self) -> Result<(), WriteError> {
        let count = std::mem::take(&mut self.zeros);
        if count < ZEROS_FROM {
            self.buffer.extend_from_slice(sparse::some_zeros(count));
            return Ok(());
        }
        self.cut(Until::End)?;
        self.list.0.push(Piece { length: count, chunk: None });
        Run::Zeros(count).each(&mut |zeros| {
            self.whole.update(zeros);
            Ok(())
        })
    }

    fn cut(&mut self, until: Until) -> Result<(), WriteError> {
        let (take, whole, buffer) = (self.take, &mut self.whole, &self.buffer);
        let fresh = &buffer[self.hashed..];
        // What is no thread of a pool is not to start one.
        let pieces: Result<Vec<Piece>, WriteError> = if rayon::current_thread_index().is_some() {
            let put =
                || cuts(buffer, until).par_iter().map(|cut| name(take, buffer, cut)).collect();
            rayon::join(|| whole.update(fresh).count(), put).1
        } else {
            whole.update(fresh);
            cuts(buffer, until).iter().map(|cut| name(take, buffer, cut)).collect()
        };
        let pieces = pieces?;
        let done = pieces.iter().map(|piece| piece.length).sum::<u64>();
        self.buffer.drain(..usize::try_from(done).unwrap_or(usize::MAX));
        self.hashed = self.buffer.len();
        self.list.0.extend(pieces);
        Ok(())
    }
}

/// The chunks that a buffer begins with.
fn cuts(buffer: &[u8], until: Until) -> Vec<Range<usize>> {
    let chunker = FastCDC::new(buffer, CHUNK_MIN, CHUNK_AVERAGE, CHUNK_MAX);
    // No cut depends on what is further away than the longest chunk.
    let left = if until == Until::End { 0 } else { CHUNK_MAX };
    let (mut cuts, mut at) = (Vec::new(), 0);
    while left < buffer.len() - at {
        let (_, end) = chunker.cut(at, buffer.len() - at);
        cuts.push(at..end);
        at = end;
    }
    cuts
}

fn name(take: TakeChunk<'_>, buffer: &[u8], cut: &Range<usize>) -> Result<Piece, WriteError> {
    let bytes = &buffer[cut.clone()];
    Ok(Piece { length: bytes.len() as u64, chunk: Some(take(bytes)?) })
}
