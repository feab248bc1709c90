//! The client against a registry with quirks.
#![allow(clippy::unwrap_used, reason = "what cannot be set up is a failed test")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::sync::Arc;

use wythe_registry::client::Client;
use wythe_registry::credentials::{Credential, Credentials, Secret};
use wythe_registry::delivered::Delivered;
use wythe_registry::error::{PushError, RegistryProblem};
use wythe_registry::fake::timing::InstantTiming;
use wythe_registry::fake::{Door, FakeRegistry, Quirks, Switch};
use wythe_registry::hosts::{HostConfig, Hosts, Part};
use wythe_registry::login::Login;
use wythe_registry::proxy::Proxies;
use wythe_registry::push::Push;
use wythe_registry::settings::Settings;
use wythe_store::digest::Digest;
use wythe_store::image::encode::Leaving;
use wythe_store::oci::content::{MemoryContent, read_document};
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::document::{Document, RawDocument};
use wythe_store::oci::manifest::Manifest;
use wythe_store::oci::media_type::MediaType;
use wythe_store::oci::reference::Reference;
use wythe_store::oci::source::{ImageSource, SourceErrorClass};

const LAYER: &[u8] = b"the bytes of a layer, long enough to be cut in half";

fn client_with(credentials: Credentials) -> Client {
    let timing = Arc::new(InstantTiming::default());
    Client::new(Settings { credentials, timing, ..Settings::default() })
}

fn client(registry: &FakeRegistry) -> Client {
    let credential = Credential::new("user", "pass");
    client_with(Credentials::default().with(registry.host(), credential))
}

fn reference(registry: &FakeRegistry, name: &str) -> Reference {
    format!("{}/{name}", registry.host()).parse().unwrap()
}

fn image() -> (MemoryContent, Descriptor) {
    let mut content = MemoryContent::default();
    content.insert(b"{}".to_vec());
    content.insert(LAYER.to_vec());
    let config = Descriptor::of(MediaType::CONFIG, b"{}");
    let layer = Descriptor::of(MediaType::LAYER, LAYER);
    let manifest = RawDocument::new(Manifest::new(config, vec![layer.clone(), layer]));
    content.insert(manifest.bytes().to_vec());
    (content, manifest.descriptor())
}

fn push_with(
    registry: &FakeRegistry,
    client: &Client,
    origins: &BTreeMap<Digest, Vec<String>>,
) -> Result<(), PushError> {
    let (content, root) = image();
    let how = Push { origins, neighbours: &[], transfers: &(), delivered: &Delivered::default() };
    client.push(&content, &root, &reference(registry, "new/app:1"), how)
}

#[track_caller]
fn check_push(quirks: Quirks) -> FakeRegistry {
    let registry = FakeRegistry::start(quirks).unwrap();
    push_with(&registry, &client(&registry), &BTreeMap::new()).unwrap();
    check_pushed(&registry);
    registry
}

