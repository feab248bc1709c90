//! An image as docker tells of it: for scripts that read what its commands print.

use std::time::Duration;

use serde_json::{Value, json};
use wythe_store::image::catalog::StoredImage;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::reference::Reference;

use crate::failure::{Class, Failure};
use crate::render::quantity::{Age, Bytes};
use crate::stored_image;

/// As many digits of an id as docker shows.
const SHORT_ID: usize = 12;

/// The id of an image, which is the digest of its configuration.
pub(crate) fn id(image: &StoredImage) -> String {
    image.manifest.value().config.digest.to_string()
}

/// An id as it is shown.
pub(crate) fn short(id: &str) -> String {
    id.trim_start_matches("sha256:").chars().take(SHORT_ID).collect()
}

/// How long ago a moment was that documents write, in docker's words; what they write where that is none.
pub(crate) fn ago(created: &str) -> String {
    let Ok(moment) = created.parse::<jiff::Timestamp>() else { return created.to_owned() };
    let seconds = jiff::Timestamp::now().as_second().saturating_sub(moment.as_second());
    let age = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
    format!("{} ago", Age(age))
}

/// The name of a ref of the store as docker tells it: a repository as people write it, and a tag.
pub(crate) fn spoken(name: &str) -> (String, String) {
    const NONE: &str = "<none>";
    match name.parse::<Reference>() {
        Ok(reference) => {
            let tag = reference.tag().unwrap_or(NONE).to_owned();
            (reference.familiar_name(), tag)
        }
        Err(_) => (name.to_owned(), NONE.to_owned()),
    }
}

/// The heads of the columns of [`listed`].
pub(crate) fn headings() -> Value {
    json!({
        "Containers": "CONTAINERS",
        "CreatedAt": "CREATED AT",
        "CreatedSince": "CREATED",
        "Digest": "DIGEST",
        "ID": "IMAGE ID",
        "Repository": "REPOSITORY",
        "SharedSize": "SHARED SIZE",
        "Size": "SIZE",
        "Tag": "TAG",
        "UniqueSize": "UNIQUE SIZE",
        "VirtualSize": "SIZE",
    })
}

/// What `docker images` tells of a name; of what is no image there is little to tell.
pub(crate) fn listed(
    name: &str,
    (root, image): (&Descriptor, Option<&StoredImage>),
    shorten: impl Fn(&str) -> String,
) -> Value {
    let (repository, tag) = spoken(name);
    let created = image.and_then(|image| image.config.value().created.clone()).unwrap_or_default();
    let size = image.map(|image| Bytes(stored_image::size(image)).to_string()).unwrap_or_default();
    json!({
        "Containers": "N/A",
        "CreatedAt": created,
        "CreatedSince": ago(&created),
        "Digest": root.digest.to_string(),
        "ID": image.map(|image| shorten(&id(image))).unwrap_or_default(),
        "Repository": repository,
        "SharedSize": "N/A",
        "Size": size,
        "Tag": tag,
        "UniqueSize": "N/A",
        "VirtualSize": size,
    })
}

/// What `docker inspect` tells of an image with these names, and its manifest.
pub(crate) fn inspected(image: &StoredImage, names: &[String]) -> Result<Value, Failure> {
    let parse = |bytes: &[u8]| {
        serde_json::from_slice::<Value>(bytes).map_err(|error| Failure::of(Class::Damage, &error))
    };
    let (config, manifest) = (image.config.value(), image.manifest.value());
    let raw = parse(image.config.bytes())?;
    let spoken = names.iter().map(|name| (name, spoken(name)));
    let tags: Vec<String> = spoken
        .clone()
        .filter(|(name, _)| !name.contains('@'))
        .map(|(_, (repository, tag))| format!("{repository}:{tag}"))
        .collect();
    let mut digests: Vec<String> =
        spoken.map(|(_, (repository, _))| format!("{repository}@{}", image.root.digest)).collect();
    digests.dedup();
    let size = stored_image::size(image);
    let layers: Vec<String> =
        config.rootfs.diff_ids.iter().map(|diff_id| diff_id.0.to_string()).collect();
    let comment = config.history.last().and_then(|entry| entry.comment.clone());
    Ok(json!({
        "Id": manifest.config.digest.to_string(),
        "RepoTags": tags,
        "RepoDigests": digests,
        "Parent": "",
        "Comment": comment.unwrap_or_default(),
        "Created": config.created,
        "DockerVersion": "",
        "Author": config.author.clone().unwrap_or_default(),
        "Config": run_configuration(&raw),
        "Architecture": config.architecture,
        "Variant": config.variant.clone().unwrap_or_default(),
        "Os": config.os,
        "Size": size,
        "VirtualSize": size,
        "RootFS": {"Type": "layers", "Layers": layers},
        "Descriptor": {
            "mediaType": image.root.media_type.as_str(),
            "digest": image.root.digest.to_string(),
            "size": image.root.size,
        },
        "Manifest": parse(image.manifest.bytes())?,
    }))
}

/// How an image runs, with every field that docker tells of, also where nothing is said.
fn run_configuration(document: &Value) -> Value {
    let mut told = json!({
        "Hostname": "",
        "Domainname": "",
        "User": "",
        "AttachStdin": false,
        "AttachStdout": false,
        "AttachStderr": false,
        "ExposedPorts": null,
        "Tty": false,
        "OpenStdin": false,
        "StdinOnce": false,
        "Env": null,
        "Cmd": null,
        "Healthcheck": null,
        "Image": "",
        "Volumes": null,
        "WorkingDir": "",
        "Entrypoint": null,
        "OnBuild": null,
        "Labels": null,
        "StopSignal": "",
        "Shell": null,
    });
    if let (Some(told), Some(said)) = (told.as_object_mut(), document["config"].as_object()) {
        told.extend(said.iter().map(|(key, value)| (key.clone(), value.clone())));
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_as_people_write_them() {
        let told = |name: &str| spoken(name);
        let pair = |one: &str, other: &str| (one.to_owned(), other.to_owned());
        assert_eq!(told("docker.io/library/app:1"), pair("app", "1"));
        assert_eq!(told("localhost:5000/a/b:x"), pair("localhost:5000/a/b", "x"));
        let pinned = format!("docker.io/library/app@sha256:{}", "0".repeat(64));
        assert_eq!(told(&pinned), pair("app", "<none>"));
    }

    #[test]
    fn every_field_that_docker_tells_of_is_there() {
        let told = run_configuration(&json!({"config": {"Env": ["A=1"], "Custom": 1}}));
        assert_eq!((&told["Env"], &told["User"]), (&json!(["A=1"]), &json!("")));
        assert_eq!((&told["Labels"], &told["Custom"]), (&Value::Null, &json!(1)));
        assert_eq!(run_configuration(&Value::Null)["Tty"], false);
    }

    #[test]
    fn a_moment_that_is_none_is_told_as_it_is_written() {
        assert_eq!(ago("yesterday"), "yesterday");
        assert!(ago("2000-01-01T00:00:00Z").ends_with("years ago"));
    }
}
