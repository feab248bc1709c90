//! Runs of zeros in files: found, passed by, and written as holes.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

/// What a file system allocates at once, nearly everywhere: a shorter run of zeros saves nothing.
pub(crate) const BLOCK: usize = 4096;

/// Beyond so many holes of a file, zeros are looked at like other bytes: a list of them is no
/// longer small.
const HOLES_MAX: usize = 1 << 16;

/// What zeros are taken from where somebody wants to see them.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// A piece of a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Run<'bytes> {
    /// These bytes.
    Data(&'bytes [u8]),
    /// So many zeros.
    Zeros(u64),
}

impl Run<'_> {
    /// Gives all its bytes, in pieces.
    pub(crate) fn each<E>(self, sink: &mut dyn FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        match self {
            Self::Data(bytes) => sink(bytes),
            Self::Zeros(mut left) => {
                while left > 0 {
                    let zeros = some_zeros(left);
                    sink(zeros)?;
                    left -= zeros.len() as u64;
                }
                Ok(())
            }
        }
    }
}

/// At most so many zeros.
pub(crate) fn some_zeros(limit: u64) -> &'static [u8] {
    usize::try_from(limit).ok().and_then(|limit| ZEROS.get(..limit)).unwrap_or(&ZEROS)
}

/// Cuts bytes that lie at `offset` of a file into what is zero, block by block, and what is not.
pub(crate) fn runs(bytes: &[u8], offset: u64) -> impl Iterator<Item = Run<'_>> {
    let mut rest = bytes;
    #[expect(clippy::cast_possible_truncation, reason = "it is less than a block")]
    let mut first = BLOCK - (offset % BLOCK as u64) as usize;
    std::iter::from_fn(move || {
        let blank = is_zero(rest.get(..first.min(rest.len())).filter(|block| !block.is_empty())?);
        let mut end = first.min(rest.len());
        while let Some(block) = rest.get(end..).filter(|block| !block.is_empty())
            && is_zero(&block[..BLOCK.min(block.len())]) == blank
        {
            end += BLOCK.min(block.len());
        }
        let (run, after) = rest.split_at(end);
        (rest, first) = (after, BLOCK);
        Some(if blank { Run::Zeros(run.len() as u64) } else { Run::Data(run) })
    })
}

/// How many of the bytes lie in blocks of zeros.
pub(crate) fn blank(bytes: &[u8]) -> u64 {
    let zeros = |run| if let Run::Zeros(count) = run { count } else { 0 };
    runs(bytes, 0).map(zeros).sum()
}

fn is_zero(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<8>();
    words.iter().all(|word| *word == [0; 8]) && rest.iter().all(|byte| *byte == 0)
}

/// Writes a new file from its beginning and leaves out the zeros.
#[derive(Debug)]
pub(crate) struct HoleWriter<'file> {
    file: &'file File,
    at: u64,
    /// How long the file is by what was written to it.
    end: u64,
}

impl<'file> HoleWriter<'file> {
    pub(crate) fn new(file: &'file File) -> Self {
        Self { file, at: 0, end: 0 }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        for run in runs(bytes, self.at) {
            let start = self.at;
            self.at += length(run);
            if let Run::Data(bytes) = run {
                self.file.write_all_at(bytes, start)?;
                self.end = self.at;
            }
        }
        Ok(())
    }

    pub(crate) fn run(&mut self, run: Run<'_>) -> io::Result<()> {
        match run {
            Run::Data(bytes) => self.write(bytes),
            Run::Zeros(count) => {
                self.at += count;
                Ok(())
            }
        }
    }

    /// Makes what ends in zeros as long as it is.
    pub(crate) fn finish(self) -> io::Result<()> {
        if self.end < self.at { self.file.set_len(self.at) } else { Ok(()) }
    }
}

fn length(run: Run<'_>) -> u64 {
    match run {
        Run::Data(bytes) => bytes.len() as u64,
        Run::Zeros(count) => count,
    }
}

