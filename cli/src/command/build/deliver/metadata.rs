//! What `--metadata-file` says, by the keys of buildx.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::report::{Stage, TargetReport};
use super::target::TargetOutput;
use super::{Delivery, outputs};
use crate::args::output::OutputArg;
use crate::args::provenance::Detail;
use crate::build_record::id::BuildId;
use crate::failure::Failure;
use crate::settings::Settings;

/// Where buildx has the findings of a build, those of all its targets together.
pub(crate) const WARNINGS: &str = "buildx.build.warnings";
/// Where it has the statement of how the image was built; with several platforms one for each, by its name.
const PROVENANCE: &str = "buildx.build.provenance";

/// The builder and its node, of which there is one, by which buildx names records of builds.
const NODE: &str = "default/default";

/// What the environment wants to see in the file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct MetadataWish {
    pub(crate) provenance: Option<Detail>,
    pub(crate) warnings: WarningsWish,
}

/// Whether findings are wanted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum WarningsWish {
    No,
    Yes,
}

/// What the file says of a build beside what left.
#[derive(Clone, Debug, Default)]
pub(crate) struct ToldOfBuild {
    /// How each target was built, by its name.
    pub(crate) provenance: BTreeMap<String, Value>,
    /// The findings, as buildx writes them.
    pub(crate) warnings: Vec<Value>,
    /// What the record of the build is called, where one is kept.
    pub(crate) id: Option<BuildId>,
}

impl MetadataWish {
    /// By the variables of buildx. What it does not know it takes for nothing.
    pub(crate) fn of(settings: &Settings) -> Self {
        let said = |name| settings.text(name).unwrap_or_default();
        let provenance = match said("BUILDX_METADATA_PROVENANCE").as_str() {
            "max" => Some(Detail::Max),
            "disabled" | "0" | "f" | "F" | "false" | "FALSE" | "False" => None,
            _ => Some(Detail::Min),
        };
        let warnings = match said("BUILDX_METADATA_WARNINGS").as_str() {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => WarningsWish::Yes,
            _ => WarningsWish::No,
        };
        Self { provenance, warnings }
    }
}

impl Delivery<'_> {
    /// One object for one target, or one by the name of each, as `docker buildx bake` has it.
    pub(super) fn metadata(&self, reports: &[TargetReport]) -> Result<Value, Failure> {
        let mut all = match reports {
            [only] => self.entry(only)?,
            several => {
                let entry = |report: &TargetReport| {
                    Ok::<_, Failure>((report.target.clone(), self.entry(report)?))
                };
                Value::Object(several.iter().map(entry).collect::<Result<Map<_, _>, _>>()?)
            }
        };
        if !self.record.warnings.is_empty() {
            all[WARNINGS] = self.record.warnings.as_slice().into();
        }
        Ok(all)
    }

    fn entry(&self, report: &TargetReport) -> Result<Value, Failure> {
        let mut entry = match report.stage {
            // Files left, or nothing: there is no image to tell of.
            Stage::Built => json!({}),
            Stage::Kept | Stage::Shipped => self.image(report)?,
        };
        if let Some(id) = &self.record.id {
            entry["buildx.build.ref"] = format!("{NODE}/{id}").into();
        }
        if let Some(predicate) = self.record.provenance.get(&report.target) {
            for key in self.places(&report.target) {
                entry[key] = predicate.clone();
            }
        }
        Ok(entry)
    }

    fn image(&self, report: &TargetReport) -> Result<Value, Failure> {
        let TargetReport { root, config, .. } = report;
        let mut descriptor = root.clone();
        if let Some([only]) = self.built(&report.target).map(|one| one.built.images.as_slice())
            && !root.media_type.is_index()
        {
            descriptor.platform = Some(only.platform.clone());
        }
        let mut image = json!({
            "containerimage.descriptor": descriptor,
            "containerimage.digest": root.digest.to_string(),
        });
        if let Some(config) = config {
            image["containerimage.config.digest"] = config.to_string().into();
        }
        let names = self.names(&report.target)?;
        if !names.is_empty() {
            image["image.name"] = names.join(",").into();
        }
        Ok(image)
    }

    /// The names of a target, those of outputs too, each once and written out.
    fn names(&self, target: &str) -> Result<Vec<String>, Failure> {
        let asked = outputs(self.args);
        let meant = |asked: &&OutputArg| asked.target.as_deref().is_none_or(|only| only == target);
        let attributes = asked.iter().filter(meant).filter_map(|one| one.output.image_attributes());
        let all = self.args.tag.iter().chain(attributes.flat_map(|image| &image.names));
        let (mut names, mut seen) = (Vec::new(), BTreeSet::new());
        for name in all.filter(|name| name.is_of(target)) {
            let name = name.reference(target)?.canonical();
            if seen.insert(name.clone()) {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn built(&self, target: &str) -> Option<&TargetOutput<'_>> {
        self.targets.iter().find(|one| one.built.name == target)
    }

    /// The keys that have how a target was built.
    fn places(&self, target: &str) -> Vec<String> {
        let images = self.built(target).map_or(&[][..], |one| one.built.images.as_slice());
        match images {
            [] | [_] => vec![PROVENANCE.to_owned()],
            several => {
                several.iter().map(|image| format!("{PROVENANCE}/{}", image.platform)).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_says_how_much_is_told() {
        let check = |provenance, warnings, expected| {
            let settings = Settings::of(&[
                ("BUILDX_METADATA_PROVENANCE", provenance),
                ("BUILDX_METADATA_WARNINGS", warnings),
            ]);
            let MetadataWish { provenance, warnings } = MetadataWish::of(&settings);
            assert_eq!((provenance, warnings), expected);
        };
        check("", "", (Some(Detail::Min), WarningsWish::No));
        check("max", "1", (Some(Detail::Max), WarningsWish::Yes));
        check("disabled", "true", (None, WarningsWish::Yes));
        check("false", "perhaps", (None, WarningsWish::No));
        check("min", "0", (Some(Detail::Min), WarningsWish::No));
        check("perhaps", "F", (Some(Detail::Min), WarningsWish::No));
    }
}
