//! Mirrors, other places, and what they get to see.
#![allow(clippy::unwrap_used, reason = "what cannot be set up is a failed test")]

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};

use wythe_registry::client::Client;
use wythe_registry::credentials::{Credential, Credentials};
use wythe_registry::delivered::Delivered;
use wythe_registry::fake::timing::InstantTiming;
use wythe_registry::fake::{Door, FakeRegistry, Quirks, Switch};
use wythe_registry::hosts::{HostConfig, Hosts, Namespace, Part, Place, Rename, Serves};
use wythe_registry::notice::{Notice, Notices};
use wythe_registry::push::Push;
use wythe_registry::settings::Settings;
use wythe_store::digest::Digest;
use wythe_store::oci::content::{Content, MemoryContent};
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::document::{Document, RawDocument};
use wythe_store::oci::manifest::Manifest;
use wythe_store::oci::media_type::MediaType;
use wythe_store::oci::reference::Reference;
use wythe_store::oci::source::{ImageSource, SourceErrorClass};

const LAYER: &[u8] = b"the bytes of a layer";

#[derive(Debug, Default)]
struct Heard(Mutex<Vec<Notice>>);

impl Notices for Heard {
    fn notice(&self, notice: &Notice) {
        self.0.lock().unwrap().push(notice.clone());
    }
}

fn manifest() -> Vec<u8> {
    let layer = Descriptor::of(MediaType::LAYER, LAYER);
    Manifest::new(Descriptor::of(MediaType::CONFIG, b"{}"), vec![layer]).to_bytes()
}

/// A registry that has an image under a name.
fn registry(name: &str, quirks: Quirks) -> FakeRegistry {
    let registry = FakeRegistry::start(quirks).unwrap();
    registry.put_manifest(name, "1", MediaType::MANIFEST.as_str(), &manifest());
    registry.put_blob(name, LAYER);
    registry
}

fn place(of: &FakeRegistry) -> Place {
    Place::parse(&format!("http://{}", of.host())).unwrap()
}

/// A client for which `config` is said of the whole of a registry.
fn client(origin: &FakeRegistry, config: HostConfig) -> (Client, Arc<Heard>) {
    let heard = Arc::new(Heard::default());
    let hosts = Hosts::default().with(vec![(Part::parse(origin.host()), config)]);
    let credentials = Credentials::default()
        .with(origin.host(), Credential::new("user", "pass"))
        .with("other.example", Credential::new("canary", "canary"));
    let settings = Settings {
        credentials,
        hosts,
        timing: Arc::new(InstantTiming::default()),
        notices: heard.clone(),
        ..Settings::default()
    };
    (Client::new(settings), heard)
}

fn mirrored(origin: &FakeRegistry, mirrors: Vec<Place>) -> (Client, Arc<Heard>) {
    client(origin, HostConfig { mirrors: Some(mirrors), ..HostConfig::default() })
}

fn reference(registry: &FakeRegistry, name: &str) -> Reference {
    format!("{}/{name}", registry.host()).parse().unwrap()
}

