//! zstd:chunked: a layer that is zstd to everybody, and of which podman fetches only the files it does not have.
//!
//! The body of each file is in frames of its own. Behind the tar stream, in frames that decoders skip, are a table
//! of contents, the stream without its bodies, and a footer that says where they are.

use zstd::stream::write::Encoder;

use crate::bytes::FileBytes;
use crate::digest::{Digest, Hasher};
use crate::error::ReadError;
use crate::layer::canonical::{END, padding};
use crate::layer::codec::Codec;
use crate::layer::estargz::Seekable;
use crate::layer::export::ExportError;
use crate::layer::export::assembler::Assembler;
use crate::layer::fragment::{PART_MAX, Part, RUN_MAX, starts};
use crate::layer::loaded::{self, Loaded};
use crate::layer::start_order::StartOrder;
use crate::layer::toc::{Form, Toc, TocChunk};
use crate::lease::Lease;
use crate::tree::entry::{Directory, Node, Tree};

use self::crc64::Crc64;
use self::tar_split::TarSplit;

mod crc64;
mod tar_split;

/// The annotation of a layer with the digest of its compressed table, against which a reader checks it.
pub const TOC_DIGEST: &str = "io.github.containers.zstd-chunked.manifest-checksum";
/// The annotation with the table's offset, length, plain length and form.
pub const TOC_POSITION: &str = "io.github.containers.zstd-chunked.manifest-position";
/// The annotation with the offset, length and plain length of the stream without bodies.
pub const TAR_SPLIT_POSITION: &str = "io.github.containers.zstd-chunked.tarsplit-position";

/// The form of the table, of which there is one.
const TOC_FORM: u64 = 1;
/// What a frame begins with that decoders skip.
const SKIPPABLE: [u8; 4] = [0x50, 0x2a, 0x4d, 0x18];
/// What the footer ends with.
const MAGIC: &[u8; 8] = b"GNUlInUx";

/// Writes a layer in this format. Its tar stream is the canonical one, or has what a container starts with in front;
/// its parts are compressed on the current rayon pool, and those that were compressed before are not again. `None` where the layer has names that no table can
/// say.
///
/// # Errors
///
/// If the bytes of a file are not in the store, or it fails.
pub fn export(
    lease: &Lease,
    tree: &Tree,
    (level, order): (i32, &StartOrder),
) -> Result<Option<Seekable>, ExportError> {
    if !is_text(&tree.children) {
        return Ok(None);
    }
    let codec = Codec::Zstd { level };
    let id = codec.id()?;
    let mut writer = Writer {
        assembler: Assembler::new(lease, (codec, &id), None),
        codec,
        toc: Toc::new(Form::ZstdChunked),
        tar_split: TarSplit::new(Encoder::new(Vec::new(), level)?),
        run: Vec::new(),
        parts: 0,
    };
    let first = order.first(tree);
    loaded::each_first(&first, lease.store(), &mut |loaded| writer.entry(&loaded))?;
    let others = (tree, &first);
    loaded::each_other(others, lease.store(), &mut |loaded| writer.entry(&loaded))?;
    writer.run.extend_from_slice(&END);
    writer.end_run()?;
    writer.finish().map(Some)
}

/// Whether all names are text, as those of links are that tables have as well.
fn is_text(directory: &Directory) -> bool {
    let is_text = |bytes: &[u8]| std::str::from_utf8(bytes).is_ok();
    directory.entries().iter().all(|entry| {
        let below = match &entry.node {
            Node::Directory(below) => self::is_text(&below.children),
            Node::Symlink(target) => is_text(target),
            Node::BlockDevice(_)
            | Node::CharDevice(_)
            | Node::Fifo
            | Node::File(_)
            | Node::Whiteout => true,
        };
        below && is_text(&entry.name)
    })
}

struct Writer<'a> {
    assembler: Assembler<'a>,
    codec: Codec,
    toc: Toc,
    tar_split: TarSplit,
    /// Headers and padding that have come since the last part.
    run: Vec<u8>,
    parts: usize,
}

