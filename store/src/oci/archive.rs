//! Images as one tar file: a layout in an archive, for OCI's tools and for `docker load`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};

use serde::Serialize;

use crate::digest::Digest;
use crate::oci::closure::Closure;
use crate::oci::content::Content;
use crate::oci::descriptor::Descriptor;
use crate::oci::document::Document;
use crate::oci::index::{Index, MAX_DEPTH};
use crate::oci::layout::{IMAGE_NAME, MARKER};
use crate::oci::manifest::Manifest;
use crate::oci::platform::Platform;
use crate::oci::reference::Reference;

/// Which program is to read the archive.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Flavour {
    /// Anything that reads OCI layouts, a docker that keeps images as containerd does included.
    Oci,
    /// `docker load` of any kind as well: `manifest.json` lies beside `index.json`.
    Docker,
}

/// One image as `docker load` reads it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DockerEntry {
    config: String,
    repo_tags: Vec<String>,
    layers: Vec<String>,
}

/// Writes `entries` and all they reach as an archive.
///
/// The bytes depend on the images and their names alone: blobs in the order of their digests, no
/// times and no owners. Of an index, a `docker load` that knows none takes the image for `platform`,
/// or the first one.
///
/// # Errors
///
/// If content cannot be read or is not what its descriptor says, or `out` fails. With
/// [`Flavour::Docker`] also if an entry is or lists no image.
pub fn write(
    out: &mut dyn Write,
    content: &dyn Content,
    entries: &[Descriptor],
    (flavour, platform): (Flavour, Option<&Platform>),
) -> io::Result<()> {
    let closure = Closure::of(content, entries)?;
    // Before anything is written.
    let listed = match flavour {
        Flavour::Docker => Some(Listed { closure: &closure, platform }.manifest(entries)?),
        Flavour::Oci => None,
    };
    let mut archive = tar::Builder::new(out);
    append_directory(&mut archive, "blobs/")?;
    append_directory(&mut archive, "blobs/sha256/")?;
    append_blobs(&mut archive, content, &closure)?;
    append_bytes(&mut archive, "index.json", &Index::new(entries.to_vec()).to_bytes())?;
    if let Some(listed) = listed {
        append_bytes(&mut archive, "manifest.json", &listed)?;
    }
    append_bytes(&mut archive, "oci-layout", MARKER)?;
    archive.into_inner()?.flush()
}

fn append_blobs<W: Write>(
    archive: &mut tar::Builder<W>,
    content: &dyn Content,
    closure: &Closure,
) -> io::Result<()> {
    let manifests: BTreeMap<Digest, &[u8]> =
        closure.manifests.iter().map(|(found, bytes)| (found.digest, bytes.as_slice())).collect();
    let blobs: BTreeMap<Digest, &Descriptor> =
        closure.blobs.iter().map(|found| (found.digest, found)).collect();
    let all: BTreeSet<Digest> = manifests.keys().chain(blobs.keys()).copied().collect();
    for digest in all {
        let path = blob_path(digest);
        match (manifests.get(&digest), blobs.get(&digest)) {
            (Some(bytes), _) => append_bytes(archive, &path, bytes)?,
            (None, Some(blob)) => append_blob(archive, &path, content, blob)?,
            (None, None) => {}
        }
    }
    Ok(())
}

fn append_blob<W: Write>(
    archive: &mut tar::Builder<W>,
    path: &str,
    content: &dyn Content,
    blob: &Descriptor,
) -> io::Result<()> {
    let mut header = header(path, tar::EntryType::Regular, blob.size)?;
    header.set_cksum();
    archive.get_mut().write_all(header.as_bytes())?;
    content.copy(blob, archive.get_mut())?;
    let padding = blob.size.next_multiple_of(512) - blob.size;
    io::copy(&mut io::repeat(0).take(padding), archive.get_mut()).map(drop)
}

fn append_bytes<W: Write>(
    archive: &mut tar::Builder<W>,
    path: &str,
    bytes: &[u8],
) -> io::Result<()> {
    let mut header = header(path, tar::EntryType::Regular, bytes.len() as u64)?;
    header.set_cksum();
    archive.append(&header, bytes)
}

