//! `--output`: where the result of a build goes, in the grammar of `docker buildx build`.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use wythe_delivery::files::{FilesLayout, PlatformSplit};

use super::annotation::AnnotationError;
use super::attributes::{AttributeError, Attributes};
use super::image_attributes::ImageAttributes;
use super::image_name::{ImageName, ImageNameError, PLACEHOLDER};
use super::location::ImagesOf;

/// One `--output`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct OutputArg {
    /// The only target that it is for, in lower case.
    pub(crate) target: Option<String>,
    pub(crate) output: Output,
}

/// What an `--output` asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Output {
    /// An image as a file or directory.
    Archive { format: Format, destination: Destination, image: ImageAttributes },
    /// Nothing; the results stay in the cache.
    CacheOnly,
    /// The root file system as files.
    Files { destination: PathBuf, layout: FilesLayout, stale: Stale },
    /// An image in another program of this machine, and in the store.
    Engine { program: ImagesOf, need: Need, image: ImageAttributes },
    /// An image in the store, and at its registry where `push` says so.
    Image { push: Push, image: ImageAttributes },
    /// The root file system as one tar stream.
    Tar { destination: Destination, layout: FilesLayout },
}

/// The form of an image outside the store.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Format {
    /// What `docker load` reads.
    Docker,
    /// The OCI image layout.
    Oci,
}

/// Where bytes go.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Destination {
    Directory(PathBuf),
    File(PathBuf),
    Stdout,
    /// Nothing says where: standard output, or docker's engine where docker asks.
    Unsaid,
}

/// Whether there has to be an engine.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Need {
    /// The image stays in the store where there is none.
    IfThere,
    Must,
}

/// What becomes of files that are in a destination already.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Stale {
    Deleted,
    #[default]
    Kept,
}

/// Whether an image goes to its registry.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Push {
    /// Under its digest, to the repositories of its names.
    ByDigest,
    /// Under its names.
    ByName,
    No,
}

/// Why an `--output` cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum OutputError {
    #[error(transparent)]
    Annotation(#[from] AnnotationError),
    #[error(transparent)]
    Attribute(#[from] AttributeError),
    #[error("compression {0:?} is not one of estargz, gzip, uncompressed, zstd, zstd:chunked")]
    Compression(String),
    #[error("compression level {0:?} is not a number")]
    Level(String),
    #[error(transparent)]
    Name(#[from] ImageNameError),
    #[error("dangling-name-prefix {0:?} has a tag or a digest, and names an image by its digest")]
    DanglingPrefix(String),
    #[error("mode {0:?} is neither copy nor delete")]
    Mode(String),
    #[error(
        "the name of a directory or file is empty; `-o type=image` leaves the image in the store"
    )]
    Nowhere,
    #[error("attestation-prefix {0:?} has a slash, and begins the name of a file")]
    StatementPrefix(String),
    #[error("type=local writes a directory, not to standard output")]
    LocalToStdout,
    #[error("type {0:?} is not one of {types}", types = TYPES.join(", "))]
    Type(String),
}

impl FromStr for OutputArg {
    type Err = OutputError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut attributes = Attributes::parse(text)?;
        if text.is_empty() {
            return Err(OutputError::Nowhere);
        }
        if attributes.is_bare() && !text.contains(',') {
            return Ok(Self { target: None, output: shorthand(text) });
        }
        let kind = attributes.take("type").ok_or(AttributeError::Missing("type"))?;
        let target = attributes.take("target").map(|name| name.to_lowercase());
        let output = match kind.as_str() {
            "cacheonly" => Output::CacheOnly,
            "containerd" => engine(ImagesOf::Containerd, &mut attributes)?,
            "docker" => archive(Format::Docker, &mut attributes)?,
            "image" => image(&mut attributes, Push::No)?,
            "local" => files(&mut attributes)?,
            "oci" => archive(Format::Oci, &mut attributes)?,
            "registry" => image(&mut attributes, Push::ByName)?,
            "tar" => tar(&mut attributes)?,
            _ => return Err(OutputError::Type(kind)),
        };
        attributes.finish(&known(&kind))?;
        Ok(Self { target, output })
    }
}

