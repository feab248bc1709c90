//! What a build writes: blobs as they come, in parts, and at the end the index that makes an entry of them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use wythe_store::cache_backend::{CacheBlob, CacheError, CacheProblem};
use wythe_store::digest::Digest;
use wythe_store::id::CacheKey;

use crate::gha::catalog::Catalog;
use crate::gha::index::{Index, PackEntry, Place, Record};
use crate::gha::pack::Head;
use crate::gha::service::{Part, Reserved, Service, Target};
use crate::gha::{Closed, lock};

/// How many entries a build makes: the service counts them, and limits how many a repository makes in a minute.
const MAX_ENTRIES: u32 = 3;
/// An entry that was begun so long ago is ended, for its signed address is not good for ever.
const ROLL_OVER: Duration = Duration::from_mins(20);
/// How much is sent at once.
const PART: usize = 8 << 20;
/// Smaller blobs share parts.
const SMALL: u64 = 1 << 20;
/// How many numbers are tried, each further above the newest pack's, when others take them.
const RESERVATIONS: u32 = 8;

/// The packs of one build.
#[derive(Debug, Default)]
pub(super) struct Writer {
    open: Option<OpenPack>,
    entries: u32,
    /// What is to be found by the index that is written next.
    records: BTreeMap<CacheKey, Vec<u8>>,
    /// Packs of others that hold blobs of these records.
    needs: BTreeSet<u64>,
    /// What packs of this build hold that are ended.
    written: Index,
    /// Why nothing more is written.
    broken: Option<String>,
    /// What the service said when it would have no more packs: those who waited meanwhile do not ask again.
    refused: Option<Closed>,
}

/// A pack that is being written.
#[derive(Debug)]
struct OpenPack {
    number: u64,
    key: String,
    target: Target,
    begun: Instant,
    /// What the names of its parts begin with.
    name: String,
    /// The lengths of the parts that were sent, by their numbers, from 1.
    parts: BTreeMap<u32, u64>,
    next_part: u32,
    blobs: BTreeMap<Digest, Draft>,
    /// What the next part will be.
    buffer: Vec<u8>,
    /// How many bytes were sent, for services that want to know the place of each part.
    sent: u64,
    /// How many blobs are under way in parts of their own.
    under_way: u32,
}

/// A blob of an open pack: the part it begins in, and where.
#[derive(Clone, Copy, Debug)]
struct Draft {
    part: u32,
    offset: u64,
    length: u64,
}

impl Writer {
    /// Whether there is nothing to write.
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_none() && self.records.is_empty() && self.broken.is_none()
    }

    pub(super) fn has(&self, blob: &Digest) -> bool {
        self.written.blobs.contains_key(blob)
            || self.open.as_ref().is_some_and(|open| open.blobs.contains_key(blob))
    }

    /// Notes packs that hold blobs of records that will be put.
    pub(super) fn relies_on(&mut self, packs: BTreeSet<u64>) {
        self.needs.extend(packs);
    }

    pub(super) fn keep(&mut self, records: &[(CacheKey, Vec<u8>)]) {
        self.records.extend(records.iter().cloned());
    }

    /// The pack that is being written, begun or ended and begun anew as need be.
    fn pack(&mut self, service: &Service, catalog: &Catalog) -> Result<&mut OpenPack, CacheError> {
        if let Some(detail) = self.broken.clone() {
            return Err(service.requests.error(CacheProblem::Network { detail }));
        }
        if let Some(refused) = self.refused.clone() {
            return Err(service.requests.error(refused.into()));
        }
        let now = service.requests.timing().now();
        let is_old =
            |open: &OpenPack| open.under_way == 0 && now.duration_since(open.begun) >= ROLL_OVER;
        if self.entries < MAX_ENTRIES && self.open.as_ref().is_some_and(is_old) {
            self.finish(service, catalog)?;
        }
        if self.open.is_none() {
            let above = self.written.packs.keys().last().copied().unwrap_or(catalog.newest);
            let begun = OpenPack::begin(service, catalog, above.max(catalog.newest));
            let begun = begun.inspect_err(|error| self.refused = Closed::by(&error.problem))?;
            self.entries += 1;
            self.open = Some(begun);
        }
        Ok(self.open.as_mut().expect("it was begun"))
    }

    /// Ends the pack that is open, with all records since the last.
    pub(super) fn finish(
        &mut self,
        service: &Service,
        catalog: &Catalog,
    ) -> Result<(), CacheError> {
        service.check_may_write()?;
        self.pack_to_end(service, catalog)?;
        let Some(mut open) = self.open.take() else { return Ok(()) };
        let number = open.number;
        let ended = open.flush(service).and_then(|()| {
            let mut own = open.index();
            let needs = std::mem::take(&mut self.needs);
            own.packs.insert(number, PackEntry { data: 0, needs });
            for (key, bytes) in std::mem::take(&mut self.records) {
                own.records.insert(key, Record { pack: number, bytes });
            }
            let mut all = catalog.index.clone();
            all.merge(self.written.clone());
            all.merge(own.clone());
            all.trim();
            let data = open.commit(service, &all)?;
            own.packs.entry(number).or_default().data = data;
            Ok(own)
        });
        let own = ended.inspect_err(|error| self.broken = Some(error.problem.to_string()))?;
        self.written.merge(own);
        // Records to come may speak of blobs of this one.
        self.needs.insert(number);
        Ok(())
    }

    /// Sees to it that there is a pack to end.
    fn pack_to_end(&mut self, service: &Service, catalog: &Catalog) -> Result<(), CacheError> {
        if self.open.is_none() {
            self.pack(service, catalog)?;
        }
        match self.broken.clone() {
            None => Ok(()),
            Some(detail) => Err(service.requests.error(CacheProblem::Network { detail })),
        }
    }
}