#[test]
fn a_blob_that_is_ready_arrives_before_the_image_is_made() {
    let registry = FakeRegistry::start(Quirks::default()).unwrap();
    let client = client(&registry);
    let (content, root) = image();
    let to = reference(&registry, "new/app:1");
    let origins = BTreeMap::new();
    let delivered = &Delivered::default();
    let how = Push { origins: &origins, neighbours: &[], transfers: &(), delivered };
    let outbox = client.outbox(&content, how);
    let made = outbox.ahead(std::slice::from_ref(&to), |ready| {
        ready(Leaving::Ready(&Descriptor::of(MediaType::LAYER, LAYER)));
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while !registry.blobs("new/app").contains(&Digest::of(LAYER)) {
            let now = std::time::Instant::now();
            assert!(now < deadline, "the layer is not sent while the image is made");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        Ok::<_, ()>(root)
    });
    let root = made.unwrap();
    outbox.push(&root, &to).unwrap();
    outbox.push(&root, &reference(&registry, "new/app:2")).unwrap();
    check_pushed(&registry);
    assert!(registry.manifest("new/app", "2").is_some());
    assert_eq!(count(&registry, "HEAD", &Digest::of(LAYER).to_string()), 1);
    assert_eq!(count(&registry, "HEAD", &Digest::of(b"{}").to_string()), 1);
}

#[test]
fn a_single_blob_goes_from_a_repository_that_it_was_delivered_to_without_being_sent() {
    let registry = FakeRegistry::start(Quirks::default()).unwrap();
    let client = client(&registry);
    let (content, _) = image();
    let (delivered, layer) = (Delivered::default(), Descriptor::of(MediaType::LAYER, LAYER));
    for name in ["new/app:1", "other/cache:1"] {
        client.put_blob(&reference(&registry, name), &content, &layer, &delivered).unwrap();
    }
    assert!(registry.blobs("other/cache").contains(&layer.digest));
    assert_eq!(count(&registry, "POST", "mount="), 1);
    assert_eq!(count(&registry, "PUT", "/blobs/"), 1);
}

#[test]
fn a_blob_goes_from_one_repository_of_a_push_to_the_next_without_being_sent() {
    let registry = FakeRegistry::start(Quirks::default()).unwrap();
    let client = client(&registry);
    let (content, root) = image();
    let origins = BTreeMap::new();
    let delivered = &Delivered::default();
    let how = Push { origins: &origins, neighbours: &[], transfers: &(), delivered };
    let outbox = client.outbox(&content, how);
    outbox.push(&root, &reference(&registry, "new/app:1")).unwrap();
    outbox.push(&root, &reference(&registry, "other/app:1")).unwrap();
    check_pushed(&registry);
    assert!(registry.blobs("other/app").contains(&Digest::of(LAYER)));
    assert_eq!(count(&registry, "POST", "mount="), 2);
    assert_eq!(count(&registry, "PUT", "/blobs/"), 2);
}

/// The requests since there were `from` of them.
fn since(registry: &FakeRegistry, from: usize) -> Vec<String> {
    let seen = registry.seen();
    seen[from..].iter().map(|one| format!("{} {}", one.method, one.target)).collect()
}

#[test]
fn an_image_that_is_there_is_asked_for_once_and_none_of_its_blobs_is() {
    let registry = FakeRegistry::start(Quirks::default()).unwrap();
    let client = client(&registry);
    push_with(&registry, &client, &BTreeMap::new()).unwrap();
    let (content, root) = image();
    let again = |tag: &str| {
        let (origins, delivered) = (&BTreeMap::new(), &Delivered::default());
        let how = Push { origins, neighbours: &[], transfers: &(), delivered };
        let from = registry.seen().len();
        client.push(&content, &root, &reference(&registry, tag), how).unwrap();
        since(&registry, from)
    };
    let question = format!("HEAD /v2/new/app/manifests/{}", root.digest);
    assert_eq!(again("new/app:2"), [&*question, "PUT /v2/new/app/manifests/2"]);
    // Of what was collected in between all is sent again.
    registry.set(Quirks { forgets: 1, ..Quirks::default() });
    let asked = again("new/app:3");
    assert_eq!(asked.iter().filter(|one| **one == question).count(), 1, "{asked:?}");
    assert_eq!(asked.iter().filter(|one| one.contains("/blobs/uploads/upload")).count(), 2);
    assert!(registry.blobs("new/app").contains(&Digest::of(LAYER)));
}

#[test]
fn what_was_sent_ahead_tells_that_the_image_is_not_there() {
    let registry = FakeRegistry::start(Quirks::default()).unwrap();
    let client = client(&registry);
    let (content, root) = image();
    let (origins, delivered) = (&BTreeMap::new(), &Delivered::default());
    let how = Push { origins, neighbours: &[], transfers: &(), delivered };
    let (outbox, to) = (client.outbox(&content, how), reference(&registry, "new/app:1"));
    let made = outbox.ahead(std::slice::from_ref(&to), |ready| {
        ready(Leaving::Ready(&Descriptor::of(MediaType::LAYER, LAYER)));
        Ok::<_, ()>(root)
    });
    outbox.push(&made.unwrap(), &to).unwrap();
    check_pushed(&registry);
    assert_eq!(count(&registry, "HEAD", "/manifests/"), 0);
}

#[test]
fn what_came_from_elsewhere_waits_until_something_leaves_that_did_not() {
    let registry = FakeRegistry::start(Quirks::default()).unwrap();
    let client = client(&registry);
    let (content, _) = image();
    let origins = BTreeMap::from([(Digest::of(LAYER), vec!["r.example/base".to_owned()])]);
    let delivered = &Delivered::default();
    let how = Push { origins: &origins, neighbours: &[], transfers: &(), delivered };
    let (outbox, to) = (client.outbox(&content, how), reference(&registry, "new/app:1"));
    let layer = Descriptor::of(MediaType::LAYER, LAYER);
    let config = Descriptor::of(MediaType::CONFIG, b"{}");
    for (blobs, asked) in [(vec![&layer], 0), (vec![&layer, &config], 2)] {
        let made = outbox.ahead(std::slice::from_ref(&to), |ready| {
            for blob in blobs {
                ready(Leaving::Ready(blob));
            }
            Ok::<_, ()>(())
        });
        assert_eq!((made, count(&registry, "HEAD", "/blobs/")), (Ok(()), asked));
    }
}

#[test]
fn what_cannot_be_sent_ahead_is_told_by_the_push() {
    let registry = FakeRegistry::start(Quirks::default()).unwrap();
    let client = client(&registry);
    let (_, root) = image();
    let (content, origins) = (MemoryContent::default(), BTreeMap::new());
    let delivered = &Delivered::default();
    let how = Push { origins: &origins, neighbours: &[], transfers: &(), delivered };
    let outbox = client.outbox(&content, how);
    let to = reference(&registry, "new/app:1");
    let made = outbox.ahead(std::slice::from_ref(&to), |ready| {
        ready(Leaving::Ready(&Descriptor::of(MediaType::LAYER, LAYER)));
        Err::<(), _>("stopped")
    });
    assert_eq!(made, Err("stopped"));
    assert!(outbox.push(&root, &to).is_err());
}

#[test]
fn a_registry_that_is_not_there_is_waited_for_once() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap();
    drop(listener);
    let timing = Arc::new(InstantTiming::default());
    let client = Client::new(Settings { timing: timing.clone(), ..Settings::default() });
    let (content, root) = image();
    let (origins, delivered) = (BTreeMap::new(), &Delivered::default());
    let how = Push { origins: &origins, neighbours: &[], transfers: &(), delivered };
    let outbox = client.outbox(&content, how);
    let to: Reference = format!("{host}/app:1").parse().unwrap();
    let made = outbox.ahead(std::slice::from_ref(&to), |told| {
        told(Leaving::Ready(&Descriptor::of(MediaType::LAYER, LAYER)));
        Ok::<_, ()>(())
    });
    made.unwrap();
    let slept = timing.slept().len();
    assert!(0 < slept);
    let error = client.outbox(&content, how).push(&root, &to).unwrap_err();
    assert!(error.to_string().contains("refused"), "{error}");
    assert_eq!(timing.slept().len(), slept);
}

