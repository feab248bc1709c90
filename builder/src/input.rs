//! What a build starts from.

use std::path::{Path, PathBuf};

use wythe_store::tree::entry::Tree;

/// What is built: a Dockerfile and the directory its paths mean.
#[derive(Clone, Debug, Default)]
pub struct Input {
    /// The Dockerfile's bytes.
    pub dockerfile: Vec<u8>,
    /// What messages call it.
    pub name: String,
    /// Where it was read from, if it was a file: an ignore file may lie beside it.
    pub path: Option<PathBuf>,
    /// The main context; a build without one can copy nothing from it.
    pub context: Option<PathBuf>,
    /// The main context where it is no directory; its files are in the store.
    pub files: Option<Tree>,
    /// `SOURCE_DATE_EPOCH=context`: when the main context was made, where that is known.
    pub time: Option<i64>,
}

impl Input {
    /// The Dockerfile at `path`, with `context` as its context.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read.
    pub fn read(path: &Path, context: &Path) -> std::io::Result<Self> {
        let name = path.file_name().map_or("Dockerfile".into(), |name| name.to_string_lossy());
        Ok(Self {
            dockerfile: std::fs::read(path)?,
            name: name.into_owned(),
            path: Some(path.to_owned()),
            context: Some(context.to_owned()),
            files: None,
            time: None,
        })
    }
}