fn append_directory<W: Write>(archive: &mut tar::Builder<W>, path: &str) -> io::Result<()> {
    let mut header = header(path, tar::EntryType::Directory, 0)?;
    header.set_cksum();
    archive.append(&header, io::empty())
}

fn header(path: &str, kind: tar::EntryType, size: u64) -> io::Result<tar::Header> {
    let mut header = tar::Header::new_ustar();
    header.set_path(path)?;
    header.set_entry_type(kind);
    header.set_mode(if kind == tar::EntryType::Directory { 0o755 } else { 0o644 });
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    Ok(header)
}

/// The images that `manifest.json` lists.
struct Listed<'a> {
    closure: &'a Closure,
    platform: Option<&'a Platform>,
}

impl Listed<'_> {
    fn manifest(&self, entries: &[Descriptor]) -> io::Result<Vec<u8>> {
        let mut images: Vec<(Digest, DockerEntry)> = Vec::new();
        for entry in entries {
            let tag = entry.annotations.get(IMAGE_NAME).map(|name| short_name(name));
            let found = self.image(entry, 0)?;
            let found = found.filter(|manifest| manifest.config.media_type.is_config());
            let manifest = found.ok_or_else(|| {
                let text = "a docker archive holds images only";
                io::Error::new(io::ErrorKind::Unsupported, text)
            })?;
            match images.iter_mut().find(|(digest, _)| *digest == entry.digest) {
                Some((_, image)) => image.repo_tags.extend(tag),
                None => images.push((entry.digest, docker_entry(&manifest, tag))),
            }
        }
        let images: Vec<DockerEntry> = images.into_iter().map(|(_, image)| image).collect();
        Ok(serde_json::to_vec(&images).expect("strings always serialise"))
    }

    /// The image that an entry is or leads to.
    fn image(&self, entry: &Descriptor, depth: usize) -> io::Result<Option<Manifest>> {
        let found = self.closure.manifests.iter().find(|(found, _)| found.digest == entry.digest);
        let Some((_, bytes)) = found else { return Ok(None) };
        if entry.media_type.is_manifest() {
            return Manifest::parse(bytes).map(Some).map_err(io::Error::other);
        }
        let index = Index::parse(bytes).map_err(io::Error::other)?;
        let wanted = self.platform.and_then(|platform| index.ranked(platform).first().copied());
        match wanted.or_else(|| index.images().next()) {
            // The closure has no deeper ones.
            Some(image) if depth < MAX_DEPTH => self.image(image, depth + 1),
            _ => Ok(None),
        }
    }
}

fn docker_entry(manifest: &Manifest, tag: Option<String>) -> DockerEntry {
    DockerEntry {
        config: blob_path(manifest.config.digest),
        repo_tags: tag.into_iter().collect(),
        layers: manifest.layers.iter().map(|layer| blob_path(layer.digest)).collect(),
    }
}

/// `docker load` shows the name as it stands here, so it is the one people write.
fn short_name(name: &str) -> String {
    match name.parse::<Reference>() {
        Ok(reference) => reference.with_default_tag().to_string(),
        Err(_) => name.to_owned(),
    }
}