#[track_caller]
fn check_pushed(registry: &FakeRegistry) {
    let blobs = registry.blobs("new/app");
    assert!(blobs.contains(&Digest::of(LAYER)) && blobs.contains(&Digest::of(b"{}")));
    let manifest = registry.manifest("new/app", "1").unwrap();
    assert_eq!(Digest::of(&manifest), image().1.digest);
}

fn count(registry: &FakeRegistry, method: &str, part: &str) -> usize {
    let seen = registry.seen();
    seen.iter().filter(|seen| seen.method == method && seen.target.contains(part)).count()
}

/// A registry that holds an image, and what reading its layer gives.
fn pull(quirks: Quirks) -> (FakeRegistry, std::io::Result<Vec<u8>>) {
    let registry = FakeRegistry::start(quirks).unwrap();
    registry.put_blob("app", LAYER);
    let layer = Descriptor::of(MediaType::LAYER, LAYER);
    let client = client(&registry);
    let blob = client.blob(&reference(&registry, "app"), &layer);
    let mut bytes = Vec::new();
    let read = blob
        .map_err(std::io::Error::other)
        .and_then(|mut blob| blob.read_to_end(&mut bytes))
        .map(|_| bytes);
    (registry, read)
}

fn with_manifest(quirks: Quirks) -> FakeRegistry {
    let registry = FakeRegistry::start(quirks).unwrap();
    let bytes = Manifest::new(Descriptor::of(MediaType::CONFIG, b"{}"), vec![]).to_bytes();
    registry.put_manifest("app", "latest", MediaType::MANIFEST.as_str(), &bytes);
    registry
}

#[test]
fn a_tag_that_cannot_be_moved_is_an_error_unless_it_is_where_it_should_be() {
    let registry = check_push(Quirks { keeps_tags: Switch::On, ..Quirks::default() });
    push_with(&registry, &client(&registry), &BTreeMap::new()).unwrap();
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    registry.put_manifest("new/app", "1", media_type, b"{}");
    let error = push_with(&registry, &client(&registry), &BTreeMap::new()).unwrap_err();
    let PushError::Request { error, .. } = &error else { panic!("{error}") };
    let RegistryProblem::TagTaken { tag, found } = &error.problem else { panic!("{error}") };
    assert_eq!((tag.as_str(), *found), ("1", Some(Digest::of(b"{}"))));
}

