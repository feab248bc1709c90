//! eStargz: a layer that is gzip to everybody, and of which a node that knows the format fetches
//! single files while the container runs.
//!
//! The body of each file starts a gzip member, and the last two members are a table of contents and
//! a footer that says where it starts. The table stands behind the end of the tar stream, where no
//! reader takes it for a file, but it is part of what uncompresses, and so of the `DiffId`.

use crate::bytes::FileBytes;
use crate::digest::{DiffId, Digest};
use crate::layer::canonical::{CanonicalEntry, END, extra_file, padding};
use crate::layer::codec::Codec;
use crate::layer::export::ExportError;
use crate::layer::export::assembler::Assembler;
use crate::layer::fragment::{OWN_PART, Part, RUN_MAX, starts};
use crate::layer::loaded::{self, Loaded};
use crate::layer::start_order::StartOrder;
use crate::layer::toc::{Form, Toc, TocChunk};
use crate::lease::Lease;
use crate::oci::descriptor::Descriptor;
use crate::tree::entry::{File, Tree};

/// The annotation of a layer with the digest of its table, against which a reader checks it.
pub const TOC_DIGEST: &str = "containerd.io/snapshot/stargz/toc.digest";
/// The annotation of a layer with the length of its tar stream.
pub const UNCOMPRESSED_SIZE: &str = "io.containers.estargz.uncompressed-size";

/// What the format calls the table.
const TOC_NAME: &str = "stargz.index.json";
/// The file behind those that a container starts with: a node fetches all that is before it at once.
const LANDMARK: &str = ".prefetch.landmark";
/// What is in it.
const LANDMARK_BODY: [u8; 1] = [0xf];
/// A longer body is several members: what a reader fetches for one page of a file.
const CHUNK: u64 = 4 << 20;

/// A layer that was made seekable.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Seekable {
    /// What it uncompresses to.
    pub diff_id: DiffId,
    /// What a manifest says of it.
    pub descriptor: Descriptor,
}

/// Writes a layer in this format, with what a container starts with in front. Its parts are compressed on the current rayon pool, and those
/// that were compressed before are not again.
///
/// # Errors
///
/// If the bytes of a file are not in the store, a file has a name that the format needs, or the store fails.
pub fn export(
    lease: &Lease,
    tree: &Tree,
    (level, order): (u32, &StartOrder),
) -> Result<Seekable, ExportError> {
    let first = order.first(tree);
    let needed = [TOC_NAME].into_iter().chain((!first.paths.is_empty()).then_some(LANDMARK));
    if let Some(name) = needed.into_iter().find(|name| tree.children.get(name.as_bytes()).is_some())
    {
        return Err(ExportError::Reserved(name));
    }
    let codec = Codec::Members { level };
    let id = codec.id()?;
    let mut writer = Writer {
        assembler: Assembler::new(lease, (codec, &id), None),
        toc: Toc::new(Form::Estargz),
        run: Vec::new(),
        parts: 0,
    };
    loaded::each_first(&first, lease.store(), &mut |loaded| writer.entry(&loaded))?;
    if !first.paths.is_empty() {
        writer.landmark()?;
    }
    let others = (tree, &first);
    loaded::each_other(others, lease.store(), &mut |loaded| writer.entry(&loaded))?;
    writer.run.extend_from_slice(&END);
    writer.end_run()?;
    writer.finish()
}

struct Writer<'a> {
    assembler: Assembler<'a>,
    toc: Toc,
    /// What has come since the last part.
    run: Vec<u8>,
    parts: usize,
}

