//! OCI layout directories: images as files.

mod referrers;
pub mod write;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::digest::Digest;
use crate::oci::content::{Content, read_document};
use crate::oci::descriptor::Descriptor;
use crate::oci::document::{Document, DocumentError, DocumentKind, DocumentProblem, MAX_DOCUMENT};
use crate::oci::index::Index;
use crate::oci::json;
use crate::oci::manifest::Manifest;
use crate::oci::reference::{DEFAULT_TAG, Reference};
use crate::oci::source::{ImageSource, SourceError, SourceProblem};

/// The annotation that holds an image's tag.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The annotation in which containerd and `BuildKit` put the whole name.
pub const IMAGE_NAME: &str = "io.containerd.image.name";
/// The annotation for the time an image was made.
pub const CREATED: &str = "org.opencontainers.image.created";

/// Content of the `oci-layout` file.
pub(crate) const MARKER: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// Which image of a layout is meant.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Selector {
    /// The only one, or the one tagged `latest`.
    Default,
    /// The one with this tag or name.
    Name(String),
    /// The one with this digest.
    Digest(Digest),
}

/// A layout directory, and which of its images is meant.
#[derive(Clone, Debug)]
pub struct Layout {
    directory: PathBuf,
    index: Index,
    selector: Selector,
}

/// A layout that could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", path.display())]
pub struct LayoutError {
    /// The file or directory.
    pub path: PathBuf,
    /// What is wrong with it.
    #[source]
    pub problem: LayoutProblem,
}

/// What is wrong with a layout.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LayoutProblem {
    /// A file could not be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A file breaks a rule.
    #[error(transparent)]
    Document(#[from] DocumentError),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Marker {
    image_layout_version: String,
}

impl Layout {
    /// Opens the layout in `directory`.
    ///
    /// # Errors
    ///
    /// If `oci-layout` or `index.json` is missing or invalid.
    pub fn open(directory: &Path, selector: Selector) -> Result<Self, LayoutError> {
        check_marker(&directory.join("oci-layout"))?;
        let index = read_index(directory)?;
        Ok(Self { directory: directory.to_owned(), index, selector })
    }

    /// What `index.json` lists.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// The descriptor of the image that is meant.
    ///
    /// # Errors
    ///
    /// [`SourceProblem::NotFound`] if there is none, or several and none is tagged `latest`.
    pub fn selected(&self) -> Result<Descriptor, SourceProblem> {
        match &self.selector {
            Selector::Digest(digest) => self.by_digest(*digest),
            Selector::Name(name) => self.by_name(name),
            Selector::Default => match self.index.manifests.as_slice() {
                [only] => Ok(only.clone()),
                _ => match self.images().as_slice() {
                    [only] => Ok((*only).clone()),
                    _ => self.by_name(DEFAULT_TAG),
                },
            },
        }
    }

    /// A name may end in a digest, which then is that of the image: what the layout says of itself
    /// does not count.
    fn by_name(&self, name: &str) -> Result<Descriptor, SourceProblem> {
        let (plain, pinned) = match name.split_once('@') {
            Some((plain, digest)) => (plain, Some(digest)),
            None => (name, None),
        };
        let is_pinned =
            |entry: &&Descriptor| pinned.is_none_or(|digest| digest == entry.digest.to_string());
        let is_meant = |entry: &&Descriptor| is_named(entry, plain) || is_named(entry, name);
        let found = self.index.manifests.iter().filter(is_pinned).find(is_meant);
        found.cloned().ok_or_else(|| {
            let names: Vec<&str> = self.index.manifests.iter().filter_map(ref_name).collect();
            let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            SourceProblem::NotFound { detail: format!("{name:?}; names in the layout: {names}") }
        })
    }

