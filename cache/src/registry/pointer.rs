//! What a tag stands for: an index of packs, oldest first. It is small, and the only thing that is ever written
//! anew; packs are immutable. The records of small packs come with it, so that who reads it need not ask for them.

use std::collections::BTreeMap;
use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use wythe_store::digest::Digest;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::document::Document as _;
use wythe_store::oci::index::Index;
use wythe_store::oci::media_type::MediaType;

use crate::pack::{MAX_PACK, PACK_TYPE};

/// How an index of packs is known among others.
const FORM: &str = "vnd.wythe.cache.packs";
/// The version of its form. Who knows the first alone knows no bundles, and has to leave the index as it is.
const VERSION: &str = "2";
/// The versions that are read.
const READ: [&str; 2] = ["1", VERSION];
/// The document of records of a pack, as `DIGEST SIZE COUNT`: with it nobody has to ask for the manifest.
const RECORDS: &str = "vnd.wythe.cache.records";
/// That document itself, as one zstd stream in base64.
const CARRIED: &str = "vnd.wythe.cache.records.zstd";
/// The longest text of a document that an index carries: that of some thirty steps. Of the packs that a tag names all
/// together are a fraction of the 4 MiB that registries take, and who writes sends all of them.
const MAX_CARRIED: usize = 16 << 10;
/// How many packs of an index are read, the newest: who writes leaves a handful, and each may cost a request and the
/// memory of its records.
const MAX_READ: usize = 64;
/// The longest document that is unpacked from an index.
const MAX_UNPACKED: u64 = 1 << 20;
/// Documents are packed once for each build.
const ZSTD_LEVEL: i32 = 9;

/// The packs of a tag.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Pointer {
    pub(super) packs: Vec<PackEntry>,
}

/// A pack that a tag names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct PackEntry {
    /// Its manifest.
    pub(super) digest: Digest,
    pub(super) size: u64,
    pub(super) records: PackRecords,
}

/// The records of a pack.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct PackRecords {
    pub(super) document: Descriptor,
    /// How many there are; `None` where nobody has said so.
    pub(super) count: Option<usize>,
    /// The document as the index carries it, if it is small.
    pub(super) carried: Option<String>,
}

impl Pointer {
    /// Reads an index of packs; `None` where it is something else. What makes no sense in it is left out.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let index = Index::parse(bytes).ok()?;
        let form = index.annotations.get(FORM)?;
        let surplus = index.manifests.len().saturating_sub(MAX_READ);
        let packs = index.manifests[surplus..].iter().filter_map(PackEntry::read);
        READ.contains(&form.as_str()).then(|| Self { packs: packs.collect() })
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut index = Index::new(self.packs.iter().map(PackEntry::descriptor).collect());
        index.annotations = BTreeMap::from([(FORM.to_owned(), VERSION.to_owned())]);
        index.to_bytes()
    }

    /// Whether a pack is among them with its records, whatever the index carries of these.
    pub(super) fn lists(&self, pack: &PackEntry) -> bool {
        let place = |one: &PackEntry| (one.digest, one.records.document.digest);
        self.packs.iter().any(|listed| place(listed) == place(pack))
    }
}

impl PackRecords {
    /// Those of a document, which comes with the index if it is small.
    pub(super) fn of(document: Descriptor, bytes: &[u8], count: usize) -> Self {
        let packed = zstd::bulk::compress(bytes, ZSTD_LEVEL).ok();
        let text = packed.filter(|_| document.size <= MAX_UNPACKED);
        let text = text.map(|packed| STANDARD.encode(packed));
        let carried = text.filter(|text| text.len() <= MAX_CARRIED);
        Self { document, count: Some(count), carried }
    }

    /// The document, where it came with the index and is what it is said to be.
    pub(super) fn unpacked(&self) -> Option<Vec<u8>> {
        let Descriptor { digest, size, .. } = self.document;
        let packed = STANDARD.decode(self.carried.as_ref()?).ok();
        let packed = packed.filter(|_| size <= MAX_UNPACKED)?;
        let mut bytes = Vec::new();
        zstd::Decoder::new(&*packed).ok()?.take(size).read_to_end(&mut bytes).ok()?;
        (Digest::of(&bytes) == digest).then_some(bytes)
    }
}

