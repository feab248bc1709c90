//! A group of changes as it lies in the log: a header with a checksum over all of it, then the
//! changes one after another.

use std::ops::Range;

use xxhash_rust::xxh3::Xxh3;

use crate::error::WriteError;
use crate::journal::batch::{Batch, Change};
use crate::journal::{BootId, Durability};
use crate::wire::{read_u32, read_u64};

const MAGIC: u32 = u32::from_le_bytes(*b"WGRP");
const HEADER_SIZE: usize = 48;
const CHANGE_SIZE: usize = 8;
const ALIGNMENT: usize = 8;
const DURABLE: u32 = 1;

/// The longest value: far above any record of ours, far below what would make a damaged length
/// allocate much.
const MAX_VALUE: usize = 64 * 1024 * 1024;

/// What a group's header says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Group {
    /// Its number; one more than that of the group before.
    pub sequence: u64,
    /// Whether its writer asked for a sync.
    pub durability: Durability,
    /// The boot it was written in.
    pub boot: BootId,
    /// Where its changes lie.
    pub payload: Range<usize>,
    /// Where the next group begins.
    pub end: usize,
}

/// The bytes of a group.
///
/// # Errors
///
/// If the store cannot be written.
pub fn encode(
    batch: &Batch,
    sequence: u64,
    durability: Durability,
    boot: &BootId,
) -> Result<Vec<u8>, WriteError> {
    let mut bytes = vec![0; HEADER_SIZE];
    for change in batch.changes() {
        encode_change(change, &mut bytes)?;
    }
    // The padding counts as payload, so that the checksum covers it too.
    bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
    let payload = bytes.len() - HEADER_SIZE;
    let flags = if durability == Durability::Durable { DURABLE } else { 0 };
    bytes[0..4].copy_from_slice(&MAGIC.to_le_bytes());
    bytes[4..8].copy_from_slice(&flags.to_le_bytes());
    bytes[8..16].copy_from_slice(&(payload as u64).to_le_bytes());
    bytes[16..24].copy_from_slice(&sequence.to_le_bytes());
    bytes[24..40].copy_from_slice(boot);
    let check = checksum(&bytes);
    bytes[40..48].copy_from_slice(&check.to_le_bytes());
    Ok(bytes)
}

fn encode_change(change: &Change, bytes: &mut Vec<u8>) -> Result<(), WriteError> {
    let (code, key, value): (u8, &[u8], &[u8]) = match change {
        Change::Put { key, value } => (1, key, value),
        Change::Delete { key } => (2, key, &[]),
    };
    let too_long = || WriteError::TooLong { length: key.len().max(value.len()) };
    if value.len() > MAX_VALUE {
        return Err(too_long());
    }
    bytes.extend_from_slice(&[code, 0]);
    bytes.extend_from_slice(&u16::try_from(key.len()).map_err(|_| too_long())?.to_le_bytes());
    bytes.extend_from_slice(&u32::try_from(value.len()).map_err(|_| too_long())?.to_le_bytes());
    bytes.extend_from_slice(key);
    bytes.extend_from_slice(value);
    Ok(())
}

/// The group that begins at `at`; `None` where there is no whole and intact one.
pub fn group_at(log: &[u8], at: usize) -> Option<Group> {
    let rest = log.get(at..)?;
    let header = rest.get(..HEADER_SIZE)?;
    if read_u32(header, 0) != MAGIC {
        return None;
    }
    let length = usize::try_from(read_u64(header, 8)).ok()?;
    let covered = rest.get(..HEADER_SIZE.checked_add(length)?)?;
    if checksum(covered) != read_u64(header, 40) {
        return None;
    }
    let (_, boot) = header[..40].split_last_chunk()?;
    let start = at + HEADER_SIZE;
    let relaxed = read_u32(header, 4) & DURABLE == 0;
    Some(Group {
        sequence: read_u64(header, 16),
        durability: if relaxed { Durability::Relaxed } else { Durability::Durable },
        boot: *boot,
        payload: start..start + length,
        end: (start + length).next_multiple_of(ALIGNMENT),
    })
}

/// The first intact group after `at` that is numbered above `sequence` and satisfies `wanted`.
pub fn group_beyond(
    log: &[u8],
    at: usize,
    sequence: u64,
    wanted: impl Fn(&Group) -> bool,
) -> Option<usize> {
    let starts = (at + ALIGNMENT..log.len()).step_by(ALIGNMENT);
    starts.into_iter().find(|&start| {
        group_at(log, start).is_some_and(|group| group.sequence > sequence && wanted(&group))
    })
}

/// The changes of a group's payload. The checksum has been checked, so a payload that does not
/// parse was written by something else; the rest of it is left out.
pub fn changes(payload: &[u8]) -> impl Iterator<Item = Change> + '_ {
    let mut rest = payload;
    std::iter::from_fn(move || {
        let (change, after) = decode_change(rest)?;
        rest = after;
        Some(change)
    })
}

fn decode_change(bytes: &[u8]) -> Option<(Change, &[u8])> {
    let (header, rest) = bytes.split_at_checked(CHANGE_SIZE)?;
    let key_len = usize::from(u16::from_le_bytes([header[2], header[3]]));
    let value_len = read_u32(header, 4) as usize;
    let (key, rest) = rest.split_at_checked(key_len)?;
    let (value, rest) = rest.split_at_checked(value_len)?;
    let key = key.to_vec();
    match header[0] {
        1 => Some((Change::Put { key, value: value.to_vec() }, rest)),
        2 => Some((Change::Delete { key }, rest)),
        _ => None,
    }
}

fn checksum(group: &[u8]) -> u64 {
    let mut hasher = Xxh3::new();
    hasher.update(&group[..40]);
    hasher.update(&group[HEADER_SIZE..]);
    hasher.digest()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::batch::Table;

    fn sample() -> (Batch, Vec<u8>) {
        let mut batch = Batch::new();
        batch.put(Table::Refs, b"app", b"value".to_vec()).delete(Table::Actions, b"old");
        let bytes = encode(&batch, 7, Durability::Durable, &[9; 16]).unwrap();
        (batch, bytes)
    }

    #[test]
    fn a_group_reads_back() {
        let (batch, bytes) = sample();
        let group = group_at(&bytes, 0).unwrap();
        assert_eq!(
            (group.sequence, group.durability, group.boot),
            (7, Durability::Durable, [9; 16])
        );
        assert_eq!(group.end, bytes.len());
        let read: Vec<Change> = changes(&bytes[group.payload]).collect();
        assert_eq!(read, batch.changes());
    }

    #[test]
    fn no_prefix_of_a_group_is_a_group() {
        let (_, bytes) = sample();
        let length = group_at(&bytes, 0).unwrap().payload.end;
        for cut in 0..length {
            assert_eq!(group_at(&bytes[..cut], 0), None, "{cut} bytes");
        }
    }

    #[test]
    fn every_flipped_bit_of_a_group_shows() {
        let (_, intact) = sample();
        let length = group_at(&intact, 0).unwrap().payload.end;
        for bit in 0..length * 8 {
            let mut bytes = intact.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(group_at(&bytes, 0), None, "bit {bit}");
        }
    }

    #[test]
    fn a_key_too_long_for_its_length_field_is_refused() {
        let mut batch = Batch::new();
        batch.put(Table::Refs, &vec![b'x'; 70_000], Vec::new());
        let result = encode(&batch, 1, Durability::Relaxed, &[0; 16]);
        assert!(matches!(result, Err(WriteError::TooLong { length: 70_001 })));
    }
}
