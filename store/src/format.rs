//! The `FORMAT` file: which layout a store has, and which features a program must know to use it.
//!
//! ```text
//! wythe-store 1
//! incompat:
//! ro-compat:
//! compat:
//! ```

use std::io;

use crate::vfs::{Vfs, read_from};

/// The layout this code writes. Raised when an older program would misread the result.
pub const FORMAT_VERSION: u32 = 1;

const PATH: &str = "FORMAT";
const SCRATCH: &str = "FORMAT.new";
const NAME: &str = "wythe-store ";

/// An honest file is a few words long; a longer one is not ours.
const MAX_SIZE: u64 = 4096;

/// Why a directory's format is not one we can work on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// The file is not a format file at all.
    #[error("the FORMAT file is malformed")]
    Malformed,
    /// Written by a newer program.
    #[error("store format {found} is newer than {FORMAT_VERSION}, the newest understood here")]
    TooNew {
        /// The version in the file.
        found: u32,
    },
    /// Of this version, but with a feature that changes what the bytes mean.
    #[error("the store uses feature {name:?}, which is not understood here")]
    UnknownFeature {
        /// Its name.
        name: String,
    },
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Whether the directory has a format file; an error if it has one we must not work with.
pub(crate) fn check(vfs: &dyn Vfs) -> Result<bool, FormatError> {
    let file = match vfs.open(PATH) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        file => file?,
    };
    if file.size()? > MAX_SIZE {
        return Err(FormatError::Malformed);
    }
    let text = String::from_utf8(read_from(&*file, 0)?).map_err(|_| FormatError::Malformed)?;
    accept(&text)?;
    Ok(true)
}

/// Writes the format file, last of what makes a directory a store.
pub(crate) fn create(vfs: &dyn Vfs) -> Result<(), FormatError> {
    if vfs.exists(SCRATCH)? {
        vfs.unlink(SCRATCH)?;
    }
    let file = vfs.create(SCRATCH)?;
    file.append(render().as_bytes())?;
    file.sync()?;
    vfs.replace(SCRATCH, PATH)?;
    vfs.sync_dir(".")?;
    Ok(())
}

fn render() -> String {
    format!("{NAME}{FORMAT_VERSION}\nincompat:\nro-compat:\ncompat:\n")
}

fn accept(text: &str) -> Result<(), FormatError> {
    let mut lines = text.lines();
    let first = lines.next().and_then(|line| line.strip_prefix(NAME));
    let found = first.and_then(|number| number.parse().ok()).ok_or(FormatError::Malformed)?;
    if found > FORMAT_VERSION {
        return Err(FormatError::TooNew { found });
    }
    for line in lines {
        let (set, names) = line.split_once(':').ok_or(FormatError::Malformed)?;
        let unknown = names.split_whitespace().next();
        match (set, unknown) {
            // We always write, so a feature that only readers may ignore stops us as well.
            ("incompat" | "ro-compat", Some(name)) => {
                return Err(FormatError::UnknownFeature { name: name.to_owned() });
            }
            ("incompat" | "ro-compat" | "compat", _) => {}
            _ => return Err(FormatError::Malformed),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_we_write_we_accept() {
        assert!(accept(&render()).is_ok());
    }

    #[test]
    fn a_newer_version_is_refused_by_number() {
        let error = accept("wythe-store 2\n").unwrap_err();
        assert!(matches!(error, FormatError::TooNew { found: 2 }));
    }

    #[test]
    fn an_unknown_feature_is_refused_unless_it_is_compatible() {
        assert!(accept("wythe-store 1\ncompat: shiny\n").is_ok());
        for text in ["wythe-store 1\nincompat: shiny\n", "wythe-store 1\nro-compat: a b\n"] {
            assert!(matches!(accept(text), Err(FormatError::UnknownFeature { .. })), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "wythe-store", "wythe-store x\n", "other 1\n", "wythe-store 1\nnoise\n"] {
            assert!(matches!(accept(text), Err(FormatError::Malformed)), "{text}");
        }
    }
}