fn layer_of(client: &Client, name: &Reference) -> Vec<u8> {
    let mut bytes = Vec::new();
    let layer = Descriptor::of(MediaType::LAYER, LAYER);
    client.blob(name, &layer).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn a_mirror_is_asked_first_and_told_whose_images_are_wanted() {
    let origin = registry("app", Quirks { auth: Door::Basic, ..Quirks::default() });
    let mirror = registry("hub/app", Quirks::default());
    let rename = Rename { with: "hub".to_owned(), ..Rename::default() };
    let place = Place { rename, namespace: Namespace::Told, ..place(&mirror) };
    let (client, heard) = mirrored(&origin, vec![place]);
    let name = reference(&origin, "app:1");
    assert_eq!(client.manifest(&name).unwrap().1, manifest());
    assert_eq!(client.resolve(&name).unwrap().digest, Digest::of(&manifest()));
    assert_eq!(layer_of(&client, &name), LAYER);
    assert!(origin.seen().is_empty(), "{:?}", origin.seen());
    let seen = mirror.seen();
    assert_eq!(
        seen[0].target,
        format!("/v2/hub/app/manifests/1?ns={}", origin.host().replace(':', "%3A"))
    );
    assert!(seen.iter().all(|seen| !seen.headers.contains_key("authorization")));
    assert!(heard.0.lock().unwrap().is_empty());
}

#[test]
fn a_mirror_that_asks_for_credentials_gets_its_own_or_none() {
    for own in [false, true] {
        let origin = registry("app", Quirks { auth: Door::Basic, ..Quirks::default() });
        let mirror = registry("app", Quirks { auth: Door::Basic, ..Quirks::default() });
        let mirrors = Some(vec![place(&mirror)]);
        let hosts = Hosts::default().with(vec![(
            Part::parse(origin.host()),
            HostConfig { mirrors, ..HostConfig::default() },
        )]);
        let of_mirror = Credential::new("canary", "canary");
        let mut credentials =
            Credentials::default().with(origin.host(), Credential::new("user", "pass"));
        if own {
            credentials = credentials.with(mirror.host(), of_mirror);
        }
        let client = Client::new(Settings { credentials, hosts, ..Settings::default() });
        let name = reference(&origin, "app:1");
        assert_eq!(client.manifest(&name).unwrap().1, manifest());
        let shown = |registry: &FakeRegistry| -> Vec<String> {
            let seen = registry.seen().into_iter();
            seen.filter_map(|seen| seen.headers.get("authorization").cloned()).collect()
        };
        let canary = "Basic Y2FuYXJ5OmNhbmFyeQ==";
        assert_eq!(shown(&mirror), if own { vec![canary] } else { vec![] });
        assert_eq!(shown(&origin), ["Basic dXNlcjpwYXNz"]);
    }
}

#[test]
fn what_a_mirror_lacks_breaks_or_makes_up_comes_from_the_registry() {
    let lacking = FakeRegistry::start(Quirks::default()).unwrap();
    let lying = registry("app", Quirks { corrupts: Switch::On, ..Quirks::default() });
    let gone = Place::parse("http://127.0.0.1:1").unwrap();
    let origin = registry("app", Quirks::default());
    let (client, heard) =
        mirrored(&origin, vec![gone.clone(), place(&lacking), place(&lying), gone]);
    let name = reference(&origin, "app:1").with_digest(Digest::of(&manifest()));
    assert_eq!(client.manifest(&name).unwrap().1, manifest());
    client.manifest(&name).unwrap();
    let heard = heard.0.lock().unwrap();
    let told: Vec<String> = heard.iter().map(ToString::to_string).collect();
    assert!(told[0].contains("the mirror 127.0.0.1:1 of"), "{told:?}");
    assert!(told[1].contains("expected sha256:"), "{told:?}");
    // What cannot be reached is left alone for a while.
    assert_eq!(told.iter().filter(|line| line.contains("127.0.0.1:1 of")).count(), 1, "{told:?}");
    assert_eq!(lacking.seen().len(), 2);
}

#[test]
fn a_blob_that_a_mirror_does_not_finish_is_finished_by_the_registry() {
    let mirror = registry("app", Quirks { truncate: u32::MAX, ..Quirks::default() });
    let origin = registry("app", Quirks::default());
    let (client, _) = mirrored(&origin, vec![place(&mirror)]);
    assert_eq!(layer_of(&client, &reference(&origin, "app:1")), LAYER);
    assert_eq!(mirror.seen().len(), 2);
    let seen = origin.seen();
    assert_eq!(seen.len(), 1);
    assert!(seen[0].headers["range"].starts_with("bytes="), "{:?}", seen[0]);
}

#[test]
fn a_mirror_that_sends_another_blob_is_named_and_left_alone() {
    let mirror = registry("app", Quirks { corrupts: Switch::On, ..Quirks::default() });
    let origin = registry("app", Quirks::default());
    let (client, heard) = mirrored(&origin, vec![place(&mirror)]);
    let (name, layer) = (reference(&origin, "app:1"), Descriptor::of(MediaType::LAYER, LAYER));
    let mut bytes = Vec::new();
    let error = client.blob(&name, &layer).unwrap().read_to_end(&mut bytes).unwrap_err();
    let named = error.to_string().contains(mirror.host());
    assert!(named && error.to_string().contains("expected sha256:"), "{error}");
    assert!(heard.0.lock().unwrap()[0].to_string().contains(mirror.host()));
    assert_eq!(layer_of(&client, &name), LAYER, "who tries again gets it from the registry");
    assert_eq!(mirror.seen().len(), 1);
}

#[test]
fn a_mirror_of_digests_is_asked_for_no_tag() {
    let mirror = registry("app", Quirks::default());
    let origin = registry("app", Quirks::default());
    let (client, _) = mirrored(&origin, vec![Place { serves: Serves::Digests, ..place(&mirror) }]);
    let name = reference(&origin, "app:1");
    client.manifest(&name).unwrap();
    assert_eq!((origin.seen().len(), mirror.seen().len()), (1, 0));
    client.manifest(&name.clone().with_digest(Digest::of(&manifest()))).unwrap();
    layer_of(&client, &name);
    assert_eq!((origin.seen().len(), mirror.seen().len()), (1, 2));
}

#[test]
fn nothing_is_pushed_to_a_mirror_and_who_writes_reads_no_mirror() {
    let mirror = registry("app", Quirks::default());
    let origin = FakeRegistry::start(Quirks::default()).unwrap();
    let (client, _) = mirrored(&origin, vec![place(&mirror)]);
    let mut content = MemoryContent::default();
    content.insert(b"{}".to_vec());
    let root = RawDocument::new(Manifest::new(Descriptor::of(MediaType::CONFIG, b"{}"), vec![]));
    content.insert(root.bytes().to_vec());
    let how = Push {
        origins: &BTreeMap::new(),
        neighbours: &[],
        transfers: &(),
        delivered: &Delivered::default(),
    };
    let name = reference(&origin, "app:1");
    client.push(&content, &root.descriptor(), &name, how).unwrap();
    assert!(origin.manifest("app", "1").is_some());
    client.without_mirrors().manifest(&name).unwrap();
    assert!(mirror.seen().is_empty());
}

#[test]
fn a_registry_may_be_elsewhere_for_those_who_read_or_for_everybody() {
    let elsewhere = registry("bar/app", Quirks::default());
    let origin = registry("foo/app", Quirks::default());
    let rename = Rename { without: "foo".to_owned(), with: "bar".to_owned() };
    let source = Some(Place { rename, ..place(&elsewhere) });
    let (reading, _) = client(&origin, HostConfig { source, ..HostConfig::default() });
    let name = reference(&origin, "foo/app:1");
    reading.manifest(&name).unwrap();
    assert!(origin.seen().is_empty());
    reading.put_manifest(&name, &MediaType::MANIFEST, b"{}").unwrap();
    assert_eq!(origin.seen().len(), 1);
    let there = reading.without_mirrors().manifest(&name).unwrap();
    assert_eq!(there.1, b"{}", "who writes reads what was written");
    assert_eq!(origin.seen().len(), 2);
    let server = Some(place(&elsewhere));
    let (both, _) = client(&origin, HostConfig { server, ..HostConfig::default() });
    both.put_manifest(&name, &MediaType::MANIFEST, b"{}").unwrap();
    assert_eq!(origin.seen().len(), 2);
    assert!(elsewhere.manifest("foo/app", "1").is_some());
}

/// Content that is fetched from its registry when it is sent.
struct Fetched<'a>(&'a Client, MemoryContent, Reference);