#[test]
fn a_manifest_is_read_through_every_kind_of_door() {
    for auth in [Door::Open, Door::Basic, Door::Bearer] {
        let registry = with_manifest(Quirks { auth, ..Quirks::default() });
        let client = client(&registry);
        let reference = reference(&registry, "app");
        let (descriptor, bytes) = client.manifest(&reference).unwrap();
        assert_eq!(descriptor, Descriptor::of(MediaType::MANIFEST, &bytes));
        assert_eq!(client.resolve(&reference).unwrap(), descriptor);
    }
}

#[test]
fn an_identity_token_is_exchanged_by_post() {
    let registry = with_manifest(Quirks { auth: Door::Bearer, ..Quirks::default() });
    let token = Credential::IdentityToken(Secret::new("refresh"));
    let client = client_with(Credentials::default().with(registry.host(), token));
    client.manifest(&reference(&registry, "app")).unwrap();
    assert_eq!(count(&registry, "POST", "/token"), 1);
}

#[test]
fn one_request_for_a_token_serves_all_who_wait_for_it() {
    let registry = with_manifest(Quirks { auth: Door::Bearer, ..Quirks::default() });
    let client = client(&registry);
    let name = reference(&registry, "app");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| client.manifest(&name).unwrap());
        }
    });
    assert_eq!(count(&registry, "GET", "/token"), 1);
}

#[test]
fn without_or_with_wrong_credentials_access_is_denied() {
    for auth in [Door::Basic, Door::Bearer] {
        let registry = with_manifest(Quirks { auth, ..Quirks::default() });
        let wrong = Credentials::default().with(registry.host(), Credential::new("user", "no"));
        for credentials in [Credentials::default(), wrong] {
            let client = client_with(credentials);
            let error = client.manifest(&reference(&registry, "app")).unwrap_err();
            assert_eq!(error.class(), SourceErrorClass::Unauthorized, "{error}");
        }
    }
}

#[test]
fn what_is_not_there_is_not_found_and_the_registry_is_quoted() {
    let registry = with_manifest(Quirks::default());
    let error = client(&registry).manifest(&reference(&registry, "app:2")).unwrap_err();
    assert_eq!(error.class(), SourceErrorClass::NotFound);
    assert!(error.to_string().contains("MANIFEST_UNKNOWN"), "{error}");
}

#[test]
fn a_manifest_that_is_not_what_its_digest_says_is_refused() {
    let registry = with_manifest(Quirks { corrupts: Switch::On, ..Quirks::default() });
    // The fake announces the digest of what it was given, as a proxy in between would.
    let error = client(&registry).manifest(&reference(&registry, "app")).unwrap_err();
    assert_eq!(error.class(), SourceErrorClass::Refused, "{error}");
}

#[test]
fn a_busy_registry_is_asked_again() {
    let registry = with_manifest(Quirks { busy: 3, ..Quirks::default() });
    client(&registry).manifest(&reference(&registry, "app")).unwrap();
    let registry = with_manifest(Quirks { busy: 100, ..Quirks::default() });
    let error = client(&registry).manifest(&reference(&registry, "app")).unwrap_err();
    assert_eq!(error.class(), SourceErrorClass::Network, "{error}");
}

#[test]
fn a_download_that_breaks_is_taken_up_where_it_broke() {
    let (registry, read) = pull(Quirks { truncate: 2, ..Quirks::default() });
    assert_eq!(read.unwrap(), LAYER);
    let ranges = registry.seen().iter().filter(|seen| seen.headers.contains_key("range")).count();
    assert_eq!(ranges, 2);
}

#[test]
fn a_registry_without_ranges_sends_the_whole_blob_again() {
    let quirks = Quirks { truncate: 1, ignores_ranges: Switch::On, ..Quirks::default() };
    assert_eq!(pull(quirks).1.unwrap(), LAYER);
}

#[test]
fn a_download_that_comes_further_each_time_may_break_as_often_as_it_likes() {
    let blob = vec![7; 16 << 20];
    // Each time half of what is left comes: the last break is 64 KiB before the end.
    let registry = FakeRegistry::start(Quirks { truncate: 8, ..Quirks::default() }).unwrap();
    registry.put_blob("app", &blob);
    let (descriptor, client) = (Descriptor::of(MediaType::LAYER, &blob), client(&registry));
    let mut read = Vec::new();
    let reader = client.blob(&reference(&registry, "app"), &descriptor);
    reader.unwrap().read_to_end(&mut read).unwrap();
    assert!(read == blob);
    let ranges = registry.seen().iter().filter(|seen| seen.headers.contains_key("range")).count();
    assert_eq!(ranges, 8);
}

