//! What an image and its cached steps are known by, whatever the order of the steps in a graph.

use wythe_builder::graph::{Graph, VertexId};
use wythe_builder::key::{InputKey, cache_key};
use wythe_builder::lower::{BaseFacts, Bases, Lowered, Surroundings, lower};
use wythe_builder::operation::{BaseSource, Lookup, Operation};
use wythe_builder::options::Options;
use wythe_dockerfile::parse::parse;
use wythe_store::id::{CacheKey, ContentId};
use wythe_store::oci::platform::Platform;
use wythe_store::oci::source::SourceError;

/// Every image exists, and says where its programs are.
struct Plain;

impl Bases for Plain {
    fn facts(&self, _: &BaseSource) -> Result<BaseFacts, SourceError> {
        let mut facts = BaseFacts::default();
        facts.config.config.env = vec!["PATH=/bin".to_owned(), "BASE=of the image".to_owned()];
        Ok(facts)
    }
}

/// The graph of a Dockerfile, or what is wrong with it.
pub(crate) fn lowered(text: &str, target: Option<&str>) -> Result<Lowered, String> {
    let parsed = parse(text);
    if let Some(error) = parsed.first_error() {
        return Err(format!("{error:?}"));
    }
    let platform = Platform::linux("amd64");
    let mut options = Options::new(platform.clone());
    options.targets.extend(target.map(str::to_owned));
    let around = Surroundings { options: &options, bases: &Plain, target, platform: &platform };
    lower(&parsed.dockerfile, around).map_err(|error| error.to_string())
}

/// What must be equal where two Dockerfiles mean the same: the configuration, every line of
/// history, and the key of every layer. The content of contexts is the same for both, and left out.
pub(crate) fn fingerprint(text: &str, target: Option<&str>) -> Result<Vec<String>, String> {
    let graph = lowered(text, target)?.graph;
    let keys = keys(&graph);
    let mut lines = Vec::new();
    for image in &graph.images {
        lines.push(format!("{:?}", image.config));
        lines.push(format!("{:?}", image.top.map(|top| keys[top.0])));
        let key = |id: VertexId| keys[id.0];
        let history = image.instructions.iter();
        lines.extend(history.map(|line| format!("{} {:?}", line.created_by, line.layer.map(key))));
    }
    Ok(lines)
}

/// The keys of all steps, each over those of what it reads.
fn keys(graph: &Graph) -> Vec<CacheKey> {
    let mut keys: Vec<CacheKey> = Vec::new();
    for vertex in &graph.vertices {
        let mut inputs: Vec<InputKey> =
            vertex.reads().map(|id| InputKey::Definition(keys[id.0])).collect();
        if let Operation::Base(base) = &vertex.operation {
            // What an image is named here stands for what is in it.
            let name = format!("{base:?}");
            inputs.push(InputKey::Content(ContentId::of(name.as_bytes())));
        }
        keys.push(cache_key(&vertex.operation, Lookup::Definition, &inputs));
    }
    keys
}