impl Content for Fetched<'_> {
    fn open(&self, descriptor: &Descriptor) -> io::Result<Box<dyn Read + Send + '_>> {
        let here = self.1.open(descriptor);
        here.or_else(|_| self.0.blob(&self.2, descriptor).map_err(io::Error::other))
    }
}

#[test]
fn a_registry_that_gets_one_request_at_a_time_can_give_what_it_is_sent() {
    let origin = registry("app", Quirks::default());
    let large = vec![7; 9 << 20];
    let layer = Descriptor::new(MediaType::LAYER, origin.put_blob("base", &large), 9 << 20);
    let max_requests = NonZeroUsize::new(1);
    let (client, _) = client(&origin, HostConfig { max_requests, ..HostConfig::default() });
    let mut here = MemoryContent::default();
    here.insert(b"{}".to_vec());
    let config = Descriptor::of(MediaType::CONFIG, b"{}");
    let root = RawDocument::new(Manifest::new(config, vec![layer.clone()]));
    here.insert(root.bytes().to_vec());
    let content = Fetched(&client, here, reference(&origin, "base:1"));
    let how = Push {
        origins: &BTreeMap::new(),
        neighbours: &[],
        transfers: &(),
        delivered: &Delivered::default(),
    };
    client.push(&content, &root.descriptor(), &reference(&origin, "new:1"), how).unwrap();
    assert!(origin.blobs("new").contains(&layer.digest));
}

#[test]
fn what_is_blocked_is_not_asked() {
    let origin = registry("app", Quirks::default());
    let blocked = Some("registries.conf".to_owned());
    let (client, _) = client(&origin, HostConfig { blocked, ..HostConfig::default() });
    let error = client.manifest(&reference(&origin, "app:1")).unwrap_err();
    assert_eq!(error.class(), SourceErrorClass::Local);
    assert!(error.to_string().contains("registries.conf blocks it"), "{error}");
    assert!(origin.seen().is_empty());
}
