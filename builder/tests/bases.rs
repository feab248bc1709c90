//! What a build asks registries for, how often, and what of it at the same time.
#![allow(clippy::unwrap_used, reason = "what cannot be set up is a failed test")]

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use wythe_builder::builder::Builder;
use wythe_builder::environment::{Clock, Environment};
use wythe_builder::error::BuildCause;
use wythe_builder::input::Input;
use wythe_builder::options::Options;
use wythe_builder::remote::{HttpRequest, HttpResponse, Remote, RemoteError, RemoteProblem};
use wythe_store::digest::{DiffId, Digest};
use wythe_store::oci::config::ImageConfig;
use wythe_store::oci::content::{Content as _, MemoryContent};
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::document::Document as _;
use wythe_store::oci::index::Index;
use wythe_store::oci::manifest::Manifest;
use wythe_store::oci::media_type::MediaType;
use wythe_store::oci::platform::Platform;
use wythe_store::oci::reference::Reference;
use wythe_store::oci::source::{ImageSource, SourceError, SourceProblem};
use wythe_store::store::{OpenOptions, Store};
use wythe_store::timestamp::Timestamp;

/// How long a request waits for others to come beside it. They come in no time, or never.
const PATIENCE: Duration = Duration::from_secs(20);

/// Requests that are answered when so many have been made; fewer are refused after a while.
struct Gate {
    of: usize,
    come: Mutex<usize>,
    enough: Condvar,
}

impl Gate {
    fn of(of: usize) -> Self {
        Self { of, come: Mutex::new(0), enough: Condvar::new() }
    }

    fn pass(&self) -> bool {
        *self.come.lock().unwrap() += 1;
        self.enough.notify_all();
        self.opens()
    }

    /// Waits for the others without being one of them.
    fn opens(&self) -> bool {
        let come = self.come.lock().unwrap();
        let few = |come: &mut usize| *come < self.of;
        !self.enough.wait_timeout_while(come, PATIENCE, few).unwrap().1.timed_out()
    }
}

/// A registry of images for two platforms, of several layers each.
struct Registry {
    content: MemoryContent,
    roots: BTreeMap<String, Descriptor>,
    asked: Mutex<BTreeMap<String, usize>>,
    tags: Gate,
    layers: Gate,
}

fn layer(name: &str) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(name.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, name, name.as_bytes()).unwrap();
    tar.into_inner().unwrap()
}

impl Registry {
    fn new(names: &[&str], n_layers: usize, (tags, layers): (usize, usize)) -> Self {
        let (mut content, mut roots) = (MemoryContent::default(), BTreeMap::new());
        for name in names {
            let mut entries = Vec::new();
            for architecture in ["amd64", "arm64"] {
                let (mut config, mut blobs) = (ImageConfig::default(), Vec::new());
                (config.architecture, config.os) = (architecture.into(), "linux".into());
                for number in 0..n_layers {
                    let bytes =
                        layer(&format!("{}-{architecture}-{number}", name.replace('/', "-")));
                    config.rootfs.diff_ids.push(DiffId(Digest::of(&bytes)));
                    blobs.push(Descriptor::of(MediaType::LAYER, &bytes));
                    content.insert(bytes);
                }
                let config = config.to_bytes();
                let manifest =
                    Manifest::new(Descriptor::of(MediaType::CONFIG, &config), blobs).to_bytes();
                let platform = Some(Platform::linux(architecture));
                let entry = Descriptor::of(MediaType::MANIFEST, &manifest);
                entries.push(Descriptor { platform, ..entry });
                content.insert(config);
                content.insert(manifest);
            }
            let index = Index::new(entries).to_bytes();
            roots.insert((*name).to_owned(), Descriptor::of(MediaType::INDEX, &index));
            content.insert(index);
        }
        let (tags, layers) = (Gate::of(tags), Gate::of(layers));
        Self { content, roots, asked: Mutex::default(), tags, layers }
    }

    fn note(&self, what: String) {
        *self.asked.lock().unwrap().entry(what).or_default() += 1;
    }

    fn late(reference: &Reference) -> SourceError {
        let detail = "it was asked for alone".to_owned();
        SourceError::new(reference, SourceProblem::NotFound { detail })
    }

    /// How often each thing was asked for.
    fn asked(&self) -> BTreeMap<String, usize> {
        self.asked.lock().unwrap().clone()
    }
}

impl ImageSource for Registry {
    fn manifest(&self, reference: &Reference) -> Result<(Descriptor, Vec<u8>), SourceError> {
        self.note(reference.to_string());
        let descriptor = match reference.digest() {
            Some(digest) => Descriptor::new(MediaType::MANIFEST, digest, 0),
            None if self.tags.pass() => self.roots[&reference.name()].clone(),
            None => return Err(Self::late(reference)),
        };
        let mut bytes = Vec::new();
        self.content.open(&descriptor).unwrap().read_to_end(&mut bytes).unwrap();
        Ok((Descriptor { size: bytes.len() as u64, ..descriptor }, bytes))
    }

    fn blob(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
    ) -> Result<Box<dyn Read + Send + '_>, SourceError> {
        self.note(descriptor.digest.to_string());
        if descriptor.media_type == MediaType::LAYER && !self.layers.pass() {
            return Err(Self::late(reference));
        }
        Ok(self.content.open(descriptor).unwrap())
    }
}

/// Builds for both platforms.
fn build(dockerfile: &str, registry: &Registry) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), &OpenOptions::default()).unwrap();
    let builder = Builder::open(&store, Timestamp::default()).unwrap();
    let mut options = Options::new(Platform::linux("amd64"));
    options.platforms = vec![Platform::linux("amd64"), Platform::linux("arm64")];
    let input = Input { dockerfile: dockerfile.into(), ..Input::default() };
    builder.build(&input, &options, registry).unwrap();
}

