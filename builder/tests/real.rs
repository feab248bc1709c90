//! Dockerfiles as people write them become graphs, every stage of each.

#![expect(clippy::unwrap_used, reason = "a test whose files cannot be read has failed")]

use std::path::{Path, PathBuf};

use wythe_builder::graph::Graph;
use wythe_builder::lower::{BaseFacts, Bases, Surroundings, lower};
use wythe_builder::operation::{BaseSource, Operation};
use wythe_builder::options::Options;
use wythe_dockerfile::ast::Dockerfile;
use wythe_dockerfile::parse::parse;
use wythe_dockerfile::stage::stages;
use wythe_store::oci::platform::Platform;
use wythe_store::oci::source::SourceError;

/// Every image exists, and says nothing.
struct Plain;

impl Bases for Plain {
    fn facts(&self, _: &BaseSource) -> Result<BaseFacts, SourceError> {
        Ok(BaseFacts::default())
    }
}

fn corpus() -> Vec<(PathBuf, Dockerfile)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/real");
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let paths = entries.map(|entry| entry.join("Dockerfile"));
    let read = |path: PathBuf| (path.clone(), std::fs::read_to_string(path).unwrap());
    paths.map(read).map(|(path, text)| (path, parse(&text).dockerfile)).collect()
}

/// The graph of a named stage, or of the last.
fn graph(file: &Dockerfile, target: Option<&str>, platform: &str) -> Graph {
    let mut options = Options::new(Platform::linux("amd64"));
    options.targets.extend(target.map(str::to_owned));
    let platform = Platform::linux(platform);
    let around = Surroundings { options: &options, bases: &Plain, target, platform: &platform };
    lower(file, around).unwrap_or_else(|error| panic!("{target:?}: {error}")).graph
}

#[test]
fn every_stage_of_a_real_dockerfile_has_a_graph() {
    let corpus = corpus();
    assert!(corpus.len() >= 40, "only {} Dockerfiles", corpus.len());
    for (path, file) in corpus {
        let stages = stages(&file).stages;
        let names = stages.iter().filter_map(|stage| stage.name.as_deref()).map(Some);
        for target in names.chain([None]) {
            let graph = graph(&file, target, "amd64");
            assert_eq!(graph.images.len(), 1, "{}", path.display());
            for (at, vertex) in graph.vertices.iter().enumerate() {
                assert!(vertex.reads().all(|input| input.0 < at), "{}", path.display());
            }
        }
    }
}

fn named(name: &str) -> Dockerfile {
    let path = Path::new(name).join("Dockerfile");
    corpus().into_iter().find(|(found, _)| found.ends_with(&path)).unwrap().1
}

#[test]
fn a_mount_without_a_target_covers_the_working_directory() {
    let graph = graph(&named("xx-cross"), Some("releaser"), "amd64");
    let targets = graph.vertices.iter().filter_map(|vertex| match &vertex.operation {
        Operation::Run(step) if vertex.name.contains("releaser") => {
            Some(step.mounts.iter().map(|mount| mount.target.as_str()).collect::<Vec<_>>())
        }
        Operation::Base(_) | Operation::Copy(_) | Operation::Run(_) | Operation::Workdir(_) => None,
    });
    assert_eq!(targets.collect::<Vec<_>>(), [["/work", "/meta"]]);
}

#[test]
fn what_runs_on_the_build_platform_starts_from_an_image_for_it() {
    let graph = graph(&named("go-distroless"), None, "arm64");
    let bases = graph.vertices.iter().filter_map(|vertex| match &vertex.operation {
        Operation::Base(BaseSource::Image { reference, platform }) => {
            Some((reference.to_string(), platform.architecture.clone()))
        }
        Operation::Base(_) | Operation::Copy(_) | Operation::Run(_) | Operation::Workdir(_) => None,
    });
    let compiler = |(name, _): &(String, String)| name.contains("golang");
    let (compilers, others): (Vec<_>, Vec<_>) = bases.partition(compiler);
    assert!(compilers.iter().all(|(_, architecture)| architecture == "amd64"), "{compilers:?}");
    assert!(others.iter().all(|(_, architecture)| architecture == "arm64"), "{others:?}");
    assert_eq!((compilers.len(), others.len()), (1, 1));
}
