//! How an image was built, as a predicate of SLSA's provenance.
//!
//! The predicate follows the build type that `BuildKit` documents, so that whoever reads provenance
//! of Dockerfiles reads this, too.

use serde_json::{Map, Value, json};
use wythe_builder::built::{BuiltTarget, StepEgress};
use wythe_builder::options::Options;
use wythe_builder::origin::Material;
use wythe_delivery::attestation::package_url;

use crate::args::provenance::{Detail, Provenance};
use crate::render::egress;

/// What the parameters of a build mean.
const BUILD_TYPE: &str =
    "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md";

/// A build, as far as statements about it go.
#[derive(Debug)]
pub(crate) struct BuildInvocation<'a> {
    pub(crate) asked: &'a Provenance,
    pub(crate) options: &'a Options,
    /// The Dockerfile's name and text.
    pub(crate) dockerfile: (&'a str, &'a [u8]),
    /// When the build began and ended. One with an epoch has no times of its own, lest they differ
    /// from run to run.
    pub(crate) times: Option<(String, String)>,
}

impl BuildInvocation<'_> {
    /// The predicate.
    pub(crate) fn predicate(&self, built: &BuiltTarget) -> Value {
        let (name, text) = self.dockerfile;
        let mut metadata = json!({
            "buildkit_completeness": {
                "request": self.asked.detail == Detail::Max,
                "resolvedDependencies": false,
            },
            "buildkit_reproducible": self.asked.reproducible,
        });
        if let Some((started, finished)) = &self.times {
            metadata["startedOn"] = started.as_str().into();
            metadata["finishedOn"] = finished.as_str().into();
        }
        if self.asked.detail == Detail::Max {
            use base64::Engine as _;
            let data = base64::engine::general_purpose::STANDARD.encode(text);
            let infos = json!([{"filename": name, "language": "Dockerfile", "data": data}]);
            metadata["buildkit_metadata"] = json!({"source": {"infos": infos}});
        }
        if let Some(list) = &self.options.egress {
            metadata["wythe_egress"] = json!({
                "allowed": list.entries().collect::<Vec<_>>(),
                "steps": built.egress.iter().map(|step| self.step(step)).collect::<Vec<_>>(),
            });
        }
        json!({
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {
                    "configSource": {"path": name},
                    "request": self.request(&built.name),
                },
                "internalParameters": {"builderPlatform": self.options.build_platform.to_string()},
                "resolvedDependencies":
                    built.materials.iter().map(dependency).collect::<Vec<Value>>(),
            },
            "runDetails": {
                "builder": {"id": self.asked.builder},
                "metadata": metadata,
            },
        })
    }

    /// Where a step went. What it was is told only where everything is.
    fn step(&self, StepEgress { name, contacts }: &StepEgress) -> Value {
        let mut step = json!({"recorded": contacts.is_some()});
        step["hosts"] = contacts.iter().flatten().map(egress::fields).collect();
        if self.asked.detail == Detail::Max {
            step["name"] = name.as_str().into();
        }
        step
    }

    /// The same as people are told of it in a file: buildx leaves out when and how far, unless it is asked for everything.
    pub(crate) fn told(&self, built: &BuiltTarget) -> Value {
        let mut predicate = self.predicate(built);
        if self.asked.detail == Detail::Min
            && let Some(details) = predicate["runDetails"].as_object_mut()
        {
            details.remove("metadata");
        }
        predicate
    }

    /// What was asked for. Values of secrets are in no statement.
    fn request(&self, target: &str) -> Value {
        let mut args = Map::new();
        if !self.options.targets.is_empty() {
            args.insert("target".to_owned(), target.into());
        }
        let mut request = json!({
            "frontend": "dockerfile.v0",
            "locals": [{"name": "context"}, {"name": "dockerfile"}],
        });
        if self.asked.detail == Detail::Max {
            let said = [("build-arg", &self.options.build_args), ("label", &self.options.labels)];
            for (kind, pairs) in said {
                for (key, value) in pairs {
                    args.insert(format!("{kind}:{key}"), value.as_str().into());
                }
            }
            let secret = |id: &String| json!({"id": id, "optional": true});
            request["secrets"] = self.options.secrets.keys().map(secret).collect();
        }
        request["args"] = args.into();
        request
    }
}

fn dependency(material: &Material) -> Value {
    let uri = package_url(&material.reference, &material.platform);
    json!({"uri": uri, "digest": {"sha256": material.digest.hex()}})
}

#[cfg(test)]
mod tests {
    use wythe_builder::egress::{Contact, Verdict};
    use wythe_builder::options::Secret;
    use wythe_store::oci::platform::Platform;

    use super::*;

    fn predicate(detail: Detail) -> String {
        predicate_with(detail, None)
    }

    fn predicate_with(detail: Detail, list: Option<&str>) -> String {
        let mut options = Options::new(Platform::linux("amd64"));
        options.egress = list.map(|list| std::sync::Arc::new(list.parse().unwrap()));
        options.build_args.insert("TOKEN".to_owned(), "in-an-argument".to_owned());
        options.secrets.insert("id".to_owned(), Secret::new(b"hunter2".to_vec()));
        let asked = Provenance { detail, ..Provenance::default() };
        let dockerfile = ("Dockerfile", b"FROM scratch".as_slice());
        let invocation =
            BuildInvocation { asked: &asked, options: &options, dockerfile, times: None };
        let root = wythe_store::oci::descriptor::Descriptor::of(
            wythe_store::oci::media_type::MediaType::MANIFEST,
            b"",
        );
        let (images, materials) = (Vec::new(), Vec::new());
        let contact =
            Contact { host: "a.example".to_owned(), port: 443, verdict: Verdict::Reached };
        let egress = vec![
            StepEgress { name: "[2/3] RUN a".to_owned(), contacts: Some(vec![contact]) },
            StepEgress { name: "[3/3] RUN b".to_owned(), contacts: None },
        ];
        let built = BuiltTarget { name: "default".to_owned(), root, images, materials, egress };
        invocation.predicate(&built).to_string()
    }

    #[test]
    fn values_of_arguments_are_told_only_when_everything_is() {
        assert!(!predicate(Detail::Min).contains("in-an-argument"));
        assert!(predicate(Detail::Max).contains("in-an-argument"));
    }

    #[test]
    fn where_steps_went_is_told_where_there_was_a_list() {
        assert!(!predicate(Detail::Max).contains("a.example"));
        let hosts =
            r#""hosts":[{"host":"a.example","port":443,"reason":null,"verdict":"reached"}]"#;
        let told = predicate_with(Detail::Min, Some("*.example"));
        assert!(told.contains(hosts) && told.contains(r#""allowed":["*.example"]"#), "{told}");
        assert!(told.contains(r#""recorded":false"#) && !told.contains("RUN a"), "{told}");
        assert!(predicate_with(Detail::Max, Some("*")).contains("[2/3] RUN a"));
    }

    #[test]
    fn values_of_secrets_are_never_told() {
        assert!(!predicate(Detail::Max).contains("hunter2"));
        assert!(predicate(Detail::Max).contains("secrets"));
    }
}
