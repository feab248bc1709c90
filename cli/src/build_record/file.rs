//! A record as a file: a head with sums, the record, and the log, so that a list reads no logs.
//!
//! A file that a power cut has left in part does not fit its sums, and counts as none.

use std::io::{self, BufRead, Read};

use serde::Serialize;
use serde::de::DeserializeOwned;
use wythe_store::digest::Digest;

use super::log::BuildLog;
use super::{BuildRecord, VERSION};

/// The first words of a file.
const MAGIC: &str = "wythe-build";

/// The longest head, in bytes: four short lines.
const MOST_OF_HEAD: usize = 512;

/// The longest record or log that is read, in bytes: three times what a build may write.
const MOST: u64 = 64 << 20;

/// How hard is tried to make it small. Records are written while somebody waits.
const LEVEL: i32 = 1;

/// Why a file is no record.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordFileError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("it is not whole")]
    Damaged,
    /// A newer version of this program has made it.
    #[error("a newer version has made it")]
    Newer,
}

/// The bytes of a file.
///
/// # Errors
///
/// Where they cannot be made, which is for want of memory.
pub(crate) fn encode(record: &BuildRecord, log: &BuildLog) -> io::Result<Vec<u8>> {
    let (record, log) = (packed(record)?, packed(log)?);
    let sum = |name: &str, part: &[u8]| format!("{name} {} {}\n", part.len(), Digest::of(part));
    let head = format!("{MAGIC} {VERSION}\n{}{}\n", sum("record", &record), sum("log", &log));
    Ok([head.as_bytes(), &record, &log].concat())
}

/// The record in a file, and its log where that is asked for.
pub(crate) fn decode<L: Part>(mut file: impl BufRead) -> Result<(BuildRecord, L), RecordFileError> {
    let head = Head::read(&mut file)?;
    let record = unpacked(&part(&mut file, &head.record)?)?;
    Ok((record, L::read(&mut file, &head)?))
}

/// What of a file is read beside the record.
pub(crate) trait Part: Sized {
    fn read(file: impl Read, head: &Head) -> Result<Self, RecordFileError>;
}

impl Part for BuildLog {
    fn read(mut file: impl Read, head: &Head) -> Result<Self, RecordFileError> {
        unpacked(&part(&mut file, &head.log)?)
    }
}

/// Nothing.
impl Part for () {
    fn read(_: impl Read, _: &Head) -> Result<Self, RecordFileError> {
        Ok(())
    }
}

/// What a file says of its parts: how long they are, and what they are to be.
pub(crate) struct Head {
    record: (u64, Digest),
    log: (u64, Digest),
}

impl Head {
    fn read(file: &mut impl BufRead) -> Result<Self, RecordFileError> {
        let mut text = Vec::new();
        while !text.ends_with(b"\n\n") {
            let is_line = text.len() < MOST_OF_HEAD && file.read_until(b'\n', &mut text)? > 0;
            if !is_line {
                return Err(RecordFileError::Damaged);
            }
        }
        let text = String::from_utf8(text).map_err(|_| RecordFileError::Damaged)?;
        let mut lines = text.lines();
        let version = lines.next().and_then(|line| line.strip_prefix(MAGIC)?.trim().parse().ok());
        match version {
            Some(VERSION) => {}
            Some(version) if version > VERSION => return Err(RecordFileError::Newer),
            _ => return Err(RecordFileError::Damaged),
        }
        let mut sum = |name: &str| {
            let (length, digest) = lines.next()?.strip_prefix(name)?.trim().split_once(' ')?;
            Some((length.parse().ok().filter(|length| *length <= MOST)?, digest.parse().ok()?))
        };
        let parts = sum("record").zip(sum("log")).ok_or(RecordFileError::Damaged)?;
        Ok(Self { record: parts.0, log: parts.1 })
    }
}

fn part(
    file: &mut impl Read,
    (length, digest): &(u64, Digest),
) -> Result<Vec<u8>, RecordFileError> {
    let mut bytes = Vec::new();
    file.take(*length).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == *length && Digest::of(&bytes) == *digest {
        Ok(bytes)
    } else {
        Err(RecordFileError::Damaged)
    }
}

fn packed(value: &impl Serialize) -> io::Result<Vec<u8>> {
    zstd::encode_all(serde_json::to_vec(value)?.as_slice(), LEVEL)
}

fn unpacked<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, RecordFileError> {
    let text = zstd::Decoder::new(bytes)?.take(MOST);
    serde_json::from_reader(io::BufReader::new(text)).map_err(|_| RecordFileError::Damaged)
}

#[cfg(test)]
mod tests {
    use super::super::log::LogLine;
    use super::super::shelf::tests::record;
    use super::*;

    fn file() -> (BuildRecord, BuildLog, Vec<u8>) {
        let (record, mut log) = (record(7, "abc"), BuildLog::default());
        log.push(1, LogLine(5, 2, "warning: …".to_owned()));
        let bytes = encode(&record, &log).unwrap();
        (record, log, bytes)
    }

    #[test]
    fn what_is_written_is_read_back() {
        let (record, log, bytes) = file();
        let (found, lines): (BuildRecord, BuildLog) = decode(bytes.as_slice()).unwrap();
        assert_eq!((found, lines.steps[&1].lines.clone()), (record, log.steps[&1].lines.clone()));
    }

    #[test]
    fn a_file_that_is_cut_off_anywhere_is_no_record() {
        let bytes = file().2;
        for length in 0..bytes.len() {
            let found = decode::<BuildLog>(&bytes[..length]);
            assert!(matches!(found, Err(RecordFileError::Damaged)), "{length}");
        }
        let mut zeros = bytes.clone();
        let middle = bytes.len() / 2;
        zeros[middle..].fill(0);
        assert!(decode::<BuildLog>(zeros.as_slice()).is_err());
    }

    #[test]
    fn a_file_of_a_newer_version_is_told_from_a_damaged_one() {
        let bytes = file().2;
        let text = String::from_utf8_lossy(&bytes).replacen("wythe-build 1", "wythe-build 2", 1);
        let found = decode::<()>(text.as_bytes());
        assert!(matches!(found, Err(RecordFileError::Newer)));
    }
}
