//! `--for` and `--emit`: what leaves has the form that a service takes, and files name it by its digest.

use std::fs;

use serde_json::Value;

use crate::bench::{Bench, shared};
use crate::http::ask;

/// The media types of the layers of what a tag stands for.
fn layers(bench: &Bench, tag: &str) -> Vec<String> {
    let target = format!("/v2/team/app/manifests/{tag}");
    let text = ask(bench.server.registry(), ("GET", &target), ("", b"")).1;
    let manifest: Value = serde_json::from_str(&text).unwrap();
    let layers = manifest["layers"].as_array().unwrap().iter();
    layers.map(|layer| layer["mediaType"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn an_image_for_lambda_has_layers_of_gzip_wherever_they_came_from() {
    let (store, _) = shared();
    let bench = Bench::new(&[]);
    let name = bench.name("team/app:plain");
    bench.run(store, &["push", "app:1", &name]).assert_works("push");
    assert!(layers(&bench, "plain").iter().all(|kind| !kind.contains("gzip")));
    let name = bench.name("team/app:lambda");
    bench.run(store, &["push", "--for=lambda", "app:1", &name]).assert_works("push");
    assert!(layers(&bench, "lambda").iter().all(|kind| kind.ends_with(".tar+gzip")));
    let words = ["push", "--for=lambda", "--compression=zstd", "app:1", &name];
    let outcome = bench.run(store, &words);
    assert!(
        !outcome.works && outcome.complaint.contains("no layers of zstd"),
        "{}",
        outcome.complaint
    );
}

#[test]
fn files_for_deployments_have_the_digest_that_was_pushed() {
    let (store, image) = shared();
    let bench = Bench::new(&[]);
    let name = bench.name("team/app:1");
    let file = |name: &str| bench.folder.path().join(name);
    let template = r#"{"family":"f","containerDefinitions":[{"name":"web","image":"old"}]}"#;
    fs::write(file("task.json"), template).unwrap();
    let emit = |text: &str| text.replace("DIR", &bench.folder.path().display().to_string());
    let emits = [
        emit("--emit=type=imagedefinitions,dest=DIR/definitions.json"),
        emit("--emit=type=imagedetail,dest=DIR/detail.json"),
        emit("--emit=type=kustomize,dest=DIR/kustomization.yaml"),
        emit("--emit=type=taskdef,from=DIR/task.json,dest=DIR/out.json,container=web"),
    ];
    let mut words = vec!["push", "app:1", &name];
    words.extend(emits.iter().map(String::as_str));
    bench.run(store, &words).assert_works("push");
    let uri = format!("{}@{}", bench.name("team/app"), image.digest);
    let read = |name: &str| fs::read_to_string(file(name)).unwrap();
    let json = |name: &str| serde_json::from_str::<Value>(&read(name)).unwrap();
    assert_eq!(json("definitions.json")[0]["imageUri"], uri);
    assert_eq!(json("definitions.json")[0]["name"], "app");
    assert_eq!(json("detail.json")["ImageURI"], uri);
    let task = json("out.json");
    assert_eq!(
        (&task["family"], &task["containerDefinitions"][0]["image"]),
        (&"f".into(), &uri.into())
    );
    assert!(read("kustomization.yaml").contains(&format!("digest: {}", image.digest)));

    // What cannot be filled is found before anything is sent.
    let before = bench.server.counts();
    let missing = emit("--emit=type=taskdef,from=DIR/none.json,dest=DIR/out.json");
    assert!(!bench.run(store, &["push", "app:1", &name, &missing]).works);
    assert_eq!(bench.server.counts(), before);
}
