//! Archives of images, unpacked to a layout directory: what `docker save`, `podman save` and OCI's
//! tools write.
//!
//! Members are kept under numbers, so that nothing in the archive says where a file goes, and get
//! the digest of their bytes as name. Archives of older Docker versions and of podman are no
//! layouts: for these the documents of a layout are made.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::digest::{Digest, Hasher};
use crate::image::docker_archive::{DockerArchiveError, as_index};
use crate::layer::decompress::decompress;
use crate::layer::tar_read::{Policy, TarError, TarKind, TarReader};
use crate::oci::document::{Document as _, MAX_DOCUMENT};
use crate::oci::layout::MARKER;
use crate::path::LayerPath;

/// An image has few members; an archive with more than this is made to exhaust us.
const MEMBERS_MAX: usize = 100_000;
/// Docker links members to each other, but never in chains of this length.
const LINKS_MAX: usize = 8;

/// An archive is not unpacked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnpackError {
    /// It is no archive.
    #[error(transparent)]
    Tar(#[from] TarError),
    /// It holds more files than any image has.
    #[error("more than {MEMBERS_MAX} members")]
    TooMany,
    /// It holds neither a layout nor what Docker writes.
    #[error("no image: neither index.json nor manifest.json is in it")]
    NoImage,
    /// What Docker wrote makes no sense.
    #[error(transparent)]
    Docker(#[from] DockerArchiveError),
    /// It cannot be read, or the directory cannot be written.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Unpacks an archive, compressed or not, into an empty directory that then is a layout. Blobs are
/// checked when they are read from there, as those of every layout are.
///
/// # Errors
///
/// If the archive is cut off, ambiguous, or holds no image.
pub fn unpack(archive: Box<dyn Read + Send + '_>, into: &Path) -> Result<(), UnpackError> {
    let staging = into.join("members");
    fs::create_dir_all(&staging)?;
    fs::create_dir_all(into.join("blobs/sha256"))?;
    let members = Members::read(archive, &staging)?;
    let index = if let Some(index) = members.path("index.json") {
        read_document(index)?
    } else {
        let manifest = members.path("manifest.json").ok_or(UnpackError::NoImage)?;
        let mut content = Content { members: &members, directory: into };
        as_index(&read_document(manifest)?, &mut content)?.to_bytes()
    };
    members.take_blobs(into)?;
    fs::write(into.join("index.json"), index)?;
    fs::write(into.join("oci-layout"), MARKER)?;
    Ok(fs::remove_dir_all(&staging)?)
}

/// The files of an archive.
#[derive(Debug, Default)]
struct Members {
    files: BTreeMap<LayerPath, PathBuf>,
    links: BTreeMap<LayerPath, LayerPath>,
}

impl Members {
    fn read(archive: Box<dyn Read + Send + '_>, staging: &Path) -> Result<Self, UnpackError> {
        let mut tar = TarReader::new(decompress(archive, Policy::Archive)?);
        let mut members = Self::default();
        let mut numbers = 0..MEMBERS_MAX;
        while let Some(entry) = tar.next_entry()? {
            let number = numbers.next().ok_or(UnpackError::TooMany)?;
            match entry.kind {
                TarKind::File(_) => {
                    let path = staging.join(number.to_string());
                    // A later member of the same name counts, as in every tar archive.
                    io::copy(&mut tar, &mut File::create(&path)?)?;
                    members.files.insert(entry.path, path);
                }
                TarKind::HardLink(target) => drop(members.links.insert(entry.path, target)),
                TarKind::Symlink(target) => {
                    let parent = entry.path.parent().unwrap_or_else(LayerPath::root);
                    let target = beside(&parent, &target);
                    members.links.extend(target.map(|target| (entry.path, target)));
                }
                TarKind::BlockDevice(_)
                | TarKind::CharDevice(_)
                | TarKind::Directory
                | TarKind::Fifo => {}
            }
        }
        Ok(members)
    }

    /// The file of a member, wherever links lead.
    fn path(&self, name: &str) -> Option<&Path> {
        let mut at = LayerPath::parse(name.as_bytes()).ok()?;
        for _ in 0..LINKS_MAX {
            if let Some(path) = self.files.get(&at) {
                return Some(path);
            }
            at = self.links.get(&at)?.clone();
        }
        None
    }

    /// Moves what a layout has as blobs to where a layout has it.
    fn take_blobs(&self, into: &Path) -> io::Result<()> {
        for (name, path) in &self.files {
            let name = std::str::from_utf8(name.as_bytes()).unwrap_or_default();
            if let Some(hex) = name.strip_prefix("blobs/sha256/")
                && let Ok(digest) = format!("sha256:{hex}").parse::<Digest>()
            {
                fs::rename(path, blob_path(into, &digest))?;
            }
        }
        Ok(())
    }
}

/// Where a link in the directory `parent` leads; nowhere if out of the archive.
fn beside(parent: &LayerPath, target: &[u8]) -> Option<LayerPath> {
    let mut at = Some(parent.clone());
    for part in target.split(|byte| *byte == b'/') {
        at = match part {
            b"" | b"." => at,
            b".." => at?.parent(),
            name => Some(at?.join(name)),
        };
    }
    at
}

/// The files that Docker's manifest names, on their way to blobs.
#[derive(Debug)]
pub(crate) struct Content<'a> {
    members: &'a Members,
    directory: &'a Path,
}

impl Content<'_> {
    /// Reads a short member.
    pub(crate) fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        read_document(self.file(name)?)
    }

    /// Makes a member a blob; gives its digest, its length and its first bytes.
    pub(crate) fn keep(&mut self, name: &str) -> io::Result<(Digest, u64, Vec<u8>)> {
        let path = self.file(name)?;
        let (mut file, mut hasher) = (File::open(path)?, Hasher::default());
        let (mut buffer, mut size, mut head) = (vec![0; 128 << 10], 0, Vec::new());
        loop {
            let count = file.read(&mut buffer)?;
            if count == 0 {
                break;
            }
            if head.is_empty() {
                head = buffer[..count.min(4)].to_vec();
            }
            hasher.update(&buffer[..count]);
            size += count as u64;
        }
        let digest = hasher.finish();
        let blob = blob_path(self.directory, &digest);
        if !blob.exists() {
            // A link: the same member may be a layer twice, and may be called a blob already.
            fs::hard_link(path, blob)?;
        }
        Ok((digest, size, head))
    }

    /// Writes a document.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        File::create(blob_path(self.directory, &Digest::of(bytes)))?.write_all(bytes)
    }

    fn file(&self, name: &str) -> io::Result<&Path> {
        let missing = || io::Error::new(io::ErrorKind::NotFound, format!("{name} is not in it"));
        self.members.path(name).ok_or_else(missing)
    }
}