impl Output {
    /// An image in the store, and at its registry where `push` says so, with nothing special.
    pub(crate) fn image(push: Push) -> Self {
        Self::Image { push, image: ImageAttributes::default() }
    }

    /// What it asks for a target, where each has a destination of its own.
    pub(crate) fn for_target(&self, target: &str) -> Option<Self> {
        let place = |path: &Path| {
            let text = path.to_str().filter(|text| text.contains(PLACEHOLDER))?;
            Some(PathBuf::from(text.replace(PLACEHOLDER, target)))
        };
        let mut filled = self.clone();
        let path = match &mut filled {
            Self::Archive { destination, .. } | Self::Tar { destination, .. } => {
                match destination {
                    Destination::Directory(path) | Destination::File(path) => path,
                    Destination::Stdout | Destination::Unsaid => return None,
                }
            }
            Self::Files { destination, .. } => destination,
            Self::CacheOnly | Self::Engine { .. } | Self::Image { .. } => return None,
        };
        *path = place(path)?;
        Some(filled)
    }

    /// What it asks for where docker asks: its own form, with no place, is for its engine.
    pub(crate) fn of_docker(self) -> Self {
        if let Self::Archive { format: Format::Docker, destination: Destination::Unsaid, image } =
            self
        {
            return Self::Engine { program: ImagesOf::Docker, need: Need::Must, image };
        }
        self
    }

    /// How an image is to look that goes there.
    pub(crate) fn image_attributes(&self) -> Option<&ImageAttributes> {
        match self {
            Self::Archive { image, .. }
            | Self::Engine { image, .. }
            | Self::Image { image, .. } => Some(image),
            Self::CacheOnly | Self::Files { .. } | Self::Tar { .. } => None,
        }
    }

    /// The names that it gives beside those of `--tag`.
    pub(crate) fn names(&self) -> &[ImageName] {
        match self {
            Self::Archive { image, .. }
            | Self::Engine { image, .. }
            | Self::Image { image, .. } => &image.names,
            Self::CacheOnly | Self::Files { .. } | Self::Tar { .. } => &[],
        }
    }
}

/// Outputs that are images.
const IMAGES: &[&str] = &["containerd", "docker", "image", "oci", "registry"];

/// Those of them that the store or a registry has under a name.
const NAMED: &[&str] = &["image", "registry"];

/// Outputs that are files of an image.
const FILES: &[&str] = &["local", "tar"];

/// Outputs that lie somewhere.
const PLACED: &[&str] = &["docker", "local", "oci", "tar"];

/// Every attribute, and the types of outputs that have it.
const KNOWN: [(&str, &[&str]); 27] = [
    ("annotation.*", IMAGES),
    ("annotation-index.*", IMAGES),
    ("annotation-index-descriptor.*", IMAGES),
    ("annotation-manifest.*", IMAGES),
    ("annotation-manifest-descriptor.*", IMAGES),
    ("attestation-prefix", FILES),
    ("compression", IMAGES),
    ("compression-level", IMAGES),
    ("dangling-name-prefix", NAMED),
    ("dest", PLACED),
    ("force-compression", IMAGES),
    ("insecure", NAMED),
    ("mode", &["local"]),
    ("name", IMAGES),
    ("name-canonical", NAMED),
    ("oci-artifact", IMAGES),
    ("oci-mediatypes", IMAGES),
    ("platform-split", FILES),
    ("push", NAMED),
    ("push-by-digest", NAMED),
    ("rewrite-timestamp", IMAGES),
    ("soci", IMAGES),
    ("start-trace", IMAGES),
    ("store", NAMED),
    ("tar", &["docker", "oci"]),
    ("target", &TYPES),
    ("unpack", NAMED),
];

const TYPES: [&str; 8] =
    ["cacheonly", "containerd", "docker", "image", "local", "oci", "registry", "tar"];

/// What outputs of a type have.
fn known(kind: &str) -> Vec<&'static str> {
    let of = KNOWN.iter().filter(|(_, kinds)| kinds.contains(&kind));
    of.map(|(key, _)| *key).chain(["type"]).collect()
}

/// `-o -` is a tar stream on standard output, `-o DIR` a directory of files.
fn shorthand(text: &str) -> Output {
    match text {
        "-" => Output::Tar { destination: Destination::Stdout, layout: FilesLayout::default() },
        path => Output::Files {
            destination: PathBuf::from(path),
            layout: FilesLayout::default(),
            stale: Stale::default(),
        },
    }
}

