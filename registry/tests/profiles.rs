//! What is known of kinds of registries, and what was learnt of one, is acted on.
#![allow(clippy::unwrap_used, reason = "what cannot be set up is a failed test")]

use std::collections::BTreeMap;
use std::sync::Arc;

use wythe_registry::client::Client;
use wythe_registry::delivered::Delivered;
use wythe_registry::error::PushError;
use wythe_registry::fake::timing::InstantTiming;
use wythe_registry::fake::{FakeRegistry, Quirks, Seen, Switch};
use wythe_registry::hosts::{Connection, HostConfig, Hosts, Part, Security};
use wythe_registry::learned::Learned;
use wythe_registry::proxy::Proxies;
use wythe_registry::push::Push;
use wythe_registry::settings::Settings;
use wythe_store::digest::Digest;
use wythe_store::oci::content::MemoryContent;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::document::RawDocument;
use wythe_store::oci::manifest::Manifest;
use wythe_store::oci::media_type::MediaType;

const MIB: usize = 1 << 20;
/// Longer than what is sent from memory.
const LONG: usize = 9 * MIB;
const ECR: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";

/// A client that takes a registry in this process for a host elsewhere.
fn client_of(registry: &FakeRegistry, host: &str) -> Client {
    let connection = Connection { security: Some(Security::Plain), ..Connection::default() };
    let config = HostConfig { connection, ..HostConfig::default() };
    let hosts = Hosts::default().with(vec![(Part::parse(host), config)]);
    let proxies = Proxies { http: Some(registry.host().to_owned()), ..Proxies::default() };
    let timing = Arc::new(InstantTiming::default());
    Client::new(Settings { hosts, proxies, timing, ..Settings::default() })
}

/// A client that knows what was learnt.
fn client_with(learned: &Arc<Learned>) -> Client {
    let (learned, timing) = (learned.clone(), Arc::new(InstantTiming::default()));
    Client::new(Settings { learned, timing, ..Settings::default() })
}

/// Pushes an image with one long layer.
fn push(client: &Client, name: &str) -> Result<(), PushError> {
    let mut content = MemoryContent::default();
    content.insert(b"{}".to_vec());
    let layer = content.insert(vec![7; LONG]);
    let layer = Descriptor::new(MediaType::LAYER, layer, LONG as u64);
    let config = Descriptor::of(MediaType::CONFIG, b"{}");
    let manifest = RawDocument::new(Manifest::new(config, vec![layer]));
    content.insert(manifest.bytes().to_vec());
    let how = Push {
        origins: &BTreeMap::new(),
        neighbours: &[],
        transfers: &(),
        delivered: &Delivered::default(),
    };
    client.push(&content, &manifest.descriptor(), &name.parse().unwrap(), how)
}

fn count(registry: &FakeRegistry, what: impl Fn(&Seen) -> bool) -> usize {
    registry.seen().iter().filter(|seen| what(seen)).count()
}

#[test]
fn ecr_is_sent_no_pieces_that_say_where_they_belong() {
    let quirks = Quirks { longest: Some(MIB), ..Quirks::default() };
    let registry = FakeRegistry::start(quirks).unwrap();
    let error = push(&client_of(&registry, ECR), &format!("{ECR}/app:1")).unwrap_err();
    assert!(error.to_string().contains("413"), "{error}");
    assert_eq!(count(&registry, |seen| seen.headers.contains_key("content-range")), 0);
}

#[test]
fn an_upload_to_ecr_that_breaks_begins_anew() {
    let quirks = Quirks { breaks_after: vec![4 << 20], ..Quirks::default() };
    let registry = FakeRegistry::start(quirks).unwrap();
    push(&client_of(&registry, ECR), &format!("{ECR}/app:1")).unwrap();
    assert_eq!(count(&registry, |seen| seen.method == "PATCH"), 0);
    assert_eq!(count(&registry, |seen| seen.method == "PUT" && seen.body.len() == LONG), 1);
}

#[test]
fn ghcr_is_not_asked_for_a_list_that_it_has_not() {
    let registry = FakeRegistry::start(Quirks::default()).unwrap();
    let subject = Digest::of(b"an image");
    for (host, asked) in [("ghcr.io", 0), ("r.invalid", 1)] {
        let name = format!("{host}/app:1").parse().unwrap();
        assert!(client_of(&registry, host).referrers(&name, &subject).unwrap().is_empty());
        assert_eq!(count(&registry, |seen| seen.target.contains("/referrers/")), asked, "{host}");
    }
}

#[test]
fn what_was_refused_as_too_long_goes_in_pieces_from_the_start_the_next_time() {
    let quirks = Quirks { longest: Some(MIB), ..Quirks::default() };
    let registry = FakeRegistry::start(quirks).unwrap();
    let learned = Arc::<Learned>::default();
    let whole = || count(&registry, |seen| seen.body.len() == LONG);
    push(&client_with(&learned), &format!("{}/app:1", registry.host())).unwrap();
    assert_eq!(whole(), 2);
    push(&client_with(&learned), &format!("{}/other:1", registry.host())).unwrap();
    assert_eq!(whole(), 2);
    assert!(registry.blobs("other").contains(&Digest::of(&vec![7; LONG])));
}

#[test]
fn a_registry_that_takes_no_pieces_any_more_gets_the_whole() {
    let registry = FakeRegistry::start(Quirks::default()).unwrap();
    registry.set(Quirks { refuses_patches: Switch::On, ..Quirks::default() });
    let text = format!(r#"[{{"host":"{}","habit":"wants-pieces","since":0}}]"#, registry.host());
    let learned = Arc::new(Learned::read(&text, 1));
    push(&client_with(&learned), &format!("{}/app:1", registry.host())).unwrap();
    assert_eq!(count(&registry, |seen| seen.body.len() == LONG), 1);
}