#[test]
fn a_download_that_always_breaks_fails() {
    assert!(pull(Quirks { truncate: u32::MAX, ..Quirks::default() }).1.is_err());
}

#[test]
fn a_redirect_to_storage_gets_no_credentials() {
    let storage = FakeRegistry::start(Quirks::default()).unwrap();
    let digest = storage.put_blob("app", LAYER);
    let target = format!("http://{}/v2/app/blobs/{digest}", storage.host());
    for auth in [Door::Basic, Door::Bearer] {
        let redirect = Some(target.clone());
        let (_, read) = pull(Quirks { auth, redirect, ..Quirks::default() });
        assert_eq!(read.unwrap(), LAYER);
    }
    assert!(storage.seen().iter().all(|seen| !seen.headers.contains_key("authorization")));
    assert_eq!(storage.seen().len(), 2);
}

#[test]
fn a_token_service_on_another_port_gets_the_password() {
    let service = with_manifest(Quirks { auth: Door::Bearer, ..Quirks::default() });
    let realm = Some(format!("http://{}/token", service.host()));
    let registry = with_manifest(Quirks { auth: Door::Bearer, realm, ..Quirks::default() });
    let error = client(&registry).manifest(&reference(&registry, "app")).unwrap_err();
    let asked: Vec<_> = service.seen().into_iter().map(|seen| seen.headers).collect();
    assert!(!asked.is_empty(), "{error}");
    assert!(asked.iter().all(|headers| headers["authorization"] == "Basic dXNlcjpwYXNz"));
}

#[test]
fn a_token_service_that_is_not_listed_is_not_asked_where_some_are() {
    let realm = Some("https://sso.example/token".to_owned());
    let registry = with_manifest(Quirks { auth: Door::Bearer, realm, ..Quirks::default() });
    let auth_hosts = BTreeSet::from(["other.example".to_owned()]);
    let config = HostConfig { auth_hosts, ..HostConfig::default() };
    let credentials = Credentials::default().with(registry.host(), Credential::new("user", "pass"));
    let hosts = Hosts::default().with(vec![(Part::parse(registry.host()), config)]);
    let client = Client::new(Settings { credentials, hosts, ..Settings::default() });
    let error = client.manifest(&reference(&registry, "app")).unwrap_err().to_string();
    assert!(error.contains("none of the registry's auth-hosts"), "{error}");
}

#[test]
fn a_place_that_a_redirect_leads_to_gets_no_password_however_it_asks() {
    for auth in [Door::Basic, Door::Bearer] {
        let evil = FakeRegistry::start(Quirks { auth, ..Quirks::default() }).unwrap();
        let redirect = Some(format!("http://{}/v2/app/blobs/x", evil.host()));
        let (registry, read) = pull(Quirks { auth: Door::Basic, redirect, ..Quirks::default() });
        assert!(read.is_err());
        assert_eq!((evil.seen().len(), count(&registry, "GET", "/token")), (1, 0));
        assert!(evil.seen().iter().all(|seen| !seen.headers.contains_key("authorization")));
    }
}

#[test]
fn login_tells_a_right_password_from_a_wrong_one() {
    for auth in [Door::Basic, Door::Bearer, Door::Guests] {
        let registry = FakeRegistry::start(Quirks { auth, ..Quirks::default() }).unwrap();
        assert_eq!(client(&registry).login(registry.host()).unwrap(), Login::Accepted);
        let wrong = Credential::new("user", "no");
        let client = client_with(Credentials::default().with(registry.host(), wrong));
        let error = client.login(registry.host()).unwrap_err().to_string();
        assert!(error.contains("denied: user may not log in to 127.0.0.1:"), "{error}");
    }
}

#[test]
fn a_registry_that_asks_nobody_has_not_accepted_anybody() {
    let registry = FakeRegistry::start(Quirks::default()).unwrap();
    assert_eq!(client(&registry).login(registry.host()).unwrap(), Login::NotAsked);
    // It was shown the password nevertheless, and could have refused a wrong one.
    assert!(registry.seen().iter().any(|seen| seen.headers.contains_key("authorization")));
}

#[test]
fn a_refusal_says_who_may_not_do_what() {
    let registry = with_manifest(Quirks { auth: Door::Basic, ..Quirks::default() });
    let wrong = Credential::new("ada", "no");
    let wrong = client_with(Credentials::default().with(registry.host(), wrong));
    let error = wrong.manifest(&reference(&registry, "app")).unwrap_err().to_string();
    let expected = format!("denied: ada may not pull from {}/app", registry.host());
    assert!(error.contains(&expected), "{error}");
    let error = push_with(&registry, &wrong, &BTreeMap::new()).unwrap_err().to_string();
    let expected = format!("denied: ada may not push to {}/new/app", registry.host());
    assert!(error.contains(&expected), "{error}");
    let nobody = client_with(Credentials::default());
    let error = nobody.manifest(&reference(&registry, "app")).unwrap_err().to_string();
    assert!(error.contains("denied: there are no credentials to pull from"), "{error}");
}

