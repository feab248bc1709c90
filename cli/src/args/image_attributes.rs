//! The attributes of an `--output` that are about the image: names, encoding, what is said of it.

use std::path::PathBuf;
use std::str::FromStr;

use wythe_delivery::annotation::Annotations;
use wythe_delivery::options::{
    LayerCompression, LayerOptions, LazyIndex, MediaTypes, StatementForm, Times,
};
use wythe_store::image::encode::Recompress;
use wythe_store::oci::reference::Reference;

use super::annotation;
use super::attributes::Attributes;
use super::build::ResultArgs;
use super::image_name::{ImageName, ImageNameError};
use super::output::OutputError;
use super::runtime::RuntimeArg;

/// How an image is named and encoded.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct ImageAttributes {
    /// Names beside those of `--tag`.
    pub(crate) names: Vec<ImageName>,
    pub(crate) digest_names: DigestNames,
    /// What an image without a name is called, followed by its digest.
    pub(crate) dangling_prefix: Option<Reference>,
    pub(crate) compression: Option<CompressionArg>,
    /// What `level` means depends on the compression.
    pub(crate) level: Option<u32>,
    /// What becomes of layers that came from elsewhere.
    pub(crate) recompress: Recompress,
    /// What leaves beside the layers.
    pub(crate) index: LazyIndex,
    /// A list of what a container opens when it starts.
    pub(crate) start_trace: Option<PathBuf>,
    pub(crate) times: Times,
    pub(crate) types: MediaTypes,
    pub(crate) annotations: Annotations,
    /// What statements are made up as; where nobody says, as the registry takes them.
    pub(crate) statements: Option<StatementForm>,
    pub(crate) transport: Transport,
}

/// Whether an image has a name with its digest, too, for each name with a tag.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum DigestNames {
    Beside,
    #[default]
    None,
}

/// How the registry of an image is spoken to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Transport {
    /// As the settings have it for every registry.
    #[default]
    Configured,
    /// Over plain HTTP.
    Plain,
}

/// How layers are compressed when they leave.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub(crate) enum CompressionArg {
    /// gzip, cut so that nodes can fetch single files (eStargz).
    Estargz,
    Gzip,
    Uncompressed,
    Zstd,
    /// zstd, cut so that podman fetches only the files it lacks.
    #[value(name = "zstd:chunked")]
    ZstdChunked,
}

impl ImageAttributes {
    /// How the layers leave, where the flags say what the output does not.
    pub(crate) fn layers(&self, flags: &ResultArgs) -> LayerOptions {
        let usual = flags.shape.service.runtime.and_then(RuntimeArg::compression);
        let compression = self.compression.or(flags.shape.compression).or(usual).map(Into::into);
        let recompress = match self.recompress {
            Recompress::Never => {
                flags.shape.service.runtime.map_or(Recompress::Never, RuntimeArg::recompress)
            }
            said @ (Recompress::Loaded | Recompress::Differing) => said,
        };
        let index = if flags.shape.service.soci.is_on() { LazyIndex::Soci } else { self.index };
        let compression = compression.unwrap_or_default();
        LayerOptions { compression, level: self.level, recompress, index }
    }

    /// Removes and reads what every output of images takes.
    pub(crate) fn take(attributes: &mut Attributes) -> Result<Self, OutputError> {
        let recompress = match attributes.take_bool("force-compression")? {
            Some(true) => Recompress::Differing,
            Some(false) | None => Recompress::Never,
        };
        let types = match attributes.take_bool("oci-mediatypes")? {
            Some(false) => MediaTypes::Docker,
            Some(true) | None => MediaTypes::Oci,
        };
        let times = match attributes.take_bool("rewrite-timestamp")? {
            Some(true) => Times::Rewritten,
            Some(false) | None => Times::Kept,
        };
        let form = |artifact| if artifact { StatementForm::Artifact } else { StatementForm::Image };
        let statements = attributes.take_bool("oci-artifact")?.map(form);
        let index = match attributes.take_bool("soci")? {
            Some(true) => LazyIndex::Soci,
            Some(false) | None => LazyIndex::None,
        };
        let start_trace = attributes.take("start-trace").map(PathBuf::from);
        let compression = attributes.take("compression").map(|text| text.parse()).transpose()?;
        let level = attributes.take("compression-level");
        let level =
            level.map(|text| text.parse().map_err(|_| OutputError::Level(text))).transpose()?;
        let names = attributes.take("name").unwrap_or_default();
        let names = names.split(',').filter(|name| !name.is_empty()).map(str::parse);
        let names = names.collect::<Result<_, _>>()?;
        let annotations = annotation::take(attributes)?;
        Ok(Self {
            names,
            compression,
            level,
            recompress,
            index,
            start_trace,
            times,
            types,
            annotations,
            statements,
            ..Self::default()
        })
    }

