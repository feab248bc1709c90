//! What a build says of its images: on standard output, and in the files that flags name.

use serde_json::{Map, Value, json};
use wythe_store::digest::Digest;

use super::destination::write_text;
use super::goods::Goods;
use super::{Delivery, outputs};
use crate::args::output::{Destination, Output, OutputArg};
use crate::failure::Failure;

/// How far an image got. The further one is told of.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Stage {
    Built,
    Kept,
    Shipped,
}

/// What there is to tell of a target.
#[derive(Clone, Debug)]
pub(super) struct Told {
    /// The name of the target.
    pub(super) target: String,
    pub(super) stage: Stage,
    /// Of the manifest, or of an index.
    pub(super) digest: Digest,
    /// The configuration; an image of several platforms has as many.
    pub(super) config: Option<Digest>,
}

impl Told {
    /// What there is to tell where nothing is kept or leaves.
    pub(super) fn built(goods: &Goods<'_>) -> Self {
        let config = match goods.images.images.as_slice() {
            [only] => Some(only.image.manifest.value().config.digest),
            _ => None,
        };
        let (target, digest) = (goods.built.name.clone(), goods.built.root.digest);
        Self { target, stage: Stage::Built, digest, config }
    }

    /// Takes over what is told of the same target, unless it is of an earlier stage.
    pub(super) fn update(&mut self, news: &Self) {
        if self.target == news.target && self.stage <= news.stage {
            self.clone_from(news);
        }
    }

    fn id(&self) -> Digest {
        self.config.unwrap_or(self.digest)
    }
}

impl Delivery<'_> {
    pub(super) fn tell(&self, told: &[Told]) -> Result<(), Failure> {
        let lines = |digest: fn(&Told) -> Digest| {
            told.iter().map(|told| digest(told).to_string()).collect::<Vec<_>>().join("\n")
        };
        if let Some(path) = &self.args.iidfile {
            // One id alone stands as buildx has it, for `$(cat FILE)` and comparisons.
            let end = if told.len() > 1 { "\n" } else { "" };
            write_text(path, &(lines(Told::id) + end))?;
        }
        if let Some(path) = &self.args.metadata_file {
            write_text(path, &format!("{:#}\n", self.metadata(told)))?;
        }
        let streams = outputs(self.args).iter().any(to_stdout);
        if streams { Ok(()) } else { self.session.print(&lines(|told| told.digest)) }
    }

    /// One object for one target, or one by the name of each, as `docker buildx bake` has it.
    fn metadata(&self, told: &[Told]) -> Value {
        match told {
            [only] => self.entry(only),
            several => {
                let entry = |told: &Told| (told.target.clone(), self.entry(told));
                Value::Object(several.iter().map(entry).collect::<Map<_, _>>())
            }
        }
    }

    fn entry(&self, told: &Told) -> Value {
        let names = self.args.tag.iter().filter(|name| name.is_of(&told.target));
        let names: Vec<String> = names.map(|name| name.filled(&told.target)).collect();
        let mut entry = json!({
            "containerimage.digest": told.digest.to_string(),
            "image.name": names.join(","),
        });
        if let Some(config) = told.config {
            entry["containerimage.config.digest"] = config.to_string().into();
        }
        entry
    }
}

/// Whether standard output carries an archive, and so no digest.
pub(crate) fn to_stdout(asked: &OutputArg) -> bool {
    matches!(
        asked.output,
        Output::Archive { destination: Destination::Stdout, .. }
            | Output::Tar { destination: Destination::Stdout, .. }
    )
}
