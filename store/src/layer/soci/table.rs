//! The files of a tar stream, and the zTOC that lists them.

use flatbuffers::{FlatBufferBuilder, TableFinishedWIPOffset, VOffsetT, WIPOffset};
use std::io::Read;

use super::TOOL;
use super::spans::Spans;
use crate::layer::canonical::{self, END, padding};
use crate::layer::export::ExportError;
use crate::layer::tar_read::{TarEntry, TarKind, TarReader, entry_of};
use crate::timestamp::Timestamp;
use crate::tree::entry::Tree;

/// The version of the form.
const VERSION: &str = "0.9";
/// How the form calls gzip.
const GZIP: i8 = 1;
/// What extended attributes are called in tar streams, and so in the form.
const XATTR: &[u8] = b"SCHILY.xattr.";
/// About how much a row takes.
const ROW: usize = 160;

type Finished = WIPOffset<TableFinishedWIPOffset>;

/// The entries of a tar stream, and where what follows the header of each begins.
#[derive(Debug, Default)]
pub(super) struct Table(Vec<(TarEntry, u64)>);

impl Table {
    /// The table of the canonical stream of a tree, and where that ends.
    pub(super) fn of_tree(tree: &Tree) -> Result<(Self, u64), ExportError> {
        let (mut table, mut at) = (Self::default(), 0);
        canonical::each(tree, None, &mut |entry| {
            at += entry.header.len() as u64;
            table.0.push((entry_of(&entry.header)?, at));
            at += entry.body.map_or(0, |file| file.size + padding(file.size) as u64);
            Ok::<_, ExportError>(())
        })?;
        Ok((table, at + END.len() as u64))
    }

    /// The table of a stream; `None` where a file in it is sparse, which the form cannot say.
    pub(super) fn of_stream(tar: &mut TarReader<impl Read>) -> std::io::Result<Option<Self>> {
        let mut table = Self::default();
        while let Some(entry) = tar.next_entry().map_err(std::io::Error::other)? {
            if matches!(entry.kind, TarKind::File(size) if size != tar.left_in_stream()) {
                return Ok(None);
            }
            table.0.push((entry, tar.position()));
        }
        Ok(Some(table))
    }

    /// The zTOC of a stream with this table.
    pub(super) fn encode(&self, spans: &Spans) -> Vec<u8> {
        let checkpoints = spans.encode();
        let room = checkpoints.len() + self.0.len() * ROW;
        let mut out = FlatBufferBuilder::with_capacity(room);
        let (version, tool) = (out.create_string(VERSION), out.create_string(TOOL));
        let rows: Vec<Finished> =
            self.0.iter().map(|(entry, at)| row(&mut out, entry, *at)).collect();
        let rows = out.create_vector(&rows);
        let start = out.start_table();
        out.push_slot_always(slot(0), rows);
        let table = out.end_table(start);
        let info = compression(&mut out, spans, &checkpoints);
        // Of a layer of many gigabytes it is not little.
        drop(checkpoints);
        let start = out.start_table();
        out.push_slot_always(slot(0), version);
        out.push_slot_always(slot(1), tool);
        out.push_slot_always(slot(2), number(spans.compressed));
        out.push_slot_always(slot(3), number(spans.plain));
        out.push_slot_always(slot(4), table);
        out.push_slot_always(slot(5), info);
        let root = out.end_table(start);
        out.finish_minimal(root);
        let (mut bytes, start) = out.collapse();
        bytes.drain(..start);
        bytes
    }
}

/// Where the table of a kind of table has the field of this number.
fn slot(field: VOffsetT) -> VOffsetT {
    4 + 2 * field
}

