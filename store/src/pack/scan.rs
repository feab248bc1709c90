//! The records of a pack, found without its table.

use std::collections::BTreeSet;

use xxhash_rust::xxh3::Xxh3;

use crate::error::ReadError;
use crate::object::Encoding;
use crate::pack::footer::Entry;
use crate::pack::record::{ALIGNMENT, HEADER_SIZE, MAGIC, RecordHeader};
use crate::sealed::Sealed;

/// How much is looked through at once for the next record.
const WINDOW: u64 = 64 * 1024;

/// What is passed over where the file cannot be read.
const UNREADABLE: u64 = 4096;

/// All records that are intact, in the order they lie in. Only of those whose id follows from their
/// bytes is it certain that they are records: bytes of a file may look like one.
pub(super) fn records(file: &Sealed) -> Vec<Entry> {
    let (mut found, mut names, mut at) = (Vec::new(), BTreeSet::new(), HEADER_SIZE as u64);
    while at.saturating_add(HEADER_SIZE as u64) <= file.size() {
        match record_at(file, at) {
            Some((entry, end)) => {
                if names.insert(entry.name) {
                    found.push(entry);
                }
                at = end.next_multiple_of(ALIGNMENT);
            }
            None => at = next(file, at + ALIGNMENT),
        }
    }
    found
}

/// The intact record at an offset, and where it ends.
fn record_at(file: &Sealed, offset: u64) -> Option<(Entry, u64)> {
    let mut head = [0; HEADER_SIZE];
    file.read_into(&mut head, offset).ok()?;
    let header = RecordHeader::decode(&head).ok()?;
    let start = offset + HEADER_SIZE as u64;
    let end = start.checked_add(header.stored_len).filter(|end| *end <= file.size())?;
    let mut hasher = Xxh3::new();
    let hashed = file.each_run::<ReadError>(start..end, &mut |run| {
        run.each(&mut |bytes| {
            hasher.update(bytes);
            Ok(())
        })
    });
    hashed.ok()?;
    let sound = header.encoding == Encoding::Zstd || header.raw_len == header.stored_len;
    let intact = sound && RecordHeader::is_intact_with(&head, hasher.digest());
    let RecordHeader { name, encoding, raw_len, .. } = header;
    intact.then_some((Entry { name, offset, encoding, raw_len }, end))
}

/// Where the next record may begin.
fn next(file: &Sealed, from: u64) -> u64 {
    let mut at = from;
    while at < file.size() {
        let end = file.size().min(at + WINDOW);
        let Ok(window) = file.read(at..end) else {
            at = (at + 1).next_multiple_of(UNREADABLE);
            continue;
        };
        let mut places = window.chunks(8).zip((at..).step_by(8));
        if let Some((_, place)) = places.find(|(bytes, _)| bytes.starts_with(&MAGIC.to_le_bytes()))
        {
            return place;
        }
        at = end;
    }
    at
}
