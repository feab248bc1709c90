//! Writes images into a layout directory.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use super::{CREATED, IMAGE_NAME, LayoutError, MARKER, REF_NAME, read_index};
use crate::oci::closure::Closure;
use crate::oci::content::Content;
use crate::oci::descriptor::Descriptor;
use crate::oci::document::Document;
use crate::oci::index::Index;
use crate::oci::reference::Reference;

/// Where a layout directory has its blobs.
const BLOBS: &str = "blobs/sha256";

/// The index entry for an image under a name, annotated as `BuildKit` and containerd expect.
pub fn named(mut entry: Descriptor, name: &Reference, created: Option<&str>) -> Descriptor {
    let name = name.clone().with_default_tag();
    entry.annotations.insert(IMAGE_NAME.to_owned(), name.canonical());
    if let Some(tag) = name.tag() {
        entry.annotations.insert(REF_NAME.to_owned(), tag.to_owned());
    }
    dated(entry, created)
}

/// The index entry for an image, with when it was made.
pub fn dated(mut entry: Descriptor, created: Option<&str>) -> Descriptor {
    if let Some(created) = created {
        entry.annotations.insert(CREATED.to_owned(), created.to_owned());
    }
    entry
}

/// The index entry for an image that has no name, under what is no reference.
pub fn titled(mut entry: Descriptor, title: &str) -> Descriptor {
    entry.annotations.insert(REF_NAME.to_owned(), title.to_owned());
    entry
}

/// Writes everything `entries` reach, then lists them in `index.json`.
///
/// Images that are there stay, but for one of the same name. A blob appears under its name only when
/// it is complete and hashes to it, and the index is replaced last, so a reader never sees less than
/// a whole image.
///
/// # Errors
///
/// If content cannot be read or is not what its descriptor says, or the directory cannot be written.
pub fn write(
    directory: &Path,
    content: &dyn Content,
    entries: &[Descriptor],
) -> Result<(), LayoutError> {
    let fail = |error: io::Error| LayoutError { path: directory.to_owned(), problem: error.into() };
    let closure = Closure::of(content, entries).map_err(fail)?;
    let blobs = directory.join(BLOBS);
    fs::create_dir_all(&blobs).map_err(fail)?;
    for descriptor in &closure.blobs {
        write_blob(&blobs, content, descriptor).map_err(fail)?;
    }
    for (descriptor, bytes) in &closure.manifests {
        replace(&blobs.join(descriptor.digest.hex()), bytes).map_err(fail)?;
    }
    let known = directory.join("index.json").exists();
    let old = if known { read_index(directory)? } else { Index::new(Vec::new()) };
    replace(&directory.join("oci-layout"), MARKER).map_err(fail)?;
    let index = merge(old, entries).to_bytes();
    replace(&directory.join("index.json"), &index).map_err(fail)
}

fn merge(mut index: Index, entries: &[Descriptor]) -> Index {
    for entry in entries {
        let same = |old: &&mut Descriptor| {
            let name = |of: &Descriptor| {
                of.annotations.get(IMAGE_NAME).or_else(|| of.annotations.get(REF_NAME)).cloned()
            };
            name(old) == name(entry) && (name(entry).is_some() || old.digest == entry.digest)
        };
        match index.manifests.iter_mut().find(same) {
            Some(old) => *old = entry.clone(),
            None => index.manifests.push(entry.clone()),
        }
    }
    index
}

/// Whether a layout directory has a blob, so that [`write()`] does not read it.
pub fn has_blob(directory: &Path, descriptor: &Descriptor) -> bool {
    is_written(&directory.join(BLOBS).join(descriptor.digest.hex()), descriptor)
}

fn is_written(path: &Path, descriptor: &Descriptor) -> bool {
    fs::metadata(path).is_ok_and(|found| found.len() == descriptor.size)
}

fn write_blob(blobs: &Path, content: &dyn Content, descriptor: &Descriptor) -> io::Result<()> {
    let path = blobs.join(descriptor.digest.hex());
    if is_written(&path, descriptor) {
        return Ok(());
    }
    let staged = staged(&path);
    let mut file = File::create(&staged)?;
    let copied = content.copy(descriptor, &mut file);
    if copied.is_err() {
        fs::remove_file(&staged)?;
    }
    copied?;
    fs::rename(&staged, &path)
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let staged = staged(path);
    fs::write(&staged, bytes)?;
    fs::rename(&staged, path)
}

/// The name beside `path` under which it is written until it is complete.
fn staged(path: &Path) -> std::path::PathBuf {
    path.with_extension(format!("{}.part", std::process::id()))
}
