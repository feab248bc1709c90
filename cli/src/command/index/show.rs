//! What a name stands for, as `docker buildx imagetools inspect` shows it.

use std::fmt::Write as _;

use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::document::RawDocument;
use wythe_store::oci::index::Index;
use wythe_store::oci::platform::Platform;
use wythe_store::oci::reference::Reference;

use crate::failure::{Class, Failure};

/// The entry of an index for a platform; `None` where the document is no index.
pub(crate) fn entry(
    root: &Descriptor,
    bytes: &[u8],
    platform: &Platform,
) -> Result<Option<Descriptor>, Failure> {
    if !root.media_type.is_index() {
        return Ok(None);
    }
    let index = read(root, bytes)?;
    let found = index.ranked(platform).first().map(|entry| (*entry).clone());
    found.map(Some).ok_or_else(|| {
        let failure = Failure::usage(format!("the index has no image for {platform}"));
        failure.remedy("without --platform all of them are shown")
    })
}

/// A page about a document that a name stands for.
pub(crate) fn page(name: &Reference, root: &Descriptor, bytes: &[u8]) -> Result<String, Failure> {
    let mut out = String::new();
    field(&mut out, "Name:     ", &name.clone().without_digest().canonical());
    field(&mut out, "MediaType:", root.media_type.as_str());
    field(&mut out, "Digest:   ", &root.digest.to_string());
    if !root.media_type.is_index() {
        return Ok(out);
    }
    let index = read(root, bytes)?;
    out.push_str("           \nManifests: \n");
    for entry in &index.manifests {
        let place = format!("{}@{}", name.name(), entry.digest);
        field(&mut out, "  Name:       ", &place);
        field(&mut out, "  MediaType:  ", entry.media_type.as_str());
        if let Some(kind) = &entry.artifact_type {
            field(&mut out, "  ArtifactType:", kind.as_str());
        }
        if let Some(platform) = &entry.platform {
            field(&mut out, "  Platform:   ", &platform.to_string());
        }
        if !entry.annotations.is_empty() {
            out.push_str("  Annotations: \n");
            for (key, value) in &entry.annotations {
                field(&mut out, &format!("    {key}:"), value);
            }
        }
        out.push_str("               \n");
    }
    Ok(out)
}

fn field(out: &mut String, name: &str, value: &str) {
    // What a registry says ends no line of ours, and writing to a string does not fail.
    let value: String = value.chars().filter(|char| !char.is_control()).collect();
    let _ = writeln!(out, "{name} {value}");
}

/// The index behind a descriptor.
pub(crate) fn read(root: &Descriptor, bytes: &[u8]) -> Result<Index, Failure> {
    let read = RawDocument::<Index>::read(root, bytes.to_vec());
    Ok(read.map_err(|error| Failure::of(Class::Damage, &error))?.into_parts().1)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use wythe_store::oci::media_type::MediaType;

    use super::*;

    fn index() -> RawDocument<Index> {
        let mut image = Descriptor::of(MediaType::MANIFEST, b"image");
        image.platform = Some("linux/arm64".parse().unwrap());
        let mut statement = Descriptor::of(MediaType::MANIFEST, b"statement");
        statement.platform = Some("unknown/unknown".parse().unwrap());
        statement
            .annotations
            .insert("vnd.docker.reference.type".to_owned(), "attestation-manifest\n".to_owned());
        RawDocument::new(Index::new(vec![image, statement]))
    }

    #[test]
    fn a_page_is_as_people_know_it() {
        let index = index();
        let page = page(&"r.io/a:1".parse().unwrap(), &index.descriptor(), index.bytes()).unwrap();
        let trimmed: String = page.lines().flat_map(|line| [line.trim_end(), "\n"]).collect();
        expect![[r"
            Name:      r.io/a:1
            MediaType: application/vnd.oci.image.index.v1+json
            Digest:    sha256:d12e6ce379ccece938d4a6654477337a8d5f90242ebb3507cf6a2e74d8af6cf2

            Manifests:
              Name:        r.io/a@sha256:6105d6cc76af400325e94d588ce511be5bfdbb73b437dc51eca43917d7a43e3d
              MediaType:   application/vnd.oci.image.manifest.v1+json
              Platform:    linux/arm64

              Name:        r.io/a@sha256:b111c6e1d318f203063e5c16bab43c108326af0aa2f7b65760c95547a43dbe52
              MediaType:   application/vnd.oci.image.manifest.v1+json
              Platform:    unknown/unknown
              Annotations:
                vnd.docker.reference.type: attestation-manifest

        "]].assert_eq(&trimmed);
    }

    #[test]
    fn a_platform_picks_its_entry_or_is_named() {
        let index = index();
        let entry =
            |platform: &str| entry(&index.descriptor(), index.bytes(), &platform.parse().unwrap());
        assert_eq!(entry("linux/arm64").unwrap().unwrap().size, 5);
        assert!(entry("linux/s390x").is_err());
    }
}
