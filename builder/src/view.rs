//! Looks into the root of a step without mounting it: a stack of layer directories, read from the
//! top down as overlayfs would show them.

use std::collections::{BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::user::MAX_ACCOUNT_FILE;

/// As many links as Linux follows.
const MAX_LINKS: usize = 40;

/// Of a layer that has more than this many names at its top it is not remembered which.
const MAX_TOP_NAMES: usize = 4096;

/// What directories of layers have at their top, each listed once: otherwise every step would look in each of them.
#[derive(Debug, Default)]
pub struct LayerTops(Mutex<HashMap<PathBuf, Arc<Top>>>);

/// What the directory of a layer has at its top.
#[derive(Debug)]
struct Top {
    is_opaque: bool,
    /// The names; nothing where they are not known.
    names: Option<BTreeSet<OsString>>,
}

impl LayerTops {
    /// Of all layers, in their order. Two who ask of a new one at once may both list it.
    fn of(&self, layers: &[PathBuf]) -> Vec<Arc<Top>> {
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found: Vec<Option<Arc<Top>>> = {
            let known = known();
            layers.iter().map(|layer| known.get(layer).cloned()).collect()
        };
        let listed = |(layer, top): (&PathBuf, Option<Arc<Top>>)| {
            top.unwrap_or_else(|| {
                let is_opaque = is_opaque(layer);
                let top = Arc::new(Top { is_opaque, names: top_names(layer).ok() });
                known().insert(layer.clone(), top.clone());
                top
            })
        };
        layers.iter().zip(found).map(listed).collect()
    }
}

fn top_names(layer: &Path) -> io::Result<BTreeSet<OsString>> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(layer)? {
        names.insert(entry?.file_name());
        if MAX_TOP_NAMES < names.len() {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
    }
    Ok(names)
}

/// A stack of layer directories, the lowest first.
#[derive(Clone, Debug)]
pub struct View<'a> {
    layers: &'a [PathBuf],
    root: OnceLock<Merged>,
    /// What is known of layers.
    known: Option<&'a LayerTops>,
    /// What is known of these, once something was looked up.
    tops: OnceLock<Vec<Arc<Top>>>,
}

/// The directories that one directory of the image is merged of, the topmost first. Most layers have
/// no part of most directories, and need not be asked about what is below.
type Merged = Vec<PathBuf>;

/// What a directory of the image has under a name.
#[derive(Debug)]
struct Child {
    /// The topmost layer's.
    file: PathBuf,
    metadata: Metadata,
    /// Where it is a directory, all of it.
    merged: Merged,
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
        Self { layers, root: OnceLock::new(), known: None, tops: OnceLock::new() }
    }

    /// A view of layer directories that nobody changes.
    pub fn over(layers: &'a [PathBuf], tops: &'a LayerTops) -> Self {
        Self { known: Some(tops), ..Self::new(layers) }
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
        self.lookup(path).map_err(fail)
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
        let (mut at, mut links) = (PathBuf::new(), 0);
        // What was found at each part of `at`.
        let mut way: Vec<Child> = Vec::new();
        while let Some(name) = open.pop() {
            if name == b".." {
                at.pop();
                way.pop();
                continue;
            }
            let name = OsStr::from_bytes(&name);
            let Some(child) = self.child(way.last(), name)? else {
                at.push(name);
                open.iter().rev().for_each(|rest| at.push(OsStr::from_bytes(rest)));
                return Ok(Found { path: at, file: None });
            };
            if child.metadata.is_symlink() {
                links += 1;
                if links > MAX_LINKS {
                    return Err(ViewCause::Loop);
                }
                let target = fs::read_link(&child.file)?;
                if target.is_absolute() {
                    at.clear();
                    way.clear();
                }
                open.extend(parts(target.as_os_str().as_bytes()).into_iter().rev());
                continue;
            }
            if !child.metadata.is_dir() && !open.is_empty() {
                return Err(ViewCause::NotADirectory);
            }
            at.push(name);
            way.push(child);
        }
        Ok(Found { path: at, file: way.pop().map(|child| child.file) })
    }

    /// The topmost file of a path whose parents are real directories.
    fn lookup(&self, path: &Path) -> Result<Option<PathBuf>, ViewCause> {
        let mut at = None;
        for part in path.components() {
            let Component::Normal(name) = part else { continue };
            match self.child(at.as_ref(), name)? {
                Some(found) => at = Some(found),
                None => return Ok(None),
            }
        }
        Ok(at.map(|child| child.file))
    }

    /// What a directory has under a name; the root where there is none.
    fn child(&self, directory: Option<&Child>, name: &OsStr) -> Result<Option<Child>, ViewCause> {
        if let Some(directory) = directory {
            return child(&directory.merged, name);
        }
        let root = self.root.get_or_init(|| self.merged_root());
        let Some(tops) = self.tops() else { return child(root, name) };
        let has = |top: &Top| top.names.as_ref().is_none_or(|names| names.contains(name));
        let from_top = root.iter().zip(tops.iter().rev());
        let having = from_top.filter(|(_, top)| has(top)).map(|(layer, _)| layer.clone());
        child(&having.collect::<Merged>(), name)
    }

    fn merged_root(&self) -> Merged {
        let lowest = match self.tops() {
            Some(tops) => tops.iter().rev().position(|top| top.is_opaque),
            None => self.layers.iter().rev().position(|layer| is_opaque(layer)),
        };
        let from_top = self.layers.iter().rev();
        from_top.take(lowest.map_or(usize::MAX, |at| at + 1)).cloned().collect()
    }

    /// What is known of the layers, in their order.
    fn tops(&self) -> Option<&[Arc<Top>]> {
        let known = self.known?;
        Some(self.tops.get_or_init(|| known.of(self.layers)))
    }
}

