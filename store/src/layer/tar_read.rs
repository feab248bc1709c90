//! A strict reader of tar streams: every entry means what Go's and GNU's readers take it for, or
//! the whole stream is refused.

use std::io::Read;

use crate::layer::canonical::BLOCK;
pub use crate::layer::tar_read::error::{TarCause, TarError};
use crate::layer::tar_read::header::{Header, Raw};
use crate::layer::tar_read::pax::Pax;
use crate::path::LayerPath;
use crate::tree::entry::{Device, Metadata};

mod error;
mod header;
mod pax;

/// No layer has more entries than this, headers of extensions included; what has is made to
/// exhaust us.
pub const ENTRIES_MAX: u64 = 5_000_000;
/// A layer unpacks to no more than this by default.
pub const UNPACKED_MAX: u64 = 100 << 30;

/// What a stream is, which decides what its names may be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Policy {
    /// A layer: a path with `..` is refused.
    Layer,
    /// An archive to add to an image, or a build context: `..` stops at the top.
    Archive,
}

/// One entry of a tar stream.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TarEntry {
    /// Where it goes.
    pub path: LayerPath,
    /// Its metadata.
    pub metadata: Metadata,
    /// What it is.
    pub kind: TarKind,
}

/// What an entry of a tar stream is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum TarKind {
    /// A block device.
    BlockDevice(Device),
    /// A character device.
    CharDevice(Device),
    /// A directory.
    Directory,
    /// A named pipe.
    Fifo,
    /// A regular file of this many bytes, which [`TarReader`] reads next.
    File(u64),
    /// Another name of an earlier file.
    HardLink(LayerPath),
    /// A symbolic link.
    Symlink(Vec<u8>),
}

/// Reads entries one after the other. After an entry that is a file, reading gives its bytes.
#[derive(Debug)]
pub struct TarReader<R> {
    input: R,
    policy: Policy,
    /// Bytes of the current body not yet read, and the zeros after it.
    left: u64,
    padding: usize,
    entries: u64,
    unpacked: u64,
    current: Vec<u8>,
}

impl<R: Read> TarReader<R> {
    /// A reader of a plain tar stream.
    pub fn new(input: R, policy: Policy) -> Self {
        let (left, padding, entries, unpacked) = (0, 0, 0, 0);
        Self { input, policy, left, padding, entries, unpacked, current: Vec::new() }
    }

    /// The next entry; `None` at the end, where the input has been read to its end too.
    ///
    /// # Errors
    ///
    /// If the archive is malformed, past a limit, or cannot be read.
    pub fn next_entry(&mut self) -> Result<Option<TarEntry>, TarError> {
        self.advance().map_err(|cause| TarError { entry: self.current.clone(), cause })
    }

    /// Gives the input back.
    pub fn into_inner(self) -> R {
        self.input
    }

    fn advance(&mut self) -> Result<Option<TarEntry>, TarCause> {
        self.skip_body()?;
        let Some(raw) = self.raw()? else { return Ok(None) };
        self.current.clone_from(&raw.path);
        let entry = raw.interpret(self.policy)?;
        if let TarKind::File(size) = entry.kind {
            self.unpacked = self.unpacked.saturating_add(size);
            if UNPACKED_MAX < self.unpacked {
                return Err(TarCause::TooLarge);
            }
            self.left = size;
            self.padding = crate::layer::canonical::padding(size);
        }
        Ok(Some(entry))
    }

    /// The next header with what the extension headers before it say.
    fn raw(&mut self) -> Result<Option<Raw>, TarCause> {
        let (mut local, mut long_name, mut long_link) = (None, None, None);
        loop {
            let Some(header) = self.header()? else {
                let dangling = local.is_some() || long_name.is_some() || long_link.is_some();
                return if dangling { Err(TarCause::Dangling) } else { Ok(None) };
            };
            // Extension headers count: a stream of nothing else has an end too.
            self.entries += 1;
            if ENTRIES_MAX < self.entries {
                return Err(TarCause::TooMany);
            }
            match header.kind() {
                b'x' => once(&mut local, Pax::parse(&self.extension(&header)?)?)?,
                // Some readers apply these to the rest of the archive, and others to nothing.
                b'g' if Pax::parse(&self.extension(&header)?)?.says_nothing_of_entries() => {}
                b'g' => return Err(TarCause::Global),
                b'L' => once(&mut long_name, text(self.extension(&header)?))?,
                b'K' => once(&mut long_link, text(self.extension(&header)?))?,
                _ => {
                    let pax = local.unwrap_or_default();
                    return header.merge(&pax, long_name, long_link).map(Some);
                }
            }
        }
    }

    fn header(&mut self) -> Result<Option<Header>, TarCause> {
        let block = self.block()?;
        if block != [0; 512] {
            return Header::check(&block).map(Some);
        }
        // Two blocks of zeros are the end to every reader, whatever comes behind them: zeros up to
        // some record size, or the table of contents of a layer. After one alone readers differ.
        let mut second = Vec::new();
        (&mut self.input).take(BLOCK as u64).read_to_end(&mut second)?;
        if second.iter().any(|byte| *byte != 0) {
            return Err(TarCause::LoneZeros);
        }
        std::io::copy(&mut self.input, &mut std::io::sink())?;
        Ok(None)
    }

