//! What `--metadata-file` says, by the keys of buildx.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::Delivery;
use super::report::TargetReport;
use crate::args::provenance::Detail;
use crate::build_record::id::BuildId;
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
    pub(super) fn metadata(&self, reports: &[TargetReport]) -> Value {
        let mut all = match reports {
            [only] => self.entry(only),
            several => {
                let entry = |report: &TargetReport| (report.target.clone(), self.entry(report));
                Value::Object(several.iter().map(entry).collect::<Map<_, _>>())
            }
        };
        if !self.record.warnings.is_empty() {
            all[WARNINGS] = self.record.warnings.as_slice().into();
        }
        all
    }

    fn entry(&self, report: &TargetReport) -> Value {
        let names = self.args.tag.iter().filter(|name| name.is_of(&report.target));
        let names: Vec<String> = names.map(|name| name.filled(&report.target)).collect();
        let mut entry = json!({
            "containerimage.descriptor": json!(report.root),
            "containerimage.digest": report.root.digest.to_string(),
            "image.name": names.join(","),
        });
        if let Some(id) = &self.record.id {
            entry["buildx.build.ref"] = format!("{NODE}/{id}").into();
        }
        if let Some(config) = report.config {
            entry["containerimage.config.digest"] = config.to_string().into();
        }
        if let Some(predicate) = self.record.provenance.get(&report.target) {
            for key in self.places(&report.target) {
                entry[key] = predicate.clone();
            }
        }
        entry
    }

    /// The keys that have how a target was built.
    fn places(&self, target: &str) -> Vec<String> {
        let built = self.targets.iter().find(|one| one.built.name == target);
        let images = built.map_or(&[][..], |one| one.built.images.as_slice());
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
