//! Looks into the root of a step without mounting it: a stack of layer directories, read from the
//! top down as overlayfs would show them.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::user::MAX_ACCOUNT_FILE;

/// As many links as Linux follows.
const MAX_LINKS: usize = 40;

/// A stack of layer directories, the lowest first.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    layers: &'a [PathBuf],
}

/// A path that cannot be followed.
#[derive(Debug, thiserror::Error)]
#[error("cannot look up {path:?} in the image")]
pub struct ViewError {
    /// The path in the image.
    pub path: String,
    /// Why.
    #[source]
    pub cause: ViewCause,
}

/// Why a path cannot be followed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ViewCause {
    /// Too many links.
    #[error("too many symbolic links")]
    Loop,
    /// Something on the way is no directory.
    #[error("not a directory")]
    NotADirectory,
    /// Not a regular file of sensible size.
    #[error("not a regular file of at most {MAX_ACCOUNT_FILE} bytes")]
    NotAFile,
    /// A directory of a layer cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Where a path leads.
#[derive(Debug)]
pub struct Found {
    /// The path in the image with every link resolved, without a leading slash.
    pub path: PathBuf,
    /// The layer's file behind it; `None` where there is nothing.
    pub file: Option<PathBuf>,
}

impl<'a> View<'a> {
    /// A view of layer directories.
    pub fn new(layers: &'a [PathBuf]) -> Self {
        Self { layers }
    }

    /// Follows a path, links included, inside the stack.
    ///
    /// # Errors
    ///
    /// [`ViewError`] for loops, files on the way, and what the file system refuses.
    pub fn resolve(&self, path: &str) -> Result<Found, ViewError> {
        self.walk(Path::new(path)).map_err(|cause| ViewError { path: path.to_owned(), cause })
    }

    /// The layer's file at a path without links, if any layer shows one.
    ///
    /// # Errors
    ///
    /// What the file system refuses.
    pub fn shown(&self, path: &Path) -> Result<Option<PathBuf>, ViewError> {
        let fail = |cause| ViewError { path: path.display().to_string(), cause };
        Ok(self.lookup(path).map_err(fail)?.map(|(file, _)| file))
    }

    /// The bytes of a small regular file; `None` where there is none.
    ///
    /// # Errors
    ///
    /// As [`resolve`](Self::resolve), and for what is no file or too long.
    pub fn small_file(&self, path: &str) -> Result<Option<Vec<u8>>, ViewError> {
        let Some(file) = self.resolve(path)?.file else { return Ok(None) };
        let fail = |cause| ViewError { path: path.to_owned(), cause };
        let metadata = fs::symlink_metadata(&file).map_err(|error| fail(error.into()))?;
        if !metadata.is_file() || metadata.len() > MAX_ACCOUNT_FILE {
            return Err(fail(ViewCause::NotAFile));
        }
        fs::read(&file).map(Some).map_err(|error| fail(error.into()))
    }

    fn walk(&self, path: &Path) -> Result<Found, ViewCause> {
        let mut open: Vec<Vec<u8>> = parts(path.as_os_str().as_bytes());
        open.reverse();
        let mut at = PathBuf::new();
        let mut file = None;
        let mut links = 0;
        while let Some(name) = open.pop() {
            if name == b".." {
                at.pop();
                continue;
            }
            let next = at.join(std::ffi::OsStr::from_bytes(&name));
            let Some((found, metadata)) = self.lookup(&next)? else {
                at = next;
                open.iter().rev().for_each(|rest| at.push(std::ffi::OsStr::from_bytes(rest)));
                return Ok(Found { path: at, file: None });
            };
            if metadata.is_symlink() {
                links += 1;
                if links > MAX_LINKS {
                    return Err(ViewCause::Loop);
                }
                let target = fs::read_link(&found)?;
                if target.is_absolute() {
                    at = PathBuf::new();
                }
                open.extend(parts(target.as_os_str().as_bytes()).into_iter().rev());
                continue;
            }
            if !metadata.is_dir() && !open.is_empty() {
                return Err(ViewCause::NotADirectory);
            }
            at = next;
            file = Some(found);
        }
        Ok(Found { path: at, file })
    }

    /// The topmost file of a path whose parents are real directories.
    fn lookup(&self, path: &Path) -> Result<Option<(PathBuf, Metadata)>, ViewCause> {
        for layer in self.layers.iter().rev() {
            let file = layer.join(path);
            match fs::symlink_metadata(&file) {
                Ok(metadata) if is_whiteout(&metadata) => return Ok(None),
                Ok(metadata) => return Ok(Some((file, metadata))),
                Err(error) if is_absent(&error) => {}
                Err(error) => return Err(error.into()),
            }
            if hides_below(layer, path) {
                return Ok(None);
            }
        }
        Ok(None)
    }
}

/// Whether a layer takes away what lower ones have at a path it does not have itself.
fn hides_below(layer: &Path, path: &Path) -> bool {
    path.ancestors().skip(1).any(|parent| {
        let directory = layer.join(parent);
        match fs::symlink_metadata(&directory) {
            Ok(metadata) if is_whiteout(&metadata) || !metadata.is_dir() => true,
            Ok(_) => is_opaque(&directory),
            Err(_) => false,
        }
    })
}

fn parts(path: &[u8]) -> Vec<Vec<u8>> {
    let named = |part: &&[u8]| !part.is_empty() && *part != b".";
    path.split(|&byte| byte == b'/').filter(named).map(<[u8]>::to_vec).collect()
}

fn is_whiteout(metadata: &Metadata) -> bool {
    metadata.file_type().is_char_device() && metadata.rdev() == 0
}

fn is_opaque(directory: &Path) -> bool {
    let mut value = [0; 1];
    let read = rustix::fs::lgetxattr(directory, "user.overlay.opaque", &mut value[..]);
    read == Ok(1) && value == *b"y"
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn the_topmost_layer_shows_and_links_stay_inside() {
        let root = tempfile::tempdir().unwrap();
        let (low, top) = (root.path().join("low"), root.path().join("top"));
        fs::create_dir_all(low.join("etc")).unwrap();
        fs::create_dir_all(top.join("real")).unwrap();
        fs::write(low.join("etc/passwd"), "low").unwrap();
        fs::write(low.join("etc/group"), "group").unwrap();
        fs::create_dir_all(top.join("etc")).unwrap();
        fs::write(top.join("etc/passwd"), "top").unwrap();
        symlink("/real", top.join("link")).unwrap();
        let layers = [low, top];
        let view = View::new(&layers);
        assert_eq!(view.small_file("/etc/passwd").unwrap().unwrap(), b"top");
        assert_eq!(view.small_file("../etc/group").unwrap().unwrap(), b"group");
        assert_eq!(view.small_file("/etc/shadow").unwrap(), None);
        let found = view.resolve("/link/new/deep").unwrap();
        assert_eq!((found.path, found.file), (PathBuf::from("real/new/deep"), None));
    }

    #[test]
    fn a_loop_is_an_error_and_not_the_end() {
        let root = tempfile::tempdir().unwrap();
        symlink("b", root.path().join("a")).unwrap();
        symlink("a", root.path().join("b")).unwrap();
        let layers = [root.path().to_owned()];
        assert!(matches!(View::new(&layers).resolve("/a").unwrap_err().cause, ViewCause::Loop));
    }
}
