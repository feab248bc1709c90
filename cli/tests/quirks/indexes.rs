//! `wythe index`, and `wythe inspect` of what is in a registry.

use serde_json::Value;

use crate::bench::{Bench, shared};
use crate::http::ask;

#[test]
fn an_index_is_made_of_images_of_several_repositories() {
    let (store, image) = shared();
    let bench = Bench::new(&[("auth", "basic"), ("strict-accept", "")]);
    let names = [bench.name("one/app:1"), bench.name("two/app:1")];
    for name in &names {
        bench.run(store, &["push", "app:1", name]).assert_works("push");
    }
    let all = bench.name("all/app:1");
    let said = "--annotation=index:org.example.by=tests";
    let words = ["index", "create", said, "-t", &all, &names[0], &names[1]];
    let planned = bench.run(store, &[&words[..], &["--dry-run"]].concat());
    planned.assert_works("plan");
    let made = bench.run(store, &words);
    made.assert_works("create");

    let remote = format!("docker://{all}");
    let raw = bench.run(store, &["inspect", "--raw", &remote]);
    raw.assert_works("inspect");
    assert_eq!(raw.output, planned.output);
    let index: Value = serde_json::from_str(&raw.output).unwrap();
    // The same image twice is one entry.
    assert_eq!(index["manifests"].as_array().unwrap().len(), 1);
    assert_eq!(index["manifests"][0]["digest"], image.digest);
    assert_eq!(index["manifests"][0]["platform"]["os"], "linux");
    assert_eq!(index["annotations"]["org.example.by"], "tests");

    let page = bench.run(store, &["inspect", &remote]).output;
    for line in
        [format!("Digest:    {}", made.output.trim()), "Platform:    linux/amd64".to_owned()]
    {
        assert!(page.contains(&line), "{page}");
    }
    let shown = bench.run(store, &["index", "inspect", "--raw", "--platform=linux/amd64", &all]);
    assert!(shown.output.contains("\"layers\""), "{}", shown.output);
    let pulled = bench.run(&bench.store("fresh"), &["pull", &all]);
    pulled.assert_works("pull");
    assert_eq!(pulled.output, made.output);
    let counts = bench.server.counts();
    assert!(counts.blob_bytes_in <= 2 * image.blob_bytes, "layers are mounted: {counts:?}");
}

#[test]
fn what_a_name_stands_for_is_kept_where_that_is_asked_for_and_no_index_says_anything_in_an_image() {
    let (store, _) = shared();
    let bench = Bench::new(&[]);
    let (one, all) = (bench.name("one/app:1"), bench.name("all/app:1"));
    bench.run(store, &["push", "app:1", &one]).assert_works("push");
    for _ in 0..2 {
        let words = ["index", "create", "--append", "-t", &all, &one];
        bench.run(store, &words).assert_works("append");
    }
    let target = "/v2/all/app/manifests/1";
    let index = ask(bench.server.registry(), ("GET", target), ("", b"")).1;
    let index: Value = serde_json::from_str(&index).unwrap();
    assert_eq!(index["manifests"].as_array().unwrap().len(), 1);
    let said = "--annotation=manifest:org.example.by=tests";
    let outcome = bench.run(store, &["index", "create", said, "-t", &all, &one]);
    assert!(
        !outcome.works && outcome.complaint.contains("index:KEY=VALUE"),
        "{}",
        outcome.complaint
    );
}
