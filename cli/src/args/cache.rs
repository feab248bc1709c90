//! `--cache-from` and `--cache-to`: caches that other machines share, in the grammar of
//! `docker buildx build`.

mod compression;
pub(crate) mod key;
mod scoped;
pub(crate) mod service;

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use wythe_store::layer::codec::Codec;
use wythe_store::oci::reference::Reference;

use self::key::KeyPlace;
use self::scoped::{Naming, Scopes};
use self::service::{ActionsPlace, ExecutionPlace, WebPlace};
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
    /// A server of the remote execution API.
    Reapi(ExecutionPlace),
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
    /// Where it is: the parts of all scopes that are read, in the order in which they are asked.
    pub(crate) places: Vec<CachePlace>,
    /// Whose key has to have signed what is used, where it is said for this cache.
    pub(crate) verify: Option<KeyPlace>,
    /// How long it may take to answer.
    pub(crate) time: Option<Duration>,
}

/// One `--cache-to`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct CacheTo {
    pub(crate) place: CachePlace,
    /// The key that signs, where it is said for this cache.
    pub(crate) sign: Option<KeyPlace>,
    pub(crate) extent: Extent,
    pub(crate) on_error: OnError,
    /// How long it may take.
    pub(crate) time: Option<Duration>,
    /// Which cache mounts are saved.
    pub(crate) mounts: SavedMounts,
    /// How all layers are compressed, where that is said.
    pub(crate) codec: Option<Codec>,
}

/// Which cache mounts are saved.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) enum SavedMounts {
    /// None.
    #[default]
    Nothing,
    /// Those with these ids.
    Named(Vec<String>),
    /// Those of all steps.
    All,
}

impl SavedMounts {
    /// `all`, or ids with semicolons between them.
    fn parse(text: &str) -> Self {
        match text {
            "all" => Self::All,
            _ => Self::Named(
                text.split(';').filter(|id| !id.is_empty()).map(str::to_owned).collect(),
            ),
        }
    }

    /// Whether a mount with this id is among them.
    pub(crate) fn has(&self, id: &str) -> bool {
        match self {
            Self::Nothing => false,
            Self::Named(ids) => ids.iter().any(|named| named == id),
            Self::All => true,
        }
    }
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
    #[error("mounts: an image carries no cache mounts; another type does")]
    InlineMounts,
    #[error("mounts= names none: say all, or ids with ; between them")]
    NoMounts,
    #[error("type {0:?} is not one of gha, http, inline, local, reapi, registry, s3")]
    Type(String),
    #[error("version {0:?} is neither 1 nor 2")]
    Version(String),
    #[error("mode {0:?} is neither min nor max")]
    Mode(String),
    #[error("timeout {0:?} is not a number of seconds")]
    Timeout(String),
    #[error("compression {0:?} is not one of gzip, uncompressed, zstd")]
    Compression(String),
    #[error("compression-level {0:?} is not a small number")]
    Level(String),
    #[error("compression-level is without compression")]
    LevelAlone,
    #[error("{0:?} is no name of an image")]
    Name(String),
    #[error("{0} is empty")]
    Empty(&'static str),
    #[error("default-scope is without scope")]
    DefaultScope,
    #[error("{0}=false: caches are image manifests of OCI types")]
    Types(&'static str),
}

impl FromStr for CacheFrom {
    type Err = CacheArgError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut attributes = Attributes::parse(text)?;
        if attributes.is_bare() && !text.contains(',') {
            let place = CachePlace::Registry { name: name(text)?, transport: Transport::default() };
            return Ok(Self { places: vec![place], verify: None, time: None });
        }
        let (place, scopes) = place(&mut attributes, "src")?;
        if place == CachePlace::Inline {
            return Err(CacheArgError::Inline);
        }
        let places = scopes.read(&place)?;
        let verify = attributes.take("verify-key").map(|key| KeyPlace::of(&key));
        let time = time(&mut attributes)?;
        let known = [
            "default-scope",
            "ref",
            "registry.insecure",
            "src",
            "tag",
            "timeout",
            "type",
            "verify-key",
        ];
        attributes.finish(&[&known[..], &service::KNOWN, &s3_place::KNOWN].concat())?;
        Ok(Self { places, verify, time })
    }
}

impl FromStr for CacheTo {
    type Err = CacheArgError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut attributes = Attributes::parse(text)?;
        let (place, scopes) = place(&mut attributes, "dest")?;
        let place = scopes.written(&place)?;
        let sign = attributes.take("sign-key").map(|key| KeyPlace::of(&key));
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
        let mounts = attributes.take("mounts").map(|text| SavedMounts::parse(&text));
        let mounts = mounts.unwrap_or_default();
        if mounts == SavedMounts::Named(Vec::new()) {
            return Err(CacheArgError::NoMounts);
        }
        if place == CachePlace::Inline && mounts != SavedMounts::Nothing {
            return Err(CacheArgError::InlineMounts);
        }
        // Inline, records are of the layers that the image has.
        let is_inline = place == CachePlace::Inline;
        let codec = if is_inline { None } else { compression::take(&mut attributes)? };
        let known = [
            "default-scope",
            "dest",
            "ignore-error",
            "image-manifest",
            "mode",
            "mounts",
            "oci-mediatypes",
            "ref",
            "registry.insecure",
            "sign-key",
            "tag",
            "timeout",
            "type",
        ];
        let all = [&known[..], &compression::KNOWN, &service::KNOWN, &s3_place::KNOWN];
        attributes.finish(&all.concat())?;
        Ok(Self { place, sign, extent, on_error, time, mounts, codec })
    }
}

