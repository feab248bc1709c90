//! Archives of OCI layouts, unpacked to a directory that is read as a layout.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path};

use tar::{Archive, EntryType};

/// Unpacks the members of a layout from a tar stream into an empty directory; skips all others.
///
/// Names are not joined to paths before they were recognised, so that nothing in the archive says
/// where a file goes. Bytes are checked against their digests by whoever reads the layout.
pub(crate) fn unpack(archive: impl Read, into: &Path) -> io::Result<()> {
    fs::create_dir_all(into.join("blobs/sha256"))?;
    for entry in Archive::new(archive).entries()? {
        let mut entry = entry?;
        if entry.header().entry_type() != EntryType::Regular {
            continue;
        }
        let Some(member) = member(&entry.path()?) else { continue };
        io::copy(&mut entry, &mut File::create(into.join(member))?)?;
    }
    Ok(())
}

/// The path of a member of a layout, or `None` for whatever else a program put there.
fn member(path: &Path) -> Option<String> {
    let mut parts = Vec::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::Normal(part) => parts.push(part.to_str()?),
            Component::ParentDir | Component::Prefix(_) | Component::RootDir => return None,
        }
    }
    match parts.as_slice() {
        [file @ ("index.json" | "oci-layout")] => Some((*file).to_owned()),
        ["blobs", "sha256", digest] if is_digest(digest) => Some(format!("blobs/sha256/{digest}")),
        _ => None,
    }
}

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, expected: Option<&str>) {
        assert_eq!(member(Path::new(path)).as_deref(), expected, "{path}");
    }

    #[test]
    fn the_members_of_a_layout_are_recognised() {
        let blob = format!("blobs/sha256/{}", "0a".repeat(32));
        check(&format!("./{blob}"), Some(&blob));
        check("index.json", Some("index.json"));
    }

    #[test]
    fn nothing_in_an_archive_says_where_a_file_goes() {
        for path in ["../index.json", "/oci-layout", "blobs/sha256/../../x", "etc/passwd"] {
            check(path, None);
        }
    }

    #[test]
    fn links_are_not_followed() {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(EntryType::Symlink);
        header.set_size(0);
        let mut archive = tar::Builder::new(Vec::new());
        archive.append_link(&mut header, "index.json", "/etc/passwd").unwrap();
        let folder = tempfile::tempdir().unwrap();
        unpack(archive.into_inner().unwrap().as_slice(), folder.path()).unwrap();
        assert!(!folder.path().join("index.json").exists());
    }
}