/// What a merged directory has under a name.
fn child(directories: &[PathBuf], name: &OsStr) -> Result<Option<Child>, ViewCause> {
    let mut child: Option<Child> = None;
    for directory in directories {
        let file = directory.join(name);
        let metadata = match fs::symlink_metadata(&file) {
            Ok(metadata) if is_whiteout(&metadata) => break,
            Ok(metadata) => metadata,
            Err(error) if is_absent(&error) => continue,
            Err(error) => return Err(error.into()),
        };
        let (is_directory, is_last) = (metadata.is_dir(), !metadata.is_dir() || is_opaque(&file));
        match &mut child {
            Some(child) if is_directory => child.merged.push(file),
            Some(_) => {}
            None => {
                let merged = if is_directory { vec![file.clone()] } else { Vec::new() };
                child = Some(Child { file, metadata, merged });
            }
        }
        if is_last {
            break;
        }
    }
    Ok(child)
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
    fn what_takes_a_directory_away_hides_what_lower_layers_have_in_it() {
        let root = tempfile::tempdir().unwrap();
        let layers = ["low", "middle", "top"].map(|name| root.path().join(name));
        for path in ["low/etc/a", "low/d/a", "middle/etc", "top/etc/b", "top/d/b"] {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let view = View::new(&layers);
        let has = |path: &str| view.resolve(path).unwrap().file.is_some();
        assert!(has("/etc/b") && has("/d/a") && has("/d/b") && has("/d/../etc/b"));
        assert!(!has("/etc/a"), "a file in between has no directory below it");
        let opaque = |at: &str| {
            let flags = rustix::fs::XattrFlags::empty();
            rustix::fs::lsetxattr(root.path().join(at), "user.overlay.opaque", b"y", flags)
        };
        let has = |path: &str| View::new(&layers).resolve(path).unwrap().file.is_some();
        if opaque("top/d").is_ok() {
            assert!(has("/d/b") && !has("/d/a"));
            opaque("top").unwrap();
            assert!(has("/etc/b") && !has("/lone"));
        }
        fs::write(root.path().join("low/lone"), "").unwrap();
        assert_eq!(has("/lone"), opaque("middle").is_err());
    }

    #[test]
    fn a_view_of_what_is_known_shows_the_same() {
        let at = tempfile::tempdir().unwrap();
        let layers: Vec<PathBuf> = (0..4).map(|n| at.path().join(n.to_string())).collect();
        let file = |layer: usize, name: &str| {
            let path = layers[layer].join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, layer.to_string()).unwrap();
        };
        for layer in &layers {
            fs::create_dir(layer).unwrap();
        }
        file(0, "etc/passwd");
        file(0, "etc/group");
        file(2, "etc/group");
        file(1, "a");
        symlink("etc", layers[3].join("l")).unwrap();
        let tops = LayerTops::default();
        for end in 1..=layers.len() {
            let (known, new) = (View::over(&layers[..end], &tops), View::new(&layers[..end]));
            for path in ["/etc/passwd", "/etc/group", "/l/group", "/a", "/b", "/etc/../a"] {
                let found = |view: &View<'_>| view.resolve(path).unwrap().file;
                assert_eq!(found(&known), found(&new), "{path} in {end}");
            }
        }
        // It is not looked at again.
        fs::write(layers[3].join("b"), "").unwrap();
        assert!(View::over(&layers, &tops).resolve("/b").unwrap().file.is_none());
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