    /// Removes and reads what only an image takes that is named in the store or at a registry.
    pub(crate) fn take_naming(&mut self, attributes: &mut Attributes) -> Result<(), OutputError> {
        if attributes.take_bool("name-canonical")? == Some(true) {
            self.digest_names = DigestNames::Beside;
        }
        if let Some(text) = attributes.take("dangling-name-prefix").filter(|text| !text.is_empty())
        {
            let prefix: Reference = text.parse().map_err(ImageNameError::from)?;
            if prefix.tag().is_some() || prefix.digest().is_some() {
                return Err(OutputError::DanglingPrefix(text));
            }
            self.dangling_prefix = Some(prefix);
        }
        // The second is how BuildKit spells it.
        for key in ["insecure", "registry.insecure"] {
            if attributes.take_bool(key)? == Some(true) {
                self.transport = Transport::Plain;
            }
        }
        Ok(())
    }
}

impl From<CompressionArg> for LayerCompression {
    fn from(arg: CompressionArg) -> Self {
        match arg {
            CompressionArg::Estargz => Self::Estargz,
            CompressionArg::Gzip => Self::Gzip,
            CompressionArg::Uncompressed => Self::Uncompressed,
            CompressionArg::Zstd => Self::Zstd,
            CompressionArg::ZstdChunked => Self::ZstdChunked,
        }
    }
}

impl FromStr for CompressionArg {
    type Err = OutputError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "estargz" => Ok(Self::Estargz),
            "gzip" => Ok(Self::Gzip),
            "uncompressed" => Ok(Self::Uncompressed),
            "zstd" => Ok(Self::Zstd),
            "zstd:chunked" => Ok(Self::ZstdChunked),
            _ => Err(OutputError::Compression(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wythe_delivery::annotation::AnnotationTarget;

    fn read(text: &str) -> Result<ImageAttributes, OutputError> {
        let mut attributes = Attributes::parse(text)?;
        let mut image = ImageAttributes::take(&mut attributes)?;
        image.take_naming(&mut attributes)?;
        attributes.finish(&[])?;
        Ok(image)
    }

    #[track_caller]
    fn refused(text: &str, expected: &str) {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn compression_and_level_are_checked() {
        let image = read("compression=zstd,compression-level=9,annotation.a=b").unwrap();
        assert_eq!((image.compression, image.level), (Some(CompressionArg::Zstd), Some(9)));
        assert_eq!(image.annotations.of(AnnotationTarget::Manifest, None)["a"], "b");
        let image = read("force-compression=true,rewrite-timestamp=true").unwrap();
        assert_eq!((image.recompress, image.times), (Recompress::Differing, Times::Rewritten));
        assert_eq!(read("compression=estargz").unwrap().compression, Some(CompressionArg::Estargz));
        let image = read("compression=zstd:chunked,soci=false").unwrap();
        assert_eq!(image.compression, Some(CompressionArg::ZstdChunked));
        assert_eq!(read("soci").unwrap().index, LazyIndex::Soci);
        refused(
            "compression=lz4",
            "\"lz4\" is not one of estargz, gzip, uncompressed, zstd, zstd:chunked",
        );
        refused("compression-level=high", "not a number");
    }

    #[test]
    fn what_is_said_as_it_is_anyway_changes_nothing() {
        let said = read("name-canonical=false,insecure=0,oci-mediatypes=true");
        assert_eq!(said.unwrap(), ImageAttributes::default());
    }

    #[test]
    fn names_by_digest_and_the_way_to_the_registry_are_read() {
        let image = read("name-canonical,registry.insecure=true,oci-artifact=false").unwrap();
        assert_eq!(image.digest_names, DigestNames::Beside);
        assert_eq!(
            (image.transport, image.statements),
            (Transport::Plain, Some(StatementForm::Image))
        );
        let image = read("dangling-name-prefix=r.io/x").unwrap();
        assert_eq!(image.dangling_prefix.unwrap().name(), "r.io/x");
        refused("dangling-name-prefix=x:1", "has a tag or a digest");
        refused("dangling-name-prefix=X", "must be lowercase");
    }
}