    /// A digest may name an entry of `index.json`, or a child of one, of which only the bytes are here.
    fn by_digest(&self, digest: Digest) -> Result<Descriptor, SourceProblem> {
        if let Some(entry) = self.index.manifests.iter().find(|entry| entry.digest == digest) {
            return Ok(entry.clone());
        }
        let path = self.blob_path(digest);
        let bytes = match read_capped(&path, MAX_DOCUMENT) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(SourceProblem::NotFound { detail: digest.to_string() });
            }
            other => other?,
        };
        let media_type = match Manifest::parse(&bytes) {
            Ok(manifest) => manifest.media_type,
            Err(_) => Index::parse(&bytes)?.media_type,
        };
        Ok(Descriptor::new(media_type, digest, bytes.len() as u64))
    }

    fn blob_path(&self, digest: Digest) -> PathBuf {
        self.directory.join("blobs/sha256").join(digest.hex())
    }

    fn read_manifest(&self, reference: &Reference) -> Result<(Descriptor, Vec<u8>), SourceProblem> {
        let descriptor = match reference.digest() {
            Some(digest) => self.by_digest(digest)?,
            None => self.selected()?,
        };
        if MAX_DOCUMENT as u64 <= descriptor.size {
            return Err(SourceProblem::TooLarge { limit: MAX_DOCUMENT as u64 });
        }
        let bytes = read_document(self, &descriptor)?;
        Ok((Descriptor { annotations: BTreeMap::new(), ..descriptor }, bytes))
    }
}

impl Content for Layout {
    fn open(&self, descriptor: &Descriptor) -> io::Result<Box<dyn Read + Send + '_>> {
        open_regular(&self.blob_path(descriptor.digest)).map(|file| Box::new(file) as Box<_>)
    }
}

impl ImageSource for Layout {
    fn manifest(&self, reference: &Reference) -> Result<(Descriptor, Vec<u8>), SourceError> {
        self.read_manifest(reference).map_err(|problem| SourceError::new(reference, problem))
    }

    fn blob(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
    ) -> Result<Box<dyn Read + Send>, SourceError> {
        match open_regular(&self.blob_path(descriptor.digest)) {
            Ok(file) => Ok(Box::new(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let detail = descriptor.digest.to_string();
                Err(SourceError::new(reference, SourceProblem::NotFound { detail }))
            }
            Err(error) => Err(SourceError::new(reference, error)),
        }
    }
}

fn ref_name(entry: &Descriptor) -> Option<&str> {
    entry.annotations.get(REF_NAME).map(String::as_str)
}

fn is_named(entry: &Descriptor, name: &str) -> bool {
    let full = entry.annotations.get(IMAGE_NAME);
    let same = |wanted: &Reference| full.is_some_and(|full| *full == wanted.canonical());
    ref_name(entry) == Some(name)
        || full.is_some_and(|full| full == name)
        || name.parse().is_ok_and(|wanted| same(&wanted))
}

fn check_marker(path: &Path) -> Result<(), LayoutError> {
    let fail = |problem| LayoutError { path: path.to_owned(), problem };
    let invalid = |problem| fail(DocumentError { kind: DocumentKind::Layout, problem }.into());
    let bytes = read_capped(path, MAX_DOCUMENT).map_err(|error| fail(error.into()))?;
    let marker: Marker =
        json::parse(&bytes, MAX_DOCUMENT).map_err(|error| invalid(error.into()))?;
    if marker.image_layout_version != "1.0.0" {
        let found = marker.image_layout_version;
        return Err(invalid(DocumentProblem::LayoutVersion { found }));
    }
    Ok(())
}

fn read_index(directory: &Path) -> Result<Index, LayoutError> {
    let path = directory.join("index.json");
    let read = || -> Result<Index, LayoutProblem> {
        Ok(Index::parse(&read_capped(&path, MAX_DOCUMENT)?)?)
    };
    read().map_err(|problem| LayoutError { path: path.clone(), problem })
}

/// Opens a file that is one: a named pipe in its place would block for ever.
fn open_regular(path: &Path) -> io::Result<File> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    File::open(path)
}