impl PackEntry {
    fn read(entry: &Descriptor) -> Option<Self> {
        let mut said = entry.annotations.get(RECORDS)?.split(' ');
        let (digest, size) = (said.next()?.parse().ok()?, said.next()?.parse().ok()?);
        let count = said.next().and_then(|count| count.parse().ok());
        let document = Descriptor::new(MediaType::new(PACK_TYPE), digest, size);
        let carried = entry.annotations.get(CARRIED).cloned();
        let records = PackRecords { document, count, carried };
        (size <= MAX_PACK).then_some(Self { digest: entry.digest, size: entry.size, records })
    }

    fn descriptor(&self) -> Descriptor {
        let PackRecords { document, count, carried } = &self.records;
        let count = count.map(|count| format!(" {count}")).unwrap_or_default();
        let said = format!("{} {}{count}", document.digest, document.size);
        let mut entry = Descriptor::new(MediaType::MANIFEST, self.digest, self.size);
        entry.annotations.insert(RECORDS.to_owned(), said);
        let carried = carried.iter().map(|text| (CARRIED.to_owned(), text.clone()));
        entry.annotations.extend(carried);
        entry
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(count: Option<usize>) -> PackEntry {
        let document = Descriptor::of(MediaType::new(PACK_TYPE), b"{}");
        let records = PackRecords { document, count, carried: None };
        PackEntry { digest: Digest::of(b"manifest"), size: 8, records }
    }

    #[test]
    fn a_pointer_reads_back_and_nothing_else_is_one() {
        let pointer = Pointer { packs: vec![entry(Some(3)), entry(None)] };
        assert_eq!(Pointer::parse(&pointer.to_bytes()), Some(pointer.clone()));
        let text = String::from_utf8(pointer.to_bytes()).unwrap();
        let version = |number: u32| text.replace("packs\":\"2\"", &format!("packs\":\"{number}\""));
        let later = version(3);
        assert_ne!(later, text);
        assert_eq!(Pointer::parse(version(1).as_bytes()), Some(pointer));
        for other in
            [&*later, "{}", "", &Index::new(Vec::new()).to_bytes().escape_ascii().to_string()]
        {
            assert_eq!(Pointer::parse(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn of_more_packs_than_anybody_writes_the_newest_are_read() {
        let packs = (0..100).map(|count| entry(Some(count))).collect();
        let read = Pointer::parse(&Pointer { packs }.to_bytes()).unwrap();
        assert_eq!(read.packs.len(), MAX_READ);
        assert_eq!(read.packs.last(), Some(&entry(Some(99))));
    }

    #[test]
    fn a_small_document_comes_with_the_index_and_any_other_is_not_taken_for_it() {
        let of = |bytes: &[u8]| {
            let document = Descriptor::of(MediaType::new(PACK_TYPE), bytes);
            PackRecords::of(document, bytes, 1)
        };
        let small = of(b"{\"a\":1}");
        let entry = PackEntry { digest: Digest::of(b"pack"), size: 1, records: small.clone() };
        let read = Pointer::parse(&Pointer { packs: vec![entry] }.to_bytes()).unwrap();
        assert_eq!(read.packs[0].records.unpacked(), Some(b"{\"a\":1}".to_vec()));
        for carried in
            [None, of(b"{\"a\":2}").carried, Some("%".to_owned()), Some("e30=".to_owned())]
        {
            assert_eq!(PackRecords { carried, ..small.clone() }.unpacked(), None);
        }
        // What does not get smaller, and what would fill the memory.
        let noise: Vec<u8> =
            (0..2000u32).flat_map(|number| *Digest::of(&number.to_le_bytes()).as_bytes()).collect();
        assert_eq!(of(&noise).carried, None);
        assert_eq!(of(&vec![b' '; 2 << 20]).carried, None);
    }
}