/// Where it is, and which parts of it are meant; `path` is what its directory is called.
fn place(
    attributes: &mut Attributes,
    path: &'static str,
) -> Result<(CachePlace, Scopes), CacheArgError> {
    let kind = attributes.take("type").ok_or(AttributeError::Missing("type"))?;
    // That of GitHub Actions and images have no parts, or others.
    let has_scopes = !matches!(kind.as_str(), "gha" | "inline");
    let is_named = ["name", "tag"].iter().any(|name| attributes.has(name));
    let naming = if is_named { Naming::Both } else { Naming::Scope };
    let scopes = if has_scopes { Scopes::take(attributes, naming)? } else { Scopes::default() };
    let place = match kind.as_str() {
        "gha" => CachePlace::Gha(ActionsPlace::take(attributes)?),
        "http" => CachePlace::Http(WebPlace::take(attributes)?),
        "inline" => CachePlace::Inline,
        "local" => {
            let directory = attributes.take(path).ok_or(AttributeError::Missing(path))?.into();
            let tag = attributes.take("tag").unwrap_or_else(|| "latest".to_owned());
            CachePlace::Local { directory, tag }
        }
        "reapi" => CachePlace::Reapi(ExecutionPlace::take(attributes)?),
        "registry" => {
            let text = attributes.take("ref").ok_or(AttributeError::Missing("ref"))?;
            let insecure = attributes.take_bool("registry.insecure")?.unwrap_or_default();
            let transport = if insecure { Transport::Insecure } else { Transport::Configured };
            CachePlace::Registry { name: name(&text)?, transport }
        }
        "s3" => CachePlace::S3(Box::new(S3Place::take(attributes)?)),
        _ => return Err(CacheArgError::Type(kind)),
    };
    Ok((place, scopes))
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
        let from = |text: &str| text.parse::<CacheFrom>().unwrap().places.remove(0);
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
    fn cache_mounts_are_saved_by_id_or_all() {
        let mounts = |text: &str| text.parse::<CacheTo>().unwrap().mounts;
        assert_eq!(mounts("type=local,dest=d"), SavedMounts::Nothing);
        assert_eq!(mounts("type=gha,mounts=all"), SavedMounts::All);
        let named = mounts("type=local,dest=d,\"mounts=npm;/root/.cache,x\"");
        assert!(named.has("npm") && named.has("/root/.cache,x") && !named.has("all"));
    }

    #[test]
    fn what_is_not_known_is_refused_by_name() {
        for (text, named) in [
            ("type=local,dest=d,mdoe=max", "mdoe"),
            ("type=azblob,dest=d", "azblob"),
            ("type=local,dest=d,mode=mid", "mid"),
            ("type=registry,ref=a/b,image-manifest=false", "image-manifest"),
            ("type=local", "dest"),
            ("type=local,dest=d,mounts=", "mounts"),
            ("type=inline,mounts=all", "mounts"),
            ("type=http", "url"),
            ("type=gha,version=3", "3"),
            ("type=gha,repository=a/b", "repository"),
            ("type=local,dest=d,compression=lz4", "lz4"),
            ("type=inline,compression=zstd", "compression"),
            ("type=local,dest=d,force-compression=true", "force-compression"),
            ("type=inline,scope=x", "scope"),
            ("type=local,dest=d,scope=", "scope"),
            ("type=local,dest=d,default-scope=x", "default-scope"),
            ("type=local,dest=d,verify-key=k", "verify-key"),
        ] {
            let error = text.parse::<CacheTo>().unwrap_err().to_string();
            assert!(error.contains(named), "{text}: {error}");
        }
    }
}
