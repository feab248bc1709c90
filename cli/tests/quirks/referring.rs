//! What refers to an image goes with it, whatever registries know of such.

use std::path::PathBuf;

use serde_json::{Value, json};
use wythe_quirks::journal::{Entry, Origin};
use wythe_quirks::step::Step;
use wythe_store::digest::Digest;

use crate::bench::{Bench, shared};
use crate::http::ask;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// The configuration of what has none.
const EMPTY: &[u8] = b"{}";

/// Writes something that refers to a manifest, and gives its digest.
fn refer(bench: &Bench, repository: &str, (subject, kind): (&Value, &str)) -> Value {
    let host = bench.server.registry();
    let digest = Digest::of(EMPTY);
    let target = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
    assert_eq!(ask(host, ("POST", &target), ("", EMPTY)).0, 201);
    let empty = json!({
        "mediaType": "application/vnd.oci.empty.v1+json",
        "digest": digest.to_string(),
        "size": EMPTY.len(),
    });
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": kind,
        "config": empty,
        "layers": [empty],
        "subject": subject,
    });
    let bytes = manifest.to_string().into_bytes();
    let digest = Digest::of(&bytes).to_string();
    let target = format!("/v2/{repository}/manifests/{digest}");
    assert_eq!(ask(host, ("PUT", &target), (MANIFEST, &bytes)).0, 201);
    json!({"mediaType": MANIFEST, "digest": digest, "size": bytes.len()})
}

/// A registry with an image, a signature of it, and a statement about the signature.
pub(crate) fn signed() -> (Bench, Value, Value) {
    let (bench, subject) = with_image(&[]);
    let signature = refer(&bench, "team/app", (&subject, "application/x.signature"));
    refer(&bench, "team/app", (&signature, "application/x.statement"));
    (bench, subject, signature)
}

/// A registry with an image.
fn with_image(switches: &[(&str, &str)]) -> (Bench, Value) {
    let (store, image) = shared();
    let bench = Bench::new(switches);
    bench.run(store, &["push", "app:1", &bench.name("team/app:1")]).assert_works("push");
    let size = ask(bench.server.registry(), ("GET", "/v2/team/app/manifests/1"), ("", b"")).1.len();
    let subject = json!({"mediaType": MANIFEST, "digest": image.digest, "size": size});
    (bench, subject)
}

