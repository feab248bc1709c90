//! What a cache mount is called: its folder is named by a hash.
//!
//! ```text
//! linux/amd64
//! cargo registry
//! ```
//!
//! Beside it lies the text that other machines know it by, which may have any number of lines.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use super::{CacheCause, CacheSpec};

const NAME: &str = "about";
const IDENTITY: &str = "identity";

/// The longest text that is read, in bytes: an id is a word or a path.
const MAX_SIZE: u64 = 64 << 10;

/// What is said of a cache mount.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct About {
    pub(super) platform: String,
    pub(super) label: String,
    /// Empty where an earlier version made it.
    pub(super) identity: String,
}

/// Says what a cache is called, where nobody has. Who comes first is believed.
pub(super) fn write(folder: &Path, spec: &CacheSpec) -> Result<(), CacheCause> {
    let text = format!("{}\n{}\n", spec.platform, spec.label);
    write_first(&folder.join(NAME), &text)?;
    if spec.portable.is_empty() {
        Ok(())
    } else {
        write_first(&folder.join(IDENTITY), &spec.portable)
    }
}

fn write_first(path: &Path, text: &str) -> Result<(), CacheCause> {
    if path.exists() {
        return Ok(());
    }
    match fs::write(path, text) {
        // The cache is being removed by somebody who found it idle: it has no name then.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        written => Ok(written?),
    }
}

/// What is said of the cache in a folder; nothing of one that an earlier version made.
pub(super) fn read(folder: &Path) -> io::Result<About> {
    let text = read_text(&folder.join(NAME))?;
    let (platform, label) = text.split_once('\n').unwrap_or_default();
    let label = label.strip_suffix('\n').unwrap_or(label);
    let identity = read_text(&folder.join(IDENTITY))?;
    Ok(About { platform: platform.to_owned(), label: label.to_owned(), identity })
}

fn read_text(path: &Path) -> io::Result<String> {
    let text = match fs::metadata(path) {
        Ok(metadata) if metadata.len() <= MAX_SIZE => fs::read(path)?,
        Ok(_) => Vec::new(),
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    Ok(String::from_utf8_lossy(&text).into_owned())
}