impl OpenPack {
    /// Takes a number above all that are known.
    fn begin(service: &Service, catalog: &Catalog, newest: u64) -> Result<Self, CacheError> {
        let timing = service.requests.timing();
        let mut told = String::new();
        for attempt in 0..RESERVATIONS {
            // Builds that begin at once soon try different ones.
            let number = newest + 1 + timing.random() % (1 << attempt);
            let key = catalog.key(number);
            match service.reserve(&key)? {
                Reserved::Target(target) => {
                    let (begun, name) = (timing.now(), part_name(timing.random(), number));
                    return Ok(Self {
                        number,
                        key,
                        target,
                        begun,
                        name,
                        parts: BTreeMap::new(),
                        next_part: 1,
                        blobs: BTreeMap::new(),
                        buffer: Vec::new(),
                        sent: 0,
                        under_way: 0,
                    });
                }
                Reserved::Taken(text) => told = text,
            }
        }
        Err(service.requests.protocol(format!("no key for a pack is to be had: {told}")))
    }

    /// Adds bytes to the part that is being filled, and sends it when it is full.
    fn append(&mut self, service: &Service, bytes: &[u8]) -> Result<(), CacheError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(PART - self.buffer.len()));
            self.buffer.extend_from_slice(now);
            rest = later;
            if self.buffer.len() == PART {
                self.flush(service)?;
            }
        }
        Ok(())
    }

    /// Sends the part that is being filled.
    fn flush(&mut self, service: &Service) -> Result<(), CacheError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let number = self.next_part;
        let id = part_id(&self.name, number);
        let part = Part { id: &id, start: self.sent, bytes: &self.buffer };
        service.send(&self.target, part)?;
        let length = self.buffer.len() as u64;
        self.parts.insert(number, length);
        (self.next_part, self.sent) = (number + 1, self.sent + length);
        self.buffer.clear();
        Ok(())
    }

    /// Notes a blob that begins where the next byte goes.
    fn draft(&self, length: u64) -> Draft {
        Draft { part: self.next_part, offset: self.buffer.len() as u64, length }
    }

    /// Where the blobs are, once all parts were sent.
    fn index(&self) -> Index {
        let mut starts = BTreeMap::new();
        let mut end = 0;
        for (part, length) in &self.parts {
            starts.insert(*part, end);
            end += length;
        }
        let place = |(digest, draft): (&Digest, &Draft)| {
            // A blob without bytes may begin where no part does.
            let start = starts.get(&draft.part).copied().unwrap_or(end) + draft.offset;
            (*digest, Place { pack: self.number, start, length: draft.length })
        };
        Index { blobs: self.blobs.iter().map(place).collect(), ..Index::default() }
    }

    /// Makes the entry, and says where in it the blobs begin.
    fn commit(self, service: &Service, index: &Index) -> Result<u64, CacheError> {
        let index = index.encode().map_err(|error| service.requests.error(error.into()))?;
        let data: u64 = self.parts.values().sum();
        let mut parts: Vec<String> =
            self.parts.keys().map(|part| part_id(&self.name, *part)).collect();
        let (head, bytes, id) = if service.is_sequential() {
            let head = Head::last(&index, data);
            let id = part_id(&self.name, self.next_part);
            parts.push(id.clone());
            (head, [index, head.encode()].concat(), id)
        } else {
            let head = Head::first(&index);
            let id = part_id(&self.name, 0);
            parts.insert(0, id.clone());
            (head, [head.encode(), index].concat(), id)
        };
        service.send(&self.target, Part { id: &id, start: data, bytes: &bytes })?;
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        service.commit(&self.key, &self.target, &parts, data + bytes.len() as u64)?;
        Ok(head.data)
    }
}

