//! Tokens on disk, one in a file that only its owner can read.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::keys::Hidden;

/// A token for a registry.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Token {
    /// The password of the user `AWS`.
    pub(crate) password: Hidden,
    pub(crate) expires: Timestamp,
}

/// The folder that tokens are kept in.
#[derive(Clone, Debug)]
pub(crate) struct TokenFiles(pub(crate) PathBuf);

#[derive(Deserialize, Serialize)]
struct Document {
    version: u32,
    password: String,
    expires: String,
}

/// The form of the files. One of another form is as none.
const VERSION: u32 = 1;

impl TokenFiles {
    /// The token that is kept under a name; `None` where there is none that can be read.
    pub(crate) fn load(&self, name: &str) -> Option<Token> {
        let text = fs::read_to_string(self.path(name)).ok()?;
        let document: Document = serde_json::from_str(&text).ok()?;
        let expires = document.expires.parse().ok()?;
        let token = Token { password: Hidden::new(document.password), expires };
        (document.version == VERSION).then_some(token)
    }

    /// Keeps a token under a name.
    pub(crate) fn save(&self, name: &str, token: &Token) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.0)?;
        let document = Document {
            version: VERSION,
            password: token.password.reveal().to_owned(),
            expires: token.expires.to_string(),
        };
        let text = serde_json::to_string(&document).map_err(io::Error::other)?;
        replace(&self.path(name), text.as_bytes())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}.json"))
    }
}

/// Writes beside the file, and puts it in its place: who reads meanwhile finds the old one or the new one.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_extension(format!("new-{}", std::process::id()));
    // What a process of the same number left behind could be readable to others.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(bytes)?;
    fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_token_is_kept_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let files = TokenFiles(folder.path().join("a/b"));
        assert_eq!(files.load("x"), None);
        let expires = "2026-01-01T00:00:00Z".parse().unwrap();
        let token = Token { password: Hidden::new("hush"), expires };
        files.save("x", &token).unwrap();
        files.save("x", &token).unwrap();
        assert_eq!(files.load("x"), Some(token));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&files.path("x")), mode(&files.0)), (0o600, 0o700));
        assert_eq!(fs::read_dir(&files.0).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_makes_no_sense_is_as_none() {
        let folder = tempfile::tempdir().unwrap();
        let files = TokenFiles(folder.path().to_owned());
        for text in ["", "{}", r#"{"version":2,"password":"p","expires":"2026-01-01T00:00:00Z"}"#] {
            fs::write(files.path("x"), text).unwrap();
            assert_eq!(files.load("x"), None, "{text}");
        }
    }
}