/// The form has signed numbers, which no length of a stream exceeds.
fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn compression(out: &mut FlatBufferBuilder<'_>, spans: &Spans, checkpoints: &[u8]) -> Finished {
    let checkpoints = out.create_vector(checkpoints);
    let digests: Vec<_> =
        spans.digests.iter().map(|digest| out.create_string(&digest.to_string())).collect();
    let digests = out.create_vector(&digests);
    let last = i32::try_from(spans.checkpoints.len() - 1).expect("a span has megabytes");
    let start = out.start_table();
    out.push_slot_always(slot(0), GZIP);
    out.push_slot_always(slot(1), last);
    out.push_slot_always(slot(2), digests);
    out.push_slot_always(slot(3), checkpoints);
    out.end_table(start)
}

/// A row. What is zero or empty is left out, which the form takes for the same.
fn row(out: &mut FlatBufferBuilder<'_>, entry: &TarEntry, at: u64) -> Finished {
    let metadata = &entry.metadata;
    let (name, kind) = (name(entry), out.create_shared_string(kind(&entry.kind)));
    let name = out.create_byte_string(&name);
    let target = match &entry.kind {
        TarKind::HardLink(target) => Some(target.as_bytes()),
        TarKind::Symlink(target) => Some(target.as_slice()),
        TarKind::BlockDevice(_)
        | TarKind::CharDevice(_)
        | TarKind::Directory
        | TarKind::Fifo
        | TarKind::File(_) => None,
    };
    let target = target.map(|target| out.create_byte_string(target));
    let time = out.create_shared_string(&time(metadata.mtime));
    let xattrs: Vec<Finished> = metadata.xattrs.iter().map(|one| xattr(out, one)).collect();
    let xattrs = (!xattrs.is_empty()).then(|| out.create_vector(&xattrs));
    let size = if let TarKind::File(size) = entry.kind { size } else { 0 };
    let start = out.start_table();
    out.push_slot_always(slot(0), name);
    out.push_slot_always(slot(1), kind);
    out.push_slot(slot(2), number(at), 0);
    out.push_slot(slot(3), number(size), 0);
    if let Some(target) = target {
        out.push_slot_always(slot(4), target);
    }
    out.push_slot(slot(5), i64::from(metadata.mode), 0);
    out.push_slot(slot(6), metadata.uid, 0);
    out.push_slot(slot(7), metadata.gid, 0);
    out.push_slot_always(slot(10), time);
    if let TarKind::BlockDevice(device) | TarKind::CharDevice(device) = entry.kind {
        out.push_slot(slot(11), i64::from(device.major), 0);
        out.push_slot(slot(12), i64::from(device.minor), 0);
    }
    if let Some(xattrs) = xattrs {
        out.push_slot_always(slot(13), xattrs);
    }
    out.end_table(start)
}

fn xattr(out: &mut FlatBufferBuilder<'_>, (name, value): &(Box<[u8]>, Box<[u8]>)) -> Finished {
    let key = out.create_byte_string(&[XATTR, name].concat());
    let value = out.create_byte_string(value);
    let start = out.start_table();
    out.push_slot_always(slot(0), key);
    out.push_slot_always(slot(1), value);
    out.end_table(start)
}

fn kind(kind: &TarKind) -> &'static str {
    match kind {
        TarKind::BlockDevice(_) => "block",
        TarKind::CharDevice(_) => "char",
        TarKind::Directory => "dir",
        TarKind::Fifo => "fifo",
        TarKind::File(_) => "reg",
        TarKind::HardLink(_) => "hardlink",
        TarKind::Symlink(_) => "symlink",
    }
}

/// As a header calls it.
fn name(entry: &TarEntry) -> Vec<u8> {
    let path = entry.path.as_bytes();
    match entry.kind {
        TarKind::Directory if path.is_empty() => b"./".to_vec(),
        TarKind::Directory => [path, b"/"].concat(),
        TarKind::BlockDevice(_)
        | TarKind::CharDevice(_)
        | TarKind::Fifo
        | TarKind::File(_)
        | TarKind::HardLink(_)
        | TarKind::Symlink(_) => path.to_vec(),
    }
}

/// In the form of RFC 3339.
fn time(time: Timestamp) -> String {
    let nanos = i32::try_from(time.nanos).unwrap_or(0);
    let time = jiff::Timestamp::new(time.seconds, nanos).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    time.to_string()
}
