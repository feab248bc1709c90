//! Files written in the Dockerfile itself, as a source like any other.

use std::sync::Arc;

use wythe_store::error::WriteError;
use wythe_store::lease::Lease;
use wythe_store::timestamp::Timestamp;
use wythe_store::tree::entry::{Directory, Entry, File, Metadata, Node, Tree};

/// The mode of such a file, unless `--chmod` gives another.
const MODE: u32 = 0o644;

/// A heredoc that cannot become a file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HeredocError {
    /// Its name would lead into a directory, or is none.
    #[error("heredoc {0:?} cannot be a file: its name is a path")]
    Name(String),
    /// Its bytes cannot be stored.
    #[error("cannot store heredoc {name:?}")]
    Store {
        /// The name.
        name: String,
        /// Why not.
        #[source]
        cause: WriteError,
    },
}

/// The file of one heredoc, by name and body, its bytes in the store.
///
/// # Errors
/// A name that is no file name, or a store that cannot be written to.
pub fn file(
    lease: &Lease,
    (name, body): (&str, &[u8]),
    mtime: Timestamp,
) -> Result<Entry, HeredocError> {
    if matches!(name, "" | "." | "..") || name.contains(['/', '\0']) {
        return Err(HeredocError::Name(name.to_owned()));
    }
    let stored = lease.put_body(body);
    let stored = stored.map_err(|cause| HeredocError::Store { name: name.to_owned(), cause })?;
    let node = Node::File(File { body: stored, size: body.len() as u64, link: None });
    let metadata = Metadata { mode: MODE, mtime, ..Metadata::default() };
    Ok(Entry { name: name.as_bytes().into(), metadata, node })
}

/// A source that holds only heredocs; of two with one name the later one stays.
///
/// # Errors
/// As [`file()`], for the first heredoc that fails.
pub fn tree(
    lease: &Lease,
    heredocs: &[(&str, &[u8])],
    mtime: Timestamp,
) -> Result<Tree, HeredocError> {
    let files = heredocs.iter().map(|&heredoc| file(lease, heredoc, mtime));
    let files = files.collect::<Result<Vec<Entry>, HeredocError>>()?;
    Ok(Tree { root: None, children: Arc::new(Directory::from_entries(files)) })
}

#[cfg(test)]
mod tests {
    use wythe_store::store::{OpenOptions, Store};

    use super::*;
    use crate::copy::tests::sketch::show;

    fn made(heredocs: &[(&str, &[u8])]) -> Result<String, HeredocError> {
        let at = tempfile::tempdir().unwrap();
        let store = Store::open(at.path(), &OpenOptions::default()).unwrap();
        let lease = store.lease().unwrap();
        tree(&lease, heredocs, Timestamp::from_seconds(7)).map(|tree| show(&tree))
    }

    #[test]
    fn heredocs_are_plain_files_of_root() {
        assert_eq!(made(&[("b", b"B"), ("$EOF", b"E")]).unwrap(), "$EOF=E~7 b=B~7");
        assert_eq!(made(&[("a", b"1"), ("a", b"2")]).unwrap(), "a=2~7");
    }

    #[test]
    fn a_name_that_is_a_path_is_refused_by_name() {
        for name in ["a/b.txt", "/x", "..", "."] {
            let error = made(&[(name, b"")]).unwrap_err();
            assert!(error.to_string().contains(&format!("{name:?}")), "{error}");
        }
    }
}
