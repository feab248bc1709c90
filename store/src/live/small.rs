//! Whether a layer's directory is read by one thread before others have come to help.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::layers::LayerRecord;
use crate::store::Store;

/// So many names are looked at before a directory is none of few. A pool's threads take a tenth of a millisecond to come
/// and to go again, which is what they take to be read.
const FEW: usize = 32;
/// So many bytes are read, hashed and compressed in about a millisecond.
const SHORT: u64 = 256 << 10;

/// Whether a layer is only a directory here, of few and short files. One that cannot be looked at is not.
pub fn is_small(store: &Store, record: &LayerRecord) -> bool {
    if record.tree.is_some() || record.diff_id.is_some() {
        return false;
    }
    let directory = record.live.as_ref().map(|name| store.path().join(name.path()));
    directory.is_some_and(|directory| has_little(&directory).unwrap_or(false))
}

fn has_little(directory: &Path) -> io::Result<bool> {
    let (mut names, mut bytes) = (0, 0);
    let mut open: Vec<PathBuf> = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            names += 1;
            if entry.file_type()?.is_dir() {
                open.push(entry.path());
            } else {
                bytes += entry.metadata()?.len();
            }
            if FEW < names || SHORT < bytes {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_and_short_files_are_little_wherever_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path();
        assert!(has_little(top).unwrap());
        fs::create_dir_all(top.join("a/b")).unwrap();
        for number in 0..FEW - 2 {
            fs::write(top.join(format!("a/b/{number}")), "short").unwrap();
        }
        assert!(has_little(top).unwrap());
        fs::write(top.join("one more"), "short").unwrap();
        assert!(!has_little(top).unwrap());
    }

    #[test]
    fn one_long_file_is_not_little_and_what_is_not_there_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = fs::File::create(folder.path().join("long")).unwrap();
        file.set_len(SHORT).unwrap();
        assert!(has_little(folder.path()).unwrap());
        file.set_len(SHORT + 1).unwrap();
        assert!(!has_little(folder.path()).unwrap());
        assert!(has_little(&folder.path().join("gone")).is_err());
    }
}
