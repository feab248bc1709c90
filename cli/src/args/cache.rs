//! `--cache-from` and `--cache-to`: caches that other machines share, in the grammar of
//! `docker buildx build`.

pub(crate) mod service;

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use wythe_store::oci::reference::Reference;

use self::service::{ActionsPlace, WebPlace};
use super::attributes::{AttributeError, Attributes};
use super::s3_place::{self, S3Place, S3PlaceError};

/// A cache.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum CachePlace {
    /// The image itself.
    Inline,
    /// A directory, and the tag in it.
    Local { directory: PathBuf, tag: String },
    /// A tag of a repository.
    Registry { name: Reference, transport: Transport },
    /// A web server.
    Http(WebPlace),
    /// That of GitHub Actions.
    Gha(ActionsPlace),
    /// A bucket.
    S3(Box<S3Place>),
}

/// How a registry is spoken to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Transport {
    #[default]
    Configured,
    /// With any certificate, or over plain HTTP.
    Insecure,
}

/// One `--cache-from`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct CacheFrom {
    pub(crate) place: CachePlace,
    /// How long it may take to answer.
    pub(crate) time: Option<Duration>,
}

/// One `--cache-to`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct CacheTo {
    pub(crate) place: CachePlace,
    pub(crate) extent: Extent,
    pub(crate) on_error: OnError,
    /// How long it may take.
    pub(crate) time: Option<Duration>,
}

/// What is kept.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Extent {
    /// The steps whose layers are in the image.
    #[default]
    Image,
    /// All.
    All,
}

/// What becomes of a build whose cache cannot be written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum OnError {
    Fail,
    #[default]
    Warn,
}

/// Why a cache cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum CacheArgError {
    #[error(transparent)]
    Attribute(#[from] AttributeError),
    #[error(transparent)]
    S3(#[from] S3PlaceError),
    #[error("type=inline is read with type=registry,ref=IMAGE")]
    Inline,
    #[error("type {0:?} is not one of gha, http, inline, local, registry, s3")]
    Type(String),
    #[error("version {0:?} is neither 1 nor 2")]
    Version(String),
    #[error("mode {0:?} is neither min nor max")]
    Mode(String),
    #[error("timeout {0:?} is not a number of seconds")]
    Timeout(String),
    #[error("{0:?} is no name of an image")]
    Name(String),
    #[error("{0}=false: caches are image manifests of OCI types")]
    Types(&'static str),
}

impl FromStr for CacheFrom {
    type Err = CacheArgError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut attributes = Attributes::parse(text)?;
        if attributes.is_bare() && !text.contains(',') {
            let place = CachePlace::Registry { name: name(text)?, transport: Transport::default() };
            return Ok(Self { place, time: None });
        }
        let place = place(&mut attributes, "src")?;
        if place == CachePlace::Inline {
            return Err(CacheArgError::Inline);
        }
        let time = time(&mut attributes)?;
        let known = ["ref", "registry.insecure", "src", "tag", "timeout", "type"];
        attributes.finish(&[&known[..], &service::KNOWN, &s3_place::KNOWN].concat())?;
        Ok(Self { place, time })
    }
}

impl FromStr for CacheTo {
    type Err = CacheArgError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut attributes = Attributes::parse(text)?;
        let place = place(&mut attributes, "dest")?;
        let extent = match attributes.take("mode").as_deref() {
            None | Some("min") => Extent::Image,
            Some("max") => Extent::All,
            Some(other) => return Err(CacheArgError::Mode(other.to_owned())),
        };
        if place == CachePlace::Inline && extent == Extent::All {
            return Err(CacheArgError::Mode(
                "max (an image carries its own layers only)".to_owned(),
            ));
        }
        let warns = attributes.take_bool("ignore-error")?.unwrap_or(true);
        let on_error = if warns { OnError::Warn } else { OnError::Fail };
        for types in ["image-manifest", "oci-mediatypes"] {
            if attributes.take_bool(types)? == Some(false) {
                return Err(CacheArgError::Types(types));
            }
        }
        let time = time(&mut attributes)?;
        let known = [
            "dest",
            "ignore-error",
            "image-manifest",
            "mode",
            "oci-mediatypes",
            "ref",
            "registry.insecure",
            "tag",
            "timeout",
            "type",
        ];
        attributes.finish(&[&known[..], &service::KNOWN, &s3_place::KNOWN].concat())?;
        Ok(Self { place, extent, on_error, time })
    }
}