fn files(attributes: &mut Attributes) -> Result<Output, OutputError> {
    let stale = match attributes.take("mode").as_deref() {
        None | Some("copy") => Stale::Kept,
        Some("delete") => Stale::Deleted,
        Some(other) => return Err(OutputError::Mode(other.to_owned())),
    };
    let layout = layout(attributes)?;
    let destination = attributes.take_any(&["dest", "destination"]);
    match destination.ok_or(AttributeError::Missing("dest"))? {
        dash if dash == "-" => Err(OutputError::LocalToStdout),
        path => Ok(Output::Files { destination: path.into(), layout, stale }),
    }
}

fn tar(attributes: &mut Attributes) -> Result<Output, OutputError> {
    Ok(Output::Tar { layout: layout(attributes)?, destination: stream(attributes) })
}

fn layout(attributes: &mut Attributes) -> Result<FilesLayout, OutputError> {
    let split = match attributes.take_bool("platform-split")? {
        None => PlatformSplit::Several,
        Some(true) => PlatformSplit::Beside,
        Some(false) => PlatformSplit::Merged,
    };
    let statement_prefix = attributes.take("attestation-prefix").unwrap_or_default();
    if statement_prefix.contains('/') {
        return Err(OutputError::StatementPrefix(statement_prefix));
    }
    Ok(FilesLayout { split, statement_prefix })
}

fn stream(attributes: &mut Attributes) -> Destination {
    match attributes.take_any(&["dest", "destination"]) {
        Some(path) if path != "-" => Destination::File(path.into()),
        Some(_) => Destination::Stdout,
        None => Destination::Unsaid,
    }
}

fn archive(format: Format, attributes: &mut Attributes) -> Result<Output, OutputError> {
    let image = ImageAttributes::take(attributes)?;
    let packed = attributes.take_bool("tar")?.unwrap_or(true);
    let destination = match (packed, stream(attributes)) {
        (true, destination) => destination,
        (false, Destination::File(path)) => Destination::Directory(path),
        (false, _) => return Err(AttributeError::Missing("dest").into()),
    };
    Ok(Output::Archive { format, destination, image })
}

fn engine(program: ImagesOf, attributes: &mut Attributes) -> Result<Output, OutputError> {
    let image = ImageAttributes::take(attributes)?;
    Ok(Output::Engine { program, need: Need::Must, image })
}