impl Writer<'_> {
    fn entry(&mut self, Loaded { entry, body }: &Loaded) -> Result<(), ExportError> {
        if RUN_MAX <= self.run.len() {
            self.end_run()?;
        }
        self.run.extend_from_slice(&entry.header);
        let digest = body.as_ref().map(FileBytes::digest).transpose()?;
        self.toc.entry(&entry.header, digest)?;
        let Some((file, body)) = entry.body.as_ref().zip(body.as_ref()) else { return Ok(()) };
        self.end_run()?;
        if OWN_PART <= file.size {
            self.chunks((entry, file), body)?;
        } else {
            let (part, whole) = (self.parts, body.len());
            let bytes = &*body.load()?;
            self.toc.chunk(&TocChunk { part, bytes, start: 0, whole });
            self.run.extend_from_slice(bytes);
        }
        self.run.resize(self.run.len() + padding(file.size), 0);
        Ok(())
    }

    fn landmark(&mut self) -> Result<(), ExportError> {
        let (header, bytes) = (extra_file(LANDMARK, LANDMARK_BODY.len() as u64), &LANDMARK_BODY);
        self.toc.entry(&header, Some(Digest::of(bytes)))?;
        self.run.extend_from_slice(&header);
        self.end_run()?;
        let whole = bytes.len() as u64;
        self.toc.chunk(&TocChunk { part: self.parts, bytes, start: 0, whole });
        self.run.extend_from_slice(bytes);
        self.run.resize(bytes.len() + padding(whole), 0);
        Ok(())
    }

    /// A longer body, in members of its own.
    fn chunks(
        &mut self,
        of: (&CanonicalEntry, &File),
        body: &FileBytes,
    ) -> Result<(), ExportError> {
        let whole = body.len();
        for start in starts(whole, CHUNK) {
            let range = start..whole.min(start + CHUNK);
            let (part, bytes) = (self.parts, body.piece(range.clone())?);
            self.toc.chunk(&TocChunk { part, bytes: &bytes, start, whole });
            self.push(Part::of_file(of, body.clone(), range))?;
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

    /// Adds the table and the footer.
    fn finish(mut self) -> Result<Seekable, ExportError> {
        let table = self.toc.finish(self.assembler.starts()?, None);
        let digest = Digest::of(&table);
        let mut tar = extra_file(TOC_NAME, table.len() as u64);
        tar.extend_from_slice(&table);
        tar.resize(tar.len() + padding(table.len() as u64), 0);
        tar.extend_from_slice(&END);
        let at = self.parts;
        self.push(Part::run(tar))?;
        let start = self.assembler.starts()?[at];
        self.assembler.literal(footer(start));
        let (measured, mut descriptor) = self.assembler.finish(None)?;
        let facts =
            [(TOC_DIGEST, digest.to_string()), (UNCOMPRESSED_SIZE, measured.size.to_string())];
        descriptor.annotations.extend(facts.map(|(key, value)| (key.to_owned(), value)));
        Ok(Seekable { diff_id: measured.diff_id, descriptor })
    }
}

/// An empty gzip member that says in its extra field where the table starts; always 51 bytes.
fn footer(table: u64) -> Vec<u8> {
    const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff];
    /// A last block that is stored and empty, the checksum of nothing, and its length.
    const REST: [u8; 13] = [1, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0];
    let field = format!("{table:016x}STARGZ");
    let mut out = HEADER.to_vec();
    // The extra field is 26 bytes: its subfield has a name and a length, 22.
    out.extend_from_slice(&[26, 0, b'S', b'G', 22, 0]);
    out.extend_from_slice(field.as_bytes());
    out.extend_from_slice(&REST);
    out
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::bufread::{GzDecoder, MultiGzDecoder};
    use serde_json::Value;

    use super::*;
    use crate::path::LayerPath;
    use crate::store::{OpenOptions, Store};
    use crate::tree::build::TreeBuilder;
    use crate::tree::entry::{Device, Metadata, Node};

    const CHUNK: usize = 4 << 20;

    /// A layer of one entry of each kind, and of files of these lengths.
    fn written(lengths: &[usize]) -> (Seekable, Vec<u8>) {
        ordered(lengths, &StartOrder::default())
    }

    fn ordered(lengths: &[usize], order: &StartOrder) -> (Seekable, Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), &OpenOptions::default()).unwrap();
        let lease = store.lease().unwrap();
        let mut builder = TreeBuilder::new();
        let mut add = |path: &str, metadata: Metadata, node: Node| {
            builder.insert(&LayerPath::parse(path.as_bytes()).unwrap(), metadata, node).unwrap();
        };
        let xattrs = vec![((*b"user.a").into(), (*b"\xff").into())];
        add("pipe", Metadata { uid: 7, xattrs, ..Metadata::default() }, Node::Fifo);
        add("null", Metadata::default(), Node::CharDevice(Device { major: 1, minor: 3 }));
        add("link", Metadata::default(), Node::Symlink((*b"f1").into()));
        add("gone", Metadata::default(), Node::Whiteout);
        for length in lengths {
            let bytes: Vec<u8> = (0..*length).map(|at| (at / 251).to_le_bytes()[0]).collect();
            let body = lease.put_body(&bytes).unwrap();
            let file = File { body, size: bytes.len() as u64, link: None };
            let metadata = Metadata { mode: 0o644, ..Metadata::default() };
            add(&format!("d/f{length}"), metadata, Node::File(file));
        }
        let made = export(&lease, &builder.finish(), (6, order)).unwrap();
        let recipe = store.recipe(&made.descriptor.digest);
        assert!(recipe.unwrap().is_some_and(|recipe| recipe.diff_id == made.diff_id));
        let view = crate::layer::blob_view::open(&store, &made.descriptor.digest);
        let mut blob = Vec::new();
        view.unwrap().unwrap().reader.read_to_end(&mut blob).unwrap();
        (made, blob)
    }

    /// The table, as a reader finds it who has the last 51 bytes.
    fn table(blob: &[u8]) -> (Vec<u8>, Value) {
        let footer = &blob[blob.len() - 51..];
        let mut member = GzDecoder::new(footer);
        assert_eq!(member.read_to_end(&mut Vec::new()).unwrap(), 0);
        let extra = member.header().unwrap().extra().unwrap();
        let (offset, magic) = extra[4..].split_at(16);
        assert_eq!((&extra[..4], magic), (&b"SG\x16\0"[..], &b"STARGZ"[..]));
        let offset = u64::from_str_radix(std::str::from_utf8(offset).unwrap(), 16).unwrap();
        let member = GzDecoder::new(&blob[usize::try_from(offset).unwrap()..]);
        let mut archive = tar::Archive::new(member);
        let mut entry = archive.entries().unwrap().next().unwrap().unwrap();
        assert_eq!(entry.path().unwrap().to_str(), Some(TOC_NAME));
        let mut json = Vec::new();
        entry.read_to_end(&mut json).unwrap();
        let parsed = serde_json::from_slice(&json).unwrap();
        (json, parsed)
    }

    #[test]
    fn each_piece_of_a_file_is_read_from_where_the_table_says() {
        let (made, blob) = written(&[0, 1, 512, RUN_MAX, CHUNK, 2 * CHUNK + 5]);
        let (json, table) = table(&blob);
        assert_eq!(made.descriptor.annotations[TOC_DIGEST], Digest::of(&json).to_string());
        let (mut read, mut size) = (0, 0);
        for row in table["entries"].as_array().unwrap() {
            let number = |key: &str| usize::try_from(row[key].as_u64().unwrap_or(0)).unwrap();
            if row["type"] == "reg" {
                size = number("size");
            }
            let Some(expected) = row["chunkDigest"].as_str() else { continue };
            let rest = size - number("chunkOffset");
            let length = if number("chunkSize") == 0 { rest } else { number("chunkSize") };
            let mut piece = vec![0; length];
            GzDecoder::new(&blob[number("offset")..]).read_exact(&mut piece).unwrap();
            assert_eq!(Digest::of(&piece).to_string(), expected);
            read += length;
        }
        assert_eq!(read, 1 + 512 + RUN_MAX + CHUNK + 2 * CHUNK + 5);
    }

    #[test]
    fn the_table_says_what_the_headers_say() {
        let (_, blob) = written(&[1]);
        let (_, table) = table(&blob);
        let row = |name: &str| {
            let rows = table["entries"].as_array().unwrap();
            rows.iter().find(|row| row["name"] == name).unwrap().clone()
        };
        let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        assert_eq!(
            row("pipe"),
            json(r#"{"name":"pipe","type":"fifo","uid":7,"xattrs":{"user.a":"/w=="}}"#)
        );
        assert_eq!(row("null"), json(r#"{"name":"null","type":"char","devMajor":1,"devMinor":3}"#));
        assert_eq!(row("link"), json(r#"{"name":"link","type":"symlink","linkName":"f1"}"#));
        assert_eq!((&row(".wh.gone")["type"], &row("d/f1")["mode"]), (&"reg".into(), &420.into()));
    }

    #[test]
    fn a_layer_and_its_table_stay_what_they_are() {
        let (made, blob) = written(&[0, 1, 512, RUN_MAX]);
        let (_, table) = table(&blob);
        let text = format!("{}\n{}\n{table:#}\n", made.descriptor.digest, made.diff_id.0);
        expect_test::expect_file!["../../../testdata/lazy/estargz.txt"].assert_eq(&text);
    }

    #[test]
    fn to_everybody_else_it_is_a_gzip_of_the_canonical_tar() {
        let (made, blob) = written(&[3, 20_000]);
        let mut plain = Vec::new();
        MultiGzDecoder::new(&blob[..]).read_to_end(&mut plain).unwrap();
        assert_eq!(made.diff_id, DiffId(Digest::of(&plain)));
        let size = plain.len().to_string();
        assert_eq!(made.descriptor.annotations[UNCOMPRESSED_SIZE], size);
        let mut names = Vec::new();
        for entry in tar::Archive::new(&plain[..]).entries().unwrap() {
            names.push(entry.unwrap().path().unwrap().display().to_string());
        }
        assert_eq!(names, [".wh.gone", "d/f20000", "d/f3", "link", "null", "pipe"]);
    }

    #[test]
    fn what_a_container_starts_with_is_in_front_and_a_landmark_behind_it() {
        let order = StartOrder::parse(b"/link\n/d/f20000\n").unwrap();
        let (_, blob) = ordered(&[3, 20_000], &order);
        let (_, table) = table(&blob);
        let rows = table["entries"].as_array().unwrap();
        let names: Vec<&str> = rows.iter().map(|row| row["name"].as_str().unwrap()).collect();
        let expected = ["link", "d/f20000", LANDMARK, ".wh.gone", "d/f3", "null", "pipe"];
        assert_eq!(names, expected);
        let offset = usize::try_from(rows[2]["offset"].as_u64().unwrap()).unwrap();
        let mut body = [0];
        GzDecoder::new(&blob[offset..]).read_exact(&mut body).unwrap();
        assert_eq!(body, LANDMARK_BODY);
        let mut plain = Vec::new();
        MultiGzDecoder::new(&blob[..]).read_to_end(&mut plain).unwrap();
        assert_eq!(tar::Archive::new(&plain[..]).entries().unwrap().count(), names.len());
    }

    #[test]
    fn a_file_with_the_name_of_the_table_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), &OpenOptions::default()).unwrap();
        let lease = store.lease().unwrap();
        let tree = crate::tree::sketch::sketch("stargz.index.json=x");
        assert!(matches!(
            export(&lease, &tree, (6, &StartOrder::default())),
            Err(ExportError::Reserved(_))
        ));
    }
}