#[test]
fn a_refusal_without_a_challenge_blames_nobody() {
    let registry = with_manifest(Quirks { auth: Door::Silent, ..Quirks::default() });
    for client in [client(&registry), client_with(Credentials::default())] {
        let error = client.manifest(&reference(&registry, "app")).unwrap_err().to_string();
        assert!(error.contains("names no way to show them"), "{error}");
        assert!(!error.contains("may not"), "{error}");
    }
}

#[test]
fn a_realm_that_serves_cloud_credentials_is_never_asked() {
    let realm = Some("http://169.254.169.254/token".to_owned());
    let registry = with_manifest(Quirks { auth: Door::Bearer, realm, ..Quirks::default() });
    let error = client(&registry).manifest(&reference(&registry, "app")).unwrap_err();
    assert!(error.to_string().contains("clouds serve credentials"), "{error}");
}

#[test]
fn a_push_sends_each_blob_once_and_the_tag_last() {
    for auth in [Door::Open, Door::Basic, Door::Bearer] {
        let registry = check_push(Quirks { auth, ..Quirks::default() });
        let sent = registry.seen();
        let puts: Vec<&str> = sent
            .iter()
            .filter(|seen| seen.method == "PUT" && seen.target.contains("/manifests/"))
            .map(|seen| seen.target.as_str())
            .collect();
        assert_eq!(puts, ["/v2/new/app/manifests/1"]);
        assert!(sent.last().unwrap().target.ends_with("/manifests/1"));
        assert_eq!(count(&registry, "PUT", "/uploads/"), 2);
    }
}

#[test]
fn what_is_there_is_not_sent_again() {
    let registry = check_push(Quirks::default());
    push_with(&registry, &client(&registry), &BTreeMap::new()).unwrap();
    assert_eq!(count(&registry, "PUT", "/uploads/"), 2);
}

#[test]
fn a_token_that_ends_midway_is_replaced() {
    // Two blobs travel at once and share the token. With as many uses as one of them has requests,
    // and one more, it cannot use up what the other has just fetched.
    let registry =
        check_push(Quirks { auth: Door::Bearer, token_uses: Some(4), ..Quirks::default() });
    assert!(1 < count(&registry, "GET", "/token"));
}

#[test]
fn a_blob_another_repository_has_is_mounted_or_sent_where_that_is_refused() {
    for refuses_mounts in [Switch::Off, Switch::On] {
        let quirks = Quirks { refuses_mounts, ..Quirks::default() };
        let registry = FakeRegistry::start(quirks).unwrap();
        let digest = registry.put_blob("base", LAYER);
        let origin = format!("{}/base", registry.host());
        let origins = BTreeMap::from([(digest, vec![origin, "other.io/base".to_owned()])]);
        push_with(&registry, &client(&registry), &origins).unwrap();
        check_pushed(&registry);
        let sent = if refuses_mounts == Switch::On { 2 } else { 1 };
        assert_eq!(count(&registry, "PUT", "/uploads/"), sent);
    }
}

#[test]
fn a_repository_that_may_have_everything_is_asked_for_all_that_is_lacking() {
    let registry = FakeRegistry::start(Quirks::default()).unwrap();
    registry.put_blob("beside", LAYER);
    let neighbours = ["new/app", "beside"].map(|name| format!("{}/{name}", registry.host()));
    let (content, root) = image();
    let how = Push {
        origins: &BTreeMap::new(),
        neighbours: &neighbours,
        transfers: &(),
        delivered: &Delivered::default(),
    };
    let to = reference(&registry, "new/app:1");
    client(&registry).push(&content, &root, &to, how).unwrap();
    check_pushed(&registry);
    assert_eq!(count(&registry, "POST", "from=beside"), 2, "the configuration is not there");
    assert_eq!(count(&registry, "POST", "/uploads/"), 2, "its upload begins with the same request");
    assert_eq!(count(&registry, "PUT", "/uploads/"), 1);
}

#[test]
fn a_registry_that_refuses_the_whole_at_once_gets_it_ahead() {
    let quirks = Quirks { refuses_monolithic: Switch::On, ..Quirks::default() };
    let registry = check_push(quirks);
    assert_eq!(count(&registry, "PATCH", "/uploads/"), 2);
}