fn read_capped(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_regular(path)?.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    if limit < bytes.len() {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "longer than such a file may be"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::content::MemoryContent;
    use crate::oci::media_type::MediaType;

    fn example(names: &[&str]) -> (tempfile::TempDir, Vec<Descriptor>) {
        let directory = tempfile::tempdir().unwrap();
        let mut content = MemoryContent::default();
        let entries: Vec<Descriptor> = names
            .iter()
            .map(|name| {
                let config = Descriptor::of(MediaType::CONFIG, name.as_bytes());
                content.insert(name.as_bytes().to_vec());
                let bytes = Manifest::new(config, vec![]).to_bytes();
                let descriptor = Descriptor::of(MediaType::MANIFEST, &bytes);
                content.insert(bytes);
                let reference: Reference = name.parse().unwrap();
                write::named(descriptor, &reference, Some("2024-01-01T00:00:00Z"))
            })
            .collect();
        write::write(directory.path(), &content, &entries).unwrap();
        (directory, entries)
    }

    #[track_caller]
    fn check(names: &[&str], selector: Selector, expected: Option<usize>) {
        let (directory, entries) = example(names);
        let layout = Layout::open(directory.path(), selector).unwrap();
        let found = layout.manifest(&"any".parse().unwrap()).ok();
        let digest = found.map(|(descriptor, _)| descriptor.digest);
        assert_eq!(digest, expected.map(|index| entries[index].digest));
    }

    #[test]
    fn the_only_image_is_the_default_and_of_several_the_latest() {
        check(&["app:1"], Selector::Default, Some(0));
        check(&["app:1", "app"], Selector::Default, Some(1));
        check(&["app:1", "app:2"], Selector::Default, None);
    }

    #[test]
    fn an_image_is_found_by_tag_name_or_digest() {
        let names = ["app:1", "r.io/app:2"];
        check(&names, Selector::Name("1".into()), Some(0));
        check(&names, Selector::Name("app:1".into()), Some(0));
        check(&names, Selector::Name("r.io/app:2".into()), Some(1));
        check(&names, Selector::Name("3".into()), None);
        let (_directory, entries) = example(&names);
        check(&names, Selector::Digest(entries[1].digest), Some(1));
        check(&names, Selector::Digest(Digest::of(b"other")), None);
    }

    #[test]
    fn a_digest_in_a_name_is_that_of_the_image_whatever_the_layout_says() {
        let forged = format!("app:1@{}", Digest::of(b"other"));
        check(&[&forged], Selector::Name(forged.clone()), None);
        let (_directory, entries) = example(&["app:1", "app:2"]);
        let right = format!("app:2@{}", entries[1].digest);
        check(&["app:1", "app:2"], Selector::Name(right), Some(1));
        let crossed = format!("app:1@{}", entries[1].digest);
        check(&["app:1", "app:2"], Selector::Name(crossed), None);
        check(&["app:1"], Selector::Name("1@sha512:00".to_owned()), None);
    }

    #[test]
    fn a_blob_that_is_not_what_its_name_says_is_refused() {
        let (directory, entries) = example(&["app"]);
        let path = directory.path().join("blobs/sha256").join(entries[0].digest.hex());
        let mut bytes = fs::read(&path).unwrap();
        bytes[0] = b' ';
        fs::write(&path, bytes).unwrap();
        let layout = Layout::open(directory.path(), Selector::Default).unwrap();
        assert!(layout.manifest(&"app".parse().unwrap()).is_err());
    }

    #[test]
    fn a_second_export_keeps_what_is_there_and_replaces_what_has_its_name() {
        let (directory, entries) = example(&["app:1", "app:2"]);
        let (other, _) = example(&["app:2", "app:3"]);
        let source = Layout::open(other.path(), Selector::Default).unwrap();
        write::write(directory.path(), &source, &source.index().manifests).unwrap();
        let merged = Layout::open(directory.path(), Selector::Default).unwrap();
        let names: Vec<&str> = merged.index().manifests.iter().filter_map(ref_name).collect();
        assert_eq!(names, ["1", "2", "3"]);
        assert_eq!(merged.index().manifests[0], entries[0]);
    }

    #[test]
    fn another_version_is_refused() {
        let (directory, _) = example(&["app"]);
        fs::write(directory.path().join("oci-layout"), r#"{"imageLayoutVersion":"2.0.0"}"#)
            .unwrap();
        assert!(Layout::open(directory.path(), Selector::Default).is_err());
    }
}
