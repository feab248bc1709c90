//! The bytes of a pack: a head that says where the index and the blobs are, the index, the blobs.
//!
//! A service that puts parts into an order at the end has head and index first, so that one request reads them. One
//! that wants every byte at its place as it comes has them last: blobs, index, head.

use std::ops::Range;

use wythe_store::cache_backend::CacheError;
use wythe_store::digest::Digest;

use crate::gha::index::{Index, MAX_INDEX};
use crate::gha::service::Service;
use crate::ranged::total_of;

const MAGIC: &[u8; 8] = b"wythepk1";
const HEAD_LENGTH: usize = 64;
pub(super) const HEAD: u64 = HEAD_LENGTH as u64;
/// How much of a pack is read at first: more than the head and most indexes.
const FIRST: u64 = 256 << 10;

/// Where things are in a pack.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Head {
    pub(super) index: u64,
    pub(super) index_length: u64,
    pub(super) data: u64,
    pub(super) digest: Digest,
}

impl Head {
    /// The head of a pack that begins with its index.
    pub(super) fn first(index: &[u8]) -> Self {
        let index_length = index.len() as u64;
        Self { index: HEAD, index_length, data: HEAD + index_length, digest: Digest::of(index) }
    }

    /// The head of a pack whose index follows `data` bytes of blobs.
    pub(super) fn last(index: &[u8], data: u64) -> Self {
        let index_length = index.len() as u64;
        Self { index: data, index_length, data: 0, digest: Digest::of(index) }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        for number in [self.index, self.index_length, self.data] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(self.digest.as_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.first_chunk::<HEAD_LENGTH>()?.strip_prefix(MAGIC)?;
        let (numbers, digest) = rest.split_at_checked(24)?;
        let number = |at: usize| {
            let bytes = numbers[at * 8..at * 8 + 8].try_into().expect("eight bytes");
            u64::from_le_bytes(bytes)
        };
        let digest = Digest::from_bytes(digest.try_into().ok()?);
        let head = Self { index: number(0), index_length: number(1), data: number(2), digest };
        (head.index_length <= MAX_INDEX as u64).then_some(head)
    }
}

/// The index of the pack `number` at a signed address.
pub(super) fn read_index(service: &Service, number: u64, url: &str) -> Result<Index, CacheError> {
    let broken = |what: &str| service.requests.protocol(format!("pack {number} {what}"));
    let (first, total) = part(service, url, 0..FIRST)?;
    let head = if let Some(head) = Head::decode(&first) {
        head
    } else {
        let total = total.filter(|total| *total >= HEAD).ok_or_else(|| broken("is too short"))?;
        let (last, _) = part(service, url, total - HEAD..total)?;
        Head::decode(&last).ok_or_else(|| broken("is none of ours"))?
    };
    let end = head.index.checked_add(head.index_length).ok_or_else(|| broken("has no end"))?;
    let inside = usize::try_from(head.index).ok().zip(usize::try_from(end).ok());
    let index = match inside.and_then(|(start, end)| first.get(start..end)) {
        Some(index) => index.to_vec(),
        None => part(service, url, head.index..end)?.0,
    };
    if Digest::of(&index) != head.digest {
        return Err(broken("has an index that was changed"));
    }
    let mut index = Index::decode(&index).ok_or_else(|| broken("has no index"))?;
    // Where its own blobs begin was not known when its index was written.
    let own = index.packs.get_mut(&number).ok_or_else(|| broken("does not know itself"))?;
    own.data = head.data;
    Ok(index)
}

/// Some bytes of an entry, fewer where it ends, and how many it has in all.
fn part(
    service: &Service,
    url: &str,
    range: Range<u64>,
) -> Result<(Vec<u8>, Option<u64>), CacheError> {
    if range.is_empty() {
        return Ok((Vec::new(), None));
    }
    let mut answer = service.range(url, &range)?;
    let length = range.end - range.start;
    let total = match answer.status {
        206 => answer.header("content-range").and_then(total_of),
        200 if range.start == 0 => {
            let total = answer.header("content-length").and_then(|text| text.parse().ok());
            answer.body = Box::new(std::io::Read::take(answer.body, length));
            total
        }
        200 => return Err(service.requests.protocol("the storage reads no ranges")),
        _ => return Err(service.requests.refused("reading a pack", answer)),
    };
    Ok((service.requests.whole(answer, length)?, total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_as_it_was_written_and_nothing_else_is_one() {
        let head = Head::last(b"index", 1000);
        let bytes = head.encode();
        assert_eq!(bytes.len() as u64, HEAD);
        assert_eq!(Head::decode(&bytes), Some(head));
        assert_eq!(Head::decode(&bytes[..63]), None);
        assert_eq!(Head::decode(&[0; 64]), None);
        let huge = Head { index_length: u64::MAX, ..head };
        assert_eq!(Head::decode(&huge.encode()), None);
    }
}