#[test]
fn a_push_is_repeated_where_the_registry_redirects_it_without_its_credentials() {
    let storage = FakeRegistry::start(Quirks::default()).unwrap();
    let writes_to = Some(storage.host().to_owned());
    let quirks = Quirks { auth: Door::Basic, writes_to, ..Quirks::default() };
    let registry = FakeRegistry::start(quirks).unwrap();
    push_with(&registry, &client(&registry), &BTreeMap::new()).unwrap();
    check_pushed(&storage);
    // The relative address of an upload is one of whoever answered: it is closed there at once.
    assert_eq!(count(&storage, "PUT", "/uploads/"), 2);
    assert_eq!(count(&registry, "PUT", "/uploads/"), 0);
    assert!(storage.seen().iter().all(|seen| !seen.headers.contains_key("authorization")));
}

#[test]
fn a_large_blob_is_streamed_again_to_where_it_is_redirected() {
    let storage = FakeRegistry::start(Quirks::default()).unwrap();
    let writes_to = Some(storage.host().to_owned());
    let quirks = Quirks { writes_to, ..Quirks::default() };
    push_large(&FakeRegistry::start(quirks).unwrap(), &storage);
}

#[test]
fn a_listed_registry_is_asked_over_tls_first_and_through_the_proxy_of_each_scheme() {
    let proxy = FakeRegistry::start(Quirks::default()).unwrap();
    let address = Some(proxy.host().to_owned());
    let proxies = Proxies { http: address.clone(), https: address, ..Proxies::default() };
    let insecure = BTreeSet::from(["r.invalid:5000".to_owned()]);
    let client = Client::new(Settings { proxies, insecure, ..Settings::default() });
    let error = client.manifest(&"r.invalid:5000/app:1".parse().unwrap()).unwrap_err();
    assert_eq!(error.class(), SourceErrorClass::NotFound, "{error}");
    let targets: Vec<String> = proxy.seen().into_iter().map(|seen| seen.target).collect();
    assert_eq!(targets, ["r.invalid:5000", "http://r.invalid:5000/v2/app/manifests/1"]);
}

#[test]
fn redirects_in_a_circle_end() {
    let registry = FakeRegistry::start(Quirks::default()).unwrap();
    let own = Quirks { writes_to: Some(registry.host().to_owned()), ..Quirks::default() };
    registry.set(own);
    let error = push_with(&registry, &client(&registry), &BTreeMap::new()).unwrap_err();
    assert!(error.to_string().contains("too many"), "{error}");
}

#[test]
fn blobs_that_vanish_before_the_manifest_are_sent_again_once() {
    check_push(Quirks { forgets: 1, ..Quirks::default() });
    let registry = FakeRegistry::start(Quirks { forgets: 2, ..Quirks::default() }).unwrap();
    assert!(push_with(&registry, &client(&registry), &BTreeMap::new()).is_err());
}

#[test]
fn a_large_blob_is_streamed() {
    let registry = FakeRegistry::start(Quirks::default()).unwrap();
    push_large(&registry, &registry);
}

#[test]
fn a_refusal_that_comes_before_the_blob_was_read_is_believed() {
    let quirks = Quirks { answers_early: Some(413), ..Quirks::default() };
    let registry = FakeRegistry::start(quirks).unwrap();
    let error = send_large(&registry).unwrap_err().to_string();
    assert!(error.contains("413 (payload too large)"), "{error}");
    // The blob, its announcement where the refusal went with the connection, and what is sent ahead of the closing
    // request.
    let size = (9 << 20).to_string();
    let large = registry
        .seen()
        .into_iter()
        .filter(|seen| seen.headers.get("content-length") == Some(&size));
    let methods: Vec<String> = large.map(|seen| seen.method).collect();
    let (last, before) = methods.split_last().unwrap();
    assert!(last == "PATCH" && matches!(before, [one] | [one, _] if one == "PUT"), "{methods:?}");
    // Each of these uploads was given up.
    assert_eq!(count(&registry, "DELETE", "/uploads/"), methods.len());
}

#[test]
fn a_refusal_that_comes_after_a_part_of_the_blob_was_read_is_believed() {
    let quirks = Quirks { answers_early: Some(413), reads_before: 60_000, ..Quirks::default() };
    let registry = FakeRegistry::start(quirks).unwrap();
    let error = send_large(&registry).unwrap_err().to_string();
    assert!(error.contains("413 (payload too large)"), "{error}");
    // The configuration, the blob and its announcement; of both a piece, all ahead of the closing request, and four
    // pieces, each half as long as the one before.
    assert!(
        count(&registry, "PUT", "/uploads/") <= 3 && count(&registry, "PATCH", "/uploads/") <= 12
    );
}