/// The holes of a file, in order.
pub(crate) fn holes(file: &File) -> io::Result<Vec<Range<u64>>> {
    let (metadata, mut found, mut at) = (file.metadata()?, Vec::new(), 0);
    let size = metadata.len();
    if metadata.blocks().saturating_mul(512) >= size {
        return Ok(found);
    }
    while at < size && found.len() < HOLES_MAX {
        let data = next_data(file, at)?.unwrap_or(size).min(size);
        if at < data {
            found.push(at..data);
        }
        at = next_hole(file, data, size)?.max(data);
    }
    Ok(found)
}

/// Where the next byte from `at` on lies that is not in a hole; `None` where there is none.
pub(crate) fn next_data(file: &File, at: u64) -> io::Result<Option<u64>> {
    match seek(file, SeekFrom::Data(at)) {
        Err(Errno::NXIO) => Ok(None),
        // The file system knows no holes.
        Err(Errno::INVAL | Errno::OPNOTSUPP) => Ok(Some(at)),
        found => Ok(Some(found?)),
    }
}

/// Where the next hole from `at` on begins, at the latest at `size`.
pub(crate) fn next_hole(file: &File, at: u64, size: u64) -> io::Result<u64> {
    match seek(file, SeekFrom::Hole(at)) {
        Err(Errno::NXIO | Errno::INVAL | Errno::OPNOTSUPP) => Ok(size),
        found => Ok(found?.min(size)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[track_caller]
    fn check(bytes: &[u8], offset: u64, expected: &[(bool, u64)]) {
        let found: Vec<_> =
            runs(bytes, offset).map(|run| (matches!(run, Run::Data(_)), length(run))).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn zeros_are_found_in_blocks_of_the_file() {
        let block = BLOCK as u64;
        check(&[], 0, &[]);
        check(&[0; 10], 0, &[(false, 10)]);
        check(
            &[&[1; 10][..], &[0; 3 * BLOCK]].concat(),
            0,
            &[(true, block), (false, 2 * block + 10)],
        );
        check(&[&[0; BLOCK][..], &[1]].concat(), 1, &[(false, block - 1), (true, 2)]);
        check(&[&[0; BLOCK][..], &[1]].concat(), 0, &[(false, block), (true, 1)]);
        check(&[&[0; BLOCK - 1][..], &[1; 5]].concat(), 1, &[(false, block - 1), (true, 5)]);
    }

    #[test]
    fn what_is_written_is_the_same_and_takes_only_what_is_not_zero() {
        let file = tempfile::tempfile().unwrap();
        let mut bytes = vec![0; 300 * BLOCK + 17];
        bytes[100 * BLOCK] = 1;
        bytes[200 * BLOCK - 1] = 2;
        let mut writer = HoleWriter::new(&file);
        for piece in bytes.chunks(10_001) {
            writer.write(piece).unwrap();
        }
        writer.run(Run::Zeros(BLOCK as u64)).unwrap();
        writer.finish().unwrap();
        bytes.resize(bytes.len() + BLOCK, 0);
        let mut found = Vec::new();
        (&file).read_to_end(&mut found).unwrap();
        assert!(found == bytes);
        assert!(file.metadata().unwrap().blocks() * 512 <= 16 * BLOCK as u64);
    }

    #[test]
    fn holes_are_found_where_the_file_system_has_them() {
        let file = tempfile::tempfile().unwrap();
        let (mib, size) = (1 << 20, 3 << 20);
        file.set_len(size).unwrap();
        file.write_all_at(&[1; BLOCK], mib).unwrap();
        let data = next_data(&file, 0).unwrap().unwrap();
        let hole = next_hole(&file, data, size).unwrap();
        assert!(data <= mib && mib + BLOCK as u64 <= hole, "{data} {hole}");
        let after = next_data(&file, hole).unwrap();
        assert!(after.is_none() || hole == size, "{after:?}");
    }
}
