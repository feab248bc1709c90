//! What a tag stands for: an index of packs, oldest first. It is small, and the only thing that is ever written
//! anew; packs are immutable.

use std::collections::BTreeMap;

use wythe_store::digest::Digest;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::document::Document as _;
use wythe_store::oci::index::Index;
use wythe_store::oci::media_type::MediaType;

use crate::pack::{MAX_PACK, PACK_TYPE};

/// How an index of packs is known among others, and the version of its form.
const FORM: (&str, &str) = ("vnd.wythe.cache.packs", "1");
/// The document of records of a pack, as `DIGEST SIZE COUNT`: with it nobody has to ask for the manifest.
const RECORDS: &str = "vnd.wythe.cache.records";

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
}

impl Pointer {
    /// Reads an index of packs; `None` where it is something else. What makes no sense in it is left out.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let index = Index::parse(bytes).ok()?;
        let form = index.annotations.get(FORM.0)?;
        let packs = index.manifests.iter().filter_map(PackEntry::read);
        (form == FORM.1).then(|| Self { packs: packs.collect() })
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut index = Index::new(self.packs.iter().map(PackEntry::descriptor).collect());
        index.annotations = BTreeMap::from([(FORM.0.to_owned(), FORM.1.to_owned())]);
        index.to_bytes()
    }

    pub(super) fn lists(&self, pack: &PackEntry) -> bool {
        self.packs.contains(pack)
    }
}

impl PackEntry {
    fn read(entry: &Descriptor) -> Option<Self> {
        let mut said = entry.annotations.get(RECORDS)?.split(' ');
        let (digest, size) = (said.next()?.parse().ok()?, said.next()?.parse().ok()?);
        let count = said.next().and_then(|count| count.parse().ok());
        let document = Descriptor::new(MediaType::new(PACK_TYPE), digest, size);
        let records = PackRecords { document, count };
        (size <= MAX_PACK).then_some(Self { digest: entry.digest, size: entry.size, records })
    }

    fn descriptor(&self) -> Descriptor {
        let PackRecords { document, count } = &self.records;
        let count = count.map(|count| format!(" {count}")).unwrap_or_default();
        let said = format!("{} {}{count}", document.digest, document.size);
        let mut entry = Descriptor::new(MediaType::MANIFEST, self.digest, self.size);
        entry.annotations.insert(RECORDS.to_owned(), said);
        entry
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(count: Option<usize>) -> PackEntry {
        let document = Descriptor::of(MediaType::new(PACK_TYPE), b"{}");
        let records = PackRecords { document, count };
        PackEntry { digest: Digest::of(b"manifest"), size: 8, records }
    }

    #[test]
    fn a_pointer_reads_back_and_nothing_else_is_one() {
        let pointer = Pointer { packs: vec![entry(Some(3)), entry(None)] };
        assert_eq!(Pointer::parse(&pointer.to_bytes()), Some(pointer.clone()));
        let text = String::from_utf8(pointer.to_bytes()).unwrap();
        let later = text.replace("packs\":\"1\"", "packs\":\"2\"");
        assert_ne!(later, text);
        for other in
            [&*later, "{}", "", &Index::new(Vec::new()).to_bytes().escape_ascii().to_string()]
        {
            assert_eq!(Pointer::parse(other.as_bytes()), None, "{other}");
        }
    }
}