fn image(attributes: &mut Attributes, push: Push) -> Result<Output, OutputError> {
    let mut image = ImageAttributes::take(attributes)?;
    image.take_naming(attributes)?;
    let push = match attributes.take_bool("push")? {
        None => push,
        Some(true) => Push::ByName,
        Some(false) => Push::No,
    };
    let push = match (push, attributes.take_bool("push-by-digest")?) {
        (Push::ByName, Some(true)) => Push::ByDigest,
        (push, _) => push,
    };
    // Every image is in the store, and no layer is unpacked before something runs on it.
    for settled in ["store", "unpack"] {
        attributes.take_bool(settled)?;
    }
    Ok(Output::Image { push, image })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Output {
        text.parse::<OutputArg>().unwrap().output
    }

    #[track_caller]
    fn refused(text: &str, expected: &str) {
        let error = text.parse::<OutputArg>().unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn a_path_alone_is_a_directory_of_files_and_a_dash_a_tar_stream() {
        let (layout, stale) = (FilesLayout::default(), Stale::Kept);
        let files = Output::Files { destination: "out".into(), layout: layout.clone(), stale };
        assert_eq!(parse("out"), files);
        assert_eq!(parse("-"), Output::Tar { destination: Destination::Stdout, layout });
    }

    #[test]
    fn files_of_platforms_are_split_and_old_ones_deleted_as_asked() {
        let layout =
            FilesLayout { split: PlatformSplit::Merged, statement_prefix: "s-".to_owned() };
        let stale = Stale::Deleted;
        let text = "type=local,dest=d,platform-split=false,mode=delete,attestation-prefix=s-";
        assert_eq!(parse(text), Output::Files { destination: "d".into(), layout, stale });
        refused("type=local,dest=d,attestation-prefix=a/", "has a slash");
        refused("type=local,dest=d,mode=move", "neither copy nor delete");
    }

    #[test]
    fn an_archive_is_a_file_unless_tar_is_off() {
        let Output::Archive { format, destination, .. } = parse("type=oci,dest=o.tar") else {
            panic!("not an archive")
        };
        assert_eq!((format, destination), (Format::Oci, Destination::File("o.tar".into())));
        let Output::Archive { destination, .. } = parse("type=oci,dest=o,tar=false") else {
            panic!("not an archive")
        };
        assert_eq!(destination, Destination::Directory("o".into()));
        refused("type=oci,tar=false", "dest is missing");
    }

    #[test]
    fn containerd_gets_an_image() {
        let Output::Engine { program, need: Need::Must, image } = parse("type=containerd,name=a:1")
        else {
            panic!("not an engine")
        };
        assert_eq!((program, image.names.len()), (ImagesOf::Containerd, 1));
        refused("type=containerd,dest=x", "is not known");
    }

    #[test]
    fn registry_is_an_image_that_is_pushed() {
        let Output::Image { push, image } = parse("type=registry,\"name=a:1,b:2\"") else {
            panic!("not an image")
        };
        let names: Vec<String> = image.names.iter().map(|name| name.filled("")).collect();
        assert_eq!((push, names), (Push::ByName, vec!["a:1".to_owned(), "b:2".to_owned()]));
    }

    #[test]
    fn an_image_is_pushed_by_digest_only_where_it_is_pushed() {
        let by_digest = |text| matches!(parse(text), Output::Image { push: Push::ByDigest, .. });
        assert!(by_digest("type=registry,push-by-digest=true"));
        assert!(!by_digest("type=image,push-by-digest=true"));
    }

    #[test]
    fn only_an_image_that_is_named_takes_what_is_about_names_and_registries() {
        for text in ["name-canonical=true", "dangling-name-prefix=x", "insecure=true"] {
            assert!(format!("type=image,{text}").parse::<OutputArg>().is_ok(), "{text}");
            refused(&format!("type=oci,{text}"), "is not known");
        }
    }

    #[test]
    fn what_is_known_is_what_the_type_has() {
        let told = |text: &str| text.parse::<OutputArg>().unwrap_err().to_string();
        let local = told("type=local,dest=d,push=true");
        assert_eq!(
            local,
            "\"push\" is not known; known are attestation-prefix, dest, mode, platform-split, target, type"
        );
        for (kind, key) in [("oci", "tar"), ("image", "push"), ("tar", "platform-split")] {
            let text = told(&format!("type={kind},dest=d,bogus=1"));
            assert!(text.contains(&format!(" {key},")), "{text}");
        }
    }

    #[test]
    fn an_output_is_for_all_targets_or_for_one() {
        let target = |text: &str| text.parse::<OutputArg>().unwrap().target;
        assert_eq!(target("type=local,dest=d,target=App").as_deref(), Some("app"));
        assert_eq!(target("type=local,dest=d"), None);
    }

    #[test]
    fn a_destination_may_be_of_each_target() {
        let filled = |text: &str| parse(text).for_target("app");
        assert_eq!(filled("type=tar,dest=d/{target}.tar"), Some(parse("type=tar,dest=d/app.tar")));
        assert_eq!(filled("d-{target}"), Some(parse("d-app")));
        assert_eq!(filled("type=oci,dest=all.tar"), None);
        assert_eq!(filled("-"), None);
    }

    #[test]
    fn the_page_of_outputs_has_every_attribute_and_type() {
        let page = include_str!("../../../docs/outputs.md");
        for (key, _) in KNOWN {
            assert!(page.contains(&format!("`{key}")), "{key} is not in docs/outputs.md");
        }
        for kind in TYPES {
            assert!(page.contains(&format!("| `{kind}` |")), "{kind} is not in docs/outputs.md");
        }
    }

    #[test]
    fn what_is_unknown_or_impossible_is_refused_by_name() {
        refused("type=image,sotre=true", "\"sotre\" is not known");
        refused("type=iamge", "\"iamge\" is not one of cacheonly, containerd, docker, image");
        refused("", "is empty");
        refused("dest=x", "type is missing");
        refused("type=local,dest=-", "not to standard output");
    }
}
