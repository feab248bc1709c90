//! What a build says of its images: on standard output, and in the files that flags name.

use wythe_store::digest::Digest;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::reference::Reference;

use super::destination::write_text;
use super::target::TargetOutput;
use super::{Delivery, outputs, pushed};
use crate::args::build::{ImageHome, Telling};
use crate::args::output::{Destination, Output, OutputArg};
use crate::failure::Failure;
use crate::handover::{self, HandedOver};

/// How far an image got. The further one is told of.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Stage {
    Built,
    Kept,
    Shipped,
}

/// What there is to tell of a target.
#[derive(Clone, Debug)]
pub(super) struct TargetReport {
    /// The name of the target.
    pub(super) target: String,
    pub(super) stage: Stage,
    /// The manifest, or an index.
    pub(super) root: Descriptor,
    /// The configuration of an image that left alone: beside it in an index are those of other platforms, or statements.
    pub(super) config: Option<Digest>,
}

impl TargetReport {
    /// What there is to tell where nothing is kept or leaves.
    pub(super) fn built(target: &TargetOutput<'_>) -> Self {
        let config = match target.images.images.as_slice() {
            [only] => Some(only.image.manifest.value().config.digest),
            _ => None,
        };
        let (target, root) = (target.built.name.clone(), target.built.root.clone());
        Self { target, stage: Stage::Built, root, config }
    }

    /// Takes over what is told of the same target, unless it is of an earlier stage.
    pub(super) fn update(&mut self, news: &Self) {
        if self.target == news.target && self.stage <= news.stage {
            self.clone_from(news);
        }
    }

    fn id(&self) -> Digest {
        self.config.unwrap_or(self.root.digest)
    }
}

impl Delivery<'_> {
    pub(super) fn report(&self, reports: &[TargetReport]) -> Result<(), Failure> {
        let lines = |digest: fn(&TargetReport) -> Digest| {
            reports.iter().map(|report| digest(report).to_string()).collect::<Vec<_>>().join("\n")
        };
        if let Some(path) = &self.args.iidfile {
            // One id alone stands as buildx has it, for `$(cat FILE)` and comparisons.
            let end = if reports.len() > 1 { "\n" } else { "" };
            write_text(path, &(lines(TargetReport::id) + end))?;
        }
        if let Some(path) = &self.args.metadata_file {
            write_text(path, &format!("{:#}\n", self.metadata(reports)?))?;
        }
        for file in &self.args.digest_files {
            for report in reports {
                let names = self.args.tag.iter().map(|name| name.reference(&report.target));
                let names: Vec<Reference> = names.collect::<Result<_, _>>()?;
                write_text(&file.path, &file.text(report.root.digest, &names))?;
            }
        }
        if !self.args.emit.is_empty() {
            handover::write(&self.args.emit, &self.handed_over(reports)?)?;
        }
        if outputs(self.args).iter().any(to_stdout) || self.args.telling == Telling::Nothing {
            return Ok(());
        }
        match self.args.home {
            ImageHome::Store => self.session.print(&lines(|report| report.root.digest)),
            // As with buildx, whose callers hand it to docker run.
            ImageHome::Docker if self.args.quiet.is_on() => {
                self.session.print(&lines(TargetReport::id))
            }
            ImageHome::Docker => Ok(()),
        }
    }

    /// The images that were pushed, each by the first of its names.
    fn handed_over(&self, reports: &[TargetReport]) -> Result<Vec<HandedOver>, Failure> {
        let mut images = Vec::new();
        for TargetReport { target, root, .. } in reports {
            let asked = &outputs(self.args);
            let mut own = pushed::names_of(target, (self.args, asked))?.into_iter();
            if let Some(name) = own.next() {
                images.push(HandedOver { target: target.clone(), name, digest: root.digest });
            }
        }
        Ok(images)
    }
}

/// Whether standard output carries an archive, and so no digest.
pub(crate) fn to_stdout(asked: &OutputArg) -> bool {
    matches!(
        asked.output,
        Output::Archive { destination: Destination::Stdout | Destination::Unsaid, .. }
            | Output::Tar { destination: Destination::Stdout | Destination::Unsaid, .. }
    )
}
