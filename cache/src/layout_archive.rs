//! The directory of a [`LocalCache`](crate::local::LocalCache) as one file: a tar archive of the OCI layout.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

const BLOBS: &str = "blobs/sha256";
/// What lies beside the blobs.
const DOCUMENTS: [&str; 2] = ["oci-layout", "index.json"];

/// Writes the archive of a directory: the same bytes for the same files.
///
/// # Errors
///
/// If the directory cannot be read or the archive cannot be written.
pub fn write(directory: &Path, out: impl Write) -> io::Result<()> {
    let mut names: BTreeSet<PathBuf> = BTreeSet::new();
    for blob in fs::read_dir(directory.join(BLOBS))? {
        names.insert(Path::new(BLOBS).join(blob?.file_name()));
    }
    let mut archive = tar::Builder::new(out);
    for name in DOCUMENTS.into_iter().map(PathBuf::from).chain(names) {
        let file = File::open(directory.join(&name))?;
        let mut header = tar::Header::new_ustar();
        header.set_size(file.metadata()?.len());
        header.set_mode(0o644);
        header.set_mtime(0);
        archive.append_data(&mut header, &name, file)?;
    }
    archive.into_inner()?.flush()
}

/// Unpacks the archive of such a directory into an empty one. What has another name than such a directory has
/// is left out, so that nothing is written anywhere else.
///
/// # Errors
///
/// If it is no archive, or the directory cannot be written.
pub fn unpack(archive: impl Read, into: &Path) -> io::Result<()> {
    fs::create_dir_all(into.join(BLOBS))?;
    let mut archive = tar::Archive::new(archive);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let name = entry.path_bytes().into_owned();
        let Some(name) = std::str::from_utf8(&name).ok().filter(|name| is_ours(name)) else {
            continue;
        };
        if entry.header().entry_type().is_file() {
            io::copy(&mut entry, &mut File::create(into.join(name))?)?;
        }
    }
    Ok(())
}

fn is_ours(name: &str) -> bool {
    let is_digest = |hex: &str| hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    let blob = name.strip_prefix(BLOBS).and_then(|rest| rest.strip_prefix('/'));
    DOCUMENTS.contains(&name) || blob.is_some_and(is_digest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::keep;
    use crate::local::LocalCache;
    use wythe_store::cache_backend::CacheBackend as _;
    use wythe_store::id::CacheKey;

    #[test]
    fn a_directory_comes_back_from_its_archive() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (folder.path().join("one"), folder.path().join("two"));
        keep(&LocalCache::new(&one, "latest"), &[1]);
        let mut archive = Vec::new();
        write(&one, &mut archive).unwrap();
        unpack(&*archive, &two).unwrap();
        let key = CacheKey::of(&1i64.to_le_bytes());
        assert!(LocalCache::new(&two, "latest").records(&[key]).unwrap()[0].is_some());
        let mut again = Vec::new();
        write(&two, &mut again).unwrap();
        assert!(archive == again);
    }

    #[test]
    fn nothing_is_written_beside_the_directory() {
        let folder = tempfile::tempdir().unwrap();
        let mut archive = tar::Builder::new(Vec::new());
        for name in ["x", "blobs/sha256/x", "blobs/x"] {
            let mut header = tar::Header::new_ustar();
            header.set_size(1);
            archive.append_data(&mut header, name, &b"1"[..]).unwrap();
        }
        let mut header = tar::Header::new_ustar();
        header.set_size(1);
        header.as_mut_bytes()[..14].copy_from_slice(b"../escaped.jsn");
        header.set_cksum();
        archive.append(&header, &b"1"[..]).unwrap();
        let into = folder.path().join("into");
        unpack(&*archive.into_inner().unwrap(), &into).unwrap();
        assert_eq!(fs::read_dir(into.join(BLOBS)).unwrap().count(), 0);
        assert_eq!(fs::read_dir(&into).unwrap().count(), 1);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
