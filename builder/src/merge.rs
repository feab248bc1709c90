//! Graphs of several images as one: a step that they have in common is done once.

use wythe_store::oci::platform::Platform;

use crate::graph::{Graph, ImagePlan, InstructionRecord, Vertex, VertexId};

/// One graph with the images of all, in their order.
///
/// Where they are for several platforms, the name of a step that only one has says which.
pub(crate) fn merge(graphs: Vec<(&Platform, Graph)>) -> Graph {
    let first = graphs.first().map(|(platform, _)| *platform);
    let several = graphs.iter().any(|(platform, _)| Some(*platform) != first);
    let mut merged = Merged::default();
    for (platform, graph) in graphs {
        merged.add(platform, graph);
    }
    if several {
        merged.label();
    }
    Graph { vertices: merged.vertices, images: merged.images }
}

#[derive(Default)]
struct Merged<'a> {
    vertices: Vec<Vertex>,
    /// The only platform of each vertex, until a second one has it.
    owners: Vec<Option<&'a Platform>>,
    images: Vec<ImagePlan>,
}

impl<'a> Merged<'a> {
    fn add(&mut self, platform: &'a Platform, graph: Graph) {
        let shared = self.vertices.len();
        let mut places: Vec<VertexId> = Vec::with_capacity(graph.vertices.len());
        for mut vertex in graph.vertices {
            vertex.parent = vertex.parent.map(|id| places[id.0]);
            vertex.inputs = vertex.inputs.iter().map(|id| places[id.0]).collect();
            let known = self.vertices[..shared].iter().position(|one| is_same(one, &vertex));
            places.push(VertexId(known.unwrap_or(self.vertices.len())));
            if let Some(at) = known {
                self.owners[at] = self.owners[at].filter(|owner| *owner == platform);
            } else {
                self.vertices.push(vertex);
                self.owners.push(Some(platform));
            }
        }
        self.images.extend(graph.images.into_iter().map(|plan| moved(plan, &places)));
    }

    /// Names the platform in the steps that belong to one.
    fn label(&mut self) {
        for (vertex, owner) in self.vertices.iter_mut().zip(&self.owners) {
            if let Some(platform) = owner {
                vertex.name = match vertex.name.strip_prefix('[') {
                    Some(rest) => format!("[{platform} {rest}"),
                    None => format!("[{platform}] {}", vertex.name),
                };
            }
        }
    }
}

/// Whether two vertices do the same to the same. Their names say where they are in the Dockerfile,
/// and so are equal, too.
fn is_same(one: &Vertex, other: &Vertex) -> bool {
    let place = |vertex: &Vertex| (vertex.span, vertex.stage, vertex.parent, vertex.caching);
    place(one) == place(other) && one.inputs == other.inputs && one.operation == other.operation
}

fn moved(plan: ImagePlan, places: &[VertexId]) -> ImagePlan {
    let place = |id: VertexId| places[id.0];
    let record =
        |record: InstructionRecord| InstructionRecord { layer: record.layer.map(place), ..record };
    let instructions = plan.instructions.into_iter().map(record).collect();
    ImagePlan { top: plan.top.map(place), instructions, ..plan }
}

#[cfg(test)]
mod tests {
    use wythe_dockerfile::parse::parse;
    use wythe_store::oci::source::SourceError;

    use super::*;
    use crate::lower::{BaseFacts, Bases, Surroundings, lower};
    use crate::operation::BaseSource;
    use crate::options::Options;

    struct Plain;

    impl Bases for Plain {
        fn facts(&self, _: &BaseSource) -> Result<BaseFacts, SourceError> {
            Ok(BaseFacts::default())
        }
    }

    /// The steps of the images of a Dockerfile.
    fn merged(text: &str, images: &[(Option<&str>, &Platform)]) -> Graph {
        let (options, file) = (Options::new(Platform::linux("amd64")), parse(text).dockerfile);
        let graph = |&(target, platform): &(_, _)| {
            let around = Surroundings { options: &options, bases: &Plain, target, platform };
            (platform, lower(&file, around).unwrap().graph)
        };
        let merged = merge(images.iter().map(graph).collect());
        assert_eq!(merged.images.len(), images.len());
        merged
    }

    /// The names of the steps of a Dockerfile that is built for two platforms.
    fn names(text: &str) -> Vec<String> {
        let platforms = ["amd64", "arm64"].map(Platform::linux);
        let graph = merged(text, &[(None, &platforms[0]), (None, &platforms[1])]);
        graph.vertices.into_iter().map(|vertex| vertex.name).collect()
    }

    #[test]
    fn a_stage_of_the_build_platform_is_built_once() {
        let text = "FROM --platform=$BUILDPLATFORM a AS b\nRUN x\n\
            FROM c\nCOPY --from=b /x /\n";
        let expected = [
            "[linux/amd64] FROM c:latest",
            "FROM a:latest",
            "[b 2/2] RUN x",
            "[linux/amd64 stage-1 2/2] COPY --from=b /x /",
            "[linux/arm64] FROM c:latest",
            "[linux/arm64 stage-1 2/2] COPY --from=b /x /",
        ];
        let mut found = names(text);
        found.sort();
        let mut expected = expected.map(str::to_owned);
        expected.sort();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_stage_that_two_targets_need_is_built_once() {
        let text = "FROM a AS base\nRUN x\nFROM base AS one\nRUN y\nFROM base AS two\nRUN z\n";
        let platform = Platform::linux("amd64");
        let graph = merged(text, &[(Some("one"), &platform), (Some("two"), &platform)]);
        let names: Vec<&str> = graph.vertices.iter().map(|vertex| vertex.name.as_str()).collect();
        assert_eq!(
            names,
            ["FROM a:latest", "[base 2/2] RUN x", "[one 2/2] RUN y", "[two 2/2] RUN z"]
        );
        let tops: Vec<_> = graph.images.iter().map(|plan| (&*plan.target, plan.top)).collect();
        assert_eq!(tops, [("one", Some(VertexId(2))), ("two", Some(VertexId(3)))]);
    }

    #[test]
    fn a_step_that_reads_the_platform_is_done_for_each() {
        let text = "FROM --platform=$BUILDPLATFORM a\nARG TARGETARCH\nRUN x\n";
        let expected = ["FROM a:latest", "[linux/amd64 2/2] RUN x", "[linux/arm64 2/2] RUN x"];
        assert_eq!(names(text), expected);
    }
}
