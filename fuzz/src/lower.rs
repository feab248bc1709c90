//! Dockerfiles as graphs: whatever a text says, every stage becomes a graph or a message.

use arbitrary::Arbitrary;
use wythe_builder::lower::{BaseFacts, Bases, Surroundings, lower};
use wythe_builder::operation::BaseSource;
use wythe_builder::options::Options;
use wythe_dockerfile::parse::parse;
use wythe_dockerfile::stage::stages;
use wythe_store::oci::platform::Platform;
use wythe_store::oci::source::SourceError;

use crate::dockerfile::Text;

/// A Dockerfile and the arguments it is built with.
#[derive(Arbitrary, Debug)]
pub struct Case {
    text: Text,
    value: String,
    platform: bool,
}

/// Every image exists, and says little.
struct Plain;

impl Bases for Plain {
    fn facts(&self, _: &BaseSource) -> Result<BaseFacts, SourceError> {
        let mut facts = BaseFacts::default();
        facts.config.config.env = vec!["PATH=/bin".to_owned(), "A=base".to_owned()];
        facts.config.config.working_dir = "/w".to_owned();
        facts.config.config.on_build = vec!["RUN $A".to_owned()];
        Ok(facts)
    }
}

impl Case {
    /// Nothing panics, and a graph has inputs before their users.
    pub fn check(&self) {
        let text = self.text.written();
        let parsed = parse(&text);
        if parsed.first_error().is_some() {
            return;
        }
        let platform = Platform::linux("amd64");
        let other = Platform::linux(if self.platform { "arm64" } else { "amd64" });
        let mut options = Options::new(platform);
        options.build_args.insert("A".to_owned(), self.value.clone());
        let stages = stages(&parsed.dockerfile);
        let names = stages.stages.iter().map(|stage| stage.name.as_deref());
        for target in names.chain([None]) {
            let around =
                Surroundings { options: &options, bases: &Plain, target, platform: &other };
            let Ok(lowered) = lower(&parsed.dockerfile, around) else { continue };
            for (at, vertex) in lowered.graph.vertices.iter().enumerate() {
                assert!(vertex.reads().all(|input| input.0 < at), "{text}");
                assert!(text.get(vertex.span.range()).is_some(), "{text}");
            }
            for warning in &lowered.warnings {
                assert!(text.get(warning.span.range()).is_some(), "{text}");
            }
        }
    }
}