/// The kinds of what a registry says refers to a manifest.
fn kinds(bench: &Bench, repository: &str, subject: &Value) -> Vec<String> {
    let digest = subject["digest"].as_str().unwrap();
    let target = format!("/v2/{repository}/referrers/{digest}");
    let (status, body) = ask(bench.server.registry(), ("GET", &target), ("", b""));
    assert_eq!(status, 200, "{body}");
    let index: Value = serde_json::from_str(&body).unwrap();
    let entries = index["manifests"].as_array().unwrap().iter();
    entries.map(|entry| entry["artifactType"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_refers_to_an_image_goes_there_and_on_whether_or_not_the_registry_lists_it() {
    let rows: [&[(&str, &str)]; 6] = [
        &[],
        &[("page", "1")],
        &[("referrers", "off")],
        &[("referrers", "off"), ("subject-lie", "")],
        &[("referrers", "html")],
        &[("subject-first", ""), ("immutable-tags", "")],
    ];
    let (first, subject, signature) = signed();
    for row in rows {
        let (second, third) = (Bench::new(row), Bench::new(&[]));
        let name = |bench: &Bench| format!("docker://{}", bench.name("team/app:1"));
        for (from, to) in [(&first, &second), (&second, &third)] {
            let words = ["copy", "--all", "--referrers", &name(from), &name(to)];
            let outcome = third.run(&third.store("store"), &words);
            outcome.assert_works(&format!("{row:?}"));
            assert!(outcome.complaint.contains("refers to it: 2"), "{}", outcome.complaint);
        }
        assert_eq!(kinds(&third, "team/app", &subject), ["application/x.signature"], "{row:?}");
        assert_eq!(kinds(&third, "team/app", &signature), ["application/x.statement"], "{row:?}");
    }
}

#[test]
fn a_list_that_goes_on_elsewhere_is_not_followed_nor_taken_for_all() {
    let switches = [("auth", "basic"), ("page", "1"), ("link", "other-host")];
    let (bench, subject) = with_image(&switches);
    for kind in ["application/x.signature", "application/x.statement"] {
        refer(&bench, "team/app", (&subject, kind));
    }
    let (store, there) = (bench.store("store"), format!("docker://{}", bench.name("team/app:1")));
    let layout = format!("oci:{}:1", bench.folder.path().join("layout").display());
    let outcome = bench.run(&store, &["copy", "--all", "--referrers", &there, &layout]);
    let told = outcome.complaint.contains("which the list names");
    assert!(!outcome.works && told, "{}", outcome.complaint);
    let is_there = |entry: &Entry| entry.origin == Origin::Storage;
    assert!(!bench.server.entries().iter().any(is_there), "{:?}", bench.server.entries());
}

#[test]
fn what_refers_to_an_image_goes_by_way_of_layouts_and_archives() {
    let (first, subject, signature) = signed();
    let from = format!("docker://{}", first.name("team/app:1"));
    for kind in ["oci", "oci-archive"] {
        let last = Bench::new(&[("subject-first", "")]);
        let store = last.store("store");
        let way = format!("{kind}:{}", last.folder.path().join("on-the-way").display());
        let onward = format!("oci:{}:2", last.folder.path().join("layout").display());
        let to = format!("docker://{}", last.name("team/app:1"));
        // The image is the only one that has a name: nothing has to say which is meant.
        for (from, to) in [(&from, &format!("{way}:1")), (&way, &onward), (&onward, &to)] {
            let outcome = last.run(&store, &["copy", "--all", "--referrers", from, to]);
            outcome.assert_works(&format!("{from} {to}"));
            assert!(outcome.complaint.contains("refers to it: 2"), "{}", outcome.complaint);
        }
        assert_eq!(kinds(&last, "team/app", &subject), ["application/x.signature"]);
        assert_eq!(kinds(&last, "team/app", &signature), ["application/x.statement"]);
    }
    let layout = format!("oci:{}:3", first.folder.path().join("alone").display());
    let outcome = first.run(&first.store("store"), &["copy", &from, &layout]);
    outcome.assert_works("without --referrers");
    let index = first.folder.path().join("alone/index.json");
    let index: Value = serde_json::from_slice(&std::fs::read(index).unwrap()).unwrap();
    assert_eq!(index["manifests"].as_array().unwrap().len(), 1, "{index}");
}

#[test]
fn an_index_may_list_what_refers_to_an_image_before_the_image() {
    let (store, image) = shared();
    let bench = Bench::new(&[]);
    bench.run(store, &["push", "app:1", &bench.name("team/app:1")]).assert_works("push");
    let body = ask(bench.server.registry(), ("GET", "/v2/team/app/manifests/1"), ("", b"")).1;
    let subject = json!({"mediaType": MANIFEST, "digest": image.digest, "size": body.len()});
    let statement = refer(&bench, "team/app", (&subject, "application/x.statement"));
    let kind = "application/vnd.oci.image.index.v1+json";
    let index = json!({"schemaVersion": 2, "mediaType": kind, "manifests": [statement, subject]});
    let bytes = index.to_string().into_bytes();
    let put = ask(bench.server.registry(), ("PUT", "/v2/team/app/manifests/both"), (kind, &bytes));
    assert_eq!(put.0, 201, "{}", put.1);

    let second = Bench::new(&[("subject-first", "")]);
    let (from, to) = (bench.name("team/app:both"), second.name("team/app:1"));
    let words = ["copy", &format!("docker://{from}"), &format!("docker://{to}")];
    second.run(&second.store("store"), &words).assert_works("copy");
}

/// A store, the name of an image, and the context that it is to be built of.
fn to_be_built(bench: &Bench) -> (PathBuf, String, String) {
    let context = bench.folder.path().join("context");
    std::fs::create_dir(&context).unwrap();
    std::fs::write(context.join("Dockerfile"), "FROM scratch\nCOPY Dockerfile /\n").unwrap();
    (bench.store("store"), bench.name("team/app:1"), context.display().to_string())
}

#[test]
fn a_registry_that_takes_nothing_that_refers_gets_statements_of_a_build_in_the_older_form() {
    for status in ["400", "405"] {
        let bench = Bench::new(&[("no-subject", status)]);
        let (store, name, context) = to_be_built(&bench);
        let epoch = "--build-arg=SOURCE_DATE_EPOCH=1";
        let words = ["build", "--provenance=true", epoch, "--push", "-t", &name, &context];
        let first = bench.run(&store, &words);
        first.assert_works(status);
        assert!(first.complaint.contains("as with oci-artifact=false"), "{}", first.complaint);
        assert!(first.complaint.contains("remembered for seven days"), "{}", first.complaint);
        let puts = || bench.server.counts().of(Step::PutManifest);
        let before = puts();
        let second = bench.run(&store, &words);
        second.assert_works("again");
        assert_eq!(second.output, first.output);
        assert!(!second.complaint.contains("oci-artifact"), "{}", second.complaint);
        assert!(puts() - before < before, "what is refused is not sent again");

        let output = format!("type=image,name={name},push=true,oci-artifact=true");
        let words = ["build", "--provenance=true", "-o", &output, &context];
        let outcome = bench.run(&store, &words);
        assert!(!outcome.works && outcome.complaint.contains(status), "{}", outcome.complaint);
    }
}

#[test]
fn a_registry_that_refuses_only_artifact_types_gets_statements_that_refer_to_the_image() {
    let bench = Bench::new(&[("no-artifact-type", "405")]);
    let (store, name, context) = to_be_built(&bench);
    let epoch = "--build-arg=SOURCE_DATE_EPOCH=1";
    let words = ["build", "--provenance=true", epoch, "--push", "-t", &name, &context];
    let first = bench.run(&store, &words);
    first.assert_works("once");
    for part in ["whose configuration has the type", "remembered for seven days"] {
        assert!(first.complaint.contains(part), "{part}: {}", first.complaint);
    }
    let get = |target: &str| {
        let target = format!("/v2/team/app/{target}");
        let (status, body) = ask(bench.server.registry(), ("GET", &target), ("", b""));
        assert_eq!(status, 200, "{target}: {body}");
        serde_json::from_str::<Value>(&body).unwrap()
    };
    let index = get("manifests/1");
    let [image, statement] = [0, 1].map(|at| index["manifests"][at]["digest"].as_str().unwrap());
    let manifest = get(&format!("manifests/{statement}"));
    let kind = "application/vnd.docker.attestation.manifest.v1+json";
    assert_eq!(manifest["config"]["mediaType"], kind);
    assert_eq!(manifest["config"]["digest"], Digest::of(EMPTY).to_string());
    assert_eq!(
        (&manifest["subject"]["digest"], &manifest["artifactType"]),
        (&json!(image), &Value::Null)
    );
    let listed = get(&format!("referrers/{image}"));
    assert_eq!(listed["manifests"][0]["digest"], statement);
    assert_eq!(listed["manifests"][0]["artifactType"], kind);

    let refused = || bench.server.entries().iter().filter(|entry| entry.status == 405).count();
    assert_eq!(refused(), 1);
    let second = bench.run(&store, &words);
    second.assert_works("again");
    assert_eq!((second.output, refused()), (first.output, 1), "what is refused is not sent again");
    assert!(!second.complaint.contains("configuration"), "{}", second.complaint);
}

#[test]
fn a_registry_that_takes_nothing_that_refers_is_named_and_gets_no_tag() {
    let (first, ..) = signed();
    let second = Bench::new(&[("no-subject", "405")]);
    let (from, to) = (first.name("team/app:1"), second.name("team/app:1"));
    let (from, to) = (format!("docker://{from}"), format!("docker://{to}"));
    let store = second.store("store");
    let outcome = second.run(&store, &["copy", "--referrers", &from, &to]);
    assert!(!outcome.works, "{}", outcome.output);
    for part in ["application/x.signature refers to the image", "405", "without --referrers"] {
        assert!(outcome.complaint.contains(part), "{part}: {}", outcome.complaint);
    }
    let tags = ask(second.server.registry(), ("GET", "/v2/team/app/tags/list"), ("", b"")).1;
    assert!(tags.contains("\"tags\":[]"), "{tags}");
    second.run(&store, &["copy", &from, &to]).assert_works("without");
}
