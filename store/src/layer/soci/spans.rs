//! What is between the checkpoints of a gzip stream.

use std::io::{self, BufRead, BufReader, Read};

use super::SPAN;
use super::checkpoint::{Checkpoint, WINDOW};
use crate::digest::{Digest, Hasher};
use crate::error::malformed;
use crate::layer::export::ExportError;
use crate::layer::recipe::{Checksum, Piece, Recipe};
use crate::store::Store;

/// What begins the id of a codec whose parts are blocks of one gzip member.
const CODEC: &str = "gzip-";
/// How much of a blob is read at once.
const BUFFER: usize = 256 << 10;

/// The spans of a gzip stream, each from a checkpoint to the next.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Spans {
    pub(super) checkpoints: Vec<Checkpoint>,
    /// The digest of the compressed bytes of each.
    pub(super) digests: Vec<Digest>,
    /// The length of the stream.
    pub(super) compressed: u64,
    /// The length of what it uncompresses to.
    pub(super) plain: u64,
}

impl Spans {
    /// The spans of a layer that was put together of parts. `None` where these are no blocks of one gzip
    /// member, or do not say what they uncompress to.
    pub(super) fn of_parts(store: &Store, recipe: &Recipe) -> Result<Option<Self>, ExportError> {
        if !recipe.codec.starts_with(CODEC) {
            return Ok(None);
        }
        let mut cutter = Cutter::default();
        for piece in &recipe.pieces {
            match piece {
                Piece::Literal(bytes) => cutter.add(bytes),
                Piece::Checked(name) => {
                    let object = store.get(name.kind, &name.id)?.ok_or(ExportError::Gone)?;
                    let Some(checksum) = Checksum::read(&object) else {
                        return Err(malformed("a compressed part").into());
                    };
                    cutter.part(&object[..object.len() - Checksum::SIZE], checksum.size);
                }
                Piece::Whole(_) => return Ok(None),
            }
        }
        Ok(Some(cutter.finish()))
    }

    /// The spans of a stream of so many plain bytes, of which the checkpoints are known.
    pub(super) fn of_blob(
        blob: &mut dyn Read,
        checkpoints: Vec<Checkpoint>,
        plain: u64,
    ) -> io::Result<Self> {
        let mut blob = BufReader::with_capacity(BUFFER, blob);
        let (mut digests, mut last) = (Vec::new(), 0);
        let mut compressed =
            pass(&mut blob, checkpoints.first().map(|first| first.at), &mut |_| {})?;
        for (number, checkpoint) in checkpoints.iter().enumerate() {
            let mut hasher = Hasher::default();
            if checkpoint.bits != 0 {
                hasher.update(&[last]);
            }
            let length = checkpoints.get(number + 1).map(|next| next.at - checkpoint.at);
            compressed += pass(&mut blob, length, &mut |bytes| {
                hasher.update(bytes);
                last = bytes.last().copied().unwrap_or(last);
            })?;
            digests.push(hasher.finish());
        }
        Ok(Self { checkpoints, digests, compressed, plain })
    }

    /// The checkpoints in the form of a zTOC.
    pub(super) fn encode(&self) -> Vec<u8> {
        let count = i32::try_from(self.checkpoints.len()).expect("a span has megabytes");
        let mut out = Vec::with_capacity(12 + self.checkpoints.len() * (WINDOW + 17));
        out.extend_from_slice(&count.to_le_bytes());
        out.extend_from_slice(&SPAN.to_le_bytes());
        for checkpoint in &self.checkpoints {
            checkpoint.encode(&mut out);
        }
        out
    }
}

/// Hands over so many bytes, or all that are left; gives how many they were.
fn pass(
    from: &mut dyn BufRead,
    length: Option<u64>,
    sink: &mut dyn FnMut(&[u8]),
) -> io::Result<u64> {
    let mut passed = 0;
    loop {
        let left = length.map_or(u64::MAX, |length| length - passed);
        let bytes = from.fill_buf()?;
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        if count == 0 {
            return Ok(passed);
        }
        sink(&bytes[..count]);
        from.consume(count);
        passed += count as u64;
    }
}

/// Cuts a stream at its parts.
#[derive(Default)]
struct Cutter {
    checkpoints: Vec<Checkpoint>,
    digests: Vec<Digest>,
    /// Over the span that has begun.
    hasher: Hasher,
    compressed: u64,
    plain: u64,
}

impl Cutter {
    /// Adds bytes that are no part: what is before the first, and behind the last.
    fn add(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.compressed += bytes.len() as u64;
    }

    /// Adds a part that uncompresses to so many bytes. With one that would make the span too long, the next begins.
    fn part(&mut self, bytes: &[u8], plain: u64) {
        let begun = self.checkpoints.last().map(|last| last.plain);
        if begun.is_none_or(|begun| begun < self.plain && SPAN < self.plain + plain - begun) {
            let hasher = std::mem::take(&mut self.hasher);
            if begun.is_some() {
                self.digests.push(hasher.finish());
            }
            let (at, plain) = (self.compressed, self.plain);
            self.checkpoints.push(Checkpoint { at, plain, bits: 0, window: Vec::new() });
        }
        self.add(bytes);
        self.plain += plain;
    }

    fn finish(mut self) -> Spans {
        let Self { compressed, plain, .. } = self;
        self.digests.push(self.hasher.finish());
        Spans { checkpoints: self.checkpoints, digests: self.digests, compressed, plain }
    }
}
