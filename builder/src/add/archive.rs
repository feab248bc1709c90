//! An archive that lies in the store: whether it is one, and what it unpacks to.

use std::io::{self, Read};
use std::sync::Arc;

use wythe_store::error::{ReadError, WriteError};
use wythe_store::id::BodyId;
use wythe_store::layer::decompress::{Compression, decompress, decompress_within};
use wythe_store::layer::limits::Budget;
use wythe_store::layer::tar_read::{
    Beginning, Policy, TarCause, TarEntry, TarError, TarKind, TarReader,
};
use wythe_store::lease::Lease;
use wythe_store::tree::entry::{Directory, File, Node, Tree};

use super::unpack::{ArchiveEntry, ArchiveKind, UnpackError, Unpacking};
use crate::copy::CopySpec;

/// An archive that cannot be added.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AddError {
    /// Its bytes are not in the store.
    #[error("the archive is gone from the store")]
    Gone,
    /// A context that is compressed, and no archive: damaged, or compressed by mistake.
    #[error("the context is compressed, and not a whole archive")]
    NotAnArchive,
    /// It begins as an archive does, but not rightly: copied as it is, it would be of no use.
    #[error("it begins like an archive and is damaged: in the tar header at byte 0, {cause}")]
    Damaged {
        /// What is wrong with the first header.
        cause: TarCause,
    },
    /// It begins as a compressed file does, and nothing comes out of it.
    #[error("it begins like a file compressed with {compression} and is damaged: {error}")]
    Compressed {
        /// How it says that it is compressed.
        compression: Compression,
        /// What fails.
        #[source]
        error: io::Error,
    },
    /// One of several files that are added.
    #[error("{name}: {error}")]
    Source {
        /// Its name.
        name: String,
        /// Why it cannot be.
        #[source]
        error: Box<AddError>,
    },
    /// It breaks a rule of tar.
    #[error("cannot read the archive: {}: {}", .0, .0.cause)]
    Tar(#[from] TarError),
    /// An entry cannot be laid where it says.
    #[error("{}: {}", .0, .0.cause)]
    Unpack(#[from] UnpackError),
    /// It cannot be decompressed.
    #[error("cannot decompress the archive: {0}")]
    Decompress(#[from] std::io::Error),
    /// The store could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The store could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl AddError {
    /// This of the file of a name, among those that are added.
    pub(crate) fn of(self, name: &[u8]) -> Self {
        Self::Source { name: name.escape_ascii().to_string(), error: Box::new(self) }
    }
}

/// Whether a file of the store is a tar archive, compressed or not, by its first bytes.
///
/// # Errors
///
/// Where the store cannot be read, or the file begins like an archive and is none: what somebody
/// meant to be unpacked must not be copied in silence.
pub fn is_archive(lease: &Lease, body: &BodyId) -> Result<bool, AddError> {
    let bytes = lease.store().body(body)?.ok_or(AddError::Gone)?;
    let mut start = Vec::new();
    let beginning = bytes.piece(0..bytes.len().min(Beginning::BYTES as u64))?;
    let read = decompress(Box::new(bytes.clone().reader()), Policy::Archive)
        .and_then(|plain| plain.take(Beginning::BYTES as u64).read_to_end(&mut start));
    match (Beginning::of(&start), Compression::of(&beginning), read) {
        (Beginning::Archive, ..) => Ok(true),
        (Beginning::Damaged(cause), ..) => Err(AddError::Damaged { cause }),
        (Beginning::Other, Some(compression), Err(error)) => {
            Err(AddError::Compressed { compression, error })
        }
        (Beginning::Other, _, read) => Ok(read.map(|_| false)?),
    }
}

/// The mode of every symbolic link on Linux, whatever an archive says.
const LINK_MODE: u32 = 0o777;

/// Lays an archive of the store onto `destination`; the bodies of its files are stored.
///
/// # Errors
///
/// [`AddError`] with the entry that stopped it.
pub fn unpack(
    lease: &Lease,
    body: &BodyId,
    destination: &Arc<Directory>,
    spec: &CopySpec,
) -> Result<Tree, AddError> {
    let bytes = lease.store().body(body)?.ok_or(AddError::Gone)?;
    let budget = Budget::new(lease.store().limits());
    let plain = decompress_within(Box::new(bytes.reader()), Policy::Archive, &budget)?;
    let mut tar = TarReader::new(plain).within(&budget);
    let mut unpacking = Unpacking::begin(destination, spec)?;
    while let Some(entry) = next(&mut tar)? {
        let entry = stored(lease, entry, &mut tar)?;
        unpacking.entry(entry)?;
    }
    Ok(unpacking.finish())
}

/// The next entry. All of an archive may have come where the compressed file is cut off, such as
/// one without its checksum at the end.
fn next<R: Read>(tar: &mut TarReader<R>) -> Result<Option<TarEntry>, TarError> {
    match tar.next_entry() {
        Err(TarError { cause: TarCause::Behind(error), .. })
            if error.kind() == io::ErrorKind::UnexpectedEof =>
        {
            Ok(None)
        }
        other => other,
    }
}

fn stored<R: Read>(
    lease: &Lease,
    entry: TarEntry,
    tar: &mut TarReader<R>,
) -> Result<ArchiveEntry, AddError> {
    let kind = match entry.kind {
        TarKind::Directory => ArchiveKind::Directory,
        TarKind::HardLink(target) => ArchiveKind::HardLink(target),
        TarKind::File(size) => {
            let (body, size) = lease.body_from_reader(tar, size)?;
            ArchiveKind::Node(Node::File(File { body, size, link: None }))
        }
        TarKind::Symlink(target) => ArchiveKind::Node(Node::Symlink(target.into())),
        TarKind::BlockDevice(device) => ArchiveKind::Node(Node::BlockDevice(device)),
        TarKind::CharDevice(device) => ArchiveKind::Node(Node::CharDevice(device)),
        TarKind::Fifo => ArchiveKind::Node(Node::Fifo),
    };
    let (path, mut metadata) = (entry.path, entry.metadata);
    if matches!(kind, ArchiveKind::Node(Node::Symlink(_))) {
        metadata.mode = LINK_MODE;
    }
    Ok(ArchiveEntry { path, metadata, kind })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use wythe_store::store::{OpenOptions, Store};

    use super::*;
    use crate::add::unpack::UnpackCause;
    use crate::copy::mode::ModeChange;
    use crate::copy::tests::sketch::{show, tree};
    use crate::owner::Owner;

    /// A tar of these entries: `d/`, `f=F`, `l->t`, `h=>t`; `!755` and `@1:2` as in sketches.
    fn tar(words: &str) -> Vec<u8> {
        let mut out = tar::Builder::new(Vec::new());
        for word in words.split(' ') {
            entry(&mut out, word);
        }
        out.into_inner().unwrap()
    }

    fn entry(out: &mut tar::Builder<Vec<u8>>, word: &str) {
        let (what, owner) = word.split_once('@').unwrap_or((word, "0:0"));
        let (what, mode) = what.split_once('!').unwrap_or((what, "755"));
        let (path, target, kind) = match (what.split_once("=>"), what.split_once("->")) {
            (Some((path, target)), _) => (path, target, tar::EntryType::Link),
            (_, Some((path, target))) => (path, target, tar::EntryType::Symlink),
            _ => match what.split_once('=') {
                Some((path, _)) => (path, "", tar::EntryType::Regular),
                None => (what, "", tar::EntryType::Directory),
            },
        };
        let body = what.split_once('=').filter(|_| kind.is_file()).map_or("", |(_, body)| body);
        let mut header = tar::Header::new_gnu();
        // The tar crate itself refuses `..`.
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
        let (uid, gid) = owner.split_once(':').unwrap();
        header.set_uid(uid.parse().unwrap());
        header.set_gid(gid.parse().unwrap());
        header.set_mode(u32::from_str_radix(mode, 8).unwrap());
        header.set_entry_type(kind);
        header.set_size(body.len() as u64);
        header.set_mtime(0);
        header.set_cksum();
        out.append(&header, body.as_bytes()).unwrap();
    }

    fn to(destination: &str) -> CopySpec {
        CopySpec { destination: destination.to_owned(), ..CopySpec::default() }
    }

    fn added(archive: &[u8], onto: &str, spec: &CopySpec) -> Result<String, AddError> {
        stored(archive, |lease, body| unpack(lease, body, &tree(onto).children, spec))
            .map(|tree| show(&tree))
    }

    fn told(bytes: &[u8]) -> bool {
        stored(bytes, is_archive).unwrap()
    }

    fn stored<T>(bytes: &[u8], then: impl FnOnce(&Lease, &BodyId) -> T) -> T {
        let at = tempfile::tempdir().unwrap();
        let store = Store::open(at.path(), &OpenOptions::default()).unwrap();
        let lease = store.lease().unwrap();
        let body = lease.put_body(bytes).unwrap();
        then(&lease, &body)
    }

    #[track_caller]
    fn check(archive: &str, onto: &str, expected: &str) {
        let added = added(&tar(archive), onto, &to("/o/")).unwrap();
        assert_eq!(added, expected, "{archive} onto {onto}");
    }

    const T: &str = "./!700@9:9 in/!711@7:7 in/x=x!640@7:7 lnk->in!644";

    fn compressed() -> Vec<(&'static str, Vec<u8>)> {
        let plain = tar(T);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&plain).unwrap();
        let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        bzip2.write_all(&plain).unwrap();
        let options = lzma_rust2::XzOptions::with_preset(1);
        let mut xz = lzma_rust2::XzWriter::new(Vec::new(), options).unwrap();
        xz.write_all(&plain).unwrap();
        vec![
            ("gzip", gzip.finish().unwrap()),
            ("bzip2", bzip2.finish().unwrap()),
            ("xz", xz.finish().unwrap()),
            ("zstd", zstd::encode_all(&plain[..], 1).unwrap()),
            ("tar", plain),
        ]
    }

    #[test]
    fn every_compression_unpacks_to_the_same() {
        for (name, bytes) in compressed() {
            assert!(told(&bytes), "{name}");
            let added = added(&bytes, "", &to("/o")).unwrap();
            assert_eq!(added, "o/ o/in/!711@7:7 o/in/x=x!640@7:7 o/lnk->in", "{name}");
        }
    }

    #[test]
    fn text_and_compressed_text_are_no_archives() {
        let text = b"not a tar".repeat(200);
        let zstd = zstd::encode_all(&text[..], 1).unwrap();
        for bytes in [&text[..], &zstd, b"", b"BZh9nothing", &[0; 1024], &[0; 100]] {
            assert!(!told(bytes), "{bytes:?}");
        }
    }

    #[test]
    fn what_begins_like_an_archive_and_is_damaged_is_never_copied_in_silence() {
        let mut wrong = tar(T);
        wrong[0] = b'x';
        let said = |bytes: &[u8]| stored(bytes, is_archive).unwrap_err().to_string();
        let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 1).unwrap();
        for bytes in [&wrong[..], &zstd(&wrong)] {
            assert!(said(bytes).contains("header at byte 0, header checksum mismatch"));
        }
        for bytes in [&tar(T)[..300], &zstd(&tar(T)[..300])] {
            assert!(said(bytes).contains("header at byte 0, unexpected end"));
        }
        for (name, bytes) in compressed() {
            if name != "tar" {
                assert!(said(&bytes[..14]).contains(&format!("compressed with {name}")), "{name}");
            }
        }
    }

    #[test]
    fn what_is_behind_the_end_of_an_archive_does_not_count() {
        for (name, bytes) in compressed() {
            for behind in [&[0; 512][..], b"rubbish"] {
                let bytes = [&bytes[..], behind].concat();
                let added = added(&bytes, "", &to("/o")).unwrap();
                assert_eq!(added, "o/ o/in/!711@7:7 o/in/x=x!640@7:7 o/lnk->in", "{name}");
            }
        }
        let (_, gzip) = &compressed()[0];
        for cut in 1..=8 {
            assert!(added(&gzip[..gzip.len() - cut], "", &to("/o")).is_ok(), "{cut}");
        }
        let mut wrong = gzip.clone();
        let crc = wrong.len() - 8;
        wrong[crc] ^= 1;
        assert!(added(&wrong, "", &to("/o")).is_err());
    }

    #[test]
    fn paths_stay_in_the_destination() {
        check("a/x/../evil=x /abs=y", "", "o/ o/a/ o/a/evil=x!755 o/abs=y!755");
        for path in ["../evil=x", "a/../../evil=x", "/../evil=x", "l=>../../evil"] {
            let error = added(&tar(path), "", &to("/o")).unwrap_err().to_string();
            assert!(error.contains("leads out"), "{error}");
            assert!(error.contains(path.split(['=']).next().unwrap()), "{error}");
        }
        for link in ["l->../etc", "l->../../etc"] {
            let archive = tar(&format!("{link} l/x=x"));
            let error = added(&archive, "etc/", &to("/o")).unwrap_err();
            let AddError::Unpack(error) = error else { panic!("{error}") };
            assert_eq!(error.cause, UnpackCause::Outside, "{link}");
        }
    }

    #[test]
    fn a_directory_entry_replaces_a_link() {
        check("in/!711 in/x=x", "real/ o/in->/real", "o/ o/in/!711 o/in/x=x!755");
    }

    #[test]
    fn hard_links_are_one_file() {
        check("a=a!600 b=>a!600", "", "o/ o/a=a!600#1 o/b=a!600#1");
    }

    #[test]
    fn an_owner_overrides_every_entry_and_a_mode_none() {
        let owner = Some(Owner { uid: 3, gid: 4 });
        let mode = Some(ModeChange::parse("600").unwrap());
        let added = added(&tar(T), "", &CopySpec { owner, mode, ..to("/o") }).unwrap();
        assert_eq!(added, "o/@3:4 o/in/!711@3:4 o/in/x=x!640@3:4 o/lnk->in@3:4");
    }

    #[test]
    fn a_cut_archive_is_an_error() {
        let whole = tar("a=a");
        assert!(added(&whole[..600], "", &to("/o")).is_err());
    }
}