fn blob_path(digest: Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::content::MemoryContent;
    use crate::oci::layout::write::named;
    use crate::oci::media_type::MediaType;

    fn example() -> (MemoryContent, Descriptor) {
        let mut content = MemoryContent::default();
        let config = Descriptor::of(MediaType::CONFIG, b"{}");
        let layer = Descriptor::of(MediaType::LAYER, b"layer");
        content.insert(b"{}".to_vec());
        content.insert(b"layer".to_vec());
        let bytes = Manifest::new(config, vec![layer.clone(), layer]).to_bytes();
        let descriptor = Descriptor::of(MediaType::MANIFEST, &bytes);
        content.insert(bytes);
        (content, descriptor)
    }

    fn files(bytes: &[u8]) -> BTreeMap<String, String> {
        let mut archive = tar::Archive::new(bytes);
        let read = |entry: io::Result<tar::Entry<'_, &[u8]>>| {
            let mut entry = entry.unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            (entry.path().unwrap().display().to_string(), text)
        };
        archive.entries().unwrap().map(read).collect()
    }

    #[test]
    fn an_archive_holds_each_blob_once_and_is_the_same_every_time() {
        let (content, descriptor) = example();
        let mut once = Vec::new();
        write(&mut once, &content, std::slice::from_ref(&descriptor), (Flavour::Oci, None))
            .unwrap();
        let mut again = Vec::new();
        write(&mut again, &content, &[descriptor], (Flavour::Oci, None)).unwrap();
        assert_eq!(once, again);
        let files = files(&once);
        assert_eq!(files.len(), 7);
        assert!(!files.contains_key("manifest.json"));
        assert_eq!(files[&blob_path(Digest::of(b"layer"))], "layer");
    }

    #[test]
    fn docker_finds_short_names_and_all_tags_of_one_image_together() {
        let (content, descriptor) = example();
        let name = |text: &str| named(descriptor.clone(), &text.parse().unwrap(), None);
        let mut bytes = Vec::new();
        write(&mut bytes, &content, &[name("app"), name("r.io/app:2")], (Flavour::Docker, None))
            .unwrap();
        let text = &files(&bytes)["manifest.json"];
        let layer = blob_path(Digest::of(b"layer"));
        let config = blob_path(Digest::of(b"{}"));
        let expected = format!(
            r#"[{{"Config":"{config}","RepoTags":["app:latest","r.io/app:2"],"Layers":["{layer}","{layer}"]}}]"#
        );
        assert_eq!(*text, expected);
    }

    #[test]
    fn docker_finds_the_image_of_a_platform_or_the_first_where_there_are_several() {
        let (mut content, first) = example();
        let other = Descriptor::of(MediaType::CONFIG, b"{ }");
        content.insert(b"{ }".to_vec());
        let bytes = Manifest::new(other.clone(), vec![]).to_bytes();
        let mut second = Descriptor::of(MediaType::MANIFEST, &bytes);
        content.insert(bytes);
        second.platform = Some(Platform::linux("s390x"));
        let index = Index::new(vec![first, second]).to_bytes();
        let root = Descriptor::of(MediaType::INDEX, &index);
        content.insert(index);
        let (s390x, arm) = (Platform::linux("s390x"), Platform::linux("arm64"));
        for (platform, config) in [
            (None, Digest::of(b"{}")),
            (Some(&s390x), other.digest),
            (Some(&arm), Digest::of(b"{}")),
        ] {
            let mut bytes = Vec::new();
            let entries = std::slice::from_ref(&root);
            write(&mut bytes, &content, entries, (Flavour::Docker, platform)).unwrap();
            let text = &files(&bytes)["manifest.json"];
            assert!(text.contains(&config.hex()), "{platform:?} {text}");
        }
    }

    #[test]
    fn an_artifact_is_in_no_archive_for_docker() {
        let mut content = MemoryContent::default();
        content.insert(b"{}".to_vec());
        let config = MediaType::new("application/vnd.oci.empty.v1+json");
        let bytes = Manifest::new(Descriptor::of(config, b"{}"), vec![]).to_bytes();
        let entries = [Descriptor::of(MediaType::MANIFEST, &bytes)];
        content.insert(bytes);
        let mut out = Vec::new();
        write(&mut out, &content, &entries, (Flavour::Oci, None)).unwrap();
        let mut out = Vec::new();
        assert!(write(&mut out, &content, &entries, (Flavour::Docker, None)).is_err());
        assert!(out.is_empty());
    }

    #[test]
    fn content_that_does_not_match_its_digest_stops_the_export() {
        let (_, descriptor) = example();
        let (mut content, _) = example();
        let bytes = read(&content, &descriptor);
        content = MemoryContent::default();
        content.insert(bytes);
        assert!(write(&mut Vec::new(), &content, &[descriptor], (Flavour::Oci, None)).is_err());
    }

    fn read(content: &MemoryContent, descriptor: &Descriptor) -> Vec<u8> {
        crate::oci::content::read_document(content, descriptor).unwrap()
    }
}