/// Puts a blob into the pack that is open.
pub(super) fn put_blob(
    writer: &Mutex<Writer>,
    service: &Service,
    catalog: &Catalog,
    blob: &CacheBlob<'_>,
) -> Result<(), CacheError> {
    service.check_may_write()?;
    let local = |error: io::Error| service.requests.error(error.into());
    if blob.size > SMALL && !service.is_sequential() {
        return put_apart(writer, service, catalog, blob);
    }
    let mut bytes = (blob.open)().map_err(local)?;
    let small = if blob.size <= SMALL {
        exactly(&mut bytes, blob.size).map_err(local)?
    } else {
        Vec::new()
    };
    let mut writer = lock(writer);
    if writer.has(&blob.digest) {
        return Ok(());
    }
    let open = writer.pack(service, catalog)?;
    let draft = open.draft(blob.size);
    let mut append = || {
        if blob.size <= SMALL {
            return open.append(service, &small);
        }
        let mut left = blob.size;
        while left > 0 {
            let length = left.min(PART as u64);
            open.append(service, &exactly(&mut bytes, length).map_err(local)?)?;
            left -= length;
        }
        Ok(())
    };
    match append() {
        Ok(()) => drop(open.blobs.insert(blob.digest, draft)),
        // What came of it stays in the pack, and nothing leads to it.
        Err(error @ CacheError { problem: CacheProblem::Io(_), .. }) => return Err(error),
        Err(error) => {
            writer.broken = Some(error.problem.to_string());
            return Err(error);
        }
    }
    Ok(())
}

/// Puts a long blob in parts of its own, while others do the same.
fn put_apart(
    writer: &Mutex<Writer>,
    service: &Service,
    catalog: &Catalog,
    blob: &CacheBlob<'_>,
) -> Result<(), CacheError> {
    let local = |error: io::Error| service.requests.error(error.into());
    let count = u32::try_from(blob.size.div_ceil(PART as u64));
    let count = count.map_err(|_| service.requests.protocol("a blob is too long"))?;
    let (first, name, target) = {
        let mut writer = lock(writer);
        if writer.has(&blob.digest) {
            return Ok(());
        }
        let open = writer.pack(service, catalog)?;
        // What is being filled keeps its number, which comes before.
        if let Err(error) = open.flush(service) {
            writer.broken = Some(error.problem.to_string());
            return Err(error);
        }
        let first = open.next_part;
        open.next_part += count;
        open.under_way += 1;
        (first, open.name.clone(), open.target.clone())
    };
    let send = || {
        let mut bytes = (blob.open)().map_err(local)?;
        let mut sent = BTreeMap::new();
        let mut left = blob.size;
        for number in first..first + count {
            let length = left.min(PART as u64);
            let part = exactly(&mut bytes, length).map_err(local)?;
            let id = part_id(&name, number);
            service.send(&target, Part { id: &id, start: 0, bytes: &part })?;
            sent.insert(number, length);
            left -= length;
        }
        Ok(sent)
    };
    let sent = send();
    let mut writer = lock(writer);
    let Some(open) = &mut writer.open else {
        return Err(service.requests.protocol("the pack was ended meanwhile"));
    };
    open.under_way -= 1;
    open.parts.append(&mut sent?);
    open.blobs.insert(blob.digest, Draft { part: first, offset: 0, length: blob.size });
    Ok(())
}

/// So many bytes, and an error if there are fewer.
fn exactly(bytes: &mut dyn Read, length: u64) -> io::Result<Vec<u8>> {
    let mut part = Vec::new();
    bytes.take(length).read_to_end(&mut part)?;
    if part.len() as u64 == length { Ok(part) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// 36 characters: with 12 digits more, an id of a block is as long as those of Azure's own clients, which some
/// servers take apart.
fn part_name(random: u64, number: u64) -> String {
    let (high, low) = (random >> 32, random & 0xffff_ffff);
    let (one, two) = (number >> 16 & 0xffff, number & 0xffff);
    format!("{high:08x}-{one:04x}-{two:04x}-0000-0000{low:08x}")
}

fn part_id(name: &str, number: u32) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(format!("{name}{number:012}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_parts_are_as_long_as_those_of_azures_clients() {
        let name = part_name(u64::MAX / 3, 70000);
        assert_eq!((name.len(), part_id(&name, 12).len()), (36, 64));
    }
}
