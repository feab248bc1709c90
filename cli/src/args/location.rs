//! Where an image is: a name in the store, or a transport and a place, as skopeo writes them.

use std::convert::Infallible;
use std::path::PathBuf;
use std::str::FromStr;

use wythe_store::oci::reference::Reference;

/// Where an image comes from or goes to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum ImageLocation {
    /// `docker-archive:FILE[:NAME]`
    DockerArchive { path: PathBuf, name: Option<String> },
    /// `containerd:NAME`, `containers-storage:NAME` and `docker-daemon:NAME`, where the name may be left out: only as a destination.
    Images { of: ImagesOf, name: String },
    /// `oci:DIRECTORY[:TAG]`
    Layout { path: PathBuf, tag: Option<String> },
    /// `oci-archive:FILE[:TAG]`
    OciArchive { path: PathBuf, tag: Option<String> },
    /// `docker://NAME`
    Registry(String),
    /// A name alone, or `store://NAME`.
    Store(String),
}

/// Where an image goes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Destination(pub(crate) ImageLocation);

/// A name with a registry in it, of which nobody says whether the image goes there.
#[derive(Debug, thiserror::Error)]
#[error(
    "is the image to go there? docker://{0} sends it to its registry, store://{0} gives it this name here"
)]
pub(crate) struct AmbiguousName(String);

/// Whose images they are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ImagesOf {
    /// Of containerd.
    Containerd,
    /// Of docker's engine.
    Docker,
    /// Of podman and buildah.
    Podman,
}

impl FromStr for ImageLocation {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some((transport, rest)) = text.split_once(':') else {
            return Ok(Self::Store(text.to_owned()));
        };
        let (path, name) = path_and_name(rest);
        Ok(match transport {
            "docker" => Self::Registry(rest.trim_start_matches("//").to_owned()),
            "containerd" => Self::Images { of: ImagesOf::Containerd, name: rest.to_owned() },
            "containers-storage" => Self::Images { of: ImagesOf::Podman, name: rest.to_owned() },
            "docker-daemon" => Self::Images { of: ImagesOf::Docker, name: rest.to_owned() },
            "docker-archive" => Self::DockerArchive { path, name },
            "oci" => Self::Layout { path, tag: name },
            "oci-archive" => Self::OciArchive { path, tag: name },
            // Without the slashes it is an image that is called so.
            "store" if rest.starts_with("//") => Self::Store(rest[2..].to_owned()),
            _ => Self::Store(text.to_owned()),
        })
    }
}

impl FromStr for Destination {
    type Err = AmbiguousName;

    /// # Errors
    ///
    /// If it is a name alone with a registry in it: with other tools such a name means that registry, and whoever is
    /// told of a success would look for the image there.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Ok(location) = text.parse();
        let is_alone = matches!(&location, ImageLocation::Store(name) if name == text);
        if is_alone && Reference::names_host(text) {
            return Err(AmbiguousName(text.to_owned()));
        }
        Ok(Self(location))
    }
}

/// What stands for standard output in place of the file of an archive.
pub(crate) const STANDARD_OUTPUT: &str = "-";

impl ImageLocation {
    /// Whether an archive goes to standard output.
    pub(crate) fn is_standard_output(&self) -> bool {
        match self {
            Self::DockerArchive { path, .. } | Self::OciArchive { path, .. } => {
                path.as_os_str() == STANDARD_OUTPUT
            }
            Self::Images { .. } | Self::Layout { .. } | Self::Registry(_) | Self::Store(_) => false,
        }
    }

    /// The name of the image, where it is at a place by one.
    pub(crate) fn name(&self) -> Option<&str> {
        match self {
            Self::Images { name, .. } | Self::Registry(name) | Self::Store(name) => Some(name),
            Self::DockerArchive { name, .. } => name.as_deref(),
            Self::Layout { .. } | Self::OciArchive { .. } => None,
        }
    }
}

/// A path holds no colon, as with skopeo: what follows the first one is a name.
fn path_and_name(text: &str) -> (PathBuf, Option<String>) {
    match text.split_once(':') {
        Some((path, name)) => (path.into(), Some(name.to_owned())),
        None => (text.into(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: ImageLocation) {
        assert_eq!(text.parse(), Ok(expected), "{text}");
    }

    #[test]
    fn a_name_alone_is_in_the_store() {
        check("debian:bookworm", ImageLocation::Store("debian:bookworm".to_owned()));
        check("localhost:5000/a:1", ImageLocation::Store("localhost:5000/a:1".to_owned()));
    }

    #[test]
    fn where_a_name_with_a_registry_goes_has_to_be_said() {
        let kept = |name: &str| Ok(Destination(ImageLocation::Store(name.to_owned())));
        let check = |text: &str, expected: Result<Destination, &str>| {
            let found: Result<Destination, _> = text.parse();
            let told = found.as_ref().map_err(AmbiguousName::to_string);
            match expected {
                Ok(expected) => assert_eq!(told, Ok(&expected), "{text}"),
                Err(part) => assert!(told.unwrap_err().contains(part), "{text}"),
            }
        };
        for name in ["r.example/a", "localhost/a:1", "localhost:5000/a", "docker.io/library/a"] {
            check(name, Err(&format!("docker://{name} sends it")));
            check(&format!("store://{name}"), kept(name));
        }
        for name in ["a", "a:1", "team/a:1", "store:1", "a.b:1"] {
            check(name, kept(name));
        }
        let there = Destination(ImageLocation::Registry("r.example/a".to_owned()));
        check("docker://r.example/a", Ok(there));
    }

    #[test]
    fn a_transport_says_what_the_rest_is() {
        check(
            "docker://localhost:5000/a:1",
            ImageLocation::Registry("localhost:5000/a:1".to_owned()),
        );
        let tag = Some("1".to_owned());
        let name = "app:1".to_owned();
        check("containers-storage:app:1", ImageLocation::Images { of: ImagesOf::Podman, name });
        check("oci:out:1", ImageLocation::Layout { path: "out".into(), tag });
        check("oci-archive:a.tar", ImageLocation::OciArchive { path: "a.tar".into(), tag: None });
        let name = Some("a:1".to_owned());
        assert!(ImageLocation::from_str("oci-archive:-:1").unwrap().is_standard_output());
        assert!(!ImageLocation::from_str("oci:-").unwrap().is_standard_output());
        check(
            "docker-archive:a.tar:a:1",
            ImageLocation::DockerArchive { path: "a.tar".into(), name },
        );
    }
}
