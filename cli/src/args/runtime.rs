//! `--for`: the service that is to run an image, and what that takes.

use wythe_delivery::options::{LayerCompression, LayerOptions, LazyIndex};
use wythe_store::image::encode::Recompress;
use wythe_store::oci::platform::Platform;

use super::image_attributes::CompressionArg;
use super::switch::Switch;
use crate::failure::Failure;

/// What an image is made for
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct RuntimeArgs {
    /// Add a SOCI index (version 2) over long gzip layers, with which Fargate starts before they have come
    #[arg(long)]
    pub(crate) soci: Switch,
    /// What is to run the image, which leaves in the form that takes
    #[arg(long = "for", value_enum, value_name = "RUNTIME")]
    pub(crate) runtime: Option<RuntimeArg>,
}

/// What runs an image.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub(crate) enum RuntimeArg {
    /// AWS App Runner: one image for linux/amd64, gzip
    Apprunner,
    /// Amazon ECS on instances
    Ecs,
    /// Amazon EKS on nodes: zstd, which unpacks faster
    Eks,
    /// AWS Fargate, for ECS and EKS
    Fargate,
    /// Nothing in particular
    Generic,
    /// AWS Lambda: one image, gzip
    Lambda,
}

/// What is asked for beside a runtime, and may not go with it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish<'a> {
    /// The platforms, as they were typed.
    pub(crate) platforms: &'a [String],
    /// What this machine is, where none was typed.
    pub(crate) host: &'a Platform,
    pub(crate) compressions: &'a [CompressionArg],
    /// Whether a statement is to be attached, and so an index made.
    pub(crate) statement: Statement,
    /// What is to leave beside the layers.
    pub(crate) index: LazyIndex,
}

/// Whether something is stated about an image.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Statement {
    Attached,
    None,
}

impl RuntimeArg {
    /// How layers are compressed where nobody says how.
    pub(crate) fn compression(self) -> Option<CompressionArg> {
        match self {
            Self::Apprunner | Self::Lambda => Some(CompressionArg::Gzip),
            Self::Eks => Some(CompressionArg::Zstd),
            Self::Ecs | Self::Fargate | Self::Generic => None,
        }
    }

    /// How layers go to a registry: where a container starts before all of them have come, with an index over
    /// those that can have one.
    pub(crate) fn at_registry(self, layers: LayerOptions) -> LayerOptions {
        let index = match self {
            Self::Fargate if layers.compression == LayerCompression::Gzip => LazyIndex::Soci,
            Self::Apprunner
            | Self::Ecs
            | Self::Eks
            | Self::Fargate
            | Self::Generic
            | Self::Lambda => layers.index,
        };
        LayerOptions { index, ..layers }
    }

    /// What becomes of layers that came from elsewhere, where nobody says what: what is not read has to change.
    pub(crate) fn recompress(self) -> Recompress {
        if self.takes_one() { Recompress::Differing } else { Recompress::Never }
    }

    /// Whether it takes an image alone, and no index.
    pub(crate) fn takes_one(self) -> bool {
        matches!(self, Self::Apprunner | Self::Lambda)
    }

    /// As people know it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Apprunner => "App Runner",
            Self::Ecs => "ECS",
            Self::Eks => "EKS",
            Self::Fargate => "Fargate",
            Self::Generic => "a registry",
            Self::Lambda => "Lambda",
        }
    }

    /// Refuses what it does not take.
    pub(crate) fn check(self, wish: &Wish<'_>) -> Result<(), Failure> {
        if !self.takes_one() {
            return Ok(());
        }
        let refuse = |what: &str, remedy: &str| {
            Err(Failure::usage(format!("{} takes {what}", self.name())).remedy(remedy))
        };
        if wish.platforms.len() > 1 {
            return refuse("an image for one platform alone", "say one --platform");
        }
        if wish.statement == Statement::Attached {
            return refuse(
                "no index, which a statement makes of an image",
                "say --provenance=false",
            );
        }
        if wish.index == LazyIndex::Soci {
            return refuse("no index, and so none over layers", "leave out --soci");
        }
        let is_zstd = |one: &CompressionArg| {
            matches!(one, CompressionArg::Zstd | CompressionArg::ZstdChunked)
        };
        if wish.compressions.iter().any(is_zstd) {
            return refuse("no layers of zstd", "say --compression gzip, or nothing");
        }
        let platform = wish.platforms.first().map(|text| text.parse()).transpose()?;
        let platform: &Platform = platform.as_ref().unwrap_or(wish.host);
        if self == Self::Apprunner && (&*platform.os, &*platform.architecture) != ("linux", "amd64")
        {
            return refuse("images for linux/amd64 alone", "say --platform linux/amd64");
        }
        Ok(())
    }
}

/// Refuses an index over layers that can have none.
pub(crate) fn refuse_index(layers: LayerOptions) -> Result<(), Failure> {
    let is_plain_gzip = layers.compression == LayerCompression::Gzip;
    if layers.index == LazyIndex::None || is_plain_gzip {
        return Ok(());
    }
    let text = "a SOCI index is over layers of gzip, and of no other compression";
    Err(Failure::usage(text).remedy("leave out --soci, or the compression"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(host: &Platform) -> Wish<'_> {
        let (statement, index) = (Statement::None, LazyIndex::None);
        Wish { platforms: &[], host, compressions: &[], statement, index }
    }

    #[test]
    fn what_a_runtime_does_not_take_is_refused() {
        let (amd64, arm64) = (Platform::linux("amd64"), Platform::linux("arm64"));
        let both = ["linux/amd64".to_owned(), "linux/arm64".to_owned()];
        let several = Wish { platforms: &both, ..wish(&amd64) };
        let stated = Wish { statement: Statement::Attached, ..wish(&amd64) };
        let zstd = Wish { compressions: &[CompressionArg::Zstd], ..wish(&amd64) };
        let chunked = Wish { compressions: &[CompressionArg::ZstdChunked], ..wish(&amd64) };
        let indexed = Wish { index: LazyIndex::Soci, ..wish(&amd64) };
        for (runtime, wish, refusal) in [
            (RuntimeArg::Lambda, chunked, Some("no layers of zstd")),
            (RuntimeArg::Lambda, indexed, Some("no index")),
            (RuntimeArg::Ecs, indexed, None),
            (RuntimeArg::Lambda, several, Some("one platform")),
            (RuntimeArg::Lambda, stated, Some("no index")),
            (RuntimeArg::Lambda, zstd, Some("no layers of zstd")),
            (RuntimeArg::Lambda, wish(&arm64), None),
            (RuntimeArg::Apprunner, wish(&amd64), None),
            (RuntimeArg::Apprunner, wish(&arm64), Some("linux/amd64 alone")),
            (RuntimeArg::Fargate, several, None),
            (RuntimeArg::Eks, zstd, None),
            (RuntimeArg::Generic, stated, None),
        ] {
            let checked = runtime.check(&wish).map_err(|failure| failure.lines().join(" "));
            match refusal {
                None => assert_eq!(checked, Ok(()), "{runtime:?}"),
                Some(part) => assert!(checked.unwrap_err().contains(part), "{runtime:?}"),
            }
        }
    }
}