#[test]
fn what_is_compressed_for_the_way_is_what_it_is_without() {
    let (registry, found) = pull(Quirks { codes: Switch::On, ..Quirks::default() });
    assert_eq!(found.unwrap(), LAYER);
    let (content, root) = image();
    let bytes = &read_document(&content, &root).unwrap();
    registry.put_manifest("team/app", "1", MediaType::MANIFEST.as_str(), bytes);
    let found = client(&registry).manifest(&reference(&registry, "team/app:1")).unwrap();
    assert_eq!(found.0, root);
    // The place where a download broke is none in what comes.
    let (_, found) = pull(Quirks { codes: Switch::On, truncate: 1, ..Quirks::default() });
    assert_eq!(found.unwrap(), LAYER);
}

#[test]
fn a_manifest_from_a_server_of_plain_files_says_itself_what_it_is() {
    let registry = FakeRegistry::start(Quirks::default()).unwrap();
    let (content, root) = image();
    let bytes = &read_document(&content, &root).unwrap();
    for media_type in ["text/plain", "application/json; charset=utf-8", "application/octet-stream"]
    {
        registry.put_manifest("team/app", "1", media_type, bytes);
        let reference = reference(&registry, "team/app:1");
        assert_eq!(client(&registry).manifest(&reference).unwrap().0, root);
        assert_eq!(client(&registry).resolve(&reference).unwrap(), root);
    }
}

#[test]
fn a_redirect_that_would_make_another_request_is_named() {
    let to = FakeRegistry::start(Quirks::default()).unwrap();
    let quirks = Quirks {
        writes_to: Some(to.host().to_owned()),
        writes_with: Some(301),
        ..Quirks::default()
    };
    let registry = FakeRegistry::start(quirks).unwrap();
    let error = push_with(&registry, &client(&registry), &BTreeMap::new()).unwrap_err();
    let target = format!("redirect to http://{}/v2/new/app/blobs/uploads/", to.host());
    assert!(error.to_string().contains(&target), "{error}");
    assert!(to.seen().is_empty());
}

#[test]
fn a_success_that_comes_before_the_blob_was_read_is_believed() {
    let quirks = Quirks { answers_early: Some(201), ..Quirks::default() };
    let registry = FakeRegistry::start(quirks).unwrap();
    send_large(&registry).unwrap();
    assert!(registry.manifest("big", "latest").is_some());
}

#[test]
fn a_registry_that_knows_no_head_is_asked_in_full() {
    let quirks = Quirks { refuses_heads: Switch::On, ..Quirks::default() };
    let registry = check_push(quirks);
    assert_eq!(count(&registry, "PUT", "/uploads/"), 2);
    push_with(&registry, &client(&registry), &BTreeMap::new()).unwrap();
    assert_eq!(count(&registry, "PUT", "/uploads/"), 2);
    let (root, name) = (image().1.digest, reference(&registry, "new/app:1"));
    let client = client(&registry);
    assert_eq!(client.resolve(&name).unwrap().digest, root);
    let asked = count(&registry, "HEAD", "/manifests/");
    assert_eq!(client.resolve(&name).unwrap().digest, root);
    assert_eq!(count(&registry, "HEAD", "/manifests/"), asked, "it is known to answer none");
}

/// Pushes a blob too large for the memory to one registry, and finds it in the other.
#[track_caller]
fn push_large(registry: &FakeRegistry, storage: &FakeRegistry) {
    send_large(registry).unwrap();
    assert_eq!(storage.blobs("big").len(), 2);
}

fn send_large(registry: &FakeRegistry) -> Result<(), PushError> {
    let large = vec![7; 9 << 20];
    let mut content = MemoryContent::default();
    content.insert(b"{}".to_vec());
    let layer = Descriptor::new(MediaType::LAYER, content.insert(large), 9 << 20);
    let config = Descriptor::of(MediaType::CONFIG, b"{}");
    let manifest = RawDocument::new(Manifest::new(config, vec![layer]));
    content.insert(manifest.bytes().to_vec());
    let how = Push {
        origins: &BTreeMap::new(),
        neighbours: &[],
        transfers: &(),
        delivered: &Delivered::default(),
    };
    let client = Client::new(Settings::default());
    client.push(&content, &manifest.descriptor(), &reference(registry, "big"), how)
}