const NAMES: [&str; 3] = ["r.example/one", "r.example/two", "r.example/three"];

const STAGES: &str = "FROM r.example/one AS a\nCOPY --link <<X /x\nX\n\
    FROM r.example/two AS b\nCOPY --link <<X /y\nX\n\
    FROM r.example/three\nCOPY --link --from=a /x /\nCOPY --link --from=b /y /\n";

#[test]
fn bases_are_asked_for_at_the_same_time_and_once_for_all_platforms() {
    let registry = Registry::new(&NAMES, 1, (NAMES.len(), 1));
    // The files of the first two stages are those of their bases and one more.
    build(STAGES, &registry);
    let asked = registry.asked();
    for name in NAMES {
        assert_eq!(asked[&format!("{name}:latest")], 1, "{asked:?}");
    }
    assert!(asked.values().all(|count| *count == 1), "{asked:?}");
}

#[test]
fn layers_of_a_base_that_a_copy_has_to_know_come_at_the_same_time_and_once() {
    let registry = Registry::new(&NAMES[..1], 3, (1, 3));
    build("FROM r.example/one\nCOPY <<X /x\nX\n", &registry);
    let asked = registry.asked();
    assert!(asked.values().all(|count| *count == 1), "{asked:?}");
    // An index; for each platform a manifest, a configuration and three layers.
    assert_eq!(asked.len(), 1 + 2 * (2 + 3), "{asked:?}");
}

#[test]
fn layers_that_nobody_has_to_know_are_not_asked_for() {
    let registry = Registry::new(&NAMES[..1], 3, (1, 1));
    build("FROM r.example/one\nENV a=b\nCOPY --link <<X /x\nX\n", &registry);
    assert_eq!(registry.asked().len(), 1 + 2 * 2, "{:?}", registry.asked());
}

#[test]
fn a_linked_copy_does_not_wait_for_what_it_lies_upon() {
    // One layer of each of two images, for two platforms.
    let registry = Registry::new(&NAMES[..2], 1, (2, 4));
    let text = "FROM r.example/one\nCOPY <<X /x\nX\nCOPY --link --from=r.example/two / /y\n";
    build(text, &registry);
    assert!(registry.asked().values().all(|count| *count == 1), "{:?}", registry.asked());
}

/// What is looked at is there when layers have been asked for.
struct Late<'a>(&'a Registry);

impl Remote for Late<'_> {
    fn get(&self, request: &HttpRequest) -> Result<HttpResponse, RemoteError> {
        if !self.0.layers.opens() {
            return Err(RemoteError::new(&request.url, RemoteProblem::Status(503)));
        }
        let body = Box::new(&b"fetched"[..]);
        Ok(HttpResponse { status: 200, etag: None, last_modified: None, body })
    }
}

impl Clock for Late<'_> {
    fn now(&self) -> Timestamp {
        Timestamp::default()
    }

    /// Only who begins to scan a directory asks for this.
    fn stamp(&self) -> Option<Timestamp> {
        assert!(self.0.layers.opens(), "no step has begun while a directory is scanned");
        None
    }
}

/// Builds twice an image of a stage of a base and of `rest`, which is late.
#[track_caller]
fn check_late(rest: &str) {
    let registry = Registry::new(&NAMES[..1], 1, (1, 1));
    let (folder, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(files.path().join("f"), "file").unwrap();
    let store = Store::open(folder.path(), &OpenOptions::default()).unwrap();
    let builder = Builder::open(&store, Timestamp::default()).unwrap();
    let text = format!(
        "FROM r.example/one AS a\nCOPY <<X /x\nX\nFROM scratch\n{rest}\nCOPY --from=a /x /x\n"
    );
    let context = Some(files.path().to_owned());
    let input = Input { dockerfile: text.into_bytes(), context, ..Input::default() };
    let options = Options::new(Platform::linux("amd64"));
    let late = Late(&registry);
    let mut roots = Vec::new();
    for _ in 0..2 {
        let env =
            Environment { remote: &late, clock: &late, ..builder.environment(&registry, &()) };
        let built = wythe_builder::build::build(&input, &options, env).unwrap();
        roots.push(built.targets[0].root.digest);
        let asked = registry.asked();
        assert!(asked.values().all(|count| *count == 1), "{asked:?}");
    }
    assert_eq!(roots[0], roots[1]);
}

#[test]
fn a_step_that_needs_nothing_of_it_does_not_wait_for_what_is_fetched() {
    check_late("ADD https://r.example/f /f");
}

#[test]
fn a_step_that_needs_nothing_of_it_does_not_wait_for_a_directory_that_is_scanned() {
    check_late("COPY f /f");
}

#[test]
fn why_a_look_failed_is_told_whatever_steps_have_begun() {
    let registry = Registry::new(&NAMES[..1], 1, (1, 1));
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), &OpenOptions::default()).unwrap();
    let builder = Builder::open(&store, Timestamp::default()).unwrap();
    let text =
        "FROM r.example/one AS a\nCOPY <<X /x\nX\nFROM scratch\nCOPY f /\nCOPY --from=a /x /x\n";
    let context = Some(folder.path().join("nowhere"));
    let input = Input { dockerfile: text.into(), context, ..Input::default() };
    let options = Options::new(Platform::linux("amd64"));
    let failed = builder.build(&input, &options, &registry).unwrap_err();
    assert!(matches!(failed.cause, BuildCause::Context(_)), "{failed:?}");
}