/// Where it is; `path` is what its directory is called.
fn place(attributes: &mut Attributes, path: &'static str) -> Result<CachePlace, CacheArgError> {
    let kind = attributes.take("type").ok_or(AttributeError::Missing("type"))?;
    match kind.as_str() {
        "gha" => Ok(CachePlace::Gha(ActionsPlace::take(attributes)?)),
        "http" => Ok(CachePlace::Http(WebPlace::take(attributes)?)),
        "inline" => Ok(CachePlace::Inline),
        "local" => {
            let directory = attributes.take(path).ok_or(AttributeError::Missing(path))?.into();
            let tag = attributes.take("tag").unwrap_or_else(|| "latest".to_owned());
            Ok(CachePlace::Local { directory, tag })
        }
        "registry" => {
            let text = attributes.take("ref").ok_or(AttributeError::Missing("ref"))?;
            let insecure = attributes.take_bool("registry.insecure")?.unwrap_or_default();
            let transport = if insecure { Transport::Insecure } else { Transport::Configured };
            Ok(CachePlace::Registry { name: name(&text)?, transport })
        }
        "s3" => Ok(CachePlace::S3(Box::new(S3Place::take(attributes)?))),
        _ => Err(CacheArgError::Type(kind)),
    }
}

fn name(text: &str) -> Result<Reference, CacheArgError> {
    text.parse().map_err(|_| CacheArgError::Name(text.to_owned()))
}

fn time(attributes: &mut Attributes) -> Result<Option<Duration>, CacheArgError> {
    let Some(text) = attributes.take("timeout") else { return Ok(None) };
    let seconds = text.strip_suffix('s').unwrap_or(&text).parse();
    seconds
        .map(|seconds| Some(Duration::from_secs(seconds)))
        .map_err(|_| CacheArgError::Timeout(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_is_where_its_attributes_say() {
        let from = |text: &str| text.parse::<CacheFrom>().unwrap().place;
        let local = CachePlace::Local { directory: "d".into(), tag: "latest".to_owned() };
        assert_eq!(from("type=local,src=d"), local);
        let name: Reference = "r.example/app:cache".parse().unwrap();
        for text in ["r.example/app:cache", "type=registry,ref=r.example/app:cache,timeout=5s"] {
            let expected =
                CachePlace::Registry { name: name.clone(), transport: Transport::Configured };
            assert_eq!(from(text), expected, "{text}");
        }
    }

    #[test]
    fn what_may_be_a_secret_is_not_shown() {
        for text in ["type=http,url=https://u:sec@h/,password=sec", "type=gha,token=sec"] {
            assert!(!format!("{:?}", text.parse::<CacheTo>()).contains("sec"), "{text}");
        }
    }

    #[test]
    fn a_cache_is_written_for_the_image_alone_and_fails_no_build_unless_it_is_said() {
        let to = |text: &str| text.parse::<CacheTo>().unwrap();
        let plain = to("type=local,dest=d");
        assert_eq!((plain.extent, plain.on_error), (Extent::Image, OnError::Warn));
        let told = to("type=registry,ref=a/b,mode=max,ignore-error=false,oci-mediatypes=true");
        assert_eq!((told.extent, told.on_error), (Extent::All, OnError::Fail));
    }

    #[test]
    fn what_is_not_known_is_refused_by_name() {
        for (text, named) in [
            ("type=local,dest=d,mdoe=max", "mdoe"),
            ("type=azblob,dest=d", "azblob"),
            ("type=local,dest=d,mode=mid", "mid"),
            ("type=registry,ref=a/b,image-manifest=false", "image-manifest"),
            ("type=local", "dest"),
            ("type=http", "url"),
            ("type=gha,version=3", "3"),
            ("type=gha,repository=a/b", "repository"),
            ("type=local,dest=d,compression=zstd", "compression"),
        ] {
            let error = text.parse::<CacheTo>().unwrap_err().to_string();
            assert!(error.contains(named), "{text}: {error}");
        }
    }
}