impl Writer<'_> {
    fn entry(&mut self, loaded: &Loaded) -> Result<(), ExportError> {
        let Loaded { entry, body } = loaded;
        if RUN_MAX <= self.run.len() {
            self.end_run()?;
        }
        self.run.extend_from_slice(&entry.header);
        let sums = body.as_ref().map(sums).transpose()?;
        let (digest, crc) = sums.unzip();
        self.toc.entry(&entry.header, digest)?;
        let size = entry.body.map_or(0, |file| file.size);
        self.tar_split.entry((entry, size), crc)?;
        if let Some(body) = body {
            self.end_run()?;
            self.body(loaded, body)?;
            self.run.resize(padding(size), 0);
        }
        Ok(())
    }

    /// A body, in frames of its own; one of several is listed frame by frame.
    fn body(&mut self, loaded: &Loaded, body: &FileBytes) -> Result<(), ExportError> {
        let Some(file) = &loaded.entry.body else { return Ok(()) };
        let (whole, first) = (body.len(), self.parts);
        let pieces: Vec<u64> = starts(whole, PART_MAX).collect();
        self.toc.extent(first..first + pieces.len());
        for start in &pieces {
            let range = *start..whole.min(start + PART_MAX);
            if pieces.len() > 1 {
                let (part, bytes) = (self.parts, body.piece(range.clone())?);
                self.toc.chunk(&TocChunk { part, bytes: &bytes, start: *start, whole });
            }
            self.push(Part::of_file((&loaded.entry, file), body.clone(), range))?;
        }
        Ok(())
    }

    fn end_run(&mut self) -> Result<(), ExportError> {
        let run = std::mem::take(&mut self.run);
        if run.is_empty() { Ok(()) } else { self.push(Part::run(run)) }
    }

    fn push(&mut self, part: Part) -> Result<(), ExportError> {
        self.parts += 1;
        self.assembler.push(part)
    }

    /// Adds what decoders skip.
    fn finish(mut self) -> Result<Seekable, ExportError> {
        let split = self.tar_split.finish()?;
        let table = self.toc.finish(self.assembler.starts()?, Some(&Digest::of(&split.compressed)));
        let packed = self.codec.compress(&table)?;
        let at = self.assembler.length()? + FRAME_HEADER;
        let (length, plain) = (packed.len() as u64, table.len() as u64);
        let split_at = at + length + FRAME_HEADER;
        let (split_length, split_plain) = (split.compressed.len() as u64, split.plain);
        let numbers = [at, length, plain, TOC_FORM, split_at, split_length, split_plain];
        let footer = numbers.iter().flat_map(|number| number.to_le_bytes()).chain(*MAGIC).collect();
        let facts = [
            (TOC_DIGEST, Digest::of(&packed).to_string()),
            (TOC_POSITION, format!("{at}:{length}:{plain}:{TOC_FORM}")),
            (TAR_SPLIT_POSITION, format!("{split_at}:{split_length}:{split_plain}")),
        ];
        for content in [packed, split.compressed, footer] {
            self.assembler.literal(skippable(&content)?);
        }
        let (measured, mut descriptor) = self.assembler.finish(None)?;
        descriptor.annotations.extend(facts.map(|(key, value)| (key.to_owned(), value)));
        Ok(Seekable { diff_id: measured.diff_id, descriptor })
    }
}

/// How long what is before the content of a frame is that decoders skip.
const FRAME_HEADER: u64 = 8;

/// A frame that decoders skip.
fn skippable(content: &[u8]) -> std::io::Result<Vec<u8>> {
    let length = u32::try_from(content.len()).map_err(std::io::Error::other)?;
    Ok([&SKIPPABLE[..], &length.to_le_bytes(), content].concat())
}

/// The digest of a body, and its checksum.
fn sums(body: &FileBytes) -> Result<(Digest, u64), ReadError> {
    let (mut hasher, mut crc) = (Hasher::default(), Crc64::new());
    body.each::<ReadError>(&mut |bytes| {
        hasher.update(bytes);
        crc.update(bytes);
        Ok(())
    })?;
    Ok((hasher.finish(), crc.finish()))
}

#[cfg(test)]
mod tests;