    fn block(&mut self) -> Result<[u8; 512], TarCause> {
        let mut block = [0; 512];
        self.input.read_exact(&mut block).map_err(TarCause::from_read)?;
        Ok(block)
    }

    /// The bytes of an extension header.
    fn extension(&mut self, header: &Header) -> Result<Vec<u8>, TarCause> {
        let size = header.size()?;
        if pax::SIZE_MAX < size {
            return Err(TarCause::HugeHeader);
        }
        let mut bytes = vec![0; usize::try_from(size).map_err(|_| TarCause::HugeHeader)?];
        self.input.read_exact(&mut bytes).map_err(TarCause::from_read)?;
        let mut zeros = [0; 512];
        let zeros = &mut zeros[..crate::layer::canonical::padding(size)];
        self.input.read_exact(zeros).map_err(TarCause::from_read)?;
        Ok(bytes)
    }

    fn skip_body(&mut self) -> Result<(), TarCause> {
        let rest = self.left + self.padding as u64;
        let skipped = std::io::copy(&mut (&mut self.input).take(rest), &mut std::io::sink())?;
        (self.left, self.padding) = (0, 0);
        if skipped < rest { Err(TarCause::Truncated) } else { Ok(()) }
    }
}

impl<R: Read> Read for TarReader<R> {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        let limit = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
        if limit == 0 {
            return Ok(0);
        }
        let count = self.input.read(&mut bytes[..limit])?;
        if count == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= count as u64;
        Ok(count)
    }
}

fn once<T>(slot: &mut Option<T>, value: T) -> Result<(), TarCause> {
    if slot.replace(value).is_some() { Err(TarCause::Repeated) } else { Ok(()) }
}

/// A GNU long name, up to its NUL.
fn text(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.last() == Some(&0) {
        bytes.pop();
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::Bytes;
    use crate::digest::Digest;
    use crate::id::BodyId;
    use crate::layer::tar_write::tar_write;
    use crate::tree::sketch::sketch;
    use std::collections::BTreeMap;

    fn written() -> Vec<u8> {
        let tree = sketch("a=1@1 b=1@1 d/ d/c=2 l>a -w o! o/x=1");
        let body =
            |text: &str| (BodyId::of(text.as_bytes()), Bytes::from(text.as_bytes().to_vec()));
        let bodies = BTreeMap::from([body("1"), body("2")]);
        let mut out = Vec::new();
        tar_write(&tree, &bodies, None, &mut out).unwrap();
        out
    }

    fn paths(bytes: &[u8]) -> Result<Vec<String>, TarCause> {
        let mut reader = TarReader::new(bytes, Policy::Layer);
        let mut paths = Vec::new();
        while let Some(entry) = reader.next_entry().map_err(|error| error.cause)? {
            paths.push(entry.path.to_string());
        }
        Ok(paths)
    }

    #[test]
    fn the_tar_crate_reads_what_we_write_as_we_do() {
        let bytes = written();
        let mut archive = tar::Archive::new(&bytes[..]);
        let theirs: Vec<String> = archive
            .entries()
            .unwrap()
            .map(|entry| format!("/{}", entry.unwrap().path().unwrap().display()))
            .map(|path| path.trim_end_matches('/').to_owned())
            .collect();
        assert_eq!(paths(&bytes).unwrap(), theirs);
    }

    #[test]
    fn the_bytes_of_a_layer_never_change() {
        expect_test::expect![
            "sha256:1149e6c94b50918830313364cd841ca2a473d81dd164bce090cedaa226dfbe75"
        ]
        .assert_eq(&Digest::of(&written()).to_string());
    }

    #[test]
    fn every_cut_is_noticed() {
        let bytes = written();
        for end in (0..bytes.len() - 1024).step_by(97) {
            assert!(paths(&bytes[..end]).is_err(), "{end}");
        }
    }

    #[test]
    fn what_follows_two_blocks_of_zeros_is_read_but_not_taken_for_entries() {
        let mut bytes = written();
        let expected = paths(&bytes).unwrap();
        for more in [&[0; 4096][..], &written(), b"x"] {
            bytes.extend_from_slice(more);
            let mut reader = TarReader::new(&bytes[..], Policy::Layer);
            while reader.next_entry().unwrap().is_some() {}
            assert!(reader.into_inner().is_empty());
            assert_eq!(paths(&bytes).unwrap(), expected);
        }
    }

    #[test]
    fn data_after_one_block_of_zeros_is_refused() {
        let mut bytes = written();
        bytes.truncate(bytes.len() - BLOCK);
        assert!(paths(&bytes).is_ok());
        bytes.extend_from_slice(&written());
        assert!(matches!(paths(&bytes), Err(TarCause::LoneZeros)));
    }

    #[test]
    fn one_entry_too_many_is_refused() {
        let bytes = written();
        let count = paths(&bytes).unwrap().len() as u64;
        for (before, fine) in [(ENTRIES_MAX - count, true), (ENTRIES_MAX - count + 1, false)] {
            let mut reader = TarReader::new(&bytes[..], Policy::Layer);
            reader.entries = before;
            let read = std::iter::from_fn(|| reader.next_entry().transpose());
            let refused = {
                let mut read = read;
                read.find_map(Result::err)
            };
            let cause = refused.map(|error| error.cause);
            assert!(if fine { cause.is_none() } else { matches!(cause, Some(TarCause::TooMany)) });
        }
    }
}