fn blob_path(directory: &Path, digest: &Digest) -> PathBuf {
    directory.join("blobs/sha256").join(digest.hex())
}

fn read_document(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_DOCUMENT as u64 + 1).read_to_end(&mut bytes)?;
    if MAX_DOCUMENT < bytes.len() {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "longer than a document may be"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::DiffId;
    use crate::image::resolve::{ResolvedImage, resolve};
    use crate::oci::archive::{Flavour, write};
    use crate::oci::config::ImageConfig;
    use crate::oci::content::MemoryContent;
    use crate::oci::descriptor::Descriptor;
    use crate::oci::layout::write::named;
    use crate::oci::layout::{Layout, Selector};
    use crate::oci::manifest::Manifest;
    use crate::oci::media_type::{Compression, MediaType};
    use crate::oci::platform::Platform;
    use crate::oci::source::ImageSource as _;

    enum Member<'a> {
        File(&'a str, &'a [u8]),
        Link(&'a str, &'a str),
    }

    fn archive(members: &[Member<'_>]) -> Vec<u8> {
        let mut out = tar::Builder::new(Vec::new());
        for member in members {
            let mut header = tar::Header::new_ustar();
            header.set_mode(0o644);
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(0);
            match member {
                Member::File(name, bytes) => {
                    header.set_size(bytes.len() as u64);
                    out.append_data(&mut header, name, *bytes).unwrap();
                }
                Member::Link(name, target) => {
                    header.set_entry_type(tar::EntryType::Symlink);
                    header.set_size(0);
                    out.append_link(&mut header, name, target).unwrap();
                }
            }
        }
        out.into_inner().unwrap()
    }

    fn config(layers: &[&[u8]]) -> Vec<u8> {
        let mut config = ImageConfig::default();
        config.rootfs.diff_ids = layers.iter().map(|tar| DiffId(Digest::of(tar))).collect();
        config.to_bytes()
    }

    fn load(archive: &[u8]) -> Result<(tempfile::TempDir, Layout), UnpackError> {
        let folder = tempfile::tempdir().unwrap();
        unpack(Box::new(archive), folder.path())?;
        let layout = Layout::open(folder.path(), Selector::Name("app:1".to_owned())).unwrap();
        Ok((folder, layout))
    }

    fn image(layout: &Layout) -> ResolvedImage {
        resolve(layout, &"any".parse().unwrap(), &Platform::linux("amd64")).unwrap()
    }

    const LIST: &[u8] =
        br#"[{"Config":"c.json","RepoTags":["app:1","app:2"],"Layers":["x/layer.tar","y/layer.tar"]}]"#;

    #[test]
    fn an_archive_as_docker_wrote_them_is_a_layout() {
        let bytes = archive(&[
            Member::File("x/layer.tar", b"tar"),
            Member::Link("y/layer.tar", "../x/layer.tar"),
            Member::File("c.json", &config(&[b"tar", b"tar"])),
            Member::File("manifest.json", LIST),
        ]);
        let (_folder, layout) = load(&bytes).unwrap();
        assert_eq!(layout.index().manifests.len(), 2);
        let image = image(&layout);
        assert_eq!(image.config.bytes(), config(&[b"tar", b"tar"]));
        for layer in &image.layers {
            assert_eq!(layer.compression, Compression::None);
            let mut bytes = Vec::new();
            let blob = layout.blob(&"any".parse().unwrap(), &layer.descriptor);
            blob.unwrap().read_to_end(&mut bytes).unwrap();
            assert_eq!(bytes, b"tar");
        }
    }

    #[test]
    fn a_compressed_archive_of_a_layout_is_that_layout() {
        let config = config(&[b"tar"]);
        let layer = Descriptor::of(MediaType::LAYER, b"tar");
        let named_config = Descriptor::of(MediaType::CONFIG, &config);
        let manifest = Manifest::new(named_config, vec![layer]).to_bytes();
        let root = Descriptor::of(MediaType::MANIFEST, &manifest);
        let entry = named(root, &"app:1".parse().unwrap(), None);
        let mut content = MemoryContent::default();
        for bytes in [&config[..], &manifest, b"tar"] {
            content.insert(bytes.to_vec());
        }
        let mut out = zstd::Encoder::new(Vec::new(), 1).unwrap();
        let flavour = (Flavour::Docker, None);
        write(&mut out, &content, &[entry], flavour).unwrap();
        let (folder, layout) = load(&out.finish().unwrap()).unwrap();
        assert_eq!(image(&layout).manifest.bytes(), manifest);
        assert!(!folder.path().join("members").exists());
    }

    #[test]
    fn layers_that_are_others_than_the_configuration_names_are_refused() {
        let bytes = archive(&[
            Member::File("x/layer.tar", b"tar"),
            Member::File("y/layer.tar", b"other"),
            Member::File("c.json", &config(&[b"tar", b"tar"])),
            Member::File("manifest.json", LIST),
        ]);
        let refused = load(&bytes).map(drop);
        assert!(
            matches!(refused, Err(UnpackError::Docker(DockerArchiveError::Layer { .. }))),
            "{refused:?}"
        );
    }

    #[test]
    fn links_out_of_the_archive_lead_nowhere_and_circles_end() {
        for target in ["../../../etc/passwd", "/etc/passwd", "layer.tar", "../y/layer.tar"] {
            let bytes = archive(&[
                Member::File("x/layer.tar", b"tar"),
                Member::Link("y/layer.tar", target),
                Member::File("c.json", &config(&[b"tar", b"tar"])),
                Member::File("manifest.json", LIST),
            ]);
            let refused = load(&bytes).map(drop);
            assert!(matches!(refused, Err(UnpackError::Docker(_))), "{target}: {refused:?}");
        }
        assert!(matches!(load(&archive(&[])), Err(UnpackError::NoImage)));
    }
}
