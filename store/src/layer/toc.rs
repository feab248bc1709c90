//! The table of contents inside a layer, which eStargz and zstd:chunked share.

use std::collections::BTreeMap;
use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::digest::Digest;
use crate::layer::export::ExportError;
use crate::layer::tar_read::{TarEntry, TarKind, entry_of};

/// The version of the table's form.
const VERSION: u32 = 1;

/// The format that a table is of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Form {
    Estargz,
    ZstdChunked,
}

/// The table while it grows. Where the parts of the blob start is known only at its end.
#[derive(Debug)]
pub(super) struct Toc {
    form: Form,
    rows: Vec<Row>,
}

/// Where a piece of a file is.
pub(super) struct TocChunk<'a> {
    /// The number of the part it starts.
    pub(super) part: usize,
    /// The bytes of the piece.
    pub(super) bytes: &'a [u8],
    /// Where in the file it starts.
    pub(super) start: u64,
    /// The length of the whole file.
    pub(super) whole: u64,
}

/// A row, as readers know it. What is zero or empty is left out.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    name: String,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "is_zero")]
    size: u64,
    #[serde(rename = "modtime", skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    link_name: String,
    #[serde(skip_serializing_if = "is_zero")]
    mode: u64,
    #[serde(skip_serializing_if = "is_zero")]
    uid: u64,
    #[serde(skip_serializing_if = "is_zero")]
    gid: u64,
    #[serde(skip_serializing_if = "is_zero")]
    offset: u64,
    #[serde(skip_serializing_if = "is_zero")]
    dev_major: u64,
    #[serde(skip_serializing_if = "is_zero")]
    dev_minor: u64,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    xattrs: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    digest: String,
    #[serde(skip_serializing_if = "is_zero")]
    chunk_offset: u64,
    /// In eStargz left out where the piece is the rest of the file.
    #[serde(skip_serializing_if = "is_zero")]
    chunk_size: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    chunk_digest: String,
    /// Where the file ends, where the format says it.
    #[serde(skip_serializing_if = "is_zero")]
    end_offset: u64,
    #[serde(skip)]
    part: Option<usize>,
    /// The part after the file's.
    #[serde(skip)]
    end: Option<usize>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Toc {
    pub(super) fn new(form: Form) -> Self {
        Self { form, rows: Vec::new() }
    }

    /// Adds the entry that a header of ours describes. `digest` is that of its bytes, if it has any.
    pub(super) fn entry(
        &mut self,
        header: &[u8],
        digest: Option<Digest>,
    ) -> Result<(), ExportError> {
        let mut row = row(&entry_of(header)?);
        match self.form {
            Form::Estargz if row.kind == REGULAR => {
                row.digest = digest.unwrap_or_else(|| Digest::of(b"")).to_string();
            }
            Form::Estargz => {}
            Form::ZstdChunked => {
                row.digest = digest.map(|digest| digest.to_string()).unwrap_or_default();
                // The name is compared with the one in the header.
                if row.name == "/" {
                    row.name.insert(0, '.');
                }
            }
        }
        self.rows.push(row);
        Ok(())
    }

    /// Says in which parts the entry is that was added last.
    pub(super) fn extent(&mut self, parts: Range<usize>) {
        let Some(last) = self.rows.last_mut() else { return };
        (last.part, last.end) = (Some(parts.start), Some(parts.end));
    }

    /// Says where a piece of the entry is that was added last.
    pub(super) fn chunk(&mut self, place: &TocChunk<'_>) {
        let form = self.form;
        // The rows of pieces are behind that of the file.
        let of_file = |row: &&mut Row| row.kind != CHUNK;
        let Some(file) = self.rows.iter_mut().rev().find(of_file) else { return };
        if place.start == 0 {
            return locate(file, place, form);
        }
        let mut row = Row { name: file.name.clone(), kind: CHUNK, ..Row::default() };
        locate(&mut row, place, form);
        self.rows.push(row);
    }

    /// The table as text, with where each part starts filled in, and the digest of what it needs beside it.
    pub(super) fn finish(&mut self, starts: &[u64], tar_split: Option<&Digest>) -> Vec<u8> {
        for row in &mut self.rows {
            row.offset = row.part.map_or(0, |part| starts[part]);
            row.end_offset = row.end.map_or(0, |part| starts[part]);
        }
        let tar_split_digest = tar_split.map(Digest::to_string);
        let table = Table { version: VERSION, entries: &self.rows, tar_split_digest };
        serde_json::to_vec(&table).expect("a table has only text keys")
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Table<'a> {
    version: u32,
    entries: &'a [Row],
    #[serde(skip_serializing_if = "Option::is_none")]
    tar_split_digest: Option<String>,
}

const REGULAR: &str = "reg";
const CHUNK: &str = "chunk";

fn locate(row: &mut Row, place: &TocChunk<'_>, form: Form) {
    row.part = Some(place.part);
    row.chunk_offset = place.start;
    let length = place.bytes.len() as u64;
    let is_rest = place.start + length == place.whole;
    row.chunk_size = if is_rest && form == Form::Estargz { 0 } else { length };
    row.chunk_digest = Digest::of(place.bytes).to_string();
}

fn row(entry: &TarEntry) -> Row {
    let metadata = &entry.metadata;
    let mut row = Row {
        name: text(entry.path.as_bytes()),
        mode: metadata.mode.into(),
        uid: metadata.uid.into(),
        gid: metadata.gid.into(),
        time: time(metadata.mtime.seconds),
        ..Row::default()
    };
    let xattrs = metadata.xattrs.iter();
    row.xattrs = xattrs.map(|(name, value)| (text(name), STANDARD.encode(value))).collect();
    match &entry.kind {
        TarKind::BlockDevice(device) | TarKind::CharDevice(device) => {
            let block = matches!(entry.kind, TarKind::BlockDevice(_));
            row.kind = if block { "block" } else { "char" };
            (row.dev_major, row.dev_minor) = (device.major.into(), device.minor.into());
        }
        TarKind::Directory => {
            row.kind = "dir";
            row.name.push('/');
        }
        TarKind::Fifo => row.kind = "fifo",
        TarKind::File(size) => (row.kind, row.size) = (REGULAR, *size),
        TarKind::HardLink(target) => {
            (row.kind, row.link_name) = ("hardlink", text(target.as_bytes()));
        }
        TarKind::Symlink(target) => (row.kind, row.link_name) = ("symlink", text(target)),
    }
    row
}

/// JSON has no other bytes.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// In the form of RFC 3339; none for the epoch, which readers take for unknown.
fn time(seconds: i64) -> Option<String> {
    let time = jiff::Timestamp::from_second(seconds).ok().filter(|_| seconds != 0)?;
    Some(time.to_string())
}
